"""Let `diagnose --try-fixes` choose a cure for every curable script of tests/faults, and check it.

    python scripts/cure_table.py [--jobs 2] [--only WORD]

A cure counts when the whole script, run under the change that was verified and ranked first, prints
a last number better than the faulty script's by the margin that the catalogue asks of its repaired
twin. That number is the script's own; none of ours enters.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

FAULTS = Path(__file__).parent.parent / "tests" / "faults"
_PATIENCE = 900  # seconds for the trials of one script


def run_under(names: str, path: str) -> None:
    """Run a script to its end with changes made on the way."""
    from nndiag.attach.interventions import layers_of, parse
    from nndiag.attach.script import observe

    with contextlib.redirect_stdout(None):
        layers = layers_of(observe(path, steps=3).observation)
    interventions = parse(names, layers)
    with contextlib.ExitStack() as stack:
        for intervention in interventions:
            stack.enter_context(intervention.active())
        observe(path, every=10_000, interventions=interventions)


def last_number(text: str) -> float:
    numbers = re.findall(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)", text.lower())
    return float(numbers[-1]) if numbers else float("nan")


def called(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=FAULTS,
        check=False,
        timeout=_PATIENCE,
    )
    return done.stdout


def chosen(entry: dict[str, Any]) -> str | None:
    """Return the verified change ranked first, None where none was verified."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "result.json"
        called("-m", "nndiag", "diagnose", "--try-fixes", "--json", str(saved), entry["path"])
        if not saved.exists():
            return None
        trials = json.loads(saved.read_text()).get("result", {}).get("trials") or {}
    verified = [row["label"] for row in trials.get("rows", ()) if row["verdict"] == "verified"]
    return verified[0] if verified else None


def judged(entry: dict[str, Any]) -> tuple[str, bool, float, float]:
    """Return the change, whether the script trains under it, its number before and after."""
    try:
        names = chosen(entry)
        before = last_number(called(entry["path"]))
        if names is None:
            return "-", False, before, float("nan")
        after = last_number(called(__file__, "--under", names, entry["path"]))
    except subprocess.TimeoutExpired:
        return "(out of time)", False, float("nan"), float("nan")
    if entry["metric"] == "accuracy":
        return names, after >= before + entry["margin"], before, after
    better = after <= entry["margin"] * before or (before != before and after == after)
    return names, better, before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="scripts with this word in their path")
    parser.add_argument("--every", type=int, default=1, help="each so many-th script")
    parser.add_argument("--under", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.under:
        run_under(*options.under)
        return
    catalogue = tomllib.loads((FAULTS / "catalogue.toml").read_text(encoding="utf-8"))
    entries = [
        entry
        for entry in catalogue["faulty"]
        if entry["cure"] != "none" and options.only in entry["path"] and "raises" not in entry
    ][:: options.every]
    print("| script | known cure | verified first | trains | number before | after |")
    print("|---|---|---|---|---|---|")
    trains = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for entry, row in zip(entries, pool.map(judged, entries), strict=True):
            names, good, before, after = row
            trains += good
            print(
                f"| {entry['path'].removeprefix('faulty/')} | {entry['cure']} | {names} | "
                f"{'yes' if good else 'no'} | {before:.3g} | {after:.3g} |",
                flush=True,
            )
    if entries:
        print(f"\nthe change verified first trains: {trains} of {len(entries)}", end=" ")
        print(f"({trains / len(entries):.0%})")


if __name__ == "__main__":
    main()
