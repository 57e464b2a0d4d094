"""Prices, token listings and venue labels."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
import structlog

from sniperforge.domain.money import Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import InvalidInputError, ProtocolError
from tests.fakes.clock import START
from tests.fakes.jupiter_http import GATEWAY_ID, answer, jupiter
from tests.fakes.jupiter_json import BONK, JUP, JUPITER, POOL, SOL, TOKEN_PROGRAM, USDC, price_json, token_json

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MANY = [Mint(f"So1111111111111111111111111111111111111111{a}{b}") for a in ALPHABET for b in ALPHABET]


def priced(raw: str) -> Price | None:
    body = b'{"%s": {"usdPrice": %s, "blockId": 348004023, "decimals": 9}}' % (SOL.encode(), raw.encode())
    with jupiter(httpx.Response(200, content=body, headers={"x-api-gateway-request-id": GATEWAY_ID})) as (client, _):
        return client.prices([Mint(SOL)]).get(Mint(SOL))


def test_a_price_is_exact_to_the_last_digit_sent() -> None:
    price = priced("147.4789340738336")

    assert price == Price(
        mint=Mint(SOL), usd=Decimal("147.4789340738336"), source="jupiter", observed_at=START, slot=348004023
    )


@pytest.mark.parametrize("raw", ["1e-9", "0.000000001", "0.1", "1", "180", "123456789.12345678"])
def test_no_price_passes_through_a_float(raw: str) -> None:
    price = priced(raw)

    assert price is not None
    assert type(price.usd) is Decimal
    assert price.usd == Decimal(raw)


def test_more_digits_than_a_double_has_are_rounded_to_what_the_books_hold() -> None:
    price = priced("0.12345678901234567890123")

    assert price is not None
    assert price.usd == Decimal("0.12345678901234568")


@pytest.mark.parametrize("raw", ["0", "0.0", "-1", "-0.5", "1e-30", "1e30"])
def test_a_token_whose_price_cannot_be_used_has_none_and_keeps_no_other_from_having_one(raw: str) -> None:
    body = b'{"%s": {"usdPrice": %s, "blockId": 1, "decimals": 9}, "%s": {"usdPrice": 1, "blockId": 1, "decimals": 6}}'
    content = body % (JUP.encode(), raw.encode(), USDC.encode())
    with structlog.testing.capture_logs() as logs, jupiter(httpx.Response(200, content=content)) as (client, _):
        assert set(client.prices([Mint(JUP), Mint(USDC)])) == {USDC}
    assert [(line["event"], line["mint"]) for line in logs] == [("price_unusable", JUP)]


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", '"147.5"', "true", "[]"])
def test_what_is_no_price_is_an_error_and_never_a_price(raw: str) -> None:
    with pytest.raises(ProtocolError, match=rf"{SOL}.*\[request {GATEWAY_ID}\]"):
        priced(raw)


def test_a_mint_left_out_is_absent_and_so_is_one_without_a_price() -> None:
    body = {SOL: price_json(), BONK: None, USDC: price_json(usdPrice=None)}
    with jupiter(answer(body)) as (client, _):
        found = client.prices([Mint(SOL), Mint(BONK), Mint(USDC), Mint(JUP)])

    assert set(found) == {SOL}


def test_a_mint_nobody_asked_for_is_not_handed_on() -> None:
    with jupiter(answer({SOL: price_json(), JUP: price_json()})) as (client, _):
        assert set(client.prices([Mint(SOL)])) == {SOL}


def test_a_price_without_its_block_is_still_a_price() -> None:
    with jupiter(answer({SOL: price_json(blockId=None, priceChange24h=None)})) as (client, _):
        assert client.prices([Mint(SOL)])[Mint(SOL)].slot is None


def test_prices_are_asked_fifty_at_a_time_and_each_mint_once() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return answer({mint: price_json() for mint in request.url.params["ids"].split(",")})

    asked = MANY[:120]
    with jupiter(reply, reply, reply) as (client, wire):
        found = client.prices([*asked, *asked[:7]])

    assert set(found) == set(asked)
    assert [len(query["ids"].split(",")) for query in wire.queries] == [50, 50, 20]


def test_no_mints_cost_no_call() -> None:
    with jupiter() as (client, wire):
        assert dict(client.prices([])) == {}
    assert wire.requests == []


def test_a_listing_is_read_exactly() -> None:
    with jupiter(answer([token_json()])) as (client, wire):
        (listing,) = client.search_tokens("JUP")

    assert wire.requests[0].url.path == "/tokens/v2/search"
    assert wire.queries == [{"query": "JUP"}]
    assert (listing.mint, listing.symbol, listing.name) == (JUP, "JUP", "Jupiter")
    assert (listing.decimals, listing.token_program) == (6, TOKEN_PROGRAM)
    assert (listing.is_verified, listing.is_sus) == (True, None)
    assert (listing.freeze_authority, listing.mint_authority) == (None, None)
    assert (listing.liquidity_usd, listing.organic_score) == (Decimal("2992387.89"), Decimal("97.98"))
    assert listing.tags == ("community", "strict", "verified")


@pytest.mark.parametrize(
    ("audit", "flagged"),
    [({"isSus": True}, True), ({"isSus": False}, True), ({"isSus": None}, None), ({}, None), (None, None)],
)
def test_suspicion_counts_by_its_presence_and_its_absence_is_not_safety(audit: object, flagged: object) -> None:
    with jupiter(answer([token_json(audit=audit)])) as (client, _):
        assert client.search_tokens("JUP")[0].is_sus is flagged


def test_what_a_listing_does_not_say_stays_unsaid() -> None:
    bare = {name: token_json()[name] for name in ("id", "name", "symbol", "decimals", "tokenProgram")}
    with jupiter(answer([bare])) as (client, _):
        (listing,) = client.search_tokens("JUP")

    assert (listing.is_verified, listing.liquidity_usd, listing.organic_score, listing.tags) == (None, None, None, ())


@pytest.mark.parametrize("name", ["id", "name", "symbol", "decimals", "tokenProgram"])
def test_a_missing_field_of_a_listing_is_named(name: str) -> None:
    body: dict[str, Any] = {key: value for key, value in token_json().items() if key != name}
    with jupiter(answer([body])) as (client, _), pytest.raises(ProtocolError, match=rf"0\.{name}: Field required"):
        client.search_tokens("JUP")


def test_names_that_would_act_on_a_terminal_are_made_harmless() -> None:
    with jupiter(answer([token_json(name="Jup\x1b[2Jiter\r\n", symbol="JU\x07P")])) as (client, _):
        (listing,) = client.search_tokens("JUP")

    assert listing.name.isprintable()
    assert listing.symbol.isprintable()


def test_mints_are_searched_a_hundred_at_a_time() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return answer([token_json(id=mint) for mint in request.url.params["query"].split(",")])

    with jupiter(reply, reply, reply) as (client, wire):
        found = client.search_tokens(",".join(MANY[:230]))

    assert [item.mint for item in found] == MANY[:230]
    assert [len(query["query"].split(",")) for query in wire.queries] == [100, 100, 30]


@pytest.mark.parametrize("query", ["", " ", ",", " , "])
def test_an_empty_search_costs_no_call(query: str) -> None:
    with jupiter() as (client, wire), pytest.raises(InvalidInputError):
        client.search_tokens(query)
    assert wire.requests == []


def test_labels_by_program() -> None:
    with jupiter(answer({JUPITER: "Jupiter", POOL: "Whirlpool"})) as (client, wire):
        assert dict(client.program_labels()) == {JUPITER: "Jupiter", POOL: "Whirlpool"}
    assert wire.requests[0].url.path == "/swap/v2/program-id-to-label"


@pytest.mark.parametrize("body", [[], {"not base58 0OIl": "x"}, {JUPITER: 5}])
def test_labels_of_another_shape_break_the_protocol(body: object) -> None:
    with jupiter(httpx.Response(200, content=json.dumps(body).encode())) as (client, _), pytest.raises(ProtocolError):
        client.program_labels()
