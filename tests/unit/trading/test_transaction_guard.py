"""Every rule of the guard: a good transaction passes, and the same one with one thing wrong is refused by that rule."""

from __future__ import annotations

import ast
import inspect
import pickle
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.transaction import (
    ASSOCIATED_TOKEN_PROGRAM,
    COMPUTE_BUDGET_PROGRAM,
    JUPITER_V6_PROGRAM,
    MEMO_PROGRAM,
    SYSTEM_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    AccountOrigin,
    AccountUse,
    Action,
    ComputeBudgetOther,
    ComputeUnitLimit,
    ComputeUnitPrice,
    CreateAssociatedAccount,
    DecodedInstruction,
    DecodedTransaction,
    JupiterCreateTokenAccount,
    JupiterSwap,
    Memo,
    NonceAdvance,
    NonceOther,
    OpaqueInstruction,
    SystemAllocate,
    SystemAssign,
    SystemCreateAccount,
    SystemTransfer,
    TokenApprove,
    TokenCloseAccount,
    TokenOther,
    TokenSetAuthority,
    TokenSyncNative,
    TokenTransfer,
)
from sniperforge.errors import GuardRefusedError, InvalidInputError
from sniperforge.ports.chain import Simulation, TokenBalance
from sniperforge.trading import transaction_guard
from sniperforge.trading.guard_policies import (
    DEVNET_POLICY,
    JITO_TIP_ACCOUNTS,
    JUPITER_TIP_ACCOUNTS,
    MAINNET_POLICY,
)
from sniperforge.trading.transaction_guard import RULES, TradeTerms, TransactionGuard, fee_lamports

SOL, RENT = 10**9, 1_488_440
WALLET, THIEF, POOL, TABLE, NONCE = map(Address, ("wallet", "thief", "pool", "table", "nonce"))
USDC, BONK = Mint("usdc"), Mint("bonk")
WSOL_ACCOUNT, USDC_ACCOUNT, BONK_ACCOUNT = map(Address, ("our-wsol", "our-usdc", "our-bonk"))
THIEFS_WSOL, THIEFS_USDC = Address("thiefs-wsol"), Address("thiefs-usdc")
TIP = min(MAINNET_POLICY.tip_accounts)
IN, QUOTED, SLIPPAGE_BPS, LIMIT = 5 * SOL, 900_000_000, 50, 895_500_000
FEE, TIP_LAMPORTS = 9_000, 10_000
GUARD = TransactionGuard(MAINNET_POLICY)

TERMS = TradeTerms(
    wallet=WALLET,
    input_mint=WSOL_MINT,
    output_mint=USDC,
    input_raw=IN,
    min_out_raw=LIMIT,
    max_fee_lamports=FEE,
    max_tip_lamports=TIP_LAMPORTS,
    max_rent_lamports=RENT,
    own_accounts={USDC_ACCOUNT: USDC, BONK_ACCOUNT: BONK},
)
SWAP = JupiterSwap(
    authority=WALLET,
    source=WSOL_ACCOUNT,
    destination=USDC_ACCOUNT,
    source_mint=WSOL_MINT,
    destination_mint=USDC,
    in_raw=IN,
    quoted_out_raw=QUOTED,
    slippage_bps=SLIPPAGE_BPS,
    platform_fee_bps=0,
    positive_slippage_bps=0,
)
OPEN_WSOL = CreateAssociatedAccount(WALLET, WSOL_ACCOUNT, WALLET, WSOL_MINT, TOKEN_PROGRAM, idempotent=True)
CLOSE_WSOL = TokenCloseAccount(TOKEN_PROGRAM, WSOL_ACCOUNT, WALLET, WALLET)
WRAP = SystemTransfer(WALLET, WSOL_ACCOUNT, IN)
GOOD: tuple[Action, ...] = (
    ComputeUnitLimit(100_000),
    ComputeUnitPrice(40_000),
    OPEN_WSOL,
    WRAP,
    TokenSyncNative(TOKEN_PROGRAM, WSOL_ACCOUNT),
    SWAP,
    CLOSE_WSOL,
    SystemTransfer(WALLET, TIP, TIP_LAMPORTS),
)
"""Five SOL for USDC: wSOL opened, filled, swapped and closed, and a tip."""

