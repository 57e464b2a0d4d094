"""Which services a stack has, and how each is started, known to be ready, and known to be stuck."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sniperforge.config import Settings
from sniperforge.embedded.ports import HOST, PortBook, require_free
from sniperforge.embedded.redis_server import RedisServer
from sniperforge.embedded.signs_of_life import Consumption, Silence
from sniperforge.embedded.supervisor import Launch, Say, ServiceSpec
from sniperforge.errors import ConfigError
from sniperforge.ports.queue import Queue

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services

REDIS, SANDBOX, BEAT, FLOWER = "redis", "sandbox", "beat", "flower"
TRADES_WORKER, OTHERS_WORKER = "worker-trades", "worker-others"
"""Trades have processes to themselves, so that nothing else keeps them waiting. The second is `worker-trades-2`."""

FLOWER_USUAL_PORT = 5555
SANDBOX_KEY = "sandbox-pro"
"""A key that every sandbox issues (docs/guides/sandbox.md). Without one a trade every five seconds is all."""

_SANDBOX_PORTS = ("rpc", "ws", "jupiter", "admin")
_WORKER_GRACE_S = 40.0
"""A worker that drains lets each trade end its step; no task stays longer than half a minute."""
_LOOK_S = 0.3
_PASSPHRASE = ("SNIPERFORGE_WALLET_PASSPHRASE", "SNIPERFORGE_WALLET_PASSPHRASE_FILE")


@dataclass(slots=True)
class StackPlan:
    """What this stack brings with it, and where.

    Attributes:
        redis: None when the settings name one that runs elsewhere.
        sandbox_ports: By name; None on other networks, or when the settings name nodes of their own.
        brings_jupiter_key: Whether nobody said which plan of Jupiter to use, so that the sandbox's best one is.
        flower_port: Where Flower listens; it changes when somebody else has taken the port meanwhile.
    """

    home: Path
    ports: PortBook
    redis: RedisServer | None
    sandbox_ports: Mapping[str, int] | None
    brings_jupiter_key: bool
    flower_is_set: bool
    flower_port: int

    def settings(self) -> dict[str, str | int | list[str]]:
        """What others need to find it."""
        found: dict[str, str | int | list[str]] = {"flower_port": self.flower_port}
        if self.redis is not None:
            found["redis_url"] = self.redis.url.get_secret_value()
        if self.sandbox_ports is not None:
            rpc = self.sandbox_url("rpc")
            found["rpc_urls"] = [rpc, f"{rpc}/node/b"]
            found["jupiter_url"] = self.sandbox_url("jupiter")
            if self.brings_jupiter_key:
                found |= {"jupiter_plan": "pro", "jupiter_api_key": SANDBOX_KEY}
        return found

    def sandbox_url(self, name: str) -> str:
        """Where one of the sandbox's ports answers."""
        if self.sandbox_ports is None:
            raise KeyError(name)
        return f"http://{HOST}:{self.sandbox_ports[name]}"


def workers_of(settings: Settings) -> Mapping[str, tuple[Queue, ...]]:
    """Each worker process of the stack, and the queues it consumes."""
    numbered = (f"{TRADES_WORKER}-{number}" for number in range(2, settings.trade_workers + 1))
    others = tuple(queue for queue in Queue if queue is not Queue.TRADES)
    return dict.fromkeys((TRADES_WORKER, *numbered), (Queue.TRADES,)) | {OTHERS_WORKER: others}


def plan_stack(settings: Settings, say: Say) -> StackPlan:
    """Decide what to bring and where it listens.

    Args:
        settings: As they are without a running stack.
        say: Told when a usual port is taken.

    Raises:
        ConfigError: A port that was set is taken, or the settings contradict each other.
    """
    ports = PortBook(settings.run_dir)
    redis = None
    if settings.redis_url is None:
        if settings.redis_port:
            require_free(settings.redis_port, "redis_port")
        redis = RedisServer(settings.run_dir / "redis", settings.redis_port or ports.take(REDIS))
    plan = StackPlan(
        home=settings.home,
        ports=ports,
        redis=redis,
        sandbox_ports=_sandbox_ports(settings, ports),
        brings_jupiter_key=not {"jupiter_plan", "jupiter_api_key", "jupiter_api_key_file"} & settings.model_fields_set,
        flower_is_set=settings.flower_port != 0,
        flower_port=settings.flower_port,
    )
    if plan.flower_is_set:
        require_free(settings.flower_port, "flower_port")
    else:
        choose_flower_port(plan, say)
    return plan


def choose_flower_port(plan: StackPlan, say: Say) -> None:
    """The port of last time, at first the usual one, or a free one where that is taken."""
    before = plan.flower_port or plan.ports.last(FLOWER) or FLOWER_USUAL_PORT
    plan.flower_port = plan.ports.take(FLOWER, preferred=before)
    if plan.flower_port != before:
        say(f"port {before} is taken: Flower listens on {plan.flower_port}")


def _sandbox_ports(settings: Settings, ports: PortBook) -> Mapping[str, int] | None:
    if settings.network != "sandbox":
        return None
    if bool(settings.rpc_urls) != (settings.jupiter_url is not None):
        raise ConfigError(
            "one of rpc_urls and jupiter_url is set and the other is not: a chain and its exchange belong together",
            subject="network sandbox",
            fix="Set both, or neither: then `up` brings a sandbox",
        )
    return None if settings.rpc_urls else {name: ports.take(name) for name in _SANDBOX_PORTS}


