"""Networks: names and order of their layers, shapes, counts, combinations that are refused."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NETS, NORMS, NetworkSpec
from nndiag.zoo import activations, initialisations, networks
from nndiag.zoo.modules import ElmanCell, Recurrent
from nndiag.zoo.sequences import as_sequence, sequence_shape

IMAGE = (1, 8, 8)


def _spec(net: str, depth: int = 3, width: int = 16, **options: object) -> NetworkSpec:
    options.setdefault("act", networks.default_act(net))
    return NetworkSpec(net=net, depth=depth, width=width, **options)  # type: ignore[arg-type]


def _network(
    spec: NetworkSpec, input_shape: tuple[int, ...] = IMAGE, classes: int = 10, seed: int = 0
) -> nn.Module:
    model = networks.build(spec, input_shape, classes)
    initialisations.initialise(
        model,
        initialisations.parse(spec.init),
        activations.parse(spec.act),
        generator=torch.Generator().manual_seed(seed),
        bias_std=0.1,
    )
    return model


def _batch(input_shape: tuple[int, ...], count: int = 5) -> torch.Tensor:
    return torch.randn(count, *input_shape, generator=torch.Generator().manual_seed(9))


def test_an_mlp_prints_as_a_student_writes_it() -> None:
    spec = NetworkSpec(depth=3, width=4, act="tanh", norm="batch", dropout=0.5)
    assert repr(networks.build(spec, (1, 2, 2), 3)) == (
        "Sequential(\n"
        "  (flatten): Flatten(start_dim=1, end_dim=-1)\n"
        "  (fc1): Linear(in_features=4, out_features=4, bias=True)\n"
        "  (norm1): BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)\n"
        "  (act1): Tanh()\n"
        "  (dropout1): Dropout(p=0.5, inplace=False)\n"
        "  (fc2): Linear(in_features=4, out_features=4, bias=True)\n"
        "  (norm2): BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)\n"
        "  (act2): Tanh()\n"
        "  (dropout2): Dropout(p=0.5, inplace=False)\n"
        "  (fc3): Linear(in_features=4, out_features=3, bias=True)\n"
        ")"
    )


@pytest.mark.parametrize(
    ("spec", "input_shape", "names"),
    [
        (_spec("mlp", 1), (4,), "fc1"),
        (_spec("mlp", 3), (4,), "fc1 act1 fc2 act2 fc3"),
        (_spec("cnn", 1), IMAGE, "pool flatten fc1"),
        (_spec("cnn", 2, norm="batch"), IMAGE, "conv1 norm1 act1 pool flatten fc2"),
        (_spec("mlp", 3, residual=True), (4,), "fc1 act1 block2 fc3"),
        (_spec("mlp", 3, residual=True), (16,), "block1 block2 fc3"),
        (_spec("cnn", 3, residual=True), IMAGE, "conv1 act1 block2 pool flatten fc3"),
        (_spec("rnn", 2), IMAGE, "rnn1 rnn2 fc"),
        (_spec("lstm", 1), IMAGE, "lstm1 fc"),
        (_spec("gru", 2, dropout=0.1), IMAGE, "gru1 gru2 dropout fc"),
    ],
)
def test_layers_have_plain_names(
    spec: NetworkSpec, input_shape: tuple[int, ...], names: str
) -> None:
    model = networks.build(spec, input_shape, 10)
    assert [name for name, _child in model.named_children()] == names.split()


@pytest.mark.parametrize(
    ("net", "input_shape"),
    [
        (net, shape)
        for net in NETS
        for shape in [(1, 8, 8), (3, 8, 8), (1, 12, 10), (6,), (7, 3)]
        if net != "cnn" or len(shape) == 3
    ],
)
def test_scores_have_one_column_a_class(net: str, input_shape: tuple[int, ...]) -> None:
    model = _network(_spec(net), input_shape, 4)
    scores = model(_batch(input_shape))
    assert scores.shape == (5, 4)
    assert bool(scores.isfinite().all())


@given(
    net=st.sampled_from(NETS),
    depth=st.integers(1, 6),
    width=st.integers(1, 12),
    classes=st.integers(1, 5),
    channels=st.integers(1, 3),
    norm=st.sampled_from(["none", "batch", "layer"]),
    residual=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_parameters_number_as_the_closed_form_says(
    net: str, depth: int, width: int, classes: int, channels: int, norm: str, residual: bool
) -> None:
    norm = "none" if net in ("lstm", "gru") else norm
    spec = _spec(net, depth, width, norm=norm, residual=residual)
    model = networks.build(spec, (channels, 4, 4), classes)
    affine = 0 if norm == "none" else 2 * width
    if net in ("mlp", "cnn"):
        area, inputs = (1, 16 * channels) if net == "mlp" else (9, channels)
        hidden = depth - 1
        first = (inputs * area + 1) * width if hidden else 0
        rest = (hidden - 1) * (width * area + 1) * width if hidden else 0
        expected = first + rest + hidden * affine + ((width if hidden else inputs) + 1) * classes
    else:
        gates, biases = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 2)}[net]
        expected = sum(
            gates * width * (inputs + width + biases) + affine
            for inputs in [channels, *[width] * (depth - 1)]
        )
        expected += (width + 1) * classes
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@given(depth=st.integers(1, 12), width=st.integers(1, 9), net=st.sampled_from(["mlp", "cnn"]))
@settings(max_examples=30, deadline=None)
def test_depth_counts_weight_layers(depth: int, width: int, net: str) -> None:
    model = networks.build(_spec(net, depth, width), IMAGE, 3)
    weights = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert len(weights) == depth
    assert all(module.weight.shape[0] == width for module in weights[:-1])


def test_mlp_computes_the_composition() -> None:
    model = _network(_spec("mlp", 3, act="tanh"))
    values = dict(model.named_parameters())
    hidden = _batch(IMAGE).reshape(5, 64)
    for layer in (1, 2):
        hidden = torch.tanh(hidden @ values[f"fc{layer}.weight"].T + values[f"fc{layer}.bias"])
    expected = hidden @ values["fc3.weight"].T + values["fc3.bias"]
    torch.testing.assert_close(model(_batch(IMAGE)), expected)


def test_residual_blocks_add_their_input() -> None:
    plain, residual = (
        _network(_spec("mlp", 3, act="tanh", residual=flag), (16,)) for flag in (False, True)
    )
    values = dict(plain.named_parameters())
    assert [value.shape for value in values.values()] == [
        value.shape for value in residual.parameters()
    ]
    hidden = _batch((16,))
    for layer in (1, 2):
        before = hidden @ values[f"fc{layer}.weight"].T + values[f"fc{layer}.bias"]
        hidden = hidden + torch.tanh(before)
    expected = hidden @ values["fc3.weight"].T + values["fc3.bias"]
    torch.testing.assert_close(residual(_batch((16,))), expected)


def _torch_twin(net: str, model: Recurrent, width: int, features: int) -> nn.Module:
    """Return torch's own recurrent module with the weights of `model`."""
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[net]
    twin = kind(features, width, num_layers=2, batch_first=True)
    for layer in range(2):
        cell = model.get_submodule(f"{net}{layer + 1}")
        if isinstance(cell, ElmanCell):
            values = (cell.input.weight, cell.recurrent.weight, cell.input.bias, torch.zeros(width))
        else:
            values = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        with torch.no_grad():
            for name, value in zip(names, values, strict=True):
                getattr(twin, f"{name}_l{layer}").copy_(value)
    return twin


