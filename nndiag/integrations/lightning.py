"""A callback for Lightning's Trainer."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from nndiag.integrations.loop import Diagnosis, Watch


class DiagnosisCallback(Callback):
    """Watches `fit` and prints a diagnosis at its end.

        trainer = Trainer(callbacks=[DiagnosisCallback()])

    Args:
        every: record layer statistics at each so-many-th step.
        show: print the diagnosis on stderr when `fit` ends.

    Attributes:
        diagnosis: what was found, None before the end of `fit`.
    """

    def __init__(self, *, every: int = 1, show: bool = True) -> None:
        self._every, self._show = every, show
        self._watch: Watch | None = None
        self.diagnosis: Diagnosis | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch."""
        self._watch = Watch(pl_module, every=self._every).start()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what was found."""
        self._finish()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say what was found until then."""
        self._finish()

    def state_dict(self) -> dict[str, Any]:
        """Nothing of it belongs into a checkpoint."""
        return {}

    def _finish(self) -> None:
        if self._watch is None:
            return
        self._watch.stop()
        self.diagnosis = self._watch.diagnosis()
        self._watch = None
        if self._show:
            self.diagnosis.show(sys.stderr)
