"""Our own quiz questions, in the language in use."""

from __future__ import annotations

from nndiag.locales import _
from nndiag.schema.spec_quiz import Option, Question

_DEEP = {"depth": 20, "width": 64}


def questions() -> tuple[Question, ...]:
    """Return all of them."""
    return (*_signal(), *_cures(), *_rates_and_weights())


def _signal() -> tuple[Question, ...]:
    """Gradients of deep networks at initialisation."""
    return (
        Question(
            ask=_(
                "A network of 20 sigmoid layers, just initialised (Xavier). Which hidden "
                "layer gets the smallest gradient?"
            ),
            measure="output_grad_norm",
            pick="lowest",
            lesson="vanishing-gradients",
            base={**_DEEP, "act": "sigmoid", "init": "xavier_normal"},
            layers=("first", "middle", "last"),
        ),
        Question(
            ask=_(
                "Networks of 20 ReLU layers, just initialised. Whose gradient is as large in "
                "the first layer as in the last?"
            ),
            measure="grad_ratio",
            pick="nearest-1",
            lesson="initialisation",
            base={**_DEEP, "act": "relu"},
            options=(
                Option(label=_("PyTorch's default"), settings={"init": "torch"}),
                Option(label="Xavier", settings={"init": "xavier_normal"}),
                Option(label="He", settings={"init": "he_normal"}),
                Option(label="N(0, 1)", settings={"init": "normal"}),
            ),
            tolerance=0.3,
            seeds=5,
        ),
    )  # fmt: skip


def _cures() -> tuple[Question, ...]:
    """What makes a network learn, and what does nothing."""
    return (
        Question(
            ask=_(
                "The 20 sigmoid layers are trained on the digits, 200 steps. Which one change "
                "makes them learn?"
            ),
            measure="test_accuracy",
            lesson="batch-normalisation",
            base={**_DEEP, "act": "sigmoid", "init": "xavier_normal", "optimizer": "adam",
                  "lr": 0.003, "steps": 200},
            options=(
                Option(label=_("a larger learning rate, 0.03"), settings={"lr": 0.03}),
                Option(label=_("He's initialisation"), settings={"init": "he_normal"}),
                Option(label=_("batch normalisation"), settings={"norm": "batch"}),
                Option(label=_("gradient clipping at 1"), settings={"clip_norm": 1.0}),
            ),
            tolerance=0.05,
        ),
        Question(
            ask=_(
                "Three ReLU layers with He's initialisation, 300 steps of Adam. Does batch "
                "normalisation help here, by two points or more of test accuracy?"
            ),
            measure="test_accuracy",
            lesson="batch-normalisation",
            base={"depth": 3, "width": 32, "act": "relu", "optimizer": "adam", "steps": 300},
            options=(
                Option(label=_("yes, it helps"), settings={"norm": "batch"}),
                Option(label=_("no, it harms"), settings={"norm": "none"}),
            ),
            tie=_("neither: less than two points"),
            tolerance=0.02,
            seeds=5,
        ),
    )  # fmt: skip


def _rates_and_weights() -> tuple[Question, ...]:
    """Rates that diverge, weights that saturate, weights that go deep."""
    return (
        Question(
            ask=_(
                "Plain stochastic gradient descent on five ReLU layers, 100 steps. Which "
                "learning rate diverges?"
            ),
            measure="diverged",
            lesson="learning-rate-too-high",
            base={"depth": 5, "width": 32, "act": "relu", "optimizer": "sgd", "steps": 100},
            options=tuple(
                Option(label=f"{rate:g}", settings={"lr": rate})
                for rate in (0.01, 0.1, 0.5, 5.0)
            ),
        ),
        Question(
            ask=_(
                "Ten tanh layers, just initialised. With which weights are most outputs on the "
                "flat part of tanh?"
            ),
            measure="saturated_fraction",
            lesson="saturated-activations",
            base={"depth": 10, "width": 64, "act": "tanh"},
            options=(
                Option(label="Xavier", settings={"init": "xavier_normal"}),
                Option(label="He", settings={"init": "he_normal"}),
                Option(label="N(0, 1)", settings={"init": "normal"}),
            ),
        ),
        Question(
            ask=_(
                "Fifty tanh layers, 200 steps of Adam. Weights of the same variance: which "
                "learn more?"
            ),
            measure="test_accuracy",
            lesson="dynamical-isometry",
            base={"depth": 50, "width": 64, "act": "tanh", "optimizer": "adam", "lr": 3e-4,
                  "steps": 200},
            options=(
                Option(label=_("Gaussian weights"), settings={"init": "lecun_normal"}),
                Option(label=_("orthogonal weights"), settings={"init": "orthogonal"}),
            ),
            tie=_("no difference"),
        ),
    )  # fmt: skip
