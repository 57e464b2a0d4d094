"""What a node at a commitment, or behind the head, knows of transactions and accounts."""

from __future__ import annotations

import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import CommitmentName, NodeView, StatusRecord
from tests.fakes.chain_lab import (
    SOL,
    TOKEN_PROGRAM,
    ChainLab,
    close_token_account,
    keypair,
    mint_bytes,
    token_bytes,
    wallet,
)


def test_a_status_climbs_from_processed_to_finalized() -> None:
    lab = ChainLab()
    lab.tick(40)
    record = lab.land(lab.payment())
    seen: list[StatusRecord | None] = []
    for _ in range(34):
        seen.append(lab.chain.status(record.signature, search_history=False))
        lab.tick()
    expected = [
        *(StatusRecord(record.slot, None, "processed", number) for number in (0, 1)),
        *(StatusRecord(record.slot, None, "confirmed", number) for number in range(2, 32)),
        *[StatusRecord(record.slot, None, "finalized", None)] * 2,
    ]
    assert seen == expected


def test_confirmations_count_blocks_not_slots() -> None:
    lab = ChainLab(skip_probability=0.5, finalize_slots=100)
    record = lab.land(lab.payment())
    lab.tick(60)
    status = lab.chain.status(record.signature, search_history=False)
    assert status is not None
    assert status.confirmations is not None
    assert status.confirmations < lab.chain.head_slot() - record.slot


def test_a_transaction_is_told_only_at_or_above_its_commitment() -> None:
    lab = ChainLab()
    lab.tick(40)
    record = lab.land(lab.payment())

    def known(commitment: CommitmentName) -> tuple[bool, int]:
        history = lab.chain.signatures_for(
            str(lab.bob.pubkey()), commitment=commitment, before=None, until=None, limit=5
        )
        return lab.chain.transaction(record.signature, commitment) is not None, len(history)

    assert [known("processed"), known("confirmed"), known("finalized")] == [(True, 1), (False, 0), (False, 0)]
    lab.tick(2)
    assert [known("processed"), known("confirmed"), known("finalized")] == [(True, 1), (True, 1), (False, 0)]
    lab.tick(30)
    assert known("finalized") == (True, 1)


def test_old_signatures_are_found_only_by_searching_history() -> None:
    lab = ChainLab(status_cache_slots=50)
    record = lab.land(lab.payment())
    lab.tick(50)
    assert lab.chain.status(record.signature, search_history=False) is not None
    lab.tick(150)
    assert lab.chain.status(record.signature, search_history=False) is None
    found = lab.chain.status(record.signature, search_history=True)
    assert found == StatusRecord(record.slot, None, "finalized", None)
    assert lab.chain.transaction(record.signature, "finalized") == record
    assert lab.chain.status(lab.signed_elsewhere(), search_history=True) is None


def test_the_error_of_an_old_transaction_is_found_too() -> None:
    lab = ChainLab(status_cache_slots=40)
    record = lab.land(lab.payment(1_000 * SOL))
    lab.tick(200)
    found = lab.chain.status(record.signature, search_history=True)
    assert found is not None
    assert found.err == record.err == {"InstructionError": [0, {"Custom": 1}]}


def test_a_lagging_node_does_not_know_what_landed_after_its_slot() -> None:
    lab = ChainLab()
    lab.tick(40)
    node = NodeView("slow", lab.chain, lag_slots=5)
    record = lab.land(lab.payment())
    lab.tick(4)

    def known() -> bool:
        return (
            lab.chain.status(record.signature, search_history=True, at_slot=node.at_slot) is not None
            and lab.chain.transaction(record.signature, "processed", at_slot=node.at_slot) is not None
            and lab.lamports(lab.bob.pubkey()) == balance_at(lab, "processed", node.at_slot)
        )

    assert not known()
    lab.tick()
    assert known()


def balance_at(lab: ChainLab, commitment: CommitmentName, at_slot: int | None = None) -> int:
    account = lab.chain.account(lab.bob.pubkey(), commitment, at_slot=at_slot)
    return 0 if account is None else account.lamports


