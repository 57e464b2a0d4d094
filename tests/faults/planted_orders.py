"""Proof that the driver of orders would notice: known bugs, each found by it within a few seeds.

    python -m tests.faults.planted_orders [NAME ...]

Ends with 1 if a bug was not found, as `planted` does.
"""

from __future__ import annotations

import sys

from tests.faults.planting import (
    ORDER_FIRING,
    ORDER_LIFE,
    PRICE_WATCH,
    SETTLEMENT,
    TRAILING,
    Change,
    Planted,
    found_by_seeds,
    plant_all,
)

SEEDS = 4
CREW = ("--orders", "--trades", "20")

ORDER_BUGS = (
    Planted(
        "the other leg is cancelled in a later commit than the fill",
        (
            Change(
                SETTLEMENT,
                "            follow(books, _recompute(books, intent, now), now, is_final=True)\n"
                '            _tell(books, intent, current, "attempt.finalized", f"final in slot {landed.slot}", now)\n'
                "            return True\n",
                "            filled = _recompute(books, intent, now)\n"
                '            _tell(books, intent, current, "attempt.finalized", f"final in slot {landed.slot}", now)\n'
                "        with self._store.write() as books:\n"
                "            books.intents.lock(intent.id)\n"
                "            follow(books, filled, now, is_final=True)\n"
                "        return True\n",
            ),
        ),
        "orders",
    ),
    Planted(
        "a stale price fires triggers",
        (
            Change(
                PRICE_WATCH,
                "elif why := stale(price, slot=slot, now=now, max_slots_behind=behind):",
                "elif slot < 0 and (why := stale(price, slot=slot, now=now, max_slots_behind=behind)):",
            ),
        ),
        "orders",
    ),
    Planted(
        "a fall lowers the best price that trails have seen",
        (
            Change(
                TRAILING,
                "if group.floor is not None and group.floor < place]",
                "if group.floor is not None and group.floor != place]",
            ),
        ),
        "orders",
    ),
    Planted(
        "the key of a trade leaves out which firing it is",
        (
            Change(
                ORDER_FIRING, "key=order_key(order.id, leg.name, leg.firings),", "key=order_key(order.id, leg.name, 0),"
            ),
        ),
        "orders",
    ),
    Planted(
        "a leg that fires leaves the other one armed",
        (
            Change(
                ORDER_LIFE,
                "        if other.state in (LegState.ARMED, LegState.WAITING):\n"
                "            books.orders.change_leg(other, at=now, state=LegState.SUSPENDED)\n",
                "        if other.version < 0:\n"
                "            books.orders.change_leg(other, at=now, state=LegState.SUSPENDED)\n",
            ),
        ),
        "orders",
    ),
    Planted(
        "the exits of a bracket are armed in a later commit than its entry filled",
        (
            Change(
                ORDER_LIFE,
                "            self._change(LegState.FILLED, reason=None, refire_at=None)\n"
                "            if self._leg.name is LegName.ENTRY:\n"
                "                self._begin_exits(intent)\n",
                "            self._change(LegState.FILLED, reason=None, refire_at=None)\n"
                "            if self._leg.name is LegName.ENTRY:\n",
            ),
        ),
        "orders",
    ),
    Planted(
        "an order that ended leaves its triggers in the book",
        (Change(ORDER_LIFE, "    drop_triggers(books, order, [leg.name for leg in idle])\n", ""),),
        "orders",
    ),
    Planted(
        "the trigger is gone a commit before its trade is decided",
        (
            Change(
                ORDER_FIRING,
                "        amounts, denied = self._asked(order, leg, values, is_new=is_new)\n"
                "        with self._store.write() as books:\n"
                "            order = _locked(books, order)\n"
                "            leg = books.orders.leg(order_id",
                "        amounts, denied = self._asked(order, leg, values, is_new=is_new)\n"
                "        with self._store.write() as books:\n"
                "            known = books.triggers.get(view.trigger.id)\n"
                "            books.triggers.remove([view.trigger.id])\n"
                "        with self._store.write() as books:\n"
                "            order = _locked(books, order)\n"
                "            leg = books.orders.leg(order_id",
            ),
            Change(
                ORDER_FIRING,
                "            known = books.triggers.get(view.trigger.id)\n            if known is None or",
                "            if known is None or",
            ),
        ),
        "orders",
    ),
)


if __name__ == "__main__":
    sys.exit(plant_all(ORDER_BUGS, lambda bug: found_by_seeds(bug, SEEDS, *CREW), sys.argv[1:]))
