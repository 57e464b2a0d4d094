"""`quote`: what a swap would bring now, and what other sources think of the price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.domain.money import SOL_DECIMALS, Bps, Mint, format_units, parse_units
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.prices import Price
    from sniperforge.ports.exchange import Order
    from sniperforge.shared.tokens import ResolvedToken

_SHOWN = Context(prec=8)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quote")(quote)


def quote(
    from_token: Annotated[str, typer.Option("--from", help="Token to give: symbol or mint.")],
    to_token: Annotated[str, typer.Option("--to", help="Token to get: symbol or mint.")],
    amount: Annotated[str, typer.Option(help="How much to give, in whole tokens, e.g. 25 or 0.5.")],
    slippage_bps: Annotated[
        int | None, typer.Option(help="Slippage in basis points; Jupiter's choice if left out.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Ask what a swap would bring now; nothing is signed or sent."""
    if slippage_bps is not None:
        Bps(slippage_bps)
    answer = ask(open_services(), from_token, to_token, amount, slippage_bps)
    if json_output:
        print_json(as_json(answer))
    else:
        typer.echo("\n".join(as_lines(answer)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A quote and everything that helps to judge it.

    Attributes:
        unpriced: Why the on-chain oracle has no price, by mint.
        refused: Why the token would not be traded, by mint.
    """

    source: ResolvedToken
    target: ResolvedToken
    order: Order
    jupiter: Mapping[Mint, Price]
    pyth: Mapping[Mint, Price]
    unpriced: Mapping[Mint, str]
    refused: Mapping[Mint, tuple[str, ...]]

    @property
    def tokens(self) -> Sequence[ResolvedToken]:
        """Both tokens."""
        return (self.source, self.target)

    @property
    def given(self) -> Decimal:
        """Whole tokens given."""
        return Decimal(self.order.in_raw).scaleb(-self.source.decimals)

    @property
    def got(self) -> Decimal:
        """Whole tokens got, if nothing moves meanwhile."""
        return Decimal(self.order.out_raw).scaleb(-self.target.decimals)

    def divergence_bps(self, mint: Mint) -> Decimal | None:
        """How far the two sources are apart, None unless both have a price."""
        if mint not in self.jupiter or mint not in self.pyth:
            return None
        return abs(self.jupiter[mint].usd - self.pyth[mint].usd) / self.pyth[mint].usd * 10_000


def ask(services: Services, source: str, target: str, amount: str, slippage_bps: int | None) -> Answer:
    """Resolve both tokens, quote, and ask both price sources.

    Raises:
        InvalidInputError: The amount is none, zero, or finer than the token; or both tokens are the same.
        TokenError: One of the tokens is unknown or ambiguous.
        RetryableError: Jupiter or the chain cannot be asked, or there is no route.
    """
    from sniperforge.ports.exchange import Lane, OrderRequest
    from sniperforge.shared.tokens import refusals

    one, other = services.tokens.resolve_all([source, target], lane=Lane.ENTRY)
    if one.mint == other.mint:
        raise InvalidInputError("both tokens are the same", subject=one.symbol, fix="Name two different tokens")
    raw = parse_units(amount, one.decimals)
    if raw == 0:
        raise InvalidInputError("the amount is zero", subject="amount", fix="Give an amount above zero")
    order = services.exchange.order(
        OrderRequest(
            input_mint=one.mint, output_mint=other.mint, amount_raw=raw, taker=None, slippage_bps=slippage_bps
        ),
        lane=Lane.ENTRY,
    )
    mints = (one.mint, other.mint)
    return Answer(
        source=one,
        target=other,
        order=order,
        jupiter=services.exchange.prices(mints, lane=Lane.ENTRY),
        pyth=services.oracle.prices(mints),
        unpriced=services.oracle.explain(mints),
        refused={
            token.mint: tuple(warning.text for warning in refusals(token, services.settings.allow_tokens))
            for token in (one, other)
        },
    )


def as_lines(answer: Answer) -> list[str]:
    """The answer for people."""
    order, source, target = answer.order, answer.source, answer.target
    out, least = (format_units(raw, target.decimals) for raw in (order.out_raw, order.min_out_raw))
    impact = "unknown" if order.price_impact_pct is None else f"{order.price_impact_pct:.4f} %"
    lines = [
        f"{format_units(order.in_raw, source.decimals)} {source.symbol} -> {out} {target.symbol}",
        f"  at least      {least} {target.symbol} (slippage {order.slippage_bps} bps)",
    ]
    if order.in_raw and order.out_raw:
        forth, back = _short(answer.given / answer.got), _short(answer.got / answer.given)
        lines.append(
            f"  price         1 {target.symbol} = {forth} {source.symbol}, 1 {source.symbol} = {back} {target.symbol}"
        )
    lines += [f"  price impact  {impact}", f"  router        {order.router}"]
    names = {token.mint: token.symbol for token in answer.tokens}
    for step in order.route:
        share = "" if step.share_bps is None else f"{format_units(step.share_bps, 2)} % "
        hop = " -> ".join(names.get(mint, mint) for mint in (step.input_mint, step.output_mint))
        lines.append(f"  route         {share}{step.label}: {hop}")
    lines.append(f"  fees          {_fees(answer)}")
    lines += [f"  {token.symbol + ' in USD':<13} {_prices(answer, token.mint)}" for token in answer.tokens]
    for token in answer.tokens:
        refused = answer.refused[token.mint]
        for warning in token.warnings:
            then = " - not traded unless its mint is in allow_tokens" if warning.text in refused else ""
            lines.append(f"  warning       {token.symbol}: {warning.text}{then}")
    return lines


def _fees(answer: Answer) -> str:
    order = answer.order
    parts = [f"{order.fee_bps} bps for the swap, inside the output"]
    for name, lamports in (
        ("signature", order.signature_fee_lamports),
        ("priority", order.priority_fee_lamports),
        ("rent", order.rent_lamports),
    ):
        if lamports is not None:
            parts.append(f"{name} {format_units(lamports, SOL_DECIMALS)} SOL")
    return ", ".join(parts)


def _prices(answer: Answer, mint: Mint) -> str:
    jupiter, pyth = answer.jupiter.get(mint), answer.pyth.get(mint)
    apart = answer.divergence_bps(mint)
    said = [
        f"Jupiter {_short(jupiter.usd)}" if jupiter else "Jupiter has none",
        f"Pyth {_short(pyth.usd)}" if pyth else f"Pyth has none ({_reason(answer, mint)})",
    ]
    if apart is not None:
        said.append(f"{apart:.1f} bps apart")
    return ", ".join(said)


def _reason(answer: Answer, mint: Mint) -> str:
    # The two questions to the oracle are two moments: a price may have come back between them.
    return answer.unpriced.get(mint, "it had none a moment ago").removeprefix(f"{mint}: ")


def _short(value: Decimal) -> str:
    """`value` at a few significant digits, without an exponent."""
    return f"{_SHOWN.plus(value):f}"


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer for programs: amounts in whole tokens and prices as exact decimal text, `raw` in base units."""
    order = answer.order
    return {
        "in": format_units(order.in_raw, answer.source.decimals),
        "out": format_units(order.out_raw, answer.target.decimals),
        "minimum_out": format_units(order.min_out_raw, answer.target.decimals),
        "input": _token_json(answer, answer.source) | {"raw": order.in_raw},
        "output": _token_json(answer, answer.target) | {"raw": order.out_raw, "minimum_raw": order.min_out_raw},
        "slippage_bps": order.slippage_bps,
        "price_impact_pct": None if order.price_impact_pct is None else f"{order.price_impact_pct:f}",
        "router": order.router,
        "route": [
            {
                "pool": step.pool,
                "venue": step.label,
                "input_mint": step.input_mint,
                "output_mint": step.output_mint,
                "input_raw": step.in_raw,
                "output_raw": step.out_raw,
                "share_bps": step.share_bps,
            }
            for step in order.route
        ],
        "fee_bps": order.fee_bps,
        "signature_fee_lamports": order.signature_fee_lamports,
        "priority_fee_lamports": order.priority_fee_lamports,
        "rent_lamports": order.rent_lamports,
        "request_id": order.gateway_request_id,
    }


def _token_json(answer: Answer, token: ResolvedToken) -> dict[str, Any]:
    jupiter, pyth = answer.jupiter.get(token.mint), answer.pyth.get(token.mint)
    apart = answer.divergence_bps(token.mint)
    return {
        "mint": token.mint,
        "symbol": token.symbol,
        "decimals": token.decimals,
        "program": token.program,
        "usd_jupiter": f"{jupiter.usd:f}" if jupiter else None,
        "usd_pyth": f"{pyth.usd:f}" if pyth else None,
        "divergence_bps": None if apart is None else f"{apart:.2f}",
        "warnings": [warning.text for warning in token.warnings],
        "tradable": not answer.refused[token.mint],
    }
