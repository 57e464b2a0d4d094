"""Files of a stack that nobody else may read, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_SECRET_BYTES = 24


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def kept_secret(path: Path) -> str:
    """The first line of this file; made from the operating system's randomness if there is no file yet."""
    try:
        kept = path.read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    made = secrets.token_urlsafe(_SECRET_BYTES)
    write_private(path, made + "\n")
    return made
