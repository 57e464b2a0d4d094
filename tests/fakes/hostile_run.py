"""Many random edits of good orders, each judged by the guard; the same seed makes the same edits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.fakes.guard_desk import Draft, GuardDesk, Order
from tests.fakes.hostile_edits import KINDS, Kind, NotPossibleError


@dataclass(frozen=True, slots=True)
class Tried:
    """One edit and what became of it. `look` is "bytes" or "simulation", or "" if the guard let it pass."""

    kind: Kind
    order: Order
    raw: bytes
    look: str
    rules: tuple[str, ...]

    @property
    def refused_as_meant(self) -> bool:
        """Whether a rule refused it that is meant to see this kind."""
        return not self.kind.rules.isdisjoint(self.rules)


def attacks(desk: GuardDesk, *, edits: int, seed: int) -> Iterator[Tried]:
    """Edits of every kind in turn, on orders drawn by lot."""
    for number in range(edits):
        kind = KINDS[number % len(KINDS)]
        draft = edited(desk, kind, random.Random(f"{seed}:{number}"))  # noqa: S311 - replayable, not secret
        raw = draft.written()
        look, rules = desk.judge(raw, draft.order.terms)
        yield Tried(kind, draft.order, raw, look, rules)


def edited(desk: GuardDesk, kind: Kind, rng: random.Random) -> Draft:
    """An edit of this kind of any order that has what the edit needs."""
    while True:
        draft = Draft(rng.choice(desk.good_orders), desk, rng)
        try:
            kind.change(draft)
        except NotPossibleError:
            continue
        return draft


def table(tried: Sequence[Tried]) -> str:
    """How many edits of each kind were tried and which rules refused them, most frequent first."""
    lines = [f"{'kind':<50} {'tried':>6} {'bytes':>6} {'simul.':>6} {'passed':>6}  refused by"]
    looks: Counter[str] = Counter()
    for kind in KINDS:
        mine = [item for item in tried if item.kind is kind]
        by_look = Counter(item.look for item in mine)
        looks += by_look
        rules = Counter(rule for item in mine for rule in item.rules)
        told = ", ".join(f"{rule} {count}" for rule, count in rules.most_common(4))
        lines.append(
            f"{kind.name:<50} {len(mine):>6} {by_look['bytes']:>6} {by_look['simulation']:>6} {by_look['']:>6}  {told}"
        )
    lines.append(f"{'all':<50} {len(tried):>6} {looks['bytes']:>6} {looks['simulation']:>6} {looks['']:>6}")
    return "\n".join(lines)
