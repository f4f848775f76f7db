"""Candidate networks looked at before any training: which really are healthy?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nndiag.datasets.splits import Splits
from nndiag.diagnosis import diagnose
from nndiag.diagnosis.context import Context
from nndiag.remedies.candidates import candidates
from nndiag.schema.finding import Severity
from nndiag.schema.spec import NetworkSpec
from nndiag.training import initial


def cures(
    network: NetworkSpec,
    splits: Splits,
    *,
    seeds: Sequence[int],
    batch_size: int,
    device: torch.device,
    count: int = 3,
) -> list[NetworkSpec]:
    """Return the first `count` candidates that show no finding of severity warning or more.

    Each is built and measured; none is offered on the strength of its name.
    """
    healthy: list[NetworkSpec] = []
    for candidate in candidates(network):
        trace = initial.measure(
            candidate, splits, seeds=seeds, batch_size=batch_size, device=device
        )
        findings = diagnose(trace, Context(recurrent=candidate.recurrent))
        if all(finding.severity.rank < Severity.WARNING.rank for finding in findings):
            healthy.append(candidate)
        if len(healthy) == count:
            break
    return healthy
