"""The odd models that a probe meets, and an independent computation of every statistic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# -- models ---------------------------------------------------------------------------------------


def deep_mlp(activation: type[nn.Module], depth: int = 6, width: int = 32) -> nn.Sequential:
    sizes = [16, *[width] * (depth - 1), 5]
    blocks: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        blocks += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*blocks[:-1])


class SmallCnn(nn.Module):
    """BatchNorm and an in-place relu after each convolution, then a Linear on pooled maps."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.act1 = nn.ReLU(inplace=inplace)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(12)
        self.act2 = nn.ReLU(inplace=inplace)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        return self.head(self.drop(x.mean((2, 3))))


class Elman(nn.Module):
    """A recurrent net unrolled by hand: the same modules run at each time step."""

    def __init__(self, hidden: int = 12, scale: float = 1.0) -> None:
        super().__init__()
        self.into = nn.Linear(4, hidden)
        self.across = nn.Linear(hidden, hidden)
        self.act = nn.Tanh()
        self.head = nn.Linear(hidden, 5)
        with torch.no_grad():
            self.across.weight.mul_(scale)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.across.in_features)
        for step in range(x.shape[1]):
            h = self.act(self.into(x[:, step]) + self.across(h))
        return self.head(h)


class TupleAndDict(nn.Module):
    """Takes and gives nested containers."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(16, 8), nn.Linear(16, 8)
        self.act = nn.Tanh()
        self.head = nn.Linear(8, 5)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        a, b = self.act(self.left(batch["x"])), self.act(self.right(batch["x"]))
        return {"out": (self.head(a + b), a)}


class Tied(nn.Module):
    """The output layer shares the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 8)
        self.mix = nn.Linear(8, 8)
        self.act = nn.GELU()
        self.head = nn.Linear(8, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.act(self.mix(self.embed(tokens))).mean(1))


class Lstm(nn.Module):
    def __init__(self, cell: bool) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 8) if cell else nn.LSTM(4, 8, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.cell, nn.LSTM):
            return self.head(self.cell(x)[0][:, -1])
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        assert state is not None
        return self.head(state[0])


