"""Which token is meant, what it is on chain, and what is dangerous about it.

Identity is the mint. Symbols are free for anybody to take, so a symbol that several mints carry is refused with the
candidates; only a few well-known symbols mean a fixed mint. Decimals and token program come from the mint account
itself and must agree with Jupiter's listing: base58 addresses carry no checksum, and a mistyped one may exist too.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from solders.pubkey import Pubkey

from sniperforge.config import Network
from sniperforge.domain.money import WSOL_MINT, Address, Mint, format_units
from sniperforge.errors import TokenError
from sniperforge.ports.chain import MintInfo
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane, TokenListing

USDC_MINT = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT_MINT = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")

WELL_KNOWN: Mapping[Network, Mapping[str, Mint]] = {
    "mainnet": {"SOL": WSOL_MINT, "WSOL": WSOL_MINT, "USDC": USDC_MINT, "USDT": USDT_MINT},
    "sandbox": {"SOL": WSOL_MINT, "WSOL": WSOL_MINT, "USDC": USDC_MINT, "USDT": USDT_MINT},
    "devnet": {"SOL": WSOL_MINT, "WSOL": WSOL_MINT},
}
"""Symbols that mean one mint, whoever else uses them. Everybody writes SOL and USDC, and hundreds of imitations carry
these symbols, so asking for candidates would teach people to pick from a list of fakes. Source: Jupiter's docs."""

KEEP_S = 300.0
"""How long an answer is used again. Decimals and program never change; a fresh warning waits this long at most."""

_CANDIDATES_SHOWN = 6
_HARMLESS_EXTENSIONS = frozenset(
    {
        "metadata_pointer",
        "token_metadata",
        "group_pointer",
        "token_group",
        "group_member_pointer",
        "token_group_member",
        "mint_close_authority",  # closes a mint without supply only
        "confidential_transfer_mint",  # an additional way to hold; public balances stay as they are
        "confidential_transfer_fee_config",
        "interest_bearing_config",  # these two change what wallets display; we count raw amounts
        "scaled_ui_amount",
        "transfer_fee_config",  # the next three have warnings of their own
        "transfer_hook",
        "permanent_delegate",
    }
)


class Danger(StrEnum):
    """Why a token may not be traded unless its mint is allowed by name."""

    FREEZE_AUTHORITY = "freeze authority"
    TRANSFER_FEE = "transfer fee"
    TRANSFER_HOOK = "transfer hook"
    PERMANENT_DELEGATE = "permanent delegate"
    EXTENSION = "extension"
    SUSPICIOUS = "suspicious"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class TokenWarning:
    """One danger, and a sentence for people."""

    danger: Danger
    text: str


@dataclass(frozen=True, slots=True)
class ResolvedToken:
    """A token that exists on chain as it is listed.

    Attributes:
        program: The token program that owns the mint, read from the chain.
        warnings: Everything dangerous about it, to be shown to people.
        well_known: It is one of `WELL_KNOWN`.
    """

    mint: Mint
    symbol: str
    name: str
    decimals: int
    program: Address
    warnings: tuple[TokenWarning, ...] = ()
    well_known: bool = False


def refusals(token: ResolvedToken, allow: Collection[str]) -> tuple[TokenWarning, ...]:
    """The warnings that keep a token from being traded; none if its mint is in `allow` (the setting `allow_tokens`).

    The freeze authority of a well-known token does not count: the issuers of USDC and USDT keep one by law, no
    stablecoin of their size is without, and refusing them would only teach people to allow everything. Every other
    danger counts for well-known tokens too, since it would be news.
    """
    if token.mint in allow:
        return ()
    return tuple(
        warning for warning in token.warnings if not (token.well_known and warning.danger is Danger.FREEZE_AUTHORITY)
    )


class TradableTokens:
    """`ports.tokens.TokenFacts` of a directory and the tokens that are allowed in spite of their dangers.

    Args:
        directory: Tokens, checked against the chain.
        allow: The setting `allow_tokens`.
    """

    def __init__(self, directory: TokenDirectory, allow: Collection[str]) -> None:
        self._directory = directory
        self._allow = allow
        self._decimals: dict[Mint, int] = {}

    def decimals(self, mint: Mint) -> int:
        """Digits after the point; asked once, since they never change."""
        if mint not in self._decimals:
            self._decimals[mint] = self._directory.resolve(mint, lane=Lane.EXIT).decimals
        return self._decimals[mint]

    def require_tradable(self, mints: Sequence[Mint]) -> None:
        """Refuse what is dangerous and not allowed."""
        for token in self._directory.resolve_all(list(mints)):
            require_tradable(token, self._allow)


