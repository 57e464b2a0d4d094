"""Reading the history of addresses from a node."""

from __future__ import annotations

from collections.abc import Iterator

from sniperforge.domain.money import Address, Signature
from sniperforge.ports.chain import Commitment, LandedTransaction, PinnedNode, SignatureRecord

PAGE = 1_000
"""Most records of one answer (solana.com/docs/rpc/http/getsignaturesforaddress)."""


def records_after(
    node: PinnedNode, address: Address, *, slot: int, until: Signature | None
) -> Iterator[SignatureRecord]:
    """Finalized transactions of later slots that name `address`, newest first.

    Args:
        node: Who is asked.
        address: Whose history.
        slot: Only later slots than this one.
        until: A transaction of this slot or an earlier one at which the node may stop looking. It need not be in this
            address's history: nodes go by its place in the chain.
    """
    before = None
    # An empty page is the end. A short one need not be: nodes put pages together from several storages.
    while page := node.signatures_for_address(
        address, before=before, until=until, limit=PAGE, commitment=Commitment.FINALIZED
    ):
        for record in page:
            if record.slot <= slot:
                return
            yield record
        before = page[-1].signature


def knows(node: PinnedNode, signature: Signature | None) -> bool:
    """Whether the node's memory reaches back to this transaction; None is the beginning of everything."""
    if signature is None:
        return True
    return node.signature_statuses([signature], search_history=True).statuses[0] is not None


def signers(landed: LandedTransaction) -> tuple[Address, ...]:
    """Whose signatures the transaction bears.

    They come first among the accounts. How many there are is the first byte of a legacy or version 0 transaction (a
    compact count, and no packet has room for 128), and the one after the prefix of version 1 (SIMD-0385).
    """
    count = landed.transaction[1 if landed.version == 1 else 0]
    return landed.accounts[:count]


def token_accounts_in(landed: LandedTransaction, wallet: Address) -> frozenset[Address]:
    """Token accounts of `wallet` that a transaction names, those it opened or closed included."""
    return frozenset(token.account for token in landed.pre_tokens + landed.post_tokens if token.owner == wallet)
