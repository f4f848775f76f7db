from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from nndiag.schema.result import Result

_RENDER = """
import sys
from pathlib import Path
from rich.console import Console
from nndiag.report import live, plot, screenshot, tables
from nndiag.schema.result import Result
assert not {"torch", "matplotlib", "plotly"} & sys.modules.keys(), "at import"
plot.check_path("figure.png"), plot.check_path("figure.html")
result = Result.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
Console().print(tables.gradients(result))
screenshot.terminal_svg(tables.gradients(result), title="nndiag")
assert not {"torch", "matplotlib", "plotly"} & sys.modules.keys(), "after the tables"
plot.write(result, Path(sys.argv[1]).with_suffix(".svg"))
plot.write(result, Path(sys.argv[1]).with_suffix(".html"))
assert not {"torch", "matplotlib.pyplot"} & sys.modules.keys(), "after the figures"
"""


def test_a_saved_result_is_shown_without_torch(
    tmp_path: Path, make_result: Callable[..., Result]
) -> None:
    saved = tmp_path / "result.json"
    saved.write_text(make_result(trained=True).to_json(), encoding="utf-8")
    command = [sys.executable, "-W", "error", "-c", _RENDER, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "vanishing-gradients" in done.stdout
