"""What `nndiag perceptron`, `ewma` and `backprop` print: tables, curves, then the reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nndiag.locales import _
from nndiag.report.columns import Column
from nndiag.report.curves import Curve, Plot
from nndiag.report.glyphs import Glyphs
from nndiag.report.numbers import compact, decimals, scientific, widest
from nndiag.report.principle_parts import Lines, Row, View, column, numbers, share, table, within
from nndiag.report.prose import sentence
from nndiag.schema.result import Interval, Result

_SHADES, _ASCII_SHADES = " ░▒▓█", " .:+#"


def perceptron(result: Result) -> RenderableType:
    """Return what `nndiag perceptron` prints."""
    return View(result, _perceptron)


def _perceptron(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    if found["points"]:
        yield _points(result, width, glyphs)
    if found["plane"] is not None:
        yield _picture(found, width, glyphs)
    if found["rows"]:
        title = _("Learnt by the perceptron rule (Rosenblatt 1958), {seeds} orders, from zero")
        text = title.format(seeds=result.spec["seeds"])
        yield table(text, _learnt_columns(found["rows"], glyphs), width, glyphs)
    for one in found["layered"]:
        yield _two_layers(one, width, glyphs)


def _points(result: Result, width: int, glyphs: Glyphs) -> Lines:
    spec, rows = result.spec, result.result["points"]
    title = _("{act}(w x + b), w = ({weights}), b = {bias}").format(
        act=spec["act"], weights=numbers(spec["weights"]), bias=f"{spec['bias']:g}"
    )
    columns = [
        column("", rows, lambda row: row["label"]),
        column("x", rows, lambda row: f"({numbers(row['x'])})", left=True, shrinks_to=12),
        column(_("terms w x"), rows, lambda row: _sum(row, spec["bias"]), left=True, rank=1),
        column(_("score"), rows, lambda row: compact(row["score"], 4)),
        column(_("output"), rows, lambda row: _exact(row["output"])),
        column(_("to the boundary"), rows, lambda row: compact(row["distance"])),
    ]
    yield from table(title, columns, width, glyphs)


def _sum(row: Row, bias: float) -> str:
    return " ".join(f"{term:+g}" for term in (*row["terms"], bias)).removeprefix("+")


def _exact(value: float) -> str:
    return f"{value:.5f}" if 1e-4 <= abs(value) < 100 else compact(value)


def _picture(found: Mapping[str, Any], width: int, glyphs: Glyphs) -> Lines:
    """Yield the plane in shades of the output, with the points' numbers on it."""
    plane, shades = found["plane"], _ASCII_SHADES if glyphs.ascii_only else _SHADES
    low, high = plane["low"], plane["high"]
    cells = [[_shade(v, low, high, shades) for v in row] for row in plane["value"]]
    for point in found["points"]:
        across = _place(point["x"][0], plane["x"])
        cells[_place(point["x"][1], plane["y"])][across] = point["label"][-1]
    yield Text(
        _("The plane: light is {low}, dark {high}").format(low=compact(low), high=compact(high)),
        style="bold",
    )
    labels = [compact(value, 2) if place % 5 == 0 else "" for place, value in enumerate(plane["y"])]
    margin = widest(labels)
    for label, row in reversed(list(zip(labels, cells, strict=True))):
        yield Text(f"{label:>{margin}} {'|' if glyphs.ascii_only else '│'}{''.join(row)}"[:width])
    left, right = compact(plane["x"][0], 2), compact(plane["x"][-1], 2)
    middle = "x1".center(len(plane["x"]) - len(left) - len(right))
    yield Text(" " * (margin + 2) + left + middle + right, style="dim")


def _shade(value: float, low: float, high: float, shades: str) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return shades[min(int(len(shades) * share), len(shades) - 1)]


def _place(value: float, grid: Sequence[float]) -> int:
    return min(range(len(grid)), key=lambda place: abs(grid[place] - value))


def _learnt_columns(rows: Sequence[Row], glyphs: Glyphs) -> list[Column]:
    return [
        column(_("table"), rows, lambda row: row["label"], left=True),
        column(_("outputs"), rows, lambda row: row["table"]),
        column(_("separable"), rows, lambda row: _("yes") if row["separable"] else _("no")),
        column(_("learnt"), rows, _learnt),
        column(_("updates"), rows, lambda row: within(row["updates"])),
        column(_("at most"), rows, lambda row: compact(row["bound"]) if row["bound"] else "-"),
        column(_("epochs"), rows, lambda row: within(row["epochs"]), rank=1),
        column(_("w1, w2, b"), rows, lambda row: numbers(row["weights"]), rank=1),
    ]


