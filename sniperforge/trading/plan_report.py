"""One plan as the books tell it: its rounds with their trades, what was skipped and why, what was spent and got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Fill, FillState, TradeIntent
from sniperforge.domain.money import Mint
from sniperforge.ports.plans import Occurrence, Plan
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import WalletRecord
from sniperforge.ports.store import Store
from sniperforge.trading.plan_desk import known_plan

_DIGITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """A plan and what came of it.

    Attributes:
        rounds: The newest first, as many as were asked for.
        trades: The trades of these rounds, by id.
        fills: What all its rounds swapped, those that a fork took back left out.
    """

    plan: Plan
    wallet: WalletRecord | None
    rounds: tuple[Occurrence, ...]
    trades: Mapping[IntentId, TradeIntent]
    fills: tuple[Fill, ...]

    @property
    def input_mint(self) -> Mint:
        """What it gives."""
        return Mint(self.plan.config["input_token"])

    @property
    def output_mint(self) -> Mint:
        """What it gets."""
        return Mint(self.plan.config["output_token"])

    @property
    def spent_raw(self) -> int:
        """Base units given by all fills."""
        return sum(fill.input_raw for fill in self.fills)

    @property
    def got_raw(self) -> int:
        """Base units got by all fills."""
        return sum(fill.output_raw for fill in self.fills)

    @property
    def provisional(self) -> int:
        """How many of the fills a fork may still take back."""
        return sum(fill.state is FillState.PROVISIONAL for fill in self.fills)

    def fill_of(self, intent: IntentId) -> Fill | None:
        """What a trade swapped, if it did."""
        return next((fill for fill in self.fills if fill.intent_id == intent), None)

    def average_price(self, input_decimals: int, output_decimals: int) -> Decimal | None:
        """Whole input tokens given per whole output token got, over all fills; None before the first."""
        if not self.got_raw:
            return None
        with localcontext() as context:
            context.prec = _DIGITS
            return Decimal(self.spent_raw).scaleb(-input_decimals) / Decimal(self.got_raw).scaleb(-output_decimals)


def read_plan(store: Store, plan_id: PlanId, *, rounds: int) -> PlanReport:
    """The report of a plan with its newest `rounds` rounds.

    Raises:
        InvalidInputError: There is no such plan.
    """
    with store.read() as books:
        plan = known_plan(books, plan_id)
        newest = books.occurrences.of_plan(plan.id, rounds)
        decided = [one.intent_id for one in newest if one.intent_id is not None]
        found = [books.intents.get(intent) for intent in decided]
        return PlanReport(
            plan=plan,
            wallet=books.wallets.get(plan.wallet),
            rounds=newest,
            trades={one.id: one for one in found if one is not None},
            fills=books.occurrences.fills(plan.id),
        )
