"""`/execute`: checked against what was handed out, landed once, and honest or not about it as asked."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from fractions import Fraction

import pytest
from solders.keypair import Keypair

from sniperforge.sandbox.jupiter_settings import JupiterSettings
from tests.fakes.jupiter_sandbox import EXECUTE, JUP, SOL, USDC, JupiterSandbox


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox(settings=JupiterSettings(jupiterz_share=Fraction(0))) as running:
        yield running


def test_success_is_confirmed_on_the_chain_when_it_is_said(sandbox: JupiterSandbox) -> None:
    answer = sandbox.execute(sandbox.order())
    status = sandbox.chain.status(answer["signature"], search_history=False)
    assert status is not None
    assert status.commitment in {"confirmed", "finalized"}
    assert (answer["status"], answer["code"], answer["slot"]) == ("Success", 0, str(status.slot))
    event = answer["swapEvents"][0]
    assert (event["inputAmount"], event["outputAmount"]) == (answer["totalInputAmount"], answer["totalOutputAmount"])


def test_a_missed_minimum_is_the_programs_own_code_with_slot_and_a_fee(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(slippageBps="0")
    assert sandbox.execute(sandbox.order(USDC, SOL, 2_000_000_000))["code"] == 0
    before = sandbox.lamports()
    answer = sandbox.execute(order)
    assert (answer["status"], answer["code"]) == ("Failed", 6001)
    assert int(answer["slot"]) > 0
    assert sandbox.lamports() == before - order["signatureFeeLamports"] - order["prioritizationFeeLamports"]


# ---- what comes back must be what went out
def test_another_message_is_refused_and_the_right_one_still_lands(sandbox: JupiterSandbox) -> None:
    mine, other = sandbox.order(), sandbox.order()
    altered = {**sandbox.body(other), "requestId": mine["requestId"]}
    refused = sandbox.post(EXECUTE, altered)
    assert (refused.status_code, refused.json()["code"]) == (400, -3)
    assert sandbox.execute(mine)["code"] == 0


def test_one_changed_byte_is_another_message(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    raw = bytearray(b64decode(sandbox.body(order)["signedTransaction"]))
    raw[-1] ^= 1
    refused = sandbox.post(EXECUTE, {"signedTransaction": b64encode(raw).decode(), "requestId": order["requestId"]})
    assert refused.status_code == 400
    assert refused.json()["code"] in {-2, -3}
    assert sandbox.landings_of() == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, -4),
        ({"signedTransaction": "AAAA"}, -4),
        ({"requestId": "x"}, -5),
        ({"requestId": "x", "signedTransaction": "not base64!"}, -2),
        ([], -2),
    ],
)
def test_a_body_that_makes_no_sense_is_400_with_its_code(sandbox: JupiterSandbox, body: object, code: int) -> None:
    refused = sandbox.post(EXECUTE, body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert refused.json()["error"]


def test_bytes_that_are_no_transaction_are_refused(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    refused = sandbox.post(EXECUTE, {"signedTransaction": "AAAA", "requestId": order["requestId"]})
    assert (refused.status_code, refused.json()["code"]) == (400, -2)


def test_an_unknown_request_is_minus_1(sandbox: JupiterSandbox) -> None:
    body = {**sandbox.body(sandbox.order()), "requestId": "never-given"}
    assert sandbox.post(EXECUTE, body).json()["code"] == -1


def test_a_missing_signature_is_minus_1003_and_a_wrong_one_minus_2(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    unsigned = {"signedTransaction": order["transaction"], "requestId": order["requestId"]}
    assert sandbox.post(EXECUTE, unsigned).json()["code"] == -1003
    raw = b64decode(order["transaction"])
    forged = raw[:1] + bytes(Keypair().sign_message(raw[65:])) + raw[65:]
    refused = sandbox.post(EXECUTE, {"signedTransaction": b64encode(forged).decode(), "requestId": order["requestId"]})
    assert (refused.status_code, refused.json()["code"]) == (400, -2)
    assert sandbox.execute(order)["code"] == 0


def test_a_height_that_is_no_number_is_minus_1004(sandbox: JupiterSandbox) -> None:
    body = {**sandbox.body(sandbox.order()), "lastValidBlockHeight": "soon"}
    assert sandbox.post(EXECUTE, body).json()["code"] == -1004


# ---- posted again
def test_a_second_post_gets_the_same_answer_and_nothing_runs_twice(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    first = sandbox.execute(order)
    after = sandbox.tokens(USDC)
    sandbox.pass_slots(5)
    again = sandbox.post(EXECUTE, sandbox.body(order)).json()
    assert again == first
    sandbox.pass_slots(3)
    assert (sandbox.tokens(USDC), sandbox.landings_of()) == (after, 1)


def test_two_posts_at_once_wait_for_one_landing(sandbox: JupiterSandbox) -> None:
    body = sandbox.body(sandbox.order())
    first, second = sandbox.post_waiting(EXECUTE, body, body)
    assert first.json() == second.json()
    assert first.json()["code"] == 0
    assert sandbox.landings_of() == 1


def test_after_two_minutes_a_post_is_minus_1_although_the_first_landed(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    sandbox.execute(order)
    sandbox.now += 119
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == 0
    sandbox.now += 2
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == -1
    assert sandbox.landings_of() == 1


def test_the_same_bytes_sent_by_another_way_are_still_one_landing(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    body = sandbox.body(order)
    sandbox.chain.submit(b64decode(body["signedTransaction"]))
    answer = sandbox.execute(order)
    assert answer["code"] == 0
    assert sandbox.landings_of() == 1


# ---- not landing
def test_what_cannot_land_before_its_blockhash_dies_is_minus_1000(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    sandbox.pass_slots(160)
    answer = sandbox.execute(order)
    assert (answer["status"], answer["code"], answer["slot"]) == ("Failed", -1000, "0")
    assert sandbox.landings_of() == 0


def test_a_landing_that_a_fork_takes_back_is_sent_again(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    sandbox.fault("execute_code", code=-1000, lands=True)
    answer = sandbox.post(EXECUTE, sandbox.body(order)).json()
    sandbox.pass_slots(1)
    assert sandbox.chain.fork(2) == [answer["signature"]]
    assert sandbox.record(answer["signature"]) is None
    sandbox.pass_slots(6)
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == 0


# ---- faults
def test_minus_1000_can_land_later_and_a_second_post_tells(sandbox: JupiterSandbox) -> None:
    order = sandbox.order()
    sandbox.fault("execute_code", code=-1000, lands=True, after_slots=4)
    first = sandbox.post(EXECUTE, sandbox.body(order)).json()
    assert (first["code"], first["slot"]) == (-1000, "0")
    sandbox.pass_slots(3)
    assert sandbox.record(first["signature"]) is None
    sandbox.pass_slots(4)
    assert sandbox.record(first["signature"]) is not None
    assert sandbox.execute(order)["code"] == 0
    assert sandbox.landings_of() == 1


@pytest.mark.parametrize("code", [-1000, -1001, -2003])
def test_a_code_can_mean_that_nothing_ever_lands(sandbox: JupiterSandbox, code: int) -> None:
    order = sandbox.order()
    sandbox.fault("execute_code", code=code, lands=False)
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == code
    sandbox.pass_slots(10)
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == code
    assert sandbox.landings_of() == 0


def test_a_maker_can_reject_and_then_never_fills(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(router="jupiterz")
    sandbox.fault("maker_reject")
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == -2004
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == -2004
    sandbox.pass_slots(5)
    assert sandbox.landings_of() == 0


def test_a_makers_quote_is_not_forwarded_in_its_last_twenty_seconds(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(router="jupiterz")
    sandbox.now += 36
    assert sandbox.post(EXECUTE, sandbox.body(order)).json()["code"] == -2003
    assert sandbox.landings_of() == 0


def test_a_makers_order_without_the_takers_signature_is_an_invalid_payload(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(router="jupiterz")
    unsigned = {"signedTransaction": order["transaction"], "requestId": order["requestId"]}
    assert sandbox.post(EXECUTE, unsigned).json()["code"] == -2002


# ---- the hostile leader
@pytest.mark.parametrize(
    ("input_mint", "output_mint", "amount"),
    [(USDC, SOL, 1_000_000_000), (SOL, USDC, 3 * 10**9), (USDC, JUP, 700_000_000), (SOL, JUP, 10**9)],
)
def test_a_sandwiched_swap_fills_at_exactly_its_minimum(
    sandbox: JupiterSandbox, input_mint: object, output_mint: object, amount: int
) -> None:
    order = sandbox.order(input_mint, output_mint, amount, slippageBps="80")  # type: ignore[arg-type]
    reserves = dict(sandbox.market.reserves())
    sandbox.fault("sandwich")
    answer = sandbox.execute(order)
    assert answer["code"] == 0
    assert answer["totalOutputAmount"] == order["otherAmountThreshold"]
    assert int(order["otherAmountThreshold"]) < int(order["outAmount"])
    after = sandbox.market.reserves()
    out_index_gain = [
        (pool, after[pool.address][i] - reserves[pool.address][i])
        for pool in sandbox.world.pools
        for i, mint in enumerate((pool.mint_a, pool.mint_b))
        if mint == output_mint
    ]
    assert -sum(gain for _, gain in out_index_gain) == int(order["otherAmountThreshold"])


def test_an_honest_fill_is_the_quote_and_not_the_minimum(sandbox: JupiterSandbox) -> None:
    order = sandbox.order(slippageBps="80")
    assert sandbox.execute(order)["totalOutputAmount"] == order["outAmount"]
