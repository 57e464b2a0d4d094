"""Transactions: which land, what they cost, and what their records tell."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, MessageV1, TransactionConfig, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import (
    CreateLookupTableParams,
    ExtendLookupTableParams,
    create_lookup_table,
    extend_lookup_table,
)
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.base58 import b58encode
from sniperforge.sandbox.chain import LandedRecord, Refusal, TokenBalanceRecord
from tests.fakes.chain_lab import (
    MEMO_PROGRAM,
    SOL,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ChainLab,
    close_token_account,
    keypair,
    memo,
    mint_bytes,
    pay,
    token_bytes,
    token_transfer,
    wallet,
)

ASSOCIATED_TOKEN_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
NATIVE_MINT = Pubkey.from_string("So11111111111111111111111111111111111111112")
SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")


def test_a_payment_moves_lamports_and_its_record_says_so() -> None:
    lab = ChainLab()
    raw = lab.payment(SOL)
    record = lab.land(raw)
    assert record.signature == str(VersionedTransaction.from_bytes(raw).signatures[0])
    assert (record.slot, record.version, record.err, record.fee) == (lab.chain.head_slot(), 0, None, 5_000)
    assert record.account_keys == (str(lab.alice.pubkey()), str(lab.bob.pubkey()), str(SYSTEM_PROGRAM))
    assert record.pre_lamports[:2] == (100 * SOL, 100 * SOL)
    assert record.post_lamports[:2] == (99 * SOL - 5_000, 101 * SOL)
    assert record.compute_units == 150
    assert record.logs[0] == f"Program {SYSTEM_PROGRAM} invoke [1]"
    assert record.raw == raw
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL


def test_a_failed_transaction_lands_and_pays_its_fee_only() -> None:
    lab = ChainLab()
    record = lab.land(lab.payment(1_000 * SOL))
    assert record.err == {"InstructionError": [0, {"Custom": 1}]}
    assert record.pre_lamports[0] - record.post_lamports[0] == record.fee == 5_000
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL - 5_000
    assert any("insufficient lamports" in line for line in record.logs)
    status = lab.chain.status(record.signature, search_history=False)
    assert status is not None
    assert status.err == record.err


def test_a_wrong_signature_is_refused() -> None:
    lab = ChainLab()
    good = VersionedTransaction.from_bytes(lab.payment())
    for signature in (Signature.default(), lab.alice.sign_message(b"something else")):
        forged = VersionedTransaction.populate(good.message, [signature])
        assert lab.refused(bytes(forged)) == "SignatureFailure"
    assert lab.lamports(lab.bob.pubkey()) == 100 * SOL


def test_every_required_signature_must_verify_not_only_the_first() -> None:
    lab = ChainLab()
    raw = lab.signed(pay(lab.bob, lab.alice.pubkey(), SOL), signers=[lab.alice, lab.bob])
    good = VersionedTransaction.from_bytes(raw)
    forged = VersionedTransaction.populate(good.message, [good.signatures[0], good.signatures[0]])
    assert lab.refused(bytes(forged)) == "SignatureFailure"
    lab.land(raw)


def test_the_same_bytes_land_once() -> None:
    lab = ChainLab()
    raw = lab.payment()
    lab.land(raw)
    assert lab.refused(raw) == "AlreadyProcessed"
    lab.tick(149)
    assert lab.refused(raw) == "AlreadyProcessed"
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL


def test_a_landed_transaction_whose_blockhash_died_is_refused_for_that() -> None:
    lab = ChainLab()
    raw = lab.payment()
    lab.land(raw)
    lab.tick(151)
    assert lab.refused(raw) == "BlockhashNotFound"


def test_a_transaction_that_failed_does_not_land_again_either() -> None:
    lab = ChainLab()
    raw = lab.payment(1_000 * SOL)
    lab.land(raw)
    assert lab.refused(raw) == "AlreadyProcessed"


def test_whoever_cannot_pay_is_refused_and_pays_nothing() -> None:
    lab = ChainLab()
    nobody, poor = keypair("nobody"), keypair("poor")
    lab.chain.set_account(poor.pubkey(), wallet(4_999))
    assert lab.refused(lab.signed(memo("hi"), signers=[nobody])) == "AccountNotFound"
    assert lab.refused(lab.signed(memo("hi"), signers=[poor])) == "InsufficientFundsForFee"
    assert lab.lamports(poor.pubkey()) == 4_999


def test_a_refused_transaction_may_land_later() -> None:
    lab = ChainLab()
    poor = keypair("poor")
    raw = lab.signed(memo("hi"), signers=[poor])
    assert lab.refused(raw) == "AccountNotFound"
    lab.chain.set_account(poor.pubkey(), wallet(SOL))
    lab.land(raw)


def test_a_new_account_must_be_rent_exempt() -> None:
    lab = ChainLab()
    stranger = keypair("stranger").pubkey()
    record = lab.land(lab.signed(pay(lab.alice, stranger, 650_239)))
    assert record.err == {"InsufficientFundsForRent": {"account_index": 1}}
    assert lab.land(lab.signed(pay(lab.alice, stranger, 650_240))).err is None


def test_an_unknown_program_is_refused() -> None:
    lab = ChainLab()
    raw = lab.signed(Instruction(keypair("no program").pubkey(), b"", []))
    assert lab.refused(raw) in ("ProgramAccountNotFound", "InvalidProgramForExecution")
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL


@pytest.mark.parametrize("raw", [b"", b"abc", b"\x80", b"\x81" + bytes(40), b"\xff" * 200])
def test_bytes_that_are_no_transaction_raise(raw: bytes) -> None:
    lab = ChainLab()
    with pytest.raises(ValueError, match=r"."):
        lab.chain.submit(raw)
    with pytest.raises(ValueError, match=r"."):
        lab.chain.simulate(raw, sig_verify=False, replace_blockhash=True)


def test_a_transaction_with_too_few_signatures_raises() -> None:
    lab = ChainLab()
    message = VersionedTransaction.from_bytes(lab.payment()).message
    with pytest.raises(ValueError, match="invalid transaction"):
        lab.chain.submit(bytes(VersionedTransaction.populate(message, [])))


def test_a_transaction_longer_than_a_packet_raises() -> None:
    lab = ChainLab()
    with pytest.raises(ValueError, match=r"too large: 1372 bytes \(max: 1232 bytes\)"):
        lab.chain.submit(lab.signed(Instruction(MEMO_PROGRAM, b"x" * 1_200, [])))


# ---- fees
@given(
    price=st.integers(0, 2_000_000) | st.none(),
    limit=st.integers(1_000, 1_600_000) | st.none(),
    memos=st.integers(0, 3),
    two_signers=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_fee_is_what_the_payer_loses(price: int | None, limit: int | None, memos: int, two_signers: bool) -> None:  # noqa: FBT001
    lab = LAB
    instructions = [pay(lab.alice, lab.bob.pubkey(), 1)]
    instructions += [memo(str(number)) for number in range(memos)]
    if price is not None:
        instructions.append(set_compute_unit_price(price))
    if limit is not None:
        instructions.append(set_compute_unit_limit(limit))
    if two_signers:
        instructions.append(pay(lab.bob, lab.alice.pubkey(), 1))
    raw = lab.signed(*instructions, signers=[lab.alice, lab.bob] if two_signers else [lab.alice])
    message = VersionedTransaction.from_bytes(raw).message
    result = lab.chain.submit(raw)
    if result == Refusal("AlreadyProcessed"):
        return
    assert isinstance(result, LandedRecord)
    moved = 0 if result.err is not None or two_signers else 1
    assert result.pre_lamports[0] - result.post_lamports[0] - moved == result.fee
    assert result.fee == lab.chain.fee_of(to_bytes_versioned(message))


LAB = ChainLab()


def test_the_priority_fee_is_rounded_up_and_on_top_of_the_signatures() -> None:
    lab = ChainLab()
    record = lab.land(
        lab.signed(set_compute_unit_limit(10_000), set_compute_unit_price(250_001), pay(lab.alice, lab.bob.pubkey(), 1))
    )
    assert record.fee == 2_501 + 5_000


def test_another_price_of_a_signature_is_charged_too() -> None:
    lab = ChainLab(lamports_per_signature=7_000)
    record = lab.land(lab.payment(SOL))
    assert record.fee == 7_000
    assert record.post_lamports[0] == 99 * SOL - 7_000


def test_fee_of_refuses_what_is_no_message() -> None:
    with pytest.raises(ValueError, match=r"."):
        ChainLab().chain.fee_of(b"nonsense")


# ---- versions
def test_a_legacy_transaction_lands() -> None:
    lab = ChainLab()
    message = Message.new_with_blockhash([pay(lab.alice, lab.bob.pubkey(), SOL)], lab.alice.pubkey(), lab.blockhash)
    record = lab.land(bytes(VersionedTransaction(message, [lab.alice])))
    assert record.version == "legacy"
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL


def version_1(lab: ChainLab, lamports: int, priority_fee: int | None) -> bytes:
    config = TransactionConfig(priority_fee=priority_fee, compute_unit_limit=10_000)
    instructions = [pay(lab.alice, lab.bob.pubkey(), lamports)]
    message = MessageV1.try_compile(lab.alice.pubkey(), instructions, lab.blockhash, config)
    return bytes(VersionedTransaction(message, [lab.alice]))


def test_a_version_1_transaction_pays_its_stated_priority_fee() -> None:
    lab = ChainLab()
    raw = version_1(lab, SOL, 7_777)
    record = lab.land(raw)
    assert (record.version, record.err, record.fee) == (1, None, 12_777)
    assert record.post_lamports[0] == 99 * SOL - 12_777 == lab.lamports(lab.alice.pubkey())
    assert lab.chain.fee_of(to_bytes_versioned(VersionedTransaction.from_bytes(raw).message)) == 12_777
    assert lab.refused(raw) == "AlreadyProcessed"


def test_a_version_1_transaction_that_fails_pays_its_priority_fee_too() -> None:
    lab = ChainLab()
    record = lab.land(version_1(lab, 1_000 * SOL, 7_777))
    assert record.err == {"InstructionError": [0, {"Custom": 1}]}
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL - 12_777 == record.post_lamports[0]


def test_a_version_1_transaction_cannot_spend_its_priority_fee() -> None:
    lab = ChainLab()
    record = lab.land(version_1(lab, 100 * SOL - 5_000, 700_000))
    assert record.err == {"InstructionError": [0, {"Custom": 1}]}


def test_a_version_1_payer_too_poor_for_the_priority_fee_is_refused() -> None:
    lab = ChainLab()
    lab.chain.set_account(lab.alice.pubkey(), wallet(1_000_000))
    assert lab.refused(version_1(lab, 1, 995_001)) == "InsufficientFundsForFee"
    assert lab.refused(version_1(lab, 1, 994_000)) == {"InsufficientFundsForRent": {"account_index": 0}}
    assert lab.lamports(lab.alice.pubkey()) == 1_000_000
    lab.chain.set_account(lab.alice.pubkey(), wallet(0))
    assert lab.refused(version_1(lab, 1, 1)) == "AccountNotFound"


def test_a_refused_version_1_transaction_gives_the_priority_fee_back() -> None:
    lab = ChainLab()
    config = TransactionConfig(priority_fee=7_777)
    instruction = Instruction(keypair("no program").pubkey(), b"", [])
    message = MessageV1.try_compile(lab.alice.pubkey(), [instruction], lab.blockhash, config)
    lab.refused(bytes(VersionedTransaction(message, [lab.alice])))
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL


# ---- lookup tables
def create_table(lab: ChainLab, *addresses: Pubkey) -> AddressLookupTableAccount:
    create, table = create_lookup_table(
        CreateLookupTableParams(
            authority_address=lab.alice.pubkey(),
            payer_address=lab.alice.pubkey(),
            recent_slot=lab.chain.slot_at("confirmed"),
        )
    )
    extend = extend_lookup_table(
        ExtendLookupTableParams(
            lookup_table_address=table,
            authority_address=lab.alice.pubkey(),
            payer_address=lab.alice.pubkey(),
            new_addresses=list(addresses),
        )
    )
    assert lab.land(lab.signed(create, extend)).err is None
    return AddressLookupTableAccount(table, list(addresses))


def test_a_lookup_table_serves_from_the_slot_after_its_extension() -> None:
    lab = ChainLab()
    lab.tick(3)
    reader = keypair("reader").pubkey()
    table = create_table(lab, reader, lab.bob.pubkey())
    too_soon = lab.chain.submit(lab.signed(pay(lab.alice, lab.bob.pubkey(), SOL), tables=[table]))
    assert isinstance(too_soon, Refusal)
    lab.tick()
    payment = pay(lab.alice, lab.bob.pubkey(), SOL)
    also_named = AccountMeta(reader, is_signer=False, is_writable=False)
    reading = Instruction(SYSTEM_PROGRAM, payment.data, [*payment.accounts, also_named])
    record = lab.land(lab.signed(reading, tables=[table]))
    assert record.err is None
    assert record.loaded_writable == (str(lab.bob.pubkey()),)
    assert record.loaded_readonly == (str(reader),)
    assert record.account_keys[-2:] == (str(lab.bob.pubkey()), str(reader))
    assert record.post_lamports[-2:] == (101 * SOL, 0)
    found = lab.chain.signatures_for(str(reader), commitment="processed", before=None, until=None, limit=9)
    assert [one.signature for one in found] == [record.signature]


def test_a_missing_lookup_table_is_refused() -> None:
    lab = ChainLab()
    table = AddressLookupTableAccount(keypair("no table").pubkey(), [lab.bob.pubkey()])
    refused = lab.refused(lab.signed(pay(lab.alice, lab.bob.pubkey(), SOL), tables=[table]))
    assert refused == "AddressLookupTableNotFound"


# ---- what records tell
def test_memos_are_shown_as_the_rpc_shows_them() -> None:
    lab = ChainLab()
    assert lab.land(lab.signed(memo("hello"), memo("hi"))).memo == "[5] hello; [2] hi"
    assert lab.land(lab.payment()).memo is None


def associated(lab: ChainLab, program: Pubkey, mint: Pubkey) -> tuple[Pubkey, Instruction]:
    """Create `bob`'s account, `alice` pays."""
    owner = lab.bob.pubkey()
    seeds = [bytes(owner), bytes(program), bytes(mint)]
    address, _ = Pubkey.find_program_address(seeds, ASSOCIATED_TOKEN_PROGRAM)
    readonly = [owner, mint, SYSTEM_PROGRAM, program]
    metas = [
        AccountMeta(lab.alice.pubkey(), is_signer=True, is_writable=True),
        AccountMeta(address, is_signer=False, is_writable=True),
        *(AccountMeta(key, is_signer=False, is_writable=False) for key in readonly),
    ]
    return address, Instruction(ASSOCIATED_TOKEN_PROGRAM, b"\x01", metas)


