"""README and docs keep their word: their commands run, their Python runs, their links lead on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text()
NEEDS_MORE = re.compile(
    r"COMMAND|nndiag (diagnose|play|report|runs( [sce]|$)|sweep$|summary$|predict|quiz( --set|$))|"
    r"package\.module|\.csv|\.npz|--save|\.safetensors|--data \w*(mnist|cifar)|[\[<]|\.\.\."
)


def commands() -> list[str]:
    """Return each command that README and docs print, in code or on a line of its own."""
    found = re.findall(
        r"(?:^ *|`|scripts/)(nndiag [a-z-][^`\n#]*)", "\n".join(map(read, PAGES)), re.M
    )
    return [text for text in dict.fromkeys(map(str.strip, found)) if not NEEDS_MORE.search(text)]


def read(page: Path) -> str:
    return page.read_text()


def slow(command: str) -> bool:
    return bool(
        re.search(
            r"--depth \d{4}|--train \d{3}|"
            r"nndiag (compare-|lr-find|sweep|transfer|learning-curve|boundary$|depth-limit|"
            r"reproduce)|"
            r"--axis|--animate|--task classification",
            command,
        )
    )


def test_two_commands_stand_first() -> None:
    first = re.search(r"^```bash\n(.*?)^```", README, re.M | re.S)
    assert first is not None
    assert README[: first.start()].count("\n") < 15, "on the first screen"
    lines = [line.split("#")[0].split() for line in first[1].splitlines()]
    assert [line[:2] for line in lines] == [["bash", "scripts/nndiag"], ["bash", "scripts/test"]]
    assert lines[0][2:] == ["gradients", "--depth", "20", "--act", "sigmoid"]
    assert lines[1][2:] == []


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.slow] if slow(c) else [], id=c) for c in commands()],
)
def test_printed_command_runs(
    run_cli: Callable[..., object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_cli(*shlex.split(command)[1:])
    assert (done.code, done.out != "") == (0, True), done  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_printed_python_runs(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        exec(compile(block, page.name, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
