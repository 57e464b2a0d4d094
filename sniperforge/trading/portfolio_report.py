"""What a wallet has, what that cost and what it is worth: read from the books, valued by the prices of now.

Only what was bought here has a known cost (see `positions`); the rest of a balance was there before, or was sent. So

    average cost  = cost of what was bought here and is held / whole tokens of it
    unrealised    = whole tokens of it * price - its cost
    realised      = proceeds of everything sold - its share of the cost, at the average (`domain.portfolio.Position`)

and therefore realised + unrealised = value of what was bought here + proceeds - costs. This is the average cost method
(IAS 2, paragraph 27: weighted average cost). Network fees and tips of a trade that landed are part of
the cost of what it bought; those of a transaction that swapped nothing are in no position and are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.ports.records import NATIVE_SOL, LedgerKind
from sniperforge.ports.store import Books
from sniperforge.trading.price_survey import Appraisal

_DIGITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What transactions cost beside what they swapped, in lamports.

    Attributes:
        fee_lamports: Network fees, everything included.
        wasted_lamports: The part of them that was paid for transactions of ours which swapped nothing.
        tip_lamports: Tips.
        rent_lamports: Rent paid less rent returned: it comes back when the accounts are closed.
    """

    fee_lamports: int
    wasted_lamports: int
    tip_lamports: int
    rent_lamports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A wallet as the books tell it.

    Attributes:
        held: Base units by mint, provisional ones included; native SOL and wSOL together under `WSOL_MINT`.
        positions: What was bought here, by mint; those of which everything was sold included.
    """

    wallet: Address
    held: Mapping[Mint, int]
    positions: Mapping[Mint, Position]
    paid: Paid


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One token of a wallet. Dollars are None where the token has no price or unknown decimals, never zero instead.

    Attributes:
        held_raw: What the books say is there.
        bought_raw: The part of it that was bought here, and whose cost is known.
        cost_usd: What that part cost, fees included.
        average_usd: What one whole token of that part cost; None when there is no such part.
        price_usd: What a whole token costs now.
        value_usd: What all of `held_raw` is worth now.
        unrealised_usd: What that part is worth now, less its cost.
        realised_usd: Profit or loss of everything sold.
        note: About the price: why there is none, or what has to be known about it.
    """

    mint: Mint
    held_raw: int
    bought_raw: int
    cost_usd: Decimal
    average_usd: Decimal | None
    price_usd: Decimal | None
    value_usd: Decimal | None
    unrealised_usd: Decimal | None
    realised_usd: Decimal
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Everything a wallet has, in order of mints, and the sums of what is known.

    Attributes:
        unvalued: Tokens that are missing in `value_usd` and `unrealised_usd`.
    """

    holdings: tuple[Holding, ...]
    value_usd: Decimal
    cost_usd: Decimal
    unrealised_usd: Decimal
    realised_usd: Decimal
    unvalued: tuple[Mint, ...]
    paid: Paid


def read_account(books: Books, wallet: Address) -> Account:
    """What the books tell of a wallet; nothing is asked of the network."""
    held: dict[Mint, int] = {}
    for asset in books.ledger.assets(wallet):
        mint = WSOL_MINT if asset == NATIVE_SOL else Mint(asset)
        held[mint] = held.get(mint, 0) + books.ledger.balance_raw(wallet, asset, final_only=False)
    return Account(
        wallet=wallet,
        held=held,
        positions={position.mint: position for position in books.positions.of_wallet(wallet)},
        paid=_paid(books, wallet),
    )


def portfolio_of(account: Account, prices: Mapping[Mint, Appraisal], decimals: Mapping[Mint, int]) -> Portfolio:
    """Value an account.

    Args:
        account: What the books tell.
        prices: Dollars per whole token; a token that is absent has no price.
        decimals: Digits after the point; a token whose decimals are unknown cannot be valued.
    """
    mints = sorted({mint for mint, raw in account.held.items() if raw} | account.positions.keys())
    with localcontext() as context:
        context.prec = _DIGITS
        holdings = tuple(
            _holding(mint, account, prices.get(mint, Appraisal(None, "nobody was asked for its price")), decimals)
            for mint in mints
        )
        return Portfolio(
            holdings=holdings,
            value_usd=_sum(one.value_usd for one in holdings),
            cost_usd=_sum(one.cost_usd for one in holdings),
            unrealised_usd=_sum(one.unrealised_usd for one in holdings),
            realised_usd=_sum(one.realised_usd for one in holdings),
            unvalued=tuple(one.mint for one in holdings if one.held_raw and one.value_usd is None),
            paid=account.paid,
        )


def _holding(mint: Mint, account: Account, price: Appraisal, decimals: Mapping[Mint, int]) -> Holding:
    held = account.held.get(mint, 0)
    position = account.positions.get(mint) or Position(account.wallet, mint, 0, Decimal(0), Decimal(0))
    # What left without a trade takes its cost along at the average: it was neither sold nor lost.
    bought = max(0, min(position.raw, held))
    cost = position.cost_usd if bought == position.raw else position.cost_usd * bought / position.raw
    places = decimals.get(mint)
    note = price.note
    if places is None and price.usd is not None:
        note = "its decimals are unknown, so it cannot be valued now"
    usd_per_unit = None if price.usd is None or places is None else price.usd.scaleb(-places)
    return Holding(
        mint=mint,
        held_raw=held,
        bought_raw=bought,
        cost_usd=cost,
        average_usd=None if not bought or places is None else cost / Decimal(bought).scaleb(-places),
        price_usd=price.usd,
        value_usd=None if usd_per_unit is None else held * usd_per_unit,
        unrealised_usd=None if usd_per_unit is None else bought * usd_per_unit - cost,
        realised_usd=position.realised_usd,
        note=note,
    )


def _paid(books: Books, wallet: Address) -> Paid:
    """Sums of the lines that no fork took back; the books add them up, of which there are more every day."""

    def paid(*kinds: LedgerKind) -> int:
        return -books.ledger.sum_of(wallet, NATIVE_SOL, kinds)

    return Paid(
        fee_lamports=paid(LedgerKind.FEE),
        wasted_lamports=-books.ledger.fees_without_swap(wallet),
        tip_lamports=paid(LedgerKind.TIP),
        rent_lamports=paid(LedgerKind.RENT_PAID, LedgerKind.RENT_RETURNED),
    )


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), Decimal(0))
