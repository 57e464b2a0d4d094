"""Durable nonces, as a cluster treats them."""

from __future__ import annotations

import hashlib

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.system_program import (
    AdvanceNonceAccountParams,
    advance_nonce_account,
    create_nonce_account,
)

from tests.fakes.chain_lab import SOL, ChainLab, keypair, memo, pay

NONCE = keypair("nonce")


def durable(blockhash: str) -> Hash:
    """The value a nonce takes from this blockhash (solana-nonce, DurableNonce::from_blockhash)."""
    return Hash.from_bytes(hashlib.sha256(b"DURABLE_NONCE" + bytes(Hash.from_string(blockhash))).digest())


def stored(lab: ChainLab) -> Hash:
    account = lab.chain.account(NONCE.pubkey())
    assert account is not None
    return Hash.from_bytes(account.data[40:72])


def advance(authority: Keypair, nonce: Keypair = NONCE) -> Instruction:
    params = AdvanceNonceAccountParams(nonce_pubkey=nonce.pubkey(), authorized_pubkey=authority.pubkey())
    return advance_nonce_account(params)


@pytest.fixture
def lab() -> ChainLab:
    """A chain with a nonce of `alice`, made in an earlier block."""
    made = ChainLab()
    made.tick(3)
    create = create_nonce_account(made.alice.pubkey(), NONCE.pubkey(), made.alice.pubkey(), 2_000_000)
    assert made.land(made.signed(*create, signers=[made.alice, NONCE])).err is None
    assert stored(made) == durable(made.chain.latest_blockhash("processed")[0])
    made.tick()
    return made


def bound(lab: ChainLab, value: Hash, *instructions: Instruction) -> bytes:
    return lab.signed(advance(lab.alice), *instructions, blockhash=value)


def test_a_bound_transaction_lands_long_after_any_blockhash_has_died(lab: ChainLab) -> None:
    value = stored(lab)
    lab.tick(400)
    record = lab.land(bound(lab, value, pay(lab.alice, lab.bob.pubkey(), SOL)))
    assert record.err is None
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL


def test_the_new_value_stems_from_the_banks_blockhash(lab: ChainLab) -> None:
    lab.tick(10)
    lab.land(bound(lab, stored(lab)))
    assert stored(lab) == durable(lab.chain.latest_blockhash("processed")[0])


def test_a_stale_value_is_refused(lab: ChainLab) -> None:
    value = stored(lab)
    raw = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), SOL))
    lab.land(raw)
    lab.tick()
    assert lab.refused(raw) == "BlockhashNotFound"
    assert lab.refused(bound(lab, value, pay(lab.alice, lab.bob.pubkey(), 2 * SOL))) == "BlockhashNotFound"
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL


@pytest.mark.parametrize("slots_between", [0, 1, 5])
def test_two_transactions_on_one_value_never_both_run(lab: ChainLab, slots_between: int) -> None:
    value = stored(lab)
    first = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), SOL))
    second = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), 2 * SOL))
    assert lab.land(first).err is None
    lab.tick(slots_between)
    assert lab.refused(second) == "BlockhashNotFound"


def test_a_failed_bound_transaction_pays_and_still_advances_the_nonce(lab: ChainLab) -> None:
    value, before = stored(lab), lab.lamports(lab.alice.pubkey())
    raw = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), 1_000 * SOL))
    record = lab.land(raw)
    assert record.err == {"InstructionError": [1, {"Custom": 1}]}
    assert lab.lamports(lab.alice.pubkey()) == before - 5_000
    assert stored(lab) == durable(lab.chain.latest_blockhash("processed")[0]) != value
    lab.tick()
    assert lab.refused(raw) == "BlockhashNotFound"
    assert lab.land(bound(lab, stored(lab))).err is None


def test_a_nonce_moves_at_most_once_in_a_block(lab: ChainLab) -> None:
    lab.land(bound(lab, stored(lab)))
    assert lab.refused(bound(lab, stored(lab), memo("again"))) == "BlockhashNotFound"
    lab.tick()
    assert lab.land(bound(lab, stored(lab), memo("again"))).err is None


def test_an_advance_on_an_ordinary_blockhash_fails_in_the_block_that_moved_the_nonce(lab: ChainLab) -> None:
    old = lab.blockhash
    lab.tick()
    lab.land(lab.signed(advance(lab.alice)))
    record = lab.land(lab.signed(advance(lab.alice), memo("again"), blockhash=old))
    assert record.err == {"InstructionError": [0, {"Custom": 7}]}


def test_a_failed_transaction_on_an_ordinary_blockhash_does_not_advance_the_nonce(lab: ChainLab) -> None:
    value = stored(lab)
    record = lab.land(lab.signed(advance(lab.alice), pay(lab.alice, lab.bob.pubkey(), 1_000 * SOL)))
    assert record.err is not None
    assert stored(lab) == value


def test_only_the_authority_can_use_a_nonce(lab: ChainLab) -> None:
    value = stored(lab)
    assert lab.refused(lab.signed(advance(lab.bob), signers=[lab.bob], blockhash=value)) == "BlockhashNotFound"
    assert stored(lab) == value


def test_the_advance_must_come_first(lab: ChainLab) -> None:
    assert lab.refused(lab.signed(memo("hi"), advance(lab.alice), blockhash=stored(lab))) == "BlockhashNotFound"


def test_an_account_that_is_no_nonce_gives_no_life(lab: ChainLab) -> None:
    raw = lab.signed(advance(lab.alice, lab.bob), blockhash=Hash.new_unique())
    assert lab.refused(raw) == "BlockhashNotFound"


def test_a_simulation_follows_the_same_rules_and_moves_nothing(lab: ChainLab) -> None:
    value = stored(lab)
    good = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), SOL))
    assert lab.chain.simulate(good, sig_verify=True, replace_blockhash=False).err is None
    stale = bound(lab, Hash.new_unique(), memo("hi"))
    assert lab.chain.simulate(stale, sig_verify=True, replace_blockhash=False).err == "BlockhashNotFound"
    failing = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), 1_000 * SOL))
    assert lab.chain.simulate(failing, sig_verify=True, replace_blockhash=False).err is not None
    assert stored(lab) == value


def test_a_fork_takes_the_nonce_back_and_the_same_bytes_may_land_again(lab: ChainLab) -> None:
    value = stored(lab)
    raw = bound(lab, value, pay(lab.alice, lab.bob.pubkey(), SOL))
    lab.land(raw)
    lab.tick()
    lab.chain.fork(2)
    assert stored(lab) == value
    assert lab.land(raw).err is None
