"""Tokens by symbol or mint: found, checked against the chain, and refused when dangerous."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from solders.keypair import Keypair

from sniperforge.config import Network
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.transaction import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from sniperforge.errors import ExchangeUnavailableError, TokenError
from sniperforge.ports.chain import MintInfo
from sniperforge.ports.exchange import Lane, TokenListing
from sniperforge.shared.tokens import USDC_MINT, WELL_KNOWN, Danger, TokenDirectory, require_tradable
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange


def mint_number(number: int) -> Mint:
    return Mint(str(Keypair.from_seed(bytes([number]) * 32).pubkey()))


GEM, TWIN, OTHER_TWIN, FAKE_USDC = (mint_number(number) for number in range(1, 5))
SOMEBODY = Address(mint_number(5))

LISTING = TokenListing(
    mint=GEM,
    symbol="GEM",
    name="Gem",
    decimals=6,
    token_program=TOKEN_PROGRAM,
    is_verified=True,
    is_sus=None,
    freeze_authority=None,
    mint_authority=None,
    liquidity_usd=Decimal(1_234_567),
    organic_score=None,
    tags=(),
)
ON_CHAIN = MintInfo(
    mint=GEM,
    program=TOKEN_PROGRAM,
    decimals=6,
    supply_raw=10**15,
    mint_authority=None,
    freeze_authority=None,
)


class Scene:
    """A directory over a fake exchange and a table of mint accounts."""

    def __init__(self, *, network: Network = "mainnet") -> None:
        self.clock = FakeClock()
        self.exchange = FakeExchange(self.clock, listings=[], usd={})
        self.mints: dict[Mint, MintInfo] = {}
        self.directory = TokenDirectory(self.exchange, self, clock=self.clock, network=network)
        self.add(LISTING, ON_CHAIN)
        self.add(replace(LISTING, mint=WSOL_MINT, symbol="SOL", decimals=9), replace(ON_CHAIN, decimals=9))
        self.add(
            replace(LISTING, mint=USDC_MINT, symbol="USDC", freeze_authority=SOMEBODY),
            replace(ON_CHAIN, freeze_authority=SOMEBODY),
        )
        self.add(replace(LISTING, mint=FAKE_USDC, symbol="USDC", is_verified=False))

    def add(self, listing: TokenListing, info: MintInfo | None = ON_CHAIN) -> None:
        self.exchange.listings[listing.mint] = listing
        if info is not None:
            self.mints[listing.mint] = replace(info, mint=listing.mint)

    def mint(self, mint: Mint) -> MintInfo | None:
        return self.mints.get(mint)

    @property
    def searches(self) -> list[object]:
        return [call.what for call in self.exchange.calls]


@pytest.mark.parametrize("asked", ["GEM", "gem", " Gem ", GEM])
def test_a_token_is_found_by_symbol_in_any_case_or_by_mint(asked: str) -> None:
    token = Scene().directory.resolve(asked)

    assert (token.mint, token.symbol, token.decimals, token.program) == (GEM, "GEM", 6, TOKEN_PROGRAM)
    assert token.warnings == ()


def test_well_known_symbols_mean_their_mint_whoever_imitates_them() -> None:
    sol, usdc = Scene().directory.resolve_all(["sol", "USDC"])

    assert (sol.mint, sol.decimals, usdc.mint) == (WSOL_MINT, 9, USDC_MINT)
    assert sol.well_known
    assert usdc.well_known


def test_an_imitation_can_still_be_named_by_its_mint_and_is_not_well_known() -> None:
    token = Scene().directory.resolve(FAKE_USDC)

    assert (token.mint, token.well_known) == (FAKE_USDC, False)


def test_each_network_has_its_own_well_known_mints() -> None:
    assert WELL_KNOWN["mainnet"]["USDC"] == WELL_KNOWN["sandbox"]["USDC"] == USDC_MINT
    assert "USDC" not in WELL_KNOWN["devnet"]
    assert {table["SOL"] for table in WELL_KNOWN.values()} == {WSOL_MINT}


def test_one_symbol_of_several_mints_is_refused_with_the_candidates_even_if_one_is_verified() -> None:
    scene = Scene()
    scene.add(replace(LISTING, mint=TWIN, symbol="TWIN", name="The twin"))
    scene.add(
        replace(LISTING, mint=OTHER_TWIN, symbol="twin", name="Its shadow", is_verified=False, liquidity_usd=None)
    )
    with pytest.raises(TokenError) as caught:
        scene.directory.resolve("TWIN")

    assert caught.value.details["candidates"] == (TWIN, OTHER_TWIN)
    text = str(caught.value)
    assert f"{TWIN} (The twin, verified, liquidity $1,234,567)" in text
    assert f"{OTHER_TWIN} (Its shadow, not verified, liquidity unknown)" in text
    assert "Give the mint" in text


def test_a_symbol_that_only_resembles_is_not_taken() -> None:
    scene = Scene()
    with pytest.raises(TokenError, match=f"no token with this symbol; similar: {GEM}"):
        scene.directory.resolve("GE")


@pytest.mark.parametrize("asked", ["NOSUCH", "", "a,b", "So1111111111111111111111111111111111111111"])
def test_what_nobody_lists_is_refused(asked: str) -> None:
    with pytest.raises(TokenError):
        Scene().directory.resolve(asked)


def test_a_mint_jupiter_does_not_list_is_refused() -> None:
    with pytest.raises(TokenError, match="lists no token with this mint"):
        Scene().directory.resolve(SOMEBODY)


def test_a_listing_without_a_mint_on_chain_is_refused() -> None:
    scene = Scene()
    scene.add(replace(LISTING, mint=TWIN, symbol="GHOST"), None)
    with pytest.raises(TokenError, match="no such mint on chain"):
        scene.directory.resolve("GHOST")


def test_decimals_and_program_that_differ_from_the_chain_are_refused_both_at_once() -> None:
    scene = Scene()
    scene.add(replace(LISTING, mint=TWIN, symbol="LIE"), replace(ON_CHAIN, decimals=9, program=TOKEN_2022_PROGRAM))
    with pytest.raises(TokenError) as caught:
        scene.directory.resolve("LIE")

    assert "decimals 9 on chain but 6 as listed" in str(caught.value)
    assert f"token program {TOKEN_2022_PROGRAM} on chain" in str(caught.value)


@pytest.mark.parametrize(
    ("listing", "info", "danger", "words"),
    [
        ({"is_verified": False}, {}, Danger.UNVERIFIED, "not verified"),
        ({"is_verified": None}, {}, Danger.UNVERIFIED, "not verified"),
        ({"is_sus": True}, {}, Danger.SUSPICIOUS, "suspicious"),
        ({"freeze_authority": SOMEBODY}, {}, Danger.FREEZE_AUTHORITY, "can freeze"),
        ({}, {"freeze_authority": SOMEBODY}, Danger.FREEZE_AUTHORITY, "can freeze"),
        ({}, {"transfer_fee_bps": 150}, Danger.TRANSFER_FEE, "costs 1.5 %"),
        ({}, {"transfer_fee_bps": 0}, Danger.TRANSFER_FEE, "can change"),
        ({}, {"transfer_hook": SOMEBODY}, Danger.TRANSFER_HOOK, "every transfer"),
        ({}, {"permanent_delegate": SOMEBODY}, Danger.PERMANENT_DELEGATE, "can take"),
        ({}, {"extensions": ("token_metadata", "pausable")}, Danger.EXTENSION, "pausable"),
        ({}, {"extensions": ("extension_99",)}, Danger.EXTENSION, "extension_99"),
    ],
)
def test_every_danger_is_shown_and_refused_unless_the_mint_is_allowed(
    listing: dict[str, object], info: dict[str, object], danger: Danger, words: str
) -> None:
    scene = Scene()
    scene.add(
        replace(LISTING, mint=TWIN, symbol="RISK", **listing),  # type: ignore[arg-type]
        replace(ON_CHAIN, **info),  # type: ignore[arg-type]
    )
    token = scene.directory.resolve("RISK")

    assert [warning.danger for warning in token.warnings] == [danger]
    assert words in token.warnings[0].text
    with pytest.raises(TokenError, match=f"add {TWIN} to the setting allow_tokens") as caught:
        require_tradable(token, [GEM])
    assert caught.value.details["dangers"] == (danger.value,)
    require_tradable(token, [TWIN])


def test_harmless_extensions_are_no_danger() -> None:
    scene = Scene()
    scene.add(LISTING, replace(ON_CHAIN, extensions=("metadata_pointer", "token_metadata", "scaled_ui_amount")))

    assert scene.directory.resolve("GEM").warnings == ()


def test_all_dangers_are_listed_at_once() -> None:
    scene = Scene()
    scene.add(
        replace(LISTING, mint=TWIN, symbol="RISK", is_verified=False, is_sus=True),
        replace(ON_CHAIN, transfer_fee_bps=100),
    )
    with pytest.raises(TokenError) as caught:
        require_tradable(scene.directory.resolve("RISK"), ())

    assert caught.value.details["dangers"] == ("transfer fee", "suspicious", "unverified")


def test_the_freeze_authority_of_usdc_is_shown_but_does_not_stop_trading() -> None:
    usdc = Scene().directory.resolve("USDC")

    assert [warning.danger for warning in usdc.warnings] == [Danger.FREEZE_AUTHORITY]
    require_tradable(usdc, ())


def test_anything_new_about_usdc_stops_trading() -> None:
    scene = Scene()
    scene.mints[USDC_MINT] = replace(scene.mints[USDC_MINT], permanent_delegate=SOMEBODY)
    with pytest.raises(TokenError) as caught:
        require_tradable(scene.directory.resolve("USDC"), ())

    assert caught.value.details["dangers"] == ("permanent delegate",)


def test_an_imitation_with_a_freeze_authority_is_not_excused() -> None:
    scene = Scene()
    scene.mints[FAKE_USDC] = replace(scene.mints[FAKE_USDC], freeze_authority=SOMEBODY)
    with pytest.raises(TokenError) as caught:
        require_tradable(scene.directory.resolve(FAKE_USDC), ())

    assert "freeze authority" in caught.value.details["dangers"]


def test_mints_are_looked_up_in_one_search_and_kept_for_a_while() -> None:
    scene = Scene()
    scene.directory.resolve_all(["SOL", "USDC", GEM])
    scene.directory.resolve_all([GEM, "usdc", "SOL"])
    assert scene.searches == [f"{WSOL_MINT},{USDC_MINT},{GEM}"]

    scene.clock.advance(timedelta(seconds=301))
    scene.directory.resolve("USDC")
    assert scene.searches[1:] == [USDC_MINT]


def test_what_is_wrong_about_each_of_several_names_is_told_at_once() -> None:
    scene = Scene()
    scene.add(replace(LISTING, mint=TWIN, symbol="GHOST"), None)

    misspelt, gem, unknown, ghost = scene.directory.resolve_each(["GEMM", "gem", OTHER_TWIN, "GHOST"])

    assert not isinstance(gem, TokenError)
    assert gem.mint == GEM
    assert "GEMM: Jupiter lists no token with this symbol" in str(misspelt)
    assert f"{OTHER_TWIN}: Jupiter lists no token with this mint" in str(unknown)
    assert "there is no such mint on chain" in str(ghost)


def test_who_asks_for_tokens_only_gets_the_first_of_several_errors() -> None:
    with pytest.raises(TokenError, match="NOPE"):
        Scene().directory.resolve_all(["GEM", "NOPE", "NEITHER"])


def test_a_refusal_is_not_kept() -> None:
    scene = Scene()
    with pytest.raises(TokenError):
        scene.directory.resolve("NEW")
    scene.add(replace(LISTING, mint=TWIN, symbol="NEW"))

    assert scene.directory.resolve("NEW").mint == TWIN


def test_the_lane_reaches_the_exchange_and_its_trouble_comes_through() -> None:
    scene = Scene()
    scene.exchange.fail("search_tokens", ExchangeUnavailableError("no answer"))
    with pytest.raises(ExchangeUnavailableError):
        scene.directory.resolve("GEM", lane=Lane.EXIT)

    assert [call.lane for call in scene.exchange.calls] == [Lane.EXIT]
