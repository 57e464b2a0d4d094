"""Prices, tokens and venue labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from sniperforge.sandbox.tokens import PEPE2, PEPE2_IMPOSTOR, TOKEN_2022_PROGRAM
from tests.fakes.jupiter_sandbox import BONK, FEE2, JUP, SOL, USDC, JupiterSandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox() as running:
        yield running


def prices(sandbox: JupiterSandbox, *mints: object) -> dict[str, Any]:
    response = sandbox.get("/price/v3", {"ids": ",".join(map(str, mints))})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return body


def tokens(sandbox: JupiterSandbox, query: str) -> list[dict[str, Any]]:
    response = sandbox.get("/tokens/v2/search", {"query": query})
    assert response.status_code == 200, response.text
    body: list[dict[str, Any]] = json.loads(response.content, parse_float=Decimal)
    return body


def test_a_price_is_the_markets_within_two_basis_points(sandbox: JupiterSandbox) -> None:
    told = prices(sandbox, SOL, BONK)
    for mint in (SOL, BONK):
        fair = sandbox.market.usd(mint)
        assert fair is not None
        assert abs(Decimal(told[str(mint)]["usdPrice"]) / (Decimal(fair.numerator) / fair.denominator) - 1) <= Decimal(
            "0.00021"
        )


def test_a_price_has_every_documented_field(sandbox: JupiterSandbox) -> None:
    told = prices(sandbox, SOL)[str(SOL)]
    assert set(told) == {"createdAt", "liquidity", "usdPrice", "blockId", "decimals", "priceChange24h"}
    assert told["decimals"] == 9
    assert told["liquidity"] > 1_000_000
    assert told["blockId"] == sandbox.chain.slot_at("confirmed")


def test_a_stale_price_looks_like_any_other_but_for_its_block(sandbox: JupiterSandbox) -> None:
    now = sandbox.chain.slot_at("confirmed")
    fresh = prices(sandbox, JUP)[str(JUP)]
    sandbox.fault("stale_price", "/price/v3", count=2)
    stale = prices(sandbox, JUP)[str(JUP)]
    assert stale == {**fresh, "blockId": now - 3_000}
    sandbox.faults.clear()
    sandbox.fault("stale_price", "/price/v3", slots=200)
    assert prices(sandbox, JUP)[str(JUP)]["blockId"] == now - 200
    assert prices(sandbox, JUP)[str(JUP)] == fresh


def test_a_change_over_a_day_that_nobody_knows_is_null(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(
        "time_utc,open,high,low,close,volume\n2024-01-01 00:00:00,1,1,1,1,1\n2024-01-01 00:01:00,1,1,1,1,1\n"
    )
    with JupiterSandbox(prices_csv=path) as young:
        assert prices(young, SOL)[str(SOL)]["priceChange24h"] is None
    with JupiterSandbox() as old:
        assert prices(old, SOL)[str(SOL)]["priceChange24h"] == 0


def test_a_mint_without_a_trustworthy_price_is_left_out_without_a_word(sandbox: JupiterSandbox) -> None:
    told = prices(sandbox, SOL, PEPE2_IMPOSTOR, Keypair().pubkey())
    assert list(told) == [str(SOL)]


@pytest.mark.parametrize("ids", ["", ",".join([str(SOL)] * 51), "SOL", f"{SOL},not-a-mint"])
def test_ids_that_make_no_sense_are_400(sandbox: JupiterSandbox, ids: str) -> None:
    response = sandbox.get("/price/v3", {"ids": ids})
    assert response.status_code == 400
    assert "ids" in response.json()["error"]


def test_fifty_ids_are_allowed(sandbox: JupiterSandbox) -> None:
    assert list(prices(sandbox, *[SOL] * 50)) == [str(SOL)]


def test_one_symbol_can_be_two_mints_of_which_one_is_suspicious(sandbox: JupiterSandbox) -> None:
    found = tokens(sandbox, "pepe2")
    assert [token["id"] for token in found] == [str(PEPE2), str(PEPE2_IMPOSTOR)]
    honest, impostor = found
    assert honest["isVerified"]
    assert "isSus" not in honest["audit"]
    assert not impostor["isVerified"]
    assert impostor["audit"]["isSus"] is True
    assert impostor["freezeAuthority"]
    assert "usdPrice" not in impostor


def test_mints_are_searched_by_commas_and_unknown_ones_are_left_out(sandbox: JupiterSandbox) -> None:
    found = tokens(sandbox, f"{USDC},{Keypair().pubkey()},{FEE2}")
    assert [token["id"] for token in found] == [str(USDC), str(FEE2)]
    assert found[1]["tokenProgram"] == str(TOKEN_2022_PROGRAM)
    assert found[0]["decimals"] == 6


def test_names_are_searched_too(sandbox: JupiterSandbox) -> None:
    assert str(JUP) in [token["id"] for token in tokens(sandbox, "jupiter")]
    assert tokens(sandbox, "no such token") == []


def test_authorities_are_those_of_the_mint_on_the_chain(sandbox: JupiterSandbox) -> None:
    (sol,) = tokens(sandbox, str(SOL))
    assert sol["audit"] == {"mintAuthorityDisabled": True, "freezeAuthorityDisabled": True}
    (usdc,) = tokens(sandbox, str(USDC))
    assert usdc["mintAuthority"] == str(sandbox.world.issuer.pubkey())
    assert usdc["freezeAuthority"] == str(sandbox.world.issuer.pubkey())


@pytest.mark.parametrize("query", ["", ",".join(["x"] * 101)])
def test_a_query_that_makes_no_sense_is_400(sandbox: JupiterSandbox, query: str) -> None:
    assert sandbox.get("/tokens/v2/search", {"query": query}).status_code == 400


def test_labels_name_every_venue_of_the_pools(sandbox: JupiterSandbox) -> None:
    labels = sandbox.get("/swap/v2/program-id-to-label").json()
    assert labels["CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK"] == "Raydium CLMM"
    assert set(labels.values()) == {pool.label for pool in sandbox.world.pools}


def test_an_unknown_path_is_404_behind_the_gateway(sandbox: JupiterSandbox) -> None:
    response = sandbox.get("/swap/v3/order")
    assert response.status_code == 404
    assert response.headers["x-api-gateway-request-id"]