def services_of(
    plan: StackPlan, services: Services, *, may_work: Callable[[], bool], may_show: Callable[[], bool], say: Say
) -> list[ServiceSpec]:
    """Every service of this stack; those that others need come first.

    Args:
        plan: What it brings.
        services: Built from the settings of the running stack.
        may_work: Whether books and wallets are ready for workers, and Redis answers.
        may_show: Whether Flower may start: last, so that it keeps no trade waiting.
        say: Told of ports that moved.
    """
    specs = [_redis(plan.redis, services)] if plan.redis is not None else []
    if plan.sandbox_ports is not None:
        specs.append(_sandbox(plan, plan.sandbox_ports, services))
    specs += [_worker(plan, name, queues, services, may_work) for name, queues in workers_of(services.settings).items()]
    specs.append(
        ServiceSpec(
            name=BEAT, launch=lambda: _ours(plan.home, "beat", keep_passphrase=False), stop_turn=0, may_start=may_work
        )
    )
    specs.append(_flower(plan, may_show, say))
    return specs


def _redis(server: RedisServer, services: Services) -> ServiceSpec:
    return ServiceSpec(
        name=REDIS,
        launch=lambda: Launch(command=server.command(), environment={"PATH": os.environ.get("PATH", os.defpath)}),
        stop_turn=3,
        is_ready=lambda _pid: server.answers(),
        stuck=Silence(server.answers, services.clock).stuck,
    )


def _sandbox(plan: StackPlan, ports: Mapping[str, int], services: Services) -> ServiceSpec:
    options = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    return ServiceSpec(
        name=SANDBOX,
        launch=lambda: _ours(plan.home, "sandbox", "--json", *options, keep_passphrase=False),
        stop_turn=2,
        is_ready=lambda pid: _sandbox_is_ready(plan.home, pid),
        stuck=Silence(lambda: _answers_http(ports["admin"], "/status"), services.clock).stuck,
    )


def _worker(
    plan: StackPlan, name: str, queues: tuple[Queue, ...], services: Services, may_work: Callable[[], bool]
) -> ServiceSpec:
    from sniperforge.shared.canary import Canary
    from sniperforge.shared.queue import connect_redis

    signs = Canary(connect_redis(services.settings, timeout_s=_LOOK_S))
    consumption = Consumption(signs, services.queue, queues, services.clock)
    return ServiceSpec(
        name=name,
        launch=lambda: _ours(plan.home, "worker", "--queues", ",".join(queues), keep_passphrase=True),
        stop_turn=1,
        grace_s=_WORKER_GRACE_S,
        may_start=may_work,
        is_ready=consumption.has_begun,
        stuck=consumption.stuck,
    )


def _flower(plan: StackPlan, may_show: Callable[[], bool], say: Say) -> ServiceSpec:
    def launch() -> Launch:
        if not plan.flower_is_set:
            choose_flower_port(plan, say)
        how = _ours(plan.home, "flower", keep_passphrase=False)
        return Launch(
            command=how.command, environment={**how.environment, "SNIPERFORGE_FLOWER_PORT": str(plan.flower_port)}
        )

    return ServiceSpec(
        name=FLOWER,
        launch=launch,
        stop_turn=0,
        may_start=may_show,
        is_ready=lambda _pid: _listens(plan.flower_port),
    )


def _ours(home: Path, *command: str, keep_passphrase: bool) -> Launch:
    """One of our own commands on this home. Only workers sign, so nobody else gets the passphrase."""
    environment = {**os.environ, "SNIPERFORGE_HOME": str(home)}
    if not keep_passphrase:
        environment = {name: value for name, value in environment.items() if name not in _PASSPHRASE}
    return Launch(command=(sys.executable, "-m", "sniperforge.cli.main", *command), environment=environment)


def _sandbox_is_ready(home: Path, pid: int) -> bool:
    """The sandbox writes its addresses when all its ports answer."""
    try:
        found = json.loads((home / "sandbox" / "endpoints.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return bool(found.get("pid") == pid)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=_LOOK_S):
            return True
    except OSError:
        return False


def _answers_http(port: int, path: str) -> bool:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(HOST, port, timeout=_LOOK_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def shown_addresses(plan: StackPlan, settings: Settings) -> dict[str, str]:
    """Where everything answers, for people: without passwords, and without keys that a provider puts into a path."""
    flower = f"http://{HOST}:{plan.flower_port}"
    redis = _host(settings.redis_url.get_secret_value()) if settings.redis_url is not None else "nowhere"
    if plan.sandbox_ports is not None:
        urls = {name: plan.sandbox_url(name) for name in _SANDBOX_PORTS}
        return {"flower": flower, "redis": redis, **urls}
    jupiter = settings.effective_jupiter_url
    nodes = ", ".join(_host(url) for url in settings.effective_rpc_urls)
    return {"flower": flower, "redis": redis, "rpc": nodes} | ({"jupiter": _host(jupiter)} if jupiter else {})


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
