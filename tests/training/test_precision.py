"""Number formats: bfloat16 for large networks where the hardware has it, float32 else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nndiag.training import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_bfloat16_where_the_machine_has_it(
    monkeypatch: pytest.MonkeyPatch, there: bool, enabled: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": there})
    with precision.autocast(CPU, enabled=enabled):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if there and enabled else torch.float32)


def test_large_networks_and_their_layout() -> None:
    assert not precision.large(nn.Linear(999, 999))
    assert precision.large(nn.Linear(1000, 1000))
    assert precision.layout(is_large=True) == torch.channels_last
    assert precision.layout(is_large=False) == torch.contiguous_format
