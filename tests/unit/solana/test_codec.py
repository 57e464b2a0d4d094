"""The codec on the shapes that really occur, and on rubbish."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.keypair import Keypair
from solders.message import (
    Message,
    MessageAddressTableLookup,
    MessageHeader,
    MessageV0,
    MessageV1,
    TransactionConfig,
    to_bytes_versioned,
)
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.system_program import (
    AdvanceNonceAccountParams,
    AssignParams,
    TransferParams,
    advance_nonce_account,
    assign,
    transfer,
)
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.transaction import (
    ASSOCIATED_TOKEN_PROGRAM,
    JUPITER_V6_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    AccountOrigin,
    AccountUse,
    ComputeUnitLimit,
    CreateAssociatedAccount,
    JupiterCreateTokenAccount,
    JupiterSwap,
    NonceAdvance,
    OpaqueInstruction,
    SystemAssign,
    SystemTransfer,
    TokenApprove,
    TokenCloseAccount,
    TokenOther,
    TokenSetAuthority,
    TokenSyncNative,
    TokenTransfer,
)
from sniperforge.errors import CodecError
from sniperforge.ports.codec import PlainInstruction
from sniperforge.shared.solana.codec import SoldersCodec

CODEC = SoldersCodec()
TAKER = Keypair.from_seed(bytes([7] * 32))
ROUTE_TAG = bytes.fromhex("bb64facc31c4af14")


def key(number: int) -> Pubkey:
    return Pubkey(number.to_bytes(32, "big"))


def address(number: int) -> Address:
    return Address(str(key(number)))


def program(text: str) -> Pubkey:
    return Pubkey.from_string(text)


def unsigned(message: Message | MessageV0 | MessageV1) -> bytes:
    count = message.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message, [SoldersSignature.default()] * count))


def single(instruction: Instruction) -> bytes:
    return unsigned(MessageV0.try_compile(TAKER.pubkey(), [instruction], [], Hash.default()))


def metas(*numbers: int, signer: bool = False) -> list[AccountMeta]:
    return [AccountMeta(key(number), False, True) for number in numbers[:-1]] + [
        AccountMeta(TAKER.pubkey() if signer else key(numbers[-1]), signer, False)
    ]


def jupiter_route() -> tuple[bytes, dict[Address, tuple[Address, ...]]]:
    """A swap as Jupiter's Metis router builds it: budget, ATA, wSOL in, route over three lookup tables, wSOL closed."""
    tables = {address(9000 + t): tuple(address(1000 * (t + 1) + i) for i in range(30)) for t in range(3)}
    wsol_account = key(50)
    route_accounts = [AccountMeta(TAKER.pubkey(), True, True), AccountMeta(wsol_account, False, True)]
    route_accounts += [AccountMeta(key(number), False, number == 51) for number in (51, 60, 61, 62, 63)]
    route_accounts += [AccountMeta(program(JUPITER_V6_PROGRAM), False, False)]
    for t in range(3):
        route_accounts += [AccountMeta(key(1000 * (t + 1) + i), False, i % 2 == 0) for i in (3, 4, 11)]
    instructions = [
        set_compute_unit_limit(98_000),
        set_compute_unit_price(12_345),
        Instruction(
            program(ASSOCIATED_TOKEN_PROGRAM),
            b"\x01",
            [
                AccountMeta(TAKER.pubkey(), True, True),
                AccountMeta(wsol_account, False, True),
                AccountMeta(TAKER.pubkey(), False, False),
                AccountMeta(key(60), False, False),
                AccountMeta(key(0), False, False),
                AccountMeta(program(TOKEN_PROGRAM), False, False),
            ],
        ),
        transfer(TransferParams(from_pubkey=TAKER.pubkey(), to_pubkey=wsol_account, lamports=25)),
        Instruction(program(TOKEN_PROGRAM), b"\x11", [AccountMeta(wsol_account, False, True)]),
        Instruction(
            program(JUPITER_V6_PROGRAM), ROUTE_TAG + struct.pack("<QQHHHI", 25, 4_001, 26, 2, 0, 0), route_accounts
        ),
        Instruction(
            program(TOKEN_PROGRAM),
            b"\x09",
            [
                AccountMeta(wsol_account, False, True),
                AccountMeta(TAKER.pubkey(), False, True),
                AccountMeta(TAKER.pubkey(), True, False),
            ],
        ),
    ]
    lookup = [
        AddressLookupTableAccount(program(table), [program(item) for item in items]) for table, items in tables.items()
    ]
    message = MessageV0.try_compile(TAKER.pubkey(), instructions, lookup, Hash(bytes([3] * 32)))
    return unsigned(message), tables


