"""Importing devices and accounts: what a file would do is shown first, then all of it is done, or nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import devices
from sgmp_console.ui.dialogs import import_kinds
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.import_dialog import ImportDialog
from sgmp_console.ui.dialogs.import_kinds import ImportKind
from sgmp_console.ui.page import Services
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE
from tests.ui import houses
from tests.ui.conftest import Deployment

Open = Callable[[Callable[[Services], ImportKind]], ImportDialog]


@pytest.fixture
def open_dialog(view: MainView, deployed: Deployment) -> Open:
    def opened(kind: Callable[[Services], ImportKind]) -> ImportDialog:
        view.start(deployed.houses[0].house_id)
        view.show_page("devices")
        services = view.page("devices").services
        dialog = ImportDialog(services, kind(services), view)
        dialog.open()
        return dialog

    return opened


@pytest.fixture
def of_devices(open_dialog: Open, deployed: Deployment) -> ImportDialog:
    return open_dialog(lambda services: import_kinds.devices_of(services, deployed.houses[0]))


def sheet(folder: Path, *lines: str) -> Path:
    file = folder / "some.csv"
    file.write_text("\n".join(lines), "utf-8")
    return file


def look(qtbot: QtBot, dialog: ImportDialog, file: Path) -> None:
    dialog.set_file(file)
    qtbot.waitUntil(lambda: not dialog.busy)


def rows(dialog: ImportDialog) -> list[list[str]]:
    cells = [
        [dialog.table.item(row, column) for column in range(3)] for row in range(dialog.table.rowCount())
    ]
    return [[cell.text() if cell else "" for cell in row] for row in cells]


def names(deployed: Deployment) -> list[str]:
    with deployed.owner.begin() as connection:
        return [one.name for one in store.devices.list_all(connection, deployed.houses[0].house_id)]


DEVICES = ("name,type,config.ip", "roof,egauge,10.0.0.1", "pool,egauge,10.0.0.2")


def test_a_file_is_looked_through_before_anything_is_done(
    qtbot: QtBot, of_devices: ImportDialog, deployed: Deployment, tmp_path: Path
) -> None:
    assert not of_devices.act.isEnabled()
    look(qtbot, of_devices, sheet(tmp_path, *DEVICES))
    assert of_devices.summary() == "2 devices will be created."
    assert rows(of_devices) == [["2", "roof", "Create"], ["3", "pool", "Create"]]
    assert of_devices.act.text() == "Import 2 devices"
    assert names(deployed) == []
    with qtbot.waitSignal(of_devices.imported):
        of_devices.act.click()
    assert names(deployed) == ["pool", "roof"]
    assert not of_devices.isVisible()


def test_problems_are_listed_by_line_and_keep_the_file_out(
    qtbot: QtBot, of_devices: ImportDialog, deployed: Deployment, tmp_path: Path
) -> None:
    look(qtbot, of_devices, sheet(tmp_path, *DEVICES, "1st,egauge,10.0.0.3", "shed,toaster,10.0.0.4"))
    assert of_devices.summary().startswith("2 problems.")
    assert [row[:2] for row in rows(of_devices)] == [["4", "name"], ["5", "type"]]
    assert not of_devices.act.isEnabled()
    of_devices.reject()
    assert names(deployed) == []


def test_what_becomes_of_existing_ones_is_chosen_and_looked_at_anew(
    qtbot: QtBot, of_devices: ImportDialog, deployed: Deployment, tmp_path: Path
) -> None:
    devices.create(deployed.owner, deployed.houses[0].house_id, "roof", "egauge", EGAUGE)
    look(qtbot, of_devices, sheet(tmp_path, *DEVICES))
    assert "1 problem" in of_devices.summary()
    of_devices.existing.setCurrentIndex(1)
    of_devices.existing.activated.emit(1)
    qtbot.waitUntil(lambda: not of_devices.busy)
    assert of_devices.summary() == "1 device will be created; 1 device will be changed."
    of_devices.reject()


def test_a_file_can_be_dropped(qtbot: QtBot, of_devices: ImportDialog, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(sheet(tmp_path, *DEVICES)))])
    of_devices.dropEvent(
        QDropEvent(
            QPointF(10, 10),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    qtbot.waitUntil(lambda: bool(of_devices.summary()))
    of_devices.reject()


def test_enter_reads_a_file_again_that_was_corrected_meanwhile(
    qtbot: QtBot, of_devices: ImportDialog, tmp_path: Path
) -> None:
    file = sheet(tmp_path, "name,type,config.ip", "bad name,egauge,10.0.0.5")
    look(qtbot, of_devices, file)
    assert not of_devices.act.isEnabled()
    sheet(tmp_path, "name,type,config.ip", "meter,egauge,10.0.0.5")
    QTest.keyClick(of_devices.file, Qt.Key.Key_Return)
    qtbot.waitUntil(of_devices.act.isEnabled)


def test_a_file_that_is_no_sheet_is_reported(qtbot: QtBot, of_devices: ImportDialog, tmp_path: Path) -> None:
    look(qtbot, of_devices, sheet(tmp_path, "type,config", "egauge,{}"))
    assert "name is not among them" in of_devices.message_bar.text()
    assert not of_devices.act.isEnabled()
    of_devices.reject()


def test_what_fails_changes_nothing_and_can_be_tried_again(
    qtbot: QtBot, of_devices: ImportDialog, deployed: Deployment, tmp_path: Path, test_database: TestDatabase
) -> None:
    look(qtbot, of_devices, sheet(tmp_path, *DEVICES))
    with houses.outage(test_database):
        of_devices.act.click()
        qtbot.waitUntil(lambda: "The database is not available" in of_devices.message_bar.text())
    look(qtbot, of_devices, tmp_path / "some.csv")
    with qtbot.waitSignal(of_devices.imported):
        of_devices.act.click()
    assert names(deployed) == ["pool", "roof"]


ACCOUNTS = ("email,name,role,house", "rea@example.org,Rea,researcher,Maple House")


def test_initial_passwords_that_were_not_mailed_are_saved_once_for_their_owner(
    qtbot: QtBot, open_dialog: Open, tmp_path: Path
) -> None:
    dialog = open_dialog(import_kinds.accounts)
    look(qtbot, dialog, sheet(tmp_path, *ACCOUNTS))
    with qtbot.waitSignal(dialog.imported):
        dialog.act.click()
    assert "Hand over the initial passwords" in dialog.summary()
    dialog.act.click()
    (question,) = dialog.findChildren(ConfirmDialog)
    question.keep.click()
    assert dialog.isVisible()
    dialog.save_passwords.click()
    (chooser,) = dialog.findChildren(QFileDialog)
    file = tmp_path / "passwords.csv"
    with qtbot.waitSignal(dialog.finished):
        chooser.fileSelected.emit(str(file))
        chooser.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "rea@example.org,Rea," in file.read_text("utf-8-sig")


def test_accounts_are_reported_line_by_line(qtbot: QtBot, open_dialog: Open, tmp_path: Path) -> None:
    dialog = open_dialog(import_kinds.accounts)
    look(qtbot, dialog, sheet(tmp_path, *ACCOUNTS, "vic@example.org,Vic,emperor,"))
    assert rows(dialog)[0][0] == "3"
    dialog.reject()
