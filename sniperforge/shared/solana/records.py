"""From JSON answers to the records of `sniperforge.ports.chain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import CodecError
from sniperforge.ports.chain import (
    AccountInfo,
    Commitment,
    LandedTransaction,
    SignatureRecord,
    SignatureStatus,
    Simulation,
    TokenAccount,
    TokenBalance,
)
from sniperforge.shared.solana.answers import Answer
from sniperforge.shared.solana.failures import canonical
from sniperforge.shared.solana.wire import first_signature, static_keys


def signature_status(signature: Signature, answer: Answer) -> SignatureStatus | None:
    """One element of `getSignatureStatuses`; its deprecated `status` field is not read."""
    if answer.missing:
        return None
    name = answer["confirmationStatus"]
    if name.value not in set(Commitment):
        name.wrong("processed, confirmed or finalized")
    return SignatureStatus(signature, answer["slot"].integer(), canonical(answer["err"].value), Commitment(name.value))


def signature_record(answer: Answer) -> SignatureRecord:
    """One element of `getSignaturesForAddress`."""
    memo = answer["memo"]
    return SignatureRecord(
        signature=Signature(answer["signature"].text()),
        slot=answer["slot"].integer(),
        err=canonical(answer["err"].value),
        memo=None if memo.missing else memo.text(),
        block_time=answer["blockTime"].optional_time(),
    )


def landed_transaction(signature: Signature, answer: Answer) -> LandedTransaction:
    """`getTransaction` with encoding base64: the exact bytes, and balances by account."""
    raw = answer["transaction"].base64()
    try:
        keys = static_keys(raw)
        theirs = first_signature(raw)
    except CodecError:
        answer["transaction"].wrong("a transaction")
    if theirs != signature:
        answer["transaction"].wrong(f"the transaction {signature} but {theirs}")
    meta = answer["meta"]
    accounts = keys + _loaded(meta)
    return LandedTransaction(
        signature=signature,
        slot=answer["slot"].integer(),
        block_time=answer["blockTime"].optional_time(),
        version=_version(answer["version"]),
        transaction=raw,
        err=canonical(meta["err"].value),
        fee_lamports=meta["fee"].integer(),
        accounts=accounts,
        pre_lamports=meta["preBalances"].integers(len(accounts)),
        post_lamports=meta["postBalances"].integers(len(accounts)),
        pre_tokens=_token_balances(meta["preTokenBalances"], accounts),
        post_tokens=_token_balances(meta["postTokenBalances"], accounts),
        logs=meta["logMessages"].texts(),
        compute_units=meta["computeUnitsConsumed"].optional_integer(),
    )


def simulation(transaction: bytes, answer: Answer) -> Simulation:
    """`simulateTransaction`, pre and post from this one answer.

    A message that could not even be loaded has an error and no balances; a message that ran must have them.
    """
    value = answer["value"]
    err = canonical(value["err"].value)
    keys = static_keys(transaction)
    bare = err is not None and not value["preBalances"].value
    accounts = keys if bare and value["loadedAddresses"].missing else keys + _loaded(value)
    if not bare and value["preBalances"].missing:
        value["preBalances"].wrong("a list (the node is too old to report balances with a simulation)")
    return Simulation(
        node=answer.node,
        slot=answer.context_slot(),
        err=err,
        logs=value["logs"].texts(),
        compute_units=value["unitsConsumed"].optional_integer(),
        fee_lamports=value["fee"].optional_integer(),
        accounts=accounts,
        pre_lamports=() if bare else value["preBalances"].integers(len(accounts)),
        post_lamports=() if bare else value["postBalances"].integers(len(accounts)),
        pre_tokens=() if bare else _token_balances(value["preTokenBalances"], accounts),
        post_tokens=() if bare else _token_balances(value["postTokenBalances"], accounts),
    )


def account_info(address: Address, slot: int, answer: Answer) -> AccountInfo | None:
    """One account of `getMultipleAccounts` with encoding base64."""
    if answer.missing:
        return None
    return AccountInfo(
        address=address,
        lamports=answer["lamports"].integer(),
        owner=answer["owner"].address(),
        data=answer["data"].base64(),
        executable=answer["executable"].boolean(),
        slot=slot,
    )


def token_account(answer: Answer) -> TokenAccount:
    """One element of `getTokenAccountsByOwner` with encoding jsonParsed (which tells the decimals, too)."""
    account = answer["account"]
    parsed = account["data"]["parsed"]["info"]
    amount = parsed["tokenAmount"]
    return TokenAccount(
        address=answer["pubkey"].address(),
        mint=Mint(parsed["mint"].address()),
        owner=parsed["owner"].address(),
        program=account["owner"].address(),
        raw=amount["amount"].amount(),
        decimals=amount["decimals"].integer(),
        lamports=account["lamports"].integer(),
        frozen=parsed["state"].text() == "frozen",
        delegate=parsed["delegate"].optional_address(),
    )


def _loaded(holder: Answer) -> tuple[Address, ...]:
    loaded = holder["loadedAddresses"]
    if loaded.missing:
        return ()
    return loaded["writable"].addresses() + loaded["readonly"].addresses()


def _version(answer: Answer) -> Literal["legacy", 0, 1]:
    if answer.value == "legacy":
        return "legacy"
    if type(answer.value) is not int or answer.value not in {0, 1}:
        answer.wrong('"legacy", 0 or 1')
    return 1 if answer.value else 0


def _token_balances(answer: Answer, accounts: Sequence[Address]) -> tuple[TokenBalance, ...]:
    if answer.missing:
        return ()
    return tuple(_token_balance(item, accounts) for item in answer.items())


def _token_balance(answer: Answer, accounts: Sequence[Address]) -> TokenBalance:
    index = answer["accountIndex"].integer()
    if index >= len(accounts):
        answer["accountIndex"].wrong(f"the index of one of {len(accounts)} accounts")
    amount = answer["uiTokenAmount"]
    return TokenBalance(
        account=accounts[index],
        mint=Mint(answer["mint"].address()),
        owner=answer["owner"].optional_address(),
        program=answer["programId"].optional_address(),
        raw=amount["amount"].amount(),
        decimals=amount["decimals"].integer(),
    )
