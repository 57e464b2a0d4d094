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
from celery import Task, shared_task

from sniperforge.errors import InvalidInputError, OutcomeUnknownError, RetryableError, TerminalError
from sniperforge.ports.queue import Queue, TaskName
from workers.context import WorkerContext

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
    throws = (TerminalError,)  # Celery then leaves out the traceback; the log line is ours
    context: WorkerContext | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run the body for a checked argument."""
        argument = self._checked(args, kwargs)
        context = ForgeTask.context
        if context is None:
            raise RuntimeError("no worker was warmed in this process")
        named = {} if self.argument is None else {self.argument.name: argument[0]}
        with structlog.contextvars.bound_contextvars(role="worker", task=self.name, task_id=self.request.id, **named):
            clock = context.services.clock
            started = clock.monotonic()
            try:
                self.run(context, *argument)
            except (RetryableError, OutcomeUnknownError) as error:
                _log.warning("left for the next ring", error=str(error), kind=type(error).__name__)
            except TerminalError as error:
                _log.error("refused", error=str(error), kind=type(error).__name__)
                raise
            except Exception:
                _log.exception("a bug")
                raise
            finally:
                _log.debug("done", seconds=round(clock.monotonic() - started, 4))
                context.consumed(self._queue())

    def retry(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refused.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("what must happen again is a due row, and the sweep rings for it")

    def _checked(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[str, ...]:
        wanted = self.argument
        if wanted is None:
            if args or options:
                raise InvalidInputError("this task takes no argument", subject=self.name)
            return ()
        value = args[0] if len(args) == 1 and not options else None
        if not isinstance(value, str) or not wanted.pattern.fullmatch(value):
            # What was given is not repeated: whoever forged it does not write our logs.
            raise InvalidInputError(f"this task takes one {wanted.name}, and nothing else", subject=self.name)
        return (value,)

    def _queue(self) -> Queue | None:
        name = (self.request.delivery_info or {}).get("routing_key")
        return Queue(name) if name in set(Queue) else None


def forge_task(
    name: TaskName, *, takes: Argument | None = None
) -> Callable[[Callable[Concatenate[WorkerContext, _P], None]], Callable[Concatenate[WorkerContext, _P], None]]:
    """Register a function as the body of a task. The function itself stays as it is."""

    def register(
        body: Callable[Concatenate[WorkerContext, _P], None],
    ) -> Callable[Concatenate[WorkerContext, _P], None]:
        shared_task(body, base=ForgeTask, name=name.value, argument=takes, typing=False)
        return body

    return register
