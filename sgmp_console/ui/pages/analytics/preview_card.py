"""What a formula gave over the last 24 hours, beside the editor it is written in."""

from __future__ import annotations

from datetime import tzinfo

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QStackedLayout, QWidget

from sgmp_console.reports.assessment import Preview
from sgmp_console.reports.home import GAP_MS, STALE_AFTER_MS, Curve
from sgmp_console.timeseries import Series, typical_interval_ms
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.panes import single_pane
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import ElidedLabel, label, set_ink
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.quantities import QUANTITIES, Quantity
from sgmp_console.ui.tasks import Tasks

_CURVE = "preview"
_OTHER = "other"  # the token quantity_other, which belongs to no quantity
_EVENTS_LISTED = 12
_RARE_MS = 30 * 60_000
"""Between values: no device is polled so rarely."""
_NUMBERS = ("Newest", "Mean", "Lowest", "Highest", "Coverage")


class PreviewCard(Card):
    """`avg_wanted`: the formula with `avg` where it helps was accepted."""

    avg_wanted = Signal(str)

    def __init__(self, clock: DrawClock, tasks: Tasks, zone: tzinfo, parent: QWidget | None = None) -> None:
        super().__init__("Last 24 hours", parent)
        self._clock, self._tasks = clock, tasks
        self._zone = zone
        self._suggestion = ""
        self._shown: Preview | None = None
        self._hint = label("", "caption", "muted")
        self.header.addWidget(self._hint)
        self._strip = MessageBar()
        self._strip.acted.connect(self._accept_avg)
        self.body.addWidget(self._strip)
        self._holder = QStackedLayout()
        self.body.addLayout(self._holder, 1)
        self._blank = label("", "body", "muted")
        self._blank.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._events = label("", "body")
        self._events.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._events.setContentsMargins(0, 8, 0, 8)
        self._unit: str | None = None
        self._item = ""
        self.chart = self._new_chart("", "")
        self._holder.addWidget(self._blank)
        self._holder.addWidget(self._events)
        numbers = QGridLayout()
        numbers.setHorizontalSpacing(16)
        numbers.setVerticalSpacing(2)
        self._numbers: dict[str, ElidedLabel] = {}
        for column, name in enumerate(_NUMBERS):
            numbers.addWidget(label(name, "caption", "muted"), 0, column)
            self._numbers[name] = ElidedLabel(formats.MISSING, "strong")
            numbers.addWidget(self._numbers[name], 1, column)
            numbers.setColumnStretch(column, 1)
        self.body.addLayout(numbers)
        self._note = label("", "caption", "muted", wraps=True)
        self._note.setMinimumHeight(18)
        self.body.addWidget(self._note)

    def show_preview(self, preview: Preview, unit: str, item: str) -> None:
        """`item`: the name, whose colour is used where it is a required one."""
        self._shown = preview
        if unit != self._unit or item != self._item:
            self._new_chart(unit, item)
        self._hint.setText("")
        self._show_apart(preview)
        self._show_values(preview, unit)
        self._note.setText(_note(preview))
        set_ink(self._note, "muted")

    def show_outdated(self, why: str) -> None:
        """What is shown belongs to an earlier text."""
        self._hint.setText(why)

    def show_nothing(self, why: str) -> None:
        """There is no formula that could be computed."""
        self._shown = None
        self._hint.setText("")
        self._suggestion = ""
        self._strip.hide_message()
        self._blank.setText(why)
        self._holder.setCurrentWidget(self._blank)
        for name in self._numbers:
            self._numbers[name].set_whole(formats.MISSING)
        self._note.setText("")

    def shown(self) -> Preview | None:
        return self._shown

    def numbers(self) -> dict[str, str]:
        return {name: made.accessibleName() for name, made in self._numbers.items()}

    def strip(self) -> MessageBar:
        return self._strip

    def note(self) -> str:
        return self._note.text()

    def _new_chart(self, unit: str, item: str) -> TimeChart:
        """A chart's axis keeps its unit, so another unit needs another chart."""
        if self._unit is not None:
            self._holder.removeWidget(self.chart)
            self.chart.hide()
            self.chart.deleteLater()
        self._unit, self._item = unit, item
        known = QUANTITIES.get(item)
        quantity = Quantity(_CURVE, "Value", "Value", known.token if known else _OTHER)
        self.chart = TimeChart(
            [single_pane(quantity, unit)],
            self._clock,
            self._tasks,
            "Values of the last 24 hours",
            axis_width=64,
        )
        self.chart.set_zone(self._zone)
        self.chart.setMinimumHeight(160)
        self._holder.addWidget(self.chart)
        self._holder.setCurrentWidget(self.chart)
        return self.chart

    def _show_apart(self, preview: Preview) -> None:
        apart = preview.apart
        if apart is None:
            self._suggestion = ""
            self._strip.hide_message()
            return
        self._suggestion = apart.suggestion
        share = formats.percent(apart.shared)
        self._strip.say(
            "warning",
            f"{apart.one} and {apart.other} share {share} of their timestamps, and the formula has values only "
            "there. Wrapped in avg, both have a mean at the same times.",
            (("avg", "Wrap in avg"),),
        )
        plain_text.set_tip(self._strip.buttons()["avg"], apart.suggestion)

    def _accept_avg(self, _ident: str) -> None:
        if self._suggestion:
            self.avg_wanted.emit(self._suggestion)

    def _show_values(self, preview: Preview, unit: str) -> None:
        values, numbers, found = preview.values, self._numbers, preview.extremes
        interval = typical_interval_ms(values) or 0
        newest = None
        if len(values) and preview.now_ms - int(values.timestamps[-1]) <= max(STALE_AFTER_MS, 3 * interval):
            newest = float(values.values[-1])
        for name, value, at_ms in (
            ("Newest", newest, int(values.timestamps[-1]) if len(values) else None),
            ("Mean", preview.mean, None),
            ("Lowest", found.minimum if found else None, found.minimum_ms if found else None),
            ("Highest", found.maximum if found else None, found.maximum_ms if found else None),
        ):
            at = formats.moment(at_ms, preview.now_ms, self._zone, seconds=True) if at_ms is not None else ""
            numbers[name].set_whole(formats.measured(value, unit), f"at {at}" if at else "")
        numbers["Coverage"].set_whole(
            formats.MISSING if preview.of_events else formats.percent(preview.coverage)
        )
        if preview.of_events:
            self._events.setText(_events(values, unit, preview.now_ms, self._zone))
            self._holder.setCurrentWidget(self._events)
            numbers["Newest"].set_whole(formats.MISSING)
            return
        # Values that are rare are events: points, which no line joins.
        gap_ms = 0 if interval > _RARE_MS else max(GAP_MS, round(2.5 * interval))
        curve = Curve(_CURVE, unit, values, gap_ms=gap_ms)
        self._holder.setCurrentWidget(self.chart)
        self.chart.set_curves({_CURVE: curve}, preview.start_ms, preview.end_ms)


