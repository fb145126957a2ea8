"""The Events page: events and findings of a house in one list, read by pages, narrowed in the database."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import devices
from sgmp_console.store import Batch, EventRow, TextRow
from sgmp_console.ui.pages.events.page import EventsPage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.fleet.configs import POWERFLEX
from tests.ui import equipped
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.snapshots import NOW_MS

MINUTE_MS = 60_000


def happened(deployed: Deployment, minutes_ago: int, kind: str, device: str = "_edge", **data: Any) -> None:
    house = deployed.houses[0]
    row = EventRow(house.house_id, 0, device, NOW_MS - minutes_ago * MINUTE_MS, kind, data)
    with deployed.owner.begin() as connection:
        store.readings.write(connection, Batch(events=[row]))


def shown(qtbot: QtBot, view: MainView, deployed: Deployment) -> EventsPage:
    view.start(deployed.houses[0].house_id)
    view.show_page("events")
    page = view.page("events")
    assert isinstance(page, EventsPage)
    read(qtbot, page)
    return page


def read(qtbot: QtBot, page: EventsPage) -> None:
    qtbot.waitUntil(lambda: page.found is not None and not page.busy())


def choose(qtbot: QtBot, page: EventsPage, name: str, text: str) -> None:
    (combo,) = (one for one in page.findChildren(QComboBox) if one.accessibleName() == name)
    combo.setCurrentIndex(combo.findText(text))
    page.reload()
    read(qtbot, page)


def texts(page: EventsPage, column: int = 3) -> list[str]:
    model = page.table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def test_events_and_findings_stand_in_one_list_the_newest_first(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    happened(deployed, 30, contract.WARNING, "sonnen", data="The battery reports error 17")
    happened(deployed, 10, contract.EV_START_CHARGING, "charger", energy=500_000)
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline", since_ms=NOW_MS - 20 * MINUTE_MS)
    page = shown(qtbot, view, deployed)
    assert texts(page) == ["energy 0.50\u00a0kWh", "The edge is offline", "The battery reports error 17"]
    assert texts(page, 1) == ["charger", "House", "sonnen"]
    assert texts(page, 4) == ["", "20\u00a0min, open", ""]


def test_the_edges_status_of_each_minute_is_listed_on_request(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    happened(deployed, 2, contract.EDGE_STATUS, state="online")
    page = shown(qtbot, view, deployed)
    assert not page.table.rows()
    choose(qtbot, page, "Kind", "Everything")
    assert texts(page) == ["state online"]


def test_one_kind_or_one_device_is_listed_alone(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    devices.create(deployed.owner, deployed.houses[0].house_id, "charger", "powerflex", POWERFLEX)
    happened(deployed, 3, contract.EV_START_CHARGING, "charger", n=1)
    happened(deployed, 2, contract.EV_END_CHARGING, "charger", n=2)
    happened(deployed, 1, contract.WARNING, data="The disk is full")
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline", since_ms=NOW_MS - 20 * MINUTE_MS)
    page = shown(qtbot, view, deployed)
    choose(qtbot, page, "Device", "charger")
    assert texts(page) == ["n 2", "n 1"]
    choose(qtbot, page, "Kind", contract.EV_START_CHARGING)
    assert texts(page) == ["n 1"]
    choose(qtbot, page, "Device", "All devices")
    choose(qtbot, page, "Kind", "Findings")
    assert texts(page) == ["The edge is offline"]


def test_the_period_of_the_top_bar_decides_what_is_listed(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    happened(deployed, 5, "NOTE", n=1)
    happened(deployed, 3 * 24 * 60, "NOTE", n=2)
    page = shown(qtbot, view, deployed)
    assert texts(page) == ["n 1"]
    view.services.shown_period.choose_text("7d")
    qtbot.waitUntil(lambda: texts(page) == ["n 1", "n 2"])


def test_more_is_read_as_one_scrolls_and_each_line_stands_there_once(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    house = deployed.houses[0]
    rows = [
        # Ten of one instant: the pages must not depend on the time alone.
        EventRow(house.house_id, 0, "_edge", NOW_MS - (n // 10) * MINUTE_MS, "NOTE", {"n": n})
        for n in range(450)
    ]
    with deployed.owner.begin() as connection:
        store.readings.write(connection, Batch(events=rows))
    for minute in (1, 25, 60):
        equipped.find(deployed.owner, house, f"rule_{minute}", since_ms=NOW_MS - minute * MINUTE_MS + 30_000)
    page = shown(qtbot, view, deployed)
    assert "scroll for more" in page.count.text()
    bar = page.table.verticalScrollBar()

    def scrolled() -> bool:
        bar.setValue(bar.maximum())
        return "scroll for more" not in page.count.text()

    qtbot.waitUntil(scrolled)
    said = texts(page)
    assert len(said) == len(set(said)) == 453
    times = [line.at_ms for line in page.table.rows()]
    assert sorted(times, reverse=True) == sorted((line.at_ms for line in page.table.rows()), reverse=True)


def test_what_is_searched_is_found_in_data_and_findings(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    happened(deployed, 2, "NOTE", text="Roof CLEANED by hand, 100%")
    happened(deployed, 1, "NOTE", text="Something else")
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline", since_ms=NOW_MS - MINUTE_MS)
    page = shown(qtbot, view, deployed)
    for sought, found in (("cleaned BY", 1), ("100%", 1), ("offline", 1), ("50%", 0), ("o_f", 0)):
        page.search.setText(sought)
        page.reload()
        read(qtbot, page)
        assert len(page.table.rows()) == found, sought


def test_an_event_opens_with_all_of_its_data(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    happened(deployed, 30, contract.WARNING, "sonnen", data="The battery reports error 17", code=17)
    for minute in range(40, 70, 3):
        happened(
            deployed, minute, contract.EV_START_CHARGING, "charger", session=f"s{minute}", energy=2_500_000
        )
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline", since_ms=NOW_MS - 20 * MINUTE_MS)
    page = shown(qtbot, view, deployed)
    page.table.selectRow(1)
    assert '"code": 17' in page.details.text.toPlainText()
    save_pictures(view, "events", appearance)
    page.table.clearSelection()
    assert not page.details.isVisible()


def test_a_list_of_events_compares_no_periods(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    shown(qtbot, view, deployed)
    assert view.time_range.isVisible()
    assert not view.time_range.compare_button().isVisible()
    view.show_page("energy")
    assert view.time_range.compare_button().isVisible()


def test_a_house_without_events_says_so(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    page = shown(qtbot, view, deployed)
    (notice,) = page.findChildren(EmptyState)
    assert notice.accessibleName() == "Nothing happened"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            {"energy": 10_240_000, "duration": 51_360_000},
            "energy 10.24\u00a0kWh, duration 14\u00a0h 16\u00a0min",
        ),
        ({"energy": 1e30}, f"energy {10**30}"),
        ({"energy": "much"}, "energy much"),
    ],
)
def test_what_a_car_was_charged_with_has_units(
    qtbot: QtBot, view: MainView, deployed: Deployment, data: dict[str, Any], text: str
) -> None:
    happened(deployed, 1, contract.EV_END_CHARGING, "charger", **data)
    assert texts(shown(qtbot, view, deployed)) == [text]


@pytest.mark.parametrize("data", [{"data": ["a", 1]}, {"a": None}, {"a": {"b": "<b>bold</b>\n"}}])
def test_odd_data_is_plain_text_in_one_line(
    qtbot: QtBot, view: MainView, deployed: Deployment, data: dict[str, Any]
) -> None:
    happened(deployed, 1, contract.WARNING, "sonnen", **data)
    page = shown(qtbot, view, deployed)
    (text,) = texts(page)
    assert "\n" not in text


def test_a_device_whose_state_changed_is_a_line(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    house = deployed.houses[0]
    charger = devices.create(deployed.owner, house.house_id, "charger", "powerflex", POWERFLEX)
    with deployed.owner.begin() as connection:
        rows = [
            TextRow(
                house.house_id, charger.device_id, "charger", NOW_MS - minutes * MINUTE_MS, {"state": text}
            )
            for minutes, text in ((90, "UNPLUGGED"), (30, "ADAPTIVE"), (20, "ADAPTIVE"))
        ]
        store.readings.write(connection, Batch(texts=rows))
    page = shown(qtbot, view, deployed)
    assert texts(page) == ["state: ADAPTIVE", "state: UNPLUGGED"]
    assert texts(page, 1) == ["charger", "charger"]
    choose(qtbot, page, "Kind", "Notes")
    assert not page.table.rows()
    choose(qtbot, page, "Kind", "States")
    assert texts(page, 2) == ["State", "State"]
