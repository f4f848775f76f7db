"""`nndiag gradients` end to end: what each kind of network must show on real data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RunCli = Callable[..., Any]


@pytest.fixture
def run_json(run_cli: RunCli) -> Callable[[str], dict[str, Any]]:
    def run(arguments: str) -> dict[str, Any]:
        done = run_cli("gradients", *shlex.split(arguments), "--json", "-")
        assert done.code == 0, done.err
        return json.loads(done.out, parse_constant=pytest.fail)

    return run


def symptoms(document: dict[str, Any], least: str = "warning") -> dict[str, str]:
    order = ["info", "warning", "critical"]
    return {
        finding["symptom"]: finding["severity"]
        for finding in document["findings"]
        if order.index(finding["severity"]) >= order.index(least)
    }


def hidden(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [layer for layer in document["result"]["layers"] if not layer["output"]]


def test_sigmoid_vanishes(run_json: Callable[[str], dict[str, Any]]) -> None:
    document = run_json("--depth 20 --act sigmoid")
    result = document["result"]
    assert symptoms(document) == {"vanishing-gradients": "critical"}
    assert result["grad_ratio"]["mean"] < 1e-8
    assert result["init"]["name"] == "xavier_uniform"
    assert result["decay_per_layer"]["mean"] == pytest.approx(
        result["predicted_decay_per_layer"]["mean"], rel=0.01
    )


def test_relu_with_he_is_healthy(run_json: Callable[[str], dict[str, Any]]) -> None:
    document = run_json("--act relu --init he_normal")
    assert symptoms(document) == {}
    assert 0.1 < document["result"]["grad_ratio"]["mean"] < 10


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--act relu --init normal", "exploding-gradients"),
        ("--act relu --init torch", "vanishing-gradients"),
        ("--init zeros", "symmetric-units"),
        ("--init constant:0.1 --act tanh", "symmetric-units"),
        ("--act relu --norm batch --depth 100", "exploding-gradients"),
        ("--net rnn --act tanh --init normal:0.3 --seeds 3", "exploding-gradients"),
        ("--act relu --init normal --depth 60 --seeds 2", "non-finite"),
    ],
)
def test_symptom(run_json: Callable[[str], dict[str, Any]], arguments: str, expected: str) -> None:
    assert expected in symptoms(run_json(arguments))


def test_large_weights_saturate_tanh(run_json: Callable[[str], dict[str, Any]]) -> None:
    document = run_json("--act tanh --init normal")
    assert "saturated-activations" in symptoms(document)
    assert min(layer["saturated_fraction"]["mean"] for layer in hidden(document)) > 0.7


def test_batch_norm_keeps_sigmoid_alive(run_json: Callable[[str], dict[str, Any]]) -> None:
    assert "vanishing-gradients" not in symptoms(run_json("--act sigmoid --norm batch"))


def test_selu_stays_level_at_depth_100(run_json: Callable[[str], dict[str, Any]]) -> None:
    found = symptoms(run_json("--act selu --init lecun_normal --depth 100 --seeds 4"))
    assert not {"vanishing-gradients", "exploding-gradients"} & set(found)


def test_batch_norm_explosion_is_explained(run_cli: RunCli) -> None:
    done = run_cli("gradients", "--act", "relu", "--norm", "batch", "--depth", "100")
    assert "divides the backward signal" in " ".join(done.out.split())
    assert "Yang et al. 2019" in done.out


def test_recurrent_net_shows_every_time_step(
    run_json: Callable[[str], dict[str, Any]],
) -> None:
    steps = run_json("--net rnn --act tanh --init normal:0.3 --seeds 2")["result"]["time_steps"]
    norms = [step["output_grad_norm"]["mean"] for step in steps]
    assert len(norms) == 64
    assert norms[0] > 1e6 * norms[-1]


def test_an_underflowed_gradient_is_a_bound(
    run_json: Callable[[str], dict[str, Any]],
) -> None:
    result = run_json("--depth 100 --seeds 2")["result"]
    for name in ("output_grad_norm", "weight_grad_norm"):
        first = result["layers"][0][name]
        assert first["upper_bound"] is True
        assert 0 < first["mean"] < 1e-36
    assert result["grad_ratio"]["upper_bound"] is True


@pytest.mark.parametrize(
    "arguments", ["--act sigmoid", "--act relu --init normal", "--init zeros --act tanh"]
)
def test_suggested_commands_really_cure(
    run_json: Callable[[str], dict[str, Any]], arguments: str
) -> None:
    commands = run_json(arguments)["result"]["verdict"]["try"]
    assert 2 <= len(commands) <= 3
    for command in commands:
        words = shlex.split(command)
        assert words[:2] == ["nndiag", "gradients"]
        assert symptoms(run_json(shlex.join(words[2:]))) == {}, command


def test_same_seed_same_numbers(run_json: Callable[[str], dict[str, Any]]) -> None:
    one, two = (run_json("--act tanh --seeds 2 --dropout 0.2 --depth 5") for _ in range(2))
    assert one["result"] == two["result"]
    other = run_json("--act tanh --seeds 2 --dropout 0.2 --depth 5 --seed 7")
    assert other["result"]["layers"] != one["result"]["layers"]


def test_json_envelope(run_json: Callable[[str], dict[str, Any]]) -> None:
    document = run_json("--depth 3 --seeds 2")
    assert list(document) == [
        *("nndiag", "schema", "command", "spec", "environment", "seconds", "result", "findings")
    ]
    assert document["command"] == "gradients"
    assert document["spec"]["network"]["depth"] == 3
    assert {"device", "torch", "python"} <= set(document["environment"])
    layer = document["result"]["layers"][0]
    assert {"name", "index", "kind", "output_grad_norm", "activation_std"} <= set(layer)
    assert set(layer["output_grad_norm"]) == {"mean", "low", "high"}
    assert "saturated_fraction" not in document["result"]["layers"][-1]  # logits do not saturate


def test_without_theory_nothing_is_predicted(
    run_json: Callable[[str], dict[str, Any]],
) -> None:
    text = json.dumps(run_json("--depth 4 --seeds 2 --no-theory")["result"])
    assert "predicted" not in text


def test_training_records_the_way(run_json: Callable[[str], dict[str, Any]]) -> None:
    result = run_json("--depth 3 --act relu --train 60 --optimizer adam --lr 0.003")["result"]
    training = result["training"]
    assert training["steps"] == list(range(60))
    assert training["loss"][-1] < 0.5 * training["loss"][0]
    assert training["test_accuracy"]["mean"] > 0.8
    assert result["layers"][0]["update_ratio"]["mean"] > 0
    assert "update_ratio" not in result["initial"]["layers"][0]


def test_clipping_bounds_the_update(run_json: Callable[[str], dict[str, Any]]) -> None:
    # SGD at rate 1: the step is the clipped gradient, of norm at most 1e-4.
    result = run_json("--depth 2 --act relu --train 5 --lr 1 --clip-norm 1e-4")["result"]
    moved = [
        (layer["update_ratio"]["mean"] * layer["weight_norm"]["mean"]) ** 2
        for layer in result["layers"]
    ]
    assert sum(moved) ** 0.5 <= 1.001e-4
    assert min(result["training"]["gradient_norm"]) > 1e-2  # logged before clipping


def test_fail_on_turns_findings_into_an_exit_code(run_cli: RunCli) -> None:
    arguments = ("gradients", "--depth", "20", "--seeds", "2", "--json", "-", "--fail-on")
    assert run_cli(*arguments, "critical").code == 3
    healthy = run_cli(*arguments[:1], "--act", "relu", "--seeds", "2", "--fail-on", "warning")
    assert healthy.code == 0


def test_plot_and_json_files(run_cli: RunCli, tmp_path: Path) -> None:
    figure, saved = tmp_path / "g.svg", tmp_path / "g.json"
    done = run_cli(
        *("gradients", "--depth", "4", "--seeds", "2"),
        *("--plot", str(figure), "--json", str(saved)),
    )
    assert done.code == 0
    assert figure.read_text().lstrip().startswith("<?xml")
    assert json.loads(saved.read_text())["command"] == "gradients"
    assert "fc1" in done.out


def test_output_fits_80_columns(run_cli: RunCli) -> None:
    out = run_cli("gradients", "--depth", "30", "--seeds", "2").out
    assert max(map(len, out.splitlines())) <= 80
    assert "folded" in out


def test_no_optimizer_without_training(python: Callable[..., Any]) -> None:
    done = python(
        "import sys; from nndiag.cli.app import main\n"
        "code = main(['gradients', '--depth', '3', '--seeds', '1'])\n"
        "sys.exit(code or int('torch._dynamo' in sys.modules))"
    )
    assert done.returncode == 0, done.stderr


def test_a_figure_has_the_training_of_each_seed(
    run_json: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    arguments = "--depth 3 --width 8 --act tanh --train 4 --seeds 2 --seed 5"
    assert "members" not in run_json(arguments)["result"]["training"]["layers"]
    drawn = run_json(f"{arguments} --report {tmp_path / 'page.html'}")
    history = drawn["result"]["training"]["layers"]
    members = history["members"]
    assert (members["seeds"], members["steps"]) == ([5, 6], history["steps"])
    first, second = (np.array(one) for one in members["output_grad_norm"])
    np.testing.assert_allclose((first + second) / 2, history["output_grad_norm"])
    assert not np.allclose(first, second)