def test_a_jupiter_route_over_three_lookup_tables_is_read_whole() -> None:
    raw, tables = jupiter_route()
    assert set(CODEC.lookup_tables_used(raw)) == set(tables)
    decoded = CODEC.decode(raw, tables)
    taker = str(TAKER.pubkey())
    assert decoded.version == 0
    assert decoded.signers == (taker,)
    assert decoded.fee_payer == taker
    assert decoded.signatures == (None,)
    assert decoded.compute_unit_limit == 98_000
    assert decoded.priority_fee_micro_lamports == 12_345
    assert JUPITER_V6_PROGRAM in decoded.programs
    actions = [item.action for item in decoded.instructions]
    assert isinstance(actions[2], CreateAssociatedAccount)
    assert actions[2].idempotent
    assert actions[3] == SystemTransfer(Address(taker), address(50), 25)
    assert actions[4] == TokenSyncNative(TOKEN_PROGRAM, address(50))
    swap = actions[5]
    assert isinstance(swap, JupiterSwap)
    assert (swap.authority, swap.source, swap.destination) == (taker, address(50), address(51))
    assert (swap.source_mint, swap.destination_mint) == (Mint(address(60)), Mint(address(61)))
    assert (swap.in_raw, swap.quoted_out_raw, swap.slippage_bps, swap.platform_fee_bps) == (25, 4_001, 26, 2)
    assert swap.min_out_raw == 3_991  # 4001 * 0.9974 = 3990.5974, rounded up
    assert actions[6] == TokenCloseAccount(TOKEN_PROGRAM, address(50), Address(taker), Address(taker))
    route = decoded.instructions[5].accounts
    assert [use.address for use in route[8:]] == [
        table_address for t in range(3) for table_address in (address(1000 * (t + 1) + i) for i in (3, 4, 11))
    ]
    assert [use.is_writable for use in route[8:]] == [False, True, False] * 3
    assert all(use.origin is AccountOrigin.LOOKUP_TABLE for use in route[8:])


def test_a_version_0_message_is_written_back_to_the_same_bytes() -> None:
    raw, tables = jupiter_route()
    decoded = CODEC.decode(raw, tables)
    assert CODEC.encode_message(decoded) == decoded.message
    assert raw.endswith(decoded.message)


def test_a_table_that_resolves_elsewhere_shows_other_accounts() -> None:
    raw, tables = jupiter_route()
    table = next(iter(tables))
    evil = tables | {table: tuple(address(66_000 + i) for i in range(30))}
    honest, shifted = CODEC.decode(raw, tables), CODEC.decode(raw, evil)
    assert honest.message == shifted.message
    assert honest.accounts != shifted.accounts


def test_a_missing_or_short_lookup_table_is_refused() -> None:
    raw, tables = jupiter_route()
    table = next(iter(tables))
    with pytest.raises(CodecError, match="needed"):
        CODEC.decode(raw, {name: items for name, items in tables.items() if name != table})
    with pytest.raises(CodecError, match="beyond"):
        CODEC.decode(raw, tables | {table: tables[table][:5]})


def test_version_1_states_its_budget_in_the_message() -> None:
    message = MessageV1(
        MessageHeader(1, 0, 1),
        TransactionConfig(compute_unit_limit=77_000, priority_fee=4_321, loaded_accounts_data_size_limit=65_536),
        Hash(bytes([5] * 32)),
        [TAKER.pubkey(), key(12), key(0)],
        [CompiledInstruction(2, struct.pack("<IQ", 2, 900), bytes([0, 1]))],
    )
    decoded = CODEC.decode(unsigned(message), {})
    assert decoded.version == 1
    assert decoded.compute_unit_limit == 77_000
    assert decoded.priority_fee_lamports == 4_321
    assert decoded.priority_fee_micro_lamports is None
    assert decoded.loaded_accounts_data_limit == 65_536
    assert decoded.instructions[0].action == SystemTransfer(Address(str(TAKER.pubkey())), address(12), 900)
    with pytest.raises(CodecError, match="version 1"):
        CODEC.encode_message(decoded)


