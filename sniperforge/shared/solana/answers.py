"""A JSON answer of a node, read with its types checked. Anything missing or of another type is a `ProtocolError`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

from solders.pubkey import Pubkey

from sniperforge.domain.money import Address
from sniperforge.errors import ProtocolError


class Answer:
    """A value in an answer and the way to it.

    Reading one transaction makes hundreds of these, so the way is only put into words when something is wrong.

    Args:
        value: The JSON value.
        subject: Which question at which node, for error messages.
        node: The node that answered.
        holder: The value that this one is in, with the key or the index it has there; None for the result itself.
    """

    __slots__ = ("_holder", "node", "subject", "value")

    def __init__(self, value: Any, subject: str, node: str, holder: tuple[Answer, str | int] | None = None) -> None:
        self.value = value
        self.subject = subject
        self.node = node
        self._holder = holder

    @property
    def path(self) -> str:
        """Where in the answer, as in `result.value[0].slot`."""
        if self._holder is None:
            return "result"
        holder, key = self._holder
        return f"{holder.path}[{key}]" if isinstance(key, int) else f"{holder.path}.{key}"

    def wrong(self, expected: str) -> NoReturn:
        """Refuse this value.

        Raises:
            ProtocolError: Always.
        """
        shown = type(self.value).__name__ if isinstance(self.value, (dict, list, str)) else repr(self.value)
        raise ProtocolError(
            f"{self.path} is {shown}, not {expected}",
            subject=self.subject,
            fix="Use another RPC provider or a newer node",
            node=self.node,
        )

    def __getitem__(self, key: str) -> Answer:
        if not isinstance(self.value, dict):
            self.wrong("an object")
        return Answer(self.value.get(key), self.subject, self.node, (self, key))

    def items(self, count: int | None = None) -> Iterator[Answer]:
        """The elements of a list, of exactly `count` if given."""
        for index, value in enumerate(self._list(count)):
            yield Answer(value, self.subject, self.node, (self, index))

    def _list(self, count: int | None = None) -> list[Any]:
        if not isinstance(self.value, list) or (count is not None and len(self.value) != count):
            self.wrong("a list" if count is None else f"a list of {count}")
        return self.value

    @property
    def missing(self) -> bool:
        """Null, or not there at all."""
        return self.value is None

    def integer(self) -> int:
        """A whole number from zero on."""
        if type(self.value) is not int or self.value < 0:
            self.wrong("a whole number")
        return self.value

    def optional_integer(self) -> int | None:
        """A whole number, or None."""
        return None if self.missing else self.integer()

    def integers(self, count: int) -> tuple[int, ...]:
        """Exactly `count` whole numbers."""
        values = self._list(count)
        if all(type(value) is int and value >= 0 for value in values):
            return tuple(values)
        return tuple(item.integer() for item in self.items())  # the first that is none says so

    def boolean(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.wrong("true or false")
        return self.value

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            self.wrong("a string")
        return self.value

    def amount(self) -> int:
        """Base units, which the RPC writes as a decimal string."""
        text = self.text()
        if not (text.isascii() and text.isdigit()):
            self.wrong("a decimal string")
        return int(text)

    def address(self) -> Address:
        """A base58 address of 32 bytes."""
        try:
            return Address(str(Pubkey.from_string(self.text())))
        except ValueError:
            self.wrong("an address")

    def optional_address(self) -> Address | None:
        """An address, or None."""
        return None if self.missing else self.address()

    def addresses(self) -> tuple[Address, ...]:
        """A list of addresses."""
        return tuple(item.address() for item in self.items())

    def texts(self) -> tuple[str, ...]:
        """A list of strings; null counts as an empty one."""
        if self.missing:
            return ()
        values = self._list()
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        return tuple(item.text() for item in self.items())  # the first that is none says so

    def base64(self) -> bytes:
        """Bytes, written as the pair `[data, "base64"]`."""
        data, encoding = self.items(2)
        if encoding.value != "base64":
            encoding.wrong("base64")
        try:
            return base64.b64decode(data.text(), validate=True)
        except binascii.Error:
            data.wrong("base64")

    def optional_time(self) -> datetime | None:
        """Unix seconds as an aware time, or None."""
        if self.missing:
            return None
        try:
            return datetime.fromtimestamp(self.integer(), UTC)
        except (OverflowError, ValueError, OSError):
            self.wrong("a time")

    def context_slot(self) -> int:
        """The slot an answer was formed at."""
        return self["context"]["slot"].integer()
