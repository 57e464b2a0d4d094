"""Taking out the rules that hold until a transaction is sent."""

from __future__ import annotations

from tests.faults.planting import (
    DECISIONS,
    EXECUTOR,
    GUARD,
    PREPARATION,
    Change,
    Planted,
    rule_out,
)

_INSERT = (
    "        with self._store.write() as books:\n            current = _locked(books, intent.id)\n"
    "            if current.version != intent.version or"
)
PERSIST_FIRST = (
    rule_out(
        "persist-first",
        "sent before it is committed",
        Change(
            EXECUTOR,
            '        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
            '        self._chain.send(signed)\n        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
        ),
    ),
    rule_out(
        "persist-first",
        "the signed bytes are simulated",
        Change(
            EXECUTOR,
            '        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
            "        self._chain.simulate(signed)\n"
            '        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
        ),
    ),
    rule_out(
        "persist-first",
        "sent after a commit whose outcome is unknown",
        Change(
            EXECUTOR,
            _INSERT,
            "        from contextlib import suppress\n\n"
            + _INSERT.replace("with ", "with suppress(CommitOutcomeUnknownError), "),
        ),
    ),
    rule_out(
        "persist-first",
        "sent after a commit that was refused",
        Change(
            EXECUTOR,
            _INSERT,
            "        from contextlib import suppress\n\n" + _INSERT.replace("with ", "with suppress(RetryableError), "),
        ),
    ),
)
FENCE_INSERT = (
    rule_out(
        "fence-insert",
        "the claim is not looked at again",
        Change(EXECUTOR, "if current.version != intent.version or current.state", "if current.state"),
    ),
    rule_out(
        "fence-insert",
        "an intent that is not EXECUTING any more is inserted for",
        Change(
            EXECUTOR,
            "if current.version != intent.version or current.state is not IntentState.EXECUTING:",
            "if current.state is IntentState.EXECUTING and current.version != intent.version:",
        ),
    ),
    rule_out(
        "fence-insert",
        "a deadline that passed meanwhile",
        Change(
            EXECUTOR,
            "            if current.deadline_at <= now:\n                raise ConflictError",
            "            if current.deadline_at == now:\n                raise ConflictError",
        ),
    ),
    rule_out(
        "fence-insert",
        "a halt meanwhile",
        Change(
            EXECUTOR,
            " or stopped_by(system, wallet, current.effect) is not None:",
            ":",
        ),
    ),
    rule_out(
        "fence-insert",
        "a halt before the claim",
        Change(
            EXECUTOR,
            "waiting = stop_reason(books, intent.wallet, intent.effect)",
            "waiting = None if books else stop_reason(books, intent.wallet, intent.effect)",
        ),
    ),
    rule_out(
        "fence-insert",
        "a new epoch meanwhile",
        Change(EXECUTOR, "or system.epoch != intent.epoch or", "or system.epoch < 1 or"),
    ),
    rule_out(
        "fence-insert",
        "nothing is reserved",
        Change(
            EXECUTOR,
            "            reserve(books, attempt, prepared.need, balances=prepared.balances, at=now)\n",
            "",
        ),
    ),
    rule_out(
        "fence-insert",
        "a request to cancel is overlooked",
        Change(
            EXECUTOR,
            '        if intent.cancel_requested_at is not None:\n            code, told = "cancelled"',
            "        if intent.cancel_requested_at is None and intent.version < 0:\n"
            '            code, told = "cancelled"',
        ),
    ),
)
ONE_LIVE = (
    Planted(
        "one live: the index takes two",
        (
            Change(
                "sniperforge/storage/migrations/versions/0001_initial.py",
                '        unique=True,\n        sqlite_where=sa.text("nonce_account IS NULL AND',
                '        unique=False,\n        sqlite_where=sa.text("nonce_account IS NULL AND',
            ),
        ),
        "partial_index_alone",
    ),
    rule_out(
        "one live",
        "one is overlooked, in books that take two",
        Change(EXECUTOR, "        if live is not None:\n", "        if live is not None and live.number > 9:\n"),
        Change(
            EXECUTOR,
            "        if any(attempt.state in LIVE_ATTEMPT_STATES for attempt in books.attempts.of_intent(intent.id)):\n"
            '            raise ConflictError("it has a live attempt", subject=intent.id)\n',
            "",
        ),
        Change("tests/fakes/store.py", "other.state in LIVE_ATTEMPT_STATES and not same_nonce", "not attempt"),
    ),
)
DECIDE_ONCE = (
    rule_out(
        "decide-once",
        "the same key is decided again",
        Change(
            DECISIONS,
            "    known = books.intents.get_by_key(request.key)\n    if known is not None:\n",
            "    known = books.intents.get_by_key(request.key)\n    if known is not None and known.version < 0:\n",
        ),
    ),
    rule_out(
        "decide-once",
        "other terms pass for the same",
        Change(DECISIONS, "        if not _same_terms(known, request):\n", "        if not known:\n"),
    ),
)
_BOUND = "max(order.last_valid_block_height or 0, view.block_height + BLOCKHASH_LIFE_BLOCKS)"
OWN_BOUND = (
    rule_out("own-bound", "the API's number alone", Change(PREPARATION, _BOUND, "order.last_valid_block_height or 0")),
    rule_out("own-bound", "our number alone", Change(PREPARATION, _BOUND, "view.block_height + BLOCKHASH_LIFE_BLOCKS")),
    rule_out(
        "own-bound",
        "a block less",
        Change(PREPARATION, "view.block_height + BLOCKHASH_LIFE_BLOCKS", "view.block_height + 149"),
    ),
    rule_out(
        "own-bound",
        "a blockhash that our node does not call valid",
        Change(PREPARATION, "    if not view.blockhash_valid:", "    if view.slot < 0:"),
    ),
)
NO_UNDYING = (
    rule_out(
        "no-undying",
        "a nonce is signed for",
        Change(
            GUARD,
            "if transaction.durable_nonce is not None:",
            "if transaction.durable_nonce is not None and transaction.version == 1:",
        ),
    ),
)
RULES = (
    *PERSIST_FIRST,
    *FENCE_INSERT,
    *ONE_LIVE,
    *DECIDE_ONCE,
    *OWN_BOUND,
    *NO_UNDYING,
)
