"""What a plan would do, shown before anybody says yes: spend, costs by one live quote, next runs, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sniperforge.cli.quote import Answer, ask
from sniperforge.cli.token_names import short
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, format_units
from sniperforge.errors import ExchangeRejectedError, RetryableError, WalletError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sniperforge.bootstrap import Services
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.plan_desk import Draft

RUNS_SHOWN = 5
_MONTH = timedelta(days=30)
_WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A draft and everything that helps to judge it.

    Attributes:
        quoted: One live quote of a usual order; None if there is none now.
        unquoted: Why there is none.
        held_raw: What the wallet holds of the input token.
        locked: Why workers could not sign for the wallet, or None.
        stopped: Why rounds would be skipped now, or None.
    """

    file: Path
    wallet_name: str
    draft: Draft
    source: ResolvedToken
    target: ResolvedToken
    quoted: Answer | None
    unquoted: str | None
    held_raw: int
    locked: str | None
    stopped: str | None
    max_fee_lamports: int
    max_spend_per_trade_usd: int | None


def preview(services: Services, file: Path, wallet_name: str, draft: Draft, tokens: Sequence[ResolvedToken]) -> Preview:
    """Ask what has to be asked; nothing is written."""
    from sniperforge.domain.intent import ExposureEffect
    from sniperforge.trading.controls import stop_reason

    source, target = tokens
    quoted, unquoted = None, None
    with services.store.read() as books:
        stopped = stop_reason(books, draft.wallet, ExposureEffect.ENTRY)
    try:
        amount = format_units(draft.outline.order_raw, source.decimals)
        quoted = ask(services, source.mint, target.mint, amount, draft.config.max_slippage_bps)
    except (RetryableError, ExchangeRejectedError) as error:
        unquoted = str(error)
    return Preview(
        file=file,
        wallet_name=wallet_name,
        draft=draft,
        source=source,
        target=target,
        quoted=quoted,
        unquoted=unquoted,
        held_raw=_held_raw(services, draft, source),
        locked=_why_locked(services, draft),
        stopped=stopped,
        max_fee_lamports=services.settings.max_network_fee_lamports,
        max_spend_per_trade_usd=services.settings.max_spend_per_trade_usd,
    )


def lines(seen: Preview) -> Iterator[str]:
    """The preview for people."""
    draft, symbol = seen.draft, seen.source.symbol
    yield f"plan {draft.plan_id} ({draft.kind}), from {seen.file}"
    yield f"  wallet        {seen.wallet_name} {draft.wallet}, which holds {_amount(seen.held_raw, seen.source)}"
    yield f"  trades        {_amount(draft.outline.order_raw, seen.source)} per order -> {seen.target.symbol}"
    yield f"  total spend   {_total(seen)}"
    for line in _limits(draft.config.model_dump(exclude_none=True), symbol, seen.target.symbol):
        yield f"  limit         {line}"
    yield f"  one order now {_one_order(seen)}"
    yield f"  costs         {_costs(seen)}"
    for number, one in enumerate(draft.rounds(RUNS_SHOWN)):
        yield f"  {'' if number else 'next runs':<13} {run_line(one.due_at)}"
    for warning in _warnings(seen):
        yield f"  warning       {warning}"


def run_line(due_at: datetime) -> str:
    """When a round is due, by the clocks of this machine and in UTC."""
    local = due_at.astimezone()
    return f"{local:%a %Y-%m-%d %H:%M:%S} {local.tzname()}  ({_utc(due_at)})"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _amount(raw: int, token: ResolvedToken) -> str:
    return f"{format_units(raw, token.decimals)} {token.symbol}"


def _total(seen: Preview) -> str:
    draft, outline = seen.draft, seen.draft.outline
    if outline.total_raw is not None:
        several = f"{outline.orders} orders" if outline.orders != 1 else "one order"
        return f"{_amount(outline.total_raw, seen.source)} in {several}"
    orders = draft.timetable.count(draft.first, draft.first.due_at + _MONTH)
    in_a_month = _amount(orders * outline.order_raw, seen.source)
    return f"no end: {in_a_month} in the first 30 days ({orders} orders), until `sniperforge strategy-stop`"


