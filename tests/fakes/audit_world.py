"""A wallet whose life on the chain and in the books is written twice, independently: a world to find faults in.

Every move says in plain figures what it does to each account and what the books must hold of it; nothing is computed
by the code that trades or by the code that checks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.domain.ids import attempt_id
from sniperforge.domain.intent import Attempt, AttemptState, Fill, FillState, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.domain.transaction import TOKEN_PROGRAM
from sniperforge.infrastructure.chain_truth import CLOCK_SYSVAR
from sniperforge.infrastructure.invariant_report import Report
from sniperforge.infrastructure.invariants import InvariantChecker
from sniperforge.ports.chain import (
    AccountInfo,
    Commitment,
    LandedTransaction,
    PinnedNode,
    SignatureRecord,
    TokenAccount,
    TokenBalance,
)
from sniperforge.ports.records import (
    NATIVE_SOL,
    Asset,
    Attribution,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    NonceAccount,
    NonceState,
)
from tests.fakes.chain import GENESIS_TIME, FakeChain, FakeNode, FakeReader, Landing, blockhash_of, transaction_of
from tests.fakes.clock import FakeClock
from tests.fakes.records import USDC, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeBooks, FakeStore

RENT = 1_488_440
FEE = 5_000
ALLOWANCE = timedelta(seconds=60)
ALLOWANCE_SLOTS = 300
"""The chain in memory gives a slot 200 ms of block time."""

USDC_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([7]) * 32)))
WSOL_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([8]) * 32)))
JUP_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([9]) * 32)))
TIP_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([10]) * 32)))
NONCE_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([11]) * 32)))
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
MINT_OF = {USDC_ACCOUNT: USDC, WSOL_ACCOUNT: WSOL_MINT, JUP_ACCOUNT: JUP}


@dataclass(frozen=True)
class Purse:
    """What the wallet has: its own lamports, and by token account the amount and the lamports in it."""

    lamports: int
    accounts: Mapping[Address, tuple[int, int]] = field(default_factory=dict)

    def pay(self, lamports: int) -> Purse:
        return replace(self, lamports=self.lamports + lamports)

    def hold(self, account: Address, raw: int) -> Purse:
        """So much more in this token account, which is opened if it is not there."""
        before, lamports = self.accounts.get(account, (0, RENT))
        wrapped = raw if account == WSOL_ACCOUNT else 0
        return replace(self, accounts={**self.accounts, account: (before + raw, lamports + wrapped)})

    def close(self, account: Address) -> Purse:
        rest = {other: held for other, held in self.accounts.items() if other != account}
        return Purse(self.lamports + self.accounts[account][1], rest)

    def raw(self, account: Address) -> int:
        return self.accounts.get(account, (0, 0))[0]


def token_account_data(mint: Mint, owner: Address, raw: int) -> bytes:
    """The bytes of a token account."""
    head = bytes(Pubkey.from_string(mint)) + bytes(Pubkey.from_string(owner)) + raw.to_bytes(8, "little")
    return head.ljust(165, b"\0")


def clock_data(slot: int) -> bytes:
    """The bytes of the clock at a slot."""
    seconds = int((GENESIS_TIME + timedelta(milliseconds=200 * slot)).timestamp())
    return slot.to_bytes(8, "little") + bytes(24) + seconds.to_bytes(8, "little")


class AuditChain(FakeChain):
    """The chain in memory, whose accounts have a history and whose pages can be short.

    Attributes:
        states: What the wallet had from which slot on, oldest first.
        extra: More token accounts of the wallet: address -> (mint, raw).
        taken_over: Accounts that belong to somebody else: address -> (mint, raw).
        lost: Transactions that histories list and nobody has.
        has_clock: The clock account is there.
        page: Most lines that a history answers at once.
        after_accounts: Called once after the next answer about accounts: what happens between two questions.
        after_pinned: Called when all questions were asked.
    """

    def __init__(self, wallet: Address) -> None:
        super().__init__()
        self.wallet = wallet
        self.states: list[tuple[int, Purse]] = []
        self.extra: dict[Address, tuple[Mint, int]] = {}
        self.taken_over: dict[Address, tuple[Mint, int]] = {}
        self.lost: set[Signature] = set()
        self.has_clock = True
        self.page = 1_000
        self.after_accounts: Callable[[], None] | None = None
        self.after_pinned: Callable[[], None] = _nothing

    def at(self, slot: int) -> Purse:
        return [purse for since, purse in self.states if since <= slot][-1]

    @contextmanager
    def pinned(
        self,
        node: str | None = None,  # noqa: ARG002 (there is one node here)
        *,
        other_than: str | None = None,  # noqa: ARG002
    ) -> Iterator[PinnedNode]:
        yield AuditReader(self, self.nodes[0])
        self.after_pinned()


class AuditReader(FakeReader):
    def __init__(self, chain: AuditChain, node: FakeNode) -> None:
        super().__init__(chain, node)
        self._audit = chain

    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        slot = self._slot(commitment)
        assert len(addresses) <= 100
        found = tuple(self._account(address, slot) for address in addresses)
        hook, self._audit.after_accounts = self._audit.after_accounts, None
        if hook is not None:
            hook()
        return found

    def token_accounts(self, owner: Address, commitment: Commitment = Commitment.CONFIRMED) -> tuple[TokenAccount, ...]:
        slot = self._slot(commitment)
        held = {account: (MINT_OF[account], raw) for account, (raw, _) in self._audit.at(slot).accounts.items()}
        return tuple(
            TokenAccount(address, mint, owner, TOKEN_PROGRAM, raw, 6, RENT, frozen=False, delegate=None)
            for address, (mint, raw) in {**held, **self._audit.extra}.items()
        )

    def signatures_for_address(
        self,
        address: Address,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = Commitment.FINALIZED,
    ) -> tuple[SignatureRecord, ...]:
        most = min(limit, self._audit.page)
        return super().signatures_for_address(address, before=before, until=until, limit=most, commitment=commitment)

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        return None if signature in self._audit.lost else super().transaction(signature, commitment)

    def _account(self, address: Address, slot: int) -> AccountInfo | None:
        purse, wallet = self._audit.at(slot), self._audit.wallet
        if address == CLOCK_SYSVAR:
            if not self._audit.has_clock:
                return None
            return AccountInfo(address, 1, Address("Sysvar"), clock_data(slot), executable=False, slot=slot)
        if address == wallet:
            system = Address("1" * 32)
            return AccountInfo(address, purse.lamports, system, b"", executable=False, slot=slot)
        if address in self._audit.taken_over:
            mint, raw = self._audit.taken_over[address]
            wallet = TIP_ACCOUNT
        elif address in self._audit.extra:
            mint, raw = self._audit.extra[address]
        elif address in purse.accounts:
            mint, raw = MINT_OF[address], purse.raw(address)
        else:
            return None
        data = token_account_data(mint, wallet, raw)
        return AccountInfo(address, RENT, TOKEN_PROGRAM, data, executable=False, slot=slot)


class AuditStore(FakeStore):
    """The books in memory, and what happens after each reading of them."""

    def __init__(self) -> None:
        super().__init__()
        self.after_read: Callable[[], None] = _nothing

    @contextmanager
    def read(self) -> Iterator[FakeBooks]:
        with super().read() as books:
            yield books
        self.after_read()


def _nothing() -> None:
    """Nothing happens."""


Lines = Sequence[tuple[Asset, LedgerKind, int]]
NATIVE, K = NATIVE_SOL, LedgerKind


class AuditWorld:
    """A wallet with 10 SOL and 1,000 USDC, in the books since a finalized slot."""

    def __init__(self) -> None:
        self.keypair = Keypair.from_seed(bytes([3]) * 32)
        self.wallet = Address(str(self.keypair.pubkey()))
        self.chain = AuditChain(self.wallet)
        self.store = AuditStore()
        self.clock = FakeClock()
        self._numbers = itertools.count(1)
        self.purse = Purse(10_000_000_000).hold(USDC_ACCOUNT, 1_000_000_000)
        self.chain.states.append((0, self.purse))
        self.opening_slot = self.chain.head_slot - 32
        with self.store.write() as books:
            books.wallets.add(a_wallet(address=self.wallet))
            books.ledger.add(
                [
                    self._line("opening", self.opening_slot, asset, K.OPENING, raw, FillState.FINAL)
                    for asset, raw in ((NATIVE, 10_000_000_000), (Asset(USDC), 1_000_000_000))
                ]
            )

    # ---- what is asked in the end
    def settle(self) -> None:
        """Everything finalized, and nothing young any more."""
        self.chain.advance(32 + ALLOWANCE_SLOTS + 10)

    def check(self) -> Report:
        checker = InvariantChecker(
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            tip_accounts=[TIP_ACCOUNT],
            settle_allowance=ALLOWANCE,
        )
        return checker.check(self.wallet)

    def broken(self) -> set[str]:
        """Names of the invariants that do not hold."""
        return {violation.invariant for violation in self.check().violations}

    # ---- the chain
    def land(
        self, payer: Keypair, after: Purse, *, fee: int = FEE, err: str | None = None, tip: int = 0, nonce: int = 0
    ) -> LandedTransaction:
        """A transaction that makes the wallet's purse this one, in a block of its own."""
        self.chain.advance()
        before, number = self.purse, next(self._numbers)
        transaction = transaction_of(payer, blockhash_of(10_000_000 + number))
        lamports: dict[Address, tuple[int, int]] = {}
        if payer is self.keypair or before.lamports != after.lamports:
            lamports[self.wallet] = (before.lamports, after.lamports)
        if tip:
            lamports[TIP_ACCOUNT] = (1_000_000_000, 1_000_000_000 + tip)
        if nonce:
            lamports[NONCE_ACCOUNT] = (0, nonce)
        touched = [one for one in MINT_OF if before.accounts.get(one) != after.accounts.get(one)]
        for account in touched:
            lamports[account] = (before.accounts.get(account, (0, 0))[1], after.accounts.get(account, (0, 0))[1])
        payer_address = Address(str(payer.pubkey()))
        signature = self.chain.land(
            transaction,
            Landing(
                err=err,
                fee_lamports=fee,
                lamports={payer_address: (9_000_000, 9_000_000 - fee), **lamports},
                loaded=tuple(account for account in lamports if account != payer_address),
                pre_tokens=self._token_balances(before, touched),
                post_tokens=self._token_balances(after, touched),
            ),
        )
        self.purse = after
        self.chain.states.append((self.chain.head_slot, after))
        return self.chain.landed[signature]

    def fork(self) -> None:
        """Take the newest block back."""
        self.chain.fork(1)
        del self.chain.states[-1]
        self.purse = self.chain.states[-1][1]

    def _token_balances(self, purse: Purse, accounts: Sequence[Address]) -> tuple[TokenBalance, ...]:
        return tuple(
            TokenBalance(account, MINT_OF[account], self.wallet, TOKEN_PROGRAM, purse.raw(account), 6)
            for account in accounts
            if account in purse.accounts
        )

    def stranger(self) -> Keypair:
        return Keypair.from_seed((1_000_000 + next(self._numbers)).to_bytes(32, "big"))

    # ---- trades of ours
    def buy_sol(self, spent: int, got: int, *, tip: int = 0, **how: Any) -> Attempt:
        """USDC to native SOL; a wSOL account that is open is closed by it, as Jupiter does."""
        wrapped = self.purse.raw(WSOL_ACCOUNT)
        open_before = WSOL_ACCOUNT in self.purse.accounts
        after = self.purse.close(WSOL_ACCOUNT) if open_before else self.purse
        after = after.hold(USDC_ACCOUNT, -spent).pay(got - FEE - tip)
        rent = RENT if open_before else 0
        lines = [
            (Asset(USDC), K.TRADE_OUT, -spent),
            (NATIVE, K.TRADE_IN, got),
            (NATIVE, K.WRAP, wrapped),
            (Asset(WSOL_MINT), K.WRAP, -wrapped),
            (NATIVE, K.RENT_RETURNED, rent),
            (NATIVE, K.TIP, -tip),
            (NATIVE, K.FEE, -FEE),
        ]
        amounts = {"input_raw": spent, "output_raw": got, "tip_lamports": tip, "rent_returned_lamports": rent}
        return self._trade((USDC, WSOL_MINT), after, lines, amounts, tip=tip, **how)

    def sell_sol(self, spent: int, got: int, **how: Any) -> Attempt:
        """Native SOL to JUP, whose account is opened if there is none."""
        rent = 0 if JUP_ACCOUNT in self.purse.accounts else RENT
        after = self.purse.hold(JUP_ACCOUNT, got).pay(-spent - rent - FEE)
        lines = [
            (NATIVE, K.TRADE_OUT, -spent),
            (Asset(JUP), K.TRADE_IN, got),
            (NATIVE, K.RENT_PAID, -rent),
            (NATIVE, K.FEE, -FEE),
        ]
        amounts = {"input_raw": spent, "output_raw": got, "rent_paid_lamports": rent}
        return self._trade((WSOL_MINT, JUP), after, lines, amounts, **how)

    def open_nonce(self, rent: int = 1_447_680) -> Attempt:
        """A maintenance transaction: rent goes into a durable nonce account."""
        with self.store.write() as books:
            books.nonces.add(
                NonceAccount(address=NONCE_ACCOUNT, authority=self.wallet, wallet=self.wallet, state=NonceState.UNKNOWN)
            )
        lines = [(NATIVE, K.RENT_PAID, -rent), (NATIVE, K.FEE, -FEE)]
        amounts = {"input_raw": 0, "output_raw": 0, "rent_paid_lamports": rent}
        return self._trade((WSOL_MINT, WSOL_MINT), self.purse.pay(-rent - FEE), lines, amounts, nonce=rent)

    def fail(self, *, booked: bool = True) -> Attempt:
        """A buy that lands with an error: the fee is gone, nothing else happened."""
        landed = self.land(self.keypair, self.purse.pay(-FEE), err='{"InstructionError":[3,{"Custom":6001}]}')
        intent = self._intent(state=IntentState.FAILED if booked else IntentState.EXECUTING)
        state = AttemptState.REVERTED if booked else AttemptState.SENT
        attempt = self._attempt(intent, landed, state=state, landed_slot=landed.slot if booked else None)
        self._book(intent, attempt, None, landed, [(NATIVE, K.FEE, -FEE)] if booked else [])
        return attempt

    def expire(self) -> Attempt:
        """An attempt that never landed; its intent failed."""
        intent = self._intent(state=IntentState.FAILED)
        landed = self._never_landed()
        attempt = self._attempt(intent, landed, state=AttemptState.EXPIRED, landed_slot=None)
        self._book(intent, attempt, None, landed, [])
        return attempt

    def fork_away(self) -> Attempt:
        """A buy that was confirmed and booked, then taken back by a fork; its attempt is dead, its lines reversed."""
        attempt = self.buy_sol(1_000_000, 5_000_000)
        self.fork()
        with self.store.write() as books:
            intent = books.intents.get(attempt.intent_id)
            assert intent is not None
        data = self.store._data
        data.intents[attempt.intent_id] = replace(intent, state=IntentState.FAILED)
        data.attempts[attempt.id] = replace(attempt, state=AttemptState.EXPIRED, landed_slot=None)
        data.fills[attempt.signature] = replace(data.fills[attempt.signature], state=FillState.REVERSED)
        for key, line in data.ledger.items():
            if line.source == attempt.signature:
                data.ledger[key] = replace(line, state=FillState.REVERSED)
        return data.attempts[attempt.id]  # type: ignore[no-any-return]

    def in_flight(self) -> Attempt:
        """A buy that landed; the books hold its attempt, live, and nothing else yet."""
        return self.buy_sol(2_000_000, 9_000_000, booked=False)

    # ---- what others do, and what a person does by hand
    def deposit(self, account: Address | None, amount: int, *, booked: bool = True) -> Signature:
        """Somebody sends SOL (no account), or tokens straight into a token account: the wallet is not even named."""
        opened = account is not None and account not in self.purse.accounts
        after = self.purse.pay(amount) if account is None else self.purse.hold(account, amount)
        landed = self.land(self.stranger(), after)
        asset = NATIVE if account is None else Asset(MINT_OF[account])
        lines: list[tuple[Asset, LedgerKind, int]] = [(asset, K.TRANSFER_IN, amount)]
        if opened:  # the rent is a gift that a later close turns into money; until then it is in nobody's balance
            lines += [(NATIVE, K.RENT_PAID, -RENT), (NATIVE, K.TRANSFER_IN, RENT)]
        if booked:
            self._book_foreign(landed, lines, Attribution.DEPOSIT)
        return landed.signature

    def send_by_hand(self, lamports: int, *, attribution: Attribution | None = Attribution.FOREIGN) -> Signature:
        """The key's owner sends SOL with another program."""
        landed = self.land(self.keypair, self.purse.pay(-lamports - FEE))
        lines = [(NATIVE, K.TRANSFER_OUT, -lamports), (NATIVE, K.FEE, -FEE)]
        self._book_foreign(landed, lines, attribution)
        return landed.signature

    # ---- the books
    def _trade(
        self,
        mints: tuple[Mint, Mint],
        after: Purse,
        lines: Lines,
        amounts: Mapping[str, Any],
        *,
        tip: int = 0,
        nonce: int = 0,
        booked: bool = True,
        state: FillState = FillState.FINAL,
        intent: TradeIntent | None = None,
    ) -> Attempt:
        landed = self.land(self.keypair, after, tip=tip, nonce=nonce)
        standing = IntentState.FILLED if booked else IntentState.EXECUTING
        given = intent or self._intent(state=standing, input_mint=mints[0], output_mint=mints[1])
        final = {FillState.FINAL: AttemptState.FINALIZED, FillState.PROVISIONAL: AttemptState.CONFIRMED}[state]
        attempt = self._attempt(
            given,
            landed,
            state=final if booked else AttemptState.SENT,
            landed_slot=landed.slot if booked else None,
        )
        fill = a_fill(
            attempt, slot=landed.slot, state=state, input_mint=mints[0], output_mint=mints[1], fee_lamports=FEE
        )
        self._book(given, attempt, replace(fill, **amounts) if booked else None, landed, lines if booked else [], state)
        return attempt

    def _intent(self, **changes: Any) -> TradeIntent:
        return an_intent(f"trade-{next(self._numbers)}", wallet=self.wallet, **changes)

    def _attempt(self, intent: TradeIntent, landed: LandedTransaction, **changes: Any) -> Attempt:
        number = 1 + sum(one.intent_id == intent.id for one in self.store._data.attempts.values())
        given = {"usd_per_input_unit": None, "usd_per_output_unit": None, "usd_per_lamport": None, **changes}
        return an_attempt(intent, number, id=attempt_id(intent.id, number), signature=landed.signature, **given)

    def _book(
        self,
        intent: TradeIntent,
        attempt: Attempt,
        fill: Fill | None,
        landed: LandedTransaction,
        lines: Lines,
        state: FillState = FillState.FINAL,
    ) -> None:
        with self.store.write() as books:
            if books.intents.get(intent.id) is None:
                books.intents.add(intent)
            books.attempts.add(attempt)
            if fill is not None:
                books.fills.add(fill)
            books.ledger.add([self._line(attempt.signature, landed.slot, *one, state) for one in lines if one[2]])

    def _book_foreign(self, landed: LandedTransaction, lines: Lines, attribution: Attribution | None) -> None:
        totals: dict[tuple[Asset, LedgerKind], int] = {}
        for asset, kind, raw in lines:
            totals[asset, kind] = totals.get((asset, kind), 0) + raw
        with self.store.write() as books:
            books.ledger.add(
                [self._line(landed.signature, landed.slot, *key, raw, FillState.FINAL) for key, raw in totals.items()]
            )
            if attribution is not None:
                books.known_transactions.add(
                    KnownTransaction(
                        signature=landed.signature,
                        wallet=self.wallet,
                        slot=landed.slot,
                        err=None,
                        attribution=attribution,
                        seen_at=self.clock.now(),
                    )
                )

    def _line(self, source: str, slot: int, asset: Asset, kind: LedgerKind, raw: int, state: FillState) -> LedgerEntry:
        return LedgerEntry(
            source=source,
            wallet=self.wallet,
            asset=asset,
            kind=kind,
            delta_raw=raw,
            slot=slot,
            state=state,
            booked_at=self.clock.now(),
        )

    def _never_landed(self) -> LandedTransaction:
        """A transaction that only exists in the books."""
        landed = self.land(self.keypair, self.purse)
        self.fork()
        return landed
