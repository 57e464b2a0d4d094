"""Logs: JSON lines in the home for machines, readable ones on a terminal for people.

One file a day, `logs/sniperforge-YYYY-MM-DD.jsonl`, appended to by every process. A new name each day instead of
renaming a full file: renaming by one process loses the lines of the others.
Files older than `KEEP_DAYS` are removed when a process opens a new one.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sniperforge.config import Settings

KEEP_DAYS = 30
_PREFIX = "sniperforge-"
_HIDDEN = "[hidden]"


class DailyFileHandler(logging.Handler):
    """Appends each record to the file of its day (UTC)."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._day = ""
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a failure is reported by logging's own means and does not stop the caller."""
        try:
            file = self._file_of(datetime.fromtimestamp(record.created, UTC))
            file.write(self.format(record) + "\n")
            file.flush()
        except Exception:  # noqa: BLE001 (a full disk must not stop a trade that is under way; handleError says it)
            self.handleError(record)

    def close(self) -> None:
        """Close the file of the day."""
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()

    def _file_of(self, moment: datetime) -> TextIO:
        day = moment.date().isoformat()
        if self._file is None or day != self._day:
            if self._file is not None:
                self._file.close()
            self._directory.mkdir(parents=True, exist_ok=True)
            oldest = f"{_PREFIX}{(moment - timedelta(days=KEEP_DAYS)).date().isoformat()}"
            for path in self._directory.glob(f"{_PREFIX}*.jsonl"):
                if path.stem < oldest:
                    path.unlink(missing_ok=True)
            self._file = (self._directory / f"{_PREFIX}{day}.jsonl").open("a", encoding="utf-8")
            self._day = day
        return self._file


class _Redactor:
    """Last line of defence: a configured secret that reached an event is replaced before it is written."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret for secret in secrets if secret]

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        if not self._secrets:
            return event
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        text = value if isinstance(value, str) else repr(value)
        if not any(secret in text for secret in self._secrets):
            return value
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text


def configure_logging(settings: Settings, *, role: str, on_stderr: bool = True) -> None:
    """Send structlog and the standard library's logging to the home's log file and to standard error.

    Args:
        settings: The settings in force (`log_level`, `log_format`, `home`).
        role: What this process is ("cli", "worker", ...), written on every line.
        on_stderr: False for a process that draws on its terminal: then the file alone is written.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _Redactor(_secrets_of(settings)),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    json_lines = structlog.processors.JSONRenderer(sort_keys=True)
    readable = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    file_handler = DailyFileHandler(settings.log_dir)
    file_handler.setFormatter(_formatter(shared, json_lines))
    screen_handler = logging.StreamHandler(sys.stderr)
    screen_handler.setFormatter(_formatter(shared, structlog.dev.ConsoleRenderer() if readable else json_lines))
    if role == "cli":
        # A person at the command line reads the command's own output; only what needs attention joins it.
        screen_handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(file_handler)
    if on_stderr:
        root.addHandler(screen_handler)
    root.setLevel(settings.log_level.upper())
    for chatty in ("alembic", "httpx", "httpcore", "httpx2", "httpcore2", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _formatter(shared: list[Processor], renderer: Processor) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _secrets_of(settings: Settings) -> list[str]:
    values = (
        settings.jupiter_api_key,
        settings.wallet_passphrase,
        settings.redis_url,
        settings.database_url,
        settings.flower_password,
    )
    return [value.get_secret_value() for value in values if value is not None]
