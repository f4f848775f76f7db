"""A callback for the Trainer of transformers."""

from __future__ import annotations

import sys
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nndiag.integrations.loop import Diagnosis, Watch


class DiagnosisCallback(TrainerCallback):
    """Watches `train` and prints a diagnosis at its end.

        Trainer(model, args, callbacks=[DiagnosisCallback()], ...)

    Args:
        every: record layer statistics at each so-many-th step.
        show: print the diagnosis on stderr when `train` ends.

    Attributes:
        diagnosis: what was found, None before the end of `train`.
    """

    def __init__(self, *, every: int = 1, show: bool = True) -> None:
        self._every, self._show = every, show
        self._watch: Watch | None = None
        self.diagnosis: Diagnosis | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Begin to watch."""
        self._watch = Watch(kwargs["model"], every=self._every).start()

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Say what was found."""
        if self._watch is None:
            return
        self._watch.stop()
        self.diagnosis = self._watch.diagnosis()
        self._watch = None
        if self._show:
            self.diagnosis.show(sys.stderr)