LISTED = (
    WALLET, WSOL_ACCOUNT, USDC_ACCOUNT, BONK_ACCOUNT, TIP, THIEF, THIEFS_WSOL, THIEFS_USDC, POOL, NONCE,
)  # fmt: skip

_PROGRAMS: Mapping[type, Address] = {
    ComputeUnitLimit: COMPUTE_BUDGET_PROGRAM,
    ComputeUnitPrice: COMPUTE_BUDGET_PROGRAM,
    ComputeBudgetOther: COMPUTE_BUDGET_PROGRAM,
    CreateAssociatedAccount: ASSOCIATED_TOKEN_PROGRAM,
    JupiterSwap: JUPITER_V6_PROGRAM,
    JupiterCreateTokenAccount: JUPITER_V6_PROGRAM,
    Memo: MEMO_PROGRAM,
}


def static(address: Address) -> AccountUse:
    return AccountUse(address, is_signer=address == WALLET, is_writable=True)


def instruction(action: Action) -> DecodedInstruction:
    default = SYSTEM_PROGRAM if type(action).__name__.startswith(("System", "Nonce")) else TOKEN_PROGRAM
    program = getattr(action, "program", None) or _PROGRAMS.get(type(action), default)
    used = (action.authority, action.source, action.destination) if isinstance(action, JupiterSwap) else ()
    return DecodedInstruction(program, tuple(map(static, used)), b"", action)


def transaction(*actions: Action, **changes: Any) -> DecodedTransaction:
    """A version 0 transaction of the wallet that does these things."""
    prices = [action.micro_lamports for action in actions if isinstance(action, ComputeUnitPrice)]
    limits = [action.units for action in actions if isinstance(action, ComputeUnitLimit)]
    fields: dict[str, Any] = {
        "version": 0,
        "message": b"",
        "message_sha256": b"",
        "signatures": (None,),
        "signers": (WALLET,),
        "readonly_signed": 0,
        "readonly_unsigned": 0,
        "recent_blockhash": "blockhash",
        "static_accounts": LISTED,
        "accounts": tuple(map(static, LISTED)),
        "instructions": tuple(map(instruction, actions)),
        "compute_unit_limit": limits[0] if limits else None,
        "priority_fee_micro_lamports": prices[0] if prices else None,
    }
    return DecodedTransaction(**{**fields, **changes})


def replaced_actions(old: Action, new: Action) -> tuple[Action, ...]:
    return tuple(new if action is old else action for action in GOOD)


def replaced(old: Action, new: Action) -> DecodedTransaction:
    return transaction(*replaced_actions(old, new))


def broken(decoded: DecodedTransaction, terms: TradeTerms = TERMS) -> list[str]:
    """Rules that the first look finds broken."""
    return [refusal.rule for refusal in GUARD.read(decoded, terms)]


# ---- simulations
def token(account: Address, mint: Mint, raw: int, owner: Address | None = WALLET) -> TokenBalance:
    return TokenBalance(account, mint, owner, TOKEN_PROGRAM, raw, 6)


def simulated(**changes: Any) -> Simulation:
    """The good transaction as an honest node simulates it; `lamports` and `tokens` say what differs afterwards."""
    before = {WALLET: 20 * SOL, USDC_ACCOUNT: RENT, BONK_ACCOUNT: RENT, TIP: 1, THIEF: 1, POOL: 1}
    after = {**before, WALLET: 15 * SOL - FEE - TIP_LAMPORTS, TIP: 1 + TIP_LAMPORTS, POOL: 1 + IN}
    after |= changes.pop("lamports", {})
    tokens = {USDC_ACCOUNT: token(USDC_ACCOUNT, USDC, 7 + LIMIT), BONK_ACCOUNT: token(BONK_ACCOUNT, BONK, 44)}
    tokens |= changes.pop("tokens", {})
    fields: dict[str, Any] = {
        "node": "a",
        "slot": 1,
        "err": None,
        "logs": (),
        "compute_units": 1,
        "fee_lamports": FEE,
        "accounts": LISTED,
        "pre_lamports": tuple(before.get(account, 0) for account in LISTED),
        "post_lamports": tuple(after.get(account, 0) for account in LISTED),
        "pre_tokens": (token(USDC_ACCOUNT, USDC, 7), token(BONK_ACCOUNT, BONK, 44)),
        "post_tokens": tuple(tokens.values()),
    }
    return Simulation(**{**fields, **changes})


