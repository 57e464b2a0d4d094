"""Orders of a real sandbox Jupiter as the guard sees them: decoded, with honest terms, simulated on the real chain."""

from __future__ import annotations

import json
import random
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.transaction import DecodedInstruction, DecodedTransaction
from sniperforge.errors import CodecError
from sniperforge.ports.chain import Simulation, TokenBalance
from sniperforge.sandbox.jupiter.instructions import associated_account
from sniperforge.sandbox.lookup_tables import write_tables
from sniperforge.sandbox.records import LandedRecord, SimulationRecord, TokenBalanceRecord
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, credit, seeded_keypair
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.guard_policies import MAINNET_POLICY
from sniperforge.trading.transaction_guard import Refusal, TradeTerms, TransactionGuard, fee_lamports
from tests.fakes.jupiter_sandbox import BONK, FEE2, JUP, SOL, USDC, USDT, JupiterSandbox, sign

AnyMessage = Message | MessageV0 | MessageV1
FEE_SLACK_LAMPORTS = 6_000
MAX_RENT_LAMPORTS = 4_000_000
TIP_LAMPORTS = 5_000
UNREADABLE = "unreadable"
"""Stands for a rule in verdicts on bytes that the codec does not even take for a transaction."""

PAIRS = (
    ("USDC for SOL", USDC, SOL, 25_000_000),
    ("SOL for USDC", SOL, USDC, 120_000_000),
    ("USDC for JUP", USDC, JUP, 25_000_000),
    ("JUP for BONK, two hops", JUP, BONK, 90_000_000),
    ("USDC for FEE2", USDC, FEE2, 20_000_000),
    ("FEE2 for BONK, two hops", FEE2, BONK, 10_000_000_000),
    ("BONK for SOL", BONK, SOL, 70_000_000_000),
    ("SOL for JUP", SOL, JUP, 150_000_000),
)


@dataclass(frozen=True, slots=True)
class Order:
    """One good order: its bytes, what it was asked for, and the pieces to make another one of."""

    name: str
    raw: bytes
    terms: TradeTerms
    decoded: DecodedTransaction
    instructions: tuple[Instruction, ...]
    payer: Pubkey
    blockhash: Hash
    tables: tuple[AddressLookupTableAccount, ...]


@dataclass(slots=True)
class Draft:
    """A copy of an order that an edit may change in any way."""

    order: Order
    desk: GuardDesk
    rng: random.Random
    instructions: list[Instruction] = field(init=False)
    payer: Pubkey = field(init=False)
    tables: list[AddressLookupTableAccount] = field(init=False)
    version_1: TransactionConfig | None = None
    raw: bytes | None = None

    def __post_init__(self) -> None:
        self.instructions = list(self.order.instructions)
        self.payer = self.order.payer
        self.tables = list(self.order.tables)

    def compiled(self) -> MessageV0:
        """A version 0 message of what the draft holds."""
        return MessageV0.try_compile(self.payer, self.instructions, self.tables, self.order.blockhash)

    def written(self) -> bytes:
        """The transaction, unsigned."""
        if self.raw is not None:
            return self.raw
        if self.version_1 is not None:
            return unsigned(MessageV1.try_compile(self.payer, self.instructions, self.order.blockhash, self.version_1))
        return unsigned(self.compiled())


