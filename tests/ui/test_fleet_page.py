"""The fleet: all houses, the worst first, in an order that stays while one reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import houses
from sgmp_console.settings import ThemeChoice
from sgmp_console.store import Database, House, findings
from sgmp_console.store.quality import DayToStore
from sgmp_console.timeseries import calendar
from sgmp_console.ui.dialogs.maintenance import AddWindow
from sgmp_console.ui.dialogs.synchronize import SynchronizeDialog
from sgmp_console.ui.dialogs.synchronize_several import SynchronizeSeveral
from sgmp_console.ui.pages.fleet.columns import COLUMNS, FleetRow
from sgmp_console.ui.pages.fleet.page import FleetPage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.rows import RowsModel
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.reports.houses import lived_in
from tests.ui import equipped, snapshots
from tests.ui.conftest import Deployment, cut_off, save_picture
from tests.ui.houses import measured, outage
from tests.ui.readers import Clock

D = TypeVar("D", bound=QWidget)
Show = Callable[[], FleetPage]
DAY_MS = 86_400_000
NOW_MS = snapshots.NOW_MS


def watch(owner: Database) -> None:
    """The watch looked at all houses; it goes on doing so for an hour."""
    with owner.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sgmp.watch_state (name, turn_at, watcher, seen_event, newest_event, newest_event_at)"
            " VALUES ('watch', now() + interval '1 hour', '', -1, 0, now())"
        )


@pytest.fixture
def fleet(deployed: Deployment) -> Deployment:
    """Maple House with an edge that runs, Harbor House with a critical finding, Oak House with a warning."""
    oak = houses.create(deployed.owner, "Oak House", time_zone="Asia/Kolkata")
    maple, harbor = deployed.houses
    for house, backlog in ((maple, 0), (harbor, 12_345), (oak, 3)):
        equipped.say(
            deployed.owner,
            house,
            NOW_MS - 20_000,
            contract.EDGE_STATUS,
            state="online",
            backlog=backlog,
            software="1.4.2",
            devices={},
        )
    equipped.find(deployed.owner, harbor, "edge_backlog", "critical", since_ms=NOW_MS - 3_600_000)
    equipped.find(deployed.owner, oak, "config_not_sent", "warning", since_ms=NOW_MS - 60_000)
    watch(deployed.owner)
    return deployed


@pytest.fixture
def show(qtbot: QtBot, view: MainView) -> Show:
    def shown() -> FleetPage:
        view.start()
        view.show_page("fleet")
        page = view.page("fleet")
        assert isinstance(page, FleetPage)
        qtbot.waitUntil(lambda: page.found is not None and not page.busy())
        return page

    return shown


def named(page: FleetPage) -> list[str]:
    model = page.table.proxy
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def cells(page: FleetPage, title: str) -> list[str]:
    place = next(place for place, column in enumerate(COLUMNS) if column.title == title)
    model = page.table.proxy
    return [model.index(row, place).data() for row in range(model.rowCount())]


def read_again(page: FleetPage, qtbot: QtBot) -> None:
    """As it does by itself."""
    before = page.found
    page._has_news = True
    page.grow_older()
    qtbot.waitUntil(lambda: page.found is not before)


def opened(qtbot: QtBot, page: QWidget, kind: type[D]) -> D:
    qtbot.waitUntil(lambda: any(one.isVisible() for one in page.findChildren(kind)))
    (found,) = [one for one in page.findChildren(kind) if one.isVisible()]
    return found


def press(page: FleetPage, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(page.table, key)


def test_the_worst_house_comes_first_with_the_reason_in_words(fleet: Deployment, show: Show) -> None:
    page = show()
    assert named(page) == ["Harbor House", "Oak House", "Maple House"]
    harbor, oak, maple = cells(page, "Worst first")
    assert harbor.startswith("The edge holds readings of long ago that it has not sent, for 1")
    assert oak.startswith("The configuration was changed and not sent to the edge, for 1")
    assert maple == "Nothing is wrong"
    assert cells(page, "Findings") == ["1 critical", "1 warning", ""]
    assert cells(page, "Backlog") == ["12,345", "3", "0"]
    assert cells(page, "Software") == ["1.4.2"] * 3


def test_no_row_moves_until_the_list_is_sorted_again(fleet: Deployment, show: Show, qtbot: QtBot) -> None:
    page = show()
    for device in ("a", "b"):
        equipped.find(fleet.owner, fleet.houses[0], "device_down", "critical", device=device)
    read_again(page, qtbot)
    assert cells(page, "Findings") == ["1 critical", "1 warning", "2 critical"]
    assert named(page) == ["Harbor House", "Oak House", "Maple House"]
    page.action("sort").trigger()
    qtbot.waitUntil(lambda: named(page) == ["Maple House", "Harbor House", "Oak House"])


def test_the_filter_narrows_as_one_types(fleet: Deployment, show: Show) -> None:
    page = show()
    for text, expected in (
        ("findings>0", ["Harbor House", "Oak House"]),
        ("findings>0 backlog>10", ["Harbor House"]),
        ("age>3d", ["Harbor House", "Oak House", "Maple House"]),
        ("house:oak", ["Oak House"]),
        ("nothing is wrong", ["Maple House"]),
        ("", ["Harbor House", "Oak House", "Maple House"]),
    ):
        page.search.setText(text)
        assert named(page) == expected, text


def test_a_term_that_cannot_be_used_is_explained(fleet: Deployment, show: Show) -> None:
    page = show()
    page.search.setText("age>10")
    assert page.message_bar.isVisible()
    assert "age>10m" in page.standing()[1]  # type: ignore[index]
    page.search.setText("age>10m")
    assert "age>10m" not in page.standing()[1]  # type: ignore[index]


def test_the_keyboard_goes_through_the_houses_chooses_and_opens_one(
    fleet: Deployment, show: Show, view: MainView, qtbot: QtBot
) -> None:
    page = show()
    page.table.setFocus()
    page.table.setCurrentIndex(page.table.proxy.index(0, 0))
    page.table.clearSelection()
    press(page, Qt.Key.Key_Space, Qt.Key.Key_J, Qt.Key.Key_J, Qt.Key.Key_J, Qt.Key.Key_Space)
    assert [row.overview.house.name for row in page.table.chosen()] == ["Harbor House", "Maple House"]
    press(page, Qt.Key.Key_K, Qt.Key.Key_Return)
    assert view.shown_page() == "home"
    assert view.live.house_id == next(
        row.overview.house.house_id for row in page.table.rows() if row.overview.house.name == "Oak House"
    )


def test_one_house_is_synchronized_with_its_preview_several_after_a_look_at_the_list(
    fleet: Deployment, show: Show, qtbot: QtBot
) -> None:
    page = show()
    page.table.selectRow(0)
    page.action("synchronize").trigger()
    opened(qtbot, page, SynchronizeDialog).reject()
    page.table.selectAll()
    page.action("synchronize").trigger()
    dialog = opened(qtbot, page, SynchronizeSeveral)
    assert dialog.act.text() == "Synchronize 3 houses"
    assert [line.house.house.name for line in dialog.table.rows()] == [
        "Harbor House",
        "Oak House",
        "Maple House",
    ]
    dialog.perform()
    qtbot.waitUntil(lambda: dialog.message_bar.isVisible())
    assert "names no broker" in dialog.message_bar.text()
    dialog.reject()


def test_houses_that_are_not_set_up_are_named_and_can_be_filtered(
    fleet: Deployment, show: Show, qtbot: QtBot
) -> None:
    page = show()
    tone, text, buttons = page.standing() or ("", "", ())
    assert (tone, [id_ for id_, _ in buttons]) == ("info", ["unfinished", "houses"])
    assert text.startswith("3 houses are not set up completely: Harbor House (")
    page.message_bar.acted.emit("unfinished")
    assert page.search.text() == "setup>0"
    assert len(named(page)) == 3
    page.search.setText("setup>6")
    assert named(page) == []


def test_maintenance_is_added_for_each_chosen_house(fleet: Deployment, show: Show, qtbot: QtBot) -> None:
    page = show()
    page.table.select({one.overview.house.house_id for one in page.table.rows()[:2]})
    page.action("maintenance").trigger()
    dialog = opened(qtbot, page, AddWindow)
    assert dialog.house.currentText() == "2 houses"
    with qtbot.waitSignal(dialog.saved):
        dialog.act.click()
    with fleet.owner.begin() as connection:
        windows = findings.windows(connection)
    assert {window.house_id for window in windows} == {
        one.overview.house.house_id for one in page.table.rows()[:2]
    }


def test_without_the_watch_no_house_is_said_to_be_well(deployed: Deployment, show: Show) -> None:
    page = show()
    assert set(cells(page, "Worst first")) == {"Not watched"}
    assert page.message_bar.isVisible()


def test_what_a_house_did_lately_comes_after_the_list(fleet: Deployment, show: Show, qtbot: QtBot) -> None:
    measured(fleet.owner, fleet.houses[0], lived_in(NOW_MS - 16 * DAY_MS, NOW_MS, 300_000))
    page = show()
    qtbot.waitUntil(lambda: cells(page, "Used today")[2] != "–" and "kWh" in cells(page, "Used today")[2])
    assert cells(page, "Quality") == ["Not checked"] * 3
    assert cells(page, "Last 24 h")[2].startswith("Load, last 24 hours: at most")
    assert "of 17" in cells(page, "30 days")[2]
    page.search.setText("energy>0.1")
    assert named(page) == ["Maple House"]


def check(owner: Database, house: House, flagged: int) -> None:
    """What the watch stores of yesterday: so many flags in 600 slots."""
    start_ms = NOW_MS // 86_400_000 * 86_400_000 - 86_400_000
    checked = DayToStore(
        house.house_id,
        calendar.date_of(start_ms, "UTC"),
        start_ms,
        start_ms + 86_400_000,
        version=1,
        checked_ms=NOW_MS,
        slots=600,
        flagged=flagged,
        counts={"STUCK": flagged, "UNBALANCED": 12} if flagged else {},
        faults=[],
        silent=[],
        runs=[],
    )
    with owner.begin() as connection:
        store.quality.store_day(connection, checked)


def test_the_quality_of_a_house_is_what_the_nightly_checks_found(
    fleet: Deployment, show: Show, qtbot: QtBot
) -> None:
    check(fleet.owner, fleet.houses[0], 36)
    check(fleet.owner, fleet.houses[1], 0)
    page = show()
    qtbot.waitUntil(lambda: "–" not in cells(page, "Quality"))
    shown = dict(zip(named(page), cells(page, "Quality"), strict=True))
    assert shown == {
        fleet.houses[0].name: "6\u00a0% flagged",
        fleet.houses[1].name: "No flags",
        "Oak House": "Not checked",
    }
    tip = next(one.tip for one in COLUMNS if one.title == "Quality")
    assert tip is not None
    about = tip(next(row for row in page.table.rows() if row.overview.house.name == fleet.houses[0].name))
    assert "6\u00a0%: the same value all the time" in about
    assert "did not add up for 1\u00a0h" in about
    page.search.setText("quality<95")
    assert named(page) == [fleet.houses[0].name]


def test_a_lost_database_leaves_what_was_read(
    fleet: Deployment, show: Show, qtbot: QtBot, test_database: TestDatabase, view: MainView
) -> None:
    page = show()
    with outage(test_database):
        page.reload()
        qtbot.waitUntil(lambda: not view.connection.online)
        assert named(page) == ["Harbor House", "Oak House", "Maple House"]
    view.connection.retry_now()
    qtbot.waitUntil(lambda: view.connection.online)


def test_a_deployment_without_houses_says_where_they_are_created(
    deployed: Deployment, view: MainView, qtbot: QtBot
) -> None:
    with deployed.owner.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.house SET deleted_at = now()")
    view.start()
    view.show_page("fleet")
    page = view.page("fleet")
    qtbot.waitUntil(lambda: bool(page.findChildren(EmptyState)))
    (notice,) = page.findChildren(EmptyState)
    notice.buttons()["houses"].click()
    assert view.shown_page() == "houses"


def test_the_model_of_the_fleet_keeps_qts_contract(fleet: Deployment, show: Show) -> None:
    page = show()
    model: RowsModel[FleetRow] = RowsModel(COLUMNS, lambda row: row.overview.house.house_id)
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_rows(page.table.rows())
    model.set_rows(())


@pytest.mark.parametrize(("theme", "width", "height"), [("light", 1280, 800), ("dark", 1920, 1080)])
def test_pictures_of_the_fleet(
    fleet: Deployment,
    show: Show,
    view: MainView,
    qtbot: QtBot,
    appearance: Appearance,
    clock: Clock,
    theme: ThemeChoice,
    width: int,
    height: int,
) -> None:
    measured(fleet.owner, fleet.houses[0], lived_in(NOW_MS - 16 * DAY_MS, NOW_MS - 3600_000, 300_000))
    measured(fleet.owner, fleet.houses[1], lived_in(NOW_MS - 40 * DAY_MS, NOW_MS, 300_000, "Europe/Berlin"))
    for number, rule in enumerate(("device_down", "device_silent", "edge_clock")):
        extra = houses.create(fleet.owner, f"Riverside {number + 11}", time_zone="UTC")
        equipped.say(
            fleet.owner,
            extra,
            NOW_MS - (20_000 if number else 7_200_000),
            contract.EDGE_STATUS,
            state="online" if number else "offline",
            backlog=number,
            software="1.3.0",
            devices={},
        )
        equipped.find(
            fleet.owner, extra, rule, "info" if number == 2 else "critical", device="egauge" if number < 2 else "",
            since_ms=NOW_MS - 7_000_000, noted=number == 1,
        )  # fmt: skip
    check(fleet.owner, fleet.houses[0], 36)
    check(fleet.owner, fleet.houses[1], 0)
    appearance.choose(theme)
    view.resize(width, height)
    page = show()
    qtbot.waitUntil(lambda: sum("kWh" in cell for cell in cells(page, "Used today")) == 2)
    save_picture(view, "fleet")
    assert cut_off(page) == []
