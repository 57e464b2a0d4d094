"""Following a trade that workers carry on: whatever they write into the books is shown as it appears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from sniperforge.errors import QueueUnavailableError, RetryableError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.ids import IntentId
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.trading.trade_report import TradeReport

LOOK_EVERY_S = 0.1
UNTAKEN_AFTER_S = 10.0
"""A trade that nobody has touched for this long is said to be waiting for a worker."""


class Steps:
    """Shows each step with the seconds since the decision, and keeps them.

    Args:
        silent: Keep them only.
    """

    def __init__(self, *, silent: bool) -> None:
        self.taken: list[dict[str, Any]] = []
        self._silent = silent

    def show(self, trade: IntentId, seconds: float, step: str, text: str) -> None:
        """One step. It does not raise: whoever read along may have gone (`| head`), and the trade goes on unseen."""
        shown = f"{seconds:.3f}"
        self.taken.append({"trade": trade, "seconds": shown, "step": step, "text": text})
        if self._silent:
            return
        try:
            typer.echo(f"{shown:>9}  {step:<18} {text}")
        except OSError:
            self._silent = True


def ring(services: Services, intent: TradeIntent) -> bool:
    """Ask a worker to carry a trade on; if none can be asked, say what becomes of it. Returns whether one was."""
    try:
        services.queue.ring_trade(intent.id)
    except QueueUnavailableError as error:
        typer.echo(
            f"sniperforge: warning: nobody could be rung for trade {intent.id}: {error.what}. It is in the books, and "
            f"starts when the stack is back, if that is before {intent.deadline_at:%H:%M:%S} UTC; "
            f"`sniperforge settle {intent.id}` carries it on in this process",
            err=True,
        )
        return False
    return True


def follow(services: Services, intent: IntentId, steps: Steps) -> TradeReport:
    """Show what happens to a trade until nothing changes any more; returns its report.

    Raises:
        TerminalError: The books cannot be used as they are.
    """
    from sniperforge.trading.trade_report import read_report

    shown = _Shown(steps)
    untaken_at = services.clock.monotonic() + UNTAKEN_AFTER_S
    while True:
        try:
            report = read_report(services.store, intent)
        except RetryableError as error:
            typer.echo(f"sniperforge: the books cannot be read now, which stops no trade: {error}", err=True)
            services.clock.sleep(UNTAKEN_AFTER_S)
            continue
        shown.show_new(report)
        if report.settled:
            return report
        if services.clock.monotonic() > untaken_at:
            untaken_at = float("inf")
            if report.intent.version == 0:
                typer.echo(
                    f"sniperforge: no worker has taken it for {UNTAKEN_AFTER_S:.0f} s: `sniperforge doctor` looks why; "
                    f"`sniperforge settle {intent}` carries it on in a process of its own",
                    err=True,
                )
        services.clock.sleep(LOOK_EVERY_S)


class _Shown:
    """What was shown already of one trade."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._seen: set[object] = set()

    def show_new(self, report: TradeReport) -> None:
        """Show what came since the last time, in its order."""
        news = [(event.at, event.kind, event.message) for event in report.events if self._is_new(event.id)]
        # The only change of an attempt that has no event of its own.
        news += [
            (attempt.last_sent_at, "attempt.sent", f"sent {attempt.signature}")
            for attempt in report.attempts
            if attempt.last_sent_at is not None and self._is_new(attempt.id)
        ]
        for at, step, text in sorted(news):
            self._steps.show(report.intent.id, (at - report.intent.created_at).total_seconds(), step, text)

    def _is_new(self, what: object) -> bool:
        if what in self._seen:
            return False
        self._seen.add(what)
        return True
