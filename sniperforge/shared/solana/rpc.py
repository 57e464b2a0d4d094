"""`ports.chain.Chain` over one or several RPC nodes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar

from solders.signature import Signature as SoldersSignature

from sniperforge.errors import (
    NodeBehindError,
    NodeUnavailableError,
    PreflightFailedError,
    RetryableError,
    RpcRejectedError,
    SniperForgeError,
)
from sniperforge.ports.chain import Commitment, NodeHealth, PinnedNode, SendResult
from sniperforge.ports.clock import Clock
from sniperforge.shared.solana.addresses import node_addresses
from sniperforge.shared.solana.loop import BackgroundLoop, shared_loop
from sniperforge.shared.solana.node import RpcNode
from sniperforge.shared.solana.nodes import NodeRanking, ask_on_loop
from sniperforge.shared.solana.reader import Reader, ask

T = TypeVar("T")

CALLS_PER_QUESTION = 2
"""A question may be repeated once at its node after a dropped connection."""

_ALREADY_PROCESSED = '"AlreadyProcessed"'
_UNKNOWN_SIGNATURE = "1" * 64
"""64 zero bytes: no transaction has this signature, and asking for it exercises the node's history."""


class SolanaChain(Reader):
    """Solana through one or several nodes.

    A question goes to the first healthy node in the order of `urls`, and to the next one after a retryable error only.
    Safe for many threads at once; each process has its own connections, also after a fork.

    Args:
        urls: RPC addresses, most trusted first. They may carry API keys, which never show in names, errors or logs.
        clock: For latencies, and for `retry_at` of a rate limit.
        timeout_s: Longest wait for one answer.
        max_slots_behind: A node further behind the best one than this is not asked while another answers.
        loop: The event loop to use instead of the process's own.

    Raises:
        ConfigError: No usable address.
    """

    def __init__(
        self,
        urls: Sequence[str],
        clock: Clock,
        *,
        timeout_s: float = 10.0,
        max_slots_behind: int = 50,
        loop: BackgroundLoop | None = None,
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_slots_behind = max_slots_behind
        self._loop = loop or shared_loop()
        self._nodes = tuple(RpcNode(address, clock, timeout_s) for address in node_addresses(urls))
        self._ranking = NodeRanking(self._nodes, self._run, clock, max_slots_behind=max_slots_behind)

    def __repr__(self) -> str:
        return f"SolanaChain({', '.join(self.nodes)})"

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the configured nodes, in the order of the settings."""
        return tuple(node.name for node in self._nodes)

    def warm(self) -> None:
        """Open connections to every node now, so that the first trade does not wait. Failures only rank nodes."""
        for node, seen in zip(self._nodes, self.health(), strict=True):
            if seen.healthy:
                # Those for questions are others than those for what goes to all nodes at once.
                try:
                    ask(node, "getSlot")
                except SniperForgeError as problem:
                    self._ranking.failed(node, problem)

    def close(self) -> None:
        """Close this process's connections. The next question opens new ones."""
        for node in self._nodes:
            node.close()
        self._run(_all(node.close_on_loop() for node in self._nodes))

    def _ask(self, question: Callable[[RpcNode], T]) -> T:
        failure: RetryableError | None = None
        for node in self._ranking.usable():
            try:
                return question(node)
            except RetryableError as error:
                self._ranking.failed(node, error)
                failure = failure or error
        raise failure or self._ranking.none_left()

    @contextmanager
    def pinned(self, node: str | None = None, *, other_than: str | None = None) -> Iterator[PinnedNode]:
        """One node for questions that must be answered by the same node in one order.

        An address that balances over several machines is not one node, whatever it is called here.

        Args:
            node: That one; otherwise the healthiest.
            other_than: Not this one (a second opinion).

        Raises:
            NodeUnavailableError: No such node, or none is healthy.
        """
        known = self._nodes if node is not None else self._ranking.usable()
        for candidate in known:
            if candidate.name != other_than and node in {None, candidate.name}:
                yield PinnedSolanaNode(candidate)
                return
        if node is not None:
            raise NodeUnavailableError(
                "no such RPC node", subject=node, fix=f"Configured are: {', '.join(self.nodes)}", node=node
            )
        raise self._ranking.none_left()

    def send(self, transaction: bytes, *, skip_preflight: bool = True) -> tuple[SendResult, ...]:
        """Hand exactly these bytes to every configured node once: no retry, no change, `maxRetries` 0.

        Never raises for what a node answers or fails to answer; the results say it, in the order of the settings.
        """
        config = {
            "encoding": "base64",
            "skipPreflight": skip_preflight,
            "preflightCommitment": Commitment.CONFIRMED.value,
            "maxRetries": 0,
        }
        params = [base64.b64encode(transaction).decode(), config]
        try:
            return tuple(self._run(_all(_send(node, transaction, params) for node in self._nodes)))
        except SniperForgeError as error:
            # The loop itself failed us, after the bytes may have left.
            return tuple(SendResult(name, False, False, f"unknown: {error}") for name in self.nodes)

    def health(self) -> tuple[NodeHealth, ...]:
        """Every configured node, asked now, by the methods that are used."""
        looks = self._run(_all(self._look(node) for node in self._nodes), calls=len(_PROBES) * CALLS_PER_QUESTION)
        return tuple(self._judged(node, look) for node, look in zip(self._nodes, looks, strict=True))

    async def _look(self, node: RpcNode) -> NodeHealth:
        latency_ms = version = None
        try:
            version = (await ask_on_loop(node, "getVersion"))["solana-core"].text()
            # The second question is the one to time: the first may have had to open the connection.
            started = self._clock.monotonic()
            slot = (await ask_on_loop(node, "getSlot", {"commitment": "processed"})).integer()
            latency_ms = (self._clock.monotonic() - started) * 1000
            for method, params in _PROBES:
                await ask_on_loop(node, method, *params)
            await _ask_health(node)
        except SniperForgeError as problem:
            self._ranking.failed(node, problem)
            behind = problem.details.get("slots_behind") if isinstance(problem, NodeBehindError) else None
            return NodeHealth(node.name, False, None, behind, latency_ms, version, str(problem))
        self._ranking.reached(node, slot)
        return NodeHealth(node.name, True, slot, None, latency_ms, version, None)

    def _judged(self, node: RpcNode, look: NodeHealth) -> NodeHealth:
        behind = self._ranking.slots_behind(node)
        if not look.healthy or behind is None:
            return look
        lags = behind > self._max_slots_behind
        return NodeHealth(
            node=look.node,
            healthy=not lags,
            slot=look.slot,
            slots_behind=behind,
            latency_ms=look.latency_ms,
            version=look.version,
            problem=f"{behind} slots behind the best node, {self._max_slots_behind} allowed" if lags else None,
        )

    def _run(self, coroutine: Coroutine[Any, Any, T], *, calls: int = CALLS_PER_QUESTION) -> T:
        try:
            return self._loop.run(coroutine, self._timeout_s * calls + 1)
        except (TimeoutError, CancelledError):
            failure = NodeUnavailableError(
                "the connection loop did not finish in time", subject=", ".join(self.nodes), fix="Try again"
            )
        raise failure


class PinnedSolanaNode(Reader):
    """One node: every answer comes from it, in the order asked. Fails rather than fail over."""

    def __init__(self, node: RpcNode) -> None:
        self._node = node

    @property
    def node(self) -> str:
        """Its name, as in `SolanaChain.nodes`."""
        return self._node.name

    def _ask(self, question: Callable[[RpcNode], T]) -> T:
        return question(self._node)


_PROBES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("getBlockHeight", ({"commitment": "finalized"},)),
    ("getLatestBlockhash", ({"commitment": "confirmed"},)),
    ("getSignatureStatuses", ([_UNKNOWN_SIGNATURE], {"searchTransactionHistory": True})),
)


async def _ask_health(node: RpcNode) -> None:
    try:
        await ask_on_loop(node, "getHealth")
    except RpcRejectedError:
        # Some providers do not offer it. What counts is that the methods above answered.
        return


async def _send(node: RpcNode, transaction: bytes, params: list[Any]) -> SendResult:
    try:
        # `once` and never `read`: whatever happens, these bytes are posted a single time.
        answer = await node.once_on_loop("sendTransaction", params)
    except PreflightFailedError as error:
        known = error.details["err"] == _ALREADY_PROCESSED
        return SendResult(node.name, accepted=False, already_processed=known, error=None if known else error.what)
    except SniperForgeError as error:
        return SendResult(node.name, accepted=False, already_processed=False, error=error.what)
    if not _names_signature_of(answer, transaction):
        return SendResult(node.name, False, False, "the node answered with the signature of something else")
    return SendResult(node.name, accepted=True, already_processed=False, error=None)


def _names_signature_of(answer: object, transaction: bytes) -> bool:
    try:
        return isinstance(answer, str) and bytes(SoldersSignature.from_string(answer)) in transaction
    except ValueError:
        return False


async def _all(coroutines: Any) -> list[Any]:
    return list(await asyncio.gather(*coroutines))