def miscounted(simulation: Simulation, terms: TradeTerms = TERMS, *, actions: tuple[Action, ...] = GOOD) -> list[str]:
    """Rules that the second look finds broken."""
    return [refusal.rule for refusal in GUARD.count(transaction(*actions), simulation, terms)]


# ---- what passes
def test_a_good_transaction_passes_and_its_change_is_told() -> None:
    change = GUARD.check(transaction(*GOOD), simulated(), TERMS)
    assert (change.of_asset(WSOL_MINT), change.of_asset(USDC)) == (-IN, LIMIT)


def test_the_other_way_round_passes_too() -> None:
    terms = replace(TERMS, input_mint=USDC, output_mint=WSOL_MINT, input_raw=QUOTED, min_out_raw=IN)
    swap = replace(
        SWAP,
        source=USDC_ACCOUNT,
        destination=WSOL_ACCOUNT,
        source_mint=USDC,
        destination_mint=WSOL_MINT,
        in_raw=QUOTED,
        quoted_out_raw=IN,
        slippage_bps=0,
    )
    GUARD.check_bytes(transaction(OPEN_WSOL, swap, CLOSE_WSOL), terms)


def test_jupiter_may_open_our_wsol_account_itself() -> None:
    assert broken(replaced(OPEN_WSOL, JupiterCreateTokenAccount(WSOL_ACCOUNT, WALLET, WSOL_MINT))) == []


def test_a_token_2022_account_may_be_opened_for_the_output() -> None:
    opens = CreateAssociatedAccount(WALLET, USDC_ACCOUNT, WALLET, USDC, TOKEN_2022_PROGRAM, idempotent=False)
    assert broken(transaction(opens, *GOOD), replace(TERMS, own_accounts={})) == []


def test_a_memo_and_other_budget_instructions_pass() -> None:
    extra = (Memo("hello"), ComputeBudgetOther(1, 65_536), ComputeBudgetOther(4, 65_536))
    assert broken(transaction(*GOOD, *extra)) == []


def test_an_old_style_message_passes() -> None:
    assert broken(transaction(*GOOD, version="legacy")) == []


@given(cut=st.integers(0, QUOTED - LIMIT))
def test_any_way_to_write_a_minimum_at_or_above_the_limit_passes(cut: int) -> None:
    swap = replace(SWAP, quoted_out_raw=QUOTED - cut, slippage_bps=0)
    assert broken(replaced(SWAP, swap)) == []


# ---- the rules on the bytes, one after the other
def test_rule_one_signer() -> None:
    decoded = transaction(*GOOD, signers=(WALLET, THIEF))
    assert broken(decoded, replace(TERMS, max_fee_lamports=FEE + 5_000)) == ["one-signer"]


def test_rule_fee_payer() -> None:
    assert broken(transaction(*GOOD, signers=(THIEF,))) == ["fee-payer"]


def test_rule_version() -> None:
    assert broken(transaction(*GOOD, version=1, priority_fee_lamports=0)) == ["version"]


def test_rule_no_undying() -> None:
    assert broken(transaction(NonceAdvance(NONCE, WALLET), *GOOD)) == ["no-undying"]


@pytest.mark.parametrize("address", [USDC_ACCOUNT, BONK_ACCOUNT, WSOL_ACCOUNT, TIP, TOKEN_PROGRAM])
def test_rule_static(address: Address) -> None:
    accounts = tuple(static(listed) for listed in LISTED if listed != address)
    loaded = AccountUse(address, is_signer=False, is_writable=True, origin=AccountOrigin.LOOKUP_TABLE)
    assert broken(transaction(*GOOD, accounts=(*accounts, loaded))) == ["static"]


def test_pools_may_come_from_a_lookup_table() -> None:
    loaded = AccountUse(POOL, is_signer=False, is_writable=True, origin=AccountOrigin.LOOKUP_TABLE)
    rest = tuple(static(listed) for listed in LISTED if listed != POOL)
    assert broken(transaction(*GOOD, accounts=(*rest, loaded))) == []


def test_rule_program() -> None:
    assert broken(transaction(*GOOD, OpaqueInstruction(THIEF, b""))) == ["program"]


