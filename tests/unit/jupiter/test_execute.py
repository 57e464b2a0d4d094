"""`/execute`: its codes are hints, and everything but a whole answer is an unknown outcome."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from sniperforge.errors import ExecuteOutcomeUnknownError, RateLimitedError
from sniperforge.ports.exchange import ExecuteAnswer, ExecuteHint
from sniperforge.shared.jupiter.execute_codes import EXECUTE_CODES, PROGRAM_ERRORS, code_meaning
from sniperforge.shared.jupiter.rate_limit import PlanLimits
from tests.fakes.jupiter_http import GATEWAY_ID, KEY, Answer, answer, jupiter
from tests.fakes.jupiter_json import execute_json

SIGNED = b"signed transaction"


def executed(*answers: Answer) -> ExecuteAnswer:
    with jupiter(*answers) as (client, _):
        return client.execute(SIGNED, "order-1", 321_000_150)


def unknown(*answers: Answer) -> ExecuteOutcomeUnknownError:
    with jupiter(*answers) as (client, wire), pytest.raises(ExecuteOutcomeUnknownError) as caught:
        client.execute(SIGNED, "order-1", None)
    assert len(wire.requests) == 1, "the adapter never posts twice by itself"
    return caught.value


def test_what_is_posted() -> None:
    with jupiter(answer(execute_json()), answer(execute_json())) as (client, wire):
        client.execute(SIGNED, "order-1", 321_000_150)
        client.execute(SIGNED, "order-1", None)

    assert [(request.method, request.url.path) for request in wire.requests] == [("POST", "/swap/v2/execute")] * 2
    signed = base64.b64encode(SIGNED).decode()
    assert wire.bodies == [
        {"signedTransaction": signed, "requestId": "order-1", "lastValidBlockHeight": "321000150"},
        {"signedTransaction": signed, "requestId": "order-1"},
    ]


def test_a_success_is_a_preview_with_its_signature() -> None:
    got = executed(answer(execute_json()))

    assert (got.code, got.hint) == (0, ExecuteHint.LANDED)
    assert (got.signature, got.slot) == ("5" * 88, 460_000_123)
    assert (got.input_raw, got.output_raw) == (25_000_000, 138_880_000)
    assert got.gateway_request_id == GATEWAY_ID


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (0, ExecuteHint.LANDED),
        (-1, ExecuteHint.POLL),
        (-2, ExecuteHint.BUG),
        (-3, ExecuteHint.BUG),
        (-4, ExecuteHint.BUG),
        (-5, ExecuteHint.BUG),
        (-1000, ExecuteHint.POLL),
        (-1001, ExecuteHint.POLL),
        (-1002, ExecuteHint.CHECK_THEN_REQUOTE),
        (-1003, ExecuteHint.BUG),
        (-1004, ExecuteHint.CHECK_THEN_REQUOTE),
        (-1005, ExecuteHint.POLL),
        (-1006, ExecuteHint.POLL),
        (-1007, ExecuteHint.BUG),
        (-2000, ExecuteHint.POLL),
        (-2001, ExecuteHint.POLL),
        (-2002, ExecuteHint.BUG),
        (-2003, ExecuteHint.CHECK_THEN_REQUOTE),
        (-2004, ExecuteHint.CHECK_THEN_REQUOTE),
        (-2005, ExecuteHint.POLL),
        (6001, ExecuteHint.LANDED_WITH_ERROR),
        (6008, ExecuteHint.LANDED_WITH_ERROR),
        (6014, ExecuteHint.LANDED_WITH_ERROR),
        (6017, ExecuteHint.LANDED_WITH_ERROR),
        (6024, ExecuteHint.LANDED_WITH_ERROR),
        (6025, ExecuteHint.LANDED_WITH_ERROR),
        (1, ExecuteHint.LANDED_WITH_ERROR),
        (-999, ExecuteHint.POLL),
        (-424242, ExecuteHint.POLL),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_every_code_has_its_hint_whatever_status_brings_it(code: int, hint: ExecuteHint, status: int) -> None:
    body = execute_json(code=code, status="Success" if code == 0 else "Failed")
    got = executed(answer(body, status))

    assert (got.code, got.hint) == (code, hint)
    assert got.meaning
    assert got.fix


def test_every_row_of_the_table_says_what_it_means_and_what_to_do() -> None:
    for code, row in {**EXECUTE_CODES, **PROGRAM_ERRORS}.items():
        assert row.meaning, code
        assert row.fix, code
        assert code_meaning(code) is row


def test_no_negative_code_ever_says_it_landed_and_none_says_it_is_dead() -> None:
    landed = {ExecuteHint.LANDED, ExecuteHint.LANDED_WITH_ERROR}

    assert not [code for code, row in EXECUTE_CODES.items() if code < 0 and row.hint in landed]
    assert {hint.value for hint in ExecuteHint} == {
        "landed",
        "landed_with_error",
        "poll",
        "check_then_requote",
        "bug",
    }


def test_a_bare_refusal_with_a_code_is_an_answer() -> None:
    got = executed(answer({"error": "Invalid signed transaction", "code": -2}, 400))

    assert (got.hint, got.error, got.signature, got.slot) == (
        ExecuteHint.BUG,
        "Invalid signed transaction",
        None,
        None,
    )


@pytest.mark.parametrize(("given", "slot"), [("0", None), ("", None), (None, None), (17, 17), ("17", 17)])
def test_slot_zero_means_that_nothing_landed(given: object, slot: int | None) -> None:
    assert executed(answer(execute_json(code=-1000, status="Failed", slot=given))).slot == slot


@pytest.mark.parametrize(("status", "code"), [("Failed", 0), ("Success", -1000), ("Success", 6001)])
def test_an_answer_that_contradicts_itself_is_polled(status: str, code: int) -> None:
    got = executed(answer(execute_json(status=status, code=code)))

    assert got.hint is ExecuteHint.POLL
    assert "contradicts itself" in got.meaning


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.PoolTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("half an answer"),
        OSError("anything at all"),
        RuntimeError("anything at all"),
    ],
)
def test_whatever_breaks_on_the_way_is_an_unknown_outcome(trouble: Exception) -> None:
    error = unknown(trouble)

    assert error.disposition == "unknown"
    assert type(trouble).__name__ in str(error)
    assert "order-1" in str(error)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504])
def test_every_status_without_an_answer_is_an_unknown_outcome(status: int) -> None:
    error = unknown(answer({"error": "no"}, status))

    assert error.details["status"] == status
    assert error.request_id == GATEWAY_ID
    assert str(status) in str(error) or status == 429
    assert "Post the same bytes again" in error.fix


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b"null", b"\xff", b'{"status":"Failed"}', b"[" * 99_999])
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_cannot_be_understood_is_an_unknown_outcome(body: bytes, status: int) -> None:
    error = unknown(httpx.Response(status, content=body))

    assert error.details["status"] == status


@pytest.mark.parametrize("change", [{"code": "zero"}, {"code": 1.5}, {"code": None}, {"totalInputAmount": "many"}])
def test_a_field_of_the_wrong_kind_is_an_unknown_outcome(change: dict[str, Any]) -> None:
    unknown(answer(execute_json(**change)))


def test_a_refused_key_tells_what_to_do_about_the_key_too() -> None:
    assert "jupiter_api_key" in unknown(answer({"message": "Unauthorized"}, 401)).fix


def test_the_key_is_in_no_error_of_execute() -> None:
    for given in (
        answer({"error": f"key {KEY}"}, 500),
        answer({"error": f"key {KEY}"}, 400),
        httpx.LocalProtocolError(f"Illegal header value b'{KEY}'"),
    ):
        assert KEY not in str(unknown(given))


def test_our_own_budget_refuses_before_anything_is_sent() -> None:
    with jupiter(answer(execute_json()), limits=PlanLimits(main=9, execute=1)) as (client, wire):
        client.execute(SIGNED, "order-1", None)
        with pytest.raises(RateLimitedError):
            client.execute(SIGNED, "order-1", None)

    assert len(wire.requests) == 1
