"""What each tool's reports mean in the words of nndiag: generously, one report may name several.

A report counts for a fault when any of its symptoms is the fault's. Reports of speed and style,
which say nothing of whether the network trains, are in `HINTS` and count neither for nor against
the tool.
"""

from __future__ import annotations

# By the start of the report, or by a part of it for torchdiag, whose lines begin with a layer.
MEANINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "torchmortem": {
        "Vanishing gradients detected": ("vanishing-gradients",),
        "Gradient stalling": ("vanishing-gradients", "untrained-parameters"),
        "Exploding gradients detected": ("exploding-gradients",),
        "Dead units": ("dead-units",),
        "Activation saturation": ("saturated-activations",),
        "Update ratio too low": ("learning-rate-too-low", "untrained-parameters"),
        "Update ratio too high": ("learning-rate-too-high",),
        "Training divergence detected": ("learning-rate-too-high", "wrong-direction"),
        "Loss plateau detected": ("stalled-loss", "underfitting"),
        "Weight norm explosion": ("learning-rate-too-high", "exploding-gradients"),
        "Stagnant weight norms": ("untrained-parameters", "learning-rate-too-low", "bad-schedule"),
        "Inter-layer weight norm imbalance": (),
        "High gradient noise": ("label-noise",),
        "Rank collapse": ("symmetric-units",),
    },
    "torch-audit": {
        "TA000": (),  # a validator of its own crashed
        "TA100": ("non-finite",),
        "TA102": ("exploding-gradients",),
        "TA103": ("dead-units", "vanishing-gradients", "untrained-parameters"),
        "TA104": ("untrained-parameters",),
        "TA105": ("dead-units",),
        "TA300": (),
        "TA301": ("unnormalised-input",),
        "TA302": ("unnormalised-input", "stalled-loss"),  # the input is constant
        "TA303": (),
        "TA304": ("wrong-mode",),  # batches too small for batch normalisation
        "TA305": (),
        "TA405": ("dead-units",),
        "TA500": ("untrained-parameters",),
        "TA501": ("wrong-mode",),
    },
    "torchdiag": {
        "exploding": ("exploding-gradients",),
        "vanishing": ("vanishing-gradients",),
        "disconnected": ("untrained-parameters",),
        "None gradients": ("untrained-parameters",),
        "neurons dead": ("dead-units",),
        "not finite": ("non-finite",),
        "No parameters changed": ("untrained-parameters", "learning-rate-too-low"),
        "FAILED": ("loss-output-mismatch",),  # the loss raises on the model's output
    },
}

# torch-audit: tensor cores, memory layout, device, precision; redundant bias, even kernels, AdamW
# rather than Adam, weight decay on biases, normalisations and embeddings.
HINTS = {
    "torch-audit": ("TA200", "TA201", "TA202", "TA203", "TA400", "TA401", "TA402", "TA403", "TA404")
}


def is_hint(tool: str, report: str) -> bool:
    return report.startswith(HINTS.get(tool, ()))


def symptoms(tool: str, report: str) -> tuple[str, ...]:
    """Return the symptoms that a report names, none where it has no counterpart."""
    for words, named in MEANINGS[tool].items():
        if words in report:
            return named
    raise KeyError(f"{tool} reports {report!r}: not in the table of meanings")
