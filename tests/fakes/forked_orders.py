"""One order whose trades land, are taken back by forks and land again, while people cancel and workers die.

The executor, the manager and the guard are the real ones. After every single act the books must make sense, and when
all is settled the chain must agree: an entry and one exit land once each at most, nothing is signed for what is to end,
and what was bought is without an exit only where a person wanted that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sniperforge.domain.ids import IntentId, OrderId, leg_of_trigger, order_of_key
from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.domain.order import LIVE_LEG_STATES, Amount, AmountKind, Leg, LegName, LegState, Order, OrderState
from sniperforge.domain.trigger import TriggerState
from sniperforge.errors import ConflictError, InvalidInputError, OutcomeUnknownError, RetryableError
from sniperforge.trading.executor_policy import Standing
from sniperforge.trading.order_terms import Side
from tests.fakes.look_world import Market
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_world import Killed, raising

STOP, ENTRY, NEUTRAL, TAKE = "0.36", "0.44", "0.5", "0.58"
"""Prices that reach a leg, or none."""

_UNDER_WAY = frozenset({IntentState.PENDING, IntentState.EXECUTING})
_IDLE = frozenset({LegState.DORMANT, LegState.ARMED, LegState.SUSPENDED, LegState.WAITING})
_CAN_FIRE = frozenset({TriggerState.ARMED, TriggerState.CROSSED, TriggerState.FIRED})
_UNTIL_BOOKED, _UNTIL_FINAL, _UNTIL_DEAD = 60, 100, 2_000
_LOOKS_TO_FIRE, _LONGEST_PAUSE_S = 4, 61

numbers = st.integers(0, 5)
"""Which of the trades, counted from the newest."""

at_times = st.sampled_from((False, False, True))


@dataclass(frozen=True)
class Seen:
    """What the books said after an act.

    Attributes:
        signed: How many transactions were signed, by trade.
    """

    order: Order
    legs: dict[LegName, Leg]
    signed: dict[IntentId, int]

    @property
    def is_to_end(self) -> bool:
        """Nothing more may be signed for it."""
        return self.order.cancel_requested_at is not None or self.order.state is not OrderState.OPEN

    @property
    def exits(self) -> list[Leg]:
        """Every leg that sells."""
        return [leg for name, leg in self.legs.items() if name is not LegName.ENTRY]

    @property
    def live_exits(self) -> list[Leg]:
        """Those with a trade that landed or may land."""
        return [leg for leg in self.exits if leg.state in LIVE_LEG_STATES]


class ForkedOrders(RuleBasedStateMachine):
    """See above."""

    def __init__(self) -> None:
        super().__init__()
        self.market = Market()
        self.id = OrderId("")
        self.before: Seen | None = None
        self.is_asked_to_end = False

    @initialize(
        kind=st.sampled_from(("bracket", "bracket", "bracket", "bracket", "oco", "stop")),
        minutes=st.sampled_from((None, None, None, 5, 60)),
        stage=st.sampled_from((0, 1, 2, 3, 4, 4, 4, 5, 6, 6)),
        first=st.sampled_from((STOP, TAKE)),
    )
    def place(self, kind: Literal["bracket", "oco", "stop"], minutes: int | None, stage: int, first: str) -> None:
        """Some begin with a part of their life behind them."""
        market = self.market
        over = None if minutes is None else market.clock.now() + timedelta(minutes=minutes)
        pair = {"stop_loss": Decimal("0.4"), "take_profit": Decimal("0.55"), "expires_at": over}
        if kind == "bracket":
            buys = {"side": Side.BUY, "amount": Amount(AmountKind.QUOTE, 100_000_000), "entry": Decimal("0.45")}
            order = market.manager.create_bracket(**market.terms(**buys, **pair))
        elif kind == "oco":
            order = market.manager.create_oco(**market.terms(**pair))
        else:
            order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.4"), expires_at=over))
        self.id = order.id
        if kind == "bracket" and stage > 0:
            self.look(ENTRY, 2)
            if stage > 1:
                self.carry()
        if stage > 2:  # an exit fires
            self.look(first, 2)
        if stage == 4:  # its entry is lost while it is under way
            self.lose(1, holding=True)
        if stage > 4:
            self.carry()
        if stage > 5:  # both are lost
            self.lose(0, holding=True)
            self.lose(1, holding=True)

    # ---- what happens
    @rule(usd=st.sampled_from((STOP, ENTRY, NEUTRAL, TAKE)), looks=st.integers(1, 3))
    def look(self, usd: str, looks: int) -> None:
        for _ in range(looks):
            with self.act():
                self.market.look(usd)

    @rule(number=numbers, rings=st.integers(1, 4))
    def ring(self, number: int, rings: int) -> None:
        for _ in range(rings):
            self.advance(self.trade(number))

    @rule()
    def carry(self) -> None:
        """Until whatever is under way is booked, if it can be."""
        for intent in self.trades():
            for _ in range(_UNTIL_BOOKED):
                if self.market.intent(intent).state not in _UNDER_WAY or self.advance(intent) is None:
                    break

    @rule(number=numbers)
    def settle(self, number: int) -> None:
        """Until it is final or provably dead, if it can be."""
        intent = self.trade(number)
        for _ in range(_UNTIL_FINAL):
            standing = self.advance(intent)
            if standing is None or standing.settled:
                break

    @rule(depth=st.sampled_from((1, 5, 31, 31)), holding=st.booleans())
    def fork(self, depth: int, *, holding: bool) -> None:
        """Nobody notices it yet."""
        self.market.chain.holding = holding
        self.market.chain.fork(depth)

    @rule(number=numbers, holding=st.booleans())
    def lose(self, number: int, *, holding: bool) -> None:
        """A fork takes everything back that is not final, and of one trade that is noticed."""
        self.market.chain.holding = True
        self.market.chain.fork(self.market.chain.finalize_slots)
        intent = self.trade(number)
        for _ in range(_UNTIL_BOOKED):
            if intent is None or self.market.intent(intent).state is not IntentState.FILLED:
                break
            standing = self.advance(intent)
            if standing is None or standing.settled:
                break
        self.market.chain.holding = holding

    @rule(holding=st.booleans())
    def hold(self, *, holding: bool) -> None:
        """Whether the network includes what it gets."""
        self.market.chain.holding = holding

    @rule(number=numbers, fails=at_times)
    def include(self, number: int, *, fails: bool) -> None:
        """Something that the network was given lands, if it still can."""
        pool = list(self.market.chain.pool)
        if pool:
            self.market.chain.include(pool[-1 - number % len(pool)], err=TOO_LITTLE if fails else None)

    @rule(seconds=st.sampled_from((3, 3, 15, 15, 60, 400, 1_500)))
    def pass_time(self, seconds: int) -> None:
        self.market.pass_time(seconds=seconds)

    @rule()
    def pass_bound(self) -> None:
        self.market.pass_bound()

    @rule(number=numbers, so=at_times)
    def cancel_trade(self, number: int, *, so: bool) -> None:
        intent = self.trade(number)
        if intent is not None and so:
            self.is_asked_to_end = True
            with self.act():
                self.market.executor().cancel(intent)

    @rule(so=at_times)
    def cancel_order(self, *, so: bool) -> None:
        if so:
            self.is_asked_to_end |= self.market.order(self.id).state is OrderState.OPEN
            with self.act((ConflictError, InvalidInputError)):
                self.market.manager.cancel(self.id, by="a person")

    @rule(place=st.sampled_from(("*", "committing", "committed", "committed")), nth=st.integers(1, 12))
    def die_soon(self, place: str, nth: int) -> None:
        """Whoever comes to such a place the nth time from now, `*` being any at which something is asked or told."""
        self.market.points.once(place, raising(Killed()), nth=nth)

    # ---- inside
    def trades(self) -> list[IntentId]:
        """All of them, oldest first."""
        with self.market.store.books.read() as books:
            return [one.id for one in reversed(books.intents.recent(1_000))]

    def trade(self, number: int) -> IntentId | None:
        """One of them, or None while there are none."""
        found = self.trades()
        return found[-1 - number % len(found)] if found else None

    def leg_of(self, intent: IntentId) -> LegName:
        """Whose trade it is."""
        of = order_of_key(self.market.intent(intent).key)
        assert of is not None
        return LegName(of[1])

    def advance(self, intent: IntentId | None) -> Standing | None:
        """One ring of the bell and the pause after it; None where nothing can be done now."""
        standing: Standing | None = None
        if intent is not None:
            with self.act((RetryableError, OutcomeUnknownError)):
                standing = self.market.executor().advance(intent)
        if standing is not None:
            self.market.clock.sleep(standing.wait.total_seconds())
        return standing

    @contextmanager
    def act(self, refused: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Something that somebody does, who may die of it or be refused; the books make sense after it."""
        try:
            yield
        except Killed:
            note("killed")
        except refused as error:
            note(repr(error))
        self.check()

    # ---- what must hold
    def check(self) -> None:
        """After every act."""
        signed = {intent: len(self.market.attempts(intent)) for intent in self.trades()}
        now = Seen(self.market.order(self.id), self.market.legs(self.id), signed)
        assert not self.market.events("order.undead")
        assert len(now.live_exits) <= 1
        self._follows_its_trades(now)
        if self.before is not None:
            self._signs_nothing_more(self.before, now)
        self.before = now
        if now.order.state is not OrderState.OPEN:
            assert not [leg for leg in now.legs.values() if leg.state in _IDLE]
            assert not self.market.armed(self.id)
        else:
            self._goes_on(now)

    def _follows_its_trades(self, now: Seen) -> None:
        for leg in now.legs.values():
            if leg.state in LIVE_LEG_STATES:
                assert leg.intent_id is not None
                is_filled = self.market.intent(leg.intent_id).state is IntentState.FILLED
                assert is_filled == (leg.state is LegState.FILLED)
                assert is_filled or self.market.intent(leg.intent_id).state in _UNDER_WAY
        entry = now.legs.get(LegName.ENTRY)
        if entry is not None and entry.state in (LegState.ARMED, LegState.WAITING, LegState.FIRED):
            assert not [leg for leg in now.exits if leg.state in (LegState.ARMED, LegState.WAITING)]

    def _signs_nothing_more(self, before: Seen, now: Seen) -> None:
        if not before.is_to_end and now.order.state is not OrderState.OPEN:
            assert LegState.FIRED not in {leg.state for leg in now.legs.values()}, "it ended before its trade"
        if before.is_to_end:
            assert now.signed == before.signed, "signed for what is to end"
        if before.live_exits and LegName.ENTRY in before.legs:
            bought = {intent: count for intent, count in before.signed.items() if self.leg_of(intent) is LegName.ENTRY}
            assert bought.items() <= now.signed.items(), "bought again after its exit fired"

    def _goes_on(self, now: Seen) -> None:
        """Something will become of it by itself, and of what it bought."""
        with self.market.store.books.read() as books:
            views = books.triggers.of_order(self.id)
        watched = {leg_of_trigger(view.trigger.id)[1] for view in views if view.state in _CAN_FIRE}
        assert {leg.name.value for leg in now.legs.values() if leg.state is LegState.ARMED} <= watched
        assert any(self._moves(leg) for leg in now.legs.values())
        entry = now.legs.get(LegName.ENTRY)
        if entry is not None and entry.state is LegState.FILLED and not now.live_exits:
            assert any(self._moves(leg) for leg in now.exits)

    def _moves(self, leg: Leg) -> bool:
        if leg.state is LegState.FILLED:
            return leg.intent_id is not None and not self._is_final(leg.intent_id)
        if leg.state is LegState.WAITING:
            return leg.refire_at is not None
        return leg.state in (LegState.FIRED, LegState.ARMED) or leg.active_from is not None

    def _is_final(self, intent: IntentId) -> bool:
        finals = [one for one in self.market.attempts(intent) if one.state is AttemptState.FINALIZED]
        assert len(finals) <= 1
        return bool(finals)

    def teardown(self) -> None:
        """The network takes everything again, everybody works, and the market goes where the order ends."""
        if not self.id:
            return
        self.market.chain.holding = False
        self.market.points.on = lambda _: None
        for usd in (NEUTRAL, ENTRY, STOP):
            self.look(usd, _LOOKS_TO_FIRE)
            self.market.pass_time(seconds=_LONGEST_PAUSE_S)
            self.look(usd, 1)
            for intent in self.trades():
                self._end(intent)
        landed = Counter[bool]()
        for intent in self.trades():
            assert self._is_final(intent) == (self.market.intent(intent).state is IntentState.FILLED)
            landed[self.leg_of(intent) is LegName.ENTRY] += self._is_final(intent)
        bought, sold = landed[True], landed[False]
        assert bought <= 1
        assert sold <= 1
        assert len([one for one in self.market.chain.ours() if one.err is None]) == bought + sold
        order = self.market.order(self.id)
        assert order.state is not OrderState.OPEN
        assert bool(sold) == (order.state is OrderState.FILLED)
        assert sold or not bought or self.is_asked_to_end, "what it bought has no exit, and nobody wanted that"
        self.market.pass_bound()
        assert self.market.booked() == self.market.on_chain()

    def _end(self, intent: IntentId) -> None:
        for _ in range(_UNTIL_DEAD):
            standing = self.advance(intent)
            if standing is None:
                self.market.clock.sleep(1)
            elif standing.settled:
                return
        message = f"never settled: {self.market.intent(intent)}"
        raise AssertionError(message)
