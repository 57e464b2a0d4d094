"""JSON-RPC errors with the codes, messages and `data` of a validator (Agave, `rpc-client-api/src/custom_error.rs`)."""

from __future__ import annotations

from typing import Any

from sniperforge.sandbox.chain import TransactionErrorJson

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class RpcError(Exception):
    """An error answer: `code`, `message` and, for some codes, `data`."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """The `error` member of the answer."""
        body = {"code": self.code, "message": self.message}
        return body if self.data is None else {**body, "data": self.data}


def invalid_params(message: str) -> RpcError:
    """Parameters that cannot be used as they are."""
    return RpcError(INVALID_PARAMS, message)


def block_cleaned_up(slot: int, first: int) -> RpcError:
    """The node has forgotten this slot."""
    return RpcError(-32001, f"Block {slot} cleaned up, does not exist on node. First available block: {first}")


def preflight_failed(err: TransactionErrorJson, data: dict[str, Any]) -> RpcError:
    """The node simulated the transaction, did not like the result and forwarded nothing."""
    return RpcError(-32002, f"Transaction simulation failed: {transaction_error_text(err)}", data)


def signature_verification_failed() -> RpcError:
    """A signature does not belong to its key and message."""
    return RpcError(-32003, "Transaction signature verification failure")


def block_not_available(slot: int) -> RpcError:
    """The slot lies in the future of this node, or below the asked commitment."""
    return RpcError(-32004, f"Block not available for slot {slot}")


def node_behind(slots: int) -> RpcError:
    """The node lags behind the cluster."""
    return RpcError(-32005, f"Node is behind by {slots} slots", {"numSlotsBehind": slots})


def slot_skipped(slot: int) -> RpcError:
    """The slot has no block."""
    return RpcError(-32007, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")


def unsupported_version(version: int) -> RpcError:
    """The transaction's version is above what the client said it can read."""
    return RpcError(
        -32015,
        f"Transaction version ({version}) is not supported by the requesting client. Please try the request again "
        f'with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
    )


def min_context_slot_not_reached(context_slot: int) -> RpcError:
    """The node has not reached the slot that the client demands."""
    return RpcError(-32016, "Minimum context slot has not been reached", {"contextSlot": context_slot})


_PLAIN = {
    "AccountInUse": "Account in use",
    "AccountLoadedTwice": "Account loaded twice",
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "CallChainTooDeep": "Loader call chain is too deep",
    "MissingSignatureForFee": "Transaction requires a fee but has no signature present",
    "InvalidAccountIndex": "Transaction contains an invalid account reference",
    "SignatureFailure": "Transaction did not pass signature verification",
    "InvalidProgramForExecution": "This program may not be used for executing instructions",
    "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
    "ClusterMaintenance": "Transactions are currently disabled due to cluster maintenance",
    "TooManyAccountLocks": "Transaction locked too many accounts",
    "AddressLookupTableNotFound": "Transaction loads an address table account that doesn't exist",
    "InvalidAddressLookupTableOwner": "Transaction loads an address table account with an invalid owner",
    "InvalidAddressLookupTableData": "Transaction loads an address table account with invalid data",
    "InvalidAddressLookupTableIndex": "Transaction address table lookup uses an invalid index",
    "InvalidRentPayingAccount": "Transaction leaves an account with a lower balance than rent-exempt minimum",
    "MaxLoadedAccountsDataSizeExceeded": "Transaction exceeded max loaded accounts data size cap",
    "UnsupportedVersion": "Transaction version is unsupported",
}
_INSTRUCTION = {
    "GenericError": "generic instruction error",
    "InvalidArgument": "invalid program argument",
    "InvalidInstructionData": "invalid instruction data",
    "InvalidAccountData": "invalid account data for instruction",
    "AccountDataTooSmall": "account data too small for instruction",
    "InsufficientFunds": "insufficient funds for instruction",
    "IncorrectProgramId": "incorrect program id for instruction",
    "MissingRequiredSignature": "missing required signature for instruction",
    "AccountAlreadyInitialized": "instruction requires an uninitialized account",
    "UninitializedAccount": "instruction requires an initialized account",
    "UnbalancedInstruction": "sum of account balances before and after instruction do not match",
    "NotEnoughAccountKeys": "insufficient account keys for instruction",
    "ProgramFailedToComplete": "Program failed to complete",
    "ComputationalBudgetExceeded": "Computational budget exceeded",
    "PrivilegeEscalation": "Cross-program invocation with unauthorized signer or writable account",
    "InvalidAccountOwner": "Invalid account owner",
    "ArithmeticOverflow": "Program arithmetic overflowed",
    "IllegalOwner": "Provided owner is not allowed",
    "UnsupportedProgramId": "Unsupported program id",
}


def transaction_error_text(err: TransactionErrorJson) -> str:
    """A transaction error as validators word it in messages."""
    if isinstance(err, str):
        return _PLAIN.get(err, err)
    name, detail = next(iter(err.items()))
    if name == "InstructionError":
        index, inner = detail
        if isinstance(inner, dict) and "Custom" in inner:
            text = f"custom program error: {inner['Custom']:#x}"
        else:
            text = _INSTRUCTION.get(inner, inner) if isinstance(inner, str) else str(inner)
        return f"Error processing Instruction {index}: {text}"
    if name == "DuplicateInstruction":
        return f"Transaction contains a duplicate instruction ({detail}) that is not allowed"
    if name == "InsufficientFundsForRent":
        return f"Transaction results in an account ({detail['account_index']}) with insufficient funds for rent"
    return name
