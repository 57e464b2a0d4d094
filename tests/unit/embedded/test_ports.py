"""Ports: the ones set, else those of last time, else free ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sniperforge.embedded.ports import HOST, PortBook, is_free, require_free
from sniperforge.errors import ConfigError


def test_a_service_gets_the_port_of_last_time(tmp_path: Path) -> None:
    first = PortBook(tmp_path).take("rpc")
    assert PortBook(tmp_path).take("rpc") == first


def test_a_port_that_is_taken_meanwhile_is_given_up_for_a_free_one(tmp_path: Path) -> None:
    first = PortBook(tmp_path).take("rpc")
    with _listening(first):
        second = PortBook(tmp_path).take("rpc")
    assert second != first
    assert is_free(second)


def test_no_two_services_get_the_same_port(tmp_path: Path) -> None:
    ports = PortBook(tmp_path)
    first = ports.take("rpc")
    assert ports.take("admin", preferred=first) != first


def test_a_service_may_ask_for_its_own_port_again(tmp_path: Path) -> None:
    ports = PortBook(tmp_path)
    assert ports.take("flower") == ports.take("flower")


def test_the_preferred_port_comes_before_the_one_of_last_time(tmp_path: Path) -> None:
    PortBook(tmp_path).take("flower")
    wanted = PortBook(tmp_path / "elsewhere").take("flower")
    assert PortBook(tmp_path).take("flower", preferred=wanted) == wanted


def test_free_ports_come_from_below_the_range_of_outgoing_connections(tmp_path: Path) -> None:
    ports = PortBook(tmp_path)
    assert all(ports.take(str(number)) < 32_768 for number in range(20))


@pytest.mark.parametrize("damage", ["", "[1]", '{"rpc": "x"}', '{"rpc": 70000}', "{"])
def test_a_damaged_memory_of_ports_is_like_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "ports.json").write_text(damage)
    assert is_free(PortBook(tmp_path).take("rpc"))


def test_a_port_that_was_set_and_is_taken_is_refused_with_what_to_do() -> None:
    with _listening(0) as taken, pytest.raises(ConfigError, match=f"flower_port: port {taken} is taken.*another port"):
        require_free(taken, "flower_port")


@contextmanager
def _listening(port: int) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, port))
        listener.listen(1)
        yield listener.getsockname()[1]
