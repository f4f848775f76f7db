"""The trainings of a learning curve: more and more of the training split, then more width."""

from __future__ import annotations

from functools import lru_cache

from nndiag import datasets
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_generalisation import LearningCurveSpec
from nndiag.training import configurations
from nndiag.training.variants import Variant, rates_axis


def variants(spec: LearningCurveSpec) -> list[Variant]:
    """Return a variant a size, in growing order, and last the wider network on the largest.

    Raises:
        UsageError: more samples than there are, or a network without a width.
    """
    settings = configurations.complete(spec.settings)
    if settings["widths"] is not None:
        raise UsageError(_("--widths: learning-curve also trains a wider network; give --width"))
    found, rates = sizes(spec), rates_axis(spec)
    width = spec.wider * int(settings["width"])
    return [
        *(
            Variant(label=str(size), sweep=spec.sweep(f"train_samples={size}", rates))
            for size in found
        ),
        Variant(
            label=_("{size}, width {width}").format(size=found[-1], width=width),
            sweep=spec.sweep(f"train_samples={found[-1]}", rates, width=width),
        ),
    ]


def sizes(spec: LearningCurveSpec) -> list[int]:
    """Return the numbers of samples, in growing order."""
    name = str(configurations.complete(spec.settings)["data"])
    most = _training_samples(
        DataSpec(name=name, root=spec.data_root, target=spec.target), spec.seed
    )
    found = [round(size * most) if size <= 1 else int(size) for size in spec.sizes]
    if max(found) > most:
        raise UsageError(
            _("--sizes: got {size}; the training split has {count}").format(
                size=max(found), count=most
            )
        )
    return sorted({max(1, size) for size in found})


@lru_cache(maxsize=4)
def _training_samples(data: DataSpec, seed: int) -> int:
    return len(datasets.load(data, seed=seed).train.y)
