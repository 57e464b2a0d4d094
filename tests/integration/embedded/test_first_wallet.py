"""The wallet that a sandbox begins with: made once, given money once, put into the books once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sniperforge.bootstrap import Services, build
from sniperforge.config import load_settings
from sniperforge.domain.money import LAMPORTS_PER_SOL
from sniperforge.embedded.first_wallet import SandboxAdmin, fund_and_adopt, unlock_wallets
from sniperforge.errors import NodeUnavailableError, WalletError
from sniperforge.ports.records import NATIVE_SOL
from tests.fakes.records import USDC
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox

SLOT_MS = 200
PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "home", slot_ms=SLOT_MS, rate_limits=False) as running:
        yield running


def services_of(home: Path, sandbox: RunningSandbox, passphrase: str = PASSPHRASE) -> Services:
    urls = sandbox.endpoints
    settings = load_settings(
        home=home, rpc_urls=urls.rpc_url, jupiter_url=urls.jupiter_url, wallet_passphrase=passphrase
    )
    return build(settings)


class Told(list[str]):
    """What was said."""

    def say(self, text: str, *, warning: bool = False) -> None:
        self.append(f"! {text}" if warning else text)


def test_it_is_made_funded_and_in_the_books_after_one_start(tmp_path: Path, sandbox: RunningSandbox) -> None:
    services, told = services_of(tmp_path, sandbox), Told()
    unlock_wallets(services, told.say)
    fund_and_adopt(services, SandboxAdmin(sandbox.endpoints.admin_url), told.say)
    wallet = services.wallets.find("main")
    with services.store.read() as books:
        assert books.ledger.balance_raw(wallet.address, NATIVE_SOL, final_only=True) == 20 * LAMPORTS_PER_SOL
        record = books.wallets.get(wallet.address)
        assert {str(asset) for asset in books.ledger.assets(wallet.address)} == {"native", USDC}
    assert record is not None
    assert services.reconciler.compare(wallet.address) == ()
    assert sandbox.ask("GET", "/status")["slot_ms"] == SLOT_MS, "slots are as long as before"
    assert len(told) == 2
    services.close()


def test_the_next_start_makes_and_gives_nothing(tmp_path: Path, sandbox: RunningSandbox) -> None:
    for turn in range(2):
        services, told = services_of(tmp_path, sandbox), Told()
        unlock_wallets(services, told.say)
        fund_and_adopt(services, SandboxAdmin(sandbox.endpoints.admin_url), told.say)
        assert bool(told) == (turn == 0)
        wallet = services.wallets.find("main")
        assert services.wallets.balances(services.chain, wallet.address).lamports == 20 * LAMPORTS_PER_SOL
        assert len(services.wallets.list()) == 1
        services.close()


def test_a_start_that_was_killed_after_the_money_came_gives_none_again(tmp_path: Path, sandbox: RunningSandbox) -> None:
    services, told = services_of(tmp_path, sandbox), Told()
    admin = SandboxAdmin(sandbox.endpoints.admin_url)
    unlock_wallets(services, told.say)
    wallet = services.wallets.find("main")
    admin.give(wallet.address, services.clock)
    fund_and_adopt(services, admin, told.say)
    assert services.wallets.balances(services.chain, wallet.address).lamports == 20 * LAMPORTS_PER_SOL
    with services.store.read() as books:
        assert books.wallets.get(wallet.address) is not None
    services.close()


def test_wallets_of_other_names_are_left_to_their_owner(tmp_path: Path, sandbox: RunningSandbox) -> None:
    services, told = services_of(tmp_path, sandbox), Told()
    mine = services.wallets.create("mine")
    unlock_wallets(services, told.say)
    fund_and_adopt(services, SandboxAdmin(sandbox.endpoints.admin_url), told.say)
    assert [wallet.name for wallet in services.wallets.list()] == ["mine"]
    assert services.wallets.balances(services.chain, mine.address).lamports == 0
    with services.store.read() as books:
        assert books.wallets.all() == ()
    services.close()


def test_a_wrong_passphrase_is_known_before_anything_trades(tmp_path: Path, sandbox: RunningSandbox) -> None:
    right, told = services_of(tmp_path, sandbox), Told()
    unlock_wallets(right, told.say)
    with pytest.raises(WalletError):
        unlock_wallets(services_of(tmp_path, sandbox, passphrase="another passphrase"), told.say)


def test_a_network_without_wallets_is_told_how_to_make_one(tmp_path: Path) -> None:
    told = Told()
    services = build(load_settings(home=tmp_path, network="devnet", wallet_passphrase=PASSPHRASE))
    unlock_wallets(services, told.say)
    assert services.wallets.list() == ()
    assert "wallet-create" in told[0]


def test_a_sandbox_that_does_not_answer_is_said(tmp_path: Path, sandbox: RunningSandbox) -> None:
    services, told = services_of(tmp_path, sandbox), Told()
    unlock_wallets(services, told.say)
    with pytest.raises(NodeUnavailableError, match="the sandbox does not answer"):
        fund_and_adopt(services, SandboxAdmin("http://127.0.0.1:9"), told.say)
    services.close()
