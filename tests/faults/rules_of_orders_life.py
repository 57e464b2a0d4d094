"""Taking out the rules by which legs follow their trades, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import EXECUTOR, ORDER_LIFE, PAPER, SETTLEMENT, Change, order_rule

_NEVER = "        if self is None:\n"
_AT_ONE = "at_every_commit_an_order_and_its_trades_say_the_same"
IN_THE_SAME_COMMIT = (
    order_rule(
        "the other leg ends in a later commit than the fill is final",
        _AT_ONE,
        Change(
            SETTLEMENT,
            "            follow(books, _recompute(books, intent, now), now, is_final=True)\n",
            "            filled = _recompute(books, intent, now)\n",
        ),
        Change(
            SETTLEMENT,
            '            _tell(books, intent, current, "attempt.finalized", f"final in slot {landed.slot}", now)\n',
            '            _tell(books, intent, current, "attempt.finalized", f"final in slot {landed.slot}", now)\n'
            "        with self._store.write() as books:\n            follow(books, filled, now, is_final=True)\n",
        ),
    ),
    order_rule(
        "a leg hears of its fill when that is final",
        _AT_ONE,
        Change(SETTLEMENT, "    follow(books, changed, now)\n", ""),
    ),
    order_rule(
        "a leg hears nothing of a trade that ended without a fill",
        "a_stop_whose_trade_failed_fires_again_under_a_new_key_until_it_fills",
        Change(EXECUTOR, "        follow(books, ended, now)\n", ""),
    ),
    order_rule(
        "a leg hears nothing of a fill on paper",
        "an_order_is_filled_with_its_trade_on_paper",
        Change(PAPER, "            follow(books, filled, now, is_final=True)\n", ""),
    ),
    order_rule(
        "a leg hears nothing of a trade on paper that failed",
        "an_order_fires_again_when_its_trade_on_paper_failed",
        Change(PAPER, "    follow(books, ended, now)\n", ""),
    ),
)
LANDED = (
    order_rule(
        "the exits come after the entry's fill",
        "a_bracket_has_its_exits_from_the_commit_in_which_its_entry_filled",
        Change(
            ORDER_LIFE,
            "                self._begin_exits(intent)\n                if self._order.state is not OrderState.OPEN:\n",
            "                if self._order.state is not OrderState.OPEN:\n",
        ),
    ),
    order_rule(
        "exits sell what a fork took back",
        "exits_sell_what_a_second_attempt_of_the_entry_brought",
        Change(ORDER_LIFE, " if fill.state is not FillState.REVERSED\n", "\n"),
    ),
    order_rule(
        "exits keep the amount that the first sight of a fill told",
        "exits_sell_what_the_entry_brought_in_the_end",
        Change(ORDER_LIFE, " and leg.amount.value != brought:", " and leg.amount.value < 0:"),
    ),
    order_rule(
        "the other leg ends with a fill that is not final",
        "the_leg_that_fires_suspends_the_other_and_its_final_fill_cancels_it",
        Change(ORDER_LIFE, "        if not is_final:\n            return\n", ""),
    ),
    order_rule(
        "an entry that lands unprotected is not told",
        "an_entry_that_lands_again_after_its_order_was_cancelled_is_said_to_be_unprotected",
        Change(ORDER_LIFE, '                    self._tell("order.unprotected", told, Severity.WARNING)\n', ""),
    ),
    order_rule(
        "what the entry bought is unprotected when its time is over",
        "the_time_of_a_bracket_is_that_of_its_entry",
        Change(
            ORDER_LIFE,
            "        if self._order.expires_at is not None:\n            # It was",
            "        if self is None:\n            # It was",
        ),
    ),
    order_rule(
        "an entry that filled was cancelled all the same",
        "cancelling_a_bracket_whose_entry_is_under_way_never_leaves_it_unprotected",
        Change(ORDER_LIFE, "        if begun and self._order.cancel_requested_at is not None:\n", _NEVER),
    ),
    order_rule(
        "a trade that was called dead lands in silence",
        "a_trade_that_was_called_dead_and_lands_is_told_and_fills_its_leg",
        Change(ORDER_LIFE, '            self._tell("order.undead", told, Severity.CRITICAL)\n', ""),
    ),
    order_rule(
        "a leg fires that is filled",
        "a_trade_that_was_called_dead_and_lands_is_told_and_fills_its_leg",
        Change(
            ORDER_LIFE,
            "            self._drop_triggers([self._leg.name])\n            self._change(LegState.FILLED",
            "            self._change(LegState.FILLED",
        ),
    ),
)
TAKEN_BACK = (
    order_rule(
        "a fork leaves the leg filled",
        "a_fork_that_takes_the_fill_back_keeps_the_other_leg_suspended_until_the_trade_ends",
        Change(
            ORDER_LIFE,
            "elif intent.state in _UNDER_WAY and self._leg.state is LegState.FILLED:",
            "elif intent.state in () and self._leg.state is LegState.FILLED:",
        ),
    ),
    order_rule(
        "a fork leaves exits of what was not bought",
        "a_bracket_whose_entry_lost_its_fill_to_a_fork_takes_its_exits_back",
        Change(
            ORDER_LIFE,
            "            if self._leg.name is LegName.ENTRY:\n                self._take_exits_back()\n",
            "",
        ),
    ),
    order_rule(
        "an exit that waits sells what was not bought",
        "an_exit_that_waits_to_fire_again_goes_back_as_well",
        Change(
            ORDER_LIFE,
            "            if leg.state in (LegState.ARMED, LegState.WAITING):\n",
            "            if leg.state is LegState.ARMED:\n",
        ),
    ),
    order_rule(
        "a fork buys for an order that was cancelled",
        "nothing_is_signed_for_a_cancelled_order_when_a_fork_takes_its_fill_back",
        Change(ORDER_LIFE, "        if (cancelled or self._live_exits()) and", "        if self._live_exits() and"),
    ),
    order_rule(
        "a fork buys what the exit sold already",
        "a_bracket_whose_entry_was_taken_back_after_its_exit_fired_ends_when_both_are_known",
        Change(ORDER_LIFE, "        if (cancelled or self._live_exits()) and", "        if cancelled and"),
    ),
    order_rule(
        "an exit ends its order before it is known what becomes of the entry",
        "a_bracket_whose_entry_was_taken_back_after_its_exit_fired_ends_when_both_are_known",
        Change(
            ORDER_LIFE,
            "        if entry is None or entry.state is not LegState.FIRED:\n",
            "        if entry is None or entry:\n",
        ),
    ),
    order_rule(
        "an entry that landed again leaves its order open",
        "a_bracket_whose_entry_lands_again_after_its_exit_is_final_is_filled",
        Change(
            ORDER_LIFE,
            "            if any(self._is_final(leg) for leg in self._live_exits()):\n",
            "            if self is None:\n",
        ),
    ),
    order_rule(
        "an order ends while its exit is under way",
        "an_exit_that_outlives_its_entry_ends_the_order",
        Change(
            ORDER_LIFE,
            "        live = self._live_exits()\n        if not live:\n",
            "        live = self._live_exits()\n        if live is not None:\n",
        ),
    ),
    order_rule(
        "an entry that is dead after its exit filled leaves the order open",
        "a_bracket_whose_entry_was_taken_back_after_its_exit_fired_ends_when_both_are_known",
        Change(ORDER_LIFE, "        elif any(self._is_final(leg) for leg in live):\n", "        elif self is None:\n"),
    ),
    order_rule(
        "an exit that failed sells what its entry did not bring",
        "an_exit_that_fails_after_its_entry_was_taken_back_sells_nothing_more",
        Change(
            ORDER_LIFE,
            "        if self._lacks_its_entry():\n",
            _NEVER,
        ),
    ),
    order_rule(
        "an exit that failed fires again though its entry is dead",
        "an_exit_that_fails_after_its_entry_was_proven_dead_ends_the_order",
        Change(ORDER_LIFE, "        if entry is not None and entry.state is LegState.CANCELLED:\n", _NEVER),
    ),
    order_rule(
        "an entry that failed is tried again though its exit fired",
        "an_entry_that_fails_after_its_exit_fired_is_not_tried_again",
        Change(
            ORDER_LIFE,
            "        if self._live_exits():\n            self._change(LegState.CANCELLED, reason=because)\n",
            "        if self is None:\n            self._change(LegState.CANCELLED, reason=because)\n",
        ),
    ),
)
FAILED = (
    order_rule(
        "an order that was cancelled fires again",
        "a_trade_that_fails_after_its_order_was_cancelled_ends_the_order",
        Change(
            ORDER_LIFE,
            "        if self._order.cancel_requested_at is not None:\n            self._cancelled(",
            "        if self is None:\n            self._cancelled(",
        ),
    ),
    order_rule(
        "an order ends with its exit though its entry may land again",
        "an_exit_that_is_cancelled_while_its_entry_may_land_again_leaves_the_order_open",
        Change(ORDER_LIFE, "if not self._lacks_its_entry():", "if self._leg:"),
    ),
    order_rule(
        "an order whose exit was cancelled does not end with its entry",
        "an_exit_that_was_cancelled_ends_the_order_once_its_entry_is_dead",
        Change(ORDER_LIFE, "elif any(self._is_final(leg) for leg in live):", "elif any(live):"),
        Change(
            ORDER_LIFE,
            "        if not live:\n            self._end(state, reason)",
            "        if self is None:\n            self._end(state, reason)",
        ),
    ),
    order_rule(
        "nobody is told that an exit was cancelled too late",
        "an_exit_that_is_cancelled_while_its_entry_may_land_again_leaves_the_order_open",
        Change(
            ORDER_LIFE,
            "        if self._order.cancel_requested_at is None:\n            self._order = self._books",
            "        if self is None:\n            self._order = self._books",
        ),
    ),
    order_rule(
        "an order fires again after its time",
        "a_trade_that_fails_after_the_time_of_its_order_ends_it",
        Change(
            ORDER_LIFE,
            "        if self._order.expires_at is not None and self._order.expires_at <= self._now:\n",
            _NEVER,
        ),
    ),
    order_rule(
        "the pause does not double",
        "the_pause_before_a_leg_fires_again_doubles_up_to_a_minute",
        Change(ORDER_LIFE, "FIRST_PAUSE * 2 ** min(self._leg.firings - 1, 6)", "FIRST_PAUSE"),
    ),
    order_rule(
        "the pause doubles for ever",
        "the_pause_before_a_leg_fires_again_doubles_up_to_a_minute",
        Change(
            ORDER_LIFE,
            "min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._leg.firings - 1, 6))",
            "FIRST_PAUSE * 2 ** min(self._leg.firings - 1, 6)",
        ),
    ),
    order_rule(
        "the other leg stays suspended",
        "the_other_leg_is_watched_again_when_the_trade_failed",
        Change(ORDER_LIFE, "        self._release_siblings()\n        if self._lacks", "        if self._lacks"),
    ),
    order_rule(
        "a leg that was due is only watched again",
        "the_other_leg_is_watched_again_when_the_trade_failed",
        Change(ORDER_LIFE, "LegState.ARMED if leg.refire_at is None else LegState.WAITING", "LegState.ARMED"),
    ),
    order_rule(
        "a leg that is armed again has triggers that cannot fire",
        "a_price_beyond_the_other_leg_while_it_is_suspended_does_not_use_it_up",
        Change(
            ORDER_LIFE,
            "                self._books.triggers.arm(_triggers_of(self._books, leg.order_id, [leg.name]))\n",
            "",
        ),
    ),
    order_rule(
        "a failure is not told",
        "a_stop_whose_trade_failed_fires_again_under_a_new_key_until_it_fills",
        Change(ORDER_LIFE, '        self._tell("order.fires_again", told, Severity.WARNING)\n', ""),
    ),
    order_rule(
        "a trade that a person cancelled leaves its order open",
        "a_trade_cancelled_by_hand_ends_its_order_loudly",
        Change(
            ORDER_LIFE,
            "        elif intent.state is IntentState.CANCELLED and self._leg.state is LegState.FIRED:\n",
            "        elif intent.state is IntentState.CANCELLED and self is None:\n",
        ),
    ),
    order_rule(
        "a leg follows an earlier trade of it",
        "what_becomes_of_an_earlier_trade_leaves_the_leg_alone",
        Change(ORDER_LIFE, "        elif firing != self._leg.firings - 1:\n", "        elif firing < 0:\n"),
    ),
    order_rule(
        "the other leg's triggers fire while it is suspended",
        "a_price_beyond_the_other_leg_while_it_is_suspended_does_not_use_it_up",
        Change(ORDER_LIFE, "            books.triggers.hold(_triggers_of(books, other.order_id, [other.name]))\n", ""),
    ),
    order_rule(
        "a leg fires beside a live trade of the other",
        "a_leg_does_not_fire_beside_a_live_trade_of_the_other",
        Change(
            ORDER_LIFE,
            "        if other.state in LIVE_LEG_STATES:\n            raise",
            "        if books is None:\n            raise",
        ),
    ),
    order_rule(
        "an order that ended has legs that wait",
        "a_trade_cancelled_by_hand_ends_the_other_leg_as_well",
        Change(
            ORDER_LIFE,
            "        end_idle_legs(self._books, self._order.id, self._now)\n        if self._order.state is not state:",
            "        if self._order.state is not state:",
        ),
    ),
    order_rule(
        "an order that ended has triggers",
        "cancelling_takes_an_order_out_of_reach",
        Change(ORDER_LIFE, "    drop_triggers(books, order, [leg.name for leg in idle])\n", ""),
    ),
)
CANCELLED = (
    order_rule(
        "an order whose trade is parked is cancelled",
        "an_order_whose_trade_is_parked_ends_with_that_trade_and_says_so",
        Change(ORDER_LIFE, "    if parked is not None:\n", "    if books is None:\n"),
    ),
    order_rule(
        "an order that is cancelled stays in reach",
        "a_decided_trade_that_is_not_signed_ends_with_its_order",
        Change(
            ORDER_LIFE,
            "    if not waits_for_entry:\n        end_idle_legs(books, order_id, now)\n",
            "",
        ),
    ),
    order_rule(
        "an entry under way loses its exits",
        "cancelling_a_bracket_whose_entry_is_under_way_never_leaves_it_unprotected",
        Change(ORDER_LIFE, "    if not waits_for_entry:\n", "    if legs:\n"),
    ),
    order_rule(
        "an order ends before its trade",
        "a_decided_trade_that_is_not_signed_ends_with_its_order",
        Change(
            ORDER_LIFE,
            "    if under_way or any(leg.name is not LegName.ENTRY for leg in live):\n",
            "    if books is None:\n",
        ),
    ),
    order_rule(
        "the trade of an order goes on",
        "a_decided_trade_that_is_not_signed_ends_with_its_order",
        Change(
            ORDER_LIFE,
            "            books.intents.change(intent, at=now, cancel_requested_at=now)\n    waits",
            "            pass\n    waits",
        ),
    ),
    order_rule(
        "what fired in this moment is cancelled by what was read before",
        "cancelling_on_legs_that_changed_before_the_order_was_locked_is_asked_again",
        Change(
            ORDER_LIFE,
            '        raise ConflictError("it fired or its trade ended',
            '        order_id or ConflictError("it fired or its trade ended',
        ),
    ),
    order_rule(
        "what ended is cancelled again",
        "cancelling_takes_an_order_out_of_reach",
        Change(
            ORDER_LIFE,
            "    if order.state is not OrderState.OPEN:\n        raise",
            "    if books is None:\n        raise",
        ),
    ),
)
RULES = (*IN_THE_SAME_COMMIT, *LANDED, *TAKEN_BACK, *FAILED, *CANCELLED)
