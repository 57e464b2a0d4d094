"""A small world in which everything is right, then one thing broken at a time: exactly that invariant is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sniperforge.domain.ids import IntentKey, attempt_id, intent_id, round_key
from sniperforge.domain.intent import Attempt, AttemptState, FillState, IntentState
from sniperforge.domain.money import MAX_RAW, WSOL_MINT, Address, Mint, Signature
from sniperforge.errors import InvalidInputError, NodeBehindError, NodeUnavailableError, ProtocolError
from sniperforge.ports.records import NATIVE_SOL, Asset, Attribution, LedgerKind
from tests.fakes.audit_world import ALLOWANCE, FEE, JUP, RENT, USDC_ACCOUNT, WSOL_ACCOUNT, AuditWorld
from tests.fakes.records import USDC, an_intent


def lived_in() -> tuple[AuditWorld, Attempt]:
    """A world with one of everything, settled; and its first trade."""
    world = AuditWorld()
    trade = world.buy_sol(25_000_000, 130_000_000, tip=1_000)
    world.sell_sol(40_000_000, 7_000_000)
    world.fail()
    world.expire()
    world.fork_away()
    world.deposit(None, 77)
    world.deposit(USDC_ACCOUNT, 33)
    world.deposit(WSOL_ACCOUNT, 3_000_000_000)
    world.buy_sol(10_000_000, 2_000_000_000)
    world.send_by_hand(1_000_000)
    world.settle()
    return world, trade


def change(world: AuditWorld, table: str, row: Any, **fields: Any) -> None:
    """Change a row as no code of ours could."""
    rows = getattr(world.store._data, table)
    rows[row] = replace(rows[row], **fields)


def line_key(source: str, asset: str, kind: LedgerKind, world: AuditWorld) -> tuple[str, str, str, LedgerKind]:
    return (source, world.wallet, asset, kind)


def test_a_world_in_which_everything_is_right_breaks_nothing() -> None:
    world, _ = lived_in()
    report = world.check()
    assert report.violations == ()
    assert report.alerts == ()
    seen = report.looked_at
    assert (seen.transactions, seen.landings, seen.in_flight) == (8, 4, 0)
    assert (seen.intents, seen.attempts, seen.fills, seen.assets) == (6, 6, 4, 4)
    assert report.slot == world.chain.head_slot - world.chain.finalize_slots
    assert "every invariant holds" in str(report)


# ---- I1
def test_i1_an_intent_that_landed_twice_is_named_although_both_are_booked() -> None:
    world = AuditWorld()
    first = world.buy_sol(1_000_000, 5_000_000)
    with world.store.read() as books:
        intent = books.intents.get(first.intent_id)
    world.buy_sol(1_000_000, 5_000_000, intent=intent)
    world.settle()
    (violation,) = world.check().violations
    assert violation.invariant == "I1"
    assert first.intent_id in str(violation)
    assert first.signature in str(violation)


# ---- I2
@pytest.mark.parametrize(
    "field",
    ["input_raw", "output_raw", "fee_lamports", "tip_lamports", "rent_paid_lamports", "rent_returned_lamports", "slot"],
)
def test_i2_a_fill_that_is_off_by_one_unit_is_named(field: str) -> None:
    world, trade = lived_in()
    fill = world.store._data.fills[trade.signature]
    change(world, "fills", trade.signature, **{field: getattr(fill, field) + 1})
    (violation,) = world.check().violations
    assert violation.invariant == "I2"
    assert trade.signature in violation.subject
    assert f"{field} is {getattr(fill, field)} and booked as {getattr(fill, field) + 1}" in violation.what


def test_i2_a_landing_without_a_fill_is_named() -> None:
    world, trade = lived_in()
    del world.store._data.fills[trade.signature]
    assert world.broken() == {"I2"}


def test_i2_a_fill_booked_twice_is_named() -> None:
    world, trade = lived_in()
    world.store._data.fills["again"] = world.store._data.fills[trade.signature]
    assert world.broken() == {"I2"}


def test_i2_a_final_fill_of_a_transaction_that_is_not_on_the_chain_is_named() -> None:
    world, trade = lived_in()
    invented = replace(world.store._data.fills[trade.signature], signature="invented")
    world.store._data.fills["invented"] = invented
    (violation,) = world.check().violations
    assert violation.invariant == "I2"
    assert "invented" in violation.what


def test_i2_a_failed_landing_whose_fee_is_not_booked_is_named_once() -> None:
    world = AuditWorld()
    failed = world.fail()
    world.settle()
    assert world.broken() == set()
    del world.store._data.ledger[line_key(failed.signature, NATIVE_SOL, LedgerKind.FEE, world)]
    (violation,) = world.check().violations
    assert violation.invariant == "I2"
    assert f"cost {FEE} lamports, of which 0 are booked" in violation.what


@pytest.mark.parametrize("state", [AttemptState.FINALIZED, AttemptState.EXPIRED])
def test_i2_a_failed_landing_whose_attempt_says_otherwise_is_named(state: AttemptState) -> None:
    world = AuditWorld()
    failed = world.fail()
    change(world, "attempts", failed.id, state=state)
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, f"the attempt is {state}" in violation.what) == ("I2", True)


def test_i2_a_failed_landing_with_a_fill_is_named() -> None:
    world, trade = lived_in()
    failed = world.fail()
    fill = replace(world.store._data.fills[trade.signature], signature=failed.signature, intent_id=failed.intent_id)
    world.store._data.fills[failed.signature] = fill
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, "swapped nothing, and has a fill" in violation.what) == ("I2", True)


def test_i2_a_fill_of_no_attempt_is_named() -> None:
    world, trade = lived_in()
    stray = replace(world.store._data.fills[trade.signature], signature=Signature("stray"), state=FillState.PROVISIONAL)
    world.store._data.fills["stray"] = stray
    (violation,) = world.check().violations
    assert (violation.invariant, "belongs to no attempt" in violation.what) == ("I2", True)


def test_a_settled_attempt_of_a_slot_after_the_one_looked_at_may_be_unknown_to_the_chain_view() -> None:
    world, _ = lived_in()
    world.buy_sol(1_000_000, 5_000_000)
    world.fail()
    assert world.check().violations == ()


def test_i2_a_dead_attempt_that_landed_is_named() -> None:
    world = AuditWorld()
    trade = world.in_flight()
    change(world, "attempts", trade.id, state=AttemptState.EXPIRED)
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, trade.signature in violation.subject) == ("I2", True)
    assert "the attempt is expired" in violation.what


def test_i2_a_settled_attempt_that_is_not_on_the_chain_is_named() -> None:
    world, _ = lived_in()
    expired = world.expire()
    change(world, "attempts", expired.id, state=AttemptState.FINALIZED)
    world.settle()
    assert world.broken() == {"I2"}


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.CONFIRMED, AttemptState.REVERTED])
def test_i2_a_booked_landing_whose_attempt_says_otherwise_is_named(state: AttemptState) -> None:
    world, trade = lived_in()
    change(world, "attempts", trade.id, state=state)
    assert world.broken() == {"I2"}


@pytest.mark.parametrize("state", [IntentState.PENDING, IntentState.EXECUTING, IntentState.PARKED])
def test_i2_a_final_fill_of_an_intent_that_is_not_filled_is_named(state: IntentState) -> None:
    world, trade = lived_in()
    change(world, "intents", trade.intent_id, state=state)
    assert world.broken() == {"I2"}


def test_i2_a_filled_intent_without_a_fill_is_named() -> None:
    world, _ = lived_in()
    expired = world.expire()
    change(world, "intents", expired.intent_id, state=IntentState.FILLED)
    world.settle()
    assert world.broken() == {"I2"}


@pytest.mark.parametrize("attribution", [None, Attribution.DEPOSIT, Attribution.OURS])
def test_i2_a_transaction_our_key_signed_and_nobody_noticed_is_named(attribution: Attribution | None) -> None:
    world = AuditWorld()
    signature = world.send_by_hand(5, attribution=attribution)
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I2", f"transaction {signature}")


# ---- I3
def test_i3_two_live_attempts_are_named() -> None:
    world = AuditWorld()
    first = world.in_flight()
    second = replace(first, id=attempt_id(first.intent_id, 2), number=2, signature=Signature("second"))
    world.store._data.attempts[second.id] = second
    world.settle()
    assert world.broken() == {"I3"}


def test_i3_live_attempts_on_one_nonce_value_are_allowed_and_on_two_are_not() -> None:
    world = AuditWorld()
    first = replace(world.in_flight(), nonce_account=USDC_ACCOUNT, nonce_value="value")
    second = replace(first, id=attempt_id(first.intent_id, 2), number=2, signature=Signature("second"))
    world.store._data.attempts |= {first.id: first, second.id: second}
    world.settle()
    assert world.broken() == set()
    change(world, "attempts", second.id, nonce_value="another")
    assert world.broken() == {"I3"}


def test_i3_an_attempt_live_beside_a_final_one_is_named() -> None:
    world, trade = lived_in()
    late = replace(
        trade, id=attempt_id(trade.intent_id, 2), number=2, signature=Signature("late"), state=AttemptState.SIGNED
    )
    world.store._data.attempts[late.id] = late
    assert world.broken() == {"I3"}


def test_i3_a_live_attempt_of_a_pending_intent_is_named() -> None:
    world = AuditWorld()
    attempt = world.expire()
    change(world, "attempts", attempt.id, state=AttemptState.SENT)
    change(world, "intents", attempt.intent_id, state=IntentState.PENDING)
    world.settle()
    assert world.broken() == {"I3"}


# ---- I4
@pytest.mark.parametrize("state", [IntentState.FAILED, IntentState.CANCELLED])
def test_i4_an_ended_intent_that_landed_is_named(state: IntentState) -> None:
    world, trade = lived_in()
    change(world, "intents", trade.intent_id, state=state)
    (violation,) = world.check().violations
    assert violation.invariant == "I4"
    assert trade.signature in violation.what


def test_i4_an_ended_intent_with_a_live_attempt_is_named() -> None:
    world, _ = lived_in()
    expired = world.expire()
    change(world, "attempts", expired.id, state=AttemptState.SENT)
    world.settle()
    assert world.broken() == {"I4"}


# ---- I5
@pytest.mark.parametrize(
    ("asset", "kind"), [(NATIVE_SOL, LedgerKind.TRADE_IN), (USDC, LedgerKind.TRADE_OUT), (NATIVE_SOL, LedgerKind.TIP)]
)
@pytest.mark.parametrize("corrupt", ["off by one", "dropped", "reversed", "provisional"])
def test_i5_a_ledger_line_that_does_not_count_what_happened_is_named(
    asset: str, kind: LedgerKind, corrupt: str
) -> None:
    world, trade = lived_in()
    key = line_key(trade.signature, asset, kind, world)
    line = world.store._data.ledger[key]
    if corrupt == "off by one":
        change(world, "ledger", key, delta_raw=line.delta_raw + 1)
    elif corrupt == "dropped":
        del world.store._data.ledger[key]
    else:
        change(world, "ledger", key, state=FillState(corrupt))
    violations = world.check().violations
    assert {violation.invariant for violation in violations} == {"I5"}
    assert all(trade.signature in violation.subject for violation in violations)


@pytest.mark.parametrize("asset", [NATIVE_SOL, USDC])
def test_i5_an_opening_that_is_off_by_one_is_named_with_what_is_unexplained(asset: str) -> None:
    world, _ = lived_in()
    key = line_key("opening", asset, LedgerKind.OPENING, world)
    change(world, "ledger", key, delta_raw=world.store._data.ledger[key].delta_raw + 1)
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", f"balance of {asset}")
    assert "explains -1 of them" in violation.what


def test_i5_provisional_lines_do_not_count_however_right_they_are() -> None:
    world = AuditWorld()
    signature = world.deposit(None, 500)
    world.settle()
    assert world.broken() == set()
    change(world, "ledger", line_key(signature, NATIVE_SOL, LedgerKind.TRANSFER_IN, world), state=FillState.PROVISIONAL)
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", f"transaction {signature}")


def test_i5_wsol_is_a_balance_of_its_own() -> None:
    world = AuditWorld()
    signature = world.deposit(WSOL_ACCOUNT, 900)
    world.settle()
    assert world.broken() == set()
    wrapped = line_key(signature, WSOL_MINT, LedgerKind.TRANSFER_IN, world)
    native = line_key(signature, NATIVE_SOL, LedgerKind.TRANSFER_IN, world)
    ledger = world.store._data.ledger
    ledger[native] = replace(ledger.pop(wrapped), asset=NATIVE_SOL, delta_raw=900 + RENT)
    assert world.broken() == {"I5"}


def test_i5_fee_and_trade_are_not_exchangeable() -> None:
    world, trade = lived_in()
    ledger = world.store._data.ledger
    for kind, raw in ((LedgerKind.FEE, -1), (LedgerKind.TRADE_IN, 1)):
        key = line_key(trade.signature, NATIVE_SOL, kind, world)
        ledger[key] = replace(ledger[key], delta_raw=ledger[key].delta_raw + raw)
    (violation,) = world.check().violations
    assert (violation.invariant, "its fee is" in violation.what) == ("I5", True)


def test_i5_a_line_of_a_transaction_that_is_not_on_the_chain_is_named() -> None:
    world, trade = lived_in()
    ledger = world.store._data.ledger
    line = ledger[line_key(trade.signature, NATIVE_SOL, LedgerKind.FEE, world)]
    ledger[line_key("invented", NATIVE_SOL, LedgerKind.FEE, world)] = replace(line, source="invented")
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", "transaction invented")


def test_i5_a_line_from_before_the_opening_is_named() -> None:
    world, trade = lived_in()
    ledger = world.store._data.ledger
    line = ledger[line_key(trade.signature, NATIVE_SOL, LedgerKind.FEE, world)]
    old = line_key("old", NATIVE_SOL, LedgerKind.FEE, world)
    ledger[old] = replace(line, source="old", slot=world.opening_slot)
    (violation,) = world.check().violations
    assert "is part of the opening balance" in violation.what


def test_i5_a_line_in_another_slot_than_its_transaction_is_named() -> None:
    world, trade = lived_in()
    key = line_key(trade.signature, NATIVE_SOL, LedgerKind.FEE, world)
    change(world, "ledger", key, slot=world.store._data.ledger[key].slot + 1)
    (violation,) = world.check().violations
    assert (violation.invariant, trade.signature in violation.subject) == ("I5", True)


def test_rent_in_a_nonce_account_is_rent_and_no_trade() -> None:
    world = AuditWorld()
    world.open_nonce()
    world.settle()
    assert world.check().violations == ()
    world.store._data.nonces.clear()
    assert world.broken() == {"I2", "I5"}


def test_i5_openings_of_two_slots_are_named() -> None:
    world = AuditWorld()
    change(world, "ledger", line_key("opening", USDC, LedgerKind.OPENING, world), slot=world.opening_slot - 1)
    world.settle()
    assert world.broken() == {"I5"}


def test_i5_money_that_came_without_any_transaction_is_named() -> None:
    world, _ = lived_in()
    world.chain.states.append((world.chain.head_slot, world.purse.pay(7)))
    world.chain.finalize()
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", f"balance of {NATIVE_SOL}")
    assert "explains 7 of them" in violation.what


# ---- I6
def test_i6_an_id_that_is_not_its_keys_is_named() -> None:
    world, trade = lived_in()
    change(world, "intents", trade.intent_id, key="cli:another")
    assert world.broken() == {"I6"}


def test_i6_one_occurrence_decided_under_two_spellings_is_named() -> None:
    world = AuditWorld()
    with world.store.write() as books:
        for key in (round_key("dca", "weekly", 7), IntentKey("dca:weekly:007")):
            books.intents.add(an_intent(wallet=world.wallet, key=key, id=intent_id(key)))
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I6", "dca:weekly:7")


def test_i6_tokens_of_people_are_not_numbers() -> None:
    world = AuditWorld()
    with world.store.write() as books:
        for name in ("7", "007"):
            books.intents.add(an_intent(name, wallet=world.wallet))
    world.settle()
    assert world.broken() == set()


def test_i6_an_attempt_whose_id_is_not_its_number_is_named() -> None:
    world, trade = lived_in()
    change(world, "attempts", trade.id, number=9)
    assert world.broken() == {"I6"}


# ---- I7
def test_i7_a_live_attempt_past_its_bound_is_an_alert_and_no_violation() -> None:
    world = AuditWorld()
    world.in_flight()
    world.chain.advance(400)
    assert world.check().alerts == ()
    world.clock.advance(ALLOWANCE + timedelta(seconds=1))
    report = world.check()
    assert report.holds
    assert len(report.alerts) == 1
    assert "is sent" in str(report.alerts[0])


def test_i7_blocks_count_and_not_seconds() -> None:
    world = AuditWorld()
    attempt = world.in_flight()
    change(world, "attempts", attempt.id, bound_block_height=1_000_000)
    world.clock.advance(timedelta(days=1))
    world.settle()
    assert world.check().alerts == ()


def test_i7_an_executing_intent_to_which_nothing_happens_is_an_alert() -> None:
    world = AuditWorld()
    with world.store.write() as books:
        books.intents.add(an_intent(wallet=world.wallet, state=IntentState.EXECUTING))
    world.settle()
    assert world.check().alerts == ()
    world.clock.advance(ALLOWANCE + timedelta(seconds=1))
    assert len(world.check().alerts) == 1


# ---- between chain and books
def test_a_landing_that_no_worker_has_seen_yet_is_in_flight_and_counted_from_the_chain() -> None:
    world, _ = lived_in()
    world.in_flight()
    world.settle()
    report = world.check()
    assert report.holds
    assert report.looked_at.in_flight == 1


def test_a_confirmed_trade_with_provisional_rows_breaks_nothing_before_and_after_it_is_final() -> None:
    world, _ = lived_in()
    world.buy_sol(3_000_000, 10_000_000, state=FillState.PROVISIONAL)
    assert world.check().looked_at.in_flight == 0
    assert world.broken() == set()
    world.settle()
    assert world.broken() == set()
    assert world.check().looked_at.in_flight == 1


def test_a_young_deposit_may_wait_to_be_booked_and_an_old_one_not() -> None:
    world = AuditWorld()
    signature = world.deposit(USDC_ACCOUNT, 41, booked=False)
    world.chain.finalize()
    report = world.check()
    assert (report.holds, report.looked_at.in_flight) == (True, 1)
    world.settle()
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", f"transaction {signature}")
    assert "is not in the ledger" in violation.what


def test_books_that_know_more_than_the_chain_view_break_nothing() -> None:
    world, _ = lived_in()
    slot = world.chain.head_slot - world.chain.finalize_slots
    world.buy_sol(1_000_000, 5_000_000)
    world.deposit(None, 5)
    report = world.check()
    assert report.holds
    assert report.slot < slot + world.chain.finalize_slots


def test_a_trade_made_while_the_chain_is_read_breaks_nothing() -> None:
    world = AuditWorld()
    world.buy_sol(1_000_000, 5_000_000)
    world.settle()
    slot = world.chain.head_slot - world.chain.finalize_slots

    def trade() -> None:
        world.buy_sol(1_000_000, 5_000_000)
        world.settle()

    world.chain.after_accounts = trade
    report = world.check()
    assert report.violations == ()
    assert (report.slot, report.looked_at.transactions, report.looked_at.attempts) == (slot, 1, 2)


def test_a_trade_made_between_the_reading_of_chain_and_books_is_no_thiefs() -> None:
    """Whichever is read first: with the books first, this trade would be on the chain and of nobody."""
    world = AuditWorld()
    world.settle()
    whats_read: list[str] = []

    def then(what: str) -> None:
        whats_read.append(what)
        if whats_read in (["opening", "chain"], ["opening", "books"]):
            world.buy_sol(1_000_000, 5_000_000)
            world.settle()

    world.chain.after_pinned = lambda: then("chain")
    world.store.after_read = lambda: then("books" if whats_read else "opening")
    assert world.check().violations == ()
    assert len(whats_read) == 3


def test_an_account_opened_while_the_chain_is_read_is_looked_under() -> None:
    world, _ = lived_in()

    def trade() -> None:
        world.deposit(WSOL_ACCOUNT, 100)
        world.settle()

    world.chain.after_accounts = trade
    report = world.check()
    assert report.holds
    assert report.slot == world.chain.head_slot - world.chain.finalize_slots


# ---- the history
def test_pages_are_turned_to_the_end() -> None:
    world, _ = lived_in()
    world.chain.page = 2
    report = world.check()
    assert report.holds
    assert report.looked_at.transactions == 8


def test_history_before_the_opening_is_left_out() -> None:
    world = AuditWorld()
    world.settle()
    world.deposit(None, 1_000, booked=False)
    world.settle()
    assert world.broken() == {"I5"}
    slot = world.chain.head_slot - world.chain.finalize_slots
    for asset in (NATIVE_SOL, USDC):
        key = line_key("opening", asset, LedgerKind.OPENING, world)
        raw = world.store._data.ledger[key].delta_raw
        change(world, "ledger", key, slot=slot, delta_raw=raw + (1_000 if asset == NATIVE_SOL else 0))
    report = world.check()
    assert (report.holds, report.looked_at.transactions) == (True, 0)


def test_a_deposit_into_a_token_account_that_was_closed_since_is_found() -> None:
    world = AuditWorld()
    signature = world.deposit(WSOL_ACCOUNT, 1_000_000, booked=False)
    world.buy_sol(1_000_000, 4_000_000)
    world.settle()
    assert WSOL_ACCOUNT not in world.purse.accounts
    violations = world.check().violations
    assert {violation.subject for violation in violations} == {f"transaction {signature}"}


def test_a_wallet_of_more_accounts_than_one_answer_takes_is_compared_at_one_slot() -> None:
    world = AuditWorld()
    mint = Mint("5oVNBeEEQvYi1cX3ir8Dx5n1P7pdxydbGF2X4TxVusJm")
    world.chain.extra = {Address(f"{number:04d}"): (mint, 2) for number in range(150)}
    opening = line_key("opening", mint, LedgerKind.OPENING, world)
    native = world.store._data.ledger[line_key("opening", NATIVE_SOL, LedgerKind.OPENING, world)]
    world.store._data.ledger[opening] = replace(native, asset=Asset(mint), delta_raw=300)
    world.buy_sol(1_000_000, 5_000_000)
    world.settle()
    slot = world.chain.head_slot - world.chain.finalize_slots

    def trade() -> None:  # after the answer with the wallet itself, before the one with its USDC
        world.buy_sol(2_000_000, 7_000_000)
        world.settle()

    world.chain.after_accounts = trade
    report = world.check()
    assert report.violations == ()
    assert (report.slot, report.looked_at.transactions, report.looked_at.attempts) == (slot, 1, 2)


def test_a_worthless_token_that_the_books_cannot_count_raises_no_alarm() -> None:
    world, _ = lived_in()
    mint = Mint("5oVNBeEEQvYi1cX3ir8Dx5n1P7pdxydbGF2X4TxVusJm")
    world.chain.extra = {Address("spam"): (mint, MAX_RAW + 1)}
    report = world.check()
    assert (report.violations, report.looked_at.uncountable) == ((), 1)
    world.chain.extra = {Address("spam"): (mint, MAX_RAW)}
    assert world.broken() == {"I5"}


def test_a_node_that_forgot_is_no_reason_to_accuse_the_books() -> None:
    world, _ = lived_in()
    world.chain.nodes[0].remembers_slots = 10
    with pytest.raises(NodeUnavailableError, match="forgotten transactions"):
        world.check()


def test_what_a_node_forgot_is_told_from_what_is_in_flight() -> None:
    world = AuditWorld()
    world.buy_sol(1_000_000, 4_000_000)
    world.settle()
    world.in_flight()
    world.chain.finalize()
    assert world.check().looked_at.in_flight == 1
    world.chain.nodes[0].remembers_slots = 100
    with pytest.raises(NodeUnavailableError, match="forgotten transactions"):
        world.check()


def test_nothing_is_called_missing_from_a_history_that_is_not_whole() -> None:
    world, _ = lived_in()
    world.chain.nodes[0].remembers_slots = 10
    for asset in (NATIVE_SOL, USDC, JUP):
        key = line_key("opening", asset, LedgerKind.OPENING, world)
        opening = world.store._data.ledger[line_key("opening", NATIVE_SOL, LedgerKind.OPENING, world)]
        opening = world.store._data.ledger.get(key, replace(opening, asset=Asset(asset), delta_raw=0))
        world.store._data.ledger[key] = replace(opening, delta_raw=opening.delta_raw + 1)
    subjects = {violation.subject for violation in world.check().violations}
    assert subjects == {f"balance of {asset}" for asset in (NATIVE_SOL, USDC, JUP)}


def test_a_node_that_lists_what_it_does_not_have_cannot_be_asked() -> None:
    world, trade = lived_in()
    world.chain.lost.add(trade.signature)
    with pytest.raises(NodeUnavailableError, match="does not have it"):
        world.check()


def test_an_answer_without_the_chains_clock_makes_no_sense() -> None:
    world, _ = lived_in()
    world.chain.has_clock = False
    with pytest.raises(ProtocolError, match="no clock"):
        world.check()


def test_an_account_that_is_somebody_elses_now_is_not_counted() -> None:
    world, _ = lived_in()
    assert WSOL_ACCOUNT not in world.purse.accounts
    world.chain.taken_over[WSOL_ACCOUNT] = (WSOL_MINT, 5)
    assert world.check().violations == ()


def test_what_a_pool_holds_is_not_ours() -> None:
    world, trade = lived_in()
    landed = world.chain.landed[trade.signature]
    pool = replace(landed.pre_tokens[0], account=WSOL_ACCOUNT, owner=Address("pool"))
    world.chain.landed[trade.signature] = replace(landed, pre_tokens=(*landed.pre_tokens, pool))
    assert world.check().violations == ()


def test_i5_an_opening_has_opening_lines_only() -> None:
    world, _ = lived_in()
    ledger = world.store._data.ledger
    line = ledger[line_key("opening", USDC, LedgerKind.OPENING, world)]
    ledger[line_key("opening", USDC, LedgerKind.TRANSFER_IN, world)] = replace(line, kind=LedgerKind.TRANSFER_IN)
    (violation,) = world.check().violations
    assert (violation.invariant, violation.subject) == ("I5", "source opening")


def test_a_token_balance_without_owner_makes_no_sense() -> None:
    world, trade = lived_in()
    landed = world.chain.landed[trade.signature]
    nameless = tuple(replace(balance, owner=None) for balance in landed.pre_tokens)
    world.chain.landed[trade.signature] = replace(landed, pre_tokens=nameless)
    with pytest.raises(ProtocolError, match="no owner"):
        world.check()


def test_a_node_that_has_not_finalized_the_opening_cannot_be_asked() -> None:
    world = AuditWorld()
    world.chain.nodes[0].lag_slots = 5
    with pytest.raises(NodeBehindError, match="the books open at"):
        world.check()


def test_a_wallet_without_an_opening_balance_cannot_be_checked() -> None:
    world = AuditWorld()
    world.store._data.ledger.clear()
    with pytest.raises(InvalidInputError, match="no opening balance"):
        world.check()


def test_a_violation_is_one_line_that_says_what_which_and_what_to_do() -> None:
    world, trade = lived_in()
    change(world, "intents", trade.intent_id, state=IntentState.FAILED)
    lines = str(world.check()).splitlines()
    assert len(lines) == 2
    assert "1 violations" in lines[0]
    assert lines[1].startswith(f"I4 intent {trade.intent_id}: it is failed, yet attempt 1 landed ({trade.signature}). ")
