"""What every command draws: each panel says what its axes are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nndiag.experiments import backprop, descent, ewma, losses, perceptron
from nndiag.report import canvas, drawings
from nndiag.report.panels import Panel
from nndiag.schema.result import Interval, Result
from nndiag.schema.spec_principles import (
    BackpropSpec,
    DescentSpec,
    EwmaSpec,
    LossesSpec,
    PerceptronSpec,
)

PRINCIPLES: dict[str, Callable[[], Result]] = {
    "perceptron": lambda: perceptron.run(PerceptronSpec(tables=("and", "xor"), seeds=2, epochs=20)),
    "ewma": lambda: ewma.run(EwmaSpec(seeds=2)),
    "backprop": lambda: backprop.run(BackpropSpec(seeds=2)),
    "losses": lambda: losses.run(LossesSpec(seeds=2, steps=40)),
    "descent": lambda: descent.run(DescentSpec(seeds=2, epochs=2)),
}


@pytest.fixture(scope="module", params=[*PRINCIPLES, "gradients"])
def described(request: pytest.FixtureRequest, make_result: Callable[..., Result]) -> list[Panel]:
    run = PRINCIPLES.get(request.param, lambda: make_result(trained=True, time_steps=4))
    return drawings.panels(run())


def test_every_panel_names_its_axes(described: list[Panel]) -> None:
    for panel in described:
        assert panel.title
        assert panel.x_name, panel.title
        assert panel.y_name or panel.down, panel.title


def test_norms_span_decades_and_have_a_logarithmic_axis(described: list[Panel]) -> None:
    for panel in described:
        if "norm" in panel.y_name:
            assert panel.log_y, panel.title


def test_theory_is_dashed_and_black(described: list[Panel]) -> None:
    for panel in described:
        for line in panel.lines:
            if "theory" in line.name:
                assert line.dashed
                assert line.colour is None


def test_every_panel_is_drawn(described: list[Panel]) -> None:
    figure = canvas.figure(described)
    figure.canvas.draw()
    assert {axis.get_title() for axis in figure.axes} >= {panel.title for panel in described}


def test_a_command_without_a_description_shows_its_metrics() -> None:
    rows = [{"label": "a", "score": Interval(0.5, 0.4, 0.6)}, {"label": "b", "score": None}]
    result = Result(command="x", spec={}, environment={}, seconds=0.1, result={"rows": rows})
    (panel,) = drawings.panels(result)
    assert (panel.down, list(panel.lines[0].x), list(panel.lines[0].y)) == (["a", "b"], [0.5], [1])
