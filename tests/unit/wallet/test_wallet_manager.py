"""Wallets as an operator meets them, and keys that do not leak."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from sniperforge.config import Settings
from sniperforge.domain.money import Address
from sniperforge.errors import InvalidInputError, WalletError
from sniperforge.shared.keystore import Keystore
from sniperforge.shared.wallet_manager import WalletManager, _parse_key, settings_passphrase

PASSPHRASE = "correct horse battery"
KEYPAIR = Keypair.from_seed(bytes([42] * 32))


def manager(home: Path) -> WalletManager:
    return WalletManager(Keystore(home / "keys", scrypt_n=2**4), lambda: PASSPHRASE)


def spellings(keypair: Keypair) -> list[str]:
    """Every form in which a secret key could show up in text."""
    raw = bytes(keypair)
    return [str(keypair), raw.hex(), raw[:32].hex(), json.dumps(list(raw)), json.dumps(list(raw[:32]))[1:-1], repr(raw)]


def test_a_created_wallet_signs_for_its_address(tmp_path: Path) -> None:
    wallets = manager(tmp_path)
    wallet = wallets.create("main")
    signature = wallets.sign(wallet.address, b"message")
    assert Signature.from_string(signature).verify(Pubkey.from_string(wallet.address), b"message")
    assert wallets.addresses() == (wallet.address,)


def test_an_unlocked_wallet_asks_for_no_passphrase_when_it_signs(tmp_path: Path) -> None:
    asked = []

    def ask() -> str:
        asked.append(True)
        return PASSPHRASE

    address = manager(tmp_path).create("main").address
    wallets = WalletManager(Keystore(tmp_path / "keys", scrypt_n=2**4), ask)
    wallets.unlock(address)
    wallets.sign(address, b"message")
    assert len(asked) == 1
    with pytest.raises(WalletError):
        wallets.unlock(Address(str(KEYPAIR.pubkey())))


def test_signing_is_deterministic_so_that_the_same_bytes_are_the_same_transaction(tmp_path: Path) -> None:
    wallets = manager(tmp_path)
    address = wallets.create("main").address
    again = manager(tmp_path)
    assert wallets.sign(address, b"message") == again.sign(address, b"message")


@pytest.mark.parametrize("text", [json.dumps(list(bytes(KEYPAIR))), str(KEYPAIR), f"\n {KEYPAIR}\n"])
def test_both_spellings_of_a_key_are_imported(tmp_path: Path, text: str) -> None:
    assert manager(tmp_path).import_key("main", text).address == str(KEYPAIR.pubkey())


def test_an_exported_key_is_what_the_solana_cli_reads(tmp_path: Path) -> None:
    wallets = manager(tmp_path)
    wallets.import_key("main", str(KEYPAIR))
    assert Keypair.from_json(wallets.export_key("main")) == KEYPAIR


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[1,2,3]", "[300]", '["a"]', "[", json.dumps([*bytes(KEYPAIR)[:63], 0]), str(KEYPAIR)[:-3]],
)
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        manager(tmp_path).import_key("main", text)
    assert "\n" not in str(caught.value)
    assert len(text) < 6 or text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.text(max_size=120))
def test_no_text_makes_import_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        _parse_key(text)


def test_no_spelling_of_the_key_reaches_a_repr_a_log_an_error_or_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wallets = manager(tmp_path)
    address = wallets.import_key("main", str(KEYPAIR)).address
    wallets.sign(address, b"message")
    key = wallets._unlocked[address]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%r %s %r %r", key, key, wallets, vars(wallets))
    with pytest.raises(WalletError) as caught:
        pickle.dumps(key)
    files = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    for text in (repr(key), caplog.text, str(caught.value), files):
        for spelling in spellings(KEYPAIR):
            assert spelling not in text


def test_a_file_whose_key_belongs_to_another_address_is_refused(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path / "keys", scrypt_n=2**4)
    other = Keypair()
    wallet = keystore.write("main", manager(tmp_path / "x").create("x").address, bytes(other)[:32], PASSPHRASE)
    with pytest.raises(WalletError, match="does not belong"):
        manager(tmp_path).sign(wallet.address, b"message")


def test_without_a_name_the_only_wallet_is_meant(tmp_path: Path) -> None:
    wallets = manager(tmp_path)
    with pytest.raises(WalletError, match="wallet-create"):
        wallets.find(None)
    main = wallets.create("main")
    assert wallets.find(None) == main
    wallets.create("second")
    with pytest.raises(WalletError, match="several"):
        wallets.find(None)


def test_an_address_that_is_no_wallet_can_still_be_looked_at(tmp_path: Path) -> None:
    wallets = manager(tmp_path)
    assert wallets.address_of(str(KEYPAIR.pubkey())) == str(KEYPAIR.pubkey())
    with pytest.raises(WalletError):
        wallets.address_of("nobody")


def settings(home: Path, **values: object) -> Settings:
    return Settings.model_validate({"home": home, **values})


def passphrase_file(tmp_path: Path, content: bytes = b"from the file\nsecond line\n", mode: int = 0o600) -> Path:
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_passphrase_comes_from_the_setting_then_the_file_then_a_person(tmp_path: Path) -> None:
    asked = iter(["typed once"])
    ask = lambda: next(asked)  # noqa: E731 (one line is the clearer way)
    assert settings_passphrase(settings(tmp_path, wallet_passphrase="set"), ask)() == "set"
    assert settings_passphrase(settings(tmp_path, wallet_passphrase_file=passphrase_file(tmp_path)), ask)() == (
        "from the file"
    )
    source = settings_passphrase(settings(tmp_path), ask)
    assert [source(), source()] == ["typed once", "typed once"]


def test_without_a_passphrase_and_a_person_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="SNIPERFORGE_WALLET_PASSPHRASE_FILE"):
        settings_passphrase(settings(tmp_path), None)()


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(b"secret words", 0o640, "chmod 600"), (b"", 0o600, "empty"), (b"\xff\xfe", 0o600, "UTF-8")],
)
def test_a_passphrase_file_that_will_not_do_is_one_line(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    path = passphrase_file(tmp_path, content, mode)
    with pytest.raises(WalletError, match=says) as caught:
        settings_passphrase(settings(tmp_path, wallet_passphrase_file=path), None)()
    assert "\n" not in str(caught.value)
    assert "secret words" not in str(caught.value)


def test_a_missing_passphrase_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="cannot be read"):
        settings_passphrase(settings(tmp_path, wallet_passphrase_file=tmp_path / "none"), None)()
