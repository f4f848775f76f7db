"""The terminal report of `nndiag diagnose`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import STYLES, Glyphs, glyphs_for
from nndiag.report.layer_table import layer_table
from nndiag.report.numbers import compact, count, decimals, duration, layer_names, percent, widest
from nndiag.report.prose import labelled, ruled, sentence
from nndiag.report.verdict import severity_word
from nndiag.schema.finding import Finding, Severity
from nndiag.schema.observation import BY_HAND
from nndiag.schema.result import Interval, Result

_MOST_MODELS = 3
#: Functions, as the language is chosen after the import.
_MEASURES = {
    "validation_accuracy": lambda: _("accuracy of the script's evaluation"),
    "accuracy": lambda: _("accuracy on training batches"),
    "validation_loss": lambda: _("loss of the script's evaluation"),
    "loss": lambda: _("training loss"),
}


def diagnose(result: Result, *, all_layers: bool = False) -> RenderableType:
    """Return what `nndiag diagnose` prints, as wide as the console it is printed on."""
    return _Report(result, all_layers)


@dataclass(frozen=True)
class _Report:
    result: Result
    all_layers: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs, width = glyphs_for(options.ascii_only), options.max_width
        for part in self._parts(width, glyphs):
            lines = list(part)
            yield from lines
            if lines:
                yield Text()

    def _parts(self, width: int, glyphs: Glyphs) -> Iterator[Iterator[Text]]:
        result = self.result
        yield _header(result, width, glyphs)
        yield _loss(result.result, width, glyphs)
        for model in result.result.get("models", ())[:_MOST_MODELS]:
            yield self._model(model, width, glyphs)
        yield _findings(result, width, glyphs)
        if "trials" in result.result:
            yield _trials(result.result, width, glyphs)
        yield _not_checked(result.result.get("not_checked", ()), width, glyphs)

    def _model(self, model: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
        if not model.get("layers"):
            return
        title = _("{name} ({kind}, {parameters} parameters), step {step}").format(
            name=model["name"],
            kind=model["kind"],
            parameters=count(model["parameters"]),
            step=count(model["row_step"] or 0),
        )
        yield Text(glyphs.text(title), style="bold")
        yield from layer_table(
            model["layers"],
            self.result.findings,
            width=width,
            glyphs=glyphs,
            whole=self.all_layers,
        )


def _optimizer(one: Mapping[str, Any]) -> str:
    name = _("by hand") if one["kind"] == BY_HAND else one["kind"]
    rates = one["lr"]["values"]
    return f"{name} ({_('lr')} {compact(max(rates))})" if rates else name


def _header(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    numbers, spec = result.result, result.spec
    script = " ".join([str(spec.get("script", _("a loop"))), *map(str, spec.get("args", ()))])
    steps = _("{steps} optimizer steps, {backwards} backward passes").format(
        steps=count(numbers["steps"]), backwards=count(numbers["backward_passes"])
    )
    if numbers.get("stopped"):
        steps += _(", stopped there as asked")
    if numbers.get("interrupted"):
        steps += _(", interrupted")
    optimizers = [
        _optimizer(one)
        for one in numbers.get("optimizers", ())
        if one["lr"]["values"] or one["kind"] == BY_HAND
    ]
    environment = result.environment
    run = [environment.get("device", ""), f"torch {environment.get('torch', '')}"]
    pairs = [
        (_("script"), script),
        (_("seen"), f"{steps} · {duration(numbers['script_seconds'])}"),
        (_("optimizer"), ", ".join(optimizers)),
        (_("run"), " · ".join(part for part in run if part)),
    ]
    error = numbers.get("error")
    if error:
        place = _(" in {layer}").format(layer=error["layer"]) if error.get("layer") else ""
        text = _("{kind} after {step} steps{place}: {message}").format(
            kind=error["kind"],
            step=count(error["step"]),
            place=place,
            message=str(error["message"]).strip().splitlines()[0] if error["message"] else "",
        )
        pairs.append((_("ended by"), text))
    margin = widest(label for label, _text in pairs) + 2
    for label, text in pairs:
        if text:
            yield from labelled(label, glyphs.text(text), width, margin=margin)


def _loss(numbers: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    several = len(numbers.get("optimizers", ())) > 1
    curves = [
        Curve(
            _("training, {kind}").format(kind=one["kind"]) if several else _("training"),
            one["loss"]["steps"],
            one["loss"]["values"],
        )
        for one in numbers.get("optimizers", ())
        if len(one["loss"]["steps"]) > 1
    ]
    evaluated = [one for one in numbers.get("evaluations", ()) if one["loss"] == one["loss"]]
    unseen = [one for one in evaluated if not one["seen"] > 0.5]
    if len(unseen) > 1 and curves:
        steps, losses = [one["step"] for one in unseen], [one["loss"] for one in unseen]
        curves.append(Curve(_("evaluation"), steps, losses))
    if not curves:
        return
    plot = Plot(curves=curves, title=_("Loss over steps"), x_name=_("step"), height=7)
    yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _findings(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    serious = [f for f in result.findings if f.severity.value != "info"]
    trained = result.result["backward_passes"] > 0
    level = serious[0].severity if serious else None
    if level is not None:
        title = severity_word(level)
    elif result.result.get("error"):
        level, title = Severity.CRITICAL, _("the script ended with an error")
    elif not trained:
        level, title = Severity.INFO, _("nothing was trained")
    else:
        title = _("no finding of severity warning or more")
    yield ruled(f"{glyphs.severity(level)} {title}", width, glyphs.rule, STYLES[level])
    if not serious and not trained:
        yield from sentence(_("Nothing was trained, so there was nothing to judge."), width)
    for finding in result.findings:
        yield from _finding(finding, _layer_count(result), width, glyphs)


def _layer_count(result: Result) -> int:
    return max((len(model["layers"]) for model in result.result.get("models", ())), default=0)


def _finding(finding: Finding, layers: int, width: int, glyphs: Glyphs) -> Iterator[Text]:
    style = STYLES[finding.severity]
    line = Text(no_wrap=True)
    line.append(
        f"{glyphs.severity(finding.severity)} {severity_word(finding.severity)}  ", style=style
    )
    line.append(finding.symptom.value, style="bold")
    where = glyphs.text(layer_names(finding.layers, layers)) if finding.layers else ""
    if where and len(line) + 2 + len(where) <= width:
        line.append(f"  {where}", style="dim")
    yield line
    yield from sentence(glyphs.text(finding.cause), width, indent="    ")
    seen = ", ".join(f"{name} {_shown(value)}" for name, value in finding.evidence.items())
    if seen:
        text = glyphs.text(_("Seen: {numbers}.").format(numbers=seen))
        yield from sentence(text, width, indent="    ", style="dim")
    for fix in finding.fixes:
        yield from sentence(glyphs.text(fix), width, indent="    ", bullet=f"{glyphs.dot} ")
    if finding.reference:
        text = _("See {references}.").format(references=finding.reference)
        yield from sentence(glyphs.text(text), width, indent="    ", style="dim")


def _shown(value: Any) -> str:
    return compact(value) if isinstance(value, int | float) else str(value)


def _trials(numbers: Mapping[str, Any], width: int, glyphs: Glyphs) -> Iterator[Text]:
    trials, rows = numbers["trials"], numbers["rows"]
    title = _("Fixes tried: {steps} steps each, {repeats} seeds or more").format(
        steps=count(trials["steps"]), repeats=trials["repeats"]
    )
    yield ruled(title, width, glyphs.rule, "bold")
    columns = [
        Column(title=_("fix"), cells=tuple(row["label"] for row in rows), left=True),
        Column(title=_("verdict"), cells=tuple(_verdict(row) for row in rows), left=True),
        Column(title=_("effect"), cells=tuple(decimals(_effect(row)) for row in rows), left=True),
        Column(title=_("loss"), cells=tuple(_number(row["loss"]) for row in rows), rank=1),
        Column(
            title=_("accuracy"),
            cells=tuple(_share(row["validation_accuracy"] or row["accuracy"]) for row in rows),
            rank=2,
        ),
        Column(title="p", cells=tuple(_p(row["p_value"]) for row in rows), rank=3),
        Column(title=_("seeds"), cells=tuple(str(row["runs"]) for row in rows), rank=4),
    ]
    chosen = fit(columns, width)
    yield from heading(chosen)
    for place in range(len(rows)):
        yield body(chosen, place)
    if trials["measure_reason"]:
        text = _("Compared by {measure}: {reason}.").format(
            measure=_MEASURES[trials["measure"]](), reason=trials["measure_reason"]
        )
        yield from sentence(glyphs.text(text), width, style="dim")
    for row in rows:
        if row["note"] or row["error"]:
            text = f"{row['label']}: {row['note'] or row['error']}"
            yield from sentence(glyphs.text(text), width, style="dim")
    if trials["best"] is None:
        yield from sentence(_("No change that was tried has a measurable effect."), width)
        return
    yield Text()
    text = _("Verified: {label}. In the script:").format(label=trials["best"])
    yield from sentence(glyphs.text(text), width, style="bold")
    for line in str(numbers.get("snippet", "")).splitlines():
        yield Text(glyphs.text(f"  {line}"))


def _verdict(row: Mapping[str, Any]) -> str:
    words = {
        "control": _("as it is"),
        "verified": _("verified"),
        "no effect": _("no effect"),
        "worse": _("worse"),
        "crashed": _("crashed"),
    }
    return words[row["verdict"]]


def _effect(row: Mapping[str, Any]) -> str:
    effect: Interval | None = row["effect"]
    if effect is None:
        return ""
    if row["effect_unit"] == "points":
        numbers = [f"{100 * value:+.1f}" for value in (effect.mean, effect.low, effect.high)]
        return _("{mean} points [{low}, {high}]").format(
            mean=numbers[0], low=numbers[1], high=numbers[2]
        )
    mean, low, high = (compact(value) for value in (effect.mean, effect.low, effect.high))
    if row["effect_unit"] == "times":
        return _("loss ÷{mean} [{low}, {high}]").format(mean=mean, low=low, high=high)
    return f"{mean} [{low}, {high}]"


def _number(number: Interval | None) -> str:
    return "" if number is None else compact(number.mean)


def _share(number: Interval | None) -> str:
    return "" if number is None else f"{percent(number.mean)} %"


def _p(value: float | None) -> str:
    return "" if value is None else compact(value, 2)


def _not_checked(said: Sequence[str], width: int, glyphs: Glyphs) -> Iterator[Text]:
    if not said:
        return
    yield Text(_("Not checked"), style="bold")
    for text in said:
        yield from sentence(
            glyphs.text(text), width, indent="  ", bullet=f"{glyphs.dot} ", style="dim"
        )