@pytest.mark.parametrize("net", ["rnn", "lstm", "gru"])
def test_unrolled_cells_agree_with_torch(net: str) -> None:
    model = _network(_spec(net, 2, 8), (6, 3))
    assert isinstance(model, Recurrent)
    batch = _batch((6, 3))
    outputs, _state = _torch_twin(net, model, 8, 3)(batch)
    torch.testing.assert_close(model(batch), model.fc(outputs[:, -1]))


@pytest.mark.parametrize("net", ["rnn", "lstm", "gru"])
def test_recurrent_residuals_add_the_layer_input(net: str) -> None:
    plain, residual = (_network(_spec(net, 2, 8, residual=flag), (6, 3)) for flag in (False, True))
    assert isinstance(residual, Recurrent)
    batch = _batch((6, 3))
    tops: list[torch.Tensor] = []
    for model in (plain, residual):
        model.fc.register_forward_pre_hook(lambda _module, inputs: tops.append(inputs[0]))
        model(batch)
    lower = _unrolled_top(residual, f"{net}1", batch)
    torch.testing.assert_close(tops[1], tops[0] + lower)


def _unrolled_top(model: nn.Module, name: str, batch: torch.Tensor) -> torch.Tensor:
    cell, state = model.get_submodule(name), None
    for step in batch.unbind(1):
        state = cell(step, state)
    return state[0] if isinstance(state, tuple) else state


