"""Simulation and preflight: what would happen, and nothing that does."""

from __future__ import annotations

import pytest
from solders.account import Account
from solders.hash import Hash
from solders.message import MessageV1, TransactionConfig
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.chain import CommitmentName, LandedRecord, Refusal, SimulationRecord
from tests.fakes.chain_lab import (
    SOL,
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


def unsigned(raw: bytes) -> bytes:
    transaction = VersionedTransaction.from_bytes(raw)
    blank = [Signature.default()] * len(transaction.signatures)
    return bytes(VersionedTransaction.populate(transaction.message, blank))


def simulate(lab: ChainLab, raw: bytes) -> SimulationRecord:
    return lab.chain.simulate(raw, sig_verify=False, replace_blockhash=False)


def test_an_unsigned_transaction_is_simulated_with_the_outcome_it_would_have() -> None:
    lab = ChainLab()
    mint, purse, other = (keypair(name).pubkey() for name in ("mint", "purse", "other"))
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_PROGRAM))
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.alice.pubkey(), 1_000), TOKEN_PROGRAM))
    lab.chain.set_account(other, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    raw = lab.signed(token_transfer(TOKEN_PROGRAM, purse, mint, other, lab.alice, 400, 6), memo("hi"))
    told = simulate(lab, unsigned(raw))
    assert (told.err, told.fee) == (None, 5_000)
    assert [token.raw for token in told.pre_tokens] == [1_000, 0]
    assert [token.raw for token in told.post_tokens] == [600, 400]
    assert lab.raw_tokens(purse) == 1_000
    landed = lab.land(raw)
    assert told.account_keys == landed.account_keys
    assert told.pre_lamports == landed.pre_lamports
    assert told.post_lamports == landed.post_lamports
    assert told.pre_tokens == landed.pre_tokens
    assert told.post_tokens == landed.post_tokens
    assert told.logs == landed.logs
    assert told.compute_units == landed.compute_units


def test_a_simulation_leaves_no_trace() -> None:
    lab = ChainLab()
    written: list[str] = []
    lab.chain.on_account(written.append)
    lab.chain.on_landed(lambda record: written.append(record.signature))
    raw = lab.payment()
    for _ in range(2):
        assert simulate(lab, raw).err is None
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL
    assert written == []
    lab.tick()
    lab.land(raw)


def test_a_simulation_of_version_1_includes_its_priority_fee_and_gives_it_back() -> None:
    lab = ChainLab()
    config = TransactionConfig(priority_fee=7_777)

    def raw(lamports: int) -> bytes:
        payment = pay(lab.alice, lab.bob.pubkey(), lamports)
        message = MessageV1.try_compile(lab.alice.pubkey(), [payment], lab.blockhash, config)
        return bytes(VersionedTransaction.populate(message, [Signature.default()]))

    told = simulate(lab, raw(SOL))
    assert (told.err, told.fee, told.post_lamports[0]) == (None, 12_777, 99 * SOL - 12_777)
    failing = simulate(lab, raw(1_000 * SOL))
    assert failing.err == {"InstructionError": [0, {"Custom": 1}]}
    assert (failing.fee, failing.post_lamports[0]) == (12_777, 100 * SOL - 12_777)
    assert lab.lamports(lab.alice.pubkey()) == 100 * SOL
    lab.chain.set_account(lab.alice.pubkey(), wallet(6_000))
    poor = simulate(lab, raw(1))
    assert (poor.err, poor.fee, poor.post_lamports[0]) == ("InsufficientFundsForFee", 0, 6_000)


def test_a_failing_simulation_shows_its_error_logs_and_what_the_fee_would_leave() -> None:
    lab = ChainLab()
    told = simulate(lab, lab.payment(1_000 * SOL))
    assert told.err == {"InstructionError": [0, {"Custom": 1}]}
    assert any("insufficient lamports" in line for line in told.logs)
    assert told.post_lamports[:2] == (100 * SOL - 5_000, 100 * SOL)
    assert told.post_accounts == {}


def test_post_accounts_show_every_account_afterwards_a_closed_one_as_empty() -> None:
    lab = ChainLab()
    mint, purse = keypair("mint").pubkey(), keypair("purse").pubkey()
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    close = close_token_account(TOKEN_PROGRAM, purse, lab.alice.pubkey(), lab.bob)
    told = simulate(lab, lab.signed(close, signers=[lab.alice, lab.bob]))
    assert told.err is None
    assert told.post_accounts[str(lab.alice.pubkey())].lamports == 101 * SOL - 10_000
    assert told.post_accounts[str(purse)].lamports == 0
    assert told.post_lamports[told.account_keys.index(str(purse))] == 0


def test_signatures_are_checked_only_when_asked() -> None:
    lab = ChainLab()
    raw = unsigned(lab.payment())
    assert lab.chain.simulate(raw, sig_verify=True, replace_blockhash=False).err == "SignatureFailure"
    assert lab.chain.simulate(raw, sig_verify=False, replace_blockhash=False).err is None
    assert lab.refused(raw) == "SignatureFailure"


def test_an_unknown_blockhash_is_refused_unless_it_is_replaced() -> None:
    lab = ChainLab()
    raw = lab.payment(blockhash=Hash.new_unique())
    assert simulate(lab, raw).err == "BlockhashNotFound"
    assert lab.chain.simulate(raw, sig_verify=False, replace_blockhash=True).err is None


def test_what_has_landed_is_not_simulated_again() -> None:
    lab = ChainLab()
    raw = lab.payment()
    lab.land(raw)
    assert simulate(lab, raw).err == "AlreadyProcessed"
    assert lab.chain.simulate(raw, sig_verify=False, replace_blockhash=True).err is None


def test_a_simulation_at_an_older_slot_knows_only_the_blockhashes_of_then() -> None:
    lab = ChainLab()
    lab.tick(40)
    raw = lab.payment()
    confirmed = lab.chain.slot_at("confirmed")
    older = lab.chain.simulate(raw, sig_verify=True, replace_blockhash=False, at_slot=confirmed)
    assert older.err == "BlockhashNotFound"
    assert lab.chain.simulate(raw, sig_verify=True, replace_blockhash=False).err is None


# ---- preflight
def test_preflight_forwards_what_would_succeed() -> None:
    lab = ChainLab()
    assert lab.chain.preflight(lab.payment(), "processed") is None


def test_preflight_tells_why_it_does_not_forward() -> None:
    lab = ChainLab()
    lab.tick(40)
    assert lab.chain.preflight(unsigned(lab.payment()), "processed") == Refusal("SignatureFailure")
    unknown = lab.chain.preflight(lab.payment(blockhash=Hash.new_unique()), "processed")
    assert unknown == Refusal("BlockhashNotFound")
    failing = lab.chain.preflight(lab.payment(1_000 * SOL), "processed")
    assert failing is not None
    assert failing.err == {"InstructionError": [0, {"Custom": 1}]}
    assert failing.compute_units == 150
    assert any("insufficient lamports" in line for line in failing.logs)


@pytest.mark.parametrize(("commitment", "slots"), [("processed", 0), ("confirmed", 1), ("finalized", 31)])
def test_a_blockhash_is_known_to_a_preflight_once_its_block_has_that_commitment(
    commitment: CommitmentName, slots: int
) -> None:
    lab = ChainLab()
    lab.tick(40)
    raw = lab.payment()
    if slots:
        lab.tick(slots - 1)
        assert lab.chain.preflight(raw, commitment) == Refusal("BlockhashNotFound")
        lab.tick()
    assert lab.chain.preflight(raw, commitment) is None


def test_a_preflight_of_a_lagging_node_does_not_know_the_newest_blockhash() -> None:
    lab = ChainLab()
    lab.tick(40)
    behind = lab.chain.head_slot() - 3
    assert lab.chain.preflight(lab.payment(), "processed", at_slot=behind) == Refusal("BlockhashNotFound")


def test_a_preflight_refuses_what_its_bank_has_seen_landing_and_forwards_what_it_has_not() -> None:
    lab = ChainLab()
    lab.tick(40)
    raw = lab.payment()
    lab.tick(2)
    lab.land(raw)
    assert lab.chain.preflight(raw, "processed") == Refusal("AlreadyProcessed")
    assert lab.chain.preflight(raw, "confirmed") is None
    lab.tick(2)
    assert lab.chain.preflight(raw, "confirmed") == Refusal("AlreadyProcessed")


def test_a_preflight_changes_nothing() -> None:
    lab = ChainLab()
    raw = lab.payment()
    lab.chain.preflight(raw, "processed")
    assert isinstance(lab.chain.submit(raw), LandedRecord)
