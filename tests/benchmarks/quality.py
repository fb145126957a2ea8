"""The nightly checks of quality: 1,000 houses, 30 series each, one day; a few houses are measured and multiplied. First the checks
alone, then as the watch does them: read from the database, checked, and stored."""

from __future__ import annotations

import time

import numpy as np

from sgmp_console.fleet import analytics, houses
from sgmp_console.quality import EXPECTATIONS, Meaning, check_series
from sgmp_console.timeseries import Series
from sgmp_console.watch import nightly
from tests.benchmarks.result import Result
from tests.benchmarks.world import World, make_devices, settle
from tests.series import write_series

HOUSES = 1000
SERIES = 30
MEASURED = 3
DAY_MS = 86_400_000
START_MS = 20_605 * DAY_MS
BUDGET_S = 60.0
"""Of processor time, so that a single process of two processors' time does it; by the clock where the database is in it."""

NIGHT_HOUSES = 10
"""Whose day is read, checked and stored."""
_NIGHT_FIELDS = {
    "egauge": ("A.Solar", "A.GridPower", "A.Load", "A.EV", *(f"A.field_{n}" for n in range(14))),
    "sonnen": (
        "status.Pac_total_W",
        "battery.battery_status.relativestateofcharge",
        *(f"status.field_{n}" for n in range(10)),
    ),
}
"""30 series, those of the required items among them."""


def measure(world: World) -> list[Result]:
    """Power of the sun: the meaning with the most checks."""
    results = []
    irradiance = np.maximum(0.0, np.sin(np.linspace(0, 2 * np.pi, 288)))
    for interval_ms, name in ((60_000, "a minute"), (4_000, "4 s")):
        times = np.arange(START_MS, START_MS + DAY_MS, interval_ms, dtype=np.int64)
        values = np.random.default_rng(1).normal(2.0, 0.1, len(times))
        started = time.process_time()
        for _ in range(MEASURED * SERIES):
            check_series(
                times,
                values,
                EXPECTATIONS[Meaning.SOLAR_POWER],
                START_MS,
                START_MS + DAY_MS,
                interval_ms,
                irradiance=irradiance,
            )
        taken = (time.process_time() - started) * HOUSES / MEASURED
        results.append(
            Result(
                f"check a day of {HOUSES} houses x {SERIES} series, a reading each {name}",
                f"{taken:.1f} s of processor time",
                "",
                taken,
                BUDGET_S,
                at_least=False,
                unit="s",
            )
        )
    return [*results, *_night(world)]


def _night(world: World) -> list[Result]:
    """A reading a minute. One process, which is the watch's: the second processor is the database's."""
    night_ms = world.end_ms // DAY_MS * DAY_MS - DAY_MS
    due = []
    for number in range(NIGHT_HOUSES):
        house = houses.create(world.database, f"Night {number}", time_zone="UTC")
        ids = make_devices(world.database, house.house_id)
        times = np.arange(night_ms, night_ms + DAY_MS, 60_000, dtype=np.int64)
        rng = np.random.default_rng(number)
        with world.database.begin() as connection:
            for kind, fields in _NIGHT_FIELDS.items():
                series = {field: Series(times, rng.normal(1, 0.5, len(times))) for field in fields}
                write_series(connection, house.house_id, ids[kind], series)
        analytics.create_required(world.database, house.house_id)
        due.append(nightly.Due(house, night_ms, night_ms + DAY_MS))
    settle(world)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for one in due:
        with world.database.begin() as connection:
            nightly.check(connection, one, night_ms + 2 * DAY_MS)
    scale = HOUSES / NIGHT_HOUSES
    taken = (time.perf_counter() - began_s) * scale
    own = (time.process_time() - began_cpu_s) * scale
    return [
        Result(
            f"the same with the database, {HOUSES} houses, a reading each minute",
            f"{taken:.1f} s, {own:.1f} s of the watch's processor",
            "",
            taken,
            BUDGET_S,
            at_least=False,
            unit="s",
        )
    ]
