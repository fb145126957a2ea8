"""Tab goes in reading order, whenever a widget was made: Qt's own order is that in which they were created."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QStackedLayout,
    QStackedWidget,
    QWidget,
)

_ONE_STOP = (QAbstractScrollArea, QAbstractSpinBox, QComboBox)
"""Widgets whose parts are theirs: Tab stops at the whole."""

_FIELDS = (QLineEdit, QPlainTextEdit, QAbstractSpinBox, QComboBox, QCheckBox)
"""What is filled in a form."""


def focus_next(window: QWidget, *, forward: bool) -> bool:
    """Give the focus to the next stop in the window, or the one before; from the last to the first. Whether there is one."""
    stops = list(tab_stops(window))
    if not stops:
        return False
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    stops[_place_after(QApplication.focusWidget(), stops, forward)].setFocus(reason)
    return True


def focus_next_field(window: QWidget) -> bool:
    """From the field that has the focus to the next one, and from the last to the button that acts. False where the focus is
    in no field, or there is nothing to go on to."""
    stops, focus = list(tab_stops(window)), window.focusWidget()
    if focus not in stops or not isinstance(focus, _FIELDS):
        return False
    behind = stops[stops.index(focus) + 1 :]
    fields = [stop for stop in behind if isinstance(stop, _FIELDS) and not stop.property("readOnly")]
    for stop in (*fields, *(stop for stop in behind if stop.property("kind") == "primary")):
        stop.setFocus(Qt.FocusReason.TabFocusReason)
        return True
    return False


def _place_after(focus: QWidget | None, stops: list[QWidget], forward: bool) -> int:
    if focus in stops:
        return (stops.index(focus) + (1 if forward else -1)) % len(stops)
    # A page or its scrolled content: what is in it comes next, what stands before it comes before.
    inside = [place for place, stop in enumerate(stops) if focus is not None and focus.isAncestorOf(stop)]
    if inside:
        return inside[0] if forward else (inside[0] - 1) % len(stops)
    return 0 if forward else len(stops) - 1


def tab_stops(widget: QWidget) -> Iterator[QWidget]:
    """What takes the focus by Tab in a widget and is visible and enabled, in reading order."""
    if not widget.isVisible() or not widget.isEnabled():
        return
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not widget.isWindow():
        yield widget
    if isinstance(widget, QScrollArea):
        if (content := widget.widget()) is not None:
            yield from tab_stops(content)
        return
    if isinstance(widget, _ONE_STOP):
        return
    if isinstance(widget, QStackedWidget):
        if (shown := widget.currentWidget()) is not None:
            yield from tab_stops(shown)
        return
    laid_out = list(_widgets_of(widget.layout()))
    beside = widget.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    others = [child for child in beside if child not in laid_out and not child.isWindow()]
    for child in (*laid_out, *others):
        yield from tab_stops(child)


def _widgets_of(layout: QLayout | None) -> Iterator[QWidget]:
    if layout is None:
        return
    places = list(range(layout.count()))
    if isinstance(layout, QGridLayout):
        by_row = {place: _row_and_column(layout, place) for place in places}
        places.sort(key=by_row.__getitem__)
    for place in places:
        item = layout.itemAt(place)
        if item is None:
            continue
        child = item.widget()
        if isinstance(layout, QStackedLayout) and child is not layout.currentWidget():
            continue
        if child is not None:
            yield child
        else:
            yield from _widgets_of(item.layout())


def _row_and_column(layout: QGridLayout, place: int) -> tuple[int, int]:
    row, column, _rows, _columns = cast("tuple[int, int, int, int]", layout.getItemPosition(place))
    return row, column
