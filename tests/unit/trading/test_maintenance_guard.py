"""Every rule for transactions of our own: a good one passes; with one thing wrong it is refused by that rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.transaction import (
    COMPUTE_BUDGET_PROGRAM,
    MEMO_PROGRAM,
    SYSTEM_PROGRAM,
    TOKEN_PROGRAM,
    AccountOrigin,
    AccountUse,
    Action,
    ComputeUnitPrice,
    DecodedInstruction,
    DecodedTransaction,
    Memo,
    NonceAdvance,
    SystemAssign,
    SystemTransfer,
)
from sniperforge.errors import GuardRefusedError
from sniperforge.ports.chain import Simulation, TokenBalance
from sniperforge.trading.maintenance_guard import check_maintenance

WALLET, THIEF = Address("wallet"), Address("thief")
MEMO = "sniperforge:one-1"
FEE = 5_000
ACCOUNTS = (
    AccountUse(WALLET, is_signer=True, is_writable=True),
    AccountUse(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
    AccountUse(MEMO_PROGRAM, is_signer=False, is_writable=False),
)


def instruction(program: Address, action: Action) -> DecodedInstruction:
    return DecodedInstruction(program, (), b"", action)


GOOD = DecodedTransaction(
    version=0,
    message=b"message",
    message_sha256=b"hash",
    signatures=(None,),
    signers=(WALLET,),
    readonly_signed=0,
    readonly_unsigned=2,
    recent_blockhash="blockhash",
    static_accounts=tuple(use.address for use in ACCOUNTS),
    accounts=ACCOUNTS,
    instructions=(
        instruction(SYSTEM_PROGRAM, SystemTransfer(WALLET, WALLET, 5)),
        instruction(MEMO_PROGRAM, Memo(MEMO)),
    ),
)
SIMULATED = Simulation(
    node="node",
    slot=1,
    err=None,
    logs=(),
    compute_units=1,
    fee_lamports=FEE,
    accounts=GOOD.static_accounts,
    pre_lamports=(1_000_000, 1, 1),
    post_lamports=(1_000_000 - FEE, 1, 1),
    pre_tokens=(),
    post_tokens=(),
)


def with_action(program: Address, action: Action) -> DecodedTransaction:
    """The good one with one instruction more."""
    return replace(GOOD, instructions=(*GOOD.instructions, instruction(program, action)))


def broken(transaction: DecodedTransaction = GOOD, simulation: Simulation = SIMULATED) -> tuple[str, ...]:
    try:
        check_maintenance(transaction, simulation, wallet=WALLET, memo=MEMO, max_fee_lamports=FEE)
    except GuardRefusedError as error:
        return error.rules
    return ()


def test_a_transfer_to_ourselves_with_its_memo_passes() -> None:
    assert broken() == ()


@pytest.mark.parametrize(
    ("rule", "transaction"),
    [
        ("one-signer", replace(GOOD, signers=(WALLET, THIEF))),
        ("fee-payer", replace(GOOD, signers=(THIEF,))),
        (
            "no-undying",
            replace(GOOD, instructions=(instruction(SYSTEM_PROGRAM, NonceAdvance(THIEF, WALLET)), *GOOD.instructions)),
        ),
        ("static", replace(GOOD, accounts=(replace(ACCOUNTS[0], origin=AccountOrigin.LOOKUP_TABLE), *ACCOUNTS[1:]))),
        ("fee", replace(GOOD, priority_fee_micro_lamports=1)),
        ("program", with_action(COMPUTE_BUDGET_PROGRAM, ComputeUnitPrice(1))),
        ("program", with_action(TOKEN_PROGRAM, SystemTransfer(WALLET, WALLET, 5))),
        ("transfer", with_action(SYSTEM_PROGRAM, SystemTransfer(WALLET, THIEF, 5))),
        ("transfer", with_action(SYSTEM_PROGRAM, SystemTransfer(THIEF, WALLET, 5))),
        ("instruction", with_action(SYSTEM_PROGRAM, SystemAssign(WALLET, THIEF))),
        ("memo", replace(GOOD, instructions=GOOD.instructions[:1])),
        ("memo", with_action(MEMO_PROGRAM, Memo("something else"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_that_break_a_rule_are_refused_by_its_name(rule: str, transaction: DecodedTransaction) -> None:
    assert rule in broken(transaction)


def changed(**fields: object) -> Callable[[], Simulation]:
    return lambda: replace(SIMULATED, **fields)  # type: ignore[arg-type]


def token(raw: int, *, owner: Address | None = WALLET) -> TokenBalance:
    return TokenBalance(
        account=SYSTEM_PROGRAM, mint=Mint("usdc"), owner=owner, program=TOKEN_PROGRAM, raw=raw, decimals=6
    )


@pytest.mark.parametrize(
    ("rule", "simulation"),
    [
        ("simulated", changed(err='"AccountNotFound"')),
        ("simulated", changed(accounts=(WALLET, THIEF, MEMO_PROGRAM))),
        ("simulated", changed(fee_lamports=None)),
        ("simulated", changed(fee_lamports=FEE + 1, post_lamports=(1_000_000 - FEE - 1, 1, 1))),
        ("simulated", changed(pre_tokens=(token(1, owner=None),), post_tokens=(token(1, owner=None),))),
        ("sol-bound", changed(post_lamports=(1_000_000 - FEE - 1, 1, 1))),
        ("sol-bound", changed(post_lamports=(1_000_000 - FEE + 1, 1, 1))),
        ("untouched", changed(pre_tokens=(token(5),), post_tokens=(token(4),))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_simulation_that_breaks_a_rule_is_refused_by_its_name(
    rule: str, simulation: Callable[[], Simulation]
) -> None:
    assert rule in broken(simulation=simulation())


def test_every_broken_rule_is_named_at_once() -> None:
    bad = replace(with_action(SYSTEM_PROGRAM, SystemTransfer(WALLET, THIEF, 5)), signers=(WALLET, THIEF))

    assert set(broken(bad, replace(SIMULATED, post_lamports=(1, 1, 1)))) >= {"one-signer", "transfer", "sol-bound"}
