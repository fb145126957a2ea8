"""The list of a house's devices, and the acts that start from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import devices
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.devices.columns import COLUMNS
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.rows import RowsModel
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, TOKEN
from tests.ui import equipped, houses
from tests.ui.conftest import Deployment
from tests.ui.finding import acts_of, is_loading, only, open_context_menu, press_in_notice
from tests.ui.readers import ChosenReader, Clock

Show = Callable[[], DevicesPage]

NAME, STATE, NEWEST, USED_BY = (
    [column.title for column in COLUMNS].index(title)
    for title in ("Name", "State", "Newest reading", "Used by")
)


def show_in(qtbot: QtBot, view: MainView, deployed: Deployment) -> DevicesPage:
    view.start(deployed.houses[0].house_id)
    view.show_page("devices")
    page = view.page("devices")
    assert isinstance(page, DevicesPage)
    loaded(qtbot, page)
    return page


@pytest.fixture
def show(qtbot: QtBot, view: MainView, deployed: Deployment) -> Show:
    """The page of the first house, as it is by then."""
    return lambda: show_in(qtbot, view, deployed)


@pytest.fixture
def some(deployed: Deployment, clock: Clock) -> None:
    equipped.equip(deployed.owner, deployed.houses[0], clock())


def loaded(qtbot: QtBot, page: DevicesPage) -> None:
    qtbot.waitUntil(lambda: not page.busy() and not is_loading(page))


def cells(page: DevicesPage, column: int) -> list[str]:
    model = page.table.proxy
    return [model.index(row, column).data().replace("\u00a0", " ") for row in range(model.rowCount())]


def choose(page: DevicesPage, *names: str) -> None:
    there = [row.overview.device for row in page.table.rows()]
    page.table.select({device.device_id for device in there if device.name in names})


def texts(widget: QWidget) -> str:
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisible())


# --- The list --------------------------------------------------------------------------------------------------------


def test_every_device_has_a_row_with_its_state_and_age(some: None, show: Show) -> None:
    page = show()
    assert dict(zip(cells(page, NAME), cells(page, STATE), strict=True)) == {
        "charger_1": "Ok",
        "charger_2": "Credentials refused",
        "egauge": "Ok",
        "garage": "Not ready",
        "heat_pump": "Not synchronized",
        "sonnen": "Unreachable for 2 h 3 min",
    }
    assert cells(page, NEWEST) == ["4 s ago", "–", "2 s ago", "–", "–", "2 h 5 min ago"]
    assert cells(page, USED_BY) == ["", "", "2 items", "", "", ""]
    assert "knows no devices" in page.sync.text()


def test_of_an_edge_that_is_away_no_state_is_reported_as_current(
    some: None, show: Show, deployed: Deployment, clock: Clock
) -> None:
    clock.now_ms += 3_600_000
    page = show()
    assert set(cells(page, STATE)) == {"Not known"}
    assert "last heard of 1\u00a0h ago" in page.sync.text()


def test_ages_grow_and_news_arrive_by_themselves(
    qtbot: QtBot, some: None, show: Show, deployed: Deployment, clock: Clock
) -> None:
    page = show()
    choose(page, "sonnen")
    clock.now_ms += 10_000
    states = {**equipped.STATES, "sonnen": "ok"}
    equipped.say(
        deployed.owner, deployed.houses[0], clock(), contract.EDGE_STATUS, state="online", devices=states
    )
    page.services.live.heard.emit(deployed.houses[0].house_id)
    page.grow_older()
    loaded(qtbot, page)
    assert cells(page, STATE)[-1] == "Ok, 1 finding"  # no watch is there that would close it
    assert cells(page, NEWEST)[0] == "14 s ago"
    assert [row.overview.device.name for row in page.table.chosen()] == ["sonnen"]


def test_the_model_keeps_qt_s_contract_empty_and_filled(some: None, show: Show) -> None:
    rows = show().table.rows()
    model = RowsModel(COLUMNS, lambda row: row.overview.device.device_id)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    for shown in (rows, rows, ()):
        model.set_rows(shown)
    assert tester.model() is model


def test_words_are_searched_in_name_type_description_and_state(some: None, show: Show) -> None:
    page = show()
    page.search.setFocus()
    QTest.keyClicks(page.search, "parking refused")
    assert cells(page, NAME) == ["charger_2"]
    assert page.count.text() == "1 of 6 devices"
    QTest.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.count.text() == "6 devices"


@pytest.mark.parametrize(
    ("column", "first"),
    [(NAME, "charger_1"), (NEWEST, "charger_2"), (STATE, "charger_2"), (USED_BY, "charger_1")],
)
def test_a_header_sorts_by_what_it_means(some: None, show: Show, column: int, first: str) -> None:
    page = show()
    page.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    assert cells(page, NAME)[0] == first
    if column == NEWEST:
        assert cells(page, NAME)[-1] == "egauge"


def test_the_context_menu_has_what_the_toolbar_has(some: None, show: Show) -> None:
    page = show()
    choose(page, "sonnen", "garage")
    menu = open_context_menu(page)
    offered = acts_of(menu)
    made = [page.button(id_) for id_ in ("export", "import", "delete", "duplicate", "edit", "open", "create")]
    assert offered == {(one.text(), one.isEnabled()) for one in made}
    assert ("Delete 2 devices", True) in offered
    assert ("Edit", False) in offered
    menu.close()


def test_keys_edit_create_search_and_copy(some: None, show: Show) -> None:
    page = show()
    choose(page, "egauge")
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "egauge\tegauge\tMain panel in the basement"
    QTest.keyClick(page.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert page.search.hasFocus()
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_F2)
    (editor,) = page.findChildren(DeviceEditor)
    assert editor.windowTitle() == "Edit egauge"
    editor.reject()
    QTest.keyClick(page.table, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    editor = next(one for one in page.findChildren(DeviceEditor) if one.isVisible())
    assert editor.windowTitle() == "Create device"
    editor.reject()


def test_another_house_has_its_own_devices(
    qtbot: QtBot, some: None, show: Show, view: MainView, deployed: Deployment
) -> None:
    page = show()
    view.show_house(deployed.houses[1].house_id)
    qtbot.waitUntil(lambda: "Harbor House has no devices yet" in texts(page))


def test_an_empty_house_offers_to_make_a_device(qtbot: QtBot, show: Show) -> None:
    page = show()
    notice = only(page, EmptyState)
    assert set(notice.buttons()) == {"create", "import"}
    QTest.mouseClick(notice.buttons()["create"], Qt.MouseButton.LeftButton)
    (editor,) = page.findChildren(DeviceEditor)
    editor.reject()


def test_a_list_that_cannot_be_read_says_so_and_can_be_retried(
    qtbot: QtBot, some: None, show: Show, view: MainView, test_database: TestDatabase
) -> None:
    with houses.outage(test_database):
        page = show()
        assert "could not be loaded\nThe database is not available" in texts(page)
        assert view.banner.isVisible()
    press_in_notice(page, "retry")
    qtbot.waitUntil(lambda: len(cells(page, NAME)) == 6)


# --- Deleting --------------------------------------------------------------------------------------------------------


def test_deleting_says_that_the_history_stays_and_is_never_the_default(
    qtbot: QtBot, some: None, show: Show
) -> None:
    page = show()
    choose(page, "charger_1", "charger_2")
    page.action("delete").trigger()
    asked = page.findChildren(ConfirmDialog)[-1]
    assert asked.act.text() == "Delete 2 devices"
    assert asked.keep.isDefault()
    assert "Their history stays" in texts(asked)
    assert "until the configuration is synchronized" in texts(asked)
    QTest.mouseClick(asked.act, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: cells(page, NAME) == ["egauge", "garage", "heat_pump", "sonnen"])


def test_a_device_that_formulas_use_is_not_deleted_and_they_are_named(some: None, show: Show) -> None:
    page = show()
    choose(page, "egauge", "garage")
    page.action("delete").trigger()
    assert not page.findChildren(ConfirmDialog)
    assert page.message_bar.text() == (
        "Nothing was deleted: egauge is used by load, solar. Change or delete what uses it first."
    )


def test_what_somebody_else_deleted_meanwhile_is_reported(
    qtbot: QtBot, some: None, show: Show, deployed: Deployment
) -> None:
    page = show()
    choose(page, "garage")
    page.action("delete").trigger()
    ids = [row.overview.device.device_id for row in page.table.chosen()]
    devices.delete(deployed.owner, deployed.houses[0].house_id, ids)
    QTest.mouseClick(page.findChildren(ConfirmDialog)[-1].act, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "not in this house any more" in page.message_bar.text())
    qtbot.waitUntil(lambda: "garage" not in cells(page, NAME))


# --- Files -----------------------------------------------------------------------------------------------------------


def test_devices_are_exported_without_secrets(qtbot: QtBot, some: None, show: Show, tmp_path: Path) -> None:
    page = show()
    page.action("export").trigger()
    (chooser,) = page.findChildren(QFileDialog)
    file = tmp_path / "out.csv"
    chooser.fileSelected.emit(str(file))
    chooser.close()
    qtbot.waitUntil(lambda: "6 devices were exported" in page.message_bar.text())
    text = file.read_text("utf-8-sig")
    assert "heat_pump" in text
    assert TOKEN not in text


# --- Who may not ------------------------------------------------------------------------------------------------------


@pytest.fixture
def researchers_view(
    deployed: Deployment,
    reader: ChosenReader,
    clock: Clock,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
) -> Iterator[MainView]:
    """Signed in as somebody who may see the devices of the first house, and nothing more."""
    with deployed.owner.begin() as connection:
        store.accounts.create(
            connection,
            email="rea@example.org",
            name="Rea",
            role="researcher",
            house_id=deployed.houses[0].house_id,
            password="Correct-horse-7-battery",
            must_change_password=False,
        )
    profile = deployed.profile
    signed_in = stored_accounts.sign_in(
        profile.database_url, profile.deployment, "rea@example.org", "Correct-horse-7-battery"
    )
    session = Session(profile, *signed_in)
    made = MainView(
        session,
        deployed.houses[:1],
        tasks,
        appearance,
        now_ms=clock,
        open_house=reader.open,
        listen=reader.listen,
    )
    shown(made)
    yield made
    made.close_down()
    tasks.close(timeout_s=10)
    session.database.dispose()


def test_who_may_only_look_sees_everything_but_secrets_and_changes_nothing(
    qtbot: QtBot, some: None, researchers_view: MainView, deployed: Deployment
) -> None:
    page = show_in(qtbot, researchers_view, deployed)
    offered = {made.text() for made in page.findChildren(QPushButton) if made.isVisible()}
    assert offered == {"Export", "Show config", "Open", "Show edge"}
    choose(page, "sonnen")
    page.action("edit").trigger()
    (editor,) = page.findChildren(DeviceEditor)
    assert editor.windowTitle() == "sonnen"
    assert editor.act.isHidden()
    assert not editor.probe.start.isEnabled()
    assert editor.config.secrets.isHidden()
    assert editor.config.text.isReadOnly()
    assert editor.description.isReadOnly()
    assert '"token": "***"' in editor.config.text.toPlainText()
    assert TOKEN not in editor.config.text.toPlainText()
    editor.reject()
    assert not editor.isVisible()


def test_an_empty_house_tells_who_may_only_look_that_others_can(
    qtbot: QtBot, researchers_view: MainView, deployed: Deployment
) -> None:
    page = show_in(qtbot, researchers_view, deployed)
    assert "Your role researcher can't create devices." in texts(page)


def test_the_config_of_nobody_else_s_house_is_listed(
    qtbot: QtBot, some: None, researchers_view: MainView, deployed: Deployment
) -> None:
    devices.create(deployed.owner, deployed.houses[1].house_id, "theirs", "egauge", EGAUGE)
    page = show_in(qtbot, researchers_view, deployed)
    assert "theirs" not in cells(page, NAME)


def test_a_device_is_duplicated_without_its_name_and_secrets(some: None, show: Show) -> None:
    page = show()
    choose(page, "sonnen")
    page.action("duplicate").trigger()
    (editor,) = page.findChildren(DeviceEditor)
    entries = editor.entries()
    assert (entries.name, entries.type, entries.description) == ("", "sonnen", "Battery, 10 kWh")
    assert entries.config is not None
    assert "ip" in entries.config
    assert "token" not in entries.config
    editor.discard()
