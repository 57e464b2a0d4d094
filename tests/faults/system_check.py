"""What must hold besides when plans decide and bells ring: each round at most once, and each id one of the books."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from sniperforge.ports.queue import Queue
from tests.faults.check import Row, tables_of
from tests.faults.world import World

_DECIMALS = {"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": 6, "So11111111111111111111111111111111111111112": 9}


def plan_problems_of(world: World, people: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Everything that is wrong with settled plans and with who decided what.

    Args:
        world: Whose books.
        people: The keys of all trades that people decided.
        ids: What bells were rung for.
    """
    tables = tables_of(world, ("trade_intents", "strategy_plans", "plan_occurrences"))
    intents = {row["id"]: row for row in tables["trade_intents"]}
    plans = {row["id"]: row for row in tables["strategy_plans"]}
    return [
        *_rounds(tables["plan_occurrences"], intents),
        *_plans(plans, tables["plan_occurrences"], intents),
        *_people(people, intents),
        *_rung(ids, {*intents, *plans}),
    ]


def _rounds(rounds: list[Row], intents: dict[str, Row]) -> Iterator[str]:
    decided = {row["intent_id"]: row for row in rounds if row["intent_id"] is not None}
    per_round = Counter((row["plan_id"], row["occurrence"]) for row in intents.values() if row["plan_id"] is not None)
    for (plan, number), count in per_round.items():
        if count > 1:
            yield f"round {number} of {plan} decided {count} trades"
    for intent in intents.values():
        if intent["plan_id"] is None:
            continue
        found = decided.get(intent["id"])
        if found is None or (found["plan_id"], found["occurrence"]) != (intent["plan_id"], intent["occurrence"]):
            yield f"{intent['id']} says it is round {intent['occurrence']} of {intent['plan_id']}; that says {found}"
    for row in rounds:
        if row["intent_id"] is not None and row["intent_id"] not in intents:
            yield f"round {row['occurrence']} of {row['plan_id']} decided a trade that is not there"
        if row["intent_id"] is None and not row["reason"]:
            yield f"round {row['occurrence']} of {row['plan_id']} was skipped without a reason"


def _plans(plans: dict[str, Row], rounds: list[Row], intents: dict[str, Row]) -> Iterator[str]:
    for plan in plans.values():
        if plan["status"] != "ended":
            yield f"{plan['id']} is {plan['status']}"
            continue
        config = json.loads(plan["config"])
        mine = [row for row in rounds if row["plan_id"] == plan["id"] and row["intent_id"] is not None]
        if len(mine) != config["orders"]:
            yield f"{plan['id']} decided {len(mine)} orders of {config['orders']}"
        spent = sum(intents[row["intent_id"]]["input_amount_raw"] for row in mine if row["intent_id"] in intents)
        total = int(Decimal(str(config["total_amount"])).scaleb(_DECIMALS[config["input_token"]]))
        if spent != total:
            yield f"{plan['id']} ordered {spent} base units of {total}"


def _people(keys: Iterable[str], intents: dict[str, Row]) -> Iterator[str]:
    found = Counter(row["key"] for row in intents.values() if row["plan_id"] is None)
    for key, count in (found - Counter(keys)).items():
        yield f"{count} trades are called {key}, and nobody decided that"


def _rung(ids: Iterable[str], known: set[str]) -> Iterator[str]:
    yield from (f"a bell rang for {one}, which is in no books" for one in sorted({*ids} - known - {*Queue}))
