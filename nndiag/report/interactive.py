"""One self-contained HTML page by plotly: works offline, hover shows each number."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from nndiag.locales import _, language
from nndiag.report.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    series,
    title,
)
from nndiag.report.folding import shown_rows
from nndiag.report.reading import Row, means, worst
from nndiag.report.verdict import severity_word
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PAGE = Template("""<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font-family: system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; line-height: 1.5; }
code { background: #f2f2f2; padding: .15rem .35rem; border-radius: .2rem; }
.critical { border-left: .4rem solid #D55E00; } .warning { border-left: .4rem solid #E69F00; }
.info { border-left: .4rem solid #56B4E9; } .none { border-left: .4rem solid #009E73; }
section { padding-left: 1rem; }
</style>
</head>
<body>
<h1>$title</h1>
$verdict
$figures
</body>
</html>
""")


def gradients(result: Result) -> str:
    """Return the page of `nndiag gradients`: the verdict, then one figure below the other."""
    return page(title(result), _verdict(result), _figures(result))


def page(heading: str, text: str, drawn: Iterable[Figure]) -> str:
    """Return one self-contained page.

    Args:
        heading: plain text.
        text: HTML above the figures; what users named in it is already escaped.
    """
    figures = []
    for place, figure in enumerate(drawn):
        figures.append(
            figure.to_html(
                full_html=False,
                include_plotlyjs=place == 0,
                div_id=f"figure-{place}",
                config={"displaylogo": False, "responsive": True},
            )
        )
    return _PAGE.substitute(
        language=language(),
        title=html.escape(heading),
        verdict=text,
        figures="\n".join(figures),
    )


def _verdict(result: Result) -> str:
    said: Mapping[str, Any] = result.result.get("verdict", {})
    level = worst(result.findings)
    headline = f"{severity_word(level)}: {said.get('headline', '')}"
    parts = [f"<h2>{html.escape(headline)}</h2>"]
    parts += [f"<p>{html.escape(reason)}</p>" for reason in said.get("why", ())]
    commands = "".join(f"<li><code>{html.escape(text)}</code></li>" for text in said.get("try", ()))
    parts.append(f"<p>{_('Try')}</p><ul>{commands}</ul>" if commands else "")
    return f'<section class="{level or "none"}">{"".join(parts)}</section>'


def _figures(result: Result) -> Iterator[Figure]:
    numbers = result.result
    rows: Sequence[Row] = numbers.get("layers", ())
    names = [row["name"] for row in rows]
    gradient = _("output gradient norm")
    figure = _by_layer(_("Backpropagated signal"), gradient, log=True)
    _measured(figure, rows, "output_grad_norm", _("measured"), BLUE, names)
    _theory(figure, rows, "predicted_output_grad_norm", names)
    yield figure
    figure = _by_layer(_("Weight gradient"), _("weight gradient norm"), log=True)
    _measured(figure, rows, "weight_grad_norm", _("gradient"), GREEN, names)
    _measured(figure, rows, "relative_grad", _("gradient / weight"), ORANGE, names)
    _measured(figure, rows, "update_ratio", _("update / weight"), PURPLE, names)
    yield figure
    if distributions := numbers.get("distributions"):
        yield _distributions(distributions)
    figure = _by_layer(_("Units that do not pass the gradient"), _("share of units (%)"), log=False)
    for name, label, colour in (
        ("saturated_fraction", _("saturated"), VERMILLION),
        ("off_fraction", _("off (half is normal)"), SKY),
        ("dead_fraction", _("dead"), "black"),
    ):
        _measured(figure, rows, name, label, colour, names, scale=100)
    yield figure
    if steps := numbers.get("time_steps"):
        shifted = [{**row, "index": row["step"]} for row in steps]
        figure = _by_layer(_("Backpropagated signal through time"), gradient, log=True)
        figure.update_xaxes(title=_("time step"))
        _measured(figure, shifted, "output_grad_norm", _("measured"), BLUE, [])
        yield figure
    yield from _training(numbers.get("training") or {})


def _training(training: Mapping[str, Any]) -> Iterator[Figure]:
    if training.get("loss"):
        figure = _by_layer(_("Training"), _("loss"), log=False)
        figure.update_xaxes(title=_("step"))
        figure.add_scatter(
            x=list(training["steps"]), y=means(training["loss"]), line={"color": BLUE}
        )
        yield figure
    accuracy = training.get("validation_accuracy") or {}
    if accuracy.get("values"):
        figure = _by_layer(_("Validation accuracy"), _("accuracy (%)"), log=False)
        figure.update_xaxes(title=_("step"))
        values = [100 * value for value in means(accuracy["values"])]
        figure.add_scatter(x=list(accuracy["steps"]), y=values, line={"color": VERMILLION})
        yield figure
    layers = training.get("layers") or {}
    for name, label, log in (
        ("output_grad_norm", _("log10 of the output gradient norm"), True),
        ("saturated_fraction", _("saturated units (%)"), False),
    ):
        if len(layers.get("steps", ())) > 1 and layers.get(name):
            yield _heat(layers, name, label, log)


def _by_layer(heading: str, unit: str, *, log: bool) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        title=heading, template="plotly_white", height=420, legend={"orientation": "h", "y": -0.2}
    )
    figure.update_xaxes(title=_("layer (input at the left)"))
    figure.update_yaxes(title=unit, type="log" if log else "linear", exponentformat="power")
    return figure


def _measured(
    figure: Figure,
    rows: Sequence[Row],
    name: str,
    label: str,
    colour: str,
    names: Sequence[str],
    *,
    scale: float = 1.0,
) -> None:
    log = figure.layout.yaxis.type == "log"
    x, mean, low, high = series(rows, name, log=log)
    if not x.size:
        return
    low = np.where(low > 0, low, mean) if log else low
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]).tolist(),
        y=(scale * np.concatenate([high, low[::-1]])).tolist(),
        fill="toself",
        fillcolor=colour,
        opacity=0.25,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=x.tolist(),
        y=(scale * mean).tolist(),
        name=label,
        mode="lines+markers",
        line={"color": colour},
        text=_hover(x, names),
        hovertemplate="%{text} %{y:.3g}<extra>" + html.escape(label) + "</extra>",
    )


def _theory(figure: Figure, rows: Sequence[Row], name: str, names: Sequence[str]) -> None:
    x, mean, *_edges = series(rows, name, log=True)
    if x.size:
        figure.add_scatter(
            x=x.tolist(),
            y=mean.tolist(),
            name=_("theory"),
            mode="lines",
            line={"color": "black", "dash": "dash"},
            text=_hover(x, names),
            hovertemplate="%{text} %{y:.3g}<extra>" + _("theory") + "</extra>",
        )


def _hover(x: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return what the pointer says at each point: the layer's name, else its number."""
    return [html.escape(names[int(i) - 1]) if 0 < i <= len(names) else f"{i:g}" for i in x]


def _distributions(distributions: Sequence[Mapping[str, Any]]) -> Figure:
    figure = _by_layer(_("Activations by layer"), _("density"), log=False)
    figure.update_xaxes(title=_("activation"))
    chosen = [distributions[place] for place in shown_rows(len(distributions))]
    for place, layer in enumerate(chosen):
        edges = np.asarray(layer["edges"], dtype=float)
        figure.add_scatter(
            x=((edges[1:] + edges[:-1]) / 2).tolist(),
            y=list(layer["density"]),
            name=html.escape(layer["name"]),
            # All at once is a thicket: the first, middle and last are on, the legend has the rest.
            visible=True if place in {0, len(chosen) // 2, len(chosen) - 1} else "legendonly",
        )
    return figure


def _heat(layers: Mapping[str, Any], name: str, label: str, log: bool) -> Figure:
    table = np.array([means(np.nan if v is None else v for v in row) for row in layers[name]]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        table = np.log10(table) if log else 100 * table
    cells = [[float(v) if np.isfinite(v) else None for v in row] for row in table]
    figure = _by_layer(label, _("layer (input at the top)"), log=False)
    figure.update_xaxes(title=_("step"))
    figure.update_yaxes(autorange="reversed")
    figure.add_heatmap(
        x=list(layers["steps"]),
        y=[html.escape(text) for text in layers["names"]],
        z=cells,
        colorscale="Cividis",
        colorbar={"title": ""},
    )
    return figure
