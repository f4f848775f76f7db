"""What `nndiag transfer` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _, localised
from nndiag.report import transfer_kinds
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import compact, count, duration, percent
from nndiag.report.prose import labelled, sentence
from nndiag.report.transfer_figures import by_labels
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]
_MARGIN = 9


class _View:
    """Draws itself as wide as the console."""

    def __init__(self, lines: Callable[[int, Glyphs], Iterator[Text]]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._lines(options.max_width, glyphs_for(options.ascii_only))


def transfer(result: Result) -> RenderableType:
    """Return what `nndiag transfer` prints, for every kind of transfer."""
    if "load" in result.spec:
        return transfer_kinds.loaded(result)
    if result.spec["kind"] == "unsupervised":
        return transfer_kinds.unsupervised(result)
    if result.spec["kind"] == "transductive":
        return transfer_kinds.transductive(result)

    def lines(width: int, glyphs: Glyphs) -> Iterator[Text]:
        found = result.result
        yield from _header(result, width, glyphs)
        rows = [row for row in found["rows"] if row.get("first_frozen") is None]
        yield from _lines(_inductive_columns(rows, glyphs), width)
        text = _(
            "start: validation accuracy after the first epoch; slope: rise an epoch over the first "
            "three, in points; random: a frozen backbone that was never trained, the control."
        )
        yield from sentence(glyphs.text(text), width, style="dim")
        yield Text()
        yield from _gains(rows, width, glyphs)
        yield from _by_layer(found["rows"], width, glyphs)
        for text in found["reading"]:
            yield from sentence(glyphs.text(text), width, bullet=f"{glyphs.dot} ")
        yield from _curves(found, width, glyphs)
        yield from _budget(found, width, glyphs)
        yield from _moved(found, width, glyphs)
        yield from _closing(found, width, glyphs)

    return _View(lines)


def _header(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    found, spec = result.result, result.spec
    facts = {
        _("backbone"): _("{name}, {size} pixels").format(
            name=found["backbone"], size=found["image_size"]
        ),
        _("weights"): found["weights"]["origin"],
        _("data"): found["data"],
        _("budget"): _(
            "{epochs} epochs, batches of {batch}, rate {rate}, {seeds} seeds, {time}"
        ).format(
            rate=localised(f"{found['lr']:g}"),
            epochs=found["epochs"],
            batch=spec["batch_size"],
            seeds=spec["seeds"],
            time=duration(result.seconds),
        ),
    }
    for label, text in facts.items():
        yield from labelled(label, glyphs.text(text), width, margin=_MARGIN)
    yield Text()


def _column(title: str, rows: Sequence[Row], cell: Callable[[Row], str], **more: Any) -> Column:
    return Column(title=title, cells=tuple(cell(row) for row in rows), **more)


def _spread(number: Interval, glyphs: Glyphs) -> str:
    half = (number.high - number.low) / 2
    return f"{percent(number.mean)} {glyphs.plus_minus}{percent(half)}"


def _inductive_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    return [
        _column(_("strategy"), rows, lambda r: r["strategy"], left=True, group=" "),
        _column(_("labels"), rows, lambda r: count(r["labels_per_class"])),
        _column(_("start %"), rows, lambda r: _spread(r["start"], glyphs)),
        _column(_("slope"), rows, lambda r: _spread(r["slope"], glyphs)),
        _column(_("test %"), rows, lambda r: _spread(r["test_accuracy"], glyphs)),
        _column(_("trained"), rows, lambda r: count(r["trainable_parameters"])),
        _column(_("seconds"), rows, lambda r: compact(r["seconds"], 2)),
    ]


def _lines(columns: Sequence[Column], width: int) -> Iterator[Text]:
    chosen = fit(columns, width)
    yield from heading(chosen)
    for row in range(len(chosen[0].cells)):
        yield body(chosen, row)


def _gains(rows: Sequence[Row], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield by how much each strategy beats scratch; `*`: the interval leaves out 0."""
    against = [row for row in rows if row["gain"] is not None]
    if not against:
        return
    yield Text(_("Against scratch, in points (95 %; *: not chance)"), style="bold")
    columns = [
        _column(_("strategy"), against, lambda r: r["strategy"], left=True, group=" "),
        _column(_("labels"), against, lambda r: count(r["labels_per_class"])),
    ]
    for key, title in (
        ("start", _("start")),
        ("slope", _("slope")),
        ("test_accuracy", _("final accuracy")),
    ):
        columns.append(_column(title, against, _gain(key, glyphs)))
    yield from _lines(columns, width)
    yield Text()


