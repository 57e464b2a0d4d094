"""The password of Flower's user `operator`: set, or made once and kept in the home."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from pydantic import SecretStr

from sniperforge.config import Settings
from sniperforge.errors import ConfigError

FLOWER_USER = "operator"
_MADE_NAME = "flower-password"


def flower_password(settings: Settings) -> SecretStr:
    """The password in force; without a setting, the one in the home, made when it is first asked for.

    Raises:
        ConfigError: Its file cannot be used, or others may read it.
    """
    if settings.flower_password is not None:
        return settings.flower_password
    path = settings.flower_password_file or settings.home / _MADE_NAME
    try:
        if settings.flower_password_file is None:
            _make(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(
                f"others may read the password of Flower (mode {mode:04o})",
                subject=str(path),
                fix=f"Run: chmod 600 '{path}'",
            )
        first_line = path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the password of Flower cannot be read: {error}", subject=str(path)) from error
    if not first_line:
        raise ConfigError(
            "the password file of Flower is empty", subject=str(path), fix="Write the password in its first line"
        )
    return SecretStr(first_line)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(18) + "\n")
