"""What an order will do, in plain words, shown before anybody says yes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sniperforge.cli.order_words import (
    distance_words,
    leg_words,
    limit_words,
    opening_words,
    risk_words,
    subject_words,
)
from sniperforge.cli.token_names import TokenNames
from sniperforge.domain.money import format_units
from sniperforge.domain.trigger import Subject
from sniperforge.errors import WalletError
from sniperforge.trading.order_arming import subjects_of

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.order_changes import Edit
    from sniperforge.trading.order_desk import Draft


def draft_lines(
    services: Services, draft: Draft, tokens: tuple[ResolvedToken, ResolvedToken], names: TokenNames
) -> Iterator[str]:
    """A draft and everything that helps to judge it."""
    order, (base, _) = draft.order, tokens
    record = services.wallets.find(order.wallet)
    held = format_units(max(0, draft.free_raw), base.decimals)
    yield f"{order.kind.value} for {base.symbol}"
    yield f"  wallet        {record.name} {order.wallet}, which holds {held} {base.symbol}"
    for leg in draft.legs:
        yield f"  {_title(leg.name.value):<13} {leg_words(leg, order, names)}"
        yield f"  {'':<13} {limit_words(leg)}"
    for distance in draft.distances:
        yield f"  distance      {distance_words(distance, names)}"
    for opening in (told for leg in draft.legs for told in opening_words(leg, draft.looked_at)):
        yield f"  time          {opening}"
    ends = "never" if order.expires_at is None else f"{order.expires_at:%Y-%m-%d %H:%M:%S %Z}"
    yield f"  ends          {ends}"
    yield f"  looked at     every {draft.check_every.total_seconds():g} s"
    for warning in (*_warnings(services, draft, tokens, names), *risk_words(draft.legs)):
        yield f"  warning       {warning}"


def edit_lines(changed: Edit, names: TokenNames) -> Iterator[str]:
    """An order as it will be after a change."""
    yield f"order {changed.order.id} ({changed.order.kind.value}) from now on"
    for leg in changed.changed_legs:
        yield f"  {_title(leg.name.value):<13} {leg_words(leg, changed.order, names)}"
        yield f"  {'':<13} {limit_words(leg)}"
    ends = "never" if changed.terms.ends_at is None else f"{changed.terms.ends_at:%Y-%m-%d %H:%M:%S %Z}"
    yield f"  ends          {ends}"


def _warnings(
    services: Services, draft: Draft, tokens: tuple[ResolvedToken, ResolvedToken], names: TokenNames
) -> Iterator[str]:
    for token in tokens:
        yield from (f"{token.symbol}: {warning.text}" for warning in token.warnings)
    watched = {subject: subject_words(subject, names) for leg in draft.legs for subject in subjects_of(leg.rule)}
    for warning in draft.warnings:
        yield _named(warning, watched)
    settings = services.settings
    if settings.wallet_passphrase is None and settings.wallet_passphrase_file is None:
        yield "workers could not sign for this wallet: give them a passphrase by SNIPERFORGE_WALLET_PASSPHRASE_FILE"
        return
    try:
        services.wallets.unlock(draft.order.wallet)
    except WalletError as error:
        yield f"workers could not sign for this wallet: {error}"


def _named(text: str, watched: Mapping[Subject, str]) -> str:
    for subject in sorted(watched, key=len, reverse=True):
        text = text.replace(subject, watched[subject])
    return text


def _title(leg: str) -> str:
    return {"main": "order", "take": "take-profit", "stop": "stop-loss"}.get(leg, leg)
