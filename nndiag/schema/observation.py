"""What was seen of a user's own training: facts for the rules, on the host, without torch.

Axes: S recorded step, K recorded batch, C class. Series are thinned so that memory stays bounded;
the first value, the last, the extremes and the first that is not finite are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nndiag.schema.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Series:
    """Values of one quantity over the run.

    Attributes:
        steps: (S,) numbers of the optimizer step (from 1) that each value belongs to.
        values: (S,) float64; NaN and infinity are measured ones.
    """

    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, kw_only=True)
class ParameterRecord:
    """One parameter that took part in a forward pass, or belongs to a model that did.

    Attributes:
        name: dotted path in its model, such as `fc1.weight`.
        registered: it is among the model's parameters; False for a layer that the forward pass
            calls but `parameters()` does not list (kept in a plain Python list, say).
        trainable: `requires_grad` when last seen.
        held: an optimizer that stepped holds it.
        used: the module that owns it ran in a forward pass.
        gradient: a gradient was there at one step at least.
        signal: one of those gradients was not zero.
        loaded: its values came from a file or from another training (`load_state_dict`), or an
            earlier phase of this run trained it.
    """

    name: str
    size: int
    registered: bool = True
    trainable: bool = True
    held: bool = True
    used: bool = True
    gradient: bool = True
    signal: bool = True
    loaded: bool = False


@dataclass(frozen=True, kw_only=True)
class InputRecord:
    """The floating-point input of a model, over the training batches that were looked at.

    Attributes:
        batches, samples: how many were looked at.
        shape: of one sample.
        mean, std, low, high: over all entries that are finite.
        feature_means, feature_stds: (F,) by feature (last axis of a flat input, the channel of an
            image), over samples; at most 4,096 of them.
        constant: every sample equals every other one.
        non_finite: share of entries that are NaN or infinite.
        first_non_finite: step of the first batch with one, None for none.
    """

    batches: int
    samples: int
    shape: tuple[int, ...]
    mean: float
    std: float
    low: float
    high: float
    feature_means: np.ndarray
    feature_stds: np.ndarray
    constant: bool = False
    non_finite: float = 0.0
    first_non_finite: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """One model: a module that the script calls, outside any other.

    Attributes:
        name: the variable that holds it in the script, else the class name in lower case.
        kind: class name.
        trace: statistics of docs/statistics.md by step.
        training_passes: forward passes through which a gradient came back.
        training_passes_in_eval: those of them in evaluation mode.
        evaluation_passes: passes with gradients switched off.
        evaluation_passes_in_training: those of them in training mode.
        batch_norms, dropouts: names of such modules (dropouts: with a probability above 0).
        frozen_norms: batch normalisations that the script keeps in evaluation mode on purpose
            while the model itself trains.
        normalised: kind of normalisation between its layers: `batch`, `layer` or `none`.
        moved: its first trainable parameter is not what it was at first.
        time_profiles: layer that runs through time in one call -> (T,) norm of the gradient of its
            last output with respect to its input at each time step, at the first training pass.
        recurrent: it holds nn.RNN, nn.LSTM, nn.GRU or their cells.
        batch_sizes: size of a training batch -> how often.
        single_value_norms: training passes with one value a channel in a batch normalisation.
        input: None where no floating-point input was seen.
        output_shape: of a training batch.
        output_features: units of the output layer.
    """

    name: str
    kind: str
    trace: Trace
    parameters: tuple[ParameterRecord, ...] = ()
    training_passes: int = 0
    training_passes_in_eval: int = 0
    evaluation_passes: int = 0
    evaluation_passes_in_training: int = 0
    batch_norms: tuple[str, ...] = ()
    dropouts: tuple[str, ...] = ()
    frozen_norms: bool = False
    normalised: str = "none"
    moved: bool = True
    time_profiles: Mapping[str, np.ndarray] = field(default_factory=dict)
    recurrent: bool = False
    batch_sizes: Mapping[int, int] = field(default_factory=dict)
    single_value_norms: int = 0
    input: InputRecord | None = None
    output_shape: tuple[int, ...] = ()
    output_features: int | None = None


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """Gradient clipping through torch.nn.utils.

    Attributes:
        kind: `norm` or `value`.
        calls: how often it was called.
        share: share of the calls that shortened the gradient.
        limit: median limit.
        norm: median total norm (kind `value`: largest entry) before clipping.
    """

    kind: str
    calls: int
    share: float
    limit: float
    norm: float


#: Kind of the optimizer that stands for a script's own updates.
BY_HAND = "by hand"


@dataclass(frozen=True, kw_only=True)
class OptimizerRecord:
    """One optimizer that stepped, or that a learning-rate scheduler belongs to.

    Attributes:
        kind: class name; `by hand` for weights that the script moves itself.
        steps: steps taken.
        models: names of the models whose parameters it holds.
        options: numbers and switches of its first group (momentum, betas, weight_decay, ...).
        lr: largest rate of its groups by step; by hand the median size of a step over its gradient.
        loss: the loss whose backward pass came before each step (mean where there were several).
        gradient_norm: norm of all its gradients at each step, as the optimizer met them.
        update_ratio: norm of the step's change of all its weight matrices over their norm.
        foreign: parameters it holds that no model seen in a forward pass has.
        held: parameters it holds.
        leftover: share of its steps (the first aside) whose gradients still contained those of an
            earlier step: nothing cleared them in between.
        empty: steps taken with no gradient at all on any of its parameters.
        unbacked: steps taken with no backward pass since its last step.
        skipped: steps that a gradient scaler left out (overflow of float16).
        maximize: it climbs (`maximize=True` or a negative rate).
        clip: None where gradients were never clipped.
        schedulers: class name of each scheduler that stepped -> its calls of `step`.
    """

    kind: str
    steps: int
    models: tuple[str, ...] = ()
    options: Mapping[str, float | bool | None] = field(default_factory=dict)
    lr: Series = field(default_factory=Series)
    loss: Series = field(default_factory=Series)
    gradient_norm: Series = field(default_factory=Series)
    update_ratio: Series = field(default_factory=Series)
    foreign: int = 0
    held: int = 0
    leftover: float = 0.0
    empty: int = 0
    unbacked: int = 0
    skipped: int = 0
    maximize: bool = False
    clip: ClipRecord | None = None
    schedulers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LossRecord:
    """One way in which a loss was computed while training.

    Attributes:
        function: `cross_entropy`, `nll_loss`, `binary_cross_entropy`,
            `binary_cross_entropy_with_logits`, `mse_loss`, `l1_loss`, `smooth_l1_loss`,
            `huber_loss`, `kl_div`, `ctc_loss`, or `expression` for arithmetic of the user's.
        calls: how often.
        producer: what made the scores: `softmax`, `log_softmax`, `sigmoid`, `tanh`, `relu`,
            `linear` for a layer's raw output, else `other`.
        scores_shape, target_shape: of the last call; for an expression the shapes of the two
            operands of the difference, where they were broadcast.
        classes: number of classes for a classification loss, else None.
        negated: the backward pass started from minus this loss.
        broadcast: scores and target of different shapes were broadcast against each other.
        across: shape of the scores that a (log) softmax on the way to the loss normalises along
            axis 0, over the samples of a batch; None where none does.
        not_log_probabilities: share of calls of `nll_loss`, `kl_div` and `ctc_loss` whose scores
            are no log-probabilities.
        zero_scores: share of scores that are exactly zero (a relu on the output).
        target_low, target_high: smallest and largest target, NaN where unknown.
    """

    function: str
    calls: int
    producer: str = "other"
    scores_shape: tuple[int, ...] = ()
    target_shape: tuple[int, ...] = ()
    classes: int | None = None
    negated: bool = False
    broadcast: bool = False
    across: tuple[int, ...] | None = None
    not_log_probabilities: float = 0.0
    zero_scores: float = 0.0
    target_low: float = float("nan")
    target_high: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """Labels that the training loss met.

    Attributes:
        classes: C; 0 for a regression.
        counts: (C,) how often each label came; for a regression count, sum and sum of squares.
        batch_counts: (K, C) the same by batch, for at most 512 batches from the start, in order;
            for a regression (K, 3). Empty unless `single`.
        single: each sample has one label (False for sequences or images of labels).
        mean_squared: the loss is the mean squared error of these targets and nothing else.
    """

    classes: int
    counts: np.ndarray
    batch_counts: np.ndarray
    single: bool = True
    mean_squared: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Losses with gradients switched off between two steps, on one set of samples.

    Attributes:
        step: optimizer steps taken before it.
        samples: how many labels.
        loss: mean loss, NaN where the script computed none.
        accuracy: share of right answers, NaN where it is no classification.
        seen: share of its samples that were in training batches; NaN where unknown.
    """

    step: int
    samples: int
    loss: float = float("nan")
    accuracy: float = float("nan")
    seen: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class ErrorRecord:
    """The exception that ended the script.

    Attributes:
        step: optimizer steps taken before it.
        layer: the module that was running, None for none.
    """

    kind: str
    message: str
    step: int
    layer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Everything that was seen of one run.

    Attributes:
        backwards: backward passes.
        in_turns: several optimizers step in turns, as players of a game do.
        passes_without_gradient: calls of models with gradients switched off.
        evaluations: in order.
        accuracy: of the training batches by step, where the loss is a classification's.
        training_samples: distinct samples that training met, None where they were not counted.
        stopped: ended by us after the steps asked for.
        interrupted: ended by Ctrl-C.
        notes: what could not be seen, and why: sentences.
    """

    steps: int
    backwards: int
    seconds: float
    models: tuple[ModelRecord, ...] = ()
    optimizers: tuple[OptimizerRecord, ...] = ()
    losses: tuple[LossRecord, ...] = ()
    labels: LabelRecord | None = None
    evaluations: tuple[Evaluation, ...] = ()
    accuracy: Series = field(default_factory=Series)
    training_samples: int | None = None
    error: ErrorRecord | None = None
    stopped: bool = False
    interrupted: bool = False
    passes_without_gradient: int = 0
    in_turns: bool = False
    notes: tuple[str, ...] = ()
