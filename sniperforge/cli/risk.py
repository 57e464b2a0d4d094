"""`risk-show`: the limits that hold entries back, what is used of them, and what would be denied now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.domain.risk import Rule, Use

if TYPE_CHECKING:
    from sniperforge.cli.token_names import TokenNames


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("risk-show")(show)


def show(
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Show every limit on entries, what is used of it, and which entries would be denied now. Exits never are."""
    from sniperforge.cli.token_names import names_of

    services = open_services()
    now = services.clock.now()
    with services.store.read() as books:
        found = services.executor_policy.protections.uses(books, now)
    off = [rule for rule in Rule if rule not in {use.rule for use in found}]
    if json_output:
        print_json(_as_json(found, off, now))
        return
    names = names_of(services, [use.token for use in found if use.token is not None])
    typer.echo("\n".join(_lines(found, off, names)))


def _lines(found: Sequence[Use], off: Sequence[Rule], names: TokenNames) -> Iterator[str]:
    if found:
        yield f"{'limit':<28} {'token':<10} {'most':>12} {'used':>12}  entries now"
    for use in found:
        token = "" if use.token is None else names.symbol(use.token)
        used = "" if use.rule is Rule.SPEND_PER_TRADE else _number(use.rule, use.used)
        row = f"{use.rule.value:<28} {token:<10} {_number(use.rule, use.limit):>12} {used:>12}"
        yield f"{row}  {_told(use)}"
    if off:
        yield f"no limit: {', '.join(rule.value for rule in off)}"
    yield "exits are never held back"


def _told(use: Use) -> str:
    if use.denial is None:
        return "allowed"
    until = use.denial.until
    healed = "" if until is None else f", until {until:%Y-%m-%d %H:%M:%S} UTC"
    return f"denied{healed}: {use.denial.because}"


def _number(rule: Rule, number: Decimal) -> str:
    """Dollars with cents (fees with more, a day of them is little), counts, or seconds."""
    if rule is Rule.FEES_PER_DAY:
        return f"{number:,.4f}"
    return f"{number:,.2f}" if rule.value.endswith("_usd") else f"{number:,.0f}"


def _as_json(found: Sequence[Use], off: Sequence[Rule], now: datetime) -> dict[str, Any]:
    """For programs: exact numbers as text."""
    return {
        "at": now.isoformat(),
        "rules": [_use_json(use) for use in found],
        "without_limit": [rule.value for rule in off],
        "denied": any(use.denial is not None and use.token is None for use in found),
        "denied_tokens": sorted({use.token for use in found if use.denial is not None and use.token is not None}),
    }


def _use_json(use: Use) -> dict[str, Any]:
    denial = use.denial
    return {
        "rule": use.rule.value,
        "token": use.token,
        "limit": f"{use.limit:f}",
        "used": f"{use.used:f}",
        "denies": denial is not None,
        "because": None if denial is None else denial.because,
        "until": None if denial is None or denial.until is None else denial.until.isoformat(),
    }
