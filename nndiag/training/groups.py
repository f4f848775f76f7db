"""The training of a group: runs of one structure as one population."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from nndiag import __version__, datasets, locales
from nndiag.datasets.folds import hold_out
from nndiag.datasets.splits import Splits
from nndiag.locales import _
from nndiag.schema.errors import RunError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_sweep import Outcome, Run
from nndiag.training import configurations, devices
from nndiag.training.initial import first_batch
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import Progress, train
from nndiag.zoo import activations, initialisations, networks

#: Evaluations on the validation split during a training.
_EVALUATIONS = 10
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
    tail = max(1, round(_LAST * len(record.loss)))
    return [
        Outcome(
            run=run,
            metrics={
                "val_accuracy": float(record.val_accuracy[-1, place]),
                "val_loss": float(record.val_loss[-1, place]),
                "test_accuracy": float(record.test_accuracy[place]),
                "test_loss": float(record.test_loss[place]),
                "train_loss": float(record.loss[-tail:, place].mean()),
                "samples": samples,
            },
            diverged=bool(record.diverged[place]),
            seconds=float(record.seconds[place]),
        )
        for place, run in enumerate(runs)
    ]


def record_of(
    runs: Sequence[Run],
    *,
    data: DataSpec | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    eval_every: int | None = None,
) -> tuple[Record, int]:
    """Train runs of one structure together; return the whole record and the test split's size."""
    splits, tensors = _loaded(
        replace(data or DataSpec(), name=runs[0].configuration["data"]),
        (runs[0].split, runs[0].fold, runs[0].folds),
        devices.resolve(device),
    )
    record = train(
        _builder(runs, splits, tensors.train_x.device),
        [_member(run) for run in runs],
        _settings(runs[0].configuration, eval_every),
        tensors,
        progress,
    )
    return record, len(tensors.test_y)


@lru_cache(maxsize=4)
def _loaded(
    data: DataSpec, part: tuple[int, int | None, int | None], device: torch.device
) -> tuple[Splits, TensorData]:
    split, fold, folds = part
    splits = datasets.load(data, seed=split)
    if fold is not None and folds is not None:
        splits = hold_out(splits, fold, folds, split)
    return splits, TensorData.of(splits, device)


def _settings(configuration: Mapping[str, Any], eval_every: int | None) -> Settings:
    steps = configuration["steps"]
    return Settings(
        optimizer=configuration["optimizer"],
        steps=steps,
        batch_size=configuration["batch_size"],
        eval_every=eval_every or max(1, steps // _EVALUATIONS),
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
    )


def _builder(
    runs: Sequence[Run], splits: Splits, device: torch.device
) -> Callable[[int], nn.Module]:
    """Return a builder of the network of each run, drawn from the run's seed."""

    def build(place: int) -> nn.Module:
        run = runs[place]
        spec = configurations.network(run.configuration)
        init = initialisations.parse(spec.init)
        model = networks.build(spec, splits.input_shape, len(splits.classes)).to(device)
        batch = None
        if init.needs_batch:
            batch, _y = first_batch(splits, run.configuration["batch_size"], run.seed, device)
        initialisations.initialise(
            model,
            init,
            activations.parse(spec.act),
            generator=torch.Generator().manual_seed(run.seed),
            bias_std=spec.bias_std,
            batch=batch,
        )
        return model

    return build


def task(group: Sequence[Run], data: DataSpec, device: str) -> dict[str, Any]:
    """Return a group as plain data that travels to another process or machine."""
    return {
        "runs": [run.to_dict() for run in group],
        "data": {"root": data.root, "target": data.target},
        "device": device,
        "versions": versions(),
        "language": locales.language(),
    }


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
