"""Forks: what is dropped is as if it had never been, and may be included again."""

from __future__ import annotations

import pytest
from solders.account import Account
from solders.hash import Hash

from tests.fakes.chain_lab import SOL, TOKEN_PROGRAM, ChainLab, keypair, mint_bytes, token_bytes, wallet


def history(lab: ChainLab) -> list[str]:
    found = lab.chain.signatures_for(str(lab.bob.pubkey()), commitment="processed", before=None, until=None, limit=100)
    return [one.signature for one in found]


def test_a_dropped_transaction_is_gone_with_all_its_effects() -> None:
    lab = ChainLab()
    lab.settle()
    kept = lab.land(lab.payment(SOL))
    lab.tick()
    dropped = lab.land(lab.payment(2 * SOL))
    lab.tick(2)
    assert lab.chain.fork(3) == [dropped.signature]
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL
    assert lab.lamports(lab.alice.pubkey()) == 99 * SOL - 5_000
    assert lab.chain.status(dropped.signature, search_history=True) is None
    assert lab.chain.transaction(dropped.signature, "processed") is None
    assert lab.chain.block(dropped.slot) is None
    assert history(lab) == [kept.signature]
    assert lab.chain.transaction(kept.signature, "processed") == kept


def test_slots_go_on_and_heights_go_back() -> None:
    lab = ChainLab()
    lab.tick(50)
    head, height = lab.chain.head_slot(), lab.chain.height_at("processed")
    lab.chain.fork(5)
    assert lab.chain.head_slot() == head + 1
    assert lab.chain.height_at("processed") == height - 4
    block = lab.chain.tick(lab.now)
    assert block is not None
    assert block.parent_slot == head - 5
    assert [lab.chain.block(slot) for slot in range(head - 4, head + 1)] == [None] * 5


def test_a_dropped_blockhash_is_unknown_and_the_new_blocks_have_others() -> None:
    lab = ChainLab()
    lab.tick(50)
    before = lab.blockhash
    raw = lab.payment()
    lab.chain.fork(4)
    assert not lab.chain.is_blockhash_valid(str(before), "processed")
    assert lab.refused(raw) == "BlockhashNotFound"
    lab.tick(6)
    assert not lab.chain.is_blockhash_valid(str(before), "processed")


def test_a_dropped_transaction_with_a_surviving_blockhash_may_land_again() -> None:
    lab = ChainLab()
    lab.tick(5)
    raw = lab.payment(SOL)
    lab.tick(2)
    lab.land(raw)
    lab.tick()
    lab.chain.fork(2)
    record = lab.land(raw)
    assert lab.lamports(lab.bob.pubkey()) == 101 * SOL
    assert history(lab) == [record.signature]
    assert lab.refused(raw) == "AlreadyProcessed"


def test_what_is_included_again_lands_in_the_next_slot_in_the_old_order() -> None:
    lab = ChainLab()
    lab.tick(5)
    blockhash = lab.blockhash
    lab.tick(2)
    raws = [lab.payment(number * SOL, blockhash=blockhash) for number in (1, 2, 3)]
    signatures = [lab.land(raw).signature for raw in raws]
    lab.tick()
    heard: list[str] = []
    lab.chain.on_landed(lambda record: heard.append(record.signature))
    assert lab.chain.fork(2, reinclude=1.0) == signatures
    assert heard == signatures
    assert lab.lamports(lab.bob.pubkey()) == 106 * SOL
    records = [lab.chain.transaction(signature, "processed") for signature in signatures]
    assert [record and (record.slot, record.index) for record in records] == [
        (lab.chain.head_slot(), number) for number in range(3)
    ]


def test_the_seed_decides_what_is_included_again() -> None:
    def included(seed: int) -> list[bool]:
        lab = ChainLab(seed=seed)
        lab.tick(5)
        blockhash = Hash.from_string(lab.chain.latest_blockhash("confirmed")[0])
        lab.tick()
        signatures = [lab.land(lab.payment(SOL + number, blockhash=blockhash)).signature for number in range(30)]
        lab.chain.fork(1, reinclude=0.5)
        return [lab.chain.status(signature, search_history=True) is not None for signature in signatures]

    first = included(1)
    assert 5 < sum(first) < 25
    assert first == included(1)


def test_what_is_bound_to_a_dropped_blockhash_is_not_included_again() -> None:
    lab = ChainLab()
    lab.tick(5)
    lab.land(lab.payment())
    lab.chain.fork(2, reinclude=1.0)
    assert history(lab) == []


def test_accounts_written_by_decree_go_back_too() -> None:
    lab = ChainLab()
    lab.tick()
    new = keypair("new").pubkey()
    lab.chain.set_account(lab.bob.pubkey(), wallet(SOL))
    lab.tick()
    lab.chain.set_account(lab.bob.pubkey(), wallet(2 * SOL))
    lab.chain.set_account(new, wallet(SOL))
    heard: list[str] = []
    lab.chain.on_account(heard.append)
    lab.chain.fork(1)
    assert (lab.lamports(lab.bob.pubkey()), lab.chain.account(new)) == (SOL, None)
    assert set(heard) == {str(lab.bob.pubkey()), str(new)}
    lab.chain.fork(3)
    assert lab.lamports(lab.bob.pubkey()) == 100 * SOL


def test_token_accounts_that_a_fork_takes_are_no_longer_listed() -> None:
    lab = ChainLab()
    lab.tick(2)
    mint, purse = keypair("mint").pubkey(), keypair("purse").pubkey()
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_PROGRAM))
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    lab.tick()
    lab.chain.fork(2)
    assert lab.chain.token_accounts_of(str(lab.bob.pubkey())) == []
    assert lab.chain.program_accounts(str(TOKEN_PROGRAM)) == []


def test_commitments_climb_again_after_a_fork_and_what_was_finalized_stays() -> None:
    lab = ChainLab()
    lab.tick(50)
    finalized = lab.chain.slot_at("finalized")
    lab.chain.fork(10)
    assert lab.chain.slot_at("finalized") >= finalized
    record = lab.land(lab.payment())
    lab.tick(2)
    assert lab.chain.slot_at("confirmed") == record.slot
    lab.tick(40)
    assert lab.chain.slot_at("finalized") == lab.chain.head_slot() - 32
    status = lab.chain.status(record.signature, search_history=False)
    assert status is not None
    assert status.commitment == "finalized"


def test_finalized_blocks_cannot_be_dropped() -> None:
    lab = ChainLab(finalize_slots=8)
    lab.tick(50)
    record = lab.land(lab.payment())
    lab.tick(8)
    for depth in (0, 9, 1_000):
        with pytest.raises(ValueError, match="a fork is 1 to 8 slots deep now"):
            lab.chain.fork(depth)
    assert lab.chain.fork(8) == []
    assert lab.chain.status(record.signature, search_history=False) is not None


def test_account_reads_at_older_commitments_are_right_after_a_fork() -> None:
    lab = ChainLab()
    lab.settle()
    lab.land(lab.payment(SOL))
    lab.tick()
    lab.land(lab.payment(2 * SOL))
    lab.tick()
    lab.chain.fork(2)
    lab.land(lab.payment(5 * SOL))
    lab.tick()
    values = [lab.chain.account(lab.bob.pubkey(), commitment) for commitment in ("processed", "confirmed", "finalized")]
    assert values == [wallet(106 * SOL), wallet(101 * SOL), wallet(100 * SOL)]
