"""The demo: a stack trades unattended and is hurt while it does; every trade lands once, and the books show it.

Everything goes the way it goes for a person: the stack is started by `up`, trades, plans and orders by their commands,
what is hurt is hurt from outside, by signals, by FLUSHALL and by the sandbox's faults; and in the end a market crashes
under orders that were there all the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import IntentState
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Address
from sniperforge.embedded.demo_lines import Token, trade_line
from sniperforge.embedded.demo_orders import BUDGET_USDC, TOKEN, DemoOrders
from sniperforge.embedded.demo_report import LEAST_BUYS, BalanceLine, DemoReport, Hurt, Searched, TradeLine
from sniperforge.embedded.demo_world import DemoWorld
from sniperforge.embedded.exposure import at_rest, find_exposed, secrets_of, while_it_runs
from sniperforge.embedded.private_files import write_private
from sniperforge.embedded.stack_services import BEAT, OTHERS_WORKER, workers_of
from sniperforge.errors import RetryableError, SniperForgeError
from sniperforge.shared.tokens import USDC_MINT

if TYPE_CHECKING:
    from sniperforge.ports.clock import Clock

PLAN = "demo"
EVERY_S = 3
ONE_OFFS = (("USDC", TOKEN, BUDGET_USDC), ("USDC", "SOL", "40"), ("SOL", "USDC", "0.2"), ("USDC", "SOL", "60"))
USDC_DECIMALS = 6

_SETTINGS = """\
# The demo's own: a short lease, so that the trade of a killed worker waits less.
lease_s = 5
"""
_DCA = {
    "name": PLAN,
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": EVERY_S},
    "catch_up": "skip",
    "max_lateness_s": 60,
}
EXECUTE, ORDER = "jupiter:/swap/v2/execute", "jupiter:/swap/v2/order"
_SLOW_MS = 2_000
_BURST = 12
_WITHIN_S = 40.0
_FINAL_WITHIN_S = 60.0


class Demo:
    """One demo, from the start of its stack to the report.

    Args:
        home: An empty home of its own.
        clock: Time.
        say: Told of everything that happens, with what it is: `step`, `hurt`, `healed`, `moved` or `fired`.
        tick: Called again and again while something is waited for.
    """

    def __init__(self, home: Path, *, clock: Clock, say: Callable[[str, str], None], tick: Callable[[], None]) -> None:
        self._home = home
        self._clock = clock
        self._say = say
        self._world = DemoWorld(home, clock, tick)
        self._orders = DemoOrders(self._world, say, _WITHIN_S)
        self._tokens = {WSOL_MINT: Token("SOL", SOL_DECIMALS), USDC_MINT: Token("USDC", USDC_DECIMALS)}
        self._ready_at = clock.monotonic()
        self.report = DemoReport()

    def run(self) -> DemoReport:
        """Show everything. What went wrong is in the report's problems; the stack is stopped whatever happens."""
        started = self._clock.monotonic()
        one_offs: list[IntentId] = []
        try:
            self._start(started)
            self._show(one_offs)
        except (SniperForgeError, OSError) as error:
            self.report.problems.append(str(error))
        finally:
            self._stop()
        if self.report.ready_s:
            self._look_back()
            self.report.trades = self.trade_lines()
            self.report.orders = self._orders.lines()
        self.report.judge(len(ONE_OFFS))
        self.report.seconds = self._clock.monotonic() - started
        return self.report

    def trade_lines(self) -> list[TradeLine]:
        """Every trade as it stands now, oldest first."""
        from sniperforge.trading.trade_report import read_report

        found, kinds = reversed(self._world.trades()), self._world.order_kinds()
        store = self._world.services.store
        return [
            trade_line(intent, read_report(store, intent.id), tokens=self._tokens, dollar=USDC_MINT, kinds=kinds)
            for intent in found
        ]

    def _start(self, started: float) -> None:
        write_private(self._home / "sniperforge.toml", _SETTINGS)
        self._say("step", "starting Redis, sandbox, workers, beat and Flower; making and funding a wallet")
        self._world.command("up", "-d")
        self._ready_at = self._clock.monotonic()
        self.report.ready_s = self._ready_at - started
        self._say("step", f"ready after {self.report.ready_s:.1f} s")
        config = self._home / "dca.json"
        config.write_text(json.dumps(_DCA, indent=2), encoding="utf-8")
        self._world.command("strategy-run", "--type", "dca", "--config", str(config), "--yes")
        self._say("step", f"the plan {PLAN!r} buys SOL for 5 USDC every {EVERY_S} seconds")

    def _place_orders(self, one_offs: list[IntentId]) -> None:
        resolved = self._world.services.tokens.resolve(TOKEN)
        self._tokens[resolved.mint] = Token(resolved.symbol, resolved.decimals)
        self._orders.hold_price()
        bought = self._enqueue(one_offs)
        self._world.until(f"{TOKEN} to sell", lambda: self._is_filled(bought), _WITHIN_S)
        self._orders.place()

    def _show(self, one_offs: list[IntentId]) -> None:
        world = self._world
        self._place_orders(one_offs)
        world.until("the first round", lambda: self._buys() >= 1, _WITHIN_S)
        self._kill_a_worker_in_mid_trade(one_offs)
        self._wipe_redis()
        self._kill_beat()
        self._drop_a_response(one_offs)
        self._answer_429(one_offs)
        self._orders.rise_and_crash()
        self._say("step", f"waiting for {LEAST_BUYS} rounds, then the plan is stopped and everything settles")
        world.until("the plan's rounds", lambda: self._buys() >= LEAST_BUYS, _FINAL_WITHIN_S)
        world.command("strategy-stop", PLAN, "--yes")
        world.until("everything settled", lambda: not world.unsettled(), _FINAL_WITHIN_S)
        world.until("every order's end", lambda: not self._orders.are_open(), _WITHIN_S)
        self._hold_books_against_chain()
        self._look_for_secrets("while it ran", while_it_runs(world.services))

    # ---- what is hurt

    def _kill_a_worker_in_mid_trade(self, one_offs: list[IntentId]) -> None:
        world = self._world
        world.fault(EXECUTE, "latency", 3, ms=_SLOW_MS)  # so that there is a middle to be hit
        self._enqueue(one_offs)
        world.until("a transaction in flight", lambda: bool(world.in_flight()), _WITHIN_S)
        caught = world.in_flight()
        with self._hurting(
            f"SIGKILL to every worker of trades, {len(caught)} of their transactions signed, sent and not seen to land"
        ) as hurt:
            killed = {name: world.kill(name) for name in workers_of(world.services.settings) if name != OTHERS_WORKER}
            world.until(
                "new workers", lambda: all(world.pid(one) not in (None, killed[one]) for one in killed), _WITHIN_S
            )
            world.until("its trades", lambda: all(map(self._is_filled, caught)), _WITHIN_S)
            hurt.healed = "new ones found the signed bytes in the books and carried them on"

    def _wipe_redis(self) -> None:
        with self._hurting("FLUSHALL: every message, window and lock of Redis is gone") as hurt:
            rounds = self._buys()
            self._world.wipe_redis()
            self._world.until("rounds after the flush", lambda: self._buys() >= rounds + 2, _WITHIN_S)
            hurt.healed = "beat rang again; what was due was in the books, not in Redis"

    def _kill_beat(self) -> None:
        with self._hurting("SIGKILL to beat") as hurt:
            rounds = self._buys()
            self._world.until("beat", lambda: self._world.pid(BEAT) is not None, _WITHIN_S)
            pid = self._world.kill(BEAT)
            self._world.until("a new beat", lambda: self._world.pid(BEAT) not in (None, pid), _WITHIN_S)
            self._world.until("rounds after beat's end", lambda: self._buys() >= rounds + 1, _WITHIN_S)
            hurt.healed = "started again; missed rounds were recorded as skipped, none was decided twice"

    def _drop_a_response(self, one_offs: list[IntentId]) -> None:
        with self._hurting("the answer of /execute is lost after the transaction landed") as hurt:
            self._world.fault(EXECUTE, "drop_response", 1)
            intent = self._enqueue(one_offs)
            self._world.until("the lost answer", lambda: self._world.fault_is_spent(EXECUTE), _WITHIN_S)
            self._world.until("the trade", lambda: self._is_filled(intent), _WITHIN_S)
            hurt.healed = "asked the chain instead of buying again: one transaction, one fill"

    def _answer_429(self, one_offs: list[IntentId]) -> None:
        with self._hurting(f"the next {_BURST} quotes are answered with 429, too many requests") as hurt:
            self._world.fault(ORDER, "http_429", _BURST)
            intent = self._enqueue(one_offs)
            self._world.until("the burst", lambda: self._world.fault_is_spent(ORDER), _FINAL_WITHIN_S)
            self._world.until("the trade", lambda: self._is_filled(intent), _FINAL_WITHIN_S)
            hurt.healed = "waited as long as the budget said, then traded"

    @contextmanager
    def _hurting(self, what: str) -> Iterator[Hurt]:
        began = self._clock.monotonic()
        hurt = Hurt(what=what, at_s=began - self._ready_at)
        self.report.hurts.append(hurt)
        self._say("hurt", what)
        yield hurt
        hurt.took_s = self._clock.monotonic() - began
        self._say("healed", f"{hurt.healed} ({hurt.took_s:.1f} s)")

    # ---- what is seen

    def _enqueue(self, one_offs: list[IntentId]) -> IntentId:
        source, target, amount = ONE_OFFS[len(one_offs)]
        intent = self._world.enqueue(source, target, amount)
        one_offs.append(intent)
        self._say("step", f"enqueued {intent}: {amount} {source} -> {target}")
        return intent

    def _is_filled(self, intent: IntentId) -> bool:
        return self._world.state(intent) is IntentState.FILLED

    def _buys(self) -> int:
        filled = [one for one in self._world.trades() if one.plan_id == PLAN and one.state is IntentState.FILLED]
        return len(filled)

    def _hold_books_against_chain(self) -> None:
        from sniperforge.ports.records import NATIVE_SOL, Asset
        from sniperforge.trading.holdings import holdings_at_one_slot

        services = self._world.services
        wallet = Address(services.wallets.find(None).address)
        # A confirmed landing becomes a final line a moment after the chain calls it final.
        services.reconciler.scan(wallet)
        with services.chain.pinned() as node:
            holdings = holdings_at_one_slot(node, wallet)
        names = {NATIVE_SOL: "SOL (native)", Asset(WSOL_MINT): "wSOL"}
        with services.store.read() as books:
            for asset in sorted({*holdings.raw, *books.ledger.assets(wallet)}):
                booked = books.ledger.balance_raw(wallet, asset, up_to_slot=holdings.slot, final_only=True)
                self.report.balances.append(
                    BalanceLine(
                        asset=names.get(asset) or self._symbol(asset),
                        slot=holdings.slot,
                        books_raw=booked,
                        chain_raw=holdings.raw.get(asset, 0),
                    )
                )
        self.report.hold(services.invariants.check(wallet))

    def _look_for_secrets(self, when: Searched, places: Iterator[tuple[str, bytes]]) -> None:
        """I8: what runs is asked before it stops, files and books after it, with what stopping left in them."""
        looked_at = list(places)
        self.report.searched[when] = len(looked_at)
        self.report.broken += map(str, find_exposed(looked_at, secrets_of(self._world.services)))

    def _symbol(self, mint: str) -> str:
        try:
            return self._world.services.tokens.resolve(mint).symbol
        except RetryableError:
            return mint

    def _stop(self) -> None:
        self._say("step", "stopping everything")
        try:
            self._world.command("down")
        except (SniperForgeError, OSError) as error:
            self.report.problems.append(str(error))

    def _look_back(self) -> None:
        try:
            self._look_for_secrets("at rest", at_rest(self._world.services))
        except (SniperForgeError, OSError) as error:
            self.report.problems.append(str(error))
