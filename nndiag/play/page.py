"""The page of the playground, in NiceGUI: controls, and beside them what the training does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import log10
from typing import Any

from nicegui import ui

from nndiag.locales import _
from nndiag.play import charts
from nndiag.play.session import Session
from nndiag.play.settings import (
    BATCH_SIZES,
    CLIPPING,
    DATA,
    MOST_DEPTH,
    MOST_WIDTH,
    Settings,
    activation_names,
    initialisation_names,
    optimizer_names,
)
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NORMS

#: Seconds between two looks at what the worker has sent.
_REFRESH = 0.1
_RATES = (-5.0, 1.0)  # decades of the learning rate


class Page:
    """One reader's page and training.

    Args:
        session: the training; its worker dies with the page.
        settings: what the controls start from.
    """

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session, self._settings = session, settings
        self._points: Mapping[str, Any] = {}
        self._step = 0

    def build(self) -> None:
        """Lay the page out and begin."""
        ui.dark_mode(None)
        ui.add_css(".wrapped pre, .wrapped code { white-space: pre-wrap; overflow-wrap: anywhere }")
        with ui.row(wrap=False).classes("w-full items-start max-md:flex-wrap"):
            with ui.column().classes("w-72 shrink-0"):
                ui.label("nndiag").classes("text-2xl font-bold").props("role=heading aria-level=1")
                self._buttons()
                self._controls()
            with ui.column().classes("grow min-w-0"):
                self._figures()
        ui.timer(_REFRESH, self._refresh)
        self._begin()

    # -- controls -----------------------------------------------------------------------------

    def _buttons(self) -> None:
        with ui.row().classes("gap-1"):
            self._run = ui.button(_("Run"), on_click=self._toggle).props("data-testid=run")
            ui.button(_("Step"), on_click=lambda: self._walk(1)).props("data-testid=step flat")
            ui.button(_("50 steps"), on_click=lambda: self._walk(50)).props("flat")
        with ui.row().classes("gap-1"):
            ui.button(_("Reset"), on_click=self._reset).props("data-testid=reset flat")
            ui.button(_("Stop"), on_click=self._stop).props("data-testid=stop flat color=negative")

    def _controls(self) -> None:
        self._choice(_("data"), "data", DATA)
        self._slider(_("depth (weight layers)"), "depth", 2, MOST_DEPTH)
        self._slider(_("width (units)"), "width", 2, MOST_WIDTH)
        self._choice(_("activation"), "act", activation_names())
        self._choice(_("initialisation"), "init", initialisation_names())
        self._choice(_("normalisation"), "norm", NORMS)
        self._choice(_("optimizer"), "optimizer", optimizer_names())
        self._rate()
        clipping = {limit: _("none") if limit is None else f"{limit:g}" for limit in CLIPPING}
        self._choice(_("gradient clipping (norm)"), "clip_norm", clipping)
        self._choice(_("batch size"), "batch_size", BATCH_SIZES)
        seed = ui.number(_("seed"), value=self._settings.seed, min=0, precision=0)
        seed.classes("w-full").on_value_change(
            lambda event: self._change(seed=int(event.value or 0))
        )

    def _choice(self, label: str, name: str, options: Any) -> None:
        chosen = dict(options) if isinstance(options, Mapping) else list(options)
        control = ui.select(chosen, value=getattr(self._settings, name), label=label)
        control.classes("w-full").props(f'data-testid={name} aria-label="{label}" dense')
        control.on_value_change(lambda event: self._change(**{name: event.value}))

    def _slider(self, label: str, name: str, low: int, high: int) -> None:
        ui.label(label).classes("text-sm")
        control = ui.slider(min=low, max=high, value=getattr(self._settings, name))
        control.props(f'label-always data-testid={name} aria-label="{label}"').classes("mt-4")
        control.on(
            "change", lambda: self._change(**{name: int(control.value)})
        )  # once it is let go

    def _rate(self) -> None:
        shown = ui.label().classes("text-sm")

        def show(decade: float) -> None:
            shown.set_text(_("learning rate {rate:.2g}").format(rate=10**decade))

        start = self._settings.lr or 0.01
        low, high = _RATES
        control = ui.slider(min=low, max=high, step=0.25, value=round(4 * log10(start)) / 4)
        control.props(f'data-testid=lr aria-label="{_("learning rate, logarithm")}"')
        control.on_value_change(lambda event: show(event.value))
        control.on("change", lambda: self._change(lr=float(f"{10**control.value:.3g}")))
        show(control.value)

    # -- figures ------------------------------------------------------------------------------

    def _figures(self) -> None:
        with ui.row().classes("items-center w-full"):
            self._status = ui.label().props("data-testid=status role=status")
            self._findings = ui.row().classes("gap-1").props("data-testid=findings")
        with ui.grid().classes("w-full gap-4 grid-cols-1 lg:grid-cols-2"):
            self._signal = self._figure(_("Gradient, layer by layer"), "signal")
            self._progress = self._figure(_("Loss and accuracy"), "progress")
            self._flat = self._figure(_("Saturated and dead units, layer by layer"), "flat")
            with ui.column().classes("w-full") as self._plane_card:
                _heading(_("What the network answers in the plane"))
                self._plane = ui.interactive_image(charts.blank()).classes("w-96 max-w-full")
                self._plane.props("data-testid=plane")
        with ui.column().classes("w-full"):
            _heading(_("The same from the command line"))
            with ui.row().classes("items-center no-wrap w-full"):
                self._command = ui.code("", language="bash").classes("grow min-w-0 wrapped")
                self._command.props("data-testid=command")

    def _figure(self, title: str, name: str) -> Any:
        with ui.column().classes("w-full"):
            _heading(title)
            chart = ui.echart({"series": []}).classes("w-full h-72")
            return chart.props(f'data-testid={name} role=img aria-label="{title}"')

    # -- what the reader does -----------------------------------------------------------------

    def _change(self, **chosen: Any) -> None:
        before = self._settings
        self._settings = replace(self._settings, **chosen)
        if not self._begin():
            self._settings = before

    def _begin(self) -> bool:
        """Train with the settings; say in one sentence why that cannot be."""
        try:
            spec = self._settings.spec()
        except UsageError as error:
            ui.notify(str(error), type="negative")
            return False
        self._status.set_text(_("starting ..."))
        self._session.configure(spec)
        return True

    def _toggle(self) -> None:
        (self._session.pause if self._session.running else self._session.run)()

    def _walk(self, steps: int) -> None:
        self._session.step(steps)

    def _reset(self) -> None:
        self._session.reset()

    def _stop(self) -> None:
        self._session.cancel()
        self._status.set_text(_("stopped; Run begins anew"))

    # -- what the training does ---------------------------------------------------------------

    def _refresh(self) -> None:
        told: dict[str, Callable[[Any], None]] = {
            "points": self._place_points,
            "view": self._show,
            "refused": lambda sentence: ui.notify(sentence, type="negative"),
        }
        for kind, given in self._session.news():
            told[kind](given)
        self._run.set_text(_("Pause") if self._session.running else _("Run"))

    def _place_points(self, given: Mapping[str, Any]) -> None:
        self._points = given
        self._plane_card.set_visibility("x" in given)

    def _show(self, view: Mapping[str, Any]) -> None:
        for figure, draw in (
            (self._signal, charts.signal),
            (self._progress, charts.progress),
            (self._flat, charts.flat),
        ):
            figure.options.clear()
            figure.options.update(draw(view))
            figure.update()
        if view["plane"] is not None and "x" in self._points:
            self._plane.set_source(charts.plane(view))
            self._plane.set_content(charts.points(self._points, view["plane"]["high"]))
        self._say(view)

    def _say(self, view: Mapping[str, Any]) -> None:
        accuracy = view["accuracy"][-1][1]
        text = _("step {step}; validation accuracy {accuracy:.1f} %").format(
            step=view["step"], accuracy=100 * accuracy
        )
        if view["diverged"]:
            text += "; " + _("diverged: the loss is no number any more")
        self._status.set_text(text)
        self._findings.clear()
        with self._findings:
            for severity, symptom in view["findings"]:
                ui.badge(symptom, color="negative" if severity == "critical" else "warning")
        self._command.set_content(self._settings.command(view["step"]))


def _heading(text: str) -> None:
    ui.label(text).classes("text-base font-medium").props("role=heading aria-level=2")
