"""What reports consist of: figures with their reasons, rows that add up, sessions, bars, a second period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from itertools import pairwise, product

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.fleet import analytics
from sgmp_console.reports import periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import AnalyticItem, Batch, Database, EventRow, devices, houses, readings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, calendar
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from tests.database import TestDatabase, TestServer
from tests.reports.houses import BATTERY, EV, LOAD, SOC, SOLAR, Readings, balanced, without
from tests.series import write_series

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS

# What the required items make of a field, in the plainest words.
VALUE = {
    "solar": lambda value: max(value, 0.0),
    "load": lambda value: -value,
    "ev": lambda value: -value,
    "battery_charging": lambda value: max(-value / 1000, 0.0),
    "battery_discharging": lambda value: max(value / 1000, 0.0),
    "soc": lambda value: value,
}
FIELD = {
    "solar": SOLAR,
    "load": LOAD,
    "ev": EV,
    "battery_charging": BATTERY,
    "battery_discharging": BATTERY,
    "soc": SOC,
}


class StoredHouse:
    """A house with the required items and its readings, in a real database."""

    def __init__(self, database: Database, zone: str, name: str = "Maple House") -> None:
        self.database = database
        with database.begin() as connection:
            self.house = houses.create(connection, name, time_zone=zone)
            self.devices = {
                name: devices.create(connection, self.house.house_id, name, name, {}).device_id
                for name in ("sonnen", "egauge", "powerflex")
            }
        self.readings: Readings = {}

    def store(self, fields: Readings) -> None:
        with self.database.begin() as connection:
            for name, number in self.devices.items():
                mine = {field: series for (device, field), series in fields.items() if device == name}
                write_series(connection, self.house.house_id, number, mine)
        self.readings = fields
        analytics.create_required(self.database, self.house.house_id)
        analytics.populate(self.database, self.house.house_id)

    def report(self, kind: Kind, period: Period, now_ms: int, compared_with: Period | None = None) -> Report:
        with self.database.begin() as connection:
            return build(connection, self.house, kind, period, now_ms, compared_with)

    def item(self, name: str) -> AnalyticItem:
        with self.database.begin() as connection:
            return next(
                one for one in store.analytics.list_all(connection, self.house.house_id) if one.name == name
            )

    def visitor_url(self, where: TestDatabase, role: str = "visitor") -> str:
        """The address as a new account of the house; a visitor may look at it and not export."""
        with self.database.begin() as connection:
            store.accounts.create(
                connection,
                email="vera@example.org",
                name="Vera",
                role=role,
                house_id=self.house.house_id,
                password="a long password",
                must_change_password=False,
            )
        return where.address.replace("//", "//vera%40example.org:a%20long%20password@")

    def slots(self, item: str, start_ms: int, end_ms: int) -> dict[int, float]:
        """Slot -> mean, by adding up."""
        values = defaultdict(list)
        series = self.readings[FIELD[item]]
        for at, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True):
            if start_ms <= at < end_ms:
                values[at // SLOT_MS].append(VALUE[item](value))
        return {slot: sum(found) / len(found) for slot, found in values.items()}

    def raw(self, item: str, start_ms: int, end_ms: int) -> list[tuple[float, int]]:
        series = self.readings[FIELD[item]]
        return [
            (VALUE[item](value), at)
            for at, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True)
            if start_ms <= at < end_ms
        ]


@pytest.fixture(scope="module")
def read_only(database_server: TestServer) -> Iterator[Database]:
    """For houses that tests only read."""
    with database_server.database() as where:
        yield where.owner


@pytest.fixture(scope="module")
def case(read_only: Database) -> tuple[StoredHouse, Period]:
    """A range cut within hours, in a zone whose hours begin at a quarter; `test_every_figure` has the others."""
    zone = "Asia/Kathmandu"
    period = periods.parse("2026-03-03T10:05..2026-03-06T17:25", 0, zone)
    stored = StoredHouse(read_only, zone)
    fields = balanced(period.start_ms - 2 * HOUR_MS, period.end_ms + 2 * HOUR_MS, MINUTE_MS)
    middle = (period.start_ms + period.end_ms) // 2 // SLOT_MS * SLOT_MS
    stored.store(without(fields, middle, middle + 3 * HOUR_MS + 17 * MINUTE_MS))
    return stored, period


def test_every_figure_is_what_plain_python_makes_of_the_readings(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    now = period.end_ms + HOUR_MS
    start, end = period.start_ms, period.end_ms
    count = (end - start) // SLOT_MS

    def means(item: str) -> Mapping[int, float]:
        return stored.slots(item, start, end)

    def energy(item: str) -> float:
        return sum(means(item).values()) / 12

    def mean(item: str) -> float:
        return sum(means(item).values()) / len(means(item))

    expected = {
        Kind.SOLAR: {
            "energy": energy("solar"),
            "mean": mean("solar"),
            "peak": max(stored.raw("solar", start, end))[0],
        },
        Kind.BATTERY: {
            "charged": energy("battery_charging"),
            "discharged": energy("battery_discharging"),
            "charging": mean("battery_charging"),
            "discharging": mean("battery_discharging"),
            "soc_high": max(stored.raw("soc", start, end))[0],
            "soc_low": min(stored.raw("soc", start, end))[0],
        },
        Kind.LOAD: {
            "energy": energy("load"),
            "mean": mean("load"),
            "peak": max(stored.raw("load", start, end))[0],
            "base": float(np.percentile(sorted(means("load").values()), 5)),
        },
        Kind.EV: {"energy": energy("ev"), "mean": mean("ev"), "peak": max(stored.raw("ev", start, end))[0]},
    }
    for kind, figures in expected.items():
        report = stored.report(kind, period, now)
        assert not report.problems
        for key, value in figures.items():
            assert report.figure(key).value == pytest.approx(value, rel=1e-9), (kind, key)
        covered = report.figures[0].why.covered, report.figures[0].why.slots
        assert covered == (len(means("solar")), count)


def test_rows_of_steps_and_days_add_up_to_the_energy(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    report = stored.report(Kind.SOLAR, period, period.end_ms)
    energy = report.figure("energy").value
    for table in report.tables:
        column = next(place for place, one in enumerate(table.columns) if one.title == "Solar, energy")
        total = sum(float(cell) for row in table.rows if (cell := row[column]) is not None)
        assert total == pytest.approx(energy, rel=1e-9), table.key
        edges = [(row[0], row[1]) for row in table.rows]
        assert edges[0][0] == period.start_ms
        assert edges[-1][1] == period.end_ms
        assert all(before[1] == after[0] for before, after in pairwise(edges)), table.key


def test_the_longest_gap_is_named(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    (gap, *_) = stored.report(Kind.SOLAR, period, period.end_ms).figure("energy").why.gaps
    assert gap.end_ms - gap.start_ms >= 2 * HOUR_MS
    assert period.start_ms < gap.start_ms < gap.end_ms < period.end_ms


def test_the_time_of_a_peak_is_that_of_the_raw_value(case: tuple[StoredHouse, Period]) -> None:
    stored, period = case
    peak = stored.report(Kind.SOLAR, period, period.end_ms).figure("peak")
    assert (peak.value, peak.at_ms) == max(
        stored.raw("solar", period.start_ms, period.end_ms), key=lambda pair: (pair[0], -pair[1])
    )


DAY = periods.day(date(2026, 5, 13), "UTC")


def store_day(database: Database, name: str = "Maple House") -> StoredHouse:
    stored = StoredHouse(database, "UTC", name)
    stored.store(balanced(DAY.start_ms, DAY.end_ms, MINUTE_MS))
    return stored


@pytest.fixture(scope="module")
def day_house(read_only: Database) -> StoredHouse:
    return store_day(read_only, "Harbor House")


@pytest.fixture
def changing(database: Database) -> StoredHouse:
    """One that a test may change."""
    return store_day(database)


def test_a_period_that_is_running_is_about_what_has_passed(day_house: StoredHouse) -> None:
    now = DAY.start_ms + 10 * HOUR_MS + 7 * MINUTE_MS
    report = day_house.report(Kind.SOLAR, DAY, now)
    assert report.passed_ms == DAY.start_ms + 10 * HOUR_MS + SLOT_MS
    assert report.figure("energy").why.coverage == 1.0
    assert report.figure("energy").value == pytest.approx(
        sum(day_house.slots("solar", DAY.start_ms, report.passed_ms).values()) / 12, rel=1e-9
    )


def test_a_period_without_readings_says_so_and_has_no_zero(day_house: StoredHouse) -> None:
    report = day_house.report(Kind.SOLAR, DAY.moved(-1), DAY.end_ms)
    assert not report.has_data
    assert report.figure("energy").why.note == "There are no readings in this period."
    assert report.figure("energy").why.coverage == 0.0


def test_a_period_that_has_not_begun_says_so(day_house: StoredHouse) -> None:
    report = day_house.report(Kind.BATTERY, DAY.moved(2), DAY.end_ms)
    assert report.figure("charged").why.note == "This period has not begun yet."


def test_a_second_period_stands_beside_with_the_difference(day_house: StoredHouse) -> None:
    first = periods.custom(DAY.start_ms, DAY.start_ms + 6 * HOUR_MS, "UTC")
    report = day_house.report(Kind.LOAD, first.moved(1), DAY.end_ms, compared_with=first)
    assert report.comparison is not None
    mine, theirs = report.figure("energy").value, report.comparison.figure("energy").value
    assert mine is not None
    assert theirs is not None
    assert report.difference("energy") == mine - theirs


def test_a_missing_item_is_named_and_costs_only_its_own_figures(changing: StoredHouse) -> None:
    analytics.delete(changing.database, changing.house.house_id, [changing.item("soc").item_id])
    report = changing.report(Kind.BATTERY, DAY, DAY.end_ms)
    assert report.missing == ("soc",)
    assert report.figure("soc_high").value is None
    assert report.figure("charged").value is not None


def test_what_needs_a_missing_item_has_no_value_in_the_energy_report(changing: StoredHouse) -> None:
    analytics.delete(changing.database, changing.house.house_id, [changing.item("solar").item_id])
    report = changing.report(Kind.ENERGY, DAY, DAY.end_ms)
    for key in ("solar", "from_sun", "autarky", "self_consumption", "residual"):
        figure = report.figure(key)
        assert (key, figure.value, figure.why.note) == (key, None, "Missing: solar.")
    assert report.figure("grid_import").value is not None
    assert report.figure("consumption").value is not None


def test_an_item_that_is_no_power_has_no_energy(changing: StoredHouse) -> None:
    with changing.database.begin() as connection:
        store.analytics.update(connection, replace(changing.item("solar"), unit="V"))
    figure = changing.report(Kind.SOLAR, DAY, DAY.end_ms).figure("energy")
    assert figure.value is None
    assert "only a power has an energy" in figure.why.note


def test_an_hourly_mean_has_no_energy_in_figures_tables_and_curves(changing: StoredHouse) -> None:
    with changing.database.begin() as connection:
        changed = replace(changing.item("solar"), formula="avg(egauge.A.Solar, 3600000)", aggregated=False)
        store.analytics.update(connection, changed)
    report = changing.report(Kind.SOLAR, DAY, DAY.end_ms)

    assert report.figure("energy").value is None
    assert "averages over 60 minutes" in report.figure("energy").why.note
    assert report.figure("mean").value is not None
    assert not any(curve.cumulative for curve in report.curves)
    assert all(row[2] is None for table in report.tables if table.key == "days" for row in table.rows)


def test_why_carries_the_formula_as_written_and_written_out(day_house: StoredHouse) -> None:
    why = day_house.report(Kind.SOLAR, DAY, DAY.end_ms).figure("energy").why
    assert (why.item, why.formula, why.expanded) == ("solar", "pos(egauge.A.Solar)", "pos(egauge.A.Solar)")


def test_cumulative_energy_ends_at_the_energy(day_house: StoredHouse) -> None:
    report = day_house.report(Kind.SOLAR, DAY, DAY.end_ms)
    curve = next(one for one in report.curves if one.cumulative)
    assert curve.values[-1] == pytest.approx(report.figure("energy").value, rel=1e-12)
    assert np.all(np.diff(curve.values) >= 0)


def test_sessions_are_counted_wherever_they_overlap_the_period(changing: StoredHouse) -> None:
    hour = DAY.start_ms + HOUR_MS
    with changing.database.begin() as connection:
        rows = [
            EventRow(changing.house.house_id, changing.devices["powerflex"], "powerflex", at, kind, data)
            for at, kind, data in (
                (hour - 3 * HOUR_MS, EV_START_CHARGING, {}),
                (hour, EV_END_CHARGING, {"duration": 3 * HOUR_MS, "energy": 9_000_000}),
                (hour + 10 * HOUR_MS, EV_START_CHARGING, {}),
            )
        ]
        readings.write(connection, Batch(events=rows))
    report = changing.report(Kind.EV, DAY, DAY.end_ms)
    assert report.figure("sessions").value == 2
    assert report.figure("plugged").value == pytest.approx((1 + 13) / 2)
    assert report.figure("by_chargers").value == pytest.approx(9.0)
    (table,) = [one for one in report.tables if one.key == "sessions"]
    assert [row[-1] for row in table.rows] == ["Began before the period", "Still plugged in"]


def test_without_sessions_there_is_no_mean_duration(day_house: StoredHouse) -> None:
    report = day_house.report(Kind.EV, DAY, DAY.end_ms)
    assert report.figure("sessions").value == 0.0
    assert report.figure("plugged").value is None


def test_bars_add_up_to_the_figures(database: Database) -> None:
    zone = "America/Los_Angeles"
    house = StoredHouse(database, zone)
    first = periods.day(date(2026, 3, 6), zone).start_ms
    fields = balanced(first, first + 3 * 24 * HOUR_MS, MINUTE_MS)
    house.store(without(fields, first + 5 * HOUR_MS, first + 9 * HOUR_MS))
    keys = {"battery_charging": "charged", "battery_discharging": "discharged"}
    days = ("2026-03-08", "2026-03-06..2026-03-09", "2026-03-06T10:05..2026-03-08T17:25")
    for text, kind in product((*days, "2026-02", "2026"), Kind):
        period = periods.parse(text, 0, zone)
        report = house.report(kind, period, first + 4 * 24 * HOUR_MS)
        bars = report.bars
        if bars is None:
            assert kind is Kind.HEAT_MAP or not report.has_data
            continue
        assert (bars.bounds[0], bars.bounds[-1]) == (period.start_ms, period.end_ms)
        for item, values in bars.energies.items():
            key = keys.get(item, item if kind is Kind.ENERGY else "energy")
            if key in {figure.key for figure in report.figures}:
                energy = sum(value or 0.0 for value in values)
                assert energy == pytest.approx(report.figure(key).value or 0.0, abs=1e-9), (text, kind)


@pytest.mark.parametrize(
    ("zone", "month"),
    [
        ("America/Los_Angeles", "2025-11"),
        ("America/Los_Angeles", "2026-03"),
        ("Europe/Berlin", "2025-10"),
        ("Europe/Berlin", "2026-03"),
        ("Australia/Lord_Howe", "2025-10"),
        ("Australia/Lord_Howe", "2026-04"),
    ],
)
def test_a_month_is_not_widened_by_an_hour_a_day_or_a_week_of_its_neighbours(
    database: Database, zone: str, month: str
) -> None:
    """It has its own days alone, by the clock of the house; those beside it have a hundred times as much."""
    house = StoredHouse(database, zone)
    period = periods.parse(month, 0, zone)
    times = np.arange(period.start_ms - 9 * DAY_MS, period.end_ms + 9 * DAY_MS, SLOT_MS)
    inside = (times >= period.start_ms) & (times < period.end_ms)
    house.store({SOLAR: Series(times, np.where(inside, 1.0, 100.0))})
    report = house.report(Kind.SOLAR, period, period.end_ms + 9 * DAY_MS)
    days = calendar.days(period.start_ms, period.end_ms, zone)
    hours = (period.end_ms - period.start_ms) / HOUR_MS
    assert report.figure("energy").value == pytest.approx(hours, rel=1e-9)
    assert report.figure("peak").value == 1.0
    tables = {table.key: table for table in report.tables}
    assert [(row[0], row[1]) for row in tables["days"].rows] == days
    steps = tables["steps"].rows
    assert (steps[0][0], steps[-1][1]) == (period.start_ms, period.end_ms)
    assert report.bars is not None
    assert report.bars.bounds == (*(first for first, _ in days), period.end_ms)


def test_bars_stand_for_hours_days_or_months_of_the_house(database: Database) -> None:
    zone = "America/Los_Angeles"
    house = StoredHouse(database, zone)
    first = periods.day(date(2026, 3, 7), zone).start_ms
    house.store(balanced(first, first + 2 * 24 * HOUR_MS, MINUTE_MS))
    counts = {}
    for text in ("2026-03-08", "2026-03", "2026"):
        bars = house.report(Kind.SOLAR, periods.parse(text, 0, zone), first + 9 * 24 * HOUR_MS).bars
        assert bars is not None
        counts[text] = (bars.step.value, len(bars.bounds) - 1)
    assert counts == {"2026-03-08": ("hour", 23), "2026-03": ("day", 31), "2026": ("month", 12)}
