"""What is drawn of a line: no extreme is lost, no gap is bridged, nothing is invented."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.timeseries.series import Series
from sgmp_console.ui.charts import reduce

GAP = 150_000

steps = st.lists(st.sampled_from([1000, 4000, 60_000, 149_000, 200_000, 4_000_000]), min_size=0, max_size=300)


@st.composite
def made_series(draw: st.DrawFn) -> Series:
    times = np.cumsum([1_700_000_000_000, *draw(steps)])
    values = draw(st.lists(st.floats(-100, 100), min_size=len(times), max_size=len(times)))
    return Series(times, values)


@given(made_series(), st.integers(1, 200))
def test_each_drawn_point_is_one_that_was_measured_and_the_extremes_are_among_them(
    series: Series, columns: int
) -> None:
    start, end = int(series.timestamps[0]), int(series.timestamps[-1]) + 1
    x, y = reduce.reduced(series, start, end, columns, GAP)
    drawn = y[~np.isnan(y)]
    assert set(drawn) <= set(series.values)
    assert drawn.min() == series.values.min()
    assert drawn.max() == series.values.max()
    assert bool(np.all(np.diff(x) >= 0))
    assert x.dtype == np.float64


@given(made_series(), st.integers(1, 200))
def test_a_gap_that_can_be_seen_is_never_bridged(series: Series, columns: int) -> None:
    start, end = int(series.timestamps[0]), int(series.timestamps[-1]) + 1
    x, y = reduce.reduced(series, start, end, columns, GAP)
    joined = ~np.isnan(y[:-1]) & ~np.isnan(y[1:])
    column_s = (end - start) / columns / 1000
    assert bool(np.all(np.diff(x)[joined] <= max(GAP / 1000, column_s) + 1e-6))


@given(made_series(), st.integers(1, 200))
def test_no_more_points_than_the_width_can_show(series: Series, columns: int) -> None:
    start, end = int(series.timestamps[0]), int(series.timestamps[-1]) + 1
    _, y = reduce.reduced(series, start, end, columns, GAP)
    # Two a column, once more for what stands alone, and a break after each at most.
    assert len(y) <= 8 * columns + 8


def test_a_point_alone_between_gaps_is_drawn_as_a_dot() -> None:
    series = Series([0, 1_000_000, 2_000_000], [1.0, 2.0, 3.0])
    x, y = reduce.reduced(series, 0, 2_000_001, 100, GAP)
    np.testing.assert_array_equal(y, [1, 1, np.nan, 2, 2, np.nan, 3, 3])
    np.testing.assert_array_equal(x, [0, 0, 0, 1000, 1000, 1000, 2000, 2000])


def test_the_line_runs_to_the_edge_of_the_chart() -> None:
    series = Series(np.arange(0, 100_000, 1000), np.arange(100.0))
    x, _ = reduce.reduced(series, 50_500, 60_500, 1000, GAP)
    assert (x[0], x[-1]) == (50.0, 61.0)


def test_gaps_include_the_ends_of_the_range() -> None:
    series = Series([500_000, 600_000, 900_000], [1.0, 1.0, 1.0])
    assert reduce.gaps(series, 0, 2_000_000, GAP) == [(0, 500_000), (600_000, 900_000), (900_000, 2_000_000)]
    assert reduce.gaps(Series.empty(), 0, 2_000_000, GAP) == [(0, 2_000_000)]


def test_hatched_is_what_all_lines_lack() -> None:
    assert reduce.common_gaps([[(0, 10), (20, 40)], [(5, 30)]]) == [(5, 10), (20, 30)]
    assert reduce.common_gaps([[(0, 10)], []]) == []
    assert reduce.common_gaps([]) == []


def test_points_apart_from_others_are_lonely_and_those_of_a_line_are_not() -> None:
    found = reduce.lonely(Series([0, 10, 20, 500, 900], [1.0, 2.0, 3.0, 4.0, 5.0]), 0, 1000, 100)
    assert found.timestamps.tolist() == [500, 900]
    assert reduce.lonely(Series([7], [1.0]), 0, 10, 100).values.tolist() == [1.0]
    assert len(reduce.lonely(Series.empty(), 0, 10, 100)) == 0


def test_a_column_holds_the_mean_of_its_values_and_a_gap_stays_one() -> None:
    series = Series([0, 5, 10, 35, 90], [1.0, 3.0, 4.0, 6.0, 8.0])
    means = reduce.column_means(series, 0, 100, 10, 30)
    np.testing.assert_allclose(means, [2, 4, 5, 6, *[np.nan] * 5, 8])


@given(made_series(), st.integers(1, 60))
def test_column_means_stay_within_the_values(series: Series, columns: int) -> None:
    start, end = int(series.timestamps[0]), int(series.timestamps[-1]) + 1
    means = reduce.column_means(series, start, end, columns, GAP)
    inside = series.values
    known = means[~np.isnan(means)]
    assert len(known) <= columns
    if len(known):
        assert inside.min() - 1e-6 <= known.min()
        assert known.max() <= inside.max() + 1e-6