class GuardDesk:
    """A sandbox, its Jupiter, two wallets that trade there and a thief; and the guard with its codec.

    One wallet holds little and opens accounts as it goes; the other one holds every token, and wSOL.
    """

    def __init__(self) -> None:
        self.sandbox = JupiterSandbox()
        self.codec = SoldersCodec()
        self.guard = TransactionGuard(MAINNET_POLICY)
        self.tables: dict[Address, tuple[Address, ...]] = {
            Address(str(table)): tuple(Address(str(key)) for key in content)
            for table, content in self.sandbox.world.lookup_tables.items()
        }
        tokens = self.sandbox.world.tokens
        self.thief = self.sandbox.world.crowd[0].pubkey()
        self.plain = self.sandbox.taker.pubkey()
        self.rich = seeded_keypair(1, "rich-wallet").pubkey()
        self.sandbox.chain.set_account(self.rich, Account(20 * 10**9, b"", Pubkey.default()))
        for mint, raw in ((SOL, 3 * 10**9), (USDC, 10**10), (USDT, 10**10), (JUP, 10**10), (BONK, 10**13)):
            credit(self.sandbox.chain, self.rich, tokens[mint], raw)
        credit(self.sandbox.chain, self.rich, tokens[FEE2], 10**12)
        self._hostile_tables = 0
        self.good_orders = self._orders()
        """Every pair for the wallet that holds everything, those that the other one can pay, and one with a tip."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.sandbox.__exit__(kind, error, at)

    # ---- good orders
    def _orders(self) -> list[Order]:
        orders = [self._order(f"{name}, rich", pair, taker=self.rich) for name, *pair in PAIRS]
        orders += [
            self._order(f"{name}, plain", pair, taker=self.plain) for name, *pair in PAIRS if pair[0] in (USDC, SOL)
        ]
        orders.append(self._order("USDC for SOL with a tip", PAIRS[0][1:], taker=self.plain, tip_lamports=TIP_LAMPORTS))
        return orders

    def _order(self, name: str, pair: Sequence[Any], *, taker: Pubkey, tip_lamports: int = 0) -> Order:
        """One order with the terms that its own quote states: not a base unit of slack but for the fee."""
        if tip_lamports:
            answer = self.sandbox.order(
                *pair, taker=taker, jitoTipLamports=str(tip_lamports), broadcastFeeType="exactFee"
            )
        else:
            answer = self.sandbox.order(*pair, taker=taker)
        raw = b64decode(answer["transaction"])
        decoded = self.codec.decode(raw, self.tables)
        terms = TradeTerms(
            wallet=Address(str(taker)),
            input_mint=Mint(str(pair[0])),
            output_mint=Mint(str(pair[1])),
            input_raw=int(answer["inAmount"]),
            min_out_raw=int(answer["otherAmountThreshold"]),
            max_fee_lamports=fee_lamports(decoded) + FEE_SLACK_LAMPORTS,
            max_tip_lamports=tip_lamports,
            max_rent_lamports=MAX_RENT_LAMPORTS,
            own_accounts=self.own_accounts(taker),
        )
        return Order(
            name=name,
            raw=raw,
            terms=terms,
            decoded=decoded,
            instructions=tuple(_instruction(item) for item in decoded.instructions),
            payer=taker,
            blockhash=Hash.from_string(decoded.recent_blockhash),
            tables=tuple(self.table(Pubkey.from_string(use.table)) for use in decoded.lookup_tables),
        )

    def own_accounts(self, wallet: Pubkey) -> dict[Address, Mint]:
        """Token accounts of a wallet as the chain has them now."""
        return {
            Address(address): Mint(str(Pubkey(bytes(account.data)[:32])))
            for address, account in self.sandbox.chain.token_accounts_of(str(wallet))
        }

    def token_account(self, owner: Pubkey, mint: Pubkey) -> Pubkey:
        """The associated account of an owner."""
        return associated_account(owner, mint, self.sandbox.world.tokens[mint].token_program)

    # ---- lookup tables
    def table(self, address: Pubkey) -> AddressLookupTableAccount:
        """A table as the chain has it."""
        content = [Pubkey.from_string(key) for key in self.tables[Address(str(address))]]
        return AddressLookupTableAccount(address, content)

    def plant_table(self, content: Sequence[Pubkey]) -> AddressLookupTableAccount:
        """A table that the thief really wrote to the chain."""
        self._hostile_tables += 1
        address = seeded_keypair(self._hostile_tables, "hostile-table").pubkey()
        write_tables(self.sandbox.chain, {address: tuple(content)}, self.thief)
        self.tables[Address(str(address))] = tuple(Address(str(key)) for key in content)
        return AddressLookupTableAccount(address, list(content))

    # ---- judgement
    def simulate(self, raw: bytes) -> Simulation:
        """What the real chain says the message would do."""
        return _answer(self.sandbox.chain.simulate(raw, sig_verify=False, replace_blockhash=True))

    def land(self, order: Order) -> Simulation:
        """Sign an order of the plain wallet and let it land; its balances in the form of a simulation."""
        record = self.sandbox.chain.submit(sign(order.raw, self.sandbox.taker))
        assert isinstance(record, LandedRecord), record
        return _answer(record)

    def judge(self, raw: bytes, terms: TradeTerms) -> tuple[str, tuple[str, ...]]:
        """By which look these bytes are refused ("bytes", "simulation", or "" for passed), and by which rules."""
        try:
            decoded = self.codec.decode(raw, self.tables)
        except CodecError:
            return "bytes", (UNREADABLE,)
        refusals = tuple(self.guard.read(decoded, terms))
        if refusals:
            return "bytes", _rules(refusals)
        try:
            simulation = self.simulate(raw)
        except ValueError:
            return "simulation", (UNREADABLE,)
        refusals = tuple(self.guard.count(decoded, simulation, terms))
        return ("simulation", _rules(refusals)) if refusals else ("", ())

    def broken_promise(self, raw: bytes, terms: TradeTerms) -> str | None:
        """What the transaction would do to the wallet that it must not, read from raw accounts and not by the guard."""
        chain = self.sandbox.chain
        wallet = Pubkey.from_string(terms.wallet)
        post = chain.simulate(raw, sig_verify=False, replace_blockhash=True).post_accounts
        if post[str(wallet)].owner != SYSTEM_PROGRAM or post[str(wallet)].data:
            return "the wallet was handed to a program"
        before = {str(address): account for address, account in chain.token_accounts_of(str(wallet))}
        after = {**before, **{key: account for key, account in post.items() if _is_token_account_of(account, wallet)}}
        tokens: dict[str, int] = {}
        native = post[str(wallet)].lamports - _lamports(chain.account(wallet))
        for side, accounts in ((-1, before), (1, after)):
            for address, held in accounts.items():
                account = post.get(address, held) if side == 1 else held
                native += side * account.lamports
                data = bytes(account.data)
                if not account.lamports:
                    continue
                if data[32:64] != bytes(wallet):
                    return f"{address} was given away"
                if side == 1 and (data[72] or (data[129] and data[133:165] != bytes(wallet))):
                    return f"{address} has a delegate or a foreign close authority"
                mint = str(Pubkey(data[:32]))
                tokens[mint] = tokens.get(mint, 0) + side * int.from_bytes(data[64:72], "little")
        tokens.pop(WSOL_MINT, None)
        costs = terms.max_fee_lamports + terms.max_tip_lamports
        tokens[WSOL_MINT] = native + (costs if native < 0 or terms.output_mint == WSOL_MINT else 0)
        for mint, change in tokens.items():
            least = {terms.input_mint: -terms.input_raw, terms.output_mint: terms.min_out_raw}.get(Mint(mint), 0)
            if change < least:
                return f"{mint} changes by {change}, must by {least}"
        return None


def unsigned(message: AnyMessage) -> bytes:
    """The transaction of a message with every signature slot empty."""
    slots = [Signature.default()] * message.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message, slots))


def _answer(record: SimulationRecord | LandedRecord) -> Simulation:
    return Simulation(
        node="in-process",
        slot=0,
        err=None if record.err is None else json.dumps(record.err),
        logs=record.logs,
        compute_units=record.compute_units,
        fee_lamports=record.fee,
        accounts=tuple(Address(key) for key in record.account_keys),
        pre_lamports=record.pre_lamports,
        post_lamports=record.post_lamports,
        pre_tokens=_tokens(record.pre_tokens, record.account_keys),
        post_tokens=_tokens(record.post_tokens, record.account_keys),
    )


def _instruction(item: DecodedInstruction) -> Instruction:
    metas = [AccountMeta(Pubkey.from_string(use.address), use.is_signer, use.is_writable) for use in item.accounts]
    return Instruction(Pubkey.from_string(item.program), item.data, metas)


def _tokens(records: Sequence[TokenBalanceRecord], keys: Sequence[str]) -> tuple[TokenBalance, ...]:
    return tuple(
        TokenBalance(
            account=Address(keys[record.account_index]),
            mint=Mint(record.mint),
            owner=Address(record.owner),
            program=Address(record.program),
            raw=record.raw,
            decimals=record.decimals,
        )
        for record in records
    )


def _rules(refusals: Sequence[Refusal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(refusal.rule for refusal in refusals))


def _lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _is_token_account_of(account: Account, wallet: Pubkey) -> bool:
    data = bytes(account.data)
    return account.owner in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM) and len(data) >= 165 and data[32:64] == bytes(wallet)
