"""What clocks on walls show: times of day in zones, over every change of their offset."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sniperforge.errors import InvalidInputError

_SECOND = timedelta(seconds=1)


def zone_named(name: str) -> ZoneInfo:
    """The zone with this name in the IANA time zone database.

    Raises:
        InvalidInputError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = f"{name!r} is no time zone; write it like Europe/Berlin or America/New_York"
        raise InvalidInputError(message, subject="time zone") from None


def moment_on(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks of a zone show this time on this day, in UTC (PEP 495: `fold`).

    The first time if they show it twice; the next moment that exists if they never do.
    """
    local = datetime.combine(day, at, tzinfo=zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # Clocks jumped over it: fold 0 reads it by the offset from before the jump, which is after it, and fold 1 before.
    before, after = local.replace(fold=1).astimezone(UTC), moment
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
