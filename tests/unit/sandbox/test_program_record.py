"""The committed program is what the committed source builds to."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pytest

from sniperforge.sandbox.pools import pool_program
from sniperforge.sandbox.program import build

RECORD = json.loads(build.RECORD.read_text())


def test_the_source_is_the_one_the_program_was_built_from() -> None:
    assert hashlib.sha256(build.SOURCE.read_bytes()).hexdigest() == RECORD["source_sha256"], "run `make program`"


def test_the_program_is_the_one_that_was_built() -> None:
    assert hashlib.sha256(pool_program()).hexdigest() == RECORD["program_sha256"], "run `make program`"


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="the compiler is in the extra `program`")
    assert RECORD["compiler"] == f"ziglang {metadata.version('ziglang')}"
    elsewhere = tmp_path / "copy.c"
    elsewhere.write_bytes(build.SOURCE.read_bytes())
    assert build.compile_and_link(elsewhere) == pool_program()


def test_without_a_compiler_one_line_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    if build.compiler_version() is not None:
        pytest.skip("the compiler is installed")
    before = build.PROGRAM.read_bytes()
    assert build.main() == 1
    assert "pip install 'sniperforge[program]'" in capsys.readouterr().err
    assert build.PROGRAM.read_bytes() == before
