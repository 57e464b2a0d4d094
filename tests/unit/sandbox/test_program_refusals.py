"""What the pool program refuses, each refusal with its own code, and that nothing moved."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.pools import PROGRAM_ID, PoolSpec, Route, find_route, pool_state_bytes
from tests.fakes.pool_chain import TOKEN, TOKEN_2022, PoolChain, custom_error

TAKER, SOURCE, DESTINATION, SOURCE_MINT, DESTINATION_MINT, SOURCE_PROGRAM, DESTINATION_PROGRAM = range(7)
VENUE, STATE, AUTHORITY, VAULT_IN, VAULT_OUT, RECEIVER, MINT_OUT, PROGRAM_OUT = range(10, 18)
IN_RAW = 10**6
TOKEN_OWNER_MISMATCH = 4


@dataclass(frozen=True)
class Scene:
    """Two pools in a row, a direct one, and a taker with money."""

    chain: PoolChain
    usdc: Pubkey
    sol: Pubkey
    jup: Pubkey
    direct: PoolSpec
    first: PoolSpec
    second: PoolSpec

    def route(self, target: Pubkey, **limits: int) -> Route:
        route = find_route(
            self.chain.pools,
            self.chain.reserves(),
            {},
            input_mint=self.usdc,
            output_mint=target,
            in_raw=IN_RAW,
            **limits,  # type: ignore[arg-type]
        )
        assert route is not None
        return route

    def direct_swap(self) -> Instruction:
        """USDC to JUP through one pool: accounts 10..17 are the step's."""
        return self.chain.instruction(self.route(self.jup, max_legs=1, max_hops=1), 0)

    def two_hops(self) -> Instruction:
        """USDC to SOL to JUP."""
        pools = [self.first, self.second]
        route = find_route(
            pools, self.chain.reserves(), {}, input_mint=self.usdc, output_mint=self.jup, in_raw=IN_RAW, max_legs=1
        )
        assert route is not None
        return self.chain.instruction(route, 0)

    def refused(self, instruction: Instruction) -> int | None:
        """The code it fails with, after making sure that every vault and the taker hold what they held."""
        before = (self.chain.reserves(), self.chain.held(self.usdc), self.chain.held(self.jup))
        code = custom_error(self.chain.send(instruction))
        assert (self.chain.reserves(), self.chain.held(self.usdc), self.chain.held(self.jup)) == before
        return code


@pytest.fixture
def scene() -> Scene:
    chain = PoolChain()
    usdc, sol, jup = chain.mint(6), chain.mint(9), chain.mint(6)
    direct = chain.pool(usdc, jup, (10**12, 10**12))
    first = chain.pool(usdc, sol, (10**12, 10**13))
    second = chain.pool(jup, sol, (10**12, 10**13))
    chain.fund(usdc, 10**9)
    return Scene(chain, usdc, sol, jup, direct, first, second)


def with_account(instruction: Instruction, index: int, address: Pubkey) -> Instruction:
    accounts = list(instruction.accounts)
    old = accounts[index]
    accounts[index] = AccountMeta(address, old.is_signer, old.is_writable)
    return Instruction(instruction.program_id, bytes(instruction.data), accounts)


def with_data(instruction: Instruction, data: bytes) -> Instruction:
    return Instruction(instruction.program_id, data, instruction.accounts)


def patched(instruction: Instruction, at: int, form: str, *values: int) -> Instruction:
    data = bytearray(instruction.data)
    struct.pack_into(form, data, at, *values)
    return with_data(instruction, bytes(data))


# ---- theft


def test_the_untouched_instructions_do_land(scene: Scene) -> None:
    assert custom_error(scene.chain.send(scene.direct_swap())) is None
    assert custom_error(scene.chain.send(scene.two_hops())) is None


def test_paying_into_an_account_of_ones_own_instead_of_the_vault_is_refused(scene: Scene) -> None:
    mine = Pubkey.new_unique()
    scene.chain.put_tokens(mine, scene.usdc, scene.chain.taker.pubkey(), 10**12)
    assert scene.refused(with_account(scene.direct_swap(), VAULT_IN, mine)) == 6903


