"""The registry: ours, and those of any other package that is installed and declares one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sniperforge.domain.money import WSOL_MINT
from sniperforge.errors import InvalidInputError
from sniperforge.strategies.dca import DcaStrategy
from sniperforge.strategies.registry import StrategyRegistry
from sniperforge.trading.strategy_executor import RoundOutcome
from tests.fakes.plan_world import PlanWorld
from tests.fakes.records import USDC, WALLET

CONTRARIAN = '''
from sniperforge.strategies.base import Decision, Proposal
from sniperforge.strategies.dca import DcaStrategy


class Contrarian(DcaStrategy):
    """Gives one base unit more than DCA would."""

    def decide(self, config, state, observation, occurrence, now):
        decision = super().decide(config, state, observation, occurrence, now)
        raw = decision.proposal.input_raw + 1
        one_more = {name: getattr(decision.proposal, name) for name in Proposal.__slots__} | {"input_raw": raw}
        return Decision(state=decision.state, proposal=Proposal(**one_more))
'''


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, package: str, entry: str, code: str) -> None:
    """A distribution as pip leaves it behind: a module, and metadata that declares an entry point."""
    (folder / f"{package}.py").write_text(code)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[sniperforge.strategies]\n{entry}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, package, raising=False)


def test_dca_is_there() -> None:
    assert "dca" in StrategyRegistry().kinds()
    assert isinstance(StrategyRegistry().get("dca"), DcaStrategy)


def test_an_unknown_strategy_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidInputError, match="Known are: dca"):
        StrategyRegistry().get("martingale")


def test_a_strategy_of_another_package_trades_like_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "contrarian_pkg", "contrarian = contrarian_pkg:Contrarian", CONTRARIAN)
    world = PlanWorld()
    assert {"contrarian", "dca"} <= set(world.registry.kinds())
    world.desk.create(world.desk.draft("contrarian", world.values(), WALLET))
    assert world.run().outcome is RoundOutcome.DECIDED
    (trade,) = world.trades()
    assert (trade.key, trade.input_amount_raw) == ("contrarian:hourly:0", 5_000_001)
    assert (trade.input_mint, trade.output_mint) == (USDC, WSOL_MINT)


def test_a_trade_that_cannot_be_one_skips_the_round_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = CONTRARIAN.replace("decision.proposal.input_raw + 1", "0")
    install(monkeypatch, tmp_path, "idle_pkg", "idle = idle_pkg:Contrarian", code)
    world = PlanWorld()
    world.desk.create(world.desk.draft("idle", world.values(), WALLET))
    assert world.run().outcome is RoundOutcome.SKIPPED
    assert "zero buys nothing" in (world.rounds()[0].reason or "")
    assert (world.trades(), world.plan().next_occurrence) == ([], 1)


def test_a_plan_whose_package_is_gone_is_named_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "gone_pkg", "gone = gone_pkg:Contrarian", CONTRARIAN)
    world = PlanWorld()
    world.desk.create(world.desk.draft("gone", world.values(), WALLET))
    monkeypatch.undo()
    world.registry = StrategyRegistry()
    with pytest.raises(InvalidInputError, match="there is no strategy of this name"):
        world.run()
    assert world.trades() == []
    assert world.desk.stop(world.plan().id, by="somebody").next_due_at is None


@pytest.mark.parametrize(
    ("code", "entry"),
    [
        ("import nowhere_to_be_found", "broken = broken_pkg:Thing"),
        ("", "broken = broken_pkg:Thing"),
        ("Thing = 5", "broken = broken_pkg:Thing"),
    ],
)
def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, entry: str) -> None:
    install(monkeypatch, tmp_path, "broken_pkg", entry, code)
    with pytest.raises(InvalidInputError, match="broken_pkg:Thing"):
        StrategyRegistry().get("broken")


def test_a_name_that_two_packages_claim_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package in ("one_pkg", "two_pkg"):
        folder = tmp_path / package
        folder.mkdir()
        install(monkeypatch, folder, package, f"dual = {package}:Contrarian", CONTRARIAN)
    with pytest.raises(InvalidInputError, match="one_pkg:Contrarian, two_pkg:Contrarian"):
        StrategyRegistry().get("dual")