@pytest.mark.parametrize("program", [TOKEN_PROGRAM, TOKEN_2022_PROGRAM])
def test_token_balances_are_told_for_accounts_of_both_programs_on_the_side_where_they_exist(program: Pubkey) -> None:
    lab = ChainLab()
    mint, purse = keypair("mint").pubkey(), keypair("purse").pubkey()
    rent = lab.chain.minimum_rent(170)
    lab.chain.set_account(mint, Account(rent, mint_bytes(6), program))
    lab.chain.set_account(purse, Account(rent, token_bytes(mint, lab.alice.pubkey(), 1_000), program))
    target, create = associated(lab, program, mint)
    opened = lab.land(lab.signed(create, token_transfer(program, purse, mint, target, lab.alice, 400, 6)))
    assert opened.err is None
    before = [(opened.account_keys[token.account_index], token.raw) for token in opened.pre_tokens]
    after = {opened.account_keys[token.account_index]: token for token in opened.post_tokens}
    assert before == [(str(purse), 1_000)]
    assert after[str(purse)].raw == 600
    index = opened.account_keys.index(str(target))
    assert after[str(target)] == TokenBalanceRecord(index, str(mint), str(lab.bob.pubkey()), str(program), 400, 6)
    assert lab.chain.token_accounts_of(str(lab.bob.pubkey())) == [(str(target), lab.chain.account(target))]

    emptied = lab.land(
        lab.signed(
            token_transfer(program, target, mint, purse, lab.bob, 400, 6),
            close_token_account(program, target, lab.bob.pubkey(), lab.bob),
            signers=[lab.alice, lab.bob],
        )
    )
    assert emptied.err is None
    assert [(token.raw) for token in emptied.pre_tokens if token.owner == str(lab.bob.pubkey())] == [400]
    assert [token.raw for token in emptied.post_tokens] == [1_000]
    assert lab.chain.token_accounts_of(str(lab.bob.pubkey())) == []


