"""Ticks: round local times, the date where it changes, offsets where an hour repeats; few round values."""

from __future__ import annotations

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sgmp_console.ui.charts import ticks

ZONE = ZoneInfo("America/Los_Angeles")
HOUR = 3_600_000


def at(text: str, zone: ZoneInfo = ZONE) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def labels(start: str, hours: float, at_most: int, zone: ZoneInfo = ZONE) -> list[str]:
    begin = at(start, zone)
    return [tick.label for tick in ticks.time_ticks(begin, begin + round(hours * HOUR), zone, at_most)]


def test_a_day_has_round_hours_and_the_date_at_midnight() -> None:
    assert labels("2025-05-13 14:03", 24, 8) == [
        "15:00", "18:00", "21:00", "Wed 14 May", "03:00", "06:00", "09:00", "12:00",
    ]  # fmt: skip


def test_the_hour_left_out_in_spring_has_no_tick() -> None:
    assert labels("2025-03-09 00:30", 4, 6) == ["01:00", "03:00", "04:00", "05:00"]


def test_the_hour_repeated_in_autumn_has_two_ticks_with_offsets() -> None:
    assert labels("2025-11-02 00:30", 4, 6) == ["01:00 −07:00", "01:00 −08:00", "02:00", "03:00"]


def test_a_zone_of_half_hours_has_round_minutes() -> None:
    assert labels("2025-05-14 10:10", 1, 6, ZoneInfo("Asia/Kolkata")) == [
        "10:10", "10:20", "10:30", "10:40", "10:50", "11:00",
    ]  # fmt: skip


def test_months_have_dates() -> None:
    assert labels("2025-05-14", 24 * 30, 6) == ["19 May", "26 May", "2 Jun", "9 Jun"]


def test_months_of_several_years_say_the_year_at_the_first_of_each() -> None:
    assert labels("2025-10-14", 24 * 400, 5) == ["1 Jan", "1 Apr", "1 Jul", "1 Oct"]
    assert labels("2025-10-14", 24 * 600, 7) == [
        "1 Jan 2026", "1 Apr", "1 Jul", "1 Oct", "1 Jan 2027", "1 Apr",
    ]  # fmt: skip
    assert labels("2010-01-01", 24 * 366 * 16, 5) == ["1 Jan 2010", "1 Jan 2015", "1 Jan 2020", "1 Jan 2025"]


# Each changes its clocks in another way: at midnight, by half an hour or two hours, by a day, in the middle of Ramadan.
ODD_ZONES = (
    "America/Havana", "Pacific/Apia", "Australia/Lord_Howe", "Antarctica/Troll", "America/Asuncion", "Atlantic/Azores",
    "Africa/Casablanca", "Asia/Beirut", "America/Scoresbysund", "Asia/Gaza", "America/St_Johns", "Pacific/Chatham",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_ZONES)
def test_around_every_change_of_the_clocks_ticks_ascend_and_each_date_is_there_once(name: str) -> None:
    zone = ZoneInfo(name)
    for change in changes_of_the_clocks(zone):
        for hours, at_most in itertools.product((1, 12, 24, 72, 24 * 20), (4, 12, 40)):
            found = ticks.time_ticks(change - hours * HOUR, change + hours * HOUR, zone, at_most)
            instants = [tick.timestamp_ms for tick in found]
            assert instants == sorted(set(instants))
            dates = [tick.label for tick in found if tick.new_date]
            assert len(dates) == len(set(dates))


