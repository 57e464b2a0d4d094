"""Two chains that the same contract holds for: the one in memory, and the adapter in front of a real sandbox."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.ports.chain import Chain, Commitment, MintInfo, Simulation, TokenAccount
from sniperforge.sandbox.genesis import plan_world
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.chain import FakeChain, Landing
from tests.fakes.sandbox_process import RunningSandbox

USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
TOKEN_PROGRAM = Address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
FUNDED_LAMPORTS = 20_000_000_000
FUNDED_USDC_RAW = 5_000_000_000
FEE_LAMPORTS = 5_000
INSUFFICIENT = '{"InstructionError":[0,{"Custom":1}]}'
"""What the system program says to a transfer of more than there is."""


class World(Protocol):
    """A chain with a funded wallet, a lookup table, and time that can be made to pass."""

    chain: Chain
    payer: Keypair
    table: Address

    def pass_slots(self, slots: int) -> None:
        """At least this many slots go by."""
        ...


class FakeWorld:
    """The chain in memory, with a ledger that understands transfers of SOL."""

    def __init__(self) -> None:
        fake = FakeChain("node-a", "node-b")
        self.chain: Chain = fake
        self._fake = fake
        self.payer = Keypair.from_seed(bytes([5]) * 32)
        self.table = Address(str(Pubkey.from_bytes(bytes([6]) * 32)))
        wallet = Address(str(self.payer.pubkey()))
        fake.set_account(wallet, lamports=FUNDED_LAMPORTS)
        fake.tables[self.table] = (TOKEN_PROGRAM, Address(USDC))
        fake.mints[USDC] = MintInfo(USDC, TOKEN_PROGRAM, 6, 2_000_000_000_000_000, wallet, None)
        holding = Address(str(Pubkey.from_bytes(bytes([8]) * 32)))
        fake.set_token_account(
            TokenAccount(
                holding, USDC, wallet, TOKEN_PROGRAM, FUNDED_USDC_RAW, 6, 1_488_440, frozen=False, delegate=None
            )
        )
        fake.on_send = self._land
        fake.on_simulate = self._simulate

    def pass_slots(self, slots: int) -> None:
        self._fake.advance(slots)

    def _land(self, transaction: bytes) -> Landing:
        landing = self._effect(transaction)
        for address, (_, post) in landing.lamports.items():
            self._fake.set_account(address, lamports=post)
        return landing

    def _simulate(self, transaction: bytes) -> Simulation:
        landing = self._effect(transaction)
        accounts = tuple(landing.lamports)
        return Simulation(
            node="",
            slot=0,
            err=landing.err,
            logs=(),
            compute_units=150,
            fee_lamports=landing.fee_lamports,
            accounts=accounts,
            pre_lamports=tuple(landing.lamports[address][0] for address in accounts),
            post_lamports=tuple(landing.lamports[address][1] for address in accounts),
            pre_tokens=(),
            post_tokens=(),
        )

    def _effect(self, transaction: bytes) -> Landing:
        message = VersionedTransaction.from_bytes(transaction).message
        (instruction,) = message.instructions
        keys = [Address(str(key)) for key in message.account_keys]
        source, target = (keys[index] for index in instruction.accounts)
        amount = int.from_bytes(instruction.data[4:12], "little")
        have, has = self._lamports(source), self._lamports(target)
        fails = have - FEE_LAMPORTS < amount
        moved = 0 if fails else amount
        after = {source: (have, have - FEE_LAMPORTS - moved), target: (has, has + moved)}
        return Landing(
            err=INSUFFICIENT if fails else None, lamports={**dict.fromkeys(keys, (1, 1)), **after}, logs=("ran",)
        )

    def _lamports(self, address: Address) -> int:
        stored = self._fake.stored.get(address)
        return 0 if stored is None else stored.lamports


class SandboxWorld:
    """The real adapter, talking HTTP to a real sandbox."""

    def __init__(self, sandbox: RunningSandbox, chain: SolanaChain) -> None:
        self.chain: Chain = chain
        self.payer = sandbox.demo_wallet
        self.table = Address(str(next(iter(plan_world(seed=1).lookup_tables))))

    def pass_slots(self, slots: int) -> None:
        target = self.chain.slot(Commitment.PROCESSED) + slots
        wait_until(lambda: self.chain.slot(Commitment.PROCESSED) >= target)


def wait_until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


def pay(world: World, lamports: int, to: Address) -> bytes:
    """A signed transfer with a fresh blockhash, not yet sent."""
    blockhash = Hash.from_string(world.chain.latest_blockhash().blockhash)
    params = TransferParams(from_pubkey=world.payer.pubkey(), to_pubkey=Pubkey.from_string(to), lamports=lamports)
    message = MessageV0.try_compile(world.payer.pubkey(), [transfer(params)], [], blockhash)
    return bytes(VersionedTransaction(message, [world.payer]))


def signature_of(transaction: bytes) -> Signature:
    """A transaction's id."""
    return Signature(str(VersionedTransaction.from_bytes(transaction).signatures[0]))


def land(world: World, transaction: bytes) -> Signature:
    """Send and wait until it is confirmed."""
    signature = signature_of(transaction)
    world.chain.send(transaction)
    world.pass_slots(3)

    def confirmed() -> bool:
        (status,) = world.chain.signature_statuses([signature], search_history=True).statuses
        return status is not None and status.commitment is not Commitment.PROCESSED

    wait_until(confirmed)
    return signature
