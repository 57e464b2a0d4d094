"""What a stack writes down for others."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sniperforge.config import load_settings
from sniperforge.embedded.private_files import kept_secret
from sniperforge.embedded.stack import settings_alone
from sniperforge.embedded.stack_files import (
    Phase,
    StackReport,
    read_report,
    remove_report,
    write_report,
    write_settings,
)
from sniperforge.embedded.supervisor import ServiceState, ServiceStatus
from sniperforge.errors import ConfigError

_SERVICE = ServiceStatus(
    name="redis", state=ServiceState.RUNNING, pid=12, restarts=1, since=5.5, failures=0, last_words='said "so"'
)


def test_commands_find_the_addresses_of_a_running_stack(tmp_path: Path) -> None:
    home = tmp_path / 'a "home" with ünusual \\ letters'
    write_settings(
        home,
        {
            "redis_url": "redis://:secret@127.0.0.1:7000/0",
            "rpc_urls": ["http://127.0.0.1:1", "http://127.0.0.1:1/node/b"],
            "flower_port": 5555,
            "wallet_passphrase_file": str(home / "wallet-passphrase"),
        },
    )
    settings = load_settings(home=home)
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:secret@127.0.0.1:7000/0"
    assert settings.rpc_urls == ("http://127.0.0.1:1", "http://127.0.0.1:1/node/b")
    assert settings.wallet_passphrase_file == home / "wallet-passphrase"


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    write_settings(tmp_path, {"flower_port": 1})
    assert stat.S_IMODE((tmp_path / "run" / "stack.toml").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["stack.toml"]


def test_settings_that_a_killed_stack_left_are_not_taken_for_the_new_ones(tmp_path: Path) -> None:
    write_settings(tmp_path, {"redis_url": "redis://127.0.0.1:1/0", "wallet_passphrase_file": "/gone"})
    with settings_alone(tmp_path) as settings:
        assert settings.redis_url is None
        assert settings.wallet_passphrase_file is None
        write_settings(tmp_path, {"redis_url": "redis://127.0.0.1:2/0"})
    assert load_settings(home=tmp_path).redis_url is None, "nor are those of one that failed to start"


def test_what_runs_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    report = StackReport(pid=11, phase=Phase.READY, services=(_SERVICE,), addresses={"redis": "127.0.0.1:1"})
    write_report(tmp_path, report)
    assert read_report(tmp_path) == report
    remove_report(tmp_path)
    assert read_report(tmp_path) is None


def test_a_damaged_report_is_said(tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text('{"pid": 1}')
    with pytest.raises(ConfigError, match=r"services\.json: cannot be read"):
        read_report(tmp_path)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    made = kept_secret(tmp_path / "password")
    assert len(made) >= 32
    assert kept_secret(tmp_path / "password") == made
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert kept_secret(tmp_path / "other") != made
