"""Taking out the rules by which orders are made, checked and changed, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import ORDER_CHANGES, ORDER_DESK, ORDER_FIRING, ORDER_LEGS, ORDER_MARKET, Change, order_rule

_CONFIRMED = "terms.confirmations or CONFIRMATIONS,"
_BY_DEFAULT = "one_bad_price_trades_nothing_by_default"
LEGS = (
    order_rule(
        "one bad price is enough",
        _BY_DEFAULT,
        Change(ORDER_LEGS, "CONFIRMATIONS = 2\n", "CONFIRMATIONS = 1\n"),
    ),
    order_rule(
        "one bad price is enough for a trail",
        _BY_DEFAULT,
        Change(ORDER_LEGS, _CONFIRMED, "terms.confirmations or (1 if isinstance(rule, Trail) else CONFIRMATIONS),"),
    ),
    order_rule(
        "one bad price is enough for conditions",
        _BY_DEFAULT,
        Change(ORDER_LEGS, _CONFIRMED, "terms.confirmations or (1 if isinstance(rule, Condition) else CONFIRMATIONS),"),
    ),
    order_rule(
        "one bad price is enough for an entry",
        _BY_DEFAULT,
        Change(ORDER_LEGS, _CONFIRMED, "terms.confirmations or (1 if name is LegName.ENTRY else CONFIRMATIONS),"),
    ),
    order_rule(
        "one bad price is enough to take a profit",
        _BY_DEFAULT,
        Change(ORDER_LEGS, _CONFIRMED, "terms.confirmations or (CONFIRMATIONS if is_stop else 1),"),
    ),
    order_rule(
        "one bad price is enough for the exits of a bracket",
        _BY_DEFAULT,
        Change(ORDER_LEGS, _CONFIRMED, "terms.confirmations or (1 if follows_entry else CONFIRMATIONS),"),
    ),
    order_rule(
        "an entry at once waits for a second price",
        "an_entry_at_once_waits_for_no_second_price",
        Change(ORDER_LEGS, "1 if waits_for_nothing(rule) else terms.conf", "terms.conf"),
    ),
    order_rule(
        "an entry has the cap of exits",
        "a_bracket_buys_and_its_exits_wait_for_what_that_brings",
        Change(
            ORDER_LEGS,
            "return min(usual, self._terms.slippage_bps or usual)",
            "return self._terms.slippage_bps or usual",
        ),
    ),
    order_rule(
        "a take-profit gets out wider and wider",
        "only_stops_get_out_wider_and_wider_by_default",
        Change(ORDER_LEGS, "if widest is None and is_stop:", "if widest is None:"),
    ),
    order_rule(
        "an entry gets wider and wider",
        "an_entry_keeps_its_cap_where_its_exits_may_widen",
        Change(ORDER_LEGS, "        if side is Side.BUY:\n            return None\n", ""),
    ),
    order_rule(
        "exits of a bracket are live before it has bought",
        "what_begins_later_has_no_trigger_yet",
        Change(
            ORDER_LEGS,
            "LegState.DORMANT if follows_entry or begins is not None else",
            "LegState.DORMANT if begins is not None else",
        ),
    ),
    order_rule(
        "exits of a bracket sell all there is",
        "a_bracket_buys_and_its_exits_wait_for_what_that_brings",
        Change(ORDER_LEGS, "amount=_FILLED if follows_entry else terms.amount or ALL,", "amount=terms.amount or ALL,"),
    ),
    order_rule(
        "an entry above the market fires at once",
        "an_entry_is_reached_from_where_the_market_is",
        Change(
            ORDER_LEGS, "Direction.DOWN if entry <= price else Direction.UP, level=entry", "Direction.DOWN, level=entry"
        ),
    ),
    order_rule(
        "stops and take-profits are reached from the same side",
        "stops_and_take_profits_mirror_each_other",
        Change(
            ORDER_LEGS,
            "Direction.DOWN if is_stop == (side is Side.SELL) else Direction.UP",
            "Direction.DOWN if side is Side.SELL else Direction.UP",
        ),
    ),
    order_rule(
        "an order that begins later is watched from now on",
        "an_order_that_begins_later_sleeps_until_then",
        Change(
            ORDER_LEGS,
            "LegState.DORMANT if follows_entry or begins is not None else",
            "LegState.DORMANT if follows_entry else",
        ),
    ),
)
MARKET = (
    order_rule(
        "a stop above the market is taken",
        "a_price_that_the_market_has_reached_is_refused_unless_it_is_forced",
        Change(ORDER_MARKET, "        if is_crossed(direction, now, level):\n", "        if market is None:\n"),
    ),
    order_rule(
        "force does not help",
        "a_price_that_the_market_has_reached_is_refused_unless_it_is_forced",
        Change(ORDER_MARKET, "if now is None or terms.force or terms.kind", "if now is None or terms.kind"),
    ),
    order_rule(
        "exits are held against the market that their entry waits for",
        "the_exits_of_a_bracket_that_waits_for_its_entry_are_not_held_against_the_market",
        Change(
            ORDER_MARKET,
            "    if terms.kind is OrderKind.BRACKET and terms.entry is not None:\n",
            "    if market is None:\n",
        ),
    ),
    order_rule(
        "more than the position is promised",
        "more_than_the_position_is_refused_where_it_only_reduces",
        Change(ORDER_MARKET, "    if wanted > free:\n", "    if wanted > free + 1:\n"),
    ),
    order_rule(
        "an amount in the other token is not held against the position",
        "an_amount_in_the_other_token_is_held_against_the_position_by_price",
        Change(ORDER_MARKET, "    if amount.kind is AmountKind.QUOTE:\n", "    if market is None:\n"),
    ),
    order_rule(
        "an empty position is protected",
        "an_empty_position_needs_no_protection_unless_it_is_forced",
        Change(
            ORDER_MARKET, "        if free <= 0 and not terms.force:\n", "        if free < 0 and not terms.force:\n"
        ),
    ),
    order_rule(
        "a token without a price is watched",
        "a_token_without_a_price_cannot_be_watched",
        Change(ORDER_MARKET, "        *unpriced(terms, market),\n", ""),
    ),
    order_rule(
        "a change that is not known for long enough is refused",
        "a_change_for_which_no_price_was_kept_yet_can_be_waited_for",
        Change(ORDER_MARKET, "        if kind_of_problem(why) == TOO_EARLY:\n            continue\n", ""),
    ),
    order_rule(
        "a trail in dollars is of any width",
        "a_trail_in_dollars_is_held_against_the_price",
        Change(ORDER_MARKET, "    if not TRAIL_BPS_LEAST <= bps <= TRAIL_BPS_MOST:\n", "    if market is None:\n"),
    ),
    order_rule(
        "a trail in dollars is held against the market that its activation is away from",
        "a_trail_in_dollars_with_an_activation_is_held_against_that",
        Change(ORDER_MARKET, 'prices.get("activation", now)', "now"),
    ),
)
DESK = (
    order_rule(
        "an order is placed on prices of a while ago",
        "a_draft_is_placed_on_prices_that_are_fresh",
        Change(
            ORDER_DESK, "        if self._clock.now() - draft.looked_at > LOOK_HOLDS:\n", "        if draft is None:\n"
        ),
    ),
    order_rule(
        "an order is changed on prices of a while ago",
        "a_change_is_made_on_prices_that_are_fresh",
        Change(
            ORDER_DESK, "        if self._clock.now() - edit.looked_at > LOOK_HOLDS:\n", "        if edit is None:\n"
        ),
    ),
    order_rule(
        "an order for a dangerous token is taken",
        "a_dangerous_token_is_not_bought_and_is_sold_for_a_good_one",
        Change(ORDER_DESK, "        self._tokens.require_tradable(sorted(mints))\n", ""),
    ),
    order_rule(
        "an order may get anything for what it sells",
        "a_dangerous_token_is_not_bought_and_is_sold_for_a_good_one",
        Change(
            ORDER_FIRING,
            "if leg.effect is ExposureEffect.ENTRY else (leg.output_mint,)",
            "if leg.effect is ExposureEffect.ENTRY else ()",
        ),
    ),
    order_rule(
        "what other trades will give is promised twice",
        "what_other_trades_will_give_is_not_promised_twice",
        Change(
            ORDER_DESK,
            "    return held - (books.intents.promised_raw(terms.wallet, terms.base_mint) or 0)\n",
            "    return held\n",
        ),
    ),
    order_rule(
        "an order is written a commit before its triggers",
        "an_order_whose_maker_dies_after_any_commit_is_watched",
        Change(
            ORDER_DESK,
            "            for leg in draft.legs:\n                if leg.state is LegState.ARMED:\n",
            "        with self._store.write() as books:\n"
            "            for leg in draft.legs:\n                if leg.state is LegState.ARMED:\n",
        ),
    ),
    order_rule(
        "what begins later has a trigger",
        "what_begins_later_has_no_trigger_yet",
        Change(ORDER_DESK, "                if leg.state is LegState.ARMED:\n", "                if leg:\n"),
    ),
    order_rule(
        "what is not known yet is not waited for",
        "a_change_that_is_not_known_for_long_enough_is_watched_from_when_it_is",
        Change(ORDER_DESK, " if lacks and leg.state is LegState.ARMED else leg\n", " if not leg else leg\n"),
    ),
    order_rule(
        "slow looks are not told",
        "what_is_allowed_but_perhaps_not_meant_is_a_warning",
        Change(ORDER_DESK, "        if every > SLOW:\n", "        if not every:\n"),
    ),
    order_rule(
        "a cancellation gives up at the first conflict",
        "an_order_that_changes_is_asked_again_to_end_but_not_for_ever",
        Change(ORDER_DESK, "_CANCEL_TRIES = 5\n", "_CANCEL_TRIES = 1\n"),
    ),
    order_rule(
        "anything may change",
        "some_things_never_change",
        Change(ORDER_DESK, "        if fixed:\n", "        if not given:\n"),
    ),
)
CHANGES = (
    order_rule(
        "a trail forgets its best price",
        "a_trail_keeps_the_best_price_it_has_seen",
        Change(
            ORDER_CHANGES,
            "    if best is not None and goes_on and isinstance(rule, Trail):\n",
            "    if views is None and isinstance(rule, Trail):\n",
        ),
    ),
    order_rule(
        "a trail with another activation goes on",
        "a_trail_that_began_goes_on_and_another_activation_begins_it_anew",
        Change(ORDER_CHANGES, " and old.rule.activation == rule.activation\n", "\n"),
    ),
    order_rule(
        "a trail has two widths",
        "a_trail_keeps_the_best_price_it_has_seen",
        Change(ORDER_CHANGES, "            changes[other] = None\n", "            pass\n"),
    ),
    order_rule(
        "a trail that the market is past is taken",
        "a_trail_that_the_market_is_past_is_refused_unless_it_is_forced",
        Change(ORDER_CHANGES, "        problems += list(_trails_past(terms, legs, views, changes, market))\n", ""),
    ),
    order_rule(
        "another cap forgets what was counted",
        "caps_amounts_and_times_change_without_touching_what_is_watched",
        Change(
            ORDER_CHANGES,
            '_WATCHED_ANEW = frozenset({"rule", "confirmations"})',
            '_WATCHED_ANEW = frozenset({"rule", "confirmations", "amount"})',
        ),
    ),
    order_rule(
        "other confirmations are not counted",
        "other_confirmations_are_counted_from_the_start",
        Change(
            ORDER_CHANGES, '_WATCHED_ANEW = frozenset({"rule", "confirmations"})', '_WATCHED_ANEW = frozenset({"rule"})'
        ),
    ),
    order_rule(
        "the old level stays",
        "another_level_takes_the_place_of_the_old_one",
        Change(
            ORDER_CHANGES,
            "            drop_triggers(books, order.id, [leg.name])\n            put_into",
            "            put_into",
        ),
    ),
    order_rule(
        "a leg that sleeps is watched when it changes",
        "the_entry_of_a_bracket_keeps_its_side_when_the_market_passed_it",
        Change(
            ORDER_CHANGES,
            "        if leg.state is LegState.ARMED and _WATCHED_ANEW & fields.keys():\n",
            "        if _WATCHED_ANEW & fields.keys():\n",
        ),
    ),
    order_rule(
        "the later of two changes is made on what the first one changed",
        "of_two_ends_at_once_one_counts",
        Change(
            ORDER_CHANGES, "    if order is None or order.version != edit.order.version:\n", "    if order is None:\n"
        ),
    ),
    order_rule(
        "what was bought is unprotected when a time is over",
        "the_exits_of_a_bracket_that_entered_change_and_get_no_end",
        Change(ORDER_CHANGES, "        *_ends_protection(legs, given),\n", ""),
    ),
    order_rule(
        "the entry that filled changes with its exits",
        "the_exits_of_a_bracket_that_entered_change_and_get_no_end",
        Change(
            ORDER_CHANGES,
            "fields = _WHAT_IT_TRADES if entered and new.name is LegName.ENTRY else _LEG_FIELDS",
            "fields = _LEG_FIELDS",
        ),
    ),
    order_rule(
        "an order that is about to fire cannot change at all",
        "only_problems_that_a_change_brings_keep_it_from_being_made",
        Change(
            ORDER_CHANGES, "        if problem in without_price or problem.field in given:\n", "        if problem:\n"
        ),
    ),
    order_rule(
        "a leg changes while its trade is under way",
        "a_leg_whose_trade_is_under_way_does_not_change",
        Change(ORDER_CHANGES, "    if leg.state not in _CHANGEABLE:\n", "    if fields is None:\n"),
    ),
    order_rule(
        "a leg that is due changes its level",
        "a_leg_that_fires_again_changes_its_cap_and_not_its_level",
        Change(
            ORDER_CHANGES,
            '    elif leg.state is LegState.WAITING and "rule" in fields:\n',
            "    elif fields is None:\n",
        ),
    ),
    order_rule(
        "an order that ended changes",
        "an_order_that_ended_does_not_change",
        Change(
            ORDER_CHANGES,
            "    if order.state is not OrderState.OPEN:\n        raise",
            "    if order is None:\n        raise",
        ),
    ),
)
RULES = (*LEGS, *MARKET, *DESK, *CHANGES)
