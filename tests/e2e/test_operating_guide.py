"""What is typed on a running stack: the guide on operating from its first `up` to its `down`, and in between README and
the runbook on Redis.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sniperforge.config import load_settings
from tests.fakes.guide_reader import Person, commands_in, text_of
from tests.fakes.home_books import books_of
from tests.fakes.queue_stack import wait_for

pytestmark = pytest.mark.system

OPERATING = commands_in(text_of("docs/guides/operating.md"))
DOWN = OPERATING.index("sniperforge down")
README = commands_in(text_of("README.md"))
REDIS_LOST = commands_in(text_of("docs/runbooks/redis-lost.md"), prose=True)
OF_ROOT = {
    command: "changes the machine, as root, and needs systemd"
    for command in OPERATING
    if command.split()[0] in {"useradd", "install", "cp", "systemctl", "journalctl"}
}
RUNS_ALREADY = "it runs already: the guide on operating started it"
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who has typed the guide up to where everything runs in the background, and types the rest in the end."""
    folder = tmp_path_factory.mktemp("operating")
    home = folder / "home"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    own = {"SNIPERFORGE_HOME": str(home), "SNIPERFORGE_TRADE_THREADS": "4", "TERM": "xterm-256color"}
    person = Person(folder, {**clean, **books_of(home), **own}, instead={"--for 90s": "--for 1s"})
    try:
        person.follow(OPERATING[:DOWN])
        yield person
    except BaseException:
        person.type("sniperforge down")
        raise
    person.follow(OPERATING[DOWN:], but=OF_ROOT)


def test_the_guide_on_operating_says_what_runs(operator: Person) -> None:
    on_its_screen, for_a_while, in_background, status = (operator.said[command] for command in OPERATING[:DOWN])
    assert "redis stopped" in on_its_screen
    assert "redis stopped" in for_a_while
    assert "flower" in in_background
    assert all(service in status for service in ("worker-trades", "worker-others", "beat", "flower", "sandbox"))


def test_the_runbook_for_a_redis_that_was_wiped(operator: Person) -> None:
    home = Path(operator.environment["SNIPERFORGE_HOME"])
    address = load_settings(home=home).redis_url
    assert address is not None
    with redis.Redis.from_url(address.get_secret_value()) as client:
        client.flushall()
    operator.follow(
        REDIS_LOST,
        but={
            "sniperforge up": RUNS_ALREADY,
            "docker compose ps redis": "needs Docker",
            "docker compose logs redis": "needs Docker",
        },
        ends=dict.fromkeys(("sniperforge status", "sniperforge doctor"), (0, 1)),  # 1 while beat starts again
    )
    assert "books and chain agree" in operator.said["sniperforge reconcile"]
    wait_for(
        lambda: operator.type("sniperforge status").status == 0,
        within_s=WITHIN_S,
        told=lambda: operator.said["sniperforge status"],
    )


def test_what_the_readme_tells_to_type(operator: Person) -> None:
    operator.follow(
        README,
        but={
            "make demo": "test_demo.py runs what it runs",
            "make test": "it runs all of this",
            "make up": RUNS_ALREADY,
        },
    )
    assert "filled, final" in operator.said["sniperforge trade --from USDC --to SOL --amount 25 --wait"]
    assert "dca-sol" in operator.said["sniperforge status"]
    assert "SOL" in operator.said["sniperforge portfolio"]
