"""What an HTTP answer of Jupiter means: one typed error for every status and refusal.

Sources: developers.jup.ag, Portal, "Responses" and "Rate limits"; Swap API, "Common errors" (routing errors).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import SecretStr, TypeAdapter, ValidationError

from sniperforge.errors import (
    AuthenticationError,
    ExchangeRejectedError,
    ExchangeUnavailableError,
    NoRouteError,
    ProtocolError,
    RateLimitedError,
    SniperForgeError,
)
from sniperforge.shared.connections import HttpAnswer
from sniperforge.shared.jupiter.schemas import ErrorBody

_Form = TypeVar("_Form")
_LONGEST_QUOTE = 200

_NO_ROUTE = (
    "FAILED_TO_GET_QUOTES",
    "NO_ROUTES_FOUND",
    "COULD_NOT_FIND_ANY_ROUTE",
    "ROUTE_PLAN_DOES_NOT_CONSUME_ALL_THE_AMOUNT",
    "CANNOT_COMPUTE_OTHER_AMOUNT_THRESHOLD",
    "MARKET_NOT_FOUND",
)
_REFUSALS = {
    "TOKEN_NOT_TRADABLE": "Jupiter does not trade this token; choose another",
    "NOT_SUPPORTED": "Jupiter does not support this combination; change the request",
    "CIRCULAR_ARBITRAGE_IS_DISABLED": "Input and output must be two different tokens",
    "MUTUALLY_EXCLUSIVE": "Give only one of the two options",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, as far as the adapter needs it."""

    status: int
    body: bytes
    gateway_request_id: str | None
    rate_limit_remaining: int | None
    rate_limit_reset: datetime | None
    """When the oldest call in the window ages out: one place opens, the window is not emptied."""


def reply_of(answer: HttpAnswer) -> Reply:
    """The parts of an answer that matter here. Unreadable rate-limit headers count as absent."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    reset = answer.headers.get("x-ratelimit-reset", "")
    return Reply(
        status=answer.status,
        body=answer.body,
        gateway_request_id=answer.headers.get("x-api-gateway-request-id", "")[:100] or None,
        rate_limit_remaining=int(remaining) if re.fullmatch(r"-?\d{1,9}", remaining) else None,
        rate_limit_reset=datetime.fromtimestamp(int(reset), UTC) if re.fullmatch(r"\d{1,11}", reset) else None,
    )


def parse_json(body: bytes) -> Any:
    """JSON with exact numbers: fractions become `Decimal`, never `float`.

    Raises:
        ValueError: Not JSON (RecursionError, for absurd nesting, is turned into it).
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=Decimal)
    except RecursionError:
        message = "nested too deeply"
        raise ValueError(message) from None


def parse_as(form: TypeAdapter[_Form], value: object, *, subject: str, request_id: str | None) -> _Form:
    """Check an answer against the form its endpoint promises.

    Raises:
        ProtocolError: It lacks a field or has a wrong one; the message names the fields, `details["fields"]` too.
    """
    try:
        return form.validate_python(value)
    except (ValidationError, RecursionError) as error:
        raise _not_as_promised(error, subject, request_id) from None


def _not_as_promised(error: ValidationError | RecursionError, subject: str, request_id: str | None) -> ProtocolError:
    problems: dict[str, str] = {}
    if isinstance(error, ValidationError):
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(str(part) for part in item["loc"]) or "answer"
            problems.setdefault(name, item["msg"].removeprefix("Value error, "))
    listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items()) or "nested too deeply"
    return ProtocolError(
        f"the answer is not what Jupiter documents ({listed})",
        subject=subject,
        fix="Look for a newer release of SniperForge; if there is none, report this with the request id",
        request_id=request_id,
        fields=tuple(problems),
    )


def printable(text: str) -> str:
    """Somebody else's words as one short line that can do nothing to a terminal."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


def provider_text(reply: Reply, secret: SecretStr | None) -> str:
    """What the provider says about an error: one short printable line in which our key does not appear."""
    try:
        parsed = parse_json(reply.body)
        text = ErrorBody.model_validate(parsed).text if isinstance(parsed, dict) else ""
    except (ValueError, ValidationError):
        text = ""
    return printable(_without(text, secret))


def _without(text: str, secret: SecretStr | None) -> str:
    return text if secret is None else text.replace(secret.get_secret_value(), "[key]")


def _provider_code(reply: Reply, secret: SecretStr | None) -> int | str | None:
    try:
        parsed = parse_json(reply.body)
    except ValueError:
        return None
    if not isinstance(parsed, Mapping):
        return None
    code = parsed.get("errorCode", parsed.get("code"))
    if isinstance(code, str):
        return printable(_without(code, secret))
    return code if isinstance(code, int) else None


def read_error(reply: Reply, *, subject: str, secret: SecretStr | None) -> SniperForgeError:
    """The error that a read's answer other than 200 stands for.

    5xx and 408 say nothing about the request, so they are worth trying again, as is 429; a refused key and a refused
    request are not.
    """
    text = provider_text(reply, secret)
    said = f': "{text}"' if text else ""
    request_id = reply.gateway_request_id
    status = reply.status
    if status == 429:
        return _rate_limited(reply, subject=subject, said=said)
    if status in {401, 403}:
        return AuthenticationError(
            f"Jupiter refuses the API key with status {status}{said}",
            subject=subject,
            fix=_authentication_fix(status, text),
            request_id=request_id,
            status=status,
        )
    if status >= 500 or status == 408:
        return ExchangeUnavailableError(
            f"Jupiter answered with status {status}{said}",
            subject=subject,
            fix="Try again shortly; it was only a question",
            request_id=request_id,
            status=status,
        )
    if status == 400:
        return _refusal(text, said, reply, subject, _provider_code(reply, secret))
    return ExchangeRejectedError(
        f"Jupiter answered with the unexpected status {status}{said}",
        subject=subject,
        fix="Check the setting jupiter_url",
        request_id=request_id,
        status=status,
    )


def _authentication_fix(status: int, text: str) -> str:
    if status == 401:
        return "Correct the setting jupiter_api_key, or remove it to go without a key"
    if "firewall" in text.lower():
        return "Change the firewall rules of your organisation in Jupiter's portal"
    return "Give the key access to this product in Jupiter's portal"


def _refusal(text: str, said: str, reply: Reply, subject: str, code: int | str | None) -> SniperForgeError:
    token = re.sub(r"[^A-Z0-9]+", "_", text.upper())
    if any(name in token for name in _NO_ROUTE):
        return NoRouteError(
            f"Jupiter finds no route{said}",
            subject=subject,
            fix="Try again later, with a smaller amount, or without restricting venues",
            request_id=reply.gateway_request_id,
            code=code,
        )
    fix = next((fix for name, fix in _REFUSALS.items() if name in token), "Change the request; it will not work as is")
    return ExchangeRejectedError(
        f"Jupiter refuses the request{said}",
        subject=subject,
        fix=fix,
        request_id=reply.gateway_request_id,
        code=code,
    )


def _rate_limited(reply: Reply, *, subject: str, said: str = "") -> RateLimitedError:
    """The error for status 429. `[API Gateway]` in the text means the plan's limit; otherwise it is a firewall rule."""
    by_plan = "api gateway" in said.lower()
    return RateLimitedError(
        f"Jupiter says there were too many requests{said}",
        subject=subject,
        fix="Wait for the window, use fewer processes, or a larger plan"
        if by_plan or not said
        else "Wait, or change the firewall rules of your organisation in Jupiter's portal",
        request_id=reply.gateway_request_id,
        retry_at=reply.rate_limit_reset,
    )
