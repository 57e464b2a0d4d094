"""A Solana and a Jupiter for one wallet: what is ordered can be signed, sent, landed, forked away, and counted.

`FakeChain` and `FakeExchange` stand behind them; what is added is one wallet's balances. They follow from the
transactions that are in blocks, so a fork takes them back, and each transaction's own pre and post balances agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from solders.hash import Hash

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.prices import Price
from sniperforge.domain.transaction import TOKEN_PROGRAM, JupiterSwap
from sniperforge.errors import SniperForgeError
from sniperforge.ports.chain import (
    AccountInfo,
    Commitment,
    LandedTransaction,
    PinnedNode,
    SendResult,
    SigningView,
    Simulation,
    TokenAccount,
    TokenBalance,
)
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import ExecuteAnswer, ExecuteHint, Lane, Order, OrderRequest, TokenListing
from sniperforge.shared.jupiter.execute_codes import code_meaning
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.transaction_guard import fee_lamports
from tests.fakes.chain import FakeChain, FakeNode, FakeReader, Landing, blockhash_of
from tests.fakes.exchange import FakeExchange
from tests.fakes.trading_orders import (
    DECIMALS,
    JUP,
    OWNER,
    SOL,
    USDC,
    account_of,
    order_bytes,
    signature_of,
    swap_of,
    tips_of,
)

USD = {SOL: Decimal("180.25"), USDC: Decimal(1), JUP: Decimal("0.5")}

BEACON = Address(str(Hash.hash(b"a busy address")))
CONTROL_EVERY = 4
"""One slot in this many has a transaction of the beacon."""

SHORTFALL_BPS = 7
"""How much less than quoted a swap really brings: a fill taken from the quote shows."""

TOO_LITTLE = '{"InstructionError":[3,{"Custom":6001}]}'
UNPAYABLE = '{"InstructionError":[3,{"Custom":1}]}'
_RENT = 2_039_280
_CODEC = SoldersCodec()


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the wallet has: native lamports, and base units by mint."""

    lamports: int
    tokens: Mapping[Mint, int]


@dataclass(slots=True)
class Points:
    """Every place at which the program asks or tells the world something, in order.

    Attributes:
        seen: Names of the places passed.
        on: Called at each; whatever it raises is raised there.
    """

    seen: list[str] = field(default_factory=list)
    on: Callable[[str], None] = lambda _: None

    def reach(self, name: str) -> None:
        """The program is at this place."""
        self.seen.append(name)
        self.on(name)

    def once(self, name: str, action: Callable[[], object], *, nth: int = 1) -> None:
        """Do something at the `nth` time from now that a place of this name (or `*`, any) is reached."""
        left = nth

        def at(reached: str) -> None:
            nonlocal left
            if name in ("*", reached):
                left -= 1
                if left == 0:
                    self.on = lambda _: None
                    action()

        self.on = at

    def always(self, name: str, action: Callable[[], object]) -> None:
        """Do something whenever a place of this name is reached."""

        def at(reached: str) -> None:
            if reached == name:
                action()

        self.on = at


class WatchedNode(FakeReader):
    """One node, between whose answers the world can go on."""

    def __init__(self, chain: TradingChain, node: FakeNode) -> None:
        super().__init__(chain, node)
        self._points = chain.points

    def block_height(self, commitment: Commitment) -> int:
        self._points.reach("block_height")
        return super().block_height(commitment)


