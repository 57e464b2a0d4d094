"""What must hold of orders when everything has settled: books, events and chain, by other means than the product's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.chain_truth import NATIVE, ChainTruth
from tests.faults.check import Row, tables_of
from tests.faults.world import SOL_MINT, World

_TABLES = (
    "orders",
    "order_legs",
    "triggers",
    "trigger_subjects",
    "trade_intents",
    "attempts",
    "fills",
    "events",
    "ledger_entries",
)
_PEOPLE = ("cancelled it", "was cancelled", "cancelled on request")
_NOTHING_HELD = "nothing is held"


def order_problems_of(world: World, *, clocks_agree: bool = True) -> list[str]:
    """Everything that is wrong with the settled orders of a world, held against the chain.

    Args:
        world: Whose books.
        clocks_agree: All processes had one clock, so the times in the books tell what came before what.
    """
    tables = tables_of(world, _TABLES)
    with ChainTruth(world.rpc_urls[0]) as truth:
        landed = {landing.signature for landing in truth.history(world.wallet) if not landing.failed}
    swapped = {row["intent_id"] for row in tables["attempts"] if row["signature"] in landed}
    trades: dict[str, list[Row]] = defaultdict(list)
    for intent in tables["trade_intents"]:
        if intent["key"].startswith("order:"):
            trades[intent["key"].split(":")[1]].append(intent)
    legs: dict[str, dict[str, Row]] = defaultdict(dict)
    for leg in tables["order_legs"]:
        legs[leg["order_id"]][leg["name"]] = leg
    fills = {row["intent_id"]: row for row in tables["fills"] if row["state"] == "final"}
    return [
        *_nothing_is_left(tables),
        *(
            text
            for order in tables["orders"]
            for text in _landed(order, legs[order["id"]], trades[order["id"]], swapped)
        ),
        *(text for order in tables["orders"] for text in _amounts(legs[order["id"]], trades[order["id"]], fills)),
        *_never_both(trades, tables["events"]),
        *_told(tables["events"], {row["id"]: row for row in tables["trade_intents"]}),
        *(_held(tables, legs) if clocks_agree else ()),
    ]


def _nothing_is_left(tables: Mapping[str, list[Row]]) -> Iterator[str]:
    yield from (f"order {row['id']} is still open" for row in tables["orders"] if row["state"] == "open")
    yield from (f"trigger {row['id']} is still {row['state']}" for row in tables["triggers"])
    yield from (
        f"{row['name']} is watched {row['watched']} times" for row in tables["trigger_subjects"] if row["watched"]
    )


def _landed(order: Row, legs: Mapping[str, Row], trades: list[Row], swapped: set[Any]) -> Iterator[str]:
    """Which legs swapped on the chain, and what the books say of that."""
    by_leg: dict[str, int] = defaultdict(int)
    for trade in trades:
        by_leg[trade["key"].split(":")[2]] += trade["id"] in swapped
    for name, times in by_leg.items():
        if times > 1:
            yield f"{order['id']}:{name} landed {times} times"
    exits = by_leg["stop"] + by_leg["take"]
    if exits > 1:
        yield f"both exits of {order['id']} landed"
    ended = exits + by_leg["main"]
    if (order["state"] == "filled") != (ended > 0):
        yield f"order {order['id']} is {order['state']}, and {ended} of its trades landed"
    if order["state"] != "filled" and not order["reason"]:
        yield f"order {order['id']} is {order['state']} without a reason"
    for name, leg in legs.items():
        if (leg["state"] == "filled") != (by_leg[name] > 0):
            yield f"{order['id']}:{name} is {leg['state']}, and landed {by_leg[name]} times"
    if by_leg["entry"] and not exits and not any(said in (order["reason"] or "") for said in (*_PEOPLE, _NOTHING_HELD)):
        yield f"the entry of {order['id']} landed, and its exits ended by nobody's will: {order['reason']}"


def _amounts(legs: Mapping[str, Row], trades: list[Row], fills: Mapping[Any, Row]) -> Iterator[str]:
    """What was given is never more than the order said, nor than its entry brought."""
    filled = {trade["key"].split(":")[2]: fills[trade["id"]] for trade in trades if trade["id"] in fills}
    for name, fill in filled.items():
        amount = json.loads(legs[name]["amount"])
        if amount["kind"] in ("base", "quote"):
            in_its_own = (legs[name]["effect"] == "exit") == (amount["kind"] == "base")
            if in_its_own and fill["input_raw"] > amount["value"]:
                yield f"{name} of {fill['intent_id']} gave {fill['input_raw']}, it was told {amount['value']}"
        if name in ("stop", "take") and "entry" in filled and fill["input_raw"] > filled["entry"]["output_raw"]:
            yield f"{fill['intent_id']} sold {fill['input_raw']}, and its entry brought {filled['entry']['output_raw']}"


def _never_both(trades: Mapping[str, list[Row]], events: list[Row]) -> Iterator[str]:
    """Trades of one pair follow each other: none is decided before the one before it has ended."""
    exits = {
        trade["id"]: order
        for order, found in trades.items()
        for trade in found
        if trade["key"].split(":")[2] in ("stop", "take")
    }
    under_way: dict[str, str] = {}
    for event in sorted(events, key=lambda row: row["id"]):
        order = exits.get(event["intent_id"])
        if order is None:
            continue
        if event["kind"] == "intent.decided":
            if order in under_way:
                yield f"{event['intent_id']} was decided while {under_way[order]} of the same pair could land"
            under_way[order] = event["intent_id"]
        elif event["kind"] in ("intent.failed", "intent.cancelled") and under_way.get(order) == event["intent_id"]:
            del under_way[order]


def _told(events: list[Row], intents: Mapping[Any, Row]) -> Iterator[str]:
    """Every firing that was told is a trade, and every trade of an order was told."""
    told = [event["intent_id"] for event in events if event["kind"] == "order.fired"]
    yield from (f"a firing was told of {one}, which is no trade" for one in told if one not in intents)
    for intent in intents.values():
        if intent["key"].startswith("order:") and told.count(intent["id"]) != 1:
            yield f"{intent['id']} ({intent['key']}) was told {told.count(intent['id'])} times"


def _held(tables: Mapping[str, list[Row]], legs: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    """What only reduces gives no more than was held when it was decided, counted in its favour.

    Lines that a fork took back later may have stood then: those that add are all counted, those that take are not.
    A line is booked anew when its slot is final, and stood in the books since it was confirmed.
    """
    confirmed = {row["id"]: row["confirmed_at"] for row in tables["attempts"] if row["confirmed_at"] is not None}
    for intent in tables["trade_intents"]:
        if not intent["key"].startswith("order:") or intent["input_amount_raw"] is None:
            continue
        _, order, name, _ = intent["key"].split(":")
        if not legs[order][name]["reduce_only"]:
            continue
        asset = NATIVE if intent["input_mint"] == SOL_MINT else intent["input_mint"]
        held = sum(
            line["delta_raw"]
            for line in tables["ledger_entries"]
            if line["asset"] == asset
            and _stood(line, confirmed if line["delta_raw"] > 0 else {}) <= intent["created_at"]
            and (line["delta_raw"] > 0 or line["state"] != "reversed")
        )
        if intent["input_amount_raw"] > held:
            yield f"{intent['id']} was to give {intent['input_amount_raw']} of {asset}, and {held} were held"


def _stood(line: Row, confirmed: Mapping[Any, Any]) -> Any:
    """Since when a line stood in the books."""
    return min(line["booked_at"], confirmed.get(line["attempt_id"], line["booked_at"]))
