"""What bars, cells and ribbons have in common: one place of a chart is chosen. Tried on bars."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QWidget

from sgmp_console.reports.report import Bars, BarStep
from sgmp_console.ui.charts.bars import BarChart, BarPicture
from sgmp_console.ui.quantities import QUANTITIES

DAY = 24 * 3_600_000


def picture(*energies: float, first: int = 0, step: BarStep = BarStep.DAY) -> BarPicture:
    bounds = tuple(day * DAY for day in range(first, first + len(energies) + 1))
    return BarPicture(Bars(step, bounds, {"solar": energies}), (QUANTITIES["solar"],), UTC)


@pytest.fixture
def chart(shown: Callable[..., QWidget]) -> BarChart:
    bars = BarChart("Energy of days")
    shown(bars, 600, 300)
    bars.set_picture(picture(1.0, 2.0, 3.0))
    return bars


def press(chart: BarChart, key: Qt.Key, *, times: int = 1) -> None:
    for _ in range(times):
        QTest.keyClick(chart, key)


def test_the_card_says_what_is_at_the_chosen_place(chart: BarChart) -> None:
    press(chart, Qt.Key.Key_Left, times=2)
    assert chart.text() == "Fri 2 Jan 1970; Solar 2.00\u00a0kWh"


def test_choosing_ends_at_the_last_place(chart: BarChart) -> None:
    press(chart, Qt.Key.Key_Left, times=9)
    assert chart.text().startswith("Thu 1 Jan 1970")


def test_the_card_follows_new_numbers(chart: BarChart) -> None:
    press(chart, Qt.Key.Key_Left)
    chart.set_picture(picture(1.0, 2.0, 3.5))
    assert chart.text().endswith("3.50\u00a0kWh")


def test_the_card_stays_with_its_place_when_the_picture_moves_on(chart: BarChart) -> None:
    press(chart, Qt.Key.Key_Left)
    chart.set_picture(picture(2.0, 3.0, 4.0, first=1))
    assert chart.text() == "Sat 3 Jan 1970; Solar 3.00\u00a0kWh"


@pytest.mark.parametrize(
    "other",
    [picture(7.0, 8.0, 9.0, first=20), picture(7.0, 8.0, 9.0, step=BarStep.HOUR), picture(7.0), None],
    ids=["other days", "hours", "fewer days", "nothing"],
)
def test_a_place_that_the_new_picture_does_not_have_is_let_go(
    chart: BarChart, other: BarPicture | None
) -> None:
    press(chart, Qt.Key.Key_Left)
    crossed = QSignalSpy(chart.crossed)
    chart.set_picture(other)
    assert chart.text() == ""
    assert crossed.at(crossed.count() - 1) == [None]


def test_the_card_lists_what_is_shown(chart: BarChart) -> None:
    press(chart, Qt.Key.Key_Left)
    chart.set_shown("solar", False)
    assert chart.text() == "Sat 3 Jan 1970"


@pytest.mark.parametrize(
    "leave",
    [
        lambda chart: press(chart, Qt.Key.Key_Escape),
        lambda chart: QApplication.sendEvent(chart, QEvent(QEvent.Type.Leave)),
        lambda chart: QApplication.sendEvent(chart, QFocusEvent(QEvent.Type.FocusOut)),
        lambda chart: chart.resize(500, 250),
    ],
    ids=["Escape", "the mouse leaves", "the focus leaves", "another size"],
)
def test_the_place_is_let_go(chart: BarChart, leave: Callable[[BarChart], object]) -> None:
    press(chart, Qt.Key.Key_Left)
    leave(chart)
    assert chart.text() == ""


def test_a_click_and_enter_open_a_place(chart: BarChart) -> None:
    opened = QSignalSpy(chart.opened)
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.point_of(1).toPoint())
    press(chart, Qt.Key.Key_Left)
    press(chart, Qt.Key.Key_Return)
    assert [opened.at(place) for place in range(opened.count())] == [
        [DAY, BarStep.DAY],
        [2 * DAY, BarStep.DAY],
    ]


def test_a_place_that_leads_nowhere_opens_nothing_and_has_no_hand(chart: BarChart) -> None:
    assert chart.cursor().shape() == Qt.CursorShape.PointingHandCursor
    chart.set_picture(picture(1.0, 2.0, step=BarStep.HOUR))
    opened = QSignalSpy(chart.opened)
    press(chart, Qt.Key.Key_Left)
    press(chart, Qt.Key.Key_Return)
    assert opened.count() == 0
    assert chart.cursor().shape() == Qt.CursorShape.ArrowCursor


@pytest.mark.parametrize(
    ("key", "modifier"),
    [
        (Qt.Key.Key_Up, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier),
        (Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier),
    ],
    ids=["other direction", "with Ctrl", "nothing to let go", "nothing to open"],
)
def test_keys_without_a_meaning_here_are_left_to_the_page(
    chart: BarChart, key: Qt.Key, modifier: Qt.KeyboardModifier
) -> None:
    event = QKeyEvent(QEvent.Type.KeyPress, key, modifier)
    chart.keyPressEvent(event)
    assert not event.isAccepted()
    assert chart.text() == ""


def test_arrow_keys_of_a_keypad_choose_too(chart: BarChart) -> None:
    QTest.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.KeypadModifier)
    assert chart.text().startswith("Sat 3 Jan 1970")


def test_the_mouse_beside_the_places_chooses_none(chart: BarChart) -> None:
    QTest.mouseMove(chart, QPoint(1, 1))
    QTest.mouseMove(chart, chart.point_of(1).toPoint())
    assert chart.text().startswith("Fri 2 Jan 1970")
    QTest.mouseMove(chart, QPoint(2, 2))
    assert chart.text() == ""
