"""Finding the settings of a plan: the current folder, then the home, then those that come with SniperForge."""

from __future__ import annotations

from pathlib import Path

import sniperforge
from sniperforge.errors import InvalidInputError


def packaged_strategies() -> Path:
    """Where the examples lie: inside an installed package, or beside it in a checkout."""
    package = Path(sniperforge.__file__).parent
    inside = package / "configs" / "strategies"
    return inside if inside.is_dir() else package.parent / "configs" / "strategies"


def find_plan_file(name: str, home: Path) -> Path:
    """The first file of this name in the places that are looked at.

    Raises:
        InvalidInputError: There is none; all places are named, and the examples that there are.
    """
    places = [Path.cwd(), home, packaged_strategies()]
    found = next((path for place in places if (path := place / Path(name).expanduser()).is_file()), None)
    if found is None:
        examples = ", ".join(sorted(path.name for path in packaged_strategies().glob("*.json")))
        looked = ", ".join(str(place) for place in places)
        raise InvalidInputError(
            f"there is no such file in {looked}",
            subject=name,
            fix=f"Write one, or begin with an example that comes along: {examples}",
        )
    return found


def read_plan_file(path: Path) -> str:
    """Its text.

    Raises:
        InvalidInputError: It cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the file cannot be read: {error}", subject=str(path)) from error
