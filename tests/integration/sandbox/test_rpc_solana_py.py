"""The sandbox's RPC as solana-py, an ordinary client, sees it: every method the sandbox serves, and its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import MemcmpOpts, TokenAccountOpts, TxOpts
from solders.account_decoder import ParsedAccount
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_status import TransactionConfirmationStatus, UiTransaction

from sniperforge.sandbox.tokens import SOL, USDC
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import (
    RENT_FREE_LAMPORTS,
    funded_keypair,
    latest_blockhash,
    transfer_transaction,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(sandbox: RunningSandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(sandbox.endpoints.rpc_url, commitment=Confirmed, timeout=10) as one:
        yield one


async def landed(client: AsyncClient, sandbox: RunningSandbox) -> tuple[Keypair, Pubkey, Signature]:
    """A transfer that is confirmed."""
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    transaction = transfer_transaction(payer, receiver, latest_blockhash(sandbox.endpoints.rpc_url))
    sent = await client.send_transaction(transaction, opts=TxOpts(preflight_commitment=Processed))
    await client.confirm_transaction(sent.value, Confirmed, sleep_seconds=0.02)
    return payer, receiver, sent.value


async def test_a_transfer_is_sent_confirmed_and_read_back(client: AsyncClient, sandbox: RunningSandbox) -> None:
    payer, receiver, signature = await landed(client, sandbox)
    shown = (await client.get_transaction(signature, "json", Confirmed, 0)).value
    assert shown is not None
    meta = shown.transaction.meta
    assert meta is not None
    assert meta.err is None
    assert meta.fee == 5_000
    assert meta.pre_balances[0] - meta.post_balances[0] == RENT_FREE_LAMPORTS + 5_000
    assert shown.transaction.version == 0
    assert (await client.get_balance(receiver)).value == RENT_FREE_LAMPORTS
    assert (await client.get_balance(payer.pubkey())).value == 2 * 10**9 - RENT_FREE_LAMPORTS - 5_000


@pytest.mark.parametrize("encoding", ["json", "jsonParsed", "base64", "base58"])
async def test_a_transaction_is_shown_in_every_encoding(
    client: AsyncClient, sandbox: RunningSandbox, encoding: str
) -> None:
    payer, _, signature = await landed(client, sandbox)
    shown = (await client.get_transaction(signature, encoding, Confirmed, 0)).value
    assert shown is not None
    inner = shown.transaction.transaction
    if isinstance(inner, VersionedTransaction):
        assert inner.signatures[0] == signature
    else:
        assert isinstance(inner, UiTransaction)
        assert inner.signatures[0] == signature
        assert str(payer.pubkey()) in inner.message.to_json()


async def test_a_transaction_nobody_sent_is_null(client: AsyncClient) -> None:
    unknown = Signature.from_bytes(bytes([7]) * 64)
    assert (await client.get_transaction(unknown, max_supported_transaction_version=0)).value is None
    assert (await client.get_signature_statuses([unknown], search_transaction_history=True)).value == [None]


async def test_a_client_that_cannot_read_versions_gets_minus_32015(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    _, _, signature = await landed(client, sandbox)
    with pytest.raises(RPCException, match="Transaction version"):
        await client.get_transaction(signature, "json", Confirmed)


async def test_a_processed_history_question_is_refused(client: AsyncClient) -> None:
    with pytest.raises(RPCException, match="below `confirmed`"):
        await client.get_transaction(Signature.from_bytes(bytes([7]) * 64), commitment=Processed)


async def test_statuses_rise_to_finalized(client: AsyncClient, sandbox: RunningSandbox) -> None:
    _, _, signature = await landed(client, sandbox)
    await client.confirm_transaction(signature, Finalized, sleep_seconds=0.02)
    status = (await client.get_signature_statuses([signature])).value[0]
    assert status is not None
    assert status.confirmation_status == TransactionConfirmationStatus.Finalized
    assert status.confirmations is None
    assert status.err is None


async def test_history_of_an_address_is_newest_first_and_paged(client: AsyncClient, sandbox: RunningSandbox) -> None:
    payer = funded_keypair(sandbox)
    signatures = []
    for lamports in (RENT_FREE_LAMPORTS, RENT_FREE_LAMPORTS + 1, RENT_FREE_LAMPORTS + 2):
        blockhash = latest_blockhash(sandbox.endpoints.rpc_url)
        transaction = transfer_transaction(payer, Keypair().pubkey(), blockhash, lamports=lamports)
        sent = await client.send_transaction(transaction, opts=TxOpts(preflight_commitment=Processed))
        await client.confirm_transaction(sent.value, Confirmed, sleep_seconds=0.02)
        signatures.append(sent.value)
    newest_first = signatures[::-1]
    everything = (await client.get_signatures_for_address(payer.pubkey())).value
    assert [one.signature for one in everything][:-1] == newest_first  # the oldest is the funding
    older = (await client.get_signatures_for_address(payer.pubkey(), before=newest_first[0], limit=1)).value
    assert [one.signature for one in older] == [newest_first[1]]
    newer = (await client.get_signatures_for_address(payer.pubkey(), until=newest_first[1])).value
    assert [one.signature for one in newer] == [newest_first[0]]


async def test_preflight_refuses_a_transaction_that_would_fail(client: AsyncClient, sandbox: RunningSandbox) -> None:
    payer = funded_keypair(sandbox)
    blockhash = latest_blockhash(sandbox.endpoints.rpc_url)
    transaction = transfer_transaction(payer, Keypair().pubkey(), blockhash, lamports=5 * 10**9)
    with pytest.raises(RPCException) as caught:
        await client.send_transaction(transaction, opts=TxOpts(preflight_commitment=Processed))
    message = caught.value.args[0]
    assert isinstance(message, SendTransactionPreflightFailureMessage)
    assert "custom program error: 0x1" in message.message
    assert message.data.err is not None
    assert (await client.get_balance(payer.pubkey(), Processed)).value == 2 * 10**9


async def test_without_preflight_the_signature_is_answered_and_the_failure_costs_its_fee(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    payer = funded_keypair(sandbox)
    blockhash = latest_blockhash(sandbox.endpoints.rpc_url)
    transaction = transfer_transaction(payer, Keypair().pubkey(), blockhash, lamports=5 * 10**9)
    sent = await client.send_transaction(transaction, opts=TxOpts(skip_preflight=True))
    assert sent.value == transaction.signatures[0]
    assert (await client.get_balance(payer.pubkey(), Processed)).value == 2 * 10**9 - 5_000


async def test_sending_landed_bytes_again_is_refused_and_changes_nothing(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    transaction = transfer_transaction(payer, receiver, latest_blockhash(sandbox.endpoints.rpc_url))
    options = TxOpts(preflight_commitment=Processed)
    await client.send_transaction(transaction, opts=options)
    with pytest.raises(RPCException, match="already been processed"):
        await client.send_transaction(transaction, opts=options)
    await client.send_transaction(transaction, opts=TxOpts(skip_preflight=True))
    assert (await client.get_balance(receiver, Processed)).value == RENT_FREE_LAMPORTS


async def test_a_blockhash_nobody_made_is_not_found(client: AsyncClient, sandbox: RunningSandbox) -> None:
    payer = funded_keypair(sandbox)
    transaction = transfer_transaction(payer, Keypair().pubkey(), Hash.from_bytes(bytes([3]) * 32))
    with pytest.raises(RPCException, match="Blockhash not found"):
        await client.send_transaction(transaction)


async def test_a_wrong_signature_is_refused_by_preflight(client: AsyncClient, sandbox: RunningSandbox) -> None:
    payer = funded_keypair(sandbox)
    good = transfer_transaction(payer, Keypair().pubkey(), latest_blockhash(sandbox.endpoints.rpc_url))
    bad = VersionedTransaction.populate(good.message, [Signature.from_bytes(bytes([9]) * 64)])
    with pytest.raises(RPCException, match="SignatureVerificationFailure"):
        await client.send_transaction(bad)


async def test_simulation_tells_what_would_happen_and_leaves_no_trace(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    transaction = transfer_transaction(payer, receiver, Hash.default())
    unsigned = VersionedTransaction.populate(transaction.message, [Signature.default()])
    answer = await client.simulate_transaction(
        unsigned, replace_recent_blockhash=True, accounts_addresses=[receiver], inner_instructions=True
    )
    assert answer.value.err is None
    assert answer.value.accounts is not None
    account = answer.value.accounts[0]
    assert account is not None
    assert account.lamports == RENT_FREE_LAMPORTS
    assert answer.value.units_consumed
    assert answer.value.replacement_blockhash is not None
    assert (await client.get_account_info(receiver, Processed)).value is None


async def test_a_simulation_that_verifies_signatures_refuses_a_wrong_one(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    payer = funded_keypair(sandbox)
    good = transfer_transaction(payer, Keypair().pubkey(), latest_blockhash(sandbox.endpoints.rpc_url))
    bad = VersionedTransaction.populate(good.message, [Signature.from_bytes(bytes([9]) * 64)])
    with pytest.raises(RPCException, match="SignatureVerificationFailure"):
        await client.simulate_transaction(bad, sig_verify=True)


async def test_heights_slots_and_blockhashes_agree(client: AsyncClient) -> None:
    latest = await client.get_latest_blockhash(Confirmed)
    height = (await client.get_block_height(Confirmed)).value
    slot = (await client.get_slot(Confirmed)).value
    assert latest.context.slot <= slot
    assert height <= slot
    assert latest.value.last_valid_block_height - 150 <= height


async def test_a_fee_is_told_for_a_message_of_a_known_blockhash_only(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    payer = funded_keypair(sandbox)
    known: Any = transfer_transaction(payer, Keypair().pubkey(), latest_blockhash(sandbox.endpoints.rpc_url)).message
    unknown: Any = transfer_transaction(payer, Keypair().pubkey(), Hash.from_bytes(bytes([3]) * 32)).message
    assert (await client.get_fee_for_message(known)).value == 5_000
    assert (await client.get_fee_for_message(unknown)).value is None


async def test_accounts_are_read_singly_and_together(client: AsyncClient, sandbox: RunningSandbox) -> None:
    mint = (await client.get_account_info(USDC)).value
    assert mint is not None
    assert len(mint.data) == 82
    together = (await client.get_multiple_accounts([USDC, Keypair().pubkey()])).value
    assert together == [mint, None]
    parsed = (await client.get_account_info_json_parsed(USDC)).value
    assert parsed is not None
    assert isinstance(parsed.data, ParsedAccount)
    assert '"decimals":6' in parsed.data.to_json().replace(" ", "")


async def test_token_accounts_of_an_owner_are_found_by_mint_and_by_program(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    owner = Keypair().pubkey()
    sandbox.fund(owner, token="USDC", amount="12.5")
    by_mint = (await client.get_token_accounts_by_owner(owner, TokenAccountOpts(mint=USDC), Processed)).value
    program = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
    options = TokenAccountOpts(program_id=program)
    by_program = (await client.get_token_accounts_by_owner_json_parsed(owner, options, Processed)).value
    assert [one.pubkey for one in by_mint] == [one.pubkey for one in by_program]
    assert '"uiAmountString":"12.5"' in by_program[0].account.data.to_json().replace(" ", "")
    other = TokenAccountOpts(mint=SOL)
    assert (await client.get_token_accounts_by_owner(owner, other, Processed)).value == []
    balance = (await client.get_token_account_balance(by_mint[0].pubkey, Processed)).value
    assert (balance.amount, balance.decimals) == ("12500000", 6)


async def test_a_supply_is_told_for_a_mint_and_refused_for_anything_else(client: AsyncClient) -> None:
    assert (await client.get_token_supply(USDC)).value.decimals == 6
    with pytest.raises(RPCException, match="could not find account"):
        await client.get_token_supply(Keypair().pubkey())


async def test_program_accounts_are_filtered_by_size_and_content(client: AsyncClient, sandbox: RunningSandbox) -> None:
    owner = Keypair().pubkey()
    sandbox.fund(owner, token="JUP", amount="3")
    program = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
    found = (
        await client.get_program_accounts(
            program, Processed, encoding="base64", filters=[165, MemcmpOpts(offset=32, bytes=str(owner))]
        )
    ).value
    assert len(found) == 1


async def test_blocks_are_listed_and_shown(client: AsyncClient, sandbox: RunningSandbox) -> None:
    _, _, signature = await landed(client, sandbox)
    status = (await client.get_signature_statuses([signature])).value[0]
    assert status is not None
    block = await client.get_block(status.slot, "json", max_supported_transaction_version=0)
    assert block.value is not None
    assert block.value.block_height is not None
    await client.confirm_transaction(signature, Finalized, sleep_seconds=0.02)
    assert (await client.get_blocks(status.slot, status.slot)).value == [status.slot]
    assert (await client.get_block_time(status.slot)).value == block.value.block_time


async def test_an_airdrop_arrives(client: AsyncClient) -> None:
    receiver = Keypair().pubkey()
    signature = (await client.request_airdrop(receiver, 10**9)).value
    await client.confirm_transaction(signature, Confirmed, sleep_seconds=0.02)
    assert (await client.get_balance(receiver)).value == 10**9


async def test_two_equal_airdrops_both_arrive(client: AsyncClient) -> None:
    receiver = Keypair().pubkey()
    for _ in range(2):
        await client.request_airdrop(receiver, 10**9)
    assert (await client.get_balance(receiver, Processed)).value == 2 * 10**9


async def test_facts_about_node_and_cluster(client: AsyncClient) -> None:
    assert await client.is_connected()
    assert (await client.get_minimum_balance_for_rent_exemption(165)).value == 1_488_440
    assert (await client.get_version()).value.solana_core
    assert (await client.get_genesis_hash()).value == (await client.get_genesis_hash()).value
    assert (await client.get_identity()).value == (await client.get_identity()).value
    epoch = (await client.get_epoch_info()).value
    assert epoch.absolute_slot // epoch.slots_in_epoch == epoch.epoch
    assert (await client.get_epoch_schedule()).value.slots_per_epoch == epoch.slots_in_epoch
    first = (await client.get_first_available_block()).value
    assert first == (await client.get_minimum_ledger_slot()).value
    assert first < epoch.absolute_slot
    assert (await client.get_transaction_count()).value >= 0


async def test_recent_fees_are_told_per_slot(client: AsyncClient, sandbox: RunningSandbox) -> None:
    await landed(client, sandbox)
    fees = (await client.get_recent_prioritization_fees([USDC])).value
    assert 1 <= len(fees) <= 150
    assert {one.prioritization_fee for one in fees} == {0}
