"""I5: at one finalized slot, the ledger adds up to the chain, to the last base unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sniperforge.domain.intent import DEAD_ATTEMPT_STATES
from sniperforge.errors import NodeUnavailableError
from sniperforge.infrastructure.books_view import OPENING, is_opening
from sniperforge.infrastructure.chain_truth import Landed
from sniperforge.infrastructure.checks_of_trades import fee_booked
from sniperforge.infrastructure.evidence import Evidence
from sniperforge.infrastructure.invariant_report import Violation
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind

_MEND = "Run `sniperforge reconcile`; if it stays, halt the wallet and compare the transaction line by line"


def ledger_adds_up(evidence: Evidence) -> Iterator[Violation]:
    """I5, transaction by transaction and then as a whole.

    The whole is told only where the transactions do not explain it already: one fault, one line.

    Raises:
        NodeUnavailableError: The books agree with the balances, but the node's history does not: it has forgotten
            transactions, and nothing can be said about them.
    """
    for landed in evidence.landed.values():
        if landed.signature not in evidence.in_flight:
            yield from _of_transaction(evidence, landed)
    yield from _lines_without_transaction(evidence)
    yield from _openings(evidence)
    yield from _whole(evidence)


def _of_transaction(evidence: Evidence, landed: Landed) -> Iterator[Violation]:
    lines = evidence.final_lines.get(landed.signature, ())
    real = landed.effect.by_asset()
    told_by_i2 = 0
    if landed.signature in evidence.attempts:
        attempt, _ = evidence.attempts[landed.signature]
        if not lines and attempt.state in DEAD_ATTEMPT_STATES and landed.transaction.err is None:
            return  # I2: it was taken for dead, so nothing of it can be booked
        if landed.transaction.err is not None:
            told_by_i2 = landed.effect.fee - fee_booked(evidence, landed)
    booked = _sums(lines)
    for asset in sorted({*real, *booked} - evidence.uncountable):
        difference = real.get(asset, 0) - booked.get(asset, 0) + (told_by_i2 if asset == NATIVE_SOL else 0)
        if difference:
            yield _violation(
                f"transaction {landed.signature}",
                f"it changed {asset} by {real.get(asset, 0)} base units, the ledger says {booked.get(asset, 0)}"
                if lines
                else f"it changed {asset} by {real.get(asset, 0)} base units and is not in the ledger",
                real_raw=real.get(asset, 0),
                booked_raw=booked.get(asset, 0),
            )
    yield from _kinds(evidence, landed, lines)
    for line in lines:
        if line.slot != landed.slot:
            yield _violation(
                f"transaction {landed.signature}",
                f"it landed in slot {landed.slot}, its {line.kind.value} line says {line.slot}",
                landed_slot=landed.slot,
                booked_slot=line.slot,
            )


def _kinds(evidence: Evidence, landed: Landed, lines: Sequence[LedgerEntry]) -> Iterator[Violation]:
    """Fees, tips and rent stand in lines of their own; a failed landing's fee is I2's."""
    if not lines or landed.transaction.err is not None or landed.signature not in evidence.attempts:
        return
    effect = landed.effect
    expected = {
        LedgerKind.FEE: -effect.fee,
        LedgerKind.TIP: -effect.tip,
        LedgerKind.RENT_PAID: -max(effect.rent, 0),
        LedgerKind.RENT_RETURNED: max(-effect.rent, 0),
        LedgerKind.WRAP: 0,
    }
    for kind, raw in expected.items():
        booked = sum(line.delta_raw for line in lines if line.kind is kind)
        if booked != raw:
            yield _violation(
                f"transaction {landed.signature}",
                f"its {kind.value} is {raw} lamports, the ledger says {booked}",
                real_raw=raw,
                booked_raw=booked,
            )


def _lines_without_transaction(evidence: Evidence) -> Iterator[Violation]:
    for source, lines in evidence.final_lines.items():
        if source == OPENING or source in evidence.landed:
            continue
        slots = {line.slot for line in lines}
        if min(slots) <= evidence.opening.slot:
            yield _violation(
                f"transaction {source}",
                f"its slot {min(slots)} is part of the opening balance of slot {evidence.opening.slot} already",
            )
        elif min(slots) <= evidence.truth.slot and evidence.history_is_whole:
            yield _violation(f"transaction {source}", f"it is in the ledger at slot {min(slots)} and not on the chain")


def _openings(evidence: Evidence) -> Iterator[Violation]:
    slots = {line.slot for line in evidence.books.lines if is_opening(line)}
    if len(slots) > 1:
        yield _violation(f"source {OPENING}", f"it is of several slots ({', '.join(map(str, sorted(slots)))})")
    for line in evidence.final_lines.get(OPENING, ()):
        if not is_opening(line):
            yield _violation(f"source {OPENING}", f"a {line.kind.value} line of {line.asset} has no transaction")


def _whole(evidence: Evidence) -> Iterator[Violation]:
    booked = Counter(evidence.opening.balances)
    for source, lines in evidence.final_lines.items():
        if source != OPENING and (source in evidence.landed or min(one.slot for one in lines) <= evidence.truth.slot):
            booked.update(_sums(lines))
    for signature in evidence.in_flight:
        booked.update(evidence.landed[signature].effect.by_asset())
    for asset, missing in sorted(evidence.unexplained.items()):
        on_chain = evidence.truth.balances.get(asset, 0)
        if booked[asset] == on_chain:
            raise NodeUnavailableError(
                f"its history explains {on_chain - missing} of {on_chain} base units of {asset}; the books explain all",
                subject=evidence.truth.node,
                fix="It has forgotten transactions. Check with a node that has the whole history",
            )
        yield _violation(
            f"balance of {asset}",
            f"at slot {evidence.truth.slot} the chain has {on_chain} base units and the ledger {booked[asset]}; no "
            f"transaction since the opening explains {missing} of them",
            chain_raw=on_chain,
            booked_raw=booked[asset],
        )


def _sums(lines: Sequence[LedgerEntry]) -> Mapping[Asset, int]:
    total: Counter[Asset] = Counter()
    for line in lines:
        total[line.asset] += line.delta_raw
    return total


def _violation(subject: str, what: str, **figures: int) -> Violation:
    return Violation(invariant="I5", subject=subject, what=what, fix=_MEND, evidence=dict(figures))
