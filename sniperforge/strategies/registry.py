"""Strategies by name: ours and those of every other installed package that declares one."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sniperforge.errors import InvalidInputError
from sniperforge.strategies.base import Strategy

GROUP = "sniperforge.strategies"
"""Its entry points name classes that need no argument, e.g. `dca = "sniperforge.strategies.dca:DcaStrategy"`."""


class StrategyRegistry:
    """Finds a strategy by its name. Packages are looked through once, and imported when they are asked for."""

    def kinds(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(sorted(self._declared))

    def get(self, kind: str) -> Strategy[Any]:
        """The strategy of this name.

        Raises:
            InvalidInputError: There is none, two packages claim the name, or its package cannot be imported.
        """
        declared = self._declared
        if kind not in declared:
            raise InvalidInputError(
                "there is no strategy of this name",
                subject=kind,
                fix=f"Known are: {', '.join(sorted(declared)) or 'none'}. Others come with packages that declare them",
            )
        claims = declared[kind]
        if len({claim.value for claim in claims}) > 1:
            named = ", ".join(sorted(claim.value for claim in claims))
            raise InvalidInputError(
                f"several packages claim this strategy ({named})", subject=kind, fix="Uninstall all but one"
            )
        try:
            made: Strategy[Any] = claims[0].load()()
        except (ImportError, AttributeError, TypeError) as error:
            raise InvalidInputError(
                f"the package of this strategy is broken ({claims[0].value}): {error}",
                subject=kind,
                fix="Reinstall it, or ask its maker",
            ) from error
        return made

    @cached_property
    def _declared(self) -> dict[str, list[EntryPoint]]:
        declared: dict[str, list[EntryPoint]] = {}
        for claim in entry_points(group=GROUP):
            declared.setdefault(claim.name, []).append(claim)
        return declared
