"""What runs by itself, how often, on which queue, and when a late tick is dropped. Data only.

An entry's `expires` drops ticks that waited while nobody worked: the next one finds whatever they would have found.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "ring due trades": {
        "task": "trades.ring_due_trades",
        "schedule": timedelta(seconds=1),
        "options": {"queue": "health", "expires": 10},
    },
    "ring due plans": {
        "task": "strategies.ring_due_plans",
        "schedule": timedelta(seconds=1),
        "options": {"queue": "strategies", "expires": 10},
    },
    "check triggers": {
        "task": "orders.check_triggers",
        "schedule": timedelta(seconds=1),
        "options": {"queue": "orders", "expires": 2},
    },
    "compact triggers": {
        "task": "orders.compact_triggers",
        "schedule": timedelta(seconds=10),
        "options": {"queue": "orders", "expires": 10},
    },
    "look again at the dead": {
        "task": "trades.look_again",
        "schedule": timedelta(minutes=5),
        "options": {"queue": "health", "expires": 300},
    },
    "reconcile wallets": {
        "task": "health.reconcile_wallets",
        "schedule": timedelta(minutes=1),
        "options": {"queue": "health", "expires": 60},
    },
    "check invariants": {
        "task": "health.check_invariants",
        "schedule": timedelta(minutes=5),
        "options": {"queue": "health", "expires": 300},
    },
    **{
        f"canary of {queue}": {
            "task": "health.sing_canary",
            "schedule": timedelta(seconds=5),
            "args": (queue,),
            "options": {"queue": queue, "expires": 10},
        }
        for queue in ("trades", "orders", "strategies", "health", "alerts", "backups")
    },
}
