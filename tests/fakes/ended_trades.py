"""What becomes of the trades of orders: booked and ended by the executor and the settlement, told what happens.

Nothing is signed: a transaction is put into the books as if it had been sent, and lands when a test says so.
"""

from __future__ import annotations

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Attempt, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.errors import TokenError
from sniperforge.ports.chain import LandedTransaction, TokenBalance
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.guard_policies import MAINNET_POLICY
from sniperforge.trading.price_judge import PriceJudge
from sniperforge.trading.settlement import Settlement
from sniperforge.trading.trade_executor import TradeExecutor
from sniperforge.trading.transaction_guard import TransactionGuard
from tests.fakes.desk_world import DeskWorld
from tests.fakes.oracle import FakeOracle
from tests.fakes.order_terms import DECIMALS
from tests.fakes.records import WALLET, an_attempt
from tests.fakes.trading_world import PRICES, MemorySigner

_FEE = 5_000
_FULL = 10**12
"""Of every account before: nobody asks the chain of this world for balances."""


class EndedTrades:
    """Ends trades of a world.

    Args:
        world: Where they were decided.
    """

    def __init__(self, world: DeskWorld) -> None:
        self._world = world
        self._settlement = Settlement(store=world.store, clock=world.clock, tip_accounts=())
        self._executor = TradeExecutor(
            store=world.store,
            chain=world.chain,
            exchange=world.exchange,
            codec=SoldersCodec(),
            signer=MemorySigner(),
            tokens=world.tokens,
            judge=PriceJudge(
                exchange=world.exchange, oracle=FakeOracle(world.clock, ()), clock=world.clock, policy=PRICES
            ),
            guard=TransactionGuard(MAINNET_POLICY),
            clock=world.clock,
            policy=world.policy,
            owner="one",
        )

    def fail(self, trade: IntentId) -> None:
        """It is tried, and cannot be: it ends without a fill."""
        intent = self.intent(trade)
        if intent.cancel_requested_at is None and intent.deadline_at > self._world.clock.now():
            self._world.exchange.fail("prices", TokenError("nobody trades it", subject="a token"))
        self._executor.advance(trade)
        assert self.intent(trade).state in (IntentState.FAILED, IntentState.CANCELLED)

    def cancel(self, trade: IntentId) -> None:
        """A person ends it by its id."""
        self._executor.cancel(trade)
        self._executor.advance(trade)
        assert self.intent(trade).state is IntentState.CANCELLED

    def land(self, trade: IntentId, brought: int) -> None:
        """It is sent, lands, and brings so many base units; it is not final yet."""
        attempt = self._sent(self.intent(trade))
        assert self._settlement.confirmed(attempt, self._landed(attempt, brought)) is not None

    def make_final(self, trade: IntentId) -> None:
        """What landed can never be taken back."""
        attempt = self._last(trade)
        with self._world.store.read() as books:
            fill = books.fills.get(attempt.signature)
        assert fill is not None
        assert self._settlement.finalized(attempt, self._landed(attempt, fill.output_raw))

    def intent(self, trade: IntentId) -> TradeIntent:
        """As the books have it."""
        with self._world.store.read() as books:
            found = books.intents.get(trade)
        assert found is not None
        return found

    def _sent(self, intent: TradeIntent) -> Attempt:
        with self._world.store.write() as books:
            now = self._world.clock.now()
            attempt = an_attempt(
                intent,
                intent.attempts_made + 1,
                input_amount_raw=intent.input_amount_raw,
                created_at=now,
                updated_at=now,
            )
            current = books.intents.lock(intent.id)
            assert current is not None
            made = current.attempts_made + 1
            if current.state is IntentState.PENDING:
                books.intents.change(current, at=now, state=IntentState.EXECUTING, attempts_made=made)
            else:
                books.intents.change(current, at=now, attempts_made=made)
            books.attempts.add(attempt)
        return attempt

    def _last(self, trade: IntentId) -> Attempt:
        with self._world.store.read() as books:
            return books.attempts.of_intent(trade)[-1]

    def _landed(self, attempt: Attempt, brought: int) -> LandedTransaction:
        """The transaction of an attempt, as its accounts were before and after."""
        intent = self.intent(attempt.intent_id)
        changes = {intent.input_mint: -attempt.input_amount_raw, intent.output_mint: brought}
        native = changes.pop(WSOL_MINT, 0) - _FEE
        accounts = tuple(Address(f"account of {mint}") for mint in changes)
        rent = tuple(2_039_280 for _ in accounts)
        return LandedTransaction(
            signature=attempt.signature,
            slot=self._world.chain.head_slot,
            block_time=None,
            version=0,
            transaction=attempt.signed_transaction,
            err=None,
            fee_lamports=_FEE,
            accounts=(WALLET, *accounts),
            pre_lamports=(_FULL, *rent),
            post_lamports=(_FULL + native, *rent),
            pre_tokens=tuple(_balance(mint, _FULL) for mint in changes),
            post_tokens=tuple(_balance(mint, _FULL + delta) for mint, delta in changes.items()),
            logs=(),
            compute_units=None,
        )


def _balance(mint: Mint, raw: int) -> TokenBalance:
    return TokenBalance(Address(f"account of {mint}"), mint, WALLET, None, raw, DECIMALS[mint])