def test_a_legacy_message_is_read() -> None:
    message = Message.new_with_blockhash(
        [transfer(TransferParams(from_pubkey=TAKER.pubkey(), to_pubkey=key(4), lamports=1))],
        TAKER.pubkey(),
        Hash.default(),
    )
    decoded = CODEC.decode(unsigned(message), {})
    assert decoded.version == "legacy"
    assert decoded.message == bytes(message)


def test_a_token_2022_transfer_with_fee_is_read() -> None:
    data = bytes([26, 1]) + struct.pack("<QBQ", 1_000, 6, 10)
    decoded = CODEC.decode(single(Instruction(program(TOKEN_2022_PROGRAM), data, metas(1, 2, 3, 4, signer=True))), {})
    assert decoded.instructions[0].action == TokenTransfer(
        program=TOKEN_2022_PROGRAM,
        source=address(1),
        destination=address(3),
        authority=Address(str(TAKER.pubkey())),
        amount_raw=1_000,
        mint=Mint(address(2)),
        decimals=6,
        fee_raw=10,
    )


def test_an_undying_transaction_is_recognised() -> None:
    advance = advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=key(70), authorized_pubkey=TAKER.pubkey()))
    pay = transfer(TransferParams(from_pubkey=TAKER.pubkey(), to_pubkey=key(4), lamports=1))
    message = MessageV0.try_compile(TAKER.pubkey(), [advance, pay], [], Hash.default())
    assert CODEC.decode(unsigned(message), {}).durable_nonce == NonceAdvance(address(70), Address(str(TAKER.pubkey())))
    later = MessageV0.try_compile(TAKER.pubkey(), [pay, advance], [], Hash.default())
    assert CODEC.decode(unsigned(later), {}).durable_nonce is None


@pytest.mark.parametrize(
    ("data", "accounts", "kind"),
    [
        (bytes([3]) + struct.pack("<Q", 5), (1, 2, 3), TokenTransfer),
        (bytes([4]) + struct.pack("<Q", 5), (1, 2, 3), TokenApprove),
        (bytes([13]) + struct.pack("<QB", 5, 6), (1, 2, 3, 4), TokenApprove),
        (bytes([6, 2, 1]) + bytes(32), (1, 2), TokenSetAuthority),
        (bytes([6, 2, 0]), (1, 2), TokenSetAuthority),
        (bytes([9]), (1, 2, 3), TokenCloseAccount),
        (bytes([17]), (1,), TokenSyncNative),
        (bytes([7]) + struct.pack("<Q", 5), (1, 2, 3), TokenOther),
        (bytes([255]), (1, 2, 3), TokenOther),
        (bytes([199]), (1,), TokenOther),
        (bytes([3, 1]), (1, 2, 3), OpaqueInstruction),
        (bytes([3]) + struct.pack("<Q", 5), (1, 2), OpaqueInstruction),
        (b"", (1,), OpaqueInstruction),
    ],
)
def test_token_instructions_have_their_meaning(data: bytes, accounts: tuple[int, ...], kind: type) -> None:
    instruction = Instruction(program(TOKEN_PROGRAM), data, metas(*accounts))
    assert type(CODEC.decode(single(instruction), {}).instructions[0].action) is kind


def test_handing_an_account_to_another_program_is_seen() -> None:
    instruction = assign(AssignParams(pubkey=TAKER.pubkey(), owner=key(99)))
    action = CODEC.decode(single(instruction), {}).instructions[0].action
    assert action == SystemAssign(Address(str(TAKER.pubkey())), address(99))


def test_bytes_after_the_transaction_are_refused() -> None:
    raw, _ = jupiter_route()
    with pytest.raises(CodecError):
        CODEC.lookup_tables_used(raw + b"\0")


