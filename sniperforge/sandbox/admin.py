"""The admin port: decrees over the sandbox, as JSON over HTTP.

Nothing here exists on a real network. Bad input is answered with 400 and *all* its problems.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from solders.pubkey import Pubkey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sniperforge.errors import InvalidInputError
from sniperforge.sandbox.chain import NodeView
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.faucet import Faucet
from sniperforge.sandbox.faults import FaultRule, problems_of
from sniperforge.sandbox.scenarios import SCENARIOS
from sniperforge.sandbox.status import nodes_json, status_of
from sniperforge.sandbox.tokens import TokenSpec, token_account_address

MIN_SLOT_MS = 5
MAX_SLOT_MS = 60_000
MIN_MARKET_SPEED = Fraction(1, 100)
MAX_MARKET_SPEED = 1_000_000
_SHARES = ("jupiterz_share", "maker_leg_share", "absurd_price_share")
_MAX_FORK_DEPTH = 1_000
_SOL_DECIMALS = 9
_U64_MAX = 2**64 - 1


class Fields:
    """The fields of a request body; what is wrong with them is collected, not raised one by one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._known: set[str] = set()
        self.problems: list[str] = []

    def take(self, name: str, kinds: type | tuple[type, ...], what: str, *, required: bool = False) -> Any:
        """A field of these types, None when absent or wrong."""
        self._known.add(name)
        value = self._values.get(name)
        if value is None:
            if required:
                self.problems.append(f"{name}: missing; it is {what}")
            return None
        accepts_bool = kinds is bool
        if not isinstance(value, kinds) or (isinstance(value, bool) and not accepts_bool):
            self.problems.append(f"{name}: {value!r} is not {what}")
            return None
        return value

    def number(self, name: str, what: str, *, required: bool = False) -> Fraction | None:
        """An exact number, written as a JSON number or as a string."""
        value = self.take(name, (int, float, str), what, required=required)
        if value is None:
            return None
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            self.problems.append(f"{name}: {value!r} is not {what}")
            return None

    def whole(self, name: str, low: int, high: int, *, required: bool = False) -> int | None:
        """An integer within bounds."""
        value: int | None = self.take(name, int, f"an integer from {low} to {high}", required=required)
        if value is not None and not low <= value <= high:
            self.problems.append(f"{name}: {value} is not from {low} to {high}")
            return None
        return value

    def share(self, name: str) -> float | None:
        """A probability from 0 to 1."""
        value: float | None = self.take(name, (int, float), "a probability from 0 to 1")
        if value is not None and not 0 <= value <= 1:
            self.problems.append(f"{name}: {value} is not a probability from 0 to 1")
            return None
        return value

    def exact_share(self, name: str) -> Fraction | None:
        """A probability from 0 to 1, exactly as it was written."""
        share = self.number(name, "a probability from 0 to 1")
        if share is not None and not 0 <= share <= 1:
            self.problems.append(f"{name}: {float(share):g} is not a probability from 0 to 1")
            return None
        return share

    def finish(self, subject: str) -> None:
        """Refuse the request if anything was wrong or unknown.

        Raises:
            InvalidInputError: With every problem.
        """
        self.problems += [f"{name}: there is no such field" for name in sorted(set(self._values) - self._known)]
        if self.problems:
            raise InvalidInputError("; ".join(self.problems), subject=subject, problems=tuple(self.problems))


