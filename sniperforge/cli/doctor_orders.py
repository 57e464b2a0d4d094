"""What `doctor` says of orders: who could sign for them, how often and when the market was looked at, what waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sniperforge.cli.doctor_stack import locked
from sniperforge.cli.findings import Finding

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.order import Leg
    from sniperforge.domain.trigger import Subject
    from sniperforge.ports.triggers import WatchedSubject

LATE_LOOKS = 3
LEAST_LATENESS = timedelta(seconds=10)
"""A price is late when it was due `LATE_LOOKS` times since it was seen, and not before this."""

_LEGS_READ = 200
_NAMED = 3


def orders(services: Services) -> Iterator[Finding]:
    """Whether what open orders wait for is looked at and can be signed for, and what of them waits for another try."""
    from sniperforge.domain.order import LegState

    settings = services.settings
    if settings.effective_jupiter_url is None:
        return
    with services.store.read() as books:
        watched = books.triggers.watched()
        armed = books.orders.in_leg_state(LegState.ARMED, _LEGS_READ)
        waiting = books.orders.in_leg_state(LegState.WAITING, _LEGS_READ)
    yield from _unsigned(services)
    yield from _unpriced(watched)
    every = _every(services, [one.subject for one in watched])
    late = services.clock.now() - max(LEAST_LATENESS, LATE_LOOKS * every)
    yield from _unseen({one: since for one, since in _since(watched, armed).items() if since < late})
    for leg in waiting:
        yield _again(leg)
    yield _how_often(services, every)


def _unsigned(services: Services) -> Iterator[Finding]:
    """Wallets with open orders for which workers could not sign."""
    with services.store.read() as books:
        wallets = [wallet for wallet in books.wallets.all() if books.orders.open(1, wallet=wallet.address)]
    for wallet in wallets:
        why = locked(services, wallet.address)
        if why is not None:
            yield Finding(
                "orders",
                "fail",
                f"workers cannot sign for wallet {wallet.name}, which has open orders: {why}",
                "Set SNIPERFORGE_WALLET_PASSPHRASE_FILE (mode 0600) for the workers, or cancel its orders",
            )


def _unpriced(watched: Sequence[WatchedSubject]) -> Iterator[Finding]:
    for one in watched:
        if one.problem is not None and one.problem_since is not None:
            yield Finding(
                "orders",
                "warn",
                f"nothing that watches {one.subject} can fire since {_moment(one.problem_since)}: {one.problem}",
                "Wait for its price, or act by hand: `sniperforge order-list` says which orders watch it",
            )


def _since(watched: Sequence[WatchedSubject], armed: Sequence[Leg]) -> dict[Subject, datetime]:
    """Since when nothing was heard of what is watched: its last value, or when it was first waited for, if later.

    What has no price is left out: somebody looked, and it is told by itself.
    """
    from sniperforge.trading.order_arming import subjects_of

    waited = {subject: leg.updated_at for leg in reversed(armed) for subject in subjects_of(leg.rule)}
    heard = {one.subject: (one.seen_at, waited.get(one.subject)) for one in watched if one.problem is None}
    known = {subject: [moment for moment in both if moment is not None] for subject, both in heard.items()}
    return {subject: max(moments) for subject, moments in known.items() if moments}


def _unseen(since: dict[Subject, datetime]) -> Iterator[Finding]:
    if not since:
        return
    oldest_first = sorted(since, key=lambda subject: (since[subject], subject))
    more = f" and {len(oldest_first) - _NAMED} more" if len(oldest_first) > _NAMED else ""
    yield Finding(
        "orders",
        "warn",
        f"nobody has looked at {', '.join(oldest_first[:_NAMED])}{more} since {_moment(since[oldest_first[0]])}, or "
        f"there was no newer price: nothing that watches it can fire meanwhile",
        "See `workers` and `beat` above: the workers of queue `orders` look, when beat rings",
    )


def _again(leg: Leg) -> Finding:
    when = "at the next look" if leg.refire_at is None else f"at {_moment(leg.refire_at)}"
    return Finding(
        "orders",
        "warn",
        f"leg {leg.name.value} of order {leg.order_id} has fired in vain, and fires again {when}: {leg.reason}",
        f"`sniperforge order-show {leg.order_id}` lists its trades; `sniperforge order-edit` changes its limits",
    )


def _every(services: Services, subjects: Sequence[Subject]) -> timedelta:
    from sniperforge.domain.money import WSOL_MINT
    from sniperforge.domain.trigger import Subject
    from sniperforge.ports.exchange import Lane
    from sniperforge.shared.jupiter.rate_limit import PLANS, Bucket
    from sniperforge.trading.price_watch import check_every

    limits = PLANS[services.settings.jupiter_plan]
    return check_every(
        subjects or [Subject(WSOL_MINT)],
        calls=limits.of_lane(Bucket.MAIN, Lane.MONITORING),
        window=timedelta(seconds=limits.window_s),
    )


def _how_often(services: Services, every: timedelta) -> Finding:
    from sniperforge.trading.price_watch import SHORTEST_INTERVAL

    told = f"triggers are checked every {every.total_seconds():g} s"
    if every <= SHORTEST_INTERVAL:
        return Finding("orders", "ok", told)
    return Finding(
        "orders",
        "warn",
        f"{told}: plan {services.settings.jupiter_plan} bears no more",
        "Set jupiter_api_key and jupiter_plan to a larger plan: stops fire sooner after the price is there",
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
