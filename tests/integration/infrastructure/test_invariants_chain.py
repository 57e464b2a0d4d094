"""Real swaps, landed through the real adapters; rows written by hand from what the accounts held before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from sqlalchemy import text

from sniperforge.domain.intent import Attempt, AttemptState, FillState, IntentState
from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.infrastructure.invariant_report import Report
from sniperforge.infrastructure.invariants import InvariantChecker
from sniperforge.infrastructure.secrets_scan import Secret, scan_for_secrets
from sniperforge.ports.chain import Chain, Commitment, LandedTransaction
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane, Order, OrderRequest
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import PlanLimits, RequestBudget
from sniperforge.shared.solana.rpc import SolanaChain
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.chain_worlds import signature_of, wait_until
from tests.fakes.jupiter_sandbox import sign
from tests.fakes.records import USDC, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.stores import migrated_engine

JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
K = LedgerKind


@dataclass
class Desk:
    """A wallet that trades by hand, and its books."""

    sandbox: RunningSandbox
    keypair: Keypair
    chain: Chain
    exchange: Exchange
    store: SqlStore
    clock: Clock
    trades: int = 0
    opening: dict[Asset, int] = field(default_factory=dict)

    @property
    def wallet(self) -> Address:
        return Address(str(self.keypair.pubkey()))

    def holdings(self) -> dict[str, int]:
        """Lamports, amounts by mint, and lamports in token accounts, finalized."""
        (own,) = self.chain.accounts([self.wallet], Commitment.FINALIZED)
        assert own is not None
        tokens = self.chain.token_accounts(self.wallet, Commitment.FINALIZED)
        held = {"native": own.lamports, "rent": sum(one.lamports for one in tokens if one.mint != WSOL_MINT)}
        return {**held, **{one.mint: one.raw for one in tokens}}

    def adopt(self) -> None:
        """Into the books with what it holds; nothing happens meanwhile."""
        slot = self.chain.slot(Commitment.FINALIZED)
        held = self.holdings()
        with self.store.write() as books:
            books.wallets.add(a_wallet(address=self.wallet))
            books.ledger.add(
                [
                    self._line("opening", slot, Asset(asset), K.OPENING, raw)
                    for asset, raw in held.items()
                    if asset != "rent"
                ]
            )

    def order(self, input_mint: Mint, output_mint: Mint, raw: int, *, slippage_bps: int = 100) -> Order:
        request = OrderRequest(
            input_mint=input_mint,
            output_mint=output_mint,
            amount_raw=raw,
            taker=self.wallet,
            slippage_bps=slippage_bps,
            exclude_routers=("jupiterz",),
        )
        return self.exchange.order(request, lane=Lane.ENTRY)

    def land(self, order: Order) -> LandedTransaction:
        """Sign, post, and wait until it is final."""
        assert order.transaction is not None
        signed = sign(order.transaction, self.keypair)
        self.exchange.execute(signed, order.request_id, order.last_valid_block_height)
        return self.finalized(signature_of(signed))

    def finalized(self, signature: Signature) -> LandedTransaction:
        wait_until(lambda: self.chain.transaction(signature, Commitment.FINALIZED) is not None)
        landed = self.chain.transaction(signature, Commitment.FINALIZED)
        assert landed is not None
        wait_until(lambda: self.chain.slot(Commitment.FINALIZED) > landed.slot)
        return landed

    def swap(self, input_mint: Mint, output_mint: Mint, raw: int) -> Attempt:
        """Trade, and book it from what the accounts held before and after."""
        before = self.holdings()
        landed = self.land(self.order(input_mint, output_mint, raw))
        assert landed.err is None
        after = self.holdings()
        gained = {asset: after.get(asset, 0) - before.get(asset, 0) for asset in {*before, *after}}
        fee, rent = landed.fee_lamports, gained["rent"]
        traded_sol = gained["native"] + fee + rent
        moved = {WSOL_MINT: traded_sol}
        amounts = {
            "input_raw": -moved.get(input_mint, gained.get(input_mint, 0)),
            "output_raw": moved.get(output_mint, gained.get(output_mint, 0)),
            "fee_lamports": fee,
            "rent_paid_lamports": rent,
        }
        lines = [(NATIVE_SOL, K.FEE, -fee), (NATIVE_SOL, K.RENT_PAID, -rent)]
        lines.append((NATIVE_SOL, K.TRADE_IN if traded_sol > 0 else K.TRADE_OUT, traded_sol))
        lines += [
            (Asset(mint), K.TRADE_IN if gained[mint] > 0 else K.TRADE_OUT, gained[mint])
            for mint in {input_mint, output_mint} - {WSOL_MINT}
        ]
        return self._book(landed, lines, (input_mint, output_mint), amounts)

    def swap_that_misses_its_minimum(self) -> Attempt:
        """The price moves between quote and landing: it lands with an error and costs its fee."""
        order = self.order(USDC, WSOL_MINT, 10_000_000, slippage_bps=0)
        self.swap(USDC, WSOL_MINT, 2_000_000_000)
        landed = self.land(order)
        assert landed.err is not None
        return self._book(landed, [(NATIVE_SOL, K.FEE, -landed.fee_lamports)], (USDC, WSOL_MINT), None)

    def _book(
        self,
        landed: LandedTransaction,
        lines: list[tuple[Asset, LedgerKind, int]],
        mints: tuple[Mint, Mint],
        amounts: dict[str, Any] | None,
    ) -> Attempt:
        self.trades += 1
        good = amounts is not None
        intent = an_intent(
            f"trade-{self.trades}",
            wallet=self.wallet,
            input_mint=mints[0],
            output_mint=mints[1],
            state=IntentState.FILLED if good else IntentState.FAILED,
        )
        attempt = an_attempt(
            intent,
            signature=landed.signature,
            signed_transaction=landed.transaction,
            state=AttemptState.FINALIZED if good else AttemptState.REVERTED,
            landed_slot=landed.slot,
            landed_error=landed.err,
            usd_per_input_unit=None,
            usd_per_output_unit=None,
            usd_per_lamport=None,
        )
        with self.store.write() as books:
            books.intents.add(intent)
            books.attempts.add(attempt)
            if amounts is not None:
                fill = a_fill(
                    attempt, slot=landed.slot, input_mint=mints[0], output_mint=mints[1], state=FillState.FINAL
                )
                books.fills.add(replace(fill, **amounts))
            books.ledger.add([self._line(landed.signature, landed.slot, *one) for one in lines if one[2]])
        return attempt

    def _line(self, source: str, slot: int, asset: Asset, kind: LedgerKind, raw: int) -> LedgerEntry:
        return LedgerEntry(
            source=source,
            wallet=self.wallet,
            asset=asset,
            kind=kind,
            delta_raw=raw,
            slot=slot,
            state=FillState.FINAL,
            booked_at=self.clock.now(),
        )

    def check(self) -> Report:
        return InvariantChecker(
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            tip_accounts=(),
            settle_allowance=timedelta(minutes=1),
        ).check(self.wallet)

    def sql(self, statement: str, **values: object) -> None:
        """Change rows behind the program's back."""
        with self.store._engine.begin() as connection:
            assert connection.execute(text(statement), values).rowcount == 1

    def dump(self) -> bytes:
        """The whole database as SQL."""
        connection = self.store._engine.raw_connection()
        try:
            return "\n".join(connection.driver_connection.iterdump()).encode()  # type: ignore[union-attr]
        finally:
            connection.close()


