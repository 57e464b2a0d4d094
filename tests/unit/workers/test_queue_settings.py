"""Celery's configuration: what a message may be, where it waits, and what nobody is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from typer.testing import CliRunner

from sniperforge.cli.main import app as commands
from sniperforge.config import Settings
from sniperforge.errors import ConfigError, InvalidInputError, SniperForgeError
from sniperforge.ports.queue import Queue, TaskName
from sniperforge.shared.canary import SILENT_AFTER
from sniperforge.shared.flower_password import flower_password
from sniperforge.shared.queue import (
    BEAT_LOCK_S,
    QUEUE_OF,
    VISIBILITY_TIMEOUT_S,
    CeleryQueue,
    beat_settings,
    celery_settings,
)
from workers.tasks.trades import STAY

SECRET = "not-for-your-eyes"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"home": tmp_path, "redis_url": f"redis://:{SECRET}@127.0.0.1:1/0"})


@pytest.fixture
def celery(settings: Settings) -> Celery:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_settings(settings))
    return app


def test_messages_are_json_only(celery: Celery) -> None:
    assert (celery.conf.accept_content, celery.conf.task_serializer) == (["json"], "json")


def test_a_message_is_acknowledged_when_its_task_has_ended_and_nobody_keeps_results(celery: Celery) -> None:
    assert celery.conf.task_acks_late is True
    assert celery.conf.worker_prefetch_multiplier == 1
    assert celery.conf.task_ignore_result is True
    assert celery.conf.result_backend is None


def test_there_are_six_queues_and_no_other_comes_into_being(celery: Celery) -> None:
    assert sorted(celery.amqp.queues) == sorted(Queue)
    with pytest.raises(QueueNotFound):
        celery.amqp.router.route({"queue": "trade"}, "trades.advance_trade")


@pytest.mark.parametrize("task", sorted(TaskName))
def test_every_task_waits_where_it_belongs(celery: Celery, task: TaskName) -> None:
    assert celery.amqp.router.route({}, task)["queue"].name == QUEUE_OF[task].value


def test_no_task_lasts_until_its_message_is_delivered_again_or_its_worker_counts_as_silent() -> None:
    assert STAY < SILENT_AFTER
    assert STAY.total_seconds() * 10 < VISIBILITY_TIMEOUT_S


def test_a_standby_beat_takes_over_within_half_a_minute(settings: Settings) -> None:
    assert BEAT_LOCK_S + 2 * beat_settings(settings)["beat_max_loop_interval"] < 30


def test_every_key_is_ours(settings: Settings) -> None:
    assert celery_settings(settings)["broker_transport_options"]["global_keyprefix"] == "sniperforge:"
    assert beat_settings(settings)["redbeat_key_prefix"].startswith("sniperforge:")


def test_what_workers_show_in_flower_hides_the_password(celery: Celery) -> None:
    assert SECRET not in celery.conf.humanize(with_defaults=True, censored=True)
    assert SECRET not in str(celery.conf.table(with_defaults=True, censored=True))


def test_without_redis_it_is_said_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"redis_url: there is no queue.* Start one with `sniperforge up`"):
        CeleryQueue(Settings(home=tmp_path))


@pytest.mark.parametrize("address", ["nonsense", f"amqp://:{SECRET}@127.0.0.1/0", f"redis://:{SECRET}@host:port/0"])
def test_an_address_that_is_none_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    settings = Settings.model_validate({"home": tmp_path, "redis_url": address})
    with pytest.raises(ConfigError, match="this is no address of a Redis") as refused:
        CeleryQueue(settings)
    assert SECRET not in str(refused.value)


# --- the password of Flower


def test_flower_has_a_password_from_the_first_start_on_and_keeps_it(tmp_path: Path) -> None:
    first = flower_password(Settings(home=tmp_path / "home")).get_secret_value()
    assert len(first) >= 20
    assert flower_password(Settings(home=tmp_path / "home")).get_secret_value() == first
    assert (tmp_path / "home" / "flower-password").stat().st_mode & 0o777 == 0o600
    assert flower_password(Settings(home=tmp_path / "other")).get_secret_value() != first


def test_a_password_that_is_set_wins_over_one_that_was_made(tmp_path: Path) -> None:
    flower_password(Settings(home=tmp_path))
    given = Settings.model_validate({"home": tmp_path, "flower_password": SECRET})
    assert flower_password(given).get_secret_value() == SECRET
    file = tmp_path / "file"
    file.write_text(f"{SECRET}-from-file\n")
    file.chmod(0o600)
    by_file = Settings(home=tmp_path, flower_password_file=file)
    assert flower_password(by_file).get_secret_value() == f"{SECRET}-from-file"


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [("secret\n", 0o644, "others may read"), ("\nsecond line\n", 0o600, "is empty"), (None, 0, "cannot be read")],
)
def test_a_password_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str | None, mode: int, told: str) -> None:
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(ConfigError, match=told):
        flower_password(Settings(home=tmp_path, flower_password_file=file))


# --- commands, as far as they come before they become another program


def refused(tmp_path: Path, *arguments: str) -> BaseException:
    environment = {"SNIPERFORGE_HOME": str(tmp_path), "SNIPERFORGE_REDIS_URL": "redis://127.0.0.1:1/0"}
    result = CliRunner().invoke(commands, [*arguments], env=environment)
    assert isinstance(result.exception, SniperForgeError), result.output
    return result.exception


@pytest.mark.parametrize("command", ["worker", "worker-health"])
@pytest.mark.parametrize("queues", ["trade", "trades,everything", ",", ""])
def test_a_queue_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path, command: str, queues: str) -> None:
    error = refused(tmp_path, command, "--queues", queues)
    assert isinstance(error, InvalidInputError)
    assert "Name some of: trades, orders, strategies, health, alerts, backups" in str(error)


def test_worker_health_without_redis_says_so(tmp_path: Path) -> None:
    assert "Redis does not answer" in str(refused(tmp_path, "worker-health", "--queues", "trades"))