def _events(values: Series, unit: str, now_ms: int, zone: tzinfo) -> str:
    if not len(values):
        return "No such event in the last 24 hours."
    lines = [
        f"{formats.count(len(values), 'event')}, sum {formats.measured(float(np.sum(values.values)), unit)}"
    ]
    latest = list(zip(values.timestamps.tolist(), values.values.tolist(), strict=True))[::-1]
    lines += [
        f"{formats.moment(at_ms, now_ms, zone, seconds=True)}    {formats.measured(value, unit)}"
        for at_ms, value in latest[:_EVENTS_LISTED]
    ]
    if len(latest) > _EVENTS_LISTED:
        lines.append(f"and {len(latest) - _EVENTS_LISTED:,} earlier")
    return "\n".join(lines)


def _note(preview: Preview) -> str:
    if preview.problem:
        return preview.problem
    if preview.silent:
        verb = "have" if len(preview.silent) > 1 else "has"
        return f"{', '.join(preview.silent)} {verb} no values in the last 24 hours."
    if preview.of_events:
        return "Each event has its own value; events are not continuous, so there is no coverage."
    if not len(preview.values):
        return "The formula has no value in the last 24 hours."
    return (
        f"{formats.count(len(preview.values), 'value')}, computed from every reading. Coverage counts the "
        "five-minute slots that have a value; the mean is that of these slots."
    )
