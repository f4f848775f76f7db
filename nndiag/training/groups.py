"""The training of a group: runs of one structure as one population."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from nndiag import __version__, datasets, locales
from nndiag.datasets.folds import hold_out
from nndiag.datasets.scarcity import scarce
from nndiag.datasets.splits import Splits
from nndiag.locales import _
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Outcome, Run
from nndiag.training import configurations, devices
from nndiag.training.augmenting import augmented
from nndiag.training.initial import network_for
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import Progress, train
from nndiag.zoo import optimizers

#: Evaluations on the validation split during a training.
_EVALUATIONS = 20
#: Parts of a group, a core each where there are enough; fixed, so that results do not depend on it.
_SHARES = 2
#: Steps at the end of a training whose mean is its training loss.
_LAST = 0.05


def run_group(
    runs: Sequence[Run],
    *,
    data: DataSpec | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Outcome]:
    """Train runs of one structure together and return what each gave, in the same order.

    Args:
        runs: alike in the sense of `configurations.alike`, each configuration complete.
        data: with `root` and `target` of the user's; its name is that of the configurations.
        progress: told how many member-steps were taken since it was last told.

    Raises:
        UsageError: what cannot be built, or data that cannot be read.
    """
    record, samples = record_of(runs, data=data, device=device, progress=progress)
    return [
        Outcome(
            run=run,
            metrics={
                "val_accuracy": float(record.val_accuracy[-1, place]),
                "val_loss": float(record.val_loss[-1, place]),
                "test_accuracy": float(record.test_accuracy[place]),
                "test_loss": float(record.test_loss[place]),
                "train_loss": last_loss(record, place),
                "samples": samples,
            },
            diverged=bool(record.diverged[place]),
            seconds=float(record.seconds[place]),
        )
        for place, run in enumerate(runs)
    ]


def last_loss(record: Record, place: int) -> float:
    """Return the mean loss over the last 5 % of the steps that a member took."""
    ended = int(record.stopped[place])
    taken = record.loss[record.steps <= (ended if ended >= 0 else record.steps[-1]), place]
    return float(taken[-max(1, round(_LAST * len(taken))) :].mean())


def record_of(
    runs: Sequence[Run],
    *,
    data: DataSpec | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    probe_every: int = 0,
    eval_train: bool = False,
) -> tuple[Record, int]:
    """Train runs of one structure together; return the whole record and the test split's size.

    Args:
        probe_every, eval_train: as in `training.members.Settings`; neither changes a training.
    """
    splits, tensors = loaded(runs[0], data or DataSpec(), devices.resolve(device))
    _require_batches(runs[0].configuration, len(tensors.train_y))
    settings = _settings(runs[0].configuration)
    record = train(
        lambda place: network_of(runs[place], splits, tensors.train_x.device),
        [_member(run) for run in runs],
        replace(settings, probe_every=probe_every, eval_train=eval_train),
        tensors,
        progress,
    )
    return record, len(tensors.test_y)


def _require_batches(configuration: Mapping[str, Any], samples: int) -> None:
    """Raise UsageError where BatchNorm would meet a batch of one sample."""
    size = min(configuration["batch_size"], samples)
    whole = optimizers.parse(configuration["optimizer"]).full_batch
    if configuration["norm"] == "batch" and not whole and (size == 1 or samples % size == 1):
        raise UsageError(
            _(
                "batch_size: got {size}, which leaves a batch of 1 of {samples} samples; BatchNorm "
                "needs 2 at least"
            ).format(size=size, samples=samples)
        )


def loaded(run: Run, data: DataSpec, device: torch.device) -> tuple[Splits, TensorData]:
    """Return what a run trains and is tested on.

    Args:
        data: with `root` and `target` of the user's; its name is that of the configuration.
    """
    one = run.configuration
    made = tuple(one[name] for name in configurations.OF_DATA)
    return _loaded(replace(data, name=one["data"]), (run.split, run.fold, run.folds), made, device)


@lru_cache(maxsize=4)
def _loaded(
    data: DataSpec,
    part: tuple[int, int | None, int | None],
    made: tuple[int | None, float, int],
    device: torch.device,
) -> tuple[Splits, TensorData]:
    split, fold, folds = part
    samples, label_noise, copies = made
    splits = datasets.load(data, seed=split)
    if fold is not None and folds is not None:
        splits = hold_out(splits, fold, folds, split)
    if samples is not None or label_noise:
        splits = scarce(splits, samples, label_noise, split)
    if copies:
        splits = augmented(splits, copies, split)
    return splits, TensorData.of(splits, device)


def _settings(configuration: Mapping[str, Any]) -> Settings:
    steps = configuration["steps"]
    return Settings(
        optimizer=configuration["optimizer"],
        steps=steps,
        batch_size=configuration["batch_size"],
        eval_every=max(1, steps // _EVALUATIONS),
        shares=_SHARES,
    )


def _member(run: Run) -> Member:
    spec = configurations.optimizer(run.configuration)
    assert spec.lr is not None
    return Member(
        seed=run.seed,
        lr=spec.lr,
        options=spec.options,
        schedule=run.configuration["schedule"],
        clip_norm=spec.clip_norm,
        clip_value=spec.clip_value,
        **{name: run.configuration[name] for name in configurations.OF_MEMBER},
    )


def network_of(run: Run, splits: Splits, device: torch.device) -> nn.Module:
    """Return the network of a run, drawn from the run's seed."""
    one = run.configuration
    return network_for(configurations.network(one), splits, run.seed, one["batch_size"], device)


def task(group: Sequence[Run], data: DataSpec, device: str) -> dict[str, Any]:
    """Return a group as plain data that travels to another process or machine."""
    return {
        "runs": [run.to_dict() for run in group],
        "data": {"root": data.root, "target": data.target},
        "device": device,
        "versions": versions(),
        "language": locales.language(),
    }


#: Groups of one process take turns: they share torch's random numbers and number of threads.
_TURN = threading.Lock()


def work(asked: Mapping[str, Any], progress: Progress | None = None) -> list[dict[str, Any]]:
    """Do a task, in whatever process; return metrics, divergence and seconds of each run.

    Raises:
        RunError: this process has another nndiag or torch than the one that asks.
    """
    locales.use(asked["language"])
    if asked["versions"] != versions():
        raise RunError(
            _("a worker has {theirs}, this process {ours}; install the same on both").format(
                theirs=_spelled(versions()), ours=_spelled(asked["versions"])
            )
        )
    with _TURN:
        outcomes = run_group(
            [Run(**run) for run in asked["runs"]],
            data=DataSpec(**asked["data"]),
            device=asked["device"],
            progress=progress,
        )
    return [
        {"metrics": dict(one.metrics), "diverged": one.diverged, "seconds": one.seconds}
        for one in outcomes
    ]


def versions() -> dict[str, str]:
    """Return the versions on which results depend."""
    return {"nndiag": __version__, "torch": str(torch.__version__)}


def _spelled(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def outcomes_of(group: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Return the outcomes that the plain results of a task tell."""
    return [Outcome(run=run, **result) for run, result in zip(group, results, strict=True)]