class Own(nn.Module):
    """A layer of the user's own, with a parameter that has no usual name."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.randn(fan_in, fan_out) / math.sqrt(fan_in))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.mixing


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.body(self.embed(tokens)).mean(1))


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.inner = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, 5)
        self.use_reentrant = use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        x = self.first(x)
        return self.head(checkpoint(self.inner, x, use_reentrant=self.use_reentrant))


def frozen_mlp() -> nn.Sequential:
    model = deep_mlp(nn.ReLU)
    model[2].requires_grad_(False)
    return model


def spectral() -> nn.Sequential:
    norm = torch.nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(16, 8)), nn.Tanh(), nn.Linear(8, 5))


def shared() -> nn.Sequential:
    block = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
    return nn.Sequential(block, block, block, nn.Linear(16, 5))


X = (24, 16)
ODD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...] | str]] = {
    "mlp": (lambda: deep_mlp(nn.Tanh), X),
    "frozen": (frozen_mlp, X),
    "shared": (shared, X),
    "parametrised": (spectral, X),
    "own-layer": (lambda: nn.Sequential(Own(16, 8), nn.Tanh(), Own(8, 5)), X),
    "single-layer": (lambda: nn.Linear(16, 5), X),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(5)), X),
    "prelu": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.PReLU(8), nn.Linear(8, 8), nn.PReLU(),
                              nn.Linear(8, 5)), X),
    "inplace": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 5)), X),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 5)), X),
    "rrelu": (lambda: nn.Sequential(nn.Linear(16, 8), nn.RReLU(), nn.Linear(8, 5)), X),
    "cnn": (SmallCnn, (6, 1, 9, 9)),
    "elman": (Elman, (6, 7, 4)),
    "lstm": (lambda: Lstm(cell=False), (6, 7, 4)),
    "lstm-cell": (lambda: Lstm(cell=True), (6, 7, 4)),
    "tied": (Tied, "tokens"),
    "transformer": (Transformer, "tokens"),
    "bilinear": (lambda: TwoInputs(), X),
    "containers": (TupleAndDict, "dict"),
    "checkpoint": (lambda: Checkpointed(use_reentrant=False), X),
    "checkpoint-reentrant": (lambda: Checkpointed(use_reentrant=True), X),
}  # fmt: skip


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.Bilinear(16, 16, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pair(x, x))


@dataclass
class Odd:
    """A model with its batch; `loss()` runs a forward pass, whatever it takes and gives."""

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor

    def loss(self) -> Tensor:
        if self.name == "containers":
            return F.cross_entropy(self.model({"x": self.x})["out"][0], self.y)
        return F.cross_entropy(self.model(self.x), self.y)


def build(name: str) -> Odd:
    torch.manual_seed(11)
    make, shape = ODD[name]
    model = make()
    generator = torch.Generator().manual_seed(3)
    if shape == "tokens":
        x = torch.randint(0, 5, (6, 9), generator=generator)
    else:
        x = torch.randn(X if isinstance(shape, str) else shape, generator=generator)
    return Odd(name, model, x, torch.randint(0, 5, (len(x),), generator=generator))


@pytest.fixture(params=list(ODD))
def odd(request: pytest.FixtureRequest) -> Odd:
    return build(request.param)


@pytest.fixture
def odd_model() -> Callable[[str], Odd]:
    return build


# -- the independent computation ------------------------------------------------------------------


@dataclass
class Seen:
    """Tensors of one layer in one pass, call by call."""

    z: list[Tensor] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)
    a: list[Tensor] = field(default_factory=list)


def observe(
    model: nn.Module,
    chain: dict[str, str | None],
    run: Callable[[], Tensor],
    *,
    backward: bool = True,
) -> dict[str, Seen]:
    """Run once with plain hooks: outputs of each layer, inputs and outputs of its activation.

    Args:
        chain: layer -> the activation on top of it, by module name. A module that serves several
            layers goes to the one that ran last.
    """
    seen = {name: Seen() for name in chain}
    latest: list[str] = []
    handles = []

    def on_layer(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: object, output: object) -> None:
            z = output[0] if isinstance(output, tuple) else output
            assert isinstance(z, Tensor)
            z.retain_grad()
            seen[name].z.append(z)
            latest[:] = [name]

        return hook

    def on_act(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if chain[latest[0]]:
            seen[latest[0]].before.append(args[0].detach().clone())

    def after_act(_module: nn.Module, _args: object, output: Tensor) -> None:
        if chain[latest[0]]:
            seen[latest[0]].a.append(output.detach().clone())

    handles += [model.get_submodule(name).register_forward_hook(on_layer(name)) for name in chain]
    for act in {act for act in chain.values() if act}:
        handles.append(model.get_submodule(act).register_forward_pre_hook(on_act))
        handles.append(model.get_submodule(act).register_forward_hook(after_act))
    loss = run()
    for handle in handles:
        handle.remove()
    if backward:
        loss.backward()
    return seen


#: abs(phi') below 5 % of its maximum on a tail, and phi' == 0, from closed forms.
FLAT: dict[type[nn.Module], tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    nn.Tanh: (lambda z: 1 - np.tanh(z) ** 2 < 0.05, lambda z: np.zeros_like(z, bool)),
    nn.Sigmoid: (
        lambda z: 1 / (2 + np.exp(z) + np.exp(-z)) < 0.05 * 0.25,
        lambda z: np.zeros_like(z, bool),
    ),
    nn.ReLU: (lambda z: z <= 0, lambda z: z <= 0),
    nn.Hardtanh: (lambda z: np.abs(z) >= 1, lambda z: np.abs(z) >= 1),
    nn.ELU: (lambda z: z < math.log(0.05), lambda z: np.zeros_like(z, bool)),
}


def expected(
    model: nn.Module, name: str, seen: Seen, act: str | None, batch: int
) -> dict[str, float]:
    """Return the statistics of section 3 of the design for one layer, in float64 numpy."""
    module = model.get_submodule(name)
    weights = [p for p in module.parameters(recurse=False) if p.ndim >= 2]
    grads = np.concatenate([z.grad.double().numpy().ravel() for z in seen.z if z.grad is not None])
    a = np.concatenate([t.detach().double().numpy().ravel() for t in (seen.a or seen.z)])
    values = {
        "output_grad_norm": math.sqrt(batch) * float(np.sqrt(np.sum(grads**2))),
        "activation_mean": float(a.mean()),
        "activation_std": float(a.std()),
        "weight_norm": frobenius([w.detach() for w in weights]),
        "weight_grad_norm": frobenius([w.grad for w in weights if w.grad is not None]),
    }
    values["relative_grad"] = values["weight_grad_norm"] / values["weight_norm"]
    if act:
        z = [t.double().numpy() for t in seen.before]
        saturated, off = FLAT[type(model.get_submodule(act))]
        flat = np.concatenate([t.ravel() for t in z])
        values["saturated_fraction"] = float(saturated(flat).mean())
        values["off_fraction"] = float(off(flat).mean())
        units = np.concatenate([np.moveaxis(t, 1, -1).reshape(-1, t.shape[1]) for t in z])
        values["dead_fraction"] = float(off(units).all(axis=0).mean())
    return values


def frobenius(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float((t.double() ** 2).sum()) for t in tensors))


@pytest.fixture
def oracle() -> Callable[..., dict[str, dict[str, float]]]:
    """Every statistic of one pass by layer, computed without the probe."""

    def compute(
        model: nn.Module, chain: dict[str, str | None], run: Callable[[], Tensor], batch: int
    ) -> dict[str, dict[str, float]]:
        model.zero_grad()
        seen = observe(model, chain, run)
        return {name: expected(model, name, seen[name], act, batch) for name, act in chain.items()}

    return compute


@pytest.fixture
def models() -> dict[str, Callable[..., nn.Module]]:
    return {"mlp": deep_mlp, "cnn": SmallCnn, "elman": Elman}


@pytest.fixture
def watch_tensors() -> Callable[..., dict[str, Seen]]:
    return observe
