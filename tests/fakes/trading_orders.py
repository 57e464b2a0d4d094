"""Orders of a Jupiter in memory, as real bytes: the real codec reads them, the real guard lets them pass."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.domain.transaction import (
    ASSOCIATED_TOKEN_PROGRAM,
    JUPITER_V6_PROGRAM,
    SYSTEM_PROGRAM,
    TOKEN_PROGRAM,
    DecodedTransaction,
    JupiterSwap,
    SystemTransfer,
)
from sniperforge.ports.exchange import Order

SOL = WSOL_MINT
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
DECIMALS = {SOL: 9, USDC: 6, JUP: 6}

KEY = Keypair.from_seed(bytes([7]) * 32)
OWNER = Address(str(KEY.pubkey()))

_ROUTE_V2 = bytes.fromhex("bb64facc31c4af14")


def account_of(mint: Mint) -> Address:
    """The wallet's token account of a mint."""
    return Address(str(Hash.hash(f"our account of {mint}".encode())))


def signature_of(transaction: bytes) -> Signature:
    """The id of a signed transaction."""
    return Signature(str(VersionedTransaction.from_bytes(transaction).signatures[0]))


def is_unsigned(transaction: bytes) -> bool:
    """Whether every signature slot is empty."""
    return all(one == SoldersSignature.default() for one in VersionedTransaction.from_bytes(transaction).signatures)


def swap_of(decoded: DecodedTransaction) -> JupiterSwap | None:
    """The swap of an order; None in a transaction that is no trade."""
    return next((item.action for item in decoded.instructions if isinstance(item.action, JupiterSwap)), None)


def tips_of(decoded: DecodedTransaction) -> dict[Address, int]:
    """Lamports that go to others than ourselves and our own wSOL account."""
    transfers = [item.action for item in decoded.instructions if isinstance(item.action, SystemTransfer)]
    return {one.destination: one.lamports for one in transfers if one.destination not in (account_of(SOL), OWNER)}


def order_bytes(order: Order, blockhash: str, *, unit: int, first: Sequence[Instruction] = ()) -> bytes:
    """An unsigned order; `unit` makes each one different, `first` stands before everything else."""
    instructions = [*first, set_compute_unit_limit(200_000 + unit), set_compute_unit_price(1_000)]
    owner, wsol = KEY.pubkey(), Pubkey.from_string(account_of(SOL))
    if SOL in (order.input_mint, order.output_mint):
        instructions.append(_open(owner, wsol))
    if order.input_mint == SOL:
        instructions.append(transfer(TransferParams(from_pubkey=owner, to_pubkey=wsol, lamports=order.in_raw)))
    instructions.append(_swap(order))
    if SOL in (order.input_mint, order.output_mint):
        metas = [AccountMeta(key, is_signer=key == owner, is_writable=True) for key in (wsol, owner, owner)]
        instructions.append(Instruction(Pubkey.from_string(TOKEN_PROGRAM), bytes([9]), metas))
    message = MessageV0.try_compile(owner, instructions, [], Hash.from_string(blockhash))
    return bytes(VersionedTransaction.populate(message, [SoldersSignature.default()]))


def _swap(order: Order) -> Instruction:
    """Jupiter's `route_v2`, as far as it is read."""
    data = _ROUTE_V2 + struct.pack("<QQHHH", order.in_raw, order.out_raw, order.slippage_bps, 0, 0)
    keys = [account_of(order.input_mint), account_of(order.output_mint), order.input_mint, order.output_mint]
    metas = [AccountMeta(KEY.pubkey(), is_signer=True, is_writable=True)]
    # Token programs of both sides, and the program itself where no other destination is named.
    keys += [TOKEN_PROGRAM, TOKEN_PROGRAM, JUPITER_V6_PROGRAM]
    metas += [AccountMeta(Pubkey.from_string(key), is_signer=False, is_writable=at < 2) for at, key in enumerate(keys)]
    return Instruction(Pubkey.from_string(JUPITER_V6_PROGRAM), data, metas)


def _open(owner: Pubkey, account: Pubkey) -> Instruction:
    """Open a wSOL account, whoever derives its address."""
    keys = [owner, account, owner, *map(Pubkey.from_string, (SOL, SYSTEM_PROGRAM, TOKEN_PROGRAM))]
    metas = [AccountMeta(key, is_signer=key == owner, is_writable=at < 2) for at, key in enumerate(keys)]
    return Instruction(Pubkey.from_string(ASSOCIATED_TOKEN_PROGRAM), bytes([1]), metas)
