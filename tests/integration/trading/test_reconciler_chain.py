"""The reconciler as it is in use: SQLite books, the real adapter, and a chain that runs every transaction."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import (
    close_account,
    create_idempotent_associated_token_account,
    get_associated_token_address,
    sync_native,
    transfer_checked,
)
from spl.token.models import CloseAccountParams, SyncNativeParams, TransferCheckedParams

from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.errors import NodeBehindError
from sniperforge.ports.chain import Commitment
from sniperforge.ports.records import NATIVE_SOL, Asset, Attribution, LedgerKind, TradingMode
from sniperforge.ports.store import Store
from sniperforge.sandbox.genesis import SPONSOR_LAMPORTS
from sniperforge.sandbox.tokens import seeded_keypair
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.solana.rpc import SolanaChain
from sniperforge.trading.differences import Reason
from sniperforge.trading.reconciler import INDEX_LAG_SLOTS, Reconciler
from tests.fakes.chain_worlds import wait_until
from tests.fakes.jupiter_sandbox import sign
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.solana_transactions import signed
from tests.fakes.stores import empty_store

USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDC_KEY, WSOL_KEY = Pubkey.from_string(USDC), Pubkey.from_string(WSOL_MINT)
SOL = 1_000_000_000


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(
        tmp_path_factory.mktemp("sandbox"), slot_ms=5, scenario="flat", crowd=0, rate_limits=False
    ) as running:
        yield running


@dataclass
class Desk:
    """A funded wallet of its own, and everything the reconciler stands on."""

    sandbox: RunningSandbox
    chain: SolanaChain
    store: Store
    key: Keypair
    reconciler: Reconciler

    @property
    def wallet(self) -> Address:
        return Address(str(self.key.pubkey()))

    @property
    def bank(self) -> Keypair:
        """Somebody with SOL and USDC."""
        return self.sandbox.demo_wallet

    def land(self, payer: Keypair, *instructions: Instruction) -> Signature:
        blockhash = Hash.from_string(self.chain.latest_blockhash().blockhash)
        transaction = signed(payer, list(instructions), blockhash)
        self.chain.send(bytes(transaction))
        return self.finalized(Signature(str(transaction.signatures[0])))

    def finalized(self, signature: Signature) -> Signature:
        """Wait until a transaction is, and so is whatever came before it."""
        wait_until(lambda: self.chain.transaction(signature, Commitment.FINALIZED) is not None)
        return signature

    def pass_slots(self, slots: int) -> None:
        target = self.chain.slot(Commitment.FINALIZED) + slots
        wait_until(lambda: self.chain.slot(Commitment.FINALIZED) >= target)

    def lamports(self, wallet: Address) -> int:
        """What is final."""
        (account,) = self.chain.accounts([wallet], Commitment.FINALIZED)
        assert account is not None
        return account.lamports

    def pay_usdc(self, source: Keypair, target: Pubkey, raw: int) -> Instruction:
        return transfer_checked(
            TransferCheckedParams(
                program_id=TOKEN_PROGRAM_ID,
                source=get_associated_token_address(source.pubkey(), USDC_KEY),
                mint=USDC_KEY,
                dest=get_associated_token_address(target, USDC_KEY),
                owner=source.pubkey(),
                amount=raw,
                decimals=6,
                signers=[],
            )
        )

    def swap(self, source: Mint, target: Mint, raw: int) -> Signature:
        """A swap by our key that no intent decided."""
        asked = {"inputMint": source, "outputMint": target, "amount": str(raw), "taker": self.wallet}
        with httpx.Client(base_url=self.sandbox.endpoints.jupiter_url, timeout=10.0) as jupiter:
            order = jupiter.get("/swap/v2/order", params={**asked, "excludeRouters": "jupiterz"}).json()
            transaction = b64encode(sign(b64decode(order["transaction"]), self.key)).decode()
            body = {"signedTransaction": transaction, "requestId": order["requestId"]}
            answer = jupiter.post("/swap/v2/execute", json=body).json()
        assert answer["status"] == "Success", answer
        return self.finalized(Signature(answer["signature"]))

    def lines(self, signature: Signature) -> dict[tuple[str, LedgerKind], int]:
        with self.store.read() as books:
            return {(line.asset, line.kind): line.delta_raw for line in books.ledger.of_source(signature)}

    def scanned(self) -> dict[str, Attribution]:
        return {one.signature: one.attribution for one in self.reconciler.scan(self.wallet).booked}


@pytest.fixture
def desk(process: RunningSandbox, tmp_path: Path) -> Iterator[Desk]:
    key = Keypair()
    process.fund(key.pubkey(), sol="5", token="USDC", amount="1000")
    clock = SystemClock()
    chain = SolanaChain([process.endpoints.node_urls["a"], process.endpoints.node_urls["b"]], clock)
    with empty_store("sqlite", tmp_path) as store:
        reconciler = Reconciler(store=store, chain=chain, clock=clock, tip_accounts=frozenset(), network="sandbox")
        made = Desk(process, chain, store, key, reconciler)
        made.pass_slots(40)
        yield made
    chain.close()
    process.ask("POST", "/nodes", name="a", remembers_all=True)


def send_sol(source: Keypair, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))


def test_a_wallet_is_adopted_with_what_it_holds(desk: Desk) -> None:
    wallet = desk.reconciler.adopt("main", desk.wallet)

    assert desk.reconciler.adopt("main", desk.wallet) == wallet
    with desk.store.read() as books:
        assert books.ledger.balance_raw(desk.wallet, NATIVE_SOL, final_only=True) == 5 * SOL
        assert books.ledger.balance_raw(desk.wallet, Asset(USDC), final_only=True) == 1_000_000_000
    assert desk.reconciler.compare(desk.wallet) == ()


def test_deposits_of_sol_and_tokens_are_found_and_booked(desk: Desk) -> None:
    desk.reconciler.adopt("main", desk.wallet)
    sol = desk.land(desk.bank, send_sol(desk.bank, desk.key.pubkey(), 123_456_789))
    usdc = desk.land(desk.bank, desk.pay_usdc(desk.bank, desk.key.pubkey(), 777))

    assert desk.scanned() == {sol: Attribution.DEPOSIT, usdc: Attribution.DEPOSIT}
    assert desk.lines(sol) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): 123_456_789}
    assert desk.lines(usdc) == {(USDC, LedgerKind.TRANSFER_IN): 777}
    assert desk.scanned() == {}
    assert desk.reconciler.compare(desk.wallet) == ()


def test_a_deposit_of_wsol_into_an_account_that_is_closed_before_anybody_looks_is_found(desk: Desk) -> None:
    desk.reconciler.adopt("main", desk.wallet)
    owner, bank = desk.key.pubkey(), desk.bank
    account = get_associated_token_address(owner, WSOL_KEY)
    opened = desk.land(bank, create_idempotent_associated_token_account(bank.pubkey(), owner, WSOL_KEY))
    paid = desk.land(
        bank,
        send_sol(bank, account, 3 * SOL),
        sync_native(SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=account)),
    )
    params = CloseAccountParams(program_id=TOKEN_PROGRAM_ID, account=account, dest=owner, owner=owner, signers=[])
    closed = desk.land(desk.key, close_account(params))

    assert desk.scanned() == {
        opened: Attribution.DEPOSIT,
        paid: Attribution.DEPOSIT,
        closed: Attribution.FOREIGN,
    }
    assert desk.lines(paid) == {(WSOL_MINT, LedgerKind.TRANSFER_IN): 3 * SOL}
    assert desk.lines(closed)[WSOL_MINT, LedgerKind.WRAP] == -3 * SOL
    assert desk.reconciler.compare(desk.wallet) == ()


def test_swaps_that_nobody_decided_halt_the_wallet_and_the_books_still_add_up(desk: Desk) -> None:
    """Both ways, through native SOL and with wSOL held besides: wrapped, unwrapped, rent paid and returned."""
    desk.reconciler.adopt("main", desk.wallet)
    owner = desk.key.pubkey()
    account = get_associated_token_address(owner, WSOL_KEY)
    swaps = [desk.swap(USDC, WSOL_MINT, 25_000_000), desk.swap(WSOL_MINT, USDC, SOL // 10)]
    desk.land(
        desk.bank,
        create_idempotent_associated_token_account(desk.bank.pubkey(), owner, WSOL_KEY),
        send_sol(desk.bank, account, SOL),
        sync_native(SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=account)),
    )
    swaps += [desk.swap(USDC, WSOL_MINT, 30_000_000)]

    report = desk.reconciler.scan(desk.wallet)

    assert [one.signature for one in report.foreign] == swaps
    assert desk.reconciler.compare(desk.wallet) == ()
    with desk.store.read() as books:
        wallet = books.wallets.get(desk.wallet)
    assert wallet is not None
    assert wallet.mode is TradingMode.HALTED


def test_a_foreign_transaction_that_failed_is_found_too(desk: Desk) -> None:
    desk.reconciler.adopt("main", desk.wallet)
    failed = desk.land(desk.key, send_sol(desk.key, desk.bank.pubkey(), 900 * SOL))

    assert desk.scanned() == {failed: Attribution.FOREIGN}
    assert desk.lines(failed) == {(NATIVE_SOL, LedgerKind.FEE): -5_000}
    assert desk.reconciler.compare(desk.wallet) == ()


def test_what_the_sandbox_gives_is_a_deposit_even_while_it_is_not_final(desk: Desk) -> None:
    desk.sandbox.fund(desk.key.pubkey(), sol="1")
    desk.reconciler.adopt("main", desk.wallet)
    desk.sandbox.fund(desk.key.pubkey(), sol="2", token="USDC", amount="7")
    desk.pass_slots(40)

    assert desk.reconciler.compare(desk.wallet) == ()
    with desk.store.read() as books:
        assert books.ledger.balance_raw(desk.wallet, NATIVE_SOL, final_only=True) == 8 * SOL
        assert books.ledger.balance_raw(desk.wallet, Asset(USDC), final_only=True) == 1_007_000_000


def test_a_balance_that_was_decreed_is_named(desk: Desk) -> None:
    """A wallet of the sandbox's own, which it fills without a transaction whenever most of its SOL is gone."""
    house = seeded_keypair(1, "gas-sponsor")
    wallet = Address(str(house.pubkey()))

    def full() -> bool:
        return desk.lamports(wallet) == SPONSOR_LAMPORTS

    assert full()
    desk.reconciler.adopt("house", wallet)
    desk.land(house, send_sol(house, desk.bank.pubkey(), 600 * SOL))
    wait_until(full)

    (found,) = desk.reconciler.compare(wallet)

    assert (found.asset, found.missing_raw, found.reason) == (NATIVE_SOL, 600 * SOL + 5_000, Reason.UNEXPLAINED)


