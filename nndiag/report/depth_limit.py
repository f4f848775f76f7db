"""What `nndiag depth-limit` prints and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from nndiag.locales import _, localised
from nndiag.report.columns import Column
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, percent
from nndiag.report.panels import Line, Panel
from nndiag.report.principle_parts import Lines, Row, View, column, share, table, within
from nndiag.report.prose import sentence
from nndiag.schema.result import Interval, Result

#: The pair with one mean field and two spectra.
_PAIR = ("tanh-gaussian", "tanh-orthogonal")


def depth_limit(result: Result) -> RenderableType:
    """Return what `nndiag depth-limit` prints."""
    return View(result, _parts)


def _parts(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found, spec = result.result, result.spec
    if found["rows"]:
        title = _(
            "Plain networks on {data}, width {width}, {steps} steps of Adam, no skips [95 % over "
            "seeds]"
        ).format(data=found["data"], width=spec["width"], steps=spec["steps"])
        yield table(title, _columns(found["rows"], spec["width"]), width, glyphs)
    pair = _pair(found["rows"])
    if pair:
        title = _(
            "Spread of the {depth}-layer Jacobian after so many layers: Var[s^2] / E[s^2]^2"
        ).format(depth=pair[0]["depth"])
        yield table(title, _spread_columns(pair), width, glyphs)
    if found["interrupted"]:
        text = _("Interrupted: only what was complete is shown.")
        yield sentence(glyphs.text(text), width, style="yellow")


def _columns(rows: Sequence[Row], width: int) -> list[Column]:
    gradient = _("gradient x")
    return [
        column(_("method"), rows, lambda row: row["method"], left=True),
        column(_("layers"), rows, lambda row: str(row["depth"])),
        column(_("test %"), rows, lambda row: _accuracy(row["test_accuracy"])),
        column(_("lr"), rows, lambda row: compact(row["lr"], 2)),
        column(
            _("measured"), rows, lambda row: compact(row["gradient_change"].mean), group=gradient
        ),
        column(_("theory"), rows, _theory, group=gradient),
        column(
            _("of {width}").format(width=width),
            rows,
            lambda row: localised(f"{row['directions'].mean:.1f}"),
            group=_("directions"),
        ),
        column(_("s"), rows, lambda row: compact(row["seconds"], 2)),
        column(_("init"), rows, lambda row: row["init"], left=True, rank=1),
    ]


def _accuracy(number: Interval) -> str:
    return percent(number.mean) if number.low == number.high else share(number)


def _theory(row: Row) -> str:
    expected = row.get("predicted_gradient_change")
    return "-" if expected is None else compact(expected)


def _pair(rows: Sequence[Row]) -> list[Row]:
    """Return the Gaussian and the orthogonal row of the greatest depth that has both."""
    tried = [{row["depth"]: row for row in rows if row["method"] == name} for name in _PAIR]
    common = sorted(tried[0].keys() & tried[1].keys())
    return [by_depth[common[-1]] for by_depth in tried] if common else []


def _spread_columns(pair: Sequence[Row]) -> list[Column]:
    layers = pair[0]["layers"]
    columns = [column(_("layers"), layers, str)]
    for row in pair:
        measured, theory = row["spread"], row.get("predicted_spread")
        places = range(len(layers))
        columns += [
            Column(
                title=_("measured"),
                cells=tuple(within(measured[place]) for place in places),
                group=row["method"],
            ),
            Column(
                title=_("theory"),
                cells=tuple("-" if theory is None else compact(theory[place]) for place in places),
                group=row["method"],
            ),
        ]
    return columns


def panels(result: Result) -> Iterator[Panel]:
    """Yield accuracy and gradient by depth, then spread and directions by layer."""
    rows = result.result["rows"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    own = {name: [row for row in rows if row["method"] == name] for name in methods}
    yield Panel(
        title=_("Test accuracy by depth"),
        lines=[
            _line(_depths(rows), [row["test_accuracy"] for row in rows], name, place, 100)
            for place, (name, rows) in enumerate(own.items())
        ],
        x_name=_("layers"),
        y_name=_("test accuracy (%)"),
        log_x=True,
    )
    yield Panel(
        title=_("Change of the gradient from the last hidden layer to the first"),
        lines=[
            _line(_depths(rows), [row["gradient_change"] for row in rows], name, place)
            for place, (name, rows) in enumerate(own.items())
        ],
        x_name=_("layers"),
        log_x=True,
        log_y=True,
    )
    deepest = {name: rows[-1] for name, rows in own.items()}
    yield Panel(
        title=_("Spread of squared singular values by layer; dashed: theory"),
        lines=[
            line
            for place, (name, row) in enumerate(deepest.items())
            if name in _PAIR
            for line in _spreads(row, name, place)
        ],
        x_name=_("layers"),
        y_name=_("Var[s^2] / E[s^2]^2"),
        log_x=True,
        log_y=True,
    )
    yield Panel(
        title=_("Directions that carry the gradient"),
        lines=[
            _line(row["layers"], row["directions_by_layer"], name, place)
            for place, (name, row) in enumerate(deepest.items())
        ],
        x_name=_("layers"),
        y_name=_("of {width}").format(width=result.spec["width"]),
        log_x=True,
    )


def _depths(rows: Sequence[Row]) -> list[int]:
    return [row["depth"] for row in rows]


def _line(
    x: Sequence[int], numbers: Sequence[Interval], name: str, place: int, scale: float = 1
) -> Line:
    return Line(
        x=x,
        y=[scale * number.mean for number in numbers],
        low=[scale * max(number.low, 0.0) for number in numbers],
        high=[scale * number.high for number in numbers],
        name=name,
        colour=place,
    )


def _spreads(row: Mapping[str, Any], name: str, place: int) -> Iterator[Line]:
    yield _line(row["layers"], row["spread"], name, place)
    if "predicted_spread" in row:
        yield Line(x=row["layers"], y=list(row["predicted_spread"]), dashed=True, colour=place)
