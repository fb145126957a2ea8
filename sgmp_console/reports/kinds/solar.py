"""The solar report."""

from __future__ import annotations

from sgmp_console.reports import curves, figures, tables
from sgmp_console.reports.report import Parts
from sgmp_console.reports.report_data import ReportData


def parts(data: ReportData) -> Parts:
    return Parts(
        [
            figures.energy(data, "energy", "Energy", "solar"),
            figures.highest(data, "peak", "Peak", "solar"),
            figures.mean(data, "mean", "Mean power", "solar"),
        ],
        [
            curves.of_item(data, "solar", "Solar", "solar", "solar"),
            curves.cumulative(data, "cumulative", "Energy", "solar", "solar"),
            curves.clear_sky(data, "clear_sky", "Clear sky", "solar", "clear_sky"),
        ],
        [tables.of_steps(data, [("solar", "Solar")]), tables.of_days(data, [("solar", "Solar")])],
        curves.bars(data, "solar"),
    )
