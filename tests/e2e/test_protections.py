"""Protections as typed: a limit that is used up denies entries and names itself, exits go on, `risk-show` tells it."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.sandbox_process import running_sandbox
from tests.fakes.user_home import fund, make_home, one_line

pytestmark = [pytest.mark.slow, pytest.mark.system]

BUY = ("trade", "--from", "USDC", "--to", "SOL", "--inline")
SELL = ("trade", "--from", "SOL", "--to", "USDC", "--inline", "--exit")
SOL_USD = 180


def worths(pattern: str, text: str) -> list[float]:
    """The dollars that this pattern's groups find in a text."""
    found = re.search(pattern, text)
    return [float(usd) for usd in found.groups()] if found else []


def test_limits_are_held_and_told(tmp_path: Path) -> None:
    sandbox_home = tmp_path / "sandbox"
    sandbox_home.mkdir()
    with running_sandbox(sandbox_home, slot_ms=40, rate_limits=False, crowd=20, scenario="flat") as sandbox:
        home = make_home(
            sandbox,
            tmp_path,
            SNIPERFORGE_MAX_EXPOSURE_PER_TOKEN_USD="60",
            SNIPERFORGE_MAX_LOSS_PER_DAY_USD="1000",
            SNIPERFORGE_RISK_TOKEN_COOLDOWN_S="3600",
        )
        fund(sandbox, home)

        nothing = home.run("risk-show").text
        assert "no limit: max_spend_per_trade_usd, max_spend_per_day_usd, max_drawdown_usd" in nothing
        assert nothing.endswith("exits are never held back\n")

        assert home.run(*BUY, "--amount", "50").status == 0
        refused = home.run(*BUY, "--amount", "20")
        assert refused.status == 1
        rule = r"max_exposure_per_token_usd: it is worth (\d+\.\d\d) USD"
        assert worths(rf"{rule}, and (\d+\.\d\d)", refused.text) == pytest.approx([20, 50], rel=0.02), refused.text
        trade = home.trades()[0]
        assert (trade["state"], trade["reason_code"]) == ("failed", "max_exposure_per_token_usd")
        shown = home.run("trade-show", trade["id"]).text
        assert worths(rf"reason        {rule}", shown) == pytest.approx([20], rel=0.02), shown
        assert "attempt" not in shown

        sandbox.ask("POST", "/price", token="SOL", usd=SOL_USD * 0.97)
        assert home.run(*SELL, "--amount", "0.1").status == 0
        decided = home.decided()
        assert "risk_token_cooldown_s: this token was sold" in one_line(home.run(*BUY, "--amount", "1"))
        assert home.decided() == decided

        told = home.json("risk-show")
        assert (told["denied"], len(told["denied_tokens"])) == (False, 1)
        by_rule = {one["rule"]: one for one in told["rules"]}
        cooling = by_rule["risk_token_cooldown_s"]
        assert (cooling["denies"], cooling["token"], cooling["limit"]) == (True, told["denied_tokens"][0], "3600")
        assert cooling["until"] > told["at"]
        held = Decimal(by_rule["max_exposure_per_token_usd"]["used"])
        assert 0 < held < 50
        lost = Decimal(by_rule["max_loss_per_day_usd"]["used"])
        assert float(lost) == pytest.approx(0.1 * SOL_USD * 0.03, rel=0.3)
        lines = home.run("risk-show").text.splitlines()
        (line,) = [line for line in lines if line.startswith("risk_token_cooldown_s")]
        assert line.split()[1:3] == ["SOL", "3,600"]
        assert "denied, until 20" in line
