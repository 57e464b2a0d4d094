"""Checked query parameters: every problem of a request in one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solders.pubkey import Pubkey

MAX_U64 = 2**64 - 1


class QueryReader:
    """Reads query parameters and remembers what is wrong with them.

    A reader that finds a problem notes it and returns None; whoever is done reading looks at `issues`.
    An empty value counts as absent, as it does there.
    """

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query
        self.issues: list[dict[str, Any]] = []

    def problem(self, name: str, message: str) -> None:
        """Note a problem of a parameter."""
        self.issues.append({"code": "custom", "path": [name], "message": message})

    def has(self, name: str) -> bool:
        """Whether the parameter was sent with a value."""
        return bool(self._query.get(name))

    def text(self, name: str, *, required: bool = False) -> str | None:
        """The parameter as it was sent."""
        value = self._query.get(name)
        if not value:
            if required:
                self.problem(name, "Required")
            return None
        return value

    def pubkey(self, name: str, *, required: bool = False) -> Pubkey | None:
        """A base58 address of 32 bytes."""
        value = self.text(name, required=required)
        if value is None:
            return None
        try:
            return Pubkey.from_string(value)
        except ValueError:
            self.problem(name, "Invalid public key")
            return None

    def integer(self, name: str, low: int, high: int, *, required: bool = False) -> int | None:
        """A whole number within bounds, in plain ASCII digits."""
        value = self.text(name, required=required)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()):
            self.problem(name, "Expected a whole number in digits")
            return None
        # Longer than any u64: refused by length, because turning a huge text into an int is slow.
        number = int(value) if len(value) <= 20 else high + 1
        if not low <= number <= high:
            self.problem(name, f"Expected a number between {low} and {high}")
            return None
        return number

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """One of a few words."""
        value = self.text(name)
        if value is not None and value not in choices:
            self.problem(name, f"Invalid option: expected one of {'|'.join(choices)}")
            return None
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self.choice(name, ("true", "false"))
        return default if value is None else value == "true"

    def names(self, name: str) -> frozenset[str]:
        """Names separated by commas; surrounding spaces do not count."""
        return frozenset(part.strip() for part in self._query.get(name, "").split(",") if part.strip())

    def error_text(self) -> str:
        """All problems in one line."""
        return "; ".join(f"{issue['path'][0]}: {issue['message']}" for issue in self.issues)
