"""Child processes: each in a session of its own, its output in a file, ended with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_LAST_WORDS_LINES = 6
_LAST_WORDS_BYTES = 8_192
MAX_OUTPUT_BYTES = 5_000_000
"""A longer output file starts anew; one older part is kept. (What matters is in the home's log as well.)"""


class ChildProcess:
    """One run of a command. Its standard output and error go to `output`, standard input is empty.

    Start it from a thread that lives as long as the program: Linux ties a child to the *thread* that started it.

    Args:
        command: Program and arguments; no secrets, since everybody may read them.
        environment: All of its environment.
        output: File that is appended to; readable by its owner only.
        inherited: Open file descriptors that the child keeps.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], output: Path, *, inherited: Sequence[int] = ()
    ) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self._output = output
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._spoken_from = os.fstat(descriptor).st_size
            self._process = subprocess.Popen(  # noqa: S603 (our own command lines)
                [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # Ctrl-C at the terminal is the supervisor's alone
                pass_fds=tuple(inherited),
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        """SIGTERM: drain and end."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, to everything in its session."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """The last lines that this run wrote, empty if it wrote none."""
        with self._output.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._spoken_from, end), end - _LAST_WORDS_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LAST_WORDS_LINES:])

    def shorten_output(self) -> None:
        """Keep the output file from growing for ever."""
        if self._output.stat().st_size > MAX_OUTPUT_BYTES:
            # The child appends, so after the cut it writes from the beginning; the odd line between is lost.
            shutil.copyfile(self._output, self._output.with_suffix(self._output.suffix + ".1"))
            os.truncate(self._output, 0)
            self._spoken_from = 0


def in_words(exit_code: int) -> str:
    """An exit code as people say it."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