def changes_of_the_clocks(zone: ZoneInfo) -> list[int]:
    """UTC ms, 2010 to 2027, to the hour or half of it."""
    half_hours = range(at("2010-01-01", ZoneInfo("UTC")), at("2027-01-01", ZoneInfo("UTC")), HOUR // 2)
    before = None
    found = []
    for day in half_hours[::48]:
        offset = datetime.fromtimestamp(day / 1000, zone).utcoffset()
        if before not in (None, offset):
            found += [
                instant
                for instant in range(day - 24 * HOUR, day, HOUR // 2)
                if datetime.fromtimestamp(instant / 1000, zone).utcoffset()
                != datetime.fromtimestamp(instant / 1000 - 1, zone).utcoffset()
            ]
        before = offset
    return found


HAVANA = ZoneInfo("America/Havana")


def test_a_day_whose_midnight_is_skipped_has_its_date_where_it_begins_and_says_when() -> None:
    assert labels("2026-03-07 18:00", 12, 6, HAVANA) == [
        "18:00", "20:00", "22:00", "Sun 8 Mar 01:00", "02:00", "04:00", "06:00",
    ]  # fmt: skip
    found = ticks.time_ticks(at("2026-03-07 12:00", HAVANA), at("2026-03-08 12:00", HAVANA), HAVANA, 8)
    assert [tick.label for tick in found if tick.new_date] == ["Sun 8 Mar 01:00"]


@pytest.mark.parametrize("at_most", [3, 6, 12, 30, 60])
def test_a_day_whose_midnight_comes_twice_has_its_date_once_at_the_first(at_most: int) -> None:
    begin = at("2026-10-31 12:00", HAVANA)
    found = [tick for tick in ticks.time_ticks(begin, begin + 24 * HOUR, HAVANA, at_most) if tick.new_date]
    assert [(tick.label, tick.timestamp_ms) for tick in found] == [
        ("Sun 1 Nov", at("2026-11-01 00:00", HAVANA))
    ]


def test_an_axis_without_a_midnight_has_the_date_at_its_first_tick() -> None:
    begin = at("2025-05-14 01:30")
    dated = ticks.with_a_date(ticks.time_ticks(begin, begin + 12 * HOUR, ZONE, 6), ZONE)
    assert [tick.label for tick in dated][:2] == ["14 May 02:00", "04:00"]
    over_midnight = ticks.time_ticks(begin, begin + 24 * HOUR, ZONE, 6)
    assert ticks.with_a_date(over_midnight, ZONE) == over_midnight


def test_ticks_of_huge_values_are_short() -> None:
    assert ticks.value_label(2e99, 1e99) == "2·10⁹⁹"
    assert ticks.value_label(0, 1e99) == "0"


@given(
    st.integers(0, 2_500_000_000_000),
    st.integers(10_000, 400 * 24 * HOUR),
    st.integers(2, 14),
    st.sampled_from(
        [
            "America/Los_Angeles",
            "Europe/Berlin",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "America/Havana",
            "UTC",
        ]
    ),
)
def test_ticks_are_few_ascending_and_inside(start: int, span: int, at_most: int, zone: str) -> None:
    found = [tick.timestamp_ms for tick in ticks.time_ticks(start, start + span, ZoneInfo(zone), at_most)]
    assert found == sorted(set(found))
    assert all(start <= at_ms < start + span for at_ms in found)
    assert len(found) <= at_most + 2


@given(
    st.floats(-1e4, 1e4) | st.floats(-1, 0),
    st.floats(0, 1e4) | st.floats(0, 2),
    st.floats(0.01, 100),
    st.booleans(),
    st.integers(1, 6),
)
def test_a_value_axis_holds_the_data_between_two_ticks(
    low: float, span: float, least: float, from_zero: bool, count: int
) -> None:
    high = low + span
    bottom, top, step = ticks.value_range(low, high, least_span=least, from_zero=from_zero, ticks=count)
    slack = step * 1e-6
    assert bottom - slack <= low
    assert high <= top + slack
    assert top - bottom >= min(least, top - bottom)
    assert not from_zero or bottom - slack <= 0 <= top + slack
    assert (top - bottom) / step <= count + 2 + 1e-6


@given(st.floats(-50, 50), st.floats(0.001, 100))
def test_labels_tell_neighbouring_ticks_apart(low: float, span: float) -> None:
    bottom, top, step = ticks.value_range(low, low + span, least_span=0.001, from_zero=False, ticks=5)
    values = ticks.value_ticks(bottom, top, step)
    assume(len(values) > 1)
    texts = [ticks.value_label(value, step) for value in values]
    assert len(set(texts)) == len(texts)


def test_frequency_is_scaled_to_its_data_but_noise_does_not_fill_the_pane() -> None:
    bottom, top, _ = ticks.value_range(59.99, 60.01, least_span=0.1, from_zero=False, ticks=2)
    assert (bottom, top) == pytest.approx((59.95, 60.05))


@pytest.mark.parametrize(("low", "high"), [(-0.02, 0.4), (-0.09, 0.05), (-1e-6, 1e-9)])
def test_little_on_both_sides_of_zero_stays_within_the_axis(low: float, high: float) -> None:
    bottom, top, step = ticks.value_range(low, high, least_span=1.0, from_zero=True, ticks=4)
    assert bottom <= low < high <= top
    assert top - bottom <= 1.0 + 2 * step


def test_an_idle_house_has_a_power_axis_from_zero() -> None:
    assert ticks.value_range(0.0, 0.0, least_span=1.0, from_zero=True, ticks=4) == (0.0, 1.0, 0.25)
