"""A person at a terminal: runs a command in a pseudo-terminal and answers its prompts."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed (both streams, as a person sees them)."""

    status: int
    text: str


def sniperforge(*arguments: str) -> list[str]:
    """The command line of a `sniperforge` command."""
    return [sys.executable, "-m", "sniperforge.cli.main", *arguments]


def run_at_terminal(
    command: Sequence[str],
    environment: Mapping[str, str],
    answers: Sequence[tuple[str, str]],
    *,
    within_s: float = 30,
    folder: Path | None = None,
) -> Outcome:
    """Run a command, in this folder if one is given, and type each answer when its prompt appears, in order."""
    primary, secondary = pty.openpty()
    text = ""
    unanswered = list(answers)
    deadline = time.monotonic() + within_s
    with subprocess.Popen(
        command,
        pass_fds=(secondary,),
        env=dict(environment),
        cwd=folder,
        # Prompts that hide what is typed ask the controlling terminal, so the command needs one of its own.
        preexec_fn=lambda: os.login_tty(secondary),  # noqa: PLW1509 (tests that use it run no threads)
    ) as process:
        os.close(secondary)
        seen = 0
        try:
            while time.monotonic() < deadline:
                ready, _, _ = select.select([primary], [], [], 0.05)
                if ready:
                    try:
                        chunk = os.read(primary, 4096)
                    except OSError:  # Linux's way to say that the other end is closed
                        break
                    if not chunk:
                        break
                    text += chunk.decode(errors="replace")
                if unanswered and unanswered[0][0] in text[seen:]:
                    seen = len(text)
                    os.write(primary, unanswered.pop(0)[1].encode() + b"\n")
            else:
                process.kill()
                raise AssertionError(f"no end within {within_s} s; so far:\n{text}")
            return Outcome(process.wait(timeout=10), text)
        finally:
            os.close(primary)
