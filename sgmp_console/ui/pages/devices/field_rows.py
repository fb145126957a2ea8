"""What the page of a device shows of its fields, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from sgmp_console.fleet.device_details import DeviceDetails
from sgmp_console.reports.home import GAP_MS
from sgmp_console.store.readings import FieldNow
from sgmp_console.timeseries import READING_LIMIT, Series
from sgmp_console.ui import formats, theme
from sgmp_console.ui.parts.rows import Column
from sgmp_console.ui.parts.sparkline import paint_sparkline

_POLLS_MISSED = 5
"""After so many nothing new is expected of a field any more, and its value is not shown as current."""
_LEAST_STALE_MS = 60_000
_LINE_WIDTH = 96


@dataclass(frozen=True, eq=False)
class FieldRow:
    """A field at `now_ms` (UTC). `recent`: its readings of the last hours; None where they were not read."""

    now: FieldNow
    unit: str
    recent: Series | None
    start_ms: int
    end_ms: int
    stale_after_ms: int
    now_ms: int

    @property
    def at_ms(self) -> int | None:
        """Of the newest that came, number or text."""
        times = [one[0] for one in (self.now.reading, self.now.text) if one is not None]
        return max(times, default=None)

    @property
    def is_stale(self) -> bool:
        """A text is stored when it changes, and once an hour: its age says nothing."""
        newest = self.now.reading
        return newest is not None and self.now_ms - newest[0] > self.stale_after_ms


def rows(found: DeviceDetails, now_ms: int) -> list[FieldRow]:
    """In order of name."""
    interval_s = found.rhythm.expected_s or found.rhythm.seen_s or 0.0
    stale_after_ms = max(_LEAST_STALE_MS, round(_POLLS_MISSED * interval_s * 1000))
    return [
        FieldRow(
            field,
            found.unit_of(field),
            found.recent.series.get(field.field),
            found.recent.start_ms,
            found.recent.end_ms,
            stale_after_ms,
            now_ms,
        )
        for field in found.fields
    ]


def _value(row: FieldRow) -> str:
    reading, text = row.now.reading, row.now.text
    if text is not None and (reading is None or text[0] > reading[0]):
        return text[1]
    if reading is None or row.is_stale:
        return formats.MISSING
    return formats.measured(reading[1], row.unit)


def _value_tip(row: FieldRow) -> str:
    reading = row.now.reading
    if reading is not None and row.is_stale:
        return f"{formats.measured(reading[1], row.unit)}, {formats.age(reading[0], row.now_ms)}: too old to be so now."
    return _value(row)


def _age(row: FieldRow) -> str:
    return formats.MISSING if row.at_ms is None else formats.age(row.at_ms, row.now_ms)


def _recent_text(row: FieldRow) -> str:
    if row.recent is None or not len(row.recent):
        return ""
    values = row.recent.values
    least, most = (formats.measured(float(one), row.unit) for one in (values.min(), values.max()))
    hours = formats.duration(row.end_ms - row.start_ms)
    return f"Last {hours}: {least} to {most}"


def _paint_recent(painter: QPainter, area: QRectF, row: FieldRow) -> None:
    if (
        row.recent is None
        or not len(row.recent)
        or not bool(np.any(np.abs(row.recent.values) <= READING_LIMIT))
    ):
        return
    tokens = theme.tokens()
    paint_sparkline(
        painter,
        area.adjusted(0, 4, -4, -4),
        row.recent,
        row.start_ms,
        row.end_ms,
        max(GAP_MS, row.stale_after_ms),
        tokens.ink_disabled if row.is_stale else tokens.quantity_other,
        fitted=True,
    )


COLUMNS: tuple[Column[FieldRow], ...] = (
    Column("Field", lambda row: row.now.field, strong=True),
    Column(
        "Value",
        _value,
        88,
        sort=lambda row: row.now.reading[1] if row.now.reading else -float("inf"),
        tip=_value_tip,
        ink=lambda row: "ink_muted" if row.is_stale else "ink_primary",
        right=True,
    ),
    Column(
        "Age",
        _age,
        72,
        sort=lambda row: float(row.at_ms or 0),
        ink=lambda row: "ink_muted" if row.is_stale else "ink_secondary",
        whole=True,
        searched=False,
    ),
    Column(
        "Last 3 h",
        _recent_text,
        _LINE_WIDTH,
        sort=lambda row: row.now.field,
        paint=_paint_recent,
        optional=1,
        searched=False,
    ),
)
