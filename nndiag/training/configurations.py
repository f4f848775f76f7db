"""From a configuration, a plain dictionary by axis names, to specs; needs no torch.

A complete configuration says everything that a training depends on, seeds and data split apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from nndiag import datasets
from nndiag.locales import _
from nndiag.schema.axes import KINDS
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import RECURRENT, DataSpec, NetworkSpec, OptimizerSpec
from nndiag.schema.spec_sweep import Configuration, Run, SweepSpec
from nndiag.zoo import activations, networks, optimizers, schedules

#: What a sweep trains where nothing else is asked for: as `compare-optimizers` does.
DEFAULTS: Mapping[str, Any] = {
    "data": "digits",
    "net": "mlp",
    "depth": 3,
    "width": 32,
    "act": "relu",
    "norm": "none",
    "bias_std": 0.0,
    "dropout": 0.0,
    "residual": False,
    "spatial_dropout": 0.0,
    "widths": None,
    "optimizer": "sgd",
    "schedule": "constant",
    "momentum": None,
    "beta1": None,
    "beta2": None,
    "eps": None,
    "weight_decay": None,
    "clip_norm": None,
    "clip_value": None,
    "l1": 0.0,
    "l2": 0.0,
    "noise": 0.0,
    "patience": None,
    "min_delta": 0.0,
    "restore_best": True,
    "train_samples": None,
    "label_noise": 0.0,
    "augment": 0,
    "batch_size": 64,
    "steps": 300,
}
_NETWORK = (
    *("net", "depth", "width", "act", "init", "norm", "bias_std", "dropout", "residual"),
    "spatial_dropout",
)
#: Settings that make the training split, and those that a `training.members.Member` has too.
OF_DATA = ("train_samples", "label_noise", "augment")
OF_MEMBER = ("l1", "l2", "noise", "patience", "min_delta", "restore_best")
_BETAS = (0.9, 0.999)
#: Runs of a group at most: what is lost at worst when a process dies.
GROUP = 24


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with every setting, in the order of `schema.axes.KINDS`.

    Defaults follow the literature where they depend on others: the initialisation on the
    activation, the learning rate on the optimizer.

    Raises:
        UsageError: an unknown setting, or an unknown name where a default depends on it.
    """
    for name in given:
        if name not in KINDS:
            raise unknown_name(_("axis"), name, KINDS)
    found = {**DEFAULTS, **given}
    if found["widths"] is not None and "depth" not in given:
        found["depth"] = 1 + len(_widths(found["widths"]))
    if found["net"] in RECURRENT:
        found["depth"] = given.get("depth", 1)
    if found["net"] != "mlp":
        found["act"] = given.get("act", networks.default_act(found["net"]))
    if "init" not in given:
        found["init"] = activations.parse(found["act"], "act").default_init
    if "lr" not in given:
        rate = optimizers.parse(found["optimizer"], "optimizer").lr
        found["lr"] = 1e-3 if rate is None else rate
    return {name: found[name] for name in KINDS}


def asked(spec: SweepSpec) -> list[dict[str, Any]]:
    """Return the complete configurations of a sweep.

    Raises:
        UsageError: as `complete`.
    """
    return [complete({**spec.base, **one}) for one in spec.combinations()]


def runs(spec: SweepSpec, configurations: Sequence[Configuration]) -> list[Run]:
    """Return the trainings of configurations: every fold and every seed of each."""
    folds: Sequence[int | None] = [None] if spec.folds is None else range(spec.folds)
    return [
        Run(configuration=one, seed=seed, split=spec.seed, fold=fold, folds=spec.folds)
        for one in configurations
        for fold in folds
        for seed in range(spec.seed, spec.seed + spec.seeds)
    ]


def check(
    configurations: Sequence[Configuration], folds: int | None = None, data: DataSpec | None = None
) -> None:
    """Raise UsageError for a name or a combination that cannot be trained.

    Args:
        folds: of a cross-validation.
        data: with `root` and `target` of the user's; its name is that of each configuration.
    """
    for name in dict.fromkeys(one["data"] for one in configurations):
        datasets.check(replace(data or DataSpec(), name=name))
    seen: set[Hashable] = set()
    for one in configurations:
        facts = tuple(one[name] for name in KINDS if name not in ("data", "lr", "steps"))
        if facts not in seen:
            seen.add(facts)
            networks.check(network(one))
            _check_unseen(one, folds)
            optimizers.check(optimizer(one))


