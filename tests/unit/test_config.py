"""Settings: precedence, and every problem at once with its place."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sniperforge.bootstrap import build
from sniperforge.config import CASH_MINTS, CONFIG_NAME, ENV_PREFIX, STACK_NAME, Settings, load_settings
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import RiskLimits, Rule
from sniperforge.errors import ConfigError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(ENV_PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SNIPERFORGE_HOME", str(tmp_path))


def write(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(text)


def names(error: ConfigError) -> list[str]:
    """Where the problems are."""
    return [problem.split(": ")[0] for problem in error.problems]


def test_everything_lies_under_the_home(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path
    for path in (settings.keystore_dir, settings.log_dir):
        assert path.is_relative_to(tmp_path)
    assert settings.effective_database_url == f"sqlite:///{tmp_path}/books.db"


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'log_level = "debug"\njupiter_plan = "pro"\nrpc_timeout_s = 3\n')
    monkeypatch.setenv("SNIPERFORGE_JUPITER_PLAN", "free")
    monkeypatch.setenv("SNIPERFORGE_RPC_TIMEOUT_S", "4")
    settings = load_settings(rpc_timeout_s=5)
    assert (settings.log_level, settings.jupiter_plan, settings.rpc_timeout_s) == ("debug", "free", 5)


def test_lists_are_comma_separated_in_the_environment_and_arrays_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'allow_tokens = ["a", "b"]\n')
    monkeypatch.setenv("SNIPERFORGE_RPC_URLS", "http://one, https://two")
    settings = load_settings()
    assert settings.rpc_urls == ("http://one", "https://two")
    assert settings.allow_tokens == ("a", "b")


def test_all_problems_are_said_at_once_each_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 'netwrok = "devnet"\nlog_level = "loud"\nhome = "/elsewhere"\n')
    monkeypatch.setenv("SNIPERFORGE_RCP_URLS", "http://one")
    monkeypatch.setenv("SNIPERFORGE_JUPITER_URL", "ftp://jupiter")
    with pytest.raises(ConfigError) as caught:
        load_settings(rpc_timeout_s=0)
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 6
    assert f"{tmp_path / CONFIG_NAME}: netwrok: there is no such setting; did you mean network?" in problems
    assert f"{tmp_path / CONFIG_NAME}: log_level" in problems
    assert f"{tmp_path / CONFIG_NAME}: home" in problems
    assert "SNIPERFORGE_RCP_URLS: there is no such setting; did you mean rpc_urls?" in problems
    assert "SNIPERFORGE_JUPITER_URL: an address starts with" in problems
    assert "option rpc_timeout_s" in problems


@pytest.mark.parametrize("content", ["= broken", "\x00"])
def test_a_file_that_is_no_toml_names_itself(tmp_path: Path, content: str) -> None:
    write(tmp_path, content)
    with pytest.raises(ConfigError, match=CONFIG_NAME):
        load_settings()


def test_a_broken_file_hides_no_problem_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "= broken")
    monkeypatch.setenv("SNIPERFORGE_LOG_LEVEL", "loud")
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE", "one two three")
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE_FILE", "/some/file")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert names(caught.value) == [
        str(tmp_path / CONFIG_NAME),
        "SNIPERFORGE_LOG_LEVEL",
        "SNIPERFORGE_WALLET_PASSPHRASE",
    ]


def test_nothing_is_held_against_what_a_broken_file_may_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mainnet_opt_in = true\n= broken")
    monkeypatch.setenv("SNIPERFORGE_NETWORK", "mainnet")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert names(caught.value) == [str(tmp_path / CONFIG_NAME)]


def test_a_broken_file_of_a_running_stack_names_itself(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / STACK_NAME).write_text("= broken")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert names(caught.value) == [str(tmp_path / STACK_NAME)]


def test_what_a_running_stack_got_wrong_is_not_said_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / STACK_NAME).write_text("flower_port = -1\n")
    with pytest.raises(ConfigError, match=f"{STACK_NAME}: flower_port"):
        load_settings()


def test_mainnet_needs_the_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPERFORGE_NETWORK", "mainnet")
    with pytest.raises(ConfigError, match="mainnet_opt_in"):
        load_settings()
    monkeypatch.setenv("SNIPERFORGE_MAINNET_OPT_IN", "true")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert names(caught.value) == ["max_spend_per_trade_usd", "max_spend_per_day_usd"]
    monkeypatch.setenv("SNIPERFORGE_MAX_SPEND_PER_TRADE_USD", "100")
    monkeypatch.setenv("SNIPERFORGE_MAX_SPEND_PER_DAY_USD", "500")
    assert load_settings().effective_jupiter_url == "https://api.jup.ag"


def test_a_running_stack_is_found_and_settings_win_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / STACK_NAME).write_text('jupiter_url = "http://127.0.0.1:7001"\nrpc_urls = "http://127.0.0.1:7002"\n')
    monkeypatch.setenv("SNIPERFORGE_RPC_URLS", "http://127.0.0.1:9000")
    settings = load_settings(home=tmp_path)
    assert settings.jupiter_url == "http://127.0.0.1:7001"
    assert settings.rpc_urls == ("http://127.0.0.1:9000",)


def test_two_passphrases_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE", "one two three")
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE_FILE", "/some/file")
    with pytest.raises(ConfigError, match="keep one") as caught:
        load_settings()
    assert "one two three" not in str(caught.value)


def test_a_password_of_flower_and_its_file_contradict_each_other(tmp_path: Path) -> None:
    write(tmp_path, f'flower_password_file = "{tmp_path}/some-file"\nflower_password = "TELL-NOBODY"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.problems == (
        f"{tmp_path / CONFIG_NAME}: flower_password: flower_password_file is set, too: keep one",
    )


def test_contradictions_are_said_with_what_is_wrong_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 'log_level = "loud"\nredis_port = 7777\nflower_port = 7777\n')
    monkeypatch.setenv("SNIPERFORGE_NETWORK", "mainnet")
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE", "one two three")
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE_FILE", "/some/file")
    with pytest.raises(ConfigError) as caught:
        load_settings(max_spend_per_day_usd=5, rpc_timeout_s=0)
    file = tmp_path / CONFIG_NAME
    assert [problem.rpartition(f"{file}: ")[2].split(": ")[0] for problem in caught.value.problems] == [
        "option rpc_timeout_s",
        "log_level",
        "mainnet_opt_in",
        "max_spend_per_trade_usd",
        "SNIPERFORGE_WALLET_PASSPHRASE",
        "flower_port",
    ]


def test_what_is_wrong_by_itself_contradicts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPERFORGE_NETWORK", "mainnet")
    monkeypatch.setenv("SNIPERFORGE_MODE", "alive")
    monkeypatch.setenv("SNIPERFORGE_MAINNET_OPT_IN", "perhaps")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert names(caught.value) == ["SNIPERFORGE_MAINNET_OPT_IN", "SNIPERFORGE_MODE"]


def test_settings_that_contradict_each_other_cannot_be_made_in_any_other_way_either() -> None:
    with pytest.raises(ValidationError, match="mainnet_opt_in: network is mainnet"):
        Settings(network="mainnet")


@pytest.mark.parametrize("given", [{"flower_port": 0, "redis_port": 0}, {"flower_port": 7, "redis_port": 8}])
def test_ports_that_differ_or_are_left_to_the_machine_go_together(given: dict[str, Any]) -> None:
    assert load_settings(**given).redis_port == given["redis_port"]


def test_the_port_of_a_redis_that_is_elsewhere_is_nobodys() -> None:
    assert load_settings(flower_port=7, redis_port=7, redis_url="redis://elsewhere:6379/0").flower_port == 7


@pytest.mark.parametrize("name", ["WALLET_PASSPHRASE", "FLOWER_PASSWORD"])
def test_a_secret_that_is_set_and_empty_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"SNIPERFORGE_{name}", "")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.problems == (f"SNIPERFORGE_{name}: it is set and empty: give it a value, or leave it out",)


READ_FROM_FILES = ["jupiter_api_key", "redis_url", "database_url"]


def secret_file(tmp_path: Path, content: bytes = b"TELL-NOBODY\nsecond line\n", mode: int = 0o400) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("name", READ_FROM_FILES)
def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"SNIPERFORGE_{name.upper()}_FILE", str(secret_file(tmp_path)))
    settings = load_settings()
    assert getattr(settings, name).get_secret_value() == "TELL-NOBODY"
    assert "TELL-NOBODY" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("name", READ_FROM_FILES)
def test_a_secret_and_its_file_contradict_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"SNIPERFORGE_{name.upper()}_FILE", str(secret_file(tmp_path)))
    monkeypatch.setenv(f"SNIPERFORGE_{name.upper()}", "TELL-NOBODY")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.problems == (f"SNIPERFORGE_{name.upper()}: {name}_file is set, too: keep one",)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"TELL-NOBODY", 0o640, "others may read"),
        (b"TELL-NOBODY", 0o604, "others may read"),
        (b"", 0o400, "is empty"),
        (b" \nTELL-NOBODY", 0o400, "is empty"),
        (b"\xffTELL-NOBODY", 0o400, "is no UTF-8 text"),
    ],
)
@pytest.mark.parametrize("name", READ_FROM_FILES)
def test_a_file_of_a_secret_that_will_not_do_is_one_problem_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, mode: int, says: str
) -> None:
    path = secret_file(tmp_path, content, mode)
    monkeypatch.setenv(f"SNIPERFORGE_{name.upper()}_FILE", str(path))
    with pytest.raises(ConfigError) as caught:
        load_settings()
    (problem,) = caught.value.problems
    assert problem.startswith(f"SNIPERFORGE_{name.upper()}_FILE: ")
    assert str(path) in problem
    assert says in problem
    assert "TELL-NOBODY" not in str(caught.value)


def test_files_of_secrets_that_are_missing_are_all_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in READ_FROM_FILES:
        monkeypatch.setenv(f"SNIPERFORGE_{name.upper()}_FILE", str(tmp_path / name))
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        f"{tmp_path / name} cannot be read: No such file or directory" for name in READ_FROM_FILES
    ]


def test_secrets_do_not_print_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPITER_API_KEY", "WALLET_PASSPHRASE", "REDIS_URL", "DATABASE_URL"):
        monkeypatch.setenv(f"SNIPERFORGE_{name}", "TELL-NOBODY")
    settings = load_settings()
    assert "TELL-NOBODY" not in f"{settings!r} {settings}"
    assert settings.effective_database_url == "TELL-NOBODY"


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_every_rule_that_holds_entries_back_is_named_as_the_setting_of_its_limit() -> None:
    assert {rule.value for rule in Rule} <= set(Settings.model_fields)


def test_limits_of_protections_reach_whoever_holds_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        "max_spend_per_trade_usd = 1\nmax_spend_per_day_usd = 2\nmax_loss_per_day_usd = 3\nmax_drawdown_usd = 4\n"
        "risk_drawdown_days = 5\nmax_fees_per_day_usd = 0.6\nmax_exposure_per_token_usd = 7\nmax_exposure_usd = 8\n"
        'risk_cash_tokens = ["a", "b"]\nrisk_pause_after_stops = 9\nrisk_pause_after_failures = 10\n'
        "risk_pause_after_divergences = 11\nrisk_window_s = 12\nrisk_pause_s = 13\nrisk_token_cooldown_s = 14\n"
        'risk_day_starts_at = "06:30"\n',
    )
    assert build(load_settings()).executor_policy.protections.limits == RiskLimits(
        spend_per_trade_usd=1,
        spend_per_day_usd=2,
        loss_per_day_usd=3,
        drawdown_usd=4,
        drawdown_over=timedelta(days=5),
        fees_per_day_usd=Decimal("0.6"),
        exposure_per_token_usd=7,
        exposure_usd=8,
        cash=frozenset({Mint("a"), Mint("b")}),
        pause_after_stops=9,
        pause_after_failures=10,
        pause_after_divergences=11,
        window=timedelta(seconds=12),
        pause=timedelta(seconds=13),
        token_cooldown=timedelta(seconds=14),
        day_starts_at=time(6, 30),
    )


def test_without_settings_nothing_holds_entries_back() -> None:
    protections = build(load_settings()).executor_policy.protections
    assert protections.limits == RiskLimits(cash=frozenset(map(Mint, CASH_MINTS)))


def test_limits_that_cannot_be_are_all_named_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "max_loss_per_day_usd = 0\nmax_drawdown_usd = -1\nmax_fees_per_day_usd = 0\nrisk_pause_after_stops = 0\n"
        'risk_day_starts_at = "24:00"\nrisk_token_cooldown_s = 1.5\nrisk_drawdown_days = 0\n',
    )
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert len(caught.value.problems) == 7


def test_the_example_of_the_guide_sets_every_limit(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/protections.md").read_text(encoding="utf-8")
    write(tmp_path, guide.partition("```toml\n")[2].partition("```")[0])
    settings = load_settings()
    assert [rule.value for rule in Rule if getattr(settings, rule.value) is None] == []
