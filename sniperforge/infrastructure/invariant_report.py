"""What a check of the invariants found, in words a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sniperforge.domain.money import Address

Invariant = Literal["I1", "I2", "I3", "I4", "I5", "I6"]
"""The invariants a violation can name (ARCHITECTURE, section 2). I7 is an `Alert`; I8 is `secrets_scan`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that must not be, and is.

    Attributes:
        subject: What it is about: an intent, a signature, an asset.
        what: What is wrong, as one sentence without a full stop.
        fix: What a person does about it.
        evidence: The figures that were compared.
    """

    invariant: Invariant
    subject: str
    what: str
    fix: str
    evidence: Mapping[str, str | int]

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}: {self.what}. {self.fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """I7: something takes longer than it should. Not a fault: an outage does that."""

    subject: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"I7 {self.subject}: {self.what}. {self.fix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """How much a check has seen; a check of nothing proves nothing.

    Attributes:
        transactions: Finalized ones of the wallet, after its opening.
        landings: Those that are attempts of ours.
        in_flight: Finalized ones that the books are still allowed not to know; their change was taken from the chain.
        assets: Balances compared.
        uncountable: Tokens left out because there is more of them than the books can count.
    """

    transactions: int
    landings: int
    in_flight: int
    intents: int
    attempts: int
    fills: int
    lines: int
    assets: int
    uncountable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One check of one wallet.

    Attributes:
        node: Who was asked.
        slot: The finalized slot at which books and chain were compared.
    """

    wallet: Address
    node: str
    slot: int
    violations: tuple[Violation, ...]
    alerts: tuple[Alert, ...]
    looked_at: LookedAt

    @property
    def holds(self) -> bool:
        """No invariant is broken (there may be alerts)."""
        return not self.violations

    def __str__(self) -> str:
        seen = self.looked_at
        verdict = "every invariant holds" if self.holds else f"{len(self.violations)} violations"
        head = (
            f"{self.wallet} at finalized slot {self.slot} ({self.node}): {verdict}; looked at {seen.transactions} "
            f"transactions, {seen.intents} intents, {seen.attempts} attempts, {seen.fills} fills, {seen.lines} ledger "
            f"lines, {seen.assets} balances"
        )
        return "\n".join([head, *map(str, self.violations), *map(str, self.alerts)])
