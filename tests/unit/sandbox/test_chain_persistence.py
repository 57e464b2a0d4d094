"""What a chain remembers when its process is gone."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from solders.account import Account
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction

from sniperforge.errors import StorageError
from sniperforge.sandbox.chain import Chain, ChainConfig
from tests.fakes.chain_lab import SOL, START, TOKEN_PROGRAM, ChainLab, keypair, mint_bytes, token_bytes, wallet

PROGRAM = Path(__file__).parents[3] / "sniperforge" / "sandbox" / "program" / "pool.so"


def left_behind(path: Path) -> Path:
    """A copy of what lies on the disk now: what a killed process leaves to the next."""
    target = path.parent / f"{path.parent.name}-killed"
    shutil.copytree(path.parent, target, ignore=shutil.ignore_patterns("*-killed"))
    return target / path.name


def open_for_real(path: Path) -> ChainLab:
    return ChainLab(path)


def test_everything_up_to_the_last_tick_is_there_after_a_kill(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.settle()
    raw = lab.payment(SOL)
    record = lab.land(raw)
    failed = lab.land(lab.payment(1_000 * SOL))
    lab.tick(2)
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    assert not again.chain.is_new
    assert again.lamports(again.bob.pubkey()) == 101 * SOL
    for signature in (record.signature, failed.signature):
        before = lab.chain.status(signature, search_history=False)
        assert again.chain.status(signature, search_history=False) == before
        assert again.chain.transaction(signature, "confirmed") == lab.chain.transaction(signature, "confirmed")
    assert again.refused(raw) == "AlreadyProcessed"
    for commitment in ("processed", "confirmed", "finalized"):
        assert again.chain.slot_at(commitment) == lab.chain.slot_at(commitment)
        assert again.chain.height_at(commitment) == lab.chain.height_at(commitment)
        assert again.chain.latest_blockhash(commitment) == lab.chain.latest_blockhash(commitment)


def test_the_open_slot_is_lost_with_the_process(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick(3)
    raw = lab.payment(SOL)
    record = lab.land(raw)
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    assert again.chain.status(record.signature, search_history=True) is None
    assert again.lamports(again.bob.pubkey()) == 100 * SOL
    assert again.land(raw).signature == record.signature


@pytest.mark.parametrize("skip_probability", [0.0, 0.6])
def test_no_commitment_goes_back_wherever_the_process_dies(tmp_path: Path, skip_probability: float) -> None:
    lab = ChainLab(tmp_path / "chain.db", skip_probability=skip_probability)
    for number in range(12):
        lab.tick(3)
        copy = left_behind(tmp_path / "chain.db")
        again = Chain(ChainConfig(skip_probability=skip_probability), copy, unix_time=START)
        for commitment in ("processed", "confirmed", "finalized"):
            assert again.slot_at(commitment) >= lab.chain.slot_at(commitment), number
            assert again.height_at(commitment) >= lab.chain.height_at(commitment), number
        again.close()
        shutil.rmtree(copy.parent)


def test_the_blockhash_window_goes_on_where_it_was(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick(5)
    blockhash, last_valid = lab.chain.latest_blockhash("processed")
    lab.tick(100)
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    while again.chain.height_at("processed") < last_valid:
        again.tick()
    again.land(again.payment(blockhash=Hash.from_string(blockhash)))
    again.tick()
    assert again.refused(again.payment(7, blockhash=Hash.from_string(blockhash))) == "BlockhashNotFound"


def test_accounts_at_older_commitments_and_forks_survive(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.settle()
    first = lab.land(lab.payment(SOL))
    lab.tick()
    second = lab.land(lab.payment(2 * SOL))
    lab.tick()
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    bob = again.bob.pubkey()
    values = [again.chain.account(bob, commitment) for commitment in ("processed", "confirmed", "finalized")]
    assert values == [wallet(103 * SOL), wallet(101 * SOL), wallet(100 * SOL)]
    assert again.chain.fork(2) == [second.signature]
    assert again.lamports(bob) == 101 * SOL
    assert again.chain.status(first.signature, search_history=False) is not None


def test_a_fork_is_durable_at_once(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick(5)
    record = lab.land(lab.payment(SOL))
    lab.tick()
    lab.chain.fork(2)
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    assert again.lamports(again.bob.pubkey()) == 100 * SOL
    assert again.chain.status(record.signature, search_history=True) is None
    assert again.chain.head_slot() == lab.chain.head_slot()
    assert again.blockhash == lab.blockhash


def test_programs_tokens_and_history_are_found_again(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    program, mint, purse = (keypair(name).pubkey() for name in ("program", "mint", "purse"))
    lab.chain.add_program(program, PROGRAM.read_bytes())
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_PROGRAM))
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 7), TOKEN_PROGRAM))
    record = lab.land(lab.payment())
    lab.settle()
    again = ChainLab(left_behind(tmp_path / "chain.db"))
    call = Instruction(program, b"", [AccountMeta(mint, is_signer=False, is_writable=False)])
    ran = again.land(again.signed(call))
    assert ran.logs[0] == f"Program {program} invoke [1]"
    assert [key for key, _ in again.chain.token_accounts_of(str(lab.bob.pubkey()))] == [str(purse)]
    found = again.chain.signatures_for(str(lab.bob.pubkey()), commitment="finalized", before=None, until=None, limit=5)
    assert [one.signature for one in found] == [record.signature]
    block = again.chain.block(record.slot)
    assert block is not None
    assert block.signatures == (record.signature,)


def test_a_chain_that_never_ticked_is_new_again(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    lab = ChainLab(path)
    assert lab.chain.is_new
    copy = left_behind(path)
    assert Chain(ChainConfig(), copy, unix_time=START).is_new


def test_time_does_not_go_back_after_a_restart(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick(100)
    again = Chain(ChainConfig(), left_behind(tmp_path / "chain.db"), unix_time=START - 1_000)
    block = again.tick(START - 999)
    assert block is not None
    assert block.unix_time == START + 100


def test_a_closed_chain_opens_again(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    record = lab.land(lab.payment())
    lab.tick()
    lab.chain.close()
    again = ChainLab(tmp_path / "chain.db")
    assert again.chain.transaction(record.signature, "processed") == record


def test_what_was_confirmed_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    command = [sys.executable, "-m", "tests.fakes.chain_process", str(path)]
    root = Path(__file__).parents[3]
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(17)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.stdout.close()
        process.wait()
        told = [line.split() for line in lines if line.endswith("\n")]
        lab = ChainLab(path)
        for signature, *_ in told:
            status = lab.chain.status(signature, search_history=True)
            assert status is not None
            assert status.commitment != "processed"
            assert lab.chain.transaction(signature, "confirmed") is not None
        _, head_slot, height, bob = told[-1]
        assert lab.chain.head_slot() >= int(head_slot)
        assert lab.chain.height_at("confirmed") >= int(height)
        account = lab.chain.account(lab.bob.pubkey(), "confirmed")
        assert account is not None
        assert account.lamports >= int(bob)
        lab.chain.close()


# ---- files that cannot be used
def test_a_second_process_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    lab = ChainLab(path)
    lab.tick()
    script = (
        "import sys; from pathlib import Path; from sniperforge.errors import StorageError\n"
        "from sniperforge.sandbox.chain import Chain, ChainConfig\n"
        "try: Chain(ChainConfig(), Path(sys.argv[1]), unix_time=1)\n"
        "except StorageError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout == f"{path}: another sandbox is using this file. Stop it, or give this one another home\n"
    lab.tick()


def test_another_seed_is_refused(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick()
    lab.chain.close()
    with pytest.raises(StorageError, match=r"started with seed 1, not 2. Use seed 1, or another home"):
        ChainLab(tmp_path / "chain.db", seed=2)
    assert not ChainLab(tmp_path / "chain.db").chain.is_new


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    path.write_bytes(b"something else entirely " * 400)
    with pytest.raises(StorageError, match=r"chain.db: the file is damaged .*Delete it to start a new chain"):
        ChainLab(path)


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE holiday_pictures (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"database of another program. Move it away"):
        ChainLab(path)
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    lab = ChainLab(path)
    lab.tick()
    lab.chain.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StorageError, match=r"another version of the sandbox .format 99, this one reads 1"):
        ChainLab(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    lab = ChainLab(path)
    for number in range(60):
        lab.land(lab.payment(1_000 + number))
        lab.tick()
    lab.chain.close()
    whole = path.read_bytes()
    for start in (len(whole) // 4, len(whole) // 2):
        path.write_bytes(whole[:start] + os.urandom(8_192) + whole[start + 8_192 :])
        with pytest.raises(StorageError, match=r"the file is damaged .*Delete it to start a new chain"):
            ChainLab(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="damaged"):
        ChainLab(path)


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        ChainLab(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        ChainLab(tmp_path / "file" / "chain.db")


def test_a_chain_whose_file_failed_answers_with_the_error_from_then_on(tmp_path: Path) -> None:
    lab = ChainLab(tmp_path / "chain.db")
    lab.tick()
    lab.chain.close()
    with pytest.raises(StorageError, match="start again"):
        lab.chain.submit(lab.payment())
