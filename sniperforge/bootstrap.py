"""Builds the services from the settings; the only place that names adapters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from sniperforge.config import Settings
from sniperforge.ports.clock import Clock
from sniperforge.shared.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sqlalchemy import Engine

    from sniperforge.domain.risk import RiskLimits
    from sniperforge.domain.trigger import Subject
    from sniperforge.infrastructure.invariants import InvariantChecker
    from sniperforge.infrastructure.paper_invariants import PaperInvariantChecker
    from sniperforge.ports.codec import TransactionCodec
    from sniperforge.ports.store import Store
    from sniperforge.shared.jupiter.absent import NoJupiter
    from sniperforge.shared.jupiter.client import JupiterClient
    from sniperforge.shared.jupiter.rate_limit import RequestBudget
    from sniperforge.shared.queue import CeleryQueue
    from sniperforge.shared.solana.pyth import PythOracle
    from sniperforge.shared.solana.rpc import SolanaChain
    from sniperforge.shared.tokens import TokenDirectory, TradableTokens
    from sniperforge.shared.wallet_manager import WalletManager
    from sniperforge.strategies.registry import StrategyRegistry
    from sniperforge.trading.executor import Executor
    from sniperforge.trading.executor_policy import ExecutorPolicy
    from sniperforge.trading.order_desk import OrderDesk
    from sniperforge.trading.order_manager import OrderManager
    from sniperforge.trading.plan_desk import PlanDesk
    from sniperforge.trading.price_judge import PriceJudge, PricePolicy
    from sniperforge.trading.price_watch import PriceWatch
    from sniperforge.trading.progress import Watch
    from sniperforge.trading.reconciler import Reconciler
    from sniperforge.trading.strategy_executor import StrategyExecutor
    from sniperforge.trading.transaction_guard import GuardPolicy


class Services:
    """What use cases and commands need; each adapter is imported and made when it is first asked for.

    (All adapters together take a second to import, and most commands need one or two of them.)

    Example:
        >>> services = build(load_settings())  # doctest: +SKIP
        >>> services.chain.slot(Commitment.CONFIRMED)  # doctest: +SKIP

    Args:
        settings: The settings in force.
        ask_passphrase: How to prompt a person for the wallets' passphrase; None when nobody is there.
    """

    def __init__(self, settings: Settings, ask_passphrase: Callable[[], str] | None) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()
        self._ask_passphrase = ask_passphrase

    @property
    def on_paper(self) -> bool:
        """Whether trades stay on paper: live quotes, books of their own, nothing signed or sent."""
        return self.settings.mode == "paper"

    @property
    def books_network(self) -> str:
        """What the books say they are of, so that books of paper and of the chain are never taken for each other."""
        return f"{self.settings.network}-paper" if self.on_paper else self.settings.network

    @cached_property
    def wallets(self) -> WalletManager:
        """The wallets of this home."""
        from sniperforge.shared.keystore import Keystore
        from sniperforge.shared.paper_wallets import PaperWallets
        from sniperforge.shared.wallet_manager import WalletManager, settings_passphrase

        kind = PaperWallets if self.on_paper else WalletManager
        return kind(Keystore(self.settings.keystore_dir), settings_passphrase(self.settings, self._ask_passphrase))

    @cached_property
    def codec(self) -> TransactionCodec:
        """Transactions to and from bytes."""
        from sniperforge.shared.solana.codec import SoldersCodec

        return SoldersCodec()

    @cached_property
    def chain(self) -> SolanaChain:
        """Solana, through the configured nodes."""
        from sniperforge.shared.solana.rpc import SolanaChain

        return SolanaChain(
            self.settings.effective_rpc_urls,
            self.clock,
            timeout_s=self.settings.rpc_timeout_s,
            max_slots_behind=self.settings.rpc_max_slots_behind,
        )

    @cached_property
    def budget(self) -> RequestBudget:
        """How often Jupiter may be asked."""
        from sniperforge.shared.jupiter.rate_limit import PLANS, RequestBudget

        return RequestBudget(
            PLANS[self.settings.jupiter_plan],
            organisation=self.settings.organisation,
            clock=self.clock,
            redis_url=self.settings.redis_url,
        )

    @cached_property
    def exchange(self) -> JupiterClient | NoJupiter:
        """Jupiter; on a network without it, what says so when it is asked anything."""
        from sniperforge.shared.jupiter.absent import NoJupiter
        from sniperforge.shared.jupiter.client import JupiterClient

        url = self.settings.effective_jupiter_url
        if url is None:
            return NoJupiter(self.settings.network)
        return JupiterClient(
            url,
            api_key=self.settings.jupiter_api_key,
            budget=self.budget,
            clock=self.clock,
            timeout_s=self.settings.jupiter_timeout_s,
            execute_timeout_s=self.settings.jupiter_execute_timeout_s,
        )

    @cached_property
    def oracle(self) -> PythOracle:
        """The second source of prices, read from the chain through our own nodes."""
        from sniperforge.shared.solana.pyth import PythOracle

        return PythOracle(
            self.chain,
            self.clock,
            max_age_s=self.settings.oracle_max_age_s,
            max_confidence_bps=self.settings.oracle_max_confidence_bps,
        )

    @cached_property
    def tokens(self) -> TokenDirectory:
        """Tokens by symbol or mint, checked against the chain."""
        from sniperforge.shared.tokens import TokenDirectory

        return TokenDirectory(self.exchange, self.chain, clock=self.clock, network=self.settings.network)

    @cached_property
    def tradable_tokens(self) -> TradableTokens:
        """Decimals of tokens, and whether they may be traded."""
        from sniperforge.shared.tokens import TradableTokens

        return TradableTokens(self.tokens, self.settings.allow_tokens)

    @cached_property
    def engine(self) -> Engine:
        """The database of the books; new books get their tables here.

        Raises:
            StorageError: The schema is newer or older than this program.
            StorageBusyError: The database cannot be written.
        """
        from sniperforge.storage.migrations import check_schema, current_revision, upgrade

        engine = self.connect_books()
        if current_revision(engine) is None:
            upgrade(engine)
        check_schema(engine)
        return engine

    def connect_books(self) -> Engine:
        """The database of the books, whatever its schema. Everybody but an upgrade wants `engine`."""
        from sniperforge.storage.engine import create_engine_for

        if self.settings.database_url is None:
            self.settings.home.mkdir(parents=True, exist_ok=True)
        return create_engine_for(self.settings.effective_database_url)

    @cached_property
    def store(self) -> Store:
        """The books."""
        from sniperforge.storage.unit_of_work import SqlStore

        return SqlStore(self.engine)

    @cached_property
    def queue(self) -> CeleryQueue:
        """Where bells are rung.

        Raises:
            ConfigError: No Redis is set, and no stack runs on this home.
        """
        from sniperforge.shared.queue import CeleryQueue

        return CeleryQueue(self.settings)

    @cached_property
    def guard_policy(self) -> GuardPolicy:
        """What this network's guard allows."""
        from sniperforge.trading.guard_policies import DEVNET_POLICY, MAINNET_POLICY

        return DEVNET_POLICY if self.settings.network == "devnet" else MAINNET_POLICY

    @cached_property
    def judge(self) -> PriceJudge:
        """The independent price."""
        from sniperforge.trading.price_judge import PriceJudge

        return PriceJudge(exchange=self.exchange, oracle=self.oracle, clock=self.clock, policy=self._price_policy)

    @property
    def _price_policy(self) -> PricePolicy:
        from sniperforge.trading.price_judge import PricePolicy

        settings = self.settings
        return PricePolicy(
            entry_slippage_bps=settings.entry_slippage_bps,
            exit_slippage_bps=settings.exit_slippage_bps,
            single_source_slippage_bps=settings.single_source_slippage_bps,
            divergence_bps=settings.price_divergence_bps,
            jump_bps=settings.price_jump_bps,
            max_slots_behind=settings.price_max_slots_behind,
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """Books against chain; on paper there is none to hold them against."""
        from sniperforge.trading.paper_books import PaperReconciler
        from sniperforge.trading.reconciler import Reconciler

        if self.on_paper:
            return PaperReconciler(store=self.store, network=self.books_network)
        return Reconciler(
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            tip_accounts=self.guard_policy.tip_accounts,
            network=self.books_network,
        )

    @cached_property
    def invariants(self) -> InvariantChecker | PaperInvariantChecker:
        """The books held against the chain (on paper: themselves) by code that shares nothing with what trades."""
        from datetime import timedelta

        from sniperforge.infrastructure.invariants import InvariantChecker
        from sniperforge.infrastructure.paper_invariants import PaperInvariantChecker

        if self.on_paper:
            return PaperInvariantChecker(store=self.store)
        return InvariantChecker(
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            tip_accounts=self.guard_policy.tip_accounts,
            settle_allowance=timedelta(minutes=10),
        )

    @cached_property
    def executor_policy(self) -> ExecutorPolicy:
        """Limits and patience of whatever carries trades."""
        from datetime import timedelta

        from sniperforge.config import BUSY_ADDRESS
        from sniperforge.domain.intent import SendPath
        from sniperforge.domain.money import Address
        from sniperforge.domain.transaction import SYSTEM_PROGRAM
        from sniperforge.trading.executor_policy import ExecutorPolicy
        from sniperforge.trading.protections import Protections

        settings = self.settings
        return ExecutorPolicy(
            # Where there is no Jupiter nobody names it; the System program is named wherever lamports move.
            beacon=Address(BUSY_ADDRESS) if settings.effective_jupiter_url is not None else SYSTEM_PROGRAM,
            entry_slippage_bps=settings.entry_slippage_bps,
            exit_slippage_bps=settings.exit_slippage_bps,
            widest_exit_slippage_bps=settings.widest_exit_slippage_bps,
            max_fee_lamports=settings.max_network_fee_lamports,
            max_tip_lamports=settings.max_tip_lamports,
            max_attempts=settings.max_attempts,
            deadline=timedelta(seconds=settings.trade_deadline_s),
            lease=timedelta(seconds=settings.lease_s),
            large_trade_usd=settings.large_trade_usd,
            has_second_node=len(settings.effective_rpc_urls) > 1,
            protections=Protections(self._risk_limits),
            path=SendPath.PAPER if self.on_paper else SendPath.MANAGED,
        )

    @property
    def _risk_limits(self) -> RiskLimits:
        from datetime import time, timedelta

        from sniperforge.domain.money import Mint
        from sniperforge.domain.risk import RiskLimits

        settings, cooldown_s = self.settings, self.settings.risk_token_cooldown_s
        return RiskLimits(
            spend_per_trade_usd=settings.max_spend_per_trade_usd,
            spend_per_day_usd=settings.max_spend_per_day_usd,
            loss_per_day_usd=settings.max_loss_per_day_usd,
            drawdown_usd=settings.max_drawdown_usd,
            drawdown_over=timedelta(days=settings.risk_drawdown_days),
            fees_per_day_usd=settings.max_fees_per_day_usd,
            exposure_per_token_usd=settings.max_exposure_per_token_usd,
            exposure_usd=settings.max_exposure_usd,
            cash=frozenset(map(Mint, settings.risk_cash_tokens)),
            pause_after_stops=settings.risk_pause_after_stops,
            pause_after_failures=settings.risk_pause_after_failures,
            pause_after_divergences=settings.risk_pause_after_divergences,
            window=timedelta(seconds=settings.risk_window_s),
            pause=timedelta(seconds=settings.risk_pause_s),
            token_cooldown=None if cooldown_s is None else timedelta(seconds=cooldown_s),
            day_starts_at=time.fromisoformat(settings.risk_day_starts_at),
        )

    def executor(self, *, owner: str, watch: Watch | None = None) -> Executor:
        """What carries trades to their end, on the chain or on paper.

        Args:
            owner: Who works, for leases; unique per process and thread.
            watch: Told of every step.
        """
        from sniperforge.trading.paper_executor import PaperExecutor
        from sniperforge.trading.progress import unwatched
        from sniperforge.trading.trade_executor import TradeExecutor
        from sniperforge.trading.transaction_guard import TransactionGuard

        if self.on_paper:
            return PaperExecutor(
                store=self.store,
                chain=self.chain,
                exchange=self.exchange,
                tokens=self.tradable_tokens,
                judge=self.judge,
                clock=self.clock,
                policy=self.executor_policy,
                watch=watch or unwatched,
            )
        return TradeExecutor(
            store=self.store,
            chain=self.chain,
            exchange=self.exchange,
            codec=self.codec,
            signer=self.wallets,
            tokens=self.tradable_tokens,
            judge=self.judge,
            guard=TransactionGuard(self.guard_policy),
            clock=self.clock,
            policy=self.executor_policy,
            owner=owner,
            watch=watch or unwatched,
        )

    @cached_property
    def strategies(self) -> StrategyRegistry:
        """Every strategy that is installed."""
        from sniperforge.strategies.registry import StrategyRegistry

        return StrategyRegistry()

    @cached_property
    def plan_desk(self) -> PlanDesk:
        """Where plans are made, paused, resumed and stopped."""
        from sniperforge.trading.plan_desk import PlanDesk

        return PlanDesk(
            store=self.store,
            clock=self.clock,
            tokens=self.tradable_tokens,
            policy=self.executor_policy,
            registry=self.strategies,
        )

    @cached_property
    def price_watch(self) -> PriceWatch:
        """What open orders watch, as it is now."""
        from sniperforge.trading.price_watch import PriceWatch

        return PriceWatch(
            store=self.store,
            exchange=self.exchange,
            chain=self.chain,
            clock=self.clock,
            policy=self._price_policy,
        )

    @cached_property
    def order_desk(self) -> OrderDesk:
        """Where orders are made, changed and cancelled."""
        from sniperforge.shared.order_ids import new_order_id
        from sniperforge.trading.order_desk import OrderDesk

        return OrderDesk(
            store=self.store,
            clock=self.clock,
            tokens=self.tradable_tokens,
            watch=self.price_watch,
            policy=self.executor_policy,
            new_id=new_order_id,
            check_every=self.check_every,
        )

    def check_every(self, subjects: Sequence[Subject]) -> timedelta:
        """How often so many subjects are looked at for orders: at most half of the request budget goes into it."""
        from datetime import timedelta

        from sniperforge.ports.exchange import Lane
        from sniperforge.shared.jupiter.rate_limit import PLANS, Bucket
        from sniperforge.trading.price_watch import check_every

        limits = PLANS[self.settings.jupiter_plan]
        calls = limits.of_lane(Bucket.MAIN, Lane.MONITORING)
        return check_every(subjects, calls=calls, window=timedelta(seconds=limits.window_s))

    @cached_property
    def orders(self) -> OrderManager:
        """What makes orders, and looks at the market for them."""
        from sniperforge.trading.order_firing import Firing
        from sniperforge.trading.order_manager import OrderManager

        return OrderManager(
            store=self.store,
            clock=self.clock,
            desk=self.order_desk,
            watch=self.price_watch,
            firing=Firing(store=self.store, tokens=self.tradable_tokens, policy=self.executor_policy),
            queue=self.queue,
            check_every=self.check_every,
        )

    def strategy_executor(self) -> StrategyExecutor:
        """What decides rounds of plans."""
        from sniperforge.trading.pair_price import JudgedPrices
        from sniperforge.trading.strategy_executor import StrategyExecutor

        return StrategyExecutor(
            store=self.store,
            clock=self.clock,
            tokens=self.tradable_tokens,
            prices=JudgedPrices(store=self.store, chain=self.chain, judge=self.judge),
            policy=self.executor_policy,
            queue=self.queue,
            registry=self.strategies,
        )

    def close(self) -> None:
        """Give back every connection that was opened. What is asked for again, opens again."""
        if "queue" in self.__dict__:
            self.queue.close()
        if "exchange" in self.__dict__:
            self.exchange.close()
        if "budget" in self.__dict__:
            self.budget.close()
        if "chain" in self.__dict__:
            self.chain.close()
        if "engine" in self.__dict__:
            self.engine.dispose()


def build(settings: Settings, *, ask_passphrase: Callable[[], str] | None = None) -> Services:
    """The services of these settings.

    Args:
        settings: The settings in force.
        ask_passphrase: How to prompt a person for the wallets' passphrase; None when nobody is there (a worker).
    """
    return Services(settings, ask_passphrase)
