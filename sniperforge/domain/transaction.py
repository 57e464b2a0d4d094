"""What a transaction would do, in our words.

A `DecodedTransaction` is everything the guard looks at before a signature: who must sign, who pays, which programs
run with which accounts (lookup tables resolved), and the meaning of every instruction of the programs we know.
An instruction we cannot read is an `OpaqueInstruction`, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from sniperforge.domain.money import Address, Mint, Signature

SYSTEM_PROGRAM = Address("11111111111111111111111111111111")
TOKEN_PROGRAM = Address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Address("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM = Address("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
MEMO_PROGRAM = Address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
COMPUTE_BUDGET_PROGRAM = Address("ComputeBudget111111111111111111111111111111")
LOOKUP_TABLE_PROGRAM = Address("AddressLookupTab1e1111111111111111111111111")
JUPITER_V6_PROGRAM = Address("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4")
JUPITERZ_ORDER_ENGINE_PROGRAM = Address("61DFfeTKM7trxYcPQCM78bJ794ddZprZpAwAnLiwTpYH")


class AccountOrigin(StrEnum):
    """Where an account address stands: in the message itself, or in a lookup table it names."""

    STATIC = "static"
    LOOKUP_TABLE = "lookup_table"


@dataclass(frozen=True, slots=True)
class AccountUse:
    """One account as one transaction uses it."""

    address: Address
    is_signer: bool
    is_writable: bool
    origin: AccountOrigin = AccountOrigin.STATIC


@dataclass(frozen=True, slots=True)
class SystemTransfer:
    """Lamports leave `source` for `destination`."""

    source: Address
    destination: Address
    lamports: int


@dataclass(frozen=True, slots=True)
class SystemCreateAccount:
    """`payer` funds a new account of `owner` program; also the with-seed form."""

    payer: Address
    new_account: Address
    lamports: int
    space: int
    owner: Address


@dataclass(frozen=True, slots=True)
class SystemAssign:
    """`account` is handed to another program (also allocate-with-seed and assign-with-seed)."""

    account: Address
    owner: Address


@dataclass(frozen=True, slots=True)
class SystemAllocate:
    """`account` is given data, after which it can no longer pay or send lamports like a wallet."""

    account: Address
    space: int


@dataclass(frozen=True, slots=True)
class NonceAdvance:
    """A durable nonce moves on. As first instruction it makes the transaction undying."""

    nonce_account: Address
    authority: Address


@dataclass(frozen=True, slots=True)
class NonceOther:
    """Any other durable-nonce instruction."""

    action: Literal["initialize", "withdraw", "authorize", "upgrade"]
    nonce_account: Address
    authority: Address | None


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """Tokens leave a token account. `mint` and `decimals` are None for the unchecked form."""

    program: Address
    source: Address
    destination: Address
    authority: Address
    amount_raw: int
    mint: Mint | None
    decimals: int | None
    fee_raw: int | None = None


@dataclass(frozen=True, slots=True)
class TokenApprove:
    """`delegate` may take `amount_raw` from `source` from now on."""

    program: Address
    source: Address
    delegate: Address
    owner: Address
    amount_raw: int


@dataclass(frozen=True, slots=True)
class TokenSetAuthority:
    """An authority of a mint or token account changes."""

    program: Address
    account: Address
    current_authority: Address
    authority_type: int
    new_authority: Address | None


@dataclass(frozen=True, slots=True)
class TokenCloseAccount:
    """A token account is closed; its lamports (wSOL included) go to `destination`."""

    program: Address
    account: Address
    destination: Address
    owner: Address


@dataclass(frozen=True, slots=True)
class TokenSyncNative:
    """A wSOL account's amount is set to its lamports."""

    program: Address
    account: Address


@dataclass(frozen=True, slots=True)
class TokenOther:
    """A token-program instruction we know by name but that a trade has no business with (mint, burn, freeze...)."""

    program: Address
    name: str
    accounts: tuple[AccountUse, ...]


@dataclass(frozen=True, slots=True)
class CreateAssociatedAccount:
    """The associated token account of `owner` and `mint` is opened, `payer` paying its rent."""

    payer: Address
    account: Address
    owner: Address
    mint: Mint
    token_program: Address
    idempotent: bool


@dataclass(frozen=True, slots=True)
class ComputeUnitLimit:
    """Requested compute units."""

    units: int


@dataclass(frozen=True, slots=True)
class ComputeUnitPrice:
    """Priority fee in micro-lamports per requested compute unit."""

    micro_lamports: int


