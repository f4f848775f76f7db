"""The terminal report of a command: header, tables, curves, verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.layer_table import layer_table
from nndiag.report.numbers import compact, count, duration, percent, widest
from nndiag.report.prose import labelled, sentence
from nndiag.report.reading import Row, means, measured
from nndiag.report.time_table import time_table
from nndiag.report.verdict import verdict
from nndiag.schema.result import Result


def gradients(result: Result, *, all_layers: bool = False) -> RenderableType:
    """Return what `nndiag gradients` prints, as wide as the console it is printed on.

    Args:
        result: with `result.layers` and whatever else the run had: parts that are missing are
            left out.
        all_layers: show every layer and time step instead of folding the middle ones.
    """
    return _Gradients(result, all_layers)


@dataclass(frozen=True)
class _Gradients:
    result: Result
    all_layers: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs = glyphs_for(options.ascii_only)
        width = options.max_width
        for part in self._parts(width, glyphs):
            lines = list(part)
            yield from lines
            if lines:
                yield Text()
        yield from verdict(self.result, width=width, glyphs=glyphs)

    def _parts(self, width: int, glyphs: Glyphs) -> Iterator[Iterator[Text]]:
        numbers = self.result.result
        rows: Sequence[Row] = numbers.get("layers", ())
        yield _header(self.result, width, glyphs)
        yield layer_table(
            rows, self.result.findings, width=width, glyphs=glyphs, whole=self.all_layers
        )
        yield _caption(self.result, width, glyphs)
        if steps := numbers.get("time_steps"):
            yield time_table(steps, width=width, glyphs=glyphs, whole=self.all_layers)
        if training := numbers.get("training"):
            yield _training(training, width, glyphs)


def _header(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    numbers = result.result
    pairs = (
        (_("network"), _network(numbers.get("network", {}))),
        (_("init"), _init(numbers.get("init", {}))),
        (_("data"), _data(numbers.get("data", {}), numbers.get("batch_size"))),
        (_("run"), _run(result)),
    )
    margin = widest(label for label, _text in pairs) + 2
    for label, text in pairs:
        if text:
            yield from labelled(label, glyphs.text(text), width, margin=margin)


def _network(network: Mapping[str, Any]) -> str:
    parts = [str(network[name]) for name in ("net", "act") if network.get(name)]
    if "depth" in network and "width" in network:
        size = _("depth {depth}, width {width}")
        parts.insert(1, size.format(depth=count(network["depth"]), width=count(network["width"])))
    if network.get("norm", "none") != "none":
        parts.append(_("{norm} normalisation").format(norm=network["norm"]))
    if "parameters" in network:
        parts.append(_("{count} parameters").format(count=count(network["parameters"])))
    return " · ".join(parts)


def _init(init: Mapping[str, Any]) -> str:
    name, reference = init.get("name", ""), init.get("reference")
    if init.get("default"):
        name = _("{name}, the default for this activation").format(name=name)
    return f"{name} ({reference})" if reference and name else name


def _data(data: Mapping[str, Any], batch_size: int | None) -> str:
    parts = [str(data["name"])] if data.get("name") else []
    samples = data.get("samples", {})
    if "train" in samples:
        parts.append(_("{count} training samples").format(count=count(samples["train"])))
    if shape := data.get("input_shape"):
        parts.append(_("inputs of {shape}").format(shape="×".join(str(size) for size in shape)))
    if data.get("classes"):
        parts.append(_("{count} classes").format(count=count(data["classes"])))
    if batch_size:
        parts.append(_("batches of {count}").format(count=count(batch_size)))
    return " · ".join(parts)


def _run(result: Result) -> str:
    seeds, environment = result.result.get("seeds"), result.environment
    parts = []
    if seeds:
        parts.append(_("1 seed") if seeds == 1 else _("{count} seeds").format(count=count(seeds)))
    if environment.get("device"):
        parts.append(str(environment["device"]))
    if environment.get("torch"):
        parts.append(f"torch {environment['torch']}")
    parts.append(duration(result.seconds))
    return " · ".join(parts)


def _caption(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    rows: Sequence[Row] = result.result.get("layers", ())
    seeds = result.result.get("seeds", 1)
    parts = [_("Bars: output gradient norm.")]
    if any(row.get("predicted_output_grad_norm") is not None for row in rows):
        unreliable = result.result.get("theory", {}).get("status") == "unreliable"
        text = _("{mark}: theory, unreliable here.") if unreliable else _("{mark}: theory.")
        parts.append(text.format(mark=glyphs.mark))
    if seeds > 1:
        parts.append(_("Intervals: 95 % over {seeds} seeds.").format(seeds=count(seeds)))
    if any(row.get("gate") for row in rows):
        parts.append(_("off%: units on the flat side; about half is normal."))
    norms = [measured(row, "output_grad_norm") for row in rows]
    if any(norm is not None and norm.upper_bound for norm in norms):
        parts.append(_("<: underflowed, at most this."))
    yield from sentence(glyphs.text(" ".join(parts)), width, style="dim")


def _training(training: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    steps, loss = training.get("steps", ()), means(training.get("loss", ()))
    if steps and loss:
        plot = Plot(
            curves=[Curve("", steps, loss)], title=_("Loss over steps"), x_name=_("step"), height=6
        )
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)
    yield from _norms_over_time(training.get("layers", {}), width, glyphs)
    yield from sentence(glyphs.text(_outcome(training)), width)


def _norms_over_time(layers: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    names, steps = layers.get("names", ()), layers.get("steps", ())
    table = layers.get("output_grad_norm", ())
    if len(steps) < 2 or not names:
        return
    last_hidden = max(0, len(names) - 2)
    chosen = sorted({0, last_hidden // 2, last_hidden})
    curves = [Curve(glyphs.text(names[i]), steps, means(row[i] for row in table)) for i in chosen]
    plot = Plot(
        curves=curves,
        title=_("Output gradient norm over steps (log scale)"),
        x_name=_("step"),
        height=8,
        log=True,
    )
    yield Text()
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _outcome(training: Mapping[str, Any]) -> str:
    parts = []
    accuracy = measured(training, "test_accuracy")
    if accuracy is not None:
        text = f"{percent(accuracy.mean)} %"
        if accuracy.low != accuracy.high:
            text += f" [{percent(accuracy.low)}, {percent(accuracy.high)}]"
        parts.append(_("Test accuracy {accuracy}.").format(accuracy=text))
    loss = means(training.get("loss", ()))
    if loss:
        text = _("Loss {first} at first, {last} at the end.")
        parts.append(text.format(first=compact(loss[0]), last=compact(loss[-1])))
    if training.get("diverged"):
        parts.append(_("Diverged runs: {count}.").format(count=count(training["diverged"])))
    return " ".join(parts)
