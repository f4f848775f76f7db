"""Compare nndiag with other tools, in one run and in an environment of their own.

    python scripts/peers/compare.py faults [--only WORD] [--jobs N] [--verbose]
    python scripts/peers/compare.py overhead [--case NAME] [--pairs N] [--threads N]

`faults` lets each tool look at every script of tests/faults and prints who names which cause;
`overhead` times trainings with and without each tool. `--venv FOLDER` keeps the environment.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import faults
import overhead
from environment import interpreter, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "peers-venv")
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_faults = kinds.add_parser("faults", help="who names the cause of which fault")
    of_faults.add_argument("--only", default="", help="scripts with this word in their path")
    of_faults.add_argument("--jobs", type=int, default=2)
    of_faults.add_argument("--verbose", action="store_true", help="every answer, as it comes")
    of_overhead = kinds.add_parser("overhead", help="how much slower a training becomes")
    of_overhead.add_argument("--case", choices=overhead.CASES)
    of_overhead.add_argument("--pairs", type=int, default=15)
    of_overhead.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    python = interpreter(options.venv)
    print(versions(python))
    if options.kind == "faults":
        faults.table(python, only=options.only, jobs=options.jobs, verbose=options.verbose)
    else:
        cases = [options.case] if options.case else list(overhead.CASES)
        overhead.table(python, cases, pairs=options.pairs, threads=options.threads)


if __name__ == "__main__":
    main()
