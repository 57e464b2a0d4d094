"""A linker for one purpose: from the object file clang makes to the ELF the Solana runtime loads.

The program is one `.text.entry` section without data and without calls of its own, so that linking is only this:
every `call` of a system call becomes a dynamic relocation by name. Layout as the runtime's loader wants it (sBPF v0):
`.text`, `.dynsym`, `.dynstr`, `.rel.dyn`, `.dynamic`, each at a file offset equal to its address.
"""

from __future__ import annotations

import struct

SYSTEM_CALLS = {0xA22B9C85: b"sol_invoke_signed_c"}
"""System calls by the murmur3 hash under which the C source calls them."""

_ENTRY_SECTION = ".text.entry"
_CALL, _LOAD_64_BITS = 0x85, 0x18
_CALL_BY_RELOCATION = 0xFFFFFFFF
_R_BPF_64_32 = 10
_MACHINE_BPF = 247
_HEADER, _PROGRAM_HEADER, _SECTION_HEADER, _SYMBOL, _RELOCATION = 64, 56, 64, 24, 16


class LinkError(Exception):
    """The object file holds something that this linker does not link."""


def link(object_file: bytes) -> bytes:
    """The runtime's ELF from clang's object file.

    Raises:
        LinkError: The entry section is missing, or calls a function, or uses data outside itself.
    """
    code = bytearray(_entry_section(object_file))
    calls = _take_system_calls(code)
    names = sorted({name for _, name in calls})
    strings, position = b"\0", {}
    for name in names:
        position[name] = len(strings)
        strings += name + b"\0"

    text_at = _HEADER + 3 * _PROGRAM_HEADER
    symbols_at = _aligned(text_at + len(code))
    strings_at = symbols_at + _SYMBOL * (1 + len(names))
    relocations_at = _aligned(strings_at + len(strings))
    dynamic_at = relocations_at + _RELOCATION * len(calls)

    symbols = bytes(_SYMBOL) + b"".join(struct.pack("<IBBHQQ", position[n], 0x10, 0, 0, 0, 0) for n in names)
    relocations = b"".join(
        struct.pack("<QQ", text_at + offset, (1 + names.index(name)) << 32 | _R_BPF_64_32) for offset, name in calls
    )
    dynamic_tags = (
        (17, relocations_at),  # DT_REL
        (18, len(relocations)),  # DT_RELSZ
        (19, _RELOCATION),  # DT_RELENT
        (6, symbols_at),  # DT_SYMTAB
        (11, _SYMBOL),  # DT_SYMENT
        (5, strings_at),  # DT_STRTAB
        (10, len(strings)),  # DT_STRSZ
        (0, 0),
    )
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in dynamic_tags)
    section_names = b"\0.text\0.dynsym\0.dynstr\0.rel.dyn\0.dynamic\0.shstrtab\0"
    section_names_at = dynamic_at + len(dynamic)
    sections_at = _aligned(section_names_at + len(section_names))

    parts = {
        text_at: bytes(code),
        symbols_at: symbols,
        strings_at: strings,
        relocations_at: relocations,
        dynamic_at: dynamic,
        section_names_at: section_names,
    }
    image = bytearray(sections_at)
    image[:_HEADER] = (
        b"\x7fELF"
        + bytes([2, 1, 1, 0])
        + bytes(8)
        + struct.pack(
            "<HHIQQQIHHHHHH",
            *(3, _MACHINE_BPF, 1, text_at, _HEADER, sections_at, 0),
            *(_HEADER, _PROGRAM_HEADER, 3, _SECTION_HEADER, 7, 6),
        )
    )
    image[_HEADER:text_at] = (
        _program_header(1, 5, text_at, len(code))  # PT_LOAD, read and execute
        + _program_header(1, 4, symbols_at, section_names_at - symbols_at)  # PT_LOAD, read
        + _program_header(2, 6, dynamic_at, len(dynamic))  # PT_DYNAMIC
    )
    for offset, part in parts.items():
        image[offset : offset + len(part)] = part

    def section(
        name: bytes, kind: int, flags: int, at: int, *, link_to: int = 0, info: int = 0, entry: int = 0
    ) -> bytes:
        name_at = section_names.index(b"\0" + name + b"\0") + 1
        address = at if flags else 0
        align = 8 if flags else 1
        return struct.pack(
            "<IIQQQQIIQQ", name_at, kind, flags, address, at, len(parts[at]), link_to, info, align, entry
        )

    image += (
        bytes(_SECTION_HEADER)
        + section(b".text", 1, 6, text_at)
        + section(b".dynsym", 11, 2, symbols_at, link_to=3, info=1, entry=_SYMBOL)
        + section(b".dynstr", 3, 2, strings_at)
        + section(b".rel.dyn", 9, 2, relocations_at, link_to=2, entry=_RELOCATION)
        + section(b".dynamic", 6, 3, dynamic_at, link_to=3, entry=16)
        + section(b".shstrtab", 3, 0, section_names_at)
    )
    return bytes(image)


def _entry_section(object_file: bytes) -> bytes:
    """The machine code, after making sure that nothing else is needed to run it."""
    (sections_at,) = struct.unpack_from("<Q", object_file, 0x28)
    count, names_index = struct.unpack_from("<HH", object_file, 0x3C)
    headers = [struct.unpack_from("<IIQQQQIIQQ", object_file, sections_at + i * _SECTION_HEADER) for i in range(count)]
    names_at = headers[names_index][4]
    bodies: dict[str, bytes] = {}
    for header in headers:
        start = names_at + header[0]
        name = object_file[start : object_file.index(b"\0", start)].decode()
        bodies[name] = object_file[header[4] : header[4] + header[5]]
    if _ENTRY_SECTION not in bodies:
        raise LinkError(f"the object file has no section {_ENTRY_SECTION}")
    for name, body in bodies.items():
        if name == f".rel{_ENTRY_SECTION}" or (name.startswith((".rodata", ".data", ".bss")) and body):
            raise LinkError(f"section {name}: the program must be self-contained (no calls, no constant tables)")
    return bodies[_ENTRY_SECTION]


def _take_system_calls(code: bytearray) -> list[tuple[int, bytes]]:
    """Blank the target of every call, and return where it stood and what it calls."""
    calls: list[tuple[int, bytes]] = []
    at = 0
    while at < len(code):
        if code[at] == _CALL:
            (target,) = struct.unpack_from("<I", code, at + 4)
            if target not in SYSTEM_CALLS:
                raise LinkError(f"byte {at}: call of unknown function {target:#x}")
            struct.pack_into("<I", code, at + 4, _CALL_BY_RELOCATION)
            calls.append((at, SYSTEM_CALLS[target]))
        at += 16 if code[at] == _LOAD_64_BITS else 8
    return calls


def _program_header(kind: int, flags: int, at: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, 8)


def _aligned(value: int) -> int:
    return (value + 7) & ~7
