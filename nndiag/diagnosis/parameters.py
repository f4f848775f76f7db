"""Parameters that ought to learn and cannot: not held by an optimizer, or without a gradient."""

from __future__ import annotations

from collections.abc import Sequence

from nndiag.diagnosis import learning
from nndiag.diagnosis.naming import expression
from nndiag.locales import _
from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.observation import ModelRecord, Observation, OptimizerRecord, ParameterRecord

#: Steps (or backward passes) from which on the absence of something means something.
_ENOUGH = 3
#: Share of a model's parameters from which frozen ones that nobody trained are a fault.
FROZEN_SHARE = 0.1
_REFERENCE = "PyTorch documentation: torch.optim, How to use an optimizer"


def check(observation: Observation) -> list[Finding]:
    """Report steps that never happen or come to nothing, and parameters left out."""
    if max(observation.steps, observation.backwards) < _ENOUGH:
        return []
    never = _never_stepped(observation)
    if never is not None:
        return [never]
    empty = [idle for one in observation.optimizers if (idle := _empty(one)) is not None]
    if empty:
        return empty
    found: list[Finding] = []
    for model in _trained(observation):
        found += _stray(model)
        found += _foreign(observation, model) or _not_held(observation, model)
        found += _unreached(model)
        found += _frozen(observation, model)
    return found or [
        idle for one in observation.optimizers if (idle := _empty(one, foreign=True)) is not None
    ]


def _trained(observation: Observation) -> list[ModelRecord]:
    return [model for model in observation.models if model.training_passes]


def _never_stepped(observation: Observation) -> Finding | None:
    if observation.steps or not observation.backwards or observation.error is not None:
        return None
    if any(model.moved for model in _trained(observation)):
        return None  # the script updates by hand
    names = tuple(p.name for model in _trained(observation) for p in model.parameters[:1])
    return _finding(
        names,
        {"backward_passes": observation.backwards, "steps": 0},
        _(
            "{count} backward passes and not one `step()` of an optimizer: gradients are computed "
            "and nothing uses them, so every parameter stays as it was drawn."
        ).format(count=observation.backwards),
        (_("`optimizer.step()` after `loss.backward()`"),),
    )


def _empty(optimizer: OptimizerRecord, *, foreign: bool = False) -> Finding | None:
    """Report an optimizer most of whose steps found no gradient or came before any backward.

    Args:
        foreign: one that holds parameters of no model: where nothing else explains it.
    """
    if optimizer.steps < _ENOUGH or not optimizer.held:
        return None
    if (optimizer.foreign == optimizer.held) != foreign:
        return None
    if optimizer.empty < 0.5 * optimizer.steps:
        return None
    return _finding(
        (),
        {"steps": optimizer.steps, "steps_without_gradient": optimizer.empty},
        _(
            "{empty} of {steps} steps of {kind} found no gradient at all: they were cleared after "
            "the backward pass, or the step comes before it. The parameters do not move."
        ).format(empty=optimizer.empty, steps=optimizer.steps, kind=optimizer.kind),
        (
            _("the order `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`"),
            _("`requires_grad` of the parameters that the optimizer holds"),
        ),
    )


def _stray(model: ModelRecord) -> list[Finding]:
    """Report layers that run but that `parameters()` does not list."""
    stray = [p for p in model.parameters if not p.registered and p.trainable and not p.held]
    if not stray:
        return []
    return [
        _finding(
            tuple(p.name for p in stray),
            {"parameters": _size(stray), "tensors": len(stray)},
            _(
                "Layers with {size} parameters run inside `{model}` but are not among its "
                "modules, as they sit in a plain Python list or dict: `{model}.parameters()` does "
                "not list them, so no optimizer moves them."
            ).format(size=_size(stray), model=model.name),
            (_("`nn.ModuleList([...])` or `nn.ModuleDict({...})` in place of the list or dict"),),
            "PyTorch documentation: torch.nn.ModuleList",
        )
    ]


def _foreign(observation: Observation, model: ModelRecord) -> list[Finding]:
    """Report an optimizer that holds the parameters of some other object."""
    missed = [p for p in _candidates(model) if not p.held]
    strange = [one for one in observation.optimizers if one.foreign and one.steps]
    if not missed or not strange:
        return []
    one = max(strange, key=lambda optimizer: optimizer.foreign)
    return [
        _finding(
            tuple(p.name for p in missed),
            {"foreign_parameters": one.foreign, "held": one.held, "missed": len(missed)},
            _(
                "{kind} holds {foreign} parameters of no model that runs, and misses {missed} of "
                "`{model}`: it was made for another object (the model was copied, or a layer was "
                "replaced, after the optimizer was made)."
            ).format(kind=one.kind, foreign=one.foreign, missed=len(missed), model=model.name),
            (
                _(
                    "make the optimizer last: `torch.optim.{kind}({model}.parameters(), ...)`"
                ).format(kind=one.kind, model=model.name),
            ),
        )
    ]


