"""Names of what can be watched: the price of a token in dollars, the ratio of two, the change over a time; a time."""

from __future__ import annotations

from dataclasses import dataclass

from sniperforge.domain.money import Mint
from sniperforge.domain.time_window import TimeWindow, is_window, window_of
from sniperforge.domain.trigger import Subject
from sniperforge.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Watching:
    """What a subject's value is made of.

    Attributes:
        mint: The token; the value is its price in dollars, unless
        per: another token is named: then it is how many of that one whole token of `mint` costs, or
        lookback_s: a time is named: then it is the price now as a share of the price so many seconds ago.
    """

    mint: Mint
    per: Mint | None = None
    lookback_s: int | None = None

    @property
    def subject(self) -> Subject:
        """The name."""
        if self.per is not None:
            return Subject(f"{self.mint}/{self.per}")
        return Subject(self.mint if self.lookback_s is None else f"{self.mint}@{self.lookback_s}")

    @property
    def mints(self) -> tuple[Mint, ...]:
        """The tokens whose prices it needs."""
        return (self.mint,) if self.per is None else (self.mint, self.per)


def watching(subject: Subject) -> Watching | TimeWindow:
    """What a name means.

    Raises:
        InvalidInputError: It is not the name of anything.
    """
    return window_of(subject) if is_window(subject) else price_watched(subject)


def price_watched(subject: Subject) -> Watching:
    """What the name of something that is made of prices means.

    Raises:
        InvalidInputError: It is not the name of anything.
    """
    mint, slash, per = subject.partition("/")
    if slash:
        return Watching(Mint(mint), per=Mint(per))
    mint, at, lookback = subject.partition("@")
    if not at:
        return Watching(Mint(mint))
    if not lookback.isdecimal():
        raise InvalidInputError("this is nothing that can be watched", subject=subject)
    return Watching(Mint(mint), lookback_s=int(lookback))


def mints_of(subject: Subject) -> tuple[Mint, ...]:
    """The tokens whose prices it needs; none for a window of time."""
    return () if is_window(subject) else price_watched(subject).mints
