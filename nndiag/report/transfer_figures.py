"""What `--plot` draws for `nndiag transfer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nndiag.locales import _
from nndiag.report import transfer_kinds
from nndiag.report.panels import Line, Panel
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]
_WHOLE = (-3.0, 103.0)  # per cent, with room for markers


def panels(result: Result) -> Iterator[Panel]:
    """Yield learning curves, accuracy by labels and by layer, gradients and movement of blocks.

    A strategy has the same colour everywhere. Other kinds of transfer have panels of their own.
    """
    if "load" in result.spec or result.spec["kind"] != "inductive":
        yield from transfer_kinds.panels(result)
        return
    found = result.result
    rows = [row for row in found["rows"] if row["first_frozen"] is None]
    colours = {name: k for k, name in enumerate(dict.fromkeys(row["strategy"] for row in rows))}
    yield from _learning(found["curves"], colours)
    yield from _budget(rows, colours)
    yield from _by_layer([row for row in found["rows"] if row["first_frozen"] is not None])
    first = rows[0]["labels_per_class"] if rows else None
    blocks = [
        one
        for one in found["blocks"]
        if one["strategy"] in colours and one["labels_per_class"] == first
    ]
    if blocks:
        yield _blocks(
            blocks,
            colours,
            "gradient_norm",
            _("Gradient of each block"),
            _("root mean square norm"),
        )
        yield _blocks(
            blocks,
            colours,
            "moved",
            _("How far each block moved"),
            _("norm of the change / norm of the start"),
        )


def _learning(curves: Sequence[Row], colours: Mapping[str, int]) -> Iterator[Panel]:
    for labels in dict.fromkeys(one["labels_per_class"] for one in curves):
        yield Panel(
            title=_("Validation accuracy, {labels} labels a class").format(labels=labels),
            x_name=_("epoch"),
            y_name=_("accuracy (%)"),
            y_limits=_WHOLE,
            lines=[
                _band(one["strategy"], range(len(one["accuracy"])), one["accuracy"], colours)
                for one in curves
                if one["labels_per_class"] == labels and one["strategy"] in colours
            ],
        )


def _budget(rows: Sequence[Row], colours: Mapping[str, int]) -> Iterator[Panel]:
    several = list(by_labels(rows))
    if several:
        yield Panel(
            title=_("Test accuracy against labels"),
            x_name=_("labels a class"),
            y_name=_("accuracy (%)"),
            y_limits=_WHOLE,
            log_x=True,
            lines=[_band(name, x, y, colours) for name, x, y in several],
        )


def _by_layer(rows: Sequence[Row]) -> Iterator[Panel]:
    if rows:
        places = range(1, len(rows) + 1)
        yield Panel(
            title=_("By layer: the first blocks frozen, the others fine-tuned"),
            ticks=[str(row["first_frozen"]) for row in rows],
            x_name=_("frozen blocks"),
            y_name=_("test accuracy (%)"),
            lines=[_band("", places, [row["test_accuracy"] for row in rows], {})],
        )


def _blocks(
    blocks: Sequence[Row], colours: Mapping[str, int], key: str, title: str, y_name: str
) -> Panel:
    names = list(dict.fromkeys(one["block"] for one in blocks))
    lines = []
    for strategy in dict.fromkeys(one["strategy"] for one in blocks):
        of_one = [one for one in blocks if one["strategy"] == strategy]
        lines.append(
            Line(
                x=[names.index(one["block"]) + 1 for one in of_one],
                y=[one[key].mean for one in of_one],
                low=[one[key].low for one in of_one],
                high=[one[key].high for one in of_one],
                name=strategy,
                colour=colours[strategy],
            )
        )
    return Panel(
        title=title, ticks=names, x_name=_("block"), y_name=y_name, log_y=True, lines=lines
    )


def by_labels(rows: Sequence[Row]) -> Iterator[tuple[str, list[float], list[Interval]]]:
    """Yield strategy, numbers of labels and accuracies where there are several numbers."""
    for name in dict.fromkeys(row["strategy"] for row in rows):
        of_name = [row for row in rows if row["strategy"] == name]
        if len(of_name) > 1:
            x = [row["labels_per_class"] for row in of_name]
            yield name, x, [row["test_accuracy"] for row in of_name]


def _band(name: str, x: Sequence[float], y: Sequence[Interval], colours: Mapping[str, int]) -> Line:
    return Line(
        x=list(x),
        y=[100 * number.mean for number in y],
        low=[100 * number.low for number in y],
        high=[100 * number.high for number in y],
        name=name,
        colour=colours.get(name, 0),
    )


DRAWINGS = {"transfer": panels}
