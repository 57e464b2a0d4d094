"""Fault rules: which requests they hit, how often, and that a seed repeats them."""

from __future__ import annotations

from typing import Any

import pytest

from sniperforge.errors import InvalidInputError
from sniperforge.sandbox.faults import FaultKind, FaultPlan, FaultRule


def kinds(plan: FaultPlan, target: str, node: str | None = None) -> list[str]:
    return [rule.kind for rule in plan.draw(target, node=node)]


def test_a_rule_with_a_count_hits_that_many_requests_and_is_gone() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("rpc:sendTransaction", "drop_response", count=2))
    hits = [kinds(plan, "rpc:sendTransaction") for _ in range(3)]
    assert hits == [["drop_response"], ["drop_response"], []]
    assert plan.rules() == []


@pytest.mark.parametrize(
    ("pattern", "hit", "missed"),
    [
        ("rpc:getSlot", "rpc:getSlot", "rpc:getSlots"),
        ("rpc:*", "rpc:getSlot", "jupiter:/price/v3"),
        ("*", "jupiter:/price/v3", None),
        ("jupiter:/swap/v2/*", "jupiter:/swap/v2/order", "jupiter:/price/v3"),
    ],
)
def test_a_target_names_one_thing_or_a_family(pattern: str, hit: str, missed: str | None) -> None:
    plan = FaultPlan()
    plan.add(FaultRule(pattern, "http_429", probability=1.0))
    assert kinds(plan, hit) == ["http_429"]
    assert missed is None or kinds(plan, missed) == []


def test_a_rule_for_one_node_leaves_the_others_alone() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("rpc:*", "reset", node="b", probability=1.0))
    assert kinds(plan, "rpc:getSlot", "b") == ["reset"]
    assert kinds(plan, "rpc:getSlot", "a") == []


def test_a_request_ends_once_and_the_later_rule_keeps_its_count() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("*", "http_429", count=1))
    plan.add(FaultRule("*", "drop_request", count=1))
    assert kinds(plan, "rpc:getSlot") == ["http_429"]
    assert kinds(plan, "rpc:getSlot") == ["drop_request"]


def test_latency_comes_with_an_ending() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("*", "latency", count=1, params={"ms": 5}))
    plan.add(FaultRule("*", "reset", count=1))
    assert kinds(plan, "rpc:getSlot") == ["latency", "reset"]


def test_rules_of_other_kinds_keep_their_counts() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("jupiter:/swap/v2/order", "bad_order", count=1, params={"shape": "drain"}))
    assert plan.draw("jupiter:/swap/v2/order", kinds=frozenset({"http_429"})) == []
    assert len(plan.draw("jupiter:/swap/v2/order", kinds=frozenset({"bad_order"}))) == 1


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    def hits(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.add(FaultRule("*", "reset", probability=0.5))
        return [bool(plan.draw("rpc:getSlot")) for _ in range(64)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 10 < sum(hits(1)) < 54


def test_adding_a_rule_does_not_change_when_another_strikes() -> None:
    def hits(*, crowded: bool) -> list[bool]:
        plan = FaultPlan(7)
        plan.add(FaultRule("*", "reset", probability=0.5))
        if crowded:
            plan.add(FaultRule("*", "latency", probability=0.5, params={"ms": 1}))
        return [any(rule.kind == "reset" for rule in plan.draw("rpc:getSlot")) for _ in range(64)]

    assert hits(crowded=True) == hits(crowded=False)


def test_clear_removes_one_target_or_all() -> None:
    plan = FaultPlan()
    for target in ("rpc:getSlot", "rpc:getSlot", "*"):
        plan.add(FaultRule(target, "reset", probability=1.0))
    assert plan.clear("rpc:getSlot") == 2
    assert plan.clear() == 1
    assert plan.rules() == []


@pytest.mark.parametrize(
    ("target", "kind", "rest", "problem"),
    [
        ("sendTransaction", "reset", {"count": 1}, "target"),
        ("rpc:*", "explode", {"count": 1}, "kind"),
        ("rpc:*", "maker_reject", {"count": 1}, "happens to Jupiter"),
        ("jupiter:*", "swallow", {"count": 1}, "happens to RPC"),
        ("*", "reset", {}, "exactly one"),
        ("*", "reset", {"count": 1, "probability": 0.5}, "exactly one"),
        ("*", "reset", {"count": 0}, "less than 1"),
        ("*", "reset", {"probability": 1.5}, "probability"),
        ("*", "latency", {"count": 1}, "params.ms: latency needs it"),
        ("*", "latency", {"count": 1, "params": {"ms": -1}}, "negative"),
        ("*", "latency", {"count": 1, "params": {"ms": True}}, "not of type int"),
        ("*", "reset", {"count": 1, "params": {"ms": 1}}, "no such parameter"),
        ("*", "bad_order", {"count": 1, "params": {"shape": "odd"}}, "params.shape"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    target: str, kind: FaultKind, rest: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        FaultPlan().add(FaultRule(target, kind, **rest))


def test_every_problem_of_a_rule_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        FaultPlan().add(FaultRule("nowhere", "reset", count=0))
    assert len(caught.value.problems) == 2
