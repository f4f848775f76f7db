"""The two commands of the README on machines that lack something, and on those that do not.

Real shell scripts run in a copy of the checkout, with a PATH of our making. A stand-in plays Python
where the real one would download gigabytes; one test uses the real interpreter and the real pip.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("awk", "bash", "cat", "cp", "df", "dirname", "grep", "ln", "mkdir", "readlink", "rm")
TOOLS += ("sed", "sleep", "tail")
SAY = "nndiag set-up: "

STAND_IN = """#!/bin/sh
echo "$*" >>"$STUB_CALLS"
here=$(dirname "$0")
case " $* " in *" ${STUB_FAILS:-nothing} "*) exit 1 ;; esac
case "$1 $2" in
"--version "*) echo "Python ${STUB_VERSION:-3.12.1}" ;;
"-I -c") [ -f "$here/installed" ] ;;
"-c "*) [ -z "${STUB_VERSION:-}" ] ;;
"-m venv")
    [ -z "${STUB_VENV_SAYS:-}" ] || { echo "$STUB_VENV_SAYS"; exit 1; }
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
    ;;
"-m pip")
    [ -z "${STUB_PIP_WAITS:-}" ] || { echo waiting >"$STUB_CALLS.pip"; sleep 30; }
    [ -z "${STUB_PIP_SAYS:-}" ] || { echo "$STUB_PIP_SAYS"; exit 1; }
    echo "  Downloading torch-2.15.0-cp312-linux.whl (539.1 MB)"
    echo "Installing collected packages: torch"
    : >"$here/installed"
    ;;
