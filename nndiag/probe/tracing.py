"""Whether code runs on stand-ins for tensors, whose values no hook may look at."""

from __future__ import annotations

from torch._C._functorch import peek_interpreter_stack
from torch.compiler import is_compiling


def transformed() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp, ...) runs the code."""
    return peek_interpreter_stack() is not None


def traced() -> bool:
    """Whether the compiler or a transform of torch.func runs the code."""
    return is_compiling() or transformed()
