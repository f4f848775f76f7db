"""Each initialisation against its formula, on matrices large enough to tell."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec
from nndiag.zoo import activations, initialisations, networks

RELU = activations.parse("relu")
FAN_IN, FAN_OUT = 400, 300

# name -> (variance about 0, bound of the entries or None for a Gaussian)
MOMENTS = {
    "normal": (1.0, None),
    "normal:0.05": (0.0025, None),
    "uniform:0.3": (0.03, 0.3),
    "torch": (1 / 1200, 1 / 20),
    "xavier_normal": (2 / 700, None),
    "xavier_uniform": (2 / 700, math.sqrt(6 / 700)),
    "he_normal": (2 / 400, None),
    "he_uniform": (2 / 400, math.sqrt(6 / 400)),
    "lecun_normal": (1 / 400, None),
    "lecun_uniform": (1 / 400, math.sqrt(3 / 400)),
}


def _draw(
    module: nn.Module, text: str, *, act: str = "relu", seed: int = 0, bias_std: float = 0.0
) -> None:
    initialisations.initialise(
        module,
        initialisations.parse(text),
        activations.parse(act),
        generator=torch.Generator().manual_seed(seed),
        bias_std=bias_std,
    )


def _assert_moments(weight: torch.Tensor, variance: float, bound: float | None) -> None:
    """Mean 0 and the variance within 5 standard errors; the tails of the right distribution."""
    entries = weight.detach().double()
    count = entries.numel()
    kurtosis = 3.0 if bound is None else 1.8
    assert abs(float(entries.mean())) < 5 * math.sqrt(variance / count)
    error = variance * math.sqrt((kurtosis - 1) / count)
    assert abs(float(entries.square().mean()) - variance) < 5 * error
    largest = float(entries.abs().max())
    if bound is None:
        assert largest > 3.2 * math.sqrt(variance)
    else:
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)


@pytest.mark.parametrize("text", MOMENTS)
def test_entries_have_the_variance_of_the_formula(text: str) -> None:
    layer = nn.Linear(FAN_IN, FAN_OUT)
    _draw(layer, text)
    variance, bound = MOMENTS[text]
    _assert_moments(layer.weight, variance, bound)
    nominal = initialisations.weight_variance(initialisations.parse(text), RELU, FAN_IN, FAN_OUT)
    assert nominal == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("text", MOMENTS)
def test_biases_are_zero_but_for_torch(text: str) -> None:
    layer = nn.Linear(FAN_IN, 20_000)
    _draw(layer, text)
    if text == "torch":
        _assert_moments(layer.bias, 1 / 1200, 1 / 20)
    else:
        assert not layer.bias.any()


@pytest.mark.parametrize("text", ["torch", "he_normal", "orthogonal"])
def test_bias_std_gives_gaussian_biases(text: str) -> None:
    layer = nn.Linear(20, 20_000)
    _draw(layer, text, bias_std=0.1)
    _assert_moments(layer.bias, 0.01, None)
    assert initialisations.bias_variance(initialisations.parse(text), 20, 0.1) == pytest.approx(
        0.01
    )


def test_bias_variance_without_bias_std() -> None:
    assert initialisations.bias_variance(initialisations.parse("torch"), 50) == 1 / 150
    assert initialisations.bias_variance(initialisations.parse("he_normal"), 50) == 0


@pytest.mark.parametrize(
    ("act", "gain_squared"), [("leaky_relu:0.5", 1.6), ("rrelu", 1.8937), ("sigmoid", 2.0)]
)
def test_he_depends_on_the_activation(act: str, gain_squared: float) -> None:
    layer = nn.Linear(FAN_IN, FAN_OUT)
    _draw(layer, "he_normal", act=act)
    _assert_moments(layer.weight, gain_squared / FAN_IN, None)


def test_fills_and_shifted_uniform() -> None:
    layer = nn.Linear(FAN_IN, FAN_OUT)
    _draw(layer, "zeros")
    assert not layer.weight.any()
    _draw(layer, "constant:-0.25")
    assert bool((layer.weight == -0.25).all())
    _draw(layer, "uniform:0:1")
    _assert_moments(layer.weight - 0.5, 1 / 12, 0.5)


@pytest.mark.parametrize(("rows", "columns"), [(30, 30), (20, 50), (50, 20)])
@pytest.mark.parametrize("gain", [1.0, 1.05])
def test_orthogonal_preserves_lengths(rows: int, columns: int, gain: float) -> None:
    layer = nn.Linear(columns, rows)
    _draw(layer, f"orthogonal:{gain}")
    singular = torch.linalg.svdvals(layer.weight.detach().double())
    torch.testing.assert_close(singular, torch.full_like(singular, gain), rtol=1e-5, atol=0)
    nominal = initialisations.weight_variance(
        initialisations.parse(f"orthogonal:{gain}"), RELU, columns, rows
    )
    assert float(layer.weight.detach().square().mean()) == pytest.approx(nominal, rel=1e-5)


def test_orthogonal_matrices_are_spread_evenly() -> None:
    """The trace of a Haar matrix has mean 0 and variance 1; a wrong sign rule shows there."""
    layers = nn.ModuleList(nn.Linear(10, 10) for _ in range(400))
    _draw(layers, "orthogonal")
    traces = torch.stack([layer.weight.detach().trace() for layer in layers])
    assert abs(float(traces.mean())) < 5 / 20
    assert float(traces.var()) == pytest.approx(1, abs=5 * math.sqrt(2 / 400))


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [
        (nn.Conv2d(16, 64, 3), 16 * 9, 64 * 9),
        (nn.Conv1d(32, 64, 5), 32 * 5, 64 * 5),
        (nn.Conv2d(32, 64, 5, groups=4), 8 * 25, 64 * 25),
    ],
    ids=["conv2d", "conv1d", "grouped"],
)
@pytest.mark.parametrize("text", ["he_normal", "xavier_uniform", "torch"])
def test_convolutions_count_kernel_area_times_channels(
    layer: nn.Module, fan_in: int, fan_out: int, text: str
) -> None:
    _draw(layer, text)
    variance = {
        "he_normal": 2 / fan_in,
        "xavier_uniform": 2 / (fan_in + fan_out),
        "torch": 1 / (3 * fan_in),
    }[text]
    bound = None if text == "he_normal" else math.sqrt(3 * variance)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    _assert_moments(weight, variance, bound)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3)])
def test_each_gate_is_orthogonal_on_its_own(
    kind: type[nn.LSTMCell] | type[nn.GRUCell], gates: int
) -> None:
    cell = kind(12, 20)
    _draw(cell, "orthogonal")
    for stacked in (cell.weight_ih, cell.weight_hh):
        blocks = stacked.detach().double().chunk(gates)
        assert len(blocks) == gates
        for block in blocks:
            singular = torch.linalg.svdvals(block)
            torch.testing.assert_close(singular, torch.ones_like(singular), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("text", "input_variance", "state_variance", "uniform"),
    [
        ("xavier_uniform", 2 / 280, 2 / 400, True),
        ("he_normal", 2 / 80, 2 / 200, False),
        ("torch", 1 / 600, 1 / 600, True),
    ],
)
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_matrices_of_cells_have_their_own_fans(
    kind: type[nn.LSTMCell] | type[nn.GRUCell],
    text: str,
    input_variance: float,
    state_variance: float,
    uniform: bool,
) -> None:
    cell = kind(80, 200)
    _draw(cell, text)
    for weight, variance in (
        (cell.weight_ih, input_variance),
        (cell.weight_hh, state_variance),
    ):
        _assert_moments(weight, variance, math.sqrt(3 * variance) if uniform else None)
    assert bool(cell.bias_ih.any()) is (text == "torch")


def test_elman_matrices_have_their_own_fans() -> None:
    model = networks.build(NetworkSpec(net="rnn", depth=1, width=200), (10, 50), 10)
    _draw(model, "lecun_normal")
    shapes = {name: weight for name, weight in model.named_parameters() if weight.dim() == 2}
    for weight in shapes.values():
        if weight.numel() > 5000:
            _assert_moments(weight, 1 / weight.shape[1], None)
    assert sorted(shapes) == ["fc.weight", "rnn1.input.weight", "rnn1.recurrent.weight"]


def test_one_seed_gives_one_network_in_every_precision() -> None:
    spec = NetworkSpec(depth=4, width=32)
    first, again, other, double = (networks.build(spec, (16,), 3) for _ in range(4))
    double = double.double()
    for model, seed in ((first, 7), (again, 7), (other, 8), (double, 7)):
        _draw(model, "he_normal", seed=seed, bias_std=0.1)
    for name, parameter in first.state_dict().items():
        assert torch.equal(parameter, again.state_dict()[name])
        assert torch.equal(parameter.double(), double.state_dict()[name])
        assert not torch.equal(parameter, other.state_dict()[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("text", ["he_normal", "orthogonal", "torch"])
def test_one_seed_gives_one_network_on_every_device(text: str) -> None:
    spec = NetworkSpec(depth=4, width=32)
    host, device = networks.build(spec, (16,), 3), networks.build(spec, (16,), 3).cuda()
    for model in (host, device):
        _draw(model, text)
    for name, parameter in host.state_dict().items():
        assert torch.equal(parameter, device.state_dict()[name].cpu())


@pytest.mark.parametrize("text", ["he_normal", "orthogonal", "torch", "zeros", "lsuv"])
def test_a_second_draw_leaves_nothing_of_the_first(text: str) -> None:
    """Parameters and buffers after training and re-initialising are those of a fresh network."""
    spec = NetworkSpec(depth=4, width=16, act="prelu", norm="batch", dropout=0.1)
    fresh, used = (networks.build(spec, (8,), 3) for _ in range(2))
    batch = torch.randn(32, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in used.parameters():
            parameter.fill_(3.0)
    used(batch)
    for model in (fresh, used):
        initialisations.initialise(
            model,
            initialisations.parse(text),
            activations.parse("prelu"),
            generator=torch.Generator().manual_seed(3),
            batch=batch,
        )
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, used.state_dict()[name]), name


@pytest.mark.parametrize("text", ["he_normal", "torch", "lsuv"])
def test_the_global_generator_is_left_alone(text: str) -> None:
    before = torch.get_rng_state()
    spec = NetworkSpec(depth=3, width=16, act="rrelu", dropout=0.2)
    model = networks.build(spec, (8,), 3)
    initialisations.initialise(
        model,
        initialisations.parse(text),
        activations.parse("rrelu"),
        generator=torch.Generator().manual_seed(0),
        batch=torch.ones(16, 8) * torch.arange(8),
    )
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("act", ["sigmoid", "relu", "selu", "tanh"])
@pytest.mark.parametrize("net", ["mlp", "cnn"])
def test_lsuv_gives_every_layer_unit_variance(net: str, act: str) -> None:
    spec = NetworkSpec(net=net, depth=8, width=16, act=act)
    model = networks.build(spec, (1, 8, 8), 10)
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(64, 1, 8, 8, generator=generator)
    initialisations.initialise(
        model,
        initialisations.parse("lsuv"),
        activations.parse(act),
        generator=generator,
        batch=batch,
    )
    outputs: list[torch.Tensor] = []
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))
    model(batch)
    assert len(outputs) == 8
    for output in outputs:
        assert float(output.detach().var(correction=0)) == pytest.approx(1, abs=2e-3)


def test_lsuv_scales_orthogonal_matrices() -> None:
    layer = nn.Linear(20, 20)
    generator = torch.Generator().manual_seed(0)
    batch = 5 * torch.randn(4000, 20, generator=generator)
    initialisations.initialise(
        layer, initialisations.parse("lsuv"), RELU, generator=generator, batch=batch
    )
    singular = torch.linalg.svdvals(layer.weight.detach())
    torch.testing.assert_close(singular, torch.full((20,), 0.2), rtol=0.02, atol=0)


def test_lsuv_leaves_hopeless_layers_finite() -> None:
    layer = nn.Linear(5, 5)
    initialisations.initialise(
        layer,
        initialisations.parse("lsuv"),
        RELU,
        generator=torch.Generator().manual_seed(0),
        batch=torch.zeros(8, 5),
    )
    assert bool(layer.weight.isfinite().all())
    assert not layer._forward_hooks


def test_lsuv_needs_a_batch() -> None:
    with pytest.raises(ValueError, match=r"^initialisation 'lsuv' needs a batch of inputs$"):
        _draw(nn.Linear(2, 2), "lsuv")


@pytest.mark.parametrize("text", ["zeros", "constant:0.1", "uniform:0:1", "uniform:-1:2", "lsuv"])
def test_theory_does_not_apply_to_some(text: str) -> None:
    assert initialisations.weight_variance(initialisations.parse(text), RELU, 8, 8) is None


def test_symmetric_bounds_given_twice_are_one_number() -> None:
    variances = [
        initialisations.weight_variance(initialisations.parse(text), RELU, 8, 8)
        for text in ("uniform:0.5", "uniform:-0.5:0.5")
    ]
    assert variances == [pytest.approx(1 / 12)] * 2


@given(st.floats(1e-9, 1e9))
def test_labels_read_back(number: float) -> None:
    for name in ("normal", "uniform", "constant", "orthogonal"):
        init = initialisations.parse(f"{name}:{number!r}")
        assert init.numbers == (number,)
        assert initialisations.parse(init.label) == init


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("normal", "normal"),
        ("normal:1.0", "normal"),
        ("uniform:0:1", "uniform:0:1"),
        ("kaiming_normal", "he_normal"),
        ("kaiming_uniform", "he_uniform"),
        ("glorot_normal", "xavier_normal"),
        ("glorot_uniform", "xavier_uniform"),
    ],
)
def test_labels(text: str, label: str) -> None:
    assert initialisations.parse(text).label == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xavier", "--init: unknown name 'xavier'; did you mean xavier_normal?"),
        ("he_norml", "--init: unknown name 'he_norml'; did you mean he_normal?"),
        ("normal:0", "--init: got 'normal:0'; accepted: normal[:STD], STD > 0"),
        ("normal:abc", "--init: got 'normal:abc'; accepted: normal[:STD], STD > 0"),
        ("normal:1:2", "--init: got 'normal:1:2'; accepted: normal[:STD], STD > 0"),
        (
            "uniform",
            "--init: got 'uniform'; accepted: uniform:A, A > 0 (from -A to A); uniform:A:B, A < B",
        ),
        (
            "uniform:1:0",
            "--init: got 'uniform:1:0'; accepted: "
            "uniform:A, A > 0 (from -A to A); uniform:A:B, A < B",
        ),
        ("zeros:3", "--init: got 'zeros:3'; accepted: zeros"),
        ("constant", "--init: got 'constant'; accepted: constant:C"),
        ("orthogonal:-1", "--init: got 'orthogonal:-1'; accepted: orthogonal[:GAIN], GAIN > 0"),
        ("he_normal:2", "--init: got 'he_normal:2'; accepted: he_normal"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        initialisations.parse(text)
    assert str(caught.value) == message
