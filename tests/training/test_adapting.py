"""Adaptation to another domain, against numpy, scipy and BatchNorm's own statistics."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import Tensor, nn

from nndiag.training import adapting


def _net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 16, 6),
        nn.BatchNorm1d(6),
        nn.Dropout(0.5),
        nn.Linear(6, 3),
    )


def _images(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 3 + 2


def _bn(network: nn.Module, place: int) -> nn.modules.batchnorm._BatchNorm:
    layer = network[place]  # type: ignore[index]
    assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
    return layer


@pytest.mark.parametrize("count", [50, 256, 257, 700])
def test_first_statistics_are_those_of_the_target(count: int) -> None:
    network, x = _net(), _images(count)
    adapted = adapting.adabn(network, x)
    seen = network[0](x).detach().double().numpy()
    assert np.allclose(_bn(adapted, 1).running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert np.allclose(_bn(adapted, 1).running_var, seen.var((0, 2, 3), ddof=1), rtol=1e-4)


def test_as_batch_normalisation_of_the_whole_target() -> None:
    """Adapted to images that fit into one pass, it normalises as a layer in training would."""
    network, x = _net(), _images(200)
    adapted = adapting.adabn(network, x)
    ours = adapted[:6](x)  # type: ignore[index]
    training = copy.deepcopy(network[:6]).train()
    whole = training(x).detach()
    # In training the variance is that of the batch, in evaluation its unbiased estimate.
    assert torch.allclose(ours, whole, atol=2e-2)
    second = network[4](
        nn.functional.relu(
            nn.functional.batch_norm(
                network[0](x), None, None, _bn(network, 1).weight, _bn(network, 1).bias, True
            )
        ).flatten(1)
    )
    assert torch.allclose(_bn(adapted, 5).running_mean, second.mean(0), atol=1e-5)
    assert torch.allclose(_bn(adapted, 5).running_var, second.var(0), rtol=1e-4)


def test_the_network_itself_stays_as_it_is() -> None:
    network = _net().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapted = adapting.adabn(network, _images(20))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert not adapted.training
    assert not any(layer._forward_pre_hooks for layer in adapted.modules())
    for name, value in adapted.named_parameters():
        assert torch.equal(value, before[name])


def test_what_has_statistics() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False))
    assert adapting.norms(network) == [network[0]]
    assert adapting.norms(nn.Sequential(nn.LayerNorm(3))) == []
    plain = nn.Sequential(nn.Flatten(), nn.Linear(108, 2))
    x = _images(5)
    assert torch.equal(adapting.adabn(plain, x)(x), plain(x))


def _features(count: int, size: int, seed: int) -> Tensor:
    random = np.random.default_rng(seed)
    mixture = 2 * np.eye(size) + random.standard_normal((size, size)) / size**0.5
    mixed = random.standard_normal((count, size)) @ mixture
    return torch.from_numpy(mixed + random.standard_normal(size) * 3)


def test_coral_gives_the_targets_mean_and_covariance() -> None:
    source, target = _features(400, 7, 0), _features(300, 7, 1)
    aligned = adapting.coral(source, target)
    assert torch.allclose(aligned.mean(0), target.mean(0), atol=1e-8)
    ours, theirs = np.cov(aligned.numpy().T), np.cov(target.numpy().T)
    assert np.allclose(ours, theirs, atol=0.01 * np.trace(theirs) / 7)
    assert np.abs(np.cov(source.numpy().T) - theirs).max() > 1


def test_coral_as_published() -> None:
    """Whitening and colouring with scipy's matrix square roots (Sun et al. 2016, algorithm 1)."""
    source, target = (_features(60, 4, seed).numpy() for seed in (2, 3))

    def covariance(x: np.ndarray) -> np.ndarray:
        plain = np.cov(x.T)
        return plain + 1e-3 * np.trace(plain) / 4 * np.eye(4)

    white = (source - source.mean(0)) @ linalg.inv(linalg.sqrtm(covariance(source)))
    theirs = white @ linalg.sqrtm(covariance(target)) + target.mean(0)
    ours = adapting.coral(torch.from_numpy(source), torch.from_numpy(target))
    assert np.allclose(ours.numpy(), theirs.real, atol=1e-8)


def test_coral_of_a_domain_with_itself_changes_nothing() -> None:
    source = _features(50, 5, 4).float()
    assert torch.allclose(adapting.coral(source, source), source, atol=1e-4)


def test_coral_with_fewer_images_than_features() -> None:
    aligned = adapting.coral(_features(10, 30, 5), _features(12, 30, 6))
    assert torch.isfinite(aligned).all()


def test_features_in_parts_as_at_once() -> None:
    network, x = _net(), _images(600)
    with torch.no_grad():
        whole = network.eval()(x)
    assert torch.allclose(adapting.features(network.train(), x), whole, atol=1e-5)


def test_head_is_where_the_gradient_vanishes() -> None:
    x = _features(80, 4, 7).float()
    y = (x[:, 0] > x[:, 0].mean()).long()
    state = torch.get_rng_state()
    head = adapting.fitted(x, y, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    loss = nn.functional.cross_entropy(head(x), y) + 1e-3 * head.weight.square().sum()
    gradients = torch.autograd.grad(loss, list(head.parameters()))
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-3
    assert float((head(x).argmax(1) == y).double().mean()) > 0.95
