from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nndiag.report.columns import Column, body, fit, heading, total_width

NAME = Column(title="layer", cells=("layer4.2.conv1", "fc"), left=True, shrinks_to=8)
NORM = Column(title="norm", group="gradient", cells=("1.2e-12", "0.5"))
SPREAD = Column(title="±", group="gradient", cells=("±4%", ""), left=True, rank=1, until=2)
LIMITS = Column(title="95 %", group="gradient", cells=("1e-12..2e-12", ""), rank=2)
ALL = [NAME, NORM, SPREAD, LIMITS]


def titles(width: int) -> list[str]:
    return [column.title for column in fit(ALL, width)]


def test_a_richer_column_replaces_the_poorer_one() -> None:
    assert titles(100) == ["layer", "norm", "95 %"]
    assert titles(28) == ["layer", "norm", "±"]
    assert titles(10) == ["layer", "norm"]


def test_a_long_name_is_shortened_at_its_left_end() -> None:
    shortened = fit([NAME, NORM], 21)[0]
    assert shortened.cells == ("..4.2.conv1", "fc")


def test_lines_are_aligned_under_their_group() -> None:
    chosen = fit(ALL, 100)
    lines = [line.plain for line in (*heading(chosen), body(chosen, 0), body(chosen, 1))]
    assert lines == [
        "                      gradient",
        "layer              norm         95 %",
        "layer4.2.conv1  1.2e-12 1e-12..2e-12",
        "fc                  0.5",
    ]


@given(st.integers(19, 80), st.sampled_from([1, 2]))
def test_what_fits_is_no_wider_than_asked(width: int, gap: int) -> None:
    chosen = fit(ALL, width, gap)
    assert total_width(chosen, gap) <= width
    for line in (*heading(chosen, gap), body(chosen, 0, gap)):
        assert len(line.plain) <= width
