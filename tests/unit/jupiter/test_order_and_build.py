"""Quotes and instructions: what is asked, and what is understood of the answer."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.money import Address, Mint
from sniperforge.errors import ProtocolError
from sniperforge.ports.exchange import Build, BuildRequest, Lane, Order, OrderRequest
from tests.fakes.clock import START
from tests.fakes.jupiter_http import GATEWAY_ID, answer, jupiter
from tests.fakes.jupiter_json import (
    COMPUTE_BUDGET,
    JUP,
    JUPITER,
    POOL,
    SOL,
    TAKER,
    USDC,
    build_json,
    instruction_json,
    order_json,
    step_json,
)

REQUEST = OrderRequest(
    input_mint=Mint(USDC), output_mint=Mint(SOL), amount_raw=25_000_000, taker=Address(TAKER), slippage_bps=50
)
BUILD = BuildRequest(
    input_mint=Mint(USDC), output_mint=Mint(SOL), amount_raw=25_000_000, taker=Address(TAKER), slippage_bps=50
)


def ordered(request: OrderRequest = REQUEST, **changes: Any) -> Order:
    with jupiter(answer(order_json(**changes))) as (client, _):
        return client.order(request, lane=Lane.ENTRY)


def built(**changes: Any) -> Build:
    with jupiter(answer(build_json(**changes))) as (client, _):
        return client.build(BUILD, lane=Lane.ENTRY)


def missing(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def test_an_order_is_read_exactly() -> None:
    order = ordered()

    assert (order.in_raw, order.out_raw, order.min_out_raw) == (25_000_000, 138_888_888, 138_194_443)
    assert order.transaction == b"unsigned transaction"
    assert order.price_impact_pct == Decimal("-0.0125")
    assert (order.router, order.fee_bps, order.fee_mint, order.platform_fee_raw) == ("metis", 2, USDC, 5000)
    assert (order.signature_fee_lamports, order.priority_fee_lamports, order.rent_lamports) == (5000, 12345, 0)
    assert (order.fee_payer, order.gasless) == (TAKER, False)
    assert (order.error_code, order.error_message) == (None, None)
    assert [(step.pool, step.label, step.share_bps) for step in order.route] == [(POOL, "Whirlpool", 10_000)]
    assert (order.gateway_request_id, order.received_at) == (GATEWAY_ID, START)


def test_what_is_asked_of_order() -> None:
    request = replace(
        REQUEST,
        exclude_routers=("jupiterz", "dflow"),
        exclude_dexes=("Raydium CLMM", "Orca V2"),
        priority_fee_lamports=9000,
    )
    with jupiter(answer(order_json())) as (client, wire):
        client.order(request, lane=Lane.EXIT)

    assert wire.requests[0].url.path == "/swap/v2/order"
    assert wire.queries == [
        {
            "inputMint": USDC,
            "outputMint": SOL,
            "amount": "25000000",
            "taker": TAKER,
            "slippageBps": "50",
            "excludeRouters": "jupiterz,dflow",
            "excludeDexes": "Raydium CLMM,Orca V2",
            "priorityFeeLamports": "9000",
            "broadcastFeeType": "maxCap",
        }
    ]


def test_a_quote_without_taker_asks_for_nothing_more() -> None:
    request = replace(REQUEST, taker=None, slippage_bps=None)
    with jupiter(answer(order_json(transaction=None, lastValidBlockHeight=""))) as (client, wire):
        client.order(request, lane=Lane.ENTRY)

    assert wire.queries == [{"inputMint": USDC, "outputMint": SOL, "amount": "25000000"}]


def test_null_is_only_a_quote() -> None:
    order = ordered(replace(REQUEST, taker=None), transaction=None)

    assert (order.transaction, order.error_code, order.error_message) == (None, None, None)


def test_an_empty_transaction_could_not_be_built_and_says_why() -> None:
    order = ordered(transaction="", errorCode=2, errorMessage="Top up `0.01` SOL for gas", error="the same")

    assert order.transaction is None
    assert (order.router, order.error_code, order.error_message) == ("metis", 2, "Top up `0.01` SOL for gas")


def test_an_empty_transaction_without_a_reason_still_differs_from_a_quote() -> None:
    assert ordered(transaction="").error_message == "the router did not say why"


def test_null_with_a_taker_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no transaction although a taker was named"):
        ordered(transaction=None)


def test_a_transaction_that_is_not_base64_is_refused() -> None:
    with pytest.raises(ProtocolError, match="transaction"):
        ordered(transaction="not base64!")


@pytest.mark.parametrize(
    ("given", "height"), [("321000150", 321_000_150), (321_000_150, 321_000_150), ("", None), (None, None)]
)
def test_the_last_valid_height_may_be_text_a_number_or_empty(given: object, height: int | None) -> None:
    assert ordered(lastValidBlockHeight=given).last_valid_block_height == height


def test_a_firm_quote_of_a_maker_has_its_end() -> None:
    order = ordered(
        router="jupiterz", maker=POOL, quoteId="q-1", expireAt="1767268855", slippageBps=0, signatureFeePayer=POOL
    )

    assert (order.maker, order.quote_id, order.fee_payer) == (POOL, "q-1", POOL)
    assert order.expire_at == datetime(2026, 1, 1, 12, 0, 55, tzinfo=UTC)


def test_fractions_of_fees_are_rounded_up_and_shares_may_be_missing() -> None:
    steps = [step_json(percent=None, bps=None), step_json(percent=33.33, bps=None)]
    order = ordered(feeBps=2.1, prioritizationFeeLamports=7.5, routePlan=steps)

    assert (order.fee_bps, order.priority_fee_lamports) == (3, 8)
    assert [step.share_bps for step in order.route] == [None, 3333]


def test_unknown_fields_are_ignored() -> None:
    assert ordered(newThing={"deep": [1, 2.5, None]}).out_raw == 138_888_888


@pytest.mark.parametrize(
    "name",
    [
        "requestId",
        "inputMint",
        "outputMint",
        "inAmount",
        "outAmount",
        "otherAmountThreshold",
        "slippageBps",
        "router",
        "routePlan",
        "transaction",
    ],
)
def test_a_missing_required_field_is_named_with_the_request_id(name: str) -> None:
    with (
        jupiter(answer(missing(order_json(), name))) as (client, _),
        pytest.raises(ProtocolError, match=rf"{name}: Field required.*\[request {GATEWAY_ID}\]") as caught,
    ):
        client.order(REQUEST, lane=Lane.ENTRY)

    assert caught.value.details["fields"] == (name,)


@pytest.mark.parametrize("amount", ["1.5", "-1", "1e9", "", None, 1.5, True, "18446744073709551616", "٣"])
def test_an_amount_that_is_no_whole_number_of_base_units_is_refused(amount: object) -> None:
    with pytest.raises(ProtocolError, match="outAmount"):
        ordered(outAmount=amount)


def test_an_answer_about_other_tokens_is_refused() -> None:
    with pytest.raises(ProtocolError, match=f"answered for {USDC} to {JUP}"):
        ordered(outputMint=JUP)


def test_instructions_are_read_exactly() -> None:
    build = built()

    assert (build.in_raw, build.out_raw, build.min_out_raw) == (25_000_000, 138_888_888, 138_194_443)
    assert build.price_impact_pct == Decimal("-0.0125")
    assert build.compute_unit_price_micro_lamports == 250_000
    assert (build.swap.program, build.swap.data) == (JUPITER, b"swap")
    assert [(use.address, use.is_signer, use.is_writable) for use in build.swap.accounts] == [(TAKER, True, True)]
    assert (len(build.setup), build.cleanup, build.other, build.tip) == (1, None, (), None)
    assert dict(build.lookup_tables) == {POOL: (SOL, USDC)}
    assert build.blockhash == "1" * 31 + "2"
    assert (build.last_valid_block_height, build.gateway_request_id) == (321_000_150, GATEWAY_ID)


def test_what_is_asked_of_build() -> None:
    request = replace(BUILD, dexes=("Raydium", "Whirlpool"), max_accounts=40, tip_lamports=1_000_000)
    with jupiter(answer(build_json())) as (client, wire):
        client.build(request, lane=Lane.ENTRY)

    assert wire.requests[0].url.path == "/swap/v2/build"
    assert wire.queries == [
        {
            "inputMint": USDC,
            "outputMint": SOL,
            "amount": "25000000",
            "taker": TAKER,
            "slippageBps": "50",
            "dexes": "Raydium,Whirlpool",
            "maxAccounts": "40",
            "tipAmount": "1000000",
        }
    ]


def test_a_build_may_have_neither_tables_nor_budget_and_have_everything_else() -> None:
    build = built(
        addressesByLookupTableAddress=None,
        computeBudgetInstructions=[],
        cleanupInstruction=instruction_json(data=b"close"),
        tipInstruction=instruction_json(data=b"tip"),
        otherInstructions=[instruction_json(data=b"other")],
    )

    assert (dict(build.lookup_tables), build.compute_unit_price_micro_lamports) == ({}, 0)
    assert build.cleanup is not None
    assert build.tip is not None
    assert [item.data for item in (build.cleanup, build.tip, *build.other)] == [b"close", b"tip", b"other"]


@pytest.mark.parametrize(
    "instruction",
    [instruction_json(COMPUTE_BUDGET, b"\x03\x01"), instruction_json(COMPUTE_BUDGET, b""), instruction_json()],
)
def test_a_budget_instruction_that_is_none_is_refused(instruction: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="compute budget"):
        built(computeBudgetInstructions=[instruction])


@pytest.mark.parametrize("blockhash", [[1] * 31, [256] * 32, "11111111111111111111111111111111", None])
def test_a_blockhash_that_is_not_32_bytes_is_refused(blockhash: object) -> None:
    with pytest.raises(ProtocolError, match="blockhash"):
        built(blockhashWithMetadata={"blockhash": blockhash, "lastValidBlockHeight": 1})


def test_an_instruction_may_carry_no_data() -> None:
    assert [item.data for item in built(setupInstructions=[instruction_json(data=b"")]).setup] == [b""]


def test_an_unsigned_transaction_survives_base64_byte_for_byte() -> None:
    everything = bytes(range(256))

    assert ordered(transaction=base64.b64encode(everything).decode()).transaction == everything
