"""A driver's file dropped into the edge's `devices/` is in the dialog by itself. It is the one that the edges of
tests/edge/test_daemon.py find by themselves and poll.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.store import devices
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge.contract import EDGE_FOLDER, declarations
from tests.edge.edge_process import COUNTER
from tests.ui.conftest import Deployment
from tests.ui.finding import is_loading


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(EDGE_FOLDER / "devices", tmp_path / "devices")
    (folder / "counter.py").write_text(COUNTER)
    monkeypatch.setattr(declarations, "DRIVER_FOLDER", folder)


def test_a_device_of_a_type_that_was_dropped_in_is_made_in_the_dialog(
    qtbot: QtBot, dropped: None, view: MainView, deployed: Deployment
) -> None:
    house = deployed.houses[0].house_id
    view.start(house)
    view.show_page("devices")
    page = view.page("devices")
    assert isinstance(page, DevicesPage)
    qtbot.waitUntil(lambda: not page.busy() and not is_loading(page))
    page.action("create").trigger()
    (editor,) = page.findChildren(DeviceEditor)
    editor.type.setFocus()
    QTest.keyClicks(editor.type, "Counter")
    assert editor.type.currentText() == "Counter (counter)"
    assert editor.config.secret_keys() == {"token"}
    QTest.keyClicks(editor.name, "mine")
    folder = editor.config.entry("folder").entry
    QTest.keyClicks(folder, "/srv/counter")
    with qtbot.waitSignal(editor.saved):
        QTest.mouseClick(editor.act, Qt.MouseButton.LeftButton)
    with deployed.owner.begin() as connection:
        (made,) = devices.list_all(connection, house)
        entered = connection.exec_driver_sql("SELECT config FROM sgmp.device").scalar_one()
    assert (made.name, made.type, entered) == ("mine", "counter", {"folder": "/srv/counter"})