def test_a_vault_of_the_same_authority_that_the_state_does_not_name_is_refused(scene: Scene) -> None:
    decoy = Pubkey.new_unique()
    scene.chain.put_tokens(decoy, scene.usdc, scene.direct.authority, 1)
    assert scene.refused(with_account(scene.direct_swap(), VAULT_IN, decoy)) == 6903
    scene.chain.put_tokens(decoy, scene.jup, scene.direct.authority, 10**18)
    assert scene.refused(with_account(scene.direct_swap(), VAULT_OUT, decoy)) == 6903


def test_the_vaults_of_another_pool_are_refused(scene: Scene) -> None:
    assert scene.refused(with_account(scene.direct_swap(), VAULT_IN, scene.first.vault_a)) == 6903
    assert scene.refused(with_account(scene.direct_swap(), VAULT_OUT, scene.second.vault_a)) == 6903


def test_a_vault_that_the_state_names_but_the_authority_does_not_own_is_refused(scene: Scene) -> None:
    scene.chain.put_tokens(scene.direct.vault_a, scene.usdc, scene.chain.taker.pubkey(), 10**12)
    assert scene.refused(scene.direct_swap()) == 6903


@pytest.mark.parametrize("owner", [TOKEN, Pubkey.from_string("11111111111111111111111111111111")])
def test_a_state_that_another_program_wrote_is_refused(scene: Scene, owner: Pubkey) -> None:
    forged = Pubkey.new_unique()
    scene.chain.svm.set_account(forged, Account(10**9, pool_state_bytes(scene.direct), owner))
    assert scene.refused(with_account(scene.direct_swap(), STATE, forged)) == 6902


@pytest.mark.parametrize("data", [b"", bytes(272), b"SFPOOL01", b"SFPOOL02" + bytes(264)])
def test_an_account_of_the_program_that_is_no_pool_state_is_refused(scene: Scene, data: bytes) -> None:
    empty = Pubkey.new_unique()
    scene.chain.svm.set_account(empty, Account(10**9, data, PROGRAM_ID))
    assert scene.refused(with_account(scene.direct_swap(), STATE, empty)) == 6902


def test_a_state_with_a_fee_of_everything_or_more_is_refused(scene: Scene) -> None:
    state = bytearray(pool_state_bytes(scene.direct))
    struct.pack_into("<H", state, 8, 10_001)
    scene.chain.svm.set_account(scene.direct.address, Account(10**9, bytes(state), PROGRAM_ID))
    assert scene.refused(scene.direct_swap()) == 6902


def test_another_authority_or_venue_than_the_pools_is_refused(scene: Scene) -> None:
    swap = scene.direct_swap()
    assert scene.refused(with_account(swap, AUTHORITY, scene.first.authority)) == 6904
    assert scene.refused(with_account(swap, AUTHORITY, scene.chain.taker.pubkey())) == 6904
    assert scene.refused(with_account(swap, VENUE, scene.first.venue_program)) == 6906


def test_a_taker_who_did_not_sign_is_refused(scene: Scene) -> None:
    swap, thief = scene.direct_swap(), Keypair()
    scene.chain.svm.airdrop(thief.pubkey(), 10**10)
    unsigned = [AccountMeta(swap.accounts[0].pubkey, is_signer=False, is_writable=False), *swap.accounts[1:]]
    instruction = Instruction(PROGRAM_ID, bytes(swap.data), unsigned)
    message = MessageV0.try_compile(thief.pubkey(), [instruction], [], scene.chain.svm.latest_blockhash())
    assert custom_error(scene.chain.svm.send_transaction(VersionedTransaction(message, [thief]))) == 6901


def test_somebody_elses_source_account_is_refused_by_the_token_program(scene: Scene) -> None:
    victim = Pubkey.new_unique()
    scene.chain.put_tokens(victim, scene.usdc, Pubkey.new_unique(), 10**12)
    assert scene.refused(with_account(scene.direct_swap(), SOURCE, victim)) == TOKEN_OWNER_MISMATCH


# ---- accounts


def test_too_few_accounts_are_refused(scene: Scene) -> None:
    swap = scene.direct_swap()
    for count in (0, 9, 10, 17):
        assert scene.refused(Instruction(PROGRAM_ID, bytes(swap.data), swap.accounts[:count])) == 6008