def _limits(config: dict[str, Any], source: str, target: str) -> Iterator[str]:
    price = f"{source} per {target}"
    if "min_price" in config:
        yield f"no order below {config['min_price']:f} {price}"
    if "max_price" in config:
        yield f"no order above {config['max_price']:f} {price}, and none filled at a worse price"
    if "max_slippage_bps" in config:
        yield f"{config['max_slippage_bps']} bps from the independent price"
    if "max_cost_bps" in config:
        yield f"{config['max_cost_bps']} bps for all costs of an order together"
    if "end_at" in config:
        yield f"no round after {_utc(config['end_at'])}"


def _one_order(seen: Preview) -> str:
    if seen.quoted is None:
        return f"cannot be told: {seen.unquoted}"
    answer = seen.quoted
    got = f"{_amount(answer.order.in_raw, seen.source)} -> {_amount(answer.order.out_raw, seen.target)}"
    if not answer.got:
        return got
    return f"{got}, 1 {seen.target.symbol} = {short(answer.given / answer.got)} {seen.source.symbol}"


def _costs(seen: Preview) -> str:
    fee = f"network fee at most {format_units(seen.max_fee_lamports, SOL_DECIMALS)} SOL per transaction"
    cost = None if seen.quoted is None else cost_bps(seen.quoted)
    if cost is None:
        return f"unknown now, there is no quote with a price to hold against it; {fee}"
    told = f"{abs(cost):.1f} bps of each order {'below' if cost >= 0 else 'above'} the independent price now"
    return f"{told}; {fee}"


def cost_bps(answer: Answer) -> Decimal | None:
    """How much less a quote brings than its input is worth by Jupiter's prices; negative if more."""
    source, target = (answer.jupiter.get(token.mint) for token in answer.tokens)
    if source is None or target is None:
        return None
    return (1 - answer.got * target.usd / (answer.given * source.usd)) * _WHOLE_BPS


def _warnings(seen: Preview) -> Iterator[str]:
    draft = seen.draft
    for token in (seen.source, seen.target):
        yield from (f"{token.symbol}: {warning.text}" for warning in token.warnings)
    yield from draft.warnings
    if seen.held_raw < draft.outline.order_raw:
        yield f"the wallet does not hold enough {seen.source.symbol} for one order; orders fail until it is funded"
    elif draft.outline.total_raw is not None and seen.held_raw < draft.outline.total_raw:
        yield f"the wallet does not hold enough {seen.source.symbol} for all orders"
    if seen.locked is not None:
        yield f"workers could not sign for this wallet: {seen.locked}"
    if seen.stopped is not None:
        yield f"rounds are skipped for now: {seen.stopped}"
    most = seen.max_spend_per_trade_usd
    worth = None if seen.quoted is None else seen.quoted.jupiter.get(seen.source.mint)
    if most is not None and seen.quoted is not None and worth is not None and seen.quoted.given * worth.usd > most:
        yield f"one order is worth more than max_spend_per_trade_usd ({most}); it would be refused"


def _held_raw(services: Services, draft: Draft, source: ResolvedToken) -> int:
    held = services.wallets.balances(services.chain, draft.wallet)
    tokens = sum(account.raw for account in held.tokens if account.mint == source.mint)
    return tokens + (held.lamports if source.mint == WSOL_MINT else 0)


def _why_locked(services: Services, draft: Draft) -> str | None:
    """Why workers, whom nobody can ask, could not unlock the wallet. Asks no person for anything."""
    settings = services.settings
    if settings.wallet_passphrase is None and settings.wallet_passphrase_file is None:
        return "no passphrase is set; give them one by SNIPERFORGE_WALLET_PASSPHRASE_FILE"
    try:
        services.wallets.unlock(draft.wallet)
    except WalletError as error:
        return str(error)
    return None
