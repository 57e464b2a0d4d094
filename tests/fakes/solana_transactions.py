"""Small signed transactions for tests that send some."""

from __future__ import annotations

from functools import cache

import httpx
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from tests.fakes.sandbox_process import RunningSandbox

RENT_FREE_LAMPORTS = 1_000_000
"""Enough for a new account to exist."""


@cache
def _http() -> httpx.Client:
    """One client for all calls: making one costs more than the call."""
    return httpx.Client(timeout=10.0)


def rpc(url: str, method: str, *params: object) -> dict[str, object]:
    """One raw JSON-RPC call; the whole answer."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    answer: dict[str, object] = _http().post(url, json=body).json()
    return answer


def result_of(url: str, method: str, *params: object) -> object:
    """The result of one call that must succeed."""
    answer = rpc(url, method, *params)
    assert "error" not in answer, answer
    return answer["result"]


def latest_blockhash(url: str, commitment: str = "confirmed") -> Hash:
    """A blockhash to sign with."""
    answer = result_of(url, "getLatestBlockhash", {"commitment": commitment})
    assert isinstance(answer, dict)
    return Hash.from_string(answer["value"]["blockhash"])


def funded_keypair(sandbox: RunningSandbox, sol: str = "2") -> Keypair:
    """A new wallet whose SOL is confirmed, so that no short fork takes it back."""
    keypair = Keypair()
    sandbox.fund(keypair.pubkey(), sol=sol)
    return keypair


def signed(payer: Keypair, instructions: list[Instruction], blockhash: Hash) -> VersionedTransaction:
    """A v0 transaction."""
    return VersionedTransaction(MessageV0.try_compile(payer.pubkey(), instructions, [], blockhash), [payer])


def transfer_transaction(
    payer: Keypair, receiver: Pubkey, blockhash: Hash, *, lamports: int = RENT_FREE_LAMPORTS
) -> VersionedTransaction:
    """A transfer of lamports."""
    instruction = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=receiver, lamports=lamports))
    return signed(payer, [instruction], blockhash)
