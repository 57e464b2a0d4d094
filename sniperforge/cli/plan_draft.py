"""Making a plan of the settings in a file: all that is wrong with them, their wallet and their tokens at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sniperforge.errors import InvalidInputError, SniperForgeError, TokenError, WalletError
from sniperforge.ports.exchange import Lane
from sniperforge.shared.tokens import ResolvedToken, require_tradable
from sniperforge.strategies.base import Pair, Token
from sniperforge.strategies.config import StrategyConfig, unusable

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.shared.keystore import WalletFile
    from sniperforge.trading.plan_desk import Draft

_FIELDS = ("input_token", "output_token")


def read_draft(
    services: Services, kind: str, values: Mapping[str, Any]
) -> tuple[WalletFile, Draft, tuple[ResolvedToken, ResolvedToken]]:
    """The wallet, the plan, and what it gives and gets. Nothing is written.

    Args:
        services: Who is asked.
        kind: Name of the strategy.
        values: The settings, with symbols or mints for tokens.

    Raises:
        InvalidInputError: `problems` lists everything that is wrong, each with its path; or there is no such strategy.
        SniperForgeError: Tokens cannot be asked about now, and nothing else is wrong.
    """
    strategy = services.strategies.get(kind)
    problems: list[str] = []
    tokens: Mapping[str, ResolvedToken] = {}
    unasked: SniperForgeError | None = None
    try:
        tokens = _tokens(services, values, problems)
    except SniperForgeError as error:
        unasked = error
    wallet = _wallet(services, values, problems)
    with_mints = {**values, **{field: token.mint for field, token in tokens.items()}}
    try:
        config: StrategyConfig = strategy.read(with_mints)
    except InvalidInputError as error:
        problems[:0] = error.problems
    else:
        problems += services.plan_desk.problems(kind, config, _pair(tokens))
    if unasked is not None:
        if not problems:
            raise unasked
        problems.append(f"{', '.join(_FIELDS)}: they cannot be looked up: {unasked}")
    if problems or wallet is None:
        raise unusable(problems, str(values.get("name") or "the plan"))
    draft = services.plan_desk.draft(kind, with_mints, wallet.address)
    return wallet, draft, (tokens[_FIELDS[0]], tokens[_FIELDS[1]])


def _tokens(services: Services, values: Mapping[str, Any], problems: list[str]) -> Mapping[str, ResolvedToken]:
    """Those that exist, by the setting that names them; one that is dangerous is a problem, too."""
    named = {field: name for field in _FIELDS if isinstance(name := values.get(field), str) and name}
    found = {}
    for field, token in zip(named, services.tokens.resolve_each(list(named.values()), lane=Lane.ENTRY), strict=True):
        if isinstance(token, TokenError):
            problems.append(f"{field}: {token}")
            continue
        found[field] = token
        try:
            require_tradable(token, services.settings.allow_tokens)
        except TokenError as error:
            problems.append(f"{field}: {error}")
    return found


def _pair(tokens: Mapping[str, ResolvedToken]) -> Pair | None:
    known = [Token(tokens[field].mint, tokens[field].decimals) for field in _FIELDS if field in tokens]
    return Pair(*known) if len(known) == len(_FIELDS) else None


def _wallet(services: Services, values: Mapping[str, Any], problems: list[str]) -> WalletFile | None:
    name = values.get("wallet")
    if name is not None and not isinstance(name, str):
        return None  # a problem of the settings already
    try:
        return services.wallets.find(name or services.settings.wallet)
    except WalletError as error:
        problems.append(f"wallet: {error}")
        return None
