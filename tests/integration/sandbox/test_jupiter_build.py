"""`/build`: everything that a caller needs to assemble a transaction of his own, which then really lands."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.chain import LandedRecord
from sniperforge.sandbox.jupiter.tips import JUPITER_TIP_ACCOUNTS
from sniperforge.sandbox.jupiter_settings import JupiterSettings
from tests.fakes.jupiter_sandbox import BUILD, JUP, SOL, USDC, JupiterSandbox


@pytest.fixture
def sandbox() -> Iterator[JupiterSandbox]:
    with JupiterSandbox(settings=JupiterSettings(absurd_price_share=Fraction(0))) as running:
        yield running


def query(sandbox: JupiterSandbox, **changes: str) -> dict[str, str]:
    return {
        "inputMint": str(USDC),
        "outputMint": str(SOL),
        "amount": "25000000",
        "taker": str(sandbox.taker.pubkey()),
        **changes,
    }


def build(sandbox: JupiterSandbox, **changes: str) -> dict[str, Any]:
    response = sandbox.get(BUILD, query(sandbox, **changes))
    assert response.status_code == 200, response.text
    body: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return body


def refusal(sandbox: JupiterSandbox, **changes: str) -> str:
    response = sandbox.get(BUILD, query(sandbox, **changes))
    assert response.status_code == 400
    error: str = response.json()["error"]
    return error


def instruction(printed: dict[str, Any]) -> Instruction:
    accounts = [
        AccountMeta(Pubkey.from_string(meta["pubkey"]), meta["isSigner"], meta["isWritable"])
        for meta in printed["accounts"]
    ]
    return Instruction(Pubkey.from_string(printed["programId"]), b64decode(printed["data"]), accounts)


def landed(sandbox: JupiterSandbox, answer: dict[str, Any], *signers: Keypair) -> LandedRecord:
    """Assemble as documented, sign, send to the chain."""
    printed = [
        *answer["computeBudgetInstructions"],
        *answer["setupInstructions"],
        answer["swapInstruction"],
        answer["cleanupInstruction"],
        *answer["otherInstructions"],
        answer["tipInstruction"],
    ]
    instructions = [set_compute_unit_limit(400_000), *(instruction(one) for one in printed if one is not None)]
    tables = [
        AddressLookupTableAccount(Pubkey.from_string(key), [Pubkey.from_string(address) for address in addresses])
        for key, addresses in (answer["addressesByLookupTableAddress"] or {}).items()
    ]
    blockhash = Hash.from_bytes(bytes(answer["blockhashWithMetadata"]["blockhash"]))
    keys = signers or (sandbox.taker,)
    message = MessageV0.try_compile(keys[0].pubkey(), instructions, tables, blockhash)
    record = sandbox.chain.submit(bytes(VersionedTransaction(message, keys)))
    assert isinstance(record, LandedRecord), record
    return record


def test_the_assembled_transaction_pays_the_quote(sandbox: JupiterSandbox) -> None:
    answer = build(sandbox)
    before = sandbox.lamports()
    record = landed(sandbox, answer)
    assert record.err is None
    assert sandbox.lamports() - before + record.fee == int(answer["outAmount"])


def test_the_minimum_is_held_on_the_chain(sandbox: JupiterSandbox) -> None:
    answer = build(sandbox, slippageBps="0")
    sandbox.execute(sandbox.order(USDC, SOL, 3_000_000_000))
    record = landed(sandbox, answer)
    assert record.err == {"InstructionError": [record_index(answer), {"Custom": 6001}]}


def record_index(answer: dict[str, Any]) -> int:
    return 1 + len(answer["computeBudgetInstructions"]) + len(answer["setupInstructions"])


def test_the_budget_is_a_price_alone(sandbox: JupiterSandbox) -> None:
    (budget,) = build(sandbox)["computeBudgetInstructions"]
    data = b64decode(budget["data"])
    assert budget["programId"] == "ComputeBudget111111111111111111111111111111"
    assert (data[0], len(data)) == (3, 9)


def test_the_price_is_absurd_now_and_then() -> None:
    with JupiterSandbox(settings=JupiterSettings(absurd_price_share=Fraction(1))) as sandbox:
        data = b64decode(build(sandbox)["computeBudgetInstructions"][0]["data"])
        assert int.from_bytes(data[1:], "little") > 10_000_000_000


def test_a_higher_percentile_costs_more(sandbox: JupiterSandbox) -> None:
    def price(level: str) -> int:
        answer = build(sandbox, computeUnitPricePercentile=level)
        return int.from_bytes(b64decode(answer["computeBudgetInstructions"][0]["data"])[1:], "little")

    assert 0 == price("0") < price("medium") < price("high") < price("veryHigh") == price("7500")


def test_accounts_are_created_even_if_they_exist(sandbox: JupiterSandbox) -> None:
    assert sandbox.tokens(USDC) > 0
    setup = build(sandbox, inputMint=str(SOL), outputMint=str(USDC))["setupInstructions"]
    creations = [one for one in setup if one["programId"].startswith("ATokenGP")]
    assert str(USDC) in [one["accounts"][3]["pubkey"] for one in creations]
    assert {b64decode(one["data"]) for one in creations} == {b"\x01"}


def test_there_is_no_cleanup_where_no_sol_was_wrapped(sandbox: JupiterSandbox) -> None:
    assert build(sandbox, outputMint=str(JUP), maxAccounts="20")["cleanupInstruction"] is None
    assert build(sandbox, wrapAndUnwrapSol="false")["cleanupInstruction"] is None
    assert build(sandbox)["cleanupInstruction"] is not None


def test_unwrapped_output_stays_in_the_wrapped_account_when_asked(sandbox: JupiterSandbox) -> None:
    answer = build(sandbox, wrapAndUnwrapSol="false")
    assert landed(sandbox, answer).err is None
    assert sandbox.tokens(SOL) == int(answer["outAmount"])


def test_the_tables_are_complete_and_used(sandbox: JupiterSandbox) -> None:
    tables = build(sandbox)["addressesByLookupTableAddress"]
    assert tables
    for key, addresses in tables.items():
        known = sandbox.world.lookup_tables[Pubkey.from_string(key)]
        assert addresses == [str(address) for address in known]


def test_the_blockhash_comes_as_bytes_with_its_height_as_a_number(sandbox: JupiterSandbox) -> None:
    told = build(sandbox)["blockhashWithMetadata"]
    blockhash, height = sandbox.chain.latest_blockhash("confirmed")
    assert str(Hash.from_bytes(bytes(told["blockhash"]))) == blockhash
    assert told["lastValidBlockHeight"] == height
    assert told["fetchedAt"]["secs_since_epoch"] == int(sandbox.now)
    shorter = build(sandbox, blockhashSlotsToExpiry="40")["blockhashWithMetadata"]
    assert shorter["lastValidBlockHeight"] == height - 110


def test_a_tip_goes_from_the_payer_to_one_of_jupiters_accounts(sandbox: JupiterSandbox) -> None:
    answer = build(sandbox, tipAmount="1000000")
    tip = instruction(answer["tipInstruction"])
    assert tip.accounts[0].pubkey == sandbox.taker.pubkey()
    assert tip.accounts[1].pubkey in JUPITER_TIP_ACCOUNTS
    before = sandbox.lamports(tip.accounts[1].pubkey)
    assert landed(sandbox, answer).err is None
    assert sandbox.lamports(tip.accounts[1].pubkey) - before == 1_000_000
    assert build(sandbox)["tipInstruction"] is None


def test_another_payer_pays_for_accounts(sandbox: JupiterSandbox) -> None:
    payer = sandbox.world.crowd[0]
    answer = build(sandbox, outputMint=str(JUP), payer=str(payer.pubkey()))
    before = sandbox.lamports()
    assert landed(sandbox, answer, payer, sandbox.taker).err is None
    assert sandbox.lamports() == before


def test_dexes_restrict_the_route_and_exclusions_are_obeyed(sandbox: JupiterSandbox) -> None:
    def labels(**changes: str) -> set[str]:
        return {step["swapInfo"]["label"] for step in build(sandbox, **changes)["routePlan"]}

    assert labels(dexes="Raydium") == {"Raydium"}
    assert "Meteora DLMM" not in labels(excludeDexes="Meteora DLMM")
    assert labels(excludeDexes="nobody")


def test_an_unknown_label_looks_like_no_liquidity(sandbox: JupiterSandbox) -> None:
    assert refusal(sandbox, dexes="raydium") == "No routes found"
    assert refusal(sandbox, outputMint=str(Keypair().pubkey())) == "No routes found"


def test_fewer_accounts_make_a_narrower_route(sandbox: JupiterSandbox) -> None:
    wide = build(sandbox, inputMint=str(USDC), outputMint=str(SOL), amount="900000000000")
    narrow = build(sandbox, inputMint=str(USDC), outputMint=str(SOL), amount="900000000000", maxAccounts="20")
    assert len(wide["routePlan"]) > len(narrow["routePlan"])
    assert int(wide["outAmount"]) > int(narrow["outAmount"])
    assert refusal(sandbox, maxAccounts="3") == "No routes found"


def test_slippage_defaults_to_50_bps_and_rtse_picks_one(sandbox: JupiterSandbox) -> None:
    assert build(sandbox)["slippageBps"] == 50
    assert 20 <= build(sandbox, slippageBps="rtse")["slippageBps"] <= 300


def test_version_1_has_no_budget_and_no_tables(sandbox: JupiterSandbox) -> None:
    answer = build(sandbox, transactionVersion="1")
    assert answer["computeBudgetInstructions"] == []
    assert answer["addressesByLookupTableAddress"] == {}
    assert answer["computeUnitPrice"].isdigit()
