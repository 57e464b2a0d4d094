"""What `doctor` looks at in a running system: queue, workers, beat, plans, limits, disk and clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sniperforge.cli.findings import Finding, Verdict
from sniperforge.errors import ProtocolError, SniperForgeError

if TYPE_CHECKING:
    from redis import Redis

    from sniperforge.bootstrap import Services
    from sniperforge.config import Settings
    from sniperforge.domain.money import Address
    from sniperforge.ports.plans import Plan

PILED_UP = 200
"""More messages than this in one queue are more than its workers get through."""

LATE_AFTER = timedelta(seconds=60)
SKEW_NOTED, SKEW_REFUSED = timedelta(seconds=15), timedelta(seconds=60)
"""The chain's clock is a vote of its validators and may be some seconds off by itself."""

LITTLE_SPACE_MB, NO_SPACE_MB = 1_024, 100
_MB = 1_048_576
_UNIX_TIMESTAMP = slice(32, 40)
"""Where the Clock sysvar keeps its time, little-endian (docs.anza.xyz/runtime/sysvars)."""


def stack(services: Services) -> Iterator[Finding]:
    """Whether a stack runs on this home, and what one that was killed left behind."""
    from sniperforge.config import STACK_NAME
    from sniperforge.embedded.stack_lock import stack_holder

    settings = services.settings
    holder = stack_holder(settings.run_dir)
    left = settings.home / STACK_NAME
    if holder is not None:
        yield Finding("stack", "ok", f"`sniperforge up` runs here (process {holder})")
    elif left.exists():
        yield Finding(
            "stack",
            "fail",
            f"a stack was killed, and commands still look for it where {left} says",
            "Start it again with `sniperforge up`, or remove that file",
        )
    elif settings.redis_url is None:
        yield Finding(
            "stack", "warn", "no stack runs on this home: trades run with --inline only", "Start one: `sniperforge up`"
        )
    else:
        yield Finding("stack", "ok", "redis_url is set: workers are started elsewhere")


def queue(services: Services) -> Iterator[Finding]:
    """Redis: reachable, closed to others, kept on disk; and how much waits in it."""
    from redis import RedisError

    from sniperforge.shared.queue import connect_redis, unavailable

    if services.settings.redis_url is None:
        return
    with connect_redis(services.settings) as redis:
        try:
            version = _answers(redis)
            yield from _kept(redis)
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
    if _is_open(services.settings):
        yield Finding("queue", "fail", "Redis lets anybody in", "Set a password: `requirepass` in its configuration")
    depths = services.queue.depths()
    piled = ", ".join(f"{name} {depth}" for name, depth in depths.items() if depth > PILED_UP)
    waiting = ", ".join(f"{name} {depth}" for name, depth in depths.items())
    if piled:
        yield Finding("queue", "warn", f"messages pile up: {piled}", "Start more workers for these queues")
    yield Finding("queue", "ok", f"Redis {version} answers; waiting: {waiting}")


def _answers(redis: Redis) -> str:
    told = redis.info("server")
    return str(told["redis_version"]) if isinstance(told, dict) else "?"


def _kept(redis: Redis) -> Iterator[Finding]:
    """Bells may be lost, so this costs time and no trades: the sweep rings again."""
    told = redis.info("persistence")
    if isinstance(told, dict) and not told.get("aof_enabled"):
        yield Finding(
            "queue",
            "warn",
            "Redis forgets everything when it ends: trades wait for the sweep then",
            "Set `appendonly yes` in its configuration",
        )


def _is_open(settings: Settings) -> bool:
    """Whether somebody without the password is let in."""
    from urllib.parse import urlsplit, urlunsplit

    from pydantic import SecretStr
    from redis import AuthenticationError, RedisError

    from sniperforge.shared.queue import connect_redis, redis_address

    parts = urlsplit(redis_address(settings))
    stranger = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    with connect_redis(settings.model_copy(update={"redis_url": SecretStr(stranger)})) as redis:
        try:
            redis.ping()
        except AuthenticationError:
            return False
        except (RedisError, OSError):
            # It answered a moment ago to who has the password; to others it does not.
            return False
    return True


def workers(services: Services) -> Iterator[Finding]:
    """Every queue has a worker that was heard lately."""
    from sniperforge.ports.queue import Queue
    from sniperforge.shared.canary import SILENT_AFTER, Canary
    from sniperforge.shared.queue import connect_redis

    if services.settings.redis_url is None:
        return
    now = services.clock.now()
    with connect_redis(services.settings) as redis:
        heard = {name: Canary(redis).heard(name) for name in Queue}
    silent: list[str] = []
    living: set[str] = set()
    for name, signs in heard.items():
        fresh = {worker for worker, at in signs.items() if now - at <= SILENT_AFTER}
        living |= fresh
        if not fresh:
            newest = max(signs.values(), default=None)
            since = "ever" if newest is None else f"for {(now - newest).total_seconds():.0f} s"
            silent.append(f"{name} (nobody heard {since})")
    if silent:
        yield Finding(
            "workers",
            "fail",
            f"no worker consumes {', '.join(silent)}",
            "`sniperforge up` starts them; or `sniperforge worker --queues ...`, and look at `sniperforge logs`",
        )
    if living:
        yield Finding("workers", "ok", f"{len(living)} at work: {', '.join(sorted(living))}")


