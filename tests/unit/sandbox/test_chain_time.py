"""Slots, heights, commitments and the life of a blockhash."""

from __future__ import annotations

import pytest
from solders.clock import Clock
from solders.hash import Hash
from solders.sysvar import CLOCK

from sniperforge.sandbox.chain import Chain, ChainConfig
from tests.fakes.chain_lab import SOL, START, ChainLab, keypair, wallet


def test_a_height_counts_blocks_and_is_millions_below_the_slot() -> None:
    lab = ChainLab()
    before = lab.chain.height_at("processed")
    lab.tick(5)
    assert lab.chain.height_at("processed") == before + 5
    assert lab.chain.head_slot() - lab.chain.height_at("processed") > 20_000_000


def test_a_tick_closes_the_head_and_opens_the_next_slot() -> None:
    lab = ChainLab()
    head = lab.chain.head_slot()
    block = lab.chain.tick(START + 1)
    assert block is not None
    assert (block.slot, block.parent_slot, block.signatures) == (head, head - 1, ())
    assert lab.chain.head_slot() == head + 1
    assert lab.chain.block(head) == block
    assert lab.chain.block(head + 1) is None


def test_a_block_lists_its_transactions_in_order_and_has_the_time_at_which_it_opened() -> None:
    lab = ChainLab()
    lab.tick()
    first, second = lab.land(lab.payment(1_000_000)), lab.land(lab.payment(2_000_000))
    block = lab.chain.tick(lab.now + 9)
    assert block is not None
    assert block.signatures == (first.signature, second.signature)
    assert (first.index, second.index) == (0, 1)
    assert block.unix_time == first.unix_time == lab.now


def test_skipped_slots_have_no_block_take_a_tick_each_and_do_not_count_as_height() -> None:
    lab = ChainLab(skip_probability=0.5)
    first_slot, first_height = lab.chain.head_slot(), lab.chain.height_at("processed")
    blocks = [lab.chain.tick(START + number) for number in range(400)]
    closed = [block for block in blocks if block is not None]
    assert 120 < len(closed) < 280
    assert lab.chain.height_at("processed") - first_height == len(closed)
    assert lab.chain.head_slot() - first_slot >= 400
    slots = {block.slot for block in closed}
    skipped = set(range(first_slot, lab.chain.head_slot())) - slots
    assert all(lab.chain.block(slot) is None for slot in skipped)
    assert all(block.parent_slot == closed[number].slot for number, block in enumerate(closed[1:]))


def test_a_slot_is_never_reported_without_a_block() -> None:
    lab = ChainLab(skip_probability=0.5)
    for _ in range(200):
        lab.tick()
        for slot in (lab.chain.slot_at("confirmed"), lab.chain.slot_at("finalized")):
            assert lab.chain.block(slot) is not None


def test_the_same_seed_skips_the_same_slots() -> None:
    labs = [ChainLab(skip_probability=0.3, seed=seed) for seed in (1, 1, 2)]
    for lab in labs:
        lab.tick(60)
    heads = [lab.chain.head_slot() for lab in labs]
    hashes = [lab.blockhash for lab in labs]
    assert heads[0] == heads[1]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_transaction_lands_even_while_the_current_slot_is_skipped() -> None:
    lab = ChainLab(skip_probability=0.9)
    lab.tick(3)
    record = lab.land(lab.payment())
    lab.tick(200)
    block = lab.chain.block(record.slot)
    assert block is not None
    assert record.signature in block.signatures


def test_commitments_are_slots_behind_the_head() -> None:
    lab = ChainLab(confirm_slots=2, finalize_slots=32)
    lab.tick(100)
    head = lab.chain.head_slot()
    assert lab.chain.slot_at("processed") == head
    assert lab.chain.slot_at("confirmed") == head - 2
    assert lab.chain.slot_at("finalized") == head - 32
    assert lab.chain.height_at("processed") - lab.chain.height_at("confirmed") == 2
    assert lab.chain.height_at("processed") - lab.chain.height_at("finalized") == 32


def test_a_lagging_node_sees_every_commitment_shifted() -> None:
    lab = ChainLab()
    lab.tick(100)
    behind = lab.chain.head_slot() - 7
    assert lab.chain.slot_at("processed", at_slot=behind) == behind
    assert lab.chain.slot_at("confirmed", at_slot=behind) == behind - 2
    assert lab.chain.slot_at("finalized", at_slot=behind) == behind - 32
    assert lab.chain.height_at("processed", at_slot=behind) == lab.chain.height_at("processed") - 7


def test_a_new_chain_is_finalized_up_to_its_first_block() -> None:
    lab = ChainLab()
    assert lab.chain.slot_at("finalized") == lab.chain.slot_at("confirmed") == lab.chain.head_slot() - 1


def test_the_clock_sysvar_shows_slot_time_and_epoch() -> None:
    lab = ChainLab()
    lab.tick(3)
    account = lab.chain.account(CLOCK)
    assert account is not None
    clock = Clock.from_bytes(account.data)
    assert (clock.slot, clock.unix_timestamp) == (lab.chain.head_slot(), lab.now)
    assert clock.epoch == lab.chain.head_slot() // 432_000


