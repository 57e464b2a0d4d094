"""What every command needs: services, prompts, tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from sniperforge.errors import WalletError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services


def open_services(*, new_passphrase: bool = False) -> Services:
    """Settings, logging and services of one command.

    Args:
        new_passphrase: Ask for the passphrase twice, because it is about to protect something new.
    """
    from sniperforge.bootstrap import build
    from sniperforge.config import load_settings
    from sniperforge.logs import configure_logging

    settings = load_settings()
    configure_logging(settings, role="cli")
    if settings.mode == "paper":
        typer.echo("PAPER: live quotes, books of their own; nothing is signed or sent", err=True)
    ask = (lambda: _ask_passphrase(twice=new_passphrase)) if sys.stdin.isatty() else None
    return build(settings, ask_passphrase=ask)


def _ask_passphrase(*, twice: bool) -> str:
    text = ask_hidden("Passphrase of the wallets")
    if twice and ask_hidden("The same again") != text:
        raise WalletError("the two passphrases differ; nothing was written", fix="Run the command again")
    return text


def ask_hidden(prompt: str) -> str:
    """Ask at the terminal for something that must not be seen.

    Not `typer.prompt(hide_input=True)`: that shows the prompt first and hides afterwards, so what is pasted at once is
    seen and lost.
    """
    import getpass

    return getpass.getpass(f"{prompt}: ")


def this_process() -> str:
    """Who works, for leases."""
    import os
    import socket

    return f"cli-{socket.gethostname()}-{os.getpid()}"


def print_json(value: object) -> None:
    """One JSON document on standard output; exact numbers are already strings or ints."""
    import json

    typer.echo(json.dumps(value, indent=2, sort_keys=True))
