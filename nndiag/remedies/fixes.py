"""The fixes that a course teaches, as changes of one broken network.

A label names the options that differ from the broken network, in the order of `_ORDER`:
`baseline`, `init=he_normal`, `act=relu,init=he_normal`, `clip_norm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nndiag.schema.spec import NetworkSpec
from nndiag.zoo import activations

#: Initialisations that keep a variance (Glorot & Bengio 2010; He et al. 2015; LeCun et al. 1998;
#: Saxe et al. 2014; Mishkin & Matas 2016).
INITIALISATIONS = ("xavier_normal", "he_normal", "lecun_normal", "orthogonal", "lsuv")
#: Activations offered in place of the broken one, alone and with their matching initialisation.
ACTIVATIONS = ("tanh", "relu", "leaky_relu", "rrelu", "elu", "selu", "gelu")
#: Largest total gradient norm, and largest entry (Pascanu et al. 2013).
CLIP_NORM, CLIP_VALUE = 1.0, 0.1
#: By how much the fix `lr` lowers every rate of the grid.
LOWER_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One candidate: a changed network, and changes of the training.

    Attributes:
        label: the options that differ, joined by commas; `baseline` for none.
        rate_scale: factor on the learning rates tried.
    """

    label: str
    network: NetworkSpec
    clip_norm: float | None = None
    clip_value: float | None = None
    rate_scale: float = 1.0


def fixes(network: NetworkSpec) -> list[Fix]:
    """Return the baseline, every fix alone, then sensible combinations; no two alike."""
    found: dict[Any, Fix] = {}
    for changes in _changes(network):
        fix = _fix(network, changes)
        key = (fix.network, fix.clip_norm, fix.clip_value, fix.rate_scale)
        found.setdefault(key, fix)
    return list(found.values())


def _changes(network: NetworkSpec) -> Iterator[dict[str, Any]]:
    yield {}
    if network.recurrent:
        yield from _recurrent(network)
    else:
        yield from _feedforward(network)


def _feedforward(network: NetworkSpec) -> Iterator[dict[str, Any]]:
    for init in INITIALISATIONS:
        yield {"init": init}
    for act in ACTIVATIONS:
        yield {"act": act}
        yield {"act": act, "init": _matching(act)}
    for norm in ("batch", "layer"):
        yield {"norm": norm}
    yield {"residual": True}
    yield {"clip_norm": CLIP_NORM}
    yield {"clip_value": CLIP_VALUE}
    yield {"lr": LOWER_RATE}
    he = {"act": "relu", "init": "he_normal"}
    yield {**he, "norm": "batch"}
    yield {**he, "residual": True}
    yield {**he, "clip_norm": CLIP_NORM}
    yield {"norm": "batch", "clip_norm": CLIP_NORM}


def _recurrent(network: NetworkSpec) -> Iterator[dict[str, Any]]:
    yield {"clip_norm": CLIP_NORM}
    yield {"clip_value": CLIP_VALUE}
    yield {"lr": LOWER_RATE}
    if network.net == "rnn":
        yield {"act": "relu", "init": "orthogonal"}
    yield {"init": "orthogonal"}
    yield {"init": "orthogonal", "clip_norm": CLIP_NORM}


def _matching(act: str) -> str:
    """Return the initialisation that the literature matches to an activation, drawn normally."""
    return activations.parse(act).default_init.replace("_uniform", "_normal")


_ORDER = ("act", "init", "norm", "residual", "clip_norm", "clip_value", "lr")
_WITHOUT_VALUE = {"residual", "clip_norm", "clip_value", "lr"}


def _fix(network: NetworkSpec, changes: dict[str, Any]) -> Fix:
    fields = {name: value for name, value in changes.items() if name in _ORDER[:4]}
    changed = replace(network, **fields)
    differs = {name for name in _ORDER[:4] if getattr(changed, name) != getattr(network, name)} | (
        changes.keys() & set(_ORDER[4:])
    )
    words = [
        name if name in _WITHOUT_VALUE else f"{name}={getattr(changed, name)}"
        for name in _ORDER
        if name in differs
    ]
    return Fix(
        label=",".join(words) or "baseline",
        network=changed,
        clip_norm=changes.get("clip_norm"),
        clip_value=changes.get("clip_value"),
        rate_scale=changes.get("lr", 1.0),
    )
