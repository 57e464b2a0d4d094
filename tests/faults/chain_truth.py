"""A wallet's finalized balances and history, asked of a node in plain JSON-RPC: no line of the product helps here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

NATIVE = "native"
TOKEN_PROGRAMS = ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
_FINAL = {"commitment": "finalized"}
_TRIES = 20


@dataclass(frozen=True)
class Landing:
    """A finalized transaction of the wallet's history: what it changed, by asset (zeros left out)."""

    signature: str
    slot: int
    failed: bool
    fee: int
    signers: tuple[str, ...]
    change: Mapping[str, int]


class ChainTruth:
    """One node.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def finalized_slot(self) -> int:
        """The newest finalized slot."""
        slot: int = self._ask("getSlot", _FINAL)
        return slot

    def balances(self, wallet: str) -> dict[str, int]:
        """Lamports of the wallet's own account and base units by mint, zeros left out."""
        held = Counter({NATIVE: self._ask("getBalance", wallet, _FINAL)["value"]})
        for info in self._token_accounts(wallet).values():
            held[info["mint"]] += int(info["tokenAmount"]["amount"])
        return {asset: raw for asset, raw in held.items() if raw}

    def history(self, wallet: str) -> list[Landing]:
        """Every finalized transaction that names the wallet or one of its token accounts, oldest first."""
        signatures = {
            entry["signature"]
            for address in (wallet, *self._token_accounts(wallet))
            for entry in self._ask("getSignaturesForAddress", address, {"limit": 1000, **_FINAL})
        }
        landings = [self._landing(signature, wallet) for signature in signatures]
        return sorted(landings, key=lambda landing: landing.slot)

    def _token_accounts(self, wallet: str) -> dict[str, Any]:
        return {
            found["pubkey"]: found["account"]["data"]["parsed"]["info"]
            for program in TOKEN_PROGRAMS
            for found in self._ask(
                "getTokenAccountsByOwner", wallet, {"programId": program}, {"encoding": "jsonParsed", **_FINAL}
            )["value"]
        }

    def _landing(self, signature: str, wallet: str) -> Landing:
        options = {"encoding": "json", "maxSupportedTransactionVersion": 0, **_FINAL}
        told = self._ask("getTransaction", signature, options)
        message, meta = told["transaction"]["message"], told["meta"]
        loaded = meta.get("loadedAddresses") or {"writable": [], "readonly": []}
        keys = [*message["accountKeys"], *loaded["writable"], *loaded["readonly"]]
        change: Counter[str] = Counter()
        if wallet in keys:
            place = keys.index(wallet)
            change[NATIVE] += meta["postBalances"][place] - meta["preBalances"][place]
        for sign, side in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
            for token in meta[side]:
                if token["owner"] == wallet:
                    change[token["mint"]] += sign * int(token["uiTokenAmount"]["amount"])
        return Landing(
            signature=signature,
            slot=told["slot"],
            failed=meta["err"] is not None,
            fee=meta["fee"],
            signers=tuple(message["accountKeys"][: message["header"]["numRequiredSignatures"]]),
            change={asset: raw for asset, raw in change.items() if raw},
        )

    def _ask(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        for _ in range(_TRIES):
            try:
                answer = self._client.post(self._url, json=body).json()
            except (httpx.HTTPError, ValueError):
                time.sleep(0.05)
                continue
            return answer["result"]
        raise AssertionError(f"{self._url} does not answer {method}")
