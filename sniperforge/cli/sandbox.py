"""`sniperforge sandbox` and the commands that steer a running one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Scenario(StrEnum):
    """Shapes of the sandbox's price path."""

    CALM = "calm"
    VOLATILE = "volatile"
    CRASH = "crash"
    MOON = "moon"
    FLAT = "flat"


def register(app: typer.Typer) -> None:
    """Add the sandbox's commands."""
    app.command("sandbox")(sandbox)
    app.command("sandbox-fault")(sandbox_fault)
    app.command("sandbox-fund")(sandbox_fund)
    app.command("sandbox-price")(sandbox_price)
    app.command("sandbox-speed")(sandbox_speed)
    app.command("sandbox-pause")(sandbox_pause)
    app.command("sandbox-fork")(sandbox_fork)


_Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")]


def sandbox(
    rpc_port: _Port = 8899,
    ws_port: _Port = 8900,
    jupiter_port: _Port = 8901,
    admin_port: _Port = 8902,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same world, same prices, same faults.")] = 1,
    scenario: Annotated[Scenario, typer.Option(help="Shape of the price path.")] = Scenario.CALM,
    prices: Annotated[
        Path | None, typer.Option(help="CSV of prices to follow: time_utc,open,high,low,close,volume.", dir_okay=False)
    ] = None,
    bridge_gaps: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--bridge-gaps", help="Accept missing bars in that file.")
    ] = False,
    speed: Annotated[float, typer.Option(min=0.01, max=1e6, help="Market seconds per second.")] = 1.0,
    crowd: Annotated[float, typer.Option(min=0, max=100, help="Other people's transactions per second.")] = 2.0,
    slot_ms: Annotated[int, typer.Option(min=5, max=60_000, help="Length of a slot in milliseconds.")] = 200,
    rate_limits: Annotated[  # noqa: FBT002 (same)
        bool, typer.Option(help="Whether the Jupiter API counts requests, as the real one does.")
    ] = True,
    rate_window: Annotated[int, typer.Option(min=10, max=60, help="Its window in seconds: 60 or 10.")] = 60,
    jupiterz_share: Annotated[
        float, typer.Option(min=0, max=1, help="How often a market maker (JupiterZ) wins an order.")
    ] = 0.3,
    maker_leg_share: Annotated[
        float, typer.Option(min=0, max=1, help="How often another order needs a market maker's signature too.")
    ] = 0.0,
    json_output: Annotated[  # noqa: FBT002 (same)
        bool, typer.Option("--json", help="Print one JSON line with all addresses when ready, and nothing else.")
    ] = False,
) -> None:
    """Serve a local Solana and Jupiter with a funded demo wallet, until interrupted."""
    import json
    import logging
    from fractions import Fraction

    from rich.console import Console

    from sniperforge.config import load_settings
    from sniperforge.errors import ConfigError

    try:
        from sniperforge.sandbox.context import SandboxConfig, SandboxContext
        from sniperforge.sandbox.endpoints import Endpoints
        from sniperforge.sandbox.server import serve
        from sniperforge.sandbox.statusline import addresses_text, show_status
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"the sandbox is an extra that is not installed ({missing.name} is missing)",
            subject="sandbox",
            fix="Install it with: pip install 'sniperforge[sandbox]'",
        ) from missing

    logging.basicConfig(level=logging.WARNING)
    config = SandboxConfig(
        home=load_settings().home,
        seed=seed,
        slot_ms=slot_ms,
        rpc_port=rpc_port,
        ws_port=ws_port,
        jupiter_port=jupiter_port,
        admin_port=admin_port,
        scenario=scenario.value,
        prices_csv=prices,
        bridge_gaps=bridge_gaps,
        speed=speed,
        crowd_per_second=crowd,
        rate_limits_enabled=rate_limits,
        rate_window_s=10 if rate_window == 10 else 60,
        jupiterz_share=Fraction(str(jupiterz_share)),
        maker_leg_share=Fraction(str(maker_leg_share)),
    )

    def ready(_context: SandboxContext, endpoints: Endpoints) -> None:
        typer.echo(json.dumps(endpoints.as_json()) if json_output else addresses_text(endpoints))

    console = Console()

    async def watch(context: SandboxContext) -> None:
        await show_status(context, console)

    serve(config, ready=ready, watch=watch if console.is_terminal and not json_output else None)


def sandbox_fault(
    target: Annotated[
        str | None, typer.Argument(help="What it hits: rpc:sendTransaction, rpc:*, jupiter:/swap/v2/execute, *.")
    ] = None,
    kind: Annotated[str | None, typer.Argument(help="What happens: latency, drop_response, http_429, ...")] = None,
    next_requests: Annotated[int | None, typer.Option("--next", min=1, help="Hit the next N requests.")] = None,
    probability: Annotated[float | None, typer.Option(help="Hit each request with this probability.")] = None,
    node: Annotated[str | None, typer.Option(help="Only requests to this RPC node.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter of the kind, as name=value: ms=500, code=-1000, lands=true.")
    ] = None,
    clear: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--clear", help="Remove all faults, or those of the target.")
    ] = False,
) -> None:
    """Add a fault to the running sandbox, list those in force, or clear them."""
    if clear:
        answer = _admin("DELETE", "/faults", params={"target": target} if target else {})
        typer.echo(f"{answer['removed']} removed")
        return
    if target is not None:
        rule = {
            "target": target,
            "kind": kind,
            "node": node,
            "count": next_requests,
            "probability": probability,
            "params": _parsed_params(param or []),
        }
        _admin("POST", "/faults", body=rule)
    faults = _admin("GET", "/faults")["faults"]
    for one in faults:
        often = f"probability {one['probability']}" if one["remaining"] is None else f"next {one['remaining']}"
        details = "".join(f"  {name}={value}" for name, value in one["params"].items())
        where = f"  node {one['node']}" if one["node"] else ""
        typer.echo(f"{one['number']:>3}  {one['target']}  {one['kind']}  {often}{where}{details}  hit {one['hits']}")
    if not faults:
        typer.echo("no faults in force")


