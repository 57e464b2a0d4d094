"""Taking out the rules by which the trade of a leg is decided or not, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import ORDER_FIRING, Change, order_rule

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
        "a leg without a price makes room late",
        "what_cannot_fire_for_long_makes_room_for_what_fired_later",
        Change(ORDER_FIRING, "LOOKED_AGAIN_FOR = timedelta(seconds=10)", "LOOKED_AGAIN_FOR = timedelta(seconds=20)"),
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
        "two orders that fire at once promise one balance",
        "what_another_worker_promises_in_this_moment_is_not_given_twice",
        Change(ORDER_FIRING, "    books.wallets.lock(order.wallet)\n", ""),
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
RULES = (*WITHOUT_A_PRICE, *DENIED, *HOW_MUCH)