def test_an_account_listed_twice_is_refused() -> None:
    raw, tables = jupiter_route()
    first = next(iter(tables))
    static = CODEC.decode(raw, tables).static_accounts[1]
    with pytest.raises(CodecError, match="twice"):
        CODEC.decode(raw, tables | {first: (static,) * 30})


def test_a_signature_goes_into_its_own_slot_only() -> None:
    raw, tables = jupiter_route()
    decoded = CODEC.decode(raw, tables)
    signature = Signature(str(TAKER.sign_message(decoded.message)))
    signed = CODEC.assemble(decoded.message, {decoded.fee_payer: signature})
    parsed = VersionedTransaction.from_bytes(signed)
    assert parsed.verify_with_results() == [True]
    assert CODEC.decode(signed, tables).signatures == (signature,)
    assert CODEC.assemble(decoded.message, {}) == raw
    with pytest.raises(CodecError, match="need not sign"):
        CODEC.assemble(decoded.message, {address(5): signature})


def test_our_own_message_compiles_and_reads_back() -> None:
    taker = Address(str(TAKER.pubkey()))
    plain = PlainInstruction(program=TOKEN_PROGRAM, accounts=(AccountUse(address(1), False, True),), data=bytes([17]))
    message = CODEC.compile_message(
        payer=taker, instructions=[plain], lookup_tables={}, blockhash=str(Hash(bytes([9] * 32)))
    )
    decoded = CODEC.decode(CODEC.assemble(message, {}), {})
    assert decoded.fee_payer == taker
    assert decoded.instructions[0].action == TokenSyncNative(TOKEN_PROGRAM, address(1))


def test_a_message_that_does_not_fit_a_packet_is_refused() -> None:
    plain = PlainInstruction(program=TOKEN_PROGRAM, accounts=(), data=bytes(1300))
    with pytest.raises(CodecError, match="1232"):
        CODEC.compile_message(
            payer=Address(str(TAKER.pubkey())), instructions=[plain], lookup_tables={}, blockhash=str(Hash.default())
        )


@pytest.mark.parametrize("blockhash", ["", "abc", "0OIl"])
def test_a_malformed_blockhash_or_address_is_a_codec_error(blockhash: str) -> None:
    with pytest.raises(CodecError):
        CODEC.compile_message(
            payer=Address(str(TAKER.pubkey())), instructions=[], lookup_tables={}, blockhash=blockhash
        )
    with pytest.raises(CodecError):
        CODEC.compile_message(
            payer=Address(blockhash), instructions=[], lookup_tables={}, blockhash=str(Hash.default())
        )


@given(st.binary(max_size=400))
def test_rubbish_is_a_codec_error_and_nothing_else(raw: bytes) -> None:
    try:
        for table in CODEC.lookup_tables_used(raw):
            assert table
    except CodecError:
        pass


