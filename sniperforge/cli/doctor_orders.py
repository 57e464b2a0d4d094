"""What `doctor` says of orders: how often the market is looked at for them, and what has no price."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from sniperforge.cli.findings import Finding

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services


def orders(services: Services) -> Iterator[Finding]:
    """How often triggers are checked within the plan's budget, and which of them cannot be checked now."""
    from sniperforge.domain.money import WSOL_MINT
    from sniperforge.domain.trigger import Subject
    from sniperforge.ports.exchange import Lane
    from sniperforge.shared.jupiter.rate_limit import PLANS, Bucket
    from sniperforge.trading.price_watch import SHORTEST_INTERVAL, check_every

    settings = services.settings
    if settings.effective_jupiter_url is None:
        return
    with services.store.read() as books:
        watched = books.triggers.watched()
    for one in watched:
        if one.problem is not None:
            yield Finding(
                "orders",
                "warn",
                f"nothing that watches {one.subject} can fire since {one.problem_since:%Y-%m-%d %H:%M:%S} UTC:"
                f" {one.problem}",
                "Wait for its price, or act by hand: `sniperforge order-list` says which orders watch it",
            )
    limits = PLANS[settings.jupiter_plan]
    every = check_every(
        [one.subject for one in watched] or [Subject(WSOL_MINT)],
        calls=limits.of_lane(Bucket.MAIN, Lane.MONITORING),
        window=timedelta(seconds=limits.window_s),
    )
    told = f"triggers are checked every {every.total_seconds():g} s"
    if every > SHORTEST_INTERVAL:
        yield Finding(
            "orders",
            "warn",
            f"{told}: plan {settings.jupiter_plan} bears no more",
            "Set jupiter_api_key and jupiter_plan to a larger plan: stops fire sooner after the price is there",
        )
    else:
        yield Finding("orders", "ok", told)
