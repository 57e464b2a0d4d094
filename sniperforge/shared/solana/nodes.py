"""Which node to ask: what each was last seen doing, and who therefore comes first.

A node is set aside for a few seconds when it fails, and left out while its slot is too far behind the best slot any
node reported. Lag is relative, so one node alone is never behind.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sniperforge.errors import NodeUnavailableError, SniperForgeError
from sniperforge.ports.clock import Clock
from sniperforge.shared.solana.answers import Answer
from sniperforge.shared.solana.node import RpcNode

LOOK_EVERY_S = 5.0
SET_ASIDE_S = 5.0
LOOK_TIMEOUT_S = 2.0
"""A node that takes longer to tell its slot is no node to trade through."""

_rankings: weakref.WeakSet[NodeRanking] = weakref.WeakSet()


async def ask_on_loop(node: RpcNode, method: str, *params: Any) -> Answer:
    """One question to one node while the same is asked of others, its answer ready to be read."""
    return Answer(await node.read_on_loop(method, list(params)), f"{method} at {node.name}", node.name)


@dataclass(slots=True)
class _Seen:
    slot: int | None = None
    problem: SniperForgeError | None = None
    aside_until: float = 0.0


class NodeRanking:
    """The nodes in the order they should be asked. Safe for many threads."""

    def __init__(
        self,
        nodes: Sequence[RpcNode],
        run: Callable[[Coroutine[Any, Any, None]], None],
        clock: Clock,
        *,
        max_slots_behind: int,
    ) -> None:
        self._nodes = tuple(nodes)
        self._run = run
        self._clock = clock
        self._max_slots_behind = max_slots_behind
        self._seen = {node.name: _Seen() for node in nodes}
        self._looked_at: float | None = None
        self._renew_locks()
        _rankings.add(self)

    def _renew_locks(self) -> None:
        self._looking = threading.Lock()
        self._changing = threading.Lock()

    def usable(self) -> tuple[RpcNode, ...]:
        """Nodes to ask, best first: those in good health in the order of the settings, then those set aside.

        Nodes that lag are left out; a node that failed moments ago is still better than no answer.
        """
        if len(self._nodes) > 1:
            self._look_if_due()
        now = self._clock.monotonic()
        with self._changing:
            near = [node for node in self._nodes if not self._lags(node)]
            return tuple(sorted(near, key=lambda node: self._seen[node.name].aside_until > now))

    def failed(self, node: RpcNode, problem: SniperForgeError) -> None:
        """Set a node aside because it just failed."""
        with self._changing:
            seen = self._seen[node.name]
            seen.problem, seen.slot = problem, None
            seen.aside_until = self._clock.monotonic() + SET_ASIDE_S

    def reached(self, node: RpcNode, slot: int) -> None:
        """Take note that a node answers, and of its slot."""
        with self._changing:
            self._seen[node.name] = _Seen(slot=slot)

    def slots_behind(self, node: RpcNode) -> int | None:
        """How far a node is behind the best one, None if its slot is unknown."""
        with self._changing:
            slot = self._seen[node.name].slot
            return None if slot is None else self._best_slot() - slot

    def none_left(self) -> NodeUnavailableError:
        """The error when there is nobody to ask, with what is wrong with each node."""
        with self._changing:
            reasons = [
                f"{name}: {seen.problem.what if seen.problem else 'not asked for, or too far behind'}"
                for name, seen in self._seen.items()
            ]
        return NodeUnavailableError(
            f"no RPC node is healthy ({'; '.join(reasons)})",
            subject="rpc_urls",
            fix="Run `sniperforge doctor`; check the addresses and the network",
        )

    def _best_slot(self) -> int:
        return max((seen.slot for seen in self._seen.values() if seen.slot is not None), default=0)

    def _lags(self, node: RpcNode) -> bool:
        slot = self._seen[node.name].slot
        return slot is not None and self._best_slot() - slot > self._max_slots_behind

    def _look_if_due(self) -> None:
        looked_at = self._looked_at
        if looked_at is not None and self._clock.monotonic() - looked_at < LOOK_EVERY_S:
            return
        # Only the very first look is waited for; later ones are one thread's business while others go on.
        if not self._looking.acquire(blocking=looked_at is None):
            return
        try:
            if self._looked_at == looked_at:
                self._run(self._look())
                self._looked_at = self._clock.monotonic()
        finally:
            self._looking.release()

    async def _look(self) -> None:
        await asyncio.gather(*(self._look_at(node) for node in self._nodes))

    async def _look_at(self, node: RpcNode) -> None:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                answer = await ask_on_loop(node, "getSlot", {"commitment": "processed"})
            self.reached(node, answer.integer())
        except TimeoutError:
            self.failed(node, NodeUnavailableError(f"no answer within {LOOK_TIMEOUT_S:g} s", subject=node.name))
        except SniperForgeError as problem:
            self.failed(node, problem)


def _renew_locks_in_child() -> None:
    for ranking in list(_rankings):
        ranking._renew_locks()  # noqa: SLF001 (a thread that the child does not have may have held them at the fork)


os.register_at_fork(after_in_child=_renew_locks_in_child)
