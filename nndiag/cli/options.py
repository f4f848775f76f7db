"""Options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nndiag.locales import _

JsonPath = Annotated[
    Path | None,
    typer.Option("--json", metavar="PATH", help=_("Write the result as JSON ('-': stdout).")),
]
PlotPath = Annotated[
    Path | None,
    typer.Option("--plot", metavar="PATH", help=_("Draw the figure: png, svg, pdf or html.")),
]
ReportPath = Annotated[
    Path | None,
    typer.Option("--report", metavar="PATH", help=_("Write a page to read and keep: html.")),
]
Seed = Annotated[int, typer.Option(help=_("First seed; the run repeats exactly."))]
Device = Annotated[str, typer.Option(help=_("auto, cpu, cuda or mps."))]
Language = Annotated[
    str | None, typer.Option("--lang", metavar="en|fr", help=_("Language of the output."))
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="warning|critical",
        help=_("Exit with code 3 when a finding is at least this severe."),
    ),
]
DataName = Annotated[
    str, typer.Option("--data", help=_("Data set: a name, or a CSV or NPZ file of your own."))
]
DataRoot = Annotated[
    str | None, typer.Option("--data-root", help=_("Folder of downloaded data sets."))
]
Target = Annotated[
    str | None, typer.Option(help=_("Column (CSV) or array (NPZ) that holds the labels."))
]

Net = Annotated[str, typer.Option(help=_("mlp, cnn, rnn, lstm or gru."))]
Depth = Annotated[
    int | None,
    typer.Option(
        help=_(
            "Weight layers, the output layer included (default 20; compare-optimizers 3). "
            "Recurrent nets: stacked recurrent layers (default 1)."
        )
    ),
]
Width = Annotated[
    int | None,
    typer.Option(
        help=_("Units of a hidden layer (default 128; comparisons 64 and 32; cnn channels 32).")
    ),
]
Act = Annotated[
    str | None,
    typer.Option(
        help=_(
            "Activation: a name such as relu or leaky_relu:0.2, or package.module:Name "
            "(default sigmoid; compare-optimizers and cnn relu; rnn tanh)."
        )
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        help=_(
            "Initialisation, such as he_normal, normal:0.1 or orthogonal:1.05 (default: "
            "what the literature matches to the activation)."
        )
    ),
]
Norm = Annotated[str, typer.Option(help=_("none, batch or layer."))]
