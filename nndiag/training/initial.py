"""Networks at initialisation: one forward and backward pass a seed, under the probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.datasets.splits import Splits
from nndiag.probe.activations import is_activation
from nndiag.probe.probe import Probe
from nndiag.schema.spec import NetworkSpec
from nndiag.schema.trace import Trace, join_members
from nndiag.zoo import activations, initialisations, networks


def networks_by_seed(
    spec: NetworkSpec, splits: Splits, seeds: Sequence[int], batch_size: int, device: torch.device
) -> Iterator[tuple[int, nn.Module, Tensor, Tensor]]:
    """Yield (seed, model, x, y) for each seed: the same module, drawn anew, and its first batch.

    The weights of seed s are drawn from a generator seeded with s, the batch from another.
    """
    model = networks.build(spec, splits.input_shape, len(splits.classes)).to(device)
    for seed in seeds:
        x, y = first_batch(splits, batch_size, seed, device)
        _draw(model, spec, seed, x)
        yield seed, model, x, y


def random_network(
    spec: NetworkSpec,
    input_shape: tuple[int, ...],
    seed: int,
    *,
    classes: int = 10,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    batch: Tensor | None = None,
) -> nn.Module:
    """Return a network drawn from a seed.

    Args:
        dtype: of the network; numbers are drawn in float32, orthogonal matrices in this type.
        batch: (B, *input_shape) inputs on the device, for an initialisation that needs them.
    """
    model = networks.build(spec, input_shape, classes).to(device, dtype)
    _draw(model, spec, seed, batch)
    return model


def _draw(model: nn.Module, spec: NetworkSpec, seed: int, batch: Tensor | None) -> None:
    """Draw the weights from a seed, in place."""
    initialisations.initialise(
        model,
        initialisations.parse(spec.init),
        activations.parse(spec.act),
        generator=torch.Generator().manual_seed(seed),
        bias_std=spec.bias_std,
        batch=batch,
    )


def network_for(
    spec: NetworkSpec, splits: Splits, seed: int, batch_size: int, device: torch.device
) -> nn.Module:
    """Return a network for a data set, drawn from a seed; its first batch serves where needed."""
    batch = None
    if initialisations.parse(spec.init).needs_batch:
        batch, _y = first_batch(splits, batch_size, seed, device)
    return random_network(
        spec, splits.input_shape, seed, classes=len(splits.classes), device=device, batch=batch
    )


def first_batch(
    splits: Splits, batch_size: int, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the (B, *input_shape) inputs and (B,) labels of a random training batch."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(splits.train.y), generator=generator)[:batch_size].numpy()
    x = torch.from_numpy(splits.train.x[order]).to(device)
    return x, torch.from_numpy(splits.train.y[order]).to(device)


def measure(
    spec: NetworkSpec,
    splits: Splits,
    *,
    seeds: Sequence[int],
    batch_size: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Return the exact statistics of section 3 of the design at initialisation, a member a seed.

    The network runs in training mode (dropout and batch statistics act as in a first step), with
    the mean cross-entropy as loss. The global random state is left as it was.
    """
    traces = []
    with torch.random.fork_rng(enabled=True):
        for seed, model, x, y in networks_by_seed(spec, splits, seeds, batch_size, device):
            torch.manual_seed(seed)  # dropout and rrelu
            model.train()
            model.zero_grad(set_to_none=True)
            with Probe(model, exact=True) as probe:
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                probe.step(loss)
            traces.append(probe.trace)
            if progress is not None:
                progress(len(traces), len(seeds))
    return join_members(traces)


def distributions(
    spec: NetworkSpec, splits: Splits, *, seed: int, batch_size: int, device: torch.device
) -> list[dict[str, Any]]:
    """Return the histogram of every hidden layer's activations for one network.

    Returns:
        One dictionary a layer: `name`, `edges` (42,) and `density` (41,), which integrates to 1.
    """
    layers: list[dict[str, Any]] = []

    def note(name: str, output: Tensor) -> None:
        values = output.detach().double().cpu().numpy().ravel()
        finite = values[np.isfinite(values)]
        if finite.size and np.ptp(finite) > 0:
            density, edges = np.histogram(finite, bins=41, density=True)
            layers.append({"name": name, "edges": edges.tolist(), "density": density.tolist()})

    ((_seed, model, x, _y),) = networks_by_seed(spec, splits, [seed], batch_size, device)
    handles = [
        module.register_forward_hook(lambda _m, _a, output, name=name: note(name, output))
        for name, module in model.named_modules()
        if is_activation(module)
    ]
    try:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            model.train()(x)
    finally:
        for handle in handles:
            handle.remove()
    return layers
