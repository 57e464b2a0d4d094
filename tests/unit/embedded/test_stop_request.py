"""How a stack is asked to stop."""

from __future__ import annotations

import os
import signal

import pytest

from sniperforge.embedded.stop_request import StopRequest, signals_to


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_to_stop_and_the_second_one_to_hurry(number: signal.Signals) -> None:
    stop = StopRequest()
    with signals_to(stop):
        assert (stop.is_asked, stop.is_hurried) == (False, False)
        os.kill(os.getpid(), number)
        assert (stop.is_asked, stop.is_hurried) == (True, False)
        os.kill(os.getpid(), number)
        assert (stop.is_asked, stop.is_hurried) == (True, True)


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_to(StopRequest()):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_nohup_is_respected() -> None:
    stop = StopRequest()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_to(stop):
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_whoever_waits_is_woken_by_the_wish() -> None:
    stop = StopRequest()
    stop.ask()
    stop.wait(3_600)
