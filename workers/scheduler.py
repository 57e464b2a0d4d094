"""Beat's schedule in Redis, with a lock that a standby takes over, a Redis that is wiped, and a clock that may jump."""

from __future__ import annotations

from typing import Any

import structlog
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import LockError

from sniperforge.config import load_settings
from sniperforge.errors import QueueUnavailableError
from sniperforge.shared.queue import beat_settings

_log = structlog.get_logger("workers.beat")


class Scheduler(RedBeatScheduler):  # type: ignore[misc] # redbeat has no types
    """Redbeat's scheduler. When Redis is wiped its lock is gone and it ends; whoever supervises it starts it again."""

    def __init__(self, app: Any, **options: Any) -> None:
        app.conf.update(beat_settings(load_settings()))
        super().__init__(app, **options)

    def tick(self, **options: Any) -> Any:
        """Send what is due.

        Redbeat remembers when an entry ran last. A clock that was set back leaves that in the future, and nothing
        would be due until it has caught up: so whatever ran in the future is due now.

        Redbeat writes the schedule once, before it waits for the lock. A Redis that is wiped meanwhile gives the lock
        to whoever waits, and has no schedule: so whatever is missing is written again.

        Raises:
            QueueUnavailableError: The lock is gone: Redis was wiped, or this process stood still for too long and
                another beat has taken over. Or it never was had, because Redis did not answer. It must not go on.
        """
        if self.lock is None:  # Celery only logs the error of whoever asked for it
            raise QueueUnavailableError(
                "Redis did not answer when it was asked for the lock of beat",
                subject="beat",
                fix="Whoever supervises it starts it again",
            )
        known = {name: self._known(name) for name in self.app.conf.beat_schedule}
        now = self.app.now()  # later than whatever another beat, which has yet to notice, has just sent
        for name, entry in known.items():
            if entry is not None and entry.last_run_at is not None and entry.last_run_at > now:
                _log.warning("the clock was set back", entry=name, last_run_at=entry.last_run_at.isoformat())
                entry.reschedule(now)
        scheduled = get_redis(self.app).zrange(self.app.redbeat_conf.schedule_key, 0, -1)
        missing = [name for name, entry in known.items() if entry is None or entry.key not in scheduled]
        if missing:
            _log.warning("the schedule is not whole: Redis was wiped", missing=missing)
            self.setup_schedule()
        try:
            return super().tick(**options)
        except LockError as error:
            raise QueueUnavailableError(
                "the lock of beat is gone: Redis was wiped, or another beat has taken over",
                subject="beat",
                fix="Whoever supervises it starts it again",
            ) from error

    def _known(self, name: str) -> Any:
        try:
            return self.Entry.from_key(self.Entry.generate_key(self.app, name), app=self.app)
        except KeyError:
            return None
