"""`nndiag boundary`: points of the plane, seen layer by layer as a network bends it.

Axes: S seed, N point, L layer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nndiag import __version__, datasets
from nndiag.datasets.splits import Splits
from nndiag.locales import _
from nndiag.schema.progress import Silent, Tally, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.significance import paired_p_value
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.schema.spec_boundary import BoundarySpec
from nndiag.training import devices, planes
from nndiag.training.initial import network_for
from nndiag.training.members import Member, Record, Settings, TensorData
from nndiag.training.population import train
from nndiag.zoo import activations, networks

Array = np.ndarray

_BATCH = 64
#: Points that are drawn, cells of the plane, lines and points of the lattice that is bent.
_DRAWN, _CELLS, _LINES, _ALONG = 150, 48, 9, 25
#: Of an animation: fewer cells a frame.
_FRAME_CELLS = 32
#: Where in the training it is looked at, as shares of the steps.
_STAGES = (0.0, 0.05, 1.0)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A network that is trained with every seed.

    Attributes:
        name: `activated`, `linear` or `one_layer`.
    """

    name: str
    label: str
    network: NetworkSpec
    record: Record

    def model(self, splits: Splits, member: int, step: int) -> nn.Sequential:
        """Return one network as it was after a step."""
        return _loaded(
            _built(self.network, splits),
            {name: value[member] for name, value in self.record.kept[step].items()},
        )


def run(spec: BoundarySpec, *, watch: Watch | None = None) -> Result:
    """Train with activations, without, and one layer alone; look at the plane on the way."""
    started = time.perf_counter()
    device = devices.resolve(spec.device)
    splits = datasets.load(DataSpec(name=spec.data), seed=spec.seed)
    kinds = _trained(spec, splits, device, watch or Silent())
    activated, linear, _one_layer = kinds
    stages = [round(share * spec.steps) for share in _STAGES]
    rows = [_row(kind, kinds, splits) for kind in kinds]
    found = {
        "data": splits.name,
        "classes": list(splits.classes),
        "stages": [_stage(step, kinds, splits) for step in stages],
        "rows": rows,
        "layers": _layers(activated, linear, splits),
        "affine": _affine(linear, splits),
        "drawn": _drawn(kinds[:2], splits, stages, _CELLS),
        "frames": _frames(spec, kinds[:2], splits),
    }
    return Result(
        command="boundary",
        spec=spec.to_dict(),
        environment=devices.environment(device),
        seconds=time.perf_counter() - started,
        result={**found, "reading": _reading(spec, found)},
        version=__version__,
    )


def _trained(spec: BoundarySpec, splits: Splits, device: torch.device, watch: Watch) -> list[_Kind]:
    plans = (
        ("activated", _("{act}, {depth} layers"), spec.act, spec.depth),
        ("linear", _("no activation, {depth} layers"), "linear", spec.depth),
        ("one_layer", _("no activation, 1 layer"), "linear", 1),
    )
    data = TensorData.of(splits, device)
    tally = Tally(watch, _("training steps"), len(plans) * spec.seeds * spec.steps)
    kinds = []
    for name, label, act, depth in plans:
        network = NetworkSpec(
            depth=depth,
            width=spec.width,
            act=act,
            init=activations.parse(act).default_init,
        )

        def build(place: int, network: NetworkSpec = network) -> nn.Module:
            return network_for(network, splits, spec.seed + place, _BATCH, device)

        record = train(
            build,
            [Member(seed=spec.seed + k, lr=spec.lr) for k in range(spec.seeds)],
            Settings(
                optimizer="adam",
                steps=spec.steps,
                batch_size=_BATCH,
                eval_every=spec.steps,
                keep=_kept(spec),
            ),
            data,
            tally.add,
        )
        text = label.format(act=act, depth=depth)
        kinds.append(_Kind(name=name, label=text, network=network, record=record))
    return kinds


def _kept(spec: BoundarySpec) -> list[int]:
    """Return the steps that are looked at: the stages, and the frames, denser at first."""
    stages = {round(share * spec.steps) for share in _STAGES}
    return sorted(stages | set(_frame_steps(spec)))


def _frame_steps(spec: BoundarySpec) -> list[int]:
    shares = np.linspace(0, 1, spec.frames) ** 2
    return sorted({int(step) for step in np.round(shares * spec.steps)})


def _built(network: NetworkSpec, splits: Splits) -> nn.Sequential:
    model = networks.build(network, splits.input_shape, len(splits.classes))
    assert isinstance(model, nn.Sequential)
    return model


