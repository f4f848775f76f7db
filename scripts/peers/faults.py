"""The fault catalogue of tests/faults, diagnosed by nndiag and by other tools.

    python scripts/peers/compare.py faults --venv FOLDER [--only WORD] [--jobs N] [--verbose]

Each script runs once for each tool, in a process of its own. As in scripts/fault_table.py only
warnings and worse count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meanings import MEANINGS, is_hint, symptoms

HERE = Path(__file__).parent
FAULTS = HERE.parent.parent / "tests" / "faults"
TOOLS = ("nndiag", *MEANINGS)
LIMIT = 600  # seconds


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a tool said of one script."""

    named: frozenset[str] = frozenset()  # symptoms, in nndiag's words
    alarm: bool = False  # anything of severity warning or worse
    hint: bool = False  # hints on speed and style
    info: frozenset[str] = frozenset()  # symptoms named below a warning
    failure: str = ""  # why the tool could not run


def run(command: list[Any], folder: str) -> tuple[Any, str]:
    """Return the JSON of a command's last line, or why there is none."""
    quiet = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, **quiet},
            timeout=LIMIT,
            check=False,
        )
        return json.loads(done.stdout.splitlines()[-1]), ""
    except subprocess.TimeoutExpired:
        return None, f"more than {LIMIT} s"
    except (IndexError, json.JSONDecodeError):
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1]


def by_nndiag(python: Path, script: Path, folder: str) -> Said:
    found, failure = run([python, HERE.parent / "fault_table.py", "--one", script], folder)
    if found is None:
        return Said(failure=failure)
    serious = frozenset(symptom for symptom, severity, _ in found if severity != "info")
    info = frozenset(symptom for symptom, severity, _ in found if severity == "info")
    return Said(named=serious, alarm=bool(serious), info=info)


def by_peer(tool: str, python: Path, script: Path, folder: str) -> Said:
    found, failure = run([python, HERE / "attach.py", tool, script], folder)
    if found is None:
        return Said(failure=failure)
    reports = [r for r in found["reports"] if not is_hint(tool, r[0])]
    serious = [text for text, severity in reports if severity != "INFO"]
    info = [t for t, severity in reports if severity == "INFO" and t in MEANINGS[tool]]
    return Said(
        named=frozenset(s for text in serious for s in symptoms(tool, text)),
        alarm=bool(serious),
        hint=any(is_hint(tool, text) for text, severity in found["reports"] if severity != "INFO"),
        info=frozenset(s for text in info for s in symptoms(tool, text)),
        failure="" if found["models"] else "no model and optimizer to put it on",
    )


def said(tool: str, python: Path, entry: dict[str, Any]) -> Said:
    script = FAULTS / entry["path"]
    with tempfile.TemporaryDirectory() as folder:
        if tool == "nndiag":
            return by_nndiag(python, script, folder)
        return by_peer(tool, python, script, folder)


def entries(only: str) -> list[dict[str, Any]]:
    catalogue = tomllib.loads((FAULTS / "catalogue.toml").read_text(encoding="utf-8"))
    return [
        {**entry, "kind": kind}
        for kind in ("healthy", "faulty")
        for entry in catalogue[kind]
        if only in entry["path"]
    ]


def table(python: Path, *, only: str, jobs: int, verbose: bool) -> None:
    """Print the confusion table."""
    scripts = entries(only)
    asked = [(tool, entry) for entry in scripts for tool in TOOLS]
    with ThreadPoolExecutor(jobs) as pool:
        answers = list(pool.map(lambda pair: said(pair[0], python, pair[1]), asked))
    results: dict[str, list[tuple[dict[str, Any], Said]]] = {tool: [] for tool in TOOLS}
    for (tool, entry), answer in zip(asked, answers, strict=True):
        results[tool].append((entry, answer))
        if verbose:
            words = answer.failure or ", ".join(sorted(answer.named)) or "-"
            print(f"{entry['path']}: {tool}: {words}", file=sys.stderr)
    summary(results)
    by_symptom(results)
    for tool, rows in results.items():
        for entry, answer in rows:
            if answer.failure:
                print(f"{tool} did not run on {entry['path']}: {answer.failure}")


def summary(results: dict[str, list[tuple[dict[str, Any], Said]]]) -> None:
    print("\n| tool | reports anything | names the cause | or only a consequence ", end="")
    print("| symptoms named a fault | false alarms |\n|---|---|---|---|---|---|")
    for tool, rows in results.items():
        faulty = [(e, s) for e, s in rows if e["kind"] == "faulty"]
        healthy = [s for e, s in rows if e["kind"] == "healthy"]
        cause = [e["symptom"] in s.named for e, s in faulty]
        also = [e["symptom"] not in s.named and bool({*e["also"]} & s.named) for e, s in faulty]
        many = sum(len(s.named) for _, s in faulty) / max(len(faulty), 1)
        print(
            f"| {tool} | {share(s.alarm for _, s in faulty)} | {share(cause)} | {share(also)} "
            f"| {many:.1f} | {sum(s.alarm for s in healthy)} of {len(healthy)} |"
        )
    print()
    for tool, rows in results.items():
        faulty = [(e, s) for e, s in rows if e["kind"] == "faulty"]
        healthy = [s for e, s in rows if e["kind"] == "healthy"]
        if any(s.hint for s in healthy) or any(s.info for _, s in rows):
            named = share(e["symptom"] in s.named | s.info for e, s in faulty)
            any_note = sum(s.alarm or bool(s.info) for s in healthy)
            hints = sum(s.hint for s in healthy)
            print(
                f"{tool}: with its notes below a warning, cause named {named}, healthy scripts "
                f"with any {any_note}; hints on speed and style as warnings on {hints} of "
                f"{len(healthy)} healthy scripts"
            )


def by_symptom(results: dict[str, list[tuple[dict[str, Any], Said]]]) -> None:
    kinds = sorted({e["symptom"] for e, _ in results["nndiag"] if e["kind"] == "faulty"})
    print("\n| cause named | scripts | " + " | ".join(results) + " |")
    print("|---|---|" + "---|" * len(results))
    for kind in kinds:
        counts = [
            sum(kind in s.named for e, s in rows if e.get("symptom") == kind)
            for rows in results.values()
        ]
        total = sum(e.get("symptom") == kind for e, _ in results["nndiag"])
        print(f"| {kind} | {total} | " + " | ".join(map(str, counts)) + " |")


def share(flags: Iterable[bool]) -> str:
    values = list(flags)
    return f"{sum(values) / len(values):.0%}" if values else "-"
