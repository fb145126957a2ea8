"""What opens below a button, and buttons that paint themselves, tested once on the shared classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QVBoxLayout, QWidget

from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.parts.popup import Popup, open_menu_below

WIDTH, HEIGHT = 400, 60
FRAME = 2
"""Pixels that the platform of the tests draws around a window, a popup too."""


class Sample(PaintedButton):
    def paint(self, painter: QPainter, area: QRectF) -> None:
        pass


class SamplePopup(Popup):
    def __init__(self, parent: QWidget) -> None:
        super().__init__("Sample", parent)
        self.first, self.second = QLineEdit(), QLineEdit()
        column = QVBoxLayout(self)
        column.addWidget(self.first)
        column.addWidget(self.second)
        self.setFixedWidth(200)


@pytest.fixture
def window(shown: Callable[..., QWidget]) -> QWidget:
    return shown(QWidget(), WIDTH, HEIGHT)


def anchor(window: QWidget, left: int) -> Sample:
    button = Sample(window)
    button.setGeometry(left, 10, 40, 30)
    button.show()
    return button


@pytest.mark.parametrize(
    ("left", "expected"),
    [(20, 20), (200, 200), (210, 50), (360, 200)],
    ids=["left", "just fits", "over", "right"],
)
def test_a_popup_opens_below_its_button_and_within_the_window(
    window: QWidget, left: int, expected: int
) -> None:
    popup = SamplePopup(window)
    popup.open_below(anchor(window, left), popup.first)
    at = window.mapFromGlobal(popup.pos())
    assert (at.x(), at.y()) == pytest.approx((expected, 44), abs=FRAME)
    popup.hide()


def test_a_popup_stays_on_the_screen(window: QWidget) -> None:
    screen = window.screen().availableGeometry()
    window.move(0, screen.bottom() - HEIGHT)
    popup = SamplePopup(window)
    popup.open_below(anchor(window, 20), popup.first)
    assert popup.geometry().bottom() <= screen.bottom() + FRAME
    popup.hide()


def test_a_popup_has_a_name_the_keyboard_and_is_closed_by_escape(window: QWidget) -> None:
    popup = SamplePopup(window)
    popup.open_below(anchor(window, 20), popup.second)
    assert popup.accessibleName() == "Sample"
    assert popup.focusWidget() is popup.second
    QTest.keyClick(popup, Qt.Key.Key_Escape)
    assert not popup.isVisible()


def test_a_menu_opens_like_a_popup(window: QWidget) -> None:
    menu = QMenu(window)
    menu.addAction("An act with a name")
    button = anchor(window, 350)
    open_menu_below(menu, button)
    assert QApplication.activePopupWidget() is menu
    assert menu.geometry().right() <= button.mapToGlobal(QPoint(40, 0)).x() + FRAME
    menu.close()


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_a_button_that_paints_itself_is_pressed_by_key(window: QWidget, key: Qt.Key) -> None:
    button = anchor(window, 20)
    clicked = QSignalSpy(button.clicked)
    QTest.keyClick(button, key)
    assert clicked.count() == 1


def test_its_focus_can_be_seen(window: QWidget) -> None:
    button = anchor(window, 20)
    before = button.grab().toImage()
    window.activateWindow()
    button.setFocus()
    assert button.grab().toImage() != before
