"""JSON answers and refusals, in the forms Jupiter's gateway and its services use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from json.encoder import encode_basestring_ascii
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

_SIGNIFICANT_DIGITS = Context(prec=20)


def number(value: Fraction) -> Decimal:
    """A fraction as the JSON number it is printed as, to 20 significant digits.

    That is more than a double holds, so a client that parses numbers as floats loses digits here and can notice.
    """
    exact = _SIGNIFICANT_DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact.normalize()


def dumps(value: Any) -> str:
    """JSON text in which a `Decimal` is a number with all its digits; the standard library has no such thing.

    Raises:
        TypeError: A value has no JSON form (floats included: nothing here computes with them).
    """
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{encode_basestring_ascii(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON form here")


class JsonAnswer(Response):
    """An answer with a JSON body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return dumps(content).encode()


class RefusedError(Exception):
    """A request that is answered with an error body.

    Args:
        status: HTTP status.
        body: JSON body.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


Endpoint = Callable[[Request], Awaitable[Response]]


def refusable(endpoint: Endpoint) -> Endpoint:
    """Turn a `RefusedError` of this endpoint into its answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as refused:
            return JsonAnswer(refused.body, refused.status)

    return answer
