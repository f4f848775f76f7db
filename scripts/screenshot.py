"""Draw docs/images/gradients.svg, the picture in the README, from the command's own output.

python scripts/screenshot.py
"""

from __future__ import annotations

from pathlib import Path

from nndiag.experiments import gradients
from nndiag.report import tables
from nndiag.report.screenshot import terminal_svg
from nndiag.schema.spec import GradientsSpec, NetworkSpec

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def main() -> None:
    spec = GradientsSpec(network=NetworkSpec(depth=20, act="sigmoid", init="xavier_uniform"))
    view = tables.gradients(gradients.run(spec))
    title = "nndiag gradients --depth 20 --act sigmoid"
    (IMAGES / "gradients.svg").write_text(terminal_svg(view, title=title), encoding="utf-8")


if __name__ == "__main__":
    main()
