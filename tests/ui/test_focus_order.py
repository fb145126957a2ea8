"""Tab goes in reading order, whenever a widget was made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.ui.focus_order import focus_next, tab_stops
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.scroll_area import ScrollArea


class _Form(QWidget):
    """Two columns, the left one scrolled; what is in it is made last."""

    def __init__(self) -> None:
        super().__init__()
        self.left = QVBoxLayout()
        content = QWidget()
        content.setLayout(self.left)
        row = QHBoxLayout()
        row.addWidget(ScrollArea(content))
        row.addWidget(named("text"))
        column = QVBoxLayout(self)
        column.addWidget(named("name"))
        column.addLayout(row)
        column.addWidget(button("save", self.update))
        self.left.addWidget(named("setting 1"))
        self.left.addWidget(named("setting 2"))

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, N802 - Qt's names
        return focus_next(self, forward=next)


def named(name: str) -> QLineEdit:
    entry = QLineEdit()
    entry.setAccessibleName(name)
    return entry


def names(window: QWidget) -> list[str]:
    return [stop.accessibleName() or stop.property("text") for stop in tab_stops(window)]


def test_what_is_made_late_has_its_place_in_the_order(shown: Callable[..., QWidget]) -> None:
    form = _Form()
    shown(form, 600, 400)
    assert names(form) == ["name", "setting 1", "setting 2", "text", "save"]


def test_tab_goes_round_both_ways(shown: Callable[..., QWidget]) -> None:
    form = _Form()
    shown(form, 600, 400)
    form.activateWindow()
    stops = list(tab_stops(form))
    stops[-1].setFocus()
    QTest.keyClick(stops[-1], Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is stops[0]
    QTest.keyClick(stops[0], Qt.Key.Key_Backtab)
    assert QApplication.focusWidget() is stops[-1]
    QTest.keyClick(stops[-1], Qt.Key.Key_Backtab)
    assert QApplication.focusWidget() is stops[-2]


def test_from_scrolled_content_tab_goes_into_it(shown: Callable[..., QWidget]) -> None:
    form = _Form()
    shown(form, 600, 400)
    form.activateWindow()
    form.findChildren(ScrollArea)[0].setFocus()
    assert focus_next(form, forward=True)
    focus = QApplication.focusWidget()
    assert focus is not None
    assert focus.accessibleName() == "setting 1"


def test_what_is_hidden_disabled_or_part_of_another_is_no_stop(shown: Callable[..., QWidget]) -> None:
    window = QWidget()
    grid = QGridLayout(window)
    hidden, disabled, combo = named("hidden"), named("disabled"), QComboBox()
    combo.setEditable(True)
    combo.setAccessibleName("choice")
    disabled.setEnabled(False)
    for place, widget in enumerate((hidden, disabled, combo, named("last"))):
        grid.addWidget(widget, place, 0)
    stack = QStackedLayout()
    grid.addLayout(stack, 9, 0)
    stack.addWidget(named("in front"))
    stack.addWidget(named("behind"))
    shown(window, 300, 300)
    hidden.hide()
    assert names(window) == ["choice", "last", "in front"]


def test_a_grid_is_read_row_by_row(shown: Callable[..., QWidget]) -> None:
    window = QWidget()
    grid = QGridLayout(window)
    for name, row, column in (("d", 1, 1), ("b", 0, 1), ("c", 1, 0), ("a", 0, 0)):
        grid.addWidget(named(name), row, column)
    shown(window, 300, 300)
    assert names(window) == ["a", "b", "c", "d"]


def test_content_that_is_built_again_keeps_the_focus_at_its_place(shown: Callable[..., QWidget]) -> None:
    def built(*entries: str) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        for entry in entries:
            column.addWidget(named(entry))
        return content

    area = ScrollArea(built("a", "b"))
    shown(area, 300, 300)
    area.activateWindow()
    list(tab_stops(area))[1].setFocus()
    area.replace(built("a", "b", "c"))
    assert focused() == "b"
    area.replace(built("a"))
    assert focused() == "a"
    area.replace(built())
    assert QApplication.focusWidget() is area


def focused() -> str:
    focus = QApplication.focusWidget()
    return "" if focus is None else focus.accessibleName()