def test_a_node_that_forgot_is_passed_over_for_one_that_did_not(desk: Desk) -> None:
    desk.land(desk.bank, send_sol(desk.bank, desk.key.pubkey(), SOL))
    wallet = desk.reconciler.adopt("main", desk.wallet)
    assert wallet.cursor_signature is not None
    missed = desk.land(desk.bank, send_sol(desk.bank, desk.key.pubkey(), 5_000_000))
    desk.pass_slots(100)
    desk.sandbox.ask("POST", "/nodes", name="a", remembers_slots=60)

    assert desk.scanned() == {missed: Attribution.DEPOSIT}

    only = SolanaChain([desk.sandbox.endpoints.node_urls["a"]], SystemClock())
    alone = Reconciler(store=desk.store, chain=only, clock=SystemClock(), tip_accounts=frozenset(), network="sandbox")
    with pytest.raises(NodeBehindError):
        alone.scan(desk.wallet)
    only.close()


def test_adopting_while_money_moves_counts_everything_once(desk: Desk) -> None:
    """Payments in flight, none of them final when the balances are read."""
    for number in range(5):
        blockhash = Hash.from_string(desk.chain.latest_blockhash().blockhash)
        instructions = [
            send_sol(desk.bank, desk.key.pubkey(), 1_000_000 + number),
            desk.pay_usdc(desk.bank, desk.key.pubkey(), 10 + number),
        ]
        desk.chain.send(bytes(signed(desk.bank, instructions, blockhash)))
    desk.reconciler.adopt("main", desk.wallet)
    desk.pass_slots(60)

    assert desk.reconciler.compare(desk.wallet) == ()
    with desk.store.read() as books:
        assert books.ledger.balance_raw(desk.wallet, Asset(USDC), final_only=True) == 1_000_000_000 + 60


def test_the_cursor_follows_a_real_history(desk: Desk) -> None:
    desk.reconciler.adopt("main", desk.wallet)
    first = desk.land(desk.bank, desk.pay_usdc(desk.bank, desk.key.pubkey(), 1))
    desk.scanned()
    desk.pass_slots(INDEX_LAG_SLOTS)
    second = desk.land(desk.bank, desk.pay_usdc(desk.bank, desk.key.pubkey(), 2))

    assert desk.scanned() == {second: Attribution.DEPOSIT}
    with desk.store.read() as books:
        wallet = books.wallets.get(desk.wallet)
    assert wallet is not None
    assert wallet.cursor_signature == first
    assert desk.scanned() == {}