def test_time_never_goes_back() -> None:
    lab = ChainLab()
    lab.chain.tick(START + 10)
    lab.chain.tick(START - 500)
    assert lab.land(lab.payment()).unix_time == START + 10


# ---- blockhashes
def test_the_newest_blockhash_is_that_of_the_newest_closed_block_of_its_commitment() -> None:
    lab = ChainLab()
    lab.tick(50)
    for commitment, behind in (("processed", 1), ("confirmed", 2), ("finalized", 32)):
        block = lab.chain.block(lab.chain.head_slot() - behind)
        assert block is not None
        answer = lab.chain.latest_blockhash(commitment)  # type: ignore[arg-type]
        assert answer == (block.blockhash, block.height + 150)


@pytest.mark.parametrize("skip_probability", [0.0, 0.3])
def test_a_blockhash_is_accepted_up_to_its_last_valid_height_and_refused_one_block_later(
    skip_probability: float,
) -> None:
    lab = ChainLab(skip_probability=skip_probability)
    lab.tick(10)
    blockhash, last_valid = lab.chain.latest_blockhash("processed")
    born = lab.chain.height_at("processed") - 1
    assert last_valid == born + 150
    while lab.chain.height_at("processed") < last_valid:
        lab.tick()
    assert lab.chain.is_blockhash_valid(blockhash, "processed")
    lab.land(lab.payment(blockhash=Hash.from_string(blockhash)))
    while lab.chain.height_at("processed") == last_valid:
        lab.tick()
    assert not lab.chain.is_blockhash_valid(blockhash, "processed")
    assert lab.refused(lab.payment(2, blockhash=Hash.from_string(blockhash))) == "BlockhashNotFound"


def test_each_commitment_judges_a_blockhash_by_its_own_height() -> None:
    lab = ChainLab()
    lab.tick(50)
    blockhash, last_valid = lab.chain.latest_blockhash("processed")
    while lab.chain.height_at("processed") <= last_valid:
        lab.tick()
    assert not lab.chain.is_blockhash_valid(blockhash, "processed")
    assert lab.chain.is_blockhash_valid(blockhash, "confirmed")
    assert lab.chain.is_blockhash_valid(blockhash, "finalized")
    lab.tick(2)
    assert not lab.chain.is_blockhash_valid(blockhash, "confirmed")


def test_a_blockhash_too_new_for_a_node_is_not_valid_there() -> None:
    lab = ChainLab()
    lab.tick(50)
    head = lab.chain.head_slot()
    blockhash, _ = lab.chain.latest_blockhash("processed")
    assert lab.chain.is_blockhash_valid(blockhash, "processed", at_slot=head - 1)
    assert not lab.chain.is_blockhash_valid(blockhash, "processed", at_slot=head - 2)
    assert not lab.chain.is_blockhash_valid(blockhash, "confirmed")
    lab.tick(1)
    assert lab.chain.is_blockhash_valid(blockhash, "confirmed")


def test_an_unknown_blockhash_is_not_valid() -> None:
    lab = ChainLab()
    stranger = Hash.new_unique()
    assert not lab.chain.is_blockhash_valid(str(stranger), "processed")
    assert lab.refused(lab.payment(blockhash=stranger)) == "BlockhashNotFound"


def test_an_open_block_can_be_neither_confirmed_nor_finalized_first() -> None:
    with pytest.raises(ValueError, match="confirm_slots"):
        ChainConfig(confirm_slots=0)
    with pytest.raises(ValueError, match="confirm_slots"):
        ChainConfig(confirm_slots=9, finalize_slots=8)
    with pytest.raises(ValueError, match="skip_probability"):
        ChainConfig(skip_probability=1.0)


def test_rent_is_what_the_configured_price_of_a_byte_says() -> None:
    chain = Chain(ChainConfig(), None, unix_time=START)
    assert chain.minimum_rent(165) == 1_488_440
    assert chain.minimum_rent(0) == 650_240
    dear = Chain(ChainConfig(lamports_per_byte=6_960), None, unix_time=START)
    assert dear.minimum_rent(165) == 2_039_280


def test_listeners_hear_of_slots_landings_and_accounts_until_they_stop() -> None:
    lab = ChainLab()
    slots: list[int] = []
    landed: list[str] = []
    written: list[str] = []
    stops = [
        lab.chain.on_slot(slots.append),
        lab.chain.on_landed(lambda record: landed.append(record.signature)),
        lab.chain.on_account(written.append),
    ]
    record = lab.land(lab.payment())
    stranger = keypair("stranger").pubkey()
    lab.chain.set_account(stranger, wallet(SOL))
    lab.tick()
    assert slots == [lab.chain.head_slot()]
    assert landed == [record.signature]
    assert written == [str(lab.alice.pubkey()), str(lab.bob.pubkey()), str(stranger)]
    for stop in stops:
        stop()
    lab.land(lab.payment())
    lab.tick()
    assert (len(slots), len(landed), len(written)) == (1, 1, 3)