def beat(services: Services) -> Iterator[Finding]:
    """Somebody holds beat's lock, so what is due is rung for."""
    from redis import RedisError

    from sniperforge.shared.queue import beat_settings, connect_redis, unavailable

    if services.settings.redis_url is None:
        return
    lock = f"{beat_settings(services.settings)['redbeat_key_prefix']}:lock"
    with connect_redis(services.settings) as redis:
        try:
            held = redis.exists(lock)
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
    if held:
        yield Finding("beat", "ok", "beat holds its lock: what is due is rung for")
    else:
        yield Finding(
            "beat",
            "fail",
            "no beat runs: plans stand still, and trades whose bell was lost wait",
            "`sniperforge up` starts it; or `sniperforge beat`",
        )


def plans(services: Services) -> Iterator[Finding]:
    """Active plans: when each runs next, and whether workers can sign for it."""
    from sniperforge.ports.plans import PlanState

    with services.store.read() as books:
        active = [plan for plan in books.plans.every() if plan.status is PlanState.ACTIVE]
        names = {wallet.address: wallet.name for wallet in books.wallets.all()}
    now = services.clock.now()
    for wallet in dict.fromkeys(plan.wallet for plan in active):
        why = locked(services, wallet)
        if why is not None:
            yield Finding(
                "plans",
                "fail",
                f"workers cannot sign for wallet {names.get(wallet, wallet)}: {why}",
                "Set SNIPERFORGE_WALLET_PASSPHRASE_FILE (mode 0600) for the workers, or pause its plans",
            )
    for plan in active:
        yield _next_run(plan, now)


def locked(services: Services, wallet: Address) -> str | None:
    """Why workers with these settings cannot sign for a wallet; None if they can, or need not. Nobody is asked."""
    settings = services.settings
    if not services.on_paper and settings.wallet_passphrase is None and settings.wallet_passphrase_file is None:
        return "no passphrase is set"
    try:
        services.wallets.unlock(wallet)
    except SniperForgeError as error:
        return error.what
    return None


def _next_run(plan: Plan, now: datetime) -> Finding:
    if plan.next_due_at is None:
        return Finding("plans", "ok", f"{plan.id} has no further round")
    late = now - plan.next_due_at
    due = f"{plan.next_due_at:%Y-%m-%d %H:%M:%S} UTC"
    if late > LATE_AFTER:
        return Finding(
            "plans",
            "warn",
            f"{plan.id} is late: it was due at {due}",
            f"See `workers` and `beat` above, and `sniperforge strategy-show {plan.id}`",
        )
    return Finding("plans", "ok", f"{plan.id} runs next at {due}")


def limits(services: Services) -> Iterator[Finding]:
    """What may be spent at most."""
    settings = services.settings
    if settings.mode == "paper":
        yield Finding("limits", "ok", "mode paper: nothing is signed or sent")
        return
    most = [
        f"{amount} USD {per}"
        for amount, per in (
            (settings.max_spend_per_trade_usd, "per entry"),
            (settings.max_spend_per_day_usd, "in 24 hours"),
        )
        if amount is not None
    ]
    if most:
        yield Finding("limits", "ok", f"entries may spend at most {' and '.join(most)}")
    else:
        yield Finding("limits", "ok", f"no spend limits are set; {settings.network} needs none")


def disk(services: Services) -> Iterator[Finding]:
    """Books and logs need space: a trade whose books cannot be written is not signed."""
    import shutil

    yield space(shutil.disk_usage(services.settings.home).free // _MB)


def space(free_mb: int) -> Finding:
    """What so much free space means."""
    verdict: Verdict = "ok"
    if free_mb < LITTLE_SPACE_MB:
        verdict = "fail" if free_mb < NO_SPACE_MB else "warn"
    fix = "" if verdict == "ok" else "Make room: without any nothing is signed"
    return Finding("disk", verdict, f"{free_mb:,} MB are free for the home", fix)


def clock(services: Services) -> Iterator[Finding]:
    """This machine's clock against the chain's: prices are judged by it, and plans run by it."""
    from sniperforge.trading.holdings import CLOCK_SYSVAR

    (account,) = services.chain.accounts([CLOCK_SYSVAR])
    if account is None:
        raise ProtocolError("the node knows no clock", subject="clock", fix="Use another RPC provider")
    chain_s = int.from_bytes(account.data[_UNIX_TIMESTAMP], "little", signed=True)
    ahead = timedelta(seconds=services.clock.now().timestamp() - chain_s)
    seconds = ahead.total_seconds()
    told = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the chain's"
    if abs(ahead) > SKEW_NOTED:
        verdict: Verdict = "fail" if abs(ahead) > SKEW_REFUSED else "warn"
        yield Finding(
            "clock",
            verdict,
            f"this machine's clock is {told}: prices will count as stale or as from the future",
            "Set it right (NTP); if it is right, the node is behind: see `rpc` above",
        )
    else:
        yield Finding("clock", "ok", f"this machine's clock is {told}")
