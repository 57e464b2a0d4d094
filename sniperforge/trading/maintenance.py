"""Transactions of ours that are no trades: decided, signed, persisted, sent and settled like one.

A *maintenance intent* lives the life of a trade (ARCHITECTURE, section 2): the executor carries it, and only what comes
before the signature differs. We make the bytes ourselves, so they go to our own nodes and never to `/execute`. What
lands is booked by a fill that swapped nothing and a fee line, so that every landing of our keys has its row.

The one purpose there is now is the check of a network: a few lamports to ourselves, with a memo that names the attempt.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime

from sniperforge.domain.ids import IntentId, IntentKey, attempt_id, intent_id, maintenance_key
from sniperforge.domain.intent import (
    ExposureEffect,
    IntentKind,
    IntentState,
    MaintenancePurpose,
    SendPath,
    TradeIntent,
)
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Address, format_units
from sniperforge.domain.transaction import MEMO_PROGRAM, SYSTEM_PROGRAM, AccountUse
from sniperforge.errors import InvalidInputError
from sniperforge.ports.chain import Chain, SigningView
from sniperforge.ports.clock import Clock
from sniperforge.ports.codec import PlainInstruction, TransactionCodec
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books, Store
from sniperforge.trading.executor_policy import BLOCKHASH_LIFE_BLOCKS, ExecutorPolicy
from sniperforge.trading.funds import Balances, Need
from sniperforge.trading.maintenance_guard import check_maintenance
from sniperforge.trading.preparation import Prepared, sound_control
from sniperforge.trading.progress import Step
from sniperforge.trading.transaction_guard import fee_lamports

CHECK_LAMPORTS = 5
"""What a network check sends from the wallet to itself."""

_TRANSFER = 2
"""Tag of the System program's `Transfer` (solana-system-interface, `SystemInstruction`): u32 tag, u64 lamports."""


def decide_network_check(*, store: Store, clock: Clock, policy: ExecutorPolicy, wallet: Address) -> TradeIntent:
    """Decide the next check of this wallet's network; one that has not ended yet is that one.

    Raises:
        InvalidInputError: The books do not know the wallet.
        ConflictError: Somebody else decided one just now; ask again.
    """
    with store.write() as books:
        if books.wallets.get(wallet) is None:
            raise InvalidInputError(
                "the books do not know this wallet", subject=wallet, fix="Run `sniperforge reconcile` first"
            )
        number, newest = 1, None
        while (found := books.intents.get_by_key(_check_key(wallet, number))) is not None:
            number, newest = number + 1, found
        if newest is not None and newest.state in (IntentState.PENDING, IntentState.EXECUTING):
            return newest
        now = clock.now()
        intent = _check(_check_key(wallet, number), wallet, policy, now, books.system.get().epoch)
        books.intents.add(intent)
        _tell_decided(books, intent, now)
        return intent


def _check_key(wallet: Address, number: int) -> IntentKey:
    return maintenance_key(MaintenancePurpose.DEVNET_CHECK, wallet, number)


def _check(key: IntentKey, wallet: Address, policy: ExecutorPolicy, now: datetime, epoch: int) -> TradeIntent:
    return TradeIntent(
        id=intent_id(key),
        key=key,
        kind=IntentKind.MAINTENANCE,
        purpose=MaintenancePurpose.DEVNET_CHECK,
        # It opens no exposure, so what holds entries back does not hold it back; a halt does.
        effect=ExposureEffect.EXIT,
        wallet=wallet,
        input_mint=WSOL_MINT,
        output_mint=WSOL_MINT,
        input_amount_raw=CHECK_LAMPORTS,
        path=SendPath.ROUTER,
        state=IntentState.PENDING,
        version=0,
        epoch=epoch,
        min_out_per_input=None,
        max_slippage_bps=0,
        max_cost_bps=0,
        max_attempts=policy.max_attempts,
        attempts_made=0,
        deadline_at=now + policy.deadline,
        next_attempt_at=now,
        created_at=now,
        updated_at=now,
    )


def _tell_decided(books: Books, intent: TradeIntent, now: datetime) -> None:
    books.events.add(
        Event(
            at=now,
            kind="intent.decided",
            severity=Severity.INFO,
            message="decided",
            wallet=intent.wallet,
            intent_id=intent.id,
        )
    )


