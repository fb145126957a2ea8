"""Means, energies and coverage: the same at every zoom."""

import random
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.timeseries import (
    HOUR_MS,
    SLOT_MS,
    Series,
    SlotMeans,
    calendar,
    extremes,
    last_slots,
    slot_means,
    snap,
)

NOON = 1_751_371_200_000  # 2025-07-01T12:00:00Z


def test_a_slots_mean_is_the_mean_of_its_values() -> None:
    slots = slot_means(Series([NOON, NOON + 1, NOON + SLOT_MS], [1, 2, 5]), NOON, NOON + 2 * SLOT_MS)

    assert (slots.starts.tolist(), slots.means.tolist()) == ([NOON, NOON + SLOT_MS], [1.5, 5])


def test_a_slot_without_a_value_is_uncovered_and_stays_out() -> None:
    slots = slot_means(Series([NOON, NOON + 3 * SLOT_MS], [2, 4]), NOON, NOON + 4 * SLOT_MS)

    assert (slots.count, slots.covered, slots.coverage) == (4, 2, 0.5)
    assert slots.mean == 3
    assert slots.energy_kwh == pytest.approx(6 / 12)


def test_each_slot_counts_alike_however_many_readings_it_has() -> None:
    slots = slot_means(
        Series([NOON, NOON + 1, NOON + 2, NOON + SLOT_MS], [1, 1, 1, 3]), NOON, NOON + 2 * SLOT_MS
    )

    assert slots.mean == 2


def test_values_that_are_no_numbers_do_not_count() -> None:
    series = Series([NOON, NOON + 1, NOON + SLOT_MS], [1, np.nan, np.inf])
    slots = slot_means(series, NOON, NOON + 2 * SLOT_MS)

    assert (slots.covered, slots.mean) == (1, 1)


def test_no_data_is_not_zero() -> None:
    slots = slot_means(Series.empty(), NOON, NOON + HOUR_MS)

    assert (slots.coverage, slots.mean, slots.energy_kwh) == (0, None, None)
    assert (slots.hours().mean, slots.hours().energy_kwh) == (None, None)
    assert slot_means(Series.empty(), NOON, NOON).coverage is None
    assert extremes(Series([0], [np.nan])) is None


def test_ranges_are_half_open_and_snap_to_slots() -> None:
    assert snap(NOON, NOON + SLOT_MS) == (NOON, NOON + SLOT_MS)
    assert snap(NOON + 1, NOON + SLOT_MS + 1) == (NOON, NOON + 2 * SLOT_MS)
    assert snap(-1, 0) == (-SLOT_MS, 0)
    with pytest.raises(ValueError, match="before it starts"):
        snap(1, 0)
    edges = Series([NOON, NOON + SLOT_MS], [1, 100])
    assert slot_means(edges, NOON, NOON + SLOT_MS).means.tolist() == [1]


def test_neighbouring_ranges_count_no_reading_twice() -> None:
    series = Series(NOON + np.arange(600) * 1_000, np.ones(600))
    one = slot_means(series, NOON, NOON + SLOT_MS)
    other = slot_means(series, NOON + SLOT_MS, NOON + 2 * SLOT_MS)
    both = slot_means(series, NOON, NOON + 2 * SLOT_MS)

    assert [*one.starts, *other.starts] == both.starts.tolist()


def test_the_newest_slots_end_with_the_one_that_holds_now() -> None:
    assert last_slots(NOON, 288) == (NOON + SLOT_MS - 86_400_000, NOON + SLOT_MS)
    assert last_slots(NOON + SLOT_MS - 1, 1) == (NOON, NOON + SLOT_MS)


def test_energy_is_that_of_the_power_for_any_range() -> None:
    # 3 kW all day: the ancestor shows mean / 12 = 0.25 kWh.
    series = Series(NOON + np.arange(24 * 900) * 4_000, np.full(24 * 900, 3.0))

    assert slot_means(series, NOON, NOON + 24 * HOUR_MS).energy_kwh == pytest.approx(72)
    assert slot_means(series, NOON, NOON + HOUR_MS).energy_kwh == pytest.approx(3)


def test_a_gap_neither_adds_energy_nor_stretches_the_mean() -> None:
    # 3 kW in the first and last hour of a day, nothing known between: the ancestor multiplies the mean by a day.
    series = Series(NOON + np.r_[0:900, 900 * 23 : 900 * 24] * 4_000, np.full(1_800, 3.0))
    slots = slot_means(series, NOON, NOON + 24 * HOUR_MS)

    assert slots.energy_kwh == pytest.approx(6)
    assert slots.coverage == pytest.approx(1 / 12)


