"""Which device computes, and the environment that a result records."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import torch

from nndiag.locales import _
from nndiag.schema.errors import UsageError


def resolve(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        UsageError: the device asked for is not there.
    """
    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if name == "auto":
        name = next(device for device, there in available.items() if there())
    elif not available[name]():
        raise UsageError(
            _(
                "--device: this machine has no {name} device that torch can use; accepted: {all}"
            ).format(name=name, all=", ".join(key for key, there in available.items() if there()))
        )
    return torch.device(name)


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a reader needs to judge whether a run can be repeated."""
    facts: dict[str, Any] = {
        "device": str(device),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts
