"""One JSON-RPC call on one node: what the methods need to know about who is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sniperforge.errors import StorageError
from sniperforge.sandbox.chain import Chain, CommitmentName, NodeView
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.rpc.errors import min_context_slot_not_reached
from sniperforge.sandbox.rpc.fees import FeeWatch
from sniperforge.sandbox.rpc.params import Config, Params
from sniperforge.sandbox.timeline import GENESIS_SLOT

API_VERSION = "4.0.2"
"""What `getVersion` says. Agave's of autumn 2026, the first with every method that the sandbox serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcShared:
    """What all nodes share besides the chain.

    Attributes:
        fees: Minimum fees of recent blocks.
        genesis_hash: The name of this chain.
    """

    fees: FeeWatch
    genesis_hash: str

    @classmethod
    def of(cls, chain: Chain) -> RpcShared:
        """What the nodes of this chain share."""
        genesis = chain.block(GENESIS_SLOT)
        if genesis is None:
            raise StorageError(
                "the chain has no first block",
                subject="the sandbox's chain",
                fix="Remove the sandbox's state directory",
            )
        return cls(fees=FeeWatch(chain), genesis_hash=genesis.blockhash)


@dataclass(frozen=True, slots=True)
class RpcCall:
    """A call and the node it came to.

    Attributes:
        context: The sandbox.
        shared: What all nodes share.
        node: The node that was asked.
        at_slot: The newest slot this node knows, the same during the whole call.
        faults: Kinds of faults that shape the answer (`history_down`, `swallow`).
    """

    context: SandboxContext
    shared: RpcShared
    node: NodeView
    at_slot: int
    faults: frozenset[str] = frozenset()

    @property
    def chain(self) -> Chain:
        """The chain behind the node."""
        return self.context.chain

    def slot(self, commitment: CommitmentName) -> int:
        """The node's newest slot of this commitment."""
        return self.chain.slot_at(commitment, at_slot=self.at_slot)

    def checked_slot(self, config: Config, commitment: CommitmentName) -> int:
        """The same, after `minContextSlot` was honoured (error -32016)."""
        slot = self.slot(commitment)
        minimum = config.u64("minContextSlot")
        if minimum is not None and slot < minimum:
            raise min_context_slot_not_reached(slot)
        return slot

    def forgets(self, slot: int) -> bool:
        """Whether this node no longer remembers that slot."""
        remembers = self.node.remembers_slots
        return remembers is not None and slot < self.at_slot - remembers


def with_context(slot: int, value: Any) -> dict[str, Any]:
    """An answer with the slot it was read at."""
    return {"context": {"apiVersion": API_VERSION, "slot": slot}, "value": value}


Method = Callable[[RpcCall, Params], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A method and how many parameters it takes."""

    handler: Method
    required: int = 0
    most: int = 1
