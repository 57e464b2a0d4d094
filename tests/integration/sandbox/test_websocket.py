"""Subscriptions, as solana-py's client and a bare WebSocket client see them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.websocket_api import SolanaWsClient
from solders.keypair import Keypair
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from websockets.asyncio.client import connect as plain_connect

from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import (
    RENT_FREE_LAMPORTS,
    funded_keypair,
    latest_blockhash,
    result_of,
    transfer_transaction,
)

pytestmark = pytest.mark.anyio


def a_transfer(sandbox: RunningSandbox) -> VersionedTransaction:
    blockhash = latest_blockhash(sandbox.endpoints.rpc_url)
    return transfer_transaction(funded_keypair(sandbox), Keypair().pubkey(), blockhash)


def send(sandbox: RunningSandbox, transaction: VersionedTransaction) -> Signature:
    encoded = base64.b64encode(bytes(transaction)).decode()
    options = {"encoding": "base64", "skipPreflight": True}
    return Signature.from_string(str(result_of(sandbox.endpoints.rpc_url, "sendTransaction", encoded, options)))


async def wait(client: Any) -> Any:
    return await asyncio.wait_for(client.recv(), 10)


@pytest.mark.parametrize("commitment", [Processed, Confirmed, Finalized])
async def test_a_signature_is_told_when_it_reaches_its_commitment(sandbox: RunningSandbox, commitment: Any) -> None:
    transaction = a_transfer(sandbox)
    async with SolanaWsClient(sandbox.endpoints.ws_url) as client:
        await client.signature_subscribe(signature=transaction.signatures[0], commitment=commitment)
        send(sandbox, transaction)
        told = await wait(client)
        assert told.result.value.err is None
        slot: Any = result_of(sandbox.endpoints.rpc_url, "getSlot", {"commitment": str(commitment)})
        assert told.result.context.slot <= slot


async def test_a_signature_that_has_landed_already_is_told_at_once(sandbox: RunningSandbox) -> None:
    transaction = a_transfer(sandbox)
    sandbox.ask("POST", "/pause", paused=True)
    send(sandbox, transaction)
    async with SolanaWsClient(sandbox.endpoints.ws_url) as client:
        await client.signature_subscribe(signature=transaction.signatures[0], commitment=Processed)
        assert (await wait(client)).result.value.err is None


async def test_confirmed_is_not_told_while_it_is_only_processed(sandbox: RunningSandbox) -> None:
    transaction = a_transfer(sandbox)
    sandbox.ask("POST", "/pause", paused=True)
    async with SolanaWsClient(sandbox.endpoints.ws_url) as client:
        await client.signature_subscribe(signature=transaction.signatures[0], commitment=Confirmed)
        send(sandbox, transaction)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.05)
        sandbox.ask("POST", "/pause", paused=False)
        assert (await wait(client)).result.value.err is None


async def test_a_failure_on_chain_is_told_with_its_error(sandbox: RunningSandbox) -> None:
    blockhash = latest_blockhash(sandbox.endpoints.rpc_url)
    payer = funded_keypair(sandbox)
    transaction = transfer_transaction(payer, Keypair().pubkey(), blockhash, lamports=10**12)
    # A bare client: solders 0.29 cannot read a custom program error in this notification.
    params = [str(transaction.signatures[0]), {"commitment": "confirmed"}]
    async with plain_connect(sandbox.endpoints.ws_url) as socket:
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "signatureSubscribe", "params": params}))
        await socket.recv()
        send(sandbox, transaction)
        told = json.loads(await asyncio.wait_for(socket.recv(), 10))
    assert told["params"]["result"]["value"] == {"err": {"InstructionError": [0, {"Custom": 1}]}}


async def test_slots_are_told_in_order(sandbox: RunningSandbox) -> None:
    async with SolanaWsClient(sandbox.endpoints.ws_url) as client:
        subscription = await client.slot_subscribe()
        told = [(await wait(client)).result for _ in range(4)]
        await client.unsubscribe(subscription)
    slots = [one.slot for one in told]
    assert slots == sorted(set(slots))
    assert all(one.root < one.parent < one.slot for one in told)


async def test_an_account_is_told_when_it_changes(sandbox: RunningSandbox) -> None:
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    transaction = transfer_transaction(payer, receiver, latest_blockhash(sandbox.endpoints.rpc_url))
    async with SolanaWsClient(sandbox.endpoints.ws_url) as client:
        await client.account_subscribe(pubkey=receiver, commitment=Confirmed, encoding="base64")
        send(sandbox, transaction)
        told = (await wait(client)).result
    assert told.value.lamports == RENT_FREE_LAMPORTS


async def test_the_rpc_port_upgrades_too_and_malformed_calls_are_answered(sandbox: RunningSandbox) -> None:
    url = sandbox.endpoints.node_urls["b"].replace("http://", "ws://")
    async with plain_connect(url) as socket:

        async def ask(body: str) -> Any:
            await socket.send(body)
            return json.loads(await asyncio.wait_for(socket.recv(), 10))

        assert (await ask("{"))["error"]["code"] == -32700
        assert (await ask('{"jsonrpc":"2.0","id":1,"method":"voteSubscribe"}'))["error"]["code"] == -32601
        for method in ("signatureSubscribe", "accountSubscribe"):
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": ["x"]}
            assert (await ask(json.dumps(call)))["error"]["code"] == -32602
        unknown = {"jsonrpc": "2.0", "id": 1, "method": "slotUnsubscribe", "params": [99]}
        assert (await ask(json.dumps(unknown)))["error"]["code"] == -32602


async def test_after_unsubscribing_nothing_more_is_told(sandbox: RunningSandbox) -> None:
    async with plain_connect(sandbox.endpoints.ws_url) as socket:
        await socket.send('{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}')
        number = json.loads(await socket.recv())["result"]
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "slotUnsubscribe", "params": [number]}))
        while "id" not in (message := json.loads(await socket.recv())):
            assert message["method"] == "slotNotification"
        assert message["result"] is True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
