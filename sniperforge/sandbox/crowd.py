"""Other people: seeded swaps, transfers and memos that fill blocks, move pools, and sometimes fail.

Their wallets never run dry: what is spent is put back by decree, so a sandbox can run for months.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.genesis import CROWD_LAMPORTS, CROWD_USD_PER_TOKEN, World, raw_worth
from sniperforge.sandbox.pools import Leg, Reserves, Route, route_instruction, swap_through
from sniperforge.sandbox.tokens import TokenSpec, amount_of, credit, credit_lamports, token_account_address

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")

_SWAP_SHARE = 0.75
_TRANSFER_SHARE = 0.15  # the rest are memos
_FAILING_SHARE = 0.08  # of the swaps
_SMALLEST_SWAP, _LARGEST_SWAP = 1e-6, 1e-4  # of a pool's depth; the largest moves its price by about 4 bps
_SWAP_UNITS = 120_000
_LONGEST_SILENCE_STEPS = 10
_LONGEST_WITHOUT_SWAP_STEPS = 20
"""So that Jupiter's program has always landed something lately: clients judge by it what a node knows."""

_BACKLOG = 50
_STEPS_PER_SECOND = 5


class Crowd:
    """Lands other people's transactions.

    Args:
        chain: Where they land.
        world: Whose wallets and pools.
        seed: Same seed, same chain, same transactions.
        per_second: How many per second; 0 for none.
    """

    def __init__(self, chain: Chain, world: World, *, seed: int, per_second: float) -> None:
        self._chain = chain
        self._world = world
        self._seed = seed
        self._per_second = per_second
        self._due = 0.0
        self._quiet_steps = 0
        self._swapless_steps = 0
        self._number = 0
        self._fees = {mint: fee for mint, token in world.tokens.items() if (fee := token.transfer_fee)}
        self._tables = [AddressLookupTableAccount(key, list(held)) for key, held in world.lookup_tables.items()]
        self._accounts = {
            (member.pubkey(), mint): token_account_address(member.pubkey(), token)
            for member in world.crowd
            for mint, token in world.tokens.items()
        }

    def step(self, reserves: Callable[[], Reserves], *, elapsed_s: int) -> None:
        """Once per slot: land what is due, spread over the slots of a second."""
        if not self._per_second:
            return
        self._due = min(self._due + elapsed_s * self._per_second, _BACKLOG)
        self._quiet_steps += 1
        self._swapless_steps += 1
        if self._quiet_steps >= _LONGEST_SILENCE_STEPS:
            self._due = max(self._due, 1.0)
        if self._due < 1:
            return
        self._quiet_steps = 0
        for _ in range(max(1, int(self._due / _STEPS_PER_SECOND))):
            self._due -= 1
            self._land_one(reserves())

    def _land_one(self, reserves: Reserves) -> None:
        self._number += 1
        rng = Random(f"{self._seed}:{self._chain.head_slot()}:{self._number}")
        member = rng.choice(self._world.crowd)
        self._top_up_lamports(member.pubkey())
        kind = rng.random()
        if kind < _SWAP_SHARE or self._swapless_steps >= _LONGEST_WITHOUT_SWAP_STEPS:
            swap = self._swap(rng, member.pubkey(), reserves)
            if swap is None:  # somebody emptied that pool
                return
            instructions = swap
            self._swapless_steps = 0
        elif kind < _SWAP_SHARE + _TRANSFER_SHARE:
            to = rng.choice(self._world.crowd).pubkey()
            lamports = rng.randrange(1_000_000, 500_000_000)
            instructions = [transfer(TransferParams(from_pubkey=member.pubkey(), to_pubkey=to, lamports=lamports))]
        else:
            text = rng.choice(("gm", "wen", "to the moon", "invoice", "hello")) + f" {rng.randrange(10**6)}"
            instructions = [Instruction(MEMO_PROGRAM, text.encode(), [AccountMeta(member.pubkey(), True, False)])]
        # A refusal (a blockhash that a fork took away) is somebody else's bad luck: nobody is told of it.
        self._chain.submit(self._signed(rng, member, instructions))

    def _swap(self, rng: Random, taker: Pubkey, reserves: Reserves) -> list[Instruction] | None:
        pool = rng.choice(self._world.pools)
        forward = rng.random() < 0.5
        mints = (pool.mint_a, pool.mint_b) if forward else (pool.mint_b, pool.mint_a)
        reserve_in, reserve_out = reserves[pool.address] if forward else reserves[pool.address][::-1]
        share = math.exp(rng.uniform(math.log(_SMALLEST_SWAP), math.log(_LARGEST_SWAP)))
        in_raw = max(10_000, int(2 * reserve_in * share))
        hop = swap_through(pool, reserves, self._fees, input_mint=mints[0], in_raw=in_raw)
        if hop is None:
            return None
        self._top_up(taker, self._world.tokens[mints[0]], in_raw)
        mid_price = Fraction(reserve_out, reserve_in)
        route = Route(*mints, in_raw, hop.received_raw, (Leg((hop,), 10_000),), mid_price)
        hopeless = rng.random() < _FAILING_SHARE
        swap = route_instruction(
            route,
            taker=taker,
            source=self._accounts[taker, mints[0]],
            destination=self._accounts[taker, mints[1]],
            min_out_raw=hop.received_raw * (105 if hopeless else 99) // 100,
            intermediates={},
        )
        price = int(math.exp(rng.uniform(math.log(1_000), math.log(200_000))))
        return [set_compute_unit_limit(_SWAP_UNITS), set_compute_unit_price(price), swap]

    def _signed(self, rng: Random, member: Keypair, instructions: list[Instruction]) -> bytes:
        blockhash, _last_valid_height = self._chain.latest_blockhash("processed")
        tables = self._tables if rng.random() < 0.5 else []
        message = MessageV0.try_compile(member.pubkey(), instructions, tables, Hash.from_string(blockhash))
        return bytes(VersionedTransaction(message, [member]))

    # ---- wallets that never run dry, or overflow
    def _top_up_lamports(self, member: Pubkey) -> None:
        account = self._chain.account(member)
        lamports = account.lamports if account is not None else 0
        if not CROWD_LAMPORTS // 10 <= lamports <= CROWD_LAMPORTS * 10:
            credit_lamports(self._chain, member, CROWD_LAMPORTS - lamports)

    def _top_up(self, member: Pubkey, token: TokenSpec, needed_raw: int) -> None:
        account = self._chain.account(self._accounts[member, token.mint])
        held_raw = amount_of(account) if account is not None else 0
        usual_raw = raw_worth(CROWD_USD_PER_TOKEN, token, token.start_usd)
        if not needed_raw <= held_raw <= max(usual_raw, needed_raw) * 10:
            credit(self._chain, member, token, max(usual_raw, needed_raw) - held_raw)
