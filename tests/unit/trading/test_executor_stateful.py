"""Two workers, several trades and a hostile world in any order; after every step the promises of the design hold.

The oracle is tiny: the chain as it is, and which bytes left for which trade. Whatever happens (kills at any point,
forks, lagging and forgetting nodes, lost answers, failing books, clocks that jump, prices that move or lie, orders made
to be signed by mistake), when calm returns every trade is settled and the books are the chain, to the last base unit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account

from sniperforge.domain.ids import AttemptId, IntentId
from sniperforge.domain.intent import LIVE_ATTEMPT_STATES, AttemptState, FillState, IntentState
from sniperforge.domain.money import Mint
from sniperforge.domain.prices import rounded_price
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    ExchangeUnavailableError,
    ExecuteOutcomeUnknownError,
    NodeUnavailableError,
    OutcomeUnknownError,
    RateLimitedError,
    RetryableError,
    SniperForgeError,
    StorageBusyError,
)
from sniperforge.ports.exchange import Order
from sniperforge.ports.records import NATIVE_SOL, ReservationKind, TradingMode
from sniperforge.shared.solana.codec import SoldersCodec
from tests.fakes.trading_market import TOO_LITTLE, old_blockhash
from tests.fakes.trading_orders import DECIMALS, JUP, KEY, OWNER, SOL, USDC, order_bytes
from tests.fakes.trading_world import Killed, TradingWorld

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200"))
CODEC = SoldersCodec()
ADVANCE_NONCE = advance_nonce_account(
    AdvanceNonceAccountParams(nonce_pubkey=Pubkey.from_bytes(bytes([9]) * 32), authorized_pubkey=KEY.pubkey())
)
WORKERS = ("one", "two")
Ask = tuple[Mint, int | None]
ASKS: tuple[Ask, ...] = ((USDC, 20_000_000), (USDC, 60_000_000), (USDC, None), (SOL, 700_000_000))
CODES = (None, 0, -1, -1000, -1004, -1005, -2003, 6001)
FAILURES: dict[str, SniperForgeError] = {
    "reading": StorageBusyError("locked"),
    "writing": StorageBusyError("read-only"),
    "committing": StorageBusyError("disk full"),
    "committed": CommitOutcomeUnknownError("the connection was lost"),
    "prices": ExchangeUnavailableError("timed out"),
    "order": RateLimitedError("too many"),
    "order answered": ExchangeUnavailableError("the answer was lost"),
    "execute": RateLimitedError("our own budget"),
    "execute answered": ExecuteOutcomeUnknownError("the answer was lost"),
    "signing_view": NodeUnavailableError("down"),
    "simulate": NodeUnavailableError("down"),
    "transaction": NodeUnavailableError("down"),
    "transaction answered": NodeUnavailableError("the answer was lost"),
    "pinned": NodeUnavailableError("down"),
    "pinned answered": NodeUnavailableError("the answer was lost"),
}
"""What can go wrong at each place where the program asks the world. Nodes never raise for what is sent."""

LIES = ("none", "none", "no height", "height 1", "bound to a nonce", "an old blockhash")
"""What may be wrong with Jupiter's orders."""

WORST = Decimal("0.98")
"""Of what the oracle says an entry is worth: one percent of slippage, and one in which the two prices may differ."""

STAGES = ("decided", "sent", "killed", "confirmed", "failing")
TROUBLES = ("kill", "fail", "other", "sleep", "land", "fail on chain", "fork", "blocks", "halt", "cancel")
troubles = st.lists(st.tuples(st.integers(1, 25), st.sampled_from(TROUBLES)), max_size=3)
which = st.integers(0, 4)
owners = st.sampled_from(WORKERS)


