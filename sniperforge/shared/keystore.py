"""Private keys at rest: scrypt turns a passphrase into a key, AES-256-GCM seals the wallet's seed.

One JSON file per wallet, mode 0600, in a 0700 folder. Every parameter is in the file, so that a file made with
other scrypt costs stays readable; name, address and parameters are authenticated with the ciphertext, so that
none of them can be exchanged unnoticed. Format and reasons: ADR 0005.

Memory: at n = 2^17, r = 8 scrypt needs 128 MiB for the moment of unlocking (RFC 7914: 128 * n * r bytes).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sniperforge.domain.money import Address
from sniperforge.errors import InvalidInputError, WalletError

FORMAT = "sniperforge-wallet"
VERSION = 1
SCRYPT_N = 2**17
"""Cost of a guess: OWASP's Password Storage Cheat Sheet asks for n = 2^17, r = 8, p = 1."""
SCRYPT_R = 8
SCRYPT_P = 1
_MAX_N = 2**20
MIN_PASSPHRASE = 8
SEED_BYTES = 32

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class WalletFile:
    """What a keystore file says in the clear."""

    name: str
    address: Address
    path: Path


class Keystore:
    """The wallets of one home.

    Args:
        directory: Folder of the files; made on first use.
        scrypt_n: Cost for *new* files. Tests lower it; files carry their own.
    """

    def __init__(self, directory: Path, *, scrypt_n: int = SCRYPT_N) -> None:
        self._directory = directory
        self._scrypt_n = scrypt_n

    def list(self) -> tuple[WalletFile, ...]:
        """Every wallet by name. A damaged file raises: a wallet must not vanish from a list.

        Raises:
            WalletError: A file is damaged or open to others.
        """
        if not self._directory.is_dir():
            return ()
        return tuple(self._describe(path) for path in sorted(self._directory.glob("*.json")))

    def find(self, name_or_address: str) -> WalletFile:
        """The wallet with this name or address.

        Raises:
            WalletError: There is none.
        """
        known = self.list()
        for wallet in known:
            if name_or_address in (wallet.name, wallet.address):
                return wallet
        names = ", ".join(wallet.name for wallet in known) or "none yet"
        raise WalletError(
            "there is no such wallet",
            subject=name_or_address,
            fix=f"Known wallets: {names}. See `sniperforge wallet-list`",
        )

    def write(self, name: str, address: Address, seed: bytes, passphrase: str) -> WalletFile:
        """Seal a seed into a new file: written whole beside its place, synced, then linked; never overwritten.

        Raises:
            InvalidInputError: The name or the passphrase will not do.
            WalletError: A wallet of this name or address exists.
        """
        problems = []
        if not _NAME.fullmatch(name):
            problems.append("name: 1 to 32 lower-case letters, digits, dashes or underscores, first a letter or digit")
        if len(passphrase) < MIN_PASSPHRASE:
            problems.append(f"passphrase: at least {MIN_PASSPHRASE} characters")
        if problems:
            raise InvalidInputError("; ".join(problems), subject="wallet", problems=tuple(problems))
        for known in self.list():
            if known.address == address:
                raise WalletError("this key is already here", subject=known.name, fix="Use that wallet")
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            "address": address,
            "kdf": {
                "name": "scrypt",
                "n": self._scrypt_n,
                "r": SCRYPT_R,
                "p": SCRYPT_P,
                "salt": _encode(secrets.token_bytes(16)),
            },
            "cipher": {"name": "aes-256-gcm", "nonce": _encode(secrets.token_bytes(12))},
        }
        sealed = AESGCM(_derive(passphrase, header["kdf"])).encrypt(
            _decode(header["cipher"]["nonce"]), seed, _authenticated(header)
        )
        path = self._directory / f"{name}.json"
        self._place(path, json.dumps({**header, "ciphertext": _encode(sealed)}, indent=2) + "\n")
        return WalletFile(name, address, path)

    def open(self, name_or_address: str, passphrase: str) -> bytes:
        """The 32-byte seed of a wallet. Keep it short-lived; never print, log or store it.

        Raises:
            WalletError: No such wallet, wrong passphrase, damaged file, or a file others may read.
        """
        wallet = self.find(name_or_address)
        document = _read(wallet.path)
        header = {key: value for key, value in document.items() if key != "ciphertext"}
        try:
            nonce, sealed = _decode(header["cipher"]["nonce"]), _decode(document["ciphertext"])
            return AESGCM(_derive(passphrase, header["kdf"])).decrypt(nonce, sealed, _authenticated(header))
        except InvalidTag:
            # GCM cannot tell a wrong key from a changed file; the first is by far the likelier.
            raise WalletError(
                "the passphrase is wrong, or the file was changed",
                subject=str(wallet.path),
                fix="Try again; if you are sure of the passphrase, restore the file from a backup",
            ) from None
        except (KeyError, TypeError, ValueError):
            raise _damaged(wallet.path, "its parameters make no sense") from None

    def _describe(self, path: Path) -> WalletFile:
        document = _read(path)
        return WalletFile(str(document["name"]), Address(str(document["address"])), path)

    def _place(self, path: Path, text: str) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directory.chmod(0o700)
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                # link() fails if the name is taken, where rename() would replace another wallet.
                os.link(temporary, path)
            finally:
                temporary.unlink()
            folder = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            raise WalletError("a wallet of this name exists", subject=path.stem, fix="Choose another name") from None
        except OSError as error:
            raise WalletError(f"cannot write the wallet: {error.strerror}", subject=str(path)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise WalletError(
                f"others may read this wallet (mode {mode:04o})", subject=str(path), fix=f"Run: chmod 600 '{path}'"
            )
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WalletError(f"cannot be read: {error.strerror}", subject=str(path)) from error
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise _damaged(path, "it is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(path, "it is no wallet of SniperForge")
    if document.get("version") != VERSION:
        raise WalletError(
            f"its format version is {document.get('version')}", subject=str(path), fix="Update SniperForge to read it"
        )
    if document.get("name") != path.stem or not isinstance(document.get("address"), str):
        raise _damaged(path, "name or address do not belong to it")
    return document


def _damaged(path: Path, why: str) -> WalletError:
    return WalletError(f"the wallet file is damaged: {why}", subject=str(path), fix="Restore it from a backup")


def _derive(passphrase: str, kdf: dict[str, Any]) -> bytes:
    n, r, p = kdf["n"], kdf["r"], kdf["p"]
    if kdf["name"] != "scrypt" or not 2 <= n <= _MAX_N or r != SCRYPT_R or not 1 <= p <= 4:
        raise ValueError(kdf["name"])
    return Scrypt(salt=_decode(kdf["salt"]), length=32, n=n, r=r, p=p).derive(passphrase.encode())


def _authenticated(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error
