"""How far the gradient of a batch is from that of the whole training set, and what a step keeps.

Axes: N sample, B sample of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

#: Batches drawn for each size, and samples in them, at least: single gradients spread widely.
_DRAWS, _DRAWN = 20, 512
_CHUNK = 64


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The noise of a network's gradient at one place.

    Attributes:
        gradient: norm of the whole set's gradient.
        spread: S^2 = sum of |g_i - g|^2 over samples / (N - 1).
        measured: by batch size, the mean of |g_B - g|^2 over drawn batches.
        samples: N.
    """

    gradient: float
    spread: float
    measured: dict[int, float]
    samples: int

    def predicted(self, size: int) -> float:
        """Return E|g_B - g|^2 = S^2 / B (1 - B / N), for batches drawn without repetition."""
        return self.spread / size * (1 - size / self.samples)

    @property
    def simple_scale(self) -> float:
        """S^2 / |g|^2: the batch size at which noise and signal are equal (McCandlish 2018)."""
        return self.spread / self.gradient**2


def noise_at(model: nn.Module, x: Tensor, y: Tensor, sizes: Sequence[int], seed: int) -> Noise:
    """Measure the noise in evaluation mode, where the gradient is the mean over samples.

    `spread` comes from the gradient of every single sample, `measured` from the gradients of
    batches as a training would take them.

    Args:
        x: (N, *input_shape); y: (N,).
        sizes: those above N are left out.
    """
    model.eval()
    whole = _gradient(model, x, y)
    signal = float(whole.square().sum())
    generator = torch.Generator().manual_seed(seed)
    measured = {}
    for size in sizes:
        if size == len(y):
            measured[size] = 0.0
        elif size < len(y):
            draws = max(_DRAWS, _DRAWN // size)
            rows = [torch.randperm(len(y), generator=generator)[:size] for _k in range(draws)]
            off = [(_gradient(model, x[r], y[r]) - whole).square().sum() for r in rows]
            measured[size] = float(torch.stack(off).mean())
    powers = _powers(model, x, y).double()
    return Noise(
        gradient=signal**0.5,
        spread=(float(powers.sum()) - len(y) * signal) / (len(y) - 1),
        measured=measured,
        samples=len(y),
    )


def _gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of the mean loss, all parameters in one vector, in float64."""
    loss = nn.functional.cross_entropy(model(x), y)
    parts = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
    return torch.cat([part.flatten() for part in parts]).double()


def _powers(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the (N,) squared norms of the gradients of single samples."""
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def loss(values: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, values, (one[None],))
        return nn.functional.cross_entropy(logits, label[None])

    def power(one: Tensor, label: Tensor) -> Tensor:
        parts = grad(loss)(parameters, one, label)
        return torch.stack([part.square().sum() for part in parts.values()]).sum()

    return vmap(power, chunk_size=_CHUNK)(x, y)


def kept_bytes(model: nn.Module, x: Tensor, y: Tensor) -> int:
    """Return how many bytes a training step keeps from the forward to the backward pass.

    What autograd saves, each piece of memory once, parameters apart; the same on every device.
    """
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        loss = nn.functional.cross_entropy(model(x.clone()), y.clone())
    total = sum(kept.values())
    del loss
    return total
