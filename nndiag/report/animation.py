"""`nndiag boundary --animate`: the training as a film, GIF or HTML by the file's suffix."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nndiag.locales import _
from nndiag.report import style
from nndiag.schema.errors import RunError, UsageError
from nndiag.schema.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Library behind each accepted suffix, and the extra of the package that brings it.
SUFFIXES = {".gif": ("matplotlib", "plot"), ".html": ("plotly", "report")}
_INCHES, _DOTS_PER_INCH = (8.4, 8.2), 70
_FRAMES_A_SECOND = 8
_HOLD = 12  # the last picture stands still for so many frames


def check_path(path: str | Path) -> Path:
    """Return the path if a film can be written to it; loads no library.

    Raises:
        UsageError: the suffix is unknown or its library is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            _("--animate: got '{path}'; accepted: a file name that ends in {suffixes}").format(
                path=path, suffixes=", ".join(SUFFIXES)
            )
        )
    library, extra = SUFFIXES[suffix]
    if importlib.util.find_spec(library) is None:
        raise UsageError(
            _("--animate: {suffix} files need {library}; pip install 'nndiag[{extra}]'").format(
                suffix=suffix, library=library, extra=extra
            )
        )
    return path


def write(result: Result, path: str | Path) -> Path:
    """Write the film of a result with frames.

    Raises:
        UsageError: as `check_path`.
        RunError: the file cannot be written.
    """
    path = check_path(path)
    try:
        if path.suffix.lower() == ".gif":
            _gif(result, path)
        else:
            path.write_text(_page(result), encoding="utf-8")
    except OSError as error:
        raise RunError(
            _("'{path}' cannot be written: {reason}").format(path=path, reason=error.strerror)
        ) from None
    return path


def _title(kind: Mapping[str, Any], one: Mapping[str, Any], step: int) -> str:
    return _("{network}: step {step}, {accuracy} % right").format(
        network=kind["label"], step=step, accuracy=f"{100 * one['accuracy']:.0f}"
    )


def _gif(result: Result, path: Path) -> None:
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.figure import Figure

    frames, drawn = result.result["frames"], result.result["drawn"]
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots(2, 2)
    order = [*range(len(frames)), *[len(frames) - 1] * _HOLD]

    def draw(place: int) -> list[Any]:
        frame = frames[place]
        for row, (name, one) in zip(axes, frame["kinds"].items(), strict=True):
            _draw_plane(row[0], frame, one, drawn)
            row[0].set_title(_title(drawn["kinds"][name], one, frame["step"]), fontsize=9)
            _draw_hidden(row[1], one["hidden"], drawn["labels"])
            row[1].set_title(_("the last hidden layer"), fontsize=9)
        return []

    film = FuncAnimation(figure, draw, frames=order, init_func=list, blit=False)
    film.save(path, writer=PillowWriter(fps=_FRAMES_A_SECOND), dpi=_DOTS_PER_INCH)


def _draw_plane(
    axis: Axes, frame: Mapping[str, Any], one: Mapping[str, Any], drawn: Mapping[str, Any]
) -> None:
    axis.clear()
    axis.pcolormesh(
        frame["x"], frame["y"], one["plane"], vmin=0, vmax=1, cmap=style.HEAT, shading="gouraud"
    )
    _draw_points(axis, drawn["points"], drawn["labels"])
    axis.set(xlim=(frame["x"][0], frame["x"][-1]), ylim=(frame["y"][0], frame["y"][-1]))


def _draw_hidden(axis: Axes, hidden: Mapping[str, Any], labels: Sequence[int]) -> None:
    axis.clear()
    for line in hidden["lines"]:
        axis.plot(*zip(*line, strict=True), color="0.75", lw=0.7)
    _draw_points(axis, hidden["points"], labels)


def _draw_points(axis: Axes, points: Sequence[Sequence[float]], labels: Sequence[int]) -> None:
    for label in sorted(set(labels)):
        own = [p for p, other in zip(points, labels, strict=True) if other == label]
        axis.scatter(
            [point[0] for point in own],
            [point[1] for point in own],
            s=12,
            color=style.colour(label),
            marker=style.MARKERS[label % len(style.MARKERS)],
            edgecolors="white",
            linewidths=0.3,
            zorder=3,
        )
    axis.set(xticks=[], yticks=[])


def _page(result: Result) -> str:
    """Return one page that works offline, with a slider over the steps."""
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    frames, drawn = result.result["frames"], result.result["drawn"]
    names = list(drawn["kinds"])
    figure = make_subplots(
        rows=2,
        cols=2,
        subplot_titles=[
            text
            for name in names
            for text in (drawn["kinds"][name]["label"], _("the last hidden layer"))
        ],
    )
    for place, name in enumerate(names):
        for trace, column in _traces(frames[0], name, drawn):
            figure.add_trace(trace, row=place + 1, col=column)
    figure.frames = [
        go.Frame(
            name=str(frame["step"]),
            data=[trace for name in names for trace, _column in _traces(frame, name, drawn)],
            layout={
                "title": "; ".join(
                    _title(drawn["kinds"][name], frame["kinds"][name], frame["step"])
                    for name in names
                )
            },
        )
        for frame in frames
    ]
    figure.update_layout(
        template="plotly_white",
        height=860,
        showlegend=False,
        title=_("step {step}").format(step=0),
        updatemenus=[_buttons()],
        sliders=[_slider(frames)],
    )
    page: str = figure.to_html(include_plotlyjs=True, auto_play=False)
    return page


def _traces(frame: Mapping[str, Any], name: str, drawn: Mapping[str, Any]) -> list[tuple[Any, int]]:
    """Return what a frame shows of a network, each with its column."""
    from plotly import graph_objects as go

    one = frame["kinds"][name]
    colours = [style.colour(label) for label in drawn["labels"]]
    bent_x, bent_y = [], []
    for line in one["hidden"]["lines"]:
        bent_x += [*(point[0] for point in line), None]
        bent_y += [*(point[1] for point in line), None]

    def dots(points: Sequence[Sequence[float]]) -> Any:
        x, y = zip(*points, strict=True)
        return go.Scatter(x=x, y=y, mode="markers", marker={"color": colours, "size": 6})

    ground = go.Heatmap(
        x=frame["x"], y=frame["y"], z=one["plane"], zmin=0, zmax=1, colorscale="Cividis",
        showscale=False, zsmooth="best",
    )  # fmt: skip
    grid = go.Scatter(x=bent_x, y=bent_y, mode="lines", line={"color": "#bbbbbb", "width": 1})
    return [(ground, 1), (dots(drawn["points"]), 1), (grid, 2), (dots(one["hidden"]["points"]), 2)]


def _buttons() -> dict[str, Any]:
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
    play = {"frame": {"duration": 1000 // _FRAMES_A_SECOND, "redraw": True}, "fromcurrent": True}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "y": -0.08,
        "buttons": [
            {"label": _("play"), "method": "animate", "args": [None, play]},
            {"label": _("pause"), "method": "animate", "args": [[None], still]},
        ],
    }


def _slider(frames: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
    return {
        "currentvalue": {"prefix": _("step") + " "},
        "x": 0.2,
        "len": 0.8,
        "steps": [
            {"label": str(f["step"]), "method": "animate", "args": [[str(f["step"])], still]}
            for f in frames
        ],
    }
