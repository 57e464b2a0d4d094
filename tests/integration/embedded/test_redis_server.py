"""The stack's own Redis, as a supervisor runs it."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from sniperforge.embedded.ports import HOST, PortBook
from sniperforge.embedded.processes import ChildProcess
from sniperforge.embedded.redis_server import RedisServer

_WITHIN_S = 10.0


def test_it_answers_with_our_password_only(tmp_path: Path) -> None:
    with _running(tmp_path) as (server, _):
        assert server.answers()
        with redis.Redis.from_url(server.url.get_secret_value()) as client:
            assert client.ping()
        with (
            redis.Redis.from_url(f"redis://:wrong@{HOST}:{_port(server)}/0") as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_it_listens_on_loopback_and_keeps_an_append_only_file(tmp_path: Path) -> None:
    with _running(tmp_path) as (server, _), redis.Redis.from_url(server.url.get_secret_value()) as client:
        found = {name: client.config_get(name)[name] for name in ("bind", "appendonly", "maxmemory-policy")}
        assert found == {"bind": HOST, "appendonly": "yes", "maxmemory-policy": "noeviction"}
    assert (tmp_path / 'a "folder"' / "appendonly.aof").exists()


def test_its_password_is_in_no_argument_and_in_no_file_that_others_may_read(tmp_path: Path) -> None:
    with _running(tmp_path) as (server, process):
        password = server.url.get_secret_value().split(":")[2].split("@")[0]
        assert password not in Path(f"/proc/{process.pid}/cmdline").read_text()
        holding = [path for path in tmp_path.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert {path.name for path in holding} == {"password", "redis.conf"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}


def test_what_it_held_is_there_after_a_clean_stop_and_the_password_is_the_same(tmp_path: Path) -> None:
    with _running(tmp_path) as (server, _), redis.Redis.from_url(server.url.get_secret_value()) as client:
        client.lpush("sniperforge:trades", "message")
    with _running(tmp_path) as (again, _), redis.Redis.from_url(again.url.get_secret_value()) as client:
        assert client.llen("sniperforge:trades") == 1
        assert again.url == server.url


def _port(server: RedisServer) -> int:
    return int(server.url.get_secret_value().rsplit(":", 1)[1].split("/")[0])


@contextmanager
def _running(folder: Path) -> Iterator[tuple[RedisServer, ChildProcess]]:
    server = RedisServer(folder / 'a "folder"', PortBook(folder).take("redis"))
    process = ChildProcess(server.command(), {}, folder / "redis.out")
    try:
        deadline = time.monotonic() + _WITHIN_S
        while not server.answers():
            assert process.exit_code() is None, process.last_words()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server, process
        process.ask_to_end()
        while process.exit_code() is None:
            assert time.monotonic() < deadline + _WITHIN_S
            time.sleep(0.01)
        assert process.exit_code() == 0
    finally:
        process.kill()
    assert not server.answers()
