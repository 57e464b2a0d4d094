"""Compiles instructions into unsigned v0 transactions with the world's lookup tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.market import World

MAX_TABLES = 3
MICRO_LAMPORTS_PER_LAMPORT = 1_000_000
_LIMIT_SALTS = 20_000
_PRICE_SALTS = 50


class MessageCompiler:
    """Knows the lookup tables; makes every message different from all others.

    Two equal orders in one block would have the same bytes, so the same signature: one of them could not land.
    """

    def __init__(self, world: World, *, first_salt: int) -> None:
        self._tables = {
            key: AddressLookupTableAccount(key=key, addresses=list(addresses))
            for key, addresses in world.lookup_tables.items()
        }
        self._members = {key: frozenset(addresses) for key, addresses in world.lookup_tables.items()}
        self._salt = first_salt

    def tables_for(self, instructions: Sequence[Instruction]) -> list[AddressLookupTableAccount]:
        """The up to three tables that hold most of these accounts; none that holds no account."""
        keys = {meta.pubkey for instruction in instructions for meta in instruction.accounts if not meta.is_signer}
        shares = Counter({key: len(keys & members) for key, members in self._members.items() if keys & members})
        return [self._tables[key] for key, _ in shares.most_common(MAX_TABLES)]

    def budget(self, units: int, priority_fee_lamports: int, *, exact: bool) -> tuple[list[Instruction], int]:
        """Compute budget instructions, salted, and the priority fee that they really cost.

        Args:
            units: Compute units that the transaction may need.
            priority_fee_lamports: Fee wanted; it may differ by a few lamports unless `exact`.
            exact: Keep the price unsalted, so that the fee is met as nearly as the division allows, never exceeded.
        """
        self._salt += 1
        limit = units + self._salt % _LIMIT_SALTS
        price = priority_fee_lamports * MICRO_LAMPORTS_PER_LAMPORT // limit
        if not exact:
            price += self._salt // _LIMIT_SALTS % _PRICE_SALTS
        fee = -(-price * limit // MICRO_LAMPORTS_PER_LAMPORT)
        return [set_compute_unit_limit(limit), set_compute_unit_price(price)], fee

    def compile(self, payer: Pubkey, instructions: Sequence[Instruction], blockhash: Hash) -> MessageV0:
        """A v0 message of these instructions."""
        return MessageV0.try_compile(payer, instructions, self.tables_for(instructions), blockhash)


def unsigned(message: MessageV0) -> bytes:
    """The transaction of a message with every signature slot empty."""
    slots = message.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message, [Signature.default()] * slots))
