"""Becomes a command that the kernel ends when the process which started it ends, however that ends.

A supervisor that is killed by SIGKILL can clean up nothing, so its children ask the kernel for it (Linux:
PR_SET_PDEATHSIG in prctl(2), which outlives execve). SIGKILL, because a child that is stopped, or hangs, must not
outlive it either; whatever they were at, the books carry it on. Where the kernel cannot do this, children that are
left over hold the stack's lock, and the next start says so.

Run by path and isolated (`python -I -S`), so that it costs milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """`tether.py PARENT COMMAND...`: PARENT is the process id of whoever starts this."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != int(parent):
        sys.exit("whoever started this has ended meanwhile")
    os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
