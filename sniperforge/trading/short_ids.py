"""Finding what a person means by the first letters of an id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sniperforge.errors import InvalidInputError

SHORTEST_PREFIX = 3


class HasId(Protocol):
    """A record with an id of small letters and digits."""

    @property
    def id(self) -> str:
        """The id."""
        ...


_Found = TypeVar("_Found", bound=HasId)


def find_only(
    id_or_prefix: str, starting_with: Callable[[str, int], Sequence[_Found]], *, noun: str, listed_by: str
) -> _Found:
    """The record with this id, or with the only id that begins so.

    Args:
        id_or_prefix: What was typed.
        starting_with: Records whose id begins so, at most as many as asked for.
        noun: What it is, for the person.
        listed_by: The command that lists them.

    Raises:
        InvalidInputError: There is none, there are several, or the prefix is too short to mean one.
    """
    text = id_or_prefix.strip().lower()
    if len(text) < SHORTEST_PREFIX or not text.isalnum():
        raise InvalidInputError(
            f"this is no id of {'an' if noun[0] in 'aeiou' else 'a'} {noun}, and not the beginning of one",
            subject=repr(id_or_prefix),
            fix=f"Give {SHORTEST_PREFIX} or more of its letters and digits; `{listed_by}` lists them",
        )
    found = starting_with(text, 2)
    if not found:
        raise InvalidInputError(f"there is no such {noun}", subject=id_or_prefix, fix=f"`{listed_by}` lists them")
    if len(found) > 1:
        raise InvalidInputError(
            f"several {noun}s begin so ({', '.join(one.id for one in found)}, ...)",
            subject=id_or_prefix,
            fix="Give more of the id",
        )
    return found[0]
