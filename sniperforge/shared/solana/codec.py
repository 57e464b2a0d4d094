"""Transaction bytes to `DecodedTransaction` and back; solders knows the wire format, `instructions` the meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.message import (
    Message,
    MessageAddressTableLookup,
    MessageHeader,
    MessageV0,
    MessageV1,
    from_bytes_versioned,
    to_bytes_versioned,
)
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Signature
from sniperforge.domain.transaction import (
    AccountOrigin,
    AccountUse,
    ComputeBudgetOther,
    ComputeUnitLimit,
    ComputeUnitPrice,
    DecodedInstruction,
    DecodedTransaction,
    LookupTableUse,
)
from sniperforge.errors import CodecError
from sniperforge.ports.codec import LookupTables, PlainInstruction
from sniperforge.shared.solana.instructions import HEAP_FRAME, LOADED_ACCOUNTS_DATA_LIMIT, read_action

PACKET_BYTES = 1232
"""Largest serialized transaction of version 0: one IPv6 minimum MTU packet less headers (solana.com docs)."""

AnyMessage = Message | MessageV0 | MessageV1
Version = Literal["legacy", 0, 1]


class SoldersCodec:
    """The `TransactionCodec` of production.

    Example:
        >>> codec = SoldersCodec()
        >>> tables = {}  # contents of codec.lookup_tables_used(raw), read from the chain
        >>> decoded = codec.decode(raw, tables)  # doctest: +SKIP
        >>> decoded.fee_payer, decoded.programs  # doctest: +SKIP
    """

    def lookup_tables_used(self, transaction: bytes) -> tuple[Address, ...]:
        """See `TransactionCodec.lookup_tables_used`."""
        message = _parse(transaction).message
        return tuple(Address(str(lookup.account_key)) for lookup in _lookups(message))

    def recent_blockhash(self, transaction: bytes) -> str:
        """See `TransactionCodec.recent_blockhash`."""
        return str(_parse(transaction).message.recent_blockhash)

    def decode(self, transaction: bytes, lookup_tables: LookupTables) -> DecodedTransaction:
        """See `TransactionCodec.decode`."""
        parsed = _parse(transaction)
        message = parsed.message
        header = message.header
        static = tuple(Address(str(key)) for key in message.account_keys)
        tables = tuple(_resolve(lookup, lookup_tables) for lookup in _lookups(message))
        accounts = _account_uses(header, static, tables)
        instructions = tuple(_decode_instruction(item, accounts) for item in message.instructions)
        actions = [instruction.action for instruction in instructions]
        limit = next((action.units for action in actions if isinstance(action, ComputeUnitLimit)), None)
        price = next((action.micro_lamports for action in actions if isinstance(action, ComputeUnitPrice)), None)
        budget = {action.tag: action.value for action in actions if isinstance(action, ComputeBudgetOther)}
        heap, loaded, total_fee = budget.get(HEAP_FRAME), budget.get(LOADED_ACCOUNTS_DATA_LIMIT), None
        if isinstance(message, MessageV1):
            # Version 1 states its budget in the message; compute-budget instructions do nothing there (SIMD-0385).
            config = message.config
            limit, price, total_fee = config.compute_unit_limit, None, config.priority_fee
            heap, loaded = config.heap_size, config.loaded_accounts_data_size_limit
        raw_message = _message_bytes(message)
        return DecodedTransaction(
            version=_version(message),
            message=raw_message,
            message_sha256=hashlib.sha256(raw_message).digest(),
            signatures=tuple(_signature(item) for item in parsed.signatures),
            signers=static[: header.num_required_signatures],
            readonly_signed=header.num_readonly_signed_accounts,
            readonly_unsigned=header.num_readonly_unsigned_accounts,
            recent_blockhash=str(message.recent_blockhash),
            static_accounts=static,
            accounts=accounts,
            instructions=instructions,
            lookup_tables=tables,
            compute_unit_limit=limit,
            priority_fee_micro_lamports=price,
            priority_fee_lamports=total_fee,
            loaded_accounts_data_limit=loaded,
            heap_bytes=heap,
            programs=frozenset(instruction.program for instruction in instructions),
        )

    def encode_message(self, decoded: DecodedTransaction) -> bytes:
        """See `TransactionCodec.encode_message`."""
        if decoded.version != 0:
            raise CodecError(
                f"cannot write a message of version {decoded.version}", fix="Only version 0 messages are written"
            )
        place = {use.address: index for index, use in enumerate(decoded.accounts)}
        try:
            compiled = [
                CompiledInstruction(
                    program_id_index=place[item.program],
                    accounts=bytes(place[use.address] for use in item.accounts),
                    data=item.data,
                )
                for item in decoded.instructions
            ]
        except KeyError as missing:
            raise CodecError(
                "an instruction uses an account the transaction does not list", subject=missing.args[0]
            ) from None
        message = MessageV0(
            MessageHeader(len(decoded.signers), decoded.readonly_signed, decoded.readonly_unsigned),
            [_pubkey(address) for address in decoded.static_accounts],
            _blockhash(decoded.recent_blockhash),
            compiled,
            [
                MessageAddressTableLookup(
                    _pubkey(table.table), bytes(table.writable_indexes), bytes(table.readonly_indexes)
                )
                for table in decoded.lookup_tables
            ],
        )
        return to_bytes_versioned(message)

    def compile_message(
        self,
        *,
        payer: Address,
        instructions: Sequence[PlainInstruction],
        lookup_tables: LookupTables,
        blockhash: str,
    ) -> bytes:
        """See `TransactionCodec.compile_message`."""
        plain = [
            Instruction(
                _pubkey(item.program),
                item.data,
                [AccountMeta(_pubkey(use.address), use.is_signer, use.is_writable) for use in item.accounts],
            )
            for item in instructions
        ]
        tables = [
            AddressLookupTableAccount(_pubkey(table), [_pubkey(address) for address in addresses])
            for table, addresses in lookup_tables.items()
        ]
        try:
            message = MessageV0.try_compile(_pubkey(payer), plain, tables, _blockhash(blockhash))
        except Exception as error:  # solders' CompileError derives from Exception only
            raise CodecError(f"the instructions do not make a message: {error}") from error
        raw = to_bytes_versioned(message)
        size = len(raw) + 1 + 64 * message.header.num_required_signatures
        if size > PACKET_BYTES:
            raise CodecError(
                f"the transaction would have {size} bytes, more than {PACKET_BYTES}",
                fix="Use fewer accounts or add lookup tables",
            )
        return raw

    def assemble(self, message: bytes, signatures: Mapping[Address, Signature]) -> bytes:
        """See `TransactionCodec.assemble`."""
        parsed = _parse_message(message)
        signers = [str(key) for key in parsed.account_keys[: parsed.header.num_required_signatures]]
        strangers = set(signatures) - set(signers)
        if strangers:
            raise CodecError("a signature of a key that need not sign", subject=", ".join(sorted(strangers)))
        slots = [
            SoldersSignature.from_string(signatures[Address(signer)])
            if signer in signatures
            else SoldersSignature.default()
            for signer in signers
        ]
        return bytes(VersionedTransaction.populate(parsed, slots))


def _parse(transaction: bytes) -> VersionedTransaction:
    try:
        parsed = VersionedTransaction.from_bytes(transaction)
    except Exception as error:  # solders raises its own BincodeError/SerdeError, both plain Exceptions
        raise CodecError(f"these {len(transaction)} bytes are no transaction: {error}") from error
    if bytes(parsed) != transaction:
        raise CodecError("the bytes do not survive being read and written again", fix="Refuse this transaction")
    if len(parsed.signatures) != parsed.message.header.num_required_signatures:
        raise CodecError("the number of signatures is not what the header asks for")
    return parsed


def _parse_message(message: bytes) -> AnyMessage:
    try:
        parsed = from_bytes_versioned(message)
    except Exception as error:  # as above
        raise CodecError(f"these {len(message)} bytes are no message: {error}") from error
    if _message_bytes(parsed) != message:
        raise CodecError("the message does not survive being read and written again", fix="Refuse it")
    return parsed


def _message_bytes(message: AnyMessage) -> bytes:
    return bytes(message) if isinstance(message, Message) else to_bytes_versioned(message)


def _version(message: AnyMessage) -> Version:
    if isinstance(message, MessageV0):
        return 0
    return 1 if isinstance(message, MessageV1) else "legacy"


def _lookups(message: AnyMessage) -> Sequence[MessageAddressTableLookup]:
    return message.address_table_lookups if isinstance(message, MessageV0) else ()


def _resolve(lookup: MessageAddressTableLookup, tables: LookupTables) -> LookupTableUse:
    table = Address(str(lookup.account_key))
    if table not in tables:
        raise CodecError("the contents of this lookup table are needed", subject=table, fix="Read it from the chain")
    contents = tables[table]
    writable, readonly = tuple(lookup.writable_indexes), tuple(lookup.readonly_indexes)
    beyond = [index for index in (*writable, *readonly) if index >= len(contents)]
    if beyond:
        raise CodecError(f"index {beyond[0]} lies beyond its {len(contents)} addresses", subject=table)
    return LookupTableUse(
        table=table,
        writable_indexes=writable,
        readonly_indexes=readonly,
        writable=tuple(contents[index] for index in writable),
        readonly=tuple(contents[index] for index in readonly),
    )


def _account_uses(
    header: MessageHeader, static: Sequence[Address], tables: Sequence[LookupTableUse]
) -> tuple[AccountUse, ...]:
    required = header.num_required_signatures
    writable_signers = required - header.num_readonly_signed_accounts
    writable_others = len(static) - header.num_readonly_unsigned_accounts
    if not 0 < writable_signers <= required <= writable_others <= len(static):
        raise CodecError("the header contradicts itself")
    uses = [
        AccountUse(
            address=address,
            is_signer=index < required,
            is_writable=index < writable_signers or required <= index < writable_others,
        )
        for index, address in enumerate(static)
    ]
    loaded = AccountOrigin.LOOKUP_TABLE
    uses += [AccountUse(address, False, True, loaded) for table in tables for address in table.writable]
    uses += [AccountUse(address, False, False, loaded) for table in tables for address in table.readonly]
    if len({use.address for use in uses}) != len(uses):
        # The runtime refuses such a transaction (AccountLoadedTwice); for us it would be ambiguous as well.
        raise CodecError("an account is listed twice")
    return tuple(uses)


def _decode_instruction(item: CompiledInstruction, accounts: Sequence[AccountUse]) -> DecodedInstruction:
    indexes = (item.program_id_index, *item.accounts)
    if max(indexes) >= len(accounts):
        raise CodecError(f"an instruction names account {max(indexes)} of {len(accounts)}")
    program = accounts[item.program_id_index].address
    uses = tuple(accounts[index] for index in item.accounts)
    data = bytes(item.data)
    return DecodedInstruction(program=program, accounts=uses, data=data, action=read_action(program, uses, data))


def _signature(signature: SoldersSignature) -> Signature | None:
    return None if signature == SoldersSignature.default() else Signature(str(signature))


def _pubkey(address: str) -> Pubkey:
    try:
        return Pubkey.from_string(address)
    except ValueError as error:
        raise CodecError("not a Solana address", subject=address) from error


def _blockhash(text: str) -> Hash:
    try:
        return Hash.from_string(text)
    except Exception as error:  # solders' ParseHashError derives from Exception only
        raise CodecError("not a blockhash", subject=text) from error
