"""Changes of a running training, each read from its name: `parse("lr*0.1,clip_norm=1")`."""

from __future__ import annotations

from collections.abc import Callable

from nndiag.attach.interventions.activations import LinearOutput, ReluInstead
from nndiag.attach.interventions.base import Intervention, Layers, layers_of
from nndiag.attach.interventions.initialisation import Reinitialised
from nndiag.attach.interventions.inputs import CorrectedMode, StandardisedInput
from nndiag.attach.interventions.losses import MatchedLoss, RemovedSoftmax
from nndiag.attach.interventions.normalisation import InsertedNorm
from nndiag.attach.interventions.optimizers import AdamInstead, ClearedGradients, HoldAllParameters
from nndiag.attach.interventions.rates import ClippedNorm, ConstantRate, ScaledRate
from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.observation import Observation

__all__ = ["NAMES", "Intervention", "Layers", "layers_of", "parse", "snippet"]

Maker = Callable[[Layers], Intervention]

# In the order in which they act: what changes a model's parameters before what draws them, and
# the swap of the optimizer last, as it takes the step back.
_MAKERS: dict[str, Maker] = {
    "mode": lambda known: CorrectedMode(),
    "standardise_input": lambda known: StandardisedInput(),
    "act=relu": ReluInstead,
    "linear_output": LinearOutput,
    "norm=batch": lambda known: InsertedNorm("batch", known),
    "norm=layer": lambda known: InsertedNorm("layer", known),
    "reinit": Reinitialised,
    "remove_softmax": lambda known: RemovedSoftmax(),
    "match_loss": lambda known: MatchedLoss(),
    "zero_grad": lambda known: ClearedGradients(),
    "hold_all_parameters": lambda known: HoldAllParameters(),
    "constant_lr": lambda known: ConstantRate(),
    "lr*": lambda known: ScaledRate(1.0),
    "clip_norm=": lambda known: ClippedNorm(1.0),
    "optimizer=adam": lambda known: AdamInstead(),
}
_NUMBERED: dict[str, Callable[[float], Intervention]] = {
    "lr*": ScaledRate,
    "clip_norm=": ClippedNorm,
}
NAMES = tuple(name + ("FACTOR" if name == "lr*" else "") for name in _MAKERS)


def parse(names: str, known: Layers | None = None) -> list[Intervention]:
    """Return the changes that a name stands for, in the order in which they act.

    Args:
        names: names joined by commas; empty for none.
        known: layers of the models as a first run saw them (`layers_of`).

    Raises:
        UsageError: an unknown name, or a number that is none.
    """
    words = [word.strip() for word in names.split(",") if word.strip()]
    ordered = sorted(words, key=lambda word: list(_MAKERS).index(_kind(word)))
    found = [_one(word, known or {}) for word in ordered]
    if "act=relu" in words:
        found = [
            Reinitialised(known, activation="relu") if isinstance(one, Reinitialised) else one
            for one in found
        ]
    return found


def snippet(names: str, observation: Observation) -> str:
    """Return the patch-like lines that make these changes in the script itself."""
    parts = [one.snippet(observation) for one in parse(names, layers_of(observation))]
    return "\n".join(part for part in parts if part)


def _kind(word: str) -> str:
    for prefix in _NUMBERED:
        if word.startswith(prefix):
            return prefix
    if word not in _MAKERS:
        raise unknown_name("try-fixes", word, NAMES)
    return word


def _one(word: str, known: Layers) -> Intervention:
    kind = _kind(word)
    if kind not in _NUMBERED:
        return _MAKERS[kind](known)
    try:
        number = float(word.removeprefix(kind))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise UsageError(
            _("fix {word}: a number above 0 belongs after {kind}").format(word=word, kind=kind)
        )
    return _NUMBERED[kind](number)
