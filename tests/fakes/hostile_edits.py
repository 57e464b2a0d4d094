"""What a hostile Jupiter could do to a good order: every kind of edit, with the rule that has to see it.

An edit takes a `Draft` and changes it; where and by how much is up to the draft's own randomness.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from solders.compute_budget import request_heap_frame, set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageAddressTableLookup, MessageV0, TransactionConfig
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.transaction import (
    JupiterSwap,
    SystemTransfer,
    TokenCloseAccount,
)
from sniperforge.sandbox.jupiter.instructions import MEMO_PROGRAM, associated_account, close_account, memo, sync_native
from sniperforge.sandbox.jupiter.tips import JITO_TIP_ACCOUNTS
from sniperforge.sandbox.pools import PROGRAM_ID
from sniperforge.sandbox.route_instruction import EVENT_AUTHORITY
from sniperforge.sandbox.tokens import (
    ASSOCIATED_TOKEN_PROGRAM,
    SOL,
    SYSTEM_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
)
from tests.fakes.guard_desk import UNREADABLE, Draft, unsigned

Change = Callable[[Draft], None]


class NotPossibleError(Exception):
    """This order has nothing that an edit of this kind could change."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of edit. `rules`: each edit of it must break at least one of them."""

    name: str
    change: Change
    rules: frozenset[str]


KINDS: list[Kind] = []


def kind(name: str, *rules: str) -> Callable[[Change], Change]:
    """Register an edit under its name with the rules of which one must refuse it."""

    def register(change: Change) -> Change:
        KINDS.append(Kind(name, change, frozenset(rules)))
        return change

    return register


# ---- small words
def _add(draft: Draft, instruction: Instruction, *, first: int = 0) -> None:
    draft.instructions.insert(draft.rng.randint(first, len(draft.instructions)), instruction)


def _find(draft: Draft, action: type) -> int:
    found = [at for at, item in enumerate(draft.order.decoded.instructions) if isinstance(item.action, action)]
    if not found:
        raise NotPossibleError
    return draft.rng.choice(found)


def _swap_with(draft: Draft, *, data: bytes | None = None, account: tuple[int, Pubkey] | None = None) -> None:
    at = _find(draft, JupiterSwap)
    swap = draft.instructions[at]
    metas = list(swap.accounts)
    if account is not None:
        index, key = account
        metas[index] = AccountMeta(key, metas[index].is_signer, metas[index].is_writable)
    draft.instructions[at] = Instruction(swap.program_id, swap.data if data is None else data, metas)


def _swap_field(draft: Draft, offset: int, form: str, value: int) -> None:
    data = bytearray(draft.instructions[_find(draft, JupiterSwap)].data)
    struct.pack_into(form, data, offset, value)
    _swap_with(draft, data=bytes(data))


def _swap(draft: Draft) -> JupiterSwap:
    return next(item.action for item in draft.order.decoded.instructions if isinstance(item.action, JupiterSwap))


def _own(draft: Draft, *, native: bool | None = None) -> Pubkey:
    """A token account of ours: any, a wSOL account, or one of another token."""
    own = [
        account
        for account, mint in draft.order.terms.own_accounts.items()
        if native is None or (mint == WSOL_MINT) is native
    ]
    if not own:
        raise NotPossibleError
    return Pubkey.from_string(draft.rng.choice(own))


def _mint_of(draft: Draft, account: Pubkey) -> Pubkey:
    return Pubkey.from_string(draft.order.terms.own_accounts[str(account)])  # type: ignore[index]


def _program_of(draft: Draft, account: Pubkey) -> Pubkey:
    return draft.desk.sandbox.world.tokens[_mint_of(draft, account)].token_program


def _thiefs(draft: Draft, mint: str | Pubkey) -> Pubkey:
    return draft.desk.token_account(draft.desk.thief, Pubkey.from_string(str(mint)))


def _stranger(draft: Draft) -> Pubkey:
    return Pubkey(draft.rng.randbytes(32))


def _amount(draft: Draft) -> int:
    return draft.rng.choice((1, draft.rng.randint(1, 10**6), draft.rng.randint(1, 10**9)))