def _learnt(row: Row) -> str:
    return f"{row['converged']}/{row['converged'] + row['diverged']}"


def _two_layers(one: Row, width: int, glyphs: Glyphs) -> Lines:
    title = _("{table} with two layers of such units")
    units = one["units"]
    names = [unit["name"] for unit in units]
    corners = [
        {"x": x, "hidden": hidden, "output": output}
        for x, hidden, output in zip(
            ("0, 0", "0, 1", "1, 0", "1, 1"), one["hidden"], one["output"], strict=True
        )
    ]
    columns = [
        column("x1, x2", corners, lambda row: row["x"]),
        *(
            Column(
                title=f"h{place + 1} = {names[place]}",
                cells=tuple(str(row["hidden"][place]) for row in corners),
            )
            for place in range(2)
        ),
        column(f"h1 {names[2]} h2", corners, lambda row: str(row["output"])),
    ]
    yield from table(title.format(table=one["label"]), columns, width, glyphs)
    yield Text()
    trained = [
        column(_("hidden units"), one["rows"], lambda row: str(row["hidden"])),
        column(_("starts that learn it (%)"), one["rows"], lambda row: share(row["solved"])),
    ]
    text = _("{table} by gradient descent, tanh units, from random starts")
    yield from table(text.format(table=one["label"]), trained, width, glyphs)


def ewma(result: Result) -> RenderableType:
    """Return what `nndiag ewma` prints."""
    return View(result, _ewma)


