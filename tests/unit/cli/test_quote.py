"""What `quote` prints, for people and for programs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sniperforge.cli.quote import Answer, as_json, as_lines
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.domain.transaction import TOKEN_PROGRAM
from sniperforge.ports.exchange import Order, RouteStep
from sniperforge.shared.tokens import USDC_MINT, Danger, ResolvedToken, TokenWarning
from tests.fakes.clock import START

FREEZABLE = TokenWarning(Danger.FREEZE_AUTHORITY, "somebody can freeze anybody's balance")
USDC = ResolvedToken(USDC_MINT, "USDC", "USD Coin", 6, TOKEN_PROGRAM, (FREEZABLE,), well_known=True)
SOL = ResolvedToken(WSOL_MINT, "SOL", "Wrapped SOL", 9, TOKEN_PROGRAM, well_known=True)
POOL = Address("Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")


def step(label: str, source: Mint, target: Mint, share_bps: int | None) -> RouteStep:
    return RouteStep(POOL, label, source, target, 1, 1, share_bps)


ORDER = Order(
    request_id="order-1",
    input_mint=USDC_MINT,
    output_mint=WSOL_MINT,
    in_raw=25_000_000,
    out_raw=125_000_000,
    min_out_raw=124_375_000,
    slippage_bps=50,
    price_impact_pct=Decimal("-0.012500150657"),
    router="metis",
    route=(step("Raydium CLMM", USDC_MINT, JUP, 3333), step("Whirlpool", JUP, WSOL_MINT, None)),
    fee_bps=2,
    fee_mint=USDC_MINT,
    platform_fee_raw=5000,
    signature_fee_lamports=5000,
    priority_fee_lamports=12_345,
    rent_lamports=None,
    fee_payer=None,
    transaction=None,
    last_valid_block_height=None,
    gasless=False,
    expire_at=None,
    quote_id=None,
    maker=None,
    error_code=None,
    error_message=None,
    gateway_request_id="gateway-1",
    received_at=START,
)


def price(mint: Mint, usd: str, source: str) -> Price:
    return Price(mint=mint, usd=Decimal(usd), source=source, observed_at=START)


ANSWER = Answer(
    source=USDC,
    target=SOL,
    order=ORDER,
    jupiter={WSOL_MINT: price(WSOL_MINT, "200.2", "jupiter"), USDC_MINT: price(USDC_MINT, "0.9999", "jupiter")},
    pyth={WSOL_MINT: price(WSOL_MINT, "200", "pyth")},
    unpriced={USDC_MINT: f"{USDC_MINT}: the price is 90 s old"},
    refused={USDC_MINT: (), WSOL_MINT: ()},
)


def test_people_see_amounts_price_route_fees_both_sources_and_warnings() -> None:
    assert as_lines(ANSWER) == [
        "25 USDC -> 0.125 SOL",
        "  at least      0.124375 SOL (slippage 50 bps)",
        "  price         1 SOL = 200 USDC, 1 USDC = 0.005 SOL",
        "  price impact  -0.0125 %",
        "  router        metis",
        f"  route         33.33 % Raydium CLMM: USDC -> {JUP}",
        f"  route         Whirlpool: {JUP} -> SOL",
        "  fees          2 bps for the swap, inside the output, signature 0.000005 SOL, priority 0.000012345 SOL",
        "  USDC in USD   Jupiter 0.9999, Pyth has none (the price is 90 s old)",
        "  SOL in USD    Jupiter 200.2, Pyth 200, 10.0 bps apart",
        "  warning       USDC: somebody can freeze anybody's balance",
    ]


def test_a_token_that_would_not_be_traded_says_so() -> None:
    refused = replace(ANSWER, refused={USDC_MINT: (FREEZABLE.text,), WSOL_MINT: ()})

    assert as_lines(refused)[-1].endswith("not traded unless its mint is in allow_tokens")
    assert as_json(refused)["input"]["tradable"] is False


def test_what_is_unknown_is_said_and_never_zero() -> None:
    unknown = replace(ANSWER, order=replace(ORDER, price_impact_pct=None), jupiter={}, pyth={})
    lines = as_lines(unknown)

    assert "  price impact  unknown" in lines
    assert "  SOL in USD    Jupiter has none, Pyth has none (it had none a moment ago)" in lines
    told = as_json(unknown)
    assert told["price_impact_pct"] is None
    assert [told["output"][name] for name in ("usd_jupiter", "usd_pyth", "divergence_bps")] == [None, None, None]


def test_programs_get_exact_amounts_and_prices() -> None:
    told = as_json(ANSWER)

    assert (told["in"], told["out"], told["minimum_out"]) == ("25", "0.125", "0.124375")
    assert (told["input"]["raw"], told["output"]["raw"], told["output"]["minimum_raw"]) == (
        25_000_000,
        125_000_000,
        124_375_000,
    )
    assert (told["output"]["usd_jupiter"], told["output"]["divergence_bps"]) == ("200.2", "10.00")
    assert told["input"]["warnings"] == ["somebody can freeze anybody's balance"]
    assert [hop["venue"] for hop in told["route"]] == ["Raydium CLMM", "Whirlpool"]
    assert (told["request_id"], told["router"]) == ("gateway-1", "metis")
