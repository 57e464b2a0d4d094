"""Jupiter over HTTP: `ports.exchange.Exchange` by swap v2, price v3 and tokens v2.

Nothing here tries again by itself: a read that fails says so, and an `/execute` that fails is an unknown outcome.

Source: developers.jup.ag (Swap API v2, Price API v3, Tokens API v2) and its OpenAPI documents.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import httpx2
import structlog
from pydantic import SecretStr

from sniperforge import __version__
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.prices import Price, rounded_price
from sniperforge.errors import (
    ConfigError,
    ExchangeUnavailableError,
    ExecuteOutcomeUnknownError,
    InvalidInputError,
    ProtocolError,
    RateLimitedError,
)
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Build, BuildRequest, ExecuteAnswer, Lane, Order, OrderRequest, TokenListing
from sniperforge.shared.connections import Connections, Headers, HttpAnswer, NoAnswerError
from sniperforge.shared.jupiter.answers import to_build, to_execute_answer, to_listing, to_order
from sniperforge.shared.jupiter.rate_limit import Bucket, Permit, RequestBudget
from sniperforge.shared.jupiter.responses import (
    Reply,
    parse_as,
    parse_json,
    provider_text,
    read_error,
    reply_of,
)
from sniperforge.shared.jupiter.schemas import BUILD, EXECUTE, LABELS, ORDER, PRICES, TOKENS

PRICES_PER_CALL = 50
MINTS_PER_SEARCH = 100
_EXECUTE_BUDGET_WAIT_S = 2.0
"""What is signed lives about 30 s; waiting longer than this for our own budget would waste it."""

_KEEP_ALIVE_S = 30.0
"""Idle connections are dropped by us, before load balancers (60 s) drop them under a request that is being sent."""

_LARGEST_ANSWER_BYTES = 16 * 2**20
_Item = TypeVar("_Item")

_USER_AGENT = (b"user-agent", f"sniperforge/{__version__}".encode())
_ORDER = "/swap/v2/order"
_EXECUTE = "/swap/v2/execute"
_BUILD = "/swap/v2/build"
_LABELS = "/swap/v2/program-id-to-label"
_PRICES = "/price/v3"
_TOKENS = "/tokens/v2/search"


_log = structlog.get_logger(__name__)


class Wire(Protocol):
    """What requests go over: `Connections`, or whatever stands in for them."""

    def request(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | None, timeout_s: float
    ) -> HttpAnswer:
        """See `Connections.request`."""
        ...

    def close(self) -> None:
        """See `Connections.close`."""
        ...


class JupiterClient:
    """Jupiter's HTTP API. Safe to use from many threads; none waits for another's connection.

    Args:
        base_url: Such as `https://api.jup.ag`.
        api_key: Sent as `x-api-key`; None goes without a key, on the smallest plan. Never logged.
        budget: The organisation's request budget.
        clock: Stamps prices and orders with the time they were received.
        timeout_s: Longest wait for a read.
        execute_timeout_s: Longest wait for `/execute`.
        budget_wait_s: Longest wait of a read for a place in the budget.
        wire: What requests go over; None for the network.

    Raises:
        ConfigError: The key cannot be sent in a header, or the address is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: SecretStr | None,
        budget: RequestBudget,
        clock: Clock,
        timeout_s: float = 5.0,
        execute_timeout_s: float = 30.0,
        budget_wait_s: float = 10.0,
        wire: Wire | None = None,
    ) -> None:
        self._base_url = _usable(base_url)
        self._api_key = api_key
        self._mine = threading.local()
        self._budget = budget
        self._clock = clock
        self._timeout_s = timeout_s
        self._execute_timeout_s = execute_timeout_s
        self._budget_wait_s = budget_wait_s
        self._path = httpx2.URL(self._base_url).raw_path.rstrip(b"/")
        if api_key is not None:
            _must_be_sendable(api_key)
        self._wire = wire or Connections(
            self._base_url, setting="jupiter_url", keepalive_s=_KEEP_ALIVE_S, largest_bytes=_LARGEST_ANSWER_BYTES
        )

    def __repr__(self) -> str:
        return f"JupiterClient({self._base_url!r})"

    def warm(self) -> None:
        """Open a connection before it is needed, if the budget has a call to spare; any answer will do.

        (It is a request like any other to whoever counts them. On a small plan a worker's many threads would use up
        what its first trades need.)

        Raises:
            ExchangeUnavailableError: Jupiter cannot be reached.
        """
        try:
            self._budget.acquire(Lane.MONITORING, Bucket.MAIN, timeout_s=0)
        except RateLimitedError:
            return
        try:
            self._ask("HEAD", "/", timeout_s=self._timeout_s)
        except NoAnswerError as error:
            raise self._unreachable("/", error) from error

    def close(self) -> None:
        """Close its connections, and those of the budget."""
        self._wire.close()
        self._budget.close()

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        """Prices by mint, asked 50 at a time.

        A mint that Jupiter leaves out or gives null is absent here too, and so is one whose price is zero, negative or
        outside what we can keep: what was drained has no price, and keeps no other token from having one.
        """
        found: dict[Mint, Price] = {}
        for some in _batches(list(dict.fromkeys(mints)), PRICES_PER_CALL):
            reply = self._read(_PRICES, {"ids": ",".join(some)}, lane)
            received_at = self._clock.now()
            answers = parse_as(PRICES, self._json(reply, _PRICES), subject=_PRICES, request_id=reply.gateway_request_id)
            for mint in some:
                answer = answers.get(mint)
                if answer is None or answer.usd_price is None:
                    continue
                try:
                    found[mint] = Price(
                        mint=mint,
                        usd=rounded_price(answer.usd_price),
                        source="jupiter",
                        observed_at=received_at,
                        slot=answer.block_id,
                    )
                except InvalidInputError as error:
                    _log.warning("price_unusable", mint=mint, why=error.what, request_id=reply.gateway_request_id)
        return MappingProxyType(found)

    def search_tokens(self, query: str, *, lane: Lane = Lane.MONITORING) -> tuple[TokenListing, ...]:
        """Tokens by symbol or name (up to 20 hits), or by mints separated by commas (asked 100 at a time).

        Raises:
            InvalidInputError: The query is empty.
        """
        parts = [part.strip() for part in query.split(",") if part.strip()]
        if not parts:
            raise InvalidInputError("the search is empty", subject="token", fix="Give a symbol or a mint address")
        found: list[TokenListing] = []
        for some in _batches(parts, MINTS_PER_SEARCH):
            reply = self._read(_TOKENS, {"query": ",".join(some)}, lane)
            answers = parse_as(TOKENS, self._json(reply, _TOKENS), subject=_TOKENS, request_id=reply.gateway_request_id)
            found += [to_listing(answer) for answer in answers]
        return tuple(found)

    def order(self, request: OrderRequest, *, lane: Lane) -> Order:
        """A quote and, with a taker, a transaction to sign (see `ports.exchange`)."""
        query = {
            "inputMint": request.input_mint,
            "outputMint": request.output_mint,
            "amount": str(request.amount_raw),
        }
        if request.taker is not None:
            query["taker"] = request.taker
        if request.slippage_bps is not None:
            query["slippageBps"] = str(request.slippage_bps)
        if request.exclude_routers:
            query["excludeRouters"] = ",".join(request.exclude_routers)
        if request.exclude_dexes:
            query["excludeDexes"] = ",".join(request.exclude_dexes)
        if request.priority_fee_lamports is not None:
            # Observed: without a broadcastFeeType the fee is ignored.
            query |= {"priorityFeeLamports": str(request.priority_fee_lamports), "broadcastFeeType": "maxCap"}
        reply = self._read(_ORDER, query, lane)
        answer = parse_as(ORDER, self._json(reply, _ORDER), subject=_ORDER, request_id=reply.gateway_request_id)
        return to_order(answer, request, reply, self._clock.now())

    def build(self, request: BuildRequest, *, lane: Lane) -> Build:
        """Instructions for a transaction of our own (see `ports.exchange`)."""
        query = {
            "inputMint": request.input_mint,
            "outputMint": request.output_mint,
            "amount": str(request.amount_raw),
            "taker": request.taker,
            "slippageBps": str(request.slippage_bps),
        }
        if request.dexes:
            query["dexes"] = ",".join(request.dexes)
        if request.exclude_dexes:
            query["excludeDexes"] = ",".join(request.exclude_dexes)
        if request.max_accounts is not None:
            query["maxAccounts"] = str(request.max_accounts)
        if request.tip_lamports is not None:
            query["tipAmount"] = str(request.tip_lamports)
        reply = self._read(_BUILD, query, lane)
        answer = parse_as(BUILD, self._json(reply, _BUILD), subject=_BUILD, request_id=reply.gateway_request_id)
        return to_build(answer, request, reply)

    def program_labels(self, *, lane: Lane = Lane.MONITORING) -> Mapping[Address, str]:
        """Venue labels by program id; several programs may share one label."""
        reply = self._read(_LABELS, {}, lane)
        labels = parse_as(LABELS, self._json(reply, _LABELS), subject=_LABELS, request_id=reply.gateway_request_id)
        return MappingProxyType({Address(program): label for program, label in labels.items()})

    def execute(
        self,
        signed_transaction: bytes,
        request_id: str,
        last_valid_block_height: int | None,
        *,
        lane: Lane = Lane.CONFIRMATION,
    ) -> ExecuteAnswer:
        """Post a signed transaction, or ask again about one posted before (see `ports.exchange`)."""
        body = {"signedTransaction": base64.b64encode(signed_transaction).decode(), "requestId": request_id}
        if last_valid_block_height is not None:
            body["lastValidBlockHeight"] = str(last_valid_block_height)
        permit = self._budget.acquire(lane, Bucket.EXECUTE, timeout_s=_EXECUTE_BUDGET_WAIT_S)
        try:
            reply = self._ask("POST", _EXECUTE, timeout_s=self._execute_timeout_s, body=body)
            self._tell_budget(permit, reply)
        except Exception as error:
            # From here on bytes may have left, whatever broke.
            raise _unknown(f"no whole answer arrived ({_named(error)})", request_id, None, None) from error
        try:
            if reply.status not in {200, 400}:
                raise _unknown_status(reply, request_id, self._api_key)
            parsed = parse_as(EXECUTE, parse_json(reply.body), subject=_EXECUTE, request_id=reply.gateway_request_id)
        except (ValueError, ProtocolError) as error:
            text = provider_text(reply, self._api_key)
            what = f"the answer with status {reply.status} cannot be understood" + (f': "{text}"' if text else "")
            raise _unknown(what, request_id, reply.gateway_request_id, reply.status) from error
        return to_execute_answer(parsed, reply)

    @contextmanager
    def together(self, calls: int, *, lane: Lane) -> Iterator[None]:
        """Leave for all calls of the block at once (see `ports.exchange`)."""
        permit = self._budget.acquire(lane, Bucket.MAIN, timeout_s=self._budget_wait_s, calls=calls)
        self._mine.left = deque(replace(permit, calls=1) for _ in range(permit.calls))
        try:
            yield
        finally:
            self._mine.left.clear()

    def _permit(self, lane: Lane) -> Permit:
        left: deque[Permit] | None = getattr(self._mine, "left", None)
        return left.popleft() if left else self._budget.acquire(lane, Bucket.MAIN, timeout_s=self._budget_wait_s)

    def _read(self, path: str, query: Mapping[str, str], lane: Lane) -> Reply:
        permit = self._permit(lane)
        try:
            reply = self._ask("GET", path, timeout_s=self._timeout_s, query=query)
        except NoAnswerError as error:
            raise self._unreachable(path, error) from error
        self._tell_budget(permit, reply)
        if reply.status != 200:
            raise read_error(reply, subject=path, secret=self._api_key)
        return reply

    def _ask(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request, one answer."""
        target = self._path + path.encode()
        if query:
            target += b"?" + urlencode(query).encode()
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return reply_of(self._wire.request(method.encode(), target, self._headers(), content, timeout_s))

    def _headers(self) -> Headers:
        # Written anew each time, so that the key stands nowhere but in its secret.
        if self._api_key is None:
            return (_USER_AGENT,)
        return (_USER_AGENT, (b"x-api-key", self._api_key.get_secret_value().encode()))

    def _tell_budget(self, permit: Permit, reply: Reply) -> None:
        self._budget.answered(
            permit,
            refused=reply.status == 429,
            remaining=reply.rate_limit_remaining,
            reset=reply.rate_limit_reset,
        )

    def _json(self, reply: Reply, path: str) -> object:
        try:
            return parse_json(reply.body)
        except ValueError:
            raise ExchangeUnavailableError(
                "Jupiter's answer is not JSON",
                subject=path,
                fix="Try again shortly; if it stays so, check jupiter_url and proxies on the way",
                request_id=reply.gateway_request_id,
                status=reply.status,
            ) from None

    def _unreachable(self, path: str, error: NoAnswerError) -> ExchangeUnavailableError:
        # The type only: a message of the library may quote what it was asked to send, headers included.
        return ExchangeUnavailableError(
            f"no answer from {self._base_url} ({error})",
            subject=path,
            fix="Check the network and the setting jupiter_url, then try again",
            cause=str(error),
        )


def _unknown(
    what: str, order_id: str, gateway_request_id: str | None, status: int | None, *, fix: str = ""
) -> ExecuteOutcomeUnknownError:
    return ExecuteOutcomeUnknownError(
        f"{what}, so the transaction may have landed",
        subject=f"order {order_id}",
        fix="Post the same bytes again within two minutes, or ask the chain; sign nothing new before it is proven dead"
        + (f". About the status: {fix}" if fix else ""),
        request_id=gateway_request_id,
        status=status,
    )


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, NoAnswerError) else type(error).__name__


def _unknown_status(reply: Reply, order_id: str, secret: SecretStr | None) -> ExecuteOutcomeUnknownError:
    cause = read_error(reply, subject=_EXECUTE, secret=secret)
    return _unknown(cause.what, order_id, reply.gateway_request_id, reply.status, fix=cause.fix)


def _must_be_sendable(key: SecretStr) -> None:
    """Refuse a key that cannot stand in a header; a library that refused it there would quote it in its error."""
    value = key.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError(
            "it contains blanks, line breaks or other characters that no key has",
            subject="jupiter_api_key",
            fix="Copy it again from Jupiter's portal",
        )


def _usable(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise ConfigError("it is not an address", subject="jupiter_url", fix="Write https://host or http://host:port")
    return base_url.rstrip("/")


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
