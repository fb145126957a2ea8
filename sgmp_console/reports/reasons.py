"""Where the figures of a report come from: formula, coverage, gaps, and what was wrong meanwhile."""

from __future__ import annotations

from sgmp_console.formula import FormulaError, inlined, parse, written
from sgmp_console.reports.balance import BALANCE_ITEMS, Balance
from sgmp_console.reports.item_values import missing_item
from sgmp_console.reports.report import Why
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.steps import gaps
from sgmp_console.store import AnalyticItem
from sgmp_console.timeseries import SLOT_MS
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

_NO_READINGS = "There are no readings in this period."
_NOT_BEGUN = "This period has not begun yet."


def of_item(data: ReportData, name: str, note: str = "") -> Why:
    """Where figures of an item come from."""
    item = data.reader.items.get(name)
    if item is None:
        return Why(name, "", "", 0, data.slots, note=missing_item(name))
    steps = data.steps(name)[0]
    if steps is None:
        waiting = "" if data.slots else _NOT_BEGUN
        return Why(name, item.formula, "", 0, data.slots, note=data.problems.get(name, "") or note or waiting)
    covered = int(steps.covered.sum())
    if not covered and not note:
        note = (
            "No reading in this period counts: notes exclude them." if data.excluded_slots else _NO_READINGS
        )
    return Why(
        name,
        item.formula,
        _expanded(data, item),
        covered,
        data.slots,
        gaps(steps.starts, steps.step_ms, data.period.start_ms, data.passed_ms),
        steps.source,
        note,
        data.polls(name),
        data.marks_of(data.reader.devices_of(name)),
        data.excluded_slots,
    )


def of_balance(data: ReportData, note: str = "") -> Why:
    """Where figures of the balance come from."""
    present = [name for name in BALANCE_ITEMS if name in data.reader.items]
    item = ", ".join(present)
    formula = "; ".join(f"{name} = {data.reader.items[name].formula}" for name in present)
    expanded = "; ".join(f"{name} = {_expanded(data, data.reader.items[name])}" for name in present)
    found = data.balance
    if found is None:
        problem = next((data.problems[name] for name in present if name in data.problems), "")
        return Why(item, formula, expanded, 0, data.slots, note=problem or note)
    note = _balance_note(found, data.slots, note)
    devices = frozenset().union(*map(data.reader.devices_of, present))
    return Why(
        item,
        formula,
        expanded,
        len(found.starts),
        data.slots,
        gaps(found.starts, SLOT_MS, data.period.start_ms, data.passed_ms),
        data.balance_source,
        note,
        marks=data.marks_of(devices),
        excluded=data.excluded_slots,
    )


def _balance_note(found: Balance, slots: int, note: str) -> str:
    """`note` explains a sum. Without a slot to add up, why there is none; else which items had no value in some slots."""
    if not slots:
        return _NOT_BEGUN
    without = {name: count for name, count in found.missing.items() if count}
    if not len(found.starts):
        if without and all(count == slots for count in found.missing.values()):
            return _NO_READINGS
        note = "In no slot does every item have a value."
    counts = ", ".join(f"{name} {count:,}" for name, count in without.items())
    return f"{note} Slots without a value: {counts}." if counts else note


def of_events(data: ReportData, note: str) -> Why:
    """Where figures about sessions come from."""
    read = ", ".join(f"events.::{type_name}" for type_name in (EV_START_CHARGING, EV_END_CHARGING))
    stations = frozenset(session.station for session in data.sessions)
    return Why(read, read, read, 0, 0, note=note, marks=data.marks_of(stations))


def _expanded(data: ReportData, item: AnalyticItem) -> str:
    try:
        formulas = {one.name: one.formula for one in data.reader.items.values()}
        return written(inlined(parse(item.formula), formulas).tree)
    except FormulaError:
        return ""
