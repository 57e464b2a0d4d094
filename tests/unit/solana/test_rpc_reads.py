"""Every question of the port, asked of a real HTTP server that answers in the RPC's own shapes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import CodecError, ProtocolError, RpcRejectedError
from sniperforge.ports.chain import Commitment, PriorityFeeSample
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.rpc_server import RpcServer, in_context, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

PAYER = Keypair.from_seed(bytes([7]) * 32)
OTHER = Pubkey.from_bytes(bytes([9]) * 32)
BLOCKHASH = Hash.from_bytes(bytes([3]) * 32)
SIGNATURE = Signature(str(PAYER.sign_message(b"anything")))
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
WRITABLE, READONLY = (str(Pubkey.from_bytes(bytes([byte]) * 32)) for byte in (11, 12))


def signed(version: str | int = 0) -> VersionedTransaction:
    instructions = [transfer(TransferParams(from_pubkey=PAYER.pubkey(), to_pubkey=OTHER, lamports=5))]
    message: Message | MessageV0 | MessageV1
    if version == "legacy":
        message = Message.new_with_blockhash(instructions, PAYER.pubkey(), BLOCKHASH)
    elif version == 1:
        message = MessageV1.try_compile(PAYER.pubkey(), instructions, BLOCKHASH)
    else:
        message = MessageV0.try_compile(PAYER.pubkey(), instructions, [], BLOCKHASH)
    return VersionedTransaction(message, [PAYER])


def id_of(transaction: VersionedTransaction) -> Signature:
    return Signature(str(transaction.signatures[0]))


def token_balance(index: int, raw: str, **more: Any) -> dict[str, Any]:
    return {
        "accountIndex": index,
        "mint": MINT,
        "owner": str(OTHER),
        "programId": TOKEN,
        "uiTokenAmount": {"amount": raw, "decimals": 6, "uiAmount": 1e-6, "uiAmountString": "x"},
        **more,
    }


def landed(transaction: VersionedTransaction, **more: Any) -> dict[str, Any]:
    meta = {
        "err": None,
        "status": {"Ok": None},
        "fee": 5000,
        "preBalances": [100, 20, 1, 7, 8],
        "postBalances": [90, 25, 1, 7, 8],
        "preTokenBalances": [],
        "postTokenBalances": [token_balance(3, "18446744073709551615")],
        "loadedAddresses": {"writable": [WRITABLE], "readonly": [READONLY]},
        "logMessages": ["Program log: hello"],
        "computeUnitsConsumed": 150,
        "innerInstructions": [],
    }
    return {
        "slot": 77,
        "blockTime": 1_767_268_800,
        "version": 0,
        "transaction": [base64.b64encode(bytes(transaction)).decode(), "base64"],
        "meta": {**meta, **more},
    }


def test_height_and_slot_are_asked_at_the_commitment_given(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(90), "getSlot": result(100)})
    chain = connect(server)
    assert (chain.block_height(Commitment.FINALIZED), chain.slot(Commitment.CONFIRMED)) == (90, 100)
    assert server.asked("getBlockHeight")[0].params == [{"commitment": "finalized"}]
    assert server.asked("getSlot")[0].params == [{"commitment": "confirmed"}]


def test_a_blockhash_comes_with_its_last_height_and_slot(serve: Serve, connect: Connect) -> None:
    value = {"blockhash": str(BLOCKHASH), "lastValidBlockHeight": 240}
    fresh = connect(serve({"getLatestBlockhash": in_context(value, slot=101)})).latest_blockhash()
    assert (fresh.blockhash, fresh.last_valid_block_height, fresh.slot) == (str(BLOCKHASH), 240, 101)


def test_blockhash_validity_is_told_with_its_slot(serve: Serve, connect: Connect) -> None:
    answer = connect(serve({"isBlockhashValid": in_context(value=False, slot=5)})).is_blockhash_valid(str(BLOCKHASH))
    assert (answer.valid, answer.slot) == (False, 5)


def test_statuses_come_in_the_order_asked_with_errors_as_canonical_json(serve: Serve, connect: Connect) -> None:
    failed = {
        "slot": 9,
        "confirmations": None,
        "err": {"InstructionError": [2, {"Custom": 6001}]},
        "status": {"Err": "whatever"},
        "confirmationStatus": "finalized",
    }
    fine = {"slot": 8, "confirmations": 3, "err": None, "status": {"Ok": None}, "confirmationStatus": "confirmed"}
    server = serve({"getSignatureStatuses": in_context([None, failed, fine], slot=40)})
    others = [Signature(str(PAYER.sign_message(bytes([number])))) for number in range(3)]
    answer = connect(server).signature_statuses(others, search_history=True)
    assert (answer.node, answer.slot) == (f"127.0.0.1:{server.port}", 40)
    unknown, second, third = answer.statuses
    assert unknown is None
    assert second is not None
    assert third is not None
    assert (second.signature, second.err) == (others[1], '{"InstructionError":[2,{"Custom":6001}]}')
    assert (second.commitment, third.commitment) == (Commitment.FINALIZED, Commitment.CONFIRMED)
    assert server.asked("getSignatureStatuses")[0].params == [others, {"searchTransactionHistory": True}]


def test_more_than_256_statuses_are_refused_before_anything_is_asked(serve: Serve, connect: Connect) -> None:
    server = serve({})
    with pytest.raises(RpcRejectedError, match="256"):
        connect(server).signature_statuses([SIGNATURE] * 257, search_history=False)
    assert server.requests == []


def test_an_answer_about_fewer_signatures_than_asked_is_nonsense(serve: Serve, connect: Connect) -> None:
    with pytest.raises(ProtocolError, match="list of 2"):
        connect(serve({"getSignatureStatuses": in_context([None])})).signature_statuses(
            [SIGNATURE, SIGNATURE], search_history=True
        )


def test_a_landed_transaction_has_its_exact_bytes_and_balances_in_key_order(serve: Serve, connect: Connect) -> None:
    transaction = signed()
    server = serve({"getTransaction": result(landed(transaction))})
    found = connect(server).transaction(id_of(transaction), Commitment.CONFIRMED)
    assert found is not None
    assert found.transaction == bytes(transaction)
    assert found.accounts[:2] == (str(PAYER.pubkey()), str(OTHER))
    assert found.accounts[3:] == (WRITABLE, READONLY)
    assert (found.pre_lamports[0], found.post_lamports[0], found.fee_lamports) == (100, 90, 5000)
    (balance,) = found.post_tokens
    assert (balance.account, balance.raw, balance.decimals) == (WRITABLE, 2**64 - 1, 6)
    assert found.block_time == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert (found.slot, found.err, found.version, found.compute_units) == (77, None, 0, 150)
    config = server.asked("getTransaction")[0].params[1]
    assert config == {"encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 1}


@pytest.mark.parametrize("version", ["legacy", 1])
def test_other_transaction_versions_are_read_too(serve: Serve, connect: Connect, version: str | int) -> None:
    transaction = signed(version)
    nothing: dict[str, list[str]] = {"writable": [], "readonly": []}
    body = landed(transaction, loadedAddresses=nothing, preBalances=[1, 2, 3], postBalances=[1, 2, 3])
    body["meta"]["postTokenBalances"] = None
    server = serve({"getTransaction": result({**body, "version": version})})
    found = connect(server).transaction(id_of(transaction), Commitment.FINALIZED)
    assert found is not None
    assert (found.version, found.transaction, len(found.accounts)) == (version, bytes(transaction), 3)


def test_a_transaction_the_node_does_not_have_is_none(serve: Serve, connect: Connect) -> None:
    assert connect(serve({"getTransaction": result(None)})).transaction(SIGNATURE, Commitment.CONFIRMED) is None


def test_another_transaction_than_the_one_asked_for_is_nonsense(serve: Serve, connect: Connect) -> None:
    with pytest.raises(ProtocolError, match="not the transaction"):
        connect(serve({"getTransaction": result(landed(signed()))})).transaction(SIGNATURE, Commitment.CONFIRMED)


@pytest.mark.parametrize(
    "change",
    [
        {"preBalances": [1]},
        {"postTokenBalances": [token_balance(5, "1")]},
        {"postTokenBalances": [token_balance(0, "1.5")]},
        {"postTokenBalances": [token_balance(0, "1", mint="nonsense")]},
        {"fee": 5000.0},
        {"fee": True},
        {"fee": -1},
        {"loadedAddresses": {"writable": None, "readonly": []}},
    ],
)
def test_a_landed_transaction_with_a_wrong_part_is_refused(
    serve: Serve, connect: Connect, change: dict[str, Any]
) -> None:
    transaction = signed()
    chain = connect(serve({"getTransaction": result(landed(transaction, **change))}))
    with pytest.raises(ProtocolError, match=next(iter(change))):
        chain.transaction(id_of(transaction), Commitment.CONFIRMED)


def test_a_wrong_part_is_named_by_the_way_to_it(serve: Serve, connect: Connect) -> None:
    transaction = signed()
    keys = len(transaction.message.account_keys)
    wrong = {"preBalances": [1] * (keys - 1) + ["1"], "loadedAddresses": None}
    chain = connect(serve({"getTransaction": result(landed(transaction, **wrong))}))
    with pytest.raises(ProtocolError, match=rf"result\.meta\.preBalances\[{keys - 1}\] is str, not a whole number"):
        chain.transaction(id_of(transaction), Commitment.CONFIRMED)


def test_a_log_that_is_no_text_is_refused(serve: Serve, connect: Connect) -> None:
    transaction = signed()
    chain = connect(serve({"getTransaction": result(landed(transaction, logMessages=["Program log: x", 7]))}))
    with pytest.raises(ProtocolError, match=r"logMessages\[1\] is 7, not a string"):
        chain.transaction(id_of(transaction), Commitment.CONFIRMED)


def test_history_passes_its_bounds_and_reads_memos_and_errors(serve: Serve, connect: Connect) -> None:
    rows = [
        {"signature": SIGNATURE, "slot": 5, "err": None, "memo": "[4] text", "blockTime": None},
        {"signature": SIGNATURE, "slot": 4, "err": "AccountInUse", "memo": None, "blockTime": 1_767_268_800},
    ]
    server = serve({"getSignaturesForAddress": result(rows)})
    first, second = connect(server).signatures_for_address(
        Address(str(OTHER)), before=SIGNATURE, until=SIGNATURE, limit=2
    )
    assert (first.memo, first.err, first.block_time) == ("[4] text", None, None)
    assert (second.err, second.block_time) == ('"AccountInUse"', datetime(2026, 1, 1, 12, tzinfo=UTC))
    config = server.asked("getSignaturesForAddress")[0].params[1]
    assert config == {"limit": 2, "before": SIGNATURE, "until": SIGNATURE, "commitment": "finalized"}


def test_history_of_more_than_a_thousand_is_refused(serve: Serve, connect: Connect) -> None:
    with pytest.raises(RpcRejectedError, match="1001"):
        connect(serve({})).signatures_for_address(Address(str(OTHER)), limit=1001)


def simulated(**more: Any) -> dict[str, Any]:
    return {
        "err": None,
        "logs": ["Program log: x"],
        "unitsConsumed": 150,
        "fee": 5000,
        "preBalances": [100, 20, 1],
        "postBalances": [90, 25, 1],
        "preTokenBalances": [token_balance(1, "5")],
        "postTokenBalances": [],
        "loadedAddresses": {"writable": [], "readonly": []},
        **more,
    }


@pytest.mark.parametrize("version", ["legacy", 0, 1])
def test_a_simulation_never_carries_our_signature(serve: Serve, connect: Connect, version: str | int) -> None:
    transaction = signed(version)
    server = serve({"simulateTransaction": in_context(simulated(), slot=50)})
    outcome = connect(server).simulate(bytes(transaction), min_context_slot=49)
    assert (outcome.pre_lamports, outcome.post_lamports) == ((100, 20, 1), (90, 25, 1))
    assert (outcome.fee_lamports, outcome.slot, outcome.err) == (5000, 50, None)
    assert outcome.pre_tokens[0].account == str(OTHER)
    (request,) = server.asked("simulateTransaction")
    data, config = request.params
    posted = base64.b64decode(data)
    assert bytes(transaction.signatures[0]) not in posted
    assert VersionedTransaction.from_bytes(posted).message == transaction.message
    assert len(posted) == len(bytes(transaction))
    assert config == {
        "encoding": "base64",
        "sigVerify": False,
        "replaceRecentBlockhash": False,
        "commitment": "confirmed",
        "minContextSlot": 49,
    }


def test_a_simulation_that_could_not_start_has_an_error_and_no_balances(serve: Serve, connect: Connect) -> None:
    value: dict[str, Any] = {"err": "BlockhashNotFound", "logs": [], "unitsConsumed": 0, "accounts": None}
    outcome = connect(serve({"simulateTransaction": in_context(value)})).simulate(bytes(signed()))
    assert (outcome.err, outcome.pre_lamports, outcome.post_tokens) == ('"BlockhashNotFound"', (), ())
    assert len(outcome.accounts) == 3


def test_a_simulation_without_balances_from_an_old_node_is_refused(serve: Serve, connect: Connect) -> None:
    value: dict[str, Any] = {"err": None, "logs": [], "unitsConsumed": 150}
    with pytest.raises(ProtocolError, match="too old"):
        connect(serve({"simulateTransaction": in_context(value)})).simulate(bytes(signed()))


@pytest.mark.parametrize("rubbish", [b"", b"\x00", b"\x01" + bytes(20), b"\x81", b"\x81\x02" + bytes(60)])
def test_bytes_that_are_no_transaction_are_not_simulated(serve: Serve, connect: Connect, rubbish: bytes) -> None:
    server = serve({})
    with pytest.raises(CodecError):
        connect(server).simulate(rubbish)
    assert server.requests == []


def account(owner: str, data: bytes, lamports: int = 1) -> dict[str, Any]:
    return {
        "lamports": lamports,
        "owner": owner,
        "data": [base64.b64encode(data).decode(), "base64"],
        "executable": False,
        "rentEpoch": 2**64 - 1,
        "space": len(data),
    }


def test_accounts_come_in_the_order_asked_from_one_slot(serve: Serve, connect: Connect) -> None:
    server = serve({"getMultipleAccounts": in_context([None, account(TOKEN, b"abc", 5)], slot=60)})
    nothing, something = connect(server).accounts([Address(str(OTHER)), Address(MINT)])
    assert nothing is None
    assert something is not None
    assert (something.address, something.data, something.lamports, something.slot) == (MINT, b"abc", 5, 60)
    assert something.owner == TOKEN


def test_no_addresses_are_no_question(serve: Serve, connect: Connect) -> None:
    server = serve({})
    assert connect(server).accounts([]) == ()
    assert server.requests == []


def test_token_accounts_of_both_programs_are_found(serve: Serve, connect: Connect) -> None:
    def parsed(program: str, **more: Any) -> dict[str, Any]:
        info = {
            "mint": MINT,
            "owner": str(OTHER),
            "isNative": False,
            "state": "initialized",
            "tokenAmount": {"amount": "12", "decimals": 6, "uiAmount": 0.0, "uiAmountString": "0.000012"},
            **more,
        }
        data = {"parsed": {"info": info, "type": "account"}, "program": "spl-token", "space": 165}
        return {"pubkey": WRITABLE, "account": {**account(program, b"", 1_488_440), "data": data}}

    first = in_context([parsed(TOKEN)])
    second = in_context([parsed(TOKEN_2022, state="frozen", delegate=READONLY, delegatedAmount={})])
    programs = {TOKEN: first, TOKEN_2022: second}
    server = serve({"getTokenAccountsByOwner": lambda request: programs[request.params[1]["programId"]](request)})
    plain, frozen = connect(server).token_accounts(Address(str(OTHER)))
    assert (plain.program, plain.raw, plain.decimals, plain.frozen, plain.delegate) == (TOKEN, 12, 6, False, None)
    assert (frozen.program, frozen.frozen, frozen.delegate, frozen.lamports) == (TOKEN_2022, True, READONLY, 1_488_440)
    assert plain.mint == Mint(MINT)
    assert {request.params[0] for request in server.requests} == {str(OTHER)}


def test_rent_fee_priority_fees_and_genesis_are_read(serve: Serve, connect: Connect) -> None:
    genesis = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
    server = serve(
        {
            "getMinimumBalanceForRentExemption": result(1_488_440),
            "getFeeForMessage": in_context(5000),
            "getRecentPrioritizationFees": result([{"slot": 3, "prioritizationFee": 1000}]),
            "getGenesisHash": result(genesis),
        }
    )
    chain = connect(server)
    assert chain.minimum_rent(165) == 1_488_440
    assert chain.fee_for_message(b"message") == 5000
    assert chain.recent_priority_fees([Address(MINT)]) == (PriorityFeeSample(3, 1000),)
    assert chain.genesis_hash() == genesis
    assert server.asked("getMinimumBalanceForRentExemption")[0].params == [165]
    assert server.asked("getFeeForMessage")[0].params[0] == base64.b64encode(b"message").decode()
    assert server.asked("getRecentPrioritizationFees")[0].params == [[MINT]]


def test_the_fee_of_a_message_with_an_unknown_blockhash_is_none(serve: Serve, connect: Connect) -> None:
    assert connect(serve({"getFeeForMessage": in_context(None)})).fee_for_message(b"message") is None


@pytest.mark.parametrize("value", ["7", 7.0, True, -1, None, [7], {"value": 7}])
def test_a_height_that_is_no_whole_number_is_nonsense(serve: Serve, connect: Connect, value: Any) -> None:
    with pytest.raises(ProtocolError, match="whole number"):
        connect(serve({"getBlockHeight": result(value)})).block_height(Commitment.FINALIZED)