def _loaded(model: nn.Sequential, state: Mapping[str, Tensor]) -> nn.Sequential:
    model.load_state_dict(dict(state))
    return model.eval()


def _accuracies(kind: _Kind, splits: Splits, step: int) -> list[float]:
    """Return the (S,) test accuracies after a step."""
    found = []
    for member in range(len(kind.record.diverged)):
        scores = planes.layers(kind.model(splits, member, step), splits.test.x)[-1].values
        found.append(float((scores.argmax(axis=1) == splits.test.y).mean()))
    return found


def _row(kind: _Kind, kinds: Sequence[_Kind], splits: Splits) -> dict[str, Any]:
    last = max(kind.record.kept)
    seeds = range(len(kind.record.diverged))
    bent = [
        planes.not_affine(
            splits.test.x, planes.layers(kind.model(splits, k, last), splits.test.x)[-1].values
        )
        for k in seeds
    ]
    own, alone = kind.record.test_accuracy, kinds[-1].record.test_accuracy
    return {
        "label": kind.label,
        "kind": kind.name,
        "act": kind.network.act,
        "depth": kind.network.depth,
        "accuracy_before": interval(_accuracies(kind, splits, 0)),
        "test_accuracy": interval(own),
        "test_loss": interval(kind.record.test_loss),
        "not_affine": interval(bent),
        "gain_over_one_layer": interval(own - alone),
        "p_value": paired_p_value((own - alone).tolist()),
        "diverged": int(kind.record.diverged.sum()),
        "seconds": float(kind.record.seconds.sum()),
    }


def _stage(step: int, kinds: Sequence[_Kind], splits: Splits) -> dict[str, Any]:
    return {
        "step": step,
        **{
            f"{kind.name}_accuracy": interval(_accuracies(kind, splits, step)) for kind in kinds[:2]
        },
    }


def _layers(activated: _Kind, linear: _Kind, splits: Splits) -> list[dict[str, Any]]:
    """Return how well straight cuts separate the classes in the input and after each layer."""
    cuts = {kind.name: _cuts(kind, splits) for kind in (activated, linear)}
    names = [_("input"), *(f"fc{k}" for k in range(1, activated.network.depth + 1))]
    return [
        {
            "name": name,
            **{f"{kind}_straight": interval(found[:, place]) for kind, found in cuts.items()},
        }
        for place, name in enumerate(names)
    ]


def _cuts(kind: _Kind, splits: Splits) -> Array:
    """Return (S, L + 1) test accuracies of straight cuts, of the input first."""
    last, found = max(kind.record.kept), []
    for member in range(len(kind.record.diverged)):
        model = kind.model(splits, member, last)
        train_x, test_x = (
            [split.x, *(layer.values for layer in planes.layers(model, split.x))]
            for split in (splits.train, splits.test)
        )
        found.append(
            [
                planes.straight(a, splits.train.y, b, splits.test.y)
                for a, b in zip(train_x, test_x, strict=True)
            ]
        )
    return np.array(found)


def _affine(linear: _Kind, splits: Splits) -> dict[str, Any]:
    """Return the one affine map of the first network without activations, and how far the
    network's scores are from it (the largest difference over the largest score)."""
    model = linear.model(splits, 0, max(linear.record.kept))
    weight, bias = planes.affine(model)
    scores = planes.layers(model, splits.test.x)[-1].values
    off = np.abs(scores - (splits.test.x @ weight.T + bias)).max()
    return {
        "weight": weight.tolist(),
        "bias": bias.tolist(),
        "deviation": float(off / np.abs(scores).max()),
    }


