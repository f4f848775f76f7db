"""Optimizers by name: class, options, textbook learning rate, facts and paper."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import OptimizerSpec
from nndiag.zoo.registry import Registry, is_import, resolve_import

if TYPE_CHECKING:
    from torch import nn, optim

_OPTION = "--optimizer"
_SHARED = ("weight_decay", "maximize", "foreach", "capturable", "differentiable")
_SGD = (
    *("momentum", "dampening", "weight_decay", "nesterov"),
    *("maximize", "foreach", "differentiable", "fused"),
)
_ADAM = ("betas", "eps", "amsgrad", "fused", *_SHARED)


@dataclass(frozen=True, kw_only=True)
class OptimizerRow:
    """One optimizer.

    Attributes:
        import_string: the torch class.
        lr: textbook learning rate; None for a custom class, which has its own.
        paper: where it was proposed.
        options: keyword arguments that a user may set besides the learning rate; None for a
            custom class, whose signature tells.
        defaults: options set unless the user sets them.
        linear_in_lr: the step is the learning rate times a direction that does not depend on it,
            so that one pass may serve several learning rates.
        full_batch: every step takes the whole training set.
        needs_closure: `step` evaluates the loss itself, several times.
    """

    name: str
    import_string: str
    lr: float | None = None
    paper: str = ""
    options: tuple[str, ...] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    linear_in_lr: bool = True
    full_batch: bool = False
    needs_closure: bool = False


OPTIMIZERS = Registry(
    (
        OptimizerRow(
            name="sgd",
            import_string="torch.optim:SGD",
            lr=0.1,
            paper="Robbins & Monro 1951",
            options=_SGD,
        ),
        OptimizerRow(
            name="momentum",
            import_string="torch.optim:SGD",
            lr=0.01,
            paper="Polyak 1964",
            options=_SGD,
            defaults={"momentum": 0.9},
        ),
        OptimizerRow(
            name="nesterov",
            import_string="torch.optim:SGD",
            lr=0.01,
            paper="Nesterov 1983; Sutskever et al. 2013",
            options=_SGD,
            defaults={"momentum": 0.9, "nesterov": True},
        ),
        OptimizerRow(
            name="adagrad",
            import_string="torch.optim:Adagrad",
            lr=0.01,
            paper="Duchi, Hazan & Singer 2011",
            options=(
                *("lr_decay", "initial_accumulator_value", "eps", "fused"),
                *("weight_decay", "maximize", "foreach", "differentiable"),
            ),
        ),
        OptimizerRow(
            name="adadelta",
            import_string="torch.optim:Adadelta",
            lr=1.0,
            paper="Zeiler 2012",
            options=("rho", "eps", *_SHARED),
        ),
        OptimizerRow(
            name="rmsprop",
            import_string="torch.optim:RMSprop",
            lr=1e-3,
            paper="Tieleman & Hinton 2012",
            options=("alpha", "eps", "momentum", "centered", *_SHARED),
        ),
        OptimizerRow(
            name="adam",
            import_string="torch.optim:Adam",
            lr=1e-3,
            paper="Kingma & Ba 2015",
            options=("decoupled_weight_decay", *_ADAM),
        ),
        OptimizerRow(
            name="nadam",
            import_string="torch.optim:NAdam",
            lr=2e-3,
            paper="Dozat 2016",
            options=("betas", "eps", "momentum_decay", "decoupled_weight_decay", *_SHARED),
        ),
        OptimizerRow(
            name="adamw",
            import_string="torch.optim:AdamW",
            lr=1e-3,
            paper="Loshchilov & Hutter 2019",
            options=_ADAM,
        ),
        OptimizerRow(
            name="radam",
            import_string="torch.optim:RAdam",
            lr=1e-3,
            paper="Liu et al. 2020",
            options=("betas", "eps", "decoupled_weight_decay", *_SHARED),
        ),
        OptimizerRow(
            name="adamax",
            import_string="torch.optim:Adamax",
            lr=2e-3,
            paper="Kingma & Ba 2015, section 7",
            options=("betas", "eps", *_SHARED),
        ),
        OptimizerRow(
            name="gd",
            import_string="torch.optim:SGD",
            lr=0.1,
            paper="Cauchy 1847",
            options=_SGD,
            full_batch=True,
        ),
        OptimizerRow(
            name="rprop",
            import_string="torch.optim:Rprop",
            lr=0.01,
            paper="Riedmiller & Braun 1993",
            options=(
                *("etas", "step_sizes", "capturable", "foreach", "maximize", "differentiable"),
            ),
            linear_in_lr=False,
            full_batch=True,
        ),
        OptimizerRow(
            name="lbfgs",
            import_string="torch.optim:LBFGS",
            lr=1.0,
            paper="Liu & Nocedal 1989",
            options=(
                *("max_iter", "max_eval", "tolerance_grad", "tolerance_change"),
                *("history_size", "line_search_fn", "maximize"),
            ),
            defaults={"line_search_fn": "strong_wolfe"},
            linear_in_lr=False,
            full_batch=True,
            needs_closure=True,
        ),
    ),
    is_open=True,
)


def parse(text: str, option: str = _OPTION) -> OptimizerRow:
    """Return the optimizer that `text` names: `adam`, or `package.module:Class`.

    Raises:
        UsageError: unknown name, or a class that cannot be imported or is no optimizer.
    """
    if not is_import(text):
        return OPTIMIZERS.get(text, option)
    from torch import optim

    found = resolve_import(text, option)
    if not (isinstance(found, type) and issubclass(found, optim.Optimizer)):
        raise UsageError(
            _("{option}: '{text}' is no subclass of torch.optim.Optimizer").format(
                option=option, text=text
            )
        )
    return OptimizerRow(name=text, import_string=text, linear_in_lr=False)


def learning_rate(spec: OptimizerSpec) -> float | None:
    """Return the learning rate in use; None where a custom class applies its own default."""
    return parse(spec.name).lr if spec.lr is None else spec.lr


def check(spec: OptimizerSpec) -> None:
    """Raise UsageError for an unknown optimizer or option; torch stays unloaded for table names."""
    row = parse(spec.name)
    known = _options(row)
    for name in spec.options:
        if name not in known:
            raise unknown_name(_OPTION, name, known)
    if spec.lr is None and row.lr is None and _lr_required(row):
        raise UsageError(
            _("{option}: '{name}' has no default learning rate; give --lr").format(
                option=_OPTION, name=row.name
            )
        )


def build(params: Iterable[nn.Parameter], spec: OptimizerSpec) -> optim.Optimizer:
    """Return the optimizer of `params`.

    Raises:
        UsageError: unknown name or option, or values that the optimizer refuses.
    """
    check(spec)
    row = parse(spec.name)
    lr = learning_rate(spec)
    options = {**row.defaults, **spec.options, **({} if lr is None else {"lr": lr})}
    try:
        optimizer: optim.Optimizer = resolve_import(row.import_string, _OPTION)(params, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(
            _("{option}: {name} refuses its options: {error}").format(
                option=_OPTION, name=row.name, error=error
            )
        ) from error
    return optimizer


def _options(row: OptimizerRow) -> tuple[str, ...]:
    if row.options is not None:
        return row.options
    return tuple(name for name in _signature(row) if name not in ("params", "lr"))


def _lr_required(row: OptimizerRow) -> bool:
    lr = _signature(row).get("lr")
    return lr is not None and lr.default is inspect.Parameter.empty


def _signature(row: OptimizerRow) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(resolve_import(row.import_string, _OPTION)).parameters
