"""Ranges that count in no mean, beside the plainest way to say so: a set of slots."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Excluded, snap

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS

ranges = st.lists(
    st.tuples(st.integers(0, 24 * 60), st.integers(1, 300)).map(
        lambda one: (one[0] * MINUTE_MS, (one[0] + one[1]) * MINUTE_MS)
    ),
    max_size=6,
)


@given(ranges)
def test_slots_of_which_a_part_is_in_a_range_are_excluded_and_no_others(
    wanted: list[tuple[int, int]],
) -> None:
    found = Excluded.of(wanted)
    every = np.arange(0, 2 * DAY_MS, SLOT_MS, dtype=np.int64)
    inside = {at for start, end in wanted for at in range(*snap(start, end), SLOT_MS)}
    assert {int(at) for at in every[found.holds(every)]} == inside
    assert found.slots(0, 2 * DAY_MS) == len(inside)
    assert found.slots(HOUR_MS, 3 * HOUR_MS) == sum(HOUR_MS <= at < 3 * HOUR_MS for at in inside)
    hours = np.arange(0, 2 * DAY_MS, HOUR_MS, dtype=np.int64)
    counts = [sum(at // HOUR_MS * HOUR_MS == hour for at in inside) for hour in hours]
    assert found.touches(hours, HOUR_MS).tolist() == [count > 0 for count in counts]
    assert found.covers(hours, HOUR_MS).tolist() == [count == 12 for count in counts]
    parted = [hour for hour, count in zip(hours.tolist(), counts, strict=True) if 0 < count < 12]
    assert found.parted_hours(0, 2 * DAY_MS).tolist() == parted