def require_tradable(token: ResolvedToken, allow: Collection[str]) -> None:
    """Refuse a dangerous token; see `refusals`.

    Raises:
        TokenError: Lists every danger; `details["dangers"]` names them.
    """
    counted = refusals(token, allow)
    if counted:
        raise TokenError(
            "not traded because " + "; ".join(warning.text for warning in counted),
            subject=f"{token.symbol} ({token.mint})",
            fix=f"If you accept that, add {token.mint} to the setting allow_tokens",
            dangers=tuple(warning.danger.value for warning in counted),
        )


class Mints(Protocol):
    """The part of `ports.chain.ChainReader` that is needed here."""

    def mint(self, mint: Mint) -> MintInfo | None:
        """A mint account decoded, None if there is none at this address."""
        ...


class TokenDirectory:
    """Finds tokens by symbol or mint. Answers are kept for a few minutes, because each search costs request budget.

    Args:
        exchange: Where tokens are listed.
        chain: Where mints are.
        clock: Ages the kept answers.
        network: Decides which symbols are well known.
    """

    def __init__(self, exchange: Exchange, chain: Mints, *, clock: Clock, network: Network) -> None:
        self._exchange = exchange
        self._chain = chain
        self._clock = clock
        self._well_known = WELL_KNOWN[network]
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, ResolvedToken]] = {}

    def resolve(self, token: str, *, lane: Lane = Lane.MONITORING) -> ResolvedToken:
        """The token with this symbol or mint; see `resolve_all`."""
        return self.resolve_all([token], lane=lane)[0]

    def resolve_all(self, tokens: Sequence[str], *, lane: Lane = Lane.MONITORING) -> tuple[ResolvedToken, ...]:
        """Tokens by symbol (case does not matter) or mint, in the order asked; all mints in one search.

        Raises:
            TokenError: The first of those that `resolve_each` answers.
            RetryableError: Jupiter or the chain cannot be asked now.
        """
        found = []
        for answer in self.resolve_each(tokens, lane=lane):
            if isinstance(answer, TokenError):
                raise answer
            found.append(answer)
        return tuple(found)

    def resolve_each(
        self, tokens: Sequence[str], *, lane: Lane = Lane.MONITORING
    ) -> tuple[ResolvedToken | TokenError, ...]:
        """The same, with what is wrong about a name in the place of its token, so that all of it can be said at once.

        A name's error tells that it is unknown, not on chain, not as listed, or a symbol that several mints carry (the
        candidates are listed, with mint, name, whether verified, and liquidity; `details["candidates"]` has the mints).

        Raises:
            RetryableError: Jupiter or the chain cannot be asked now.
        """
        asked = [token.strip() for token in tokens]
        mints = {token: mint for token in asked if (mint := self._as_mint(token)) is not None}
        listed = self._listed([mint for mint in mints.values() if self._recall(mint) is None], lane)
        return tuple(self._answer(token, mints.get(token), listed, lane) for token in asked)

    def _answer(
        self, token: str, mint: Mint | None, listed: Mapping[Mint, TokenListing], lane: Lane
    ) -> ResolvedToken | TokenError:
        key = token.casefold() if mint is None else mint
        found = self._recall(key)
        if found is None:
            try:
                listing = self._by_symbol(token, lane) if mint is None else self._by_mint(mint, listed)
                found = self._checked(listing)
            except TokenError as error:
                return error
            self._keep(key, found)
        return found

    def _as_mint(self, token: str) -> Mint | None:
        pinned = self._well_known.get(token.upper())
        if pinned is not None:
            return pinned
        try:
            return Mint(str(Pubkey.from_string(token)))
        except ValueError:
            return None

    def _listed(self, mints: Sequence[Mint], lane: Lane) -> dict[Mint, TokenListing]:
        if not mints:
            return {}
        return {item.mint: item for item in self._exchange.search_tokens(",".join(mints), lane=lane)}

    @staticmethod
    def _by_mint(mint: Mint, listed: Mapping[Mint, TokenListing]) -> TokenListing:
        if mint not in listed:
            raise TokenError(
                "Jupiter lists no token with this mint", subject=mint, fix="Check the address, character by character"
            )
        return listed[mint]

    def _by_symbol(self, symbol: str, lane: Lane) -> TokenListing:
        if not symbol or "," in symbol:
            raise TokenError("this is neither a symbol nor a mint", subject=repr(symbol), fix="Give one of them")
        hits = self._exchange.search_tokens(symbol, lane=lane)
        same = [item for item in hits if item.symbol.casefold() == symbol.casefold()]
        if len(same) == 1:
            return same[0]
        if same:
            raise TokenError(
                f"several mints carry this symbol: {_described(same)}",
                subject=symbol,
                fix="Give the mint of the one you mean",
                candidates=tuple(item.mint for item in same),
            )
        near = f"; similar: {_described(hits)}" if hits else ""
        raise TokenError(
            f"Jupiter lists no token with this symbol{near}",
            subject=symbol,
            fix="Check the spelling, or give the mint",
            candidates=tuple(item.mint for item in hits),
        )

    def _checked(self, listing: TokenListing) -> ResolvedToken:
        info = self._chain.mint(listing.mint)
        subject = f"{listing.symbol} ({listing.mint})"
        if info is None:
            raise TokenError("there is no such mint on chain", subject=subject, fix="Check rpc_urls and jupiter_url")
        differs = [
            f"{what} {on_chain} on chain but {said} as listed"
            for what, on_chain, said in (
                ("decimals", info.decimals, listing.decimals),
                ("token program", info.program, listing.token_program),
            )
            if on_chain != said
        ]
        if differs:
            raise TokenError(
                "the listing is wrong: " + "; ".join(differs),
                subject=subject,
                fix="Do not trade it; check that rpc_urls and jupiter_url belong to the same network",
            )
        return ResolvedToken(
            mint=listing.mint,
            symbol=listing.symbol,
            name=listing.name,
            decimals=info.decimals,
            program=info.program,
            warnings=_warnings(info, listing),
            well_known=listing.mint in self._well_known.values(),
        )

    def _recall(self, key: str) -> ResolvedToken | None:
        with self._lock:
            at, token = self._kept.get(key, (0.0, None))
        return token if token is not None and self._clock.monotonic() - at < KEEP_S else None

    def _keep(self, key: str, token: ResolvedToken) -> None:
        with self._lock:
            self._kept[key] = (self._clock.monotonic(), token)


