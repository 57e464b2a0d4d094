"""The commands of a first visit as typed, against a running sandbox, wrong input included."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.storage.migrations import head_revision
from tests.fakes.home_books import books_of, kept_in
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.stores import Database
from tests.fakes.terminal import Outcome, run_at_terminal, sniperforge

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), slot_ms=20, rate_limits=False) as running:
        yield running


@pytest.fixture
def environment(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    """A new home of a new user, pointed at the sandbox by URLs alone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    return {
        **clean,
        "SNIPERFORGE_HOME": str(tmp_path / "home"),
        "SNIPERFORGE_RPC_URLS": sandbox.endpoints.rpc_url,
        "SNIPERFORGE_JUPITER_URL": sandbox.endpoints.jupiter_url,
        "SNIPERFORGE_JUPITER_PLAN": "pro",
        **books_of(tmp_path / "home"),
    }


def run(environment: dict[str, str], *arguments: str, typed: str = "") -> Outcome:
    """A command without a terminal."""
    done = subprocess.run(
        sniperforge(*arguments), env=environment, input=typed, text=True, capture_output=True, timeout=60, check=False
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def with_passphrase(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return {**environment, "SNIPERFORGE_WALLET_PASSPHRASE_FILE": str(path)}


def one_line(outcome: Outcome) -> str:
    assert outcome.status == 1, outcome.text
    assert outcome.text.startswith("sniperforge: ")
    assert outcome.text.count("\n") == 1, outcome.text
    return outcome.text


def test_a_wallet_is_made_funded_and_looked_at(
    sandbox: RunningSandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    made = run_at_terminal(
        sniperforge("wallet-create"),
        environment,
        [("Passphrase of the wallets", PASSPHRASE), ("The same again", PASSPHRASE)],
    )
    assert made.status == 0, made.text
    assert PASSPHRASE not in made.text
    address = next(line.split()[1] for line in made.text.splitlines() if line.startswith("address"))
    assert run(environment, "wallet-list").text.split() == ["main", address]
    assert "no SOL" in run(environment, "wallet-balance").text

    sandbox.fund(Pubkey.from_string(address), sol="10")
    sandbox.fund(Pubkey.from_string(address), token="USDC", amount="1000")
    sandbox.fund(Pubkey.from_string(address), token="FEE2", amount="5")
    shown = run(environment, "wallet-balance", "main").text
    lines = {line.split()[0]: line.split()[1] for line in shown.splitlines()[1:]}
    assert lines["SOL"] == "10"
    assert lines["USDC"] == "1000"
    assert lines["FEE2"] == "5"
    balances = json.loads(run(environment, "wallet-balance", address, "--json").text)
    assert balances["lamports"] == 10_000_000_000
    assert {token["raw"] for token in balances["tokens"]} >= {"1000000000"}


def test_two_different_passphrases_make_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    made = run_at_terminal(
        sniperforge("wallet-create"), environment, [("Passphrase", "one two three"), ("again", "four five six")]
    )
    assert made.status == 1
    assert "differ; nothing was written" in made.text
    assert not (tmp_path / "home" / "keys").exists()


def test_a_key_is_imported_and_exported_after_asking_twice(environment: dict[str, str], tmp_path: Path) -> None:
    keypair = Keypair()
    (tmp_path / "id.json").write_text(keypair.to_json())
    unattended = with_passphrase(environment, tmp_path)
    imported = run(unattended, "wallet-import", "trading", "--file", str(tmp_path / "id.json"))
    assert str(keypair.pubkey()) in imported.text
    shown = run_at_terminal(
        sniperforge("wallet-export", "trading"),
        unattended,
        [("on this screen?", "y"), ("Type the wallet's name", "trading")],
    )
    assert shown.status == 0
    assert json.loads(shown.text.splitlines()[-1]) == list(bytes(keypair))
    refused = run_at_terminal(
        sniperforge("wallet-export", "trading"),
        unattended,
        [("on this screen?", "y"), ("Type the wallet's name", "other")],
    )
    assert refused.status == 1
    assert str(list(bytes(keypair))[:8])[1:-1] not in refused.text
    assert "at a terminal only" in one_line(run(unattended, "wallet-export", "trading"))


def test_a_key_is_imported_from_standard_input(environment: dict[str, str], tmp_path: Path) -> None:
    keypair = Keypair()
    imported = run(with_passphrase(environment, tmp_path), "wallet-import", "second", typed=str(keypair))
    assert str(keypair.pubkey()) in imported.text


def test_doctor_finds_everything_well_and_names_what_is_missing(environment: dict[str, str], books: Database) -> None:
    report = run(environment, "doctor")
    assert report.status == 0, report.text
    assert "no wallet yet" in report.text
    for check in ("home", "books", "rpc", "jupiter", "prices"):
        assert f"ok    {check}" in report.text, report.text
    assert ("ok    books    postgresql" in report.text) == (books == "postgres")
    assert "bps apart" in report.text


def test_doctor_says_what_to_do_without_a_sandbox(environment: dict[str, str]) -> None:
    nowhere = {
        **environment,
        "SNIPERFORGE_RPC_URLS": "http://127.0.0.1:9",
        "SNIPERFORGE_JUPITER_URL": "http://127.0.0.1:9",
    }
    report = run(nowhere, "doctor")
    assert report.status == 1
    assert "FAIL  rpc" in report.text
    assert "sniperforge sandbox" in report.text
    findings = json.loads(run(nowhere, "doctor", "--json").text)
    failed = {finding["check"] for finding in findings if finding["verdict"] == "fail"}
    assert failed == {"rpc", "clock", "jupiter", "prices"}


def test_a_quote_is_shown_through_the_products_own_adapters(environment: dict[str, str]) -> None:
    shown = run(environment, "quote", "--from", "USDC", "--to", "SOL", "--amount", "25")
    assert shown.status == 0, shown.text
    quote = json.loads(run(environment, "quote", "--from", "USDC", "--to", "SOL", "--amount", "25", "--json").text)
    assert Decimal("0.05") < Decimal(quote["out"]) < Decimal("0.5")
    assert Decimal(quote["minimum_out"]) <= Decimal(quote["out"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "USDC", "--to", "SOL", "--amount", "0"), "zero"),
        (("--from", "USDC", "--to", "SOL", "--amount", "-1"), "negative"),
        (("--from", "USDC", "--to", "SOL", "--amount", "1.0000001"), "decimals"),
        (("--from", "USDC", "--to", "SOL", "--amount", "many"), "not a number"),
        (("--from", "USDC", "--to", "NOSUCHTOKEN", "--amount", "1"), "NOSUCHTOKEN"),
        (("--from", "PEPE2", "--to", "SOL", "--amount", "1"), "several"),
        (("--from", "SOL", "--to", "SOL", "--amount", "1"), "same"),
    ],
)
def test_a_quote_that_cannot_be_is_one_line(environment: dict[str, str], arguments: tuple[str, ...], says: str) -> None:
    assert says in one_line(run(environment, "quote", *arguments))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("wallet-create", "Bad Name"), "lower-case"),
        (("wallet-import", "x", "--file", "/does/not/exist"), "cannot be read"),
        (("wallet-balance", "nobody"), "no such wallet"),
        (("wallet-balance",), "no wallet yet"),
        (("wallet-export", "nobody"), "terminal"),
    ],
)
def test_wrong_wallet_input_is_one_line(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in one_line(run(with_passphrase(environment, tmp_path), *arguments))


def test_a_locked_wallet_without_anybody_to_ask_says_how_to_give_the_passphrase(environment: dict[str, str]) -> None:
    assert "SNIPERFORGE_WALLET_PASSPHRASE_FILE" in one_line(run(environment, "wallet-create"))


def test_wrong_settings_are_listed_before_anything_else(environment: dict[str, str]) -> None:
    wrong = {**environment, "SNIPERFORGE_LOG_LEVEL": "loud", "SNIPERFORGE_RCP_URLS": "x"}
    outcome = run(wrong, "wallet-list")
    assert outcome.status == 1
    assert "LOG_LEVEL" in outcome.text
    assert "did you mean rpc_urls" in outcome.text


def test_books_are_made_once_and_upgraded_at_will(
    each_books: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home-of-each"
    with kept_in(each_books):
        mine = {**environment, "SNIPERFORGE_HOME": str(home), **books_of(home)}
        assert f"from nothing to {head_revision()}" in run(mine, "books-upgrade").text
        assert "already" in run(mine, "books-upgrade").text
        assert f"ok    books    {'sqlite at ' if each_books == 'sqlite' else 'postgresql,'}" in run(mine, "doctor").text
        assert (home / "books.db").exists() == (each_books == "sqlite")


def test_nothing_secret_is_left_in_the_home(environment: dict[str, str], tmp_path: Path) -> None:
    unattended = with_passphrase(environment, tmp_path)
    keypair = Keypair()
    run(unattended, "wallet-import", "main", typed=str(keypair))
    run(unattended, "doctor")
    run(unattended, "wallet-balance")
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (
                str(keypair).encode(),
                bytes(keypair)[:32],
                bytes(keypair)[:32].hex().encode(),
                PASSPHRASE.encode(),
            ):
                assert secret not in content, path