_NOT_FOR_A_SWAP: tuple[Action, ...] = (
    OpaqueInstruction(SYSTEM_PROGRAM, b""),
    OpaqueInstruction(TOKEN_PROGRAM, b""),
    OpaqueInstruction(TOKEN_2022_PROGRAM, b""),
    OpaqueInstruction(ASSOCIATED_TOKEN_PROGRAM, b"\x02"),
    OpaqueInstruction(COMPUTE_BUDGET_PROGRAM, b"\x00"),
    OpaqueInstruction(JUPITER_V6_PROGRAM, bytes(8)),
    SystemCreateAccount(WALLET, THIEF, 1, 0, SYSTEM_PROGRAM),
    SystemAssign(WALLET, THIEF),
    SystemAllocate(WALLET, 1),
    NonceAdvance(NONCE, WALLET),
    NonceOther("initialize", NONCE, WALLET),
    NonceOther("withdraw", NONCE, WALLET),
    NonceOther("authorize", NONCE, WALLET),
    NonceOther("upgrade", NONCE, None),
    TokenTransfer(TOKEN_PROGRAM, USDC_ACCOUNT, THIEFS_USDC, WALLET, 1, None, None),
    TokenTransfer(TOKEN_2022_PROGRAM, USDC_ACCOUNT, THIEFS_USDC, WALLET, 1, USDC, 6, fee_raw=1),
    TokenApprove(TOKEN_PROGRAM, USDC_ACCOUNT, THIEF, WALLET, 1),
    TokenSetAuthority(TOKEN_PROGRAM, USDC_ACCOUNT, WALLET, 2, THIEF),
    TokenOther(TOKEN_PROGRAM, "burn", ()),
    TokenOther(TOKEN_PROGRAM, "batch", ()),
    TokenSyncNative(TOKEN_PROGRAM, THIEFS_WSOL),
    TokenSyncNative(TOKEN_PROGRAM, USDC_ACCOUNT),
)


@pytest.mark.parametrize(
    "action",
    _NOT_FOR_A_SWAP,
    ids=[f"{number}-{type(action).__name__}" for number, action in enumerate(_NOT_FOR_A_SWAP)],
)
def test_rule_instruction(action: Action) -> None:
    assert broken(transaction(*GOOD, action)) == ["instruction"]


@pytest.mark.parametrize(
    "again", [ComputeUnitLimit(100_000), ComputeUnitPrice(0), ComputeBudgetOther(4, 1)], ids=["limit", "price", "other"]
)
def test_rule_budget(again: Action) -> None:
    assert broken(transaction(*GOOD, ComputeBudgetOther(4, 65_536), again)) == ["budget"]


@pytest.mark.parametrize(
    "budget",
    [
        {"priority_fee_micro_lamports": 40_001},
        {"compute_unit_limit": 100_001},
        {"compute_unit_limit": None},
    ],
    ids=["price", "limit", "no limit"],
)
def test_rule_fee(budget: dict[str, int | None]) -> None:
    assert broken(transaction(*GOOD, **budget)) == ["fee"]


def test_rule_fee_counts_what_version_1_states_in_its_config() -> None:
    assert broken(transaction(*GOOD, version=1, priority_fee_lamports=4_001)) == ["version", "fee"]


@pytest.mark.parametrize(
    "transfer",
    [
        SystemTransfer(WALLET, THIEF, 1),
        SystemTransfer(WALLET, USDC_ACCOUNT, 1),
        SystemTransfer(WALLET, THIEFS_WSOL, 1),
        SystemTransfer(THIEF, WSOL_ACCOUNT, 0),
        SystemTransfer(Address("derived from our key with a seed"), TIP, 0),
        SystemTransfer(WALLET, WSOL_ACCOUNT, 1),
        SystemTransfer(WALLET, TIP, 1),
    ],
    ids=[
        "thief",
        "our other account",
        "thief's wsol",
        "from the thief",
        "with seed",
        "wrapped too much",
        "tip too big",
    ],
)
def test_rule_transfer(transfer: SystemTransfer) -> None:
    assert broken(transaction(*GOOD, transfer)) == ["transfer"]


def test_rule_transfer_wraps_nothing_when_sol_is_not_the_input() -> None:
    terms = replace(TERMS, input_mint=BONK, input_raw=IN, own_accounts={**TERMS.own_accounts, WSOL_ACCOUNT: WSOL_MINT})
    swap = replace(SWAP, source=BONK_ACCOUNT, source_mint=BONK)
    assert broken(transaction(swap), terms) == []
    assert broken(transaction(swap, SystemTransfer(WALLET, WSOL_ACCOUNT, 1)), terms) == ["transfer"]