def _ewma(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    yield table(
        _(
            "v_t = beta v_(t-1) + (1 - beta) y_t: measured over {seeds} series [95 %], theory"
        ).format(seeds=result.spec["seeds"]),
        _ewma_columns(found["rows"], found["early"]),
        width,
        glyphs,
    )
    steps = range(1, len(found["series"]) + 1)
    series = [Curve(_("series"), steps, found["series"])]
    curves = [Curve(f"beta {one['label']}", steps, one["corrected"]) for one in found["averages"]]
    title = _("The series and its averages, bias corrected")
    yield Plot(curves=series + curves, title=title, height=12, x_name=_("step")).lines(
        width, ascii_only=glyphs.ascii_only
    )
    slow = max(found["rows"], key=lambda row: row["beta"])
    one = found["averages"][found["rows"].index(slow)]
    raw = [Curve(_("as it is"), steps, one["raw"])]
    right = [Curve(_("divided by 1 - beta^t"), steps, one["corrected"])]
    title = _("The start of beta {beta}").format(beta=slow["label"])
    yield Plot(curves=raw + right, title=title, height=6, x_name=_("step")).lines(
        width, ascii_only=glyphs.ascii_only
    )


def _ewma_columns(rows: Sequence[Row], early: int) -> list[Column]:
    noise, late = _("noise left (%)"), _("lag (samples)")
    start = _("level at t = {t} (%)").format(t=early)
    measured, theory = _("measured"), _("theory")

    def hundred(number: float | Interval) -> str:
        if isinstance(number, Interval):
            low, high = compact(100 * number.low), compact(100 * number.high)
            return f"{compact(100 * number.mean)} [{low}, {high}]"
        return compact(100 * number)

    return [
        column("beta", rows, lambda row: row["label"], left=True),
        column(_("window"), rows, lambda row: compact(row["window"])),
        column(measured, rows, lambda row: hundred(row["variance_ratio"]), group=noise),
        column(theory, rows, lambda row: hundred(row["predicted_variance_ratio"]), group=noise),
        column(measured, rows, lambda row: within(row["lag"]), group=late),
        column(theory, rows, lambda row: compact(row["predicted_lag"]), group=late),
        column(_("raw"), rows, lambda row: hundred(row["early_raw"].mean), group=start, rank=1),
        column(theory, rows, lambda row: hundred(row["predicted_early_raw"]), group=start, rank=1),
        column(
            _("corrected"), rows, lambda row: hundred(row["early_corrected"]), group=start, rank=2
        ),
        column(_("half-life"), rows, lambda row: compact(row["half_life"]), rank=2),
        column(_("error"), rows, lambda row: within(row["error"]), rank=1),
    ]


def backprop(result: Result) -> RenderableType:
    """Return what `nndiag backprop` prints."""
    return View(result, _backprop)


def _backprop(result: Result, width: int, glyphs: Glyphs) -> Iterator[Lines]:
    found = result.result
    yield _network(result, width, glyphs)
    yield _gradients(found["network"]["gradients"], width, glyphs)
    yield _chain(result, width, glyphs)
    title = _("The same chain with other activations, {seeds} inputs from N(0, 1)")
    columns = _activation_columns(found["rows"])
    yield table(title.format(seeds=result.spec["seeds"]), columns, width, glyphs)


def _network(result: Result, width: int, glyphs: Glyphs) -> Lines:
    network = result.result["network"]
    title = _("A small network, {act}: loss (a - y)^2 / 2 = {loss}").format(
        act=result.spec["act"], loss=compact(network["loss"], 4)
    )
    yield from sentence(title, width, style="bold")
    at, forward = network["parameters"], network["forward"]
    yield Text(decimals(f"x = ({numbers(network['x'])})  y = {network['target']:g}"))
    for text in (
        "z1 = w11 x1 + w12 x2 + b1 = {w11:g} x1 {w12:+g} x2 {b1:+g} = {z1:.4f}, h1 = {h1:.4f}",
        "z2 = w21 x1 + w22 x2 + b2 = {w21:g} x1 {w22:+g} x2 {b2:+g} = {z2:.4f}, h2 = {h2:.4f}",
        "s = v1 h1 + v2 h2 + c = {v1:g} h1 {v2:+g} h2 {c:+g} = {s:.4f}, a = {a:.4f}",
    ):
        yield from sentence(text.format(**at, **forward), width)


def _gradients(rows: Sequence[Row], width: int, glyphs: Glyphs) -> Lines:
    for name in ("c", "v1", "b1", "w11"):
        row = next(row for row in rows if row["label"] == name)
        factors = " * ".join(
            f"({one['name']})" if " " in one["name"] else one["name"] for one in row["factors"]
        )
        yield Text(f"dL/d{name} = {factors}", style="dim")
    columns = [
        column("", rows, lambda row: row["label"], left=True),
        column(_("factors"), rows, _product, left=True),
        column(_("by hand"), rows, lambda row: f"{row['product']:.6f}"),
        column(_("autograd"), rows, lambda row: f"{row['autograd']:.6f}"),
        column(_("differences"), rows, lambda row: f"{row['differences']:.6f}"),
    ]
    yield from table(_("The gradient, factor by factor"), columns, width, glyphs)


def _product(row: Row) -> str:
    return " * ".join(compact(one["value"]) for one in row["factors"])


def _chain(result: Result, width: int, glyphs: Glyphs) -> Lines:
    chain, depth = result.result["chain"], result.spec["depth"]
    layers = chain["layers"]
    shown = [layers[place] for place in _ends(depth)]
    columns = [
        column(_("unit"), shown, lambda row: row["label"]),
        column("w", shown, lambda row: f"{row['weight']:g}"),
        column("z", shown, lambda row: f"{row['z']:.4f}"),
        column("a", shown, lambda row: f"{row['a']:.4f}"),
        column("phi'(z)", shown, lambda row: f"{row['slope']:.4f}"),
        column(_("factor w phi'"), shown, lambda row: f"{row['factor']:.4f}"),
        column(_("product from the output"), shown, lambda row: scientific(row["product"], 4)),
    ]
    title = _("A chain of {depth} {act} units, x = {x}").format(
        depth=depth, act=result.spec["act"], x=f"{result.spec['x']:g}"
    )
    yield from table(title, columns, width, glyphs)
    values = {
        _("by hand"): chain["product"],
        _("autograd"): chain["autograd"],
        _("differences"): chain["differences"],
        _("bound"): chain["bound"],
    }
    for name, value in values.items():
        yield Text(f"{name:<{widest(values)}} {scientific(value, 4)}")
    if depth > 1:
        yield Text()
        x = [int(layer["label"]) for layer in layers]
        slope = [abs(layer["product"]) for layer in layers]
        title = _("Derivative of the output by each unit's input (log scale)")
        plot = Plot(curves=[Curve("", x, slope)], title=title, log=True, x_name=_("unit"))
        yield from plot.lines(width, ascii_only=glyphs.ascii_only)


def _ends(count: int) -> list[int]:
    """Return the places of the first and the last rows of a long table."""
    return list(range(count)) if count <= 12 else [*range(6), *range(count - 6, count)]


def _activation_columns(rows: Sequence[Row]) -> list[Column]:
    def slope(row: Row) -> str:
        return within(row["log10_gradient"])

    return [
        column(_("activation"), rows, lambda row: row["label"], left=True),
        column(_("max phi'"), rows, lambda row: compact(row["steepest"])),
        column(_("mean phi'"), rows, lambda row: within(row["slope"]), rank=1),
        column(_("log10 of |da/dx|"), rows, slope),
        column(_("bound"), rows, lambda row: f"{row['log10_bound'] + 0:.2f}"),
        column(_("stopped"), rows, lambda row: str(row["stopped"])),
    ]
