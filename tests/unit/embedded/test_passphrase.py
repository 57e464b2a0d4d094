"""Where the passphrase of an unattended stack comes from."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from sniperforge.config import Settings, load_settings
from sniperforge.embedded.first_wallet import passphrase_file
from sniperforge.errors import ConfigError


def settings(home: Path, **given: Any) -> Settings:
    return load_settings(home=home, **given)


def test_a_first_start_on_the_sandbox_makes_one_for_its_owner_only(tmp_path: Path) -> None:
    path = passphrase_file(settings(tmp_path))
    assert path == tmp_path / "wallet-passphrase"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().strip()) >= 32


def test_the_next_start_uses_the_same(tmp_path: Path) -> None:
    first = passphrase_file(settings(tmp_path))
    assert first is not None
    text = first.read_text()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "main.json").touch()
    assert passphrase_file(settings(tmp_path)) == first
    assert first.read_text() == text


@pytest.mark.parametrize("network", ["sandbox", "devnet"])
def test_one_that_was_set_is_used_and_none_is_made(tmp_path: Path, network: str) -> None:
    assert passphrase_file(settings(tmp_path, network=network, wallet_passphrase="a b c d e f")) is None
    assert passphrase_file(settings(tmp_path, network=network, wallet_passphrase_file=tmp_path / "p")) is None
    assert list(tmp_path.iterdir()) == []


def test_wallets_that_a_person_made_need_the_passphrase_that_the_person_knows(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine.json").touch()
    with pytest.raises(ConfigError, match=r"no passphrase is set.*SNIPERFORGE_WALLET_PASSPHRASE_FILE"):
        passphrase_file(settings(tmp_path))


def test_on_other_networks_none_is_ever_made(tmp_path: Path) -> None:
    (tmp_path / "wallet-passphrase").write_text("of a sandbox that was here")
    with pytest.raises(ConfigError, match="no passphrase is set"):
        passphrase_file(settings(tmp_path, network="devnet"))
