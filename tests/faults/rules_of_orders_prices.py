"""Taking out the rules by which something watched has a value or none, each with the test that must fail without it."""

from __future__ import annotations

from tests.faults.planting import PRICE_WATCH, Change, order_rule

PRICES = (
    order_rule(
        "a stale price is a value",
        "a_price_of_another_time_has_no_value",
        Change(PRICE_WATCH, "elif why := stale(", "elif slot < 0 and stale("),
        Change(PRICE_WATCH, 'f"stale: {why}"', '"stale: planted"'),
    ),
    order_rule(
        "a price that jumped is a value",
        "a_price_that_jumped_is_believed_at_the_second_look",
        Change(PRICE_WATCH, "elif why := jumped(", "elif slot < 0 and jumped("),
        Change(PRICE_WATCH, 'f"jumped: {why}"', '"jumped: planted"'),
    ),
    order_rule(
        "a price that jumped is never believed",
        "a_jump_is_believed_at_the_second_look_of_somebody_who_writes_nothing_down",
        Change(PRICE_WATCH, "        if answers.jumped:\n", "        if not answers:\n"),
    ),
    order_rule(
        "more prices are asked for at once than may be",
        "more_than_fifty_are_asked_in_batches_that_go_together",
        Change(PRICE_WATCH, "MINTS_AT_ONCE = 50\n", "MINTS_AT_ONCE = 51\n"),
    ),
    order_rule(
        "some batches are asked when there is no room for all",
        "without_room_for_all_batches_none_is_asked",
        Change(
            PRICE_WATCH,
            "        with self._exchange.together(len(batches), lane=lane):\n            for batch in batches:\n"
            "                found",
            "        for batch in batches:\n                found",
        ),
    ),
    order_rule(
        "a look has no lane",
        "every_price_is_asked_for_once",
        Change(PRICE_WATCH, "self._exchange.prices(mints, lane=lane)", "self._exchange.prices(mints)"),
    ),
    order_rule(
        "a ratio is told upside down",
        "a_ratio_is_how_many_of_the_other_one_costs",
        Change(PRICE_WATCH, "price.usd / per[0].usd if per", "per[0].usd / price.usd if per"),
    ),
    order_rule(
        "a new price of one side of a ratio is no news",
        "a_new_price_of_either_side_is_a_new_ratio_and_nothing_else_is",
        Change(PRICE_WATCH, "return sum(price.slot", "return max(price.slot"),
    ),
    order_rule(
        "a value is out of every range",
        "a_ratio_that_no_price_can_be_has_no_value",
        Change(PRICE_WATCH, "if not MIN_PRICE <= value <= MAX_PRICE:", "if value is None:"),
    ),
    order_rule(
        "what is missing is told at every look",
        "a_price_that_is_missing_is_told_once_and_once_when_it_is_back",
        Change(
            PRICE_WATCH,
            "if books.triggers.missed(subject, problem, at=now):",
            "if books.triggers.missed(subject, problem, at=now) or problem:",
        ),
    ),
    order_rule(
        "what is back is not told",
        "a_price_that_is_missing_is_told_once_and_once_when_it_is_back",
        Change(PRICE_WATCH, "if watched.problem is not None and", "if watched.problem is watched and"),
    ),
    order_rule(
        "a price is kept at every look",
        "a_price_is_kept_every_ten_seconds_and_not_at_every_look",
        Change(PRICE_WATCH, "SAMPLE_EVERY = timedelta(seconds=10)", "SAMPLE_EVERY = timedelta(seconds=1)"),
    ),
    order_rule(
        "looks are more than the budget bears",
        "prices_are_looked_at_as_often_as_the_budget_bears_and_every_second_at_best",
        Change(PRICE_WATCH, "max(SHORTEST_INTERVAL, window * requests / calls)", "SHORTEST_INTERVAL"),
    ),
)
RULES = PRICES
