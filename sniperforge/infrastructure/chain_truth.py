"""A wallet as the chain has it: every balance at one finalized slot, and every transaction since the books opened.

Nothing here asks the books. One node answers everything, in order, so that its history is at least as new as its
balances. A history is only whole when it looks under every token account the wallet has or had (deposits into a token
account do not appear under the wallet's own address), so accounts found in transactions are looked under as well,
until no new one turns up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sniperforge.domain.money import MAX_RAW, Address, Mint, Signature
from sniperforge.domain.transaction import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from sniperforge.errors import NodeBehindError, NodeUnavailableError, ProtocolError
from sniperforge.infrastructure.base58 import base58
from sniperforge.infrastructure.effects import Effect, accounts_of, effect_on
from sniperforge.ports.chain import AccountInfo, Chain, ChainReader, Commitment, LandedTransaction
from sniperforge.ports.records import NATIVE_SOL, Asset

CLOCK_SYSVAR = Address("SysvarC1ock11111111111111111111111111111111")
"""Always there, so that an answer about accounts has a slot even when the wallet holds nothing; and it tells the time
of the chain. Layout (solana.com/docs/references/runtime, `Clock`): five little-endian 8-byte fields, the last one Unix
seconds."""

TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM, TOKEN_2022_PROGRAM})

ACCOUNTS_PER_ANSWER = 100
"""Most accounts of one `getMultipleAccounts` (solana.com/docs/rpc/http/getmultipleaccounts)."""

HISTORY_PAGE = 1_000
"""Most lines of one `getSignaturesForAddress`."""

_TOKEN_ACCOUNT_BYTES = 165
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A finalized transaction and what it did to the wallet."""

    transaction: LandedTransaction
    effect: Effect

    @property
    def signature(self) -> Signature:
        """Its id."""
        return self.transaction.signature

    @property
    def slot(self) -> int:
        """Where it landed."""
        return self.transaction.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTruth:
    """What one node said of one wallet.

    Attributes:
        slot: Finalized slot of the balances.
        block_height: A finalized height no later than that slot.
        time: The chain's own clock, no earlier than that slot.
        balances: At `slot`, native SOL, each mint, wSOL apart; zeros left out.
        landed: Every finalized transaction of the wallet after `since_slot` and up to `slot`, oldest first.
    """

    node: str
    slot: int
    block_height: int
    time: datetime
    balances: Mapping[Asset, int]
    landed: Sequence[Landed]

    def unexplained(self, opening: Mapping[Asset, int]) -> Mapping[Asset, int]:
        """Base units by which the balances differ from `opening` and all transactions since; zeros left out."""
        beyond = self.uncountable()
        rest = self._implied_opening()
        rest.subtract(opening)
        return {asset: raw for asset, raw in rest.items() if raw and asset not in beyond}

    def uncountable(self) -> frozenset[Asset]:
        """Tokens issued in such amounts that the books cannot count them (signed 64 bits) and leave them out.

        Worthless by construction, and sent to strangers: they must not raise an alarm.
        """
        running = self._implied_opening()
        beyond = {asset for asset, raw in running.items() if raw > MAX_RAW}
        for landed in self.landed:
            changes = landed.effect.by_asset()
            running.update(changes)
            beyond.update(asset for asset, raw in changes.items() if max(abs(raw), running[asset]) > MAX_RAW)
        return frozenset(beyond)

    def _implied_opening(self) -> Counter[Asset]:
        """What the balances were before all these transactions, if they are all there are."""
        implied = Counter(self.balances)
        for landed in self.landed:
            implied.subtract(landed.effect.by_asset())
        return implied


