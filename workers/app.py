"""The Celery app: configuration, tasks, and the step that warms a worker."""

from __future__ import annotations

from celery import Celery

from beat_schedule import BEAT_SCHEDULE
from sniperforge.config import Settings
from sniperforge.shared.queue import celery_settings
from workers.base import register_tasks
from workers.delivery import give_back_nothing
from workers.tasks import health, orders, strategies, trades  # noqa: F401 (what they define is a task)
from workers.warm import Warm


def make_app(settings: Settings) -> Celery:
    """The app of a worker, of beat and of Flower. Nothing is opened yet.

    Raises:
        ConfigError: No Redis is set, or its address is none.
    """
    give_back_nothing()
    app = Celery("sniperforge")
    app.conf.update(celery_settings(settings), beat_schedule=BEAT_SCHEDULE)
    app.steps["worker"].add(Warm)
    register_tasks(app)
    return app
