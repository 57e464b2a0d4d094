"""A process that claims intents as fast as it can: `python -m tests.fakes.claim_race URL ID...`.

It reads every intent, says `ready`, waits for a line, then tries to claim each and prints who won it.
"""

from __future__ import annotations

import sys

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import IntentState
from sniperforge.errors import ConflictError
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START


def main(url: str, ids: list[IntentId]) -> None:
    """Race."""
    store = SqlStore(create_engine_for(url))
    with store.read() as books:
        intents = [intent for intent in map(books.intents.get, ids) if intent is not None]
    print("ready", flush=True)
    sys.stdin.readline()
    for intent in intents:
        try:
            with store.write() as books:
                books.intents.change(intent, at=START, state=IntentState.EXECUTING)
            print("won", flush=True)
        except ConflictError:
            print("lost", flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], [IntentId(name) for name in sys.argv[2:]])
