"""Writers that meet: one wins, nothing blurs. Real processes and threads on real databases."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import pytest
from sqlalchemy import Engine, event

from sniperforge.domain.intent import AttemptState, ExposureEffect, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.domain.risk import ProposedTrade, RiskLimits
from sniperforge.errors import ConflictError, SniperForgeError
from sniperforge.ports.records import Reservation, ReservationKind, TradingMode
from sniperforge.storage.unit_of_work import SqlStore
from sniperforge.trading.protections import Protections
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_wallet, an_attempt, an_intent
from tests.fakes.stores import migrated_engine

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as made:
        with SqlStore(made).write() as books:
            books.wallets.add(a_wallet())
        yield made


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    return SqlStore(engine)


def outcomes(*works: Callable[[], None]) -> list[str]:
    """Run all at once; what became of each: `done`, or the name of its error."""
    start = threading.Barrier(len(works))
    results = [""] * len(works)

    def run(place: int, work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
            results[place] = "done"
        except SniperForgeError as error:
            results[place] = type(error).__name__

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_of_two_processes_that_claim_one_intent_exactly_one_wins(engine: Engine, store: SqlStore) -> None:
    intents = [an_intent(f"race-{number}") for number in range(20)]
    with store.write() as books:
        for intent in intents:
            books.intents.add(intent)
    url = engine.url.render_as_string(hide_password=False)
    command = (sys.executable, "-m", "tests.fakes.claim_race", url, *(intent.id for intent in intents))
    racers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    for racer in racers:
        assert pipe(racer.stdout).readline() == "ready\n"
    for racer in racers:
        pipe(racer.stdin).write("go\n")
        pipe(racer.stdin).flush()
    results = [racer.communicate(timeout=60)[0].split() for racer in racers]

    assert [sorted(pair) for pair in zip(*results, strict=True)] == [["lost", "won"]] * 20
    with store.read() as books:
        claimed = books.intents.in_state(IntentState.EXECUTING, 100)
    assert [intent.version for intent in claimed] == [1] * 20


def test_of_eight_threads_that_claim_one_intent_exactly_one_wins(store: SqlStore) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    def claim() -> None:
        with store.write() as books:
            books.intents.change(an_intent(), at=START, state=IntentState.EXECUTING)

    assert sorted(outcomes(*[claim] * 8)) == ["ConflictError"] * 7 + ["done"]


def test_of_threads_that_insert_a_live_attempt_exactly_one_wins(store: SqlStore) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    def insert(number: int) -> Callable[[], None]:
        def work() -> None:
            with store.write() as books:
                books.attempts.add(an_attempt(an_intent(), number))

        return work

    assert sorted(outcomes(*map(insert, range(1, 6)))) == ["ConflictError"] * 4 + ["done"]
    with store.read() as books:
        assert len(books.attempts.live(10)) == 1


def test_of_threads_that_bind_to_two_nonce_values_one_value_wins(store: SqlStore) -> None:
    """No index can say this one: the intent's row is locked before the live attempts are looked at."""
    with store.write() as books:
        books.intents.add(an_intent())

    def insert(number: int) -> Callable[[], None]:
        def work() -> None:
            with store.write() as books:
                value = f"value {number % 2}"
                books.attempts.add(
                    an_attempt(an_intent(), number, nonce_account="n", nonce_value=value, bound_block_height=None)
                )

        return work

    results = outcomes(*map(insert, range(1, 7)))

    with store.read() as books:
        live = books.attempts.live(10)
    assert len({attempt.nonce_value for attempt in live}) == 1
    assert results.count("done") == len(live) == 3


def test_two_intents_cannot_reserve_one_balance(store: SqlStore) -> None:
    """Each checks what is free under the wallet's lock: the second sees what the first took."""
    balance, wanted = 100, 60
    names = [f"spender-{number}" for number in range(4)]
    with store.write() as books:
        for name in names:
            books.intents.add(an_intent(name))

    def spend(name: str) -> Callable[[], None]:
        def work() -> None:
            attempt = an_attempt(an_intent(name))
            with store.write() as books:
                books.wallets.lock(WALLET)
                if balance - books.reservations.held_raw(WALLET, USDC) < wanted:
                    raise ConflictError("not enough is free")
                books.attempts.add(attempt)
                reservation = Reservation(
                    attempt_id=attempt.id,
                    wallet=WALLET,
                    mint=USDC,
                    kind=ReservationKind.INPUT,
                    amount_raw=wanted,
                    created_at=START,
                )
                books.reservations.add([reservation])

        return work

    assert sorted(outcomes(*map(spend, names))) == ["ConflictError"] * 3 + ["done"]
    with store.read() as books:
        assert books.reservations.held_raw(WALLET, USDC) == wanted


