"""What the sandbox's Jupiter accepts as a request, and how it prints numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.sandbox.jupiter.answers import RefusedError, dumps, number
from sniperforge.sandbox.jupiter.build import read_build_query
from sniperforge.sandbox.jupiter.order_query import read_order_query
from sniperforge.sandbox.jupiter.parameters import QueryReader

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
TAKER = "GGztQqQ6pCPaJQnNpXBgELr5cs3WwDakRbh1iEMzjgSJ"
PAYER = "2MFoS3MPtvyQ4Wh4M9pdfPjz6UhVoNbFbGJAskCPCj3h"
GOOD = {"inputMint": SOL, "outputMint": USDC, "amount": "1000000"}


def test_a_price_keeps_more_digits_than_a_double_has() -> None:
    text = dumps({"usdPrice": number(Fraction(180) + Fraction(1, 10**15))})
    assert json.loads(text, parse_float=Decimal)["usdPrice"] == Decimal("180.000000000000001")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_reads_back_as_it_was(value: object) -> None:
    assert json.loads(dumps(value)) == value


def test_a_float_has_no_form() -> None:
    with pytest.raises(TypeError):
        dumps({"price": 1.5})


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "1.5"}, "amount"),
        ({"amount": "-3"}, "amount"),
        ({"amount": "9" * 40}, "amount"),
        ({"amount": ""}, "amount"),
        ({"inputMint": "not-a-mint"}, "inputMint"),
        ({"outputMint": SOL}, "outputMint"),
        ({"taker": "x"}, "taker"),
        ({"slippageBps": "10001"}, "slippageBps"),
        ({"swapMode": "ExactOut"}, "swapMode"),
        ({"taker": TAKER, "receiver": TAKER}, "receiver"),
        ({"payer": PAYER}, "payer"),
        ({"referralAccount": PAYER}, "referralFee"),
        ({"referralAccount": PAYER, "referralFee": "49"}, "referralFee"),
        ({"broadcastFeeType": "min"}, "broadcastFeeType"),
        ({"jitoTipLamports": "999"}, "jitoTipLamports"),
    ],
)
def test_an_order_request_that_makes_no_sense_is_refused_with_the_parameter(
    change: dict[str, str], parameter: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        read_order_query({**GOOD, **change}, "request-1")
    assert refused.value.status == 400
    assert refused.value.body["requestId"] == "request-1"
    assert [issue["path"] for issue in refused.value.body["issues"]] == [[parameter]]
    assert parameter in refused.value.body["error"]


def test_all_problems_of_an_order_request_come_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        read_order_query({"amount": "x", "slippageBps": "y"}, "request-1")
    paths = [issue["path"][0] for issue in refused.value.body["issues"]]
    assert paths == ["inputMint", "outputMint", "amount", "slippageBps"]


def test_fee_wishes_without_a_broadcast_fee_type_are_ignored_and_still_mean_manual_mode() -> None:
    query = read_order_query({**GOOD, "priorityFeeLamports": "777"}, "r")
    assert query.priority_fee_lamports is None
    assert query.is_manual
    with_type = read_order_query({**GOOD, "priorityFeeLamports": "777", "broadcastFeeType": "exactFee"}, "r")
    assert with_type.priority_fee_lamports == 777
    assert not read_order_query(GOOD, "r").is_manual


def test_a_payer_that_is_the_taker_is_nobody_else() -> None:
    assert read_order_query({**GOOD, "taker": TAKER, "payer": TAKER}, "r").payer is None


BUILD = {**GOOD, "taker": TAKER}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"taker": ""}, "taker: Required"),
        ({"tipAmount": "999999"}, "tipAmount"),
        ({"dexes": "Raydium", "excludeDexes": "Whirlpool"}, "mutually exclusive"),
        ({"destinationTokenAccount": PAYER, "nativeDestinationAccount": PAYER}, "mutually exclusive"),
        ({"maxAccounts": "65"}, "maxAccounts"),
        ({"blockhashSlotsToExpiry": "301"}, "blockhashSlotsToExpiry"),
        ({"slippageBps": "auto"}, "slippageBps"),
        ({"platformFeeBps": "10"}, "platformFeeBps"),
        ({"wrapAndUnwrapSol": "maybe"}, "wrapAndUnwrapSol"),
    ],
)
def test_a_build_request_that_makes_no_sense_is_refused(change: dict[str, str], text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_build_query(QueryReader({**BUILD, **change}))
    assert refused.value.status == 400
    assert text in refused.value.body["error"]


def test_build_defaults_are_the_documented_ones() -> None:
    query = read_build_query(QueryReader(BUILD))
    assert (query.slippage_bps, query.max_accounts, query.wrap_sol, query.percentile) == (50, 64, True, 5_000)
    assert read_build_query(QueryReader({**BUILD, "slippageBps": "rtse"})).slippage_bps is None
