"""What every `ports.chain.Chain` promises: the one in memory, and the adapter in front of a real sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import NodeBehindError, NodeUnavailableError, RpcRejectedError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.chain_worlds import (
    FEE_LAMPORTS,
    FUNDED_USDC_RAW,
    INSUFFICIENT,
    TOKEN_PROGRAM,
    USDC,
    FakeWorld,
    SandboxWorld,
    World,
    land,
    pay,
    signature_of,
)
from tests.fakes.sandbox_process import running_sandbox

RENT_EXEMPT = 10_000_000


@pytest.fixture(scope="module")
def sandbox_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxWorld]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), crowd=0) as sandbox:
        urls = list(sandbox.endpoints.node_urls.values())
        chain = SolanaChain(urls, SystemClock(), timeout_s=10.0)
        yield SandboxWorld(sandbox, chain)
        chain.close()


@pytest.fixture(params=["fake", "sandbox"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return FakeWorld()
    real: SandboxWorld = request.getfixturevalue("sandbox_world")
    return real


def somebody() -> Address:
    return Address(str(Keypair().pubkey()))


def unknown_signature() -> Signature:
    return Signature(str(Keypair().sign_message(b"never sent")))


def test_slots_run_ahead_of_heights_and_settle_by_commitment(world: World) -> None:
    with world.chain.pinned() as node:
        finalized, confirmed, processed = (
            node.slot(level) for level in (Commitment.FINALIZED, Commitment.CONFIRMED, Commitment.PROCESSED)
        )
        assert finalized <= confirmed <= processed
        assert node.block_height(Commitment.FINALIZED) < finalized


def test_a_fresh_blockhash_is_valid_for_150_blocks(world: World) -> None:
    with world.chain.pinned() as node:
        height = node.block_height(Commitment.CONFIRMED)
        fresh = node.latest_blockhash()
        assert height + 150 <= fresh.last_valid_block_height <= node.block_height(Commitment.PROCESSED) + 150
        assert node.is_blockhash_valid(fresh.blockhash).valid


def test_a_blockhash_nobody_issued_is_not_valid(world: World) -> None:
    assert not world.chain.is_blockhash_valid(somebody()).valid


def test_a_landed_transaction_is_told_with_its_exact_balances(world: World) -> None:
    to = somebody()
    transaction = pay(world, RENT_EXEMPT, to)
    signature = land(world, transaction)
    found = world.chain.transaction(signature, Commitment.CONFIRMED)
    assert found is not None
    assert (found.signature, found.transaction, found.err, found.version) == (signature, transaction, None, 0)
    change = {
        account: post - pre
        for account, pre, post in zip(found.accounts, found.pre_lamports, found.post_lamports, strict=True)
    }
    assert found.fee_lamports == FEE_LAMPORTS
    assert change[Address(str(world.payer.pubkey()))] == -RENT_EXEMPT - FEE_LAMPORTS
    assert change[to] == RENT_EXEMPT
    assert found.block_time is not None
    (account,) = world.chain.accounts([to])
    assert account is not None
    assert account.lamports == RENT_EXEMPT


def test_a_transaction_that_failed_on_chain_has_its_error_and_costs_its_fee(world: World) -> None:
    signature = land(world, pay(world, 10**15, somebody()))
    found = world.chain.transaction(signature, Commitment.CONFIRMED)
    assert found is not None
    assert found.err == INSUFFICIENT
    assert found.pre_lamports[0] - found.post_lamports[0] == FEE_LAMPORTS
    (status,) = world.chain.signature_statuses([signature], search_history=True).statuses
    assert status is not None
    assert status.err == found.err


def test_statuses_come_in_the_order_asked_and_become_final(world: World) -> None:
    signature, unknown = land(world, pay(world, RENT_EXEMPT, somebody())), unknown_signature()
    world.pass_slots(40)
    with world.chain.pinned() as node:
        answer = node.signature_statuses([unknown, signature, unknown], search_history=True)
        assert answer.node == node.node
    first, status, last = answer.statuses
    assert first is None
    assert last is None
    assert status is not None
    assert (status.signature, status.commitment, status.err) == (signature, Commitment.FINALIZED, None)
    assert status.slot <= answer.slot


def test_at_most_256_statuses_are_asked_at_once(world: World) -> None:
    unknown = unknown_signature()
    assert world.chain.signature_statuses([unknown] * 256, search_history=False).statuses == (None,) * 256
    with pytest.raises(RpcRejectedError):
        world.chain.signature_statuses([unknown] * 257, search_history=False)


def test_an_unknown_transaction_is_none(world: World) -> None:
    assert world.chain.transaction(unknown_signature(), Commitment.CONFIRMED) is None


def test_history_is_newest_first_and_keeps_its_bounds(world: World) -> None:
    to = somebody()
    signatures = [land(world, pay(world, RENT_EXEMPT + number, to)) for number in range(3)]
    world.pass_slots(3)
    newest = [record.signature for record in world.chain.signatures_for_address(to, commitment=Commitment.CONFIRMED)]
    assert newest == signatures[::-1]
    between = world.chain.signatures_for_address(
        to, before=signatures[2], until=signatures[0], commitment=Commitment.CONFIRMED
    )
    assert [record.signature for record in between] == [signatures[1]]
    (latest,) = world.chain.signatures_for_address(to, limit=1, commitment=Commitment.CONFIRMED)
    assert latest.signature == signatures[2]


def test_the_same_bytes_land_once_however_often_they_are_sent(world: World) -> None:
    to = somebody()
    transaction = pay(world, RENT_EXEMPT, to)
    signature = land(world, transaction)
    for result in world.chain.send(transaction):
        assert result.accepted or result.already_processed
    world.pass_slots(3)
    (account,) = world.chain.accounts([to])
    assert account is not None
    assert account.lamports == RENT_EXEMPT
    history = world.chain.signatures_for_address(to, commitment=Commitment.CONFIRMED)
    assert [record.signature for record in history] == [signature]


def test_a_simulation_shows_the_effect_and_leaves_no_trace(world: World) -> None:
    to = somebody()
    transaction = pay(world, RENT_EXEMPT, to)
    outcome = world.chain.simulate(transaction)
    assert outcome.err is None
    at = outcome.accounts.index(to)
    assert (outcome.pre_lamports[at], outcome.post_lamports[at]) == (0, RENT_EXEMPT)
    world.pass_slots(3)
    answer = world.chain.signature_statuses([signature_of(transaction)], search_history=True)
    assert answer.statuses == (None,)
    assert world.chain.accounts([to]) == (None,)


def test_a_simulation_of_a_failure_tells_the_error(world: World) -> None:
    assert world.chain.simulate(pay(world, 10**15, somebody())).err == INSUFFICIENT


def test_a_simulation_may_demand_a_slot(world: World) -> None:
    transaction = pay(world, RENT_EXEMPT, somebody())
    with pytest.raises(NodeBehindError):
        world.chain.simulate(transaction, min_context_slot=10**12)


def test_accounts_come_in_the_order_asked_from_one_slot(world: World) -> None:
    wallet = Address(str(world.payer.pubkey()))
    nobody, known, again = world.chain.accounts([somebody(), wallet, wallet])
    assert nobody is None
    assert known is not None
    assert again is not None
    assert (known.address, known.slot) == (wallet, again.slot)
    assert known.lamports > 0


def test_at_most_100_accounts_are_asked_at_once(world: World) -> None:
    with pytest.raises(RpcRejectedError):
        world.chain.accounts([somebody()] * 101)


def test_token_accounts_tell_amount_decimals_and_program(world: World) -> None:
    holdings = world.chain.token_accounts(Address(str(world.payer.pubkey())))
    (usdc,) = [account for account in holdings if account.mint == USDC]
    assert (usdc.raw, usdc.decimals, usdc.program) == (FUNDED_USDC_RAW, 6, TOKEN_PROGRAM)
    assert (usdc.frozen, usdc.delegate, usdc.owner) == (False, None, str(world.payer.pubkey()))
    assert usdc.lamports > 0
    assert world.chain.token_accounts(somebody()) == ()


def test_a_mint_is_decoded_and_what_is_none_is_none(world: World) -> None:
    usdc = world.chain.mint(USDC)
    assert usdc is not None
    assert (usdc.mint, usdc.program, usdc.decimals, usdc.extensions) == (USDC, TOKEN_PROGRAM, 6, ())
    assert usdc.supply_raw > 0
    assert world.chain.mint(Mint(str(world.payer.pubkey()))) is None


def test_lookup_tables_hold_addresses_and_must_exist(world: World) -> None:
    found = world.chain.lookup_tables([world.table])
    assert set(found) == {world.table}
    assert TOKEN_PROGRAM in found[world.table]
    with pytest.raises(RpcRejectedError):
        world.chain.lookup_tables([world.table, somebody()])


def test_what_a_signature_stands_on_comes_in_one_answer(world: World) -> None:
    payer = Address(str(world.payer.pubkey()))
    control = land(world, pay(world, RENT_EXEMPT, somebody()))
    world.pass_slots(40)
    fresh = world.chain.latest_blockhash()
    nobody = somebody()
    before = world.chain.block_height(Commitment.CONFIRMED)
    view = world.chain.signing_view(
        blockhash=fresh.blockhash, wallet=payer, lookup_tables=[world.table], accounts=[nobody, payer], beacon=payer
    )
    assert view.blockhash_valid
    assert before <= view.block_height <= world.chain.block_height(Commitment.CONFIRMED)
    assert view.slot > view.block_height
    absent, found = view.accounts
    assert absent is None
    assert found is not None
    assert found.address == payer
    assert set(view.lookup_tables) == {world.table}
    assert Address(USDC) in view.lookup_tables[world.table]
    assert {(token.mint, token.owner) for token in view.token_accounts} >= {(USDC, payer)}
    assert view.control is not None
    assert view.control.signature == control
    assert view.control.slot <= view.slot
    stranger = world.chain.signing_view(
        blockhash=somebody(), wallet=nobody, lookup_tables=[], accounts=[], beacon=nobody
    )
    assert (stranger.blockhash_valid, stranger.token_accounts, stranger.control) == (False, (), None)


def test_rent_grows_with_the_size(world: World) -> None:
    assert world.chain.minimum_rent(165) > world.chain.minimum_rent(0) > 0


def test_the_fee_of_a_message_is_known_while_its_blockhash_is(world: World) -> None:
    message = VersionedTransaction.from_bytes(pay(world, 1, somebody())).message
    assert world.chain.fee_for_message(to_bytes_versioned(message)) == FEE_LAMPORTS


def test_the_fee_of_a_message_with_an_unknown_blockhash_is_none(world: World) -> None:
    message = MessageV0.try_compile(world.payer.pubkey(), [], [], Hash.hash(b"never issued"))
    assert world.chain.fee_for_message(to_bytes_versioned(message)) is None


def test_recent_priority_fees_are_whole_numbers(world: World) -> None:
    for sample in world.chain.recent_priority_fees([Address(USDC)]):
        assert sample.micro_lamports >= 0


def test_the_genesis_hash_is_always_the_same(world: World) -> None:
    assert world.chain.genesis_hash() == world.chain.genesis_hash()


def test_a_pinned_node_is_the_one_named_and_another_gives_a_second_opinion(world: World) -> None:
    names = [health.node for health in world.chain.health()]
    with world.chain.pinned(names[1]) as node:
        assert node.node == names[1]
        assert node.signature_statuses([unknown_signature()], search_history=False).node == names[1]
    with world.chain.pinned(other_than=names[0]) as other:
        assert other.node != names[0]
    with pytest.raises(NodeUnavailableError), world.chain.pinned("nowhere"):
        pass


def test_every_node_is_healthy_and_says_its_slot(world: World) -> None:
    for node in world.chain.health():
        assert (node.healthy, node.problem) == (True, None)
        assert node.slot is not None
        assert node.version


def test_every_node_answers_a_send(world: World) -> None:
    results = world.chain.send(pay(world, RENT_EXEMPT, somebody()))
    assert [result.node for result in results] == [health.node for health in world.chain.health()]
    assert all(result.accepted or result.already_processed for result in results)


def test_errors_are_canonical_json(world: World) -> None:
    signature = land(world, pay(world, 10**15, somebody()))
    found = world.chain.transaction(signature, Commitment.CONFIRMED)
    assert found is not None
    assert found.err is not None
    assert json.dumps(json.loads(found.err), sort_keys=True, separators=(",", ":")) == found.err
