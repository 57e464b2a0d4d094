"""Transactions that land together or not at all."""

from __future__ import annotations

import pytest
from solders.hash import Hash
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account, create_nonce_account

from sniperforge.sandbox.chain import LandedRecord, Refusal
from tests.fakes.chain_lab import SOL, ChainLab, keypair, pay

NONCE, CAROL = keypair("nonce"), keypair("carol")


@pytest.fixture
def lab() -> ChainLab:
    made = ChainLab()
    made.tick(3)
    return made


def together(lab: ChainLab, *raws: bytes) -> list[LandedRecord]:
    records = lab.chain.submit_together(raws)
    assert not isinstance(records, Refusal), records
    return records


def test_each_sees_what_the_ones_before_it_did(lab: ChainLab) -> None:
    first = lab.signed(pay(lab.alice, CAROL.pubkey(), 2 * SOL))
    second = lab.signed(pay(CAROL, lab.bob.pubkey(), SOL), signers=[CAROL])
    records = together(lab, first, second)
    assert [record.index for record in records] == [0, 1]
    assert records[1].pre_lamports[0] == 2 * SOL
    assert lab.lamports(CAROL.pubkey()) == SOL - 5_000


def test_they_survive_a_fork_no_more_than_others_and_a_tick_as_others_do(lab: ChainLab) -> None:
    records = together(lab, lab.payment(SOL), lab.payment(2 * SOL))
    block = lab.chain.tick(lab.now + 1)
    assert block is not None
    assert block.signatures == tuple(record.signature for record in records)
    lab.chain.fork(2)
    assert all(lab.chain.status(record.signature, search_history=True) is None for record in records)
    assert lab.lamports(lab.bob.pubkey()) == 100 * SOL


def test_a_failure_takes_back_everything_and_tells_nobody(lab: ChainLab) -> None:
    landed: list[LandedRecord] = []
    written: list[str] = []
    lab.chain.on_landed(landed.append)
    lab.chain.on_account(written.append)
    alice, bob = lab.lamports(lab.alice.pubkey()), lab.lamports(lab.bob.pubkey())
    failing = lab.signed(pay(lab.alice, CAROL.pubkey(), alice))
    outcome = lab.chain.submit_together([lab.payment(SOL), lab.payment(2 * SOL), failing])
    assert isinstance(outcome, Refusal)
    assert outcome.err == {"InstructionError": [0, {"Custom": 1}]}
    assert (lab.lamports(lab.alice.pubkey()), lab.lamports(lab.bob.pubkey())) == (alice, bob)
    assert (landed, written) == ([], [])


def test_a_nonce_that_was_taken_back_can_be_used_again(lab: ChainLab) -> None:
    create = create_nonce_account(lab.alice.pubkey(), NONCE.pubkey(), lab.alice.pubkey(), 2_000_000)
    lab.land(lab.signed(*create, signers=[lab.alice, NONCE]))
    lab.tick()
    nonce = lab.chain.account(NONCE.pubkey())
    assert nonce is not None
    params = AdvanceNonceAccountParams(nonce_pubkey=NONCE.pubkey(), authorized_pubkey=lab.alice.pubkey())
    value = Hash.from_bytes(nonce.data[40:72])
    bound = lab.signed(advance_nonce_account(params), pay(lab.alice, CAROL.pubkey(), SOL), blockhash=value)
    stale = lab.signed(advance_nonce_account(params), blockhash=value)
    outcome = lab.chain.submit_together([bound, stale])
    assert isinstance(outcome, Refusal)
    assert outcome.err == "BlockhashNotFound"
    assert lab.chain.account(NONCE.pubkey()) == nonce
    assert lab.chain.account(CAROL.pubkey()) is None
    assert [record.err for record in together(lab, bound)] == [None]


def test_one_of_them_twice_is_refused(lab: ChainLab) -> None:
    raw = lab.payment(SOL)
    assert lab.chain.submit_together([raw, raw]) == Refusal("AlreadyProcessed")
    assert lab.lamports(lab.bob.pubkey()) == 100 * SOL


def test_bytes_that_are_no_transaction_are_found_before_anything_runs(lab: ChainLab) -> None:
    with pytest.raises(ValueError, match=r".+"):
        lab.chain.submit_together([lab.payment(SOL), b"no transaction"])
    assert lab.lamports(lab.bob.pubkey()) == 100 * SOL