@pytest.mark.parametrize(
    ("net", "norm"),
    [(net, norm) for net in NETS for norm in NORMS if norm == "none" or net not in ("lstm", "gru")],
)
def test_networks_run_as_a_population(net: str, norm: str) -> None:
    """Under vmap over stacked weights, scores and gradients equal those of lone networks."""
    spec = _spec(net, 2, 8, norm=norm)
    members = [_network(spec, seed=seed).double() for seed in range(3)]
    batch, base = _batch(IMAGE).double(), copy.deepcopy(members[0])
    parameters, buffers = stack_module_state(members)

    def loss(values: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> torch.Tensor:
        scores: torch.Tensor = functional_call(base, (values, state), (batch,))
        return scores.square().sum()

    losses = vmap(loss)(parameters, buffers)
    losses.sum().backward()
    for index, member in enumerate(members):
        alone = member(batch).square().sum()
        alone.backward()
        torch.testing.assert_close(losses[index], alone)
        for name, parameter in member.named_parameters():
            together = parameters[name].grad
            assert together is not None
            torch.testing.assert_close(together[index], parameter.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("act", ["relu", "prelu:0.1", "torch.nn:Hardswish"])
def test_any_activation_runs_in_a_recurrent_cell(act: str) -> None:
    model = _network(_spec("rnn", 1, act=act))
    seen: list[torch.Tensor] = []
    model.get_submodule("rnn1.act").register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    model(_batch(IMAGE))
    assert [tuple(step.shape) for step in seen] == [(5, 16)] * 64


def test_custom_activations_keep_their_own_parameters() -> None:
    model = networks.build(_spec("rnn", 1, act="torch.nn:PReLU"), IMAGE, 10)
    slope = model.get_parameter("rnn1.act.weight")
    assert slope.tolist() == [0.25]


@pytest.mark.parametrize(
    ("input_shape", "steps", "features"),
    [
        ((64,), 64, 1),
        ((7, 3), 7, 3),
        ((1, 8, 8), 64, 1),
        ((3, 8, 8), 64, 3),
        ((1, 28, 28), 28, 28),
        ((3, 32, 16), 32, 48),
    ],
)
def test_how_data_are_read_as_sequences(
    input_shape: tuple[int, ...], steps: int, features: int
) -> None:
    assert sequence_shape(input_shape) == (steps, features)
    sequence = as_sequence(_batch(input_shape))
    assert sequence.shape == (steps, 5, features)
    assert sequence.numel() == 5 * math.prod(input_shape)


def test_pixels_and_rows_come_in_reading_order() -> None:
    small = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    assert torch.equal(as_sequence(small)[5], small[:, :, 1, 1])
    large = torch.arange(2 * 3 * 10 * 9.0).reshape(2, 3, 10, 9)
    assert torch.equal(as_sequence(large)[4], large[:, :, 4].reshape(2, 27))


@pytest.mark.parametrize("net", NETS)
def test_networks_survive_pickling_and_copying(net: str) -> None:
    model = _network(_spec(net, dropout=0.2)).eval()
    scores = model(_batch(IMAGE))
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(twin(_batch(IMAGE)), scores)


@pytest.mark.parametrize("net", NETS)
def test_dropout_acts_in_training_only(net: str) -> None:
    model = _network(_spec(net, 3, 64, dropout=0.5))
    with torch.random.fork_rng():
        assert not torch.equal(model(_batch(IMAGE)), model(_batch(IMAGE)))
    model.eval()
    assert torch.equal(model(_batch(IMAGE)), model(_batch(IMAGE)))


@pytest.mark.parametrize("net", NETS)
def test_defaults_pass_the_check(net: str) -> None:
    networks.check(_spec(net))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            NetworkSpec(act="sigmod"),
            "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)",
        ),
        (NetworkSpec(init="he_norml"), "--init: unknown name 'he_norml'; did you mean he_normal?"),
        (
            NetworkSpec(net="lstm", act="relu"),
            "--act: got relu; the cells of --net lstm are fixed, accepted: tanh",
        ),
        (
            NetworkSpec(net="gru", act="tanh", norm="layer"),
            "--norm: got layer; the cells of --net gru are fixed, accepted: none",
        ),
        (
            NetworkSpec(net="rnn", act="tanh", init="lsuv"),
            "--init: lsuv is defined for feed-forward networks; got --net rnn",
        ),
    ],
)
def test_refused_combinations(spec: NetworkSpec, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        networks.check(spec)
    assert str(caught.value) == message


def test_a_cnn_needs_images() -> None:
    with pytest.raises(UsageError) as caught:
        networks.build(_spec("cnn"), (4,), 3)
    assert str(caught.value) == (
        "--net: cnn needs images (channels, height, width); the data have shape (4,); "
        "accepted for them: mlp, rnn, lstm, gru"
    )


def test_layer_norm_of_images_spans_channels_and_pixels() -> None:
    model = _network(_spec("cnn", 2, norm="layer"))
    outputs: list[torch.Tensor] = []
    model.get_submodule("norm1").register_forward_hook(
        lambda _module, _inputs, output: outputs.append(output.detach())
    )
    model(_batch(IMAGE))
    torch.testing.assert_close(outputs[0].mean((1, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        outputs[0].var((1, 2, 3), correction=0), torch.ones(5), atol=1e-3, rtol=0
    )


def test_widths_of_their_own() -> None:
    spec = NetworkSpec(depth=4, widths=(5, 4, 3), norm="batch", act="relu", init="he_normal")
    model = networks.build(spec, (1, 8, 8), 10)
    shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(5, 64), (4, 5), (3, 4), (10, 3)]
    assert [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm1d)] == [5, 4, 3]
    convolved = networks.build(replace(spec, net="cnn"), (1, 8, 8), 10)
    assert [m.out_channels for m in convolved.modules() if isinstance(m, nn.Conv2d)] == [5, 4, 3]


def test_spatial_dropout_drops_channels() -> None:
    spec = NetworkSpec(net="cnn", depth=2, width=6, act="relu", spatial_dropout=0.5)
    model = networks.build(spec, (1, 8, 8), 10)
    (layer,) = (m for m in model.modules() if isinstance(m, nn.Dropout2d))
    assert layer.p == 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"depth": 3, "widths": (5, 4, 3)},
            "--widths: got 3 hidden layers, but --depth 3 has 2",
        ),
        (
            {"net": "rnn", "depth": 2, "widths": (5,)},
            "--widths: has a meaning for mlp, cnn only; got --net rnn",
        ),
        (
            {"spatial_dropout": 0.2},
            "--spatial-dropout: has a meaning for cnn only; got --net mlp",
        ),
    ],
)
def test_shapes_that_make_no_sense(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        networks.check(NetworkSpec(**fields))  # type: ignore[arg-type]
    assert str(error.value) == message
