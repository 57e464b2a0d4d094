"""Orders that wait for the market: their kinds, what fires each leg, and which state may follow which.

An order has one leg, or three of which two exclude each other (OCO, bracket). A leg whose trigger fired is a trade that
was decided (`domain.intent`), and its state follows that trade in the same commit:

- a leg fires: its sibling is suspended in that commit;
- the trade's fill is final: the sibling is cancelled, the order is filled;
- the trade ends without a fill: the sibling is armed again. (While a fork has taken a fill back the trade goes on.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.time_window import OPEN, TimeWindow
from sniperforge.domain.trigger import Direction, Subject


class OrderKind(StrEnum):
    """What a person calls it."""

    STOP_LOSS = "stop-loss"
    TAKE_PROFIT = "take-profit"
    TRAILING_STOP = "trailing-stop"
    CONDITIONAL = "conditional"
    OCO = "oco"
    BRACKET = "bracket"


class OrderState(StrEnum):
    """Whether an order can still do anything."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ORDER_TRANSITIONS: Mapping[tuple[OrderState, OrderState], str] = MappingProxyType(
    {
        (OrderState.OPEN, OrderState.FILLED): "the fill of its last leg is final",
        (OrderState.OPEN, OrderState.CANCELLED): "a person cancelled it, or nothing is left to trade; it says which",
        (OrderState.OPEN, OrderState.EXPIRED): "its time is over and no trade of it is under way",
        (OrderState.CANCELLED, OrderState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
        (OrderState.EXPIRED, OrderState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
    }
)


class LegName(StrEnum):
    """Which part of its order a leg is; part of the key of its trades."""

    MAIN = "main"
    ENTRY = "entry"
    STOP = "stop"
    TAKE = "take"


class LegState(StrEnum):
    """Where a leg stands."""

    DORMANT = "dormant"
    """Cannot fire yet: its entry has not filled, or its time has not come."""
    ARMED = "armed"
    SUSPENDED = "suspended"
    """Its sibling's trade is under way or not final: both can never be live at once."""
    FIRED = "fired"
    """Its trade is decided and has not ended."""
    WAITING = "waiting"
    """Its trade ended without a fill, or none could be decided; at `refire_at` it fires again, or is armed again."""
    FILLED = "filled"
    """Its trade landed; the order is FILLED when that is final."""
    CANCELLED = "cancelled"


LEG_TRANSITIONS: Mapping[tuple[LegState, LegState], str] = MappingProxyType(
    {
        (LegState.DORMANT, LegState.ARMED): "its entry filled, or its time came",
        (LegState.DORMANT, LegState.CANCELLED): "its entry will never fill, or the order ended",
        (LegState.ARMED, LegState.DORMANT): "a fork took its entry's fill back, or a price that it needs is missing",
        (LegState.ARMED, LegState.FIRED): "its trigger fired, and its trade was decided in this commit",
        (LegState.ARMED, LegState.SUSPENDED): "its sibling fired in this commit",
        (LegState.ARMED, LegState.WAITING): "its trigger fired, and nothing could be decided then",
        (LegState.ARMED, LegState.CANCELLED): "cancelled, expired, or nothing is left to trade",
        (LegState.SUSPENDED, LegState.ARMED): "its sibling's trade ended without a fill",
        (LegState.SUSPENDED, LegState.WAITING): "the same, and it had fired before: it fires again",
        (LegState.SUSPENDED, LegState.CANCELLED): "its sibling's fill is final, or the order ended",
        (LegState.FIRED, LegState.FILLED): "its trade landed",
        (LegState.FIRED, LegState.WAITING): "its trade failed; the order is open, so it fires again",
        (LegState.FIRED, LegState.CANCELLED): "its trade was cancelled",
        (LegState.FILLED, LegState.FIRED): "a fork took the fill back; its trade goes on",
        (LegState.WAITING, LegState.FIRED): "it fired again",
        (LegState.WAITING, LegState.ARMED): "what it waited for is not so any more, and it is no stop",
        (LegState.WAITING, LegState.DORMANT): "a fork took the fill of its entry back",
        (LegState.WAITING, LegState.SUSPENDED): "its sibling fired in this commit",
        (LegState.WAITING, LegState.CANCELLED): "cancelled, expired, or nothing is left to trade",
        (LegState.ARMED, LegState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
        (LegState.SUSPENDED, LegState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
        (LegState.WAITING, LegState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
        (LegState.CANCELLED, LegState.FILLED): "LOUD: a trade of it that was proven dead landed after all",
    }
)

LIVE_LEG_STATES = frozenset({LegState.FIRED, LegState.FILLED})
"""A leg of an open order in one of these has a trade that landed or may land; at most one leg of a pair has."""


class AmountKind(StrEnum):
    """In what an amount is told."""

    BASE = "base"
    """Base units of the token that the order is about."""
    QUOTE = "quote"
    """Base units of the token that it is bought with or sold for; turned into the other when the leg fires."""
    PERCENT = "percent"
    """Hundredths of a percent of what is held and not promised elsewhere when the leg fires; 10,000 is all of it."""
    FILLED = "filled"
    """What the entry of the bracket really brought, set when it fills; then `BASE`."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a leg trades.

    Attributes:
        kind: In what it is told.
        value: Base units, or hundredths of a percent; 0 for `FILLED`.
    """

    kind: AmountKind
    value: int


ALL = Amount(AmountKind.PERCENT, 10_000)
"""The whole position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A value reaches a fixed level.

    Attributes:
        subject: What is watched, e.g. the dollar price of a token (`domain.watching`).
    """

    subject: Subject
    direction: Direction
    level: Decimal

    @staticmethod
    def into(window: TimeWindow) -> Crossing:
        """A window of time opens."""
        return Crossing(subject=window.subject, direction=Direction.DOWN, level=OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The price turns by so much from its best since the leg was armed or, if set, since `activation` was reached.

    Attributes:
        subject: The dollar price of the order's token.
        direction: `DOWN` sells after a fall from the highest price, `UP` buys after a rise from the lowest.
        bps: Distance as a share of the best price, or
        amount: distance in dollars.
        activation: The trail begins when the price has been here: above for `DOWN`, below for `UP`.
    """

    subject: Subject
    direction: Direction
    bps: int | None = None
    amount: Decimal | None = None
    activation: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Several crossings at once, or the first of several.

    Attributes:
        needs_all: All must hold at one look; else any one is enough.
        crossings: What has to be reached, each watched: levels of prices, and windows of time (`domain.time_window`).
    """

    needs_all: bool
    crossings: tuple[Crossing, ...]


Rule = Crossing | Trail | Condition
"""What fires a leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One thing that an order would trade, and when.

    Attributes:
        effect: Whether it opens or reduces exposure; entry protections never hold an exit back.
        input_mint: What it gives.
        output_mint: What it gets.
        reduce_only: Never more than is held and not promised elsewhere.
        rule: What fires it.
        confirmations: Prints in a row that must be beyond the level.
        max_slippage_bps: Cap of its trades against the independent price, costs included.
        widen_to_bps: When a trade failed the next one's cap is wider, up to this; None keeps it.
        deadline_s: How long a decided trade of it may still be signed; None is the system's own.
        active_from: Not armed before.
        firings: How many trades were decided for it; the next one's number.
        intent_id: The last of them.
        fired_at: When its trigger fired, with `fired_value`, and `gap_bps` that it was beyond the level by then; of a
            window of time neither.
        refire_at: When a WAITING leg is due again.
        reason: Why it is as it is, for a person.
    """

    order_id: OrderId
    name: LegName
    state: LegState
    effect: ExposureEffect
    input_mint: Mint
    output_mint: Mint
    amount: Amount
    reduce_only: bool
    rule: Rule
    confirmations: int
    max_slippage_bps: int
    widen_to_bps: int | None
    deadline_s: int | None
    active_from: datetime | None
    updated_at: datetime
    version: int = 0
    firings: int = 0
    intent_id: IntentId | None = None
    fired_at: datetime | None = None
    fired_value: Decimal | None = None
    gap_bps: int | None = None
    refire_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person wants done when the market is somewhere else.

    Attributes:
        base_mint: The token it is about; its price is what triggers speak of unless they say otherwise.
        quote_mint: What it is sold for or bought with.
        expires_at: It ends then, unless a trade of it is under way. A bracket's is that of its entry: its exits stay.
        cancel_requested_at: A person cancelled it; a trade that was signed is waited for.
        reason: Why it ended, for a person.
    """

    id: OrderId
    wallet: Address
    kind: OrderKind
    base_mint: Mint
    quote_mint: Mint
    state: OrderState
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    reason: str | None = None
    version: int = 0
