"""Keys: the same decision has the same key and id, two decisions never share one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.ids import (
    IntentId,
    IntentKey,
    attempt_id,
    cli_key,
    intent_id,
    maintenance_key,
    order_key,
    round_key,
)
from sniperforge.errors import InvalidInputError

parts = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64)
counts = st.integers(0, 2**63)
decisions = st.one_of(
    st.tuples(st.just(round_key), st.sampled_from(["dca", "grid"]), parts, counts),
    st.tuples(st.just(order_key), parts, parts, counts),
    st.tuples(st.just(cli_key), parts),
    st.tuples(st.just(maintenance_key), parts, parts, counts),
)


@given(decisions, decisions)
def test_keys_and_ids_are_equal_exactly_when_the_decisions_are(
    one: tuple[object, ...], two: tuple[object, ...]
) -> None:
    def key(decision: tuple[object, ...]) -> IntentKey:
        make, *arguments = decision
        made: IntentKey = make(*arguments)  # type: ignore[operator]
        return made

    assert key(one) == key(one)
    assert (key(one) == key(two)) == (one == two)
    assert (intent_id(key(one)) == intent_id(key(two))) == (one == two)


def test_ids_are_the_same_on_every_machine_and_for_ever() -> None:
    assert round_key("dca", "weekly-sol", 42) == "dca:weekly-sol:42"
    assert intent_id(round_key("dca", "weekly-sol", 42)) == "bwhz7who2quizs2glzgxsplq"
    assert attempt_id(IntentId("abc"), 2) == "abc-2"


@given(decisions)
def test_an_id_can_be_typed_and_stands_in_any_url_or_file_name(decision: tuple[object, ...]) -> None:
    make, *arguments = decision

    made = intent_id(make(*arguments))  # type: ignore[operator]

    assert len(made) == 24
    assert set(made) <= set(string.ascii_lowercase + "234567")


@pytest.mark.parametrize("part", ["", "a:b", "a b", "ü", "x" * 65, "a/b", "a\n"])
def test_a_part_that_could_blur_two_keys_is_refused(part: str) -> None:
    with pytest.raises(InvalidInputError):
        cli_key(part)
    with pytest.raises(InvalidInputError):
        round_key("dca", part, 1)
    with pytest.raises(InvalidInputError):
        order_key(part, "leg", 1)
    with pytest.raises(InvalidInputError):
        order_key("id", part, 1)
    with pytest.raises(InvalidInputError):
        maintenance_key(part, "s", 1)
    with pytest.raises(InvalidInputError):
        maintenance_key("p", part, 1)


def test_negative_occurrences_and_attempts_before_the_first_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        round_key("dca", "plan", -1)
    with pytest.raises(InvalidInputError):
        attempt_id(IntentId("abc"), 0)
