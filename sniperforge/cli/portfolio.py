"""`portfolio`: what a wallet has by the books, what it cost, and what it is worth now."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.token_names import TokenNames, names_of, short
from sniperforge.domain.money import SOL_DECIMALS, Address, Mint, format_units
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sniperforge.bootstrap import Services
    from sniperforge.ports.records import WalletRecord
    from sniperforge.trading.portfolio_report import Holding, Portfolio
    from sniperforge.trading.price_survey import Appraisal

_CENTS = Decimal("0.01")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("portfolio")(portfolio)


def portfolio(
    wallet: Annotated[str | None, typer.Option(help="Name or address; default: the only wallet.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Show what a wallet has by its books: amounts, average cost, price now, value, profit and loss, fees paid."""
    from sniperforge.trading.portfolio_report import portfolio_of, read_account

    services = open_services()
    address = services.wallets.address_of(wallet or services.settings.wallet)
    with services.store.read() as books:
        record = known_wallet(books.wallets.get(address), address)
        account = read_account(books, address)
    mints = sorted({mint for mint, raw in account.held.items() if raw} | account.positions.keys())
    names = names_of(services, mints)
    decimals = {mint: name.decimals for mint, name in names.known.items()}
    found = portfolio_of(account, prices_now(services, mints), decimals)
    if json_output:
        print_json(_as_json(record, found, names))
    else:
        typer.echo("\n".join(_lines(record, found, names)))


def known_wallet(record: WalletRecord | None, address: Address) -> WalletRecord:
    """The wallet, if it is in the books.

    Raises:
        InvalidInputError: It is not.
    """
    if record is None:
        raise InvalidInputError(
            "the books do not know this wallet: nothing was traded with it yet",
            subject=address,
            fix="`sniperforge reconcile` takes it into the books with what it holds now",
        )
    return record


def prices_now(services: Services, mints: Sequence[Mint]) -> Mapping[Mint, Appraisal]:
    """What each token costs now, by Jupiter and the oracle."""
    from sniperforge.trading.price_survey import survey_prices

    settings = services.settings
    return survey_prices(
        mints,
        exchange=None if settings.effective_jupiter_url is None else services.exchange,
        oracle=services.oracle,
        chain=services.chain,
        max_slots_behind=settings.price_max_slots_behind,
        divergence_bps=settings.price_divergence_bps,
    )


def usd(value: Decimal | None, *, signed: bool = False) -> str:
    """Dollars and cents; `?` where nobody knows."""
    if value is None:
        return "?"
    cents = value.quantize(_CENTS)
    return f"{cents:+,.2f}" if signed else f"{cents:,.2f}"


def _lines(record: WalletRecord, found: Portfolio, names: TokenNames) -> Iterator[str]:
    yield f"wallet {record.name} {record.address} on {record.network}"
    if not found.holdings:
        yield "it has nothing"
        return
    yield _row("token", "held", "of it bought here", "average cost", "price now", "value", "unrealised", "realised")
    for one in found.holdings:
        name = names.known.get(one.mint)
        held, bought = (
            format_units(raw, name.decimals) if name else f"{raw} units" for raw in (one.held_raw, one.bought_raw)
        )
        yield _row(
            names.symbol(one.mint),
            held,
            bought if one.bought_raw else "-",
            short(one.average_usd) if one.average_usd is not None else "-",
            short(one.price_usd) if one.price_usd is not None else "?",
            usd(one.value_usd),
            usd(one.unrealised_usd, signed=True) if one.bought_raw else "-",
            usd(one.realised_usd, signed=True),
        )
    yield _row(
        "total USD", "", "", "", "", usd(found.value_usd), usd(found.unrealised_usd, signed=True),
        usd(found.realised_usd, signed=True),
    )  # fmt: skip
    for one in found.holdings:
        if one.note:
            yield f"{names.symbol(one.mint)} ({one.mint}): {one.note}"
    if found.unvalued:
        yield f"the totals are without {', '.join(names.symbol(mint) for mint in found.unvalued)}"
    yield _paid_line(found)


def _row(*cells: str) -> str:
    token, *others = cells
    widths = (20, 20, 14, 14, 14, 12, 12)
    return f"{token:<10}" + "".join(f" {cell:>{width}}" for cell, width in zip(others, widths, strict=True))


def _paid_line(found: Portfolio) -> str:
    paid = found.paid
    parts = [f"fees {_sol(paid.fee_lamports)}"]
    if paid.wasted_lamports:
        parts.append(f"(of it {_sol(paid.wasted_lamports)} for transactions that swapped nothing, in no position)")
    return f"{' '.join(parts)}, tips {_sol(paid.tip_lamports)}, rent in open accounts {_sol(paid.rent_lamports)}"


def _sol(lamports: int) -> str:
    return f"{format_units(lamports, SOL_DECIMALS)} SOL"


def _as_json(record: WalletRecord, found: Portfolio, names: TokenNames) -> dict[str, Any]:
    """For programs: base units as ints, dollars as exact text, null where nobody knows."""
    paid = found.paid
    return {
        "wallet": record.address,
        "name": record.name,
        "network": record.network,
        "holdings": [_holding_json(one, names) for one in found.holdings],
        "value_usd": _text(found.value_usd),
        "cost_usd": _text(found.cost_usd),
        "unrealised_usd": _text(found.unrealised_usd),
        "realised_usd": _text(found.realised_usd),
        "unvalued": list(found.unvalued),
        "fee_lamports": paid.fee_lamports,
        "wasted_fee_lamports": paid.wasted_lamports,
        "tip_lamports": paid.tip_lamports,
        "rent_lamports": paid.rent_lamports,
    }


def _holding_json(one: Holding, names: TokenNames) -> dict[str, Any]:
    name = names.known.get(one.mint)
    return {
        "mint": one.mint,
        "symbol": name.symbol if name else None,
        "decimals": name.decimals if name else None,
        "held_raw": one.held_raw,
        "bought_raw": one.bought_raw,
        "cost_usd": _text(one.cost_usd),
        "average_usd": _text(one.average_usd),
        "price_usd": _text(one.price_usd),
        "value_usd": _text(one.value_usd),
        "unrealised_usd": _text(one.unrealised_usd),
        "realised_usd": _text(one.realised_usd),
        "note": one.note,
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
