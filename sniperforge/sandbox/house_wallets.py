"""Wallets of the sandbox itself that deal with its users: the market maker, the sponsor of gas and the faucet.

Like the crowd's they never run dry: what was spent is put back by decree, so a sandbox can run for months.
"""

from __future__ import annotations

from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.genesis import (
    FAUCET_LAMPORTS,
    MAKER_LAMPORTS,
    MAKER_USD_PER_TOKEN,
    SPONSOR_LAMPORTS,
    World,
    raw_worth,
)
from sniperforge.sandbox.tokens import amount_of, credit, credit_lamports, token_account_address

_MOST_TIMES = 10


class HouseWallets:
    """Keeps what genesis gave them about there."""

    def __init__(self, chain: Chain, world: World) -> None:
        self._chain = chain
        self._world = world
        maker = world.maker_wallet.pubkey()
        self._lamports = {
            maker: MAKER_LAMPORTS,
            world.gas_sponsor.pubkey(): SPONSOR_LAMPORTS,
            world.faucet.pubkey(): FAUCET_LAMPORTS,
        }
        self._tokens = [
            (token, token_account_address(maker, token), raw_worth(MAKER_USD_PER_TOKEN, token, token.start_usd))
            for token in world.tokens.values()
        ]

    def refill(self) -> None:
        """Put back what fell below half of the usual, and take what would overflow in the end."""
        for owner, usual in self._lamports.items():
            account = self._chain.account(owner)
            held = account.lamports if account is not None else 0
            if _unusual(held, usual):
                credit_lamports(self._chain, owner, usual - held)
        for token, address, usual_raw in self._tokens:
            held_raw = self._held(address)
            if _unusual(held_raw, usual_raw):
                credit(self._chain, self._world.maker_wallet.pubkey(), token, usual_raw - held_raw)

    def _held(self, address: Pubkey) -> int:
        account = self._chain.account(address)
        return amount_of(account) if account is not None else 0


def _unusual(held: int, usual: int) -> bool:
    return not usual // 2 <= held <= usual * _MOST_TIMES
