"""`logs`: the home's log files as readable lines, with what the books tell of a trade between them, or their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.ids import IntentId
    from sniperforge.log_reader import LogLine
    from sniperforge.ports.records import Event

_LOOK_EVERY_S = 0.3
_ROUNDS = 1_000
_EVENTS = 1_000
"""So many of the newest are looked at each time, that none is missed while they are followed."""
_OF_PLANS = ("plan", "plan_id")
_TOLD_ELSEWHERE = frozenset({"role", "logger", "exception", "task_id"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("logs")(logs)


def logs(
    intent: Annotated[str | None, typer.Option(help="Only what tells of this trade; the beginning of its id.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only what tells of this plan and its trades.")] = None,
    events: Annotated[  # noqa: FBT002 (a flag)
        bool, typer.Option("--events", help="Only the events in the books, of trades and of everything else.")
    ] = False,
    level: Annotated[str, typer.Option(help="Least severe: debug, info, warning, error or critical.")] = "debug",
    lines: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written from now on.")] = False,  # noqa: FBT002
) -> None:
    """Show the newest log lines, newest last; for a trade, together with its timeline in the books."""
    from sniperforge.log_reader import LogReader

    services = open_services()
    source = _Source(
        services, *_checked(services, intent, plan, level, events=events), most=max(lines, _EVENTS) if events else None
    )
    reader = LogReader(services.settings.log_dir)
    shown = [] if events else [_of_log(line) for line in reader.newest(source.wants, lines)]
    shown += source.new_events()
    if not shown and not follow:
        where = "the books" if events else services.settings.log_dir
        typer.echo(f"nothing in {where} tells of that", err=True)
    _print(sorted(shown, key=lambda one: one.at)[-lines:])
    while follow:
        services.clock.sleep(_LOOK_EVERY_S)
        shown = [] if events else [_of_log(line) for line in reader.more(source.wants)]
        shown += source.new_events()
        _print(sorted(shown, key=lambda one: one.at))
    if reader.unreadable:
        typer.echo(f"{reader.unreadable} lines are no log lines and were left out", err=True)


def _checked(
    services: Services, intent: str | None, plan: str | None, level: str, *, events: bool
) -> tuple[IntentId | None, str | None, int]:
    """What to look for, or every reason why it cannot be."""
    from sniperforge.log_reader import LEVELS
    from sniperforge.ports.queue import PlanId
    from sniperforge.trading.trade_report import find_intent

    problems = []
    if level not in LEVELS:
        problems.append(f"level: {level!r} is none of {', '.join(LEVELS)}")
    if (intent is not None) + (plan is not None) + events > 1:
        problems.append("intent, plan, events: give one of them")
    if problems:
        raise InvalidInputError("; ".join(problems), subject="logs", problems=tuple(problems))
    if intent is None and plan is None:
        return None, None, LEVELS.index(level)
    with services.store.read() as books:
        found = None if intent is None else find_intent(books, intent).id
        if plan is not None and books.plans.get(PlanId(plan)) is None:
            raise InvalidInputError(
                "there is no such plan", subject=plan, fix="`sniperforge strategy-list` lists the ones there are"
            )
    return found, plan, LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One line for people, whoever wrote it."""

    at: datetime
    level: str
    who: str
    text: str
    below: Sequence[str] = ()


class _Source:
    """Which lines are wanted, and what the books add to them: with `most`, so many of their newest events."""

    def __init__(
        self, services: Services, intent: IntentId | None, plan: str | None, least: int, *, most: int | None
    ) -> None:
        from sniperforge.log_reader import LEVELS

        self._services = services
        self._intent = intent
        self._plan = plan
        self._levels = frozenset(LEVELS[least:])
        self._most = most
        self._intents = () if plan is None else self._intents_of(plan)
        self._shown: set[int | None] = set()

    def wants(self, line: LogLine) -> bool:
        """Whether this line is severe enough and tells of what was asked for."""
        if line.level not in self._levels:
            return False
        if self._intent is not None:
            return self._intent in line.text
        if self._plan is not None:
            return any(line.fields.get(name) == self._plan for name in _OF_PLANS) or any(
                one in line.text for one in self._intents
            )
        return True

    def new_events(self) -> list[_Shown]:
        """The timeline of what was asked about, as far as it was not shown yet."""
        from sniperforge.ports.records import Severity

        if self._plan is not None:
            self._intents = self._intents_of(self._plan)
        wanted = self._intents if self._intent is None else (self._intent,)
        if not wanted and self._most is None:
            # Nothing is asked of the books, so that the logs can be read when the books cannot.
            return []
        with self._services.store.read() as books:
            events = [event for one in wanted for event in books.events.of_intent(one)]
            if self._most is not None:
                severities = [Severity(level) for level in self._levels]
                events += reversed(books.events.recent(self._most, severities=severities))
        new = [event for event in events if event.id not in self._shown]
        self._shown.update(event.id for event in new)
        return [_of_books(event) for event in new if event.severity.value in self._levels]

    def _intents_of(self, plan: str) -> tuple[IntentId, ...]:
        from sniperforge.ports.queue import PlanId

        with self._services.store.read() as books:
            rounds = books.occurrences.of_plan(PlanId(plan), _ROUNDS)
        return tuple(one.intent_id for one in rounds if one.intent_id is not None)


def _of_log(line: LogLine) -> _Shown:
    told = {name: value for name, value in line.fields.items() if name not in _TOLD_ELSEWHERE}
    text = " ".join([line.event, *(f"{name}={_value(value)}" for name, value in sorted(told.items()))])
    below = str(line.fields.get("exception") or "").splitlines()
    return _Shown(line.at, line.level, str(line.fields.get("role", "?")), text, below)


def _of_books(event: Event) -> _Shown:
    of = {"intent": event.intent_id, "wallet": event.wallet if event.intent_id is None else None}
    text = " ".join([f"{event.kind}: {event.message}", *(f"{name}={value}" for name, value in of.items() if value)])
    return _Shown(event.at, event.severity.value, "books", text)


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _print(shown: Sequence[_Shown]) -> None:
    for one in shown:
        at = one.at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
        typer.echo(f"{at}  {one.level:<8}  {one.who:<8}  {_printable(one.text)}")
        for line in one.below:
            typer.echo(f"    {_printable(line)}")


def _printable(text: str) -> str:
    """Without anything that a terminal would obey: messages of others are in the logs too."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
