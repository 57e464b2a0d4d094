"""Guides as a person reads them: what a document tells to type, and somebody who types it in a folder of their own.

Nothing of a document is left out: whoever follows it names every command that cannot be typed here, with the reason.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.fakes.terminal import Outcome, run_at_terminal

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 120.0
PASSPHRASE = "correct horse battery"

_PARTS = re.compile(r"```(\w*)\n(.*?)```|`((?:sniperforge|docker|make|curl|sudo) [^`\n]+)`", re.DOTALL)
_NEW_PASSPHRASE = (("Passphrase of the wallets", PASSPHRASE), ("The same again", PASSPHRASE))
_ON_ITS_SCREEN = (("SniperForge is ready", "\x03"),)
_ANSWERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "flatten": (("?", "y"),),
    "order-create": (("Place this order?", "y"),),
    "order-edit": (("Change this order?", "y"),),
    "resume": (("may trading go on?", "y"),),
    "strategy-run": (("Start this plan?", "y"),),
    "strategy-stop": (("for good?", "y"),),
    "wallet-create": _NEW_PASSPHRASE,
    "wallet-import": _NEW_PASSPHRASE,
}
_LEARNED = {"trade": (r"^trade ([a-z2-7]{24})", "ID"), "order-create": (r"\border (o\w{4})\w{7} is open", "oud")}
"""What commands say that later ones need, and the word that stands for it in the guides."""


def text_of(document: str) -> str:
    """A document, by its path in the project."""
    return (ROOT / document).read_text(encoding="utf-8")


def commands_in(text: str, *, prose: bool = False) -> list[str]:
    """What its console blocks tell to type, in order, without comments.

    Args:
        text: Of a document. `# ` is the prompt of root, as `$ ` is anybody's.
        prose: Whether commands in the middle of sentences are to be typed too, as in a runbook.
    """
    found = []
    for language, block, span in _PARTS.findall(text):
        if language == "console":
            found += [_without_comment(line[2:]) for line in block.splitlines() if line.startswith(("$ ", "# "))]
        elif span and prose:
            found.append(span)
    return found


def _without_comment(line: str) -> str:
    return re.split(r"\s+#", line)[0].strip()


@dataclass
class Person:
    """Somebody who follows a document.

    Attributes:
        folder: Where the commands are typed.
        environment: Of the shell; `export` changes it.
        words: What the words of a document stand for here: `ID`, `WALLET`.
        instead: What is typed in place of a part of a command.
        said: What each command said, as the document has it.
    """

    folder: Path
    environment: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def type(self, command: str) -> Outcome:
        """Type it as it stands, answer what it asks, and remember what it said."""
        line = command.replace("$PWD", str(self.folder))
        for part, other in self.instead.items():
            line = line.replace(part, other)
        words = [self.words.get(word, word) for word in shlex.split(line)]
        if words[0] == "export":
            self.environment |= {name: value for name, _, value in (word.partition("=") for word in words[1:])}
            return Outcome(0, "")
        outcome = _curl(words) if words[0] == "curl" else self._sniperforge(words)
        self.said[command] = outcome.text
        pattern, name = _LEARNED.get(words[1], ("", ""))
        learned = re.search(pattern, outcome.text, re.MULTILINE) if name else None
        if learned is not None:
            self.words[name] = learned[1]
        return outcome

    def follow(
        self,
        commands: list[str],
        *,
        but: Mapping[str, str] | None = None,
        ends: Mapping[str, Collection[int]] | None = None,
        before: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        """Type every command in order.

        Args:
            commands: Of a document, all of them.
            but: Those that are not typed, with the reason.
            ends: How those may end that do not always end with 0.
            before: What happens before a command is typed for the first time.
        """
        but, ends, happens = but or {}, ends or {}, dict(before or {})
        unknown = {*but, *ends, *happens} - set(commands)
        assert not unknown, f"the document does not have {sorted(unknown)}"
        for command in commands:
            if command in but:
                continue
            if command in happens:
                happens.pop(command)()
            outcome = self.type(command)
            assert outcome.status in ends.get(command, (0,)), f"$ {command}\n{outcome.text}"

    def _sniperforge(self, words: list[str]) -> Outcome:
        assert words[0] == "sniperforge", f"nobody types {words} here: name it with the reason"
        words[0] = str(Path(sys.executable).parent / "sniperforge")
        answers = _ON_ITS_SCREEN if words[1:] == ["up"] else _ANSWERS.get(words[1])
        if answers is not None:
            return run_at_terminal(words, self.environment, answers, within_s=WITHIN_S, folder=self.folder)
        done = subprocess.run(
            words, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=WITHIN_S, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout + done.stderr)


def _curl(words: list[str]) -> Outcome:
    """`curl -s URL -d BODY`, which sends the body as a form, whatever it is."""
    _, quiet, address, data, body = words
    assert (quiet, data) == ("-s", "-d")
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"http://{address}", content=body, headers=kind, timeout=WITHIN_S)
    return Outcome(0 if answer.is_success else 1, answer.text)
