"""Signing."""

from __future__ import annotations

from typing import Protocol

from sniperforge.domain.money import Address, Signature


class Signer(Protocol):
    """Holds private keys and gives out nothing but signatures."""

    def addresses(self) -> tuple[Address, ...]:
        """Public keys it can sign for."""
        ...

    def sign(self, wallet: Address, message: bytes) -> Signature:
        """Ed25519 signature of `wallet` over exactly these message bytes (deterministic).

        Raises:
            WalletError: No such wallet, or it is locked.
        """
        ...
