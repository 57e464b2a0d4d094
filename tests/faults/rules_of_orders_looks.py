"""Taking out the rules by which the market is looked at for orders, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import LOOKING, ORDER_MANAGER, Change, order_rule

LOOKS = (
    order_rule(
        "a look begins while another waits",
        "a_look_does_not_begin_while_another_waits",
        Change(
            LOOKING,
            "    if not worker.looking.acquire(blocking=False):\n",
            "    if worker.looking.acquire(blocking=False) is None:\n",
        ),
    ),
    order_rule(
        "a look that failed was the last",
        "a_look_that_failed_keeps_the_next_from_nothing",
        Change(LOOKING, "        worker.looking.release()\n", "        pass\n"),
    ),
    order_rule(
        "every look asks",
        "looks_keep_to_what_the_budget_bears",
        Change(ORDER_MANAGER, "        if subjects and self._is_too_early(subjects):\n", "        if not self:\n"),
    ),
    order_rule(
        "a beat that is a little early costs a whole one",
        "a_beat_that_comes_a_little_early_is_a_look_all_the_same",
        Change(ORDER_MANAGER, "self._check_every(subjects) - SHORTEST_INTERVAL / 2", "self._check_every(subjects)"),
    ),
    order_rule(
        "looks come after entries",
        "looks_go_before_entries",
        Change(ORDER_MANAGER, "lane=Lane.CONFIRMATION", "lane=Lane.MONITORING"),
    ),
    order_rule(
        "silence is not told",
        "looks_that_fail_for_long_are_told_in_the_books_once",
        Change(ORDER_MANAGER, "            self._note_silence(error)\n", ""),
    ),
    order_rule(
        "one look that fails is silence",
        "looks_that_fail_for_long_are_told_in_the_books_once",
        Change(ORDER_MANAGER, "SILENT_AFTER = timedelta(seconds=30)", "SILENT_AFTER = timedelta(seconds=3)"),
    ),
    order_rule(
        "silence is told for ever",
        "looks_that_fail_for_long_are_told_in_the_books_once",
        Change(ORDER_MANAGER, 'f"unknown: {error}"', 'f"unknown{now.timestamp()}: {error}"'),
        Change(ORDER_MANAGER, "                if one.problem is None and (", "                if ("),
    ),
    order_rule(
        "one price that is missing is not noted",
        "a_price_that_is_missing_stale_or_jumped_fires_nothing_and_is_told_once",
        Change(ORDER_MANAGER, "        if look.problems:\n", "        if look is None:\n"),
        Change(ORDER_MANAGER, "            if not look.problems:\n", "            if look is None:\n"),
    ),
    order_rule(
        "nothing that is due by time is woken",
        "an_order_begins_when_its_time_comes",
        Change(ORDER_MANAGER, "            work.do(self._wake, leg, values)\n", "            pass\n"),
    ),
    order_rule(
        "what has to be woken is not asked for",
        "a_trail_that_begins_later_begins_at_the_price_of_then",
        Change(ORDER_MANAGER, "[*watched, *_subjects(waking), *extra]", "[*watched, *extra]"),
    ),
    order_rule(
        "a leg that cannot be woken is tried at every look",
        "a_leg_whose_price_is_missing_when_its_time_comes_is_woken_a_little_later",
        Change(ORDER_MANAGER, "active_from=now + WOKEN_AGAIN_AFTER, reason", "active_from=now, reason"),
    ),
    order_rule(
        "an order outlives its time",
        "an_order_ends_when_its_time_is_over",
        Change(ORDER_MANAGER, "        self._end_expired()\n        with", "        with"),
    ),
    order_rule(
        "time ends an order whose trade is under way",
        "an_order_whose_trade_is_under_way_is_not_ended_by_time",
        Change(
            ORDER_MANAGER,
            "                if any(leg.state in LIVE_LEG_STATES for leg in legs):\n",
            "                if not legs:\n",
        ),
    ),
    order_rule(
        "time ends an order whose fill is not final",
        "an_order_whose_fill_is_not_final_is_not_ended_by_time",
        Change(
            ORDER_MANAGER, "leg.state in LIVE_LEG_STATES for leg in legs", 'leg.state.value == "fired" for leg in legs'
        ),
    ),
    order_rule(
        "a bell that nobody hears undoes a trade",
        "a_bell_that_nobody_hears_keeps_no_trade_from_being_decided",
        Change(
            ORDER_MANAGER,
            "            with suppress(QueueUnavailableError):  #",
            "            with suppress(ZeroDivisionError):  #",
        ),
    ),
    order_rule(
        "nobody is rung for",
        "a_stop_loss_fires_at_the_second_price_in_a_row_beyond_it_and_rings_for_its_trade",
        Change(ORDER_MANAGER, "                self._queue.ring_trade(intent)\n", "                pass\n"),
    ),
    order_rule(
        "prices that only an amount needs are not asked for",
        "an_amount_in_the_other_token_is_priced_at_the_next_look",
        Change(
            ORDER_MANAGER,
            "        return (*subjects_of(leg.rule), Subject(leg.input_mint), Subject(leg.output_mint))\n",
            "        return subjects_of(leg.rule)\n",
        ),
    ),
    order_rule(
        "what is due asks for no price",
        "what_waited_for_a_price_that_is_still_there_fires_again",
        Change(ORDER_MANAGER, "        for leg in again:\n            found += self._needed(books, leg)\n", ""),
    ),
    order_rule(
        "one leg keeps the others from firing",
        "one_leg_that_cannot_fire_now_keeps_no_other_from_firing",
        Change(
            ORDER_MANAGER,
            "        except SniperForgeError as error:\n",
            "        except QueueUnavailableError as error:\n",
        ),
    ),
    order_rule(
        "what is due is not fired again",
        "a_leg_that_waits_fires_again_when_it_is_due",
        Change(ORDER_MANAGER, "            work.do(self._fire_again, leg, values)\n", "            pass\n"),
    ),
    order_rule(
        "a leg of an order that ended is woken",
        "a_leg_whose_order_ended_since_it_was_read_is_not_woken",
        Change(ORDER_MANAGER, "current.version != leg.version or order.state is not OrderState.OPEN", "not leg"),
    ),
)
RULES = LOOKS
