"""What came of one seed, and how that is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    problems: list[str]
    happened: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        happened = ", ".join(f"{count} {what}" for what, count in sorted(self.happened.items()))
        verdict = "sound" if not self.problems else "VIOLATED"
        return f"seed {self.seed}: {verdict} in {self.seconds:.1f} s: {happened}"
