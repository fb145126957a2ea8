"""Controls and dialogs that all pages share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from PySide6.QtCore import QDate, QDateTime, QPoint, QPointF, Qt, QTime
from PySide6.QtGui import QCursor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.settings import ThemeChoice
from sgmp_console.ui import theme
from sgmp_console.ui.charts.legend import Legend
from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.parts.buttons import Button, CheckBox, ComboBox, DateTimeEdit, IconButton, button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.rows import Column
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.parts.table import ROW_HEIGHT, RowsTable
from sgmp_console.ui.quantities import QUANTITIES
from sgmp_console.ui.theme import Appearance

LONG = "A sentence of help that is so long that it needs several lines at the width that the dialog has. " * 3


@pytest.mark.parametrize("chosen", ["light", "dark"])
def test_the_calendar_has_the_colours_of_the_theme_and_no_red_but_for_faults(
    shown: Callable[..., QWidget], appearance: Appearance, chosen: ThemeChoice
) -> None:
    appearance.choose(chosen)
    entry = DateTimeEdit()
    entry.setDateTime(QDateTime(QDate(2026, 5, 15), QTime(12, 0)))
    shown(entry, 240, 40)
    calendar = entry.calendarWidget()
    calendar.window().show()
    picture = calendar.grab().toImage()
    calendar.window().hide()
    pixels = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    assert max(pixel.hsvSaturation() for pixel in pixels if pixel.value() > 100) < 100
    assert picture.pixelColor(picture.width() // 2, picture.height() - 4) == theme.tokens().surface_overlay


@pytest.fixture
def choice(shown: Callable[..., QWidget]) -> ComboBox:
    made = ComboBox()
    for text in ("first", "second", "third"):
        made.addItem(text)
    shown(made, 200, 40)
    made.activateWindow()
    made.setFocus()
    return made


def test_a_choice_that_may_only_be_read_keeps_the_focus_and_its_value(choice: ComboBox) -> None:
    choice.set_read_only(True)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Space, Qt.Key.Key_T):
        QTest.keyClick(choice, key)
    assert choice.currentText() == "first"
    assert not choice.view().isVisible()
    assert QApplication.focusWidget() is choice
    choice.set_read_only(False)
    QTest.keyClick(choice, Qt.Key.Key_Down)
    assert choice.currentText() == "second"


def test_the_wheel_scrolls_past_a_choice_without_changing_it(choice: ComboBox) -> None:
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(choice.mapToGlobal(QPoint(5, 5))),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(choice, wheel)
    assert choice.currentText() == "first"
    assert not wheel.isAccepted()


def test_a_button_that_a_menu_came_between_is_not_drawn_as_hovered(shown: Callable[..., QWidget]) -> None:
    made = button("Act", QApplication.beep)
    shown(made, 100, 40)
    rest = made.grab().toImage()
    made.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)  # as Qt leaves it
    QCursor.setPos(made.mapToGlobal(QPoint(500, 500)))
    assert made.grab().toImage() == rest


def test_a_dialog_has_the_height_that_its_wrapped_text_needs(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    dialog = Dialog()
    text = label("", wraps=True)
    column = QVBoxLayout(dialog)
    column.addWidget(text)
    shown(dialog, 300, 60)
    for said in (LONG, LONG + LONG):
        text.setText(said)
        qapp.processEvents()
        assert text.height() >= text.heightForWidth(text.width())
    assert dialog.width() == 300
    high = dialog.height()
    text.setText("Short.")
    qapp.processEvents()
    assert dialog.height() == high


class _Asking(Dialog):
    """Fields of each kind, then Cancel and the button that acts."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.kind, self.since, self.box = QLineEdit(), ComboBox(), DateTimeEdit(), CheckBox("Tick")
        self.secret = QLineEdit("only to read")
        self.secret.setReadOnly(True)
        self.kind.addItem("first")
        self.cancel, self.act = button("Cancel", self.reject), button("Act", self.accept, "primary")
        column = QVBoxLayout(self)
        for widget in (self.name, self.kind, self.since, self.secret, self.box, self.cancel, self.act):
            column.addWidget(widget)


