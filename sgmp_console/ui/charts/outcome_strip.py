"""How the polls of a device ended over time, as a strip: what was well is quiet, what was not stands out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from sgmp_console.fleet.poll_outcomes import OutcomeRun
from sgmp_console.ui import edge_words, formats, plain_text, theme
from sgmp_console.ui.charts.painted import TIME_HEIGHT, Scale, paint_times

_BAR = 18
"""Pixels."""
_LEAST_WIDTH = 2.0
"""Of an outcome that was not well, however short it was."""


class OutcomeStrip(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: Sequence[OutcomeRun] = ()
        self._zone: tzinfo | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_BAR + TIME_HEIGHT)

    def show_runs(self, runs: Sequence[OutcomeRun], zone: tzinfo) -> None:
        self._runs, self._zone = runs, zone
        self.setAccessibleName(", ".join(words(run, zone) for run in runs[-20:]))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(240, _BAR + TIME_HEIGHT)

    def run_at(self, x: float) -> OutcomeRun | None:
        """What is drawn there; x in pixels."""
        scale = self._scale()
        return next((run for run in self._runs if scale.x(run.start_ms) <= x < scale.x(run.end_ms)), None)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            run = self.run_at(event.pos().x())
            if run is not None and self._zone is not None:
                QToolTip.showText(event.globalPos(), plain_text.tip(words(run, self._zone)), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if not self._runs or self._zone is None:
            return
        painter, tokens, scale = QPainter(self), theme.tokens(), self._scale()
        painter.fillRect(scale.area, tokens.surface_sunken)
        for run in self._runs:
            left, right = scale.x(run.start_ms), scale.x(run.end_ms)
            _, tint = edge_words.outcome_look(run.outcome)
            if not tint:
                hatched = QRectF(QPointF(left, scale.area.top()), QPointF(right, scale.area.bottom()))
                painter.fillRect(hatched, QBrush(tokens.line_hatch, Qt.BrushStyle.BDiagPattern))
                continue
            # What was well is lower, so that the colour is not the only sign.
            top = scale.area.top() + (0 if tint != "state_ok" else _BAR / 2)
            width = max(right - left, 0.0 if tint == "state_ok" else _LEAST_WIDTH)
            painter.fillRect(QRectF(left, top, width, scale.area.bottom() - top), getattr(tokens, tint))
        paint_times(painter, scale, self._zone, tokens)

    def _scale(self) -> Scale:
        start_ms, end_ms = (self._runs[0].start_ms, self._runs[-1].end_ms) if self._runs else (0, 1)
        area = QRectF(0, 0, self.width() - 4, _BAR)
        return Scale(area, start_ms, end_ms, 0.0, 1.0, 1.0)


def words(run: OutcomeRun, zone: tzinfo) -> str:
    """When polls ended how, and for how long."""
    lasted = formats.duration(run.end_ms - run.start_ms)
    return f"{times(run, zone)}: {edge_words.outcome_look(run.outcome)[0]}, {lasted}"


def times(run: OutcomeRun, zone: tzinfo) -> str:
    """From when to when."""
    end = formats.clock(formats.local(run.end_ms, zone))
    return f"{formats.moment(run.start_ms, run.end_ms, zone)} to {end}"
