"""Taking out the rules by which what the chain did is booked, and by which strangers are noticed."""

from __future__ import annotations

from tests.faults.planting import (
    ATTRIBUTION,
    CONTROLS,
    EXECUTOR,
    ORDER_LIFE,
    RECOVERY,
    RESTORED,
    SETTLEMENT,
    Change,
    legal,
    rule_out,
)

_NOW = "            now = self._clock.now()\n"
_UNCHANGED = "                return False\n"
_LIVE = f"            if current.state not in LIVE_ATTEMPT_STATES:\n{_UNCHANGED}{_NOW}"
_TAKEN_BACK = "        books.ledger.settle(attempt.signature, FillState.REVERSED)\n"
FINAL_EVIDENCE = (
    rule_out(
        "final-evidence",
        "confirmed is final",
        Change(
            EXECUTOR,
            "final = self._chain.transaction(attempt.signature, Commitment.FINALIZED)",
            "final = self._chain.transaction(attempt.signature, Commitment.CONFIRMED)",
        ),
    ),
    rule_out(
        "final-evidence",
        "the first booking is the last",
        Change(SETTLEMENT, "            self._book(books, intent, current, landed, FillState.FINAL, now)\n", ""),
    ),
    rule_out(
        "final-evidence",
        "amounts are not read again",
        Change(SETTLEMENT, "        amounts = _amounts(fresh)\n", "        amounts = _amounts(booked)\n"),
    ),
    rule_out(
        "final-evidence",
        "a fork leaves the fill",
        Change(
            SETTLEMENT,
            "            books.attempts.change(current, at=now, state=AttemptState.SENT)\n"
            "            _reverse(books, intent, current)\n",
            "            books.attempts.change(current, at=now, state=AttemptState.SENT)\n",
        ),
    ),
    rule_out(
        "final-evidence",
        "a fork leaves the ledger",
        Change(SETTLEMENT, _TAKEN_BACK, ""),
    ),
    rule_out(
        "final-evidence",
        "a fork leaves the position",
        Change(
            SETTLEMENT,
            _TAKEN_BACK + "        rebuild_positions(books, intent)\n",
            _TAKEN_BACK,
        ),
    ),
    rule_out(
        "final-evidence",
        "an error leaves the fill that a fork replaced",
        Change(
            SETTLEMENT,
            "            _reverse(books, intent, current)\n            self._lines(",
            "            self._lines(",
        ),
        Change(
            EXECUTOR,
            "            if self._was_taken_back(attempt):\n",
            "            if False:\n",
        ),
    ),
    rule_out(
        "final-evidence",
        "a node that lags takes back",
        Change(
            EXECUTOR,
            "return status is None and attempt.landed_slot is not None and slot > attempt.landed_slot",
            "return status is None and attempt.landed_slot is not None and slot > 0",
        ),
    ),
    rule_out(
        "final-evidence",
        "the dead are reopened at confirmed",
        Change(
            EXECUTOR,
            "landed = self._chain.transaction(attempt.signature, Commitment.FINALIZED)",
            "landed = self._chain.transaction(attempt.signature, Commitment.CONFIRMED)",
        ),
    ),
    rule_out(
        "final-evidence",
        "a confirmation is booked over EXPIRED",
        Change(
            SETTLEMENT,
            "if current.state not in (AttemptState.SIGNED, AttemptState.SENT):\n",
            "if current.state not in (AttemptState.SIGNED, AttemptState.SENT, AttemptState.EXPIRED):\n",
        ),
        legal("EXPIRED, CONFIRMED"),
    ),
    rule_out(
        "final-evidence",
        "a wrong proof is booked in silence",
        Change(
            SETTLEMENT,
            '        _tell(books, intent, attempt, "attempt.undead", reason, now, Severity.CRITICAL)\n',
            "",
        ),
    ),
    rule_out(
        "final-evidence",
        "a wrong proof halts nothing",
        Change(SETTLEMENT, "books.system.change(system, mode=TradingMode.HALTED,", "books.system.change(system,"),
    ),
    rule_out(
        "final-evidence",
        "the fee of a failed landing is not booked",
        Change(
            SETTLEMENT,
            "            _reverse(books, intent, current)\n"
            "            self._lines(books, current, landed, frozenset(), FillState.FINAL, now)\n",
            "            _reverse(books, intent, current)\n",
        ),
    ),
    rule_out(
        "final-evidence",
        "the fee of one that failed after its death is not booked",
        Change(
            SETTLEMENT,
            "            self._alarm(books, intent, current, now)\n"
            "            self._lines(books, current, landed, frozenset(), FillState.FINAL, now)\n",
            "            self._alarm(books, intent, current, now)\n",
        ),
    ),
)
BOOK_ONCE = (
    rule_out(
        "book-once",
        "a confirmation is booked twice",
        Change(
            SETTLEMENT,
            "            if current.state not in (AttemptState.SIGNED, AttemptState.SENT):\n"
            "                return None\n",
            "",
        ),
        legal("CONFIRMED, CONFIRMED"),
    ),
    rule_out(
        "book-once",
        "an end is booked twice",
        Change(
            SETTLEMENT,
            "            if current.state in (AttemptState.FINALIZED, AttemptState.REVERTED):\n" + _UNCHANGED,
            "",
        ),
        legal("FINALIZED, FINALIZED"),
    ),
    rule_out(
        "book-once",
        "an error is booked over a fill",
        Change(
            SETTLEMENT,
            _LIVE + "            books.attempts.change(\n                current,\n                at=now,\n"
            "                state=AttemptState.REVERTED,",
            _NOW + "            books.attempts.change(\n                current,\n                at=now,\n"
            "                state=AttemptState.REVERTED,",
        ),
        legal("FINALIZED, REVERTED"),
    ),
    rule_out(
        "book-once",
        "a fork takes back what is final",
        Change(
            SETTLEMENT,
            "            if current.state is not AttemptState.CONFIRMED:\n                return False\n",
            "",
        ),
        legal("FINALIZED, SENT"),
    ),
    rule_out(
        "book-once",
        "a death is booked over a fill",
        Change(
            SETTLEMENT,
            _LIVE + "            books.attempts.change(\n                current, at=now, state=AttemptState.EXPIRED",
            _NOW + "            books.attempts.change(\n                current, at=now, state=AttemptState.EXPIRED",
        ),
        legal("FINALIZED, EXPIRED"),
    ),
)
ONE_OWNER = (
    rule_out(
        "one owner",
        "a stranger's transaction halts nothing",
        Change(ATTRIBUTION, "            _halt(books, wallet, landed, lines, reason, now)\n", ""),
    ),
    rule_out(
        "one owner",
        "a stranger's transaction passes for a deposit",
        Change(
            ATTRIBUTION,
            "    if address in signers(landed):\n        return f",
            "    if not address:\n        return f",
        ),
    ),
    rule_out(
        "one owner",
        "a stranger's transaction passes for ours",
        Change(ATTRIBUTION, "if attempt is not None and attempt.wallet == address:", "if address in signers(landed):"),
        Change(ATTRIBUTION, "            _alarm_if_undead(books, attempt, landed, now)\n", ""),
    ),
    rule_out(
        "one owner",
        "nobody is told",
        Change(
            ATTRIBUTION,
            '            severity=Severity.CRITICAL,\n            message=f"{reason}; the',
            '            severity=Severity.INFO,\n            message=f"{reason}; the',
        ),
    ),
)
OLDER_BOOKS = (
    rule_out(
        "older books",
        "old writers are not fenced out",
        Change(EXECUTOR, "or system.epoch != intent.epoch or", "or system.epoch < 1 or"),
    ),
    rule_out(
        "older books",
        "no new epoch begins",
        Change(RECOVERY, "epoch=before.epoch + 1,", "epoch=before.epoch,"),
    ),
    rule_out(
        "older books",
        "trading goes on meanwhile",
        Change(RECOVERY, "mode=TradingMode.HALTED,", "mode=TradingMode.ACTIVE,"),
    ),
    rule_out(
        "older books",
        "what is in flight is not waited for",
        Change(RECOVERY, "        if height <= bound:\n", "        if height < 0:\n"),
    ),
    rule_out(
        "older books",
        "a block too early",
        Change(RECOVERY, "        if height <= bound:\n", "        if height < bound:\n"),
    ),
    rule_out(
        "older books",
        "the highest height ever seen is forgotten",
        Change(RECOVERY, "            books.system.saw_finalized_height(height)\n", ""),
    ),
    rule_out(
        "older books",
        "unread history is taken for none",
        Change(
            RECOVERY,
            "if self._reconciler.scan(wallet.address, whole=True).unread:",
            "if not self._reconciler.scan(wallet.address, whole=True):",
        ),
    ),
    rule_out(
        "older books",
        "only what is newer than the cursor is read",
        Change(RECOVERY, "whole=True", "whole=False"),
    ),
    rule_out(
        "older books",
        "nothing is parked",
        Change(
            RECOVERY,
            "                elif books.known_transactions.in_attribution(",
            "                elif epoch < 0 and books.known_transactions.in_attribution(",
        ),
    ),
    rule_out(
        "older books",
        "a parked trade cannot be ended",
        Change(
            EXECUTOR,
            "(IntentState.PENDING, IntentState.EXECUTING, IntentState.PARKED):\n                return found",
            "(IntentState.PENDING, IntentState.EXECUTING):\n                return found",
        ),
    ),
    rule_out(
        "older books",
        "a parked trade ends as if nothing had happened",
        Change(
            EXECUTOR,
            "            if intent.state is IntentState.PARKED:\n                code",
            "            if False:\n                code",
        ),
    ),
    rule_out(
        "older books",
        "an order fires again when its parked trade is ended",
        Change(
            ORDER_LIFE,
            "elif intent.state is IntentState.FAILED and",
            "elif intent.state in (IntentState.FAILED, IntentState.CANCELLED) and",
        ),
    ),
    rule_out("older books", "plans go on", Change(RECOVERY, "            _pause_plans(books, now)\n", "")),
    rule_out(
        "older books",
        "trading goes on before the trades are sorted",
        Change(RESTORED, "        if not self.is_sorted:\n", "        if not self.is_sorted and not is_known:\n"),
    ),
    rule_out(
        "older books",
        "trading goes on though nobody knows what is open",
        Change(RESTORED, "self.open_ends is not None and not is_known:", "self.open_ends is None and not is_known:"),
    ),
    rule_out(
        "older books",
        "open orders are not told of",
        Change(RESTORED, "orders=books.orders.open(MOST),", "orders=(),"),
    ),
    rule_out(
        "older books",
        "exits go on though nobody knows what is open",
        Change(
            CONTROLS,
            "None if mode is TradingMode.HALTED else restored(books)",
            "restored(books) if mode is TradingMode.ACTIVE else None",
        ),
    ),
    rule_out(
        "older books",
        "any other event hides a recovery",
        Change(RESTORED, "books.events.recent(1, kinds=(BEGAN, SORTED, ENDED))", "books.events.recent(1)"),
        Change(RESTORED, "newest is None or newest.kind == ENDED", "newest is None or newest.kind != SORTED"),
    ),
    rule_out(
        "older books",
        "a person is asked for ever",
        Change(CONTROLS, "                tell_ended(books, found, by=by, now=now)\n", ""),
    ),
    rule_out(
        "older books",
        "books that were not restored are sorted",
        Change(RECOVERY, "        if found is None:\n", "        if bool(found) and found is None:\n"),
    ),
)
RULES = (
    *FINAL_EVIDENCE,
    *BOOK_ONCE,
    *ONE_OWNER,
    *OLDER_BOOKS,
)
