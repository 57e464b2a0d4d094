"""What must be true of a transaction of our own that is no trade before it is signed: nothing leaves but the fee.

We made these bytes ourselves, so this guards against ourselves, and against a node that answers for another chain. Two
looks as for trades (`transaction_guard`): every instruction is read, and a simulation of exactly this message, sent
unsigned, is counted. The rules bear the names that they have there; `memo` is new.
"""

from __future__ import annotations

from collections.abc import Iterator

from sniperforge.domain.money import Address
from sniperforge.domain.transaction import (
    MEMO_PROGRAM,
    SYSTEM_PROGRAM,
    AccountOrigin,
    DecodedTransaction,
    Memo,
    SystemTransfer,
)
from sniperforge.errors import GuardRefusedError, ProtocolError
from sniperforge.ports.chain import Simulation
from sniperforge.trading.balances import wallet_change
from sniperforge.trading.transaction_guard import Refusal, fee_lamports

PROGRAMS = frozenset({SYSTEM_PROGRAM, MEMO_PROGRAM})
"""Programs that may stand in a maintenance transaction."""


def check_maintenance(
    transaction: DecodedTransaction, simulation: Simulation, *, wallet: Address, memo: str, max_fee_lamports: int
) -> None:
    """Both looks.

    Args:
        transaction: What is to be signed.
        simulation: Of exactly this message.
        wallet: Whose key signs, pays, and both gives and gets.
        memo: What the one memo must say.
        max_fee_lamports: Base and priority fee together.

    Raises:
        GuardRefusedError: `rules` names every broken rule.
    """
    broken = [*_read(transaction, wallet, memo, max_fee_lamports), *_count(transaction, simulation, wallet)]
    if broken:
        raise GuardRefusedError(
            "the transaction was not signed: " + "; ".join(f"{one.rule}: {one.what}" for one in broken),
            subject="guard",
            fix="Nothing left the wallet; it is tried again. If it repeats, ask another RPC node",
            rules=tuple(one.rule for one in broken),
        )


def _read(transaction: DecodedTransaction, wallet: Address, memo: str, max_fee_lamports: int) -> Iterator[Refusal]:
    if len(transaction.signers) != 1:
        yield Refusal("one-signer", f"{len(transaction.signers)} signatures are required")
    if transaction.fee_payer != wallet:
        yield Refusal("fee-payer", f"{transaction.fee_payer} pays")
    if transaction.durable_nonce is not None:
        yield Refusal("no-undying", f"bound to the nonce account {transaction.durable_nonce.nonce_account}")
    for use in transaction.accounts:
        if use.origin is not AccountOrigin.STATIC:
            yield Refusal("static", f"{use.address} comes from a lookup table")
    fee = fee_lamports(transaction)
    if fee > max_fee_lamports:
        yield Refusal("fee", f"it would cost {fee} lamports, more than {max_fee_lamports}")
    yield from _instructions(transaction, wallet, memo)


def _instructions(transaction: DecodedTransaction, wallet: Address, memo: str) -> Iterator[Refusal]:
    for number, instruction in enumerate(transaction.instructions):
        action = instruction.action
        if instruction.program not in PROGRAMS:
            yield Refusal("program", f"instruction {number} runs {instruction.program}")
        elif isinstance(action, SystemTransfer):
            if (action.source, action.destination) != (wallet, wallet):
                yield Refusal("transfer", f"{action.lamports} lamports go from {action.source} to {action.destination}")
        elif not isinstance(action, Memo):
            yield Refusal("instruction", f"instruction {number} is {type(action).__name__} of {instruction.program}")
    memos = [item.action.text for item in transaction.instructions if isinstance(item.action, Memo)]
    if memos != [memo]:
        yield Refusal("memo", f"its memos are {memos}")


def _count(transaction: DecodedTransaction, simulation: Simulation, wallet: Address) -> Iterator[Refusal]:
    if simulation.err is not None:
        yield Refusal("simulated", f"it fails: {simulation.err}")
        return
    if tuple(use.address for use in transaction.accounts) != tuple(simulation.accounts):
        yield Refusal("simulated", "the simulation lists other accounts")
        return
    fee, bound = simulation.fee_lamports, fee_lamports(transaction)
    if fee is None or fee > bound:
        # A fee that is not real would hide lamports that leave.
        yield Refusal("simulated", f"the simulation speaks of a fee of {fee} lamports, the bytes allow {bound}")
        return
    try:
        change = wallet_change(simulation, wallet=wallet, fee_lamports=fee)
    except ProtocolError as error:
        yield Refusal("simulated", f"{error.subject}: {error.what}")
        return
    if change.native != -fee:
        yield Refusal("sol-bound", f"{-change.native} lamports would leave, of which {fee} are the fee")
    for mint in sorted(change.tokens):
        if change.tokens[mint]:
            yield Refusal("untouched", f"{mint} would change by {change.tokens[mint]} base units")
