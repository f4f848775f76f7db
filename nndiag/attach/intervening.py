"""What a change made at run time may do; the session calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Intervening(Protocol):
    """One change. `nndiag.attach.interventions` has them."""

    def on_model(self, model: nn.Module) -> None:
        """Change a model before its first pass."""

    def on_input(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that a model gets instead of these."""

    def on_backward(self, loss: Tensor) -> None:
        """Act before a backward pass."""

    def on_loss(
        self,
        function: str,
        scores: Tensor,
        target: Tensor,
        call: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor | None:
        """Return another value for a call of torch.nn.functional.<function>, None for its own."""

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Act before an optimizer steps."""

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Act after an optimizer stepped."""
