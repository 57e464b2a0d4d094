"""What a person sees of a stack."""

from __future__ import annotations

import io
import os
from datetime import timedelta

import pytest
from rich.console import Console

from sniperforge.embedded.board import Board, BudgetLine, OrdersLine, PlanLine, TradeLine
from sniperforge.embedded.output_that_may_go import OutputThatMayGo
from sniperforge.embedded.stack_files import Phase, StackReport
from sniperforge.embedded.status_screen import PlainScreen, open_screen, render, span
from sniperforge.embedded.supervisor import ServiceState, ServiceStatus
from sniperforge.ports.plans import PlanState
from sniperforge.ports.queue import Queue
from tests.fakes.clock import START, FakeClock

ADDRESSES = {"flower": "http://127.0.0.1:5555", "redis": "127.0.0.1:7000"}


def a_service(name: str, **changes: object) -> ServiceStatus:
    given: dict[str, object] = {
        "name": name,
        "state": ServiceState.RUNNING,
        "pid": 4711,
        "restarts": 0,
        "since": 1000.0,
        "failures": 0,
        "last_words": "",
    }
    return ServiceStatus(**{**given, **changes})  # type: ignore[arg-type]


def a_report(*services: ServiceStatus, phase: Phase = Phase.READY) -> StackReport:
    return StackReport(pid=1, phase=phase, services=services, addresses=ADDRESSES)


def a_board(**changes: object) -> Board:
    given: dict[str, object] = {"read_at": START, "network": "sandbox", "mode": "live"}
    return Board(**{**given, **changes})  # type: ignore[arg-type]


def shown(report: StackReport, board: Board | None, login: str = "user operator  password xyz") -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(render(report, board, now=START, monotonic=1065.0, flower_login=login))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line_of(text: str, beginning: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(beginning))


def test_services_are_shown_with_state_process_restarts_and_how_long() -> None:
    text = shown(
        a_report(a_service("redis"), a_service("beat", restarts=3, pid=None, state=ServiceState.WAITING)), None
    )
    assert line_of(text, "redis ").split() == ["redis", "running", "4711", "0", "1", "min", "5", "s"]
    assert line_of(text, "beat ").split() == ["beat", "waiting", "3", "1", "min", "5", "s"]


def test_a_service_that_ended_three_times_in_a_row_is_failing() -> None:
    text = shown(
        a_report(a_service("worker", failures=3, state=ServiceState.STARTING), a_service("beat", failures=2)), None
    )
    assert "starting, failing" in line_of(text, "worker")
    assert "failing" not in line_of(text, "beat")


def test_paper_mode_is_said_loudly_and_live_mode_is_not() -> None:
    assert "PAPER: nothing is signed or sent" in shown(a_report(), a_board(mode="paper"))
    assert "PAPER" not in shown(a_report(), a_board())


def test_flower_is_shown_with_its_login() -> None:
    text = shown(a_report(), None)
    assert "http://127.0.0.1:5555" in line_of(text, "flower")
    assert "user operator  password xyz" in text


def test_plans_are_shown_with_their_next_run() -> None:
    plans = (
        PlanLine("weekly", "dca", PlanState.ACTIVE, START + timedelta(minutes=3, seconds=2)),
        PlanLine("late", "dca", PlanState.ACTIVE, START - timedelta(seconds=2)),
        PlanLine("resting", "dca", PlanState.PAUSED, None),
    )
    text = shown(a_report(), a_board(plans=plans))
    assert line_of(text, "weekly").split("active")[1].strip() == "in 3 min 2 s"
    assert line_of(text, "late").split("active")[1].strip() == "now"
    assert line_of(text, "resting").split() == ["resting", "dca", "paused"]


def test_trades_queues_budget_and_halts_are_shown() -> None:
    trade = TradeLine("abcdefgh", START - timedelta(seconds=7), "25 USDC to SOL", "failed", "no route")
    text = shown(
        a_report(),
        a_board(
            trades=(trade,),
            depths={Queue.TRADES: 3, Queue.HEALTH: 0},
            budget=(BudgetLine("main", 4, 5, 10),),
            stops=("trading is halted: a storm",),
            problems=("Jupiter does not answer",),
        ),
    )
    assert "abcdefgh   7 s   25 USDC to SOL   failed   no route" in text
    assert "messages waiting: trades 3  health 0" in text
    assert "requests to Jupiter left: 4 of 5 main in 10 s" in text
    assert "trading is halted: a storm" in text
    assert "Jupiter does not answer" in text


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        (OrdersLine(open=3, is_all=True, fire_again=0, reason=""), "orders: 3 open"),
        (OrdersLine(open=200, is_all=False, fire_again=0, reason=""), "orders: 200 or more open"),
        (OrdersLine(open=3, is_all=True, fire_again=2, reason="no route"), "orders: 3 open; 2 to fire again: no route"),
    ],
)
def test_open_orders_are_counted_and_what_fired_in_vain_says_why(orders: OrdersLine, words: str) -> None:
    assert line_of(shown(a_report(), a_board(orders=orders)), "orders").strip() == words


@pytest.mark.parametrize("orders", [None, OrdersLine(open=0, is_all=True, fire_again=0, reason="")])
def test_a_book_without_orders_has_no_line(orders: OrdersLine | None) -> None:
    assert "orders" not in shown(a_report(), a_board(orders=orders))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h"), (-5, "0 s")],
)
def test_durations_are_told_in_their_two_largest_units(seconds: int, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_without_a_terminal_addresses_are_told_once_and_no_password() -> None:
    output = io.StringIO()
    screen = PlainScreen(Console(file=output, width=40), FakeClock())
    screen.show(a_report(phase=Phase.STARTING))
    assert not output.getvalue()
    screen.say("a line that is longer than the console is wide stays one line")
    screen.show(a_report())
    screen.show(a_report())
    assert output.getvalue().splitlines() == [
        "12:00:00 a line that is longer than the console is wide stays one line",
        "12:00:00 flower   http://127.0.0.1:5555",
        "12:00:00 redis    127.0.0.1:7000",
    ]


def test_a_reader_that_goes_away_stops_nobody() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as stream, open_screen(stream, FakeClock()) as screen:
        os.close(reading)
        for _ in range(3):
            screen.say("nobody hears this")


def test_output_that_went_away_is_led_nowhere_and_not_tried_again() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        output = OutputThatMayGo(stream)
        os.close(reading)
        assert output.write("x" * 100_000) == 100_000
        output.flush()
        stream.write("now it leads to the null device")
        stream.flush()