def test_accounts_after_the_steps_are_ignored(scene: Scene) -> None:
    swap = scene.direct_swap()
    more = [*swap.accounts, AccountMeta(Pubkey.new_unique(), is_signer=False, is_writable=False)]
    assert custom_error(scene.chain.send(Instruction(PROGRAM_ID, bytes(swap.data), more))) is None


@pytest.mark.parametrize("index", [SOURCE_PROGRAM, DESTINATION_PROGRAM])
def test_a_token_program_that_is_none_is_refused(scene: Scene, index: int) -> None:
    assert scene.refused(with_account(scene.direct_swap(), index, Pubkey.new_unique())) == 6014
    assert scene.refused(with_account(scene.two_hops(), PROGRAM_OUT, Pubkey.new_unique())) == 6014


def test_the_other_token_program_is_refused(scene: Scene) -> None:
    assert scene.refused(with_account(scene.direct_swap(), SOURCE_PROGRAM, TOKEN_2022)) == 6025
    assert scene.refused(with_account(scene.two_hops(), PROGRAM_OUT, TOKEN_2022)) == 6025


def test_token_accounts_of_another_mint_are_refused(scene: Scene) -> None:
    of_sol = scene.chain.account_of(scene.sol)
    assert scene.refused(with_account(scene.direct_swap(), SOURCE, of_sol)) == 6025
    assert scene.refused(with_account(scene.direct_swap(), DESTINATION, of_sol)) == 6025
    assert scene.refused(with_account(scene.two_hops(), RECEIVER, scene.chain.account_of(scene.usdc))) == 6025


def test_an_account_that_is_no_token_account_is_refused(scene: Scene) -> None:
    for address in (Pubkey.new_unique(), scene.usdc, scene.direct.address):
        assert scene.refused(with_account(scene.direct_swap(), SOURCE, address)) == 6025


def test_a_last_step_that_pays_elsewhere_than_the_destination_is_refused(scene: Scene) -> None:
    elsewhere = Pubkey.new_unique()
    scene.chain.put_tokens(elsewhere, scene.jup, scene.chain.taker.pubkey(), 0)
    assert scene.refused(with_account(scene.direct_swap(), RECEIVER, elsewhere)) == 6025


def through(instruction: Instruction, pool: PoolSpec, vault_in: Pubkey, vault_out: Pubkey) -> Instruction:
    """The same plan, but its first step names another pool, with all that belongs to it."""
    for index, address in (
        (VENUE, pool.venue_program),
        (STATE, pool.address),
        (AUTHORITY, pool.authority),
        (VAULT_IN, vault_in),
        (VAULT_OUT, vault_out),
    ):
        instruction = with_account(instruction, index, address)
    return instruction


def test_mints_that_the_pool_does_not_have_are_refused(scene: Scene) -> None:
    usdc_sol, jup_sol, swap = scene.first, scene.second, scene.direct_swap()
    assert scene.refused(through(swap, usdc_sol, usdc_sol.vault_a, usdc_sol.vault_b)) == 6905
    assert scene.refused(through(swap, jup_sol, jup_sol.vault_b, jup_sol.vault_a)) == 6905


def test_one_mint_on_both_ends_is_refused(scene: Scene) -> None:
    assert scene.refused(with_account(scene.direct_swap(), DESTINATION_MINT, scene.usdc)) == 6018


def test_more_than_the_taker_holds_is_refused(scene: Scene) -> None:
    assert scene.refused(patched(scene.direct_swap(), 8, "<Q", 10**9 + 1)) == 6024


@pytest.mark.parametrize("index", [7, 9])
def test_the_programs_own_places_must_hold_the_program(scene: Scene, index: int) -> None:
    assert scene.refused(with_account(scene.direct_swap(), index, Pubkey.new_unique())) == 6010


def test_an_empty_pool_is_refused(scene: Scene) -> None:
    swap = scene.direct_swap()
    scene.chain.put_tokens(scene.direct.vault_b, scene.jup, scene.direct.authority, 0)
    assert scene.refused(swap) == 6002


