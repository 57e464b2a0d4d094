"""Listens to everything that is said to a Redis: messages may carry ids and nothing else, and no key may be in it.

It hears each command when it is carried out (`MONITOR`), so nothing escapes by being taken from a queue quickly.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from solders.keypair import Keypair

from sniperforge.ports.queue import Queue, TaskName
from tests.fakes.redis_server import RedisServer

PREFIX = "sniperforge:"
BEAT_LOCK = f"{PREFIX}beat::lock"
REMEMBERED = 200
"""So many messages can be sent again later."""

_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|.)")
_NAMED_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b"}
_HEADERS = frozenset(
    {"lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id"}
    | {"parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamps"}
    | {"stamped_headers", "celery_beat_task", "redelivered"}
)
_EMPTY = frozenset({"shadow", "eta", "group", "group_index", "stamps", "stamped_headers"})
_TAKES = {
    TaskName.ADVANCE_TRADE: re.compile(r"[a-z2-7]{24}"),
    TaskName.RUN_PLAN: re.compile(r"plan-[0-9a-z-]{1,20}"),
    TaskName.SING_CANARY: re.compile("|".join(Queue)),
}
"""What the one argument of a task looks like; every other task takes none. (Plans of this driver are called so.)"""


@dataclass(frozen=True)
class Heard:
    """A message on its way to a queue, as it stands in Redis."""

    queue: Queue
    raw: str
    at: float


class Wiretap:
    """One listener, in a thread of its own, from `start` to `stop`. A Redis that goes away is waited for.

    It remembers the newest messages, every id that was rung for, and by its token each beat that asked for the lock.

    Args:
        server: What it listens to.
        secrets: Texts that must never be said, by their names.
    """

    def __init__(self, server: RedisServer, secrets: Mapping[str, str]) -> None:
        self.messages: deque[Heard] = deque(maxlen=REMEMBERED)
        self.counted = 0
        self.ids: set[str] = set()
        self.asked_for_beat_lock: set[str] = set()
        self._problems: dict[str, None] = {}
        self._forged: set[str] = set()
        self._server = server
        self._secrets = secrets
        self._over = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="wiretap", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        assert self._listening.wait(10), "Redis lets nobody listen"

    def stop(self) -> list[str]:
        """Listen no more; what was said and must not be."""
        if not self._thread.is_alive():
            return [*self._problems, "the wiretap broke"]
        self._over.set()
        with self._server.client() as client:
            client.ping()  # it hears this, and ends
        self._thread.join(10)
        return list(self._problems)

    def forgive(self, mark: str) -> None:
        """Whatever this word is in is a forgery of ours, or is said of one."""
        self._forged.add(mark)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                with self._server.client() as client, client.monitor() as monitor:
                    self._listening.set()
                    while not self._over.is_set():
                        self._hear(str(monitor.connection.read_response()))
            except (redis.RedisError, OSError):
                time.sleep(0.02)
            except (ValueError, LookupError, TypeError) as error:
                self._problems[f"something was said that is no message: {error!r}"] = None

    def _hear(self, line: str) -> None:
        if any(mark in line for mark in list(self._forged)):
            return
        words = [_plain(word) for word in _ARGUMENT.findall(line.partition("] ")[2])]
        if not words:
            return
        self._hold_against_secrets(" ".join(words))
        queue = words[1].removeprefix(PREFIX) if len(words) > 2 else ""
        if words[0].upper() == "LPUSH" and queue in set(Queue):
            self.counted += 1
            self.messages.append(Heard(Queue(queue), words[2], time.monotonic()))
            self._problems.update(dict.fromkeys(self._wrong_with(json.loads(words[2]))))
        elif words[0].upper() == "SET" and words[1] == BEAT_LOCK:
            self.asked_for_beat_lock.add(words[2])
        elif words[0].upper() == "PUBLISH":
            self._hold_against_secrets(_body(json.loads(words[2])))

    def _wrong_with(self, message: dict[str, Any]) -> list[str]:
        headers = message["headers"]
        body = _body(message)
        self._hold_against_secrets(body)
        arguments, options, rest = json.loads(body)
        task = headers["task"]
        wanted = _TAKES.get(task)
        problems = []
        if wanted is None:
            if arguments:
                problems.append(f"a message of {task} carries {arguments}")
        elif len(arguments) != 1 or not isinstance(arguments[0], str) or not wanted.fullmatch(arguments[0]):
            problems.append(f"a message of {task} carries {arguments} and not one id")
        else:
            self.ids.add(arguments[0])
        if options or any(value for name, value in rest.items() if name != "chord" or value):
            problems.append(f"a message of {task} carries {options} and {rest}")
        if headers["argsrepr"] not in (repr(tuple(arguments)), repr(arguments)) or headers["kwargsrepr"] != "{}":
            problems.append(f"a message of {task} shows {headers['argsrepr']} and {headers['kwargsrepr']}")
        more = sorted(name for name in headers if name not in _HEADERS or (name in _EMPTY and headers[name]))
        if more:
            problems.append(f"a message of {task} carries {more} in its headers")
        return problems

    def _hold_against_secrets(self, text: str) -> None:
        for name, secret in self._secrets.items():
            if secret in text:
                self._problems[f"{name} was said to Redis"] = None


def spellings(key: Keypair, passphrase: str) -> dict[str, str]:
    """How a key could be written, and its passphrase."""
    both, seed = bytes(key), bytes(key)[:32]
    return {
        "the key as bytes": seed.decode("latin-1"),
        "the key in hex": seed.hex(),
        "the key in base58": str(key),
        "the key in base64": base64.b64encode(both).decode()[:40],
        "the key as numbers": ", ".join(map(str, seed)),
        "the key as JSON": ",".join(map(str, seed)),
        "the passphrase": passphrase,
    }


def _plain(word: str) -> str:
    def unescaped(found: re.Match[str]) -> str:
        escape = found[1]
        if len(escape) == 3:
            return chr(int(escape[1:], 16))
        return _NAMED_ESCAPES.get(escape, escape)

    return _ESCAPE.sub(unescaped, word)


def _body(message: dict[str, Any]) -> str:
    return base64.b64decode(message["body"]).decode()
