from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nndiag import datasets
from nndiag.datasets.splits import Splits
from nndiag.diagnosis import measures
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training import initial
from nndiag.training.prediction import Predicted, context, predict, second_moment

INITIALISATIONS = ("normal", "torch", "xavier_normal", "he_normal", "orthogonal")
#: Predicted decades a layer of a prototype: depth 20, width 128, digits.
TABLE = {
    "sigmoid": (0.023, -0.850, -0.627, -0.498, -0.627),
    "tanh": (0.398, -0.241, -0.024, 0.020, -0.023),
    "relu": (0.903, -0.389, -0.151, 0.000, -0.151),
    "leaky_relu": (0.903, -0.389, -0.150, 0.000, -0.150),
    "elu": (0.903, -0.249, -0.035, 0.033, -0.033),
    "selu": (0.925, -0.103, 0.019, 0.066, 0.021),
    "gelu": (0.903, -0.538, -0.300, math.nan, -0.300),
    "silu": (0.903, -0.539, -0.301, math.nan, -0.301),
    "softsign": (0.283, -0.278, -0.049, -0.001, -0.048),
    "linear": (1.054, -0.239, 0.000, 0.151, 0.000),
}
BATCH_NORM = {"sigmoid": 0.007, "tanh": 0.036, "relu": 0.083, "elu": 0.017, "selu": 0.015}


@pytest.fixture(scope="module")
def digits() -> Splits:
    return datasets.load(DataSpec())


def spec(**settings: Any) -> NetworkSpec:
    return NetworkSpec(**{"depth": 20, "width": 128, **settings})


def slope(predicted: Predicted) -> float:
    return math.log10(predicted.decay_per_layer)


def measured_signal(network: NetworkSpec, splits: Splits, seeds: int) -> np.ndarray:
    """Return `output_grad_norm` of the hidden layers, (L, seeds)."""
    trace = initial.measure(
        network, splits, seeds=range(seeds), batch_size=128, device=torch.device("cpu")
    )
    return measures.signal(trace)


def measured_slope(network: NetworkSpec, splits: Splits, seeds: int = 5) -> float:
    return float(np.log10(measures.factor(measured_signal(network, splits, seeds))).mean())


# --- the prototype's predictions ---


@pytest.mark.parametrize("act", TABLE)
def test_predictions_of_the_prototype(act: str, digits: Splits) -> None:
    for init, expected in zip(INITIALISATIONS, TABLE[act], strict=True):
        predicted = predict(spec(act=act, init=init), digits)
        bistable = math.isnan(expected)
        assert (predicted.summary()["status"] == "unreliable") is bistable, (act, init)
        if not bistable:
            assert slope(predicted) == pytest.approx(expected, abs=0.003), (act, init)


@pytest.mark.parametrize("act", BATCH_NORM)
def test_predictions_with_batch_norm(act: str, digits: Splits) -> None:
    for init in ("torch", "xavier_normal"):
        predicted = predict(spec(act=act, init=init, norm="batch"), digits)
        assert slope(predicted) == pytest.approx(BATCH_NORM[act], abs=6e-4)


# --- against measurement ---


