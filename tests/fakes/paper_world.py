"""The world of `trading_world` with a wallet on paper: whatever leaves the program for the network fails the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import SendPath, TradeIntent
from sniperforge.domain.money import Address, Mint
from sniperforge.ports.records import NATIVE_SOL, Asset
from sniperforge.trading.executor import Executor
from sniperforge.trading.paper_books import fund
from sniperforge.trading.paper_executor import PaperExecutor
from sniperforge.trading.price_judge import PriceJudge
from tests.fakes.trading_orders import OWNER, SOL, USDC
from tests.fakes.trading_world import PRICES, TradingWorld

NETWORK = "sandbox-paper"


class PaperWorld(TradingWorld):
    """One wallet on paper, with other balances than it has on chain."""

    def __init__(self, *, lamports: int = 2 * 10**9, usdc: int = 500_000_000) -> None:
        self._given = {NATIVE_SOL: lamports, Asset(USDC): usdc}
        super().__init__()
        self.policy = replace(self.policy, path=SendPath.PAPER)

    def _adopt(self) -> None:
        self.give({asset: raw for asset, raw in self._given.items() if raw})

    def give(self, raw: Mapping[Asset, int], *, network: str = NETWORK, address: Address = OWNER) -> None:
        """More on paper."""
        fund(store=self.store.books, clock=self.clock, network=network, name="main", address=address, raw=raw)

    def paper(self, **policy: Any) -> PaperExecutor:
        """A worker with nothing in its memory."""
        return PaperExecutor(
            store=self.store,
            chain=self.chain,
            exchange=self.exchange,
            tokens=self.tokens,
            judge=PriceJudge(exchange=self.exchange, oracle=self.oracle, clock=self.clock, policy=PRICES),
            clock=self.clock,
            policy=replace(self.policy, **policy),
            watch=self._watch,
        )

    def decide(self, name: str = "one", **changes: Any) -> IntentId:
        """Decide one trade on paper."""
        return self.paper().decide(self.request(name, **changes)).id

    def trade(self, name: str = "one", **changes: Any) -> TradeIntent:
        """Decide one, and carry it to its end."""
        return self.paper().run(self.decide(name, **changes))

    def balance(self, mint: Mint) -> int:
        """What the wallet has on paper."""
        with self.store.books.read() as books:
            return books.ledger.balance_raw(OWNER, NATIVE_SOL if mint == SOL else Asset(mint), final_only=True)

    def finish_as(self, executor: Executor, intent: IntentId) -> TradeIntent:
        """Ring until it is settled."""
        for _ in range(2_000):
            standing = executor.advance(intent)
            if standing.settled:
                return standing.intent
            self.clock.sleep(standing.wait.total_seconds())
        message = f"never settled: {standing}"
        raise AssertionError(message)
