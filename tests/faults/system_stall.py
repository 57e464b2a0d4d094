"""What stands still when a seed of the running system does not settle, told so that nobody has to guess."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence

import redis

from sniperforge.bootstrap import Services
from sniperforge.domain.intent import IntentState
from sniperforge.errors import SniperForgeError
from sniperforge.ports.queue import Queue
from sniperforge.shared.canary import Canary
from sniperforge.shared.clock import SystemClock
from tests.fakes.redis_server import RedisServer
from tests.faults.crew import Worker, state_of
from tests.faults.wiretap import BEAT_LOCK, PREFIX

TELL_STACKS = signal.SIGUSR2
"""Makes a program write the stack of each thread to its log, even one that waits in C."""

_STACKS_WITHIN_S = 1.0
_FEW = 20
_OPEN = (IntentState.PENDING, IntentState.EXECUTING)


def explained(programs: Sequence[Worker], server: RedisServer, services: Services) -> list[str]:
    """Queues, beat, signs of life, programs, open trades and the machine's load as they are now, a line each.

    The stacks of the programs are in their logs then.
    """
    load = f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return [load, *_redis(server, services), *_programs(programs), *_trades(services)]


def _redis(server: RedisServer, services: Services) -> Iterator[str]:
    now = SystemClock().now().timestamp()  # beat's schedule knows no clock of the world
    try:
        with server.client() as client:
            depths = {str(queue): client.llen(f"{PREFIX}{queue}") for queue in Queue}
            yield f"queues: {depths}, {client.hlen(f'{PREFIX}unacked')} taken and not acknowledged"
            yield f"lock of beat: {client.get(BEAT_LOCK)}, for {client.pttl(BEAT_LOCK)} ms"
            due = [at - now for _, at in client.zrange(f"{PREFIX}beat::schedule", 0, -1, withscores=True)]
            yield f"schedule: {len(due)} entries" + (f", the next one due in {min(due):.1f} s" if due else "")
            world = services.clock.now()
            for queue in Queue:
                heard = {
                    name: f"{(world - at).total_seconds():.0f} s" for name, at in Canary(client).heard(queue).items()
                }
                yield f"heard on {queue}, in seconds of the world ago: {heard}"
    except (redis.RedisError, SniperForgeError) as error:
        yield f"Redis does not answer: {error!r}"


def _programs(programs: Sequence[Worker]) -> Iterator[str]:
    for program in programs:
        program.signal(TELL_STACKS)
    time.sleep(_STACKS_WITHIN_S)
    for program in programs:
        alive = f"alive, {state_of(program.pid)}" if program.alive else f"ended with {program.exit_code}"
        yield f"{program.order.name} (process {program.pid}): {alive}; its stacks are in its log"


def _trades(services: Services) -> Iterator[str]:
    now = services.clock.now()
    try:
        with services.store.read() as books:
            trades = [intent for state in _OPEN for intent in books.intents.in_state(state, _FEW)]
    except SniperForgeError as error:
        yield f"the books do not answer: {error!r}"
        return
    for intent in trades[:_FEW]:
        due = (intent.next_attempt_at - now).total_seconds()
        lease = "free" if intent.lease_until is None else f"held by {intent.lease_owner}"
        yield f"{intent.id}: {intent.state}, due in {due:.0f} s, {lease}, {intent.attempts_made} attempts"