@pytest.mark.parametrize(
    "settings",
    [
        *({"act": act, "norm": "layer"} for act in ("sigmoid", "tanh", "relu", "selu", "gelu")),
        {"act": "relu", "init": "torch", "norm": "layer"},
        *({"act": act, "norm": "batch"} for act in ("tanh", "relu")),
        {"act": "relu", "norm": "batch", "dropout": 0.2},
        {"act": "tanh", "init": "lecun_normal", "dropout": 0.5},
        {"act": "sigmoid", "dropout": 0.1},
        {"act": "tanh", "init": "uniform:0.5"},
        {"act": "tanh", "init": "orthogonal:1.05"},
        {"act": "relu", "init": "orthogonal:1.41421356"},
        {"act": "hardtanh"},
        {"act": "rrelu"},
        {"act": "celu:2"},
        {"act": "softplus", "init": "xavier_normal"},
        {"act": "tanh", "init": "he_normal", "bias_std": 0.5},
        {"act": "torch:sin", "init": "lecun_normal"},
        {"act": "torch.nn:LogSigmoid", "init": "lecun_normal"},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_slope_holds_against_measurement(settings: dict[str, Any], digits: Splits) -> None:
    network = spec(**{"init": "he_normal", **settings})
    predicted = predict(network, digits)
    assert predicted.summary()["status"] == "reliable"
    measured = measured_slope(network, digits)
    bound = 0.02 if network.norm != "none" else max(0.012, 0.1 * abs(measured))
    assert slope(predicted) == pytest.approx(measured, abs=bound)


def test_layers_of_their_own_widths_hold_against_measurement(digits: Splits) -> None:
    widths = (300, 100, 300, 100, 300, 100)
    network = NetworkSpec(depth=7, widths=widths, act="relu", init="normal:0.1")
    predicted = predict(network, digits)
    assert predicted.prediction is not None
    expected = predicted.prediction.log_signal[:-1]
    signal = np.log(measured_signal(network, digits, 20)).mean(axis=1)
    # From layer l + 1 to l: log of 0.1 times the root of half the width of layer l.
    steps = [math.log(0.1 * math.sqrt(width / 2)) for width in widths[:-1]]
    np.testing.assert_allclose(-np.diff(expected), steps, atol=0.01)
    np.testing.assert_allclose(-np.diff(signal), steps, atol=0.1)
    assert predicted.scale is None


def test_activations_hold_against_measurement(digits: Splits) -> None:
    network = spec(act="tanh", init="normal:0.15", depth=10, width=256)
    predicted = predict(network, digits)
    trace = initial.measure(
        network, digits, seeds=range(4), batch_size=512, device=torch.device("cpu")
    )
    assert predicted.prediction is not None
    std = trace.columns["activation_std"][-1, trace.hidden].mean(axis=1)
    np.testing.assert_allclose(predicted.prediction.activation_std[1:-1], std[1:], rtol=0.04)
    share = trace.columns["saturated_fraction"][-1, trace.hidden].mean(axis=1)
    assert predicted.prediction.saturated_fraction is not None
    np.testing.assert_allclose(predicted.prediction.saturated_fraction[1:], share[1:], atol=0.03)


def test_band_holds_nearly_every_draw(digits: Splits) -> None:
    network = spec(act="relu", init="he_normal", width=64)
    predicted = predict(network, digits)
    signal = measured_signal(network, digits, 40)
    ratio = predicted.scalars(seeds=1)["predicted_grad_ratio"]
    inside = (signal[0] / signal[-1] > ratio.low) & (signal[0] / signal[-1] < ratio.high)
    assert inside.mean() >= 0.95


def test_wider_bands_go_with_wider_spread(digits: Splits) -> None:
    """Predicted for one sample, measured over a batch: proportional, not equal."""
    expected, measured = [], []
    for act, init in (
        *(("relu", "he_normal"), ("linear", "lecun_normal"), ("relu", "orthogonal:1.41421356")),
        ("tanh", "orthogonal"),
    ):
        for width in (64, 192):
            network = spec(act=act, init=init, width=width, depth=12)
            signal = measured_signal(network, digits, 24)
            measured.append(float(np.log(signal[0] / signal[-1]).std()))
            ratio = predict(network, digits).scalars(seeds=1)["predicted_grad_ratio"]
            expected.append(math.log(ratio.high / ratio.low) / (2 * 1.96))
    assert np.corrcoef(expected, measured)[0, 1] > 0.9
    assert all(low < high for low, high in zip(measured, expected, strict=True))


# --- what is said ---


def test_summary_of_a_network_without_bias(digits: Splits) -> None:
    found = predict(spec(act="sigmoid", init="xavier_normal"), digits).summary()
    assert found.pop("chi") == pytest.approx(0.0557, abs=1e-4)
    assert found.pop("fixed_point") == pytest.approx(0.2647, abs=1e-4)
    xi = -1 / math.log(0.0557)
    assert found.pop("depth_scale") == pytest.approx(xi, rel=1e-3)
    assert found.pop("gradient_depth_scale") == pytest.approx(xi, rel=1e-3)
    assert found.pop("trainable_depth") == pytest.approx(6 * xi, rel=1e-3)
    assert found == {"status": "reliable", "reason": ""}


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_no_depth_scale_with_a_norm(norm: str, digits: Splits) -> None:
    assert predict(spec(act="relu", norm=norm), digits).summary() == {
        "status": "reliable",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"net": "rnn"}, "No theory for rnn: the recursion is that of a fully connected net."),
        (
            {"residual": True},
            "No theory for residual networks here: the recursion is that of a plain stack.",
        ),
        (
            {"init": "uniform:0:1"},
            "No theory for uniform:0:1: it holds for independent weights of mean zero.",
        ),
        ({"init": "lsuv"}, "No theory for lsuv: it holds for independent weights of mean zero."),
        ({"init": "zeros"}, "No theory for zeros: it holds for independent weights of mean zero."),
        (
            {"act": "torch:sign"},
            "No theory for torch:sign here: its slope is zero, or leaves the range of numbers.",
        ),
        (
            {"act": "torch.nn:Tanhshrink"},
            "No theory for torch.nn:Tanhshrink here: its slope is zero, or leaves the range of "
            "numbers.",
        ),
    ],
)
def test_absences_say_why(settings: dict[str, Any], reason: str, digits: Splits) -> None:
    predicted = predict(spec(**{"act": "tanh", "init": "he_normal", **settings}), digits)
    assert predicted.prediction is None
    assert math.isnan(predicted.decay_per_layer)
    assert predicted.summary() == {"status": "absent", "reason": reason}


