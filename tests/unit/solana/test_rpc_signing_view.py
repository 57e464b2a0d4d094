"""Everything a signature stands on in one request: checked whole, and never in the wrong order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from sniperforge.domain.money import Address
from sniperforge.errors import NodeBehindError, ProtocolError, RpcRejectedError
from sniperforge.ports.chain import SigningView
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.rpc_server import Reply, RpcServer, error, in_context, raw, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

WALLET, BEACON = (Address(str(Pubkey.from_bytes(bytes([byte]) * 32))) for byte in (5, 6))
BLOCKHASH = str(Hash.from_bytes(bytes([3]) * 32))


def replies(**changes: Reply) -> dict[str, Reply]:
    return {
        "isBlockhashValid": in_context(True, slot=100),
        "getEpochInfo": epoch(slot=100),
        "getMultipleAccounts": in_context([None], slot=100),
        "getSignaturesForAddress": result([]),
        "getTokenAccountsByOwner": in_context([], slot=100),
        **changes,
    }


def epoch(*, slot: int) -> Reply:
    return result({"absoluteSlot": slot, "blockHeight": 40, "epoch": 1, "slotIndex": 1, "slotsInEpoch": 432_000})


def view(chain: SolanaChain) -> SigningView:
    return chain.signing_view(blockhash=BLOCKHASH, wallet=WALLET, lookup_tables=[], accounts=[WALLET], beacon=BEACON)


def test_everything_is_asked_in_one_request(serve: Serve, connect: Connect) -> None:
    server = serve(replies())
    found = view(connect(server))
    assert (found.blockhash_valid, found.block_height, found.slot, found.control) == (True, 40, 100, None)
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) == 6


def test_a_height_from_before_the_blockhash_was_judged_is_refused(serve: Serve, connect: Connect) -> None:
    with pytest.raises(NodeBehindError, match="slot 99"):
        view(connect(serve(replies(getEpochInfo=epoch(slot=99)))))


def test_one_question_refused_refuses_all(serve: Serve, connect: Connect) -> None:
    with pytest.raises(RpcRejectedError, match="no such address"):
        view(connect(serve(replies(getSignaturesForAddress=error(-32602, "no such address")))))


def test_a_missing_answer_is_no_answer(serve: Serve, connect: Connect) -> None:
    with pytest.raises(ProtocolError):
        view(connect(serve(replies(getEpochInfo=raw("null")))))


def test_an_answer_to_another_question_is_no_answer(serve: Serve, connect: Connect) -> None:
    other: dict[str, Any] = replies(getEpochInfo=raw('{"jsonrpc":"2.0","id":999999,"result":{"absoluteSlot":100}}'))
    with pytest.raises(ProtocolError):
        view(connect(serve(other)))