@dataclass(frozen=True, slots=True)
class ComputeBudgetOther:
    """Heap frame or loaded-account-data limit."""

    tag: int
    value: int


@dataclass(frozen=True, slots=True)
class Memo:
    """A note on the chain."""

    text: str


@dataclass(frozen=True, slots=True)
class JupiterSwap:
    """A swap through Jupiter's aggregator, exact input.

    Attributes:
        authority: Whose tokens are taken.
        source: Account the input is taken from.
        destination: Account the output arrives in.
        platform_fee_bps: Share of the output (or input) that an integrator or Jupiter takes.
        positive_slippage_bps: Share of a better-than-quoted output that is taken.
    """

    authority: Address
    source: Address
    destination: Address
    source_mint: Mint
    destination_mint: Mint
    in_raw: int
    quoted_out_raw: int
    slippage_bps: int
    platform_fee_bps: int
    positive_slippage_bps: int

    @property
    def min_out_raw(self) -> int:
        """The least output before the program fails with 6001, rounded up as Jupiter's `otherAmountThreshold`."""
        return -(-self.quoted_out_raw * (10_000 - self.slippage_bps) // 10_000)


@dataclass(frozen=True, slots=True)
class JupiterCreateTokenAccount:
    """Jupiter's program opens a token account of its own derivation that belongs to `owner` (used for wSOL)."""

    account: Address
    owner: Address
    mint: Mint


@dataclass(frozen=True, slots=True)
class OpaqueInstruction:
    """An instruction of a program whose data we do not read (a swap, an unknown program)."""

    program: Address
    data: bytes


Action = (
    SystemTransfer
    | SystemCreateAccount
    | SystemAssign
    | SystemAllocate
    | NonceAdvance
    | NonceOther
    | TokenTransfer
    | TokenApprove
    | TokenSetAuthority
    | TokenCloseAccount
    | TokenSyncNative
    | TokenOther
    | CreateAssociatedAccount
    | ComputeUnitLimit
    | ComputeUnitPrice
    | ComputeBudgetOther
    | Memo
    | JupiterSwap
    | JupiterCreateTokenAccount
    | OpaqueInstruction
)


@dataclass(frozen=True, slots=True)
class DecodedInstruction:
    """One top-level instruction: the raw form, and what it means."""

    program: Address
    accounts: tuple[AccountUse, ...]
    data: bytes
    action: Action


@dataclass(frozen=True, slots=True)
class LookupTableUse:
    """What a message takes from one lookup table: indexes, and the addresses they resolve to."""

    table: Address
    writable_indexes: tuple[int, ...]
    readonly_indexes: tuple[int, ...]
    writable: tuple[Address, ...]
    readonly: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedTransaction:
    """A whole transaction, lookup tables resolved.

    Attributes:
        version: "legacy", 0 or 1.
        message: The exact message bytes, the thing that is signed.
        signatures: One per required signer; None where the slot is still empty (64 zero bytes).
        signers: Required signers in order; the first is the fee payer, its signature the transaction's id.
        accounts: Every account in the runtime's order: static keys, then loaded writable, then loaded readonly.
        compute_unit_limit: Requested units (from the budget instruction, or version 1's config), None if unsaid.
        priority_fee_micro_lamports: Price per unit asked for (version 0), None if unsaid.
        priority_fee_lamports: Total priority fee (version 1 states it as such), None if unsaid.
    """

    version: Literal["legacy", 0, 1]
    message: bytes
    message_sha256: bytes
    signatures: tuple[Signature | None, ...]
    signers: tuple[Address, ...]
    readonly_signed: int
    readonly_unsigned: int
    recent_blockhash: str
    static_accounts: tuple[Address, ...]
    accounts: tuple[AccountUse, ...]
    instructions: tuple[DecodedInstruction, ...]
    lookup_tables: tuple[LookupTableUse, ...] = ()
    compute_unit_limit: int | None = None
    priority_fee_micro_lamports: int | None = None
    priority_fee_lamports: int | None = None
    loaded_accounts_data_limit: int | None = None
    heap_bytes: int | None = None
    programs: frozenset[Address] = field(default_factory=frozenset)

    @property
    def fee_payer(self) -> Address:
        """The account that pays the fees; its signature is the transaction's id."""
        return self.signers[0]

    @property
    def durable_nonce(self) -> NonceAdvance | None:
        """The nonce this transaction is bound to, if its first instruction advances one."""
        first = self.instructions[0].action if self.instructions else None
        return first if isinstance(first, NonceAdvance) else None