_NEW = Address("new")


@pytest.mark.parametrize(
    "create",
    [
        CreateAssociatedAccount(WALLET, WSOL_ACCOUNT, THIEF, WSOL_MINT, TOKEN_PROGRAM, idempotent=True),
        CreateAssociatedAccount(WALLET, WSOL_ACCOUNT, WALLET, WSOL_MINT, THIEF, idempotent=True),
        CreateAssociatedAccount(WALLET, _NEW, WALLET, BONK, TOKEN_PROGRAM, idempotent=True),
        JupiterCreateTokenAccount(WSOL_ACCOUNT, THIEF, WSOL_MINT),
        JupiterCreateTokenAccount(USDC_ACCOUNT, WALLET, USDC),
        JupiterCreateTokenAccount(_NEW, WALLET, WSOL_MINT),
    ],
    ids=[
        "for the thief",
        "by a false program",
        "unused",
        "Jupiter for the thief",
        "Jupiter, no wSOL",
        "Jupiter, unused",
    ],
)
def test_rule_create(create: Action) -> None:
    assert broken(transaction(*GOOD, create)) == ["create"]


def test_rule_create_makes_no_account_ours_that_is_opened_for_another() -> None:
    opens = CreateAssociatedAccount(WALLET, THIEFS_USDC, THIEF, USDC, TOKEN_PROGRAM, idempotent=True)
    swap = replace(SWAP, destination=THIEFS_USDC)
    assert broken(transaction(opens, *replaced_actions(SWAP, swap))) == ["create", "swap-destination"]


@pytest.mark.parametrize(
    "close",
    [
        TokenCloseAccount(TOKEN_PROGRAM, WSOL_ACCOUNT, THIEF, WALLET),
        TokenCloseAccount(TOKEN_PROGRAM, USDC_ACCOUNT, WALLET, WALLET),
        TokenCloseAccount(TOKEN_PROGRAM, THIEFS_WSOL, WALLET, WALLET),
    ],
    ids=["to the thief", "of another token", "of the thief's account"],
)
def test_rule_close(close: TokenCloseAccount) -> None:
    assert broken(transaction(*GOOD, close)) == ["close"]


def test_rule_one_swap() -> None:
    assert broken(transaction(*GOOD, SWAP)) == ["one-swap"]
    assert broken(transaction(Memo("nothing else"))) == ["one-swap"]


def test_rule_swap_authority() -> None:
    assert broken(replaced(SWAP, replace(SWAP, authority=THIEF))) == ["swap-authority"]


@pytest.mark.parametrize("source", [THIEFS_WSOL, USDC_ACCOUNT])
def test_rule_swap_source(source: Address) -> None:
    actions = (*GOOD[:2], replace(SWAP, source=source))
    assert broken(transaction(*actions)) == ["swap-source"]


@pytest.mark.parametrize("destination", [THIEFS_USDC, BONK_ACCOUNT])
def test_rule_swap_destination(destination: Address) -> None:
    assert broken(replaced(SWAP, replace(SWAP, destination=destination))) == ["swap-destination"]


def test_rule_swap_destination_is_not_fooled_by_an_opening_that_names_another_token_for_our_account() -> None:
    lie = CreateAssociatedAccount(WALLET, BONK_ACCOUNT, WALLET, USDC, TOKEN_PROGRAM, idempotent=True)
    swap = replace(SWAP, destination=BONK_ACCOUNT)
    assert broken(transaction(lie, *replaced_actions(SWAP, swap))) == ["swap-destination"]


@pytest.mark.parametrize("mints", [{"source_mint": BONK}, {"destination_mint": BONK}], ids=["source", "destination"])
def test_rule_swap_mint(mints: dict[str, Mint]) -> None:
    assert broken(replaced(SWAP, replace(SWAP, **mints))) == ["swap-mint"]  # type: ignore[arg-type]


@pytest.mark.parametrize("in_raw", [IN + 1, 0])
def test_rule_swap_input(in_raw: int) -> None:
    assert broken(replaced(SWAP, replace(SWAP, in_raw=in_raw))) == ["swap-input"]


