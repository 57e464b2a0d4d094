"""A chain in a process of its own, for tests that kill it: says what was confirmed, line by line, until it dies."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tests.fakes.chain_lab import ChainLab


def main(path: Path) -> None:
    """Land one payment per slot for ever; print each once it is confirmed, with the heights and bob's balance."""
    lab = ChainLab(path)
    waiting: list[str] = []
    for number in count(1):
        waiting.append(lab.land(lab.payment(number)).signature)
        lab.tick()
        while waiting:
            status = lab.chain.status(waiting[0], search_history=False)
            if status is None or status.commitment == "processed":
                break
            bob = lab.chain.account(lab.bob.pubkey(), "confirmed")
            facts = (waiting.pop(0), lab.chain.head_slot(), lab.chain.height_at("confirmed"), bob and bob.lamports)
            sys.stdout.write(" ".join(map(str, facts)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
