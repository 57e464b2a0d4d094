"""What the documents name exists: every command with its options, every file and heading that is linked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from sniperforge.cli.main import app
from sniperforge.config import load_settings
from sniperforge.embedded.stack_services import workers_of
from sniperforge.ports.exchange import ExecuteHint
from sniperforge.shared.jupiter.execute_codes import EXECUTE_CODES

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [path for path in WRITTEN if path.name not in ("API_REFERENCE_FULL.md", "SETTINGS.md")]

_CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_COMMAND = re.compile(r"(?:^|\$ |\s)sniperforge ([a-z][a-z-]*)((?:[^\n#|;&`]|\\\n)*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HALT = re.compile(r"\b(?:sniperforge|cli) halt\b[^`\n]*")
_FILE = re.compile(r"`((?:sniperforge|workers|tests|configs|docs|benchmarks)/[A-Za-z0-9_./-]*)`")


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands with their options, from code blocks and code spans."""
    for block, span in _CODE.findall(text):
        for name, rest in _COMMAND.findall(block or span):
            yield name, re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"\"[^\"]*\"|'[^']*'", "", rest))


def headings_of(text: str) -> set[str]:
    """What a link to each heading says behind the `#`, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_command_of_a_document_exists_with_its_options(document: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    unknown = []
    for name, options in commands_in(document.read_text(encoding="utf-8")):
        command = group.commands.get(name)
        if command is None:
            unknown.append(name)
            continue
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        unknown += [f"{name} {option}" for option in options if option not in known]
    assert unknown == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_link_and_file_of_a_document_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link]
    missing = [link for link in links if link and not (document.parent / link).exists()]
    missing += [file for file in _FILE.findall(text) if not (ROOT / file).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_heading_that_a_document_links_to_exists(document: Path) -> None:
    links = [link.split("#") for link in _LINK.findall(document.read_text(encoding="utf-8")) if "://" not in link]
    to_headings = [(document.parent / where if where else document, *heading) for where, *heading in links if heading]
    missing = [
        f"{names(target.resolve())}#{heading}"
        for target, heading in to_headings
        if target.suffix == ".md" and heading not in headings_of(target.read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_every_halt_that_a_document_or_a_hint_names_has_the_reason_without_which_it_is_refused() -> None:
    code = [path for folder in ("sniperforge", "workers") for path in sorted((ROOT / folder).rglob("*.py"))]
    named = {path: _HALT.findall(path.read_text(encoding="utf-8")) for path in (*DOCUMENTS, *code)}
    assert {names(path) for path, found in named.items() if found} >= {
        "docs/guides/cluster.md",
        "docs/guides/operating.md",
        "sniperforge/infrastructure/checks_of_states.py",
        "sniperforge/infrastructure/checks_of_trades.py",
        "workers/tasks/health.py",
    }
    assert [f"{names(path)}: {one}" for path, found in named.items() for one in found if "--reason" not in one] == []


def test_the_guide_tells_how_many_workers_flower_shows(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "operating.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"\*Workers\*: `trade_workers` and one more \((\d+) by default\) must be online", guide)
    assert int(told) == len(workers_of(load_settings(home=tmp_path)))


def test_the_guide_lists_every_code_of_execute_beside_those_that_mean_the_same() -> None:
    guide = (ROOT / "docs" / "guides" / "jupiter.md").read_text(encoding="utf-8")
    table = guide.partition("### Codes of `/execute`\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    told = {frozenset(map(int, re.findall(r"-?\d+", cell))) for cell in cells if not cell.startswith("above 0")}
    meant = {frozenset(code for code in EXECUTE_CODES if EXECUTE_CODES[code].hint is hint) for hint in ExecuteHint}
    assert told - {frozenset()} == meant - {frozenset()}


def test_make_planted_plants_every_list_of_bugs_there_is() -> None:
    lists = {path.stem for path in (ROOT / "tests" / "faults").glob("*.py") if "exit(plant_all(" in path.read_text()}
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nplanted: ")[2].partition("\n\n")[0]
    assert set(re.findall(r"-m tests\.faults\.(\w+)$", recipe, re.MULTILINE)) == lists != set()


def test_a_command_and_an_option_that_do_not_exist_would_be_found() -> None:
    text = "Run `sniperforge trade --sideways` or\n```console\n$ sniperforge fly --to moon  # --not-an-option\n```"
    assert list(commands_in(text)) == [("trade", ["--sideways"]), ("fly", ["--to"])]