def test_inner_instructions_are_told_in_the_rpcs_form() -> None:
    lab = ChainLab()
    mint = keypair("mint").pubkey()
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_PROGRAM))
    target, create = associated(lab, TOKEN_PROGRAM, mint)
    record = lab.land(lab.signed(memo("first"), create))
    (group,) = record.inner_instructions
    assert group["index"] == 1
    inner = group["instructions"]
    keys = record.account_keys
    assert {keys[one["programIdIndex"]] for one in inner} == {str(TOKEN_PROGRAM), str(SYSTEM_PROGRAM)}
    assert all(one["stackHeight"] == 2 for one in inner)
    creation = next(one for one in inner if keys[one["programIdIndex"]] == str(SYSTEM_PROGRAM))
    assert [keys[index] for index in creation["accounts"]] == [str(lab.alice.pubkey()), str(target)]
    created = struct.pack("<IQQ", 0, lab.chain.minimum_rent(165), 165) + bytes(TOKEN_PROGRAM)
    assert creation["data"] == b58encode(created)


def test_return_data_is_told_with_its_program() -> None:
    lab = ChainLab()
    mint = keypair("mint").pubkey()
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_2022_PROGRAM))
    ask_size = Instruction(TOKEN_2022_PROGRAM, b"\x15", [AccountMeta(mint, is_signer=False, is_writable=False)])
    record = lab.land(lab.signed(ask_size))
    assert record.return_data == {"programId": str(TOKEN_2022_PROGRAM), "data": ["pQAAAAAAAAA=", "base64"]}
    assert lab.land(lab.payment()).return_data is None


