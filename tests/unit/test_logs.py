"""Logs: one JSON file a day in the home, nothing secret in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from sniperforge.config import Settings
from sniperforge.logs import KEEP_DAYS, DailyFileHandler, configure_logging


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configure(home: Path, **values: object) -> None:
    configure_logging(Settings.model_validate({"home": home, **values}), role="worker")


def lines(home: Path) -> list[dict[str, object]]:
    (path,) = (home / "logs").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_of_both_kinds_become_json_lines(tmp_path: Path) -> None:
    configure(tmp_path)
    structlog.get_logger("trade").info("attempt signed", intent="abc", amount_raw=5)
    logging.getLogger("library").warning("careful: %s", "edge")
    first, second = lines(tmp_path)
    assert (first["event"], first["intent"], first["amount_raw"], first["role"]) == (
        "attempt signed",
        "abc",
        5,
        "worker",
    )
    assert (second["event"], second["level"], second["logger"]) == ("careful: edge", "warning", "library")
    assert str(first["timestamp"]).endswith("Z")


def test_events_below_the_level_are_not_written(tmp_path: Path) -> None:
    configure(tmp_path, log_level="warning")
    structlog.get_logger("trade").info("quiet")
    structlog.get_logger("trade").warning("loud")
    assert [line["event"] for line in lines(tmp_path)] == ["loud"]


def test_a_configured_secret_never_reaches_the_file_or_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path, wallet_passphrase="hunter2hunter2", jupiter_api_key="jup_abcdef")
    log = structlog.get_logger("trade")
    log.warning("using hunter2hunter2", headers={"x-api-key": "jup_abcdef"})
    try:
        int("hunter2hunter2")
    except ValueError:
        log.exception("failed")
    written = (next((tmp_path / "logs").iterdir())).read_text() + capsys.readouterr().err
    assert "[hidden]" in written
    assert "hunter2hunter2" not in written
    assert "jup_abcdef" not in written


def test_each_day_has_its_file_and_old_ones_go(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    today = datetime.now(UTC)  # noqa: TID251 (the handler goes by the record's own time)
    stale = logs / f"sniperforge-{(today - timedelta(days=KEEP_DAYS + 1)).date()}.jsonl"
    kept = logs / f"sniperforge-{(today - timedelta(days=KEEP_DAYS - 1)).date()}.jsonl"
    for path in (stale, kept):
        path.write_text("old\n")
    handler = DailyFileHandler(logs)
    for days in (0, 1):
        record = logging.LogRecord("x", logging.INFO, __file__, 1, f"day {days}", None, None)
        record.created = (today + timedelta(days=days)).timestamp()
        handler.emit(record)
    handler.close()
    assert not stale.exists()
    assert kept.read_text() == "old\n"
    names = {path.name for path in logs.iterdir()} - {kept.name}
    assert names == {f"sniperforge-{(today + timedelta(days=days)).date()}.jsonl" for days in (0, 1)}