def _parsed_params(texts: list[str]) -> dict[str, Any]:
    """`name=value` pairs; a value that is JSON (a number, true, an object) is taken as such."""
    import json

    from sniperforge.errors import InvalidInputError

    found: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidInputError("is not name=value", subject=f"--param {text}", fix="Write, for example, ms=500")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def sandbox_fund(
    wallet: Annotated[str, typer.Argument(help="Wallet of this home by name, or any address.")],
    sol: Annotated[str | None, typer.Option(help="SOL to give.")] = None,
    token: Annotated[str | None, typer.Option(help="Token to give, by symbol or mint.")] = None,
    amount: Annotated[str | None, typer.Option(help="How much of it, in whole tokens.")] = None,
) -> None:
    """Give SOL or tokens to a wallet in the running sandbox, by transactions of its own."""
    from sniperforge.bootstrap import build
    from sniperforge.config import load_settings

    address = build(load_settings()).wallets.address_of(wallet)
    answer = _admin("POST", "/fund", body={"wallet": address, "sol": sol, "token": token, "amount": amount})
    if "lamports" in answer:
        typer.echo(f"{address}: {answer['lamports']} lamports more")
    if "raw" in answer:
        typer.echo(f"{address}: {answer['raw']} base units of {answer['symbol']} more, in {answer['token_account']}")
    for signature in answer["signatures"]:
        typer.echo(f"signature {signature}")


def sandbox_price(
    token: Annotated[str, typer.Argument(help="Token, by symbol or mint.")],
    usd: Annotated[str, typer.Argument(help="Its new price in dollars.")],
) -> None:
    """Let a price jump in the running sandbox; pools and price feeds follow."""
    answer = _admin("POST", "/price", body={"token": token, "usd": usd})
    typer.echo(f"{answer['symbol']} is {answer['usd']:g} USD now")


def sandbox_speed(
    slot_ms: Annotated[int | None, typer.Option(help="Length of a slot in milliseconds, 5 to 60000.")] = None,
    market: Annotated[str | None, typer.Option(help="Market seconds per second, 0.01 to 1000000.")] = None,
) -> None:
    """Change how fast slots and prices of the running sandbox go, or show it."""
    answer = _admin("POST", "/clock", body={"slot_ms": slot_ms, "market_speed": market})
    typer.echo(f"a slot takes {answer['slot_ms']} ms, the market runs at {answer['market_speed']:g} times its speed")


def sandbox_pause(
    resume: Annotated[bool, typer.Option("--resume", help="Go on.")] = False,  # noqa: FBT002 (typer makes it a flag)
) -> None:
    """Stop the running sandbox's clock, or start it again; requests are still answered."""
    answer = _admin("POST", "/pause", body={"paused": not resume})
    typer.echo("paused" if answer["paused"] else "running")


def sandbox_fork(
    depth: Annotated[int, typer.Argument(min=1, help="How many of the newest slots to drop.")],
    reinclude: Annotated[
        float, typer.Option(min=0, max=1, help="Chance that a dropped transaction is included again.")
    ] = 0.0,
) -> None:
    """Drop the newest slots of the running sandbox, as a fork does."""
    dropped = _admin("POST", "/fork", body={"depth": depth, "reinclude": reinclude})["dropped"]
    typer.echo(f"{len(dropped)} transactions dropped")
    for signature in dropped:
        typer.echo(signature)


def _admin(
    method: str, path: str, *, body: dict[str, Any] | None = None, params: dict[str, str] | None = None
) -> dict[str, Any]:
    import httpx

    from sniperforge.config import load_settings
    from sniperforge.errors import InvalidInputError, NodeUnavailableError
    from sniperforge.sandbox.endpoints import read_endpoints

    url = read_endpoints(load_settings().home / "sandbox").admin_url
    given = None if body is None else {name: value for name, value in body.items() if value is not None}
    try:
        response = httpx.request(method, url + path, json=given, params=params, timeout=10.0)
    except httpx.TransportError as error:
        raise NodeUnavailableError(
            f"the sandbox does not answer: {error}", subject=url, fix="Look at its terminal, or start it again"
        ) from error
    answer: dict[str, Any] = response.json()
    if response.status_code != 200:
        problems = tuple(answer.get("problems", ()))
        raise InvalidInputError("; ".join(problems) or response.text, subject="sandbox", problems=problems)
    return answer
