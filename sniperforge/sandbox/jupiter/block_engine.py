"""A Jito block engine: `POST /api/v1/transactions` and `POST /api/v1/bundles`, JSON-RPC both.

A bundle is up to five transactions that land in one slot, in order, all or none; here its turn comes with the next
slot. One call a second for each caller, whatever it asks. The engine's memory is five minutes long and not saved.
Source: Jito's JSON-RPC reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from solders.transaction import VersionedTransaction
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.chain import LandedRecord, Refusal, StatusRecord
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.gateway import SlidingWindow
from sniperforge.sandbox.jupiter.send_calls import (
    INVALID_PARAMS,
    SendRefusedError,
    answer_call,
    config_of,
    error_answer,
    largest_tip,
    transaction_in,
)
from sniperforge.sandbox.jupiter.tips import JITO_MINIMUM_TIP_LAMPORTS, JITO_TIP_ACCOUNTS

MOST_TRANSACTIONS = 5
MOST_IDS = 5
REMEMBERED_S = 300
_TIP_ACCOUNTS = frozenset(JITO_TIP_ACCOUNTS)

BundleState = Literal["Pending", "Failed", "Landed"]


@dataclass(slots=True)
class Bundle:
    """Transactions that stand and fall together.

    Attributes:
        id: SHA-256 of the signatures, in hex.
        signatures: The first one of each transaction, in order.
        received_at: Unix seconds.
        pending: Whether its turn has not come yet.
        landed: Whether all of it landed, at the time.
    """

    id: str
    raws: tuple[bytes, ...]
    signatures: tuple[str, ...]
    received_at: float
    pending: bool = True
    landed: bool = False

    @classmethod
    def of(cls, transactions: list[VersionedTransaction], received_at: float) -> Bundle:
        """A bundle of these transactions that was just received."""
        signatures = tuple(str(transaction.signatures[0]) for transaction in transactions)
        bundle_id = sha256(",".join(signatures).encode()).hexdigest()
        return cls(bundle_id, tuple(map(bytes, transactions)), signatures, received_at)


class BlockEngine:
    """Answers both paths."""

    def __init__(self, context: SandboxContext) -> None:
        self._context = context
        self._windows: dict[str, SlidingWindow] = {}
        self._bundles: dict[str, Bundle] = {}
        self._auctions: set[asyncio.Task[None]] = set()

    async def transactions(self, request: Request) -> Response:
        """`sendTransaction`: forwarded at once; `x-bundle-id` comes with the answer.

        With `?bundleOnly=true` it is a bundle of one: if it would fail it does not land, and costs nothing.
        """
        if not self._has_place(request):
            return _too_many()
        bundle_only = request.query_params.get("bundleOnly") == "true"
        sent: list[Bundle] = []

        def send(params: list[Any]) -> str:
            config = config_of(params, refusal_code=INVALID_PARAMS)
            transaction = transaction_in(params[0] if params else None, _encoding(config))
            if bundle_only:
                _check_tip([transaction])
            sent.append(self._take(Bundle.of([transaction], self._context.clock()), at_once=not bundle_only))
            return sent[0].signatures[0]

        answer = await answer_call(request, {"sendTransaction": send})
        if sent:
            answer.headers["x-bundle-id"] = sent[0].id
        return answer

    async def bundles(self, request: Request) -> Response:
        """Bundles sent and asked after. A bundle's id is a receipt and no proof of landing."""
        if not self._has_place(request):
            return _too_many()
        return await answer_call(
            request,
            {
                "sendBundle": self._send_bundle,
                "getBundleStatuses": self._statuses,
                "getInflightBundleStatuses": self._inflight,
                "getTipAccounts": lambda _params: list(map(str, JITO_TIP_ACCOUNTS)),
            },
        )

    # ---- methods
    def _send_bundle(self, params: list[Any]) -> str:
        encoding = _encoding(config_of(params, refusal_code=INVALID_PARAMS))
        texts = _list_of(params, MOST_TRANSACTIONS, "transactions")
        transactions = [transaction_in(text, encoding) for text in texts]
        _check_tip(transactions)
        bundle = Bundle.of(transactions, self._context.clock())
        if len(set(bundle.signatures)) < len(texts):
            raise SendRefusedError(INVALID_PARAMS, "bundle contains duplicate transactions")
        return self._take(bundle, at_once=False).id

    def _statuses(self, params: list[Any]) -> dict[str, Any]:
        return self._answered(params, self._landed_json)

    def _inflight(self, params: list[Any]) -> dict[str, Any]:
        return self._answered(params, self._inflight_json)

    def _answered(self, params: list[Any], to_json: Callable[[str], dict[str, Any] | None]) -> dict[str, Any]:
        self._forget()
        ids = _list_of(params, MOST_IDS, "bundle ids")
        slot = self._context.chain.slot_at("confirmed")
        return {"context": {"slot": slot}, "value": [to_json(bundle_id) for bundle_id in ids]}

    def _landed_json(self, bundle_id: str) -> dict[str, Any] | None:
        bundle = self._bundles.get(bundle_id)
        status = None if bundle is None else self._status(bundle)
        if bundle is None or status is None:
            return None
        return {
            "bundle_id": bundle_id,
            "transactions": bundle.signatures,
            "slot": status.slot,
            "confirmation_status": status.commitment,
            "err": {"Ok": None},
        }

    def _inflight_json(self, bundle_id: str) -> dict[str, Any]:
        bundle = self._bundles.get(bundle_id)
        status = None if bundle is None else self._status(bundle)
        state = "Invalid" if bundle is None else self._state(bundle)
        return {"bundle_id": bundle_id, "status": state, "landed_slot": None if status is None else status.slot}

    # ---- bundles
    def _take(self, bundle: Bundle, *, at_once: bool) -> Bundle:
        """Take a bundle on its way; one that is there already stays there, unless it failed."""
        self._forget()
        known = self._bundles.get(bundle.id)
        if known is not None and self._state(known) != "Failed":
            return known
        self._bundles[bundle.id] = bundle
        if at_once:
            bundle.pending = False
            outcome = self._context.chain.submit(bundle.raws[0])
            bundle.landed = isinstance(outcome, LandedRecord) and outcome.err is None
        else:
            auction = asyncio.create_task(self._auction(bundle))
            self._auctions.add(auction)
            auction.add_done_callback(self._auctions.discard)
        return bundle

    async def _auction(self, bundle: Bundle) -> None:
        await self._context.wait_slot()
        bundle.pending = False
        bundle.landed = not isinstance(self._context.chain.submit_together(bundle.raws), Refusal)

    def _state(self, bundle: Bundle) -> BundleState:
        if bundle.pending:
            return "Pending"
        return "Landed" if self._status(bundle) is not None else "Failed"

    def _status(self, bundle: Bundle) -> StatusRecord | None:
        """What the chain says of a bundle that landed: None when it did not, or a fork took it back."""
        if not bundle.landed:
            return None
        return self._context.chain.status(bundle.signatures[0], search_history=True)

    def _forget(self) -> None:
        """Drop what is older than the engine remembers."""
        oldest = self._context.clock() - REMEMBERED_S
        self._bundles = {key: held for key, held in self._bundles.items() if held.received_at > oldest or held.pending}

    def _has_place(self, request: Request) -> bool:
        if not self._context.config.rate_limits_enabled:
            return True
        caller = request.client.host if request.client else ""
        window = self._windows.setdefault(caller, SlidingWindow(1, 1))
        return window.take(self._context.clock()).allowed