@pytest.mark.parametrize(
    "changes",
    [
        {"quoted_out_raw": LIMIT - 1, "slippage_bps": 0},
        {"slippage_bps": SLIPPAGE_BPS + 1},
        {"slippage_bps": 10_000},
        {"slippage_bps": 65_535},
        {"platform_fee_bps": 1},
        {"platform_fee_bps": 10_000},
        {"platform_fee_bps": 65_535},
    ],
    ids=str,
)
def test_rule_swap_minimum(changes: dict[str, int]) -> None:
    assert broken(replaced(SWAP, replace(SWAP, **changes))) == ["swap-minimum"]  # type: ignore[arg-type]


# ---- the rules on the simulation
@pytest.mark.parametrize(
    "changes",
    [
        {"err": '{"InstructionError":[5,{"Custom":6001}]}'},
        {"accounts": (*LISTED[:-1], Address("another one"))},
        {"accounts": LISTED[:-1]},
        {"pre_lamports": (1, 2)},
        {"post_lamports": (1,)},
        {"fee_lamports": None},
        {"fee_lamports": FEE + 1},
        {"post_tokens": (token(USDC_ACCOUNT, USDC, 7 + LIMIT), token(BONK_ACCOUNT, BONK, 44, None))},
        {"pre_tokens": ()},
        {"pre_tokens": (token(USDC_ACCOUNT, USDC, 7), token(BONK_ACCOUNT, BONK, 44, THIEF))},
        {"pre_tokens": (token(USDC_ACCOUNT, USDC, 7), token(BONK_ACCOUNT, USDC, 44))},
        {"post_tokens": (token(USDC_ACCOUNT, USDC, 7 + LIMIT // 2),) * 2},
    ],
    ids=[
        "fails", "another account", "fewer accounts", "few balances before", "few balances after", "no fee",
        "a fee that the bytes do not allow", "no owner", "our accounts missing", "our account another's",
        "our account of another token", "output told twice",
    ],
)  # fmt: skip
def test_rule_simulated(changes: dict[str, Any]) -> None:
    assert miscounted(simulated(**changes)) == ["simulated"]


def test_an_own_account_that_the_simulation_calls_not_there_yet_may_be_missing() -> None:
    own = {**TERMS.own_accounts, WSOL_ACCOUNT: WSOL_MINT}
    assert miscounted(simulated(), replace(TERMS, own_accounts=own)) == []


def test_rule_spent() -> None:
    more = {WALLET: 15 * SOL - FEE - TIP_LAMPORTS - 1}
    assert miscounted(simulated(lamports=more)) == ["spent"]


def test_rule_received() -> None:
    less = {USDC_ACCOUNT: token(USDC_ACCOUNT, USDC, 7 + LIMIT - 1)}
    assert miscounted(simulated(tokens=less)) == ["received"]


def test_rule_received_counts_only_what_is_ours_afterwards() -> None:
    given_away = {USDC_ACCOUNT: token(USDC_ACCOUNT, USDC, 7 + LIMIT, THIEF)}
    assert "received" in miscounted(simulated(tokens=given_away))


def test_rule_untouched() -> None:
    assert miscounted(simulated(tokens={BONK_ACCOUNT: token(BONK_ACCOUNT, BONK, 43)})) == ["untouched"]


def test_rule_untouched_holds_for_sol_when_no_sol_is_traded() -> None:
    terms = replace(TERMS, input_mint=BONK, input_raw=44)
    paid = {BONK_ACCOUNT: token(BONK_ACCOUNT, BONK, 0)}
    untouched = {WALLET: 20 * SOL - FEE - TIP_LAMPORTS}
    assert miscounted(simulated(tokens=paid, lamports=untouched), terms) == []
    one_less = {WALLET: 20 * SOL - FEE - TIP_LAMPORTS - 1}
    assert miscounted(simulated(tokens=paid, lamports=one_less), terms) == ["untouched"]


def test_an_intermediate_token_that_becomes_more_is_no_loss() -> None:
    assert miscounted(simulated(tokens={BONK_ACCOUNT: token(BONK_ACCOUNT, BONK, 45)})) == []


def test_rule_sol_bound_on_the_fee() -> None:
    assert miscounted(simulated(), replace(TERMS, max_fee_lamports=FEE - 1)) == ["sol-bound"]


def test_rule_sol_bound_on_the_tip() -> None:
    assert miscounted(simulated(), replace(TERMS, max_tip_lamports=TIP_LAMPORTS - 1)) == ["sol-bound"]


def test_rule_sol_bound_on_a_tip_that_is_not_written() -> None:
    assert miscounted(simulated(), actions=GOOD[:-1]) == ["sol-bound"]


def test_rule_sol_bound_on_rent() -> None:
    new = {WSOL_ACCOUNT: token(WSOL_ACCOUNT, WSOL_MINT, 0)}
    opened = {WSOL_ACCOUNT: RENT, WALLET: 15 * SOL - FEE - TIP_LAMPORTS - RENT}
    assert miscounted(simulated(tokens=new, lamports=opened)) == []
    assert miscounted(simulated(tokens=new, lamports=opened), replace(TERMS, max_rent_lamports=RENT - 1)) == [
        "sol-bound"
    ]


def test_rule_sol_bound_on_lamports_put_into_a_nonce_account() -> None:
    moved = {NONCE: RENT + 1, WALLET: 15 * SOL - FEE - TIP_LAMPORTS - RENT - 1}
    terms = replace(TERMS, nonce_accounts=frozenset({NONCE}))
    assert miscounted(simulated(lamports=moved), terms) == ["sol-bound"]
    assert miscounted(simulated(lamports=moved)) == ["spent"]


# ---- the rules themselves
def test_every_rule_has_its_test_and_every_refusal_is_a_rule() -> None:
    names = dir(sys.modules[__name__])
    untested = [rule for rule in RULES if not any(name.startswith(_test_of(rule)) for name in names)]
    assert untested == []
    refusals = [
        node.args[0]
        for node in ast.walk(ast.parse(inspect.getsource(transaction_guard)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal"
    ]
    assert {ast.literal_eval(name) for name in refusals} == set(RULES)


def _test_of(rule: str) -> str:
    return f"test_rule_{rule.replace('-', '_')}"


def test_a_refusal_names_every_broken_rule_and_survives_pickling() -> None:
    decoded = transaction(*GOOD, SystemAssign(WALLET, THIEF), SWAP)
    with pytest.raises(GuardRefusedError) as refused:
        GUARD.check(decoded, simulated(), TERMS)
    assert pickle.loads(pickle.dumps(refused.value)).rules == ("instruction", "one-swap")  # noqa: S301 - our own
    assert "SystemAssign" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_check_refuses_what_only_the_simulation_shows() -> None:
    GUARD.check_bytes(transaction(*GOOD), TERMS)
    with pytest.raises(GuardRefusedError) as refused:
        GUARD.check(transaction(*GOOD), simulated(err='"AccountInUse"'), TERMS)
    assert refused.value.rules == ("simulated",)


@pytest.mark.parametrize(
    "changes",
    [
        {"output_mint": WSOL_MINT},
        {"input_raw": 0},
        {"min_out_raw": 0},
        {"max_fee_lamports": -1},
        {"max_tip_lamports": -1},
        {"max_rent_lamports": -1},
    ],
    ids=str,
)
def test_terms_that_would_guard_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        replace(TERMS, **changes)


def test_policies_are_what_the_networks_have() -> None:
    assert (len(JUPITER_TIP_ACCOUNTS), len(JITO_TIP_ACCOUNTS)) == (16, 8)
    assert MAINNET_POLICY.programs - DEVNET_POLICY.programs == {JUPITER_V6_PROGRAM}
    assert MAINNET_POLICY.versions == DEVNET_POLICY.versions == {0, "legacy"}
    assert GUARD.policy is MAINNET_POLICY


# ---- the fee
@given(signers=st.integers(1, 3), price=st.integers(0, 2**64 - 1), units=st.integers(0, 1_400_000))
def test_the_fee_is_the_base_fee_a_signature_and_the_priority_fee_rounded_up(
    signers: int, price: int, units: int
) -> None:
    decoded = transaction(
        ComputeUnitLimit(units), ComputeUnitPrice(price), signers=tuple(Address(f"s{n}") for n in range(signers))
    )
    priority = fee_lamports(decoded) - 5_000 * signers
    assert (priority - 1) * 1_000_000 < price * units <= priority * 1_000_000


def test_without_a_price_only_the_base_fee_is_due() -> None:
    assert fee_lamports(transaction(Memo("free"))) == 5_000


def test_an_unstated_limit_counts_as_the_largest() -> None:
    assert fee_lamports(transaction(ComputeUnitPrice(10))) == 5_014


def test_version_1_states_its_priority_fee_as_such() -> None:
    assert fee_lamports(transaction(version=1, priority_fee_lamports=77)) == 5_077
