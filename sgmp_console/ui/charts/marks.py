"""Findings and notes on the time axis of a chart: hatched, with a bar at the upper edge that can be opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter

from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.store.findings import Severity
from sgmp_console.ui import fonts
from sgmp_console.ui.charts.crosshair import Entry
from sgmp_console.ui.theme import Tokens

STRIP = 5.0
"""Pixels that the bar of a mark is high."""
REACH = 12.0
"""Pixels below the upper edge in which a click is for a mark."""
_LEAST_WIDTH = 3.0
"""Pixels: a mark of a minute is seen in the chart of a month, too."""
_HATCH_ALPHA = 70
"""Of 255: the lines of the chart stay in front."""
_MAX_ENTRIES = 4
"""Lines of a card about marks."""
_TEXT_WIDTH = 320
"""Pixels of a mark's text in a card."""

_OF_SEVERITY = {
    Severity.CRITICAL: "state_fault",
    Severity.WARNING: "state_warning",
    Severity.INFO: "ink_muted",
}


def colour(mark: TimeMark, tokens: Tokens) -> QColor:
    """By severity; notes have that of the focus where they exclude their time."""
    if mark.severity is not None:
        token = _OF_SEVERITY[mark.severity]
    else:
        token = "accent_focus" if mark.excluded else "ink_secondary"
    found: QColor = getattr(tokens, token)
    return found


def on_top(marks: Sequence[TimeMark]) -> list[TimeMark]:
    """In the order in which they are drawn: the gravest last, and notes over findings."""
    return sorted(marks, key=lambda one: one.severity.rank if one.severity is not None else 3)


def paint_marks(
    painter: QPainter,
    area: QRectF,
    marks: Sequence[TimeMark],
    x_of: Callable[[float], float],
    tokens: Tokens,
    *,
    bars: bool,
) -> None:
    """Hatches in `area`, and with `bars` a bar of each at its upper edge. `x_of`: the pixel of a time in UTC ms."""
    for mark in on_top(marks):
        left = max(area.left(), x_of(mark.from_ms))
        right = area.right() if mark.to_ms is None else min(area.right(), x_of(mark.to_ms))
        if right < area.left() or left > area.right():
            continue
        width = max(right - left, _LEAST_WIDTH)
        place = QRectF(min(left, area.right() - width), area.top(), width, area.height())
        tint = QColor(colour(mark, tokens))
        if bars:
            painter.fillRect(QRectF(place.left(), place.top(), place.width(), STRIP), tint)
        tint.setAlpha(_HATCH_ALPHA)
        pattern = Qt.BrushStyle.DiagCrossPattern if mark.excluded else Qt.BrushStyle.FDiagPattern
        painter.fillRect(place, QBrush(tint, pattern))


def entries(marks: Sequence[TimeMark], tokens: Tokens) -> list[Entry]:
    """What a card says of the marks at its time."""
    shown = [
        Entry(
            mark.kind.value.capitalize(),
            fonts.metrics("strong").elidedText(_text(mark), Qt.TextElideMode.ElideRight, _TEXT_WIDTH),
            colour(mark, tokens),
            mark.excluded,
            None,
        )
        for mark in marks[:_MAX_ENTRIES]
    ]
    if len(marks) > _MAX_ENTRIES:
        shown.append(Entry("", f"and {len(marks) - _MAX_ENTRIES} more", None, False, None))
    return shown


def _text(mark: TimeMark) -> str:
    text = " ".join(mark.text.split())
    return f"{text} (excluded)" if mark.excluded else text
