"""What a script makes of a watched model is what it would make of it alone."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nndiag.attach.interventions import parse
from nndiag.attach.session import Session


class Own(nn.Sequential):
    """A module with a state of its own."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()


class Theirs:
    """A hook of the script's, which counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.calls += 1


def models() -> list[Callable[[], nn.Module]]:
    return [
        lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2)),
        lambda: Own(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)),
    ]


def trained(
    make: Callable[[], nn.Module], then: Callable[[nn.Module], Any], watch: bool, change: str = ""
) -> Any:
    """Train a little, and return what `then` makes of the model amid the training."""
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session(interventions=parse(change)) if watch else torch.enable_grad():
        for _step in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 2).backward()
            optimizer.step()
        found = then(model)
        F.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 2).backward()
    return found


def hooks_of(model: nn.Module) -> int:
    return sum(
        len(table)
        for module in model.modules()
        for name, table in vars(module).items()
        if "_hooks" in name and table
    )


def saved(model: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("make", models())
@pytest.mark.parametrize("how", [pickle.dumps, saved])
def test_a_whole_model_is_saved_as_it_is(make: Any, how: Any) -> None:
    with_us = trained(make, how, watch=True, change="standardise_input")
    back = torch.load(io.BytesIO(with_us), weights_only=False) if how is saved else None
    back = pickle.loads(with_us) if back is None else back
    assert b"nndiag" not in with_us
    assert hooks_of(back) == 0
    alone = trained(make, copy.deepcopy, watch=False)
    assert back.state_dict().keys() == alone.state_dict().keys()


@pytest.mark.parametrize("make", models())
def test_copies_are_bare_and_the_model_stays_watched(make: Any) -> None:
    def then(model: nn.Module) -> tuple[int, int, int]:
        before = hooks_of(model)
        copied = copy.deepcopy(model)
        return hooks_of(copied), before, hooks_of(model)

    copied, before, after = trained(make, then, watch=True)
    assert copied == 0
    assert before == after > 0


def test_hooks_of_the_script_are_copied_and_taken_off_as_ever() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    hook = Theirs()
    handle = model[0].register_forward_hook(hook)

    def then(model: nn.Module) -> nn.Module:
        return copy.deepcopy(model)

    copied = trained(lambda: model, then, watch=True)
    (kept,) = copied[0]._forward_hooks.values()
    assert isinstance(kept, Theirs)
    assert hook.calls == 4
    handle.remove()
    assert hooks_of(model) == 0


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_watched_model_is_scripted_and_traced_as_it_is(how: str) -> None:
    x = torch.randn(5, 4)

    def then(model: nn.Module) -> tuple[str, int, int]:
        model.eval()
        before = hooks_of(model)
        done = torch.jit.script(model) if how == "script" else torch.jit.trace(model, x)
        torch.testing.assert_close(done(x), model(x))
        return str(done.graph).replace("torch_mangle", ""), before, hooks_of(model)

    make = models()[0]
    graph, before, after = trained(make, then, watch=True)
    assert before == after > 0
    assert graph.count("aten::linear") == trained(make, then, watch=False)[0].count("aten::linear")
    assert "norm" not in graph


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_functions_are_scripted_with_the_names_around_them() -> None:
    def twice(x: Tensor) -> Tensor:
        return 2 * x

    def both(x: Tensor) -> Tensor:
        return twice(x) + twice(2 * x)

    with Session():
        assert float(torch.jit.script(both)(torch.ones(()))) == 6
        traced = torch.jit.trace(func=nn.Linear(2, 1), example_inputs=torch.ones(1, 2))
    assert traced(torch.ones(1, 2)).shape == (1, 1)


def test_everything_is_put_back() -> None:
    before = nn.Module.__reduce_ex__, torch.jit.script, torch.jit.trace
    with Session():
        assert torch.jit.script is not before[1]
    assert before == (nn.Module.__reduce_ex__, torch.jit.script, torch.jit.trace)
    assert "__reduce_ex__" not in vars(nn.Module)
