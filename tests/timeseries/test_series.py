"""Series, and several of them brought together."""

import numpy as np
import pytest

from sgmp_console.timeseries import (
    HOUR_MS,
    SLOT_MS,
    Series,
    aggregate,
    align,
    hourly,
    period_means,
    shared_fraction,
    timestamp_hash,
    typical_interval_ms,
)


@pytest.mark.parametrize("timestamps", [[1, 1], [2, 1], [[1, 2]], [1, 2, 3]])
def test_timestamps_ascend_and_match_the_values(timestamps: list[int]) -> None:
    with pytest.raises(ValueError, match="timestamps"):
        Series(timestamps, [1.0, 2.0])


def test_a_range_is_half_open() -> None:
    series = Series([0, 10, 20], [1, 2, 3])

    assert series.between(0, 20).values.tolist() == [1, 2]
    assert series.between(1, 21).values.tolist() == [2, 3]
    assert len(series.between(30, 10)) == 0


def test_aligned_series_keep_the_timestamps_all_of_them_have() -> None:
    timestamps, columns = align(
        [
            Series([1, 2, 3, 5], [10, 20, 30, 50]),
            Series([2, 3, 4, 5], [2, 3, 4, 5]),
            Series([0, 3, 5], [0, 0.3, 0.5]),
        ]
    )

    assert timestamps.tolist() == [3, 5]
    assert [column.tolist() for column in columns] == [[30, 50], [3, 5], [0.3, 0.5]]


def test_nothing_is_shared_with_an_empty_series() -> None:
    timestamps, columns = align([Series([1, 2], [1, 2]), Series.empty(), Series([1], [1])])

    assert (len(timestamps), [len(column) for column in columns]) == (0, [0, 0, 0])
    assert shared_fraction(Series([1], [1]), Series.empty()) is None


def test_the_shared_part_is_that_of_the_shorter_series() -> None:
    assert shared_fraction(Series(range(100), range(100)), Series([5, 50, 500, 600], [1] * 4)) == 0.5


def test_the_typical_interval_is_not_upset_by_a_gap() -> None:
    assert typical_interval_ms(Series([0, 4, 8, 12, 1_000_000], [0] * 5)) == 4
    assert typical_interval_ms(Series([0], [0])) is None


def test_period_means_stand_at_the_start_of_their_period() -> None:
    means = period_means(Series([-1, 0, 9, 10, 35], [5, 1, 3, 7, np.nan]), 10)

    assert (means.timestamps.tolist(), means.values.tolist()) == ([-10, 0, 10], [5, 2, 7])


def test_aggregates_hold_what_their_names_say() -> None:
    slots = aggregate(Series([0, 1, 2, SLOT_MS, HOUR_MS], [1, -3, 0, 8, -1]))

    assert slots.starts.tolist() == [0, SLOT_MS, HOUR_MS]
    assert slots.n.tolist() == [3, 1, 1]
    assert slots.sums.tolist() == [-2, 8, -1]
    assert slots.positive_sums.tolist() == [1, 8, 0]
    assert slots.negative_sums.tolist() == [-3, 0, -1]
    assert (slots.minima.tolist(), slots.maxima.tolist()) == ([-3, 8, -1], [1, 8, -1])
    hours = hourly(slots)
    assert (hours.starts.tolist(), hours.covered.tolist()) == ([0, HOUR_MS], [2, 1])
    assert hours.sums.tolist() == pytest.approx([-2 / 3 + 8, -1])
    assert hours.positive_sums.tolist() == pytest.approx([1 / 3 + 8, 0])
    assert (hours.minima.tolist(), hours.maxima.tolist()) == ([-3, -1], [8, -1])
    assert hours.n is not None
    assert hours.n.tolist() == [4, 1]


def test_of_no_readings_there_are_no_aggregates() -> None:
    assert len(aggregate(Series([0], [np.nan])).starts) == len(hourly(aggregate(Series.empty())).starts) == 0


def test_fingerprints_tell_sets_of_timestamps_apart() -> None:
    ticks = np.arange(75, dtype=np.int64) * 4_000 + 1_751_371_200_000
    rng = np.random.default_rng(0)
    seen = {}
    for _ in range(2_000):
        missing = frozenset(rng.choice(75, rng.integers(1, 5), replace=False).tolist())
        seen[missing] = int(timestamp_hash(np.delete(ticks, list(missing))).sum())

    assert len(set(seen.values())) == len(seen)
    # Equal counts, equal sums and equal sums of squares: what simpler fingerprints would take for the same.
    one, other = ticks[[0, 4, 5]], ticks[[1, 2, 6]]
    assert timestamp_hash(one).sum() != timestamp_hash(other).sum()


def test_fingerprints_are_those_that_postgresql_computes() -> None:
    # SELECT hashint8(x)
    known = {
        0: -272_711_505,
        1: -1_905_060_026,
        -1: 385_747_274,
        1_751_371_204_321: 374_582_029,
        -1_751_371_204_321: 1_739_201_457,
        2**32: -1_905_060_026,
        2**63 - 1: -1_524_351_049,
    }

    assert timestamp_hash(np.array(list(known))).tolist() == list(known.values())
