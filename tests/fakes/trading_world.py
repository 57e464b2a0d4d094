"""Everything an executor touches, in memory: one wallet, its books, a chain, a Jupiter, prices, a clock, a key.

The world checks by itself what must never happen whatever a test does: bytes that leave before their attempt is in the
books, signed bytes in a simulation, a network call inside a database transaction, a landing that the wallet cannot pay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sniperforge.domain.ids import IntentId, cli_key
from sniperforge.domain.intent import Attempt, ExposureEffect, Fill, FillState, TradeIntent
from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import ExchangeUnavailableError, SniperForgeError, TokenError, WalletError
from sniperforge.ports.records import NATIVE_SOL, Asset, Event, LedgerEntry, LedgerKind, TradingMode, WalletRecord
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.executor_policy import ExecutorPolicy, TradeRequest
from sniperforge.trading.guard_policies import MAINNET_POLICY
from sniperforge.trading.price_judge import PriceJudge, PricePolicy
from sniperforge.trading.progress import Progress, Step
from sniperforge.trading.trade_executor import TradeExecutor
from sniperforge.trading.transaction_guard import TransactionGuard
from tests.fakes.clock import FakeClock
from tests.fakes.oracle import FakeOracle
from tests.fakes.store import FakeBooks, FakeStore
from tests.fakes.trading_market import BEACON, USD, Points, TradingChain, TradingExchange
from tests.fakes.trading_orders import DECIMALS, JUP, KEY, OWNER, USDC, is_unsigned, signature_of

SLOT_TIME = timedelta(milliseconds=400)
POLICY = ExecutorPolicy(
    beacon=BEACON,
    entry_slippage_bps=100,
    exit_slippage_bps=300,
    max_fee_lamports=1_000_000,
    max_tip_lamports=0,
    max_attempts=3,
    deadline=timedelta(minutes=20),
    lease=timedelta(seconds=30),
    large_trade_usd=1_000,
    has_second_node=True,
)
PRICES = PricePolicy(
    entry_slippage_bps=100,
    exit_slippage_bps=300,
    single_source_slippage_bps=50,
    divergence_bps=100,
    jump_bps=2_000,
    max_slots_behind=600,
)


class Killed(BaseException):
    """The process ends here: nothing after this point happens, and nobody catches it."""


class TradingClock(FakeClock):
    """A clock by which the chain lives: time that passes makes blocks, time that is set does not."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: Callable[[timedelta], None] = lambda _: None

    def advance(self, by: timedelta) -> None:
        """Time passes, and blocks are made."""
        super().advance(by)
        self.passed(by)


class WatchedStore:
    """Books in memory that say when they are written, so that a test can break them there."""

    def __init__(self, points: Points) -> None:
        self.books = FakeStore()
        self.points = points
        self.is_writing = False
        self.commits = 0

    @contextmanager
    def write(self) -> Iterator[FakeBooks]:
        """One transaction; it can fail before it, while it commits, and after it has."""
        self.points.reach("writing")
        with self.books.write() as books:
            self.is_writing = True
            try:
                yield books
                self.points.reach("committing")
            finally:
                self.is_writing = False
        self.commits += 1
        self.points.reach("committed")

    @contextmanager
    def read(self) -> Iterator[FakeBooks]:
        """One view."""
        self.points.reach("reading")
        with self.books.read() as books:
            yield books


class MemorySigner:
    """`ports.signer.Signer` with one key in memory."""

    def __init__(self) -> None:
        self.locked = False
        self.signed: list[Signature] = []

    def addresses(self) -> tuple[Address, ...]:
        """The one wallet."""
        return (OWNER,)

    def sign(self, wallet: Address, message: bytes) -> Signature:
        """A real signature."""
        if self.locked or wallet != OWNER:
            raise WalletError("the wallet is locked", subject=wallet, fix="Unlock it")
        signature = Signature(str(KEY.sign_message(message)))
        self.signed.append(signature)
        return signature


