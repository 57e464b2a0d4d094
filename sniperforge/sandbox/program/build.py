"""Rebuild the pool program: `python -m sniperforge.sandbox.program.build` (needs the extra `program`).

No Solana toolchain: clang (as packed in the ziglang wheel) compiles `pool.c` for BPF, `elf.py` links it.
The same source and the same ziglang give the same bytes. `pool.json` records what was built from what, and a test
holds source and program against it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from sniperforge.sandbox.program.elf import link

FOLDER = Path(__file__).parent
SOURCE, PROGRAM, RECORD = FOLDER / "pool.c", FOLDER / "pool.so", FOLDER / "pool.json"

COMPILER_FLAGS = (
    *("-target", "bpfel-freestanding"),
    "-mcpu=v1",  # newer BPF has instructions that the Solana runtime's verifier refuses
    *("-mllvm", "-bpf-stack-size=4096"),  # a Solana stack frame; the Linux kernel's is 512 bytes
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"),
)


def compile_and_link(source: Path) -> bytes:
    """Build the program from a C file, in a directory of its own with empty caches.

    Raises:
        subprocess.CalledProcessError: The compiler refused the source; it has said why on stderr.
        LinkError: The object file needs more than one code section.
    """
    with tempfile.TemporaryDirectory() as scratch:
        caches = {"ZIG_GLOBAL_CACHE_DIR": scratch, "ZIG_LOCAL_CACHE_DIR": scratch}
        subprocess.run(  # noqa: S603 - our own interpreter and flags, and no shell
            [sys.executable, "-m", "ziglang", "cc", *COMPILER_FLAGS, "-c", str(source), "-o", "pool.o"],
            cwd=scratch,
            env=os.environ | caches,
            check=True,
        )
        return link(Path(scratch, "pool.o").read_bytes())


def compiler_version() -> str | None:
    """The installed ziglang's version, None when there is none."""
    try:
        return metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        return None


def main() -> int:
    """Rebuild `pool.so` and `pool.json`; print the program's hash. 1 when the compiler is missing or refuses."""
    version = compiler_version()
    if version is None:
        sys.stderr.write(
            "The pool program needs a compiler that is not installed: pip install 'sniperforge[program]'\n"
        )
        return 1
    try:
        program = compile_and_link(SOURCE)
    except subprocess.CalledProcessError:
        sys.stderr.write(f"{SOURCE.name} does not compile; the program was left as it was (see the messages above)\n")
        return 1
    PROGRAM.write_bytes(program)
    record = {
        "source_sha256": hashlib.sha256(SOURCE.read_bytes()).hexdigest(),
        "program_sha256": hashlib.sha256(program).hexdigest(),
        "compiler": f"ziglang {version}",
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{PROGRAM.name}: {len(program)} bytes, sha256 {record['program_sha256']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
