"""Beat with a standby, Flower behind its password: as operators start them, on a real Redis."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sniperforge.ports.queue import Queue
from tests.fakes.queue_stack import Program, QueueStack, bare_stack, wait_for
from tests.fakes.redis_server import PASSWORD

pytestmark = pytest.mark.system

PASSWORD_OF_FLOWER = "only-for-the-operator"
TAKEN_OVER_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def module_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueStack]:
    """No sandbox is needed for what is tested here."""
    with bare_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def ticks(stack: QueueStack) -> int:
    return stack.services.queue.depths()[Queue.HEALTH]


def beats(stack: QueueStack, beat: Program) -> None:
    """Wait until more is sent than was."""
    before = ticks(stack)
    wait_for(lambda: ticks(stack) > before, within_s=TAKEN_OVER_WITHIN_S, told=beat.text)


def test_a_standby_takes_over_when_beat_is_killed_and_a_wiped_redis_ends_it(stack: QueueStack) -> None:
    first = stack.start("beat")
    beats(stack, first)
    standby = stack.start("beat")
    beats(stack, first)
    first.signal(signal.SIGKILL)
    first.ended()
    beats(stack, standby)
    assert standby.process.poll() is None
    stack.redis.flushall()
    assert standby.ended() == 1
    assert "sniperforge: beat: the lock of beat is gone" in standby.text()


def test_a_beat_that_is_stopped_lets_the_next_one_begin_at_once(stack: QueueStack) -> None:
    first = stack.start("beat")
    beats(stack, first)
    first.signal(signal.SIGTERM)
    assert first.ended() == 0, first.text()
    with stack.redis.client() as redis:
        assert not redis.exists("sniperforge:beat::lock")


def test_a_beat_without_redis_ends_in_one_line(stack: QueueStack) -> None:
    beat = stack.start("beat", SNIPERFORGE_REDIS_URL=stack.redis.url_with("not-this-one"))
    assert beat.ended() == 1
    assert "sniperforge: redis_url: Redis refuses the password" in beat.text()
    assert "not-this-one" not in beat.text()


def test_flower_shows_queues_and_workers_to_whoever_has_the_password(stack: QueueStack) -> None:
    worker = stack.worker(Queue.HEALTH, threads=1)
    flower = stack.start("flower", SNIPERFORGE_FLOWER_PASSWORD=PASSWORD_OF_FLOWER)
    told = "Flower at http://127.0.0.1:"
    wait_for(lambda: told in flower.text(), told=flower.text)
    url = "http://127.0.0.1:" + flower.text().split(told)[1].split(",")[0]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/").status_code == 401
        except httpx.TransportError:
            return False

    wait_for(answers, told=flower.text)
    assert httpx.get(f"{url}/", auth=("operator", "guessed")).status_code == 401
    assert httpx.get(f"{url}/api/workers").status_code == 401
    with httpx.Client(base_url=url, auth=("operator", PASSWORD_OF_FLOWER), timeout=30) as operator:
        queues = {one["name"] for one in operator.get("/api/queues/length").json()["active_queues"]}
        assert queues <= set(Queue)
        assert queues
        (node,) = operator.get("/api/workers", params={"refresh": "1"}).json()
        assert node.startswith(f"health.{worker.process.pid}@")
        pages = [operator.get(path) for path in ("/", "/tasks", "/broker", f"/worker/{node}")]
        assert [page.status_code for page in pages] == [200] * len(pages)
        assert [page.url.path for page in pages if PASSWORD in page.text] == []
        stopped = operator.post(f"/api/worker/shutdown/{node}")
        assert stopped.status_code == 403, "Flower is for looking only"
    command = Path(f"/proc/{flower.process.pid}/cmdline").read_bytes()
    assert PASSWORD_OF_FLOWER.encode() not in command
    assert PASSWORD.encode() not in command


def test_a_port_of_flower_that_is_taken_is_refused_with_what_to_do(stack: QueueStack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        flower = stack.start("flower", SNIPERFORGE_FLOWER_PORT=port)
        assert flower.ended() == 1
    assert f"127.0.0.1:{port}: Flower cannot listen there" in flower.text()
    assert "Set flower_port to a free port, or to 0" in flower.text()