def _drawn(
    kinds: Sequence[_Kind], splits: Splits, steps: Sequence[int], cells: int
) -> dict[str, Any]:
    """Return points, planes of each stage and the layers at the end, of the first seed."""
    x, y = splits.test.x[:_DRAWN], splits.test.y[:_DRAWN]
    low, high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
    axes = [np.linspace(low[k], high[k], cells) for k in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    lines = planes.lattice(low.tolist(), high.tolist(), _LINES, _ALONG)
    return {
        "x": axes[0].tolist(),
        "y": axes[1].tolist(),
        "points": x.tolist(),
        "labels": y.tolist(),
        "kinds": {
            kind.name: {
                "label": kind.label,
                "planes": [
                    _plane(kind.model(splits, 0, step), grid, cells).tolist() for step in steps
                ],
                "layers": [
                    _bent(layer, line_layer)
                    for layer, line_layer in zip(
                        planes.layers(kind.model(splits, 0, steps[-1]), x),
                        planes.layers(kind.model(splits, 0, steps[-1]), lines.reshape(-1, 2)),
                        strict=True,
                    )
                ],
            }
            for kind in kinds
        },
    }


def _plane(model: nn.Sequential, grid: Array, cells: int) -> Array:
    """Return over the plane, rows from below: the probability of the second of two classes, or
    the place of the class that is answered, from 0 to 1."""
    scores = planes.layers(model, grid)[-1].values
    if scores.shape[1] == 2:
        value = 1 / (1 + np.exp(np.clip(scores[:, 0] - scores[:, 1], -50, 50)))
    else:
        value = scores.argmax(axis=1) / (scores.shape[1] - 1)
    return np.round(value, 3).reshape(cells, cells)


def _bent(points: planes.Layer, lines: planes.Layer, before: Array | None = None) -> dict[str, Any]:
    seen = planes.view(points.values, before)
    return {
        "name": points.name,
        "shown": seen.shown,
        "points": np.round(seen.of(points.values), 3).tolist(),
        "lines": np.round(seen.of(lines.values).reshape(-1, _ALONG, 2), 3).tolist(),
    }


def _frames(
    spec: BoundarySpec, kinds: Sequence[_Kind], splits: Splits
) -> list[dict[str, Any]] | None:
    """Return the plane and the last hidden layer at many steps of the first seed."""
    if not spec.frames:
        return None
    still = _drawn(kinds, splits, [0], _FRAME_CELLS)
    grid = np.stack(np.meshgrid(still["x"], still["y"]), axis=-1).reshape(-1, 2)
    x = np.array(still["points"])
    low, high = grid.min(axis=0).tolist(), grid.max(axis=0).tolist()
    lines = planes.lattice(low, high, _LINES, _ALONG).reshape(-1, 2)
    frames, before = [], dict.fromkeys((kind.name for kind in kinds), None)
    for step in _frame_steps(spec):
        found: dict[str, Any] = {"step": step, "x": still["x"], "y": still["y"], "kinds": {}}
        for kind in kinds:
            model = kind.model(splits, 0, step)
            hidden = _bent(
                planes.layers(model, x)[-2], planes.layers(model, lines)[-2], before[kind.name]
            )
            before[kind.name] = np.array(hidden["points"])
            found["kinds"][kind.name] = {
                "plane": _plane(model, grid, _FRAME_CELLS).tolist(),
                "hidden": hidden,
                "accuracy": _accuracies(kind, splits, step)[0],
            }
        frames.append(found)
    return frames


def _reading(spec: BoundarySpec, found: Mapping[str, Any]) -> list[str]:
    activated, linear, alone = found["rows"]
    said = [
        _(
            "With {act} the accuracy goes from {before} % to {after} %; without activations "
            "{depth} layers reach {linear} % and one layer {alone} %."
        ).format(
            act=spec.act,
            before=_percent(activated["accuracy_before"].mean),
            after=_percent(activated["test_accuracy"].mean),
            depth=spec.depth,
            linear=_percent(linear["test_accuracy"].mean),
            alone=_percent(alone["test_accuracy"].mean),
        ),
        _(
            "Without activations the layers compose to one affine map W x + b, W = W_{depth} ... "
            "W_1: it gives the network's scores to {deviation}, and the boundary is straight. "
            "Depth alone adds nothing that one layer could not say."
        ).format(depth=spec.depth, deviation=f"{found['affine']['deviation']:.0e}"),
        _(
            "Of the scores with {act}, no affine map explains {bent} % of the variance: so much is "
            "bent."
        ).format(act=spec.act, bent=_percent(activated["not_affine"].mean)),
    ]
    cuts = [layer["activated_straight"].mean for layer in found["layers"]]
    steps = np.diff(cuts[:-1])
    if len(steps) and steps.max() > 0.02:
        place = int(steps.argmax()) + 1
        said.append(
            _(
                "A straight cut is right for {first} % of the points in the input and for {last} % "
                "after the last hidden layer; {layer} straightens most ({before} to {after} %)."
            ).format(
                first=_percent(cuts[0]),
                last=_percent(cuts[-2]),
                layer=found["layers"][place]["name"],
                before=_percent(cuts[place - 1]),
                after=_percent(cuts[place]),
            )
        )
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