def _w(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _r(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def _s(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=True)


def _system(data: bytes, *metas: AccountMeta) -> Instruction:
    return Instruction(SYSTEM_PROGRAM, data, list(metas))


def _pay(draft: Draft, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=draft.payer, to_pubkey=target, lamports=lamports))


def _create(draft: Draft, owner: Pubkey, account: Pubkey, mint: Pubkey, token_program: Pubkey) -> Instruction:
    metas = [_s(draft.payer), _w(account), _r(owner), _r(mint), _r(SYSTEM_PROGRAM), _r(token_program)]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM, draft.rng.choice((b"", b"\x00", b"\x01")), metas)


# ---- lamports that leave
@kind("extra transfer", "transfer")
def _(draft: Draft) -> None:
    _add(draft, _pay(draft, draft.rng.choice((draft.desk.thief, _stranger(draft))), _amount(draft)))


@kind("transfer to our token account", "transfer")
def _(draft: Draft) -> None:
    _add(draft, _pay(draft, _own(draft, native=False), _amount(draft)))


@kind("transfer with seed", "transfer")
def _(draft: Draft) -> None:
    seed = b"vault"
    data = struct.pack("<IQQ", 11, _amount(draft), len(seed)) + seed + bytes(SYSTEM_PROGRAM)
    derived = Pubkey.create_with_seed(draft.payer, seed.decode(), SYSTEM_PROGRAM)
    target = draft.rng.choice((draft.desk.thief, JITO_TIP_ACCOUNTS[0]))
    _add(draft, _system(data, _w(derived), _s(draft.payer), _w(target)))


@kind("tip above the bound", "transfer")
def _(draft: Draft) -> None:
    lamports = draft.order.terms.max_tip_lamports + _amount(draft)
    _add(draft, _pay(draft, draft.rng.choice(JITO_TIP_ACCOUNTS), lamports))


@kind("tip in slices", "transfer")
def _(draft: Draft) -> None:
    for _slice in range(3):
        lamports = draft.order.terms.max_tip_lamports // 3 + 1 + draft.rng.randint(0, 1_000)
        _add(draft, _pay(draft, draft.rng.choice(JITO_TIP_ACCOUNTS), lamports))


@kind("more wrapped than the input", "transfer")
def _(draft: Draft) -> None:
    account = associated_account(draft.payer, SOL, TOKEN_PROGRAM)
    _add(draft, _pay(draft, account, _amount(draft)))


@kind("wrap raised", "transfer")
def _(draft: Draft) -> None:
    at = _find(draft, SystemTransfer)
    action = draft.order.decoded.instructions[at].action
    assert isinstance(action, SystemTransfer)
    draft.instructions[at] = _pay(draft, Pubkey.from_string(action.destination), action.lamports + _amount(draft))


@kind("wrap sent elsewhere", "transfer")
def _(draft: Draft) -> None:
    at = _find(draft, SystemTransfer)
    action = draft.order.decoded.instructions[at].action
    assert isinstance(action, SystemTransfer)
    target = draft.rng.choice((_thiefs(draft, WSOL_MINT), draft.desk.thief))
    draft.instructions[at] = _pay(draft, target, action.lamports)


# ---- the accounts' nature
@kind("create account", "instruction")
def _(draft: Draft) -> None:
    data = struct.pack("<IQQ", 0, _amount(draft), 0) + bytes(SYSTEM_PROGRAM)
    _add(draft, _system(data, _s(draft.payer), _s(_stranger(draft))))


@kind("create account with seed", "instruction")
def _(draft: Draft) -> None:
    seed = b"sink"
    owner = draft.rng.choice((SYSTEM_PROGRAM, TOKEN_PROGRAM))
    data = struct.pack("<I", 3) + bytes(draft.payer) + struct.pack("<Q", len(seed)) + seed
    data += struct.pack("<QQ", 2_000_000 + _amount(draft), draft.rng.choice((0, 165))) + bytes(owner)
    _add(draft, _system(data, _s(draft.payer), _w(Pubkey.create_with_seed(draft.payer, seed.decode(), owner))))


