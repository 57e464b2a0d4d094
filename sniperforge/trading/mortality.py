"""Proving that a transaction can never land.

Nothing becomes dead because time passed here, nor by any answer of `/execute` (rule *no-timeout*). Dead is proven by
one node, in this order (rules *height-then-status* and *controls*):

1. its finalized block height is past the attempt's own bound;
2. then, in one answer with the history searched, it does not know our signature, while it does know two finalized
   control signatures: one from before the attempt, one from after the bound. A node that lags, forgets or cannot reach
   its storage fails to know one of them, and then its answer says nothing.

When the value is large a second node must say the same.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from enum import StrEnum

from sniperforge.domain.ids import AttemptId
from sniperforge.domain.intent import Attempt
from sniperforge.domain.money import Address, Signature
from sniperforge.ports.chain import Chain, Commitment, PinnedNode
from sniperforge.ports.clock import Clock


class Fate(StrEnum):
    """What is known of a transaction that nobody has seen land."""

    UNKNOWN = "unknown"
    SEEN = "seen"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate, and why. For DEAD `evidence` is the proof as JSON: heights, slots, nodes, controls, time."""

    fate: Fate
    evidence: str


@dataclass(frozen=True, slots=True)
class _Absence:
    """One node's word that our signature does not exist where it must, if it ever landed."""

    node: str
    finalized_height: int
    answer_slot: int
    control_before: Signature
    control_after: Signature
    control_after_slot: int


class Mortality:
    """Judges whether attempts can still land.

    Args:
        chain: The nodes.
        clock: Only to date the proof.
        beacon: A busy address, whose finalized transactions are the controls.
    """

    def __init__(self, *, chain: Chain, clock: Clock, beacon: Address) -> None:
        self._chain = chain
        self._clock = clock
        self._beacon = beacon
        self._lock = threading.Lock()
        self._past_bound: dict[AttemptId, int] = {}

    def judge(self, attempt: Attempt, *, needs_second_node: bool) -> Verdict:
        """Whether this attempt is dead, was seen, or still may land. Node errors are passed on; they prove nothing."""
        if attempt.bound_block_height is None or attempt.control_signature is None:
            return Verdict(Fate.UNKNOWN, "it is bound to a nonce, or no control was known when it was signed")
        with self._chain.pinned() as node:
            first = self._ask(node, attempt)
        if isinstance(first, Verdict):
            return first
        witnesses = [first]
        if needs_second_node:
            with self._chain.pinned(other_than=first.node) as node:
                second = self._ask(node, attempt)
            if isinstance(second, Verdict):
                return second
            witnesses.append(second)
        with self._lock:
            self._past_bound.pop(attempt.id, None)
        return Verdict(Fate.DEAD, self._proof(attempt, witnesses))

    def _ask(self, node: PinnedNode, attempt: Attempt) -> _Absence | Verdict:
        # Height first, status after: asked the other way round, it could land between the two.
        height = node.block_height(Commitment.FINALIZED)
        bound, before = attempt.bound_block_height, attempt.control_signature
        if bound is None or before is None or height <= bound:
            return Verdict(Fate.UNKNOWN, f"finalized height {height} is not past {bound} at {node.node}")
        # A slot read after the height has at least that height, so whatever landed from it on is past the bound.
        # It is kept, because "now" moves on and the newest control would never catch up with it.
        past = self._first_slot_past_bound(attempt.id, node.slot(Commitment.FINALIZED))
        newest = node.signatures_for_address(self._beacon, limit=1, commitment=Commitment.FINALIZED)
        if not newest or newest[0].slot < past:
            return Verdict(Fate.UNKNOWN, f"no control from slot {past} on is known yet at {node.node}")
        after = newest[0].signature
        answer = node.signature_statuses([attempt.signature, before, after], search_history=True)
        ours, *controls = answer.statuses
        if ours is not None:
            return Verdict(Fate.SEEN, f"{ours.commitment.value} in slot {ours.slot} at {node.node}")
        if not all(control is not None and control.commitment is Commitment.FINALIZED for control in controls):
            return Verdict(Fate.UNKNOWN, f"{node.node} does not know the controls: its absence says nothing")
        return _Absence(node.node, height, answer.slot, before, after, newest[0].slot)

    def _first_slot_past_bound(self, attempt: AttemptId, slot: int) -> int:
        with self._lock:
            return self._past_bound.setdefault(attempt, slot)

    def _proof(self, attempt: Attempt, witnesses: list[_Absence]) -> str:
        return json.dumps(
            {
                "signature": attempt.signature,
                "blockhash": attempt.blockhash,
                "bound_block_height": attempt.bound_block_height,
                "proven_at": self._clock.now().isoformat(),
                "witnesses": [
                    {
                        "node": one.node,
                        "finalized_block_height": one.finalized_height,
                        "answer_slot": one.answer_slot,
                        "control_before": one.control_before,
                        "control_after": one.control_after,
                        "control_after_slot": one.control_after_slot,
                    }
                    for one in witnesses
                ],
            },
            sort_keys=True,
        )
