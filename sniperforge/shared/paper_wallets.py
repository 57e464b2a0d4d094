"""The wallets of a home in paper mode: their names and addresses are known, and no key is touched."""

from __future__ import annotations

from typing import NoReturn

from sniperforge.domain.money import Address
from sniperforge.errors import WalletError
from sniperforge.shared.wallet_manager import WalletManager


class PaperWallets(WalletManager):
    """A `WalletManager` that never opens a key in order to trade, so it never needs the passphrase for that.

    Making, importing and exporting a wallet, which a person asks for by name, is as in live mode.
    """

    def unlock(self, wallet: Address) -> None:
        """Nothing is opened; the wallet has to exist.

        Raises:
            WalletError: It is not here.
        """
        self.find(wallet)

    def sign(self, wallet: Address, message: bytes) -> NoReturn:  # noqa: ARG002 (`ports.signer.Signer`)
        """Refuse.

        Raises:
            WalletError: Always.
        """
        raise WalletError(
            "in paper mode nothing is signed", subject=wallet, fix="Set SNIPERFORGE_MODE=live to trade for real"
        )
