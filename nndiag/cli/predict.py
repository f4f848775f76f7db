"""`nndiag predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.cli.display import display
from nndiag.cli.outcome import INTERRUPTED_EXIT, Outputs
from nndiag.locales import _
from nndiag.schema.errors import UsageError


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_("File that --save wrote."))],
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help=_("Images, or one image."))],
    json: options.JsonPath = None,
    plot: options.PlotPath = None,
    report: options.ReportPath = None,
    lang: options.Language = None,
) -> int:
    outputs = Outputs(json=json, plot=plot, report=report)
    for place, path in (("MODEL", model), ("FOLDER", folder)):
        if not Path(path).exists():
            raise UsageError(_("{place}: there is no '{path}'").format(place=place, path=path))

    from nndiag.experiments import predict as experiment
    from nndiag.report import predictions

    with display() as shown:
        result = experiment.run(model, folder, watch=shown)
    code = outputs.deliver(result, predictions.predictions(result))
    return INTERRUPTED_EXIT if result.result["interrupted"] else code
