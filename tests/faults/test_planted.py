"""The lists of bugs that are planted by hand apply to the tree as it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.faults.planted import BUGS
from tests.faults.planted_orders import ORDER_BUGS
from tests.faults.planted_system import SYSTEM_BUGS
from tests.faults.planting import ROOT, Planted
from tests.faults.rules_taken_out import ORDER_RULES, RULES, SUITE


@pytest.mark.parametrize("bugs", [BUGS, SYSTEM_BUGS, ORDER_BUGS, RULES], ids=["bugs", "system", "orders", "rules"])
def test_every_planted_bug_still_applies(bugs: Sequence[Planted]) -> None:
    misses = [
        f"{bug.name}: {change.file} holds {found} times: {change.old}"
        for bug in bugs
        for change in bug.changes
        if (found := (ROOT / change.file).read_text().count(change.old)) != 1
    ]

    assert not misses, "\n".join(misses)


def test_every_rule_of_orders_names_a_test_that_there_is() -> None:
    tests = "\n".join((ROOT / file).read_text() for file in SUITE)
    misses = [rule for rule in ORDER_RULES if f"def test_{rule.tests.split()[0]}(" not in tests]

    assert not misses, "\n".join(f"{rule.name}: {rule.tests}" for rule in misses)
