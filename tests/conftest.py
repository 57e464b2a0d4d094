"""What every test may count on."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--books postgres` runs commands on PostgreSQL; every home in tests/e2e then has a database of its own."""
    parser.addoption("--books", choices=("sqlite", "postgres"), default="sqlite", help="what keeps the books of homes")


def pytest_configure() -> None:
    """Let Ctrl-C and a terminal that goes away mean what they mean to a person.

    Whoever runs the tests in the background (`nohup`, `&`) has them ignored, and so would every process they start.
    """
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
