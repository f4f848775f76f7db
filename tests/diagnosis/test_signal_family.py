"""The signal family on traces made by hand, where the right answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nndiag.diagnosis import Context, diagnose, measures, signal
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import (
    InputRecord,
    LabelRecord,
    ModelRecord,
    Observation,
    OptimizerRecord,
    Series,
)
from nndiag.schema.trace import LayerInfo, Trace

DEPTH = 20


def trace(*, gate: bool = False, **columns: np.ndarray | float) -> Trace:
    """A healthy trace of 20 layers and 3 members, with some columns replaced."""
    healthy: dict[str, np.ndarray | float] = {
        "activation_mean": 0.0,
        "activation_std": 1.0,
        "saturated_fraction": 0.1,
        "dead_fraction": 0.0,
        "symmetric_fraction": 0.01,
        "output_grad_norm": 1.0,
        "weight_grad_norm": 1.0,
        "relative_grad": 0.1,
    }
    filled = {}
    for name, value in (healthy | columns).items():
        column = np.ones((1, DEPTH, 3))
        filled[name] = column * (np.reshape(value, (1, -1, 1)) if np.ndim(value) else value)
    only_hidden = {"saturated_fraction", "dead_fraction"}
    output = np.arange(DEPTH) == DEPTH - 1
    return Trace(
        layers=tuple(
            LayerInfo(
                name=f"fc{i + 1}",
                index=i + 1,
                kind="Linear",
                fan_in=8,
                fan_out=8,
                gate=gate,
                output=bool(output[i]),
            )
            for i in range(DEPTH)
        ),
        steps=np.array([0]),
        columns=filled,
        missing={name: output if name in only_hidden else np.zeros(DEPTH, bool) for name in filled},
        floor=np.full(DEPTH, 1e-40),
        loss=np.full((1, 3), 2.3),
    )


def powers(factor: float) -> np.ndarray:
    """A signal that changes by `factor` a layer towards the input."""
    return factor ** np.arange(DEPTH - 1, -1, -1.0)


def found(one: Trace, context: Context | None = None) -> dict[Symptom, Finding]:
    return {finding.symptom: finding for finding in diagnose(one, context)}


def test_a_healthy_trace_has_no_finding() -> None:
    assert found(trace()) == {}


@pytest.mark.parametrize(
    ("factor", "symptom", "severity"),
    [
        (0.24, Symptom.VANISHING_GRADIENTS, Severity.CRITICAL),
        (0.60, Symptom.VANISHING_GRADIENTS, Severity.WARNING),
        (8.0, Symptom.EXPLODING_GRADIENTS, Severity.CRITICAL),
        (1.6, Symptom.EXPLODING_GRADIENTS, Severity.WARNING),
    ],
)
def test_ratio_decides(factor: float, symptom: Symptom, severity: Severity) -> None:
    (finding,) = diagnose(trace(output_grad_norm=powers(factor)))
    assert (finding.symptom, finding.severity) == (symptom, severity)
    assert finding.evidence["grad_ratio"] == pytest.approx(factor ** (DEPTH - 2))
    assert finding.evidence["decay_per_layer"] == pytest.approx(factor)
    assert finding.layers[0] == "fc1"
    assert "fc20" not in finding.layers


@given(st.floats(0.75, 1.35))
def test_mild_changes_are_left_alone(factor: float) -> None:
    assert found(trace(output_grad_norm=powers(factor))) == {}


def test_level_weight_gradients_do_not_hide_the_vanishing() -> None:
    finding = found(
        trace(output_grad_norm=powers(0.4), activation_std=powers(2.5), weight_grad_norm=1.0)
    )[Symptom.VANISHING_GRADIENTS]
    assert finding.severity is Severity.CRITICAL
    assert "weight gradients look level" in finding.cause
    assert finding.evidence["forward_factor"] == pytest.approx(1 / 2.5)


def test_an_underflowed_signal_still_counts() -> None:
    signal = powers(0.1)
    signal[:5] = 0.0
    finding = found(trace(output_grad_norm=signal))[Symptom.VANISHING_GRADIENTS]
    assert 0 < finding.evidence["grad_ratio"] < 1e-30
    assert finding.evidence["decay_per_layer"] == pytest.approx(0.1)


def test_nan_is_reported_first_and_alone_decides_nothing_else() -> None:
    signal = np.full(DEPTH, math.nan)
    findings = found(trace(output_grad_norm=signal))
    assert set(findings) == {Symptom.NON_FINITE}
    assert findings[Symptom.NON_FINITE].layers == ("fc20",)


def test_overflowing_activations_are_an_explosion_too() -> None:
    rms = 8.0 ** np.arange(DEPTH)
    rms[12:] = math.inf
    findings = found(trace(activation_std=rms, output_grad_norm=np.full(DEPTH, math.nan)))
    assert findings[Symptom.EXPLODING_GRADIENTS].evidence["forward_factor"] == pytest.approx(8.0)
    assert findings[Symptom.NON_FINITE].layers == ("fc13",)


def test_saturation_needs_most_of_a_layer() -> None:
    assert found(trace(saturated_fraction=0.45)) == {}
    warning = found(trace(saturated_fraction=0.6))[Symptom.SATURATED_ACTIVATIONS]
    critical = found(trace(saturated_fraction=0.9))[Symptom.SATURATED_ACTIVATIONS]
    assert (warning.severity, critical.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert "fc20" not in critical.layers  # logits do not saturate


def test_a_gate_is_not_saturation() -> None:
    assert found(trace(saturated_fraction=0.6, gate=True)) == {}


def test_dead_units() -> None:
    assert found(trace(dead_fraction=0.4)) == {}
    assert found(trace(dead_fraction=0.6))[Symptom.DEAD_UNITS].severity is Severity.WARNING
    assert found(trace(dead_fraction=0.95))[Symptom.DEAD_UNITS].severity is Severity.CRITICAL


def test_symmetry_explains_the_zero_gradient() -> None:
    signal = np.zeros(DEPTH)
    signal[-1] = 1.0
    findings = found(trace(symmetric_fraction=1.0, output_grad_norm=signal))
    assert set(findings) == {Symptom.SYMMETRIC_UNITS}


def test_recurrent_nets_are_read_through_time() -> None:
    steps = 1.5 ** np.arange(29, -1, -1.0)
    one = replace(trace(), by_call={"output_grad_norm": {"fc2": np.tile(steps, (1, 3, 1))}})
    finding = found(one, Context(recurrent=True))[Symptom.EXPLODING_GRADIENTS]
    assert finding.evidence["grad_ratio"] == pytest.approx(1.5**29)
    assert "time" in finding.cause


@given(st.floats(0.01, 100.0))
def test_factor_is_exact_on_a_power_law(factor: float) -> None:
    values = measures.signal(trace(output_grad_norm=powers(factor)))
    assert measures.factor(values) == pytest.approx(np.full(3, factor), rel=1e-9)


@pytest.mark.parametrize(("first", "loud"), [(2000.0, True), (4.0, False)])
def test_an_explosion_counts_in_a_run_that_recovers_if_it_threw_the_loss(
    first: float, loud: bool
) -> None:
    steps = np.arange(1, 61)
    exploding = trace(output_grad_norm=powers(8.0), activation_std=8.0 ** np.arange(DEPTH))
    model = ModelRecord(name="net", kind="Sequential", trace=exploding)
    optimizer = OptimizerRecord(
        kind="Adam", steps=60, loss=Series(steps=steps, values=first * 0.8**steps)
    )
    labels = LabelRecord(classes=10, counts=np.full(10, 6.0), batch_counts=np.zeros((0, 10)))
    observation = Observation(
        steps=60,
        backwards=60,
        seconds=1.0,
        models=(model,),
        optimizers=(optimizer,),
        labels=labels,
        accuracy=Series(steps=steps, values=np.ones(60)),
    )
    found = [f.symptom for f in signal.check(observation)]
    assert found == [Symptom.EXPLODING_GRADIENTS] * loud


@pytest.mark.parametrize(
    ("first", "entry", "growth", "named"),
    [
        (200.0, 1.0, 1.4, True),
        (9.0, 1.0, 1.4, False),  # the first loss is near that of a constant answer
        (200.0, 400.0, 1.4, False),  # the input itself is that large
        (200.0, 1.0, 1.05, False),
        (math.nan, 1.0, 1.4, False),
        (200.0, 0.0, 1.4, False),  # nothing to compare with
    ],
)
def test_a_signal_that_grows_forward_is_named_by_the_first_loss(
    first: float, entry: float, growth: float, named: bool
) -> None:
    """The gradient's ratio tells nothing here: the signal of the trace is level."""
    growing = trace(activation_std=growth ** np.arange(DEPTH))
    features = np.zeros(8)
    seen = InputRecord(
        batches=1,
        samples=8,
        shape=(8,),
        mean=0.0,
        std=entry,
        low=-entry,
        high=entry,
        feature_means=features,
        feature_stds=features + entry,
    )
    steps = np.arange(1, 61)
    labels = LabelRecord(classes=10, counts=np.full(10, 6.0), batch_counts=np.zeros((0, 10)))
    observation = Observation(
        steps=60,
        backwards=60,
        seconds=1.0,
        models=(ModelRecord(name="net", kind="Sequential", trace=growing, input=seen),),
        optimizers=(
            OptimizerRecord(
                kind="Adam", steps=60, loss=Series(steps=steps, values=np.full(60, first))
            ),
        ),
        labels=labels,
        accuracy=Series(steps=steps, values=np.full(60, 0.1)),
    )
    findings = [f for f in signal.check(observation) if f.symptom is Symptom.EXPLODING_GRADIENTS]
    assert len(findings) == named
    less = {name: column for name, column in growing.columns.items() if "activation" not in name}
    unseen = replace(observation.models[0], trace=replace(growing, columns=less))
    assert signal.check(replace(observation, models=(unseen,))) == []
    if named:
        assert findings[0].evidence["growth"] == pytest.approx(growth ** (DEPTH - 2))


@pytest.mark.parametrize(("calls", "named"), [(30, True), (4, False)])
def test_a_layer_called_at_every_time_step_is_read_by_time(calls: int, named: bool) -> None:
    """A recurrence written by hand, with `nn.Linear` and a loop."""
    by_time = 1.5 ** np.arange(calls - 1, -1, -1.0) * np.ones((1, 3, 1))
    unrolled = replace(trace(), by_call={"output_grad_norm": {"fc1": by_time}})
    steps = np.arange(1, 61)
    observation = Observation(
        steps=60,
        backwards=60,
        seconds=1.0,
        models=(ModelRecord(name="net", kind="Net", trace=unrolled),),
        optimizers=(
            OptimizerRecord(
                kind="Adam", steps=60, loss=Series(steps=steps, values=np.full(60, 2.3))
            ),
        ),
    )
    found = [f.symptom for f in signal.check(observation)]
    assert found == [Symptom.EXPLODING_GRADIENTS] * named