def test_an_account_is_read_as_of_its_commitment() -> None:
    lab = ChainLab()
    lab.settle()
    start = balance_at(lab, "processed")
    history = [start]
    for number in range(1, 60):
        lab.land(lab.payment(number * 1_000))
        history.append(history[-1] + number * 1_000)
        assert balance_at(lab, "processed") == history[-1]
        assert balance_at(lab, "confirmed") == history[max(number - 2, 0)]
        assert balance_at(lab, "finalized") == history[max(number - 32, 0)]
        assert balance_at(lab, "finalized", lab.chain.head_slot() - 10) == history[max(number - 42, 0)]
        lab.tick()


def test_an_account_that_is_new_or_gone_is_so_at_older_commitments_only_later() -> None:
    lab = ChainLab()
    lab.settle()
    address = keypair("new").pubkey()
    lab.chain.set_account(address, wallet(SOL))
    assert lab.chain.account(address) is not None
    assert lab.chain.account(address, "confirmed") is None
    lab.tick(2)
    assert lab.chain.account(address, "confirmed") is not None
    lab.chain.set_account(address, wallet(0))
    assert lab.chain.account(address) is None
    assert lab.chain.account(address, "confirmed") is not None


def test_genesis_is_seen_at_every_commitment_at_once() -> None:
    lab = ChainLab()
    for commitment in ("processed", "confirmed", "finalized"):
        assert lab.chain.account(lab.alice.pubkey(), commitment) == wallet(100 * SOL)


def test_what_is_decreed_later_is_part_of_its_slot() -> None:
    lab = ChainLab()
    lab.tick()
    lab.chain.set_account(lab.bob.pubkey(), wallet(SOL))
    assert balance_at(lab, "processed") == SOL
    assert balance_at(lab, "confirmed") == 100 * SOL


def test_token_accounts_are_listed_as_of_the_commitment_and_forgotten_when_nobody_remembers_them() -> None:
    lab = ChainLab()
    lab.settle()
    mint, purse = keypair("mint").pubkey(), keypair("purse").pubkey()
    owner = str(lab.bob.pubkey())
    lab.chain.set_account(mint, Account(SOL, mint_bytes(6), TOKEN_PROGRAM))
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    assert [key for key, _ in lab.chain.token_accounts_of(owner)] == [str(purse)]
    assert lab.chain.token_accounts_of(owner, "confirmed") == []
    lab.settle()
    assert [key for key, _ in lab.chain.token_accounts_of(owner, "finalized")] == [str(purse)]
    lab.land(lab.signed(close_token_account(TOKEN_PROGRAM, purse, lab.bob.pubkey(), lab.bob), signers=[lab.bob]))
    assert lab.chain.token_accounts_of(owner) == []
    assert [key for key, _ in lab.chain.token_accounts_of(owner, "confirmed")] == [str(purse)]
    lab.tick(200)
    assert lab.chain.token_accounts_of(owner, "finalized") == []
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    assert [key for key, _ in lab.chain.token_accounts_of(owner)] == [str(purse)]


def test_a_token_account_that_changes_hands_is_listed_under_its_owner_of_then() -> None:
    lab = ChainLab()
    lab.settle()
    mint, purse = keypair("mint").pubkey(), keypair("purse").pubkey()
    alice, bob = str(lab.alice.pubkey()), str(lab.bob.pubkey())
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.alice.pubkey(), 0), TOKEN_PROGRAM))
    lab.tick(2)
    lab.chain.set_account(purse, Account(SOL, token_bytes(mint, lab.bob.pubkey(), 0), TOKEN_PROGRAM))
    assert lab.chain.token_accounts_of(alice) == []
    assert [key for key, _ in lab.chain.token_accounts_of(bob)] == [str(purse)]
    assert [key for key, _ in lab.chain.token_accounts_of(alice, "confirmed")] == [str(purse)]
    assert lab.chain.token_accounts_of(bob, "confirmed") == []


@pytest.mark.parametrize("data", [bytes(165), b"\1" * 164, b"\1" * 166])
def test_what_is_no_initialized_token_account_is_not_listed(data: bytes) -> None:
    lab = ChainLab()
    lab.chain.set_account(keypair("odd").pubkey(), Account(SOL, data, TOKEN_PROGRAM))
    assert lab.chain.token_accounts_of(str(Pubkey.from_bytes(data[32:64]))) == []
