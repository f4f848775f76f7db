"""Diagnose every script of tests/faults and print what was named: the confusion table.

    python scripts/fault_table.py [--jobs 2] [--only WORD] [--verbose]

A fault counts as named when a finding of severity warning or critical has its symptom, and as named
first when the first finding has. A symptom that the catalogue lists under `also` is right too, and
counted apart. Scripts whose package is not installed are left out, and said.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

FAULTS = Path(__file__).parent.parent / "tests" / "faults"


def diagnose_one(path: str) -> None:
    """Print the findings of one script as JSON, the script's own output left out."""
    from nndiag.attach.script import observe
    from nndiag.diagnosis.run import diagnose_run

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        findings = diagnose_run(observe(path).observation)
    print(json.dumps([[f.symptom.value, f.severity.value, f.cause] for f in findings]))


def diagnosed(entry: dict[str, Any]) -> list[list[str]] | None:
    """Return [symptom, severity, cause] of each finding, None where the diagnosis failed."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(FAULTS / entry["path"])],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=FAULTS,
        check=False,
    )
    if done.returncode:
        print(f"{entry['path']}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def serious(findings: list[list[str]] | None) -> list[str]:
    return [symptom for symptom, severity, _cause in findings or [] if severity != "info"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="scripts with this word in their path")
    parser.add_argument("--verbose", action="store_true", help="causes of what went wrong")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        diagnose_one(options.one)
        return
    catalogue = tomllib.loads((FAULTS / "catalogue.toml").read_text(encoding="utf-8"))
    entries = [
        {**entry, "kind": kind}
        for kind in ("healthy", "faulty")
        for entry in catalogue[kind]
        if options.only in entry["path"]
    ]
    missing = [e for e in entries if "needs" in e and not importlib.util.find_spec(e["needs"])]
    entries = [entry for entry in entries if entry not in missing]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(diagnosed, entries))
    report(entries, results, verbose=options.verbose)
    if missing:
        print(f"left out, package not installed: {', '.join(e['path'] for e in missing)}")


def report(
    entries: list[dict[str, Any]], results: list[list[list[str]] | None], *, verbose: bool
) -> None:
    table: dict[str, Counter[str]] = {}
    alarms = healthy = 0
    for entry, findings in zip(entries, results, strict=True):
        names = serious(findings)
        if entry["kind"] == "healthy":
            healthy += 1
            alarms += bool(names)
            wrong = bool(names) or findings is None
        else:
            row = table.setdefault(entry["symptom"], Counter())
            row["scripts"] += 1
            row["named"] += entry["symptom"] in names
            row["first"] += names[:1] == [entry["symptom"]]
            row["also"] += entry["symptom"] not in names and bool({*entry["also"]} & {*names})
            row["nothing"] += not names
            wrong = names[:1] != [entry["symptom"]]
        if wrong:
            print(f"- {entry['path']}: {', '.join(names) or 'nothing'}")
            for symptom, severity, cause in (findings or []) if verbose else []:
                print(f"    {severity} {symptom}: {cause}")
    total = sum(table.values(), Counter())
    print("\n| symptom | scripts | named | first | only a consequence | nothing |")
    print("|---|---|---|---|---|---|")
    for symptom, row in [*sorted(table.items()), ("all", total)]:
        cells = (row[key] for key in ("scripts", "named", "first", "also", "nothing"))
        print(f"| {symptom} | " + " | ".join(map(str, cells)) + " |")
    if total["scripts"]:
        print(f"\nnamed: {total['named'] / total['scripts']:.0%}", end="; ")
        print(f"named first: {total['first'] / total['scripts']:.0%}")
    print(f"healthy scripts with a warning or worse: {alarms} of {healthy}")


if __name__ == "__main__":
    main()
