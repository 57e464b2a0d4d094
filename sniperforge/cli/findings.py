"""What a check of `doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `fix` is empty when there is nothing to do."""

    check: str
    verdict: Verdict
    what: str
    fix: str = ""
