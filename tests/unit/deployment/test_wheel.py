"""The wheel that an image installs holds everything that runs, and works where nothing of this folder is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fakes.compose_file import ROOT

BUILD = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return folder / built.stdout.strip()


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def code(folder: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py")}


@pytest.mark.parametrize("folder", ["sniperforge", "workers", "sniperforge/storage/migrations/versions"])
def test_all_code_is_in_the_wheel(contents: set[str], folder: str) -> None:
    assert code(folder)
    assert code(folder) <= contents


def test_the_schedule_and_the_examples_are_in_the_wheel(contents: set[str]) -> None:
    examples = {f"sniperforge/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.json")}
    assert "sniperforge/configs/strategies/dca.json" in examples
    assert {"beat_schedule.py", "sniperforge/py.typed", *examples} <= contents


def test_nothing_of_tests_and_of_a_cluster_is_in_the_wheel(contents: set[str]) -> None:
    tops = {name.split("/")[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sniperforge", "workers", "beat_schedule.py"}


def test_the_wheel_runs_without_this_folder(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import workers.app, beat_schedule, sniperforge.cli.main as main;"
        "from sniperforge.cli.plan_file import find_plan_file; from pathlib import Path;"
        "from sniperforge.storage.migrations import head_revision;"
        "print(workers.app.__file__, beat_schedule.__file__, main.__file__, find_plan_file('dca.json', Path('/')));"
        "print(head_revision())"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "installed")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *files, revision = ran.stdout.split()
    assert len(files) == 4
    assert all(Path(file).is_relative_to(tmp_path / "installed") for file in files)
    assert f"sniperforge/storage/migrations/versions/{revision}" in " ".join(code("sniperforge"))
