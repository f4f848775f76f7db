"""`nndiag play`."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated

import typer

from nndiag.cli import options
from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import require_range


def play(
    port: Annotated[int, typer.Option(help=_("Port of the page; 0 takes a free one."))] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help=_("Open the page in your browser."))
    ] = True,
    data: Annotated[
        str, typer.Option(help=_("spirals, moons, circles, xor, blobs or digits, to begin with."))
    ] = "spirals",
    depth: Annotated[int, typer.Option(help=_("Weight layers, to begin with."))] = 6,
    width: Annotated[int, typer.Option(help=_("Units of a hidden layer, to begin with."))] = 32,
    act: Annotated[str, typer.Option(help=_("Activation, to begin with."))] = "tanh",
    seed: options.Seed = 0,
    device: options.Device = "auto",
    lang: options.Language = None,
) -> int:
    require_range("--port", port, 0, 65_535)
    from nndiag.play.settings import DATA, MOST_DEPTH, MOST_WIDTH, Settings
    from nndiag.schema.errors import unknown_name

    if data not in DATA:
        raise unknown_name("--data", data, DATA)
    require_range("--depth", depth, 2, MOST_DEPTH)
    require_range("--width", width, 2, MOST_WIDTH)
    settings = Settings(data=data, depth=depth, width=width, act=act, seed=seed, device=device)
    settings.spec()
    if importlib.util.find_spec("nicegui") is None:
        raise UsageError(_("play needs NiceGUI: pip install 'nndiag[web]'"))
    from nndiag.play import server

    def told(address: str) -> None:
        text = _("playground: {address} (Ctrl-C ends it)").format(address=address)
        print(text, file=sys.stderr, flush=True)

    server.serve(settings, port=port, browse=browser, told=told)
    return 0
