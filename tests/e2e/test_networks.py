"""The check of a network and trades on paper as typed, against a running sandbox; wrong input included."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.fakes.home_books import books_of
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.stores import Database
from tests.fakes.user_home import Home, fund, make_home, one_line
from tests.faults.chain_truth import ChainTruth

pytestmark = pytest.mark.system

BUY = ("trade", "--from", "USDC", "--to", "SOL", "--inline")
GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "networks.md").read_text(encoding="utf-8")
BANNER = "PAPER: live quotes, books of their own; nothing is signed or sent\n"


def paper_home(sandbox: RunningSandbox, folder: Path) -> Home:
    """A home in paper mode. Its passphrase is gone, so whatever opened a key would fail."""
    made = make_home(sandbox, folder, SNIPERFORGE_MODE="paper")
    fund(sandbox, made)
    (folder / "passphrase").unlink()
    return made


@pytest.fixture
def paper(sandbox: RunningSandbox, tmp_path: Path) -> Home:
    return paper_home(sandbox, tmp_path)


@pytest.fixture(scope="module")
def shared_paper(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """For tests after which nothing has changed."""
    return paper_home(sandbox, tmp_path_factory.mktemp("paper"))


def signed_by(sandbox: RunningSandbox, home: Home) -> int:
    """How many finalized transactions the home's key signed."""
    key = str(home.keypair.pubkey())
    with ChainTruth(sandbox.endpoints.rpc_url) as truth:
        return sum(key in one.signers for one in truth.history(key))


# ---- the guide


@pytest.mark.parametrize("number", [0, 1], ids=["devnet", "paper"])
def test_the_commands_of_the_guide_do_what_it_says_here(sandbox: RunningSandbox, home: Home, number: int) -> None:
    """Line by line, but for the network that cannot be reached from here, and a wallet that is there already."""
    environment = dict(home.environment)
    for line in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)[number].splitlines():
        _, *words = line.split()
        if words[0] == "export":
            name, value = words[1].split("=")
            environment |= {} if value == "devnet" else {name: value}
        elif words[1] != "wallet-create":
            done = Home(environment, home.keypair).run(*words[1:])
            assert done.status == 0, f"{line}\n{done.text}"
    assert signed_by(sandbox, home) == (1 if number == 0 else 0)


# ---- devnet-check


def test_a_check_lands_once_costs_its_fee_and_fits_the_books(home: Home) -> None:
    checked = home.run("devnet-check")

    assert checked.status == 0, checked.text
    assert "it cost 0.000005 SOL" in checked.text
    (listed,) = home.trades()
    assert (listed["kind"], listed["path"], listed["state"]) == ("maintenance", "router", "filled")
    assert "maintenance: devnet check" in home.run("trades").text
    shown = home.run("trade-show", listed["id"]).text
    assert "maintenance: devnet check" in shown
    assert "gave" not in shown
    assert "every invariant holds" in home.run("invariants").text
    assert "books and chain agree" in home.run("reconcile").text


@pytest.mark.parametrize("step", ["persisted", "sending", "booked"])
def test_a_check_killed_anywhere_is_carried_on_by_the_next_one_and_lands_once(
    sandbox: RunningSandbox, home: Home, step: str
) -> None:
    with home.trade_until(step, "devnet-check") as process:
        process.send_signal(signal.SIGKILL)
    again = home.run("settle") if step == "booked" else home.run("devnet-check")

    assert again.status == 0, again.text
    (listed,) = home.trades()
    assert listed["state"] == "filled"
    assert signed_by(sandbox, home) == 1


def test_an_unfunded_wallet_is_made_and_told_where_to_get_sol(sandbox: RunningSandbox, tmp_path: Path) -> None:
    home = make_home(sandbox, tmp_path)
    another = tmp_path / "another"
    home = Home({**home.environment, "SNIPERFORGE_HOME": str(another), **books_of(another)}, home.keypair)
    refused = home.run("devnet-check")

    assert refused.status == 1
    assert "created wallet" in refused.text
    assert "it has 0 SOL, and " in refused.text
    assert home.decided() == 0


def test_nodes_of_another_network_are_noticed_before_anything_is_signed(home: Home) -> None:
    refused = one_line(home.run("devnet-check", SNIPERFORGE_NETWORK="devnet"))

    assert "belong to another network than devnet" in refused
    assert home.decided() == 0


