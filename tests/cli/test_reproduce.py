"""`nndiag reproduce` and `depth-limit` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nndiag import claims

Run = Callable[..., Any]
DEEP = ["depth-limit", "--depth", "5,9", "--width", "8", "--steps", "2", "--seeds", "1"]


def test_quick_claims_hold(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    done = run_cli("reproduce", "--quick", "--json", str(path), "--plot", str(tmp_path / "c.svg"))
    assert done.code == 0, done.err
    result = json.loads(path.read_text())["result"]
    assert [row["label"] for row in result["rows"]] == claims.names(trains=False)
    assert {row["label"]: row["verdict"] for row in result["rows"]} == dict.fromkeys(
        claims.names(trains=False), "PASS"
    )
    for row in result["rows"]:
        assert row["measured"]["low"] <= row["measured"]["mean"] <= row["measured"]["high"]
        assert row["seconds"] > 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "11 of 11 claims hold at this scale." in done.out


def test_list(run_cli: Run) -> None:
    done = run_cli("reproduce", "list")
    assert done.code == 0
    for name in claims.every_name():
        assert f"\n{name} " in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    quick = run_cli("reproduce", "list", "--quick")
    assert "saxe2013" in quick.out
    assert "he2015" not in quick.out


def test_several_names(run_cli: Run) -> None:
    done = run_cli("reproduce", "lu2019", "goh2017", "--seeds", "2", "--seed", "4", "--json", "-")
    envelope = json.loads(done.out)
    assert envelope["spec"] == {"claims": ["lu2019", "goh2017"], "seeds": 2, "seed": 4}
    assert [row["seeds"] for row in envelope["result"]["rows"]] == [2, 2]


def test_depth_limit(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    done = run_cli(*DEEP, "--json", str(path), "--plot", str(tmp_path / "deep.svg"))
    assert done.code == 0, done.err
    assert "tanh-orthogonal" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    rows = json.loads(path.read_text())["result"]["rows"]
    assert {row["method"] for row in rows} >= {"selu", "relu-he"}
    for row in rows:
        assert row["test_accuracy"].keys() >= {"mean", "low", "high"}
        assert {"label", "diverged", "seconds"} <= row.keys()


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_a_single_method_is_drawn(run_cli: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"own.{suffix}"
    done = run_cli(*DEEP, "--methods", "relu-batchnorm", "--plot", str(path))
    assert done.code == 0, done.err
    assert path.stat().st_size > 10_000


WRONG = [
    ("reproduce glorot", "NAME: unknown name 'glorot'; did you mean glorot2010?"),
    (
        "reproduce he2015 --quick",
        "--quick: he2015 trains networks; leave --quick out (nndiag reproduce list --quick names "
        "those that do not)",
    ),
    ("reproduce lu2019 --seeds 0", "--seeds: got 0; accepted: from 1 to 1000"),
    ("depth-limit --depth 10,x", "--depth: got '10,x'; accepted: whole numbers joined by commas"),
    ("depth-limit --depth 10001", "--depth: got 10001; accepted: from 4 to 10000"),
    ("depth-limit --depth 3", "--depth: got 3; accepted: from 4 to 10000"),
    ("depth-limit --depth ,", "--depth: got nothing; accepted: numbers joined by commas"),
    (
        "depth-limit --methods tanh-ortogonal",
        "--methods: unknown name 'tanh-ortogonal'; did you mean tanh-orthogonal?",
    ),
    ("depth-limit --gain 0", "--gain: got 0; accepted: a number above 0"),
    ("depth-limit --rates 0", "--rates: got 0; accepted: from 1 to 10"),
    ("depth-limit --data mnits", "--data: unknown name 'mnits'; did you mean mnist?"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(python: Run, line: str, message: str) -> None:
    done = python(
        "import sys\n"
        "from nndiag.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)",
        *line.split(),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"nndiag: {message}")
    assert len(done.stderr.splitlines()) == 1