@kind("assign", "instruction")
def _(draft: Draft) -> None:
    owner = draft.rng.choice((_stranger(draft), TOKEN_PROGRAM))
    _add(draft, _system(struct.pack("<I", 1) + bytes(owner), _s(draft.payer)))


@kind("assign with seed", "instruction")
def _(draft: Draft) -> None:
    seed, owner = b"vault", _stranger(draft)
    data = struct.pack("<I", 10) + bytes(draft.payer) + struct.pack("<Q", len(seed)) + seed + bytes(owner)
    derived = Pubkey.create_with_seed(draft.payer, seed.decode(), owner)
    _add(draft, _system(data, _w(derived), _s(draft.payer)))


@kind("allocate", "instruction")
def _(draft: Draft) -> None:
    _add(draft, _system(struct.pack("<IQ", 8, draft.rng.randint(1, 10_000)), _s(draft.payer)))


@kind("set authority", "instruction")
def _(draft: Draft) -> None:
    account = _own(draft)
    new = draft.rng.choice((b"\x01" + bytes(draft.desk.thief), b"\x00"))
    data = bytes([6, draft.rng.choice((2, 3, 2))]) + new
    _add(draft, Instruction(_program_of(draft, account), data, [_w(account), _s(draft.payer)]))


@kind("set authority of what the swap opens", "instruction")
def _(draft: Draft) -> None:
    account = Pubkey.from_string(_swap(draft).destination)
    program = draft.desk.sandbox.world.tokens[Pubkey.from_string(draft.order.terms.output_mint)].token_program
    data = bytes([6, 2, 1]) + bytes(draft.desk.thief)
    draft.instructions.append(Instruction(program, data, [_w(account), _s(draft.payer)]))


@kind("approve", "instruction")
def _(draft: Draft) -> None:
    account = _own(draft)
    mint = _mint_of(draft, account)
    decimals = draft.desk.sandbox.world.tokens[mint].decimals
    plain = [_w(account), _r(draft.desk.thief), _s(draft.payer)]
    checked = [_w(account), _r(mint), _r(draft.desk.thief), _s(draft.payer)]
    data, metas = draft.rng.choice(
        ((struct.pack("<BQ", 4, 2**64 - 1), plain), (struct.pack("<BQB", 13, _amount(draft), decimals), checked))
    )
    _add(draft, Instruction(_program_of(draft, account), data, metas))


# ---- tokens that leave
@kind("token transfer", "instruction")
def _(draft: Draft) -> None:
    account = _own(draft)
    mint, program = _mint_of(draft, account), _program_of(draft, account)
    decimals, target = draft.desk.sandbox.world.tokens[mint].decimals, _thiefs(draft, mint)
    checked = [_w(account), _r(mint), _w(target), _s(draft.payer)]
    forms = [
        (struct.pack("<BQ", 3, _amount(draft)), [_w(account), _w(target), _s(draft.payer)]),
        (struct.pack("<BQB", 12, _amount(draft), decimals), checked),
    ]
    if program == TOKEN_2022_PROGRAM:
        forms.append((struct.pack("<BBQBQ", 26, 1, _amount(draft), decimals, 1), checked))
    data, metas = draft.rng.choice(forms)
    _add(draft, Instruction(program, data, metas))


@kind("burn and other token instructions", "instruction")
def _(draft: Draft) -> None:
    account = _own(draft)
    mint, program = _mint_of(draft, account), _program_of(draft, account)
    tag = draft.rng.choice((0, 1, 2, 5, 7, 8, 10, 11, 14, 15, 16, 18, 20, 21, 22, 25, 27, 28, 30, 34, 36, 38, 45, 60))
    data = bytes([tag]) + struct.pack("<QB", _amount(draft), 6)
    _add(draft, Instruction(program, data, [_w(account), _w(mint), _s(draft.payer)]))


@kind("token batch", "instruction")
def _(draft: Draft) -> None:
    account = _own(draft)
    inner = struct.pack("<BQ", 3, _amount(draft))
    data = bytes([255, 3, len(inner)]) + inner
    metas = [_w(account), _w(_thiefs(draft, _mint_of(draft, account))), _s(draft.payer)]
    _add(draft, Instruction(_program_of(draft, account), data, metas))


