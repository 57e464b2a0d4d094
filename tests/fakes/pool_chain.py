"""A bare LiteSVM with the pool program, mints, pools and one taker: the chain that pool tests run on."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.token.state import Mint, TokenAccount, TokenAccountState
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from sniperforge.sandbox.pools import (
    PROGRAM_ID,
    PoolSpec,
    Route,
    TransferFee,
    make_pool,
    pool_program,
    pool_state_bytes,
    route_instruction,
)

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
VENUE = Pubkey.from_string("675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8")

_LAMPORTS = 10**9


@dataclass(frozen=True, slots=True)
class MintFacts:
    """A mint; with a transfer fee it is one of Token-2022."""

    address: Pubkey
    decimals: int
    program: Pubkey
    transfer_fee: TransferFee | None


@dataclass(slots=True)
class PoolChain:
    """The chain, and what was put on it."""

    svm: LiteSVM = field(default_factory=LiteSVM)
    taker: Keypair = field(default_factory=Keypair)
    mints: dict[Pubkey, MintFacts] = field(default_factory=dict)
    pools: list[PoolSpec] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.svm = self.svm.with_blockhash_check(False).with_transaction_history(0).with_sigverify(False)
        self.svm.add_program(PROGRAM_ID, pool_program())
        self.svm.airdrop(self.taker.pubkey(), 10**12)

    # ---- genesis
    def forget(self) -> None:
        """Start anew with other mints and pools on the same machine (a new one costs 20 ms)."""
        self.mints.clear()
        self.pools.clear()

    def mint(
        self, decimals: int = 6, *, program: Pubkey | None = None, transfer_fee: TransferFee | None = None
    ) -> Pubkey:
        """A new mint, and an empty account of the taker for it."""
        owner = program or (TOKEN_2022 if transfer_fee else TOKEN)
        address = Pubkey.new_unique()
        data = bytes(Mint(None, 2**64 - 1, decimals, is_initialized=True, freeze_authority=None))
        if transfer_fee:
            fee = struct.pack("<QQH", 0, transfer_fee.maximum_raw, transfer_fee.bps)
            data = data.ljust(165, b"\0") + struct.pack("<BHH", 1, 1, 108) + bytes(32 + 32 + 8) + fee + fee
        self.svm.set_account(address, Account(_LAMPORTS, data, owner))
        self.mints[address] = MintFacts(address, decimals, owner, transfer_fee)
        self.put_tokens(self.account_of(address), address, self.taker.pubkey(), 0)
        return address

    def pool(self, mint_a: Pubkey, mint_b: Pubkey, reserves: tuple[int, int], *, fee_bps: int = 30) -> PoolSpec:
        """A new pool with these vault amounts."""
        a, b = self.mints[mint_a], self.mints[mint_b]
        pool = make_pool(
            label=f"Venue {len(self.pools)}",
            venue_program=Pubkey.new_unique(),
            mint_a=mint_a,
            mint_b=mint_b,
            token_program_a=a.program,
            token_program_b=b.program,
            decimals_a=a.decimals,
            decimals_b=b.decimals,
            fee_bps=fee_bps,
        )
        self.svm.set_account(pool.address, Account(_LAMPORTS, pool_state_bytes(pool), PROGRAM_ID))
        self.put_tokens(pool.vault_a, mint_a, pool.authority, reserves[0])
        self.put_tokens(pool.vault_b, mint_b, pool.authority, reserves[1])
        self.pools.append(pool)
        return pool

    def put_tokens(self, address: Pubkey, mint: Pubkey, owner: Pubkey, amount_raw: int) -> None:
        """Write a token account."""
        facts = self.mints[mint]
        data = bytes(TokenAccount(mint, owner, amount_raw, None, TokenAccountState.Initialized, None, 0, None))
        if facts.transfer_fee:
            data += struct.pack("<BHHQ", 2, 2, 8, 0)
        self.svm.set_account(address, Account(_LAMPORTS, data, facts.program))

    def fund(self, mint: Pubkey, amount_raw: int) -> None:
        """Give the taker exactly this much."""
        self.put_tokens(self.account_of(mint), mint, self.taker.pubkey(), amount_raw)

    # ---- reading
    def account_of(self, mint: Pubkey) -> Pubkey:
        """The taker's token account of a mint."""
        return get_associated_token_address(self.taker.pubkey(), mint, self.mints[mint].program)

    def amount(self, address: Pubkey) -> int:
        """Base units in a token account."""
        account = self.svm.get_account(address)
        assert account is not None
        return int.from_bytes(account.data[64:72], "little")

    def held(self, mint: Pubkey) -> int:
        """Base units the taker holds."""
        return self.amount(self.account_of(mint))

    def reserves(self) -> dict[Pubkey, tuple[int, int]]:
        """Vault amounts of every pool."""
        return {pool.address: (self.amount(pool.vault_a), self.amount(pool.vault_b)) for pool in self.pools}

    def transfer_fees(self) -> Mapping[Pubkey, TransferFee]:
        """Transfer fee of every mint that has one."""
        return {mint.address: mint.transfer_fee for mint in self.mints.values() if mint.transfer_fee}

    # ---- trading
    def instruction(self, route: Route, min_out_raw: int) -> Instruction:
        """The route as the taker's instruction, on the taker's own accounts."""
        return route_instruction(
            route,
            taker=self.taker.pubkey(),
            source=self.account_of(route.input_mint),
            destination=self.account_of(route.output_mint),
            min_out_raw=min_out_raw,
            intermediates={mint: self.account_of(mint) for mint in self.mints},
        )

    def send(
        self, *instructions: Instruction, signers: Sequence[Keypair] = ()
    ) -> TransactionMetadata | FailedTransactionMetadata:
        """Run instructions in one transaction, the taker paying."""
        message = MessageV0.try_compile(self.taker.pubkey(), list(instructions), [], self.svm.latest_blockhash())
        return self.svm.send_transaction(VersionedTransaction(message, [self.taker, *signers]))

    def swap(self, route: Route, min_out_raw: int = 0) -> int | None:
        """Run a route; None when it landed, else the custom error code."""
        return custom_error(self.send(self.instruction(route, min_out_raw)))


def custom_error(result: TransactionMetadata | FailedTransactionMetadata) -> int | None:
    """The custom error code of a failed transaction, None when it succeeded.

    Raises:
        AssertionError: It failed for another reason.
    """
    if isinstance(result, TransactionMetadata):
        return None
    code = getattr(getattr(result.err(), "err", None), "code", None)
    assert isinstance(code, int), (result.err(), result.meta().logs())
    return code
