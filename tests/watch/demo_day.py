"""A clean day of a house of the demo, as its meters read it."""

from __future__ import annotations

import numpy as np

from sgmp_console.demo.houses import DEMO_HOUSES
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House
from sgmp_console.store import Place
from sgmp_console.timeseries import HOUR_MS, Series, calendar
from tests.reports.houses import BATTERY, SOC, Field

DAY_MS = 24 * HOUR_MS
ZONE = "Etc/GMT+8"
"""Near the house's own, and without changes of the clock: whichever days the tests run on, they have 24 hours."""
NEAR_MS = 20_605 * DAY_MS
_METER = ("A.Solar", "A.Load", "A.GridPower", "A.EV", "A.L1_Voltage", "A.L2_Voltage", "A.L1_Frequency")


def demo_day(
    near_ms: int = NEAR_MS, step_ms: int = 60_000, days: int = 1
) -> tuple[int, Place, dict[Field, Series]]:
    """The start of the house's day that holds an instant (UTC ms), the house's place, and the readings of so many days."""
    chosen = DEMO_HOUSES[0]
    start_ms, _ = calendar.day_of(near_ms, ZONE)
    model = House(chosen.seed, ZONE, chosen.latitude, chosen.longitude)
    rows = list(history.rows(model, start_ms, start_ms + days * DAY_MS, step_ms, everything=False))
    times = np.array([row.time_ms for row in rows], np.int64)
    values: dict[Field, list[float]] = {
        **{("egauge", name): [row.egauge[name] for row in rows] for name in _METER},
        BATTERY: [row.sonnen["status"]["Pac_total_W"] for row in rows],
        SOC: [row.sonnen["battery"]["battery_status"]["relativestateofcharge"] for row in rows],
    }
    return (
        start_ms,
        Place(chosen.latitude, chosen.longitude),
        {key: Series(times, np.array(column, np.float64)) for key, column in values.items()},
    )
