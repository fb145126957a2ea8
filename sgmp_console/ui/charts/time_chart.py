"""Lines over time in one or more panes with a common time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QRubberBand, QVBoxLayout, QWidget

from sgmp_console.reports.home import Curve
from sgmp_console.reports.report import Column, Table, TableColumn
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.timeseries import HOUR_MS, SLOT_MS
from sgmp_console.ui import formats, theme
from sgmp_console.ui.charts import marks
from sgmp_console.ui.charts.crosshair import Crosshair
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.pane_view import Canvas, PaneView
from sgmp_console.ui.charts.panes import Pane, PaneFrame, pane_frame
from sgmp_console.ui.charts.paper import Drawing, panes_drawing
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.tasks import Tasks

_AT_ONCE = 200_000
"""Points that are reduced while the frame is drawn, in a few milliseconds; more are reduced on a thread."""

_KEY_STEPS_MS = ((6 * HOUR_MS, 60_000), (49 * HOUR_MS, SLOT_MS), (62 * 24 * HOUR_MS, HOUR_MS))
"""How far an arrow key moves the crosshair, by what the chart spans at most; a day in longer ones."""

_LEAST_DRAG = 5
"""Pixels: less is a click of a hand that is not quite still."""

_NEAR_PIXELS = 6
"""A value this close to the crosshair is the value there, even across a gap's edge."""