class TradingMachine(RuleBasedStateMachine):
    """The hostile world, and its calm end."""

    @initialize(asks=st.lists(st.tuples(st.sampled_from(ASKS), st.sampled_from(STAGES)), min_size=2, max_size=3))
    def begin(self, asks: list[tuple[Ask, str]]) -> None:
        """Some trades are in flight already: most troubles only matter then."""
        self.world = TradingWorld(lamports=2 * 10**9, usdc=150_000_000)
        self.world.chain.holding = True
        self.world.block_time = timedelta(days=10_000)
        self.workers = {owner: self.world.executor(owner) for owner in WORKERS}
        self.intents: list[IntentId] = []
        self.priced: set[AttemptId] = set()
        self.behind = timedelta(0)
        for number, (ask, stage) in enumerate(asks):
            self.decide(ask)
            if stage == "killed":
                self.ring("one", number, [(1, "killed when sent")])
            elif stage != "decided":
                self._advance("one", self._intent(number))
            for attempt in self.world.attempts(self._intent(number)):
                if stage in ("confirmed", "failing"):
                    self.world.chain.include(attempt.signature, err=TOO_LITTLE if stage == "failing" else None)
                    self.world.chain.advance(3)
                    self._advance("one", attempt.intent_id)

    # ---- trades
    @precondition(lambda self: len(self.intents) < 5)
    @rule(ask=st.sampled_from(ASKS))
    def decide(self, ask: Ask) -> None:
        mint, raw = ask
        self.intents.append(self.world.decide(f"t{len(self.intents)}", input_mint=mint, input_raw=raw))

    @rule(owner=owners, number=which, plan=troubles)
    def ring(self, owner: str, number: int, plan: list[tuple[int, str]]) -> None:
        intent = self._intent(number)
        self.world.points.on = self._hostile(owner, intent, list(plan))
        try:
            self._advance(owner, intent)
        except Killed:
            self.workers[owner] = self.world.executor(owner)
        finally:
            self.world.points.on = lambda _: None

    @rule(owner=owners, number=which, rings=st.integers(2, 12), blocks=st.sampled_from((3, 40)))
    def ring_often(self, owner: str, number: int, rings: int, blocks: int) -> None:
        for _ in range(rings):
            self._advance(owner, self._intent(number))
            self.world.pass_time(seconds=3)
            self.world.chain.advance(blocks)

    @rule()
    def sweep_the_dead(self) -> None:
        for attempt in self.world.attempts():
            if attempt.state is AttemptState.EXPIRED:
                with suppress(RetryableError):
                    self.workers["two"].look_again(attempt)

    # ---- the chain
    @rule(blocks=st.sampled_from((1, 3, 8, 40, 190)))
    def blocks(self, blocks: int) -> None:
        self.world.chain.advance(blocks)

    @rule(
        number=st.integers(0, 7),
        err=st.sampled_from((None, TOO_LITTLE)),
        owner=owners,
        then=st.sampled_from(("nothing", "seen", "seen and forked")),
    )
    def land(self, number: int, err: str | None, owner: str, then: str) -> None:
        """Something of the pool lands and, it may be, is seen at confirmed, and forked away again."""
        pool = list(self.world.chain.pool)
        if not pool:
            return
        signature = pool[-1 - number % len(pool)]
        self.world.chain.include(signature, err=err)
        if then != "nothing":
            self.world.chain.advance(3)
            self._advance(owner, self.world.intent_of[signature])
        if then == "seen and forked":
            self.world.chain.fork(10)

    @rule(slots=st.integers(1, 31), blocks=st.integers(0, 20))
    def fork(self, slots: int, blocks: int) -> None:
        self.world.chain.fork(slots)
        self.world.chain.advance(blocks)

    # ---- everything else
    @rule(
        node=st.sampled_from(("node-a", "node-b", "both")),
        change=st.sampled_from(
            ("well", "well", "down", "lags 2", "lags 40", "lags 200", "remembers 20", "remembers 100")
        ),
    )
    def node_changes(self, node: str, change: str) -> None:
        what, _, number = change.partition(" ")
        for found in self.world.chain.nodes:
            if node in (found.name, "both"):
                found.failure = NodeUnavailableError("down") if what == "down" else None
                found.lag_slots = int(number) if what == "lags" else 0
                found.remembers_slots = int(number) if what == "remembers" else None

    @rule(code=st.sampled_from(CODES), forwards=st.booleans(), holding=st.booleans(), lost=st.booleans())
    def jupiter_changes(self, code: int | None, *, forwards: bool, holding: bool, lost: bool) -> None:
        exchange = self.world.exchange
        exchange.says, exchange.forwards, self.world.chain.holding = code, forwards, holding
        exchange.breaks = ExecuteOutcomeUnknownError("503") if lost else None

    @rule(how=st.sampled_from(LIES))
    def orders_change(self, how: str) -> None:
        def reshaped(order: Order) -> Order:
            match how:
                case "no height":
                    return replace(order, last_valid_block_height=None)
                case "height 1":
                    return replace(order, last_valid_block_height=1)
                case "bound to a nonce" if order.transaction:
                    latest = self.world.chain.latest_blockhash().blockhash
                    return replace(order, transaction=order_bytes(order, latest, unit=1, first=[ADVANCE_NONCE]))
                case "an old blockhash" if order.transaction:
                    return replace(order, transaction=order_bytes(order, old_blockhash(self.world.chain), unit=1))
            return order

        self.world.exchange.reshape = reshaped

    @rule(
        mint=st.sampled_from((SOL, JUP)),
        percent=st.sampled_from((-30, -6, -1, 1, 6, 30)),
        told_by=st.sampled_from(("both", "both", "jupiter", "oracle")),
    )
    def price_moves(self, mint: Mint, percent: int, told_by: str) -> None:
        for who, usd in (("oracle", self.world.usd), ("jupiter", self.world.exchange.usd)):
            if told_by in ("both", who):
                usd[mint] = rounded_price(usd[mint] * (100 + percent) / 100)
        self.world.publish()

    @rule(
        change=st.sampled_from(
            (
                *TradingMode,
                "cancel 0",
                "cancel 1",
                "skip 30",
                "pass 5",
                "pass 31",
                "pass 180",
                "jump -90",
                "jump -5",
                "jump 5",
                "jump 25",
            )
        )
    )
    def time_or_people_change(self, change: str) -> None:
        what, _, number = change.partition(" ")
        match what:
            case "skip":
                self.world.chain.skip(int(number))
            case "pass":
                self.world.pass_time(seconds=int(number))
            case "cancel":
                self.workers["one"].cancel(self._intent(int(number)))
            case "jump":
                self._set_clock(timedelta(minutes=int(number)))
            case mode:
                self.world.mode(TradingMode(mode))

    # ---- what must hold at every moment
    @invariant()
    def no_trade_landed_twice_and_none_that_ended_landed(self) -> None:
        world = self.world
        swaps = Counter(world.intent_of[one.signature] for one in world.chain.ours() if one.err is None)
        assert all(count == 1 for count in swaps.values()), "I1"
        for intent in self.intents:
            ended = world.intent(intent).state in (IntentState.FAILED, IntentState.CANCELLED)
            assert not (ended and swaps[intent]), "I4"

    @invariant()
    def nothing_is_signed_far_below_its_worth(self) -> None:
        """Prices move in a step of their own, so what is new was signed at these."""
        for attempt in self.world.attempts():
            if attempt.id in self.priced:
                continue
            self.priced.add(attempt.id)
            intent = self.world.intent(attempt.intent_id)
            given = self._usd(intent.input_mint, attempt.input_amount_raw)
            assert self._usd(intent.output_mint, attempt.min_out_raw) >= given * WORST

    @invariant()
    def the_books_do_not_contradict_the_chain(self) -> None:
        chain = self.world.chain
        assert self.world.events("attempt.undead") == []
        for attempt in self.world.attempts():
            landed = chain.landed.get(attempt.signature)
            match attempt.state:
                case AttemptState.EXPIRED:
                    assert landed is None
                case AttemptState.REVERTED:
                    assert landed is not None
                    assert landed.err is not None
                case AttemptState.FINALIZED:
                    assert landed is not None
                    assert landed.err is None
                    assert landed.slot <= chain.head_slot - chain.finalize_slots
                    assert self.world.fill(attempt).state is FillState.FINAL

    @invariant()
    def intents_follow_their_attempts(self) -> None:
        for intent in self.intents:
            states = [attempt.state for attempt in self.world.attempts(intent)]
            live = [state for state in states if state in LIVE_ATTEMPT_STATES]
            assert len(live) <= 1, "I3"
            landed = {AttemptState.CONFIRMED, AttemptState.FINALIZED} & set(states)
            assert (self.world.intent(intent).state is IntentState.FILLED) == bool(landed)
            if live and not landed:
                assert self.world.intent(intent).state is IntentState.EXECUTING

    @invariant()
    def what_is_reserved_is_there_and_what_is_settled_holds_nothing(self) -> None:
        held: Counter[Mint] = Counter()
        with self.world.store.books.read() as books:
            for attempt in self.world.attempts():
                lines = books.reservations.of_attempt(attempt.id)
                holds = {line.released_at is None for line in lines}
                assert holds == {attempt.state in LIVE_ATTEMPT_STATES}
                if attempt.state in LIVE_ATTEMPT_STATES and attempt.signature not in self.world.chain.landed:
                    held.update(
                        {
                            mint: sum(
                                line.amount_raw
                                for line in lines
                                if line.mint == mint and line.kind is not ReservationKind.RISK_BUDGET
                            )
                            for mint in (USDC, SOL)
                        }
                    )
        there = self.world.chain.holdings()
        assert held[USDC] <= there.tokens[USDC]
        assert held[SOL] <= there.lamports

    # ---- calm
    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.mode(TradingMode.ACTIVE)
        world.exchange.says = world.exchange.breaks = None
        world.exchange.forwards, world.chain.holding = True, False
        self.orders_change("none")
        # A jump that was seen by a clock that was right is believed again only when it is right again.
        self._set_clock(self.behind)
        world.exchange.usd.update(world.usd)
        for node in world.chain.nodes:
            node.lag_slots, node.remembers_slots, node.failure = 0, None, None
        self._settle_all()
        world.chain.finalize()
        assert world.booked() == world.booked(final_only=False) == world.on_chain(), "I5"
        swaps = [one for one in world.chain.ours() if one.err is None]
        filled = [one for one in self.intents if world.intent(one).state is IntentState.FILLED]
        assert sorted(world.intent_of[one.signature] for one in swaps) == sorted(filled), "I2"
        with world.store.books.read() as books:
            assert not any(books.reservations.held_raw(OWNER, mint, ReservationKind) for mint in (USDC, SOL, JUP))
            position = books.positions.get(OWNER, JUP)
        assert (position.raw if position else 0) == world.on_chain().get(JUP, 0)  # type: ignore[call-overload]
        assert set(world.on_chain()) <= {NATIVE_SOL, USDC, JUP}
        assert not any(CODEC.decode(raw, {}).durable_nonce for raw in world.chain.pool.values()), "no-undying"
        self.no_trade_landed_twice_and_none_that_ended_landed()
        self.the_books_do_not_contradict_the_chain()
        self.intents_follow_their_attempts()

    def _settle_all(self) -> None:
        """Ring for all of them in turn: one may wait for funds that another one holds."""
        executor, waiting = self.world.executor("calm"), list(self.intents)
        for _ in range(1_000):
            standings = [executor.advance(intent) for intent in waiting]
            assert all(standing.wait >= timedelta(0) for standing in standings)
            waiting = [standing.intent.id for standing in standings if not standing.settled]
            if not waiting:
                return
            # A clock that was set back makes everything wait for as long.
            pause = min(standing.wait for standing in standings if not standing.settled)
            self.world.clock.sleep(max(2, pause.total_seconds()))
            self.world.chain.advance(8)
        message = f"never settled: {waiting}, {self.world.attempts()}"
        raise AssertionError(message)

    # ---- inside
    def _set_clock(self, by: timedelta) -> None:
        """Forwards or back; prices of now are published, and how far it is behind the latest it ever said is kept."""
        self.world.clock.jump(self.world.clock.now() + by)
        self.behind = max(timedelta(0), self.behind - by)
        self.world.publish()

    def _usd(self, mint: Mint, raw: int) -> Decimal:
        """Dollars of so many base units, by the oracle."""
        return self.world.usd[mint].scaleb(-DECIMALS[mint]) * raw

    def _intent(self, number: int) -> IntentId:
        return self.intents[number % len(self.intents)]

    def _advance(self, owner: str, intent: IntentId) -> None:
        # Books or nodes that are away: nothing is lost, it is rung again.
        with suppress(RetryableError, OutcomeUnknownError):
            self.workers[owner].advance(intent)

    def _hostile(self, owner: str, intent: IntentId, plan: list[tuple[int, str]]) -> Callable[[str], None]:
        """At each place count down to the next trouble of the plan. While it happens, nothing else does."""
        left = plan[0][0] if plan else 0

        def at(place: str) -> None:
            nonlocal left
            if not plan:
                return
            left -= 1
            waits = place == "committing" and plan[0][1] not in ("kill", "fail")
            waits |= plan[0][1] == "killed when sent" and place != "execute answered"
            if left > 0 or waits or (plan[0][1] == "fail" and place not in FAILURES):
                return
            trouble = plan.pop(0)[1]
            left = plan[0][0] if plan else 0
            self.world.points.on = lambda _: None
            try:
                self._happen(trouble, place, owner, intent)
            finally:
                self.world.points.on = at

        return at

    def _happen(self, trouble: str, place: str, owner: str, intent: IntentId) -> None:
        world, other = self.world, WORKERS[1 - WORKERS.index(owner)]
        pool = list(world.chain.pool)
        match trouble:
            case "kill" | "killed when sent":
                raise Killed
            case "fail":
                raise FAILURES[place]
            case "other":
                self._advance(other, intent)
            case "sleep":
                # This one stands still past its lease, while the other one goes on for minutes.
                for _ in range(25):
                    world.pass_time(seconds=31)
                    self._advance(other, intent)
                    world.chain.advance(12)
            case "land" if pool:
                world.chain.include(pool[-1])
            case "fail on chain" if pool:
                world.chain.include(pool[-1], err=TOO_LITTLE)
            case "fork":
                world.chain.fork(31)
            case "blocks":
                world.chain.advance(190)
            case "halt":
                world.mode(TradingMode.HALTED)
            case "cancel":
                self.workers[other].cancel(intent)


TestTradingMachine: Any = TradingMachine.TestCase
TestTradingMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
