"""What is asked, and what is taken along, before a signature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.errors import InvalidInputError, NodeBehindError, NoRouteError, SniperForgeError
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.guard_policies import MAINNET_POLICY
from sniperforge.trading.preparation import TOKEN_ACCOUNT_BYTES, Preparation, Prepared
from sniperforge.trading.price_judge import PriceJudge
from sniperforge.trading.progress import Step
from sniperforge.trading.transaction_guard import TransactionGuard
from tests.fakes.trading_market import old_blockhash
from tests.fakes.trading_orders import JUP, KEY, OWNER, SOL, USDC, order_bytes
from tests.fakes.trading_world import PRICES, TradingWorld

TIP_ACCOUNT = min(MAINNET_POLICY.tip_accounts)


class Desk:
    """A preparation in a world."""

    def __init__(self) -> None:
        self.world = TradingWorld()
        self.steps: list[Step] = []

    def preparation(self, **policy: int) -> Preparation:
        world = self.world
        return Preparation(
            store=world.store,
            chain=world.chain,
            exchange=world.exchange,
            codec=SoldersCodec(),
            tokens=world.tokens,
            judge=PriceJudge(exchange=world.exchange, oracle=world.oracle, clock=world.clock, policy=PRICES),
            guard=TransactionGuard(MAINNET_POLICY),
            policy=replace(world.policy, **policy),  # type: ignore[arg-type]
            reached=self._reached,
        )

    def prepare(self, **changes: Any) -> Prepared:
        return self.preparation().prepare(self.world.intent(self.world.decide(**changes)))

    def asked(self) -> list[OrderRequest]:
        return [call.what for call in self.world.exchange.calls if isinstance(call.what, OrderRequest)]

    def _reached(self, _intent: IntentId, step: Step, _text: str) -> None:
        self.steps.append(step)


def test_every_step_is_told_in_its_order_and_nothing_is_signed_or_sent() -> None:
    desk = Desk()
    desk.prepare()

    assert desk.steps == [Step.PRICED, Step.QUOTED, Step.VIEWED, Step.SIMULATED]
    assert (desk.world.signer.signed, desk.world.chain.pool) == ([], {})


def test_four_calls_are_enough() -> None:
    desk = Desk()
    desk.prepare()
    calls = [name for name in desk.world.points.seen if name in ("prices", "order", "signing_view", "simulate")]

    assert calls == ["prices", "order", "signing_view", "simulate"]


@pytest.mark.parametrize(("cap", "asked_bps"), [(None, 50), (40, 20), (1, 1)])
def test_half_of_the_cap_is_asked_of_jupiter_and_never_nothing(cap: int | None, asked_bps: int) -> None:
    desk = Desk()
    try:
        desk.prepare(max_slippage_bps=cap)
    except NoRouteError:
        assert cap == 1

    assert [request.slippage_bps for request in desk.asked()] == [asked_bps]


def test_routers_whose_orders_cannot_be_signed_are_excluded() -> None:
    desk = Desk()
    desk.prepare()

    assert desk.asked()[0].exclude_routers == ("jupiterz", "dflow", "okx")


@pytest.mark.parametrize(
    ("effect", "lane", "risk"), [(ExposureEffect.ENTRY, Lane.ENTRY, 25_000_000), (ExposureEffect.EXIT, Lane.EXIT, 0)]
)
def test_exits_go_before_entries_and_use_no_risk_budget(effect: ExposureEffect, lane: Lane, risk: int) -> None:
    desk = Desk()
    prepared = desk.prepare(effect=effect)

    assert {call.lane for call in desk.world.exchange.calls} == {lane}
    assert prepared.need.risk_raw == risk


def test_what_may_be_used_up_is_counted_in_full() -> None:
    plain = Desk().prepare().need
    wrapping = Desk().prepare(input_mint=SOL, input_raw=10**9).need
    unwrapping = Desk().prepare(output_mint=SOL).need
    rent = (128 + TOKEN_ACCOUNT_BYTES) * 5_080

    assert (plain.fee_lamports, plain.tip_lamports) == (5_201, 0)
    assert (plain.rent_lamports, plain.temporary_wsol_lamports) == (2 * rent, 0)
    assert wrapping.temporary_wsol_lamports == unwrapping.temporary_wsol_lamports == rent


def test_the_balances_are_those_of_the_view() -> None:
    desk = Desk()
    prepared = desk.prepare()

    assert prepared.balances.native_lamports == desk.world.chain.holdings().lamports
    assert prepared.balances.input_raw == desk.world.chain.holdings().tokens[USDC]
    assert prepared.balances.keep_lamports == 128 * 5_080
    assert prepared.balances.slot == desk.world.chain.head_slot - desk.world.chain.confirm_slots


def test_rents_are_asked_once() -> None:
    desk = Desk()
    preparation = desk.preparation()
    first = preparation.prepare(desk.world.intent(desk.world.decide("first"))).need
    desk.world.chain.lamports_per_byte = 1
    second = preparation.prepare(desk.world.intent(desk.world.decide("second"))).need

    assert first.rent_lamports == second.rent_lamports


def test_the_control_is_a_finalized_transaction_of_the_beacon() -> None:
    desk = Desk()
    prepared = desk.prepare()
    control = desk.world.chain.landed[prepared.control]

    assert control.accounts == (desk.world.policy.beacon,)
    assert control.slot <= desk.world.chain.head_slot - desk.world.chain.finalize_slots


@pytest.mark.parametrize("second", [True, False])
def test_an_entry_of_large_value_needs_two_nodes_and_an_exit_does_not(second: bool) -> None:  # noqa: FBT001
    desk = Desk()
    preparation = desk.preparation(large_trade_usd=25, has_second_node=second)
    entry = desk.world.intent(desk.world.decide("entry"))
    exit_ = desk.world.intent(desk.world.decide("exit", effect=ExposureEffect.EXIT))
    if second:
        assert preparation.prepare(entry).input_raw == 25_000_000
    else:
        with pytest.raises(InvalidInputError, match="it is worth 25 USD"):
            preparation.prepare(entry)
    assert preparation.prepare(exit_).input_raw == 25_000_000


def test_all_of_a_token_is_what_is_free() -> None:
    desk = Desk()

    assert desk.prepare(input_raw=None).input_raw == 1_000_000_000


def test_all_of_sol_is_what_fee_tip_and_rent_leave() -> None:
    desk = Desk()
    prepared = desk.prepare(input_mint=SOL, input_raw=None)
    rent = (128 + TOKEN_ACCOUNT_BYTES) * 5_080
    kept = desk.world.chain.holdings().lamports - prepared.input_raw

    assert kept == 128 * 5_080 + desk.world.policy.max_fee_lamports + 3 * rent
    assert prepared.need.side_lamports <= kept - 128 * 5_080


def test_all_of_a_wallet_that_does_not_exist_is_nothing() -> None:
    desk = Desk()
    intent = desk.world.intent(desk.world.decide(input_mint=SOL, input_raw=None))
    desk.world.chain.opening = replace(desk.world.chain.opening, lamports=0)

    with pytest.raises(InvalidInputError, match="nothing of it is free to trade"):
        desk.preparation().prepare(intent)


@pytest.mark.parametrize("told", [None, 5])
def test_our_own_bound_counts_from_the_view(told: int | None) -> None:
    desk = Desk()
    desk.world.exchange.reshape = lambda order: replace(order, last_valid_block_height=told)
    prepared = desk.prepare()

    assert prepared.bound_block_height == prepared.checked_block_height + 150


def test_a_blockhash_that_our_node_does_not_know_is_refused_before_the_guard_looks() -> None:
    desk = Desk()
    forgotten = old_blockhash(desk.world.chain)
    desk.world.exchange.reshape = lambda order: replace(order, transaction=order_bytes(order, forgotten, unit=1))

    with pytest.raises(NodeBehindError):
        desk.prepare()
    assert desk.steps == [Step.PRICED, Step.QUOTED]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(1, "InvalidInputError"), (2, "InvalidInputError"), (3, "RetryableError"), (None, "RetryableError")],
)
def test_an_order_without_a_transaction_is_told_by_its_code(code: int | None, kind: str) -> None:
    desk = Desk()
    desk.world.exchange.reshape = lambda order: replace(order, transaction=None, error_code=code, error_message="why")

    with pytest.raises(SniperForgeError, match="Jupiter built no transaction: why") as caught:
        desk.prepare()
    assert type(caught.value).__name__ == kind


def test_the_prices_that_were_seen_go_along_with_a_refused_quote() -> None:
    desk = Desk()
    desk.world.exchange.reshape = lambda order: replace(order, out_raw=1)

    with pytest.raises(NoRouteError) as caught:
        desk.prepare()
    assert {price.mint for price in caught.value.details["observed"]} == {USDC, JUP, SOL}


def test_the_wallet_named_to_jupiter_is_the_trades_own() -> None:
    desk = Desk()
    desk.prepare()

    assert [request.taker for request in desk.asked()] == [OWNER]


def test_a_tip_account_in_the_transaction_reserves_the_largest_tip() -> None:
    desk = Desk()
    tip = transfer(TransferParams(from_pubkey=KEY.pubkey(), to_pubkey=Pubkey.from_string(TIP_ACCOUNT), lamports=7))
    desk.world.policy = replace(desk.world.policy, max_tip_lamports=1_000)
    blockhash = desk.world.chain.latest_blockhash().blockhash
    desk.world.exchange.reshape = lambda order: replace(
        order, transaction=order_bytes(order, blockhash, unit=1, first=[tip])
    )

    assert desk.prepare().need.tip_lamports == 1_000
