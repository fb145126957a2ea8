"""The load report."""

from __future__ import annotations

import numpy as np

from sgmp_console.reports import curves, figures, reasons, tables
from sgmp_console.reports.report import Figure, Parts
from sgmp_console.reports.report_data import ReportData

BASE_LOAD_PERCENTILE = 5.0
"""The base load is the power that 95 % of the five-minute means exceed."""


def parts(data: ReportData) -> Parts:
    return Parts(
        [
            figures.energy(data, "energy", "Energy", "load"),
            figures.mean(data, "mean", "Mean power", "load"),
            figures.highest(data, "peak", "Peak", "load"),
            _base_load(data),
        ],
        [
            curves.of_item(data, "load", "Load", "load", "load"),
            curves.cumulative(data, "cumulative", "Energy", "load", "load"),
        ],
        [tables.of_steps(data, [("load", "Load")]), tables.of_days(data, [("load", "Load")])],
        curves.bars(data, "load"),
    )


def _base_load(data: ReportData) -> Figure:
    """Of five-minute slots whatever the steps of the period, so that it has one value at every zoom."""
    means = data.slot_means("load")
    value = float(np.percentile(means, BASE_LOAD_PERCENTILE)) if len(means) else None
    note = f"The power that {100 - BASE_LOAD_PERCENTILE:.0f} % of the five-minute means exceed."
    return Figure("base", "Base load", value, "kW", reasons.of_item(data, "load", note))
