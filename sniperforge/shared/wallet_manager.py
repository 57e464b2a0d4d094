"""Wallets: create, import, export, list, balances, and signatures for the one caller that may ask for them.

Key bytes exist only inside `_Key` objects, which print, compare and pickle as nothing.
"""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.config import Settings
from sniperforge.domain.money import Address, Signature
from sniperforge.errors import InvalidInputError, WalletError
from sniperforge.ports.chain import ChainReader, Commitment, TokenAccount
from sniperforge.shared.keystore import SEED_BYTES, Keystore, WalletFile

_KEYPAIR_BYTES = 64
_IMPORT_FIX = (
    "Give a Solana CLI key file (a JSON array of 64 numbers) or a base58 secret key; mnemonics are not supported"
)


class PassphraseSource(Protocol):
    """Where the passphrase comes from."""

    def __call__(self) -> str:
        """The passphrase.

        Raises:
            WalletError: There is none to be had (no setting, no terminal).
        """
        ...


@dataclass(frozen=True, slots=True)
class WalletBalances:
    """What one wallet holds on chain at one commitment."""

    address: Address
    lamports: int
    tokens: tuple[TokenAccount, ...]


class _Key:
    """A private key that does not leak by being printed, logged, compared or pickled."""

    __slots__ = ("_keypair",)

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    def sign(self, message: bytes) -> str:
        return str(self._keypair.sign_message(message))

    def __repr__(self) -> str:
        return "<private key>"

    def __reduce__(self) -> NoReturn:
        raise WalletError("a private key cannot be pickled")


class WalletManager:
    """The wallets of one home; implements the `Signer` port.

    Args:
        keystore: Where encrypted keys lie.
        passphrase: Asked at most once per process, when a key is first needed.
    """

    def __init__(self, keystore: Keystore, passphrase: PassphraseSource) -> None:
        self._keystore = keystore
        self._passphrase_source = passphrase
        self._unlocked: dict[Address, _Key] = {}
        self._lock = threading.Lock()

    def list(self) -> tuple[WalletFile, ...]:
        """Every wallet by name. Raises `WalletError` if one is damaged."""
        return self._keystore.list()

    def find(self, name_or_address: str | None) -> WalletFile:
        """The wallet of this name or address; without one, the only wallet there is.

        Raises:
            WalletError: None, or no single answer.
        """
        if name_or_address is not None:
            return self._keystore.find(name_or_address)
        known = self._keystore.list()
        if not known:
            raise WalletError("there is no wallet yet", fix="Make one with `sniperforge wallet-create`")
        if len(known) > 1:
            names = ", ".join(wallet.name for wallet in known)
            raise WalletError(f"there are several wallets ({names})", fix="Name one, or set SNIPERFORGE_WALLET")
        return known[0]

    def address_of(self, name_or_address: str | None) -> Address:
        """The address of a wallet of this home, or the address itself if that is what was given.

        Raises:
            WalletError: Neither a wallet of this home nor an address.
        """
        try:
            return self.find(name_or_address).address
        except WalletError:
            if name_or_address is None or not _is_address(name_or_address):
                raise
            return Address(name_or_address)

    def create(self, name: str) -> WalletFile:
        """A new wallet from the operating system's randomness.

        Raises:
            InvalidInputError: The name or passphrase will not do.
            WalletError: The name is taken, or the file cannot be written.
        """
        return self._store(name, Keypair())

    def import_key(self, name: str, text: str) -> WalletFile:
        """A wallet from a Solana CLI JSON array or a base58 secret key. The text is never repeated in an error.

        Raises:
            InvalidInputError: Neither of the two.
            WalletError: The name is taken, or the key is here already.
        """
        return self._store(name, _parse_key(text))

    def export_key(self, name_or_address: str) -> str:
        """The secret key as the Solana CLI writes it: a JSON array of 64 numbers. Whoever reads it owns the wallet.

        Raises:
            WalletError: No such wallet, or it cannot be unlocked.
        """
        wallet = self._keystore.find(name_or_address)
        return json.dumps(list(bytes(self._open(wallet))))

    def balances(self, chain: ChainReader, address: Address) -> WalletBalances:
        """SOL and every token account (Token and Token-2022) of an address, confirmed."""
        account = chain.accounts([address], Commitment.CONFIRMED)[0]
        tokens = chain.token_accounts(address, Commitment.CONFIRMED)
        return WalletBalances(address, account.lamports if account else 0, tokens)

    def addresses(self) -> tuple[Address, ...]:
        """See `Signer.addresses`."""
        return tuple(wallet.address for wallet in self._keystore.list())

    def unlock(self, wallet: Address) -> None:
        """Open a key before it is needed, so that a wrong passphrase is known first, and scrypt's time is spent.

        Raises:
            WalletError: It is not here, or cannot be unlocked.
        """
        self._key(wallet)

    def sign(self, wallet: Address, message: bytes) -> Signature:
        """See `Signer.sign`. Unlocks the wallet on first use, which takes scrypt's time once."""
        return Signature(self._key(wallet).sign(message))

    def _key(self, wallet: Address) -> _Key:
        with self._lock:
            key = self._unlocked.get(wallet)
            if key is None:
                key = self._unlocked[wallet] = _Key(self._open(self._keystore.find(wallet)))
        return key

    def _open(self, wallet: WalletFile) -> Keypair:
        keypair = Keypair.from_seed(self._keystore.open(wallet.name, self._passphrase_source()))
        if str(keypair.pubkey()) != wallet.address:
            raise WalletError("the key does not belong to the address in the file", subject=str(wallet.path))
        return keypair

    def _store(self, name: str, keypair: Keypair) -> WalletFile:
        seed = bytes(keypair)[:SEED_BYTES]
        return self._keystore.write(name, Address(str(keypair.pubkey())), seed, self._passphrase_source())