class KnownTokens:
    """`ports.tokens.TokenFacts` for the tokens of this world."""

    def __init__(self) -> None:
        self.dangerous: set[Mint] = set()
        self.is_away = False

    def decimals(self, mint: Mint) -> int:
        """Of a token that exists."""
        return DECIMALS[mint]

    def require_tradable(self, mints: tuple[Mint, ...] | list[Mint] | Any) -> None:
        """None of them is dangerous."""
        if self.is_away:
            raise ExchangeUnavailableError("nobody answers", subject="/tokens/v2")
        bad = [mint for mint in mints if mint in self.dangerous]
        if bad:
            raise TokenError("its transfers can be stopped by somebody", subject=bad[0])


class TradingWorld:
    """One wallet's world. `executor` makes as many workers as a test wants; they share everything but their memory."""

    def __init__(self, *, lamports: int = 5 * 10**9, usdc: int = 1_000_000_000, jup: int = 0) -> None:
        self.points = Points()
        self.clock = TradingClock()
        self.clock.passed = self._time_passes
        self.chain = TradingChain(self.points, lamports=lamports, tokens={USDC: usdc, JUP: jup})
        self.chain.shown = self._leaves
        self.exchange = TradingExchange(self.clock, self.chain, self.points)
        self.oracle = FakeOracle(self.clock, USD)
        self.usd = dict(USD)
        self.store = WatchedStore(self.points)
        self.signer = MemorySigner()
        self.tokens = KnownTokens()
        self.policy = POLICY
        self.steps: list[Progress] = []
        self.at: dict[Step, Callable[[], object]] = {}
        self.intent_of: dict[Signature, IntentId] = {}
        self.block_time = SLOT_TIME
        self._rest = timedelta(0)
        self._adopt()
        self.publish()

    # ---- workers
    def executor(self, owner: str = "one", **policy: Any) -> TradeExecutor:
        """A worker with nothing in its memory."""
        return TradeExecutor(
            store=self.store,
            chain=self.chain,
            exchange=self.exchange,
            codec=SoldersCodec(),
            signer=self.signer,
            tokens=self.tokens,
            judge=PriceJudge(exchange=self.exchange, oracle=self.oracle, clock=self.clock, policy=PRICES),
            guard=TransactionGuard(MAINNET_POLICY),
            clock=self.clock,
            policy=replace(self.policy, **policy),
            owner=owner,
            watch=self._watch,
        )

    def request(self, name: str = "one", **changes: Any) -> TradeRequest:
        """25 USDC for JUP."""
        given: dict[str, Any] = {
            "key": cli_key(name),
            "wallet": OWNER,
            "input_mint": USDC,
            "output_mint": JUP,
            "input_raw": 25_000_000,
            "effect": ExposureEffect.ENTRY,
        }
        return TradeRequest(**{**given, **changes})

    def decide(self, name: str = "one", **changes: Any) -> IntentId:
        """Decide one trade."""
        return self.executor().decide(self.request(name, **changes)).id

    def signed(self, name: str = "one", **changes: Any) -> Attempt:
        """A trade whose transaction is in the network's hands and has not landed."""
        self.chain.holding = True
        self.executor().advance(self.decide(name, **changes))
        return self.attempts()[-1]

    def finish(self, intent: IntentId, *, owner: str = "one", most: int = 2_000) -> TradeIntent:
        """Ring until it is settled."""
        executor = self.executor(owner)
        for _ in range(most):
            standing = executor.advance(intent)
            if standing.settled:
                return standing.intent
            self.clock.sleep(standing.wait.total_seconds())
        message = f"not settled after {most} rings: {standing}"
        raise AssertionError(message)

    # ---- what happens
    def publish(self) -> None:
        """The oracle's prices of now."""
        for mint, usd in self.usd.items():
            self.oracle.publish(self.chain, mint, usd)

    def pass_time(self, **time: float) -> None:
        """Time passes, and blocks are made."""
        self.clock.advance(timedelta(**time))

    def pass_bound(self) -> None:
        """So many blocks that nothing signed before can land, finalized and with a control after it."""
        self.chain.advance(self.chain.blockhash_life + 2 * self.chain.finalize_slots)

    def mode(self, mode: TradingMode, reason: str = "a person said so") -> None:
        """Halt or resume."""
        with self.store.books.write() as books:
            books.system.change(books.system.get(), mode=mode, reason=reason)

    # ---- looking
    def intent(self, intent: IntentId) -> TradeIntent:
        """As the books have it."""
        with self.store.books.read() as books:
            found = books.intents.get(intent)
        assert found is not None
        return found

    def attempts(self, intent: IntentId | None = None) -> tuple[Attempt, ...]:
        """Of one intent, or of all."""
        with self.store.books.read() as books:
            known = [intent] if intent else [one.id for one in reversed(books.intents.recent(10_000))]
            return tuple(attempt for one in known for attempt in books.attempts.of_intent(one))

    def fill(self, attempt: Attempt) -> Fill:
        """Of an attempt that has one."""
        with self.store.books.read() as books:
            found = books.fills.get(attempt.signature)
        assert found is not None
        return found

    def lines(self, source: str) -> dict[tuple[Asset, LedgerKind], tuple[int, FillState]]:
        """Ledger lines of a transaction."""
        with self.store.books.read() as books:
            return {(line.asset, line.kind): (line.delta_raw, line.state) for line in books.ledger.of_source(source)}

    def held(self, mint: Mint) -> int:
        """Base units reserved."""
        with self.store.books.read() as books:
            return books.reservations.held_raw(OWNER, mint)

    def booked(self, *, final_only: bool = True) -> dict[Asset, int]:
        """What the books say the wallet has."""
        with self.store.books.read() as books:
            sums = {
                asset: books.ledger.balance_raw(OWNER, asset, final_only=final_only)
                for asset in books.ledger.assets(OWNER)
            }
        return {asset: raw for asset, raw in sums.items() if raw}

    def on_chain(self) -> dict[Asset, int]:
        """What it has."""
        held = self.chain.holdings()
        return {NATIVE_SOL: held.lamports, **{Asset(mint): raw for mint, raw in held.tokens.items() if raw}}

    def events(self, kind: str) -> list[Event]:
        """Of one kind, newest first."""
        with self.store.books.read() as books:
            return [event for event in books.events.recent(10_000) if event.kind == kind]

    def reached(self) -> list[Step]:
        """Every step so far."""
        return [progress.step for progress in self.steps]

    # ---- inside
    def _watch(self, progress: Progress) -> None:
        self.steps.append(progress)
        action = self.at.pop(progress.step, None)
        if action is not None:
            action()

    def _time_passes(self, by: timedelta) -> None:
        self._rest += by
        blocks, self._rest = divmod(self._rest, self.block_time)
        self.chain.advance(blocks)
        self.publish()

    def _leaves(self, transaction: bytes) -> None:
        """These bytes leave the program (rule *persist-first*)."""
        assert not self.store.is_writing, "a network call inside a database transaction"
        assert not is_unsigned(transaction)
        with self.store.books.read() as books:
            attempt = books.attempts.by_signature(signature_of(transaction))
        assert attempt is not None, "a byte left before its attempt was committed"
        assert attempt.signed_transaction == transaction, "other bytes left than were committed"
        self.intent_of[attempt.signature] = attempt.intent_id

    def _adopt(self) -> None:
        held = self.chain.opening
        opening = {NATIVE_SOL: held.lamports, **{Asset(mint): raw for mint, raw in held.tokens.items() if raw}}
        with self.store.books.write() as books:
            books.wallets.add(WalletRecord(address=OWNER, name="main", network="sandbox", created_at=self.clock.now()))
            books.ledger.add(
                [
                    LedgerEntry(
                        source="opening",
                        wallet=OWNER,
                        asset=asset,
                        kind=LedgerKind.OPENING,
                        delta_raw=raw,
                        slot=1,
                        state=FillState.FINAL,
                        booked_at=self.clock.now(),
                    )
                    for asset, raw in opening.items()
                ]
            )


def raising(error: SniperForgeError | Killed) -> Callable[[], object]:
    """An action that raises."""

    def action() -> None:
        raise error

    return action
