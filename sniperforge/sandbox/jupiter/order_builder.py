"""Writes the transactions of `/order`: routed by pools, sponsored, or filled by the market maker.

The market maker's real program (Order Engine) is not deployed here. His fill is two transfers in one transaction that
he pays for and signs first, so everything a client sees of it is as on mainnet: static key 0, two signatures, an id
that is unknown until he signs, a firm price. Its expiry is held at `/execute` instead of on chain.

No order carries a platform fee (`feeBps` 0): a fee that is only printed would be a lie, and the pools of the sandbox
have no fee account. A sponsored order is a gift of the sponsor, who takes nothing of the output for it.
"""

from __future__ import annotations

from decimal import Decimal

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.faults import BadOrderShape
from sniperforge.sandbox.jupiter.hostile import WRONG_MINIMUM_RAW, spoil
from sniperforge.sandbox.jupiter.instructions import (
    associated_account,
    create_associated_account,
    memo,
    transfer_checked,
)
from sniperforge.sandbox.jupiter.order_draft import CannotBuild, OrderDraft
from sniperforge.sandbox.jupiter.order_query import OrderQuery
from sniperforge.sandbox.jupiter.quotes import Quote, Quoter
from sniperforge.sandbox.jupiter.swap_parts import SwapAssembler, SwapParts, account_bytes
from sniperforge.sandbox.jupiter.tips import JITO_TIP_ACCOUNTS
from sniperforge.sandbox.tokens import SOL, TokenSpec, amount_of

GASLESS_BELOW_LAMPORTS = 10_000_000
GASLESS_MINIMUM_USD = 10
FEE_RESERVE_LAMPORTS = 50_000
"""Kept for signature and usual priority fees when it is judged whether somebody can pay for gas."""

_UNITS_BASE, _UNITS_PER_HOP, _UNITS_PER_ACCOUNT = 20_000, 25_000, 25_000
_MAKER_UNITS = 37_000


