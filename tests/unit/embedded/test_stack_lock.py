"""One stack per home, whoever still lives of the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sniperforge.embedded.stack_lock import stack_holder, stack_lock
from sniperforge.errors import ConfigError
from tests.fakes.clock import FakeClock


def test_a_second_stack_on_the_same_home_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    with (
        stack_lock(tmp_path / "run", FakeClock()),
        pytest.raises(ConfigError, match=f"already \\(process {os.getpid()}\\).*sniperforge down"),
        stack_lock(tmp_path / "run", FakeClock()),
    ):
        pass


def test_the_holder_is_known_while_it_holds_and_no_longer(tmp_path: Path) -> None:
    assert stack_holder(tmp_path / "run") is None
    with stack_lock(tmp_path / "run", FakeClock()):
        assert stack_holder(tmp_path / "run") == os.getpid()
    assert stack_holder(tmp_path / "run") is None


def test_a_child_that_outlives_its_supervisor_holds_the_home_and_is_told_of(tmp_path: Path) -> None:
    # A supervisor that ends at once, and whose child inherited the lock.
    script = """
import subprocess, sys
from pathlib import Path
from sniperforge.embedded.stack_lock import stack_lock
from sniperforge.shared.clock import SystemClock
with stack_lock(Path(sys.argv[1]), SystemClock()) as held:
    child = subprocess.Popen(["sleep", "600"], pass_fds=[held], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(child.pid)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, check=True)
    child = int(done.stdout)
    try:
        assert stack_holder(tmp_path / "run") is not None
        with (
            pytest.raises(ConfigError, match="still run, although it has ended"),
            stack_lock(tmp_path / "run", FakeClock()),
        ):
            pass
    finally:
        os.kill(child, 9)


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"), stack_lock(tmp_path / "file" / "run", FakeClock()):
        pass
