"""tx.jup.ag: it forwards, for a tip, and promises nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.jupiter.tips import JITO_TIP_ACCOUNTS, JUPITER_TIP_ACCOUNTS
from tests.fakes.jupiter_sandbox import JupiterSandbox

TX = "/tx"


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox(rate_limits_enabled=True) as running:
        yield running


def call(transaction: VersionedTransaction | str, **config: Any) -> dict[str, Any]:
    text = transaction if isinstance(transaction, str) else b64encode(bytes(transaction)).decode()
    return {"jsonrpc": "2.0", "id": 7, "method": "sendTransaction", "params": [text, config]}


def test_a_tipped_transaction_is_forwarded_and_lands(sandbox: JupiterSandbox) -> None:
    transaction = sandbox.transfer(JUPITER_TIP_ACCOUNTS[3], 1_000_000)
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
    transaction = sandbox.transfer(target, lamports)
    assert sandbox.post(TX, call(transaction, **config)).json()["error"]["code"] == code
    assert sandbox.record(str(transaction.signatures[0])) is None


def test_an_unsigned_transaction_is_not_forwarded(sandbox: JupiterSandbox) -> None:
    message = sandbox.transfer(JUPITER_TIP_ACCOUNTS[0], 1_000_000).message
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
