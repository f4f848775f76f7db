"""`nndiag transfer --kind unsupervised|transductive`, and `--load`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nndiag import __version__
from nndiag.datasets import domains, images
from nndiag.datasets.domains import Domain
from nndiag.datasets.images import TargetImages
from nndiag.diagnosis import transfer_kinds_reading as reading
from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training import adapting, clustering, devices, saving, transferring
from nndiag.training.clustering import Labels, Table
from nndiag.training.transfer_bench import TransferBench

_SHOWN = 150  # points of a projection that the result keeps, a class
#: The domain that was trained on: adaptation should change nothing there.
_SAME = "unchanged"

T = TypeVar("T")


# -- unsupervised ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Grouped:
    """One kind of features of some images, and the groups found in them."""

    table: Table
    y: Labels
    groups: Labels
    scores: dict[str, float]


def unsupervised(spec: TransferSpec, *, watch: Watch | None = None) -> Result:
    """Group the target's images by their features; the labels only score what came out.

    k-means with as many groups as there are classes, for pre-trained features, those of a random
    backbone, and plain pixels. Every seed draws half of the images and another random backbone.
    Ctrl-C keeps the seeds that are complete.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    bench = TransferBench.of(spec, watch)
    target = bench.target(spec.labels_per_class[0], spec.seed)
    whole = (target.train, target.validation, target.test)
    x, y = torch.cat([part.x for part in whole]), torch.cat([part.y for part in whole])
    ours = _("untrained") if bench.given.state is None else _("pre-trained")
    learnt = adapting.features(bench.body(spec.seed, pretrained=True), x).cpu().numpy()

    def one(seed: int) -> dict[str, _Grouped]:
        half = np.random.default_rng(seed).permutation(len(y))[: -(-len(y) // 2)]
        random = adapting.features(bench.body(seed, pretrained=False), x[half])
        tables = {
            ours: learnt[half],
            _("random backbone"): random.cpu().numpy(),
            _("pixels"): x[half].flatten(1).cpu().numpy(),
        }
        labels = y[half].cpu().numpy()
        return {name: _grouped(table, labels, seed) for name, table in tables.items()}

    watch.stage(_("clustering"), spec.seeds)
    done, interrupted = _each(spec, one, watch)
    rows = [_cluster_row(name, [seed[name] for seed in done]) for name in done[0]] if done else []
    return _result(
        spec,
        bench,
        started,
        {
            "rows": rows,
            "classes": target.classes,
            "images": -(-len(y) // 2),
            "groups": _table(next(iter(done[0].values()))) if done else [],
            "projections": [
                _projected(name, found, target.classes)
                for name, found in (done[0].items() if done else ())
            ],
            "reading": reading.clusters(rows) if rows else [],
            "interrupted": interrupted,
        },
    )


def _grouped(table: Table, y: Labels, seed: int) -> _Grouped:
    groups = clustering.clustered(table, int(y.max()) + 1, seed)
    return _Grouped(table=table, y=y, groups=groups, scores=clustering.agreement(y, groups))


def _cluster_row(name: str, found: Sequence[_Grouped]) -> dict[str, Any]:
    return {
        "label": name,
        "features": int(found[0].table.shape[1]),
        **{key: interval([one.scores[key] for one in found]) for key in found[0].scores},
        "runs": [one.scores for one in found],
    }


def _table(found: _Grouped) -> list[list[int]]:
    """Return how many images of each class are in each group, groups by their largest class."""
    table = clustering.contingency(found.y, found.groups)
    rows: list[list[int]] = table[np.argsort(table.argmax(1), kind="stable")].tolist()
    return rows


def _projected(name: str, found: _Grouped, classes: Sequence[str]) -> dict[str, Any]:
    plane, share = clustering.plane(found.table)
    return {
        "label": name,
        "variance": share,
        "classes": [
            {
                "class": one,
                "x": plane[found.y == label, 0][:_SHOWN].tolist(),
                "y": plane[found.y == label, 1][:_SHOWN].tolist(),
            }
            for label, one in enumerate(classes)
        ],
    }


# -- transductive ------------------------------------------------------------------------------


def transductive(spec: TransferSpec, *, watch: Watch | None = None) -> Result:
    """Train with labels on the images as they are; adapt to other domains without any.

    AdaBN takes BatchNorm's statistics from the target; CORAL aligns the features of the labelled
    images with the target's and fits the head anew. Adapted is to validation images, measured on
    test images: the same before and after. Ctrl-C keeps the seeds that are complete.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    bench = TransferBench.of(spec, watch)
    names = [_SAME, *(spec.domains or domains.usual(spec.data.name))]
    watch.stage(_("seeds, each with {count} domains").format(count=len(names)), spec.seeds)
    done, interrupted = _each(spec, lambda seed: dict(_adapted(bench, names, seed)), watch)
    rows = [
        {
            "label": f"{domain}, {method}",
            "domain": domain,
            "method": method,
            "before": interval([before for before, _after in _pairs(done, domain, method)]),
            "test_accuracy": interval([after for _before, after in _pairs(done, domain, method)]),
            "gain": interval([after - before for before, after in _pairs(done, domain, method)]),
            "runs": [
                {"before": before, "test_accuracy": after}
                for before, after in _pairs(done, domain, method)
            ],
        }
        for domain, method in (done[0] if done else ())
    ]
    found = {"rows": rows, "reading": reading.domains(rows), "interrupted": interrupted}
    return _result(spec, bench, started, found)


_Scores = dict[tuple[str, str], tuple[float, float]]


def _pairs(done: Sequence[_Scores], domain: str, method: str) -> list[tuple[float, float]]:
    return [one[domain, method] for one in done]


def _adapted(
    bench: TransferBench, names: Sequence[str], seed: int
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """Yield, for each domain and method, the accuracy before and after."""
    labels = bench.spec.labels_per_class[-1]
    how = transferring.strategy("finetune", bench.block_count)
    learner, _run, _test = bench.train(how, labels, seed)
    body, head = learner.body, learner.head
    source = bench.target(labels, seed)
    features = adapting.features(body, source.train.x)
    for name in names:
        unlabelled, x, y = _domain(bench, source, name, seed)
        before = _accuracy(nn.Sequential(body, head), x, y)
        if adapting.norms(body):
            adapted = adapting.adabn(nn.Sequential(body, head), unlabelled)
            yield (name, "AdaBN"), (before, _accuracy(adapted, x, y))
        aligned = adapting.coral(features, adapting.features(body, unlabelled))
        refitted = adapting.fitted(aligned, source.train.y, seed)
        yield (name, "CORAL"), (before, _accuracy(nn.Sequential(body, refitted), x, y))


def _domain(
    bench: TransferBench, source: TargetImages, name: str, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return images of a domain to adapt to, and others with their labels to measure with."""
    if name == _SAME:
        return source.validation.x, source.test.x, source.test.y
    domain = domains.find(name)
    if isinstance(domain, Domain):
        parts = [_shifted(part.x, domain, seed) for part in (source.validation, source.test)]
        return parts[0], parts[1], source.test.y
    other = _other(bench, source.classes, name, seed)
    unlabelled = torch.cat([other.train.x, other.validation.x])
    tensors = images.normalised(unlabelled), images.normalised(other.test.x), other.test.y
    seen, x, y = (tensor.to(bench.device) for tensor in tensors)
    return seen, x, y


def _shifted(x: Tensor, domain: Domain, seed: int) -> Tensor:
    """Return normalised images as another domain would show them, normalised."""
    return images.normalised(domains.shifted(images.pixels(x), domain, seed=seed))


def _other(bench: TransferBench, classes: Sequence[str], name: str, seed: int) -> TargetImages:
    """Return other images of the same classes."""
    try:
        return images.load(
            replace(bench.spec.data, name=name, classes=tuple(classes)),
            labels_per_class=1,
            image_size=bench.image_size,
            seed=seed,
        )
    except UsageError:
        raise DataError(
            _("--domains: {name} does not have the classes {classes}").format(
                name=name, classes=", ".join(classes)
            )
        ) from None


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((adapting.features(model, x).argmax(1) == y).double().mean())


# -- a saved network ---------------------------------------------------------------------------


def loaded(spec: TransferSpec, path: str, *, watch: Watch | None = None) -> Result:
    """Measure a saved network on the target's test images; nothing is trained.

    Raises:
        DataError: the file cannot be read; the data has other classes.
    """
    started = time.perf_counter()
    saved = saving.load(path)
    target = images.load(
        replace(spec.data, classes=spec.data.classes or saved.classes),
        labels_per_class=spec.labels_per_class[0],
        image_size=saved.image_size,
        resize=saved.resize,
        seed=spec.seed,
        watch=watch,
    )
    if target.classes != saved.classes:
        raise DataError(
            _("--load: {path} knows the classes {known}; the data has {found}").format(
                path=path, known=", ".join(saved.classes), found=", ".join(target.classes)
            )
        )
    right = (saved.predict(target.test.x).argmax(1) == target.test.y).double()
    groups = {name: target.test.y == label for label, name in enumerate(saved.classes)}
    rows = [
        {
            "label": name,
            "images": int(rows.sum()),
            "test_accuracy": interval([float(right[rows].mean())]),
        }
        for name, rows in groups.items()
    ]
    return Result(
        command="transfer",
        spec=spec.to_dict() | {"load": path},
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={
            "backbone": saved.backbone,
            "image_size": saved.image_size,
            "weights": {"kind": "file", "origin": path, "accuracy": None},
            "data": target.source,
            "problems": list(target.problems),
            "rows": rows,
            "images": len(right),
            "test_accuracy": interval([float(right.mean())]),
            "reading": list(_overlap(saved.trained, saving.trained_on(spec))),
            "interrupted": False,
        },
        version=__version__,
    )


def _overlap(trained: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning where images that it learnt from may be among those measured with."""
    if trained["data"] == asked["data"] and trained != asked:
        yield _(
            "It was trained with --labels-per-class {labels} --seed {seed}: with others, some of "
            "these images may be among those that it learnt from."
        ).format(labels=trained["labels_per_class"], seed=trained["seed"])


# -- both --------------------------------------------------------------------------------------


def _each(spec: TransferSpec, one: Callable[[int], T], watch: Watch) -> tuple[list[T], bool]:
    """Return what each seed gave, and whether Ctrl-C ended it early."""
    done: list[T] = []
    try:
        for seed in range(spec.seed, spec.seed + spec.seeds):
            done.append(one(seed))
            watch.update(len(done))
    except KeyboardInterrupt:
        return done, True
    return done, False


def _result(
    spec: TransferSpec, bench: TransferBench, started: float, found: dict[str, Any]
) -> Result:
    return Result(
        command="transfer",
        spec=spec.to_dict(),
        environment=devices.environment(bench.device),
        seconds=time.perf_counter() - started,
        result={**bench.facts(), **found},
        version=__version__,
    )