@pytest.fixture
def desk(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Desk]:
    keypair = Keypair()
    sandbox.fund(keypair.pubkey(), sol="20")
    sandbox.fund(keypair.pubkey(), token="USDC", amount="5000")
    clock = SystemClock()
    chain = SolanaChain([sandbox.endpoints.rpc_url], clock, timeout_s=5.0)
    wait_until(lambda: len(chain.token_accounts(Address(str(keypair.pubkey())), Commitment.FINALIZED)) == 1)
    budget = RequestBudget(PlanLimits(main=1000, execute=1000), organisation="audit", clock=clock, redis_url=None)
    exchange = JupiterClient(sandbox.endpoints.jupiter_url, api_key=None, budget=budget, clock=clock)
    with migrated_engine("sqlite", tmp_path) as engine:
        desk = Desk(sandbox, keypair, chain, exchange, SqlStore(engine), clock)
        desk.adopt()
        yield desk
    chain.close()
    exchange.close()


def test_books_of_real_swaps_hold_and_one_wrong_unit_does_not(desk: Desk) -> None:
    bought = desk.swap(USDC, WSOL_MINT, 25_000_000)
    opened = desk.swap(WSOL_MINT, JUP, 1_000_000_000)
    desk.swap(JUP, USDC, 1_000_000)
    failed = desk.swap_that_misses_its_minimum()

    report = desk.check()
    assert report.violations == ()
    seen = report.looked_at
    assert (seen.transactions, seen.landings, seen.fills, seen.assets) == (5, 5, 4, 3)

    desk.sql("UPDATE fills SET output_raw = output_raw + 1 WHERE signature = :one", one=bought.signature)
    desk.sql(
        "UPDATE ledger_entries SET delta_raw = delta_raw - 1 WHERE source = :one AND kind = 'rent_paid'",
        one=opened.signature,
    )
    desk.sql("DELETE FROM ledger_entries WHERE source = :one", one=failed.signature)
    violations = desk.check().violations
    named = {(violation.invariant, signature) for violation in violations for signature in violation.evidence}
    subjects = {(violation.invariant, violation.subject) for violation in violations}
    assert {invariant for invariant, _ in named} == {"I2", "I5"}
    assert subjects == {
        ("I2", f"attempt {bought.id} ({bought.signature})"),
        ("I2", f"attempt {failed.id} ({failed.signature})"),
        ("I5", f"transaction {opened.signature}"),
    }


def test_a_swap_that_nobody_booked_is_in_flight_while_its_attempt_lives_and_then_named(desk: Desk) -> None:
    attempt = desk.swap(USDC, WSOL_MINT, 25_000_000)
    desk.sql("DELETE FROM fills")
    with desk.store._engine.begin() as connection:
        connection.execute(text("DELETE FROM ledger_entries WHERE source = :one"), {"one": attempt.signature})
    desk.sql("UPDATE attempts SET state = 'sent'")
    desk.sql("UPDATE trade_intents SET state = 'executing'")
    report = desk.check()
    assert (report.violations, report.looked_at.in_flight) == ((), 1)

    desk.sql("UPDATE attempts SET state = 'expired'")
    (violation,) = desk.check().violations
    assert (violation.invariant, attempt.signature in violation.subject) == ("I2", True)


def test_no_key_material_is_in_the_database_and_the_scan_would_find_it(desk: Desk) -> None:
    desk.swap(USDC, WSOL_MINT, 25_000_000)
    secret = Secret("the wallet's key", bytes(desk.keypair))
    assert scan_for_secrets([("books.db", desk.dump())], [secret]) == ()

    desk.sql("UPDATE attempts SET signed_transaction = :key", key=b"before" + bytes(desk.keypair))
    findings = scan_for_secrets([("books.db", desk.dump())], [secret])
    assert {finding.spelling for finding in findings} == {"a seed in hex", "a keypair in hex"}
