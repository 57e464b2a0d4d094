"""What every code of `/execute` says, and what it does not say.

The question that matters is whether the transaction may have landed. Only code 0 and positive codes claim that it
did; *no* code proves that it did not. `-1000` and `-2000` ("failed to land") are the dangerous ones: Jupiter only
stopped watching, and a fresh order beside a transaction that lands late is a second fill. They are `POLL`.

Sources: developers.jup.ag, Swap API v2, "Order & execute" (0, -1..-3, -1000..-1004, -2000..-2004); Ultra API,
"Response" (-4, -5, -1005..-1007, -2005); Swap API, "Common errors" (program errors 6001..6025).
"""

from __future__ import annotations

from dataclasses import dataclass

from sniperforge.ports.exchange import ExecuteHint

_POLL_FIX = "Post the same bytes again within two minutes and ask the chain; sign nothing new until it is proven dead"
_BUG_FIX = "Stop and report it: the request was wrong, sending it again changes nothing"
_CHECK_FIX = "Ask the chain for the signature once the blockhash has expired, then quote again"
_VERIFY_FIX = "Read the transaction from the chain; its balances are the fill"
_FAILED_FIX = "Once it is finalized, a new attempt may be made; its fee is spent"


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """One row of the table: what to do, what it means, and what a person does about it."""

    hint: ExecuteHint
    meaning: str
    fix: str


def _poll(meaning: str) -> CodeMeaning:
    return CodeMeaning(ExecuteHint.POLL, meaning, _POLL_FIX)


def _bug(meaning: str, fix: str = _BUG_FIX) -> CodeMeaning:
    return CodeMeaning(ExecuteHint.BUG, meaning, fix)


def _check(meaning: str) -> CodeMeaning:
    return CodeMeaning(ExecuteHint.CHECK_THEN_REQUOTE, meaning, _CHECK_FIX)


def _failed(meaning: str, fix: str = _FAILED_FIX) -> CodeMeaning:
    return CodeMeaning(ExecuteHint.LANDED_WITH_ERROR, meaning, fix)


EXECUTE_CODES: dict[int, CodeMeaning] = {
    0: CodeMeaning(ExecuteHint.LANDED, "confirmed, not yet finalized", _VERIFY_FIX),
    # After a first post this would mean "never sent"; after a second it says nothing. Nobody can tell which it was.
    -1: _poll("the request id is unknown to Jupiter, or no longer"),
    -2: _bug("the signed transaction is invalid"),
    -3: _bug("the message differs from the one that was ordered"),
    -4: _bug("the request id is missing"),
    -5: _bug("the signed transaction is missing"),
    -1000: _poll("Jupiter did not see it land"),
    -1001: _poll("Jupiter reports an unknown error"),
    -1002: _check("Jupiter calls the transaction invalid"),
    -1003: _bug("the transaction is not fully signed", "Refuse orders that need another signature than the taker's"),
    -1004: _check("Jupiter calls the block height invalid"),
    -1005: _poll("Jupiter says it expired"),
    -1006: _poll("Jupiter timed out"),
    -1007: _bug("this wallet is not supported without gas", "Keep at least 0.01 SOL in the wallet for fees"),
    -2000: _poll("the market maker's fill was not seen to land"),
    -2001: _poll("the market maker's side reports an unknown error"),
    -2002: _bug("the market maker's side calls the request invalid"),
    # The maker may hold our signature until the quote's expiry and the blockhash have passed.
    -2003: _check("the market maker's quote has expired"),
    -2004: _check("the market maker declined"),
    -2005: _poll("the market maker's side reports an internal error"),
}
"""Every documented code that is not a program's own error."""

PROGRAM_ERRORS: dict[int, CodeMeaning] = {
    6001: _failed("slippage: the minimum output was not reached", "Once it is finalized, quote again"),
    6008: _failed("the swap instruction has too few accounts"),
    6014: _failed("wrong token program for a mint"),
    6017: _failed("the exact output amount was not matched"),
    6024: _failed("not enough of the input token", "Check the wallet's balance"),
    6025: _failed("a token account is invalid", "Check the wallet's token accounts"),
}
"""Custom errors of Jupiter's swap program (positive codes): the transaction landed and failed."""


def code_meaning(code: int) -> CodeMeaning:
    """What a code suggests. Unlisted positive codes are a program's error, unlisted negative ones mean "unknown"."""
    known = EXECUTE_CODES.get(code) or PROGRAM_ERRORS.get(code)
    if known is not None:
        return known
    if code > 0:
        return _failed(f"a program refused it with custom error {code}")
    return _poll(f"Jupiter answered the undocumented code {code}")
