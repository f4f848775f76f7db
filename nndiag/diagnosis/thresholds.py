"""Every threshold of the signal family, each with where it comes from."""

from __future__ import annotations

#: Backpropagated signal, first hidden layer over last. Zhang et al. 2021 (AutoTrainer) call
#: 1e-3 vanishing; our own depth sweep agrees: digits, sigmoid and Adam fall below 75 % test
#: accuracy at depth 6 (ratio 10^-2.5) and reach 20 % at depth 8 (10^-3.8).
RATIO_WARNING = 1e-3
#: At 1e-6 no optimizer of ours trains the network (docs/gradients.md).
RATIO_CRITICAL = 1e-6

#: Share of saturated (sample, unit) pairs in a layer; Ben Braiek & Khomh 2022 (TheDeepChecker)
#: flag a layer in which more than half of the units saturate.
SATURATED_WARNING = 0.5
#: Mean over the hidden layers.
SATURATED_CRITICAL = 0.7

#: Share of units that are off on every sample; SageMaker Debugger's DeadRelu flags a layer
#: with more than half of its units inactive.
DEAD_WARNING = 0.5
DEAD_CRITICAL = 0.9

#: Share of units that repeat the first one, weights and gradients (Goodfellow et al. 2016,
#: Deep Learning, section 8.4: initialisation must break the symmetry between units).
SYMMETRIC = 0.999

#: The weight gradients count as level while the signal shrinks or grows if their change a
#: layer (in decades) is under this share of the signal's.
LEVEL_SHARE = 0.25