def _gain(key: str, glyphs: Glyphs) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        gain = row["gain"][key]
        text = f"{100 * gain.mean:+.1f} {glyphs.plus_minus}{100 * (gain.high - gain.mean):.1f}"
        return localised(text) + ("*" if gain.sure else " ")

    return cell


def _by_layer(rows: Sequence[Row], width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Yield accuracy by the number of first blocks that stand still."""
    layers = [row for row in rows if row.get("first_frozen") is not None]
    if not layers:
        return
    yield Text(_("By layer: the first blocks frozen, the others fine-tuned"), style="bold")
    columns = [
        _column(_("frozen"), layers, lambda r: count(r["first_frozen"]), group=" "),
        _column(_("start %"), layers, lambda r: _spread(r["start"], glyphs)),
        _column(_("test %"), layers, lambda r: _spread(r["test_accuracy"], glyphs)),
        _column(_("trained"), layers, lambda r: count(r["trainable_parameters"])),
    ]
    yield from _lines(columns, width)
    yield Text()


def _curves(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    rows = [row for row in found["rows"] if row["first_frozen"] is None]
    labels = rows[0]["labels_per_class"] if rows else None
    shown = {row["strategy"] for row in rows}
    curves = [
        Curve(
            one["strategy"],
            list(range(len(one["accuracy"]))),
            [100 * point.mean for point in one["accuracy"]],
        )
        for one in found["curves"]
        if one["labels_per_class"] == labels and one["strategy"] in shown
    ]
    if curves:
        yield Text()
        title = _("Validation accuracy (%), {labels} labels a class").format(labels=labels)
        plot = Plot(curves=curves, title=title, x_name=_("epoch"))
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _budget(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    curves = [
        Curve(name, x, [100 * number.mean for number in y])
        for name, x, y in by_labels(found["rows"])
    ]
    if curves:
        yield Text()
        plot = Plot(curves=curves, title=_("Test accuracy (%)"), x_name=_("labels a class"))
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _moved(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    first = found["blocks"][0]["labels_per_class"] if found["blocks"] else None
    blocks = [one for one in found["blocks"] if one["labels_per_class"] == first]
    blocks = [one for one in blocks if one["strategy"] in ("scratch", "finetune", "gradual")]
    if not blocks:
        return
    yield Text()
    rows = [
        {"block": name, **{one["strategy"]: one for one in blocks if one["block"] == name}}
        for name in dict.fromkeys(one["block"] for one in blocks)
    ]
    columns = [_column(_("block"), rows, lambda r: r["block"], left=True, group=" ")]
    for strategy in dict.fromkeys(one["strategy"] for one in blocks):
        columns += [
            _column(title, rows, _of_strategy(strategy, key), group=strategy)
            for title, key in ((_("gradient"), "gradient_norm"), (_("moved"), "moved"))
        ]
    yield from _lines(columns, width)
    text = _(
        "gradient: root mean square norm over the steps; moved: norm of the change of a block over "
        "norm of the weights that it started from."
    )
    yield from sentence(glyphs.text(text), width, style="dim")


def _of_strategy(strategy: str, key: str) -> Callable[[Row], str]:
    return lambda row: compact(row[strategy][key].mean, 2) if strategy in row else "-"


def _closing(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    if found.get("saved"):
        yield Text()
        text = _("Saved; plain torch loads it (inputs: (images - mean) / std of ImageNet):")
        yield from sentence(glyphs.text(text), width)
        for line in found["saved"]["code"]:
            yield Text(line, no_wrap=True, overflow="ignore")  # as it is pasted
    notes = [_("Not read: {file}").format(file=name) for name in found.get("problems", ())]
    if found["interrupted"]:
        notes.append(_("Interrupted: only what was complete is shown."))
    for note in notes:
        yield from sentence(glyphs.text(note), width, style="yellow")
