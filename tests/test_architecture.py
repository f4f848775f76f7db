"""The house rules that a program can check."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nndiag

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "nndiag").rglob("*.py"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function of the package as `file.py:name` and its syntax tree."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.name}:{node.name}", node


def nine_tenths(values: list[int]) -> int:
    return sorted(values)[int(0.9 * len(values))]


def test_imports_point_one_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_family_of_symptoms_is_held_apart() -> None:
    from nndiag import diagnosis
    from nndiag.diagnosis import run, signal  # signal applies the families of one row to a run

    contracts = SETTINGS["importlinter"]["contracts"]
    held = [c["modules"] for c in contracts if c["name"] == "families of symptoms are independent"]
    families = {*diagnosis._FAMILIES, *run.FAMILIES} - {signal}
    assert held == [sorted(family.__name__ for family in families)]


def test_rooms_that_serve_users_models_know_none_of_ours() -> None:
    contracts = SETTINGS["importlinter"]["contracts"]
    held = [c["source_modules"] for c in contracts if "users' models" in c["name"]]
    rooms = [name for name in ("probe", "diagnosis", "theory", "attach") if is_room(name)]
    assert held == [[f"nndiag.{name}" for name in rooms]]


def is_room(name: str) -> bool:
    return (ROOT / "nndiag" / name / "__init__.py").exists()


def test_files_stay_small() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert max(lengths.values()) <= 600, max(lengths, key=lengths.__getitem__)
    assert nine_tenths(list(lengths.values())) <= 400
    assert statistics.median(lengths.values()) <= 150


def test_functions_stay_small() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    # A command's signature is its list of options with their help.
    assert {name for name, length in lengths.items() if length > 80} <= {"gradients.py:gradients"}
    assert nine_tenths(list(lengths.values())) <= 40
    assert statistics.median(lengths.values()) <= 12


def test_no_drawers() -> None:
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & {"utils", "helpers", "common", "misc"}


def test_public_functions_are_typed() -> None:
    def is_typed(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        spec = node.args
        given = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
        named = [a for a in given if a is not None and a.arg not in ("self", "cls")]
        return node.returns is not None and all(a.annotation is not None for a in named)

    public = [(name, node) for name, node in functions() if not node.name.startswith("_")]
    assert [name for name, node in public if not is_typed(node)] == []


def test_public_names_are_sorted_and_exist() -> None:
    assert nndiag.__all__ == sorted(set(nndiag.__all__))
    for name in nndiag.__all__:
        assert getattr(nndiag, name) is not None
    # What a type checker sees is what loads on first use.
    tree = ast.parse((ROOT / "nndiag" / "__init__.py").read_text())
    seen = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nndiag.")
        for alias in node.names
    }
    assert seen == {(home, name) for home, names in nndiag._HOMES.items() for name in names}
    assert {name for _, name in seen} | {"__version__"} == set(nndiag.__all__)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'nndiag' has no attribute 'Prob'$"):
        _ = nndiag.Prob


# Names in two halves, so that this file does not contain what it forbids.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "conda" + ".org",
    "ana" + "conda.com",
    "download.py" + "torch.org/whl",
]
MACHINE_PATHS = re.compile(
    r"(?<![\w./~-])/(?:home|root|work|Users|opt|mnt)/(?!me\b)"
)  # me: invented


def tracked() -> list[Path]:
    """Return the files of the checkout that are text and not generated."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in (".npy", ".mo", ".png")]


def test_no_registry_and_no_machine_is_named() -> None:
    found = []
    for path in tracked():
        text = path.read_text(encoding="utf-8")
        found += [f"{path}: {host}" for host in REGISTRIES if host in text]
        found += [f"{path}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
    assert found == []


COMMANDS_WITHOUT_TORCH = [
    ["--help"],
    ["--version"],
    ["gradients", "--help"],
    ["gradients", "--act", "sigmod"],
    ["gradients", "--init", "he_norml"],
    ["gradients", "--depth", "0"],
    ["gradients", "--depth", "many"],
    ["gradients", "--data", "mnits"],
    ["gradients", "--optimizer", "adm", "--train", "3"],
    ["gradients", "--lr", "0.1"],
    ["gradients", "--plot", "out.gif"],
    ["gradiens"],
]


@pytest.mark.parametrize("arguments", COMMANDS_WITHOUT_TORCH, ids=" ".join)
def test_answers_without_torch(
    python: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str]
) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'plotly'} & set(sys.modules)\n"
        "sys.exit(99 if heavy else code)",
        *arguments,
    )
    asks = {"--help", "--version"} & set(arguments)
    assert done.returncode == (0 if asks else 2), done.stderr
    if not asks:
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nndiag", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("nndiag ")


PROBE_THE_WHEEL = """
import sys
sys.path.insert(0, sys.argv[1])
import nndiag
from nndiag.datasets import embedded
assert nndiag.__file__.startswith(sys.argv[1]), nndiag.__file__
assert str(embedded.data_folder()).startswith(sys.argv[1]), embedded.data_folder()
print(embedded.load().train.x.shape[1:], nndiag.__version__)
"""


@pytest.mark.parametrize("through_sdist", [False, True])
def test_wheel_is_complete(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]], through_sdist: bool
) -> None:
    """Build offline, as pip does, then load the digits from the unpacked wheel alone."""
    source = ROOT
    if through_sdist:
        build(ROOT, "sdist", tmp_path)
        (archive,) = tmp_path.glob("*.tar.gz")
        shutil.unpack_archive(archive, tmp_path, filter="data")
        source = archive.with_name(archive.name.removesuffix(".tar.gz"))
    build(source, "wheel", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(wheel, unpacked, "zip")
    assert (unpacked / "nndiag" / "data" / "README.md").is_file(), "licence and credit"
    for path in SOURCES:
        assert (unpacked / path.relative_to(ROOT)).is_file()
    assert not list(unpacked.rglob("test*"))
    assert wheel.stat().st_size < 2_000_000
    done = python(PROBE_THE_WHEEL, str(unpacked))
    assert done.stdout == f"(1, 8, 8) {nndiag.__version__}\n", done.stderr


def build(source: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
