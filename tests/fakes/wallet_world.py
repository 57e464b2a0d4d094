"""A wallet on the chain in memory, whose transactions leave accounts and histories that fit together.

Everything is final at once: each transaction has a slot of its own, and `chain.advance` lets time pass. `on_question`
is called after each answer of a node, so that a test can let the world go on between any two questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import LAMPORTS_PER_SOL, WSOL_MINT, Address, Mint, Signature
from sniperforge.domain.transaction import TOKEN_PROGRAM
from sniperforge.ports.chain import (
    AccountInfo,
    Commitment,
    LandedTransaction,
    PinnedNode,
    SignatureRecord,
    TokenAccount,
    TokenBalance,
)
from sniperforge.ports.store import Store
from sniperforge.trading.reconciler import Reconciler
from tests.fakes.chain import FakeChain, FakeReader, Landing, blockhash_of
from tests.fakes.clock import FakeClock
from tests.fakes.store import FakeStore

AnswerT = TypeVar("AnswerT")
NETWORK = "testnet"
RENT = 1_488_440
FEE = 5_000
OPENING_LAMPORTS = 10 * LAMPORTS_PER_SOL
TIP_ACCOUNT = Address(str(Pubkey.from_bytes(bytes([200]) * 32)))
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


class WatchedReader(FakeReader):
    """A node that tells what it was asked, and lets the world go on after its answer."""

    _chain: WatchedChain

    def slot(self, commitment: Commitment) -> int:
        return self._told("slot", super().slot(commitment))

    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        assert commitment is Commitment.FINALIZED
        return self._told("accounts", super().accounts(addresses, commitment))

    def token_accounts(self, owner: Address, commitment: Commitment = Commitment.CONFIRMED) -> tuple[TokenAccount, ...]:
        assert commitment is Commitment.FINALIZED
        return self._told("token_accounts", super().token_accounts(owner, commitment))

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        assert commitment is Commitment.FINALIZED
        found = None if signature in self._chain.unreadable else super().transaction(signature, commitment)
        return self._told("transaction", found)

    def signatures_for_address(
        self,
        address: Address,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = Commitment.FINALIZED,
    ) -> tuple[SignatureRecord, ...]:
        most = min(limit, self._chain.page)
        found = super().signatures_for_address(address, before=before, until=until, limit=1000, commitment=commitment)
        shown = [record for record in found if record.signature not in self._chain.unlisted]
        return self._told("history", tuple(shown[:most]))

    def _told(self, question: str, answer: AnswerT) -> AnswerT:
        self._chain.asked.append(question)
        self._chain.on_question(question)
        return answer


class WatchedChain(FakeChain):
    """A chain whose pinned nodes are watched.

    Attributes:
        asked: Every question to a pinned node, by kind.
        on_question: Called after each answer.
        unreadable: Transactions that are listed, and cannot be had.
        unlisted: Transactions that histories do not show yet.
        page: Most records of one page of history.
    """

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.confirm_slots = self.finalize_slots = 0
        self.asked: list[str] = []
        self.on_question: Callable[[str], None] = lambda _: None
        self.unreadable: set[Signature] = set()
        self.unlisted: set[Signature] = set()
        self.page = 1_000

    @contextmanager
    def pinned(self, node: str | None = None, *, other_than: str | None = None) -> Iterator[PinnedNode]:
        """The same, watched."""
        with super().pinned(node, other_than=other_than) as plain:
            yield WatchedReader(self, self._named(plain.node))


@dataclass(slots=True)
class Held:
    """A token account of the wallet."""

    mint: Mint
    raw: int

    @property
    def lamports(self) -> int:
        """Rent, and in a wSOL account the amount itself."""
        return RENT + (self.raw if self.mint == WSOL_MINT else 0)


@dataclass(slots=True, kw_only=True)
class WalletWorld:
    """A wallet with 10 SOL, its chain, its books (not adopted yet), and a stranger with whom things happen."""

    chain: WatchedChain = field(default_factory=WatchedChain)
    store: Store = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    key: Keypair = field(default_factory=lambda: Keypair.from_seed(bytes([7]) * 32))
    stranger: Keypair = field(default_factory=lambda: Keypair.from_seed(bytes([8]) * 32))
    lamports: int = OPENING_LAMPORTS
    tokens: dict[Address, Held] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self._show()

    @property
    def wallet(self) -> Address:
        """Its address."""
        return Address(str(self.key.pubkey()))

    @property
    def reconciler(self) -> Reconciler:
        """A new one, as after a restart."""
        return Reconciler(
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            tip_accounts=frozenset({TIP_ACCOUNT}),
            network=NETWORK,
        )

    def decree(self, *, lamports: int = 0, account: int | None = None, mint: Mint | None = None, raw: int = 0) -> None:
        """Change balances without a transaction, as a genesis or a faucet does; `account` numbers a token account."""
        self.lamports += lamports
        if account is not None:
            held = self.tokens.setdefault(account_address(account), Held(mint or WSOL_MINT, 0))
            held.raw += raw
        self._show()

    def land(
        self,
        native: int = 0,
        tokens: Mapping[int, int] | None = None,
        *,
        ours: bool = False,
        cosigned: bool = False,
        opens: Mapping[int, Mint] | None = None,
        closes: Iterable[int] = (),
        names_wallet: bool | None = None,
        tip: int = 0,
        err: str | None = None,
    ) -> Signature:
        """Land a transaction in a slot of its own.

        Args:
            native: Change of the wallet's lamports, without fee, and without what closed accounts return.
            tokens: Change by number of token account.
            ours: Our key signs and pays; otherwise the stranger does.
            cosigned: Our key signs too.
            opens: Token accounts opened, their rent paid by nobody we know.
            closes: Token accounts closed to the wallet.
            names_wallet: Whether the wallet is named; if not said, when our key signs, its lamports change, or accounts
                are opened or closed. (An account may be opened for an owner who is not named.)
            tip: What a tip account receives.
            err: It failed with this, and nothing but the fee happened.
        """
        moves, opened = (dict(tokens or {}), dict(opens or {})) if err is None else ({}, {})
        closed = [account_address(number) for number in closes] if err is None else []
        touched = {account_address(number) for number in (*moves, *opened)} | set(closed)
        before = {address: Held(held.mint, held.raw) for address, held in self.tokens.items()}
        pre_lamports = self.lamports
        for number, mint in opened.items():
            self.tokens[account_address(number)] = Held(mint, 0)
        for number, delta in moves.items():
            self.tokens[account_address(number)].raw += delta
        returned = sum(self.tokens[address].lamports for address in closed)
        for address in closed:
            del self.tokens[address]
        self.lamports += (native if err is None else 0) + returned - (FEE if ours else 0)

        payer = self.key if ours else self.stranger
        signers = [payer, *([self.key] if cosigned else [])]
        named = ours or cosigned or native != 0 or bool(opened) or bool(closed)
        if names_wallet is not None:
            named = names_wallet
        amounts = {account: self._lamports(account, before, self.tokens) for account in touched}
        if named:
            amounts[self.wallet] = (pre_lamports, self.lamports)
        if tip:
            amounts[TIP_ACCOUNT] = (0, tip)
        self._count += 1
        transaction = self._transaction(self._count, signers)
        static = {Address(str(signer.pubkey())) for signer in signers} | {Address(str(MEMO))}
        self.chain.advance()
        signature = self.chain.land(
            transaction,
            Landing(
                err=err,
                lamports=amounts,
                loaded=tuple(sorted(set(amounts) - static)),
                pre_tokens=self._balances(before, touched),
                post_tokens=self._balances(self.tokens, touched),
            ),
        )
        self._show()
        return signature

    def next_signature(self) -> Signature:
        """The id of the next transaction that our key alone will sign, known before it lands."""
        transaction = VersionedTransaction.from_bytes(self._transaction(self._count + 1, [self.key]))
        return Signature(str(transaction.signatures[0]))

    @staticmethod
    def _transaction(number: int, signers: Sequence[Keypair]) -> bytes:
        metas = [AccountMeta(signer.pubkey(), is_signer=True, is_writable=True) for signer in signers]
        memo = Instruction(MEMO, number.to_bytes(4, "big"), metas)
        message = MessageV0.try_compile(signers[0].pubkey(), [memo], [], Hash.from_string(blockhash_of(1)))
        return bytes(VersionedTransaction(message, list(signers)))

    @staticmethod
    def _lamports(account: Address, before: Mapping[Address, Held], after: Mapping[Address, Held]) -> tuple[int, int]:
        pre, post = before.get(account), after.get(account)
        return (pre.lamports if pre else 0, post.lamports if post else 0)

    def _balances(self, tokens: Mapping[Address, Held], touched: Iterable[Address]) -> tuple[TokenBalance, ...]:
        return tuple(
            TokenBalance(account, tokens[account].mint, self.wallet, TOKEN_PROGRAM, tokens[account].raw, 6)
            for account in sorted(touched)
            if account in tokens
        )

    def _show(self) -> None:
        """Let the chain's accounts be as they are now."""
        if self.lamports:
            self.chain.set_account(self.wallet, lamports=self.lamports)
        else:
            self.chain.stored.pop(self.wallet, None)
        for address in [address for address in self.chain.tokens if address not in self.tokens]:
            del self.chain.tokens[address], self.chain.stored[address]
        for address, held in self.tokens.items():
            data = bytes(64) + held.raw.to_bytes(8, "little") + bytes(93)
            self.chain.set_account(address, lamports=held.lamports, owner=TOKEN_PROGRAM, data=data)
            self.chain.set_token_account(
                TokenAccount(
                    address,
                    held.mint,
                    self.wallet,
                    TOKEN_PROGRAM,
                    held.raw,
                    6,
                    held.lamports,
                    frozen=False,
                    delegate=None,
                )
            )


def account_address(number: int) -> Address:
    """The address of a numbered token account."""
    return Address(str(Pubkey.from_bytes(bytes([100 + number]) * 32)))