class MaintenancePreparation:
    """Prepares one attempt of a maintenance intent, as `preparation.Preparation` does for a trade.

    Args:
        chain: Our nodes.
        codec: Words to bytes and back.
        policy: Limits.
        reached: Told of every step.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        codec: TransactionCodec,
        policy: ExecutorPolicy,
        reached: Callable[[IntentId, Step, str], None],
    ) -> None:
        self._chain = chain
        self._codec = codec
        self._policy = policy
        self._reached = reached

    def prepare(self, intent: TradeIntent) -> Prepared:
        """A transaction for this intent that has passed everything. Nothing is signed here.

        Raises:
            InvalidInputError: The wallet cannot pay, or this program has no such maintenance.
            GuardRefusedError: It would do more than it is meant to.
            RetryableError: Our nodes do not answer, or not yet with what a signature stands on.
        """
        memo = f"sniperforge:{attempt_id(intent.id, intent.attempts_made + 1)}"
        latest = self._chain.latest_blockhash()
        message = self._codec.compile_message(
            payer=intent.wallet,
            instructions=_instructions(intent, memo),
            lookup_tables={},
            blockhash=latest.blockhash,
        )
        unsigned = self._codec.assemble(message, {})
        view = self._chain.signing_view(
            blockhash=latest.blockhash,
            wallet=intent.wallet,
            lookup_tables=(),
            accounts=(intent.wallet,),
            beacon=self._policy.beacon,
        )
        control = sound_control(view)
        self._reached(intent.id, Step.VIEWED, f"valid at height {view.block_height} by {view.node}")
        transaction = self._codec.decode(unsigned, {})
        lamports = _lamports(intent)
        fee = fee_lamports(transaction)
        balances = self._balances(view)
        _must_pay(balances, lamports + fee)
        simulation = self._chain.simulate(unsigned, min_context_slot=view.slot)
        check_maintenance(
            transaction, simulation, wallet=intent.wallet, memo=memo, max_fee_lamports=self._policy.max_fee_lamports
        )
        self._reached(intent.id, Step.SIMULATED, "guard and unsigned simulation passed")
        return Prepared(
            transaction=transaction,
            request_id=None,
            router=None,
            quoted_last_valid_block_height=latest.last_valid_block_height,
            input_raw=lamports,
            quoted_out_raw=0,
            min_out_raw=0,
            usd_per_input_unit=None,
            usd_per_output_unit=None,
            usd_per_lamport=None,
            observed=(),
            notes=(),
            need=Need(
                input_mint=WSOL_MINT,
                input_raw=lamports,
                fee_lamports=fee,
                tip_lamports=0,
                rent_lamports=0,
                temporary_wsol_lamports=0,
                risk_raw=0,
            ),
            balances=balances,
            checked_block_height=view.block_height,
            bound_block_height=max(latest.last_valid_block_height, view.block_height + BLOCKHASH_LIFE_BLOCKS),
            control=control,
        )

    def _balances(self, view: SigningView) -> Balances:
        (account,) = view.accounts
        return Balances(
            slot=view.balances_slot,
            native_lamports=account.lamports if account else 0,
            input_raw=0,
            keep_lamports=self._chain.minimum_rent(0),
        )


def _instructions(intent: TradeIntent, memo: str) -> tuple[PlainInstruction, ...]:
    if intent.purpose is not MaintenancePurpose.DEVNET_CHECK:
        raise InvalidInputError(
            f"this program has no maintenance of the kind {intent.purpose}",
            subject=intent.id,
            fix="Use the version of SniperForge that decided it",
        )
    ourselves = (AccountUse(intent.wallet, True, True), AccountUse(intent.wallet, False, True))
    return (
        PlainInstruction(SYSTEM_PROGRAM, ourselves, struct.pack("<IQ", _TRANSFER, _lamports(intent))),
        PlainInstruction(MEMO_PROGRAM, (), memo.encode()),
    )


def _lamports(intent: TradeIntent) -> int:
    if intent.input_amount_raw is None:
        raise InvalidInputError("a maintenance transaction names its amount", subject=intent.id)
    return intent.input_amount_raw


def _must_pay(balances: Balances, needed: int) -> None:
    """A clear word instead of a simulation that fails; what is free beside other trades is checked when it is held."""
    there = balances.native_lamports - balances.keep_lamports
    if needed > there:
        raise InvalidInputError(
            f"{format_units(needed, SOL_DECIMALS)} SOL are needed, "
            f"the wallet has {format_units(max(0, there), SOL_DECIMALS)} to spend",
            subject="wallet",
            fix="Fund the wallet",
        )
