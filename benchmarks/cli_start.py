"""How long `sniperforge --help` takes, beside a bare Python start in the same run.

.venv/bin/python benchmarks/cli_start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
TARGET_S = 0.4


def median_s(command: list[str]) -> float:
    """Median wall-clock seconds of a command, after one warm-up."""
    taken = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def main() -> int:
    """Print both medians; exit 1 when the target is missed."""
    program = str(Path(sys.executable).with_name("sniperforge"))
    bare = median_s([sys.executable, "-c", "pass"])
    ours = median_s([program, "--help"])
    print(f"python -c pass       {bare:6.3f} s (baseline)")
    print(f"sniperforge --help   {ours:6.3f} s (target under {TARGET_S} s), median of {RUNS}")
    return 0 if ours < TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
