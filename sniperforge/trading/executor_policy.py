"""What the executor is told: limits, patience, and what a trade is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from sniperforge.domain.ids import IntentKey
from sniperforge.domain.intent import ExposureEffect, SendPath, TradeIntent
from sniperforge.domain.money import Address, Mint
from sniperforge.trading.protections import NO_PROTECTIONS, Protections

BLOCKHASH_LIFE_BLOCKS = 150
"""Blocks for which a blockhash is accepted (`MAX_PROCESSING_AGE`; unchanged by this year's shorter slots)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPolicy:
    """Limits and patience of the executor. Nothing here ever proves anything (rule *no-timeout*).

    Attributes:
        beacon: A busy address whose newest finalized transaction serves as a control (rule *controls*).
        entry_slippage_bps: Default cap of entries against the independent price, costs included.
        exit_slippage_bps: The same for exits.
        widest_exit_slippage_bps: How wide the cap of an exit may become where an order says so.
        max_fee_lamports: Base and priority fee of one transaction.
        max_tip_lamports: Tip of one transaction.
        max_attempts: Signed transactions one intent may have.
        deadline: How long after its decision an intent may still be signed.
        lease: How long one worker has an intent to itself. It saves work, it is not what keeps us safe.
        retry_after: Pause after a refusal or failure before anything was signed.
        resend_every: Pause between two sendings of the same bytes.
        poll_every: Pause between two looks at the chain.
        finality_poll_at_most: Longest pause between two looks at a landing that is not final yet. A block is final
            when 31 more are confirmed on top of it (https://docs.anza.xyz/consensus/commitments), 6 to 13 s with slots
            of 200 to 400 ms; so the pauses grow with the time since it was confirmed.
        repost_for: How long after signing `/execute` may be asked about the same bytes (two minutes, Jupiter's docs).
        watch_for: How long an EXPIRED attempt is still asked about.
        large_trade_usd: From this value on a second node must agree that a transaction is dead.
        has_second_node: Whether one is configured.
        path: How trades decided under this policy are carried out.
        protections: What holds entries back.
        excluded_routers: Routers whose orders cannot be signed: their id is not ours, or they cannot be read.
    """

    beacon: Address
    entry_slippage_bps: int
    exit_slippage_bps: int
    max_fee_lamports: int
    max_tip_lamports: int
    max_attempts: int
    deadline: timedelta
    lease: timedelta
    large_trade_usd: int
    has_second_node: bool
    widest_exit_slippage_bps: int = 1_000
    retry_after: timedelta = timedelta(seconds=2)
    resend_every: timedelta = timedelta(seconds=2)
    poll_every: timedelta = timedelta(milliseconds=400)
    finality_poll_at_most: timedelta = timedelta(seconds=2)
    repost_for: timedelta = timedelta(minutes=2)
    watch_for: timedelta = timedelta(days=1)
    path: SendPath = SendPath.MANAGED
    protections: Protections = NO_PROTECTIONS
    excluded_routers: tuple[str, ...] = ("jupiterz", "dflow", "okx")

    def slippage_cap_bps(self, effect: ExposureEffect) -> int:
        """The default cap of this kind of trade."""
        return self.entry_slippage_bps if effect is ExposureEffect.ENTRY else self.exit_slippage_bps

    def widest_slippage_bps(self, effect: ExposureEffect) -> int:
        """The widest cap that anything may ask for; never tighter than the default."""
        cap = self.slippage_cap_bps(effect)
        return cap if effect is ExposureEffect.ENTRY else max(cap, self.widest_exit_slippage_bps)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRequest:
    """What somebody wants traded.

    Attributes:
        key: What was decided; the same key is the same trade, for ever.
        input_raw: Base units, or None for all that is free.
        max_slippage_bps: Another cap than the default; an exit's may be wider, up to `widest_exit_slippage_bps`.
        min_out_per_input: Worst acceptable price: output base units per input base unit.
        deadline: Shorter patience than the default.
        max_cost_bps: Most that all costs together may be, against the independent price; default: the cap.
        plan_id: The plan that decides it, with `occurrence`, the number of its round.
    """

    key: IntentKey
    wallet: Address
    input_mint: Mint
    output_mint: Mint
    input_raw: int | None
    effect: ExposureEffect
    max_slippage_bps: int | None = None
    min_out_per_input: Decimal | None = None
    deadline: timedelta | None = None
    max_cost_bps: int | None = None
    plan_id: str | None = None
    occurrence: int | None = None


class Until(StrEnum):
    """How long `run` stays with a trade."""

    CONFIRMED = "confirmed"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an intent stands after one ring of the bell.

    Attributes:
        wait: When it is worth looking again.
        settled: Nothing will change any more: its fill is final, or it ended without one.
    """

    intent: TradeIntent
    wait: timedelta
    settled: bool