class TradingChain(FakeChain):
    """Two nodes. What reaches the network lands at once, or when `include` says so while `holding`.

    Attributes:
        pool: Every transaction that ever reached the network, by signature.
        holding: The network keeps what it gets.
        lands_with: The error with which transactions land, None for success.
        shown: Called with all bytes that leave the program for the network.
    """

    def __init__(self, points: Points, *, lamports: int, tokens: Mapping[Mint, int]) -> None:
        super().__init__("node-a", "node-b")
        self.points = points
        self.opening = Holdings(lamports, dict(tokens))
        self.pool: dict[Signature, bytes] = {}
        self.holding = False
        self.lands_with: str | None = None
        self.shown: Callable[[bytes], None] = lambda _: None
        self.on_send = self._arrived
        self.on_simulate = self._simulation
        self._controls = 0
        self.advance(self.finalize_slots + CONTROL_EVERY)

    # ---- what tests do
    def advance(self, blocks: int = 1) -> None:
        """More blocks, some of them with a transaction of the beacon."""
        for _ in range(blocks):
            self.head_slot += 1
            if self.head_slot % CONTROL_EVERY == 0:
                self._control()

    def deliver(self, transaction: bytes) -> None:
        """These bytes reach the network."""
        signature = signature_of(transaction)
        self.pool[signature] = transaction
        if not self.holding:
            self.include(signature)

    def include(self, signature: Signature, *, err: str | None = None) -> bool:
        """Put a transaction of the pool into the current block, if the chain would still take it."""
        raw = self.pool[signature]
        alive = self.is_alive(_CODEC.recent_blockhash(raw))
        if signature in self.landed or not alive:
            return False
        landing = self.effect_of(raw, err or self.lands_with)
        assert landing.err != UNPAYABLE, f"the wallet cannot pay for what was signed: {self.holdings()}"
        self.land(raw, landing)
        return True

    def holdings(self, slot: int | None = None) -> Holdings:
        """What the wallet had at the end of a slot (now, if not said)."""
        lamports, tokens = self.opening.lamports, dict(self.opening.tokens)
        for landed in self.landed.values():
            if landed.accounts[0] == OWNER and (slot is None or landed.slot <= slot):
                lamports += landed.post_lamports[0] - landed.pre_lamports[0]
                for sign, side in ((-1, landed.pre_tokens), (1, landed.post_tokens)):
                    for token in side:
                        tokens[token.mint] = tokens.get(token.mint, 0) + sign * token.raw
        return Holdings(lamports, tokens)

    def ours(self) -> list[LandedTransaction]:
        """The wallet's transactions that are in blocks."""
        return [landed for landed in self.landed.values() if landed.accounts[0] == OWNER]

    # ---- the questions that the program asks
    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        slot = self.slot(commitment)
        self.set_account(OWNER, lamports=self.holdings(slot).lamports)
        return super().accounts(addresses, commitment)

    def token_accounts(self, owner: Address, commitment: Commitment = Commitment.CONFIRMED) -> tuple[TokenAccount, ...]:
        tokens = self.holdings(self.slot(commitment)).tokens
        return tuple(
            TokenAccount(
                address=account_of(mint),
                mint=mint,
                owner=owner,
                program=TOKEN_PROGRAM,
                raw=raw,
                decimals=DECIMALS[mint],
                lamports=_RENT,
                frozen=False,
                delegate=None,
            )
            for mint, raw in tokens.items()
        )

    def signing_view(
        self,
        *,
        blockhash: str,
        wallet: Address,
        lookup_tables: Sequence[Address],
        accounts: Sequence[Address],
        beacon: Address,
    ) -> SigningView:
        self.points.reach("signing_view")
        return super().signing_view(
            blockhash=blockhash, wallet=wallet, lookup_tables=lookup_tables, accounts=accounts, beacon=beacon
        )

    def simulate(
        self,
        transaction: bytes,
        *,
        commitment: Commitment = Commitment.CONFIRMED,
        min_context_slot: int | None = None,
    ) -> Simulation:
        self.points.reach("simulate")
        return super().simulate(transaction, commitment=commitment, min_context_slot=min_context_slot)

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        self.points.reach("transaction")
        answer = super().transaction(signature, commitment)
        self.points.reach("transaction answered")
        return answer

    @contextmanager
    def pinned(self, node: str | None = None, *, other_than: str | None = None) -> Iterator[PinnedNode]:
        self.points.reach("pinned")
        with super().pinned(node, other_than=other_than) as reader:
            yield WatchedNode(self, self._named(reader.node))
        self.points.reach("pinned answered")

    def send(self, transaction: bytes, *, skip_preflight: bool = True) -> tuple[SendResult, ...]:
        self.shown(transaction)
        self.points.reach("send")
        results = super().send(transaction, skip_preflight=skip_preflight)
        self.points.reach("send answered")
        return results

    def _arrived(self, transaction: bytes) -> Landing | None:
        self.pool[signature_of(transaction)] = transaction
        if not self.holding:
            self.include(signature_of(transaction))
        return None

    def _control(self) -> None:
        """A transaction of nobody we know, made without the cost of a real signature."""
        self._controls += 1
        name = Signature(f"control-{self._controls}")
        self.landed[name] = LandedTransaction(
            signature=name,
            slot=self.head_slot,
            block_time=None,
            version=0,
            transaction=b"",
            err=None,
            fee_lamports=5_000,
            accounts=(BEACON,),
            pre_lamports=(1,),
            post_lamports=(1,),
            pre_tokens=(),
            post_tokens=(),
            logs=(),
            compute_units=None,
        )

    # ---- what a transaction does
    def _simulation(self, raw: bytes) -> Simulation:
        landing = self.effect_of(raw, None)
        accounts = tuple(use.address for use in _CODEC.decode(raw, {}).accounts)
        balances = [landing.lamports.get(account, (0, 0)) for account in accounts]
        return Simulation(
            node="",
            slot=0,
            err=landing.err,
            logs=(),
            compute_units=1,
            fee_lamports=landing.fee_lamports,
            accounts=accounts,
            pre_lamports=tuple(pre for pre, _ in balances),
            post_lamports=tuple(post for _, post in balances),
            pre_tokens=landing.pre_tokens,
            post_tokens=landing.post_tokens,
        )

    def effect_of(self, raw: bytes, err: str | None = None) -> Landing:
        """What these bytes would do now."""
        decoded = _CODEC.decode(raw, {})
        swap, fee = swap_of(decoded), fee_lamports(decoded)
        held = self.holdings()
        changes = {} if err or swap is None else _moved_by(swap)
        tips = {} if err else tips_of(decoded)
        lamports_after = held.lamports - fee - sum(tips.values()) + changes.pop(SOL, 0)
        after = {mint: held.tokens.get(mint, 0) + change for mint, change in changes.items()}
        if lamports_after < 0 or any(left < 0 for left in after.values()):
            lamports_after, after, tips, err = held.lamports - fee, {}, {}, UNPAYABLE
        pair = () if swap is None else (swap.source_mint, swap.destination_mint)
        used = [mint for mint in pair if mint != SOL]
        return Landing(
            err=err,
            fee_lamports=fee,
            lamports={OWNER: (held.lamports, lamports_after)}
            | {account_of(mint): (_RENT, _RENT) for mint in used}
            | {account: (_RENT, _RENT + tip) for account, tip in tips.items()},
            pre_tokens=tuple(_balance(mint, held.tokens.get(mint, 0)) for mint in used),
            post_tokens=tuple(_balance(mint, after.get(mint, held.tokens.get(mint, 0))) for mint in used),
        )


