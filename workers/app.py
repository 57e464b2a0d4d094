"""The Celery app: settings, tasks, and the step that warms a worker.

Importing it reads and opens nothing: the settings are read when Celery first asks for them.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from beat_schedule import BEAT_SCHEDULE
from sniperforge.config import load_settings
from sniperforge.shared.queue import celery_settings
from workers.delivery import give_back_nothing
from workers.tasks import health, strategies, trades
from workers.warm import Warm

TASK_MODULES = (trades, strategies, health)
"""Whatever they register is a task; nothing else is."""


def _configuration() -> dict[str, Any]:
    return celery_settings(load_settings()) | {"beat_schedule": BEAT_SCHEDULE}


give_back_nothing()
app = Celery("sniperforge")
app.add_defaults(_configuration)
app.steps["worker"].add(Warm)
app.finalize(auto=True)
for name in [name for name in app.tasks if name.startswith("celery.")]:
    # Celery's own chains and chords run, and even retry, whatever a message tells them. We have no use for them.
    app.tasks.unregister(name)
