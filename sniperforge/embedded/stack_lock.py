"""One stack per home.

The lock is held by the open file, and every child of the stack inherits that file: so it is free only when nothing of
the stack lives any more, however its supervisor ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sniperforge.errors import ConfigError
from sniperforge.ports.clock import Clock

LOCK_NAME = "stack.lock"
_LOOKS_WITHIN_S = 0.5
"""Whoever only looks whether the lock is held takes it for a moment; that is no second stack."""
_REMAINS_WITHIN_S = 10.0
"""How long the kernel may take to end the children of a supervisor that was killed."""
_POLL_S = 0.05


@contextmanager
def stack_lock(run_dir: Path, clock: Clock) -> Iterator[int]:
    """Hold the home for this stack; gives the descriptor that children inherit.

    Raises:
        ConfigError: Another stack runs on this home, or remains of one, or the folder cannot be written.
    """
    path = run_dir / LOCK_NAME
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", subject=str(run_dir), fix="Choose a home with --home"
        ) from error
    try:
        started = clock.monotonic()
        while not _try_to_lock(descriptor):
            holder = _pid_in(descriptor)
            alive = holder is not None and _is_alive(holder)
            if clock.monotonic() - started > (_LOOKS_WITHIN_S if alive else _REMAINS_WITHIN_S):
                raise _refusal(run_dir.parent, holder, alive=alive)
            clock.sleep(_POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def stack_holder(run_dir: Path) -> int | None:
    """Process id of the supervisor whose stack holds this home (it, or children it left); None if nobody does."""
    try:
        descriptor = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _try_to_lock(descriptor) else _pid_in(descriptor)
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_in(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdecimal() else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(home: Path, holder: int | None, *, alive: bool) -> ConfigError:
    if alive:
        return ConfigError(
            f"SniperForge runs on this home already (process {holder})",
            subject=str(home),
            fix="See it with `sniperforge status`, stop it with `sniperforge down`, or choose another home with --home",
        )
    return ConfigError(
        f"processes that process {holder} started still run, although it has ended",
        subject=str(home),
        fix=f"End those that `fuser '{home / 'run' / LOCK_NAME}'` names, then start again",
    )
