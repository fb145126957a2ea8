"""Series that grow at their end while others still draw them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.timeseries import GrowingSeries, Series


def grown(*tails: Series) -> GrowingSeries:
    held = GrowingSeries()
    for tail in tails:
        held.replace_from(int(tail.timestamps[0]), tail, 0)
    return held


def test_a_tail_replaces_what_is_held_of_its_time() -> None:
    held = grown(Series([1, 2, 3, 4], [1, 2, 3, 4]))
    held.replace_from(3, Series([3, 5], [30, 50]), 2)
    assert (held.series.timestamps.tolist(), held.series.values.tolist()) == ([2, 3, 5], [2, 30, 50])


def test_an_empty_tail_takes_away_what_is_held_of_its_time() -> None:
    held = grown(Series([1, 2, 3], [1, 2, 3]))
    held.replace_from(2, Series.empty(), 0)
    assert held.series.timestamps.tolist() == [1]


def test_everything_can_be_forgotten() -> None:
    held = grown(Series([1, 2], [1, 2]))
    held.replace_from(3, Series.empty(), 9)
    assert len(held.series) == 0
    held.replace_from(9, Series([9], [1]), 9)
    assert held.series.timestamps.tolist() == [9]


batches = st.lists(
    st.tuples(st.integers(0, 100), st.sets(st.integers(0, 100), max_size=8), st.integers(0, 100)), max_size=12
)


@given(batches)
def test_what_was_handed_out_never_changes(steps: list[tuple[int, set[int], int]]) -> None:
    held, model = GrowingSeries(), dict[int, float]()
    handed_out = []
    start = 0
    for number, (since, times, forget) in enumerate(steps):
        start = max(start, forget)
        tail = sorted(time for time in times if time >= since)
        held.replace_from(since, Series(tail, [float(number)] * len(tail)), start)
        model = {time: value for time, value in model.items() if time < since} | dict.fromkeys(
            tail, float(number)
        )
        model = {time: value for time, value in model.items() if time >= start}
        assert dict(zip(held.series.timestamps.tolist(), held.series.values.tolist(), strict=True)) == model
        handed_out.append((held.series, held.series.values.copy()))
    for series, as_it_was in handed_out:
        np.testing.assert_array_equal(series.values, as_it_was)
