"""Optimizers: the table against torch's own signatures and behaviour."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from nndiag.schema.errors import UsageError
from nndiag.schema.spec import OptimizerSpec
from nndiag.zoo import optimizers
from nndiag.zoo.optimizers import OPTIMIZERS, OptimizerRow
from nndiag.zoo.registry import resolve_import

ROWS = [pytest.param(row, id=row.name) for row in OPTIMIZERS.rows]


def _parameter() -> nn.Parameter:
    return nn.Parameter(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize("row", ROWS)
def test_options_are_those_of_the_class(row: OptimizerRow) -> None:
    signature = inspect.signature(resolve_import(row.import_string, "--optimizer"))
    assert row.options is not None
    assert sorted([*row.options, "lr", "params"]) == sorted(signature.parameters)


@pytest.mark.parametrize("row", ROWS)
def test_build_applies_learning_rate_and_defaults(row: OptimizerRow) -> None:
    optimizer = optimizers.build([_parameter()], OptimizerSpec(name=row.name))
    assert f"{type(optimizer).__module__}".startswith("torch.optim")
    assert type(optimizer).__name__ == row.import_string.split(":")[1]
    assert optimizer.defaults["lr"] == row.lr
    assert {name: optimizer.defaults[name] for name in row.defaults} == dict(row.defaults)
    slower = optimizers.build([_parameter()], OptimizerSpec(name=row.name, lr=1e-4))
    assert slower.defaults["lr"] == 1e-4


def test_options_override_defaults() -> None:
    spec = OptimizerSpec(name="momentum", options={"momentum": 0.5, "weight_decay": 0.1})
    defaults = optimizers.build([_parameter()], spec).defaults
    assert (defaults["momentum"], defaults["weight_decay"]) == (0.5, 0.1)


def _displacements(row: OptimizerRow, lr: float) -> torch.Tensor:
    """Return five steps of given gradients, each taken from the same point."""
    parameter, steps = _parameter(), []
    start = parameter.detach().clone()
    options = {"weight_decay": 0.1} if "weight_decay" in (row.options or ()) else {}
    optimizer = optimizers.build([parameter], OptimizerSpec(name=row.name, lr=lr, options=options))
    draws = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for gradient in draws:
        parameter.grad = gradient.clone()
        optimizer.step()
        steps.append(parameter.detach() - start)
        with torch.no_grad():
            parameter.copy_(start)
    return torch.stack(steps)


@pytest.mark.parametrize("row", [row for row in OPTIMIZERS.rows if row.linear_in_lr])
def test_steps_are_linear_in_the_learning_rate(row: OptimizerRow) -> None:
    once, thrice = _displacements(row, 0.01), _displacements(row, 0.03)
    assert bool(once.abs().min() > 0)
    torch.testing.assert_close(thrice, 3 * once, rtol=1e-9, atol=1e-15)


def test_rprop_is_not_linear_in_the_learning_rate() -> None:
    row = OPTIMIZERS.get("rprop", "--optimizer")
    assert not row.linear_in_lr
    once, large = _displacements(row, 40.0), _displacements(row, 120.0)
    assert not torch.allclose(large, 3 * once)


def test_which_rows_need_more_than_a_mini_batch_and_a_gradient() -> None:
    full = {row.name for row in OPTIMIZERS.rows if row.full_batch}
    assert full == {"gd", "rprop", "lbfgs"}
    assert {row.name for row in OPTIMIZERS.rows if row.needs_closure} == {"lbfgs"}


@pytest.mark.parametrize("row", [row for row in OPTIMIZERS.rows if row.needs_closure])
def test_closures_are_needed_where_the_table_says(row: OptimizerRow) -> None:
    parameter = _parameter()
    optimizer = optimizers.build([parameter], OptimizerSpec(name=row.name))
    parameter.grad = torch.ones_like(parameter)
    with pytest.raises(TypeError, match="closure"):
        optimizer.step()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            OptimizerSpec(name="adaam"),
            "--optimizer: unknown name 'adaam'; did you mean adam? (or package.module:Name)",
        ),
        (
            OptimizerSpec(name="momentum", options={"momentm": 0.9}),
            "--optimizer: unknown name 'momentm'; did you mean momentum?",
        ),
        (
            OptimizerSpec(name="torch.optim:Adafactr"),
            "--optimizer: module 'torch.optim' has no 'Adafactr'; did you mean Adafactor?",
        ),
        (
            OptimizerSpec(name="torch.nn:Linear"),
            "--optimizer: 'torch.nn:Linear' is no subclass of torch.optim.Optimizer",
        ),
        (
            OptimizerSpec(name="torch.optim:Adafactor", options={"epss": 1}),
            "--optimizer: unknown name 'epss'; did you mean eps?",
        ),
    ],
)
def test_messages(spec: OptimizerSpec, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        optimizers.check(spec)
    assert str(caught.value) == message


def test_values_that_torch_refuses() -> None:
    spec = OptimizerSpec(name="adam", options={"betas": (2.0, 0.9)})
    with pytest.raises(UsageError) as caught:
        optimizers.build([_parameter()], spec)
    assert str(caught.value) == (
        "--optimizer: adam refuses its options: Invalid beta parameter at index 0: 2.0"
    )


def test_custom_classes_keep_their_own_learning_rate() -> None:
    spec = OptimizerSpec(name="torch.optim:Adafactor")
    row = optimizers.parse(spec.name)
    assert (row.name, row.linear_in_lr) == ("torch.optim:Adafactor", False)
    assert optimizers.learning_rate(spec) is None
    optimizer = optimizers.build([_parameter()], spec)
    assert isinstance(optimizer, torch.optim.Adafactor)
    assert optimizer.defaults["lr"] == 0.01


def test_custom_classes_without_a_default_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_mine_optimizer.py").write_text(
        "import torch\n"
        "class Mine(torch.optim.SGD):\n"
        "    def __init__(self, params, lr):\n        super().__init__(params, lr=lr)\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        optimizers.check(OptimizerSpec(name="zoo_mine_optimizer:Mine"))
    assert str(caught.value) == (
        "--optimizer: 'zoo_mine_optimizer:Mine' has no default learning rate; give --lr"
    )
    spec = OptimizerSpec(name="zoo_mine_optimizer:Mine", lr=0.3)
    assert optimizers.build([_parameter()], spec).defaults["lr"] == 0.3