class TimeChart(QWidget):
    """Shows curves; what it is given it draws on the next tick of the clock on which it is visible.

    Where `set_zoomable` was called a range is chosen by `range_chosen(start_ms, end_ms)`: by dragging, or from the
    crosshair by Shift with the arrow keys and Enter; by plus and minus, which halve and double what is shown; and by what
    moves the view, dragging with Shift or the middle button and Ctrl with the arrow keys. A double click and Home want the
    whole again: `whole_wanted`. `crossed(timestamp_ms or None)`: where the crosshair is.

    Marks are hatched; a click on the bar of one at the upper edge, or Enter with the crosshair on one, opens it:
    `mark_opened` carries the TimeMark.
    """

    range_chosen = Signal(object, object)
    whole_wanted = Signal()
    crossed = Signal(object)
    mark_opened = Signal(object)

    def __init__(
        self,
        panes: Sequence[Pane],
        clock: DrawClock,
        tasks: Tasks,
        accessible_name: str,
        *,
        axis_width: int = 48,
        parent: QWidget | None = None,
    ) -> None:
        """`axis_width` in pixels has room for the longest value with its unit."""
        super().__init__(parent)
        self._clock = clock
        self._zone: tzinfo = UTC
        self._curves: Mapping[str, Curve] = {}
        self._marks: Sequence[TimeMark] = ()
        self._range = self._view = (0, 0)
        """What is to be shown, and the part of time on screen, which differ while the view is being moved."""
        self._passed_ms: int | None = None
        self._frames: Sequence[PaneFrame] = ()
        self._reducing = LatestOnly[list[PaneFrame]](
            tasks, self._show_frames, self._not_reduced, self, pool="draw"
        )
        self._hidden: set[str] = set()
        self._cross_ms: int | None = None
        self._mark_ms: int | None = None
        self._zoomable = False
        self._anchor_ms: int | None = None
        """Where the range begins that is being chosen."""
        self._moved_from: float | None = None
        """Pixels: where the pointer was when it began to move the view."""
        self._band = QRubberBand(QRubberBand.Shape.Rectangle, self)
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._canvas = Canvas(self)
        layout.addWidget(self._canvas)
        self._panes = [
            PaneView(pane, self._canvas, row, axis_width, bottom=row == len(panes) - 1)
            for row, pane in enumerate(panes)
        ]
        self._drawable = {
            item
            for pane in panes
            for item in (*(quantity.item for quantity in pane.quantities), *pane.compared.values())
        }
        for pane in self._panes[1:]:
            pane.follow(self._panes[0])
        self._crosshair = Crosshair(self)
        self._restyle()

    def set_zoomable(self) -> None:
        self._zoomable = True

    def set_zone(self, zone: tzinfo) -> None:
        self._zone = zone
        for pane in self._panes:
            pane.set_zone(zone)

    def set_curves(
        self, curves: Mapping[str, Curve], start_ms: int, end_ms: int, passed_ms: int | None = None
    ) -> None:
        """Show these over [start_ms, end_ms), by item; items that no pane has are not shown. `passed_ms`: the end of what has
        passed, where the range is still running: what comes after it is not missing."""
        self._curves = {item: curve for item, curve in curves.items() if item in self._drawable}
        self._passed_ms = passed_ms
        self._range = self._view = (start_ms, end_ms)
        self._clock.mark(self)

    def set_marks(self, of: Sequence[TimeMark]) -> None:
        """Show these findings and notes, where they lie in what is shown."""
        self._marks = tuple(of)
        for pane in self._panes:
            pane.show_marks(self._marks)
        self._place_crosshair()

    def chosen_range(self) -> tuple[int, int]:
        """The part of time that is being chosen, UTC ms, else all that is shown."""
        anchor, cross = self._anchor_ms, self._cross_ms
        if anchor is None or cross is None or anchor == cross:
            return self._range
        return min(anchor, cross), max(anchor, cross)

    def marks_at(self, at_ms: int) -> list[TimeMark]:
        """Those at a time, and those that are too short to be met; what is drawn on top first."""
        start, end = self.drawn_range()
        near_ms = round(_NEAR_PIXELS / 2 * (end - start) / max(1.0, self._panes[0].area().width()))
        found = [one for one in self._marks if one.overlaps(at_ms - near_ms, at_ms + near_ms + 1)]
        return marks.on_top(found)[::-1]

    def set_shown(self, item: str, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(item)
        self._clock.mark(self)

    def draw(self) -> None:
        """For the draw clock."""
        if self._view[1] <= self._view[0]:
            return
        ratio = self.devicePixelRatioF()
        panes = [(pane.pane, max(50, int(pane.area().width() * ratio))) for pane in self._panes]
        work = partial(_reduced, panes, self._curves, frozenset(self._hidden), *self._view, self._passed_ms)
        if sum(len(curve.series) for curve in self._curves.values()) <= _AT_ONCE:
            self._reducing.forget()
            self._show_frames(work())
        else:
            self._reducing.ask(work)

    def _show_frames(self, frames: list[PaneFrame]) -> None:
        self._frames = frames
        for pane, frame in zip(self._panes, frames, strict=True):
            pane.show_frame(frame)
        self._place_crosshair()

    def _not_reduced(self, _error: Exception) -> None:
        """A bug, which the tasks reported to the hook for uncaught errors; the frame before stays."""

    def drawing(self) -> Drawing:
        """What is shown now, for a picture."""
        panes = [pane.pane for pane in self._panes]
        return panes_drawing(
            panes,
            self._curves,
            frozenset(self._hidden),
            self._range,
            self._passed_ms,
            self._zone,
            self._marks,
        )

    def readings(self, title: str) -> Table:
        """The values behind the lines that are shown, by time."""
        start, end = self._range
        shown = [
            (quantity, self._curves[quantity.item].series.between(start, end), pane.pane.unit)
            for pane in self._panes
            for quantity in pane.pane.quantities
            if quantity.item in self._curves and quantity.item not in self._hidden
        ]
        times = sorted({at for _, series, _ in shown for at in series.timestamps.tolist()})
        cells = [dict(zip(one.timestamps.tolist(), one.values.tolist(), strict=True)) for _, one, _ in shown]
        columns = [TableColumn("Time", Column.TIME)]
        columns += [TableColumn(quantity.title, Column.NUMBER, unit) for quantity, _, unit in shown]
        rows = tuple((at, *(values.get(at) for values in cells)) for at in times)
        return Table("values", title, tuple(columns), rows)

    def drawn(self, item: str) -> bool:
        """Whether the last frame has anything of this item."""
        return any(item in frame.drawn for frame in self._frames)

    def axis_range(self, unit: str) -> tuple[float, float]:
        """What the axis with this unit spans. Raises StopIteration where there is none."""
        return next(pane.span for pane in self._panes if pane.pane.unit == unit)

    def text(self) -> str:
        """What the crosshair's card says; empty without one."""
        return self._crosshair.text()

    def mark(self, timestamp_ms: int | None) -> None:
        """Show where a time is, without values, where the crosshair of another chart of the page is there."""
        self._mark_ms = timestamp_ms
        self._place_crosshair()

    def point_at(self, timestamp_ms: int) -> QPointF:
        """Where that time is in the first pane, in pixels of this widget."""
        area = self._panes[0].area()
        start, end = self.drawn_range()
        fraction = (timestamp_ms - start) / max(1, end - start)
        return QPointF(area.left() + fraction * area.width(), area.center().y())

    def drawn_range(self) -> tuple[int, int]:
        """The part of time, UTC ms, that the last frame shows."""
        return (self._frames[0].start_ms, self._frames[0].end_ms) if self._frames else self._view

    # --- Events --------------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 220)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._clock.mark(self)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._crosshair.resize(self.size())
        self._clock.mark(self)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._worn is not theme.tokens():
            self._restyle()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._restyle()
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self._crosshair.set_focused(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key = event.key()
        start, end = self._range
        if end > start and self._zoomable and self._zoomed_by(event):
            return
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and end > start:
            step = next((step for span, step in _KEY_STEPS_MS if end - start <= span), 24 * HOUR_MS)
            chooses = self._zoomable and bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if not chooses:
                self._anchor_ms = None
            elif self._anchor_ms is None:
                self._anchor_ms = self._cross_ms
            cross = self._cross_ms
            at = end if cross is None else cross + (step if key == Qt.Key.Key_Right else -step)
            self._cross_ms = min(max(at, start), end)
            self._place_crosshair()
            self._place_band()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._anchor_ms is not None:
            self._choose_range()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._open_mark_at(self._cross_ms):
            pass
        elif key == Qt.Key.Key_Escape and self._cross_ms is not None:
            self._leave()
        else:
            super().keyPressEvent(event)

    def _zoomed_by(self, event: QKeyEvent) -> bool:
        """Whether it was a key that changes the range."""
        start, end = self._range
        key, span = event.key(), end - start
        middle = (start + end) // 2 if self._cross_ms is None else self._cross_ms
        if (
            key in (Qt.Key.Key_Left, Qt.Key.Key_Right)
            and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            by = span // 4 if key == Qt.Key.Key_Right else -span // 4
            self.range_chosen.emit(start + by, end + by)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            half = max(SLOT_MS, span // 4)
            self.range_chosen.emit(middle - half, middle + half)
        elif key == Qt.Key.Key_Minus:
            self.range_chosen.emit(middle - span, middle + span)
        elif key == Qt.Key.Key_Home:
            self.whole_wanted.emit()
        else:
            return False
        return True

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self._crosshair.set_focused(False)
        self._leave()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        button = event.button()
        moves = button == Qt.MouseButton.MiddleButton or (
            button == Qt.MouseButton.LeftButton and event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        )
        if button == Qt.MouseButton.LeftButton and self._is_on_bars(event.position()):
            self._open_mark_at(self._cross_ms)
        elif self._zoomable and moves:
            self._leave()
            self._moved_from = event.position().x()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif self._zoomable and button == Qt.MouseButton.LeftButton:
            self._hover(event.position())
            self._anchor_ms = self._cross_ms
        else:
            super().mousePressEvent(event)

    def _move_view(self, x: float) -> None:
        """While the view is being moved: the same span, shifted by what the pointer went."""
        if self._moved_from is None:
            return
        start, end = self._range
        by = round((self._moved_from - x) / max(1.0, self._panes[0].area().width()) * (end - start))
        self._view = (start + by, end + by)
        self._clock.mark(self)

    def _end_move(self) -> None:
        view, self._moved_from = self._view, None
        self.unsetCursor()
        if view != self._range:
            self.range_chosen.emit(*view)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._moved_from is not None:
            self._move_view(event.position().x())
            return
        if self._anchor_ms is None:
            on_bars = self._is_on_bars(event.position())
            self.setCursor(Qt.CursorShape.PointingHandCursor if on_bars else Qt.CursorShape.ArrowCursor)
            return
        area = self._panes[0].area()
        self._hover(QPointF(min(max(event.position().x(), area.left()), area.right()), event.position().y()))
        self._place_band()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self._leave()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._moved_from is not None:
            self._end_move()
        elif self._anchor_ms is None:
            super().mouseReleaseEvent(event)
        elif self._band.isVisible() and self._band.width() >= _LEAST_DRAG:
            self._choose_range()
        else:
            self._anchor_ms = None
            self._place_band()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._zoomable and event.button() == Qt.MouseButton.LeftButton:
            self.whole_wanted.emit()
        else:
            super().mouseDoubleClickEvent(event)

    def _choose_range(self) -> None:
        anchor, cross = self._anchor_ms, self._cross_ms
        self._leave()
        if anchor is not None and cross is not None and anchor != cross:
            self.range_chosen.emit(min(anchor, cross), max(anchor, cross))

    def _place_band(self) -> None:
        """Over the range that is being chosen."""
        if self._anchor_ms is None or self._cross_ms is None:
            self._band.hide()
            return
        edges = sorted((self.point_at(self._anchor_ms).x(), self.point_at(self._cross_ms).x()))
        top, bottom = self._panes[0].area().top(), self._panes[-1].area().bottom()
        self._band.setGeometry(QRectF(edges[0], top, edges[1] - edges[0], bottom - top).toRect())
        self._band.show()

    def _hover(self, where: QPointF) -> None:
        area = self._panes[0].area()
        start, end = self.drawn_range()
        if area.left() <= where.x() <= area.right() and end > start and self._moved_from is None:
            fraction = (where.x() - area.left()) / max(1.0, area.width())
            self._cross_ms = round(start + fraction * (end - start))
            self._place_crosshair()
        else:
            self._leave()

    def _is_on_bars(self, where: QPointF) -> bool:
        """Whether there is the bar of a mark; puts the crosshair on it."""
        self._hover(where)
        near = 0 <= where.y() - self._panes[0].area().top() <= marks.REACH
        return near and self._cross_ms is not None and bool(self.marks_at(self._cross_ms))

    def _open_mark_at(self, at_ms: int | None) -> bool:
        """Whether there was one to open."""
        found = self.marks_at(at_ms) if at_ms is not None else []
        if found:
            self.mark_opened.emit(found[0])
        return bool(found)

    def _leave(self) -> None:
        self._cross_ms = None
        self._anchor_ms = None
        self._band.hide()
        self._place_crosshair()

    # --- Drawing -------------------------------------------------------------------------------------------------

    def _restyle(self) -> None:
        self._worn = theme.tokens()
        self._canvas.setBackground(self._worn.surface_card)
        for pane in self._panes:
            pane.restyle(self.devicePixelRatioF())
        self._clock.mark(self)

    def _place_crosshair(self) -> None:
        start, end = self.drawn_range()
        at_ms = self._mark_ms if self._cross_ms is None else self._cross_ms
        if self._cross_ms is None or start <= self._cross_ms <= end:
            self.crossed.emit(self._cross_ms)
        if at_ms is None or not start <= at_ms <= end:
            self._crosshair.clear()
            return
        x = self.point_at(at_ms).x()
        first, last = self._panes[0].area(), self._panes[-1].area()
        if self._cross_ms is None:
            self._crosshair.put(x, first.top(), last.bottom(), "", ())
            return
        near_ms = round(_NEAR_PIXELS * (end - start) / max(1.0, first.width()))
        entries = tuple(
            entry
            for pane in self._panes
            for entry in pane.entries_at(self._curves, self._hidden, at_ms, near_ms, x)
        )
        entries += tuple(marks.entries(self.marks_at(at_ms), theme.tokens()))
        title = formats.moment(at_ms, end, self._zone)
        self._crosshair.put(x, first.top(), last.bottom(), title, entries)
        self._crosshair.raise_()


def _reduced(
    panes: Sequence[tuple[Pane, int]],
    curves: Mapping[str, Curve],
    hidden: frozenset[str],
    start_ms: int,
    end_ms: int,
    passed_ms: int | None,
) -> list[PaneFrame]:
    """The frames of panes for so many pixels."""
    return [pane_frame(pane, curves, hidden, start_ms, end_ms, columns, passed_ms) for pane, columns in panes]
