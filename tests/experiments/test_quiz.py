"""The quiz: what is right is measured, answers come from anywhere, sets are checked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nndiag import datasets
from nndiag.experiments import quiz
from nndiag.lessons import LESSONS, quiz_sets
from nndiag.schema.errors import DataError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_quiz import Option, Question
from nndiag.training.initial import first_batch
from nndiag.zoo import activations, initialisations, networks

Run = Callable[..., Any]
BASE = {"depth": 6, "width": 16, "act": "sigmoid", "init": "xavier_normal"}
TINY = """
title = "Tiny"

[[question]]
ask = "Which layer?"
measure = "output_grad_norm"
pick = "lowest"
lesson = "vanishing-gradients"
layers = ["first", "last"]
base = { depth = 6, width = 16, act = "sigmoid" }
seeds = 2

[[question]]
ask = "Which learns more?"
measure = "val_accuracy"
lesson = "initialisation"
base = { data = "blobs", depth = 3, width = 8, act = "relu", lr = 0.1, steps = 40 }
seeds = 2

[[question.options]]
label = "zeros"
init = "zeros"

[[question.options]]
label = "He"
init = "he_normal"
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def asked(measure: str, **fields: Any) -> Question:
    options = fields.pop("options", (Option(label="a"), Option(label="b")))
    return Question(**{"ask": "?", "measure": measure, "lesson": "x", "options": options, **fields})


def test_gradients_by_layer_are_those_of_autograd() -> None:
    question = Question(
        ask="?",
        measure="output_grad_norm",
        pick="lowest",
        lesson="vanishing-gradients",
        base=BASE,
        layers=("first", "last"),
        seeds=1,
    )
    outcome = quiz.answer(question)
    assert outcome.accepted == [0]
    spec = quiz.configurations.network(quiz.configurations.complete(BASE))
    splits = datasets.load(DataSpec())
    model = networks.build(spec, splits.input_shape, 10)
    init, act = initialisations.parse(spec.init), activations.parse(spec.act)
    generator = torch.Generator().manual_seed(0)
    initialisations.initialise(model, init, act, generator=generator)
    x, y = first_batch(splits, 64, 0, torch.device("cpu"))
    kept = {}
    for name in ("fc1", "fc5"):
        layer = model.get_submodule(name)
        layer.register_forward_hook(lambda _m, _a, out, name=name: kept.update({name: out}))
    loss = nn.functional.cross_entropy(model(x), y)
    for name, found in zip(("fc1", "fc5"), outcome.measured, strict=True):
        (gradient,) = torch.autograd.grad(loss, kept[name], retain_graph=True)
        norm = (len(y) * gradient.double().norm(dim=1)).square().mean().sqrt().item()
        assert found is not None
        assert found.mean == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize(
    ("question", "values", "right"),
    [
        (asked("test_accuracy"), [[0.9, 0.9], [0.5, 0.7]], [0]),
        (asked("test_accuracy"), [[0.9, 0.9], [0.89, 0.89]], [0, 1]),
        (asked("test_accuracy", pick="lowest"), [[0.9], [0.5]], [1]),
        (asked("test_accuracy", tie="same"), [[0.9], [0.89]], [2]),
        (asked("test_accuracy", tie="same"), [[0.9], [0.5]], [0]),
        (asked("grad_ratio", pick="nearest-1"), [[1e-3], [2.0]], [1]),
        (asked("grad_ratio", pick="nearest-1"), [[0.5], [1e6]], [0]),
        (asked("grad_ratio", tolerance=0.5, pick="nearest-1"), [[0.5], [2.0]], [0, 1]),
        (asked("diverged"), [[0, 0], [1, 1]], [1]),
    ],
)
def test_judged(question: Question, values: list[list[float]], right: list[int]) -> None:
    assert quiz.judged(question, [np.array(some, dtype=float) for some in values]) == right


def test_built_in_questions_name_their_lessons_and_can_be_measured() -> None:
    spec = quiz_sets.built_in()
    quiz.check(spec)
    assert len(spec.questions) >= 6
    for question in spec.questions:
        assert question.lesson in LESSONS
        fields = json.dumps(question.to_dict())
        assert "right" not in fields, "the answer is not stored"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "right"),
    [(1, ["first"]), (2, ["He"]), (3, ["batch normalisation"]), (5, ["5"]), (6, ["N(0, 1)"])],
)
def test_built_in_answers_are_what_science_says(number: int, right: list[str]) -> None:
    question = quiz_sets.built_in().questions[number - 1]
    outcome = quiz.answer(question)
    assert [question.labels[place] for place in outcome.accepted] == right