def _not_held(observation: Observation, model: ModelRecord) -> list[Finding]:
    """Report parameters that get a gradient and that no optimizer holds."""
    missed = [p for p in _candidates(model) if not p.held]
    if not missed:
        return []
    layers = sorted({p.name.rpartition(".")[0] for p in missed})
    return [
        _finding(
            tuple(p.name for p in missed),
            {"parameters": _size(missed), "tensors": len(missed)},
            _(
                "No optimizer holds {size} trainable parameters of `{model}` ({layers}): they get "
                "a gradient and stay as they were drawn."
            ).format(size=_size(missed), model=model.name, layers=_some(layers)),
            (
                _("`{model}.parameters()` of the whole model to the optimizer").format(
                    model=model.name
                ),
                _('`optimizer.add_param_group({{"params": {layer}.parameters()}})`').format(
                    layer=expression(model, layers[0]) if layers[0] else model.name
                ),
            ),
        )
    ]


def _candidates(model: ModelRecord) -> list[ParameterRecord]:
    """Return what ought to be held; weights that were loaded may be meant to stay as they are."""
    return [
        p
        for p in model.parameters
        if p.registered and p.trainable and p.used and p.gradient and not p.loaded
    ]


def _unreached(model: ModelRecord) -> list[Finding]:
    """Report parameters that an optimizer holds, that ran, and that no gradient reached."""
    held = [p for p in model.parameters if p.trainable and p.held and p.used]
    missed = [p for p in held if not p.gradient]
    if not missed or not any(p.signal for p in model.parameters):
        return []
    if _size(missed) < 0.01 * _size(held) and len(missed) < 2:
        return []
    layers = sorted({p.name.rpartition(".")[0] for p in missed})
    return [
        _finding(
            tuple(p.name for p in missed),
            {"parameters": _size(missed), "tensors": len(missed)},
            _(
                "No gradient ever reaches {size} parameters of `{model}` ({layers}) although they "
                "run: the graph is cut behind them by `detach()`, `no_grad()`, `.data`, `.item()` "
                "or a conversion to numpy."
            ).format(size=_size(missed), model=model.name, layers=_some(layers)),
            (
                _("take away the `detach()` or `torch.no_grad()` behind {layer}").format(
                    layer=expression(model, layers[-1]) if layers[-1] else model.name
                ),
            ),
            "PyTorch documentation: Tensor.detach; Locally disabling gradient computation",
        )
    ]


def _frozen(observation: Observation, model: ModelRecord) -> list[Finding]:
    """Report layers that were frozen although nothing had trained them."""
    frozen = [p for p in model.parameters if not p.trainable and not p.loaded and p.used]
    learnable = [p for p in model.parameters if p.trainable]
    # A model that is frozen whole and that no optimizer holds serves as it is: a fixed target.
    if not frozen or not learnable or not any(p.held for p in model.parameters):
        return []
    share = _size(frozen) / _size(list(model.parameters))
    if share < FROZEN_SHARE:
        return []
    layers = sorted({p.name.rpartition(".")[0] for p in frozen})
    # Random features may be meant (Rahimi & Recht 2007), and do where the rest learns on them.
    suffices = learning.learns(observation)
    return [
        _finding(
            tuple(p.name for p in frozen),
            {"parameters": _size(frozen), "share": share},
            _(
                "{share:.0%} of the parameters of `{model}` are frozen ({layers}) at the random "
                "values they were drawn with: nothing in this run trained or loaded them, so the "
                "rest learns on random features."
            ).format(share=share, model=model.name, layers=_some(layers)),
            (
                _("`{model}.requires_grad_(True)` before the optimizer is made").format(
                    model=model.name
                ),
                _("load the weights they were meant to keep: `load_state_dict(...)`"),
            ),
            "Yosinski et al. 2014",
            severity=Severity.INFO if suffices else Severity.CRITICAL,
        )
    ]


def _finding(
    layers: Sequence[str],
    evidence: dict[str, float],
    cause: str,
    fixes: tuple[str, ...],
    reference: str = _REFERENCE,
    severity: Severity = Severity.CRITICAL,
) -> Finding:
    return Finding(
        symptom=Symptom.UNTRAINED_PARAMETERS,
        severity=severity,
        layers=tuple(layers),
        evidence=evidence,
        cause=cause,
        fixes=fixes,
        reference=reference,
    )


def _size(parameters: Sequence[ParameterRecord]) -> int:
    return sum(p.size for p in parameters)


def _some(names: Sequence[str]) -> str:
    shown = [name for name in names if name][:4]
    return ", ".join(shown) + (", ..." if len(names) > 4 else "") if shown else _("its own")
