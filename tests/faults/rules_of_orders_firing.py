"""Taking out the rules by which legs of orders are watched and fire, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import ORDER_ARMING, ORDER_FIRING, ORDER_LEGS, TRIGGER, Change, order_rule

_DROPPED = "        drop_triggers(books, order.id, [leg.name])\n        intent, _ ="
STEADY = (
    order_rule(
        "a trail follows one print",
        "one_value_alone_moves_no_trail and sqlite",
        Change(
            TRIGGER, "return min(value, before) if direction is Direction.DOWN else max(value, before)", "return value"
        ),
    ),
    order_rule(
        "two prints an hour apart are in a row",
        "a_count_from_before_a_standstill_confirms_nothing_after_it",
        Change(TRIGGER, "IN_A_ROW_WITHIN = timedelta(minutes=10)", "IN_A_ROW_WITHIN = timedelta(minutes=70)"),
    ),
    order_rule(
        "trails follow what lies before a standstill",
        "values_that_a_standstill_lies_between_are_not_in_a_row and sqlite",
        Change(TRIGGER, "return seen_at is not None and at - seen_at <= IN_A_ROW_WITHIN", "return seen_at is not None"),
    ),
)
WATCHING = (
    order_rule(
        "an activation is reached from the side of its trail",
        "an_activation_is_reached_from_the_other_side",
        Change(ORDER_ARMING, "direction=_other(rule.direction), level=", "direction=rule.direction, level="),
    ),
    order_rule(
        "an activation fires the leg",
        "a_trailing_stop_with_an_activation_begins_there",
        Change(ORDER_ARMING, "and number == _ACTIVATION:", "and number < _ACTIVATION:"),
    ),
    order_rule(
        "a trail begins at its activation, not at the price that reached it",
        "a_trailing_stop_with_an_activation_begins_there",
        Change(
            ORDER_ARMING,
            "next=Arming((_trailing(leg, rule, _value(values, rule.subject)),))",
            "next=Arming((_trailing(leg, rule, rule.activation),))",
        ),
    ),
    order_rule(
        "a trail needs one price behind it",
        "a_trail_turns_at_the_second_price_in_a_row_beyond_it",
        Change(
            ORDER_ARMING,
            "        confirmations=leg.confirmations,\n        trail_bps=",
            "        confirmations=1,\n        trail_bps=",
        ),
    ),
    order_rule(
        "a level needs one price beyond it",
        "a_take_profit_fires_at_the_second_as_well",
        Change(
            ORDER_ARMING,
            "        confirmations=leg.confirmations,\n        level=",
            "        confirmations=1,\n        level=",
        ),
    ),
    order_rule(
        "a condition that was confirmed once counts for ever",
        "a_condition_that_does_not_hold_any_more_counts_for_nothing",
        Change(ORDER_ARMING, "confirmed | 1 << place if all(holding) else 0", "confirmed | 1 << place"),
    ),
    order_rule(
        "conditions fire that were not confirmed",
        "one_bad_price_fulfils_no_condition",
        Change(ORDER_ARMING, "    if confirmed == (1 << len(rule.crossings)) - 1:", "    if all(holding):"),
    ),
    order_rule(
        "a condition that was confirmed is watched again",
        "a_condition_whose_price_stays_away_makes_room_and_begins_anew",
        Change(ORDER_ARMING, "next(place for place in places if not confirmed >> place & 1)", "next(iter(places))"),
    ),
    order_rule(
        "conditions that only have to be asked for can fire",
        "all_conditions_must_hold_at_one_look_and_each_be_confirmed",
        Change(
            ORDER_ARMING,
            "        (_on(leg, crossings[watched], base + watched),),\n"
            "        tuple(_on(leg, crossings[place], base + place) for place in places if place != watched),\n",
            "        tuple(_on(leg, crossings[place], base + place) for place in places),\n",
        ),
    ),
    order_rule(
        "any condition is all of them",
        "any_condition_is_enough",
        Change(
            ORDER_ARMING,
            "    if not isinstance(rule, Condition) or not rule.needs_all:\n        return Verdict",
            "    if not isinstance(rule, Condition):\n        return Verdict",
        ),
    ),
    order_rule(
        "a trail that fired in vain waits for its activation again",
        "a_trail_that_fired_in_vain_begins_at_the_price_of_now_and_not_at_its_activation",
        Change(
            ORDER_ARMING,
            "    if isinstance(leg.rule, Trail):\n        return Arming(",
            "    if isinstance(leg.rule, Trail) and leg.rule.activation is None:\n        return Arming(",
        ),
    ),
)
FIRING = (
    order_rule(
        "a trigger that was armed anew fires on what was seen before",
        "a_trigger_that_was_armed_anew_since_it_fired_does_not_fire_on_what_was_seen_before",
        Change(ORDER_FIRING, "if known is None or known.state is not TriggerState.FIRED:", "if known is None:"),
    ),
    order_rule(
        "a leg fires whatever its state",
        "a_leg_that_is_not_armed_does_not_fire_whatever_the_book_of_triggers_says",
        Change(
            ORDER_FIRING,
            "if order is None or leg is None or leg.state is not LegState.ARMED:",
            "if order is None or leg is None:",
        ),
    ),
    order_rule(
        "the key has no number",
        "a_stop_whose_trade_failed_fires_again_under_a_new_key_until_it_fills",
        Change(ORDER_FIRING, "order_key(order.id, leg.name, leg.firings)", "order_key(order.id, leg.name, 0)"),
    ),
    order_rule(
        "the other leg is suspended later",
        "the_leg_that_fires_suspends_the_other_and_its_final_fill_cancels_it",
        Change(ORDER_FIRING, "        suspend_siblings(books, leg, now)\n", ""),
    ),
    order_rule(
        "triggers outlive the firing",
        "a_leg_that_fires_leaves_none_of_its_triggers_in_the_book",
        Change(ORDER_FIRING, _DROPPED, "        intent, _ ="),
    ),
    order_rule(
        "the trigger is gone a commit before its trade is decided",
        "a_crash_after_any_commit_of_a_firing_leaves_the_trade_decided_or_the_trigger_fired",
        Change(
            ORDER_FIRING,
            "is_new=is_new)\n        with self._store.write() as books:\n            order = _locked(books, order)\n",
            "is_new=is_new)\n        with self._store.write() as books:\n"
            "            known = books.triggers.get(view.trigger.id)\n"
            "            books.triggers.remove([view.trigger.id])\n"
            "        with self._store.write() as books:\n            order = _locked(books, order)\n",
        ),
        Change(
            ORDER_FIRING,
            "            known = books.triggers.get(view.trigger.id)\n            if known is None or",
            "            if known is None or",
        ),
    ),
    order_rule(
        "a trigger that only says what to watch next stays",
        "a_trail_that_began_goes_on_and_another_activation_begins_it_anew",
        Change(
            ORDER_FIRING,
            "                drop_triggers(books, order_id, [leg.name])\n                put_into_book(books, verdict",
            "                put_into_book(books, verdict",
        ),
    ),
    order_rule(
        "a gap is not told",
        "how_far_beyond_its_level_it_fired_is_said",
        Change(ORDER_FIRING, "if (leg.gap_bps or 0) >= GAP_BPS else", "if (leg.gap_bps or 0) >= WHOLE_BPS else"),
    ),
    order_rule(
        "every fill has gapped",
        "a_value_that_is_hardly_beyond_its_level_has_not_gapped",
        Change(ORDER_FIRING, "GAP_BPS = 50\n", "GAP_BPS = 40\n"),
    ),
    order_rule(
        "an entry at once has gapped",
        "a_bracket_that_enters_at_once_ends_with_the_exit_that_fires",
        Change(ORDER_FIRING, "None if waits_for_nothing(leg.rule) else _gap_bps(view)", "_gap_bps(view)"),
    ),
)
FIRING_AGAIN = (
    order_rule(
        "a stop fires again only at its price",
        "a_leg_that_waits_fires_again_when_it_is_due",
        Change(ORDER_FIRING, "if denied is None and not gets_out(order, current):", "if denied is None:"),
    ),
    order_rule(
        "everything fires again at any price",
        "what_waited_for_a_price_that_has_gone_is_watched_again",
        Change(ORDER_FIRING, "if denied is None and not gets_out(order, current):", "if denied == str(order):"),
    ),
    order_rule(
        "a stop that buys fires again at any price",
        "a_trail_that_buys_and_failed_begins_anew",
        Change(ORDER_LEGS, "leg.effect is ExposureEffect.EXIT and (order.kind in STOPS", "(order.kind in STOPS"),
    ),
    order_rule(
        "the stop of a pair fires again only at its price",
        "the_stop_of_a_pair_fires_again_whatever_the_price_is",
        Change(ORDER_LEGS, "(order.kind in STOPS or leg.name is LegName.STOP)", "order.kind in STOPS"),
    ),
    order_rule(
        "a trail that buys goes on where it was",
        "a_trail_that_buys_and_failed_begins_anew",
        Change(
            ORDER_ARMING,
            "    if isinstance(rule, Trail):\n        return False",
            "    if isinstance(rule, Trail):\n        return True",
        ),
    ),
    order_rule(
        "any of several conditions has to be all when it fires again",
        "one_condition_that_is_still_so_is_enough_to_fire_again",
        Change(ORDER_ARMING, "if isinstance(rule, Condition) and not rule.needs_all:", "if rule is None:"),
    ),
    order_rule(
        "any of several conditions does not count while another one has no price",
        "any_condition_that_is_known_to_hold_is_enough_to_fire_again",
        Change(ORDER_ARMING, "any(_holding(known, values)) or any(", "any("),
    ),
    order_rule(
        "a condition without a price does not hold",
        "any_condition_may_hold_while_one_of_them_has_no_price",
        Change(
            ORDER_ARMING,
            "any(_holding(known, values)) or any(_holding(rule.crossings, values))",
            "any(_holding(known, values))",
        ),
    ),
    order_rule(
        "what is armed again has no trigger",
        "what_waited_for_a_price_that_has_gone_is_watched_again",
        Change(
            ORDER_FIRING,
            "    put_into_book(books, arming, now)\n    told = ",
            "    told = ",
        ),
    ),
    order_rule(
        "a leg that is due fires twice",
        "a_leg_that_is_due_fires_again_once_whoever_looks",
        Change(ORDER_FIRING, " or current.version != leg.version:", ":"),
    ),
    order_rule(
        "a cap widens without an end",
        "a_cap_widens_no_farther_than_the_order_says",
        Change(
            ORDER_FIRING,
            "min(leg.widen_to_bps, leg.max_slippage_bps * (2 + leg.firings) // 2)",
            "leg.max_slippage_bps * (2 + leg.firings) // 2",
        ),
    ),
    order_rule(
        "a cap does not widen",
        "a_cap_widens_by_half_of_the_first_one_after_each_trade_that_failed",
        Change(ORDER_FIRING, "leg.max_slippage_bps * (2 + leg.firings) // 2)", "leg.max_slippage_bps)"),
    ),
    order_rule(
        "a cap widens that may not",
        "a_cap_that_may_not_widen_stays",
        Change(
            ORDER_FIRING,
            "        return leg.max_slippage_bps\n",
            "        return leg.max_slippage_bps * (2 + leg.firings) // 2\n",
        ),
    ),
)
RULES = (*STEADY, *WATCHING, *FIRING, *FIRING_AGAIN)
