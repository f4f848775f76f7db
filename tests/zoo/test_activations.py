"""Every activation against its formula, and the facts of the table against autograd."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nndiag.schema.errors import UsageError
from nndiag.zoo import activations
from nndiag.zoo.activations import ACTIVATIONS

Z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(z: torch.Tensor, alpha: float) -> torch.Tensor:
    return torch.where(z > 0, z, alpha * (z.clamp(max=0).exp() - 1))


def _softplus(z: torch.Tensor) -> torch.Tensor:
    return (1 + z.exp()).log()


FORMULAS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "tanh": lambda z: (z.exp() - (-z).exp()) / (z.exp() + (-z).exp()),
    "hardtanh": lambda z: z.clamp(-1, 1),
    "softsign": lambda z: z / (1 + z.abs()),
    "relu": lambda z: z.clamp(min=0),
    "leaky_relu": lambda z: torch.where(z > 0, z, 0.01 * z),
    "leaky_relu:0.2": lambda z: torch.where(z > 0, z, 0.2 * z),
    "rrelu": lambda z: torch.where(z > 0, z, 11 / 48 * z),
    "prelu": lambda z: torch.where(z > 0, z, 0.25 * z),
    "prelu:0.1": lambda z: torch.where(z > 0, z, 0.1 * z),
    "elu": lambda z: _elu(z, 1),
    "elu:2": lambda z: _elu(z, 2),
    "selu": lambda z: _SCALE * _elu(z, _ALPHA),
    "celu": lambda z: _elu(z, 1),
    "celu:2": lambda z: torch.where(z > 0, z, 2 * ((z.clamp(max=0) / 2).exp() - 1)),
    "gelu": lambda z: z * (1 + torch.erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + (-z).exp()),
    "mish": lambda z: z * torch.tanh(_softplus(z)),
    "softplus": _softplus,
    "relu6": lambda z: z.clamp(0, 6),
    "linear": lambda z: z,
}


def test_every_row_has_a_formula() -> None:
    assert {name.split(":")[0] for name in FORMULAS} == set(ACTIVATIONS.names)


@pytest.mark.parametrize("text", FORMULAS)
def test_build_gives_the_function(text: str) -> None:
    module = activations.parse(text).build().double().eval()
    torch.testing.assert_close(module(Z), FORMULAS[text](Z), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("text", FORMULAS)
def test_largest_derivative_agrees_with_autograd(text: str) -> None:
    z = Z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(FORMULAS[text](z).sum(), z)
    largest = activations.parse(text).derivative_max
    assert largest == pytest.approx(float(slope.abs().max()), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "gain_squared"),
    [
        ("relu", 2),
        ("sigmoid", 2),
        ("tanh", 2),
        ("leaky_relu:0.5", 1.6),
        ("leaky_relu", 2 / 1.0001),
        ("prelu", 2 / 1.0625),
        ("prelu:1", 1),
        ("rrelu", 1.8937),
        ("elu:2", 2),
        ("torch.nn:Hardswish", 2),
    ],
)
def test_he_gain_follows_the_negative_slope(text: str, gain_squared: float) -> None:
    assert activations.parse(text).he_gain_squared == pytest.approx(gain_squared, rel=1e-4)


def test_he_gain_keeps_the_second_moment_of_rectifiers_in_training_mode() -> None:
    z = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0))
    for text in ("relu", "leaky_relu:0.3", "rrelu", "prelu"):
        act = activations.parse(text)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            moment = float(act.build()(z).detach().square().mean())
        assert act.he_gain_squared * moment == pytest.approx(1, rel=0.005), text


@pytest.mark.parametrize(
    ("names", "init"),
    [
        ("sigmoid tanh hardtanh softsign linear torch.nn:Hardswish", "xavier_uniform"),
        (
            "relu leaky_relu rrelu prelu relu6 elu celu gelu silu mish softplus",
            "he_normal",
        ),
        ("selu", "lecun_normal"),
    ],
)
def test_default_initialisation_follows_the_literature(names: str, init: str) -> None:
    assert {activations.parse(name).default_init for name in names.split()} == {init}


@given(st.sampled_from(["leaky_relu", "prelu", "elu", "celu"]), st.floats(1e-6, 1e6))
def test_labels_read_back(name: str, parameter: float) -> None:
    act = activations.parse(f"{name}:{parameter!r}")
    assert act.parameter == parameter
    assert activations.parse(act.label) == act


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("relu", "relu"),
        ("elu:1.0", "elu"),
        ("leaky_relu:0.20", "leaky_relu:0.2"),
        ("elu:3", "elu:3"),
    ],
)
def test_labels_show_what_differs_from_the_default(text: str, label: str) -> None:
    assert activations.parse(text).label == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sigmod",
            "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)",
        ),
        (
            "leaky_rlu:0.2",
            "--act: unknown name 'leaky_rlu'; did you mean leaky_relu? (or package.module:Name)",
        ),
        ("relu:0.2", "--act: got 'relu:0.2'; accepted: relu"),
        ("relu:", "--act: got 'relu:'; accepted: relu"),
        ("elu:0", "--act: got 'elu:0'; accepted: elu[:ALPHA], ALPHA > 0"),
        ("prelu:a", "--act: got 'prelu:a'; accepted: prelu[:INIT]"),
        ("prelu:1:2", "--act: got 'prelu:1:2'; accepted: prelu[:INIT]"),
        ("torch.nn:Sigmod", "--act: module 'torch.nn' has no 'Sigmod'; did you mean Sigmoid?"),
        (
            "math:pi",
            "--act: 'math:pi' is no activation (it is neither a Module nor a function); "
            "accepted: package.module:Name of a Module class without required arguments "
            "or of a function of a tensor",
        ),
        (
            "math:sqrt",
            "--act: 'math:sqrt' is no activation (ValueError: only one element tensors can be "
            "converted to Python scalars); accepted: package.module:Name of a Module class "
            "without required arguments or of a function of a tensor",
        ),
        (
            "torch:sum",
            "--act: 'torch:sum' is no activation (its output has another shape than its input); "
            "accepted: package.module:Name of a Module class without required arguments "
            "or of a function of a tensor",
        ),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        activations.parse(text)
    assert str(caught.value) == message


def test_a_class_with_required_arguments_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--act: 'torch.nn:Linear' is no activation \(.*missing"):
        activations.parse("torch.nn:Linear")


def test_custom_functions_classes_and_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_custom_acts.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def cube(x):\n    return x**3\n"
        "class Swish(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.beta = nn.Parameter(torch.ones(()))\n"
        "    def forward(self, x):\n        return x * torch.sigmoid(self.beta * x)\n"
        "ready = nn.LeakyReLU(0.3)\n"
    )
    monkeypatch.chdir(tmp_path)
    cube = activations.parse("zoo_custom_acts:cube")
    assert (cube.label, cube.parameter, cube.derivative_max) == ("zoo_custom_acts:cube", None, None)
    assert repr(cube.build()) == "TensorFunction(zoo_custom_acts:cube)"
    torch.testing.assert_close(cube.build()(Z), Z**3)
    swish = activations.parse("zoo_custom_acts:Swish")
    torch.testing.assert_close(swish.build()(Z), nn.functional.silu(Z))
    ready = activations.parse("zoo_custom_acts:ready")
    assert ready.build() is not ready.build()
    torch.testing.assert_close(ready.build()(Z), nn.functional.leaky_relu(Z, 0.3))
    monkeypatch.syspath_prepend(tmp_path)
    torch.testing.assert_close(pickle.loads(pickle.dumps(cube.build()))(Z), Z**3)