def test_answers_on_the_command_line(run_cli: Run, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "own.svg"
    done = run_cli("quiz", "--set", tiny, "--answer", "a", "--answer", "zeros", "--plot", str(path))
    assert done.code == 0, done.err
    for words in (
        "Question 2 of 2",
        "Right.",
        "Not so: He.",
        "nndiag explain initialisation",
        "Tiny: 1 of 2 right",
    ):
        assert words in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert path.stat().st_size > 5000


def test_json_alone_on_stdout(run_cli: Run, tiny: str) -> None:
    done = run_cli("quiz", "--set", tiny, "--answer", "a,b", "--json", "-")
    result = json.loads(done.out)["result"]
    assert (result["right"], result["answered"]) == (2, 2)
    for row in result["rows"]:
        for option in row["options"]:
            number = option[row["measure"]]
            assert number["low"] <= number["mean"] <= number["high"]
    assert "Question 1 of 2" in done.err


def test_piped_answers(run_cli: Run, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x\nA\n\n"))
    done = run_cli("quiz", "--set", tiny)
    assert done.code == 0, done.err
    assert "answer: unknown name 'x'; accepted: a, b (or the words of an answer)" in done.out
    assert "1 of 1 predictions were right." in done.out
    assert "skipped" in done.out


def test_the_end_of_a_pipe_ends_it(
    run_cli: Run, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    done = run_cli("quiz", "--set", tiny)
    assert (done.code, "No question was answered." in done.out) == (0, True)


def test_interrupted(run_cli: Run, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = quiz.answer

    def interrupted(question: Question, **rest: Any) -> quiz.Outcome:
        if question.measure == "val_accuracy":
            raise KeyboardInterrupt
        return answer(question, **rest)

    monkeypatch.setattr(quiz, "answer", interrupted)
    done = run_cli("quiz", "--set", tiny, "--answer", "a,b")
    assert done.code == 130
    assert "1 of 1 predictions were right." in done.out


def wrong(text: str, tmp_path: Path) -> str:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        quiz_sets.read(path)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', "title = ", "not a TOML file: Invalid value (at line 2, column 9)"),
        ('pick = "lowest"', 'pik = "lowest"',
         "question 1: key: unknown name 'pik'; did you mean pick?"),
        ('pick = "lowest"', 'pick = "low"', "question 1: pick: unknown name 'low'; did you mean "
         "lowest?"),
        ('lesson = "initialisation"', 'lesson = "initialsation"',
         "question 2: no lesson 'initialsation'; did you mean initialisation?"),
        ('measure = "val_accuracy"', 'measure = "val_acuracy"',
         "question 2: measure: unknown name 'val_acuracy'; did you mean val_accuracy?"),
        ('ask = "Which layer?"', "", "question 1: ask is missing"),
        ("seeds = 2", 'seeds = "2"', "question 1: seeds: got '2'; accepted: a whole number"),
        ("lr = 0.1", "lr = -1", "question 2: lr: got '-1'; accepted: a number above 0"),
        ("lr = 0.1", "optimiser = 1",
         "question 2: setting key: unknown name 'optimiser'; did you mean optimizer?"),
        ('init = "zeros"', "steps = 0",
         "question 2: option 1: steps: got '0'; accepted: a whole number of at least 1"),
        ('label = "zeros"', "", "question 2: option 1: label is missing"),
        ('label = "zeros"', 'label = "He"',
         "question 2: got 2 options; accepted: 2 to 8 with different labels"),
        ('"first", "last"', '"first"',
         "question 1: got 1 options; accepted: 2 to 8 with different labels"),
    ],
)  # fmt: skip
def test_wrong_sets(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TINY
    assert wrong(TINY.replace(old, new, 1), tmp_path) == message


def test_empty_set(tmp_path: Path) -> None:
    found = wrong('title = "x"\n', tmp_path)
    assert found == "no question; accepted: one or more tables [[question]]"


WRONG = [
    ("--answer z", "--answer: unknown name 'z'; accepted: a, b, c (or the words of an answer)"),
    ("--answer a,a,a,a,a,a,a,a",
     "--answer: got 8 answers; accepted: at most 7, one a question"),
    ("--set no.toml", "--set: no.toml cannot be read: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _message in WRONG])
def test_wrong_input(run_cli: Run, line: str, message: str) -> None:
    done = run_cli("quiz", *line.split())
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")


def test_a_name_that_cannot_be_built(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(TINY.replace('init = "zeros"', 'init = "zeroes"'))
    done = run_cli("quiz", "--set", str(path), "--answer", "a")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("nndiag: own.toml: question 2: ")
    assert "did you mean zeros?" in done.err
