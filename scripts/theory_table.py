"""Print log10(decay_per_layer), predicted / measured, for every activation and initialisation.

    python scripts/theory_table.py [--seeds 10] [--depth 20] [--width 128]

A cell with an asterisk is one that the tool itself marks as unreliable.
"""

from __future__ import annotations

import argparse
import math

import torch

from nndiag import datasets
from nndiag.diagnosis import measures
from nndiag.schema.spec import DataSpec, NetworkSpec
from nndiag.training import initial, prediction

ACTIVATIONS = (
    *("sigmoid", "tanh", "relu", "leaky_relu", "elu"),
    *("selu", "gelu", "silu", "softsign", "linear"),
)
INITIALISATIONS = ("normal", "torch", "xavier_normal", "he_normal", "lecun_normal")
NORMALISED = ("sigmoid", "tanh", "relu", "elu", "selu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    splits = datasets.load(DataSpec())
    failures = 0

    def cell(act: str, init: str, norm: str = "none") -> str:
        nonlocal failures
        spec = NetworkSpec(act=act, init=init, norm=norm, depth=options.depth, width=options.width)
        trace = initial.measure(
            spec,
            splits,
            seeds=range(options.seeds),
            batch_size=128,
            device=torch.device("cpu"),
        )
        factors = measures.factor(measures.signal(trace))
        measured = sum(math.log10(factor) for factor in factors) / len(factors)
        predicted = prediction.predict(spec, splits)
        slope = math.log10(predicted.decay_per_layer)
        base = 0.02 if norm == "batch" else 0.03 if init == "normal" else 0.012
        bound = base if norm == "batch" else max(base, 0.1 * abs(slope))
        reliable = predicted.summary()["status"] == "reliable"
        wrong = reliable and abs(slope - measured) > bound
        failures += wrong
        return f"{slope:+.3f}/{measured:+.3f}{'' if reliable else '*'}{' !' if wrong else ''}"

    print(f"| activation | {' | '.join(INITIALISATIONS)} | batch norm |")
    print("|---" * (len(INITIALISATIONS) + 2) + "|")
    for act in ACTIVATIONS:
        cells = [cell(act, init) for init in INITIALISATIONS]
        normalised = cell(act, "xavier_normal", "batch") if act in NORMALISED else ""
        print(f"| {act} | {' | '.join(cells)} | {normalised} |", flush=True)
    print(f"\n{failures} cells outside the stated bounds (marked !)")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
