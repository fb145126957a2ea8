"""Curves of reports: the band of what each mean is the mean of, and the readings themselves in short periods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from sgmp_console.reports import periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Curve, Kind, Resolution
from sgmp_console.store import Database, houses
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, calendar
from tests.database import TestDatabase
from tests.reports.stored import StoredHouse, refresh

MINUTE_MS = 60_000

PERIODS = {
    "slots": lambda: periods.day(date(2026, 5, 1), "Europe/Berlin"),
    "hours": lambda: periods.days(date(2026, 3, 28), date(2026, 3, 31), "Europe/Berlin"),
    "hours from half past": lambda: periods.days(date(2026, 5, 1), date(2026, 5, 4), "Asia/Kolkata"),
    "hours cut": lambda: periods.parse("2026-03-03T10:05..2026-03-06T17:25", 0, "Asia/Kathmandu"),
}


def stored_around(
    database: Database, period: Period, formula: str, *, aggregated: bool = True
) -> StoredHouse:
    stored = StoredHouse.make(database, "Maple House")
    t = np.arange(period.start_ms - HOUR_MS, period.end_ms + HOUR_MS, MINUTE_MS, dtype=np.int64)
    rng = np.random.default_rng(11)
    middle = (period.start_ms + period.end_ms) // 2
    kept = (t < middle) | (t >= middle + 27 * MINUTE_MS)
    fields = {name: Series(t[kept], rng.uniform(-3, 5, kept.sum())) for name in ("power", "other")}
    stored.store({("a", name): series for name, series in fields.items()})
    stored.item("solar", formula, aggregated=aggregated)
    stored.populate()
    return stored


def curve_of(stored: StoredHouse, period: Period) -> Curve:
    with stored.database.begin() as connection:
        house = houses.get(connection, stored.house_id)
        report = build(connection, house, Kind.SOLAR, period, period.end_ms + HOUR_MS)
    return next(curve for curve in report.curves if curve.key == "solar")


def raw_by_step(stored: StoredHouse, curve: Curve, period: Period) -> dict[int, list[float]]:
    """Start of each step -> its raw values, by going through all readings."""
    found = defaultdict(list)
    series = stored.stored["a", "power"]
    for at, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True):
        if period.start_ms <= at < period.end_ms:
            origin = calendar.day_of(at, period.zone)[0] if curve.resolution is Resolution.HOURS else 0
            found[(at - origin) // curve.step_ms * curve.step_ms + origin].append(value)
    return found


@pytest.mark.parametrize("formula", ["pos(a.power)", "3 - 2 * a.power"], ids=["rising", "falling"])
@pytest.mark.parametrize("name", PERIODS)
def test_the_band_is_from_the_least_to_the_greatest_reading_of_each_step(
    database: Database, name: str, formula: str
) -> None:
    period = PERIODS[name]()
    stored = stored_around(database, period, formula)
    curve = curve_of(stored, period)
    assert curve.lows is not None
    assert curve.highs is not None
    value: Callable[[float], float] = {
        "pos(a.power)": lambda x: max(x, 0.0),
        "3 - 2 * a.power": lambda x: 3 - 2 * x,
    }[formula]
    raw = raw_by_step(stored, curve, period)
    assert curve.starts.tolist() == sorted(raw)
    compared = 0
    for start, low, high in zip(curve.starts.tolist(), curve.lows, curve.highs, strict=True):
        if np.isnan(low):
            continue  # an hour that the period cuts, of which the aggregates know more than belongs to it
        values = [value(one) for one in raw[start]]
        assert (low, high) == pytest.approx((min(values), max(values)), rel=1e-12)
        compared += 1
    assert compared >= len(curve.starts) - 2


@pytest.mark.parametrize(
    ("formula", "aggregated"),
    [("a.power + a.other", True), ("abs(a.power)", True), ("a.power", False)],
    ids=["several series", "a turn", "no aggregates"],
)
def test_there_is_no_band_where_aggregates_do_not_know_it(
    database: Database, formula: str, aggregated: bool
) -> None:
    period = PERIODS["slots"]()
    assert curve_of(stored_around(database, period, formula, aggregated=aggregated), period).lows is None


def test_a_short_period_shows_every_reading(database: Database) -> None:
    day = PERIODS["slots"]()
    period = periods.custom(day.start_ms + 9 * HOUR_MS, day.start_ms + 14 * HOUR_MS, day.zone)
    stored = stored_around(database, day, "pos(a.power)")
    curve = curve_of(stored, period)
    expected = stored.stored["a", "power"].between(period.start_ms, period.end_ms)
    assert curve.resolution is Resolution.READINGS
    np.testing.assert_array_equal(curve.starts, expected.timestamps)
    np.testing.assert_array_equal(curve.values, np.maximum(expected.values, 0.0))


def test_a_longer_one_shows_means(database: Database) -> None:
    day = PERIODS["slots"]()
    stored = stored_around(database, day, "pos(a.power)")
    six_hours = periods.custom(day.start_ms, day.start_ms + 6 * HOUR_MS + SLOT_MS, day.zone)
    assert curve_of(stored, six_hours).resolution is Resolution.SLOTS
    assert curve_of(stored, PERIODS["hours"]()).resolution is Resolution.HOURS


def test_where_readings_are_gone_a_short_period_shows_means(
    database: Database, test_database: TestDatabase
) -> None:
    day = PERIODS["slots"]()
    stored = stored_around(database, day, "pos(a.power)")
    period = periods.custom(day.start_ms, day.start_ms + 2 * HOUR_MS, day.zone)
    refresh(test_database.url)
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sgmp.reading")
    curve = curve_of(stored, period)
    assert curve.resolution is Resolution.SLOTS
    assert len(curve.starts) == 24