def test_a_reserve_that_would_not_fit_into_64_bits_is_refused(scene: Scene) -> None:
    swap = scene.direct_swap()
    scene.chain.put_tokens(scene.direct.vault_a, scene.usdc, scene.direct.authority, 2**64 - IN_RAW)
    assert scene.refused(swap) == 6002


# ---- data


def test_the_minimum_is_the_quote_less_slippage_rounded_up(scene: Scene) -> None:
    out_raw = scene.route(scene.jup, max_legs=1, max_hops=1).out_raw
    assert scene.refused(patched(scene.direct_swap(), 16, "<QH", 2 * out_raw + 1, 5_000)) == 6001
    assert custom_error(scene.chain.send(patched(scene.direct_swap(), 16, "<QH", 2 * out_raw, 5_000))) is None


PLAN = 34


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda i: with_data(i, b""), 6900),
        (lambda i: with_data(i, bytes(i.data)[:7]), 6900),
        (lambda i: patched(i, 0, "<B", 0), 6900),
        (lambda i: with_data(i, bytes(i.data)[:33]), 6010),
        (lambda i: with_data(i, bytes(i.data)[:-1]), 6010),
        (lambda i: with_data(i, bytes(i.data) + b"\0"), 6010),
        (lambda i: patched(i, 8, "<Q", 0), 6907),
        (lambda i: patched(i, 24, "<H", 10_001), 6004),
        (lambda i: patched(i, 26, "<H", 1), 6003),
        (lambda i: patched(i, 28, "<H", 1), 6004),
        (lambda i: patched(i, 30, "<I", 0), 6000),
        (lambda i: patched(i, 30, "<I", 17), 6010),
        (lambda i: patched(i, 30, "<I", 2**32 - 1), 6010),
        (lambda i: patched(i, PLAN, "<B", 4), 6010),
        (lambda i: patched(i, PLAN + 1, "<H", 0), 6005),
        (lambda i: patched(i, PLAN + 1, "<H", 9_999), 6005),
        (lambda i: patched(i, PLAN + 1, "<H", 10_001), 6005),
        (lambda i: patched(i, PLAN + 3, "<B", 1), 6006),
        (lambda i: patched(i, PLAN + 3, "<B", 17), 6006),
        (lambda i: patched(i, PLAN + 4, "<B", 0), 6007),
        (lambda i: patched(i, PLAN + 4, "<B", 17), 6007),
    ],
)
def test_data_of_the_wrong_form_is_refused(
    scene: Scene, change: Callable[[Instruction], Instruction], code: int
) -> None:
    assert scene.refused(change(scene.direct_swap())) == code


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ((3, 10_000, 0, 1), (3, 10_000, 2, 2), 6006),  # the second step spends what never arrived
        ((3, 10_000, 0, 1), (3, 9_999, 1, 2), 6005),  # a remainder of the intermediate mint would stay behind
    ],
)
def test_a_plan_that_loses_tokens_on_the_way_is_refused(
    scene: Scene, first: tuple[int, ...], second: tuple[int, ...], code: int
) -> None:
    swap = patched(scene.two_hops(), PLAN, "<BHBB", *first)
    assert scene.refused(patched(swap, PLAN + 5, "<BHBB", *second)) == code


@pytest.mark.parametrize(
    "plan",
    [
        ((5_000, 0, 1), (10_000, 1, 2), (5_000, 0, 1), (1, 1, 2)),  # half on its way, then more of the same mint
        ((10_000, 0, 1), (5_000, 1, 1), (5_000, 1, 2)),  # into the slot it came from
    ],
)
def test_a_plan_that_pays_into_a_slot_already_spent_is_refused(
    scene: Scene, plan: tuple[tuple[int, int, int], ...]
) -> None:
    swap = scene.two_hops()
    fixed, hop_one, hop_two = swap.accounts[:10], swap.accounts[10:18], swap.accounts[18:26]
    steps = b"".join(struct.pack("<BHBB", 3, *step) for step in plan)
    data = bytes(swap.data)[:30] + struct.pack("<I", len(plan)) + steps
    accounts = [account for _, spends, _ in plan for account in (hop_two if spends else hop_one)]
    assert scene.refused(Instruction(PROGRAM_ID, data, [*fixed, *accounts])) == 6007
