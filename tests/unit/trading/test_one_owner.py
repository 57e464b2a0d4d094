"""Rule *one owner*: an unknown transaction signed by our key (a clone, a second home, a thief) halts that wallet."""

from __future__ import annotations

import pytest

from sniperforge.domain.intent import IntentState
from sniperforge.domain.money import Signature
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.ports.records import Attribution, Severity, TradingMode, WalletRecord
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.reconciler import Reconciler, ScanReport
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, KEY, OWNER, USDC, signature_of
from tests.fakes.trading_world import TradingWorld

CODEC = SoldersCodec()


def somebody_else_trades(world: TradingWorld, *, err: str | None = None) -> Signature:
    """Whoever holds the same key swaps with it, and it is final."""
    request = OrderRequest(input_mint=USDC, output_mint=JUP, amount_raw=10_000_000, taker=OWNER, slippage_bps=50)
    unsigned = world.exchange.order(request, lane=Lane.ENTRY).transaction
    assert unsigned is not None
    message = CODEC.decode(unsigned, {}).message
    signed = CODEC.assemble(message, {OWNER: Signature(str(KEY.sign_message(message)))})
    world.chain.pool[signature_of(signed)] = signed
    assert world.chain.include(signature_of(signed), err=err)
    world.chain.finalize()
    return signature_of(signed)


def scan(world: TradingWorld) -> ScanReport:
    reconciler = Reconciler(
        store=world.store, chain=world.chain, clock=world.clock, tip_accounts=frozenset(), network="sandbox"
    )
    return reconciler.scan(OWNER)


def wallet(world: TradingWorld) -> WalletRecord:
    with world.store.books.read() as books:
        found = books.wallets.get(OWNER)
    assert found is not None
    return found


@pytest.mark.parametrize("err", [None, TOO_LITTLE], ids=["a swap", "a failed swap"])
def test_one_owner_a_transaction_of_our_key_that_nobody_here_decided_halts_the_wallet_and_alerts(
    err: str | None,
) -> None:
    world = TradingWorld()
    theft = somebody_else_trades(world, err=err)

    assert [one.signature for one in scan(world).foreign] == [theft]

    assert wallet(world).mode is TradingMode.HALTED
    (alert,) = world.events("wallet.foreign_transaction")
    assert (alert.severity, alert.wallet) == (Severity.CRITICAL, OWNER)
    assert world.booked() == world.on_chain()


def test_one_owner_nothing_more_is_signed_until_a_person_has_looked() -> None:
    world = TradingWorld()
    somebody_else_trades(world)
    scan(world)
    intent = world.decide()

    world.executor().advance(intent)

    assert (world.signer.signed, world.attempts()) == ([], ())
    assert "`sniperforge resume main`" in (world.intent(intent).reason or "")


def test_one_owner_a_halt_that_comes_while_a_trade_is_prepared_stops_it() -> None:
    world = TradingWorld()
    intent = world.decide()

    def found_meanwhile() -> None:
        somebody_else_trades(world)
        scan(world)

    world.points.once("simulate", found_meanwhile)
    world.executor().advance(intent)

    assert world.attempts() == ()


def test_one_owner_what_was_signed_before_is_settled_all_the_same() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    somebody_else_trades(world)
    scan(world)

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert world.booked() == world.on_chain()


def test_one_owner_our_own_transactions_are_ours_though_their_booking_is_still_to_come() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.finalize()

    assert [one.attribution for one in scan(world).booked] == [Attribution.OURS]
    assert wallet(world).mode is TradingMode.ACTIVE

    world.finish(attempt.intent_id)
    assert scan(world).booked == ()
    assert world.booked() == world.on_chain()
