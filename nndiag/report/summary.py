"""The layer table of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _, localised
from nndiag.report.columns import Column, body, fit, heading, total_width
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import count, fixed, widest
from nndiag.report.panels import Line, Panel
from nndiag.report.prose import labelled, sentence
from nndiag.schema.result import Result

#: Unless a depth is asked for, as many levels are opened as leave at most this many rows.
_PAGE = 60
_NAME_LEAST, _NAME_LONG = 20, 24
_UNITS = ("", "k", "M", "G", "T", "P")
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_Row = Mapping[str, Any]


def summary(result: Result) -> RenderableType:
    """Return what `nndiag summary` prints, as wide as the console it is printed on."""
    return _Summary(result)


@dataclass(frozen=True)
class _Summary:
    result: Result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs, width = glyphs_for(options.ascii_only), options.max_width
        numbers = self.result.result
        depths = _depths(self.result)
        yield from _header(numbers, width, glyphs)
        yield Text()
        shown = _shown(numbers["rows"], depths[0])
        yield from _table(shown, numbers["totals"], width, glyphs)
        yield Text()
        yield from _caption(numbers, shown, depths, width, glyphs)


def panels(result: Result) -> Iterator[Panel]:
    """Yield parameters and operations of the layers that the table shows."""
    shown = _shown(result.result["rows"], _depths(result)[0])
    for title, key in ((_("parameters"), "parameters"), ("FLOPs", "flops")):
        held = [line for line in shown if getattr(line, key)]
        yield Panel(
            title=title,
            x_name=title,
            log_x=True,
            down=[str(line.row["label"]) for line in held],
            lines=[
                Line(
                    x=[getattr(line, key) for line in held],
                    y=list(range(1, len(held) + 1)),
                    dots=True,
                )
            ],
        )


@dataclass(frozen=True)
class _Shown:
    """A module in the table, and the numbers beside it, which add up from line to line.

    What is opened shows what it has outside of its parts.
    """

    row: _Row
    parameters: int
    flops: int


def _shown(rows: Sequence[_Row], depth: int) -> list[_Shown]:
    found = []
    for row in rows:
        closed = row["leaf"] or row["depth"] == depth
        kinds = ("parameters", "flops") if closed else ("own_parameters", "own_flops")
        line = _Shown(row, *(row[kind] for kind in kinds))
        # The network itself is the last line, unless something is in none of its parts.
        if row["depth"] <= depth and (row["depth"] or row["leaf"] or line.parameters or line.flops):
            found.append(line)
    return found


def _depths(result: Result) -> tuple[int, int]:
    """Return how deep the table goes (unless asked, as far as a page holds) and how deep it is."""
    rows: Sequence[_Row] = result.result["rows"]
    deepest = max(1, *(row["depth"] for row in rows))
    fitting = [
        depth
        for depth in range(1, deepest + 1)
        if sum(row["depth"] <= depth for row in rows) <= _PAGE
    ]
    return min(result.spec["depth"] or max(fitting, default=1), deepest), deepest


def _header(numbers: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    model = [str(numbers["model"])]
    if numbers["kind"] != "Sequential":
        model.append(str(numbers["kind"]))
    if numbers["top1"] is not None:
        accuracy = localised(f"{numbers['top1']:.1f}")
        model.append(_("{accuracy} % on ImageNet").format(accuracy=accuracy))
    shapes = f"{_shape(numbers['input_shape'])} \u2192 {_shape(numbers['output_shape'])}"
    pairs = ((_("model"), " \u00b7 ".join(model)), (_("input"), shapes))
    margin = widest(label for label, _text in pairs) + 2
    for label, text in pairs:
        yield from labelled(label, glyphs.text(text), width, margin=margin)


def _shape(shape: Sequence[int] | None) -> str:
    return "-" if shape is None else "\u00d7".join(str(size) for size in shape)


def _table(
    shown: Sequence[_Shown], totals: Mapping[str, Any], width: int, glyphs: Glyphs
) -> Iterator[Text]:
    rows = [line.row for line in shown]
    names = tuple(glyphs.text(_indented(row)) for row in rows)
    columns = [
        Column(title=_("layer"), cells=(*names, _("total")), left=True, shrinks_to=_NAME_LEAST),
        Column(title=_("kind"), cells=(*map(_kind, rows), ""), left=True, rank=3),
        Column(
            title=_("output shape"),
            cells=(*(glyphs.text(_shape(row["output_shape"])) for row in rows), ""),
            left=True,
            rank=1,
        ),
        Column(
            title=_("parameters"),
            cells=(
                *(count(line.parameters) if line.parameters else "" for line in shown),
                count(totals["parameters"]),
            ),
        ),
        Column(
            title=_("trainable"),
            cells=(
                *(_trains(line.row) if line.parameters else "" for line in shown),
                _trains(totals),
            ),
            rank=2,
        ),
        Column(
            title="FLOPs",
            cells=(
                *(operations(line.flops) if line.flops else "" for line in shown),
                operations(totals["flops"]),
            ),
        ),
    ]
    chosen = fit(columns, width, gap=1)
    yield from heading(chosen, gap=1)
    for place in range(len(shown)):
        yield body(chosen, place, gap=1)
    yield Text(glyphs.rule * total_width(chosen, 1), style="dim")
    last = body(chosen, len(shown), gap=1)
    last.stylize("bold")
    yield last


def _indented(row: _Row) -> str:
    """Return a name as torch has it, its last part alone where that is long."""
    level, name = max(0, row["depth"] - 1), str(row["label"])
    if level > 1 and len(name) > _NAME_LONG:
        name = name.rpartition(".")[2]
    return "  " * level + name


def _kind(row: _Row) -> str:
    """Return the class, without what torch's own name of attention's last layer has too much."""
    return str(row["kind"]).replace("NonDynamicallyQuantizable", "")


def _trains(row: _Row) -> str:
    trainable, parameters = row["trainable_parameters"], row["parameters"]
    if trainable == parameters:
        return _("yes") if parameters else ""
    return _("part") if trainable else _("no")


def operations(number: float) -> str:
    """Return a number of operations with three digits: `450`, `3.70 M`, `30.9 G`."""
    return _scaled(number, 1000, _UNITS)


def _scaled(number: float, step: int, units: Sequence[str]) -> str:
    place = 0
    while number >= step - 0.5 and place < len(units) - 1:
        number, place = number / step, place + 1
    if place == 0:
        return f"{number:.0f} {units[0]}".rstrip()
    return f"{fixed(number) if number < 999.5 else f'{number:.0f}'} {units[place]}"


def _caption(
    numbers: Mapping[str, Any],
    shown: Sequence[_Shown],
    depths: tuple[int, int],
    width: int,
    glyphs: Glyphs,
) -> Iterator[Text]:
    totals = numbers["totals"]
    trained = totals["trainable_parameters"]
    if not totals["parameters"]:
        told = _("no parameters")
    elif trained == totals["parameters"]:
        told = _("{count} parameters, all trainable")
    else:
        told = _("{count} parameters, {trainable} of them trainable")
    parts = [
        told.format(count=count(totals["parameters"]), trainable=count(trained)),
        _("{size} of weights").format(size=_scaled(totals["bytes"], 1024, _BYTES)),
        _work(operations(totals["flops"]), numbers["input_shape"][0]),
    ]
    yield from sentence(glyphs.text(" \u00b7 ".join(parts)), width, style="bold")
    notes = [
        _(
            "FLOPs: convolutions, linear layers and attention; a multiplication with its "
            "addition is two."
        )
    ]
    if any(line.row["output_shape"] is None for line in shown):
        notes.append(_("-: not run as a module of its own when the network predicts."))
    if depths[0] < depths[1]:
        notes.append(
            _("Shown to depth {depth} of {deepest}: --depth-limit {more} opens more.").format(
                depth=depths[0], deepest=depths[1], more=depths[0] + 1
            )
        )
    yield from sentence(glyphs.text(" ".join(notes)), width, style="dim")


def _work(flops: str, batch: int) -> str:
    flops = flops if " " in flops else f"{flops} "  # 30.9 GFLOPs, but 450 FLOPs
    if batch == 1:
        return _("{flops}FLOPs per input").format(flops=flops)
    return _("{flops}FLOPs per batch of {count}").format(flops=flops, count=count(batch))
