"""What the system tells of processes, and which findings are a leak."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sniperforge.embedded.exposure import FLOWER_PASSWORD, HOLDERS, KEY, find_exposed, told_of_processes
from sniperforge.embedded.stack_files import Phase, StackReport, write_report
from sniperforge.infrastructure.secrets_scan import Secret

PASSWORD = Secret(FLOWER_PASSWORD, "correct horse battery staple")


def found_in(run_dir: Path) -> set[str]:
    return {one.place for one in find_exposed(told_of_processes(run_dir), [PASSWORD])}


def test_an_argument_of_any_process_is_seen(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()", str(PASSWORD.value)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert found_in(tmp_path) == {f"arguments of process {process.pid}"}
        process.communicate(b"\n")


def test_the_environment_of_the_stack_and_of_what_it_started_is_seen(tmp_path: Path) -> None:
    inner = "print('up', flush=True); input()"
    outer = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer],
        env={"PATH": os.defpath, "TOLD": str(PASSWORD.value)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write_report(tmp_path, StackReport(process.pid, Phase.READY, (), {}))
        places = found_in(tmp_path)
        assert f"environment of process {process.pid}" in places
        assert len(places) == 2
        process.communicate(b"\n")


def test_a_secret_is_no_leak_in_the_files_that_are_there_to_hold_it_and_one_in_those_of_another() -> None:
    everything = [(file, str(PASSWORD.value).encode()) for files in HOLDERS.values() for file in files]
    places = {one.place for one in find_exposed(everything, [PASSWORD])}
    assert places == {file for name, files in HOLDERS.items() for file in files if name != FLOWER_PASSWORD}


def test_a_key_has_no_file_in_which_it_may_be() -> None:
    key = Secret(KEY, bytes(range(64)))
    everything = [(file, bytes(range(64))) for files in HOLDERS.values() for file in files]
    assert {one.place for one in find_exposed(everything, [key])} == {file for file, _ in everything}
