"""Proving that a transaction can never land, question by question."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.intent import Attempt
from sniperforge.domain.money import Signature
from sniperforge.errors import NodeUnavailableError
from sniperforge.ports.chain import Commitment
from sniperforge.trading.mortality import Fate, Mortality, Verdict
from tests.fakes.trading_market import BEACON, CONTROL_EVERY
from tests.fakes.trading_world import TradingWorld


class Desk:
    """One signed transaction that nobody has included yet."""

    def __init__(self) -> None:
        self.world = TradingWorld()
        self.chain = self.world.chain
        self.attempt: Attempt = self.world.signed()
        self.mortality = Mortality(chain=self.chain, clock=self.world.clock, beacon=BEACON)

    def judge(self, *, second: bool = False) -> Verdict:
        return self.mortality.judge(self.attempt, needs_second_node=second)

    def fate(self, *, second: bool = False, looks: int = 4) -> Fate:
        """After a few looks with some blocks between them."""
        for _ in range(looks - 1):
            if (fate := self.judge(second=second).fate) is not Fate.UNKNOWN:
                return fate
            self.chain.advance(8)
        return self.judge(second=second).fate

    def until_finalized_height(self, height: int) -> None:
        while self.chain.block_height(Commitment.FINALIZED) < height:
            self.chain.advance()

    @property
    def bound(self) -> int:
        assert self.attempt.bound_block_height is not None
        return self.attempt.bound_block_height


def test_at_the_bound_it_may_still_land_and_one_block_later_it_cannot() -> None:
    desk = Desk()
    desk.until_finalized_height(desk.bound)
    assert desk.judge().fate is Fate.UNKNOWN
    assert "is not past" in desk.judge().evidence

    desk.chain.advance()
    assert desk.fate() is Fate.DEAD


def test_the_chain_itself_refuses_what_is_called_dead() -> None:
    desk = Desk()
    desk.world.pass_bound()
    assert desk.fate() is Fate.DEAD
    assert not desk.chain.include(desk.attempt.signature)


def test_the_proof_names_heights_nodes_controls_and_time() -> None:
    desk = Desk()
    desk.world.pass_bound()
    while (verdict := desk.judge(second=True)).fate is Fate.UNKNOWN:
        desk.chain.advance(8)
    proof = json.loads(verdict.evidence)

    assert proof["signature"] == desk.attempt.signature
    assert proof["bound_block_height"] == desk.bound
    assert proof["proven_at"] == desk.world.clock.now().isoformat()
    assert [one["node"] for one in proof["witnesses"]] == ["node-a", "node-b"]
    for witness in proof["witnesses"]:
        assert witness["finalized_block_height"] > desk.bound
        assert witness["control_before"] == desk.attempt.control_signature
        assert desk.chain.height_of(witness["control_after_slot"]) > desk.bound


def test_a_control_from_before_the_bound_was_passed_is_none() -> None:
    """The newest one a node has is old: nothing shows that it knows what happened since."""
    desk = Desk()
    desk.until_finalized_height(desk.bound + 1)
    verdict = desk.judge()

    assert (verdict.fate, "no control from slot" in verdict.evidence) == (Fate.UNKNOWN, True)


def test_the_slot_after_which_a_control_counts_stays_though_the_chain_goes_on() -> None:
    desk = Desk()
    desk.until_finalized_height(desk.bound + 1)
    asked = {desk.judge().evidence.split(" ")[4]}
    for _ in range(2):
        desk.chain.advance()
        asked.add(desk.judge().evidence.split(" ")[4])

    assert len(asked) == 1


def test_a_beacon_without_any_transaction_proves_nothing() -> None:
    desk = Desk()
    desk.world.pass_bound()
    quiet = Mortality(chain=desk.chain, clock=desk.world.clock, beacon=desk.attempt.wallet)

    assert quiet.judge(desk.attempt, needs_second_node=False).fate is Fate.UNKNOWN


@pytest.mark.parametrize("name", ["control-1", "never seen"])
def test_a_node_that_does_not_know_the_control_from_before_says_nothing(name: str) -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.attempt = replace(desk.attempt, control_signature=Signature(name))
    desk.chain.landed.pop(Signature("control-1"))

    assert desk.fate() is Fate.UNKNOWN
    assert "does not know the controls" in desk.judge().evidence


def test_a_control_that_is_not_final_at_this_node_is_none() -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.chain.advance(4)
    newest = desk.chain.signatures_for_address(BEACON, commitment=Commitment.PROCESSED)[0]
    desk.attempt = replace(desk.attempt, control_signature=newest.signature)

    assert desk.judge().fate is Fate.UNKNOWN
    assert "does not know the controls" in desk.judge().evidence or "no control" in desk.judge().evidence


def test_the_height_is_asked_before_the_status_so_that_nothing_lands_between_the_two() -> None:
    desk = Desk()

    def lands_and_is_long_past() -> None:
        assert desk.chain.include(desk.attempt.signature)
        desk.world.pass_bound()
        while desk.chain.slot(Commitment.FINALIZED) % CONTROL_EVERY:
            desk.chain.advance()

    desk.world.points.once("block_height", lands_and_is_long_past)

    assert desk.judge().fate is Fate.SEEN


@pytest.mark.parametrize("missing", ["bound", "control"])
def test_what_has_no_bound_or_no_control_never_dies_this_way(missing: str) -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.attempt = (
        replace(desk.attempt, bound_block_height=None)
        if missing == "bound"
        else replace(desk.attempt, control_signature=None)
    )

    assert desk.fate() is Fate.UNKNOWN


def test_what_landed_is_seen_however_late_it_is_asked_for() -> None:
    desk = Desk()
    desk.chain.include(desk.attempt.signature)
    desk.world.pass_bound()

    assert desk.fate() is Fate.SEEN


def test_the_second_node_is_another_one_and_has_the_last_word() -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.chain.nodes[1].remembers_slots = 30
    assert desk.fate() is Fate.DEAD
    assert desk.fate(second=True) is Fate.UNKNOWN


def test_a_second_node_that_knows_it_outweighs_a_first_one_that_does_not() -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.judge()
    desk.chain.advance(8)
    desk.chain.land(desk.attempt.signed_transaction)
    desk.chain.nodes[0].lag_slots = 1

    assert desk.judge(second=True).fate is Fate.SEEN


def test_without_a_second_node_nothing_large_is_proven() -> None:
    desk = Desk()
    desk.world.pass_bound()
    desk.chain.nodes[1].failure = NodeUnavailableError("down")

    with pytest.raises(NodeUnavailableError):
        desk.fate(second=True)


@settings(max_examples=60, deadline=None)
@given(
    land_after=st.one_of(st.none(), st.integers(0, 200)),
    asks=st.lists(st.integers(1, 60), min_size=4, max_size=12),
    lag=st.sampled_from((0, 1, 10, 60, 250)),
    memory=st.sampled_from((None, 5, 60, 200)),
)
def test_whatever_a_node_forgets_and_however_it_lags_nothing_that_landed_is_called_dead(
    land_after: int | None, asks: list[int], lag: int, memory: int | None
) -> None:
    desk = Desk()
    if land_after is not None:
        desk.chain.advance(land_after)
        desk.chain.include(desk.attempt.signature)
    is_in = desk.attempt.signature in desk.chain.landed
    desk.chain.nodes[0].lag_slots, desk.chain.nodes[0].remembers_slots = lag, memory
    for blocks in asks:
        if desk.judge().fate is Fate.DEAD:
            assert not is_in
            assert not desk.chain.include(desk.attempt.signature)
        desk.chain.advance(blocks)
