"""Where money comes from after genesis: transactions that a wallet can look up, as a deposit on a real network.

A balance that is set without one is a difference between books and chain that nothing ever explains; so only wallets
that nobody keeps books about (the crowd's, the house's) are filled by decree.
"""

from __future__ import annotations

import secrets
import struct

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.errors import InvalidInputError
from sniperforge.sandbox.chain import Chain, LandedRecord, Refusal
from sniperforge.sandbox.genesis import World
from sniperforge.sandbox.jupiter.instructions import create_associated_account, memo, sync_native
from sniperforge.sandbox.rpc.errors import transaction_error_text
from sniperforge.sandbox.tokens import SOL, TokenSpec, token_account_address


class Faucet:
    """Gives SOL from the faucet's wallet, and new tokens that the issuer mints; the faucet pays fees and rent."""

    def __init__(self, chain: Chain, world: World) -> None:
        self._chain = chain
        self._world = world
        self._payer = world.faucet

    def sol(self, wallet: Pubkey, lamports: int) -> VersionedTransaction:
        """A transfer of native SOL."""
        return self._signed([self._transfer(wallet, lamports)])

    def tokens(self, wallet: Pubkey, token: TokenSpec, raw: int) -> VersionedTransaction:
        """Tokens in the wallet's associated account, which is made if there is none.

        `raw` is what arrives: minting knows no transfer fee. SOL cannot be minted: it is wrapped.
        """
        account = token_account_address(wallet, token)
        created = create_associated_account(self._payer.pubkey(), wallet, token.mint, token.token_program)
        if token.mint == SOL:
            return self._signed([created, self._transfer(account, raw), sync_native(account)])
        return self._signed([created, self._mint_to(account, token, raw)])

    def submit(self, *transactions: VersionedTransaction) -> list[LandedRecord]:
        """Land them in the open slot, all or none.

        Raises:
            InvalidInputError: The chain refuses one; nothing has happened.
        """
        outcome = self._chain.submit_together([bytes(one) for one in transactions])
        if isinstance(outcome, Refusal):
            raise InvalidInputError(f"the chain refuses it: {_reason(outcome)}", subject="fund")
        return outcome

    def _transfer(self, target: Pubkey, lamports: int) -> Instruction:
        return transfer(TransferParams(from_pubkey=self._payer.pubkey(), to_pubkey=target, lamports=lamports))

    def _mint_to(self, account: Pubkey, token: TokenSpec, raw: int) -> Instruction:
        return Instruction(
            token.token_program,
            struct.pack("<BQ", 7, raw),
            [
                AccountMeta(token.mint, is_signer=False, is_writable=True),
                AccountMeta(account, is_signer=False, is_writable=True),
                AccountMeta(self._world.issuer.pubkey(), is_signer=True, is_writable=False),
            ],
        )

    def _signed(self, instructions: list[Instruction]) -> VersionedTransaction:
        """Signed by whoever must; the memo makes equal gifts different transactions.

        The blockhash is final, so that a fork that includes the transaction again still knows it.
        """
        payer = self._payer.pubkey()
        blockhash, _ = self._chain.latest_blockhash("finalized")
        told = memo(f"sandbox funding {secrets.token_hex(8)}", payer)
        message = Message.new_with_blockhash([*instructions, told], payer, Hash.from_string(blockhash))
        keys = {one.pubkey(): one for one in (self._payer, self._world.issuer)}
        signers = message.account_keys[: message.header.num_required_signatures]
        return VersionedTransaction(message, [keys[key] for key in signers])


def _reason(refusal: Refusal) -> str:
    """The error, and what the program that failed said about it, if it said anything."""
    said = [line for line in refusal.logs if line.startswith("Program log: Error") or not line.startswith("Program ")]
    return ": ".join([transaction_error_text(refusal.err), *(line.removeprefix("Program log: ") for line in said)])
