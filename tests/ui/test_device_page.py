"""The pages of a device and of an edge: reached from lists and findings, live, with what they were and what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import devices
from sgmp_console.store import Batch, Database, Device, DeviceSeries, EventRow, TextRow
from sgmp_console.timeseries import Series
from sgmp_console.ui.pages.devices.device_page import DevicePage
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.pages.edge.page import EdgePage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE
from tests.statements import counting
from tests.ui import equipped
from tests.ui.conftest import Deployment, cut_off, save_pictures
from tests.ui.finding import sidebar_entries
from tests.ui.snapshots import NOW_MS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
INTERVAL_MS = 10_000


def at_work(owner: Database, house: store.House) -> dict[str, Device]:
    """Six devices; the meter delivered all day but for half an hour, as the statuses of its edge say, which was away for an hour."""
    made = equipped.equip(owner, house, NOW_MS)
    meter = made["egauge"]
    times = np.arange(NOW_MS - 4 * HOUR_MS, NOW_MS - 2_000, INTERVAL_MS)
    times = times[(times < NOW_MS - 90 * MINUTE_MS) | (times >= NOW_MS - 60 * MINUTE_MS)]
    phase = (times - NOW_MS) / HOUR_MS
    fields = {
        "A.Load": Series(times, -1.4 - 0.6 * np.sin(5 * phase)),
        "A.Solar": Series(times, 4.2 + np.cos(phase)),
        "A.L1_Voltage": Series(times, 121.0 + 0.8 * np.sin(20 * phase)),
        "A.L1_Frequency": Series(times, 60 + 0.02 * np.sin(9 * phase)),
        "A.Gone": Series([NOW_MS - 3 * HOUR_MS], [7.5]),
    }
    events = []
    for minute in range(0, 24 * 60, 10):
        at_ms = NOW_MS - 20_000 - minute * MINUTE_MS
        if 600 <= minute < 660:
            continue
        state = "timed_out" if 60 <= minute < 90 else "ok"
        data: dict[str, Any] = {
            "state": "online",
            "devices": {**equipped.STATES, "egauge": state},
            "backlog": max(0, 700 - minute) if minute > 500 else 3,
            "oldest_ms": at_ms - 4_000,
            "dropped": 0,
            "in_memory": 0,
            "takeovers": 0,
            "polls": 18_400,
            "poll_interval_s": 4,
            "status_interval_s": 600,
            "disk_free_mb": 21_400 - 2 * (1440 - minute) // 10,
            "certificate_expires_ms": NOW_MS + 21 * DAY_MS,
            "poll_ms": {"egauge": 342, "charger_1": 610},
            "uptime_s": 60 * ((595 if minute < 600 else 9_000) - minute),
            "software": "1.4.0",
            "control": False,
        }
        events.append(EventRow(house.house_id, 0, "_edge", at_ms, contract.EDGE_STATUS, data))
    warning = {"data": "The outbox is full; the oldest readings are dropped", "kind": "outbox_full"}
    events.append(EventRow(house.house_id, 0, "_edge", NOW_MS - 9 * HOUR_MS, contract.WARNING, warning))
    address = (meter.house_id, meter.device_id, "egauge", NOW_MS - HOUR_MS)
    with owner.begin() as connection:
        store.readings.write(
            connection,
            Batch(
                series=[DeviceSeries(meter.house_id, meter.device_id, fields)],
                texts=[TextRow(*address, {"status": "grid connected"})],
                events=events,
            ),
        )
        changed = store.devices.update(connection, replace(meter, config={**meter.config, "interval": 10}))
        store.devices.update(connection, replace(changed, description="Main panel"))
    return made


def shown(qtbot: QtBot, view: MainView, deployed: Deployment, name: str = "egauge") -> DevicePage:
    view.start(deployed.houses[0].house_id)
    view.services.show_device(name)
    page = view.page("device")
    assert isinstance(page, DevicePage)
    qtbot.waitUntil(lambda: not page.busy() and not page.curve.busy() and page.is_loaded())
    return page


def shown_edge(qtbot: QtBot, view: MainView, deployed: Deployment) -> EdgePage:
    view.start(deployed.houses[0].house_id)
    view.show_page("edge")
    page = view.page("edge")
    assert isinstance(page, EdgePage)
    qtbot.waitUntil(lambda: not page.busy() and page.is_loaded())
    return page


def cells(page: DevicePage) -> dict[str, list[str]]:
    model = page.table.model()
    rows = [[model.index(row, column).data() for column in range(3)] for row in range(model.rowCount())]
    return {name: rest for name, *rest in rows}


def test_pictures_of_device_and_edge(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    page = shown(qtbot, view, deployed)
    save_pictures(view, "device", appearance)
    assert not cut_off(page)
    view.show_page("edge")
    edge = view.page("edge")
    assert isinstance(edge, EdgePage)
    qtbot.waitUntil(lambda: not edge.busy() and edge.is_loaded())
    save_pictures(view, "edge", appearance)
    assert not cut_off(edge)


def test_the_fields_of_a_device_have_value_unit_and_age_and_what_is_old_is_not_shown_as_current(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    page = shown(qtbot, view, deployed)
    assert cells(page)["A.L1_Voltage"] == ["121.0\u00a0V", "11\u00a0s ago"]
    assert cells(page)["status"] == ["grid connected", "1\u00a0h ago"]
    assert cells(page)["A.Gone"] == ["–", "3\u00a0h ago"]


def test_the_page_says_how_polls_go_expected_beside_seen(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    facts = shown(qtbot, view, deployed).facts.texts()
    assert facts["State"] == "Ok"
    assert facts["Interval"] == "10\u00a0s, expected 10\u00a0s"
    assert facts["Readings, last 3\u00a0h"] == "900 of 1,080"
    assert facts["Poll time"] == "342\u00a0ms"


def test_the_curve_follows_the_chosen_field_and_the_period_of_the_top_bar(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    page = shown(qtbot, view, deployed)
    assert page.curve.shown is not None
    assert page.curve.shown.item == "egauge.A.L1_Frequency"
    page.table.select({"A.Load"})
    view.shown_period.choose_text("7d")
    qtbot.waitUntil(lambda: not page.curve.busy())
    assert page.curve.shown is not None
    assert (page.curve.shown.item, page.curve.shown.period.title) == ("egauge.A.Load", "Last 7 days")
    assert page.curve.figures.texts()["Highest"] == "−0.80\u00a0kW"


def test_outcomes_findings_and_history_are_listed_with_their_times_and_no_secret(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    house = deployed.houses[0]
    made = at_work(deployed.owner, house)
    equipped.find(deployed.owner, house, "device_silent", "warning", device="egauge")
    with deployed.owner.begin() as connection:
        secret = {**made["charger_1"].config, "password": "Another-secret-7"}
        store.devices.update(connection, replace(made["charger_1"], config=secret))
    said = names_of(shown(qtbot, view, deployed))
    assert "No answer in time, 12:42 to 13:12, 30\u00a0min" in said
    assert "Not known, 03:27 to 04:12, 45\u00a0min" in said
    assert any(text.startswith("No readings from egauge") for text in said)
    assert any(text.startswith("interval: 10, ") for text in said)
    page = view.page("device")
    assert isinstance(page, DevicePage)
    page.choice.setCurrentIndex(page.choice.findText("charger_1"))
    page.choice.activated.emit(page.choice.currentIndex())
    qtbot.waitUntil(lambda: page.is_loaded() and not page.busy() and not page.curve.busy())
    said = names_of(page)
    assert any(text.startswith("password (secret), ") for text in said)
    assert not any("secret-7" in text for text in said)


def names_of(page: QWidget) -> list[str]:
    return [widget.accessibleName() for widget in page.findChildren(QWidget) if widget.isVisible()]


def test_enter_in_the_list_opens_a_device_and_back_leads_to_where_one_came_from(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    view.start(deployed.houses[0].house_id)
    view.show_page("devices")
    listed = view.page("devices")
    assert isinstance(listed, DevicesPage)
    qtbot.waitUntil(lambda: not listed.busy())
    listed.table.select({next(row.overview.device.device_id for row in listed.table.rows())})
    QTest.keyClick(listed.table, Qt.Key.Key_Return)
    assert view.shown_page() == "device"
    view.show_page("edge")
    view.services.go_back()
    assert view.shown_page() == "device"
    view.services.go_back()
    assert view.shown_page() == "devices"
    view.show_page("home")
    view.services.show_device("egauge")
    view.services.go_back()
    assert view.shown_page() == "home"


def test_the_sidebar_has_no_entry_for_a_device_and_marks_the_list_it_belongs_to(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    shown(qtbot, view, deployed)
    entries = {entry.accessibleName(): entry.isChecked() for entry in sidebar_entries(view)}
    assert "Device" not in entries
    assert entries["Devices"]


def test_of_another_house_its_first_device_is_shown_and_of_none_why(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    at_work(deployed.owner, deployed.houses[0])
    page = shown(qtbot, view, deployed)
    view.show_house(deployed.houses[1].house_id)
    qtbot.waitUntil(lambda: page.notice() is not None)
    notice = page.notice()
    assert isinstance(notice, EmptyState)
    assert notice.accessibleName() == "Harbor House has no devices yet"


def test_a_device_that_was_deleted_meanwhile_says_so(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    made = at_work(deployed.owner, deployed.houses[0])
    page = shown(qtbot, view, deployed)
    with deployed.owner.begin() as connection:
        store.devices.delete(connection, made["egauge"].device_id)
    page.reload()
    qtbot.waitUntil(lambda: page.notice() is not None)
    notice = page.notice()
    assert notice is not None
    assert "has no device" in notice.says[2]


def test_the_page_of_an_edge_says_what_it_reports(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    at_work(deployed.owner, deployed.houses[0])
    page = shown_edge(qtbot, view, deployed)
    facts = page.facts.texts()
    assert facts["State"] == "Online"
    assert facts["Backlog"] == "3 messages"
    assert facts["Free disk"] == "21.11\u00a0GB"
    assert facts["Running for"] == "9\u00a0h 55\u00a0min"
    assert facts["Starts, last 24 h"] == "1"
    assert facts["Certificate"] == "Valid for 20\u00a0d 23\u00a0h"
    assert facts["Software"] == "1.4.0"
    assert any(text.startswith("The outbox is full") for text in names_of(page))


def test_an_edge_that_never_reported_has_dashes_and_no_failure(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    facts = shown_edge(qtbot, view, deployed).facts.texts()
    assert facts["State"] == "Never heard"
    assert {facts[name] for name in ("Backlog", "Clock", "Certificate", "Running for", "Software")} == {"–"}


def test_enter_opens_a_device_of_the_edge(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    made = at_work(deployed.owner, deployed.houses[0])
    page = shown_edge(qtbot, view, deployed)
    page.table.select({made["egauge"].device_id})
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert view.shown_page() == "device"
    assert view.services.device.name == "egauge"


@pytest.mark.parametrize("id_", ["device", "edge"])
def test_both_pages_send_a_fixed_number_of_statements(
    qtbot: QtBot, view: MainView, deployed: Deployment, id_: str
) -> None:
    house = deployed.houses[0]
    equipped.equip(deployed.owner, house, NOW_MS)
    view.start(house.house_id)

    def cost() -> int:
        view.services.device.name, view.services.device.house_id = "egauge", house.house_id
        view.show_page(id_)
        page = view.page(id_)
        assert isinstance(page, DevicePage | EdgePage)
        with counting(of_all_threads=False) as sent:
            page.reader(house.house_id)()
        view.show_page("home")
        return len(sent)

    few = cost()
    for number in range(10):
        store_more(deployed.owner, house, number)
    assert cost() == few
    assert few <= 16


def store_more(owner: Database, house: store.House, number: int) -> None:
    equipped.say(owner, house, NOW_MS - number * MINUTE_MS - 1, contract.EDGE_STATUS, state="online")
    equipped.find(owner, house, "device_warning", device=f"egauge_{number}")
    devices.create(owner, house.house_id, f"more_{number}", "egauge", EGAUGE)