def read_wallet(chain: Chain, wallet: Address, *, since_slot: int, tip_accounts: Collection[Address]) -> ChainTruth:
    """Balances and history of a wallet.

    Args:
        chain: One of its nodes is asked.
        wallet: Whose.
        since_slot: Transactions of this slot and earlier are left out.
        tip_accounts: Who gets tips.

    Raises:
        NodeBehindError: The node has not finalized `since_slot`.
        NodeUnavailableError: The node lists a transaction that it does not have.
        ProtocolError: An answer that makes no sense.
    """
    with chain.pinned() as node:
        height = node.block_height(Commitment.FINALIZED)
        fetched: dict[Signature, LandedTransaction] = {}
        known = _listed(node, wallet)
        while True:
            seen = _snapshot(node, (wallet, *sorted(known)))
            if seen.first_slot < since_slot:
                raise NodeBehindError(
                    f"the node has finalized slot {seen.first_slot}, the books open at {since_slot}",
                    subject=node.node,
                    fix="Ask again later, or another node",
                )
            _fetch(node, (wallet, *sorted(known)), (since_slot, seen.last_slot), fetched)
            found = known.union(_listed(node, wallet), *(accounts_of(wallet, one) for one in fetched.values()))
            if found == known:
                break
            known = found
        name = node.node
    landed = [
        Landed(transaction=one, effect=effect_on(wallet, one, tip_accounts=tip_accounts))
        for one in sorted(fetched.values(), key=lambda one: one.slot)
    ]
    return ChainTruth(
        node=name,
        slot=seen.first_slot,
        block_height=height,
        time=seen.time,
        balances=_balances(wallet, seen, landed),
        landed=tuple(one for one in landed if one.slot <= seen.first_slot),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """Accounts, each with the slot of the answer it came in."""

    accounts: Mapping[Address, tuple[int, AccountInfo | None]]
    first_slot: int
    last_slot: int
    time: datetime


def _listed(node: ChainReader, wallet: Address) -> set[Address]:
    return {account.address for account in node.token_accounts(wallet, Commitment.FINALIZED)}


def _snapshot(node: ChainReader, addresses: Sequence[Address]) -> _Snapshot:
    accounts: dict[Address, tuple[int, AccountInfo | None]] = {}
    times = []
    step = ACCOUNTS_PER_ANSWER - 1
    for start in range(0, len(addresses), step):
        asked = addresses[start : start + step]
        clock, *found = node.accounts((CLOCK_SYSVAR, *asked), Commitment.FINALIZED)
        if clock is None or len(clock.data) < 40:
            raise ProtocolError("the node has no clock account", subject=CLOCK_SYSVAR, fix="Ask another node")
        times.append(_EPOCH + timedelta(seconds=int.from_bytes(clock.data[32:40], "little", signed=True)))
        accounts.update((address, (clock.slot, info)) for address, info in zip(asked, found, strict=True))
    slots = [slot for slot, _ in accounts.values()]
    return _Snapshot(accounts=accounts, first_slot=min(slots), last_slot=max(slots), time=max(times))


def _fetch(
    node: ChainReader,
    addresses: Iterable[Address],
    after_and_up_to: tuple[int, int],
    fetched: dict[Signature, LandedTransaction],
) -> None:
    after, up_to = after_and_up_to
    for address in addresses:
        for signature, slot in _history(node, address, after):
            if slot > up_to or signature in fetched:
                continue
            landed = node.transaction(signature, Commitment.FINALIZED)
            if landed is None:
                raise NodeUnavailableError(
                    f"the node lists transaction {signature} and does not have it",
                    subject=address,
                    fix="Ask a node with a whole history",
                )
            fetched[signature] = landed


def _history(node: ChainReader, address: Address, after: int) -> Iterator[tuple[Signature, int]]:
    """Newest first, to the end of it or to the slot `after`. A short page is not the end; an empty one is."""
    before: Signature | None = None
    while page := node.signatures_for_address(
        address, before=before, limit=HISTORY_PAGE, commitment=Commitment.FINALIZED
    ):
        for record in page:
            if record.slot <= after:
                return
            yield record.signature, record.slot
        before = page[-1].signature


def _balances(wallet: Address, seen: _Snapshot, landed: Sequence[Landed]) -> Mapping[Asset, int]:
    """Balances at the snapshot's first slot.

    A wallet of more accounts than one answer takes is seen at several slots: what transactions did in between is
    taken back, account by account.
    """
    balances: Counter[Asset] = Counter()
    for address, (slot, info) in seen.accounts.items():
        later = [one.effect for one in landed if seen.first_slot < one.slot <= slot]
        if address == wallet:
            balances[NATIVE_SOL] += (info.lamports if info else 0) - sum(effect.native for effect in later)
            continue
        mint, raw = _held(wallet, info)
        if mint is not None:
            balances[Asset(mint)] += raw
        for effect in later:
            for (account, moved), change in effect.held.items():
                if account == address:
                    balances[Asset(moved)] -= change
    return {asset: raw for asset, raw in balances.items() if raw}


def _held(wallet: Address, info: AccountInfo | None) -> tuple[Mint | None, int]:
    """Mint and amount of a token account, if it still is one of the wallet.

    Layout, the same in both token programs (spl-token `state.rs`, `Account`): mint (32 bytes), owner (32), amount (u64,
    little-endian).
    """
    if info is None or info.owner not in TOKEN_PROGRAMS or len(info.data) < _TOKEN_ACCOUNT_BYTES:
        return None, 0
    if base58(info.data[32:64]) != wallet:
        return None, 0
    return Mint(base58(info.data[:32])), int.from_bytes(info.data[64:72], "little")