def _check_unseen(one: Configuration, folds: int | None) -> None:
    """Refuse what looks at the validation loss while it trains where that is the test's."""
    schedule = schedules.parse(one["schedule"], "schedule")
    if folds is not None and (schedule.row.factor is None or one["patience"] is not None):
        setting = "patience" if one["patience"] is not None else one["schedule"]
        raise UsageError(
            _(
                "--cv: {setting} follows the validation loss, which here is that of the samples "
                "held out; leave one of the two out"
            ).format(setting=setting)
        )


def network(configuration: Configuration) -> NetworkSpec:
    """Return the network of a complete configuration."""
    facts = {name: configuration[name] for name in _NETWORK}
    return NetworkSpec(**facts, widths=_widths(configuration["widths"]))


def _widths(text: str | None) -> tuple[int, ...]:
    parts = text.split("-") if text else []
    if not all(part.isdigit() and int(part) for part in parts):
        raise UsageError(
            _(
                "widths: got '{text}'; accepted: the units of each hidden layer, such as "
                "512-256-128-64"
            ).format(text=text)
        )
    return tuple(int(part) for part in parts)


def optimizer(configuration: Configuration) -> OptimizerSpec:
    """Return the optimizer of a complete configuration.

    Raises:
        UsageError: a setting that this optimizer does not have.
    """
    return OptimizerSpec(
        name=configuration["optimizer"],
        lr=configuration["lr"],
        options=_options(configuration),
        clip_norm=configuration["clip_norm"],
        clip_value=configuration["clip_value"],
    )


def _options(configuration: Configuration) -> dict[str, Any]:
    row = optimizers.parse(configuration["optimizer"], "optimizer")
    options: dict[str, Any] = {}
    for name in ("momentum", "eps", "weight_decay"):
        if configuration[name] is not None:
            _require_option(row, name, name)
            options[name] = configuration[name]
    betas = configuration["beta1"], configuration["beta2"]
    if betas != (None, None):
        _require_option(row, "betas", "beta1" if betas[0] is not None else "beta2")
        options["betas"] = tuple(
            usual if beta is None else beta for beta, usual in zip(betas, _BETAS, strict=True)
        )
    return options


def _require_option(row: optimizers.OptimizerRow, option: str, axis: str) -> None:
    if row.options is not None and option not in row.options:
        raise UsageError(
            _(
                "{axis}: {optimizer} has no such setting; leave the axis out, give it none, or "
                "sweep {optimizer} apart"
            ).format(axis=axis, optimizer=row.name)
        )


def work(run: Run, steps: int) -> float:
    """Return what so many steps of a run cost, in steps of one layer: for the time remaining."""
    return float(steps * run.configuration["depth"])


def alike(run: Run) -> Hashable:
    """Return what runs that can train as one population share.

    The shapes of the network, the data, and what `training.members.Settings` fixes for all.
    """
    one = run.configuration
    names = ("net", "depth", "width", "widths", "norm", "residual", "act", "spatial_dropout")
    shape = tuple(one[name] for name in names)
    made = tuple(one[name] for name in OF_DATA)
    return (
        *(one["data"], run.split, run.fold, run.folds, made, shape, one["dropout"] > 0),
        *(one["optimizer"], one["steps"], one["batch_size"]),
    )


def grouped(runs: Sequence[Run], most: int = GROUP) -> list[list[Run]]:
    """Divide runs into populations of one structure, as even as can be and none above `most`.

    What a group holds depends on all runs of the plan alone, never on what is left to do: a
    training whose dropout masks are drawn together with those of others repeats exactly.
    """
    structures: dict[Hashable, list[Run]] = {}
    for run in runs:
        structures.setdefault(alike(run), []).append(run)
    groups = []
    for members in structures.values():
        count = -(-len(members) // most)
        ends = [len(members) * place // count for place in range(count + 1)]
        groups += [members[low:high] for low, high in pairwise(ends)]
    return groups
