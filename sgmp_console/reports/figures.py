"""The figures of reports. One that has no value says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sgmp_console.reports import reasons
from sgmp_console.reports.report import Figure, Section, Why
from sgmp_console.reports.report_data import ReportData
from sgmp_console.store import readings
from sgmp_console.timeseries import HOUR_MS

_REPORTED_MS = 24 * HOUR_MS
"""So long before the end of a period it is looked for what a device reports of itself."""
_NOT_REPORTED = "There is no reading of it in the last day of the period."


def mean(data: ReportData, key: str, title: str, name: str) -> Figure:
    steps = data.steps(name)[0]
    return Figure(key, title, steps.mean if steps else None, data.unit(name), reasons.of_item(data, name))


def energy(data: ReportData, key: str, title: str, name: str) -> Figure:
    """The energy of a power. An item that is not one has none, with the reason."""
    refusal = data.energy_refusal(name)
    if refusal is not None:
        return Figure(
            key, title, None, "kWh", reasons.of_item(data, name, f"`{name}` has no energy: {refusal}.")
        )
    steps = data.steps(name)[0]
    return Figure(key, title, steps.energy_kwh if steps else None, "kWh", reasons.of_item(data, name))


def reported(data: ReportData, fields: Mapping[str, tuple[str, str, str]]) -> list[Figure]:
    """What devices report of themselves, as it stands at the end of the period: a figure of each field that the house
    has. `fields`: by the last part of a field's name key, title and unit."""
    named = {
        key: fields[last]
        for key in sorted(data.reader.series)
        if (last := key[1].rpartition(".")[2]) in fields
    }
    if not named or not data.slots:
        return []
    since = max(data.period.start_ms, data.passed_ms - _REPORTED_MS)
    found = readings.read(data.connection, data.house.house_id, list(named), since, data.passed_ms)
    by_key: dict[str, Figure] = {}
    for (device, field), (key, title, unit) in named.items():
        series = found[device, field].finite()
        note = "What the device reported last in the period." if len(series) else _NOT_REPORTED
        name = f"{device}.{field}"
        why = Why(name, name, name, 0, 0, note=note, marks=data.marks_of(frozenset([device])))
        value, at_ms = (float(series.values[-1]), int(series.timestamps[-1])) if len(series) else (None, None)
        by_key.setdefault(key, Figure(key, title, value, unit, why, at_ms, section=Section.REPORTED))
    return list(by_key.values())


def highest(data: ReportData, key: str, title: str, name: str) -> Figure:
    return _extreme(data, key, title, name, highest=True)


def lowest(data: ReportData, key: str, title: str, name: str) -> Figure:
    return _extreme(data, key, title, name, highest=False)


def _extreme(data: ReportData, key: str, title: str, name: str, *, highest: bool) -> Figure:
    why = reasons.of_item(data, name)
    if not why.covered:
        return Figure(key, title, None, data.unit(name), why)
    found = data.reader.extremes(name, data.period.start_ms, data.passed_ms)
    if found is None:
        return Figure(key, title, None, data.unit(name), why)
    if highest:
        value, at_ms, hour_ms = found.maximum, found.maximum_ms, found.maximum_hour_ms
    else:
        value, at_ms, hour_ms = found.minimum, found.minimum_ms, found.minimum_hour_ms
    if at_ms is None:
        why = replace(why, note="The raw readings of that hour are no longer kept.")
    return Figure(key, title, value, data.unit(name), why, at_ms, hour_ms)


def highest_hour(data: ReportData, key: str, title: str, name: str) -> Figure:
    return _extreme_hour(data, key, title, name, highest=True)


def lowest_hour(data: ReportData, key: str, title: str, name: str) -> Figure:
    return _extreme_hour(data, key, title, name, highest=False)


def _extreme_hour(data: ReportData, key: str, title: str, name: str, *, highest: bool) -> Figure:
    """Of the hours' means, the first of equals."""
    steps = data.steps(name)[0]
    why = reasons.of_item(data, name)
    if steps is None or not len(steps.starts):
        return Figure(key, title, None, data.unit(name), why)
    why = replace(why, note="The mean of the covered slots of the hour that begins then.")
    place = int(np.argmax(steps.means) if highest else np.argmin(steps.means))
    at_ms = max(int(steps.starts[place]), data.period.start_ms)
    return Figure(key, title, float(steps.means[place]), data.unit(name), why, at_ms)
