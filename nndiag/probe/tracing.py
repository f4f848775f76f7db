"""What runs around a hook: a compiler or a transform, and the graph of the script's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import Tensor
from torch._C import _is_tracing
from torch._C._functorch import peek_interpreter_stack
from torch.autograd.graph import saved_tensors_hooks
from torch.compiler import is_compiling

#: Whether torch.jit.trace writes down what the code does.
tracing: Callable[[], bool] = _is_tracing


def transformed() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp, ...) runs the code."""
    return peek_interpreter_stack() is not None


def traced() -> bool:
    """Whether the compiler, torch.jit.trace or a transform of torch.func runs the code."""
    return is_compiling() or tracing() or peek_interpreter_stack() is not None


def own_graph() -> AbstractContextManager[None]:
    """Return a context for derivatives of our own.

    A checkpoint around a hook counts every tensor that is saved inside it, and raises an error
    where it counts fewer when the layer runs again.
    """
    return saved_tensors_hooks(_same, _same)


def _same(tensor: Tensor) -> Tensor:
    return tensor
