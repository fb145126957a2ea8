"""The nightly checks of quality: 1,000 houses, 30 series each, one day; a few houses are measured and multiplied."""

from __future__ import annotations

import time

import numpy as np

from sgmp_console.quality import EXPECTATIONS, Meaning, check_series
from tests.benchmarks.result import Result
from tests.benchmarks.world import World

HOUSES = 1000
SERIES = 30
MEASURED = 3
DAY_MS = 86_400_000
START_MS = 20_605 * DAY_MS
BUDGET_S = 60.0
"""Of processor time, so that a single process of two processors' time does it."""


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
    return results