@kind("close elsewhere", "close")
def _(draft: Draft) -> None:
    at = _find(draft, TokenCloseAccount)
    wsol = associated_account(draft.payer, SOL, TOKEN_PROGRAM)
    draft.instructions[at] = close_account(wsol, draft.rng.choice((draft.desk.thief, _stranger(draft))), draft.payer)


@kind("close another account", "close")
def _(draft: Draft) -> None:
    account = _own(draft, native=False)
    target = draft.rng.choice((draft.payer, draft.desk.thief))
    closing = close_account(account, target, draft.payer)
    _add(draft, Instruction(_program_of(draft, account), bytes(closing.data), list(closing.accounts)))


@kind("sync native elsewhere", "instruction")
def _(draft: Draft) -> None:
    _add(draft, sync_native(draft.rng.choice((_thiefs(draft, WSOL_MINT), _own(draft, native=False)))))


# ---- accounts that are opened
@kind("account opened for the thief", "create")
def _(draft: Draft) -> None:
    mint = draft.rng.choice(list(draft.desk.sandbox.world.tokens))
    owner = draft.rng.choice((draft.desk.thief, _stranger(draft)))
    program = draft.desk.sandbox.world.tokens[mint].token_program
    _add(draft, _create(draft, owner, associated_account(owner, mint, program), mint, program))


@kind("account opened that the swap does not use", "create")
def _(draft: Draft) -> None:
    mint, program = _stranger(draft), draft.rng.choice((TOKEN_PROGRAM, TOKEN_2022_PROGRAM))
    _add(draft, _create(draft, draft.payer, associated_account(draft.payer, mint, program), mint, program))


@kind("account of a token program of its own", "create")
def _(draft: Draft) -> None:
    mint, program = Pubkey.from_string(_swap(draft).destination_mint), _stranger(draft)
    account = associated_account(draft.payer, mint, program)
    _swap_with(draft, account=(2, account))
    draft.instructions.insert(0, _create(draft, draft.payer, account, mint, program))


@kind("destination said to be ours, with the other mint", "swap-destination", UNREADABLE)
def _(draft: Draft) -> None:
    mint = draft.rng.choice(
        [mint for mint in draft.desk.sandbox.world.tokens if str(mint) != _swap(draft).destination_mint]
    )
    account = draft.desk.token_account(draft.payer, mint)
    _swap_with(draft, account=(2, account))
    draft.instructions.insert(
        0, _create(draft, draft.payer, account, mint, draft.desk.sandbox.world.tokens[mint].token_program)
    )


@kind("account of the thief said to be opened for us", "simulated", "swap-source")
def _(draft: Draft) -> None:
    mint = Pubkey.from_string(_swap(draft).destination_mint)
    program = draft.desk.sandbox.world.tokens[mint].token_program
    account = _thiefs(draft, mint)
    _swap_with(draft, account=(2, account))
    draft.instructions.insert(0, _create(draft, draft.payer, account, mint, program))


@kind("recover nested", "instruction")
def _(draft: Draft) -> None:
    creation = _create(draft, draft.payer, _own(draft), _stranger(draft), TOKEN_PROGRAM)
    _add(draft, Instruction(ASSOCIATED_TOKEN_PROGRAM, b"\x02", list(creation.accounts)))


@kind("Jupiter opens an account that is none of ours", "create")
def _(draft: Draft) -> None:
    account, tag = _stranger(draft), bytes.fromhex("93f17b64f484ae76")
    owner, mint = draft.rng.choice(
        ((draft.desk.thief, SOL), (draft.payer, Pubkey.from_string(_swap(draft).destination_mint)), (draft.payer, SOL))
    )
    metas = [_w(account), AccountMeta(owner, owner == draft.payer, True), _r(mint), _r(TOKEN_PROGRAM)]
    _add(draft, Instruction(PROGRAM_ID, tag + b"\xff", [*metas, _r(SYSTEM_PROGRAM)]))


# ---- the envelope
@kind("another signer", "one-signer")
def _(draft: Draft) -> None:
    _add(draft, memo("approved", draft.rng.choice((draft.desk.thief, _stranger(draft)))))


