"""What runs stacked gives what every network gives alone, whatever it is made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nndiag.training.stacked import Stacked


def shared_activation() -> nn.Module:
    act = nn.Tanh()
    return nn.Sequential(nn.Linear(6, 6), act, nn.Linear(6, 6), act)


def same_layer_twice() -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.Tanh(), layer)


def tied_weights() -> nn.Module:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    model[0].register_forward_hook(lambda module, args, out: 2 * out)
    return model


class Doubling(nn.Sequential):
    """A Sequential in name only."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "shared activation": (shared_activation, True),
    "same layer twice": (same_layer_twice, True),
    "tied weights": (tied_weights, True),
    "nested": (lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True))), True),
    "no bias": (lambda: nn.Sequential(nn.Linear(6, 6, bias=False), nn.SELU()), True),
    "batch norm": (lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6, momentum=0.3)), True),
    "batch norm, not affine": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6, affine=False)),
        True,
    ),
    "batch norm, no statistics": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6, track_running_stats=False)),
        False,
    ),
    "layer norm": (lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)), True),
    "layer norm, not affine": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6, elementwise_affine=False)),
        False,
    ),
    "layer norm over two axes": (
        lambda: nn.Sequential(nn.Unflatten(1, (3, 2)), nn.LayerNorm((3, 2)), nn.Flatten()),
        False,
    ),
    "softmax": (lambda: nn.Sequential(nn.Linear(6, 6), nn.Softmax(dim=1)), False),
    "hook": (hooked, False),
    "own forward": (lambda: Doubling(nn.Linear(6, 6), nn.Tanh()), False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_gradients_and_buffers_are_those_of_lone_networks(name: str) -> None:
    build, batched = NETWORKS[name]
    torch.manual_seed(0)
    models = [build().double() for _ in range(3)]
    stacked = Stacked(models)
    assert stacked.batched is batched
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    stacked.rehearse(x)
    for training in (True, True, False):
        out = stacked.forward(x.clone(), training=training)
        for parameter in stacked.parameters.values():
            parameter.grad = None
        out.square().sum().backward()
        for member, model in enumerate(models):
            model.zero_grad()
            alone = model.train(training)(x[member].clone())
            alone.square().sum().backward()
            torch.testing.assert_close(out[member], alone, rtol=1e-10, atol=1e-12)
            for key, parameter in model.named_parameters():
                gradient = stacked.gradients()[key]
                torch.testing.assert_close(gradient[member], parameter.grad, rtol=1e-9, atol=1e-11)
    states = stacked.states()
    for member, model in enumerate(models):
        assert list(states) == list(model.state_dict())
        for key, value in model.state_dict().items():
            torch.testing.assert_close(states[key][member], value, rtol=1e-10, atol=1e-12)


def test_frozen_parameters_stay_frozen() -> None:
    models = [nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)) for _ in range(2)]
    for model in models:
        model[0].weight.requires_grad_(False)
    wanted = {name: value.requires_grad for name, value in Stacked(models).parameters.items()}
    assert wanted == {"0.weight": False, "0.bias": True, "1.weight": True, "1.bias": True}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
        (nn.AlphaDropout(0.1), nn.AlphaDropout(0.2)),
        (nn.Tanh(), nn.ReLU()),
        (nn.BatchNorm1d(3, momentum=0.1), nn.BatchNorm1d(3, momentum=0.2)),
        (nn.Linear(3, 3), nn.Linear(3, 4)),
    ],
    ids=["slope", "dropout", "kind", "momentum", "shape"],
)
def test_networks_of_different_structure_are_refused(one: nn.Module, other: nn.Module) -> None:
    models = [nn.Sequential(OrderedDict(layer=layer)) for layer in (one, other)]
    with pytest.raises(ValueError, match="networks of different structure cannot be stacked"):
        Stacked(models)


class Replacing(nn.Module):
    """Keeps a running mean by assignment, which a functional call forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.layer(x - self.mean)


class UnlikeInTraining(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        return 2 * out if self.training and out.sum() > 0 else out


@pytest.mark.parametrize("kind", [Replacing, UnlikeInTraining])
def test_rehearsal_finds_what_only_training_shows(kind: type[nn.Module]) -> None:
    stacked = Stacked([kind(), kind()])
    x = torch.randn(2, 5, 4)
    stacked.forward(x, training=False)
    with pytest.raises((NotImplementedError, RuntimeError)):
        stacked.rehearse(x)


def test_rehearsal_leaves_nothing_behind() -> None:
    models = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(2)]
    stacked = Stacked(models)
    before = {name: value.clone() for name, value in stacked.states().items()}
    stacked.rehearse(torch.randn(2, 5, 4))
    assert all(torch.equal(before[name], value) for name, value in stacked.states().items())
    assert all(parameter.grad is None for parameter in stacked.parameters.values())
