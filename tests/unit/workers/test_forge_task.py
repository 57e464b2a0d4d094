"""What every task has in common: arguments that are ids, errors that mean something, no retry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from beat_schedule import BEAT_SCHEDULE
from sniperforge.bootstrap import build
from sniperforge.config import Settings
from sniperforge.domain.ids import cli_key, intent_id
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    InvalidInputError,
    NodeUnavailableError,
    WalletError,
)
from sniperforge.ports.queue import Queue, TaskName
from sniperforge.shared.queue import QUEUE_OF
from workers.app import make_app
from workers.base import INTENT_ID, PLAN_ID, QUEUE_NAME, Argument, ForgeTask
from workers.context import WorkerContext

AN_INTENT = str(intent_id(cli_key("one")))
Body = Callable[..., None]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    """A worker whose services nobody asks for anything."""
    ForgeTask.context = WorkerContext(build(Settings(home=tmp_path)), "unit@test")
    yield ForgeTask.context
    ForgeTask.context = None


def task_of(body: Body, *, takes: Argument | None = INTENT_ID) -> Any:
    """A task with this body, in an app of its own."""

    def named(*args: Any) -> None:  # Celery writes a function of its own by this one's name; lambdas have none
        body(*args)

    own = Celery("test", set_as_current=False)
    return own.task(named, base=ForgeTask, name="trades.advance_trade", argument=takes, typing=False, shared=False)


def raising(error: Exception) -> Body:
    def body(_worker: WorkerContext, *_: str) -> None:
        raise error

    return body


# --- errors


@pytest.mark.parametrize(
    "error",
    [NodeUnavailableError("no node answers"), CommitOutcomeUnknownError("the books may have committed")],
    ids=["retryable", "outcome unknown"],
)
def test_what_may_work_later_ends_the_task_with_a_warning(context: WorkerContext, error: Exception) -> None:
    with capture_logs() as logs:
        task_of(raising(error))(AN_INTENT)
    (line,) = [one for one in logs if one["log_level"] == "warning"]
    assert (line["event"], line["kind"]) == ("left for the next ring", type(error).__name__)


def test_what_will_never_work_is_an_error_and_the_task_fails(context: WorkerContext) -> None:
    with capture_logs() as logs, pytest.raises(WalletError):
        task_of(raising(WalletError("the wallets are locked")))(AN_INTENT)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["refused"]


def test_a_bug_is_logged_with_its_traceback_and_the_task_fails(context: WorkerContext) -> None:
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        task_of(raising(ZeroDivisionError("1/0")))(AN_INTENT)
    (line,) = [one for one in logs if one["log_level"] == "error"]
    assert line["event"] == "a bug"
    assert line["exc_info"]


def test_a_task_outside_of_a_warmed_worker_does_nothing(context: WorkerContext) -> None:
    called: list[str] = []
    task = task_of(lambda _worker, intent: called.append(intent))
    ForgeTask.context = None
    with pytest.raises(RuntimeError, match="no worker was warmed"):
        task(AN_INTENT)
    assert called == []


# --- the logging context


def test_lines_of_a_task_say_which_trade_they_are_about(context: WorkerContext) -> None:
    seen: list[dict[str, Any]] = []
    task_of(lambda _worker, _intent: seen.append(dict(structlog.contextvars.get_contextvars())))(AN_INTENT)
    (bound,) = seen
    assert (bound["task"], bound["intent_id"], bound["role"]) == ("trades.advance_trade", AN_INTENT, "worker")


def test_nothing_of_a_task_stays_bound_after_it(context: WorkerContext) -> None:
    before = dict(structlog.contextvars.get_contextvars())
    task_of(lambda _worker, _intent: None)(AN_INTENT)
    assert dict(structlog.contextvars.get_contextvars()) == before


# --- arguments


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(args=st.lists(json_values, max_size=3), options=st.dictionaries(st.text(min_size=1), json_values, max_size=1))
@pytest.mark.parametrize("takes", [None, INTENT_ID, PLAN_ID, QUEUE_NAME], ids=["nothing", "intent", "plan", "queue"])
def test_a_body_runs_for_exactly_the_argument_it_takes(
    context: WorkerContext, takes: Argument | None, args: list[Any], options: dict[str, Any]
) -> None:
    called: list[tuple[Any, ...]] = []
    task = task_of(lambda _worker, *given_: called.append(given_), takes=takes)
    wanted = 0 if takes is None else 1
    fits = len(args) == wanted and not options and (takes is None or takes.fits(args[0]))
    if fits:
        task(*args, **options)
        assert called == [tuple(args)]
    else:
        with pytest.raises(InvalidInputError, match="nothing was done"):
            task(*args, **options)
        assert called == []


@pytest.mark.parametrize(
    ("takes", "value"), [(INTENT_ID, AN_INTENT), (PLAN_ID, "weekly-sol.2"), *((QUEUE_NAME, one.value) for one in Queue)]
)
def test_real_ids_fit(takes: Argument, value: str) -> None:
    assert takes.fits(value)


@pytest.mark.parametrize(
    ("takes", "value"),
    [
        (INTENT_ID, f"{AN_INTENT}\n"),
        (INTENT_ID, AN_INTENT[:-1]),
        (PLAN_ID, "a/b"),
        (PLAN_ID, ""),
        (QUEUE_NAME, "tradesx"),
    ],
)
def test_what_only_looks_like_an_id_does_not_fit(takes: Argument, value: str) -> None:
    assert not takes.fits(value)


def test_what_was_forged_is_not_repeated_in_the_logs(context: WorkerContext) -> None:
    with capture_logs() as logs, pytest.raises(InvalidInputError):
        task_of(raising(AssertionError()))("LOOK WHAT I WROTE INTO YOUR LOGS")
    assert "LOOK" not in repr(logs)


# --- the tasks there are


@pytest.fixture
def app(tmp_path: Path) -> Celery:
    return make_app(Settings.model_validate({"home": tmp_path, "redis_url": "redis://127.0.0.1:1/0"}))


def test_the_app_has_the_tasks_that_have_a_name_and_no_other(app: Celery) -> None:
    assert set(app.tasks) == set(TaskName)


@pytest.mark.parametrize("name", sorted(TaskName))
def test_no_task_can_retry_itself(app: Celery, name: str) -> None:
    task = app.tasks[name]
    assert isinstance(task, ForgeTask)
    assert task.max_retries == 0
    assert not hasattr(task, "autoretry_for")
    with pytest.raises(RuntimeError, match="the sweep rings for it"):
        task.retry()


@pytest.mark.parametrize("name", sorted(TaskName))
def test_a_task_takes_one_id_or_nothing(app: Celery, name: str) -> None:
    assert app.tasks[name].argument in {None, INTENT_ID, PLAN_ID, QUEUE_NAME}


# --- what beat sends


@pytest.mark.parametrize("entry", sorted(BEAT_SCHEDULE))
def test_what_beat_sends_is_a_task_with_its_argument_on_a_queue_where_it_belongs(app: Celery, entry: str) -> None:
    sent = BEAT_SCHEDULE[entry]
    name, args, queue = TaskName(sent["task"]), sent.get("args", ()), Queue(sent["options"]["queue"])
    task = app.tasks[name]
    assert len(args) == (0 if task.argument is None else 1)
    if name is TaskName.SING_CANARY:
        assert args == (queue.value,)
    else:
        assert queue is QUEUE_OF[name]
    assert sent["options"]["expires"] > 0


def test_a_canary_is_sent_to_every_queue() -> None:
    canaries = [one["args"][0] for one in BEAT_SCHEDULE.values() if one["task"] == TaskName.SING_CANARY]
    assert sorted(canaries) == sorted(Queue)