def test_wrapped_sol_has_nine_decimals_without_a_mint_account() -> None:
    lab = ChainLab()
    purse = keypair("purse").pubkey()
    lab.chain.set_account(purse, Account(SOL, token_bytes(NATIVE_MINT, lab.alice.pubkey(), 5), TOKEN_PROGRAM))
    record = lab.land(lab.signed(pay(lab.alice, purse, 7)))
    assert [(token.decimals, token.raw) for token in record.post_tokens] == [(9, 5)]


def test_a_token_account_of_an_unknown_mint_is_left_out() -> None:
    lab = ChainLab()
    purse = keypair("purse").pubkey()
    mint = keypair("no mint").pubkey()
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.alice.pubkey(), 5), TOKEN_PROGRAM))
    assert lab.land(lab.signed(pay(lab.alice, purse, 7))).post_tokens == ()


# ---- history
def test_a_landed_transaction_is_found_by_signature_and_by_every_account_it_names() -> None:
    lab = ChainLab()
    lab.tick()
    record = lab.land(lab.payment())
    lab.tick(3)
    assert lab.chain.transaction(record.signature, "confirmed") == record
    for key in record.account_keys:
        found = lab.chain.signatures_for(key, commitment="confirmed", before=None, until=None, limit=9)
        assert [one.signature for one in found] == [record.signature]
        assert (found[0].slot, found[0].err, found[0].unix_time) == (record.slot, None, record.unix_time)
    nobody = str(keypair("nobody").pubkey())
    assert lab.chain.signatures_for(nobody, commitment="confirmed", before=None, until=None, limit=9) == []