@kind("another fee payer", "fee-payer")
def _(draft: Draft) -> None:
    draft.payer = draft.rng.choice((draft.desk.thief, _stranger(draft)))


@kind("version 1 with a fee of its own", "version")
def _(draft: Draft) -> None:
    draft.version_1 = TransactionConfig(priority_fee=_amount(draft), compute_unit_limit=200_000)


@kind("begins with a nonce", "no-undying")
def _(draft: Draft) -> None:
    sysvar = Pubkey.from_string("SysvarRecentB1ockHashes11111111111111111111")
    draft.instructions.insert(0, _system(struct.pack("<I", 4), _w(_stranger(draft)), _r(sysvar), _s(draft.payer)))


@kind("nonce instructions", "instruction")
def _(draft: Draft) -> None:
    nonce, authority = _stranger(draft), _s(draft.payer)
    sysvar = _r(Pubkey.from_string("SysvarRecentB1ockHashes11111111111111111111"))
    rent = _r(Pubkey.from_string("SysvarRent111111111111111111111111111111111"))
    _add(
        draft,
        draft.rng.choice(
            (
                _system(struct.pack("<I", 4), _w(nonce), sysvar, authority),
                _system(
                    struct.pack("<IQ", 5, _amount(draft)), _w(nonce), _w(draft.desk.thief), sysvar, rent, authority
                ),
                _system(struct.pack("<I", 6) + bytes(draft.desk.thief), _w(nonce), sysvar, rent),
                _system(struct.pack("<I", 7) + bytes(draft.desk.thief), _w(nonce), authority),
                _system(struct.pack("<I", 12), _w(nonce)),
            )
        ),
        first=1,
    )


@kind("fee raised", "fee")
def _(draft: Draft) -> None:
    draft.instructions[:2] = [
        set_compute_unit_limit(1_400_000),
        set_compute_unit_price(draft.rng.randint(10**5, 10**12)),
    ]


@kind("fee without a limit", "fee")
def _(draft: Draft) -> None:
    draft.instructions[:2] = [set_compute_unit_price(draft.rng.randint(10**5, 10**12))]


@kind("two budgets", "budget")
def _(draft: Draft) -> None:
    kinds = ([set_compute_unit_limit(100_000)], [set_compute_unit_price(1)], [request_heap_frame(65_536)] * 2)
    for instruction in draft.rng.choice(kinds):
        _add(draft, instruction)


@kind("too few compute units", "simulated")
def _(draft: Draft) -> None:
    draft.instructions[0] = set_compute_unit_limit(draft.rng.randint(1, 5_000))


@kind("unknown program", "program")
def _(draft: Draft) -> None:
    data = draft.rng.randbytes(draft.rng.randint(0, 40))
    _add(draft, Instruction(_stranger(draft), data, [_s(draft.payer), _w(_own(draft))]))


@kind("known program with unknown data", "instruction")
def _(draft: Draft) -> None:
    program = draft.rng.choice((SYSTEM_PROGRAM, PROGRAM_ID, ASSOCIATED_TOKEN_PROGRAM))
    data = b"\xee" + draft.rng.randbytes(draft.rng.randint(0, 40))
    _add(draft, Instruction(program, data, [_s(draft.payer), _w(_own(draft))]))


# ---- the swap
@kind("swap program replaced", "one-swap")
def _(draft: Draft) -> None:
    at = _find(draft, JupiterSwap)
    program = draft.rng.choice((_stranger(draft), MEMO_PROGRAM, TOKEN_PROGRAM, SYSTEM_PROGRAM))
    swap = draft.instructions[at]
    draft.instructions[at] = Instruction(program, bytes(swap.data), list(swap.accounts))


@kind("an older kind of swap", "instruction")
def _(draft: Draft) -> None:
    tags = ("e517cb977ae3ad2a", "c1209b3341d69c81", "d033ef977b2bed5c", "96564774a75d0e68", "9d8ab85215f4f324")
    data = bytes(draft.instructions[_find(draft, JupiterSwap)].data)
    _swap_with(draft, data=bytes.fromhex(draft.rng.choice(tags)) + data[8:])