def test_a_check_is_refused_on_mainnet_and_on_paper(home: Home) -> None:
    mainnet = {
        "SNIPERFORGE_NETWORK": "mainnet",
        "SNIPERFORGE_MAINNET_OPT_IN": "true",
        "SNIPERFORGE_MAX_SPEND_PER_TRADE_USD": "1",
        "SNIPERFORGE_MAX_SPEND_PER_DAY_USD": "1",
    }
    assert "this would cost real SOL" in one_line(home.run("devnet-check", **mainnet))
    assert "nothing is signed or sent" in home.run("devnet-check", SNIPERFORGE_MODE="paper").text
    assert home.decided() == 0


def test_a_halted_wallet_is_not_checked(home: Home) -> None:
    assert home.run("halt", "--reason", "a person looks").status == 0
    refused = home.run("devnet-check")

    assert refused.status == 1
    assert "nothing was decided: trading is halted" in refused.text
    assert home.decided() == 0


def test_trading_on_devnet_is_refused_before_it_is_decided_and_says_why(home: Home) -> None:
    devnet = Home({**home.environment, "SNIPERFORGE_NETWORK": "devnet"}, home.keypair)
    del devnet.environment["SNIPERFORGE_JUPITER_URL"]
    for command in ((*BUY, "--amount", "1"), ("quote", "--from", "USDC", "--to", "SOL", "--amount", "1")):
        assert "nothing can be traded on devnet: Jupiter exists on mainnet only" in one_line(devnet.run(*command))
    assert devnet.decided() == 0


# ---- paper


def test_a_paper_home_trades_from_first_to_last_command_without_a_key(sandbox: RunningSandbox, paper: Home) -> None:
    given = paper.run("paper-fund", "main", "--sol", "10", "--token", "USDC", "--amount", "1000")
    assert given.status == 0, given.text
    assert "main has 1000 USDC on paper" in given.text
    bought = paper.run(*BUY, "--amount", "25")
    assert bought.status == 0, bought.text
    assert "signature     paper-" in bought.text

    (listed,) = paper.trades()
    assert (listed["path"], listed["state"]) == ("paper", "filled")
    assert "  PAPER 25 USDC -> SOL" in paper.run("trades").text
    assert f"PAPER trade {listed['id']}: filled, final" in paper.run("trade-show", listed["id"]).text
    assert "sandbox-paper" in paper.run("portfolio").text
    for command in ("reconcile", "invariants"):
        held = paper.run(command)
        assert held.status == 0, held.text
        assert "there is no chain to compare with" in held.text
    assert signed_by(sandbox, paper) == 0

    refused = paper.run(*BUY, "--amount", "1000")
    assert refused.status == 1
    assert "1000000000 base units are needed, the wallet has 975000000 on paper" in refused.text


def test_paper_has_a_file_of_its_own_for_its_books(shared_paper: Home, books: Database) -> None:
    if books != "sqlite":
        pytest.skip("about the files that books are when no database is set")
    home = Path(shared_paper.environment["SNIPERFORGE_HOME"])
    assert f"sqlite at {home / 'paper.db'}, " in shared_paper.run("doctor").text
    assert (home / "paper.db").exists()
    assert not (home / "books.db").exists()


def test_commands_in_paper_mode_say_so(shared_paper: Home) -> None:
    for command in (("trades",), ("doctor",)):
        assert BANNER in shared_paper.run(*command).text


def refusal(outcome_text: str) -> str:
    """The one line that a command in paper mode was refused with, behind the banner."""
    assert outcome_text.startswith(BANNER), outcome_text
    said = outcome_text.removeprefix(BANNER)
    assert said.startswith("sniperforge: "), said
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(
    ("told", "command"),
    [
        ("nothing is given", ("paper-fund",)),
        ("--token and --amount go together", ("paper-fund", "--token", "USDC")),
        ("--token and --amount go together", ("paper-fund", "--amount", "5")),
        ("is negative", ("paper-fund", "--sol=-1")),
        ("more decimals", ("paper-fund", "--sol", "0.0000000001")),
        ("is not a number", ("paper-fund", "--sol", "ten")),
        ("NOSUCH", ("paper-fund", "--token", "NOSUCH", "--amount", "5")),
        ("nobody", ("paper-fund", "nobody", "--sol", "1")),
        ("it has no balance on paper", (*BUY, "--amount", "1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_refused_in_one_line(shared_paper: Home, told: str, command: tuple[str, ...]) -> None:
    refused = shared_paper.run(*command)

    assert refused.status == 1
    assert told in refusal(refused.text)


def test_money_on_paper_does_not_get_into_live_books(home: Home) -> None:
    assert "these are live books" in one_line(home.run("paper-fund", "--sol", "1"))
