"""What must hold at every moment that anybody can see: orders, legs, triggers and trades of one consistent view.

Read as rows of the database, again and again while everything goes wrong: what should have been one commit and was two
is seen between them.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sniperforge.domain.ids import OrderId
from sniperforge.errors import RetryableError
from sniperforge.ports.store import Store
from tests.faults.orders_plan import FARTHEST, MIRAGE, USD
from tests.faults.world import JUP_MINT, SOL_MINT, World

EVERY_S = 0.1
_MOST_TOLD = 20
_ENDED = ("filled", "cancelled", "expired")
_LIVE = ("fired", "filled")
_CAN_FIRE = ("armed", "crossed", "fired")
_TABLES = ("orders", "order_legs", "triggers", "fills")
_NOBODY_BELIEVES = Decimal(str((FARTHEST + MIRAGE) / 2))
_FIRST = {SOL_MINT: Decimal(str(USD["SOL"])), JUP_MINT: Decimal(str(USD["JUP"]))}
Row = Mapping[str, Any]


class View:
    """Orders at one moment."""

    def __init__(self, tables: Mapping[str, Sequence[Row]]) -> None:
        self.orders = {row["id"]: row for row in tables["orders"]}
        self.legs: dict[str, dict[str, Row]] = defaultdict(dict)
        for leg in tables["order_legs"]:
            self.legs[leg["order_id"]][leg["name"]] = leg
        self.triggers: dict[tuple[str, str], list[str]] = defaultdict(list)
        for trigger in tables["triggers"]:
            order, name, _ = trigger["id"].split(":")
            self.triggers[order, name].append(trigger["state"])
        self.trades: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
        for intent in tables["trade_intents"]:
            _, order, name, firing = intent["key"].split(":")
            self.trades[order, name][int(firing)] = intent
        self.final = {row["intent_id"] for row in tables["fills"] if row["state"] == "final"}


def problems_at(view: View) -> Iterator[str]:
    """Everything that is wrong with orders at one moment."""
    for order, name in view.trades:
        if name not in view.legs[order]:
            yield f"a trade was decided for {order}:{name}, which is in no books"
    for order, name in view.triggers:
        if name not in view.legs[order]:
            yield f"a trigger watches for {order}:{name}, which is in no books"
    for row in view.orders.values():
        legs = view.legs[row["id"]]
        for leg in legs.values():
            yield from _leg(view, row, leg)
        yield from _pair(view, row, legs)
        if row["kind"] == "bracket":
            yield from _bracket(row, legs)


def _leg(view: View, order: Row, leg: Row) -> Iterator[str]:
    name = f"{order['id']}:{leg['name']}"
    trades, triggers = view.trades[order["id"], leg["name"]], view.triggers[order["id"], leg["name"]]
    if sorted(trades) != list(range(leg["firings"])):
        yield f"{name} fired {leg['firings']} times, and the books have trades of its firings {sorted(trades)}"
    under_way = [one["id"] for one in trades.values() if one["state"] in ("pending", "executing")]
    if len(under_way) != (leg["state"] == "fired"):
        yield f"{name} is {leg['state']}, and {len(under_way)} trades of it are under way"
    filled = any(one["state"] == "filled" for one in trades.values())
    if filled != (leg["state"] == "filled"):
        yield f"{name} is {leg['state']}, and a trade of it filled: {filled}"
    is_final = any(one["id"] in view.final for one in trades.values())
    if is_final and leg["name"] != "entry" and order["state"] != "filled" and not _waits_for_entry(view, order):
        yield f"the fill of {name} is final, and its order is {order['state']}"
    if order["state"] in _ENDED and leg["state"] not in ("filled", "cancelled"):
        yield f"{name} is {leg['state']}, and its order is {order['state']}"
    can_fire = [state for state in triggers if state in _CAN_FIRE]
    if leg["state"] == "armed" and not can_fire:
        yield f"{name} is armed, and nothing watches for it"
    if leg["state"] == "suspended" and can_fire:
        yield f"{name} is suspended, and its triggers are {triggers}"
    if leg["state"] not in ("armed", "suspended") and triggers:
        yield f"{name} is {leg['state']}, and its triggers are {triggers}"
    if leg["fired_value"] is not None:
        yield from _mirage(name, leg["rule"], Decimal(leg["fired_value"]))


def _waits_for_entry(view: View, order: Row) -> bool:
    """A fork took its entry back when an exit had fired: what becomes of the entry ends it."""
    entry = view.legs[order["id"]].get("entry")
    return entry is not None and entry["state"] in _LIVE and entry["intent_id"] not in view.final


def _pair(view: View, order: Row, legs: Mapping[str, Row]) -> Iterator[str]:
    exits = [legs[name] for name in ("stop", "take") if name in legs]
    live = [leg for leg in exits if leg["state"] in _LIVE]
    if len(live) > 1:
        yield f"both exits of {order['id']} are live: {[leg['state'] for leg in exits]}"
    if len(live) == 1:
        (other,) = [leg for leg in exits if leg is not live[0]]
        if other["state"] not in ("suspended", "cancelled"):
            yield f"{order['id']}:{live[0]['name']} is {live[0]['state']}, and its {other['name']} is {other['state']}"
        if live[0]["intent_id"] in view.final and other["state"] != "cancelled":
            yield f"the fill of {order['id']}:{live[0]['name']} is final, and its {other['name']} is {other['state']}"


def _bracket(order: Row, legs: Mapping[str, Row]) -> Iterator[str]:
    states = {name: legs[name]["state"] for name in ("stop", "take")}
    if legs["entry"]["state"] == "filled" and order["state"] == "open":
        waits = "dormant" in states.values()
        if waits or set(states.values()) == {"cancelled"}:
            yield f"the entry of {order['id']} is filled, and its exits are {states}"


def _mirage(name: str, rule: str, value: Decimal) -> Iterator[str]:
    """A leg that one price fires must not have seen one that nobody may believe."""
    for mint, first in _FIRST.items():
        if f'"subject":"{mint}"' in rule.replace(" ", "") and '"condition"' not in rule:
            yield from strange(name, mint, value, first)


def strange(name: str, mint: str, value: Decimal, first: Decimal) -> Iterator[str]:
    """A value that the market never had but in a mirage."""
    if abs(value / first - 1) > _NOBODY_BELIEVES:
        yield f"{name} went by a price of {value} for {mint}, which was too old"


class Audit(threading.Thread):
    """Looks at the books of a world all the time.

    Args:
        world: Whose books.
        store: The same, to ask for the best prices that trails have seen.
    """

    def __init__(self, world: World, store: Store) -> None:
        super().__init__(daemon=True)
        self._engine = engine_of(world)
        self._store = store
        self._over = threading.Event()
        self._best: dict[tuple[str, int, Decimal | None], Decimal] = {}
        self.found: dict[str, None] = {}
        self.looks = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        """Until `end`."""
        try:
            while not self._over.wait(EVERY_S):
                with suppress(DBAPIError, RetryableError):  # the books are away
                    self.look()
        except BaseException as error:  # noqa: BLE001 (told by `end`; in a thread it would be lost)
            self.failed = error

    def look(self) -> None:
        """One look."""
        for problem in problems_at(view_of(self._engine)):
            self.found.setdefault(problem)
        for problem in self._trails():
            self.found.setdefault(problem)
        self.looks += 1

    def end(self) -> list[str]:
        """Stop looking; returns what was found."""
        self._over.set()
        self.join()
        self._engine.dispose()
        broke = [] if self.failed is None else [f"the audit broke: {self.failed!r}"]
        return [*broke, *list(self.found)[:_MOST_TOLD]]

    def _trails(self) -> Iterator[str]:
        """The best price that a trail has seen never gets worse, and is none that nobody may believe."""
        with self._store.read() as books:
            orders = books.orders.open(1_000)
            views = [(order, view) for order in orders for view in books.triggers.of_order(OrderId(order.id))]
        for order, view in views:
            if view.best is None:
                continue
            sign = 1 if view.trigger.direction.value == "down" else -1
            key = (view.trigger.id, order.version, view.trigger.best)  # armed anew, it begins with another best price
            known = self._best.get(key)
            if known is not None and view.best * sign < known * sign:
                yield f"the best price of {view.trigger.id} was {known}, and is {view.best}"
            self._best[key] = view.best
            if (first := _FIRST.get(view.trigger.subject)) is not None:  # type: ignore[call-overload]
                yield from strange(view.trigger.id, view.trigger.subject, view.best, first)


def engine_of(world: World) -> Engine:
    """The database of a world, for plain SQL."""
    address = world.database_url or f"sqlite:///{world.home / 'books.db'}"
    return sqlalchemy.create_engine(
        address.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )


def view_of(engine: Engine) -> View:
    """Orders as one transaction sees them."""
    begin = "BEGIN" if engine.dialect.name == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ"
    tables: dict[str, list[Row]] = {}
    with engine.connect() as connection:
        connection.execute(text(begin))
        try:
            for name in _TABLES:
                tables[name] = [dict(row._mapping) for row in connection.execute(text(f"SELECT * FROM {name}"))]  # noqa: S608 (fixed names)
            trades = connection.execute(text("SELECT * FROM trade_intents WHERE key LIKE 'order:%'"))
            tables["trade_intents"] = [dict(row._mapping) for row in trades]
        finally:
            with suppress(SQLAlchemyError):  # where the server has gone, nothing is left to roll back
                connection.execute(text("ROLLBACK"))
    return View(tables)
