"""Questions of a quiz: what is asked, what is measured, and what then counts as right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError, unknown_name
from nndiag.schema.spec import DEVICES, require_choice, require_range
from nndiag.schema.spec_sweep import METRICS

#: Measured after training: the metrics of a sweep, and the share of trainings that diverge.
TRAINED = (*METRICS, "diverged")
#: Measured at initialisation for a whole network.
AT_START = ("grad_ratio", "decay_per_layer", "saturated_fraction", "dead_fraction")
#: Measured at initialisation for single layers, with `layers`.
OF_LAYERS = ("output_grad_norm", "weight_grad_norm", "activation_std", "saturated_fraction")
#: Compared by their ratio: tolerances are in decades.
LOGARITHMIC = ("grad_ratio", "decay_per_layer", "output_grad_norm", "weight_grad_norm")
PICKS = ("highest", "lowest", "nearest-1")
#: Hidden layers by name.
LAYERS = ("first", "middle", "last")
_MOST_OPTIONS = 8


@dataclass(frozen=True, kw_only=True)
class Option:
    """One answer to choose.

    Attributes:
        settings: of its training, by axis name, besides those of the question.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question; which option is right is measured, never stored.

    Attributes:
        ask: the question.
        measure: of TRAINED, AT_START, or with `layers` of OF_LAYERS.
        pick: which option is right: that with the highest or lowest measure, or nearest to 1.
        lesson: name of the lesson behind it.
        base: settings that all options share, by axis name.
        options: what can be answered; for `layers` the layers of one network.
        layers: names of LAYERS.
        tolerance: options within this of the best one are right, too (decades for LOGARITHMIC).
        tie: label of a further option, right where the best two are within the tolerance.
        seeds: trainings or networks of each option.
    """

    ask: str
    measure: str
    lesson: str
    pick: str = "highest"
    base: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[Option] = ()
    layers: Sequence[str] = ()
    tolerance: float = 0.02
    tie: str = ""
    seeds: int = 3

    def __post_init__(self) -> None:
        known = OF_LAYERS if self.layers else (*TRAINED, *AT_START)
        require_choice("measure", self.measure, known)
        require_choice("pick", self.pick, PICKS)
        require_range("tolerance", self.tolerance, 0)
        require_range("seeds", self.seeds, 1, 100)
        for name in self.layers:
            require_choice("layers", name, LAYERS)
        if self.layers and self.options:
            raise UsageError(_("give options or layers, not both"))
        count = len(self.labels)
        if not 2 <= count <= _MOST_OPTIONS or len(set(self.labels)) < count:
            raise UsageError(
                _("got {count} options; accepted: 2 to {most} with different labels").format(
                    count=count, most=_MOST_OPTIONS
                )
            )

    @property
    def labels(self) -> list[str]:
        """What can be answered, in order; a tie comes last."""
        given = [one.label for one in self.options] or list(self.layers)
        return [*given, self.tie] if self.tie else given

    def place(self, reply: str, option: str = "--answer") -> int:
        """Return the place of an answer: a letter from a, or a label.

        Raises:
            UsageError: it is neither.
        """
        text = reply.strip().lower()
        letters = "abcdefghi"[: len(self.labels)]
        if len(text) == 1 and text in letters:
            return letters.index(text)
        lowered = [label.lower() for label in self.labels]
        if text in lowered:
            return lowered.index(text)
        raise unknown_name(option, reply.strip(), list(letters), _("the words of an answer"))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class QuizSpec:
    """A set of questions with the answers that were given.

    Attributes:
        source: `built-in`, or the name of the file.
        replies: labels in the order of the questions; None was skipped.
    """

    title: str
    source: str
    questions: Sequence[Question]
    replies: Sequence[str | None] = ()
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        require_choice("--device", self.device, DEVICES)
        require_range("--seed", self.seed, 0, 2**62)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
