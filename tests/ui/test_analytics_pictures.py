"""Pictures of the list of analytic items and their editor, for people to look at."""

from __future__ import annotations

from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import analytics
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.analytics.editor import ItemEditor
from sgmp_console.ui.pages.analytics.page import AnalyticsPage
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import houses
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.finding import is_settled


@pytest.fixture
def page(qtbot: QtBot, view: MainView, deployed: Deployment) -> AnalyticsPage:
    """The list of a house with all required items."""
    house = deployed.houses[0]
    houses.furnish(deployed.owner, house)
    analytics.create_required(deployed.owner, house.house_id)
    analytics.populate(deployed.owner, house.house_id)
    houses.make(deployed.owner, house, "self_use", "analytics.solar - analytics.grid_export")
    houses.make(deployed.owner, house, "apparent", "(egauge.A.L1_Voltage*egauge.A.L2_Voltage)^0.5")
    return open_list(qtbot, view)


def open_list(qtbot: QtBot, view: MainView) -> AnalyticsPage:
    view.start()
    view.show_page("analytics")
    made = view.page("analytics")
    assert isinstance(made, AnalyticsPage)
    qtbot.waitUntil(lambda: made.found is not None)
    return made


def test_the_list(qtbot: QtBot, page: AnalyticsPage, view: MainView, appearance: Appearance) -> None:
    page.table.select({row.item.item_id for row in page.table.rows()[2:4]})
    page.table.setFocus()
    save_pictures(view, "analytics_list", appearance)
    view.resize(1920, 1080)
    save_pictures(view, "analytics_list", appearance)


def test_the_list_of_a_house_without_items(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    houses.furnish(deployed.owner, deployed.houses[0])
    open_list(qtbot, view)
    save_pictures(view, "analytics_empty", appearance)


def test_the_list_of_a_house_that_lacks_items(
    qtbot: QtBot, view: MainView, deployed: Deployment, tasks: Tasks, appearance: Appearance
) -> None:
    owner, house = deployed.owner, deployed.houses[0]
    houses.furnish(owner, house)
    houses.make(owner, house, "load", "-egauge.A.Load", aggregated=True)
    made = open_list(qtbot, view)
    save_pictures(view, "analytics_lacking", appearance)
    made.table.select({row.item.item_id for row in made.table.rows()})
    made.action("delete").trigger()
    save_pictures(made.findChildren(ConfirmDialog)[0], "analytics_delete", appearance)
    made.findChildren(ConfirmDialog)[0].reject()
    with houses.aggregates_locked(owner, house):
        made.acted("populate")
        save_pictures(view, "analytics_populating", appearance)
    qtbot.waitUntil(lambda: not tasks.shown())


def test_the_editor_in_the_smallest_window(
    qtbot: QtBot, page: AnalyticsPage, view: MainView, appearance: Appearance
) -> None:
    view.resize(1024, 640)
    page.table.select({row.item.item_id for row in page.table.rows() if row.item.name == "apparent"})
    page.action("edit").trigger()
    editor = page.findChild(ItemEditor)
    assert editor is not None
    qtbot.waitUntil(lambda: is_settled(editor))
    editor.message_bar.say("fault", "The database is not available: connection refused.")
    editor.aggregation.box.click()
    save_pictures(editor, "analytics_editor_small", appearance)
    editor.discard()


FORMULAS = {
    "valid": "-neg(sonnen.status.Pac_total_W/1000)",
    "wrong": "pos(sonnen.status.Pac_total_W/1000) + sonen.status.Pac_total_W",
    "missing": "pos(egauge.A.Solar) + ",
    "units": "egauge.A.Solar + egauge.A.L1_Voltage",
    "apart": "pos(egauge.A.Load) - sonnen.status.Pac_total_W/1000",
    "fancy": "(egauge.A.L1_Voltage^2 + egauge.A.L2_Voltage^2)^0.5 / (2*abs(egauge.A.L1_Voltage)) * "
    "avg(egauge.A.Solar - 1e-3*pi, 300000)",
    "events": "events.::EV_END_CHARGING.energy",
}


def test_the_editor(qtbot: QtBot, page: AnalyticsPage, appearance: Appearance) -> None:
    for case, formula in FORMULAS.items():
        page.action("create").trigger()
        editor = page.findChildren(ItemEditor)[-1]
        editor.name.setText("new_item")
        editor.description.setText("What the operator wants to know")
        editor.formula.setFocus()
        QTest.keyClicks(editor.formula, formula)
        editor.formula.popup().hide()
        qtbot.waitUntil(partial(is_settled, editor))
        save_pictures(editor, f"analytics_editor_{case}", appearance)
        editor.discard()


def test_the_completions(qtbot: QtBot, page: AnalyticsPage, appearance: Appearance) -> None:
    page.action("create").trigger()
    editor = page.findChild(ItemEditor)
    assert editor is not None
    qtbot.waitUntil(lambda: bool(editor.formula._candidates))
    editor.formula.setFocus()
    QTest.keyClicks(editor.formula, "pos(so")
    save_pictures(editor.formula.popup(), "analytics_completions", appearance)
    QTest.keyClick(editor.formula, Qt.Key.Key_Return)
    editor.discard()
