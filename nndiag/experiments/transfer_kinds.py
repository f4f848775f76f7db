"""`nndiag transfer --kind unsupervised|transductive`, and `--load`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nndiag import __version__
from nndiag.datasets import images
from nndiag.diagnosis.transfer_reading import clusters, domains
from nndiag.locales import _
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training import adapting, devices, saving, transferring
from nndiag.training.transfer_bench import TransferBench
from nndiag.zoo.domains import DOMAINS

_SHOWN = 150  # points of a projection that the result keeps, a class


def unsupervised(spec: TransferSpec, *, watch: Watch | None = None) -> Result:
    """Cluster the target's images by their features; the labels only score what came out.

    k-means with as many clusters as classes, a repetition a seed, scored by normalised mutual
    information and the adjusted Rand index.
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    except ImportError:
        raise UsageError(
            _("--kind unsupervised needs scikit-learn; pip install 'nndiag[transfer]'")
        ) from None
    started = time.perf_counter()
    watch = watch or Silent()
    bench = TransferBench.of(spec, watch)
    target = bench.target(spec.labels_per_class[0], spec.seed)
    x = torch.cat([target.train.x, target.validation.x, target.test.x])
    y = torch.cat([target.train.y, target.validation.y, target.test.y]).cpu().numpy()
    learnt, random = (bench.body(spec.seed, pretrained=given) for given in (True, False))
    features = {
        _("pre-trained"): _features(learnt, x),
        _("random backbone"): _features(random, x),
        _("pixels"): x.flatten(1).cpu().numpy(),
    }
    rows: list[dict[str, Any]] = []
    projections: list[dict[str, Any]] = []
    watch.stage(_("clustering"), len(features) * spec.seeds)
    for label, table in features.items():
        scores = []
        for seed in range(spec.seed, spec.seed + spec.seeds):
            found = KMeans(len(target.classes), n_init=4, random_state=seed).fit_predict(table)
            scores.append((normalized_mutual_info_score(y, found), adjusted_rand_score(y, found)))
            watch.update(len(rows) * spec.seeds + len(scores))
        nmi, ari = np.array(scores).T
        rows.append(
            {
                "label": label,
                "features": int(table.shape[1]),
                "nmi": interval(nmi),
                "ari": interval(ari),
            }
        )
        plane = PCA(2, random_state=0).fit_transform(table)
        projections.append({"label": label, "classes": _points(plane, y, target.classes)})
    return _result(
        spec,
        bench,
        started,
        {"rows": rows, "projections": projections, "reading": clusters(rows)},
    )


def transductive(spec: TransferSpec, *, watch: Watch | None = None) -> Result:
    """Train on the upright task, look at shifted images without labels, adapt.

    AdaBN takes BatchNorm's statistics from the target; CORAL aligns the source's features with the
    target's and fits the head anew. The same test images are scored before and after.
    """
    started = time.perf_counter()
    watch = watch or Silent()
    bench = TransferBench.of(spec, watch)
    scores: dict[tuple[str, str], list[tuple[float, float]]] = {}
    watch.stage(_("domains"), spec.seeds * len(DOMAINS.rows))
    done = 0
    for seed in range(spec.seed, spec.seed + spec.seeds):
        learner, _run, _test = bench.train(
            transferring.strategy("finetune", bench.block_count), spec.labels_per_class[-1], seed
        )
        target = bench.target(spec.labels_per_class[-1], seed)
        model = nn.Sequential(learner.body, learner.head)
        for row in DOMAINS.rows:
            generator = torch.Generator().manual_seed(seed)
            unlabelled, test = (
                bench.shifted(part.x, row.shift, generator)
                for part in (target.validation, target.test)
            )
            before = _accuracy(model, test, target.test.y)
            adapted = adapting.adabn(model, unlabelled)
            after = _accuracy(adapted, test, target.test.y)
            scores.setdefault((row.name, "AdaBN"), []).append((before, after))
            head = _realigned(learner, target.train.x, target.train.y, unlabelled, seed)
            aligned = nn.Sequential(learner.body, head)
            after = _accuracy(aligned, test, target.test.y)
            scores.setdefault((row.name, "CORAL"), []).append((before, after))
            done += 1
            watch.update(done)
    rows = [
        {
            "label": f"{domain}, {method}",
            "domain": domain,
            "method": method,
            "before": interval([b for b, _a in pairs]),
            "test_accuracy": interval([a for _b, a in pairs]),
            "gain": interval([a - b for b, a in pairs]),
        }
        for (domain, method), pairs in scores.items()
    ]
    return _result(spec, bench, started, {"rows": rows, "reading": domains(rows)})


def loaded(spec: TransferSpec, path: str) -> Result:
    """Measure a saved network on the target's test images; nothing is trained."""
    started = time.perf_counter()
    saved = saving.load(path)
    target = images.load(
        spec.data,
        labels_per_class=spec.labels_per_class[0],
        image_size=saved.image_size,
        resize=saved.resize,
        seed=spec.seed,
    )
    if target.classes != saved.classes:
        raise DataError(
            _("--load: {path} knows the classes {known}; the data has {found}").format(
                path=path, known=", ".join(saved.classes), found=", ".join(target.classes)
            )
        )
    right = saved.predict(target.test.x).argmax(1) == target.test.y
    text = _("The saved network reads {share:.1%} of {count} test images.")
    accuracy = float(right.double().mean())
    return Result(
        command="transfer",
        spec=spec.to_dict(),
        environment=devices.environment(torch.device("cpu")),
        seconds=time.perf_counter() - started,
        result={
            "backbone": saved.backbone,
            "image_size": saved.image_size,
            "weights": {"kind": "file", "origin": path, "accuracy": None},
            "data": target.source,
            "epochs": 0,
            "rows": [],
            "curves": [],
            "blocks": [],
            "test_accuracy": interval([accuracy]),
            "reading": [text.format(share=accuracy, count=len(right))],
            "interrupted": False,
        },
        version=__version__,
    )


def _features(body: nn.Module, x: Tensor) -> np.ndarray:
    body.eval()
    with torch.no_grad():
        return torch.cat([body(part) for part in x.split(256)]).cpu().numpy()


def _points(plane: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "class": name,
            "x": plane[y == label, 0][:_SHOWN].tolist(),
            "y": plane[y == label, 1][:_SHOWN].tolist(),
        }
        for label, name in enumerate(names)
    ]


def _realigned(
    learner: transferring.Learner, x: Tensor, y: Tensor, unlabelled: Tensor, seed: int
) -> nn.Module:
    """Return a head fitted to the training features as CORAL aligns them."""
    features = torch.from_numpy(_features(learner.body, x))
    aligned = adapting.coral(features, torch.from_numpy(_features(learner.body, unlabelled)))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = nn.Linear(aligned.shape[1], int(y.max()) + 1)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(aligned), y.cpu())
        loss = loss + 1e-3 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head.to(x.device)


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(part) for part in x.split(256)])
    return float((scores.argmax(1) == y).double().mean())


def _result(
    spec: TransferSpec, bench: TransferBench, started: float, found: dict[str, Any]
) -> Result:
    return Result(
        command="transfer",
        spec=spec.to_dict(),
        environment=devices.environment(bench.device),
        seconds=time.perf_counter() - started,
        result={**bench.facts(), **found, "interrupted": False},
        version=__version__,
    )
