"""The second opinion: books against chain after everything has settled, by other means than the product's.

The books are read as rows of the database, the chain as JSON of a node. `problems_of` returns sentences; none is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from solders.transaction import VersionedTransaction

from tests.faults.chain_truth import NATIVE, ChainTruth, Landing
from tests.faults.world import World

_ADVANCE_NONCE = (4).to_bytes(4, "little")
_SYSTEM_PROGRAM = "1" * 32
_SOL = "So11111111111111111111111111111111111111112"
_TABLES = ("trade_intents", "attempts", "fills", "ledger_entries", "reservations", "events")
Row = Mapping[str, Any]


def problems_of(world: World, *, undead_allowed: bool = False) -> list[str]:
    """Everything that is wrong with the settled books of a world, held against the chain.

    Args:
        world: Whose books.
        undead_allowed: A proof of death may have been wrong (a node lied), as long as that was told loudly.
    """
    tables = tables_of(world, _TABLES)
    opened = max(line["slot"] for line in tables["ledger_entries"] if line["source"] == "opening")
    with ChainTruth(world.rpc_urls[0]) as truth:
        history = truth.history(world.wallet)
        balances = truth.balances(world.wallet)
    landings = {landing.signature: landing for landing in history if landing.slot > opened}
    attempts = {row["signature"]: row for row in tables["attempts"]}
    return [
        *_strangers(landings, attempts, world.wallet),
        *_lands_once(tables, landings),
        *_attempts(tables, landings),
        *_ends(tables, landings),
        *_open_ends(tables, undead_allowed=undead_allowed),
        *_told(tables),
        *_fills(tables, landings),
        *_ledger(tables, landings, balances),
    ]


def product_says(world: World) -> list[str]:
    """What the product's own checks find: the reconciler's differences, and broken invariants."""
    with world.opened() as services:
        services.reconciler.scan(world.wallet)
        differences = [str(difference) for difference in services.reconciler.compare(world.wallet)]
        violations = [str(violation) for violation in services.invariants.check(world.wallet).violations]
    return differences + violations


def tables_of(world: World, names: Sequence[str]) -> dict[str, list[Row]]:
    """Rows of these tables of the books, as the database has them."""
    address = world.database_url or f"sqlite:///{world.home / 'books.db'}"
    engine = sqlalchemy.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            return {
                name: [dict(row._mapping) for row in connection.execute(sqlalchemy.text(f"SELECT * FROM {name}"))]  # noqa: S608 (fixed names)
                for name in names
            }
    finally:
        engine.dispose()


def _strangers(landings: Mapping[str, Landing], attempts: Mapping[str, Row], wallet: str) -> Iterator[str]:
    for signature, landing in landings.items():
        if wallet in landing.signers and signature not in attempts:
            yield f"{signature} was signed by our key, landed in slot {landing.slot}, and no attempt knows it"


def _lands_once(tables: dict[str, list[Row]], landings: Mapping[str, Landing]) -> Iterator[str]:
    landed = Counter(row["intent_id"] for row in tables["attempts"] if _swapped(row, landings))
    for intent, times in landed.items():
        if times > 1:
            yield f"{intent} landed {times} times"
    for intent in tables["trade_intents"]:
        if (intent["state"] == "filled") != (landed[intent["id"]] > 0):
            yield f"{intent['id']} is {intent['state']} and landed {landed[intent['id']]} times"


def _swapped(attempt: Row, landings: Mapping[str, Landing]) -> bool:
    landing = landings.get(attempt["signature"])
    return landing is not None and not landing.failed


def _attempts(tables: dict[str, list[Row]], landings: Mapping[str, Landing]) -> Iterator[str]:
    for attempt in tables["attempts"]:
        landing = landings.get(attempt["signature"])
        truth = "expired" if landing is None else "reverted" if landing.failed else "finalized"
        if attempt["state"] != truth:
            yield f"attempt {attempt['id']} is {attempt['state']} in the books and {truth} on the chain"
        message = VersionedTransaction.from_bytes(attempt["signed_transaction"]).message
        first = message.instructions[0]
        if (
            str(message.account_keys[first.program_id_index]) == _SYSTEM_PROGRAM
            and bytes(first.data)[:4] == _ADVANCE_NONCE
        ):
            yield f"attempt {attempt['id']} is bound to a nonce: it never expires"


def _ends(tables: dict[str, list[Row]], landings: Mapping[str, Landing]) -> Iterator[str]:
    for intent in tables["trade_intents"]:
        if intent["state"] in ("failed", "cancelled") and not intent["reason"]:
            yield f"{intent['id']} is {intent['state']} without a reason"
        numbers = sorted(row["number"] for row in tables["attempts"] if row["intent_id"] == intent["id"])
        if numbers != list(range(1, intent["attempts_made"] + 1)):
            yield f"{intent['id']} counts {intent['attempts_made']} attempts and has {numbers}"
    for attempt in tables["attempts"]:
        if attempt["signature"] in landings:
            continue
        if not attempt["death_proof"]:
            yield f"attempt {attempt['id']} is called dead without a proof"


def _open_ends(tables: dict[str, list[Row]], *, undead_allowed: bool) -> Iterator[str]:
    for intent in tables["trade_intents"]:
        if intent["state"] in ("pending", "executing"):
            yield f"{intent['id']} is still {intent['state']}"
    ended = {row["id"]: row for row in tables["attempts"]}
    for held in tables["reservations"]:
        attempt = ended[held["attempt_id"]]
        if held["released_at"] is None:
            yield f"{held['kind']} of attempt {attempt['id']} is still reserved"
        elif attempt["finalized_at"] is not None and held["released_at"] != attempt["finalized_at"]:
            yield f"{held['kind']} of attempt {attempt['id']} was released at another moment than it was settled"
    if not undead_allowed:
        yield from (f"event: {row['message']}" for row in tables["events"] if row["severity"] == "critical")


def _told(tables: dict[str, list[Row]]) -> Iterator[str]:
    dead: set[str] = set()
    in_the_air: set[tuple[str, str]] = set()
    for event in sorted(tables["events"], key=lambda row: row["id"]):
        if event["kind"] == "attempt.signed":
            in_the_air.add((event["intent_id"], event["attempt_id"]))
        elif event["kind"] in ("attempt.expired", "attempt.reverted", "attempt.finalized"):
            in_the_air.discard((event["intent_id"], event["attempt_id"]))
        elif event["kind"] in ("intent.failed", "intent.cancelled"):
            for intent, attempt in in_the_air:
                if intent == event["intent_id"]:
                    yield f"{intent} was ended ({event['kind']}) while its attempt {attempt} could still land"
        if event["kind"] == "attempt.expired":
            dead.add(event["attempt_id"])
        elif event["kind"] == "attempt.confirmed" and event["attempt_id"] in dead:
            yield f"attempt {event['attempt_id']} was proven dead, and booked as confirmed afterwards"


def _fills(tables: dict[str, list[Row]], landings: Mapping[str, Landing]) -> Iterator[str]:
    attempts = {row["signature"]: row for row in tables["attempts"]}
    fills = {row["signature"]: row for row in tables["fills"]}
    for signature, attempt in attempts.items():
        fill = fills.get(signature)
        if not _swapped(attempt, landings):
            if fill is not None and fill["state"] != "reversed":
                yield f"{signature} swapped nothing, and its fill is {fill['state']}"
            continue
        if fill is None or fill["state"] != "final":
            yield f"{signature} swapped, and its fill is {fill['state'] if fill else 'missing'}"
            continue
        yield from _fill(fill, attempt, landings[signature])


def _fill(fill: Row, attempt: Row, landing: Landing) -> Iterator[str]:
    moved = Counter(landing.change)
    moved[_SOL] += (
        moved[NATIVE]
        + fill["fee_lamports"]
        + fill["tip_lamports"]
        + fill["rent_paid_lamports"]
        - fill["rent_returned_lamports"]
    )
    for mint, raw in ((fill["input_mint"], -fill["input_raw"]), (fill["output_mint"], fill["output_raw"])):
        if moved[mint] != raw:
            yield f"{landing.signature} changed {mint} by {moved[mint]}, its fill says {raw}"
    if fill["fee_lamports"] != landing.fee:
        yield f"{landing.signature} cost {landing.fee} lamports, its fill says {fill['fee_lamports']}"
    if fill["input_raw"] > attempt["input_amount_raw"] or fill["output_raw"] < attempt["min_out_raw"]:
        yield f"{landing.signature} broke its limits: {fill['input_raw']} for {fill['output_raw']}"


def _ledger(
    tables: dict[str, list[Row]], landings: Mapping[str, Landing], balances: Mapping[str, int]
) -> Iterator[str]:
    lines = [row for row in tables["ledger_entries"] if row["state"] != "reversed"]
    yield from (f"line {row['id']} of {row['source']} is {row['state']}" for row in lines if row["state"] != "final")
    by_source: dict[str, Counter[str]] = {signature: Counter() for signature in landings}
    total: Counter[str] = Counter()
    for row in lines:
        total[row["asset"]] += row["delta_raw"]
        if row["source"] != "opening":
            by_source.setdefault(row["source"], Counter())[row["asset"]] += row["delta_raw"]
    for source, booked in by_source.items():
        change = landings[source].change if source in landings else {}
        if {asset: raw for asset, raw in booked.items() if raw} != change:
            yield f"{source} changed {change}, its lines say {dict(booked)}"
    if {asset: raw for asset, raw in total.items() if raw} != balances:
        yield f"the ledger adds up to {dict(total)}, the chain holds {dict(balances)}"
    fees = Counter(
        {row["source"]: -row["delta_raw"] for row in lines if row["kind"] == "fee" and row["asset"] == NATIVE}
    )
    for signature, landing in landings.items():
        if any(row["signature"] == signature for row in tables["attempts"]) and fees[signature] != landing.fee:
            yield f"{signature} cost {landing.fee} lamports, its fee line says {fees[signature]}"
