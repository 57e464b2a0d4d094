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
        Change(ORDER_ARMING, "(all if rule.needs_all else any)(", "all("),
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
WITHOUT_A_PRICE = (
    order_rule(
        "a price that is missing since a moment postpones",
        "an_amount_that_needs_a_price_waits_for_it",
        Change(
            ORDER_FIRING,
            "        except PriceUnavailableError as error:\n            if is_new:\n                raise\n",
            "        except PriceUnavailableError as error:\n",
        ),
    ),
    order_rule(
        "a leg without a price makes no room",
        "what_cannot_fire_for_long_makes_room_for_what_fired_later",
        Change(ORDER_FIRING, "now - view.fired_at < LOOKED_AGAIN_FOR", "now >= view.fired_at"),
    ),
    order_rule(
        "a condition without a price makes no room",
        "a_condition_whose_price_stays_away_makes_room_and_begins_anew",
        Change(
            ORDER_FIRING,
            "                _rest(books, order, leg, str(error), now)\n                return None\n",
            "                raise\n",
        ),
    ),
    order_rule(
        "what is due and has no price blocks the next look",
        "a_leg_that_fires_again_without_a_price_waits_and_says_so",
        Change(
            ORDER_FIRING,
            "self._asked(order, leg, values, is_new=False)",
            "self._asked(order, leg, values, is_new=True)",
        ),
    ),
    order_rule(
        "what is due and cannot be held against its level is tried at every look",
        "what_fires_again_only_at_its_price_waits_while_there_is_none",
        Change(
            ORDER_FIRING,
            "                except PriceUnavailableError as error:\n                    denied = str(error)\n",
            "                except PriceUnavailableError:\n                    raise\n",
        ),
    ),
)
DENIED = (
    order_rule(
        "protections hold an exit back",
        "protections_hold_an_entry_back_by_name_and_never_an_exit",
        Change(ORDER_FIRING, "ProposedTrade(effect=leg.effect,", "ProposedTrade(effect=ExposureEffect.ENTRY,"),
    ),
    order_rule(
        "protections hold no entry back",
        "protections_hold_an_entry_back_by_name_and_never_an_exit",
        Change(ORDER_FIRING, "denied = denied or self._denied(books, leg, now)", "denied = denied or None"),
    ),
    order_rule(
        "an exit waits for the list of tokens",
        "an_exit_asks_nobody_about_its_tokens_when_nobody_answers",
        Change(
            ORDER_FIRING,
            "            if leg.effect is ExposureEffect.ENTRY:\n                raise\n",
            "            raise\n",
        ),
    ),
    order_rule(
        "an entry does not wait for the list of tokens",
        "an_entry_waits_until_somebody_answers_about_its_tokens",
        Change(
            ORDER_FIRING,
            "            if leg.effect is ExposureEffect.ENTRY:\n                raise\n",
            "            pass\n",
        ),
    ),
    order_rule(
        "a dangerous token is bought",
        "a_token_that_may_not_be_bought_keeps_an_entry_waiting_and_says_why",
        Change(
            ORDER_FIRING,
            "            self._tokens.require_tradable(trusted_mints(leg))\n",
            "            self._tokens.require_tradable(())\n",
        ),
    ),
    order_rule(
        "an exit waits for what it sells to be safe",
        "a_dangerous_token_is_not_bought_and_is_sold_for_a_good_one",
        Change(
            ORDER_FIRING,
            "if leg.effect is ExposureEffect.ENTRY else (leg.output_mint,)",
            "if leg else (leg.output_mint,)",
        ),
    ),
    order_rule(
        "a trade that can never be decided keeps the look from others",
        "one_leg_whose_trade_can_never_be_decided_keeps_no_other_from_firing",
        Change(
            ORDER_FIRING,
            "        except InvalidInputError as error:\n",
            "        except ZeroDivisionError as error:\n",
        ),
    ),
    order_rule(
        "why a leg waits is told at every look",
        "why_a_leg_waits_is_told_once",
        Change(ORDER_FIRING, "    if leg.reason != why:\n", "    if why:\n"),
    ),
    order_rule(
        "a leg that waits forgets what its trigger saw",
        "a_leg_that_fires_again_keeps_what_its_trigger_saw",
        Change(
            ORDER_FIRING,
            "    if view is None:\n        return {}\n",
            '    if view is None:\n        return {"fired_at": None, "fired_value": None, "gap_bps": None}\n',
        ),
    ),
    order_rule(
        "a leg that waits leaves its trigger fired",
        "a_leg_that_waits_has_no_trigger",
        Change(
            ORDER_FIRING,
            "    drop_triggers(books, order.id, [leg.name])\n    waiting =",
            "    waiting =",
        ),
    ),
)
HOW_MUCH = (
    order_rule(
        "SOL for fees is something to protect",
        "what_is_kept_for_fees_is_nothing_to_protect",
        Change(ORDER_FIRING, "held <= _kept_raw(leg.input_mint)", "held <= 0"),
    ),
    order_rule(
        "a stop of nothing waits for ever",
        "a_stop_without_anything_to_protect_ends_and_says_so",
        Change(ORDER_FIRING, "if leg.reduce_only and held <=", "if leg.reduce_only and held <"),
    ),
    order_rule(
        "a buy ends for want of what it costs",
        "what_does_not_only_reduce_is_not_ended_for_want_of_a_position",
        Change(ORDER_FIRING, "if leg.reduce_only and held <=", "if held <="),
    ),
    order_rule(
        "more than is held",
        "an_exit_gives_what_was_asked_and_never_more_than_is_held",
        Change(ORDER_FIRING, "return min(wanted, free) if leg.reduce_only else wanted", "return wanted"),
    ),
    order_rule(
        "what is promised is given twice",
        "what_is_promised_elsewhere_is_not_given_twice",
        Change(
            ORDER_FIRING, "free = 0 if promised is None else held - promised", "free = 0 if promised is None else held"
        ),
    ),
    order_rule(
        "all of it is promised and given again",
        "beside_an_open_trade_for_all_there_is_nothing_is_free",
        Change(ORDER_FIRING, "free = 0 if promised is None else held - promised", "free = held - (promised or 0)"),
    ),
    order_rule(
        "all there is beside what others will give",
        "what_is_promised_elsewhere_is_not_given_twice",
        Change(ORDER_FIRING, "if wants_all and promised == 0:", "if wants_all:"),
    ),
    order_rule(
        "nothing is left for fees",
        "a_share_of_the_sol_leaves_what_fees_need",
        Change(ORDER_FIRING, "    free -= _kept_raw(leg.input_mint)\n", ""),
    ),
    order_rule(
        "a share of what is promised",
        "a_share_is_one_of_what_is_not_promised",
        Change(
            ORDER_FIRING, "return free * leg.amount.value // WHOLE_BPS", "return held * leg.amount.value // WHOLE_BPS"
        ),
    ),
    order_rule(
        "an amount in the other token is rounded down",
        "an_amount_in_the_other_token_is_rounded_up",
        Change(ORDER_FIRING, "wanted = math.ceil(", "wanted = math.floor("),
    ),
    order_rule(
        "an amount in the other token forgets decimals",
        "an_amount_in_the_other_token_minds_the_decimals_of_both",
        Change(
            ORDER_FIRING,
            "/ Fraction(amounts.usd[gives]) * 10 ** amounts.decimals[gives])",
            "/ Fraction(amounts.usd[gives]) * 10 ** amounts.decimals[gets])",
        ),
    ),
    order_rule(
        "what waits for an amount fires with nothing",
        "what_is_promised_elsewhere_is_not_given_twice",
        Change(
            ORDER_FIRING, "if input_raw is not None and input_raw <= 0:", "if input_raw is not None and input_raw < 0:"
        ),
    ),
    order_rule(
        "a trade may be signed longer than its order says",
        "a_trade_may_be_signed_for_as_long_as_its_order_says",
        Change(ORDER_FIRING, "None if leg.deadline_s is None else timedelta(seconds=leg.deadline_s)", "None"),
    ),
)
RULES = (*STEADY, *WATCHING, *FIRING, *FIRING_AGAIN, *WITHOUT_A_PRICE, *DENIED, *HOW_MUCH)
