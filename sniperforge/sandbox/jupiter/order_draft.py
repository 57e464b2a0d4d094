"""The transaction of an order while it is being written."""

from __future__ import annotations

from dataclasses import dataclass, field

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey


@dataclass(slots=True, kw_only=True)
class OrderDraft:
    """What will be compiled, and what the answer will say about it.

    Attributes:
        payer: Static key 0: pays the fees and gives the transaction its id.
        claimed_payer: Whom the answer names as payer (the same, unless the order lies).
        cosigners: Keys of this side that sign when the order is posted.
        first: Instructions that come before the compute budget.
        units: Compute units that the instructions may need.
        sol_needed: What the taker's lamports must cover, signature and priority fee apart.
        rent_lamports: Rent of accounts that stay open.
        claimed_height: `lastValidBlockHeight` as the answer says it.
    """

    payer: Pubkey
    claimed_payer: Pubkey
    cosigners: tuple[Keypair, ...] = ()
    first: list[Instruction] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    units: int
    sol_needed: int
    rent_lamports: int = 0
    rent_payer: Pubkey
    blockhash: Hash
    last_valid_block_height: int
    claimed_height: str


@dataclass(frozen=True, slots=True)
class CannotBuild:
    """Why a priced order has no transaction; the code means something only together with the router."""

    code: int
    message: str
