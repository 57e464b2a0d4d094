"""tx.jup.ag and Jito: they forward, for a tip, and promise nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.jupiter.tips import JITO_TIP_ACCOUNTS, JUPITER_TIP_ACCOUNTS
from tests.fakes.jupiter_sandbox import JupiterSandbox

TX, JITO = "/tx", "/api/v1/transactions"


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox(rate_limits_enabled=True) as running:
        yield running


def tipping(sandbox: JupiterSandbox, target: Pubkey, lamports: int) -> VersionedTransaction:
    taker = sandbox.taker
    tip = transfer(TransferParams(from_pubkey=taker.pubkey(), to_pubkey=target, lamports=lamports))
    blockhash = Hash.from_string(sandbox.chain.latest_blockhash("confirmed")[0])
    return VersionedTransaction(MessageV0.try_compile(taker.pubkey(), [tip], [], blockhash), [taker])


def call(transaction: VersionedTransaction | str, **config: Any) -> dict[str, Any]:
    text = transaction if isinstance(transaction, str) else b64encode(bytes(transaction)).decode()
    return {"jsonrpc": "2.0", "id": 7, "method": "sendTransaction", "params": [text, config]}


def test_a_tipped_transaction_is_forwarded_and_lands(sandbox: JupiterSandbox) -> None:
    transaction = tipping(sandbox, JUPITER_TIP_ACCOUNTS[3], 1_000_000)
    answer = sandbox.post(TX, call(transaction, encoding="base64", skipPreflight=True, maxRetries=0)).json()
    assert answer == {"jsonrpc": "2.0", "id": 7, "result": str(transaction.signatures[0])}
    record = sandbox.record(answer["result"])
    assert record is not None
    assert record.err is None


@pytest.mark.parametrize(
    ("target", "lamports", "config", "code"),
    [
        (JUPITER_TIP_ACCOUNTS[0], 999_999, {}, -1013),
        (JITO_TIP_ACCOUNTS[0], 1_000_000, {}, -1014),
        (JUPITER_TIP_ACCOUNTS[0], 1_000_000, {"skipPreflight": False}, -1015),
        (JUPITER_TIP_ACCOUNTS[0], 1_000_000, {"maxRetries": 3}, -1015),
        (JUPITER_TIP_ACCOUNTS[0], 1_000_000, {"encoding": "base58"}, -1016),
    ],
)
def test_what_jupiter_does_not_forward_has_its_code(
    sandbox: JupiterSandbox, target: Pubkey, lamports: int, config: dict[str, Any], code: int
) -> None:
    transaction = tipping(sandbox, target, lamports)
    assert sandbox.post(TX, call(transaction, **config)).json()["error"]["code"] == code
    assert sandbox.record(str(transaction.signatures[0])) is None


def test_an_unsigned_transaction_is_not_forwarded(sandbox: JupiterSandbox) -> None:
    message = tipping(sandbox, JUPITER_TIP_ACCOUNTS[0], 1_000_000).message
    unsigned = VersionedTransaction.populate(message, [Signature.default()])
    assert sandbox.post(TX, call(unsigned)).json()["error"]["code"] == -32003


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "getSlot", "params": []}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": []}, -32602),
        (call("AAAA"), -32602),
        (call("not base64!"), -32602),
    ],
)
def test_calls_that_make_no_sense_are_json_rpc_errors(sandbox: JupiterSandbox, body: object, code: int) -> None:
    assert sandbox.post(TX, body).json()["error"]["code"] == code


def test_jito_answers_once_a_second_with_a_bundle_id(sandbox: JupiterSandbox) -> None:
    transaction = tipping(sandbox, JITO_TIP_ACCOUNTS[0], 1_000)
    first = sandbox.post(JITO, call(transaction))
    assert first.json()["result"] == str(transaction.signatures[0])
    assert len(first.headers["x-bundle-id"]) == 64
    assert sandbox.post(JITO, call(transaction)).status_code == 429
    sandbox.now += 1
    assert sandbox.post(JITO, call(transaction)).status_code == 200
    assert sandbox.record(str(transaction.signatures[0])) is not None


def test_a_bundle_that_would_fail_does_not_land_and_costs_nothing(sandbox: JupiterSandbox) -> None:
    before = sandbox.lamports()
    failing = tipping(sandbox, JITO_TIP_ACCOUNTS[0], before * 2)
    assert sandbox.post(JITO, call(failing), bundleOnly="true").status_code == 200
    assert sandbox.lamports() == before
    sandbox.now += 1
    assert sandbox.post(JITO, call(failing)).status_code == 200
    assert sandbox.lamports() == before - 5_000


def test_a_bundle_needs_a_tip(sandbox: JupiterSandbox) -> None:
    poor = tipping(sandbox, JITO_TIP_ACCOUNTS[0], 999)
    assert sandbox.post(JITO, call(poor), bundleOnly="true").json()["error"]["code"] == -32602