def _is_address(text: str) -> bool:
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


def _parse_key(text: str) -> Keypair:
    text = text.strip()
    try:
        raw = bytes(json.loads(text)) if text.startswith("[") else bytes(Keypair.from_base58_string(text))
        # from_bytes checks that the public half belongs to the secret half.
        return Keypair.from_bytes(raw) if len(raw) == _KEYPAIR_BYTES else Keypair.from_seed(raw)
    except (ValueError, TypeError):
        # `from None`: the library's message may repeat parts of the key.
        raise InvalidInputError("this is no secret key", subject="key", fix=_IMPORT_FIX) from None


def settings_passphrase(settings: Settings, ask: Callable[[], str] | None) -> PassphraseSource:
    """The passphrase from the settings (value, then file), else by asking, else an error that says how to give it.

    Args:
        settings: The settings in force.
        ask: How to prompt a person; None when nobody is there (a worker).
    """
    remembered: list[str] = []

    def source() -> str:
        if not remembered:
            remembered.append(_find_passphrase(settings, ask))
        return remembered[0]

    return source


def _find_passphrase(settings: Settings, ask: Callable[[], str] | None) -> str:
    if settings.wallet_passphrase is not None:
        return settings.wallet_passphrase.get_secret_value()
    if settings.wallet_passphrase_file is not None:
        return _read_passphrase(settings.wallet_passphrase_file)
    if ask is not None:
        return ask()
    raise WalletError(
        "the wallets are locked and nobody is there to ask",
        fix="Set SNIPERFORGE_WALLET_PASSPHRASE_FILE to a file of mode 0600 that holds the passphrase",
    )


def _read_passphrase(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise WalletError(
                f"others may read the passphrase (mode {mode:04o})", subject=str(path), fix=f"Run: chmod 600 '{path}'"
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WalletError(f"the passphrase file cannot be read: {error.strerror}", subject=str(path)) from error
    except UnicodeDecodeError:
        raise WalletError("the passphrase file is no UTF-8 text", subject=str(path)) from None
    if not lines or not lines[0]:
        raise WalletError(
            "the passphrase file is empty", subject=str(path), fix="Write the passphrase in its first line"
        )
    return lines[0]
