"""The table of `nndiag transfer --backbone list`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from nndiag.locales import _
from nndiag.report.columns import Column, body, heading
from nndiag.report.numbers import compact, count

if TYPE_CHECKING:
    from nndiag.zoo.backbones import Backbone


def table(rows: Sequence[Backbone]) -> RenderableType:
    """Return name, parameters, ImageNet accuracy and input size of every backbone."""
    accuracy = ["-" if row.top1 is None else compact(row.top1, 3) for row in rows]
    columns = [
        Column(title=_("backbone"), cells=tuple(row.name for row in rows), left=True),
        Column(title=_("parameters"), cells=tuple(count(row.parameters) for row in rows)),
        Column(title=_("ImageNet %"), cells=tuple(accuracy)),
        Column(title=_("pixels"), cells=tuple(count(row.crop) for row in rows)),
    ]
    return Group(*heading(columns), *(body(columns, row) for row in range(len(rows))))
