"""`doctor`: look at everything SniperForge stands on, and say what to do about what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli import doctor_orders, doctor_stack
from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.findings import Finding
from sniperforge.domain.money import WSOL_MINT
from sniperforge.errors import SniperForgeError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: FBT002
    """Check everything it stands on, from disk and wallets to nodes, prices, workers and plans; exit 1 if any fails."""
    services = open_services()
    findings: list[Finding] = []
    for name, check in _CHECKS:
        for finding in _run(name, check, services):
            findings.append(finding)
            if not json_output:
                mark = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}[finding.verdict]
                typer.echo(f"{mark}  {finding.check:<8} {finding.what}")
                if finding.fix:
                    typer.echo(f"{'':<15}-> {finding.fix}")
    if json_output:
        print_json([asdict(finding) for finding in findings])
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


def _run(name: str, check: Callable[[Services], Iterator[Finding]], services: Services) -> Iterator[Finding]:
    """A check that raises has found something too."""
    try:
        yield from check(services)
    except SniperForgeError as error:
        subject = f"{error.subject}: " if error.subject else ""
        yield Finding(name, "fail", f"{subject}{error.what}", error.fix)


def _home(services: Services) -> Iterator[Finding]:
    home = services.settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        usable = os.access(home, os.W_OK)
    except OSError:
        usable = False
    if usable:
        yield Finding("home", "ok", f"{home} ({services.settings.network})")
    else:
        yield Finding("home", "fail", f"{home} cannot be written", "Choose another with SNIPERFORGE_HOME or --home")


def _wallets(services: Services) -> Iterator[Finding]:
    wallets = services.wallets.list()
    if not wallets:
        yield Finding("wallets", "warn", "no wallet yet", "Make one with `sniperforge wallet-create`")
        return
    yield Finding("wallets", "ok", ", ".join(f"{wallet.name} {wallet.address}" for wallet in wallets))
    settings = services.settings
    if settings.wallet_passphrase is None and settings.wallet_passphrase_file is None:
        yield Finding(
            "wallets",
            "warn",
            "only a person can unlock the wallets: an unattended start would wait for nobody",
            "Set SNIPERFORGE_WALLET_PASSPHRASE_FILE (mode 0600) before running unattended",
        )


def _books(services: Services) -> Iterator[Finding]:
    kind = services.engine.dialect.name
    where = f" at {services.engine.url.database}" if kind == "sqlite" else ""
    yield Finding("books", "ok", f"{kind}{where}, schema is this program's")


def _nodes(services: Services) -> Iterator[Finding]:
    for node in services.chain.health():
        if node.healthy:
            slots = f"slot {node.slot}, {node.slots_behind or 0} behind, {node.latency_ms or 0:.0f} ms"
            yield Finding("rpc", "ok", f"{node.node}: {slots}, version {node.version or 'unknown'}")
        else:
            yield Finding("rpc", "fail", f"{node.node}: {node.problem}", _node_fix(services))
    expected = services.settings.defaults.genesis_hash
    actual = services.chain.genesis_hash()
    if expected is not None and actual != expected:
        yield Finding(
            "rpc",
            "fail",
            f"the nodes belong to another network (genesis {actual}), not {services.settings.network}",
            "Correct SNIPERFORGE_RPC_URLS or SNIPERFORGE_NETWORK",
        )
    rent = services.chain.minimum_rent(165)
    yield Finding("rpc", "ok", f"a token account costs {rent} lamports of rent now")


def _node_fix(services: Services) -> str:
    if services.settings.network == "sandbox":
        return "Is the sandbox running? Start it with `sniperforge sandbox`, or set SNIPERFORGE_RPC_URLS"
    return "Check SNIPERFORGE_RPC_URLS, or add a second node"


def _jupiter(services: Services) -> Iterator[Finding]:
    url = services.settings.effective_jupiter_url
    if url is None:
        yield Finding(
            "jupiter", "warn", f"Jupiter does not exist on {services.settings.network}: nothing can be traded"
        )
        return
    labels = services.exchange.program_labels()
    plan = services.settings.jupiter_plan
    yield Finding("jupiter", "ok", f"{url} answers, {len(labels)} venues, plan {plan}")
    if services.settings.redis_url is None:
        yield Finding(
            "jupiter",
            "warn",
            "the request budget holds for one process only",
            "Set SNIPERFORGE_REDIS_URL when several processes share one Jupiter plan",
        )


def _prices(services: Services) -> Iterator[Finding]:
    if services.settings.effective_jupiter_url is None:
        return
    quoted = services.exchange.prices([WSOL_MINT]).get(WSOL_MINT)
    if quoted is None:
        yield Finding("prices", "fail", "Jupiter has no price for SOL", "Wait; nothing is traded without a price")
        return
    checked = services.oracle.price(WSOL_MINT)
    divergence = abs(quoted.usd - checked.usd) / checked.usd * 10_000
    yield Finding(
        "prices", "ok", f"SOL {quoted.usd:.4f} USD by Jupiter, {checked.usd:.4f} by Pyth, {divergence:.0f} bps apart"
    )


_CHECKS: tuple[tuple[str, Callable[[Services], Iterator[Finding]]], ...] = (
    ("home", _home),
    ("disk", doctor_stack.disk),
    ("wallets", _wallets),
    ("books", _books),
    ("rpc", _nodes),
    ("clock", doctor_stack.clock),
    ("jupiter", _jupiter),
    ("prices", _prices),
    ("limits", doctor_stack.limits),
    ("stack", doctor_stack.stack),
    ("queue", doctor_stack.queue),
    ("workers", doctor_stack.workers),
    ("beat", doctor_stack.beat),
    ("plans", doctor_stack.plans),
    ("orders", doctor_orders.orders),
)
