"""Instructions of one swap: accounts made before, the route, wrapped SOL closed after."""

from __future__ import annotations

from dataclasses import dataclass, field

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.instructions import (
    associated_account,
    close_account,
    create_associated_account,
    sync_native,
)
from sniperforge.sandbox.jupiter.quotes import Quote
from sniperforge.sandbox.pools import route_instruction
from sniperforge.sandbox.tokens import SOL, TOKEN_PROGRAM, TokenSpec

_TOKEN_ACCOUNT_BYTES = 165
_TOKEN_2022_ACCOUNT_BYTES = 170
_TRANSFER_FEE_EXTENSION_BYTES = 12


@dataclass(slots=True)
class SwapParts:
    """The instructions of one swap and what its new accounts cost.

    Attributes:
        kept_rent_lamports: Rent of accounts that stay open.
        passing_rent_lamports: Rent of wSOL accounts that the same transaction closes.
        account_creations: How many accounts the setup creates, or makes sure of.
    """

    setup: list[Instruction] = field(default_factory=list)
    swap: Instruction = field(init=False)
    cleanup: Instruction | None = None
    kept_rent_lamports: int = 0
    passing_rent_lamports: int = 0
    account_creations: int = 0


def account_bytes(token: TokenSpec) -> int:
    """Size of an associated account of this token: Token-2022 adds extensions to the plain 165 bytes."""
    if token.token_program == TOKEN_PROGRAM:
        return _TOKEN_ACCOUNT_BYTES
    return _TOKEN_2022_ACCOUNT_BYTES + (_TRANSFER_FEE_EXTENSION_BYTES if token.transfer_fee else 0)


class SwapAssembler:
    """Turns quotes into instructions."""

    def __init__(self, context: SandboxContext) -> None:
        self._chain = context.chain
        self._tokens = context.world.tokens

    def assemble(
        self,
        quote: Quote,
        *,
        taker: Pubkey,
        payer: Pubkey,
        min_out_raw: int,
        wrap_sol: bool = True,
        always_create: bool = False,
        receiver: Pubkey | None = None,
        destination: Pubkey | None = None,
        sol_to: Pubkey | None = None,
    ) -> SwapParts:
        """Assemble a swap.

        Args:
            quote: What to run.
            taker: Who trades and signs.
            payer: Who pays for new accounts.
            min_out_raw: Least output that the program accepts.
            wrap_sol: Take native SOL in and give native SOL out. The taker's wSOL account is closed after,
                and whatever wSOL it held before comes out with it, as it does there.
            always_create: Create associated accounts even if they exist (`/build` does; the instruction is idempotent).
            receiver: Whose associated account gets a token output.
            destination: Token account that gets the output instead of an associated one.
            sol_to: Who gets the native SOL of a closed wSOL account (its rent as well); the taker by default.
        """
        parts = SwapParts()
        closes_wsol = False
        source = associated_account(taker, quote.input.mint, quote.input.token_program)
        if quote.input.mint == SOL and wrap_sol:
            self._open(parts, quote.input, payer=payer, owner=taker, kept=False, always=True)
            parts.setup += [
                transfer(TransferParams(from_pubkey=taker, to_pubkey=source, lamports=quote.route.in_raw)),
                sync_native(source),
            ]
            closes_wsol = True
        intermediates: dict[Pubkey, Pubkey] = {}
        for mint in {hop.output_mint: None for leg in quote.route.legs for hop in leg.hops[:-1]}:
            token = self._tokens[mint]
            kept = mint != SOL
            # A wSOL account that the taker already has stays open: the hop leaves it as it was.
            opened = self._open(parts, token, payer=payer, owner=taker, kept=kept, always=always_create)
            closes_wsol = closes_wsol or (opened and not kept)
            intermediates[mint] = associated_account(taker, mint, token.token_program)
        if destination is None:
            native_out = quote.output.mint == SOL and wrap_sol
            owner = receiver if receiver is not None and not native_out else taker
            always = always_create or native_out
            self._open(parts, quote.output, payer=payer, owner=owner, kept=not native_out, always=always)
            closes_wsol = closes_wsol or native_out
            destination = associated_account(owner, quote.output.mint, quote.output.token_program)
        parts.swap = route_instruction(
            quote.route,
            taker=taker,
            source=source,
            destination=destination,
            min_out_raw=min_out_raw,
            intermediates=intermediates,
        )
        if closes_wsol:
            parts.cleanup = close_account(associated_account(taker, SOL, TOKEN_PROGRAM), sol_to or taker, taker)
        return parts

    def _open(
        self, parts: SwapParts, token: TokenSpec, *, payer: Pubkey, owner: Pubkey, kept: bool, always: bool
    ) -> bool:
        """Add the creation of an associated account where needed; returns whether it did not exist."""
        address = associated_account(owner, token.mint, token.token_program)
        exists = self._chain.account(address) is not None
        if not exists or always:
            parts.setup.append(create_associated_account(payer, owner, token.mint, token.token_program))
            parts.account_creations += 1
        if not exists:
            rent = self._chain.minimum_rent(account_bytes(token))
            if kept:
                parts.kept_rent_lamports += rent
            else:
                parts.passing_rent_lamports += rent
        return not exists
