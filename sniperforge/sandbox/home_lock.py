"""One sandbox per home."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sniperforge.errors import ConfigError


@contextmanager
def home_lock(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process; the kernel lets go of it however the process ends.

    Raises:
        ConfigError: Another sandbox holds it, or it cannot be written.
    """
    path = state_dir / "lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", subject=str(state_dir), fix="Choose a home with --home"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise ConfigError(
                f"a sandbox is running on this home already (process {holder})",
                subject=str(state_dir.parent),
                fix="Use that one, stop it, or choose another home with --home",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
