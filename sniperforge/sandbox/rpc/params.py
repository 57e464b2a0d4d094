"""Parameters of a request, checked as a validator checks them; whatever is wrong becomes error -32602."""

from __future__ import annotations

from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from sniperforge.sandbox.chain import CommitmentName
from sniperforge.sandbox.rpc.errors import RpcError, invalid_params

_U64_MAX = 2**64 - 1
_COMMITMENTS: dict[str, CommitmentName] = {
    "processed": "processed",
    "confirmed": "confirmed",
    "finalized": "finalized",
}


def _described(value: object) -> str:
    """A JSON value in serde's words."""
    match value:
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f'string "{value}"'
        case None:
            return "null"
        case list():
            return "sequence"
        case _:
            return "map"


def wrong_type(value: object, expected: str) -> RpcError:
    """A value of another type than the method takes."""
    return invalid_params(f"Invalid params: invalid type: {_described(value)}, expected {expected}.")


def one_of(value: object, variants: tuple[str, ...]) -> str:
    """A string that must be one of these."""
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    if value not in variants:
        names = ", ".join(f"`{name}`" for name in variants)
        raise invalid_params(f"Invalid params: unknown variant `{value}`, expected one of {names}.")
    return value


def u64(value: object) -> int:
    """An unsigned 64-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, "u64")
    if not 0 <= value <= _U64_MAX:
        raise invalid_params(f"Invalid params: invalid value: integer `{value}`, expected u64.")
    return value


def address(value: object) -> str:
    """A base58 public key; the text itself is returned, in canonical form."""
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    try:
        return str(Pubkey.from_string(value))
    except ValueError:
        raise invalid_params("Invalid param: WrongSize" if value.isalnum() else "Invalid param: Invalid") from None


def signature(value: object) -> str:
    """A base58 signature."""
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    try:
        return str(Signature.from_string(value))
    except ValueError:
        raise invalid_params("Invalid param: WrongSize" if value.isalnum() else "Invalid param: Invalid") from None


def blockhash(value: object) -> str:
    """A base58 blockhash: as long as a public key."""
    return address(value)


class Config:
    """The configuration object of a request. Absent and null mean the default; unknown fields are ignored."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def commitment(self, default: CommitmentName = "finalized", name: str = "commitment") -> CommitmentName:
        """A commitment level."""
        value = self.fields.get(name)
        if value is None:
            return default
        return _COMMITMENTS[one_of(value, ("processed", "confirmed", "finalized"))]

    def choice(self, name: str, variants: tuple[str, ...]) -> str | None:
        """One of these strings, or None."""
        value = self.fields.get(name)
        return None if value is None else one_of(value, variants)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean."""
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise wrong_type(value, "a boolean")
        return value

    def u64(self, name: str) -> int | None:
        """An unsigned integer, or None."""
        value = self.fields.get(name)
        return None if value is None else u64(value)

    def signature(self, name: str) -> str | None:
        """A signature, or None."""
        value = self.fields.get(name)
        return None if value is None else signature(value)

    def section(self, name: str) -> Config | None:
        """A nested object, or None."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(value, f"struct {name}")
        return Config(value)

    def items(self, name: str) -> list[Any] | None:
        """A list, or None."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, list):
            raise wrong_type(value, "a sequence")
        return value


class Params:
    """The positional parameters of a request."""

    __slots__ = ("values",)

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def get(self, index: int) -> Any:
        """A parameter, None when absent."""
        return self.values[index] if index < len(self.values) else None

    def address(self, index: int) -> str:
        """A public key."""
        return address(self.values[index])

    def signature(self, index: int) -> str:
        """A signature."""
        return signature(self.values[index])

    def u64(self, index: int) -> int:
        """An unsigned integer."""
        return u64(self.values[index])

    def string(self, index: int) -> str:
        """A string."""
        value = self.values[index]
        if not isinstance(value, str):
            raise wrong_type(value, "a string")
        return value

    def strings(self, index: int, most: int) -> list[str]:
        """A list of strings, not longer than the node allows."""
        values = self.values[index]
        if not isinstance(values, list):
            raise wrong_type(values, "a sequence")
        if len(values) > most:
            raise invalid_params(f"Too many inputs provided; max {most}")
        return values

    def config(self, index: int) -> Config:
        """The configuration object; an empty one when absent."""
        value = self.get(index)
        if value is None:
            return Config({})
        if not isinstance(value, dict):
            raise wrong_type(value, "struct Config")
        return Config(value)
