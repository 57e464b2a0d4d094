"""Paper mode as it is in use: real quotes of a real sandbox, and a chain on which nothing happens by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import Services
from sniperforge.domain.intent import IntentState
from sniperforge.domain.money import Address
from sniperforge.errors import InvalidInputError, WalletError
from sniperforge.ports.records import NATIVE_SOL, Asset
from sniperforge.shared.paper_wallets import PaperWallets
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.paper_books import fund
from tests.fakes.postgres import new_books
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.faults.chain_truth import ChainTruth
from tests.faults.scenes import buy, sell
from tests.faults.world import World, new_world

pytestmark = pytest.mark.slow

NEVER_ASKED = ("jupiter:/swap/v2/execute", "jupiter:/swap/v2/build", "rpc:sendTransaction", "rpc:simulateTransaction")
TRADES = 20


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(
        tmp_path_factory.mktemp("sandbox"), slot_ms=10, rate_limits=False, crowd=20, scenario="flat"
    ) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, sandbox: RunningSandbox, tmp_path: Path) -> World:
    """A funded wallet in paper mode, and no passphrase anywhere: a key that were opened would be noticed."""
    live = new_world(sandbox, tmp_path / "home", funds={"SOL": "3", "USDC": "100"})
    (live.home / "passphrase").unlink()
    paper = live.using(mode="paper", wallet_passphrase_file=None)
    return paper if request.param == "sqlite" else replace(paper, database_url=new_books())


def give(services: Services, wallet: Address) -> None:
    fund(
        store=services.store,
        clock=services.clock,
        network=services.books_network,
        name="main",
        address=wallet,
        raw={NATIVE_SOL: 10 * 10**9, Asset(USDC_MINT): 1_000_000_000},
    )


def hits(sandbox: RunningSandbox) -> Mapping[str, int]:
    answer: dict[str, Any] = sandbox.ask("GET", "/faults")
    return {rule["target"]: rule["hits"] for rule in answer["faults"]}


def test_twenty_trades_on_paper_leave_the_chain_as_it_was(sandbox: RunningSandbox, world: World) -> None:
    with ChainTruth(sandbox.endpoints.rpc_url) as truth:
        before = truth.balances(world.wallet), truth.history(world.wallet)
    for target in NEVER_ASKED:
        sandbox.fault(target, "http_500_html", probability=1)
    with world.opened() as services:
        give(services, world.wallet)
        executor = services.executor(owner="one")
        requests = [buy(world, f"buy-{n}") for n in range(TRADES // 2)]
        requests += [sell(world, f"sell-{n}", 10**8) for n in range(TRADES // 2)]
        ends = [executor.run(executor.decide(request).id) for request in requests]
        report = services.invariants.check(world.wallet)
        services.reconciler.scan(world.wallet)
        found = services.reconciler.compare(world.wallet)
    asked = hits(sandbox)
    sandbox.clear_faults()

    assert [end.state for end in ends] == [IntentState.FILLED] * TRADES, {end.reason for end in ends}
    assert asked == dict.fromkeys(NEVER_ASKED, 0)
    with ChainTruth(sandbox.endpoints.rpc_url) as truth:
        assert (truth.balances(world.wallet), truth.history(world.wallet)) == before
    assert report.holds, str(report)
    assert report.looked_at.fills == TRADES
    assert found == ()


def test_no_key_is_opened_and_none_signs(world: World) -> None:
    with world.opened() as services:
        wallets = services.wallets
        assert isinstance(wallets, PaperWallets)
        wallets.unlock(world.wallet)  # there is no passphrase, so opening it would fail
        with pytest.raises(WalletError, match="in paper mode nothing is signed"):
            wallets.sign(world.wallet, b"message")
        with pytest.raises(WalletError):
            wallets.unlock(Address("somebody"))


def test_a_wallet_that_was_given_nothing_on_paper_cannot_trade_whatever_it_has_on_chain(world: World) -> None:
    with world.opened() as services:
        with pytest.raises(InvalidInputError, match="no balance on paper"):
            services.reconciler.adopt("main", world.wallet)
        with pytest.raises(InvalidInputError, match="do not know this wallet"):
            services.executor(owner="one").decide(buy(world, "one"))


def test_live_mode_on_the_books_of_paper_is_refused(world: World) -> None:
    with world.opened() as services:
        give(services, world.wallet)
        books = services.settings.effective_database_url
    live = replace(world.using(mode="live"), database_url=books)
    with live.opened() as services, pytest.raises(InvalidInputError, match="sandbox-paper"):
        services.reconciler.adopt("main", world.wallet)