def test_history_pages_from_newest_to_oldest() -> None:
    lab = ChainLab()
    signatures = []
    for number in range(6):
        signatures.append(lab.land(lab.payment(1_000 + number)).signature)
        if number % 2:
            lab.tick()
    lab.tick(3)

    def page(before: str | None = None, until: str | None = None, limit: int = 100) -> list[str]:
        found = lab.chain.signatures_for(
            str(lab.bob.pubkey()), commitment="confirmed", before=before, until=until, limit=limit
        )
        return [one.signature for one in found]

    newest_first = signatures[::-1]
    assert page() == newest_first
    assert page(limit=2) == newest_first[:2]
    assert page(before=newest_first[1], limit=3) == newest_first[2:5]
    assert page(until=newest_first[4]) == newest_first[:4]
    assert page(before=newest_first[0], until=newest_first[3]) == newest_first[1:3]
    stranger = str(Signature.default())
    assert page(before=stranger) == []
    assert page(until=stranger) == newest_first


def test_programs_know_their_accounts() -> None:
    lab = ChainLab()
    program, address = keypair("program").pubkey(), keypair("state").pubkey()
    lab.chain.set_account(address, Account(SOL, b"state", program))
    assert lab.chain.program_accounts(str(program)) == [(str(address), lab.chain.account(address))]
    lab.chain.set_account(address, Account(SOL, b"state", SYSTEM_PROGRAM))
    assert lab.chain.program_accounts(str(program)) == []


def test_a_message_version_0_without_tables_is_parsed_as_version_0() -> None:
    lab = ChainLab()
    message = VersionedTransaction.from_bytes(lab.payment()).message
    assert isinstance(message, MessageV0)
    assert lab.land(lab.payment()).version == 0
