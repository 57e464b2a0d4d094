"""`ForgeTask`: what every task has in common. A body is a few lines that call a use case.

It checks the argument, binds the logging context, and says what errors mean:

- retryable, or the outcome is unknown: a warning, and the task ends. The row is still due, and the sweep rings again;
- terminal: an error, raised, so that Flower shows the task as failed;
- anything else is a bug: logged with its traceback, and raised.

Nothing is ever retried by the queue: what must happen again is a due row, never a message (ADR 0013).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, NoReturn, ParamSpec

import structlog
from celery import Celery, Task

from sniperforge.errors import InvalidInputError, OutcomeUnknownError, RetryableError, TerminalError
from sniperforge.ports.queue import Queue, TaskName
from workers.context import WorkerContext
from workers.delivery import ForgeRequest

_log = structlog.get_logger("workers.task")
_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Argument:
    """The one argument a task may take.

    Attributes:
        name: What it is, as logs call it.
        pattern: What it looks like; anything else is refused before anything is done.
    """

    name: str
    pattern: re.Pattern[str]

    def fits(self, value: object) -> bool:
        """Whether this is one."""
        return isinstance(value, str) and self.pattern.fullmatch(value) is not None


INTENT_ID = Argument("intent_id", re.compile(r"[a-z2-7]{24}"))
"""See `domain.ids.intent_id`: 120 bits in base32."""
PLAN_ID = Argument("plan_id", re.compile(r"[A-Za-z0-9._-]{1,64}"))
"""See `domain.ids`: a part of a key."""
QUEUE_NAME = Argument("queue", re.compile("|".join(Queue)))


class ForgeTask(Task):  # type: ignore[misc] # Celery has no types
    """Base of every task.

    Attributes:
        argument: What it takes; None for nothing.
        context: What tasks of this process work with; set when the worker is warm.
    """

    abstract = True
    max_retries = 0
    argument: Argument | None = None
    Request = ForgeRequest
    throws = (TerminalError,)  # Celery then leaves out the traceback; the log line is ours
    context: WorkerContext | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run the body for a checked argument."""
        context = ForgeTask.context
        if context is None:
            raise RuntimeError("no worker was warmed in this process")
        clock = context.services.clock
        started = clock.monotonic()
        with structlog.contextvars.bound_contextvars(
            role="worker", task=self.name, task_id=self.request.id, **self._subject(args)
        ):
            try:
                self._run(context, args, kwargs)
            finally:
                _log.debug("done", seconds=round(clock.monotonic() - started, 4))
                context.consumed(self._queue())

    def _run(self, context: WorkerContext, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        try:
            self.run(context, *self._checked(args, options))
        except (RetryableError, OutcomeUnknownError) as error:
            _log.warning("left for the next ring", error=str(error), kind=type(error).__name__)
        except TerminalError as error:
            _log.error("refused", error=str(error), kind=type(error).__name__)
            raise
        except Exception:
            _log.exception("a bug")
            raise

    def retry(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refused.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("what must happen again is a due row, and the sweep rings for it")

    def _subject(self, args: tuple[Any, ...]) -> dict[str, str]:
        """What the lines of this task are about, by which they are found again."""
        wanted = self.argument
        return {wanted.name: args[0]} if wanted is not None and args and wanted.fits(args[0]) else {}

    def _checked(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
        wanted = self.argument
        fits = not args if wanted is None else len(args) == 1 and wanted.fits(args[0])
        if not fits or options:
            # What was given is not repeated: whoever forged it does not write our logs.
            takes = f"one {wanted.name} and nothing else" if wanted is not None else "no argument"
            raise InvalidInputError(f"this task takes {takes}; nothing was done", subject=self.name)
        return args

    def _queue(self) -> Queue | None:
        name = (self.request.delivery_info or {}).get("routing_key")
        return Queue(name) if name in set(Queue) else None


_bodies: dict[TaskName, tuple[Callable[..., None], Argument | None]] = {}


def forge_task(
    name: TaskName, *, takes: Argument | None = None
) -> Callable[[Callable[Concatenate[WorkerContext, _P], None]], Callable[Concatenate[WorkerContext, _P], None]]:
    """Make a function the body of a task. The function itself stays as it is."""

    def remember(
        body: Callable[Concatenate[WorkerContext, _P], None],
    ) -> Callable[Concatenate[WorkerContext, _P], None]:
        _bodies[name] = (body, takes)
        return body

    return remember


def register_tasks(app: Celery) -> None:
    """Give an app every task whose module was imported, and no other."""
    for name, (body, takes) in _bodies.items():
        # Not typed: Celery would hold calls against the body, which has one argument more.
        app.task(body, base=ForgeTask, name=name.value, argument=takes, typing=False, shared=False)
    app.finalize(auto=True)
    for name in [name for name in app.tasks if name not in _bodies]:
        # Celery's own chains and chords run, and even retry, whatever a message tells them. We have no use for them.
        app.tasks.unregister(name)