"-P -m")
    shift 3
    pwd
    printf '<%s>' "$@"
    exit 7
    ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout on a machine with a few tools."""

    root: Path
    tools: Path
    calls_file: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": str(self.tools), "STUB_CALLS": str(self.calls_file), **more}

    def run(
        self, script: str, *arguments: str, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.root / "scripts" / script), *arguments],
            cwd=cwd or self.root.parent,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self, start: str) -> list[str]:
        """Return how Python was called, as far as the arguments start so."""
        return [line for line in self.calls_file.read_text().splitlines() if line.startswith(start)]

    def add_python(self, name: str = "python3") -> Path:
        path = self.tools / name
        path.write_text(STAND_IN)
        path.chmod(0o755)
        return path

    @property
    def log(self) -> Path:
        return self.root / ".venv" / "setup.log"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "my check out"
    (root / "scripts").mkdir(parents=True)
    for name in ("environment.sh", "nndiag", "test"):
        shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    calls = tmp_path / "calls"
    calls.touch()
    return Checkout(root, tools, calls)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


# -- no Python that will do ------------------------------------------------------------------------


def test_no_python(checkout: Checkout) -> None:
    done = checkout.run("nndiag", "--version")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        SAY + "no Python was found; install Python 3.11 or newer, "
        "or name it: PYTHON=/path/to/python3.11.\n"
    )


def test_python_too_old(checkout: Checkout) -> None:
    checkout.add_python()
    done = checkout.run("nndiag", "--version", STUB_VERSION="3.9.18")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        SAY + "Python 3.11 or newer is needed, but python3 is Python 3.9.18; "
        "install a newer one, or name it: PYTHON=/path/to/python3.11.\n"
    )


def test_python_named_wrongly(checkout: Checkout) -> None:
    checkout.add_python()
    done = checkout.run("nndiag", "--version", PYTHON="/no such/python")
    assert done.returncode == 1
    assert done.stderr == (
        SAY + "PYTHON=/no such/python is not a Python that runs; "
        "name one of version 3.11 or newer, or unset PYTHON.\n"
    )


def test_python_named_may_lie_anywhere(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "my pythons").mkdir()
    shutil.move(checkout.add_python(), tmp_path / "my pythons" / "snake")
    done = checkout.run("nndiag", PYTHON=str(tmp_path / "my pythons" / "snake"))
    assert done.returncode == 7, done.stderr


def test_a_command_that_only_promises_python_is_passed_over(checkout: Checkout) -> None:
    promise = checkout.tools / "python3.13"
    promise.write_text("#!/bin/sh\necho 'command not found'\nexit 127\n")
    promise.chmod(0o755)
    checkout.add_python("python3")
    done = checkout.run("nndiag")
    assert done.returncode == 7
    assert f"with Python 3.12.1 ({checkout.tools}/python3)" in done.stderr


# -- set-up fails half-way -------------------------------------------------------------------------


def test_no_venv_module(checkout: Checkout) -> None:
    checkout.add_python()
    done = checkout.run(
        "nndiag",
        STUB_VENV_SAYS="The virtual environment was not created: ensurepip is not available.",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert last_line(done) == (
        f"{SAY}{checkout.tools}/python3 lacks the module venv; install it (Debian, Ubuntu: apt "
        f"install python3-venv) and try again. Details: {checkout.log}"
    )
    assert "ensurepip" in checkout.log.read_text()


PIP_FAILS = {
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": (
        "the disk is full; {venv} needs up to 6 GB, and /tmp 3 GB while downloading."
    ),
    "WARNING: Retrying after connection broken by 'SSLError(CERTIFICATE_VERIFY_FAILED)'": (
        "the certificate of the package registry cannot be verified; "
        "check the system's clock and certificates."
    ),
    "ERROR: Could not find a version that satisfies torchvision>=0.29 (from versions: 0.1)\n"
    "ERROR: No matching distribution found for torchvision>=0.29": (
        "the package registry has no torchvision>=0.29 for Python 3.12.1 on this machine; "
        "try another Python with PYTHON=."
    ),
    "ERROR: something else": "pip could not install the package.",
}


@pytest.mark.parametrize("says", PIP_FAILS, ids=["space", "certificate", "version", "other"])
def test_pip_fails(checkout: Checkout, says: str) -> None:
    checkout.add_python()
    done = checkout.run("nndiag", STUB_PIP_SAYS=says)
    sentence = PIP_FAILS[says].format(venv=checkout.root / ".venv")
    assert (done.returncode, done.stdout) == (1, "")
    assert last_line(done) == f"{SAY}{sentence} Details: {checkout.log}"
    assert says in checkout.log.read_text()
    assert checkout.run("nndiag").returncode == 7, "the next try goes on from there"


def test_registry_out_of_reach(checkout: Checkout, tmp_path: Path) -> None:
    """With the real interpreter, the real venv and the real pip."""
    done = checkout.run(
        "nndiag",
        PYTHON=sys.executable,
        HOME=str(tmp_path),
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert last_line(done) == (
        f"{SAY}the package registry cannot be reached; check the network and try again. "
        f"Details: {checkout.log}"
    )
    assert not list((checkout.root / ".venv").glob("set-up.*"))


def test_interrupted(checkout: Checkout) -> None:
    checkout.add_python()
    process = subprocess.Popen(
        ["bash", str(checkout.root / "scripts" / "nndiag")],
        env=checkout.environment(STUB_PIP_WAITS="yes"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not Path(f"{checkout.calls_file}.pip").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert errors.endswith(SAY + "interrupted; the same command goes on from here\n")
    assert not os.path.lexists(checkout.root / ".venv.lock")
    assert checkout.run("nndiag").returncode == 7


# -- set-up succeeds -------------------------------------------------------------------------------


def test_first_use(checkout: Checkout, tmp_path: Path) -> None:
    checkout.add_python()
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    done = checkout.run("nndiag", "gradients", "--data", "my file.csv", "", cwd=elsewhere)
    assert done.returncode == 7, "the exit code is the command's"
    assert done.stdout == f"{elsewhere}\n<gradients><--data><my file.csv><>"
    assert done.stderr.splitlines() == [
        f"{SAY}creating {checkout.root}/.venv with Python 3.12.1 ({checkout.tools}/python3)",
        f"{SAY}installing nndiag[plot,report,learn,web] into {checkout.root}/.venv",
        f"{SAY}(the first time this downloads PyTorch: a few minutes, and up to 6 GB with CUDA)",
        f"{SAY}  torch-2.15.0 (539.1 MB)",
        f"{SAY}  unpacking",
        f"{SAY}ready",
    ]
    assert [call.split(" --editable ")[1] for call in checkout.calls("-m pip")] == [
        ".[plot,report,learn,web]"
    ]


def test_later_uses_say_and_install_nothing(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.run("nndiag")
    done = checkout.run("nndiag", "--version")
    assert (done.returncode, done.stderr) == (7, "")
    assert len(checkout.calls("-m pip")) == 1


def test_changed_metadata_installs_again(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.run("nndiag")
    with (checkout.root / "pyproject.toml").open("a") as metadata:
        metadata.write("\n# changed\n")
    checkout.run("nndiag")
    assert len(checkout.calls("-m pip")) == 2
    assert len(checkout.calls("-m venv")) == 1


def test_moved_checkout_installs_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.add_python()
    checkout.run("nndiag")
    moved = Checkout(tmp_path / "moved", checkout.tools, checkout.calls_file)
    checkout.root.rename(moved.root)
    assert moved.run("nndiag").returncode == 7
    assert len(checkout.calls("-m pip")) == 2
    assert len(checkout.calls("-m venv")) == 1


@pytest.mark.parametrize("damage", ["interpreter removed", "half made", "a file", "uninstalled"])
def test_broken_environment_is_repaired(checkout: Checkout, damage: str) -> None:
    checkout.add_python()
    checkout.run("nndiag")
    venv = checkout.root / ".venv"
    if damage == "interpreter removed":
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/no/such/python")
    elif damage == "half made":
        shutil.rmtree(venv)
        (venv / "bin").mkdir(parents=True)
    elif damage == "a file":
        shutil.rmtree(venv)
        venv.touch()
    else:
        (venv / "bin" / "installed").unlink()
    assert checkout.run("nndiag").returncode == 7
    assert len(checkout.calls("-m pip")) == 2
    assert checkout.run("nndiag").stderr == ""


# -- two at once -----------------------------------------------------------------------------------


def test_lock_left_behind_is_void(checkout: Checkout) -> None:
    checkout.add_python()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (checkout.root / ".venv.lock").symlink_to(str(gone.pid))
    done = checkout.run("nndiag")
    assert done.returncode == 7
    assert "waiting" not in done.stderr
    assert not os.path.lexists(checkout.root / ".venv.lock")


def test_waits_for_another_set_up(checkout: Checkout) -> None:
    checkout.add_python()
    with subprocess.Popen(["sleep", "60"]) as other:
        (checkout.root / ".venv.lock").symlink_to(str(other.pid))
        process = subprocess.Popen(
            ["bash", str(checkout.root / "scripts" / "nndiag")],
            env=checkout.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline() == f"{SAY}waiting for the set-up in process {other.pid}\n"
        assert checkout.calls("-m") == []
        other.kill()
    process.communicate(timeout=30)
    assert process.returncode == 7


# -- scripts/test ----------------------------------------------------------------------------------


def test_every_check_runs(checkout: Checkout) -> None:
    checkout.add_python()
    done = checkout.run("test")
    assert done.returncode == 0, done.stderr
    assert checkout.calls("-m ruff") == ["-m ruff check .", "-m ruff format --check ."]
    assert checkout.calls("-m mypy") == ["-m mypy"]
    assert checkout.calls("-- ") == [f"-- {checkout.root}/.venv/bin/lint-imports --no-logo"]
    (pytest_call,) = checkout.calls("-m pytest")
    assert "-m not slow" in pytest_call
    assert "--cov=nndiag" in pytest_call


def test_arguments_go_to_pytest(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.run("test", "tests/zoo", "--slow", "-k", "relu and not gelu")
    (pytest_call,) = checkout.calls("-m pytest")
    assert "-m slow or not slow" in pytest_call
    assert pytest_call.endswith(" tests/zoo -k relu and not gelu")
    assert "--cov" not in pytest_call


def test_a_failed_check_is_named_and_the_others_still_run(checkout: Checkout) -> None:
    checkout.add_python()
    done = checkout.run("test", STUB_FAILS="mypy")
    assert done.returncode == 1
    assert last_line(done) == SAY + "failed: mypy"
    assert len(checkout.calls("-m pytest")) == 1
