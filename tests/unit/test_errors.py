"""Errors cross process borders whole, and each says whether trying again helps."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sniperforge import errors
from sniperforge.errors import (
    ConfigError,
    ConflictError,
    InvalidInputError,
    OutcomeUnknownError,
    RateLimitedError,
    RetryableError,
    SniperForgeError,
    TerminalError,
)

BRANCHES = {"retryable": RetryableError, "terminal": TerminalError, "unknown": OutcomeUnknownError}


def every_error() -> Iterator[type[SniperForgeError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, SniperForgeError) and value is not SniperForgeError:
            yield value


@pytest.mark.parametrize("error", list(every_error()))
def test_an_error_survives_pickling_whole(error: type[SniperForgeError]) -> None:
    raised = error("it broke", subject="part", fix="Mend it", request_id="r-1", code=-1005, problems=("a", "b"))

    loaded = pickle.loads(pickle.dumps(raised))  # noqa: S301 (our own bytes)

    assert type(loaded) is error
    assert vars(loaded) == vars(raised)
    assert str(loaded) == str(raised) == "part: it broke. Mend it [request r-1]"
    assert loaded.args == raised.args


@pytest.mark.parametrize("error", list(every_error()))
def test_an_error_stands_on_the_branch_its_disposition_names(error: type[SniperForgeError]) -> None:
    assert issubclass(error, BRANCHES[error.disposition])


def test_an_error_with_nothing_but_a_sentence_prints_only_that() -> None:
    assert str(ConflictError("the key is taken")) == "the key is taken"


def test_rate_limits_say_when_a_place_opens() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    assert RateLimitedError("full", retry_at=moment).retry_at == moment
    assert RateLimitedError("full").retry_at is None
    assert RateLimitedError("full", retry_at="soon").retry_at is None


@pytest.mark.parametrize("error", [ConfigError, InvalidInputError])
def test_several_problems_are_listed_at_once(error: type[ConfigError | InvalidInputError]) -> None:
    assert error("bad", problems=["a", "b"]).problems == ("a", "b")
    assert error("bad").problems == ()