@kind("swap cut short", "instruction")
def _(draft: Draft) -> None:
    data = bytes(draft.instructions[_find(draft, JupiterSwap)].data)
    _swap_with(draft, data=data[: draft.rng.randint(0, 29)])


@kind("second swap", "one-swap")
def _(draft: Draft) -> None:
    _add(draft, draft.instructions[_find(draft, JupiterSwap)])


@kind("no swap", "one-swap")
def _(draft: Draft) -> None:
    del draft.instructions[_find(draft, JupiterSwap)]


@kind("another order's swap", "swap-mint", "swap-source", "swap-destination", "swap-authority")
def _(draft: Draft) -> None:
    here = _swap(draft)
    others = [
        order
        for order in draft.desk.good_orders
        if (order.payer, order.terms.input_mint, order.terms.output_mint)
        != (draft.order.payer, here.source_mint, here.destination_mint)
    ]
    other = draft.rng.choice(others)
    draft.instructions, draft.tables, draft.payer = list(other.instructions), list(other.tables), other.payer


@kind("other authority", "swap-authority")
def _(draft: Draft) -> None:
    _swap_with(draft, account=(0, draft.desk.thief))


@kind("other source", "swap-source")
def _(draft: Draft) -> None:
    _swap_with(draft, account=(1, _thiefs(draft, _swap(draft).source_mint)))


@kind("source of another token", "swap-source", UNREADABLE)
def _(draft: Draft) -> None:
    account = _own(draft)
    if str(account) == _swap(draft).source:
        raise NotPossibleError
    _swap_with(draft, account=(1, account))


@kind("other destination", "swap-destination")
def _(draft: Draft) -> None:
    account = draft.rng.choice((_thiefs(draft, _swap(draft).destination_mint), _stranger(draft)))
    _swap_with(draft, account=(2, account))


@kind("the optional destination", "swap-destination", "simulated", "received")
def _(draft: Draft) -> None:
    _swap_with(draft, account=(7, _thiefs(draft, _swap(draft).destination_mint)))


@kind("destination opened for the thief", "swap-destination")
def _(draft: Draft) -> None:
    mint, owner = Pubkey.from_string(_swap(draft).destination_mint), _stranger(draft)
    program = draft.desk.sandbox.world.tokens[mint].token_program
    account = associated_account(owner, mint, program)
    _swap_with(draft, account=(2, account))
    draft.instructions.insert(0, _create(draft, owner, account, mint, program))


@kind("mint swapped", "swap-mint")
def _(draft: Draft) -> None:
    index, here = draft.rng.choice(((3, _swap(draft).source_mint), (4, _swap(draft).destination_mint)))
    mints = [mint for mint in draft.desk.sandbox.world.tokens if str(mint) != here]
    _swap_with(draft, account=(index, draft.rng.choice((*mints, _stranger(draft)))))


@kind("input raised", "swap-input")
def _(draft: Draft) -> None:
    _swap_field(draft, 8, "<Q", min(draft.order.terms.input_raw + _amount(draft), 2**64 - 1))


@kind("nothing put in", "swap-input")
def _(draft: Draft) -> None:
    _swap_field(draft, 8, "<Q", 0)


@kind("minimum lowered by the quote", "swap-minimum")
def _(draft: Draft) -> None:
    swap = _swap(draft)
    least_cut = swap.quoted_out_raw // max(1, draft.order.terms.min_out_raw) + 1
    _swap_field(draft, 16, "<Q", max(0, swap.quoted_out_raw - draft.rng.randint(least_cut, 10**6)))


@kind("minimum lowered by slippage", "swap-minimum")
def _(draft: Draft) -> None:
    _swap_field(
        draft, 24, "<H", draft.rng.choice((10_000, 65_535, _swap(draft).slippage_bps + draft.rng.randint(1, 9_000)))
    )


@kind("minimum lowered by a platform fee", "swap-minimum")
def _(draft: Draft) -> None:
    _swap_field(draft, 26, "<H", draft.rng.choice((10_000, 65_535, draft.rng.randint(1, 10_000))))