def token_of(context: SandboxContext, fields: Fields, name: str, *, required: bool) -> TokenSpec | None:
    """A token by mint or symbol; an ambiguous symbol is a problem that lists the mints."""
    text: str | None = fields.take(name, str, "a mint or a symbol", required=required)
    if text is None:
        return None
    matches = [one for one in context.world.tokens.values() if text in {str(one.mint), one.symbol}] or [
        one for one in context.world.tokens.values() if text.lower() == one.symbol.lower()
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        mints = ", ".join(str(one.mint) for one in matches)
        fields.problems.append(f"{name}: {text} is the symbol of several tokens; give the mint: {mints}")
    else:
        symbols = ", ".join(sorted({one.symbol for one in context.world.tokens.values()}))
        fields.problems.append(f"{name}: there is no token {text!r}; there are {symbols}, or give a mint")
    return None


Handler = Callable[[SandboxContext, Fields], dict[str, Any]]


def _status(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    fields.finish("status")
    return status_of(context)


def _fund(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    wallet = _pubkey(fields, "wallet")
    lamports = _base_units(fields, "sol", _SOL_DECIMALS)
    token = token_of(context, fields, "token", required=False)
    raw = _base_units(fields, "amount", token.decimals if token is not None else 0)
    if not fields.problems and (token is None) != (raw is None):
        fields.problems.append("token, amount: one says of what, the other how much; give both")
    if not fields.problems and lamports is None and raw is None:
        fields.problems.append("sol, amount: give an amount of SOL, or a token and its amount")
    fields.finish("fund")
    if wallet is None:  # said by finish() already; here for the type checker alone
        raise InvalidInputError("wallet: missing", subject="fund")
    answer: dict[str, Any] = {"wallet": str(wallet)}
    faucet = Faucet(context.chain, context.world)
    transactions = []
    if lamports is not None:
        transactions.append(faucet.sol(wallet, lamports))
        answer["lamports"] = lamports
    if token is not None and raw is not None:
        transactions.append(faucet.tokens(wallet, token, raw))
        account = token_account_address(wallet, token)
        answer |= {"mint": str(token.mint), "symbol": token.symbol, "raw": raw, "token_account": str(account)}
    landed = faucet.submit(*transactions)
    return answer | {"signatures": [record.signature for record in landed], "slot": landed[0].slot}


def _pubkey(fields: Fields, name: str) -> Pubkey | None:
    text: str | None = fields.take(name, str, "an address", required=True)
    if text is None:
        return None
    try:
        return Pubkey.from_string(text)
    except ValueError:
        fields.problems.append(f"{name}: {text!r} is not a base58 address of 32 bytes")
        return None


def _base_units(fields: Fields, name: str, decimals: int) -> int | None:
    amount = fields.number(name, "an amount above zero")
    if amount is None:
        return None
    raw = amount * 10**decimals
    if not 0 < raw <= _U64_MAX:
        fields.problems.append(f"{name}: {float(amount):g} is not above zero and within 64 bits")
        return None
    if raw.denominator != 1:
        fields.problems.append(f"{name}: {float(amount):g} has more than {decimals} decimals")
        return None
    return int(raw)


def _price(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    token = token_of(context, fields, "token", required=True)
    usd = fields.number("usd", "a price in dollars", required=True)
    fields.finish("price")
    if token is None or usd is None:  # said by finish() already
        raise InvalidInputError("token, usd: missing", subject="price")
    context.market.set_price(token.mint, usd)
    return {"symbol": token.symbol, "mint": str(token.mint), "usd": float(usd)}


def _scenario(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    name: Any = fields.take("scenario", str, f"one of {', '.join(SCENARIOS)}", required=True)
    if name is not None and name not in SCENARIOS:
        fields.problems.append(f"scenario: there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    fields.finish("scenario")
    context.market.follow(name)
    return {"scenario": name}


def _pause(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    paused = fields.take("paused", bool, "true or false", required=True)
    fields.finish("pause")
    context.paused = paused
    return {"paused": paused}


def _clock(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    slot_ms = fields.whole("slot_ms", MIN_SLOT_MS, MAX_SLOT_MS)
    speed = fields.number("market_speed", "market seconds per second")
    if speed is not None and not MIN_MARKET_SPEED <= speed <= MAX_MARKET_SPEED:
        fields.problems.append(
            f"market_speed: {float(speed):g} is not from {float(MIN_MARKET_SPEED):g} to {MAX_MARKET_SPEED}"
        )
    fields.finish("clock")
    if slot_ms is not None:
        context.slot_ms = slot_ms
    if speed is not None:
        context.market.set_speed(speed)
    return {"slot_ms": context.slot_ms, "market_speed": float(context.market.speed)}


def _jupiter(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    shares = {name: fields.exact_share(name) for name in _SHARES}
    forbidden = _prefixes(fields)
    fields.finish("jupiter")
    changes: dict[str, Any] = {name: share for name, share in shares.items() if share is not None}
    if forbidden is not None:
        changes["forbidden"] = forbidden
    context.jupiter = replace(context.jupiter, **changes)
    now = context.jupiter
    return {name: float(getattr(now, name)) for name in _SHARES} | {"forbidden": now.forbidden}


def _prefixes(fields: Fields) -> dict[str, tuple[str, ...]] | None:
    what = 'an object of path prefixes by API key, such as {"sandbox-free": ["/price/"]}'
    given: dict[str, Any] | None = fields.take("forbidden", dict, what)
    if given is None:
        return None
    if not all(isinstance(paths, list) and all(isinstance(path, str) for path in paths) for paths in given.values()):
        fields.problems.append(f"forbidden: {given!r} is not {what}")
        return None
    return {key: tuple(paths) for key, paths in given.items()}


def _fork(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    depth = fields.whole("depth", 1, _MAX_FORK_DEPTH, required=True)
    reinclude = fields.share("reinclude")
    fields.finish("fork")
    try:
        return {"dropped": context.chain.fork(depth or 1, reinclude=reinclude or 0.0)}
    except ValueError as error:  # deeper than finality allows at this moment
        raise InvalidInputError(str(error), subject="fork", problems=(f"depth: {error}",)) from error


def _nodes(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    fields.finish("nodes")
    return {"nodes": nodes_json(context)}


def _set_node(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    name: str | None = fields.take("name", str, "the name of a node", required=True)
    lag = fields.whole("lag_slots", 0, 100_000)
    remembers = fields.whole("remembers_slots", 0, 10**9)
    forget_nothing = fields.take("remembers_all", bool, "true or false")
    swallow = fields.share("swallow")
    if name is not None and not name.isidentifier():
        fields.problems.append(f"name: {name!r} is not letters, digits and underscores")
    if remembers is not None and forget_nothing:
        fields.problems.append("remembers_slots, remembers_all: give one of them")
    fields.finish("node")
    name = name or ""
    node = context.nodes.setdefault(name, NodeView(name, context.chain))
    if lag is not None:
        node.lag_slots = lag
    if remembers is not None or forget_nothing:
        node.remembers_slots = remembers
    if swallow is not None:
        node.swallow = swallow
    return {"nodes": nodes_json(context)}


def _faults(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    fields.finish("faults")
    return {"faults": context.faults.rules()}


def _add_fault(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    target: str | None = fields.take("target", str, "a target such as rpc:sendTransaction", required=True)
    kind: Any = fields.take("kind", str, "a kind of fault", required=True)
    node: str | None = fields.take("node", str, "the name of a node")
    count: int | None = fields.take("count", int, "a number of requests")
    probability: float | None = fields.take("probability", (int, float), "a probability above 0 and at most 1")
    params: dict[str, Any] | None = fields.take("params", dict, "an object")
    if node is not None and node not in context.nodes:
        fields.problems.append(f"node: there is no node {node!r}; there are {', '.join(context.nodes)}")
    rule = FaultRule(target or "*", kind or "latency", node, count, probability, params or {})
    if target is not None and kind is not None:
        fields.problems += problems_of(rule)
    fields.finish("fault")
    return {"number": context.faults.add(rule), "faults": context.faults.rules()}


def _clear_faults(context: SandboxContext, fields: Fields) -> dict[str, Any]:
    target: str | None = fields.take("target", str, "a target such as rpc:sendTransaction")
    fields.finish("faults")
    return {"removed": context.faults.clear(target)}


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/status", _status),
    ("POST", "/fund", _fund),
    ("POST", "/price", _price),
    ("POST", "/scenario", _scenario),
    ("POST", "/pause", _pause),
    ("POST", "/clock", _clock),
    ("POST", "/jupiter", _jupiter),
    ("POST", "/fork", _fork),
    ("GET", "/nodes", _nodes),
    ("POST", "/nodes", _set_node),
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
)


def _endpoint(context: SandboxContext, handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        if request.method == "POST":
            try:
                values = json.loads(await request.body() or b"{}")
            except ValueError as error:
                return _refused([f"body: no JSON: {error}"])
            if not isinstance(values, dict):
                return _refused(["body: a JSON object is expected"])
        else:
            values = dict(request.query_params)
        try:
            return JSONResponse(handler(context, Fields(values)))
        except InvalidInputError as error:
            return _refused(list(error.problems) or [str(error)])

    return endpoint


def _refused(problems: list[str]) -> JSONResponse:
    return JSONResponse({"error": "; ".join(problems), "problems": problems}, status_code=400)


def admin_app(context: SandboxContext) -> Starlette:
    """The application of the admin port."""
    return Starlette(
        routes=[Route(path, _endpoint(context, handler), methods=[method]) for method, path, handler in _ROUTES]
    )
