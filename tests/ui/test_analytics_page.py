"""The list of a house's analytic items, and the acts that start from it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import analytics
from sgmp_console.fleet.required import required_items
from sgmp_console.store import aggregates
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.analytics.columns import COLUMNS
from sgmp_console.ui.pages.analytics.editor import ItemEditor
from sgmp_console.ui.pages.analytics.page import AnalyticsPage
from sgmp_console.ui.pages.home.page import HomePage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.rows import RowsModel
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase
from tests.ui import houses, snapshots
from tests.ui.conftest import Deployment
from tests.ui.finding import acts_of, is_loading, open_context_menu, press_in_notice, visible
from tests.ui.readers import ChosenReader

NAME, _, FORMULA, _, CURRENT, AGGREGATION, USED_BY = range(len(COLUMNS))

Show = Callable[[], AnalyticsPage]


@pytest.fixture
def show(qtbot: QtBot, view: MainView, deployed: Deployment) -> Show:
    """The page of the first house, as it is by then."""

    def shown() -> AnalyticsPage:
        view.start(deployed.houses[0].house_id)
        view.show_page("analytics")
        page = view.page("analytics")
        assert isinstance(page, AnalyticsPage)
        loaded(qtbot, page)
        return page

    return shown


def loaded(qtbot: QtBot, page: AnalyticsPage) -> None:
    qtbot.waitUntil(lambda: not page.busy() and not is_loading(page))


@pytest.fixture
def some(deployed: Deployment) -> None:
    """Three items, of which one is used by another."""
    owner, house = deployed.owner, deployed.houses[0]
    houses.furnish(owner, house)
    houses.make(owner, house, "load", "-egauge.A.Load", aggregated=True)
    houses.make(owner, house, "surplus", "egauge.A.Solar - analytics.load")
    houses.make(owner, house, "apparent", "(egauge.A.L1_Voltage*egauge.A.L2_Voltage)^0.5")
    analytics.populate(owner, house.house_id)


def cells(page: AnalyticsPage, column: int) -> list[str]:
    model = page.table.proxy
    return [model.index(row, column).data() for row in range(model.rowCount())]


def choose(page: AnalyticsPage, *names: str) -> None:
    page.table.select({row.item.item_id for row in page.table.rows() if row.item.name in names})


def texts(widget: QWidget) -> str:
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisible())


# --- The list --------------------------------------------------------------------------------------------------------


def test_every_item_has_a_row_with_badges_and_users(some: None, show: Show) -> None:
    page = show()
    assert cells(page, NAME) == ["apparent", "load", "surplus"]
    assert cells(page, AGGREGATION) == ["", "Aggregated", ""]
    assert cells(page, USED_BY) == ["", "Home, reports, surplus", ""]
    assert cells(page, FORMULA)[1] == "-egauge.A.Load"
    assert all(re.fullmatch(r"[−\d.]+\u00a0\S+ · \d+\u00a0\S+ ago", cell) for cell in cells(page, CURRENT))


def test_the_model_keeps_qt_s_contract_empty_and_filled(some: None, show: Show) -> None:
    rows = show().table.rows()
    model = RowsModel(COLUMNS, lambda row: row.item.item_id)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_rows(rows)
    model.set_rows(rows)
    model.set_rows(())
    assert tester.model() is model


def test_words_are_searched_in_name_description_and_formula(some: None, show: Show) -> None:
    page = show()
    page.search.setFocus()
    QTest.keyClicks(page.search, "solar egauge")
    assert cells(page, NAME) == ["surplus"]
    assert page.count.text() == "1 of 3 items"
    QTest.keyClicks(page.search, " nothing")
    assert "No item has “solar egauge nothing” in its name, description or formula." in texts(page)
    QTest.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.count.text() == "3 items"


def test_a_header_sorts(some: None, show: Show) -> None:
    page = show()
    page.table.sortByColumn(NAME, Qt.SortOrder.DescendingOrder)
    assert cells(page, NAME) == ["surplus", "load", "apparent"]


def test_the_context_menu_has_what_the_toolbar_has(some: None, show: Show, deployed: Deployment) -> None:
    page = show()
    choose(page, "load", "surplus")
    menu = open_context_menu(page)
    offered = acts_of(menu)
    buttons = {(button.text(), button.isEnabled()) for button in visible(page.actions_bar, QPushButton)}
    assert offered == buttons
    assert ("Delete 2 items", True) in offered
    assert ("Edit", False) in offered
    menu.close()


def test_keys_edit_create_search_and_copy(some: None, show: Show) -> None:
    page = show()
    choose(page, "load")
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "load\t-egauge.A.Load"
    QTest.keyClick(page.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert page.search.hasFocus()
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    (editor,) = page.findChildren(ItemEditor)
    assert editor.windowTitle() == "Edit load"
    editor.reject()
    QTest.keyClick(page.table, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    editor = next(one for one in page.findChildren(ItemEditor) if one.isVisible())
    assert editor.windowTitle() == "Create analytic item"
    editor.reject()


def test_a_saved_item_is_in_the_list_and_selected(qtbot: QtBot, some: None, show: Show) -> None:
    page = show()
    page.action("create").trigger()
    (editor,) = page.findChildren(ItemEditor)
    editor.name.setText("solar")
    editor.formula.replace_all("pos(egauge.A.Solar)")
    editor.perform()
    qtbot.waitUntil(lambda: "solar" in cells(page, NAME))
    assert [row.item.name for row in page.table.chosen()] == ["solar"]


def test_another_house_has_its_own_items(
    qtbot: QtBot, some: None, show: Show, view: MainView, deployed: Deployment
) -> None:
    page = show()
    view.show_house(deployed.houses[1].house_id)
    loaded(qtbot, page)
    qtbot.waitUntil(lambda: "Harbor House has no analytic items yet" in texts(page))


def test_a_list_that_cannot_be_read_says_so_and_can_be_retried(
    qtbot: QtBot, some: None, show: Show, view: MainView, test_database: TestDatabase
) -> None:
    with houses.outage(test_database):
        page = show()
        assert "could not be loaded\nThe database is not available" in texts(page)
        assert view.banner.isVisible()
    press_in_notice(page, "retry")
    qtbot.waitUntil(lambda: len(cells(page, NAME)) == 3)


# --- Deleting --------------------------------------------------------------------------------------------------------


def ask(page: AnalyticsPage, *names: str) -> ConfirmDialog:
    choose(page, *names)
    page.action("delete").trigger()
    return page.findChildren(ConfirmDialog)[-1]


def test_deleting_names_what_goes_and_is_never_the_default(
    qtbot: QtBot, some: None, show: Show, deployed: Deployment
) -> None:
    page = show()
    asked = ask(page, "apparent", "surplus")
    assert asked.act.text() == "Delete 2 items"
    assert asked.keep.isDefault()
    assert not asked.act.isDefault()
    assert "apparent, surplus will be gone from this house. Readings stay." in texts(asked)
    QTest.mouseClick(asked.act, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: cells(page, NAME) == ["load"])
    assert set(houses.stored(deployed.owner, deployed.houses[0])) == {"load"}


def test_deleting_a_required_item_says_who_needs_it(some: None, show: Show) -> None:
    asked = ask(show(), "load", "surplus")
    assert "Dashboards and reports need load." in texts(asked)
    asked.reject()


def test_an_item_that_others_use_is_not_deleted_and_they_are_named(
    some: None, show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "load")
    page.action("delete").trigger()
    assert not page.findChildren(ConfirmDialog)
    assert page.message_bar.text().startswith(
        "Nothing was deleted: load is used by surplus. Change or delete what uses it first."
    )


def test_a_use_that_came_meanwhile_is_reported_too(
    qtbot: QtBot, some: None, show: Show, deployed: Deployment
) -> None:
    page = show()
    asked = ask(page, "apparent")
    houses.make(deployed.owner, deployed.houses[0], "late", "analytics.apparent*2")
    QTest.mouseClick(asked.act, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "apparent is used by late" in page.message_bar.text())
    qtbot.waitUntil(lambda: "late" in cells(page, NAME))


# --- Required items and population -----------------------------------------------------------------------------------


def test_an_empty_house_offers_the_required_items_and_populates_them(
    qtbot: QtBot, show: Show, deployed: Deployment, tasks: Tasks
) -> None:
    owner, house = deployed.owner, deployed.houses[0]
    houses.furnish(owner, house)
    page = show()
    titles: set[str] = set()
    tasks.shown_changed.connect(lambda: titles.update(task.title for task in tasks.shown()))
    press_in_notice(page, "required")
    qtbot.waitUntil(lambda: len(cells(page, NAME)) == len(required_items()) and not tasks.shown())
    loaded(qtbot, page)
    assert titles == {
        "Creating the required items of Maple House",
        "Aggregating earlier readings of Maple House",
    }
    with owner.begin() as connection:
        standing = aggregates.standing(connection, house.house_id)
    assert set(standing.complete_from_ms.values()) == {None}
    assert "Not aggregated yet" not in " ".join(cells(page, AGGREGATION))


def test_what_is_missing_of_the_devices_is_reported(
    qtbot: QtBot, show: Show, deployed: Deployment, tasks: Tasks
) -> None:
    page = show()
    page.action("required").trigger()
    qtbot.waitUntil(lambda: "required items were not created" in page.message_bar.text())
    assert page.message_bar.text().startswith(
        "13 of 16 required items were not created: they need an eGauge meter and a sonnenBatterie, "
        "which this house does not have."
    )
    page.message_bar.buttons()["devices"].click()
    assert page.services.has_page("devices")
    assert not page.isVisible()
    qtbot.waitUntil(lambda: not tasks.shown())


def test_missing_required_items_are_named_in_a_house_that_has_others(some: None, show: Show) -> None:
    page = show()
    assert page.message_bar.text().startswith("15 required items missing: battery, battery_charging")
    button = next(made for made in page.findChildren(QPushButton) if made.text() == "Create required items")
    assert button.isVisible()


@pytest.mark.usefixtures("plain_postgresql")
def test_populating_can_be_cancelled_and_taken_up_again(
    qtbot: QtBot, show: Show, deployed: Deployment, tasks: Tasks
) -> None:
    owner, house = deployed.owner, deployed.houses[0]
    houses.furnish(owner, house)
    houses.make(owner, house, "load", "-egauge.A.Load", aggregated=True)
    page = show()
    assert cells(page, AGGREGATION) == ["Not aggregated yet"]
    assert "Earlier readings of load are not aggregated yet" in page.message_bar.text()
    with houses.aggregates_locked(owner, house):
        QTest.mouseClick(page.message_bar.buttons()["populate"], Qt.MouseButton.LeftButton)
        (task,) = tasks.shown()
        assert task.title == "Aggregating earlier readings of Maple House"
        assert "populate" not in page.message_bar.buttons()
        task.cancel()
    qtbot.waitUntil(lambda: "Aggregating earlier readings was cancelled." in page.message_bar.text())
    loaded(qtbot, page)
    assert cells(page, AGGREGATION) == ["Not aggregated yet"]
    QTest.mouseClick(page.message_bar.buttons()["populate"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: cells(page, AGGREGATION) == ["Aggregated"])


def test_why_populating_stopped_is_reported(
    qtbot: QtBot, some: None, show: Show, test_database: TestDatabase
) -> None:
    page = show()
    with houses.outage(test_database):
        page.acted("populate")
        qtbot.waitUntil(
            lambda: (
                "Aggregating earlier readings stopped: The database is not available"
                in page.message_bar.text()
            )
        )
    assert "The items are stored" in page.message_bar.text()


def test_home_s_button_is_the_same_act(
    qtbot: QtBot, view: MainView, reader: ChosenReader, deployed: Deployment, tasks: Tasks
) -> None:
    owner, house = deployed.owner, deployed.houses[0]
    houses.furnish(owner, house)
    reader.answer = snapshots.empty(devices=True, missing=("solar", "load"))
    view.start(house.house_id)
    home = view.page("home")
    assert isinstance(home, HomePage)
    qtbot.waitUntil(lambda: any("create" in notice.buttons() for notice in visible(home, EmptyState)))
    titles: set[str] = set()
    tasks.shown_changed.connect(lambda: titles.update(task.title for task in tasks.shown()))
    press_in_notice(home, "create")
    qtbot.waitUntil(lambda: len(titles) == 2 and not tasks.shown())
    assert any(title.startswith("Aggregating earlier readings") for title in titles)
    assert len(houses.stored(owner, house)) == len(required_items())
    with owner.begin() as connection:
        assert set(aggregates.standing(connection, house.house_id).complete_from_ms.values()) == {None}


def test_an_item_is_duplicated_without_its_name(some: None, show: Show) -> None:
    page = show()
    page.table.select({row.item.item_id for row in page.table.rows() if row.item.name == "load"})
    page.action("duplicate").trigger()
    (editor,) = page.findChildren(ItemEditor)
    entries = editor.entries()
    assert (entries.name, entries.formula) == ("", "-egauge.A.Load")
    editor.discard()