class OrderBuilder:
    """Knows what the taker can afford and writes the order accordingly."""

    def __init__(self, context: SandboxContext, quoter: Quoter) -> None:
        self._context = context
        self._chain = context.chain
        self._quoter = quoter
        self._assembler = SwapAssembler(context)

    def balance(self, owner: Pubkey, token: TokenSpec) -> int:
        """What an owner can spend of a token in base units; for SOL that is native SOL, not wSOL."""
        if token.mint == SOL:
            return self._lamports(owner)
        account = self._chain.account(associated_account(owner, token.mint, token.token_program))
        return 0 if account is None else amount_of(account)

    def routed(
        self, query: OrderQuery, taker: Pubkey, quote: Quote, *, maker_leg: bool, shape: BadOrderShape | None
    ) -> OrderDraft | CannotBuild:
        """An order that swaps through pools, paid by the taker, by `payer`, or by Jupiter's sponsor."""
        if self.balance(taker, quote.input) < quote.route.in_raw:
            return CannotBuild(1, "Insufficient funds")
        payer = query.payer or taker
        draft = self._route_draft(query, taker, payer, quote, shape)
        missing = draft.sol_needed - self._lamports(payer)
        if missing > 0:
            if query.payer is not None or query.is_manual or self._lamports(taker) >= GASLESS_BELOW_LAMPORTS:
                return CannotBuild(2, f"Top up {Decimal(missing).scaleb(-9):f} SOL for gas")
            value = self._quoter.usd(quote.input, quote.route.in_raw)
            if value is None or value < GASLESS_MINIMUM_USD:
                return CannotBuild(3, f"Minimum ${GASLESS_MINIMUM_USD} for gasless")
            sponsor = self._context.world.gas_sponsor
            draft = self._route_draft(query, taker, sponsor.pubkey(), quote, shape)
            draft.cosigners = (sponsor,)
        if maker_leg:
            # RFQ v2: a market maker's stream feeds the route, so he signs at index 1 behind the taker.
            maker = self._context.world.maker_wallet
            draft.instructions.append(memo("rfq v2 fill", maker.pubkey()))
            draft.cosigners = (*draft.cosigners, maker)
        if shape is not None:
            spoil(draft, shape, self._context, taker)
        return draft

    def _route_draft(
        self, query: OrderQuery, taker: Pubkey, payer: Pubkey, quote: Quote, shape: BadOrderShape | None
    ) -> OrderDraft:
        parts = self._assembler.assemble(
            quote,
            taker=taker,
            payer=payer,
            min_out_raw=WRONG_MINIMUM_RAW if shape == "wrong_minimum" else quote.min_out_raw,
            receiver=query.receiver,
            sol_to=query.receiver if quote.output.mint == SOL else None,
        )
        draft = self._draft(payer, units=_route_units(quote, parts))
        draft.instructions = [*parts.setup, parts.swap]
        if parts.cleanup is not None:
            draft.instructions.append(parts.cleanup)
            if payer != taker and parts.passing_rent_lamports and query.receiver is None:
                # The closed account's lamports go to the taker; the rent that somebody else paid goes back.
                params = TransferParams(from_pubkey=taker, to_pubkey=payer, lamports=parts.passing_rent_lamports)
                draft.instructions.append(transfer(params))
        if query.jito_tip_lamports is not None:
            tip_to = JITO_TIP_ACCOUNTS[bytes(taker)[0] % len(JITO_TIP_ACCOUNTS)]
            params = TransferParams(from_pubkey=payer, to_pubkey=tip_to, lamports=query.jito_tip_lamports)
            draft.instructions.append(transfer(params))
            draft.sol_needed += query.jito_tip_lamports
        draft.rent_lamports = parts.kept_rent_lamports
        draft.sol_needed += query.priority_fee_lamports or 0
        draft.sol_needed += parts.kept_rent_lamports + parts.passing_rent_lamports
        if payer == taker and quote.input.mint == SOL:
            draft.sol_needed += quote.route.in_raw
        return draft

    def by_maker(self, query: OrderQuery, taker: Pubkey, quote: Quote, out_raw: int) -> OrderDraft | CannotBuild:
        """An order that the market maker fills at a firm price: he is static key 0, the taker is index 1."""
        maker = self._context.world.maker_wallet
        if self.balance(taker, quote.input) < quote.route.in_raw:
            return CannotBuild(1, "Insufficient balance")
        draft = self._draft(maker.pubkey(), units=_MAKER_UNITS)
        draft.cosigners = (maker,)
        draft.rent_payer = taker
        receiver = query.receiver or taker
        draft.sol_needed = quote.route.in_raw if quote.input.mint == SOL else 0
        self._pay(draft, quote.input, taker, maker.pubkey(), quote.route.in_raw, rent_payer=maker.pubkey())
        draft.rent_lamports = self._pay(draft, quote.output, maker.pubkey(), receiver, out_raw, rent_payer=taker)
        draft.sol_needed += draft.rent_lamports
        if self._lamports(taker) < draft.sol_needed:
            return CannotBuild(2, "Missing associated token account")
        return draft

    def _pay(
        self, draft: OrderDraft, token: TokenSpec, source: Pubkey, target: Pubkey, raw: int, *, rent_payer: Pubkey
    ) -> int:
        """Add a plain payment; returns the rent of the account that it opens."""
        if token.mint == SOL:
            draft.instructions.append(transfer(TransferParams(from_pubkey=source, to_pubkey=target, lamports=raw)))
            return 0
        target_account = associated_account(target, token.mint, token.token_program)
        rent = 0
        if self._chain.account(target_account) is None:
            draft.instructions.append(create_associated_account(rent_payer, target, token.mint, token.token_program))
            rent = self._chain.minimum_rent(account_bytes(token))
        draft.instructions.append(
            transfer_checked(
                associated_account(source, token.mint, token.token_program),
                token.mint,
                target_account,
                source,
                raw=raw,
                decimals=token.decimals,
                token_program=token.token_program,
            )
        )
        return rent

    def _draft(self, payer: Pubkey, *, units: int) -> OrderDraft:
        blockhash, height = self._chain.latest_blockhash("confirmed")
        return OrderDraft(
            payer=payer,
            claimed_payer=payer,
            rent_payer=payer,
            units=units,
            # What stays behind must keep the wallet itself rent exempt; fees are a rounding error beside the reserve.
            sol_needed=self._chain.minimum_rent(0) + FEE_RESERVE_LAMPORTS,
            blockhash=Hash.from_string(blockhash),
            last_valid_block_height=height,
            claimed_height=str(height),
        )

    def _lamports(self, owner: Pubkey) -> int:
        account = self._chain.account(owner)
        return 0 if account is None else account.lamports


def _route_units(quote: Quote, parts: SwapParts) -> int:
    hops = sum(len(leg.hops) for leg in quote.route.legs)
    return _UNITS_BASE + _UNITS_PER_HOP * hops + _UNITS_PER_ACCOUNT * parts.account_creations
