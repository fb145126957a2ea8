"""The battery report."""

from __future__ import annotations

from sgmp_console.reports import curves, figures, tables
from sgmp_console.reports.report import Parts
from sgmp_console.reports.report_data import ReportData

_REPORTED = {
    "cyclecount": ("cycles", "Full cycles so far", ""),
    "fullchargecapacity": ("capacity", "Capacity when full", "Ah"),
    "fullchargecapacitywh": ("capacity_wh", "Energy when full", "Wh"),
    "stateofhealth": ("health", "State of health", "%"),
}
"""By the last part of a sonnenBatterie's field: key, title and unit of a figure."""


def parts(data: ReportData) -> Parts:
    powers = [("battery_charging", "Charging"), ("battery_discharging", "Discharging")]
    data.steps("battery_charging", "battery_discharging", "soc")
    return Parts(
        [
            figures.energy(data, "charged", "Energy in", "battery_charging"),
            figures.energy(data, "discharged", "Energy out", "battery_discharging"),
            figures.mean(data, "charging", "Mean charging", "battery_charging"),
            figures.mean(data, "discharging", "Mean discharging", "battery_discharging"),
            figures.highest(data, "soc_high", "Highest state of charge", "soc"),
            figures.lowest(data, "soc_low", "Lowest state of charge", "soc"),
            *figures.reported(data, _REPORTED),
        ],
        [
            curves.of_item(data, "battery_charging", "Charging", "battery_charging", "battery_charging"),
            curves.of_item(
                data, "battery_discharging", "Discharging", "battery_discharging", "battery_discharging"
            ),
            curves.of_item(data, "soc", "State of charge", "soc", "soc"),
        ],
        [tables.of_steps(data, [*powers, ("soc", "State of charge")]), tables.of_days(data, powers)],
        curves.bars(data, "battery_discharging", "battery_charging", below=["battery_charging"]),
    )
