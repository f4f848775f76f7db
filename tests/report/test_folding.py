from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nndiag.report.folding import MOST_ROWS, shown_rows


@given(st.integers(0, 10_000))
def test_rows_are_ordered_bounded_and_hold_both_ends(total: int) -> None:
    rows = shown_rows(total)
    assert rows == sorted(set(rows))
    assert len(rows) <= MOST_ROWS
    if total <= MOST_ROWS:
        assert rows == list(range(total))
    else:
        assert rows[:4] == [0, 1, 2, 3]
        assert rows[-4:] == list(range(total - 4, total))


@given(st.integers(100, 10_000))
def test_the_middle_is_chosen_evenly(total: int) -> None:
    middle = shown_rows(total)[4:-4]
    steps = [b - a for a, b in pairwise(middle)]
    assert max(steps) - min(steps) <= 1


def test_a_few_rows_of_interest_stay_in_sight_but_not_all() -> None:
    assert 333 in shown_rows(1000, keep=[333])
    assert shown_rows(1000, keep=range(1000)) == shown_rows(1000)
