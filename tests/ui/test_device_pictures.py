"""Pictures of the list of devices and their dialogs, for people to look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.cloud.broker import BrokerUnavailable
from sgmp_console.fleet import devices
from sgmp_console.fleet.device_test import EdgeAway, result_of
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.import_dialog import ImportDialog
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.pages.devices.same_meter import SameMeterDialog
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import equipped
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.finding import running_timers
from tests.ui.readers import Clock


@pytest.fixture
def page(qtbot: QtBot, view: MainView, deployed: Deployment, clock: Clock) -> DevicesPage:
    equipped.equip(deployed.owner, deployed.houses[0], clock())
    return open_list(qtbot, view)


def open_list(qtbot: QtBot, view: MainView) -> DevicesPage:
    view.start()
    view.show_page("devices")
    made = view.page("devices")
    assert isinstance(made, DevicesPage)
    qtbot.waitUntil(lambda: made.found is not None)
    return made


def edit(page: DevicesPage, name: str) -> DeviceEditor:
    page.table.select(
        {row.overview.device.device_id for row in page.table.rows() if row.overview.device.name == name}
    )
    page.action("edit").trigger()
    return page.findChildren(DeviceEditor)[-1]


@contextmanager
def busy(qtbot: QtBot, dialog: TaskDialog, doing: str) -> Iterator[None]:
    """The dialog works meanwhile."""
    go = threading.Event()
    dialog.run(lambda report: go.wait(10), lambda result: None, doing)
    yield
    go.set()
    qtbot.waitUntil(lambda: not dialog.busy)


def test_the_list(qtbot: QtBot, page: DevicesPage, view: MainView, appearance: Appearance) -> None:
    page.table.select({page.table.rows()[3].overview.device.device_id})
    page.table.setFocus()
    save_pictures(view, "devices_list", appearance)
    view.resize(1920, 1080)
    save_pictures(view, "devices_list", appearance)
    view.resize(1024, 640)
    save_pictures(view, "devices_list", appearance)


def test_the_list_of_a_house_without_devices(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    open_list(qtbot, view)
    save_pictures(view, "devices_empty", appearance)


def test_a_device_that_can_not_be_deleted_and_one_that_can(
    qtbot: QtBot, page: DevicesPage, view: MainView, appearance: Appearance
) -> None:
    ids = {row.overview.device.name: row.overview.device.device_id for row in page.table.rows()}
    page.table.select({ids["egauge"]})
    page.action("delete").trigger()
    save_pictures(view, "devices_delete_refused", appearance)
    page.table.select({ids["charger_1"], ids["charger_2"]})
    page.action("delete").trigger()
    question = page.findChildren(ConfirmDialog)[-1]
    save_pictures(question, "devices_delete", appearance)
    question.reject()


def test_a_new_device(qtbot: QtBot, page: DevicesPage, appearance: Appearance) -> None:
    page.action("create").trigger()
    editor = page.findChildren(DeviceEditor)[-1]
    save_pictures(editor, "device_new", appearance)
    editor.type.setCurrentIndex(editor.type.findData("sonnen"))
    editor.type.activated.emit(editor.type.currentIndex())
    save_pictures(editor, "device_new_sonnen", appearance)
    QTest.keyClicks(editor.name, "2nd battery")
    editor.act.click()
    save_pictures(editor, "device_new_problems", appearance)
    editor.discard()


def test_a_stored_device(qtbot: QtBot, page: DevicesPage, appearance: Appearance) -> None:
    editor = edit(page, "sonnen")
    save_pictures(editor, "device_masked", appearance)
    editor.config.secrets.click()
    qtbot.waitUntil(lambda: editor.config.secrets.text() == "Hide secrets")
    save_pictures(editor, "device_secrets_shown", appearance)
    editor.config.text.replace_all('{\n  "ip": "no host",\n  "serial": 12345\n  "token": "***"\n}')
    qtbot.waitUntil(lambda: not running_timers(editor.config))
    save_pictures(editor, "device_json_wrong", appearance)
    editor.config.text.replace_all('{\n  "ip": "no host",\n  "serial": 12345,\n  "colour": "red"\n}')
    editor.act.click()
    save_pictures(editor, "device_settings_wrong", appearance)
    with busy(qtbot, editor, "Saving"):
        save_pictures(editor, "device_saving", appearance)
    editor.discard()


READING = {
    "A": {"Battery": -1.204, "GridPower": 0.873, "Solar": 3.18, "L1_Voltage": 121.43, "L1_Frequency": 59.98},
    "ts": 1764234000,
    "state": "on line",
}

Show = Callable[[DeviceEditor], None]


def _answers(outcome: str, text: str = "", reading: object = None) -> Show:
    data = {"outcome": outcome, "text": text, "reading": reading}
    return lambda editor: editor.probe.show_result(result_of("egauge", data))


RESULTS: dict[str, Show] = {
    "ok": _answers("ok", reading=READING),
    "unreachable": _answers("unreachable", "connection to 198.129.116.113 timed out"),
    "not_ready": _answers("not_ready", "the meter's clock stands still"),
    "busy": lambda editor: editor.probe.show_busy(),
    "broker": lambda editor: editor.probe.show_error(
        BrokerUnavailable(
            "The broker at broker.example.org:8883 did not answer within 10 s. Check that it runs and that this "
            "computer reaches it, then try again."
        )
    ),
    "edge": lambda editor: editor.probe.show_error(
        EdgeAway(
            "The edge of Maple House is offline, so no device can be tested there now.",
            EdgeStanding(Presence.OFFLINE, editor.services.now_ms() - 11_000_000),
        )
    ),
}


def test_each_result_of_a_test(qtbot: QtBot, page: DevicesPage, appearance: Appearance) -> None:
    for case, show in RESULTS.items():
        editor = edit(page, "egauge")
        show(editor)
        save_pictures(editor, f"device_test_{case}", appearance)
        editor.discard()


def test_the_editor_in_the_smallest_window(
    qtbot: QtBot, page: DevicesPage, view: MainView, appearance: Appearance
) -> None:
    view.resize(1024, 640)
    editor = edit(page, "egauge")
    RESULTS["ok"](editor)
    editor.message_bar.say("fault", "The database is not available: connection refused.")
    save_pictures(editor, "device_small", appearance)
    editor.discard()


def test_the_question_of_the_same_meter(
    qtbot: QtBot, page: DevicesPage, deployed: Deployment, appearance: Appearance
) -> None:
    house = deployed.houses[0]
    ids = [row.overview.device.device_id for row in page.table.rows() if row.overview.device.name == "sonnen"]
    devices.delete(deployed.owner, house.house_id, ids)
    page.reload()
    qtbot.waitUntil(lambda: len(page.table.rows()) == 5)
    page.action("create").trigger()
    editor = page.findChildren(DeviceEditor)[-1]
    editor.name.setText("sonnen")
    editor.type.setCurrentIndex(editor.type.findData("sonnen"))
    editor.type.activated.emit(editor.type.currentIndex())
    editor.config.text.replace_all('{"ip": "10.0.0.5"}')
    editor.act.click()
    qtbot.waitUntil(lambda: bool(editor.findChildren(SameMeterDialog)))
    question = editor.findChildren(SameMeterDialog)[0]
    save_pictures(question, "device_same_meter", appearance)
    question.reject()
    editor.discard()


def test_importing(qtbot: QtBot, page: DevicesPage, appearance: Appearance, tmp_path: Path) -> None:
    page.action("import").trigger()
    dialog = page.findChildren(ImportDialog)[-1]
    save_pictures(dialog, "import_begin", appearance)
    file = tmp_path / "devices of Maple House.csv"
    file.write_text(
        "name,type,description,config.ip,config.interval\n"
        "roof,egauge,Solar on the roof,10.0.0.7,\n"
        "pool,egauge,Pool pump,10.0.0.8,30\n"
        "garage,egauge,Garage,198.129.116.114,30\n"
    )
    dialog.set_file(file)
    qtbot.waitUntil(lambda: not dialog.busy)
    save_pictures(dialog, "import_problems", appearance)
    dialog.existing.setCurrentIndex(1)
    dialog.existing.activated.emit(1)
    qtbot.waitUntil(lambda: not dialog.busy)
    save_pictures(dialog, "import_ready", appearance)
    with busy(qtbot, dialog, "Importing devices"):
        save_pictures(dialog, "import_busy", appearance)
    dialog.reject()
