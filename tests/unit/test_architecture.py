"""What import rules cannot say: production runs without the sandbox's extra, and nothing in it knows the sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sniperforge"

_BLOCK = """
import sys
for name in ("starlette", "uvicorn"):
    sys.modules[name] = None  # importing it raises, as where it is not installed
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BLOCK + code], capture_output=True, text=True, timeout=60, check=False
    )


def test_every_production_module_imports_without_the_sandboxes_extra() -> None:
    done = run(
        """
import importlib, pkgutil, sniperforge
left_out = ("sniperforge.sandbox", "sniperforge.storage.migrations.env", "sniperforge.storage.migrations.versions")
for module in pkgutil.walk_packages(sniperforge.__path__, "sniperforge."):
    if not module.name.startswith(left_out):
        importlib.import_module(module.name)
"""
    )
    assert done.returncode == 0, done.stderr


def test_the_sandbox_command_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    done = run(
        f"""
import os
os.environ["SNIPERFORGE_HOME"] = {str(tmp_path)!r}
sys.argv = ["sniperforge", "sandbox"]
from sniperforge.cli.main import main
main()
"""
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "pip install 'sniperforge[sandbox]'" in done.stderr


@pytest.mark.parametrize("room", ["domain", "ports", "shared", "storage", "trading", "infrastructure"])
def test_no_production_module_names_the_sandbox(room: str) -> None:
    allowed = {
        # The network of this name is a table of well-known mints, not a code path.
        PACKAGE / "shared" / "tokens.py",
    }
    for path in sorted((PACKAGE / room).rglob("*.py")):
        if path not in allowed:
            assert "sandbox" not in path.read_text(encoding="utf-8").lower(), path
