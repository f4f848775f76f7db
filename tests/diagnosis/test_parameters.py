"""Parameters left out of the training, on observations made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nndiag.diagnosis import parameters
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    ErrorRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    ParameterRecord,
    Series,
)
from nndiag.schema.trace import Trace

TRACE = Trace(layers=(), steps=np.zeros(0, int), columns={}, missing={})


def parameter(name: str, **more: object) -> ParameterRecord:
    return ParameterRecord(name=name, size=100, **more)  # type: ignore[arg-type]


def run(
    *parameters: ParameterRecord,
    optimizer: dict[str, object] | None = None,
    moved: bool = True,
    **more: object,
) -> Observation:
    model = ModelRecord(
        name="net",
        kind="Net",
        trace=TRACE,
        parameters=parameters,
        training_passes=50,
        moved=moved,
    )
    one: dict[str, object] = {"kind": "SGD", "steps": 50, "held": len(parameters)}
    fields: dict[str, object] = {"steps": 50, "backwards": 50, "seconds": 1.0, "models": (model,)}
    fields["optimizers"] = (OptimizerRecord(**(one | (optimizer or {}))),)  # type: ignore[arg-type]
    return Observation(**(fields | more))  # type: ignore[arg-type]


def the_finding(observation: Observation) -> Finding:
    (finding,) = parameters.check(observation)
    assert (finding.symptom, finding.severity) == (
        Symptom.UNTRAINED_PARAMETERS,
        Severity.CRITICAL,
    )
    return finding


def test_all_held_and_reached_is_fine() -> None:
    assert parameters.check(run(parameter("a.weight"), parameter("b.weight"))) == []


@pytest.mark.parametrize(
    "spared",
    [
        {"used": False, "held": False, "gradient": False, "signal": False},  # a head not in use
        {"trainable": False, "held": False, "gradient": False, "loaded": True},  # fine-tuning
    ],
)
def test_what_takes_no_part_by_right_is_left_alone(spared: dict[str, object]) -> None:
    assert parameters.check(run(parameter("a.weight"), parameter("b.weight", **spared))) == []


def test_no_optimizer_holds_it() -> None:
    finding = the_finding(run(parameter("a.weight"), parameter("b.weight", held=False)))
    assert finding.layers == ("b.weight",)
    assert '`optimizer.add_param_group({"params": net.b.parameters()})`' in finding.fixes


def test_the_optimizer_of_another_object() -> None:
    missed = [parameter("a.weight", held=False), parameter("b.weight", held=False)]
    finding = the_finding(run(*missed, optimizer={"foreign": 2}))
    assert finding.evidence["foreign_parameters"] == 2
    assert "torch.optim.SGD(net.parameters(), ...)" in finding.fixes[0]


def test_layers_in_a_plain_list() -> None:
    stray = parameter("Linear-1.weight", registered=False, held=False)
    assert "nn.ModuleList" in the_finding(run(parameter("a.weight"), stray)).fixes[0]


def test_a_cut_graph() -> None:
    cut = [parameter(f"body.{k}.weight", gradient=False, signal=False) for k in range(2)]
    finding = the_finding(run(*cut, parameter("head.weight")))
    assert finding.layers == ("body.0.weight", "body.1.weight")
    assert "detach()" in finding.cause


def test_frozen_at_random_values() -> None:
    frozen = parameter("body.weight", trainable=False, gradient=False, signal=False)
    finding = the_finding(run(frozen, parameter("head.weight")))
    assert finding.evidence["share"] == 0.5
    small = [parameter(f"p{k}.weight") for k in range(30)]
    assert parameters.check(run(frozen, *small)) == []  # a small frozen embedding, say


def test_random_features_that_suffice_are_a_remark() -> None:
    frozen = parameter("body.weight", trainable=False, gradient=False, signal=False)
    loss = Series(steps=np.arange(1, 51), values=np.geomspace(1.0, 0.05, 50))
    seen = run(frozen, parameter("head.weight"), optimizer={"loss": loss})
    assert [one.severity for one in parameters.check(seen)] == [Severity.INFO]


def test_a_frozen_model_that_no_optimizer_holds_is_a_teacher() -> None:
    teacher = parameter("w", trainable=False, held=False, gradient=False, signal=False)
    assert parameters.check(run(teacher)) == []


def test_never_stepped() -> None:
    seen = run(parameter("w"), steps=0, optimizers=(), moved=False)
    assert parameters.check(run(parameter("w"), steps=0, optimizers=())) == []  # moved by hand
    assert "optimizer.step()" in the_finding(seen).fixes[0]
    error = ErrorRecord(kind="ValueError", message="", step=0)
    assert parameters.check(run(parameter("w"), steps=0, optimizers=(), error=error)) == []


@pytest.mark.parametrize(("empty", "said"), [(1, False), (24, False), (25, True), (50, True)])
def test_steps_without_a_gradient(empty: int, said: bool) -> None:
    assert bool(parameters.check(run(parameter("w"), optimizer={"empty": empty}))) == said
