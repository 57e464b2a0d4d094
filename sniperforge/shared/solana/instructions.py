"""What the instructions of the programs we know mean.

Layouts: System `SystemInstruction` (bincode, u32 tag; solana-system-interface), Token and Token-2022
`TokenInstruction` (u8 tag; spl-token-2022 `instruction.rs`), Associated Token (spl-associated-token-account),
Compute Budget (borsh, u8 tag; solana-compute-budget-interface), Memo (the bytes are the text),
Jupiter v6 (Anchor IDL of JUP6...: `route_v2`, `shared_accounts_route_v2`, `create_token_account`).

Programs ignore bytes after the ones they read, and so does this. What it cannot read it calls an
`OpaqueInstruction` or a `TokenOther`, never something harmless.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from solders.pubkey import Pubkey

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.transaction import (
    ASSOCIATED_TOKEN_PROGRAM,
    COMPUTE_BUDGET_PROGRAM,
    JUPITER_V6_PROGRAM,
    MEMO_PROGRAM,
    SYSTEM_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    AccountUse,
    Action,
    ComputeBudgetOther,
    ComputeUnitLimit,
    ComputeUnitPrice,
    CreateAssociatedAccount,
    JupiterCreateTokenAccount,
    JupiterSwap,
    Memo,
    NonceAdvance,
    NonceOther,
    OpaqueInstruction,
    SystemAllocate,
    SystemAssign,
    SystemCreateAccount,
    SystemTransfer,
    TokenApprove,
    TokenCloseAccount,
    TokenOther,
    TokenSetAuthority,
    TokenSyncNative,
    TokenTransfer,
)

HEAP_FRAME = 1
LOADED_ACCOUNTS_DATA_LIMIT = 4

# Anchor tags, the first 8 bytes of sha256("global:<name>"). Only the v2 routes put their amounts before the plan; the
# older ones end with them, and since programs ignore bytes after the end, an amount read from there could be forged.
_JUPITER_ROUTE_V2 = bytes.fromhex("bb64facc31c4af14")
_JUPITER_SHARED_ACCOUNTS_ROUTE_V2 = bytes.fromhex("d19853937cfed8e9")
_JUPITER_CREATE_TOKEN_ACCOUNT = bytes.fromhex("93f17b64f484ae76")

_Uses = Sequence[AccountUse]

_TOKEN_NAMES = {
    0: "initialize_mint",
    1: "initialize_account",
    2: "initialize_multisig",
    5: "revoke",
    7: "mint_to",
    8: "burn",
    10: "freeze_account",
    11: "thaw_account",
    14: "mint_to_checked",
    15: "burn_checked",
    16: "initialize_account_2",
    18: "initialize_account_3",
    19: "initialize_multisig_2",
    20: "initialize_mint_2",
    21: "get_account_data_size",
    22: "initialize_immutable_owner",
    23: "amount_to_ui_amount",
    24: "ui_amount_to_amount",
    25: "initialize_mint_close_authority",
    26: "transfer_fee_extension",
    27: "confidential_transfer_extension",
    28: "default_account_state_extension",
    29: "reallocate",
    30: "memo_transfer_extension",
    31: "create_native_mint",
    32: "initialize_non_transferable_mint",
    33: "interest_bearing_mint_extension",
    34: "cpi_guard_extension",
    35: "initialize_permanent_delegate",
    36: "transfer_hook_extension",
    38: "withdraw_excess_lamports",
    45: "unwrap_lamports",
    255: "batch",
}


class _Reader:
    """Little-endian fields in order; `IndexError` or `struct.error` when they run out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise IndexError(size)
        part = self._data[self._at : self._at + size]
        self._at += size
        return part

    def u8(self) -> int:
        return self._take(1)[0]

    def u16(self) -> int:
        return int(struct.unpack("<H", self._take(2))[0])

    def u32(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self._take(8))[0])

    def address(self) -> Address:
        return Address(str(Pubkey(self._take(32))))

    def text(self) -> str:
        return self._take(self.u64()).decode("utf-8", "replace")


def read_action(program: Address, accounts: _Uses, data: bytes) -> Action:
    """The meaning of one instruction; `OpaqueInstruction` where the program or its data is not understood."""
    read = _READERS.get(program)
    if read is not None:
        try:
            return read(program, accounts, data)
        except (IndexError, struct.error):
            # Too little data or too few accounts: the program would refuse it, and we claim nothing about it.
            return OpaqueInstruction(program, data)
    return OpaqueInstruction(program, data)


def _at(accounts: _Uses, index: int) -> Address:
    return accounts[index].address


def _read_system(program: Address, accounts: _Uses, data: bytes) -> Action:  # noqa: C901 (one case an instruction)
    reader = _Reader(data)
    match reader.u32():
        case 0:
            lamports, space, owner = reader.u64(), reader.u64(), reader.address()
            return SystemCreateAccount(_at(accounts, 0), _at(accounts, 1), lamports, space, owner)
        case 1:
            return SystemAssign(_at(accounts, 0), reader.address())
        case 2:
            return SystemTransfer(_at(accounts, 0), _at(accounts, 1), reader.u64())
        case 3:
            reader.address()
            reader.text()
            lamports, space, owner = reader.u64(), reader.u64(), reader.address()
            return SystemCreateAccount(_at(accounts, 0), _at(accounts, 1), lamports, space, owner)
        case 4:
            return NonceAdvance(_at(accounts, 0), _at(accounts, 2))
        case 5:
            return NonceOther("withdraw", _at(accounts, 0), _at(accounts, 4))
        case 6:
            return NonceOther("initialize", _at(accounts, 0), reader.address())
        case 7:
            return NonceOther("authorize", _at(accounts, 0), _at(accounts, 1))
        case 8:
            return SystemAllocate(_at(accounts, 0), reader.u64())
        case 9:
            reader.address()
            reader.text()
            reader.u64()
            return SystemAssign(_at(accounts, 0), reader.address())
        case 10:
            reader.address()
            reader.text()
            return SystemAssign(_at(accounts, 0), reader.address())
        case 11:
            return SystemTransfer(_at(accounts, 0), _at(accounts, 2), reader.u64())
        case 12:
            return NonceOther("upgrade", _at(accounts, 0), None)
        case _:
            return OpaqueInstruction(program, data)