@given(flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_damaged_transaction_is_refused_or_read_as_what_its_bytes_say(flips: list[tuple[int, int]]) -> None:
    raw, tables = jupiter_route()
    damaged = bytearray(raw)
    for position, mask in flips:
        damaged[position % len(raw)] ^= mask
    try:
        decoded = CODEC.decode(bytes(damaged), tables)
    except CodecError:
        return
    assert bytes(damaged).endswith(decoded.message) or decoded.version == 1


@st.composite
def messages(draw: st.DrawFn) -> tuple[MessageV0, dict[Address, tuple[Address, ...]]]:
    """Any well-formed version 0 message: random header, accounts, tables and instructions."""
    static = draw(st.integers(1, 12))
    required = draw(st.integers(1, static))
    readonly_signed = draw(st.integers(0, required - 1))
    readonly_unsigned = draw(st.integers(0, static - required))
    tables: dict[Address, tuple[Address, ...]] = {}
    lookups = []
    loaded = 0
    for number in range(draw(st.integers(0, 3))):
        table = address(50_000 + number)
        contents = tuple(address(10_000 * (number + 1) + i) for i in range(20))
        indexes = draw(st.lists(st.integers(0, 19), unique=True, min_size=1, max_size=8))
        cut = draw(st.integers(0, len(indexes)))
        tables[table] = contents
        lookups.append(MessageAddressTableLookup(program(table), bytes(indexes[:cut]), bytes(indexes[cut:])))
        loaded += len(indexes)
    total = static + loaded
    instruction = st.builds(
        CompiledInstruction,
        program_id_index=st.integers(0, total - 1),
        accounts=st.lists(st.integers(0, total - 1), max_size=12).map(bytes),
        data=st.binary(max_size=40),
    )
    message = MessageV0(
        MessageHeader(required, readonly_signed, readonly_unsigned),
        [key(200 + i) for i in range(static)],
        Hash(draw(st.binary(min_size=32, max_size=32))),
        draw(st.lists(instruction, max_size=6)),
        lookups,
    )
    return message, tables


@given(messages())
def test_reading_and_writing_are_inverse(case: tuple[MessageV0, dict[Address, tuple[Address, ...]]]) -> None:
    message, tables = case
    decoded = CODEC.decode(unsigned(message), tables)
    assert CODEC.encode_message(decoded) == to_bytes_versioned(message)
    assert sum(use.is_signer for use in decoded.accounts) == message.header.num_required_signatures


@given(messages(), st.data())
def test_a_changed_word_changes_the_bytes(
    case: tuple[MessageV0, dict[Address, tuple[Address, ...]]], data: st.DataObject
) -> None:
    message, tables = case
    decoded = CODEC.decode(unsigned(message), tables)
    if not decoded.instructions:
        return
    index = data.draw(st.integers(0, len(decoded.instructions) - 1))
    changed = list(decoded.instructions)
    changed[index] = replace(changed[index], data=changed[index].data + b"!")
    assert CODEC.encode_message(replace(decoded, instructions=tuple(changed))) != decoded.message


def test_the_compute_unit_limit_is_read_from_its_instruction() -> None:
    decoded = CODEC.decode(single(set_compute_unit_limit(5)), {})
    assert decoded.instructions[0].action == ComputeUnitLimit(5)


def test_a_shared_accounts_route_is_read_from_its_own_places() -> None:
    data = bytes.fromhex("d19853937cfed8e9") + b"\x07" + struct.pack("<QQHHHI", 25, 4_000, 50, 0, 0, 0)
    accounts = [AccountMeta(key(number), False, False) for number in range(10, 22)]
    action = CODEC.decode(single(Instruction(program(JUPITER_V6_PROGRAM), data, accounts)), {}).instructions[0].action
    assert isinstance(action, JupiterSwap)
    assert (action.authority, action.source, action.destination) == (address(11), address(12), address(15))
    assert (action.source_mint, action.destination_mint) == (Mint(address(16)), Mint(address(17)))
    assert (action.in_raw, action.min_out_raw) == (25, 3_980)


def test_an_account_opened_by_jupiter_is_seen() -> None:
    data = bytes.fromhex("93f17b64f484ae76") + b"\xff"
    action = (
        CODEC.decode(single(Instruction(program(JUPITER_V6_PROGRAM), data, metas(1, 2, 3, 4, 5))), {})
        .instructions[0]
        .action
    )
    assert action == JupiterCreateTokenAccount(address(1), address(2), Mint(address(3)))


@pytest.mark.parametrize("tag", ["e517cb977ae3ad2a", "c1209b3341d69c81", "0000000000000000"])
def test_a_route_whose_amounts_could_be_forged_is_opaque(tag: str) -> None:
    data = bytes.fromhex(tag) + struct.pack("<QQHHHI", 25, 4_000, 50, 0, 0, 0)
    accounts = [AccountMeta(key(number), False, False) for number in range(10, 22)]
    action = CODEC.decode(single(Instruction(program(JUPITER_V6_PROGRAM), data, accounts)), {}).instructions[0].action
    assert isinstance(action, OpaqueInstruction)


def test_a_route_that_pays_elsewhere_says_so() -> None:
    data = ROUTE_TAG + struct.pack("<QQHHHI", 25, 4_000, 50, 0, 0, 0)
    accounts = [AccountMeta(key(number), False, False) for number in range(10, 20)]
    action = CODEC.decode(single(Instruction(program(JUPITER_V6_PROGRAM), data, accounts)), {}).instructions[0].action
    assert isinstance(action, JupiterSwap)
    assert action.destination == address(17)
