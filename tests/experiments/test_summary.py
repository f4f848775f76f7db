"""`nndiag summary` on whole networks: torchvision's own figures, ours, a user's."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from nndiag.experiments import summary
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.spec_summary import SummarySpec, shape_of
from nndiag.zoo import backbones, networks

QUICK = ("resnet50", "vgg16", "googlenet", "inception_v3", "vit_b_32", "regnet_y_400mf", "swin_t")


def _run(model: str, **more: Any) -> dict[str, Any]:
    return summary.run(SummarySpec(model=model, **more)).result


def _published(name: str) -> None:
    """Compare parameters with torchvision's metadata, and operations (which it counts in pairs)."""
    result = _run(name)
    facts = models.get_model_weights(name).DEFAULT.meta
    assert result["totals"]["parameters"] == facts["num_params"]
    assert result["totals"]["flops"] / 2e9 == pytest.approx(facts["_ops"], abs=6e-4)
    rows = result["rows"]
    for kind, own in (("parameters", "own_parameters"), ("flops", "own_flops")):
        assert sum(row[own] for row in rows) == result["totals"][kind]


@pytest.mark.parametrize("name", QUICK)
def test_torchvision(name: str) -> None:
    _published(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in backbones.names() if name != "small_cnn"])
def test_all_of_torchvision(name: str) -> None:
    _published(name)


def test_vgg16() -> None:
    result = _run("vgg16")
    totals = result["totals"]
    assert totals["parameters"] == totals["trainable_parameters"] == 138_357_544
    assert totals["bytes"] == 4 * 138_357_544
    first = next(row for row in result["rows"] if row["label"] == "features.0")
    assert first["output_shape"] == (1, 64, 224, 224)
    assert first["parameters"] == 64 * 3 * 9 + 64
    assert first["flops"] == 2 * 64 * 224 * 224 * 3 * 9


def test_needs_no_memory() -> None:
    """These pictures alone would take 60 terabytes."""
    one, many = (_run("vgg16", batch_size=size) for size in (1, 10**8))
    assert many["totals"]["flops"] == 10**8 * one["totals"]["flops"]


@pytest.mark.parametrize("net", ["mlp", "cnn", "rnn", "lstm", "gru"])
def test_ours(net: str) -> None:
    spec = NetworkSpec(net=net, depth=2, width=16, act="relu", init="he_normal")
    result = _run(net, network=spec)
    built = networks.build(spec, (1, 8, 8), 10)
    assert result["totals"]["parameters"] == sum(p.numel() for p in built.parameters())
    assert result["output_shape"] == (1, 10)
    assert tuple(built(torch.zeros(1, 1, 8, 8)).shape) == (1, 10)


def test_small_cnn_is_as_large_as_its_row_says() -> None:
    assert _run("small_cnn")["totals"]["parameters"] == backbones.SMALL.parameters


def test_sizes_and_classes() -> None:
    result = _run("resnet18", input_shape=(3, 64, 32), batch_size=3, classes=7)
    assert result["input_shape"] == (3, 3, 64, 32)
    assert result["output_shape"] == (3, 7)
    assert result["totals"]["parameters"] == 11_689_512 - 993 * 513


class _NeedsValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum().item() >= 0 else x


class _Sentences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(self.words(x))[0]


def _lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(864, 10)
    )


def _checkpointed() -> nn.Module:
    network = nn.Linear(3, 2)
    network.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    return network


def _two_inputs() -> nn.Module:
    return nn.Bilinear(3, 3, 2)


READY = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of this module as a user types it."""
    module = ModuleType("their_nets")
    vars(module).update(
        NeedsValues=_NeedsValues,
        Sentences=_Sentences,
        lenet=_lenet,
        checkpointed=_checkpointed,
        two_inputs=_two_inputs,
        READY=READY,
        lazy=lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2)),
        Rnn=lambda: nn.GRU(9, 8, batch_first=True),
    )
    monkeypatch.setitem(sys.modules, "their_nets", module)
    return "their_nets"


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("NeedsValues", (4,), 10),
        ("Sentences", (16,), 66 + 4 * 5 * (6 + 5 + 2)),
        ("lenet", (1, 28, 28), 6 * 26 + 8650),
        ("checkpointed", (3,), 8),
        ("READY", (16,), 68),
        ("lazy", (3, 224, 224), 4 * 28 + 2 * (4 * 222 * 222 + 1)),
        ("Rnn", (16, 9), 3 * 8 * (9 + 8 + 2)),
    ],
)
def test_a_users_own(ours: str, name: str, shape: tuple[int, ...], parameters: int) -> None:
    result = _run(f"{ours}:{name}")
    assert result["input_shape"] == (1, *shape)
    assert result["totals"]["parameters"] == parameters
    assert READY[1].weight.device.type == "cpu"


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            "their_nets:NeedsValues",
            (5,),
            "--input-size: their_nets:NeedsValues does not take inputs of 5: mat1 and mat2 shapes "
            "cannot be multiplied (1x5 and 4x2)",
        ),
        (
            "their_nets:two_inputs",
            (3,),
            "--input-size: their_nets:two_inputs does not take inputs of 3: Bilinear.forward() "
            "missing 1 required positional argument: 'input2'",
        ),
        (
            "vgg16",
            (3, 8, 8),
            "--input-size: vgg16 does not take inputs of 3×8×8: Given input size: (512x1x1). "
            "Calculated output size: (512x0x0). Output size is too small",
        ),
    ],
)
def test_inputs_that_do_not_fit(
    ours: str, model: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        _run(model, input_shape=shape)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "channels", "shape"),
    [
        ("64", 3, (3, 64, 64)),
        ("64x32", 3, (3, 64, 32)),
        ("1x28×28", 3, (1, 28, 28)),
        ("16", 0, (16,)),
        ("16,9", 0, (16, 9)),
    ],
)
def test_sizes_as_typed(text: str, channels: int, shape: tuple[int, ...]) -> None:
    assert shape_of(text, channels=channels) == shape