def test_enter_goes_on_to_the_next_field_and_from_the_last_to_the_button_that_acts(
    shown: Callable[..., QWidget],
) -> None:
    dialog = _Asking()
    shown(dialog, 400, 400)
    dialog.name.setFocus()
    for field, then in pairwise((dialog.name, dialog.kind, dialog.since, dialog.box, dialog.act)):
        QTest.keyClick(field, Qt.Key.Key_Return)
        assert dialog.focusWidget() is then
    assert dialog.isVisible()
    QTest.keyClick(dialog.act, Qt.Key.Key_Return)
    assert dialog.result() == Dialog.DialogCode.Accepted


def test_enter_presses_the_default_button_of_a_dialog_that_asks_for_one_thing(
    shown: Callable[..., QWidget],
) -> None:
    dialog = _Asking()
    dialog.act.setDefault(True)
    shown(dialog, 400, 400)
    dialog.name.setFocus()
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    assert dialog.result() == Dialog.DialogCode.Accepted


def test_enter_shows_and_hides_a_line_of_a_legend(shown: Callable[..., QWidget]) -> None:
    quantity = QUANTITIES["solar"]
    legend = Legend([("From", [quantity])], "kW")
    shown(legend, 200, 100)
    heard: list[tuple[str, bool]] = []
    legend.toggled.connect(lambda item, is_shown: heard.append((item, is_shown)))
    (row,) = legend.findChildren(QAbstractButton)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
        QTest.keyClick(row, key)
    assert heard == [("solar", False), ("solar", True)]


def test_every_kind_of_button_is_pressed_by_enter() -> None:
    """By one of these classes; a box to tick is left to Space, as Enter goes to the next field."""
    ours = [one for one in _subclasses(QAbstractButton) if one.__module__.startswith("sgmp_console.")]
    assert ours
    assert not [one for one in ours if not issubclass(one, (Button, IconButton, PaintedButton, CheckBox))]


def _subclasses(of: type[QAbstractButton]) -> list[type[QAbstractButton]]:
    found: list[type[QAbstractButton]] = []
    for sub in of.__subclasses__():
        found += (sub, *_subclasses(sub))
    return found


def test_shift_f10_opens_the_menu_of_what_has_the_focus(shown: Callable[..., QWidget]) -> None:
    dialog = _Asking()
    dialog.kind.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    heard: list[QPoint] = []
    dialog.kind.customContextMenuRequested.connect(heard.append)
    shown(dialog, 400, 400)
    dialog.activateWindow()
    dialog.kind.setFocus()
    QTest.keyClick(dialog.kind, Qt.Key.Key_F10, Qt.KeyboardModifier.ShiftModifier)
    assert len(heard) == 1


def test_what_scrolls_around_a_table_follows_the_row_that_the_keyboard_is_at(
    shown: Callable[..., QWidget],
) -> None:
    table = RowsTable("Numbers", [Column[int]("Number", str)], id_=lambda row: row)
    table.set_rows(range(50))
    table.setMinimumHeight(60 * ROW_HEIGHT)
    area = ScrollArea(table)
    shown(area, 300, 200)
    table.setFocus()
    for _ in range(20):
        QTest.keyClick(table, Qt.Key.Key_Down)
    row = table.visualRect(table.currentIndex())
    at = table.viewport().mapTo(area.viewport(), row.center())
    assert area.viewport().rect().contains(at)


def test_rows_that_are_read_again_scroll_nothing(shown: Callable[..., QWidget]) -> None:
    content = QWidget()
    table = RowsTable("Numbers", [Column[int]("Number", str)], id_=lambda row: row)
    column = QVBoxLayout(content)
    first = QLineEdit()
    column.addWidget(first)
    column.addWidget(table)
    table.setMinimumHeight(60 * ROW_HEIGHT)
    table.set_rows(range(50))
    table.setCurrentIndex(table.proxy.index(40, 0))
    area = ScrollArea(content)
    shown(area, 300, 200)
    first.setFocus()
    table.set_rows(range(45))
    assert area.verticalScrollBar().value() == 0