@kind("hop into the thief's account", "simulated", "received", "untouched", "spent")
def _(draft: Draft) -> None:
    at = _find(draft, JupiterSwap)
    steps = (len(draft.instructions[at].accounts) - 10) // 8
    step = draft.rng.randrange(steps)
    mint = draft.instructions[at].accounts[10 + 8 * step + 6].pubkey
    _swap_with(draft, account=(10 + 8 * step + 5, _thiefs(draft, mint)))


@kind("pool of the thief", "simulated", "received")
def _(draft: Draft) -> None:
    at = _find(draft, JupiterSwap)
    steps = (len(draft.instructions[at].accounts) - 10) // 8
    place = 10 + 8 * draft.rng.randrange(steps) + draft.rng.choice((0, 1, 2, 3, 4))
    _swap_with(draft, account=(place, draft.rng.choice((_stranger(draft), _thiefs(draft, SOL)))))


# ---- lookup tables
@kind("our accounts from a lookup table", "static")
def _(draft: Draft) -> None:
    accounts = [Pubkey.from_string(_swap(draft).source), Pubkey.from_string(_swap(draft).destination)]
    draft.tables.append(draft.desk.plant_table([*accounts, _own(draft)]))


@kind("lookup table resolves our account elsewhere", "swap-destination", "swap-source")
def _(draft: Draft) -> None:
    swap = _swap(draft)
    index, mint = draft.rng.choice(((1, swap.source_mint), (2, swap.destination_mint)))
    account = _thiefs(draft, mint)
    _swap_with(draft, account=(index, account))
    draft.tables.append(draft.desk.plant_table([_stranger(draft), account]))


@kind("lookup table resolves elsewhere", "simulated", "create", "swap-mint", "received", "static", UNREADABLE)
def _(draft: Draft) -> None:
    message = draft.compiled()
    lookups = list(message.address_table_lookups)
    if not lookups:
        raise NotPossibleError
    at = draft.rng.randrange(len(lookups))
    table = next(table for table in draft.tables if table.key == lookups[at].account_key)
    content = list(table.addresses)
    indexes = [*lookups[at].writable_indexes, *lookups[at].readonly_indexes]
    # Nothing here emits events, and an account that exists is not created again: these places change nothing.
    content[
        draft.rng.choice([index for index in indexes if content[index] not in (EVENT_AUTHORITY, SYSTEM_PROGRAM)])
    ] = draft.rng.choice((_stranger(draft), _thiefs(draft, SOL)))
    planted = draft.desk.plant_table(content)
    lookups[at] = MessageAddressTableLookup(planted.key, lookups[at].writable_indexes, lookups[at].readonly_indexes)
    draft.raw = unsigned(
        MessageV0(message.header, message.account_keys, message.recent_blockhash, message.instructions, lookups)
    )


@kind("index beyond the lookup table", UNREADABLE)
def _(draft: Draft) -> None:
    message = draft.compiled()
    lookups = list(message.address_table_lookups)
    if not lookups:
        raise NotPossibleError
    planted = draft.desk.plant_table([_stranger(draft)])
    lookups[0] = MessageAddressTableLookup(planted.key, bytes([1]) + lookups[0].writable_indexes[1:], bytes([200]))
    draft.raw = unsigned(
        MessageV0(message.header, message.account_keys, message.recent_blockhash, message.instructions, lookups)
    )


@kind("legacy message with an extra transfer", "transfer")
def _(draft: Draft) -> None:
    instructions = [*draft.instructions, _pay(draft, draft.desk.thief, _amount(draft))]
    draft.raw = unsigned(Message.new_with_blockhash(instructions, draft.payer, draft.order.blockhash))


@kind("several at once", *{rule for entry in KINDS for rule in entry.rules})
def _(draft: Draft) -> None:
    simple = [entry for entry in KINDS if entry.name in _COMBINABLE]
    for entry in draft.rng.sample(simple, 3):
        entry.change(draft)


_COMBINABLE = (
    "extra transfer",
    "assign",
    "another signer",
    "unknown program",
    "account opened for the thief",
    "two budgets",
)
