"""Taking out the rules of windows of time, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import ORDER_CHANGES, ORDER_LEGS, PRICE_WATCH, Change, order_rule

WINDOW = "sniperforge/domain/time_window.py"
CONDITIONS = "sniperforge/trading/order_conditions.py"
TERMS = "sniperforge/trading/order_terms.py"

RULES = (
    order_rule(
        "a window is open at its end",
        "it_is_open_from_its_beginning_until_before_its_end",
        Change(WINDOW, "at < self.ends)", "at <= self.ends)"),
    ),
    order_rule(
        "a daily window goes by UTC",
        "a_daily_one_goes_by_the_clocks_of_its_zone_in_winter_and_summer",
        Change(WINDOW, "at.astimezone(zone_named(self.zone)).time()", "at.astimezone(UTC).time()"),
    ),
    order_rule(
        "a window over midnight never opens",
        "one_that_ends_before_it_begins_is_open_over_midnight",
        Change(WINDOW, "return shown >= self.begins or shown < self.ends", "return self.begins <= shown < self.ends"),
    ),
    order_rule(
        "a window is watched upside down",
        "a_price_counts_only_while_the_window_is_open",
        Change(WINDOW, "OPEN if window.is_open(at) else SHUT", "SHUT if window.is_open(at) else OPEN"),
    ),
    order_rule(
        "every look at a window is the same print",
        "a_window_of_time_has_a_value_at_every_look_and_asks_nobody",
        Change(PRICE_WATCH, "(at - _EPOCH) // timedelta(milliseconds=1)", "(at - _EPOCH) // timedelta(days=365_000)"),
    ),
    order_rule(
        "a window is left out where prices are watched",
        "a_window_is_looked_at_beside_prices_and_costs_no_request",
        Change(PRICE_WATCH, "{**look.values, **_by_the_clock(windows, answers.at)}", "{**look.values}"),
    ),
    order_rule(
        "windows need prices",
        "a_time_alone_needs_no_price",
        Change(PRICE_WATCH, "        if not watched:\n", "        if not every:\n"),
    ),
    order_rule(
        "a window that is over is waited for",
        "a_window_that_is_over_or_opens_when_the_order_has_ended_is_refused_however_many_are_needed",
        Change(CONDITIONS, "if open_together([one], begins, ends) is None]", "if not ends and begins is None]"),
    ),
    order_rule(
        "windows that never meet are waited for",
        "windows_that_never_come_together_are_refused_where_all_must",
        Change(CONDITIONS, "open_together(times, begins, ends) is None:", "not times:"),
    ),
    order_rule(
        "what opens after the end counts",
        "what_comes_after_the_end_does_not_count",
        Change(WINDOW, "(until is None or moment < until) and", ""),
        Change(WINDOW, "        latest = min(latest, until)\n", "        latest = max(latest, until)\n"),
    ),
    order_rule(
        "only openings of the first window are looked at",
        "the_first_moment_at_which_all_are_open_is_found",
        Change(
            WINDOW, "for one in windows for moment in one.openings", "for one in windows[:1] for moment in one.openings"
        ),
    ),
    order_rule(
        "an order outlives the time that it waits for",
        "an_order_ends_with_the_first_window_that_has_to_be_open",
        Change(TERMS, "for one in (self.expires_at, *ends) if one", "for one in (self.expires_at,) if one"),
    ),
    order_rule(
        "a window that fired was a price",
        "a_window_is_no_distance_and_what_it_fired_at_is_no_price",
        Change("sniperforge/trading/order_firing.py", "if is_window(view.trigger.subject):", "if view.level is None:"),
    ),
    order_rule(
        "a stop that was reached in vain expires as if nothing had been",
        "a_stop_that_was_reached_in_vain_does_not_expire_silently",
        Change(
            "sniperforge/trading/order_manager.py",
            "Severity.WARNING if unfilled else",
            "Severity.INFO if unfilled else",
        ),
    ),
    order_rule(
        "a gap is not told where the first trade was postponed",
        "a_gap_is_told_when_the_first_trade_is_decided_later_than_its_trigger_fired",
        Change(
            "sniperforge/trading/order_firing.py", "is_again=view is None and leg.firings > 0", "is_again=view is None"
        ),
    ),
    order_rule(
        "the end of a window outlives it",
        "an_order_ends_with_the_window_that_it_is_given_instead",
        Change(ORDER_LEGS, "return terms if terms.ends_at == order.expires_at else replace(", "return replace("),
    ),
    order_rule(
        "an end that a person gave goes with a window",
        "an_end_that_a_person_gave_stays_where_it_comes_before_that_of_the_window",
        Change(
            ORDER_LEGS,
            "return terms if terms.ends_at == order.expires_at else replace(",
            "return terms if terms else replace(",
        ),
    ),
    order_rule(
        "one of several windows that is over hinders every change",
        "where_any_is_enough_a_window_that_is_over_hinders_no_change",
        Change(ORDER_CHANGES, "if terms.needs_all or one not in known),", "if terms),"),
    ),
    order_rule(
        "a window that is over is given to an order",
        "no_window_that_is_over_is_given_to_an_order",
        Change(
            ORDER_CHANGES,
            "if terms.needs_all or one not in known),",
            "if terms.needs_all or one.field != known[0].field),",
        ),
    ),
    order_rule(
        "all are wanted of windows of which one is over",
        "all_are_not_wanted_of_windows_of_which_one_is_over",
        Change(ORDER_CHANGES, "if terms.needs_all or one not in known),", "if one not in known),"),
    ),
)
