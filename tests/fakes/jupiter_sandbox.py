"""The sandbox's Jupiter over a real chain and world, driven over HTTP in one process, its time in the test's hands."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from starlette.applications import Starlette

from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord
from sniperforge.sandbox.context import SandboxConfig, SandboxContext, default_nodes
from sniperforge.sandbox.faults import FaultKind, FaultPlan, FaultRule
from sniperforge.sandbox.jupiter import routes
from sniperforge.sandbox.jupiter.instructions import associated_account
from sniperforge.sandbox.jupiter_settings import JupiterSettings
from sniperforge.sandbox.market import Market, MarketConfig, create_world
from sniperforge.sandbox.tokens import BONK, FEE2, JUP, SOL, USDC, USDT, amount_of

__all__ = ["BONK", "FEE2", "JUP", "SOL", "USDC", "USDT", "JupiterSandbox"]

NOON = 1_800_000_000
ORDER, EXECUTE, BUILD = "/swap/v2/order", "/swap/v2/execute", "/swap/v2/build"
SLOT_SECONDS = 0.2
HANGING_S = 5.0
"""An answer that needs no slot to pass and takes this long never comes."""


class JupiterSandbox:
    """A flat market without a crowd: nothing moves but what the test does."""

    def __init__(
        self,
        *,
        settings: JupiterSettings | None = None,
        rate_limits_enabled: bool = False,
        rate_window_s: Literal[60, 10] = 60,
        prices_csv: Path | None = None,
    ) -> None:
        self.now = float(NOON)
        self.chain = Chain(ChainConfig(skip_probability=0.0), None, unix_time=NOON)
        self.world = create_world(self.chain, seed=1)
        market = MarketConfig(scenario="flat", prices_csv=prices_csv, crowd_per_second=0.0)
        self.market = Market(self.chain, self.world, market)
        self.market.step(NOON)
        self.faults = FaultPlan(seed=1)
        self.context = SandboxContext(
            chain=self.chain,
            world=self.world,
            market=self.market,
            faults=self.faults,
            nodes=default_nodes(self.chain),
            config=SandboxConfig(
                home=Path("unused"), rate_limits_enabled=rate_limits_enabled, rate_window_s=rate_window_s
            ),
            clock=lambda: self.now,
            jupiter=settings or JupiterSettings(),
        )
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=Starlette(routes=routes(self.context))),
            base_url="http://jupiter",
        )
        self.taker = self.world.demo_wallet
        self.pass_slots(3)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
        self.market.close()
        self.chain.close()

    # ---- time
    def pass_slots(self, slots: int = 1) -> None:
        """Close slots; whatever waits for them runs."""
        self._runner.run(self._pass(slots))

    async def _pass(self, slots: int) -> None:
        for _ in range(slots):
            self.now += SLOT_SECONDS
            self.chain.tick(int(self.now))
            self.context.slots.advanced()
            for _ in range(6):
                await asyncio.sleep(0)

    # ---- HTTP
    def get(self, path: str, params: Mapping[str, str] | None = None, **headers: str) -> httpx.Response:
        """One GET."""
        return self._runner.run(self._client.get(path, params=dict(params or {}), headers=headers))

    def post(self, path: str, body: Any, **params: str) -> httpx.Response:
        """One POST, answered without a slot passing."""
        call = self._client.post(path, json=body, params=params)
        return self._runner.run(asyncio.wait_for(call, HANGING_S))

    def post_waiting(self, path: str, *bodies: Any, at_most_slots: int = 10) -> list[httpx.Response]:
        """POSTs made at once; slots pass until all are answered."""

        async def run() -> list[httpx.Response]:
            calls = [asyncio.create_task(self._client.post(path, json=body)) for body in bodies]
            for _ in range(at_most_slots):
                await self._pass(1)
                if all(call.done() for call in calls):
                    break
            assert all(call.done() for call in calls), f"unanswered after {at_most_slots} slots"
            return [call.result() for call in calls]

        return self._runner.run(run())

    # ---- trades
    def order(
        self,
        input_mint: Pubkey = USDC,
        output_mint: Pubkey = SOL,
        amount: int = 25_000_000,
        *,
        taker: Pubkey | None = None,
        router: Literal["metis", "jupiterz"] = "metis",
        **params: str,
    ) -> dict[str, Any]:
        """An order of the demo wallet by this router."""
        other = "jupiterz" if router == "metis" else "metis"
        query = {
            "inputMint": str(input_mint),
            "outputMint": str(output_mint),
            "amount": str(amount),
            "taker": str(taker or self.taker.pubkey()),
            "excludeRouters": other,
            **params,
        }
        response = self.get(ORDER, query)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
        return body

    def body(self, order: Mapping[str, Any], *signers: Keypair) -> dict[str, str]:
        """What `/execute` is posted for an order signed by these keys, by default the demo wallet."""
        signed = sign(b64decode(order["transaction"]), *(signers or (self.taker,)))
        return {"signedTransaction": b64encode(signed).decode(), "requestId": order["requestId"]}

    def execute(self, order: Mapping[str, Any], *signers: Keypair) -> dict[str, Any]:
        """Sign an order, post it and wait for the answer."""
        response = self.post_waiting(EXECUTE, self.body(order, *signers))[0]
        answer: dict[str, Any] = response.json()
        return answer

    def transfer(self, target: Pubkey, lamports: int) -> VersionedTransaction:
        """The demo wallet sends lamports; what a tip is."""
        payer = self.taker
        pay = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=lamports))
        blockhash = Hash.from_string(self.chain.latest_blockhash("confirmed")[0])
        return VersionedTransaction(MessageV0.try_compile(payer.pubkey(), [pay], [], blockhash), [payer])

    def fault(self, kind: FaultKind, path: str = EXECUTE, *, count: int = 1, **params: Any) -> None:
        """Let something go wrong the next time."""
        self.faults.add(FaultRule(f"jupiter:{path}", kind, count=count, params=params))

    # ---- the chain's own word
    def lamports(self, owner: Pubkey | None = None) -> int:
        """Native SOL of a wallet, by default the demo wallet."""
        account = self.chain.account(owner or self.taker.pubkey())
        return 0 if account is None else account.lamports

    def tokens(self, mint: Pubkey, owner: Pubkey | None = None) -> int:
        """Token balance of a wallet's associated account."""
        program = self.world.tokens[mint].token_program
        account = self.chain.account(associated_account(owner or self.taker.pubkey(), mint, program))
        return 0 if account is None else amount_of(account)

    def record(self, signature: str) -> LandedRecord | None:
        """A landed transaction."""
        return self.chain.transaction(signature, "processed")

    def landings_of(self, owner: Pubkey | None = None) -> int:
        """How many transactions touched a wallet, in closed blocks."""
        address = str(owner or self.taker.pubkey())
        return len(self.chain.signatures_for(address, commitment="processed", before=None, until=None, limit=1000))


def sign(raw: bytes, *signers: Keypair) -> bytes:
    """Fill the signature slots of these keys and leave the others as they are."""
    transaction = VersionedTransaction.from_bytes(raw)
    message = transaction.message
    keys = message.account_keys[: message.header.num_required_signatures]
    message_bytes = raw[1 + 64 * len(keys) :]
    signatures: list[Signature] = list(transaction.signatures)
    for keypair in signers:
        if keypair.pubkey() in keys:
            signatures[keys.index(keypair.pubkey())] = keypair.sign_message(message_bytes)
    return bytes([len(signatures)]) + b"".join(map(bytes, signatures)) + message_bytes
