"""Orders that a wary client must refuse to sign, each made by the fault `bad_order`."""

from __future__ import annotations

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, TransferParams, advance_nonce_account, transfer

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.faults import BadOrderShape
from sniperforge.sandbox.jupiter.instructions import memo, nonce_account_data
from sniperforge.sandbox.jupiter.order_draft import OrderDraft
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM

_NONCE_BYTES = 80
_LOW_HEIGHT_BLOCKS = 140
"""How far too low a `low_height` answer is: the order would look dead within ten blocks and live for 150."""

WRONG_MINIMUM_RAW = 1
"""The minimum that a `wrong_minimum` order really holds on chain."""


def spoil(draft: OrderDraft, shape: BadOrderShape, context: SandboxContext, taker: Pubkey) -> None:
    """Give an honest draft this shape; `wrong_minimum` is made with the route instruction, where it stands."""
    stranger = context.world.crowd[0]
    if shape == "advance_nonce":
        address, value = _nonce_account_of(context.chain, taker)
        draft.first.append(
            advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=address, authorized_pubkey=taker))
        )
        draft.blockhash = value
    elif shape == "extra_signer":
        draft.instructions.append(memo("approved", stranger.pubkey()))
    elif shape == "other_payer":
        sponsor = context.world.gas_sponsor
        draft.payer = sponsor.pubkey()
        draft.cosigners = (*draft.cosigners, sponsor)
    elif shape == "empty_height":
        draft.claimed_height = ""
    elif shape == "low_height":
        draft.claimed_height = str(draft.last_valid_block_height - _LOW_HEIGHT_BLOCKS)
    elif shape == "drain":
        account = context.chain.account(taker)
        loot = account.lamports // 2 if account is not None else 0
        params = TransferParams(from_pubkey=taker, to_pubkey=stranger.pubkey(), lamports=loot)
        draft.instructions.append(transfer(params))


def _nonce_account_of(chain: Chain, authority: Pubkey) -> tuple[Pubkey, Hash]:
    """A nonce account that somebody else made with this key as its authority, and its value."""
    address, _ = Pubkey.find_program_address([b"planted-nonce", bytes(authority)], SYSTEM_PROGRAM)
    existing = chain.account(address)
    if existing is not None:
        return address, Hash.from_bytes(bytes(existing.data)[40:72])
    value = Hash.hash(bytes(authority))
    data = nonce_account_data(authority, value, lamports_per_signature=5_000)
    rent = chain.minimum_rent(_NONCE_BYTES)
    chain.set_account(address, Account(rent, data, SYSTEM_PROGRAM, executable=False, rent_epoch=2**64 - 1))
    return address, value
