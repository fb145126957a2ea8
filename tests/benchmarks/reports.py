"""Whole reports of a day, a month and a year, as the window and the command compute them.

The house has `World`'s readings; of the year before them, readings each quarter of an hour, whose aggregates are there as
after a year of operation.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import numpy as np

from sgmp_console.fleet import analytics
from sgmp_console.reports import periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind
from sgmp_console.store import devices, houses
from sgmp_console.timeseries import Series, calendar
from tests.benchmarks.result import Result, ms, seconds
from tests.benchmarks.world import DAY_MS, FIELDS, World, settle
from tests.series import write_series

BUDGET_MS = {"day": 100, "month": 200, "year": 1500}
"""Of the slowest report, everything counted, on a quiet machine."""
REPORTS = (Kind.ENERGY, Kind.SOLAR, Kind.BATTERY, Kind.EV, Kind.LOAD)
QUARTER_MS = 15 * 60_000
WEEK_MS = 7 * DAY_MS


def measure(world: World) -> list[Result]:
    _store_year(world)
    found = []
    for name, period in _periods(world).items():
        taken = {kind: seconds(partial(_report, world, kind, period), 3) for kind in REPORTS}
        slowest = max(taken, key=lambda kind: taken[kind])
        others = ", ".join(f"{kind.value} {ms(taken[kind])}" for kind in REPORTS if kind is not slowest)
        value = taken[slowest] * 1000
        found.append(
            Result(
                f"report of a {name}, the slowest ({slowest.value})",
                ms(taken[slowest]),
                others,
                value,
                BUDGET_MS[name],
                at_least=False,
                unit="ms",
            )
        )
    return found


def _periods(world: World) -> dict[str, Period]:
    """All in the past, but for the year, which ends now."""
    zone = "America/Los_Angeles"
    last = calendar.date_of(world.end_ms, zone) - timedelta(days=1)
    first = calendar.date_of(world.end_ms - 365 * DAY_MS, zone)
    return {
        "day": periods.day(last, zone),
        "month": periods.days(last - timedelta(days=29), last, zone),
        "year": periods.days(first, last, zone),
    }


def _report(world: World, kind: Kind, period: Period) -> None:
    with world.database.begin() as connection:
        house = houses.get(connection, world.house_id)
        build(connection, house, kind, period, world.end_ms)


def _store_year(world: World) -> None:
    """What the house read before `world` begins."""
    rng = np.random.default_rng(1)
    with world.database.begin() as connection:
        stored = devices.list_all(connection, world.house_id)
    for start_ms in range(world.end_ms - 366 * DAY_MS, world.start_ms, WEEK_MS):
        times = np.arange(start_ms, min(start_ms + WEEK_MS, world.start_ms), QUARTER_MS, dtype=np.int64)
        with world.database.begin() as connection:
            for device in stored:
                fields = {
                    field: Series(times, rng.normal(0, 2, len(times)).round(3))
                    for field in FIELDS[device.name][:10]
                }
                write_series(connection, world.house_id, device.device_id, fields)
    analytics.populate(world.database, world.house_id)
    settle(world)
