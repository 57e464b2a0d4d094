"""The guard against a hostile Jupiter: good orders of a real exchange on a real chain, and everything done to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from sniperforge.domain.money import Mint
from sniperforge.ports.chain import TokenBalance
from sniperforge.trading.balances import wallet_change
from sniperforge.trading.guard_policies import DEVNET_POLICY, MAINNET_POLICY
from sniperforge.trading.transaction_guard import RULES, TransactionGuard
from tests.fakes.guard_desk import UNREADABLE, Draft, GuardDesk, Order
from tests.fakes.hostile_edits import KINDS
from tests.fakes.hostile_run import attacks, table
from tests.fakes.jupiter_sandbox import JUP, SOL, USDC

EDITS = 6_600
SEED = 20_261
DAMAGES = 3_000


@pytest.fixture(scope="module")
def desk() -> Iterator[GuardDesk]:
    with GuardDesk() as made:
        yield made


def test_good_orders_pass_with_their_real_simulation(desk: GuardDesk) -> None:
    for order in desk.good_orders:
        change = desk.guard.check(order.decoded, desk.simulate(order.raw), order.terms)
        assert change.of_asset(order.terms.input_mint) == -order.terms.input_raw, order.name
        assert change.of_asset(order.terms.output_mint) >= order.terms.min_out_raw, order.name
        assert desk.broken_promise(order.raw, order.terms) is None, order.name


def test_every_malicious_edit_is_refused_by_a_rule_meant_for_it(
    desk: GuardDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = list(attacks(desk, edits=EDITS, seed=SEED))
    print(table(tried))
    assert EDITS // len(KINDS) >= 50, "every kind is tried often enough to mean something"
    wrong = [(item.kind.name, item.order.name, item.look, item.rules) for item in tried if not item.refused_as_meant]
    assert wrong == []
    assert {rule for item in tried for rule in item.rules} <= {*RULES, UNREADABLE}


def test_the_second_look_alone_lets_nothing_pass_that_balances_can_show(desk: GuardDesk) -> None:
    passed = 0
    for item in attacks(desk, edits=1_000, seed=SEED + 1):
        if item.rules == (UNREADABLE,):
            continue
        decoded = desk.codec.decode(item.raw, desk.tables)
        if list(desk.guard.count(decoded, desk.simulate(item.raw), item.order.terms)):
            continue
        passed += 1
        broken = desk.broken_promise(item.raw, item.order.terms)
        assert broken is None or "delegate" in broken or "handed" in broken, (item.kind.name, item.order.name, broken)
    assert passed, "some edits are seen by the first look alone, or there would be no need for it"


def test_whatever_passes_after_random_damage_still_keeps_every_promise(desk: GuardDesk) -> None:
    rng = random.Random(SEED)  # noqa: S311 - replayable, not secret
    passed = 0
    for number in range(DAMAGES):
        order = rng.choice(desk.good_orders)
        raw = with_flipped_bits(order, rng) if number % 2 else with_other_accounts(desk, order, rng)
        look, _ = desk.judge(raw, order.terms)
        if not look:
            passed += 1
            assert desk.broken_promise(raw, order.terms) is None, (order.name, raw.hex())
    assert passed, "damage to the blockhash or to the compute budget changes nothing of the trade"


def with_flipped_bits(order: Order, rng: random.Random) -> bytes:
    damaged = bytearray(order.raw)
    for _ in range(rng.choice((1, 1, 2))):
        damaged[rng.randrange(65, len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def with_other_accounts(desk: GuardDesk, order: Order, rng: random.Random) -> bytes:
    """Accounts of an instruction replaced by others that exist: ours, the thief's, pools, programs."""
    draft = Draft(order, desk, rng)
    known = [Pubkey.from_string(use.address) for use in order.decoded.accounts]
    known += [desk.token_account(owner, mint) for mint in (SOL, USDC, JUP) for owner in (desk.thief, order.payer)]
    at = rng.randrange(2, len(draft.instructions))
    metas = list(draft.instructions[at].accounts)
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(len(metas))
        metas[place] = AccountMeta(rng.choice(known), metas[place].is_signer, metas[place].is_writable)
    changed = draft.instructions[at]
    draft.instructions[at] = Instruction(changed.program_id, bytes(changed.data), metas)
    return draft.written()


def test_what_the_simulation_promised_is_what_lands() -> None:
    with GuardDesk() as desk:
        order = next(order for order in desk.good_orders if order.name == "USDC for JUP, plain")
        promised = desk.guard.check(order.decoded, desk.simulate(order.raw), order.terms)
        landed = desk.land(order)
    assert (
        wallet_change(
            landed,
            wallet=order.terms.wallet,
            fee_lamports=landed.fee_lamports or 0,
            tip_accounts=MAINNET_POLICY.tip_accounts,
        )
        == promised
    )


def test_devnet_knows_no_swap_program(desk: GuardDesk) -> None:
    guard = TransactionGuard(DEVNET_POLICY)
    for order in desk.good_orders:
        assert "program" in {refusal.rule for refusal in guard.read(order.decoded, order.terms)}


def test_an_answer_that_hides_one_of_our_accounts_is_refused(desk: GuardDesk) -> None:
    order = next(order for order in desk.good_orders if order.name == "USDC for SOL, rich")
    honest = desk.simulate(order.raw)

    def hidden(tokens: tuple[TokenBalance, ...], mint: Mint) -> tuple[TokenBalance, ...]:
        return tuple(token for token in tokens if token.mint != mint or token.owner != order.terms.wallet)

    for mint in set(order.terms.own_accounts.values()):
        lying = replace(
            honest, pre_tokens=hidden(honest.pre_tokens, mint), post_tokens=hidden(honest.post_tokens, mint)
        )
        if lying == honest:
            continue
        rules = [refusal.rule for refusal in desk.guard.count(order.decoded, lying, order.terms)]
        assert rules == ["simulated"], mint
