"""WebSocket subscriptions: `signatureSubscribe`, `slotSubscribe`, `accountSubscribe`, as nodes push them.

One `Subscriptions` hears of every slot and every landed transaction; each connection has its own, on its own node.
A client that does not read is disconnected, as nodes do, instead of filling memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sniperforge.sandbox.chain import CommitmentName, LandedRecord, NodeView
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.fault_transport import Receive, Scope, Send
from sniperforge.sandbox.rpc.account_view import ENCODINGS
from sniperforge.sandbox.rpc.accounts import shown
from sniperforge.sandbox.rpc.app import node_at
from sniperforge.sandbox.rpc.call import RpcCall, RpcShared, with_context
from sniperforge.sandbox.rpc.dispatch import Malformed, Request, encode, failure, parse_body
from sniperforge.sandbox.rpc.errors import METHOD_NOT_FOUND, RpcError, invalid_params
from sniperforge.sandbox.rpc.params import Params

MAX_WAITING_MESSAGES = 10_000
_NO_SUCH_NODE = 4404
_POLICY_VIOLATION = 1008


@dataclass(slots=True)
class _Signature:
    signature: str
    commitment: CommitmentName


@dataclass(slots=True)
class _Account:
    address: str
    commitment: CommitmentName
    encoding: str
    last: Any = None


@dataclass(slots=True)
class _Slot:
    """Every slot."""


_Subscription = _Signature | _Account | _Slot
_KINDS: dict[str, type[_Signature | _Account | _Slot]] = {
    "signatureUnsubscribe": _Signature,
    "accountUnsubscribe": _Account,
    "slotUnsubscribe": _Slot,
}


@dataclass(slots=True)
class _Connection:
    """Subscriptions of one client, and the messages that wait for it."""

    context: SandboxContext
    shared: RpcShared
    node: NodeView
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING_MESSAGES))
    subscriptions: dict[int, _Subscription] = field(default_factory=dict)
    overflowed: asyncio.Event = field(default_factory=asyncio.Event)
    newest_slot: int = 0

    def push(self, document: object) -> None:
        try:
            self.outbox.put_nowait(encode(document).decode())
        except asyncio.QueueFull:
            self.overflowed.set()

    def notify(self, method: str, number: int, result: Any) -> None:
        self.push({"jsonrpc": "2.0", "method": method, "params": {"result": result, "subscription": number}})

    # ---- requests
    def answer(self, request: Request | Malformed, take_number: Callable[[], int]) -> None:
        if isinstance(request, Malformed):
            self.push(failure(request.error, request.id))
            return
        try:
            result, number = self._result(request, take_number)
        except RpcError as error:
            self.push(failure(error, request.id))
            return
        self.push({"jsonrpc": "2.0", "result": result, "id": request.id})
        if number is not None:
            self._first_look(number)

    def _result(self, request: Request, take_number: Callable[[], int]) -> tuple[Any, int | None]:
        if isinstance(request.params, dict):
            raise invalid_params("Invalid params: invalid type: map, expected a sequence.")
        params = Params(request.params)
        kind = _KINDS.get(request.method)
        if kind is not None:
            number = params.u64(0) if params.values else -1
            if not isinstance(self.subscriptions.get(number), kind):
                raise invalid_params("Invalid subscription id.")
            del self.subscriptions[number]
            return True, None
        subscription = self._subscription(request.method, params)
        number = take_number()
        self.subscriptions[number] = subscription
        return number, number

    def _subscription(self, method: str, params: Params) -> _Subscription:
        if method == "slotSubscribe":
            return _Slot()
        if method not in {"signatureSubscribe", "accountSubscribe"}:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        if not params.values:
            raise invalid_params("`params` should have at least 1 argument(s)")
        config = params.config(1)
        if method == "signatureSubscribe":
            return _Signature(params.signature(0), config.commitment())
        return _Account(params.address(0), config.commitment(), config.choice("encoding", ENCODINGS) or "binary")

    # ---- what happens on the chain
    def _first_look(self, number: int) -> None:
        """A signature that has landed already is told at once; an account is remembered as it is now."""
        subscription = self.subscriptions[number]
        if isinstance(subscription, _Signature):
            self._look_at_signature(number, subscription)
        elif isinstance(subscription, _Account):
            subscription.last = self._account(subscription)

    def slot_opened(self) -> None:
        """Look at everything once per slot."""
        newest = self.node.chain.slot_at("processed", at_slot=self.node.at_slot)
        moved, self.newest_slot = newest > self.newest_slot, newest
        for number, subscription in list(self.subscriptions.items()):
            if isinstance(subscription, _Signature):
                self._look_at_signature(number, subscription)
            elif isinstance(subscription, _Account):
                self._look_at_account(number, subscription)
            elif moved:
                self._tell_slot(number, newest)

    def landed(self, signature: str) -> None:
        """A transaction entered a block; only `processed` subscribers hear of it before the slot ends."""
        for number, subscription in list(self.subscriptions.items()):
            if isinstance(subscription, _Signature) and subscription.signature == signature:
                self._look_at_signature(number, subscription)

    def _tell_slot(self, number: int, slot: int) -> None:
        block = self.node.chain.block(slot)
        parent = block.parent_slot if block is not None else slot - 1
        root = self.node.chain.slot_at("finalized", at_slot=self.node.at_slot)
        self.notify("slotNotification", number, {"slot": slot, "parent": parent, "root": root})

    def _look_at_signature(self, number: int, subscription: _Signature) -> None:
        chain, at_slot = self.node.chain, self.node.at_slot
        status = chain.status(subscription.signature, search_history=False, at_slot=at_slot)
        if status is None or _RANK[status.commitment] < _RANK[subscription.commitment]:
            return
        slot = chain.slot_at(subscription.commitment, at_slot=at_slot)
        del self.subscriptions[number]  # nodes end it with its one notification
        self.notify("signatureNotification", number, with_context(slot, {"err": status.err}))

    def _account(self, subscription: _Account) -> Any:
        at_slot = self.node.at_slot
        return self.node.chain.account(subscription.address, subscription.commitment, at_slot=at_slot)

    def _look_at_account(self, number: int, subscription: _Account) -> None:
        account = self._account(subscription)
        if account == subscription.last:
            return
        subscription.last = account
        call = RpcCall(self.context, self.shared, self.node, self.node.at_slot)
        slot = call.slot(subscription.commitment)
        value = _CLOSED if account is None else shown(call, account, subscription.encoding)
        self.notify("accountNotification", number, with_context(slot, value))


_RANK = {"processed": 0, "confirmed": 1, "finalized": 2}
_CLOSED = {
    "lamports": 0,
    "owner": "11111111111111111111111111111111",
    "executable": False,
    "rentEpoch": 0,
    "space": 0,
    "data": ["", "base64"],
}


class Subscriptions:
    """ASGI application that serves WebSocket connections of all nodes."""

    def __init__(self, context: SandboxContext, shared: RpcShared) -> None:
        self._context = context
        self._shared = shared
        self._connections: dict[int, _Connection] = {}
        self._numbered = 0
        context.chain.on_slot(self._slot_opened)
        context.chain.on_landed(self._landed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
        websocket = WebSocket(scope, receive, send)
        node = node_at(self._context, scope["path"])
        await websocket.accept()
        if node is None:
            await websocket.close(_NO_SUCH_NODE, "there is no such node")
            return
        connection = _Connection(self._context, self._shared, node)
        self._connections[id(connection)] = connection
        tasks = [
            asyncio.create_task(self._read(websocket, connection)),
            asyncio.create_task(_write(websocket, connection)),
            asyncio.create_task(_give_up(websocket, connection)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._connections[id(connection)]
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    async def _read(self, websocket: WebSocket, connection: _Connection) -> None:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            body = text.encode() if text is not None else message["bytes"]
            for request in parse_body(body)[0]:
                connection.answer(request, self._take_number)

    def _take_number(self) -> int:
        self._numbered += 1
        return self._numbered

    def _slot_opened(self, _slot: int) -> None:
        for connection in list(self._connections.values()):
            connection.slot_opened()

    def _landed(self, record: LandedRecord) -> None:
        for connection in list(self._connections.values()):
            connection.landed(record.signature)


async def _write(websocket: WebSocket, connection: _Connection) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await connection.outbox.get())


async def _give_up(websocket: WebSocket, connection: _Connection) -> None:
    await connection.overflowed.wait()
    await websocket.close(_POLICY_VIOLATION, "the client does not read its notifications")
