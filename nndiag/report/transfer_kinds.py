"""What `nndiag transfer` prints and draws for other kinds of transfer, and for a saved network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nndiag.locales import _, localised
from nndiag.report.columns import Column, body, fit, heading
from nndiag.report.glyphs import Glyphs, glyphs_for
from nndiag.report.numbers import count, duration, percent, widest
from nndiag.report.panels import Line, Panel
from nndiag.report.prose import labelled, sentence
from nndiag.schema.result import Interval, Result

Row = Mapping[str, Any]
_MOST_CLASSES = 10  # columns of the table of groups
_Table = Callable[[Mapping[str, Any], Glyphs], Sequence[Column]]


@dataclass(frozen=True)
class _View:
    """Draws itself as wide as the console."""

    result: Result
    table: _Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs, width = glyphs_for(options.ascii_only), options.max_width
        found = self.result.result
        yield from _header(self.result, width, glyphs)
        if found["rows"]:
            yield Text()
            yield from _lines(self.table(found, glyphs), width)
        yield from _groups(found, width)
        if found["reading"]:
            yield Text()
        for text in found["reading"]:
            yield from sentence(glyphs.text(text), width, bullet=f"{glyphs.dot} ")
        for note in _notes(found):
            yield from sentence(glyphs.text(note), width, style="yellow")


def unsupervised(result: Result) -> RenderableType:
    """Return how well groups agree with the classes, by kind of features."""
    return _View(result, _unsupervised_columns)


def transductive(result: Result) -> RenderableType:
    """Return the accuracy on each domain, as trained and after each method."""
    return _View(result, _transductive_columns)


def loaded(result: Result) -> RenderableType:
    """Return the accuracy of a saved network, class by class."""
    return _View(result, _loaded_columns)


def _header(result: Result, width: int, glyphs: Glyphs) -> Iterator[Text]:
    found, spec = result.result, result.spec
    facts = {
        _("backbone"): _("{name}, {size} pixels").format(
            name=found["backbone"], size=found["image_size"]
        ),
        _("weights"): found["weights"]["origin"],
        _("data"): found["data"],
    }
    took = duration(result.seconds)
    if spec["kind"] == "unsupervised":
        facts[_("budget")] = _(
            "{count} images, another half of all with each of {seeds} seeds, {time}"
        )
    elif "load" not in spec:
        facts[_("budget")] = _(
            "{labels} labels a class, {epochs} epochs of fine-tuning, {seeds} seeds, {time}"
        )
    margin = widest(facts) + 2
    for label, text in facts.items():
        said = (
            text.format(
                count=count(found.get("images", 0)),
                labels=spec["labels_per_class"][-1],
                epochs=found.get("epochs"),
                seeds=spec["seeds"],
                time=took,
            )
            if label == _("budget")
            else text
        )
        yield from labelled(label, glyphs.text(said), width, margin=margin)


def _lines(columns: Sequence[Column], width: int) -> Iterator[Text]:
    chosen = fit(columns, width)
    yield from heading(chosen)
    for row in range(len(chosen[0].cells)):
        yield body(chosen, row)


def _column(title: str, rows: Sequence[Row], cell: Callable[[Row], str], **more: Any) -> Column:
    return Column(title=title, cells=tuple(cell(row) for row in rows), **more)


def _spread(number: Interval, glyphs: Glyphs) -> str:
    half = percent((number.high - number.low) / 2)
    return f"{percent(number.mean)} {glyphs.plus_minus}{half}"


def _unsupervised_columns(found: Mapping[str, Any], glyphs: Glyphs) -> list[Column]:
    rows = found["rows"]
    return [
        _column(_("features"), rows, lambda row: row["label"], left=True, group=" "),
        _column(_("width"), rows, lambda row: count(row["features"])),
        _column(_("NMI %"), rows, lambda row: _spread(row["nmi"], glyphs)),
        _column(_("ARI %"), rows, lambda row: _spread(row["ari"], glyphs)),
        _column(_("named right %"), rows, lambda row: _spread(row["accuracy"], glyphs)),
    ]


def _transductive_columns(found: Mapping[str, Any], glyphs: Glyphs) -> list[Column]:
    """Return one line a domain: as trained, then the accuracy after each method and its gain."""
    rows = found["rows"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    by_domain = {
        domain: {row["method"]: row for row in rows if row["domain"] == domain}
        for domain in dict.fromkeys(row["domain"] for row in rows)
    }
    lines = list(by_domain.values())
    columns = [
        Column(title=_("domain"), cells=tuple(by_domain), left=True, group=" "),
        _column(_("as trained %"), lines, lambda line: _spread(line[methods[0]]["before"], glyphs)),
    ]
    for method in methods:
        columns += [
            _column(_("after %"), lines, _after(method, glyphs), group=method),
            _column(_("points"), lines, _gain(method, glyphs), group=method),
        ]
    return columns


def _after(method: str, glyphs: Glyphs) -> Callable[[Row], str]:
    return lambda line: _spread(line[method]["test_accuracy"], glyphs)


def _gain(method: str, glyphs: Glyphs) -> Callable[[Row], str]:
    """Return the gain with its sign, and a star where its interval leaves out 0."""

    def cell(line: Row) -> str:
        gain: Interval = line[method]["gain"]
        half = 50 * (gain.high - gain.low)
        star = "*" if gain.sure else " "
        return localised(f"{100 * gain.mean:+.1f} {glyphs.plus_minus}{half:.1f}{star}")

    return cell


def _loaded_columns(found: Mapping[str, Any], glyphs: Glyphs) -> list[Column]:
    rows = [
        *found["rows"],
        {
            "label": _("all"),
            "images": found["images"],
            "test_accuracy": found["test_accuracy"],
        },
    ]
    return [
        _column(_("class"), rows, lambda row: row["label"], left=True),
        _column(_("images"), rows, lambda row: count(row["images"])),
        _column(_("right %"), rows, lambda row: percent(row["test_accuracy"].mean)),
    ]


def _groups(found: Mapping[str, Any], width: int) -> Iterator[Text]:
    """Yield which classes are in which group of the pre-trained features, for one seed."""
    table, names = found.get("groups"), found.get("classes", ())
    if not table or len(names) > _MOST_CLASSES:
        return
    yield Text()
    yield Text(_("Images of each class in each group (pre-trained features, first seed)"))
    columns = [
        Column(title=_("group"), cells=tuple(str(n) for n in range(1, len(table) + 1)), left=True),
        *(
            Column(title=name, cells=tuple(count(row[place]) for row in table))
            for place, name in enumerate(names)
        ),
    ]
    yield from _lines(columns, width)


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    if any(row.get("method") for row in found["rows"]):
        yield _("*: the 95 % interval over seeds leaves out 0.")
    for problem in found["problems"]:
        yield _("Not read: {file}").format(file=problem)
    if found["interrupted"]:
        yield _("Interrupted: only what was complete is shown.")


# -- figures -----------------------------------------------------------------------------------


def projections(result: Result) -> Iterator[Panel]:
    """Yield the images of one seed in the plane in which each kind of features varies most."""
    for one in result.result["projections"]:
        share = percent(one["variance"])
        yield Panel(
            title=_("{features}: {share} % of the variance").format(
                features=one["label"], share=share
            ),
            x_name=_("first principal component"),
            y_name=_("second"),
            lines=[
                Line(x=part["x"], y=part["y"], name=part["class"], dots=True, colour=place)
                for place, part in enumerate(one["classes"])
            ],
        )


def accuracies(result: Result) -> Iterator[Panel]:
    """Yield the accuracy on each domain before and after adaptation."""
    rows = result.result["rows"]
    names = list(dict.fromkeys(row["domain"] for row in rows))
    series: dict[str, dict[str, Interval]] = {_("as trained"): {}}
    for row in rows:
        series[_("as trained")][row["domain"]] = row["before"]
        series.setdefault(row["method"], {})[row["domain"]] = row["test_accuracy"]
    yield Panel(
        title=_("Accuracy on each domain"),
        down=names,
        x_name=_("accuracy (%)"),
        lines=[
            Line(
                x=[100 * number.mean for number in by_domain.values()],
                low=[100 * number.low for number in by_domain.values()],
                high=[100 * number.high for number in by_domain.values()],
                y=[names.index(name) + 1 + 0.18 * (place - 1) for name in by_domain],
                name=name,
                dots=True,
                colour=place,
            )
            for place, (name, by_domain) in enumerate(series.items())
        ],
    )


def by_class(result: Result) -> Iterator[Panel]:
    """Yield the accuracy of a saved network on each class."""
    rows = result.result["rows"]
    accuracy = [100 * row["test_accuracy"].mean for row in rows]
    places = list(range(1, len(rows) + 1))
    yield Panel(
        title=_("Accuracy on each class"),
        down=[row["label"] for row in rows],
        x_name=_("accuracy (%)"),
        lines=[Line(x=accuracy, y=places, dots=True)],
    )


def panels(result: Result) -> Iterator[Panel]:
    """Yield the panels of any result but that of inductive transfer."""
    if "load" in result.spec:
        return by_class(result)
    return {"unsupervised": projections, "transductive": accuracies}[result.spec["kind"]](result)
