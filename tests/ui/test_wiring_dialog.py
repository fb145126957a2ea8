"""Checking the wiring of a house from the page Houses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.timeseries import Series
from sgmp_console.ui.pages.houses.page import HousesPage
from sgmp_console.ui.pages.houses.wiring import WiringDialog
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase
from tests.reports.houses import GRID, Readings, lived_in
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.houses import measured, outage
from tests.ui.readers import Clock

DAY_MS = 86_400_000
Check = Callable[[], WiringDialog]


@pytest.fixture
def check(qtbot: QtBot, view: MainView, deployed: Deployment) -> Check:
    """The dialog of the first house, when it has looked."""

    def opened() -> WiringDialog:
        view.start()
        view.show_page("houses")
        page = view.page("houses")
        assert isinstance(page, HousesPage)
        qtbot.waitUntil(lambda: page.found is not None)
        page.table.select({deployed.houses[0].house_id})
        page.action("wiring").trigger()
        (dialog,) = page.findChildren(WiringDialog)
        qtbot.waitUntil(lambda: not dialog.busy and texts(dialog.steps) != [])
        return dialog

    return opened


def lived_a_week(clock: Clock, grid_sign: float = 1.0) -> Readings:
    now_ms = clock()
    readings = lived_in(now_ms - 7 * DAY_MS, now_ms, 300_000)
    grid = readings[GRID]
    return {**readings, GRID: Series(grid.timestamps, grid.values * grid_sign)}


def texts(widget: QWidget) -> list[str]:
    return [part.text() for part in widget.findChildren(QLabel) if part.isVisibleTo(widget)]


def test_what_is_wrong_comes_first_and_says_what_to_do(
    deployed: Deployment, check: Check, clock: Clock, appearance: Appearance
) -> None:
    measured(deployed.owner, deployed.houses[0], lived_a_week(clock, -1.0))

    dialog = check()

    shown = texts(dialog.steps)
    assert shown[0] == "Energy balance"
    assert "Turn the current transformer of grid round, or change the sign in the formula." in shown
    assert "1 thing to correct." in dialog.message_bar.accessibleName()
    save_pictures(dialog, "wiring", appearance)


def test_of_a_house_without_readings_nothing_is_called_right(check: Check) -> None:
    dialog = check()

    assert "All items have values." not in texts(dialog.steps)
    assert "rightly" not in dialog.message_bar.accessibleName()


def test_another_period_is_looked_at_when_it_is_chosen(
    qtbot: QtBot, deployed: Deployment, check: Check, clock: Clock
) -> None:
    until_yesterday = {
        key: series.between(0, clock() - DAY_MS) for key, series in lived_a_week(clock).items()
    }
    measured(deployed.owner, deployed.houses[0], until_yesterday)
    dialog = check()
    assert "load has no value." not in texts(dialog.steps)

    dialog.period.setCurrentIndex(1)
    dialog.period.activated.emit(1)
    assert dialog.busy
    assert texts(dialog.steps) == []
    qtbot.waitUntil(lambda: not dialog.busy and texts(dialog.steps) != [])

    assert "load has no value." in texts(dialog.steps)


def test_a_lost_database_is_a_sentence_and_can_be_tried_again(
    qtbot: QtBot, deployed: Deployment, check: Check, clock: Clock, test_database: TestDatabase
) -> None:
    measured(deployed.owner, deployed.houses[0], lived_a_week(clock))
    dialog = check()
    with outage(test_database):
        dialog.act.click()
        qtbot.waitUntil(lambda: not dialog.busy)
        assert texts(dialog.steps) == []
        assert dialog.message_bar.isVisibleTo(dialog)
    dialog.act.click()
    qtbot.waitUntil(lambda: not dialog.busy and texts(dialog.steps) != [])
