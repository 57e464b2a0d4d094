"""The chain in memory does what tests of exactly-once need of it: forks, lag, forgetting, expiry."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair

from sniperforge.domain.money import Signature
from sniperforge.errors import NodeUnavailableError
from sniperforge.ports.chain import Commitment, PinnedNode
from tests.fakes.chain import FakeChain, Landing, transaction_of

PAYER = Keypair.from_seed(bytes([5]) * 32)


def known(node: PinnedNode, signature: Signature) -> bool:
    return node.signature_statuses([signature], search_history=True).statuses[0] is not None


def signed(chain: FakeChain) -> bytes:
    return transaction_of(PAYER, chain.latest_blockhash().blockhash)


def test_skipped_slots_raise_the_slot_and_not_the_height() -> None:
    chain = FakeChain()
    before = chain.block_height(Commitment.PROCESSED), chain.slot(Commitment.PROCESSED)
    chain.skip(5)
    assert (chain.block_height(Commitment.PROCESSED), chain.slot(Commitment.PROCESSED)) == (before[0], before[1] + 5)


def test_a_fork_takes_back_what_is_not_final_and_it_may_land_again() -> None:
    chain = FakeChain()
    final = chain.land_somebody_elses()
    chain.finalize()
    transaction = signed(chain)
    signature = chain.land(transaction)
    assert chain.fork(1000) == [signature]
    assert not known(chain, signature)
    assert known(chain, final)
    assert chain.land(transaction) == signature


def test_the_same_transaction_is_never_in_two_blocks() -> None:
    chain = FakeChain()
    transaction = signed(chain)
    chain.land(transaction)
    with pytest.raises(ValueError, match="already"):
        chain.land(transaction)


def test_each_node_sees_its_own_past() -> None:
    chain = FakeChain("best", "behind", "forgetful")
    chain.nodes[1].lag_slots = 10
    chain.nodes[2].remembers_slots = 20
    old = chain.land_somebody_elses()
    chain.advance(30)
    new = chain.land_somebody_elses()
    seen = {}
    for node in chain.nodes:
        with chain.pinned(node.name) as pinned:
            seen[node.name] = known(pinned, old), known(pinned, new)
    assert seen == {"best": (True, True), "behind": (True, False), "forgetful": (False, True)}


def test_what_is_sent_lands_only_if_told_so() -> None:
    chain = FakeChain()
    transaction = signed(chain)
    chain.send(transaction)
    assert (chain.sent, chain.landed) == ([transaction], {})
    chain.on_send = lambda _: Landing()
    chain.send(transaction)
    chain.send(transaction)
    assert len(chain.landed) == 1


def test_a_node_that_swallows_accepts_and_forwards_nothing() -> None:
    chain = FakeChain()
    chain.on_send = lambda _: Landing()
    chain.nodes[0].swallows = True
    assert [result.accepted for result in chain.send(signed(chain))] == [True]
    assert chain.landed == {}


def test_an_expired_transaction_does_not_land() -> None:
    chain = FakeChain()
    chain.on_send = lambda _: Landing()
    fresh = chain.latest_blockhash()
    transaction = transaction_of(PAYER, fresh.blockhash)
    chain.advance(fresh.last_valid_block_height - chain.block_height(Commitment.PROCESSED) + 1)
    chain.send(transaction)
    assert chain.landed == {}


def test_a_transaction_lands_up_to_its_last_height() -> None:
    chain = FakeChain()
    chain.on_send = lambda _: Landing()
    fresh = chain.latest_blockhash()
    transaction = transaction_of(PAYER, fresh.blockhash)
    chain.advance(fresh.last_valid_block_height - chain.block_height(Commitment.PROCESSED))
    chain.send(transaction)
    assert len(chain.landed) == 1


def test_a_broken_node_raises_and_the_next_one_answers() -> None:
    chain = FakeChain("first", "second")
    chain.break_node(NodeUnavailableError("as told"))
    assert chain.signature_statuses([], search_history=False).node == "second"
    with chain.pinned("first") as pinned, pytest.raises(NodeUnavailableError):
        pinned.slot(Commitment.CONFIRMED)
    chain.break_node(None)
    assert chain.signature_statuses([], search_history=False).node == "first"