def test_extremes_are_of_raw_values_and_have_their_time() -> None:
    found = extremes(Series([1, 2, 3, 4, 5], [3, 9, -2, 9, np.nan]))

    assert found is not None
    assert (found.minimum, found.minimum_ms, found.maximum, found.maximum_ms) == (-2, 3, 9, 2)


def test_hours_are_counted_from_where_the_houses_hours_begin() -> None:
    slots = slot_means(Series(NOON + np.arange(24) * SLOT_MS, np.arange(24.0)), NOON, NOON + 2 * HOUR_MS)

    assert slots.hours().starts.tolist() == [NOON, NOON + HOUR_MS]
    half = slots.hours(NOON + HOUR_MS // 2)
    assert half.starts.tolist() == [NOON - HOUR_MS // 2, NOON + HOUR_MS // 2, NOON + 3 * HOUR_MS // 2]
    assert half.covered.tolist() == [6, 12, 6]
    assert half.means.tolist() == [2.5, 11.5, 20.5]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", date(2026, 3, 8), 23),
        ("America/Los_Angeles", date(2026, 7, 1), 24),
        ("America/Los_Angeles", date(2026, 11, 1), 25),
        ("Asia/Kolkata", date(2026, 7, 1), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Kathmandu", date(2026, 7, 1), 24),
    ],
)
def test_the_energy_of_a_day_is_the_sum_of_its_slots_and_of_its_hours(
    zone: str, day: date, hours: float
) -> None:
    start, end = calendar.day(day, zone)
    rng = random.Random(str(day))
    timestamps = [t for t in range(start - HOUR_MS, end + HOUR_MS, 20_000) if rng.random() > 0.1]
    slots = slot_means(Series(timestamps, [rng.uniform(0, 9) for _ in timestamps]), start, end)

    assert (end - start) / HOUR_MS == hours
    assert slots.count == 12 * hours
    expected = sum(map(Fraction, slots.means.tolist())) / 12
    assert slots.energy_kwh == pytest.approx(float(expected), rel=1e-12)
    assert slots.hours(start).energy_kwh == pytest.approx(float(expected), rel=1e-12)
    assert slots.hours(start).energies_kwh.sum() == pytest.approx(float(expected), rel=1e-12)
    assert len(slots.hours(start).starts) == np.ceil(hours)
    assert slots.hours(start).mean == pytest.approx(slots.mean, rel=1e-12)


readings = st.dictionaries(
    st.integers(-40, 40).map(lambda k: k * 50_000), st.floats(-1e6, 1e6), min_size=0, max_size=60
).map(lambda found: Series(sorted(found), [found[t] for t in sorted(found)]))


@given(readings, st.integers(-30, 30), st.integers(0, 20), st.integers(0, 20))
def test_parts_of_a_range_add_up_to_it(series: Series, first: int, left: int, right: int) -> None:
    start, middle, end = (SLOT_MS * k for k in (first, first + left, first + left + right))
    whole, one, other = (slot_means(series, a, b) for a, b in ((start, end), (start, middle), (middle, end)))

    assert whole.covered == one.covered + other.covered
    assert (whole.energy_kwh or 0) == pytest.approx((one.energy_kwh or 0) + (other.energy_kwh or 0), abs=1e-6)
    assert whole.between(start, middle).means.tolist() == one.means.tolist()
    assert whole.between(middle, end).starts.tolist() == other.starts.tolist()
    assert whole.between(start - SLOT_MS, end + SLOT_MS).count == whole.count


@given(readings)
def test_slots_agree_with_plain_arithmetic(series: Series) -> None:
    groups: dict[int, list[Fraction]] = {}
    for timestamp, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True):
        groups.setdefault(timestamp // SLOT_MS * SLOT_MS, []).append(Fraction(value))
    slots = slot_means(series, -40 * 50_000, 40 * 50_000 + 1)

    assert slots.starts.tolist() == sorted(groups)
    expected = [float(sum(groups[start]) / len(groups[start])) for start in sorted(groups)]
    assert slots.means.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_what_overflows_has_no_value_in_slots_hours_months_and_curves() -> None:
    means = SlotMeans(0, 2 * HOUR_MS, np.array([0, SLOT_MS, HOUR_MS]), np.array([1.7e308, 1.7e308, 1.0]))
    hours = means.hours()

    assert means.mean is None
    assert means.energy_kwh is None
    assert hours.mean is None
    assert hours.energy_kwh is None