CUSTOM = """
import torch

def step(x):
    return (x > 0).to(x.dtype)

def centred(x):
    return x - x.mean()

def clipped_in_place(x):
    return x.mul(1.0).clamp_(-2, 2)

class Learned(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * torch.sigmoid(self.rate * x)
"""


@pytest.fixture
def own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_activations.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_activations"


@pytest.mark.parametrize("name", ["step", "centred", "Learned"])
def test_what_is_no_function_of_a_number_has_no_theory(name: str, own: str, digits: Splits) -> None:
    predicted = predict(spec(act=f"{own}:{name}", init="he_normal"), digits)
    assert predicted.summary() == {
        "status": "absent",
        "reason": f"No theory for {own}:{name}: it is no differentiable function of one number "
        "without parameters.",
    }


def test_a_function_of_ones_own_is_integrated(own: str, digits: Splits) -> None:
    network = spec(act=f"{own}:clipped_in_place", init="he_normal")
    assert slope(predict(network, digits)) == pytest.approx(
        measured_slope(network, digits), abs=0.012
    )


def test_import_string_and_table_agree(digits: Splits) -> None:
    ours = predict(spec(act="gelu", init="lecun_normal"), digits)
    torchs = predict(spec(act="torch.nn.functional:gelu", init="lecun_normal"), digits)
    assert slope(torchs) == pytest.approx(slope(ours), abs=1e-9)


@pytest.mark.parametrize(("width", "reliable"), [(1, False), (31, False), (32, True), (8192, True)])
def test_narrow_networks_are_marked(width: int, reliable: bool, digits: Splits) -> None:
    predicted = predict(spec(act="tanh", width=width, depth=6), digits)
    assert (predicted.summary()["status"] == "reliable") is reliable


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_shallow_networks(depth: int, digits: Splits) -> None:
    predicted = predict(spec(act="tanh", depth=depth), digits)
    assert len(predicted.rows(0.5, seeds=10)) == depth
    assert bool(predicted.scalars(seeds=10)) is (depth >= 3)
    assert math.isnan(predicted.decay_per_layer) is (depth < 3)
    assert predicted.rows(0.5, seeds=10)[-1]["predicted_output_grad_norm"].mean == 0.5
    context(spec(act="tanh", depth=depth), predicted)


def test_overflow_stays_a_number_in_logarithms(digits: Splits) -> None:
    predicted = predict(spec(act="relu", init="normal", depth=400), digits)
    assert predicted.prediction is not None
    assert np.isfinite(predicted.prediction.log_signal).all()
    assert slope(predicted) == pytest.approx(math.log10(8), abs=1e-6)
    assert predicted.rows(1.0, seeds=10)[0]["predicted_output_grad_norm"].mean > 1e300
    assert predicted.scalars(seeds=10)["predicted_grad_ratio"].high == math.inf


def test_rows_without_an_anchor_are_zero(digits: Splits) -> None:
    rows = predict(spec(act="tanh", depth=4), digits).rows(0.0, seeds=3)
    assert {row["predicted_output_grad_norm"].mean for row in rows} == {0.0}


def test_orthogonal_linear_network_has_no_band(digits: Splits) -> None:
    rows = predict(spec(act="linear", init="orthogonal"), digits).rows(1.0, seeds=10)
    interval = rows[3]["predicted_output_grad_norm"]
    assert interval.low == pytest.approx(interval.high, rel=1e-5)


def test_band_shrinks_with_seeds(digits: Splits) -> None:
    predicted = predict(spec(act="relu", init="he_normal"), digits)
    one, many = (predicted.rows(1.0, seeds)[0]["predicted_output_grad_norm"] for seeds in (1, 16))
    assert math.log(one.high / one.low) == pytest.approx(4 * math.log(many.high / many.low))
    assert math.log(one.high) == pytest.approx(1.96 * 0.5 * math.sqrt(5 * 19 / 128), rel=1e-6)


def test_second_moment_is_that_of_the_training_inputs(digits: Splits) -> None:
    assert second_moment(digits) == pytest.approx(float((digits.train.x**2).mean()), rel=1e-6)


def test_context_explains_sigmoid(digits: Splits) -> None:
    network = spec(act="sigmoid", init="xavier_normal")
    facts = context(network, predict(network, digits))
    assert facts.slope_max == pytest.approx(0.25)
    assert facts.offset == 0.5
    assert facts.weight_scale == pytest.approx(1)
    assert facts.slope_rms == pytest.approx(math.sqrt(0.0557), abs=1e-3)
