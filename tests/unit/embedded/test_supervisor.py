"""Services that end, hang and stop: real processes, a clock that the test moves."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

from sniperforge.embedded.supervisor import LONGEST_PAUSE_S, QUIET_S, READY_WITHIN_S, ServiceState
from tests.fakes.tiny_services import FOREVER, TinyStack, is_running, script, state_of, tiny_stack


def test_a_service_that_ends_starts_again_after_a_pause_that_doubles_up_to_half_a_minute(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("fragile", "exit 3")]) as stack:
        pauses = []
        for _ in range(7):
            stack.until_ended("fragile")
            pauses.append(_pause_s(stack))
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_quiet_minute_is_forgiveness(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("fragile", FOREVER)]) as stack:
        for _ in range(4):
            _kill_and_see_it_back(stack)
        stack.until_state("fragile", ServiceState.RUNNING)
        stack.clock.advance(timedelta(seconds=QUIET_S + 1))
        stack.supervisor.tick()
        assert stack.of("fragile").failures == 0
        _kill(stack)
        assert _pause_s(stack) == 1


def test_every_end_is_said_with_how_it_ended_and_when_it_starts_again(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("fragile", FOREVER)]) as stack:
        stack.until_state("fragile", ServiceState.RUNNING)
        _kill(stack)
    assert "fragile ended (killed by SIGKILL); it starts again in 1 s" in stack.said


def test_the_third_end_in_a_row_is_said_with_its_last_words_and_only_those_of_this_run(tmp_path: Path) -> None:
    text = 'echo run >> runs; wc -l < runs; echo "the wallets are locked"; exit 1'
    with tiny_stack(tmp_path, [script("worker", f"cd '{tmp_path}'; {text}")]) as stack:
        for _ in range(3):
            assert not any("last words" in one for one in stack.said)
            stack.until_ended("worker")
            _pause_s(stack)
    told = [one for one in stack.said if "last words" in one]
    assert told == ["worker ended 3 times in a row; its last words: 3\nthe wallets are locked"]


def test_a_program_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("ghost", f"exec '{tmp_path}/not-there'")]) as stack:
        stack.until_ended("ghost")
        assert stack.of("ghost").failures == 1
        assert "not-there" in stack.of("ghost").last_words


def test_a_service_waits_for_its_turn_to_start(tmp_path: Path) -> None:
    open_gate = tmp_path / "open"
    services = [
        script("first", FOREVER, is_ready=lambda _pid: open_gate.exists()),
        script("second", FOREVER, may_start=open_gate.exists),
    ]
    with tiny_stack(tmp_path, services) as stack:
        stack.until_state("first", ServiceState.STARTING)
        for _ in range(20):
            stack.supervisor.tick()
        assert stack.of("second").state is ServiceState.WAITING
        open_gate.touch()
        stack.until(lambda: stack.supervisor.is_running("first", "second"))
        assert stack.supervisor.is_running()


def test_a_service_that_never_answers_is_started_again(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("dumb", FOREVER, is_ready=lambda _pid: False)]) as stack:
        before = stack.until_state("dumb", ServiceState.STARTING).pid
        stack.clock.advance(timedelta(seconds=READY_WITHIN_S + 1))
        stack.until_ended("dumb")
        stack.clock.advance(timedelta(seconds=2))
        assert stack.until_state("dumb", ServiceState.STARTING).pid != before
        assert stack.of("dumb").restarts == 1


def test_a_service_that_is_stuck_is_killed_even_if_it_is_stopped_and_started_again(tmp_path: Path) -> None:
    stuck = tmp_path / "stuck"
    service = script("worker", "kill -STOP $$", stuck=lambda _pid: "takes nothing" if stuck.exists() else None)
    with tiny_stack(tmp_path, [service]) as stack:
        before = stack.until_state("worker", ServiceState.RUNNING).pid
        assert before is not None
        stack.until(lambda: state_of(before) == "T")
        stuck.touch()
        stack.until_ended("worker")
        stuck.unlink()
        stack.clock.advance(timedelta(seconds=2))
        assert stack.until_state("worker", ServiceState.RUNNING).pid != before
    assert "worker takes nothing: ended" in stack.said


def test_services_stop_in_turn_and_each_turn_waits_for_the_one_before(tmp_path: Path) -> None:
    def drains(name: str, turn: int) -> str:
        return f"cd '{tmp_path}'; trap 'sleep 0.1; echo {name} >> order; exit 0' TERM; touch {name}; {FOREVER}"

    names = ("redis", "sandbox", "worker", "beat")
    services = [
        script(name, drains(name, turn), stop_turn=turn) for name, turn in zip(names, (3, 2, 1, 0), strict=True)
    ]
    with tiny_stack(tmp_path, services) as stack:
        stack.until(lambda: stack.supervisor.is_running() and all((tmp_path / name).exists() for name in names))
        stack.supervisor.stop()
        stack.until(lambda: stack.supervisor.has_stopped)
    assert (tmp_path / "order").read_text().split() == ["beat", "worker", "sandbox", "redis"]


def test_whoever_does_not_end_when_asked_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = f"cd '{tmp_path}'; trap '' TERM; touch deaf; {FOREVER}"
    with tiny_stack(tmp_path, [script("deaf", deaf, grace_s=20)]) as stack:
        stack.until(lambda: (tmp_path / "deaf").exists() and stack.supervisor.is_running())
        stack.supervisor.stop()
        for _ in range(20):
            stack.supervisor.tick()
        stack.clock.advance(timedelta(seconds=19))
        stack.supervisor.tick()
        assert stack.of("deaf").state is ServiceState.STOPPING
        stack.clock.advance(timedelta(seconds=2))
        stack.until(lambda: stack.supervisor.has_stopped)
    assert "deaf did not end in time: killed" in stack.said


def test_hurry_waits_for_nobody(tmp_path: Path) -> None:
    deaf = f"trap '' TERM; {FOREVER}"
    services = [script("deaf", deaf, grace_s=20), script("deaf too", deaf, grace_s=20, stop_turn=1)]
    with tiny_stack(tmp_path, services) as stack:
        stack.until(stack.supervisor.is_running)
        stack.supervisor.stop()
        stack.supervisor.tick()
        stack.supervisor.hurry()
        stack.until(lambda: stack.supervisor.has_stopped)


def test_nothing_is_started_again_while_everything_stops(tmp_path: Path) -> None:
    with tiny_stack(tmp_path, [script("fragile", "exit 1"), script("slow", FOREVER, stop_turn=1)]) as stack:
        stack.until_ended("fragile")
        stack.supervisor.stop()
        stack.clock.advance(timedelta(minutes=1))
        stack.until(lambda: stack.supervisor.has_stopped)
        assert stack.of("fragile").restarts == 0


def test_the_output_of_a_service_does_not_grow_for_ever(tmp_path: Path) -> None:
    flood = "head -c 5000001 /dev/zero; sleep 0.2; echo after; " + FOREVER
    with tiny_stack(tmp_path, [script("chatty", flood)]) as stack:
        stack.until((tmp_path / "chatty.out.1").exists)
        stack.until(lambda: (tmp_path / "chatty.out").read_bytes() == b"after\n")


def test_children_end_with_their_services(tmp_path: Path) -> None:
    parent = f"cd '{tmp_path}'; sleep 600 & echo $! > child; {FOREVER}"
    with tiny_stack(tmp_path, [script("parent", parent)]) as stack:
        stack.until(lambda: (tmp_path / "child").exists() and bool((tmp_path / "child").read_text().strip()))
        child = int((tmp_path / "child").read_text())
        assert is_running(child)
        stack.supervisor.hurry()
        stack.until(lambda: not is_running(child))


def _kill(stack: TinyStack) -> None:
    pid = stack.of("fragile").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    stack.until_ended("fragile")


def _kill_and_see_it_back(stack: TinyStack) -> None:
    stack.until_state("fragile", ServiceState.RUNNING)
    _kill(stack)
    _pause_s(stack)


def _pause_s(stack: TinyStack) -> int:
    """Move the clock, second by second, until the service starts again."""
    name = stack.supervisor.status()[0].name
    before = stack.of(name)
    for second in range(1, 100):
        stack.clock.advance(timedelta(seconds=1))
        stack.supervisor.tick()
        if stack.of(name).pid is not None:
            return second
    raise AssertionError(f"{before} never started again")