@pytest.mark.parametrize(
    "limits",
    [RiskLimits(spend_per_day_usd=60), RiskLimits(exposure_usd=60), RiskLimits(exposure_per_token_usd=60)],
    ids=["spend_per_day", "exposure", "exposure_per_token"],
)
def test_two_wallets_cannot_use_up_one_limit(store: SqlStore, limits: RiskLimits) -> None:
    """Whoever holds the system alone sees what the one before it signed."""
    protections = Protections(limits)
    trade = ProposedTrade(effect=ExposureEffect.ENTRY, token=WSOL_MINT, worth_usd=Decimal(40))
    wallets = [a_wallet(address=Address(f"wallet-{number}"), name=f"{number}") for number in range(4)]
    intents = [an_intent(f"spender-{wallet.name}", wallet=wallet.address) for wallet in wallets]
    with store.write() as books:
        for wallet, intent in zip(wallets, intents, strict=True):
            books.wallets.add(wallet)
            books.intents.add(intent)

    def spend(intent: TradeIntent) -> Callable[[], None]:
        def work() -> None:
            with store.write() as books:
                books.wallets.lock(intent.wallet)
                books.system.hold(alone=protections.is_shared)
                protections.require_room(books, trade, START)
                books.attempts.add(an_attempt(intent, input_amount_raw=40_000_000))

        return work

    assert sorted(outcomes(*map(spend, intents))) == ["RiskDeniedError"] * 3 + ["done"]


def test_after_a_halt_was_written_no_attempt_is_inserted(store: SqlStore) -> None:
    """Rule fence-insert: whoever holds the system's row makes the halt wait, or sees it."""
    with store.write() as books:
        books.intents.add(an_intent())
        before = books.system.get()
    holding, halted = threading.Event(), threading.Event()
    seen: list[bool] = []

    def halt() -> None:
        holding.wait(10)
        with store.write() as books:
            books.system.change(before, mode=TradingMode.HALTED, changed_at=START)
        halted.set()

    def insert() -> None:
        with store.write() as books:
            assert books.system.hold().mode is TradingMode.ACTIVE
            holding.set()
            seen.append(halted.wait(0.05))
            books.attempts.add(an_attempt(an_intent()))

    assert outcomes(halt, insert) == ["done", "done"]
    assert seen == [False], "the halt was acknowledged while an attempt was on its way into the books"
    with store.write() as books:
        assert books.system.hold().mode is TradingMode.HALTED


def test_a_locked_intent_stays_as_it_was_read(store: SqlStore) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
    locked, cancelled = threading.Event(), threading.Event()
    seen: list[bool] = []

    def cancel() -> None:
        locked.wait(10)
        with store.write() as books:
            books.intents.change(an_intent(), at=START, cancel_requested_at=START)
        cancelled.set()

    def insert() -> None:
        with store.write() as books:
            assert books.intents.lock(an_intent().id) == an_intent()
            locked.set()
            seen.append(cancelled.wait(0.05))
            books.attempts.add(an_attempt(an_intent(), state=AttemptState.SIGNED))

    assert outcomes(cancel, insert) == ["done", "done"]
    assert seen == [False]


def test_many_threads_append_without_losing_a_line(store: SqlStore) -> None:
    with store.write() as books:
        for number in range(8):
            books.intents.add(an_intent(f"busy-{number}"))

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            intent = an_intent(f"busy-{number}")
            for turn in range(10):
                with store.write() as books:
                    intent = books.intents.change(intent, at=START, attempts_made=turn)

        return run

    assert outcomes(*map(work, range(8))) == ["done"] * 8
    with store.read() as books:
        assert [intent.version for intent in books.intents.recent(10)] == [10] * 8


def test_threads_of_one_process_queue_for_sqlite_before_they_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sniperforge.storage.engine.BUSY_TIMEOUT_MS", 50)
    with migrated_engine("sqlite", tmp_path) as engine:
        store, begun = SqlStore(engine), list[str]()
        event.listen(engine, "begin", lambda _: begun.append(threading.current_thread().name))

        def write() -> None:
            with store.write():
                pass

        with store.write():
            assert outcomes(write) == ["StorageBusyError"]
        assert begun == [threading.current_thread().name]
        with pytest.raises(ZeroDivisionError), store.write():
            raise ZeroDivisionError
        assert outcomes(write, write) == ["done", "done"]
