"""What must be true of a transaction that somebody else made before it is signed.

Two looks, both needed. The first reads every instruction (lookup tables resolved from the chain, not from whoever sent
the transaction) and refuses whatever it does not understand. The second takes a simulation of exactly this message,
sent unsigned, and counts what would leave and reach *our* accounts.
The first binds what happens later too: between simulation and landing only the minimum inside the swap instruction
protects, so that minimum is read from the bytes and held against our own price limit.

Every refusal names its rule; `RULES` says what each is for. Why it is so: docs/adr/0006-guard-before-signing.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.transaction import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    AccountOrigin,
    ComputeBudgetOther,
    ComputeUnitLimit,
    ComputeUnitPrice,
    CreateAssociatedAccount,
    DecodedInstruction,
    DecodedTransaction,
    JupiterCreateTokenAccount,
    JupiterSwap,
    Memo,
    NonceAdvance,
    SystemTransfer,
    TokenCloseAccount,
    TokenSyncNative,
)
from sniperforge.errors import GuardRefusedError, InvalidInputError, ProtocolError
from sniperforge.ports.chain import Simulation
from sniperforge.trading.balances import WalletChange, wallet_change

BASE_FEE_LAMPORTS = 5_000
"""Fee per signature (solana.com/docs/core/fees)."""

MAX_COMPUTE_UNITS = 1_400_000
"""What an unstated compute unit limit can at most come to; the priority fee is charged on the limit, not on the use."""

RULES: Mapping[str, str] = MappingProxyType(
    {
        "one-signer": "our key is the only required signer: nobody else decides whether and when it lands",
        "fee-payer": "our key is static key 0, so the transaction's id is known before it is sent",
        "version": "the transaction's version is one that the network's rules allow",
        "no-undying": "it does not begin with AdvanceNonce: such a transaction never expires",
        "static": "programs, our accounts and tip accounts stand in the message itself: a fork can change what a "
        "lookup table resolves to, not what is signed",
        "program": "every program is on the network's allowlist",
        "instruction": "every instruction is one that a swap needs and that we can read",
        "budget": "compute budget instructions occur once each",
        "fee": "base and priority fee stay within the bound",
        "transfer": "lamports leave only for our own wSOL account up to the input, or for tip accounts up to the bound",
        "create": "token accounts are opened for us alone, by a real token program, and for the swap",
        "close": "only our own wSOL account is closed, and to ourselves",
        "one-swap": "there is exactly one swap",
        "swap-authority": "the swap takes from us as ourselves",
        "swap-source": "the swap takes from our account of the input token",
        "swap-destination": "the swap pays into our account of the output token",
        "swap-mint": "the swap is between the two tokens that were decided",
        "swap-input": "the swap takes something, and no more than was decided",
        "swap-minimum": "the least output written in the swap, after its own fees, is no less than our limit",
        "simulated": "the simulation ran this very message, succeeded, and does not contradict itself or the bytes",
        "spent": "no more of the input than was decided leaves our accounts",
        "received": "no less of the output than our limit reaches our accounts",
        "untouched": "no other token of ours becomes less",
        "sol-bound": "no more SOL leaves than fee, tip and rent may cost",
    }
)
"""Every rule by name, and what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """What a network allows. Data, not code: another network has another one (`guard_policies`).

    Attributes:
        programs: Programs that may stand at the top level.
        tip_accounts: Accounts that a tip may go to.
        versions: Transaction versions that may be signed.
    """

    programs: frozenset[Address]
    tip_accounts: frozenset[Address]
    versions: frozenset[str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeTerms:
    """What was decided, and what it may cost. Amounts in base units.

    Attributes:
        min_out_raw: From our own price limit, not only from the quote.
        max_fee_lamports: Base and priority fee together.
        max_rent_lamports: Rent for accounts that this transaction opens for us and that stay open.
        own_accounts: Our token accounts as the chain has them now: mint by address.
        nonce_accounts: Our nonce accounts.

    Raises:
        InvalidInputError: Terms that would guard nothing: an amount or a limit below 1, a negative bound, one token.
    """

    wallet: Address
    input_mint: Mint
    output_mint: Mint
    input_raw: int
    min_out_raw: int
    max_fee_lamports: int
    max_tip_lamports: int
    max_rent_lamports: int
    own_accounts: Mapping[Address, Mint]
    nonce_accounts: frozenset[Address] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.input_mint == self.output_mint:
            raise InvalidInputError("a token is not traded for itself", subject=self.input_mint)
        if min(self.input_raw, self.min_out_raw) < 1:
            raise InvalidInputError(
                f"{self.input_raw} in for at least {self.min_out_raw} out is no trade that can be guarded",
                subject="trade terms",
                fix="Trade an amount whose least output is one base unit or more",
            )
        if min(self.max_fee_lamports, self.max_tip_lamports, self.max_rent_lamports) < 0:
            raise InvalidInputError("a bound is negative", subject="trade terms")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One broken rule, and how."""

    rule: str
    what: str


class TransactionGuard:
    """Looks at transactions before they are signed.

    Args:
        policy: What the network allows.
    """

    def __init__(self, policy: GuardPolicy) -> None:
        self._policy = policy

    @property
    def policy(self) -> GuardPolicy:
        """What the network allows."""
        return self._policy

    def check(self, transaction: DecodedTransaction, simulation: Simulation, terms: TradeTerms) -> WalletChange:
        """Both looks. Returns what the simulation says the transaction would do to the wallet.

        Raises:
            GuardRefusedError: `rules` names every broken rule.
        """
        self.check_bytes(transaction, terms)
        _refuse_if(self.count(transaction, simulation, terms))
        return self._change(simulation, terms)

    def check_bytes(self, transaction: DecodedTransaction, terms: TradeTerms) -> None:
        """The first look alone, before a simulation is paid for.

        Raises:
            GuardRefusedError: `rules` names every broken rule.
        """
        _refuse_if(self.read(transaction, terms))

    def read(self, transaction: DecodedTransaction, terms: TradeTerms) -> Iterator[Refusal]:
        """The first look: every rule that the bytes themselves break."""
        return _Reading(self._policy, transaction, terms).refusals()

    def count(self, transaction: DecodedTransaction, simulation: Simulation, terms: TradeTerms) -> Iterator[Refusal]:
        """The second look: every rule that the simulated balances break.

        It takes for granted that `read` found nothing.
        """
        unusable = _unusable(transaction, simulation, terms)
        if unusable is not None:
            yield Refusal("simulated", unusable)
            return
        try:
            change = self._change(simulation, terms)
        except ProtocolError as error:
            yield Refusal("simulated", f"{error.subject}: {error.what}")
            return
        spent, received = -change.of_asset(terms.input_mint), change.of_asset(terms.output_mint)
        if spent > terms.input_raw:
            yield Refusal("spent", f"{spent} base units would leave, {terms.input_raw} were decided")
        if received < terms.min_out_raw:
            yield Refusal("received", f"{received} base units would arrive, the limit is {terms.min_out_raw}")
        for mint in sorted({*change.tokens, WSOL_MINT} - {terms.input_mint, terms.output_mint}):
            if change.of_asset(mint) < 0:
                yield Refusal("untouched", f"{-change.of_asset(mint)} base units of {mint} would leave")
        tips = _tips(transaction, self._policy)
        if change.tip_lamports != tips:
            yield Refusal("sol-bound", f"tip accounts would receive {change.tip_lamports} lamports, {tips} are written")
        for name, lamports, bound in (
            ("fee", change.fee_lamports, terms.max_fee_lamports),
            ("tip", change.tip_lamports, terms.max_tip_lamports),
            ("rent", change.locked, terms.max_rent_lamports),
        ):
            if lamports > bound:
                yield Refusal("sol-bound", f"{name} of {lamports} lamports, more than {bound}")

    def _change(self, simulation: Simulation, terms: TradeTerms) -> WalletChange:
        if simulation.fee_lamports is None:
            raise ProtocolError("the answer names no fee", subject="simulation")
        return wallet_change(
            simulation,
            wallet=terms.wallet,
            fee_lamports=simulation.fee_lamports,
            tip_accounts=self._policy.tip_accounts,
            nonce_accounts=terms.nonce_accounts,
        )


def fee_lamports(transaction: DecodedTransaction) -> int:
    """Base and priority fee of a transaction, in lamports; an unstated limit counts as the largest.

    Formula: 5,000 per signature + ceil(price * limit / 10^6) (solana.com/docs/core/fees/fee-structure).
    """
    base = BASE_FEE_LAMPORTS * len(transaction.signers)
    if transaction.priority_fee_lamports is not None:
        return base + transaction.priority_fee_lamports
    units = MAX_COMPUTE_UNITS if transaction.compute_unit_limit is None else transaction.compute_unit_limit
    return base + -(-(transaction.priority_fee_micro_lamports or 0) * units // 1_000_000)


class _Reading:
    """The first look at one transaction."""

    def __init__(self, policy: GuardPolicy, transaction: DecodedTransaction, terms: TradeTerms) -> None:
        self._policy = policy
        self._transaction = transaction
        self._terms = terms
        self._ours = _our_accounts(transaction, terms)
        self._swaps = [item for item in transaction.instructions if isinstance(item.action, JupiterSwap)]

    def refusals(self) -> Iterator[Refusal]:
        yield from self._envelope()
        yield from self._static()
        yield from self._fees()
        for number, instruction in enumerate(self._transaction.instructions):
            if instruction.program in self._policy.programs:
                yield from self._instruction(number, instruction)
            else:
                yield Refusal("program", f"instruction {number} runs {instruction.program}")
        yield from self._totals()

    def _envelope(self) -> Iterator[Refusal]:
        transaction = self._transaction
        if len(transaction.signers) != 1:
            yield Refusal("one-signer", f"{len(transaction.signers)} signatures are required")
        if transaction.fee_payer != self._terms.wallet:
            yield Refusal("fee-payer", f"{transaction.fee_payer} pays")
        if transaction.version not in self._policy.versions:
            yield Refusal("version", f"version {transaction.version}")
        if transaction.durable_nonce is not None:
            yield Refusal("no-undying", f"bound to the nonce account {transaction.durable_nonce.nonce_account}")

    def _static(self) -> Iterator[Refusal]:
        transaction = self._transaction
        relied_on = {*self._ours, *self._policy.tip_accounts, *(item.program for item in transaction.instructions)}
        for use in transaction.accounts:
            if use.origin is not AccountOrigin.STATIC and use.address in relied_on:
                yield Refusal("static", f"{use.address} comes from a lookup table")

    def _fees(self) -> Iterator[Refusal]:
        budget = [
            (type(item.action), item.action.tag if isinstance(item.action, ComputeBudgetOther) else None)
            for item in self._transaction.instructions
            if isinstance(item.action, ComputeUnitLimit | ComputeUnitPrice | ComputeBudgetOther)
        ]
        if len(set(budget)) < len(budget):
            yield Refusal("budget", "a compute budget instruction occurs twice")
        fee = fee_lamports(self._transaction)
        if fee > self._terms.max_fee_lamports:
            yield Refusal("fee", f"it would cost {fee} lamports, more than {self._terms.max_fee_lamports}")

    def _instruction(self, number: int, instruction: DecodedInstruction) -> Iterator[Refusal]:
        match instruction.action:
            case ComputeUnitLimit() | ComputeUnitPrice() | ComputeBudgetOther() | Memo():
                pass
            case SystemTransfer() as transfer:
                yield from self._transfer(transfer)
            case CreateAssociatedAccount() | JupiterCreateTokenAccount() as create:
                yield from self._create(create)
            case TokenSyncNative() as sync:
                if self._ours.get(sync.account) != WSOL_MINT:
                    yield Refusal("instruction", f"SyncNative of {sync.account}, which is no wSOL account of ours")
            case TokenCloseAccount() as close:
                if self._ours.get(close.account) != WSOL_MINT or close.destination != self._terms.wallet:
                    yield Refusal("close", f"{close.account} is closed to {close.destination}")
            case JupiterSwap() as swap:
                yield from self._swap(swap)
            case NonceAdvance() if number == 0:
                pass  # refused as undying
            case other:
                yield Refusal("instruction", f"instruction {number} is {type(other).__name__} of {instruction.program}")

    def _transfer(self, transfer: SystemTransfer) -> Iterator[Refusal]:
        wraps = self._ours.get(transfer.destination) == WSOL_MINT
        known = wraps or transfer.destination in self._policy.tip_accounts
        if transfer.source != self._terms.wallet or not known:
            yield Refusal(
                "transfer", f"{transfer.lamports} lamports go from {transfer.source} to {transfer.destination}"
            )

    def _create(self, create: CreateAssociatedAccount | JupiterCreateTokenAccount) -> Iterator[Refusal]:
        if create.owner != self._terms.wallet:
            yield Refusal("create", f"{create.account} is opened for {create.owner}")
        if isinstance(create, CreateAssociatedAccount):
            # The associated token program calls whatever it is given as token program; an account of another one
            # has none of the properties that we take for granted.
            if create.token_program not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
                yield Refusal("create", f"{create.account} is opened with {create.token_program} as token program")
        elif create.mint != WSOL_MINT:
            yield Refusal("create", f"Jupiter opens {create.account} of {create.mint}, not of wSOL")
        if not any(use.address == create.account for swap in self._swaps for use in swap.accounts):
            yield Refusal("create", f"{create.account} is opened, but no swap uses it")

    def _swap(self, swap: JupiterSwap) -> Iterator[Refusal]:
        terms = self._terms
        if swap.authority != terms.wallet:
            yield Refusal("swap-authority", f"it takes as {swap.authority}")
        if (swap.source_mint, swap.destination_mint) != (terms.input_mint, terms.output_mint):
            yield Refusal("swap-mint", f"it swaps {swap.source_mint} to {swap.destination_mint}")
        if self._ours.get(swap.source) != terms.input_mint:
            yield Refusal("swap-source", f"it takes from {swap.source}")
        if self._ours.get(swap.destination) != terms.output_mint:
            yield Refusal("swap-destination", f"it pays into {swap.destination}")
        if not 0 < swap.in_raw <= terms.input_raw:
            yield Refusal("swap-input", f"it takes {swap.in_raw} base units, {terms.input_raw} were decided")
        # Whether the program holds the minimum before or after its platform fee is not documented: assume the worse.
        least = swap.min_out_raw - -(-swap.min_out_raw * swap.platform_fee_bps // 10_000)
        if least < terms.min_out_raw:
            yield Refusal("swap-minimum", f"it promises {least} base units, the limit is {terms.min_out_raw}")

    def _totals(self) -> Iterator[Refusal]:
        terms = self._terms
        wrapped = sum(
            item.action.lamports
            for item in self._transaction.instructions
            if isinstance(item.action, SystemTransfer) and self._ours.get(item.action.destination) == WSOL_MINT
        )
        if wrapped > (terms.input_raw if terms.input_mint == WSOL_MINT else 0):
            yield Refusal("transfer", f"{wrapped} lamports are wrapped, more than the input")
        tips = _tips(self._transaction, self._policy)
        if tips > terms.max_tip_lamports:
            yield Refusal("transfer", f"tips of {tips} lamports, more than {terms.max_tip_lamports}")
        if len(self._swaps) != 1:
            yield Refusal("one-swap", f"there are {len(self._swaps)} swaps")


def _our_accounts(transaction: DecodedTransaction, terms: TradeTerms) -> dict[Address, Mint]:
    """Our token accounts, with those the transaction opens for us (the opening program derives their addresses)."""
    ours = dict(terms.own_accounts)
    for instruction in transaction.instructions:
        action = instruction.action
        if isinstance(action, CreateAssociatedAccount | JupiterCreateTokenAccount) and action.owner == terms.wallet:
            # An account that is ours already keeps its mint: a lie here must not turn it into another one.
            ours.setdefault(action.account, action.mint)
    return ours


def _tips(transaction: DecodedTransaction, policy: GuardPolicy) -> int:
    return sum(
        item.action.lamports
        for item in transaction.instructions
        if isinstance(item.action, SystemTransfer) and item.action.destination in policy.tip_accounts
    )


def _unusable(transaction: DecodedTransaction, simulation: Simulation, terms: TradeTerms) -> str | None:
    """Why nothing can be counted in this simulation, None if it can."""
    if simulation.err is not None:
        return f"it fails: {simulation.err}"
    if tuple(use.address for use in transaction.accounts) != tuple(simulation.accounts):
        return "the simulation lists other accounts"
    bound = fee_lamports(transaction)
    if (simulation.fee_lamports or 0) > bound:
        # A fee that is not real would hide lamports that leave.
        return f"the simulation speaks of a fee of {simulation.fee_lamports} lamports, the bytes allow {bound}"
    shown = {token.account: (token.owner, token.mint) for token in simulation.pre_tokens}
    for account, lamports in zip(simulation.accounts, simulation.pre_lamports, strict=False):
        mint = terms.own_accounts.get(account)
        if mint is not None and lamports and shown.get(account) != (terms.wallet, mint):
            return f"the simulation does not show {account} as ours"
    return None


def _refuse_if(broken: Iterator[Refusal]) -> None:
    refusals = tuple(broken)
    if not refusals:
        return
    told = "; ".join(f"{refusal.rule}: {refusal.what}" for refusal in refusals)
    raise GuardRefusedError(
        f"the transaction was not signed: {told}",
        subject="guard",
        fix="Nothing left the wallet. Another quote is asked for; if it repeats, look at who answers for Jupiter",
        rules=tuple(refusal.rule for refusal in refusals),
    )
