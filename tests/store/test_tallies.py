"""A copy that was made while the database went on is compared with what was counted before and after."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.store import tallies
from tests.store.conftest import Place

DAY_MS = 86_400_000
DAY = 20_454
"""2026-01-01."""

values = st.floats(-1e100, 1e100)
stored = st.lists(st.tuples(st.integers(1, 3), st.integers(DAY, DAY + 2), values), max_size=30)


def counted(readings: list[tuple[int, int, float]]) -> tallies.Tally:
    keys = sorted({(series, day) for series, day, _ in readings})
    rows = []
    for key in keys:
        of_key = np.array([value for series, day, value in readings if (series, day) == key])
        rows.append((*key, len(of_key), float(of_key.sum()), float(np.abs(of_key).sum())))
    return tallies.tally(rows)


@given(stored, st.data())
def test_a_copy_of_a_moment_between_is_right(
    readings: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(readings)))
    copied = data.draw(st.integers(first, len(readings)))
    before, after = counted(readings[:first]), counted(readings)
    assert tallies.differences(before, after, counted(readings[:copied])) == []


@given(stored.filter(bool), st.data())
def test_a_reading_that_is_missing_is_found(
    readings: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    whole = counted(readings)
    gone = data.draw(st.integers(0, len(readings) - 1))
    found = tallies.differences(whole, whole, counted(readings[:gone] + readings[gone + 1 :]))
    assert [(one.series_id, one.day, one.expected[0] - one.found) for one in found] == [
        (readings[gone][0], np.datetime64(readings[gone][1], "D"), 1)
    ]


def test_another_value_is_found_by_its_sum_and_another_order_of_adding_is_not() -> None:
    before = counted([(1, DAY, 0.1), (1, DAY, 0.2), (1, DAY, 0.3)])
    assert tallies.differences(before, before, counted([(1, DAY, 0.3), (1, DAY, 0.2), (1, DAY, 0.1)])) == []
    (found,) = tallies.differences(before, before, counted([(1, DAY, 0.1), (1, DAY, 0.2), (1, DAY, 0.30001)]))
    assert found.sums_differ


def test_readings_are_counted_per_series_and_day_of_utc(place: Place) -> None:
    midnight = DAY * DAY_MS
    place.write(
        {
            midnight - 1: {"A.Solar": 2.0},
            midnight: {"A.Solar": -3.0, "ts": 1.0},
            midnight + 1: {"A.Solar": 4.0},
        }
    )
    found = tallies.count(place.database)
    assert found.days.tolist() == [DAY - 1, DAY, DAY]
    assert found.counts.tolist() == [1, 2, 1]
    assert found.sums.tolist() == [2.0, 1.0, 1.0]
    assert found.sizes.tolist() == [2.0, 7.0, 1.0]
    assert found.total == 4
