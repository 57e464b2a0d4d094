"""The passphrase of an unattended stack, and the wallet that a sandbox begins with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sniperforge.config import Settings
from sniperforge.embedded.private_files import kept_secret
from sniperforge.errors import ConfigError, ConflictError, NodeUnavailableError, WalletError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.embedded.supervisor import Say
    from sniperforge.ports.clock import Clock

_FILE_NAME = "wallet-passphrase"
WALLET_NAME = "main"
FIRST_SOL = Decimal(20)
FIRST_USDC = Decimal(5_000)
"""What the sandbox's own demo wallet has, too."""

_HURRIED_SLOT_MS = 5
_FINAL_WITHIN_S = 60.0
_POLL_S = 0.02


def passphrase_file(settings: Settings) -> Path | None:
    """The file in the home that holds the passphrase, made for the first wallet of a sandbox; None if one is set.

    Raises:
        ConfigError: None is set, and it is not ours to make one.
    """
    is_set = settings.wallet_passphrase is not None or settings.wallet_passphrase_file is not None
    if is_set or (settings.mode == "paper" and settings.network != "sandbox"):
        return None  # on paper nothing is signed, so nothing is unlocked
    path = settings.home / _FILE_NAME
    if settings.network == "sandbox":
        if path.exists():
            return path
        if not any(settings.keystore_dir.glob("*.json")):
            kept_secret(path)
            return path
    raise ConfigError(
        "the workers could not unlock the wallets: no passphrase is set",
        subject="wallet_passphrase_file",
        fix="Set SNIPERFORGE_WALLET_PASSPHRASE_FILE to a file of mode 0600 whose first line is the passphrase",
    )


def unlock_wallets(services: Services, say: Say) -> None:
    """Try the passphrase on every wallet, so that a wrong one is known before anything trades.

    A sandbox without wallets gets one, named `main`.

    Raises:
        WalletError: A wallet is damaged, or cannot be unlocked.
    """
    wallets = services.wallets
    if not wallets.list() and services.settings.network == "sandbox":
        made = wallets.create(WALLET_NAME)
        say(f"made wallet {made.name} {made.address}")
    if not wallets.list():
        say("there is no wallet yet: make one with `sniperforge wallet-create`", warning=True)
    for wallet in wallets.list():
        wallets.unlock(wallet.address)


def fund_and_adopt(services: Services, admin: SandboxAdmin, say: Say) -> None:
    """Give the sandbox's wallet `main` its first money and put it into the books; once, whatever is interrupted.

    Raises:
        RetryableError: A node or the sandbox does not answer.
    """
    if services.on_paper:
        return  # `paper-fund` gives what a wallet has on paper
    try:
        wallet = services.wallets.find(WALLET_NAME)
    except WalletError:
        return  # the person has other wallets
    with services.store.read() as books:
        if books.wallets.get(wallet.address) is not None:
            return
    if not services.wallets.balances(services.chain, wallet.address).lamports:
        admin.give(wallet.address, services.clock)
        say(f"gave wallet {wallet.name} {FIRST_SOL} SOL and {FIRST_USDC} USDC of the sandbox")
    try:
        services.reconciler.adopt(wallet.name, wallet.address)
    except ConflictError:
        return  # a command adopted it in the same moment


class SandboxAdmin:
    """The admin port of the sandbox, as far as a first start needs it.

    Args:
        url: Where it listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def give(self, address: str, clock: Clock) -> None:
        """First money for this wallet, final when this returns. Slots go by fast meanwhile: nobody trades yet.

        Raises:
            NodeUnavailableError: The sandbox does not answer, or the money never becomes final.
        """
        slot_ms = self._ask("GET", "/status")["slot_ms"]
        self._ask("POST", "/clock", {"slot_ms": _HURRIED_SLOT_MS})
        try:
            given = {"wallet": address, "sol": str(FIRST_SOL), "token": "USDC", "amount": str(FIRST_USDC)}
            slot = self._ask("POST", "/fund", given)["slot"]
            started = clock.monotonic()
            while self._ask("GET", "/status")["finalized_slot"] < slot:
                if clock.monotonic() - started > _FINAL_WITHIN_S:
                    raise NodeUnavailableError(f"slot {slot} does not become final", subject=self._url)
                clock.sleep(_POLL_S)
        finally:
            self._ask("POST", "/clock", {"slot_ms": slot_ms})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        try:
            response = httpx.request(method, self._url + path, json=body, timeout=10.0)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise NodeUnavailableError(f"the sandbox does not answer: {error}", subject=self._url) from error
        answer: dict[str, Any] = response.json()
        return answer
