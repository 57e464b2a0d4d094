"""Jito's block engine: bundles land whole and in order, or not at all, and a receipt proves nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.base58 import b58encode
from sniperforge.sandbox.jupiter.tips import JITO_TIP_ACCOUNTS
from tests.fakes.jupiter_sandbox import JupiterSandbox

SEND, BUNDLES = "/api/v1/transactions", "/api/v1/bundles"
TIP = JITO_TIP_ACCOUNTS[0]
RENT_FREE = 1_000_000


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox() as running:
        yield running


def base64_of(transaction: VersionedTransaction) -> str:
    return b64encode(bytes(transaction)).decode()


def call(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}


def send(sandbox: JupiterSandbox, transaction: VersionedTransaction, **query: str) -> httpx.Response:
    return sandbox.post(SEND, call("sendTransaction", base64_of(transaction), {"encoding": "base64"}), **query)


def ask(sandbox: JupiterSandbox, method: str, *params: Any) -> Any:
    response = sandbox.post(BUNDLES, call(method, *params))
    assert response.status_code == 200
    assert response.json()["id"] == 7
    return response.json()


def send_bundle(sandbox: JupiterSandbox, *transactions: VersionedTransaction) -> str:
    answer = ask(sandbox, "sendBundle", [base64_of(one) for one in transactions], {"encoding": "base64"})
    bundle_id: str = answer["result"]
    return bundle_id


def inflight(sandbox: JupiterSandbox, bundle_id: str) -> tuple[str, int | None]:
    (status,) = ask(sandbox, "getInflightBundleStatuses", [bundle_id])["result"]["value"]
    assert status["bundle_id"] == bundle_id
    return status["status"], status["landed_slot"]


def landed(sandbox: JupiterSandbox, bundle_id: str) -> dict[str, Any] | None:
    status: dict[str, Any] | None = ask(sandbox, "getBundleStatuses", [bundle_id])["result"]["value"][0]
    return status


def signature_of(transaction: VersionedTransaction) -> str:
    return str(transaction.signatures[0])


def test_a_bundle_lands_in_one_slot_and_in_its_order(sandbox: JupiterSandbox) -> None:
    bundle = [sandbox.transfer(Keypair().pubkey(), RENT_FREE + number) for number in range(4)]
    bundle.append(sandbox.transfer(TIP, 1_000))
    bundle_id = send_bundle(sandbox, *bundle)
    assert (inflight(sandbox, bundle_id), landed(sandbox, bundle_id)) == (("Pending", None), None)
    sandbox.pass_slots(1)
    slot = sandbox.chain.head_slot()
    assert inflight(sandbox, bundle_id) == ("Landed", slot)
    signatures = [signature_of(one) for one in bundle]
    expected = {"bundle_id": bundle_id, "transactions": signatures, "slot": slot, "err": {"Ok": None}}
    assert landed(sandbox, bundle_id) == {**expected, "confirmation_status": "processed"}
    sandbox.pass_slots(1)
    block = sandbox.chain.block(slot)
    assert block is not None
    assert list(block.signatures) == signatures
    sandbox.pass_slots(40)
    assert landed(sandbox, bundle_id) == {**expected, "confirmation_status": "finalized"}


def test_a_bundle_of_which_one_fails_leaves_no_trace_and_costs_nothing(sandbox: JupiterSandbox) -> None:
    receiver, before = Keypair().pubkey(), sandbox.lamports()
    bundle = [
        sandbox.transfer(TIP, 1_000),
        sandbox.transfer(receiver, RENT_FREE),
        sandbox.transfer(receiver, before),  # more than is left
        sandbox.transfer(receiver, RENT_FREE + 1),
    ]
    bundle_id = send_bundle(sandbox, *bundle)
    sandbox.pass_slots(2)
    assert (inflight(sandbox, bundle_id), landed(sandbox, bundle_id)) == (("Failed", None), None)
    assert (sandbox.lamports(), sandbox.lamports(receiver)) == (before, 0)
    assert all(sandbox.record(signature_of(one)) is None for one in bundle)
    single = send(sandbox, bundle[1]).json()["result"]  # what was taken back can still land
    assert sandbox.record(single) is not None


def test_a_later_transaction_of_a_bundle_spends_what_an_earlier_one_brought(sandbox: JupiterSandbox) -> None:
    poor = Keypair()
    gift = sandbox.transfer(poor.pubkey(), 10 * RENT_FREE)
    sandbox.taker, donor = poor, sandbox.taker
    spending = sandbox.transfer(TIP, 5 * RENT_FREE)
    sandbox.taker = donor
    bundle_id = send_bundle(sandbox, gift, spending)
    sandbox.pass_slots(1)
    assert inflight(sandbox, bundle_id)[0] == "Landed"
    assert sandbox.lamports(poor.pubkey()) == 5 * RENT_FREE - 5_000


def test_a_bundle_that_a_fork_takes_back_has_not_landed(sandbox: JupiterSandbox) -> None:
    bundle_id = send_bundle(sandbox, sandbox.transfer(TIP, 1_000))
    sandbox.pass_slots(2)
    assert inflight(sandbox, bundle_id)[0] == "Landed"
    sandbox.chain.fork(3)
    assert (inflight(sandbox, bundle_id), landed(sandbox, bundle_id)) == (("Failed", None), None)


def test_a_transaction_that_landed_by_itself_makes_its_bundle_fail(sandbox: JupiterSandbox) -> None:
    first, second = sandbox.transfer(TIP, 1_000), sandbox.transfer(TIP, 2_000)
    sandbox.chain.submit(bytes(first))
    bundle_id = send_bundle(sandbox, second, first)
    sandbox.pass_slots(1)
    assert inflight(sandbox, bundle_id)[0] == "Failed"
    assert sandbox.record(signature_of(second)) is None


def test_a_bundle_sent_twice_lands_once(sandbox: JupiterSandbox) -> None:
    transaction, before = sandbox.transfer(TIP, 1_000), sandbox.lamports()
    first = send_bundle(sandbox, transaction)
    assert send_bundle(sandbox, transaction) == first
    sandbox.pass_slots(1)
    assert send_bundle(sandbox, transaction) == first
    sandbox.pass_slots(1)
    assert inflight(sandbox, first)[0] == "Landed"
    assert sandbox.lamports() == before - 6_000


def test_the_engine_knows_a_bundle_for_five_minutes(sandbox: JupiterSandbox) -> None:
    bundle_id = send_bundle(sandbox, sandbox.transfer(TIP, 1_000))
    sandbox.pass_slots(1)
    sandbox.now += 299
    assert inflight(sandbox, bundle_id)[0] == "Landed"
    sandbox.now += 1
    assert (inflight(sandbox, bundle_id), landed(sandbox, bundle_id)) == (("Invalid", None), None)


def test_one_transaction_is_forwarded_at_once_and_its_bundle_id_can_be_asked_after(sandbox: JupiterSandbox) -> None:
    transaction = sandbox.transfer(TIP, 1_000)
    answer = send(sandbox, transaction)
    assert answer.json()["result"] == signature_of(transaction)
    assert sandbox.record(signature_of(transaction)) is not None
    assert inflight(sandbox, answer.headers["x-bundle-id"]) == ("Landed", sandbox.chain.head_slot())


def test_a_transaction_that_would_fail_does_not_land_as_a_bundle_and_costs_nothing(sandbox: JupiterSandbox) -> None:
    before = sandbox.lamports()
    failing = sandbox.transfer(TIP, before * 2)
    bundle_id = send(sandbox, failing, bundleOnly="true").headers["x-bundle-id"]
    sandbox.pass_slots(2)
    assert inflight(sandbox, bundle_id)[0] == "Failed"
    assert sandbox.lamports() == before
    assert inflight(sandbox, send(sandbox, failing).headers["x-bundle-id"])[0] == "Failed"
    assert sandbox.lamports() == before - 5_000


def test_the_tip_accounts_are_told(sandbox: JupiterSandbox) -> None:
    assert ask(sandbox, "getTipAccounts")["result"] == list(map(str, JITO_TIP_ACCOUNTS))


def test_transactions_are_base58_unless_said_otherwise(sandbox: JupiterSandbox) -> None:
    transaction = sandbox.transfer(TIP, 1_000)
    assert ask(sandbox, "sendBundle", [base64_of(transaction)])["error"]["code"] == -32602
    bundle_id = ask(sandbox, "sendBundle", [b58encode(bytes(transaction))])["result"]
    sandbox.pass_slots(1)
    assert inflight(sandbox, bundle_id)[0] == "Landed"


def test_one_call_a_second_whatever_it_asks() -> None:
    with JupiterSandbox(rate_limits_enabled=True) as sandbox:
        transaction = sandbox.transfer(TIP, 1_000)
        assert send(sandbox, transaction).status_code == 200
        limited = sandbox.post(BUNDLES, call("getTipAccounts"))
        assert (limited.status_code, limited.json()["error"]["code"]) == (429, -32097)
        assert send(sandbox, transaction).status_code == 429
        sandbox.now += 1
        assert sandbox.post(BUNDLES, call("getTipAccounts")).status_code == 200


@pytest.mark.parametrize(
    ("method", "params", "problem"),
    [
        ("getSlot", [], "Method not found"),
        ("sendTransaction", [["AAAA"]], "Method not found"),
        ("sendBundle", [], "a list of transactions"),
        ("sendBundle", [[]], "a list of transactions"),
        ("sendBundle", [["1111"] * 6], "at most 5 transactions, got 6"),
        ("sendBundle", [["1111"]], "not a transaction in base58"),
        ("sendBundle", [["AAAA"], {"encoding": "base64"}], "not a transaction in base64"),
        ("sendBundle", [["AAAA"], {"encoding": "hex"}], "encoding must be"),
        ("sendBundle", [["AAAA"], "base64"], "config must be an object"),
        ("getBundleStatuses", ["id"], "a list of bundle ids"),
        ("getInflightBundleStatuses", [["id"] * 6], "at most 5 bundle ids"),
    ],
)
def test_calls_that_make_no_sense_are_json_rpc_errors(
    sandbox: JupiterSandbox, method: str, params: list[Any], problem: str
) -> None:
    error = ask(sandbox, method, *params)["error"]
    assert error["code"] == (-32601 if problem == "Method not found" else -32602)
    assert problem in error["message"]


@pytest.mark.parametrize(("target", "lamports"), [(TIP, 999), (Pubkey.default(), 10_000)])
def test_a_bundle_needs_a_tip(sandbox: JupiterSandbox, target: Pubkey, lamports: int) -> None:
    poor = sandbox.transfer(target, lamports)
    refused = ask(sandbox, "sendBundle", [base64_of(poor)], {"encoding": "base64"})
    assert refused["error"] == {"code": -32602, "message": "Bundles must tip at least 1000 lamports"}
    assert send(sandbox, poor, bundleOnly="true").json()["error"]["code"] == -32602
    assert "error" not in send(sandbox, poor).json()


def test_a_bundle_holds_no_transaction_twice(sandbox: JupiterSandbox) -> None:
    twice = [base64_of(sandbox.transfer(TIP, 1_000))] * 2
    assert "duplicate" in ask(sandbox, "sendBundle", twice, {"encoding": "base64"})["error"]["message"]
