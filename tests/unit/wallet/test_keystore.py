"""Keys at rest: sealed, private, never overwritten, and every refusal one clear line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.money import Address
from sniperforge.errors import InvalidInputError, WalletError
from sniperforge.shared.keystore import SCRYPT_N, Keystore

SEED = bytes(range(32))
ADDRESS = Address("4wBqpZM9xaSheZzJSMawUKKwhdpChKbZ5eu5ky4Vigw")
PASSPHRASE = "correct horse battery"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys", scrypt_n=2**4)


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    return text


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


def test_a_sealed_seed_comes_back_with_the_right_passphrase(keystore: Keystore) -> None:
    keystore.write("main", ADDRESS, SEED, PASSPHRASE)
    assert keystore.open("main", PASSPHRASE) == SEED
    assert keystore.open(ADDRESS, PASSPHRASE) == SEED


def test_file_and_folder_are_the_owners_alone(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["main.json"]


def test_the_file_holds_its_parameters_and_not_the_seed(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    document = json.loads(path.read_text())
    assert document["kdf"]["name"] == "scrypt"
    assert document["cipher"]["name"] == "aes-256-gcm"
    assert SEED not in path.read_bytes()
    assert SEED.hex() not in path.read_text()


def test_files_of_production_cost_128_mib_a_guess(tmp_path: Path) -> None:
    path = Keystore(tmp_path).write("main", ADDRESS, SEED, PASSPHRASE).path
    assert json.loads(path.read_text())["kdf"]["n"] == SCRYPT_N == 2**17
    assert Keystore(tmp_path, scrypt_n=2**4).open("main", PASSPHRASE) == SEED


def test_two_files_of_one_seed_share_nothing(tmp_path: Path) -> None:
    documents = [
        json.loads(Keystore(tmp_path / str(i), scrypt_n=2**4).write("main", ADDRESS, SEED, PASSPHRASE).path.read_text())
        for i in range(2)
    ]
    assert documents[0]["kdf"]["salt"] != documents[1]["kdf"]["salt"]
    assert documents[0]["cipher"]["nonce"] != documents[1]["cipher"]["nonce"]
    assert documents[0]["ciphertext"] != documents[1]["ciphertext"]


def test_a_wrong_passphrase_is_one_line_without_the_passphrase(keystore: Keystore) -> None:
    keystore.write("main", ADDRESS, SEED, PASSPHRASE)
    with pytest.raises(WalletError) as caught:
        keystore.open("main", "wrong passphrase")
    assert "passphrase is wrong" in one_line(caught.value)
    assert "wrong passphrase" not in str(caught.value)


@pytest.mark.parametrize("field", ["address", "ciphertext"])
def test_a_changed_field_is_noticed(keystore: Keystore, field: str) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    other = Keystore(path.parent.parent / "other", scrypt_n=2**4).write(
        "main", Address("other"), SEED[::-1], PASSPHRASE
    )
    edit(path, **{field: json.loads(other.path.read_text())[field]})
    with pytest.raises(WalletError, match="wrong, or the file was changed"):
        keystore.open("main", PASSPHRASE)


def test_weaker_parameters_slipped_in_are_noticed(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    kdf = json.loads(path.read_text())["kdf"]
    edit(path, kdf={**kdf, "p": 2})
    with pytest.raises(WalletError):
        keystore.open("main", PASSPHRASE)


@pytest.mark.parametrize(
    "content",
    ["", "not json", "[]", '{"format": "other"}', '{"format": "sniperforge-wallet", "version": 1}'],
)
def test_a_damaged_file_is_one_line_and_never_left_out_of_a_list(keystore: Keystore, content: str) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    path.write_text(content)
    for attempt in (lambda: keystore.open("main", PASSPHRASE), keystore.list):
        with pytest.raises(WalletError) as caught:
            attempt()
        assert str(path) in one_line(caught.value)


@pytest.mark.parametrize(
    "kdf", [{}, {"name": "md5"}, {"name": "scrypt", "n": 2**40, "r": 8, "p": 1, "salt": "AA=="}, 7]
)
def test_senseless_parameters_are_damage_and_cost_no_memory(keystore: Keystore, kdf: object) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    edit(path, kdf=kdf)
    with pytest.raises(WalletError, match="damaged"):
        keystore.open("main", PASSPHRASE)


def test_a_newer_format_says_so(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    edit(path, version=2)
    with pytest.raises(WalletError, match="Update SniperForge"):
        keystore.list()


def test_a_file_that_others_may_read_is_refused_with_the_fix(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    path.chmod(0o644)
    with pytest.raises(WalletError, match="chmod 600"):
        keystore.open("main", PASSPHRASE)


def test_a_wallet_is_never_overwritten(keystore: Keystore) -> None:
    path = keystore.write("main", ADDRESS, SEED, PASSPHRASE).path
    before = path.read_bytes()
    with pytest.raises(WalletError, match="name exists"):
        keystore.write("main", Address("another"), SEED[::-1], PASSPHRASE)
    with pytest.raises(WalletError, match="already here"):
        keystore.write("second", ADDRESS, SEED, PASSPHRASE)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["main.json"]


def test_every_problem_of_a_new_wallet_is_said_at_once(keystore: Keystore) -> None:
    with pytest.raises(InvalidInputError) as caught:
        keystore.write("../evil", ADDRESS, SEED, "short")
    assert len(caught.value.problems) == 2
    assert "short" not in str(caught.value)


def test_an_unknown_wallet_names_the_known_ones(keystore: Keystore) -> None:
    keystore.write("main", ADDRESS, SEED, PASSPHRASE)
    with pytest.raises(WalletError, match="main"):
        keystore.find("mian")