def _too_many() -> Response:
    limited = SendRefusedError(-32097, "Network congested. Rate limit exceeded: 1 request per second")
    return error_answer(None, limited, status=429)


def _encoding(config: dict[str, Any]) -> str:
    """Base58 unless told otherwise, as there, though it is the slow way."""
    encoding = config.get("encoding", "base58")
    if encoding not in {"base58", "base64"}:
        raise SendRefusedError(INVALID_PARAMS, "Invalid params: encoding must be base58 or base64")
    return str(encoding)


def _list_of(params: list[Any], most: int, what: str) -> list[str]:
    given = params[0] if params else None
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise SendRefusedError(INVALID_PARAMS, f"Invalid params: a list of {what} comes first")
    if len(given) > most:
        raise SendRefusedError(INVALID_PARAMS, f"Invalid params: at most {most} {what}, got {len(given)}")
    return given


def _check_tip(transactions: list[VersionedTransaction]) -> None:
    tips = [largest_tip(transaction, _TIP_ACCOUNTS) or 0 for transaction in transactions]
    if max(tips) < JITO_MINIMUM_TIP_LAMPORTS:
        raise SendRefusedError(INVALID_PARAMS, f"Bundles must tip at least {JITO_MINIMUM_TIP_LAMPORTS} lamports")
