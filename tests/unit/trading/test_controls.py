"""Halting and resuming: who, when, why, and what the stricter mode stops."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Signature
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.records import Attribution, KnownTransaction, Severity, TradingMode
from sniperforge.ports.store import Store
from sniperforge.trading.controls import Controls, stop_reason
from tests.fakes.clock import START, FakeClock
from tests.fakes.records import WALLET, a_wallet
from tests.fakes.store import FakeStore
from tests.fakes.trading_world import TradingWorld, raising

ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT


@pytest.fixture
def store() -> Store:
    store = FakeStore()
    with store.write() as books:
        books.wallets.add(a_wallet())
    return store


def controls(store: Store) -> Controls:
    return Controls(store=store, clock=FakeClock())


def stops(store: Store, effect: ExposureEffect) -> str | None:
    with store.read() as books:
        return stop_reason(books, WALLET, effect)


def test_nothing_is_stopped_at_first(store: Store) -> None:
    assert (stops(store, ENTRY), stops(store, EXIT)) == (None, None)


def test_a_halt_of_everything_stops_both_kinds_and_says_who_when_and_why(store: Store) -> None:
    state = controls(store).change_system(TradingMode.HALTED, reason=" tea time ", by="alice")
    assert (state.mode, state.reason, state.changed_by, state.changed_at) == (
        TradingMode.HALTED,
        "tea time",
        "alice",
        START,
    )
    for effect in (ENTRY, EXIT):
        assert stops(store, effect) == "trading is halted: tea time. `sniperforge resume` lets it go on"
    with store.read() as books:
        assert books.system.get() == state
        (event,) = books.events.recent(5)
    assert (event.kind, event.severity, event.message) == (
        "control.halted",
        Severity.WARNING,
        "trading is halted by alice: tea time",
    )


def test_reducing_stops_entries_only(store: Store) -> None:
    controls(store).change_system(TradingMode.REDUCING, reason="exits only", by="alice")
    assert stops(store, ENTRY) is not None
    assert stops(store, EXIT) is None


def test_the_stricter_of_system_and_wallet_holds(store: Store) -> None:
    controls(store).change_system(TradingMode.REDUCING, reason="exits only", by="alice")
    wallet = controls(store).change_wallet(WALLET, TradingMode.HALTED, reason="a thief", by="bob")
    assert (wallet.mode, wallet.mode_reason, wallet.mode_changed_at) == (TradingMode.HALTED, "a thief", START)
    assert stops(store, EXIT) == "wallet main is halted: a thief. `sniperforge resume main` lets it go on"


def test_resuming_one_lets_only_that_one_go_on(store: Store) -> None:
    controls(store).change_system(TradingMode.HALTED, reason="one", by="alice")
    controls(store).change_wallet(WALLET, TradingMode.HALTED, reason="two", by="alice")
    controls(store).change_system(TradingMode.ACTIVE, reason=None, by="alice")
    assert "wallet main" in (stops(store, ENTRY) or "")
    controls(store).change_wallet(WALLET, TradingMode.ACTIVE, reason=None, by="alice")
    assert stops(store, ENTRY) is None
    with store.read() as books:
        assert [event.kind for event in books.events.recent(2)] == ["control.active", "control.active"]


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_halt_needs_a_reason(store: Store, reason: str | None) -> None:
    with pytest.raises(InvalidInputError, match="reason"):
        controls(store).change_system(TradingMode.HALTED, reason=reason, by="alice")
    with pytest.raises(InvalidInputError, match="reason"):
        controls(store).change_wallet(WALLET, TradingMode.REDUCING, reason=reason, by="alice")
    assert stops(store, ENTRY) is None


def test_a_wallet_that_is_not_in_the_books_cannot_be_halted() -> None:
    with pytest.raises(InvalidInputError, match="do not know"):
        controls(FakeStore()).change_wallet(WALLET, TradingMode.HALTED, reason="x", by="alice")


def test_a_halt_does_not_lose_against_changes_of_something_else_at_the_same_time() -> None:
    world = TradingWorld()
    left = 4

    def somebody_was_quicker(place: str) -> None:
        nonlocal left
        if place == "committing" and left:
            left -= 1
            raise ConflictError("somebody changed it")

    world.points.on = somebody_was_quicker
    person = Controls(store=world.store, clock=world.clock)

    assert person.change_system(TradingMode.HALTED, reason="x", by="alice").mode is TradingMode.HALTED
    assert len(world.events("control.halted")) == 1


def test_a_halt_that_keeps_losing_says_so() -> None:
    world = TradingWorld()
    world.points.always("committing", raising(ConflictError("somebody changed it")))

    with pytest.raises(ConflictError, match="somebody changed it"):
        Controls(store=world.store, clock=world.clock).change_system(TradingMode.HALTED, reason="x", by="alice")


def test_a_wallet_that_nobody_adopted_is_stopped_by_the_system_alone() -> None:
    store = FakeStore()
    assert stops(store, ENTRY) is None
    controls(store).change_system(TradingMode.HALTED, reason="tea time", by="alice")
    assert "tea time" in (stops(store, ENTRY) or "")


def found(store: Store, name: str, attribution: Attribution, *, at: datetime) -> None:
    with store.write() as books:
        books.known_transactions.add(
            KnownTransaction(
                signature=Signature(name), wallet=WALLET, slot=1, err=None, attribution=attribution, seen_at=at
            )
        )


def asked_about(store: Store) -> list[str]:
    return [one.signature for one in controls(store).foreign_transactions(WALLET)]


def test_transactions_from_elsewhere_are_shown_and_deposits_are_not(store: Store) -> None:
    controls(store).change_wallet(WALLET, TradingMode.HALTED, reason="x", by="alice")
    for attribution in Attribution:
        found(store, attribution.value, attribution, at=START)
    assert asked_about(store) == ["foreign"]


def test_a_person_is_asked_only_about_what_was_found_since_the_wallet_was_stopped(store: Store) -> None:
    clock = FakeClock()
    person = Controls(store=store, clock=clock)
    found(store, "looked at long ago", Attribution.FOREIGN, at=clock.now())
    clock.advance(timedelta(days=1))
    person.change_wallet(WALLET, TradingMode.HALTED, reason="holidays", by="alice")
    assert asked_about(store) == []

    found(store, "new", Attribution.FOREIGN, at=clock.now())
    clock.advance(timedelta(days=1))
    found(store, "newer", Attribution.FOREIGN, at=clock.now())
    assert asked_about(store) == ["new", "newer"]

    person.change_wallet(WALLET, TradingMode.ACTIVE, reason=None, by="alice")
    assert asked_about(store) == []


def test_a_second_stop_does_not_hide_what_was_found_since_the_first(store: Store) -> None:
    clock = FakeClock()
    person = Controls(store=store, clock=clock)
    person.change_wallet(WALLET, TradingMode.REDUCING, reason="exits only", by="alice")
    found(store, "between", Attribution.FOREIGN, at=clock.now())
    clock.advance(timedelta(days=1))
    person.change_wallet(WALLET, TradingMode.HALTED, reason="everything", by="alice")
    assert asked_about(store) == ["between"]


def test_what_is_found_by_a_clock_that_was_set_back_is_asked_about_too(store: Store) -> None:
    wrong = FakeClock()
    wrong.advance(timedelta(days=1))
    Controls(store=store, clock=wrong).change_wallet(WALLET, TradingMode.HALTED, reason="x", by="alice")
    controls(store).change_wallet(WALLET, TradingMode.HALTED, reason="a thief", by="alice")
    found(store, "theft", Attribution.FOREIGN, at=START)
    assert asked_about(store) == ["theft"]


def test_of_a_wallet_that_nobody_knows_nothing_is_asked(store: Store) -> None:
    assert Controls(store=FakeStore(), clock=FakeClock()).foreign_transactions(WALLET) == ()
