"""Parameters, shapes and operations of modules, against closed forms and plain counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nndiag.probe.summary import Part, parts


def _by_name(network: nn.Module, *shape: int, device: str = "cpu") -> dict[str, Part]:
    return {part.name: part for part in parts(network, torch.zeros(shape, device=device))}


def _net() -> nn.Sequential:
    """Return a net that has every kind of counted layer once."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1),
        nn.BatchNorm2d(8),
        nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 5, groups=4, bias=False)),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 5),
    )


def test_against_closed_forms() -> None:
    found = _by_name(_net(), 2, 3, 16, 16)
    first, grouped, linear = 2 * 2 * 8 * 64 * 27, 2 * 2 * 8 * 16 * 2 * 25, 2 * 2 * 128 * 5
    assert found["0"].flops == first
    assert found["2.1"].flops == found["2"].flops == grouped
    assert found["4"].flops == linear
    assert found[""].flops == first + grouped + linear
    sizes = {name: part.parameters for name, part in found.items()}
    assert sizes["0"] == 8 * 27 + 8
    assert sizes["1"] == 16
    assert sizes["2"] == sizes["2.1"] == 8 * 2 * 25
    assert sizes["4"] == 128 * 5 + 5
    assert sizes[""] == sum(p.numel() for p in _net().parameters())
    shapes = {name: part.output for name, part in found.items()}
    assert shapes == {
        "": (2, 5),
        "0": (2, 8, 8, 8),
        "1": (2, 8, 8, 8),
        "2": (2, 8, 4, 4),
        "2.0": (2, 8, 8, 8),
        "2.1": (2, 8, 4, 4),
        "3": (2, 128),
        "4": (2, 5),
    }


def test_without_memory_as_with_it() -> None:
    plain = parts(_net(), torch.zeros(2, 3, 16, 16))
    with torch.device("meta"):
        hollow = _net()
    assert parts(hollow, torch.empty(2, 3, 16, 16, device="meta")) == plain


def test_the_whole_is_what_torch_counts() -> None:
    network = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2, enable_nested_tensor=False
    )
    found = _by_name(network, 3, 7, 16)
    with FlopCounterMode(display=False) as counter:
        network.train()(torch.zeros(3, 7, 16))
    assert found[""].flops == counter.get_total_flops()
    attention = 2 * 3 * 7 * (3 * 16 * 16 + 16 * 16) + 2 * 2 * 3 * 7 * 7 * 16
    assert found["layers.0.self_attn"].flops == attention
    assert found["layers.0.linear1"].flops == 2 * 3 * 7 * 16 * 32
    assert found["layers.0.self_attn.out_proj"].output is None


class _Reused(nn.Module):
    """One layer under two names, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Sequential(self.a, nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(self.a(x)))


def test_shared_layers_count_once_and_work_each_time() -> None:
    found = _by_name(_Reused(), 5, 4)
    assert found["a"].calls == 3
    assert found["a"].parameters == 20
    assert found["a"].flops == 3 * 2 * 5 * 16
    assert found["b"].parameters == 10
    assert found[""].parameters == 30
    assert found[""].flops == 3 * 2 * 5 * 16 + 2 * 5 * 8
    assert sum(part.own_flops for part in found.values()) == found[""].flops


def test_tied_weights_count_once() -> None:
    network = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    network[1].weight = network[0].weight
    found = _by_name(network, 1, 6)
    assert [found[name].parameters for name in ("0", "1", "")] == [42, 6, 48]


def test_frozen_parameters() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    found = _by_name(network, 1, 3)
    assert [found[name].trainable for name in ("0", "1", "")] == [0, 10, 10]


def test_lazy_layers_are_counted_once_they_have_run() -> None:
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    found = _by_name(network, 1, 3, 6, 6)
    assert found["0"].kind == "Conv2d"
    assert found[""].parameters == (4 * 27 + 4) + (64 * 2 + 2)


def test_a_list_of_modules_has_the_work_of_its_members() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(4))
            self.own = nn.Parameter(torch.zeros(3, 3))

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            for layer in self.layers:
                x = layer(x)
            return {"out": x @ self.own}

    found = _by_name(Listed(), 2, 3)
    assert found["layers"].calls == 0
    assert found["layers"].output is None
    assert found["layers"].flops == 4 * 2 * 2 * 9
    assert found[""].own_flops == 2 * 2 * 9
    assert found[""].output == (2, 3)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(fails: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fused = torch.backends.mha.get_fastpath_enabled()
    if fails:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            parts(network, torch.ones(2, 4))
    else:
        parts(network, torch.ones(2, 3))
    assert [module.training for module in network.modules()] == [True, True, True, False]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.backends.mha.get_fastpath_enabled() == fused
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
