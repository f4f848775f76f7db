"""Several processes that train one network together, started by `torchrun`.

Each takes its part of every batch; gradients, losses and BatchNorm's statistics are those of the
joint batch, so that the processes compute what one process would.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nndiag.training import devices

#: How long the others wait for the process that pre-trains or downloads.
_PATIENCE = timedelta(hours=6)


@contextmanager
def joined(name: str) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, if it did; yield this process's own device.

    Args:
        name: auto, cpu, cuda or mps.

    Raises:
        UsageError: the device asked for is not there.
    """
    device = devices.resolve(name)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def size() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return this process's place among them, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def first_on_machine() -> Iterator[None]:
    """Let one process of each machine through before the others, who find what it left on disk."""
    waits = size() > 1 and int(os.environ.get("LOCAL_RANK", rank())) > 0
    if waits:
        distributed.barrier()
    yield
    if size() > 1 and not waits:
        distributed.barrier()


def part(rows: Tensor) -> Tensor:
    """Return this process's part of a batch's row numbers."""
    return rows.tensor_split(size())[rank()]


def parallel(network: nn.Module) -> nn.Module:
    """Return a network whose backward pass averages gradients over the processes."""
    if size() == 1:
        return network
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = JointBatchNorm2d  # in place: blocks refer to the module
    return DistributedDataParallel(network, broadcast_buffers=False)


def total(value: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes."""
    if size() > 1:
        distributed.all_reduce(value)
    return value


class JointBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the joint batch on any device (`nn.SyncBatchNorm` refuses the CPU)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise (B, C, H, W), B being this process's part of the batch."""
        if not self.training or size() == 1:
            return super().forward(inputs)
        from torch.distributed.nn.functional import all_reduce

        x = inputs.float()
        count = total(x.new_tensor(x.numel() / x.shape[1]))
        mean = all_reduce(x.sum((0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = all_reduce(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        outputs = centred * scale.view(1, -1, 1, 1)
        if self.affine:
            outputs = outputs + self.bias.view(1, -1, 1, 1)
        return outputs.to(inputs.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
