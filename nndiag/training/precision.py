"""Number formats and memory layouts that a machine is fast with."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn

#: Parameters from which casting to bfloat16 costs less than it saves.
LARGE = 1_000_000


def large(module: nn.Module) -> bool:
    """Say whether a network is one for which precision and layout matter."""
    return sum(parameter.numel() for parameter in module.parameters()) >= LARGE


def autocast(device: torch.device, *, enabled: bool) -> AbstractContextManager[None]:
    """Return the context of a forward pass: bfloat16 where wanted and in the hardware."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and _has_bfloat16(device))


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        there = torch.cpu.get_capabilities()
        return bool(there.get("avx512_bf16") or there.get("amx_bf16"))
    return False


def layout(*, is_large: bool) -> torch.memory_format:
    """Return the order in which convolutions want images and weights in memory."""
    return torch.channels_last if is_large else torch.contiguous_format
