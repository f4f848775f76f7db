"""`nndiag.watch`: the instruments of `nndiag diagnose` inside one's own loop."""

from __future__ import annotations

import io
import time
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, TextIO

import torch
from rich.console import Console, RenderableType
from torch import Tensor, nn

from nndiag.attach.session import Session
from nndiag.diagnosis.run import diagnose_run
from nndiag.experiments.diagnose import envelope, result_of
from nndiag.locales import _
from nndiag.report import run_report
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.finding import Finding
from nndiag.schema.observation import Observation
from nndiag.schema.result import Result
from nndiag.schema.spec import require_range
from nndiag.schema.trace import Trace


def watch(
    model: nn.Module | Iterable[nn.Module],
    optimizer: torch.optim.Optimizer | None = None,
    *,
    every: int = 1,
    statistics: Collection[str] | None = None,
) -> Watch:
    """Watch the training of a model.

        with nndiag.watch(model, optimizer) as watch:
            ...                         # the loop, as it is
        print(watch.diagnosis())

    Args:
        model: the module, or several that train together (a GAN).
        optimizer: only its steps count; None for any optimizer's, or `watch.step(loss)` by hand.
        every: record layer statistics at each so-many-th step.
        statistics: those of `nndiag.schema.trace.STATISTICS` to record, None for all.

    Raises:
        UsageError: no module, `every` below 1, an unknown statistic.
        RunError: there is no parameter to watch.
    """
    return Watch(model, optimizer, every=every, statistics=statistics)


class Watch:
    """What `watch` returns: a context manager; `start` and `stop` serve where `with` does not."""

    def __init__(
        self,
        model: nn.Module | Iterable[nn.Module],
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = 1,
        statistics: Collection[str] | None = None,
    ) -> None:
        models = [model] if isinstance(model, nn.Module) else list(model)
        for one in models:
            if not isinstance(one, nn.Module):
                kind = type(model).__name__
                raise UsageError(
                    _("watch: got {kind}; accepted: a torch.nn.Module, or several").format(
                        kind=kind
                    )
                )
        require_range("every", every, 1)
        if not any(True for module in models for _parameter in module.parameters()):
            raise RunError(_("watch: the model has no parameters"))
        self._models = models
        self._started = time.perf_counter()
        self._session = Session(
            every=every,
            statistics=statistics,
            only=models,
            optimizers=None if optimizer is None else [optimizer],
        )
        self._running = False

    def start(self) -> Watch:
        """Put the hooks on."""
        if not self._running:
            self._session.__enter__()
            self._running = True
        return self

    def stop(self) -> None:
        """Take all hooks off; what was recorded stays."""
        if self._running:
            self._session.__exit__(None, None, None)
            self._running = False

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def step(self, loss: Tensor | None = None) -> None:
        """End a step by hand, for updates that no torch optimizer makes.

        Where no `with` and no `start()` have put the hooks on, the first call does, and the steps
        after it are seen; `stop()` takes them off. A step that an optimizer has just made counts
        once.
        """
        if self._running:
            self._session.step(loss)
        else:
            self.start()

    @property
    def observation(self) -> Observation:
        """Everything seen so far (waits for the device)."""
        names = ["model"] if len(self._models) == 1 else []
        namespace: dict[str, Any] = dict(zip(names, self._models, strict=False))
        return self._session.observation(namespace=namespace)

    @property
    def trace(self) -> Trace:
        """The layer statistics of the (first) model by step: see `Trace.to_dict`."""
        return self.observation.models[0].trace

    def diagnosis(self) -> Diagnosis:
        """Return the findings so far, causes first."""
        return Diagnosis(self.observation, started=self._started)

    def _repr_html_(self) -> str:
        return self.diagnosis()._repr_html_()


class Diagnosis:
    """Findings on one training; prints as a report, shows as HTML in notebooks.

    Attributes:
        observation: what they rest on.
        findings: worst first, causes before what follows from them.
        result: the same as the commands' results.
    """

    def __init__(self, observation: Observation, *, started: float) -> None:
        self.observation = observation
        self.findings: list[Finding] = diagnose_run(observation)
        numbers = result_of(observation, self.findings)
        self.result: Result = envelope(numbers, self.findings, {}, started)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole as strict-JSON containers."""
        return self.result.to_dict()

    def show(self, stream: TextIO | None = None) -> None:
        """Print the report (default: on stdout)."""
        Console(file=stream).print(self)

    def __rich__(self) -> RenderableType:
        return run_report.diagnose(self.result)

    def __str__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=100, no_color=True).print(self)
        return text.getvalue().rstrip()

    def _repr_html_(self) -> str:
        return self.result._repr_html_()
