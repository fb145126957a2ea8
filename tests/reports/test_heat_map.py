"""Heat maps: every cell computed again by plain Python from the raw readings, in zones whose clocks change."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sgmp_console.errors import UserError
from sgmp_console.reports import periods
from sgmp_console.reports.heat_map import NOWHERE, HeatMap, heat_map
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import Database, houses
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, HourMeans, Series, calendar
from tests.reports.stored import StoredHouse

MINUTE_MS = 60_000


def stored_around(database: Database, period: Period, *, aggregated: bool = True) -> StoredHouse:
    """A reading each minute, with an outage in the middle of the period and one hour that is partly there."""
    stored = StoredHouse.make(database, "Maple House")
    t = np.arange(period.start_ms - 2 * HOUR_MS, period.end_ms + 2 * HOUR_MS, MINUTE_MS, dtype=np.int64)
    values = np.random.default_rng(7).uniform(-3, 5, len(t))
    middle = (period.start_ms + period.end_ms) // 2
    kept = (t < middle) | (t >= middle + 3 * HOUR_MS + 23 * MINUTE_MS)
    stored.store({("a", "power"): Series(t[kept], values[kept])})
    stored.item("house", "pos(a.power)", aggregated=aggregated)
    stored.populate()
    return stored


def report_of(
    stored: StoredHouse, period: Period, item: str = "house", *, now_ms: int | None = None
) -> Report:
    with stored.database.begin() as connection:
        house = houses.get(connection, stored.house_id)
        now_ms = period.end_ms + HOUR_MS if now_ms is None else now_ms
        return build(connection, house, Kind.HEAT_MAP, period, now_ms, item=item)


def map_of(stored: StoredHouse, period: Period, item: str = "house") -> HeatMap:
    found = report_of(stored, period, item).heat_map
    assert found is not None
    return found


def expected_cells(stored: StoredHouse, period: Period) -> dict[int, tuple[list[float], int]]:
    """Start of each hour of the house's days -> the means of its covered slots, and how many slots it has."""
    zone = ZoneInfo(period.zone)
    readings = defaultdict(list)
    series = stored.stored["a", "power"]
    for at, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True):
        readings[at // SLOT_MS * SLOT_MS].append(max(value, 0.0))
    cells: dict[int, tuple[list[float], int]] = {}
    for slot in range(period.start_ms, period.end_ms, SLOT_MS):
        local = datetime.fromtimestamp(slot / 1000, zone)
        midnight = datetime(local.year, local.month, local.day, tzinfo=zone).timestamp() * 1000
        start = round(midnight + (slot - midnight) // HOUR_MS * HOUR_MS)
        means, count = cells.get(start, ([], 0))
        if slot in readings:
            means = [*means, sum(readings[slot]) / len(readings[slot])]
        cells[start] = means, count + 1
    return cells


PERIODS = {
    "two weeks": lambda: periods.days(date(2026, 5, 1), date(2026, 5, 14), "Europe/Berlin"),
    "forward in Los Angeles": lambda: periods.days(date(2026, 3, 7), date(2026, 3, 9), "America/Los_Angeles"),
    "back in Los Angeles": lambda: periods.days(date(2026, 10, 31), date(2026, 11, 2), "America/Los_Angeles"),
    "forward in Berlin": lambda: periods.days(date(2026, 3, 28), date(2026, 3, 30), "Europe/Berlin"),
    "back in Berlin": lambda: periods.day(date(2026, 10, 25), "Europe/Berlin"),
    "back on Lord Howe": lambda: periods.days(date(2026, 4, 4), date(2026, 4, 6), "Australia/Lord_Howe"),
    "forward on Lord Howe": lambda: periods.days(date(2026, 10, 3), date(2026, 10, 5), "Australia/Lord_Howe"),
    "cut within hours": lambda: periods.parse("2026-03-03T10:05..2026-03-06T17:25", 0, "Asia/Kathmandu"),
}


@pytest.fixture(params=PERIODS, ids=str)
def case(request: pytest.FixtureRequest, database: Database) -> tuple[StoredHouse, Period]:
    period = PERIODS[request.param]()
    return stored_around(database, period), period


def test_every_cell_is_what_plain_python_makes_of_the_readings(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    found = map_of(stored, period)
    expected = expected_cells(stored, period)
    assert [max(start, period.start_ms) for start in sorted(expected)] == found.starts.tolist()
    assert [len(expected[start][0]) for start in sorted(expected)] == found.days.covered.tolist()
    assert [expected[start][1] for start in sorted(expected)] == found.days.slots.tolist()
    for start, mean in zip(sorted(expected), found.days.means.tolist(), strict=True):
        means, _ = expected[start]
        if means:
            assert mean == pytest.approx(sum(means) / len(means), rel=1e-9)
        else:
            assert np.isnan(mean)
    assert any(not means for means, _ in expected.values()), "an hour without a reading"


def test_each_cell_stands_at_its_day_and_at_what_the_clock_shows(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    found = map_of(stored, period)
    zone = ZoneInfo(period.zone)
    places: dict[tuple[date, int], list[int]] = defaultdict(list)
    for cell, start in enumerate(found.starts.tolist()):
        local = datetime.fromtimestamp(start / 1000, zone)
        places[local.date(), local.hour].append(cell)
    for line, midnight in enumerate(found.day_starts):
        day = datetime.fromtimestamp(midnight / 1000, zone).date()
        for hour in range(24):
            cells = places.get((day, hour), [NOWHERE])
            first, second = found.days.places[line, 2 * hour : 2 * hour + 2].tolist()
            assert [first, second] == [cells[0], cells[-1]], (day, hour)


def test_a_weekday_is_the_mean_of_all_its_slots(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    grid = map_of(stored, period).weekdays
    zone = ZoneInfo(period.zone)
    slots: dict[tuple[int, int], list[float]] = defaultdict(list)
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for start, (means, count) in expected_cells(stored, period).items():
        local = datetime.fromtimestamp(max(start, period.start_ms) / 1000, zone)
        slots[local.weekday(), local.hour] += means
        counts[local.weekday(), local.hour] += count
    for weekday in range(7):
        for hour in range(24):
            cell = grid.places[weekday, 2 * hour]
            if cell == NOWHERE:
                assert (weekday, hour) not in counts
                continue
            expected = slots[weekday, hour]
            assert (grid.covered[cell], grid.slots[cell]) == (len(expected), counts[weekday, hour])
            if expected:
                assert grid.means[cell] == pytest.approx(sum(expected) / len(expected), rel=1e-9)


def test_figures_and_tables_say_what_the_picture_shows(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    report = report_of(stored, period)
    cells = {start: means for start, (means, _) in expected_cells(stored, period).items() if means}
    every = [mean for means in cells.values() for mean in means]
    assert report.figure("mean").value == pytest.approx(sum(every) / len(every), rel=1e-9)
    hours = {start: sum(means) / len(means) for start, means in cells.items()}
    highest = max(hours, key=lambda start: hours[start])
    assert report.figure("highest_hour").value == pytest.approx(hours[highest], rel=1e-9)
    assert report.figure("highest_hour").at_ms == max(highest, period.start_ms)
    assert report.figure("lowest_hour").value == pytest.approx(min(hours.values()), rel=1e-9)
    hours_table = next(table for table in report.tables if table.key == "steps")
    means_shown = [row[2] for row in hours_table.rows]
    found = report.heat_map
    assert found is not None
    np.testing.assert_array_equal(
        [np.nan if mean is None else mean for mean in means_shown], found.days.means
    )
    weekdays = next(table for table in report.tables if table.key == "weekdays")
    assert (
        sum(row[3] for row in weekdays.rows if isinstance(row[3], int)) == report.figure("mean").why.covered
    )


def test_what_has_not_passed_has_no_cell(database: Database) -> None:
    period = periods.day(date(2026, 5, 1), "Europe/Berlin")
    stored = stored_around(database, period)
    now = period.start_ms + 9 * HOUR_MS + 17 * MINUTE_MS
    found = report_of(stored, period, now_ms=now).heat_map
    assert found is not None
    assert len(found.starts) == 10
    assert (found.days.places[0, 20:] == NOWHERE).all()
    assert found.days.slots[-1] == 3


def test_an_item_without_aggregates_has_the_same_cells(database: Database) -> None:
    period = periods.days(date(2026, 5, 1), date(2026, 5, 3), "Europe/Berlin")
    stored = stored_around(database, period, aggregated=False)
    stored.item("other", "pos(a.power)")
    stored.populate()
    raw, aggregated = map_of(stored, period), map_of(stored, period, "other")
    np.testing.assert_allclose(raw.days.means, aggregated.days.means, rtol=1e-9)


def test_a_device_field_has_a_heat_map_as_an_item_has(database: Database) -> None:
    period = periods.days(date(2026, 5, 1), date(2026, 5, 3), "Europe/Berlin")
    stored = stored_around(database, period)
    stored.item("same", "a.power")
    field, item = map_of(stored, period, "a.power"), map_of(stored, period, "same")
    np.testing.assert_allclose(field.days.means, item.days.means, rtol=1e-9)


@pytest.mark.parametrize("text", ["a.nothing", "b.", "events.::X", "analytics.house"])
def test_what_is_no_field_of_the_house_is_refused_with_a_sentence(database: Database, text: str) -> None:
    period = periods.day(date(2026, 5, 1), "Europe/Berlin")
    stored = stored_around(database, period)
    with pytest.raises(UserError, match="`"):
        report_of(stored, period, text)


def test_an_item_that_the_house_does_not_have_is_called_missing(database: Database) -> None:
    period = periods.day(date(2026, 5, 1), "Europe/Berlin")
    report = report_of(stored_around(database, period), period, "nothing")
    assert report.missing == ("nothing",)
    assert report.heat_map is None
    assert not report.has_data


def test_a_period_without_readings_has_cells_without_values(database: Database) -> None:
    period = periods.day(date(2026, 5, 1), "Europe/Berlin")
    stored = stored_around(database, period)
    found = map_of(stored, periods.day(date(2025, 5, 1), "Europe/Berlin"))
    assert len(found.starts) == 24
    assert np.isnan(found.days.means).all()
    assert not report_of(stored, periods.day(date(2025, 5, 1), "Europe/Berlin")).has_data


def test_days_are_put_together_hour_by_hour(database: Database) -> None:
    """For periods of more days than there are pixels."""
    period = periods.days(date(2026, 10, 24), date(2026, 10, 27), "Europe/Berlin")
    found = map_of(stored_around(database, period), period)
    merged = found.days.merged(np.arange(4) // 2, 2)
    assert merged.slots.sum() == found.days.slots.sum() == (period.end_ms - period.start_ms) // SLOT_MS
    assert merged.sums.sum() == pytest.approx(found.days.sums.sum())
    first_two = found.days.places[:2, 2 * 5]
    cell = merged.places[0, 2 * 5]
    assert merged.covered[cell] == found.days.covered[first_two].sum()
    # The 25th begins with its repeated hour, which both of its cells make up.
    assert merged.slots[merged.places[0, 2 * 2]] == 12 + 24


ZONES = (
    "UTC", "America/Los_Angeles", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana",
    "Africa/Cairo", "America/St_Johns", "Pacific/Apia", "Asia/Beirut", "Antarctica/Troll",
)  # fmt: skip


@given(
    st.sampled_from(ZONES),
    st.dates(date(2009, 1, 1), date(2029, 1, 1)),
    st.integers(1, 40),
    st.integers(0, 23 * 12),
)
@example("Antarctica/Troll", date(2009, 8, 1), 86, 0)  # two hours come twice
def test_every_slot_of_any_period_is_in_one_cell_and_every_cell_has_its_place(
    zone: str, first: date, count: int, cut: int
) -> None:
    days = calendar.days(
        calendar.day(first, zone)[0], calendar.day(first, zone)[0] + count * 24 * HOUR_MS, zone
    )
    start, end = days[0][0] + cut * SLOT_MS, days[-1][1]
    hours = [hour for midnight, after in days for hour in range(midnight, after, HOUR_MS)]
    every = np.array(
        [hour for place, hour in enumerate(hours) if ([*hours[1:], end][place]) > start], np.int64
    )
    values = np.arange(len(every), dtype=np.float64)
    found = heat_map(
        "x", "kW", zone, start, end, every, HourMeans(every, np.ones(len(every), np.int64), values)
    )
    assert found.days.slots.sum() == found.weekdays.slots.sum() == (end - start) // SLOT_MS
    assert (found.days.slots > 0).all()
    np.testing.assert_array_equal(found.days.means, values)
    assert found.weekdays.sums.sum() == values.sum()
    assert set(found.days.places[found.days.places != NOWHERE].tolist()) == set(range(len(every)))
    for line, half in zip(*np.nonzero(found.days.places != NOWHERE), strict=True):
        shown = calendar.local(int(every[found.days.places[line, half]]), zone)
        assert shown.hour == half // 2
        assert calendar.date_of(found.day_starts[line], zone) == calendar.date_of(
            int(every[found.days.places[line, half]]), zone
        )