def _read_token(program: Address, accounts: _Uses, data: bytes) -> Action:
    reader = _Reader(data)
    tag = reader.u8()
    match tag:
        case 3:
            return TokenTransfer(
                program, _at(accounts, 0), _at(accounts, 1), _at(accounts, 2), reader.u64(), None, None
            )
        case 4:
            return TokenApprove(program, _at(accounts, 0), _at(accounts, 1), _at(accounts, 2), reader.u64())
        case 6:
            kind, present = reader.u8(), reader.u8()
            new = reader.address() if present else None
            return TokenSetAuthority(program, _at(accounts, 0), _at(accounts, 1), kind, new)
        case 9:
            return TokenCloseAccount(program, _at(accounts, 0), _at(accounts, 1), _at(accounts, 2))
        case 12:
            return _transfer_checked(program, accounts, reader, with_fee=False)
        case 13:
            return TokenApprove(program, _at(accounts, 0), _at(accounts, 2), _at(accounts, 3), reader.u64())
        case 17:
            return TokenSyncNative(program, _at(accounts, 0))
        case 26 if program == TOKEN_2022_PROGRAM and data[1] == 1:
            reader.u8()
            return _transfer_checked(program, accounts, reader, with_fee=True)
        case _:
            return TokenOther(program, _TOKEN_NAMES.get(tag, f"unknown_{tag}"), tuple(accounts))


def _transfer_checked(program: Address, accounts: _Uses, reader: _Reader, *, with_fee: bool) -> TokenTransfer:
    amount, decimals = reader.u64(), reader.u8()
    return TokenTransfer(
        program=program,
        source=_at(accounts, 0),
        destination=_at(accounts, 2),
        authority=_at(accounts, 3),
        amount_raw=amount,
        mint=Mint(_at(accounts, 1)),
        decimals=decimals,
        fee_raw=reader.u64() if with_fee else None,
    )


def _read_associated(program: Address, accounts: _Uses, data: bytes) -> Action:
    tag = data[0] if data else 0
    if tag not in (0, 1):
        return OpaqueInstruction(program, data)
    return CreateAssociatedAccount(
        payer=_at(accounts, 0),
        account=_at(accounts, 1),
        owner=_at(accounts, 2),
        mint=Mint(_at(accounts, 3)),
        token_program=_at(accounts, 5),
        idempotent=tag == 1,
    )


def _read_compute_budget(program: Address, _accounts: _Uses, data: bytes) -> Action:
    reader = _Reader(data)
    match reader.u8():
        case 2:
            return ComputeUnitLimit(reader.u32())
        case 3:
            return ComputeUnitPrice(reader.u64())
        case (1 | 4) as tag:
            return ComputeBudgetOther(tag, reader.u32())
        case _:
            return OpaqueInstruction(program, data)


def _read_memo(_program: Address, _accounts: _Uses, data: bytes) -> Action:
    return Memo(data.decode("utf-8", "replace"))


def _read_jupiter(program: Address, accounts: _Uses, data: bytes) -> Action:
    tag, reader = data[:8], _Reader(data[8:])
    if tag == _JUPITER_CREATE_TOKEN_ACCOUNT:
        return JupiterCreateTokenAccount(_at(accounts, 0), _at(accounts, 1), Mint(_at(accounts, 2)))
    if tag == _JUPITER_ROUTE_V2:
        authority, source, mints = 0, 1, 3
        # Optional: where the output goes instead of the user's own account. Anchor writes the program's id for "none".
        destination = 2 if _at(accounts, 7) == program else 7
    elif tag == _JUPITER_SHARED_ACCOUNTS_ROUTE_V2:
        reader.u8()
        authority, source, destination, mints = 1, 2, 5, 6
    else:
        return OpaqueInstruction(program, data)
    return JupiterSwap(
        authority=_at(accounts, authority),
        source=_at(accounts, source),
        destination=_at(accounts, destination),
        source_mint=Mint(_at(accounts, mints)),
        destination_mint=Mint(_at(accounts, mints + 1)),
        in_raw=reader.u64(),
        quoted_out_raw=reader.u64(),
        slippage_bps=reader.u16(),
        platform_fee_bps=reader.u16(),
        positive_slippage_bps=reader.u16(),
    )


_READERS: dict[Address, Callable[[Address, _Uses, bytes], Action]] = {
    SYSTEM_PROGRAM: _read_system,
    TOKEN_PROGRAM: _read_token,
    TOKEN_2022_PROGRAM: _read_token,
    ASSOCIATED_TOKEN_PROGRAM: _read_associated,
    COMPUTE_BUDGET_PROGRAM: _read_compute_budget,
    MEMO_PROGRAM: _read_memo,
    JUPITER_V6_PROGRAM: _read_jupiter,
}
