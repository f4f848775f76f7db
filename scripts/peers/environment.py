"""Make the benchmark environment: other tools beside this checkout's torch.

    python scripts/peers/environment.py --venv FOLDER

The folder becomes a virtual environment that sees the packages of the interpreter running this (so
torch is not installed twice) and has the other tools of its own. An existing one is kept. What
cannot be installed is said and left out of the tables.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

# Package by tool; the last two let the scripts of tests/faults that need them run.
PACKAGES = {
    "torchmortem": "torchmortem",
    "torch-audit": "torch-audit",
    "torchdiag": "torchdiag",
    "W&B": "wandb",
    "TensorBoard": "tensorboard",
    "Lightning": "lightning",
    "transformers": "transformers[torch]",
}


def interpreter(folder: Path) -> Path:
    """Return the Python of the environment, made and filled first where it is not there."""
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    venv.create(folder, with_pip=True)
    here = sysconfig.get_paths()["purelib"]
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # addsitedir reads the .pth files there too: an editable nndiag is found
    (own / "torch_of_checkout.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for tool, package in PACKAGES.items():
        done = subprocess.run(
            [python, "-m", "pip", "install", "-q", package], capture_output=True, text=True
        )
        if done.returncode:
            print(f"{tool}: not installable: {done.stderr.strip()[-300:]}", file=sys.stderr)
    (folder / "ready").touch()
    return python


def versions(python: Path) -> str:
    """Return the installed tools with their versions."""
    names = [package.split("[")[0] for package in [*PACKAGES.values(), "torch"]]
    code = (
        "import importlib.metadata as m, sys\n"
        "found = reversed(list(m.distributions()))\n"
        "have = {one.metadata['Name'].lower(): one.version for one in found}\n"
        "print(', '.join(f'{n} {have.get(n, chr(8212))}' for n in sys.argv[1:]))"
    )
    return subprocess.run(
        [python, "-c", code, *names], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "peers-venv")
    print(versions(interpreter(parser.parse_args().venv)))


if __name__ == "__main__":
    main()
