"""Generate docs/technical/API_REFERENCE_FULL.md and docs/technical/SETTINGS.md from the code.

`--check` writes nothing and fails when a file is not what would be generated, so that the docs cannot drift.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "technical" / "API_REFERENCE_FULL.md"
SETTINGS = ROOT / "docs" / "technical" / "SETTINGS.md"
PACKAGE = ROOT / "sniperforge"
LEFT_OUT = {"migrations", "sandbox"}
"""Alembic's revisions are no API; the sandbox is spoken to over its protocols, not imported."""

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every documented module by dotted name, in order."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if LEFT_OUT & set(parts) or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        name = ".".join(part for part in parts if part != "__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def signature(node: Definition) -> str:
    """The definition's head on one line, without its decorators and body."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "property " if is_property(node) else ""
    return f"{prefix}{node.name}({ast.unparse(node.args)}){returns}"


def is_property(node: Definition) -> bool:
    """Whether a definition is read like an attribute."""
    names = {ast.unparse(decorator) for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property", "functools.cached_property"})


def docstring(node: Definition | ast.Module) -> str:
    """The cleaned docstring, or an empty text."""
    return inspect.cleandoc(ast.get_docstring(node, clean=False) or "")


def constants(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Public assignments that carry a docstring: `NAME = ...` followed by a string."""
    for statement, following in itertools.pairwise(body):
        is_text = (
            isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        )
        if not is_text:
            continue
        if isinstance(statement, ast.Assign):
            target: ast.expr | None = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            target = None
        if isinstance(target, ast.Name) and not target.id.startswith("_"):
            yield target.id, inspect.cleandoc(ast.literal_eval(ast.unparse(following.value)))  # type: ignore[attr-defined]


def definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public classes and functions."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def indent(text: str) -> str:
    """Docstring text as a block that Markdown leaves alone."""
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def render_module(name: str, tree: ast.Module) -> str:
    """One module's section."""
    lines = [f"## {name}", "", docstring(tree), ""]
    for constant, text in constants(tree.body):
        lines += [f"### `{constant}`", "", text, ""]
    for node in definitions(tree.body):
        lines += [f"### `{signature(node)}`", "", indent(docstring(node)), ""]
        if isinstance(node, ast.ClassDef):
            for method in definitions(node.body):
                lines += [f"#### `{node.name}.{signature(method)}`", "", indent(docstring(method)), ""]
    return "\n".join(lines)


def render_reference() -> str:
    """The whole API reference."""
    sections = [(name, tree) for name, tree in modules() if docstring(tree)]
    head = [
        "# API reference",
        "",
        "Generated from the docstrings by `make docs`; `make check` fails when it is out of date.",
        "",
        *[f"- [{name}](#{name.replace('.', '')})" for name, _ in sections],
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(render_module(name, tree) for name, tree in sections)


def render_settings() -> str:
    """The table of settings."""
    from sniperforge.config import ENV_PREFIX, Settings

    lines = [
        "# Settings",
        "",
        "Generated from `sniperforge.config.Settings` by `make docs`.",
        "",
        "Each is an environment variable, or a line of `sniperforge.toml` in the home (the variable wins).",
        "In the environment lists are separated by commas; in the file they are arrays.",
        "",
        "| Variable | Line in `sniperforge.toml` | Default | Meaning |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        if name == "home":
            default, line = "the platform's data directory", "(environment only)"
        else:
            value = field.default
            default = (
                "(none)" if value is None or value == () else f"`{str(value).lower() if value is False else value}`"
            )
            line = f"`{name}`"
        lines.append(f"| `{ENV_PREFIX}{name.upper()}` | {line} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file is not up to date")
    check = parser.parse_args().check
    stale = []
    for path, text in ((REFERENCE, render_reference()), (SETTINGS, render_settings())):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path} is out of date: run `make docs`" if check else f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