def _warnings(info: MintInfo, listing: TokenListing) -> tuple[TokenWarning, ...]:
    found: list[TokenWarning] = []
    freezer = info.freeze_authority or listing.freeze_authority
    if freezer is not None:
        found.append(TokenWarning(Danger.FREEZE_AUTHORITY, f"{freezer} can freeze anybody's balance"))
    if info.transfer_fee_bps is not None:
        percent = f"{format_units(info.transfer_fee_bps, 2)} %"
        found.append(TokenWarning(Danger.TRANSFER_FEE, f"every transfer costs {percent}, which its owner can change"))
    if info.transfer_hook is not None:
        found.append(TokenWarning(Danger.TRANSFER_HOOK, f"program {info.transfer_hook} runs on every transfer"))
    if info.permanent_delegate is not None:
        found.append(TokenWarning(Danger.PERMANENT_DELEGATE, f"{info.permanent_delegate} can take anybody's balance"))
    others = sorted(set(info.extensions) - _HARMLESS_EXTENSIONS)
    if others:
        found.append(TokenWarning(Danger.EXTENSION, f"its mint has the extension {', '.join(others)}"))
    if listing.is_sus:
        found.append(TokenWarning(Danger.SUSPICIOUS, "Jupiter flags it as suspicious"))
    if listing.is_verified is not True:
        found.append(TokenWarning(Danger.UNVERIFIED, "Jupiter has not verified it"))
    return tuple(found)


def _described(listings: Sequence[TokenListing]) -> str:
    shown = [
        f"{item.mint} ({item.name}, {'verified' if item.is_verified else 'not verified'}, "
        + ("liquidity unknown)" if item.liquidity_usd is None else f"liquidity ${item.liquidity_usd:,.0f})")
        for item in listings[:_CANDIDATES_SHOWN]
    ]
    more = len(listings) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
