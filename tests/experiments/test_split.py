"""Divisions of the data against scipy's tests and plain counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nndiag.datasets import embedded
from nndiag.experiments import split
from nndiag.schema.spec import DataSpec
from nndiag.schema.spec_generalisation import SplitSpec

tables = st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=2, max_size=5).map(
    np.array
)


@given(tables)
def test_chi_square_is_that_of_scipy(table: np.ndarray) -> None:
    value, freedom, p_value = split.chi_square(table)
    expected = stats.chi2_contingency(table, correction=False)
    assert value == pytest.approx(expected.statistic)
    assert freedom == expected.dof
    assert p_value == pytest.approx(expected.pvalue)


@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=30),
    st.lists(st.integers(0, 9), min_size=3, max_size=30),
)
def test_largest_distance_is_that_of_scipy(first: list[int], second: list[int]) -> None:
    found = split.largest_distance(np.array(first), np.array(second))
    assert found == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic)


def test_digits() -> None:
    result = split.run(SplitSpec(seeds=40)).result
    _images, labels = embedded.read()
    assert [row["samples"] for row in result["classes"]] == np.bincount(labels).tolist()
    for row in result["classes"]:
        assert sum(row["parts"]) == row["samples"]
        for count, share in zip(row["parts"], (0.6, 0.2, 0.2), strict=True):
            assert abs(count - share * row["samples"]) < 1
    by_class, at_random = result["rows"]
    # Random divisions follow chi-square: its mean is the degrees of freedom.
    assert at_random["freedom"] == 18
    assert at_random["chi_square"].mean == pytest.approx(18, abs=4 * np.sqrt(2 * 18 / 40))
    assert at_random["p_value"].mean == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 40))
    assert by_class["rejected"] == 0
    assert by_class["largest_deviation"].high < at_random["largest_deviation"].low
    assert result["leaks"]["groups"] == 0


def test_two_parts() -> None:
    result = split.run(SplitSpec(fractions=(0.75, 0.25), seeds=3)).result
    assert [part["name"] for part in result["parts"]] == ["train", "test"]
    assert [part["samples"] for part in result["parts"]] == [1348, 449]
    assert len(result["features"]["compared"]) == 1


def test_leaks_are_named(tmp_path: Path) -> None:
    lines = ["size,code,label"]
    lines += [f"{k % 7},{k % 2},{'ab'[k % 2]}" for k in range(60)]
    lines += ["3,0,b"]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines))
    result = split.run(SplitSpec(data=DataSpec(name=str(path), target="label"), seeds=3)).result
    assert result["leaks"]["in_test_and_before"] > 0
    assert result["leaks"]["contradicting"] == 1
    assert result["leaks"]["telling_features"] == [], "the last row contradicts"
    path.write_text("\n".join(lines[:-1]))
    result = split.run(SplitSpec(data=DataSpec(name=str(path), target="label"), seeds=3)).result
    assert result["leaks"]["telling_features"] == ["code"]
    assert any("feature code tells the class" in said for said in result["reading"])
