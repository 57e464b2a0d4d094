"""The sandbox's pool program: its C source, the ELF built from it, and the recipe in `build`."""

from __future__ import annotations

from importlib import resources

from solders.pubkey import Pubkey

PROGRAM_ID = Pubkey.from_string("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4")
"""Where the sandbox deploys it: the id of Jupiter's v6 aggregator, so that routes look like real ones."""


def pool_program() -> bytes:
    """The built program, an ELF to deploy at `PROGRAM_ID`."""
    return resources.files(__name__).joinpath("pool.so").read_bytes()
