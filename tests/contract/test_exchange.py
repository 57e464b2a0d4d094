"""One suite for every `ports.exchange.Exchange`.

The fake; the client against the sandbox's Jupiter inside this process; and the same over real sockets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import httpx
import pytest
from solders.keypair import Keypair

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.transaction import JUPITER_V6_PROGRAM, TOKEN_PROGRAM
from sniperforge.errors import ExchangeRejectedError, NoRouteError
from sniperforge.ports.exchange import (
    Build,
    BuildRequest,
    Exchange,
    ExecuteHint,
    Lane,
    Order,
    OrderRequest,
    TokenListing,
)
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import PlanLimits, RequestBudget
from tests.fakes import jupiter_sandbox
from tests.fakes.exchange import FakeExchange
from tests.fakes.jupiter_http import Mocked
from tests.fakes.jupiter_sandbox import JupiterSandbox, sign
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox

SOL, USDC, JUP, BONK = (
    Mint(str(mint)) for mint in (jupiter_sandbox.SOL, jupiter_sandbox.USDC, jupiter_sandbox.JUP, jupiter_sandbox.BONK)
)
NOBODY_TRADES = Mint("HZ1JovNiVvGrGNiiYvEozEVgZ58xaU3RKwX8eACQBCt3")
POOR = Address(str(Keypair.from_seed(bytes([7]) * 32).pubkey()))


@dataclass
class Scene:
    """An exchange, and a wallet that can pay."""

    exchange: Exchange
    wallet: Keypair

    @property
    def taker(self) -> Address:
        return Address(str(self.wallet.pubkey()))

    def order(self, **changes: object) -> Order:
        request = OrderRequest(
            input_mint=USDC,
            output_mint=SOL,
            amount_raw=25_000_000,
            taker=self.taker,
            slippage_bps=50,
            exclude_routers=("jupiterz",),
        )
        return self.exchange.order(replace(request, **changes), lane=Lane.ENTRY)  # type: ignore[arg-type]

    def build(self, **changes: object) -> Build:
        request = BuildRequest(
            input_mint=USDC, output_mint=SOL, amount_raw=25_000_000, taker=self.taker, slippage_bps=50
        )
        return self.exchange.build(replace(request, **changes), lane=Lane.ENTRY)  # type: ignore[arg-type]

    def signed(self, order: Order) -> bytes:
        assert order.transaction is not None
        return sign(order.transaction, self.wallet)


def listing(mint: Mint, symbol: str, decimals: int) -> TokenListing:
    return TokenListing(
        mint=mint,
        symbol=symbol,
        name=f"The {symbol}",
        decimals=decimals,
        token_program=TOKEN_PROGRAM,
        is_verified=True,
        is_sus=None,
        freeze_authority=None,
        mint_authority=None,
        liquidity_usd=Decimal(1_000_000),
        organic_score=None,
        tags=(),
    )


@contextmanager
def fake() -> Iterator[Scene]:
    exchange = FakeExchange(
        SystemClock(),
        listings=[listing(SOL, "SOL", 9), listing(USDC, "USDC", 6), listing(JUP, "JUP", 6), listing(BONK, "BONK", 5)],
        usd={SOL: Decimal(180), USDC: Decimal(1), JUP: Decimal("0.5"), BONK: Decimal("0.00002")},
    )
    exchange.poor.add(POOR)
    yield Scene(exchange, Keypair.from_seed(bytes([1]) * 32))


@contextmanager
def client_and_sandbox() -> Iterator[Scene]:
    with JupiterSandbox() as sandbox:

        def reply(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                given = sandbox.get(request.url.path, dict(request.url.params))
            else:
                given = sandbox.post_waiting(request.url.path, json.loads(request.content))[0]
            return httpx.Response(given.status_code, headers=given.headers, content=given.content)

        client = client_of("http://jupiter.test", Mocked("http://jupiter.test", reply))
        yield Scene(client, sandbox.taker)
        client.close()


def client_of(url: str, wire: Mocked | None = None) -> JupiterClient:
    clock = SystemClock()
    wide = PlanLimits(main=1000, execute=1000)
    budget = RequestBudget(wide, organisation="contract", clock=clock, redis_url=None)
    return JupiterClient(url, api_key=None, budget=budget, clock=clock, wire=wire)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, slot_ms=20, scenario="flat", crowd=0, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture(params=["fake", "client", "process"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "process":
        sandbox: RunningSandbox = request.getfixturevalue("process")
        client = client_of(sandbox.endpoints.jupiter_url)
        client.warm()
        yield Scene(client, sandbox.demo_wallet)
        client.close()
    else:
        with fake() if request.param == "fake" else client_and_sandbox() as made:
            yield made


def test_prices_are_positive_exact_and_dated(scene: Scene) -> None:
    prices = scene.exchange.prices([SOL, USDC, BONK])

    assert set(prices) == {SOL, USDC, BONK}
    for mint, price in prices.items():
        assert (price.mint, price.source) == (mint, "jupiter")
        assert type(price.usd) is Decimal
        assert price.usd > 0
        assert price.slot is not None
        assert price.observed_at.utcoffset() is not None


def test_a_mint_without_a_price_is_absent(scene: Scene) -> None:
    assert set(scene.exchange.prices([SOL, NOBODY_TRADES])) == {SOL}


def test_more_mints_than_fit_one_question_are_answered(scene: Scene) -> None:
    strangers = [Mint(str(Keypair.from_seed(bytes([number]) * 32).pubkey())) for number in range(60)]

    assert set(scene.exchange.prices([*strangers, SOL])) == {SOL}


def test_tokens_are_found_by_symbol_and_by_mints(scene: Scene) -> None:
    assert JUP in {item.mint for item in scene.exchange.search_tokens("JUP")}
    found = {item.mint: item for item in scene.exchange.search_tokens(f"{BONK},{USDC},{NOBODY_TRADES}")}

    assert set(found) == {BONK, USDC}
    assert (found[BONK].decimals, found[USDC].decimals) == (5, 6)
    assert found[USDC].token_program == TOKEN_PROGRAM


def test_a_search_for_nothing_known_finds_nothing(scene: Scene) -> None:
    assert scene.exchange.search_tokens("NOSUCHTOKENATALL") == ()


def test_without_a_taker_there_is_a_quote_and_nothing_to_sign(scene: Scene) -> None:
    order = scene.order(taker=None)

    assert (order.transaction, order.error_code, order.error_message) == (None, None, None)
    assert (order.input_mint, order.output_mint, order.in_raw) == (USDC, SOL, 25_000_000)
    assert 0 < order.min_out_raw <= order.out_raw
    assert order.route


def test_slippage_sets_the_minimum(scene: Scene) -> None:
    tight, loose = scene.order(slippage_bps=10), scene.order(slippage_bps=500)

    assert tight.min_out_raw > loose.min_out_raw
    assert abs(loose.min_out_raw - loose.out_raw * 9_500 // 10_000) <= 1


def test_with_a_taker_there_is_a_transaction_to_sign(scene: Scene) -> None:
    order = scene.order()

    assert order.transaction
    assert order.fee_payer == scene.taker
    assert order.request_id
    assert order.last_valid_block_height is not None
    assert order.received_at.utcoffset() is not None


def test_a_taker_who_cannot_pay_gets_a_quote_with_the_reason(scene: Scene) -> None:
    order = scene.order(taker=POOR)

    assert order.transaction is None
    assert order.error_code == 1
    assert order.error_message
    assert order.out_raw > 0


def test_a_pair_nobody_trades_has_no_route(scene: Scene) -> None:
    with pytest.raises(NoRouteError):
        scene.order(output_mint=NOBODY_TRADES)


@pytest.mark.parametrize("changes", [{"output_mint": USDC}, {"amount_raw": 0}])
def test_nonsense_is_refused_for_good(scene: Scene, changes: dict[str, object]) -> None:
    with pytest.raises(ExchangeRejectedError):
        scene.order(**changes)


def test_what_is_signed_and_posted_lands_and_posting_again_only_asks(scene: Scene) -> None:
    order = scene.order()
    signed = scene.signed(order)
    first = scene.exchange.execute(signed, order.request_id, order.last_valid_block_height)
    again = scene.exchange.execute(signed, order.request_id, None)

    assert (first.code, first.hint) == (0, ExecuteHint.LANDED)
    assert first.signature is not None
    assert first.slot is not None
    assert (again.code, again.hint, again.signature) == (0, ExecuteHint.LANDED, first.signature)


def test_two_equal_orders_are_two_transactions(scene: Scene) -> None:
    first, second = scene.order(), scene.order()

    assert first.request_id != second.request_id
    assert first.transaction != second.transaction


def test_an_unknown_request_id_says_nothing_about_landing(scene: Scene) -> None:
    answer = scene.exchange.execute(scene.signed(scene.order()), "no-such-order", None)

    assert (answer.code, answer.hint, answer.signature) == (-1, ExecuteHint.POLL, None)


def test_an_unsigned_post_is_our_mistake(scene: Scene) -> None:
    order = scene.order()
    assert order.transaction is not None
    answer = scene.exchange.execute(order.transaction, order.request_id, None)

    assert answer.code < 0
    assert answer.hint is ExecuteHint.BUG


def test_instructions_of_our_own_name_the_taker_as_only_signer(scene: Scene) -> None:
    build = scene.build()

    assert build.swap.program == JUPITER_V6_PROGRAM
    signers = {
        use.address for item in (*build.setup, build.swap, *build.other) for use in item.accounts if use.is_signer
    }
    assert signers == {scene.taker}
    assert 0 < build.min_out_raw <= build.out_raw
    assert build.last_valid_block_height > 0


def test_a_venue_nobody_knows_has_no_route(scene: Scene) -> None:
    with pytest.raises(NoRouteError):
        scene.build(dexes=("No Such Venue",))


def test_every_venue_of_a_route_is_in_the_labels(scene: Scene) -> None:
    labels = set(scene.exchange.program_labels().values())

    assert {step.label for step in scene.order().route} <= labels
