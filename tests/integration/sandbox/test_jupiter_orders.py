"""`/order`: what a quote says is what the chain does, and every documented oddity of its answers."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.jupiter_settings import JupiterSettings
from sniperforge.sandbox.tokens import credit, credit_lamports
from tests.fakes.jupiter_sandbox import BONK, FEE2, JUP, ORDER, SOL, USDC, USDT, JupiterSandbox

NEVER_MAKER = JupiterSettings(jupiterz_share=Fraction(0))
ALWAYS_MAKER = JupiterSettings(jupiterz_share=Fraction(1))


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox(settings=NEVER_MAKER) as running:
        yield running


def decoded(order: dict[str, Any]) -> VersionedTransaction:
    return VersionedTransaction.from_bytes(b64decode(order["transaction"]))


def programs(transaction: VersionedTransaction) -> list[str]:
    keys = transaction.message.account_keys
    return [str(keys[instruction.program_id_index]) for instruction in transaction.message.instructions]


def test_amounts_are_strings_and_the_height_is_one_too(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    for name in ("inAmount", "outAmount", "otherAmountThreshold", "lastValidBlockHeight"):
        assert order[name].isdigit()
    assert order["inAmount"] == "25000000"
    assert order["swapMode"] == "ExactIn"
    assert (order["router"], order["swapType"], order["transactionVersion"]) == ("metis", "aggregator", 0)
    assert order["feeBps"] == 0
    assert order["platformFee"]["amount"] == "0"


def test_the_last_valid_height_is_the_blockhashs_own(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    blockhash, height = sandbox.chain.latest_blockhash("confirmed")
    assert str(decoded(order).message.recent_blockhash) == blockhash
    assert order["lastValidBlockHeight"] == str(height)


def test_dollar_values_and_impact_are_numbers_of_the_documented_units(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    assert abs(order["inUsdValue"] - 25) < Decimal("0.1")
    assert abs(order["outUsdValue"] - 25) < Decimal("0.1")
    assert Decimal(-1) < order["priceImpact"] < 0
    assert Decimal(order["priceImpactPct"]) * 100 == pytest.approx(order["priceImpact"])


def test_the_route_plan_adds_up(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(USDC, SOL, 4_000_000_000)
    last_hops = [s for s in order["routePlan"] if s["swapInfo"]["outputMint"] == str(SOL)]
    assert sum(int(step["swapInfo"]["outAmount"]) for step in last_hops) == int(order["outAmount"])
    assert sum(step["bps"] for step in last_hops) == 10_000


def test_the_minimum_is_the_quote_less_the_slippage_rounded_up(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(slippageBps="37")
    out = int(order["outAmount"])
    assert order["slippageBps"] == 37
    assert int(order["otherAmountThreshold"]) == -(-out * (10_000 - 37) // 10_000)
    assert order["mode"] == "manual"


def test_without_slippage_jupiter_picks_one(sandbox: JupiterSandbox) -> None:
    assert 20 <= sandbox.order()["slippageBps"] <= 300


def test_mode_is_ultra_without_optional_parameters(sandbox: JupiterSandbox) -> None:
    query = {"inputMint": str(USDC), "outputMint": str(SOL), "amount": "1000000", "taker": str(sandbox.taker.pubkey())}
    assert sandbox.get(ORDER, query).json()["mode"] == "ultra"


def test_without_a_taker_there_is_a_price_and_no_transaction(sandbox: JupiterSandbox) -> None:
    answer = sandbox.get(ORDER, {"inputMint": str(USDC), "outputMint": str(SOL), "amount": "1000000"}).json()
    assert answer["transaction"] is None
    assert "errorCode" not in answer
    assert int(answer["outAmount"]) > 0


def test_equal_orders_of_one_moment_are_different_transactions(sandbox: JupiterSandbox) -> None:
    orders = [sandbox.order() for _ in range(5)]
    assert len({order["transaction"] for order in orders}) == 5
    assert len({order["requestId"] for order in orders}) == 5


@pytest.mark.parametrize(
    ("input_mint", "output_mint", "amount"),
    [
        (USDC, SOL, 25_000_000),
        (SOL, USDC, 10**9),
        (SOL, JUP, 10**9),
        (USDC, BONK, 50_000_000),
        (USDC, FEE2, 40_000_000),
        (USDC, USDT, 30_000_000),
    ],
)
def test_a_swap_pays_exactly_what_was_quoted(
    sandbox: JupiterSandbox, input_mint: Pubkey, output_mint: Pubkey, amount: int
) -> None:
    order = sandbox.order(input_mint, output_mint, amount)
    before = sandbox.tokens(output_mint), sandbox.lamports()
    answer = sandbox.execute(order)
    assert answer["code"] == 0
    record = sandbox.record(answer["signature"])
    assert record is not None
    if output_mint == SOL:
        received = sandbox.lamports() - before[1] + record.fee
    else:
        received = sandbox.tokens(output_mint) - before[0]
    assert received == int(order["outAmount"]) == int(answer["totalOutputAmount"])
    assert answer["totalInputAmount"] == str(amount)


def test_tokens_that_were_bought_can_be_sold_again_over_a_hop(sandbox: JupiterSandbox) -> None:
    sandbox.execute(sandbox.order(USDC, FEE2, 40_000_000))
    held = sandbox.tokens(FEE2)
    order = sandbox.order(FEE2, SOL, held)
    answer = sandbox.execute(order)
    assert (answer["code"], answer["totalOutputAmount"]) == (0, order["outAmount"])
    assert sandbox.tokens(FEE2) == 0


def test_a_hop_through_wrapped_sol_leaves_no_account_behind(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(BONK, JUP, 10**9, taker=sandbox.world.crowd[0].pubkey(), excludeDexes="Meteora DLMM")
    hops = [step["swapInfo"]["outputMint"] for step in order["routePlan"]]
    assert str(SOL) in hops
    assert sandbox.execute(order, sandbox.world.crowd[0])["code"] == 0


def test_fees_and_rent_said_are_fees_and_rent_paid(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(USDC, JUP, 10_000_000)
    before = sandbox.lamports()
    answer = sandbox.execute(order)
    record = sandbox.record(answer["signature"])
    assert record is not None
    assert record.fee == order["signatureFeeLamports"] + order["prioritizationFeeLamports"]
    assert before - sandbox.lamports() == record.fee + order["rentFeeLamports"]
    assert order["rentFeeLamports"] > 0
    assert order["signatureFeePayer"] == str(sandbox.taker.pubkey())


def test_an_exact_priority_fee_is_met(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(priorityFeeLamports="123456", broadcastFeeType="exactFee")
    assert 0 <= 123_456 - order["prioritizationFeeLamports"] <= 1


def test_lookup_tables_are_used_and_never_more_than_three(sandbox: JupiterSandbox) -> None:
    lookups = decoded(sandbox.order(USDC, SOL, 4_000_000_000)).message.address_table_lookups  # type: ignore[union-attr]
    assert 1 <= len(lookups) <= 3


# ---- no transaction, or no answer
def test_a_taker_without_the_input_gets_code_1_and_an_empty_transaction(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(USDC, SOL, 10**12)
    assert (order["transaction"], order["errorCode"], order["router"]) == ("", 1, "metis")
    assert order["errorMessage"] == order["error"] == "Insufficient funds"
    assert order["lastValidBlockHeight"] == ""


def test_a_taker_whose_sol_covers_the_swap_but_not_the_gas_gets_code_2(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(SOL, USDC, sandbox.lamports())
    assert (order["transaction"], order["errorCode"]) == ("", 2)
    assert "SOL for gas" in order["errorMessage"]


def poor(sandbox: JupiterSandbox, *, usdc: int) -> Keypair:
    wallet = Keypair()
    credit_lamports(sandbox.chain, wallet.pubkey(), 700_000)
    credit(sandbox.chain, wallet.pubkey(), sandbox.world.tokens[USDC], usdc)
    return wallet


def ultra_order(sandbox: JupiterSandbox, taker: Keypair, amount: int) -> dict[str, Any]:
    query = {"inputMint": str(USDC), "outputMint": str(SOL), "amount": str(amount), "taker": str(taker.pubkey())}
    answer: dict[str, Any] = sandbox.get(ORDER, query).json()
    return answer


def test_a_small_trade_of_a_wallet_without_gas_gets_code_3(sandbox: JupiterSandbox) -> None:
    order = ultra_order(sandbox, poor(sandbox, usdc=9_000_000), 9_000_000)
    assert (order["transaction"], order["errorCode"]) == ("", 3)


def test_a_trade_worth_it_of_a_wallet_without_gas_is_sponsored(sandbox: JupiterSandbox) -> None:
    taker = poor(sandbox, usdc=20_000_000)
    order = ultra_order(sandbox, taker, 20_000_000)
    sponsor = sandbox.world.gas_sponsor.pubkey()
    assert order["gasless"]
    assert order["signatureFeePayer"] == str(sponsor)
    assert list(decoded(order).message.account_keys[:2]) == [sponsor, taker.pubkey()]
    answer = sandbox.execute(order, taker)
    assert answer["code"] == 0
    assert sandbox.lamports(taker.pubkey()) == 700_000 + int(order["outAmount"])


def test_no_sponsor_steps_in_for_manual_orders(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(USDC, SOL, 20_000_000, taker=poor(sandbox, usdc=20_000_000).pubkey())
    assert (order["transaction"], order["errorCode"]) == ("", 2)


def test_a_payer_pays_gas_and_rent_and_must_sign(sandbox: JupiterSandbox) -> None:
    payer, taker = sandbox.world.crowd[1], poor(sandbox, usdc=20_000_000)
    order = sandbox.order(USDC, SOL, 20_000_000, taker=taker.pubkey(), payer=str(payer.pubkey()))
    assert order["signatureFeePayer"] == str(payer.pubkey())
    assert sandbox.post("/swap/v2/execute", sandbox.body(order, taker)).json()["code"] == -1003
    assert sandbox.execute(order, taker, payer)["code"] == 0
    assert sandbox.lamports(taker.pubkey()) == 700_000 + int(order["outAmount"])


def test_a_receiver_gets_the_tokens(sandbox: JupiterSandbox) -> None:
    receiver = Keypair().pubkey()
    order = sandbox.order(SOL, USDC, 10**9, receiver=str(receiver))
    assert sandbox.execute(order)["code"] == 0
    assert sandbox.tokens(USDC, receiver) == int(order["outAmount"])


@pytest.mark.parametrize(
    "params",
    [
        {"outputMint": str(Keypair().pubkey())},
        {"excludeRouters": "metis,jupiterz"},
        {"outputMint": str(BONK), "excludeDexes": "Raydium,Meteora DLMM", "excludeRouters": "jupiterz"},
    ],
)
def test_no_quote_is_400_with_the_documented_words(sandbox: JupiterSandbox, params: dict[str, str]) -> None:
    query = {"inputMint": str(USDC), "outputMint": str(SOL), "amount": "1000000", **params}
    response = sandbox.get(ORDER, query)
    assert response.status_code == 400
    assert response.json()["error"] == "Failed to get quotes"
    assert response.json()["requestId"]


def test_unknown_routers_and_dexes_to_exclude_are_ignored(sandbox: JupiterSandbox) -> None:
    assert sandbox.order(excludeRouters="jupiterz,nobody", excludeDexes="raydium")["router"] == "metis"


# ---- the market maker
def test_a_makers_order_has_him_first_a_firm_price_and_an_expiry(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(router="jupiterz")
    maker = sandbox.world.maker_wallet.pubkey()
    message = decoded(order).message
    assert list(message.account_keys[:2]) == [maker, sandbox.taker.pubkey()]
    assert message.header.num_required_signatures == 2
    assert order["otherAmountThreshold"] == order["outAmount"]
    assert order["slippageBps"] == 0
    assert (order["router"], order["swapType"], order["maker"]) == ("jupiterz", "rfq", str(maker))
    assert order["gasless"]
    assert int(order["expireAt"]) - int(sandbox.now) == 55
    assert order["quoteId"]


@pytest.mark.parametrize(("input_mint", "output_mint"), [(USDC, SOL), (SOL, USDC), (USDC, JUP)])
def test_a_makers_order_lands_under_his_signature_at_the_firm_price(
    sandbox: JupiterSandbox, input_mint: Pubkey, output_mint: Pubkey
) -> None:
    order = sandbox.order(input_mint, output_mint, 20_000_000, router="jupiterz")
    lamports, tokens = sandbox.lamports(), sandbox.tokens(output_mint)
    answer = sandbox.execute(order)
    assert answer["code"] == 0
    record = sandbox.record(answer["signature"])
    assert record is not None
    assert record.account_keys[0] == order["maker"]
    if output_mint == SOL:
        assert sandbox.lamports() - lamports == int(order["outAmount"])
    else:
        assert sandbox.tokens(output_mint) - tokens == int(order["outAmount"])
    assert answer["totalOutputAmount"] == order["outAmount"]


def test_the_maker_never_wins_when_excluded_or_when_another_pays() -> None:
    with JupiterSandbox(settings=ALWAYS_MAKER) as sandbox:
        query = {"inputMint": str(USDC), "outputMint": str(SOL), "amount": "9000000"}
        taker, payer = str(sandbox.taker.pubkey()), str(sandbox.world.crowd[0].pubkey())
        assert sandbox.get(ORDER, query).json()["router"] == "jupiterz"
        assert sandbox.get(ORDER, {**query, "excludeRouters": "jupiterz"}).json()["router"] == "metis"
        assert sandbox.get(ORDER, {**query, "taker": taker, "payer": payer}).json()["router"] == "metis"
        assert sandbox.get(ORDER, {**query, "taker": taker, "payer": taker}).json()["router"] == "jupiterz"


def test_the_maker_has_codes_of_his_own(sandbox: JupiterSandbox) -> None:
    assert sandbox.order(USDC, SOL, 10**12, router="jupiterz")["errorCode"] == 1
    order = sandbox.order(USDC, JUP, 9_000_000, taker=poor(sandbox, usdc=9_000_000).pubkey(), router="jupiterz")
    assert (order["errorCode"], order["router"], order["transaction"]) == (2, "jupiterz", "")


def test_a_metis_order_may_need_a_maker_at_index_1() -> None:
    with JupiterSandbox(settings=JupiterSettings(maker_leg_share=Fraction(1))) as sandbox:
        order = sandbox.order()
        keys = decoded(order).message.account_keys
        assert list(keys[:2]) == [sandbox.taker.pubkey(), sandbox.world.maker_wallet.pubkey()]
        assert (order["router"], decoded(order).message.header.num_required_signatures) == ("metis", 2)
        assert sandbox.execute(order)["code"] == 0


# ---- orders to refuse
NONCE_TAG = (4).to_bytes(4, "little")


def test_an_order_can_begin_with_advance_nonce_of_an_account_somebody_made_for_the_taker(
    sandbox: JupiterSandbox,
) -> None:
    sandbox.fault("bad_order", ORDER, shape="advance_nonce")
    order = sandbox.order()
    message = decoded(order).message
    first = message.instructions[0]
    assert programs(decoded(order))[0] == "11111111111111111111111111111111"
    assert bytes(first.data) == NONCE_TAG
    assert message.account_keys[first.accounts[2]] == sandbox.taker.pubkey()
    sandbox.pass_slots(200)
    assert sandbox.chain.preflight(b64decode(sandbox.body(order)["signedTransaction"]), "processed") is None


def test_an_order_can_need_a_strangers_signature(sandbox: JupiterSandbox) -> None:
    sandbox.fault("bad_order", ORDER, shape="extra_signer")
    order = sandbox.order()
    assert decoded(order).message.header.num_required_signatures == 2
    assert sandbox.post("/swap/v2/execute", sandbox.body(order)).json()["code"] == -1003


def test_an_order_can_lie_about_its_payer(sandbox: JupiterSandbox) -> None:
    sandbox.fault("bad_order", ORDER, shape="other_payer")
    order = sandbox.order()
    assert order["signatureFeePayer"] == str(sandbox.taker.pubkey())
    assert decoded(order).message.account_keys[0] == sandbox.world.gas_sponsor.pubkey()


def test_an_order_can_hold_another_minimum_than_it_says(sandbox: JupiterSandbox) -> None:
    honest = sandbox.order(slippageBps="0")
    sandbox.fault("bad_order", ORDER, shape="wrong_minimum")
    lying = sandbox.order(slippageBps="0")
    assert lying["otherAmountThreshold"] == honest["otherAmountThreshold"]
    sandbox.execute(sandbox.order(USDC, SOL, 2_000_000_000))
    assert sandbox.execute(honest)["code"] == 6001
    assert sandbox.execute(lying)["code"] == 0


def test_an_order_can_hide_or_shrink_its_height(sandbox: JupiterSandbox) -> None:
    sandbox.fault("bad_order", ORDER, shape="empty_height")
    assert sandbox.order()["lastValidBlockHeight"] == ""
    sandbox.fault("bad_order", ORDER, shape="low_height")
    low = int(sandbox.order()["lastValidBlockHeight"])
    assert low < sandbox.chain.latest_blockhash("confirmed")[1] - 100


def test_an_order_can_drain_the_taker(sandbox: JupiterSandbox) -> None:
    sandbox.fault("bad_order", ORDER, shape="drain")
    before = sandbox.lamports()
    assert sandbox.execute(sandbox.order())["code"] == 0
    assert sandbox.lamports() < before * 6 // 10
