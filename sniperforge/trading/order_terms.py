"""What somebody wants an order to do, and everything that is wrong with it before anybody looks at a price.

Prices are US dollars for one whole token of `base_mint`. Problems are found all at once and name their field, so that
whoever asked can be told about each in words of his own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.order import Amount, AmountKind, Crossing, OrderKind
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, SIGNIFICANT_DIGITS, price_key
from sniperforge.domain.time_window import Once, is_window, window_of
from sniperforge.domain.trigger import TRAIL_BPS_LEAST, TRAIL_BPS_MOST
from sniperforge.errors import InvalidInputError
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.order_arming import MOST_CROSSINGS
from sniperforge.trading.order_conditions import condition_problems

WHOLE_BPS = 10_000
MOST_CONFIRMATIONS = 100
"""An order that wants more prices in a row than this protects nothing."""


class Side(StrEnum):
    """Whether the token is sold or bought."""

    SELL = "sell"
    """An exit: it reduces what is held."""
    BUY = "buy"
    """An entry: it opens or adds."""

    @property
    def effect(self) -> ExposureEffect:
        """What its trades do to exposure."""
        return ExposureEffect.EXIT if self is Side.SELL else ExposureEffect.ENTRY


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        field: The field of `OrderTerms` that it is about.
        text: What is wrong with it, for a person.
    """

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What somebody wants. None takes the default of the kind (docs/guides/orders.md has the table).

    Attributes:
        base_mint: The token it is about.
        quote_mint: What it is sold for or bought with.
        side: What the order does, or for a bracket its entry: always buy.
        trigger: Price of a stop-loss or take-profit.
        stop_loss: Price of the stop of a pair (OCO, bracket).
        take_profit: Price of the other one.
        entry: Price at which a bracket enters; None enters at once.
        trail_bps: How far a trailing stop follows behind the best price, as a share of it, or
        trail_amount: in dollars.
        activation: The price from which on it follows.
        conditions: What a conditional order waits for.
        needs_all: All of them at once, or any.
        amount: How much; needed where something is bought. What is sold is otherwise all that is held.
        reduce_only: Never more than is held and not promised elsewhere; the default of what sells.
        slippage_bps: Cap against the independent price, costs included. A bracket's entry is never wider than the
            settings' cap for entries.
        widen_to_bps: How wide that cap of an exit may become after trades that failed.
        confirmations: How many prices in a row must be beyond the level, for every leg.
        expires_at: It ends then, or earlier (`ends_at`).
        active_from: It begins then.
        deadline_s: How long a trade of it may be signed after it was decided.
        force: Take prices that make it fire at once.
    """

    kind: OrderKind
    wallet: Address
    base_mint: Mint
    quote_mint: Mint
    side: Side
    trigger: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    entry: Decimal | None = None
    trail_bps: int | None = None
    trail_amount: Decimal | None = None
    activation: Decimal | None = None
    conditions: tuple[Crossing, ...] = ()
    needs_all: bool = True
    amount: Amount | None = None
    reduce_only: bool | None = None
    slippage_bps: int | None = None
    widen_to_bps: int | None = None
    confirmations: int | None = None
    expires_at: datetime | None = None
    active_from: datetime | None = None
    deadline_s: int | None = None
    force: bool = False

    @property
    def only_reduces(self) -> bool:
        """`reduce_only`, or its default."""
        return self.side is Side.SELL if self.reduce_only is None else self.reduce_only

    @property
    def ends_at(self) -> datetime | None:
        """`expires_at`, or when one of the windows of time is over that all have to be open: it can never fire then."""
        windows = [window_of(one.subject) for one in self.conditions if self.needs_all and is_window(one.subject)]
        ends = [one.ends for one in windows if isinstance(one, Once)]
        return min((one for one in (self.expires_at, *ends) if one is not None), default=None)

    @property
    def sells_somewhere(self) -> bool:
        """Whether any leg of it is an exit."""
        return self.side is Side.SELL or self.kind is OrderKind.BRACKET


_NEEDED = {
    OrderKind.STOP_LOSS: frozenset({"trigger"}),
    OrderKind.TAKE_PROFIT: frozenset({"trigger"}),
    OrderKind.TRAILING_STOP: frozenset[str](),
    OrderKind.CONDITIONAL: frozenset({"conditions"}),
    OrderKind.OCO: frozenset({"stop_loss", "take_profit"}),
    OrderKind.BRACKET: frozenset({"stop_loss", "take_profit"}),
}
_ALLOWED = {
    OrderKind.TRAILING_STOP: frozenset({"trail_bps", "trail_amount", "activation"}),
    OrderKind.BRACKET: frozenset({"entry"}),
}
_PRICES = ("trigger", "stop_loss", "take_profit", "entry", "trail_amount", "activation")
_SETTING_THE_LEVEL = (*_PRICES, "trail_bps", "conditions")


def terms_problems(terms: OrderTerms, policy: ExecutorPolicy, now: datetime) -> list[Problem]:
    """Everything that is wrong with these terms whatever the market does.

    Args:
        terms: What is wanted.
        policy: Limits that no order may widen.
        now: The time.
    """
    return [
        *_wrong_fields(terms),
        *_wrong_prices(terms),
        *_wrong_trail(terms),
        *_wrong_conditions(terms, now),
        *_wrong_amount(terms),
        *_wrong_caps(terms, policy),
        *_wrong_times(terms, policy, now),
    ]


def _wrong_fields(terms: OrderTerms) -> Iterator[Problem]:
    kind = terms.kind
    if terms.base_mint == terms.quote_mint:
        yield Problem("quote_mint", "a token cannot be traded for itself: name another one")
    if kind is OrderKind.BRACKET and terms.side is not Side.BUY:
        yield Problem("side", "a bracket buys first, and sells what it bought")
    needed, allowed = _NEEDED[kind], _NEEDED[kind] | _ALLOWED.get(kind, frozenset())
    for field in _SETTING_THE_LEVEL:
        is_given = getattr(terms, field) not in (None, ())
        if field in needed and not is_given:
            yield Problem(field, f"orders of kind {kind} need it")
        elif is_given and field not in allowed:
            yield Problem(field, f"orders of kind {kind} do not have it; they have {', '.join(sorted(allowed))}")


def usable_prices(terms: OrderTerms) -> dict[str, Decimal]:
    """Prices by field: those that orders of its kind have, and that are prices."""
    allowed = _NEEDED[terms.kind] | _ALLOWED.get(terms.kind, frozenset())
    given = {field: getattr(terms, field) for field in _PRICES if field in allowed}
    return {field: price for field, price in given.items() if price is not None and _is_price(price)}


def _wrong_prices(terms: OrderTerms) -> Iterator[Problem]:
    for field in _PRICES:
        price: Decimal | None = getattr(terms, field)
        if price is not None and not _is_price(price):
            bounds = f"give dollars between {MIN_PRICE} and {MAX_PRICE}, with at most {SIGNIFICANT_DIGITS} digits"
            yield Problem(field, f"{price} is no price: {bounds}")
    yield from _contradictions(terms, usable_prices(terms))


def _is_price(price: Decimal) -> bool:
    try:
        price_key(price)
    except InvalidInputError:
        return False
    return True


def _contradictions(terms: OrderTerms, prices: dict[str, Decimal]) -> Iterator[Problem]:
    """Prices that no market could bring about in their order."""
    stop, take, entry = (prices.get(field) for field in ("stop_loss", "take_profit", "entry"))
    sells = terms.sells_somewhere
    if stop is not None and take is not None and (take <= stop if sells else take >= stop):
        wrong, right = ("not above", "above") if sells else ("not below", "below")
        why = f"what is {'sold' if sells else 'bought'} takes its profit {right} its stop"
        yield Problem("take_profit", f"{take:f} is {wrong} the stop-loss {stop:f}: {why}")
    if entry is None:
        return
    if stop is not None and entry <= stop:
        yield Problem("entry", f"{entry:f} is not above the stop-loss {stop:f}: it would be sold as soon as bought")
    if take is not None and entry >= take:
        yield Problem("entry", f"{entry:f} is not below the take-profit {take:f}: it would be sold as soon as bought")


def _wrong_trail(terms: OrderTerms) -> Iterator[Problem]:
    if terms.kind is not OrderKind.TRAILING_STOP:
        return
    if terms.trail_bps is None and terms.trail_amount is None:
        yield Problem("trail_bps", "say how far it follows behind the best price: as a share (bps) or in dollars")
    if terms.trail_bps is not None and terms.trail_amount is not None:
        yield Problem("trail_amount", "it follows by a share (trail_bps) or by dollars, not by both: give one")
    if terms.trail_bps is not None and not TRAIL_BPS_LEAST <= terms.trail_bps <= TRAIL_BPS_MOST:
        yield Problem(
            "trail_bps", f"{terms.trail_bps} is not within {TRAIL_BPS_LEAST} to {TRAIL_BPS_MOST} (0.01 % to 90 %)"
        )


def _wrong_conditions(terms: OrderTerms, now: datetime) -> Iterator[Problem]:
    begins, ends = (
        None if moment is None or moment.tzinfo is None else moment for moment in (terms.active_from, terms.expires_at)
    )
    begins = now if begins is None else max(now, begins)
    for text in condition_problems(terms.conditions, needs_all=terms.needs_all, begins=begins, ends=ends):
        yield Problem("conditions", text)


def _wrong_amount(terms: OrderTerms) -> Iterator[Problem]:
    amount = terms.amount
    if terms.reduce_only is True and terms.side is Side.BUY and terms.kind is not OrderKind.BRACKET:
        yield Problem("reduce_only", "buying reduces nothing; only what sells can be reduce-only")
    if terms.reduce_only is False and terms.kind is OrderKind.BRACKET:
        yield Problem("reduce_only", "the exits of a bracket sell what its entry bought, and no more")
    if amount is None:
        if terms.side is Side.BUY:
            yield Problem("amount", "say how much to buy: there is no position to take it from")
        return
    if amount.kind is AmountKind.FILLED:
        yield Problem("amount", "only the exits of a bracket trade what its entry brought")
    elif amount.value <= 0:
        yield Problem("amount", "it is zero: give an amount above zero")
    elif amount.kind is AmountKind.PERCENT:
        if amount.value > WHOLE_BPS:
            yield Problem("amount", f"{Decimal(amount.value) / 100} % is more than the position")
        if terms.side is Side.BUY:
            yield Problem("amount", "a share of a position can only be sold: say how much to buy")


def _wrong_caps(terms: OrderTerms, policy: ExecutorPolicy) -> Iterator[Problem]:
    cap, widen = terms.slippage_bps, terms.widen_to_bps
    effect = ExposureEffect.EXIT if terms.sells_somewhere else ExposureEffect.ENTRY
    widest = policy.widest_slippage_bps(effect)
    setting = "entry_slippage_bps" if effect is ExposureEffect.ENTRY else "widest_exit_slippage_bps"
    for field, value in (("slippage_bps", cap), ("widen_to_bps", widen)):
        if value is not None and value < 1:
            yield Problem(field, f"{value} is not above zero")
        elif value is not None and value > widest:
            yield Problem(field, f"{value} is wider than the settings allow ({setting}: {widest})")
    if widen is None:
        return
    if effect is ExposureEffect.ENTRY:
        yield Problem("widen_to_bps", "only the cap of an exit may widen: an entry that is too dear is not made")
    elif widen < (usual := policy.slippage_cap_bps(effect) if cap is None else cap):
        yield Problem("widen_to_bps", f"{widen} is tighter than the cap that it would widen ({usual})")


def _wrong_times(terms: OrderTerms, policy: ExecutorPolicy, now: datetime) -> Iterator[Problem]:
    ends, begins = terms.expires_at, terms.active_from
    unaware = [
        name
        for name, moment in (("expires_at", ends), ("active_from", begins))
        if moment is not None and moment.tzinfo is None
    ]
    yield from (Problem(name, "it needs a time zone") for name in unaware)
    if not unaware and ends is not None:
        if ends <= now:
            yield Problem("expires_at", f"{ends.isoformat()} has passed already")
        if begins is not None and begins >= ends:
            yield Problem("expires_at", f"it ends before it begins ({begins.isoformat()})")
    patience_s = int(policy.deadline.total_seconds())
    if terms.deadline_s is not None and not 1 <= terms.deadline_s <= patience_s:
        yield Problem(
            "deadline_s",
            f"{terms.deadline_s} is not within 1 and what the settings allow (trade_deadline_s: {patience_s})",
        )
    if terms.confirmations is not None and not 1 <= terms.confirmations <= MOST_CONFIRMATIONS:
        yield Problem("confirmations", f"{terms.confirmations} is not within 1 to {MOST_CONFIRMATIONS}")
    if len(terms.conditions) > MOST_CROSSINGS:
        yield Problem("conditions", f"{len(terms.conditions)} are too many: {MOST_CROSSINGS} at most")
