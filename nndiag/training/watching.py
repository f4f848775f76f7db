"""The probe on every member of a population.

At a watched step each member's own network (a copy with its weights) makes its step's pass once
more under the probe, so that a statistic is defined in one place for one network and for many.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from nndiag.probe.probe import Probe
from nndiag.schema.trace import Trace, join_members

#: Lanes share torch's global generator.
_GLOBAL_DRAWS = threading.Lock()


class MembersProbe:
    """Records a trace a member.

    Args:
        model: the structure of all members.
        members: how many there are.
        every: steps between two looks.
    """

    def __init__(self, model: nn.Module, members: int, every: int) -> None:
        self._every = every
        self._models = [copy.deepcopy(model).train() for _member in range(members)]
        # Looks are far apart: a unit that was alive long ago may have died since.
        self._probes = [Probe(one, exact=True, window=1) for one in self._models]
        self._steps: list[int] = []

    def due(self, step: int) -> bool:
        """Whether a step, counted from 0, is looked at."""
        return step % self._every == 0

    def look(
        self,
        step: int,
        before: Mapping[str, Tensor],
        after: Mapping[str, Tensor],
        x: Tensor,
        y: Tensor,
        draws: Sequence[Tensor] = (),
    ) -> None:
        """Record one step of every member.

        Args:
            before, after: (M, ...) states by name, around the step.
            x: (M, B, *input_shape) inputs of the step; y: (M, B) labels.
            draws: states of the members' generators before the step, where they have their own.
        """
        self._steps.append(step)
        with _GLOBAL_DRAWS, torch.random.fork_rng():  # dropout and rrelu
            for member, (model, probe) in enumerate(zip(self._models, self._probes, strict=True)):
                _load(model, before, member)
                model.zero_grad(set_to_none=True)
                if draws:
                    _resume(draws[member], x.device)
                with probe:
                    loss = nn.functional.cross_entropy(model(x[member]), y[member])
                    loss.backward()
                    probe.note_loss(loss)
                    probe.before_update()
                    _load(model, after, member)
                    probe.after_update()

    def trace(self) -> Trace:
        """Return what was recorded, members side by side."""
        joined = join_members([probe.trace for probe in self._probes])
        return replace(joined, steps=np.array(self._steps)[joined.steps])


def _resume(state: Tensor, device: torch.device) -> None:
    """Let torch's global draws go on from the state of another generator."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _load(model: nn.Module, states: Mapping[str, Tensor], member: int) -> None:
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            value.copy_(states[name][member])
