"""Time series and what their numbers mean: slots, means, energy, coverage, aggregates. Pure NumPy.

`timeseries.calendar` knows the days and months of a house.
"""

from sgmp_console.timeseries.aggregates import (
    HourAggregates,
    SlotAggregates,
    aggregate,
    hourly,
    timestamp_hash,
)
from sgmp_console.timeseries.alignment import align, shared_fraction, typical_interval_ms
from sgmp_console.timeseries.averages import period_means, starts_of_runs
from sgmp_console.timeseries.excluded import Excluded
from sgmp_console.timeseries.growing import GrowingSeries
from sgmp_console.timeseries.series import READING_LIMIT, Series
from sgmp_console.timeseries.slots import (
    HOUR_MS,
    SLOT_MS,
    SLOTS_PER_HOUR,
    Extremes,
    HourMeans,
    SlotMeans,
    extremes,
    last_slots,
    slot_means,
    snap,
)

__all__ = [
    "HOUR_MS",
    "READING_LIMIT",
    "SLOTS_PER_HOUR",
    "SLOT_MS",
    "Excluded",
    "Extremes",
    "GrowingSeries",
    "HourAggregates",
    "HourMeans",
    "Series",
    "SlotAggregates",
    "SlotMeans",
    "aggregate",
    "align",
    "extremes",
    "hourly",
    "last_slots",
    "period_means",
    "shared_fraction",
    "slot_means",
    "snap",
    "starts_of_runs",
    "timestamp_hash",
    "typical_interval_ms",
]