class TradingExchange(FakeExchange):
    """Jupiter that hands what is posted to the chain.

    Attributes:
        reshape: Changes an order before it is answered.
        forwards: What is posted reaches the network.
        says: The code of its answers; None says what the chain shows.
        breaks: Raised instead of an answer to a post, after the bytes were forwarded (or not).
    """

    def __init__(self, clock: Clock, chain: TradingChain, points: Points) -> None:
        super().__init__(clock, listings=[_listing(mint) for mint in DECIMALS], usd=USD)
        self.chain = chain
        self.points = points
        self.reshape: Callable[[Order], Order] = lambda order: order
        self.forwards = True
        self.says: int | None = None
        self.breaks: SniperForgeError | None = None

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        """Prices of the chain's newest slot."""
        self.points.reach("prices")
        self.slot = self.chain.head_slot
        return super().prices(mints, lane=lane)

    def order(self, request: OrderRequest, *, lane: Lane) -> Order:
        """A quote with a transaction that the real codec reads and the real guard lets pass."""
        self.points.reach("order")
        held = self.chain.holdings()
        there = held.lamports if request.input_mint == SOL else held.tokens.get(request.input_mint, 0)
        if there < request.amount_raw:
            self.poor.add(OWNER)
        order = super().order(request, lane=lane)
        self.poor.clear()
        latest = self.chain.latest_blockhash()
        self.points.reach("order answered")
        raw = None if order.transaction is None else order_bytes(order, latest.blockhash, unit=len(self.calls))
        return self.reshape(
            replace(order, transaction=raw, last_valid_block_height=latest.last_valid_block_height),
        )

    def execute(
        self,
        signed_transaction: bytes,
        request_id: str,
        last_valid_block_height: int | None,
        *,
        lane: Lane = Lane.CONFIRMATION,
    ) -> ExecuteAnswer:
        """Forward, then answer as told."""
        self.chain.shown(signed_transaction)
        self.points.reach("execute")
        self._called("execute", (signed_transaction, request_id, last_valid_block_height), lane)
        if self.forwards:
            self.chain.deliver(signed_transaction)
        self.points.reach("execute answered")
        if self.breaks is not None:
            raise self.breaks
        landed = self.chain.landed.get(signature_of(signed_transaction))
        return answer_of(self.says if self.says is not None else -1000 if landed is None else 6001 if landed.err else 0)

    def posts(self) -> int:
        """How often something was posted."""
        return sum(call.method == "execute" for call in self.calls)


def answer_of(code: int) -> ExecuteAnswer:
    """What `/execute` answers with this code."""
    meaning = code_meaning(code)
    return ExecuteAnswer(
        code=code,
        hint=ExecuteHint(meaning.hint),
        meaning=meaning.meaning,
        fix=meaning.fix,
        signature=None,
        slot=None,
        error=None,
        input_raw=1,
        output_raw=1,
        gateway_request_id=None,
    )


def old_blockhash(chain: FakeChain) -> str:
    """A blockhash that the chain has forgotten."""
    return blockhash_of(chain.height_of(chain.head_slot) - chain.blockhash_life - 10)


def _moved_by(swap: JupiterSwap) -> dict[Mint, int]:
    out_raw = swap.quoted_out_raw * (10_000 - SHORTFALL_BPS) // 10_000
    return {swap.source_mint: -swap.in_raw, swap.destination_mint: out_raw}


def _balance(mint: Mint, raw: int) -> TokenBalance:
    return TokenBalance(
        account=account_of(mint), mint=mint, owner=OWNER, program=TOKEN_PROGRAM, raw=raw, decimals=DECIMALS[mint]
    )


def _listing(mint: Mint) -> TokenListing:
    return TokenListing(
        mint=mint,
        symbol=mint[:4],
        name=mint,
        decimals=DECIMALS[mint],
        token_program=TOKEN_PROGRAM,
        is_verified=True,
        is_sus=None,
        freeze_authority=None,
        mint_authority=None,
        liquidity_usd=None,
        organic_score=None,
        tags=(),
    )
