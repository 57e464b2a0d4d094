"""Every question of `ports.chain.ChainReader`, over whoever decides which node is asked."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from solders.hash import Hash

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import NodeBehindError, RpcRejectedError
from sniperforge.ports.chain import (
    AccountInfo,
    BlockhashValidity,
    Commitment,
    LandedTransaction,
    LatestBlockhash,
    MintInfo,
    PriorityFeeSample,
    SignatureRecord,
    SigningView,
    Simulation,
    StatusAnswer,
    TokenAccount,
)
from sniperforge.shared.solana.answers import Answer
from sniperforge.shared.solana.lookup_tables import decode_lookup_tables
from sniperforge.shared.solana.mints import CLOCK_SYSVAR, TOKEN_PROGRAMS, decode_mint
from sniperforge.shared.solana.node import RpcNode
from sniperforge.shared.solana.records import (
    account_info,
    landed_transaction,
    signature_record,
    signature_status,
    simulation,
    token_account,
)
from sniperforge.shared.solana.wire import unsigned

T = TypeVar("T")

MAX_SIGNATURES = 256
MAX_ACCOUNTS = 100
MAX_FEE_ADDRESSES = 128
MAX_HISTORY = 1_000
NEWEST_TRANSACTION_VERSION = 1
"""Asked for as an integer: with null or 0 a node refuses (-32015) as soon as it meets a version 1 transaction."""


def ask(node: RpcNode, method: str, *params: Any) -> Answer:
    """One question to one node, its answer ready to be read."""
    return Answer(node.read(method, list(params)), f"{method} at {node.name}", node.name)


def ask_together(node: RpcNode, calls: Sequence[tuple[str, list[Any]]]) -> list[Answer]:
    """Several questions to one node in one request, their answers in the order asked."""
    results = node.read_together(calls)
    return [
        Answer(result, f"{method} at {node.name}", node.name)
        for (method, _), result in zip(calls, results, strict=True)
    ]


class Reader(ABC):
    """`ChainReader` without the choice of the node. Each method is one unit: all its calls go to one node."""

    @abstractmethod
    def _ask(self, question: Callable[[RpcNode], T]) -> T:
        """Put a question to a node."""

    def block_height(self, commitment: Commitment) -> int:
        """Number of blocks (not slots) up to this commitment."""
        return self._simple("getBlockHeight", {"commitment": commitment.value}).integer()

    def slot(self, commitment: Commitment) -> int:
        """Current slot."""
        return self._simple("getSlot", {"commitment": commitment.value}).integer()

    def latest_blockhash(self, commitment: Commitment = Commitment.CONFIRMED) -> LatestBlockhash:
        """A fresh blockhash."""
        answer = self._simple("getLatestBlockhash", {"commitment": commitment.value})
        value = answer["value"]
        return LatestBlockhash(
            blockhash=_blockhash(value["blockhash"]),
            last_valid_block_height=value["lastValidBlockHeight"].integer(),
            slot=answer.context_slot(),
        )

    def is_blockhash_valid(self, blockhash: str, commitment: Commitment = Commitment.CONFIRMED) -> BlockhashValidity:
        """Whether the node would accept a transaction with this blockhash now."""
        answer = self._simple("isBlockhashValid", blockhash, {"commitment": commitment.value})
        return BlockhashValidity(valid=answer["value"].boolean(), slot=answer.context_slot())

    def signature_statuses(self, signatures: Sequence[Signature], *, search_history: bool) -> StatusAnswer:
        """Up to 256 signatures in one answer of one node."""
        asked = _at_most(MAX_SIGNATURES, signatures, "getSignatureStatuses", "signatures")
        answer = self._simple("getSignatureStatuses", asked, {"searchTransactionHistory": search_history})
        found = answer["value"].items(len(asked))
        return StatusAnswer(
            node=answer.node,
            slot=answer.context_slot(),
            statuses=tuple(signature_status(*pair) for pair in zip(signatures, found, strict=True)),
        )

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        """A landed transaction with its balances, or None if this node does not have it (which proves nothing)."""
        config = {
            "encoding": "base64",
            "commitment": commitment.value,
            "maxSupportedTransactionVersion": NEWEST_TRANSACTION_VERSION,
        }
        answer = self._simple("getTransaction", signature, config)
        return None if answer.missing else landed_transaction(signature, answer)

    def signatures_for_address(
        self,
        address: Address,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = Commitment.FINALIZED,
    ) -> tuple[SignatureRecord, ...]:
        """History that names the address, newest first. Deposits into its token accounts do not appear here."""
        if not 1 <= limit <= MAX_HISTORY:
            raise _refused("getSignaturesForAddress", f"limit {limit} is outside 1..{MAX_HISTORY}")
        config: dict[str, Any] = {"limit": limit, "commitment": commitment.value}
        if before is not None:
            config["before"] = before
        if until is not None:
            config["until"] = until
        answer = self._simple("getSignaturesForAddress", address, config)
        return tuple(signature_record(item) for item in answer.items())

    def simulate(
        self,
        transaction: bytes,
        *,
        commitment: Commitment = Commitment.CONFIRMED,
        min_context_slot: int | None = None,
    ) -> Simulation:
        """Run the message without checking signatures; whatever signatures it bears are taken off first.

        Raises:
            CodecError: These bytes are no transaction.
        """
        bare = unsigned(transaction)
        config: dict[str, Any] = {
            "encoding": "base64",
            "sigVerify": False,
            "replaceRecentBlockhash": False,
            "commitment": commitment.value,
        }
        if min_context_slot is not None:
            config["minContextSlot"] = min_context_slot
        return simulation(bare, self._simple("simulateTransaction", _base64(bare), config))

    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        """Accounts in the order asked, all from one slot (up to 100); None where none exists."""
        asked = _at_most(MAX_ACCOUNTS, addresses, "getMultipleAccounts", "addresses")
        if not asked:
            return ()
        answer = self._simple("getMultipleAccounts", asked, {"encoding": "base64", "commitment": commitment.value})
        slot = answer.context_slot()
        found = answer["value"].items(len(asked))
        return tuple(account_info(address, slot, item) for address, item in zip(addresses, found, strict=True))

    def token_accounts(self, owner: Address, commitment: Commitment = Commitment.CONFIRMED) -> tuple[TokenAccount, ...]:
        """Token accounts of a wallet, of the Token and the Token-2022 program."""
        config = {"encoding": "jsonParsed", "commitment": commitment.value}
        calls: list[tuple[str, list[Any]]] = [
            ("getTokenAccountsByOwner", [owner, {"programId": program}, config]) for program in TOKEN_PROGRAMS
        ]
        answers = self._ask(lambda node: ask_together(node, calls))
        return tuple(token_account(item) for answer in answers for item in answer["value"].items())

    def mint(self, mint: Mint, commitment: Commitment = Commitment.CONFIRMED) -> MintInfo | None:
        """A mint account decoded, None if there is none at this address."""
        # The clock comes with it: a transfer fee in force depends on the epoch of the same slot.
        account, clock = self.accounts((Address(mint), CLOCK_SYSVAR), commitment)
        return None if account is None else decode_mint(account, clock)

    def lookup_tables(self, tables: Sequence[Address]) -> dict[Address, tuple[Address, ...]]:
        """Contents of address lookup tables.

        Raises:
            RpcRejectedError: One of them does not exist or is no lookup table.
        """
        return decode_lookup_tables(tables, self.accounts(tables))

    def signing_view(
        self,
        *,
        blockhash: str,
        wallet: Address,
        lookup_tables: Sequence[Address],
        accounts: Sequence[Address],
        beacon: Address,
    ) -> SigningView:
        """Everything that must be known before signing, from one node in one request."""
        asked = _at_most(MAX_ACCOUNTS, [*lookup_tables, *accounts], "getMultipleAccounts", "addresses")
        confirmed = {"commitment": Commitment.CONFIRMED.value}
        parsed = {**confirmed, "encoding": "jsonParsed"}
        calls: list[tuple[str, list[Any]]] = [
            ("isBlockhashValid", [blockhash, confirmed]),
            ("getEpochInfo", [confirmed]),
            ("getMultipleAccounts", [asked, {**confirmed, "encoding": "base64"}]),
            ("getSignaturesForAddress", [beacon, {"limit": 1, "commitment": Commitment.FINALIZED.value}]),
            *(("getTokenAccountsByOwner", [wallet, {"programId": program}, parsed]) for program in TOKEN_PROGRAMS),
        ]
        validity, epoch, found, history, *held = self._ask(lambda node: ask_together(node, calls))
        height_slot = epoch["absoluteSlot"].integer()
        if height_slot < validity.context_slot():
            # The questions of one request may be answered in any order, and a height from before the blockhash was
            # judged would make the bound on the transaction's life too low.
            raise NodeBehindError(
                f"the block height is of slot {height_slot}, the blockhash was judged in {validity.context_slot()}",
                subject=epoch.subject,
                fix="Ask again",
                node=epoch.node,
            )
        slot = found.context_slot()
        items = found["value"].items(len(asked))
        infos = tuple(account_info(Address(address), slot, item) for address, item in zip(asked, items, strict=True))
        controls = tuple(signature_record(item) for item in history.items())
        return SigningView(
            node=epoch.node,
            blockhash_valid=validity["value"].boolean(),
            block_height=epoch["blockHeight"].integer(),
            slot=height_slot,
            balances_slot=min(slot, *(answer.context_slot() for answer in held)),
            accounts=infos[len(lookup_tables) :],
            lookup_tables=decode_lookup_tables(lookup_tables, infos[: len(lookup_tables)]),
            token_accounts=tuple(token_account(item) for answer in held for item in answer["value"].items()),
            control=controls[0] if controls else None,
        )

    def minimum_rent(self, data_bytes: int) -> int:
        """Lamports that make an account of this size rent exempt, as of now."""
        return self._simple("getMinimumBalanceForRentExemption", data_bytes).integer()

    def fee_for_message(self, message: bytes) -> int | None:
        """Fee of a message in lamports; None when the node does not know its blockhash."""
        config = {"commitment": Commitment.CONFIRMED.value}
        return self._simple("getFeeForMessage", _base64(message), config)["value"].optional_integer()

    def recent_priority_fees(self, writable_accounts: Sequence[Address]) -> tuple[PriorityFeeSample, ...]:
        """Priority fees of recent slots that locked these accounts (stock nodes report each slot's minimum)."""
        asked = _at_most(MAX_FEE_ADDRESSES, writable_accounts, "getRecentPrioritizationFees", "addresses")
        answer = self._simple("getRecentPrioritizationFees", asked)
        return tuple(
            PriorityFeeSample(item["slot"].integer(), item["prioritizationFee"].integer()) for item in answer.items()
        )

    def genesis_hash(self) -> str:
        """Which cluster this is."""
        return _blockhash(self._simple("getGenesisHash"))

    def _simple(self, method: str, *params: Any) -> Answer:
        return self._ask(lambda node: ask(node, method, *params))


def _blockhash(answer: Answer) -> str:
    try:
        return str(Hash.from_string(answer.text()))
    except ValueError:
        answer.wrong("a hash")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _at_most(most: int, items: Sequence[str], method: str, what: str) -> list[str]:
    if len(items) > most:
        raise _refused(method, f"{len(items)} {what}, and one question takes {most}")
    return list(items)


def _refused(method: str, what: str) -> RpcRejectedError:
    return RpcRejectedError(what, subject=method, fix="Ask in smaller parts", code=-32602)
