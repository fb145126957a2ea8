"""The dialog in which a device is made, changed and tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import devices
from sgmp_console.store import Device
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.pages.devices.same_meter import SameMeterDialog
from sgmp_console.ui.pages.devices.setting_entry import STORED
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge.contract import declarations
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN, TOKEN
from tests.ui import houses
from tests.ui.conftest import Deployment
from tests.ui.finding import running_timers

Open = Callable[[Device | None], DeviceEditor]


@pytest.fixture
def open_editor(qtbot: QtBot, view: MainView, deployed: Deployment) -> Open:
    """For a stored device, or a new one; left at the end, whatever stands in it."""

    def opened(device: Device | None) -> DeviceEditor:
        view.start(deployed.houses[0].house_id)
        view.show_page("devices")
        page = view.page("devices")
        assert isinstance(page, DevicesPage)
        qtbot.waitUntil(lambda: page.found is not None)
        page._open_editor(device)
        return page.findChildren(DeviceEditor)[-1]

    return opened


@pytest.fixture
def make(deployed: Deployment) -> Callable[..., Device]:
    def made(name: str, kind: str, config: dict[str, Any], **more: Any) -> Device:
        return devices.create(deployed.owner, deployed.houses[0].house_id, name, kind, config, **more)

    return made


def stored(deployed: Deployment) -> dict[str, Device]:
    with deployed.owner.begin() as connection:
        return {one.name: one for one in store.devices.list_all(connection, deployed.houses[0].house_id)}


def secrets(deployed: Deployment, device: Device) -> dict[str, Any]:
    with deployed.owner.begin() as connection:
        return dict(store.devices.reveal(connection, device.device_id))


def choose_type(editor: DeviceEditor, name: str) -> None:
    editor.type.setCurrentIndex(editor.type.findData(name))
    editor.type.activated.emit(editor.type.currentIndex())


def write(entry: QWidget, text: str) -> None:
    """As if typed over what is there."""
    assert isinstance(entry, (QLineEdit, QPlainTextEdit))
    entry.setFocus()
    entry.selectAll()
    if text:
        QTest.keyClicks(entry, text)
    else:
        QTest.keyClick(entry, Qt.Key.Key_Delete)


def settled(qtbot: QtBot, editor: DeviceEditor) -> None:
    qtbot.waitUntil(lambda: not running_timers(editor.config))


def texts(widget: QWidget) -> str:
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisible())


def save(qtbot: QtBot, editor: DeviceEditor) -> None:
    with qtbot.waitSignal(editor.saved):
        editor.act.click()


# --- Form and JSON in step -------------------------------------------------------------------------------------------


def test_in_a_high_window_the_settings_of_a_device_are_seen_without_scrolling(
    open_editor: Open, make: Callable[..., Device], view: MainView
) -> None:
    view.resize(2560, 1440)
    editor = open_editor(make("egauge", "egauge", EGAUGE))
    assert editor.height() < 1440
    assert editor.config.form.verticalScrollBar().maximum() == 0


def test_what_is_written_in_the_form_stands_in_the_json(qtbot: QtBot, open_editor: Open) -> None:
    editor = open_editor(None)
    choose_type(editor, "egauge")
    write(editor.config.entry("interval").entry, "10")
    write(editor.config.entry("ip").entry, "10.0.0.5")
    write(editor.config.entry("keys").entry, "A.Load")
    assert json.loads(editor.config.text.toPlainText()) == {
        "ip": "10.0.0.5",
        "keys": ["A.Load"],
        "interval": 10,
    }
    assert list(json.loads(editor.config.text.toPlainText())) == ["ip", "keys", "interval"]
    write(editor.config.entry("interval").entry, "")
    assert "interval" not in editor.config.text.toPlainText()
    editor.discard()


def test_what_is_written_in_the_json_stands_in_the_form(qtbot: QtBot, open_editor: Open) -> None:
    editor = open_editor(None)
    choose_type(editor, "egauge")
    editor.config.text.replace_all('{"ip": "10.0.0.5", "interface": "webapi", "keys": ["A", "B C"]}')
    ip, interface, keys = (editor.config.entry(key).entry for key in ("ip", "interface", "keys"))
    assert isinstance(ip, QLineEdit)
    assert isinstance(interface, QComboBox)
    assert isinstance(keys, QPlainTextEdit)
    assert (ip.text(), interface.currentText(), keys.toPlainText()) == ("10.0.0.5", "webapi", "A\nB C")
    editor.discard()


def test_a_choice_of_the_form_can_be_taken_back(open_editor: Open, make: Callable[..., Device]) -> None:
    editor = open_editor(make("meter", "egauge", {"ip": "10.0.0.5", "interface": "xml"}))
    entry = editor.config.entry("interface").entry
    assert isinstance(entry, QComboBox)
    entry.setCurrentIndex(0)
    entry.activated.emit(0)
    assert editor.config.config() == {"ip": "10.0.0.5"}
    editor.discard()


def test_json_that_can_not_be_read_is_marked_at_its_place_and_the_form_waits(
    qtbot: QtBot, open_editor: Open
) -> None:
    editor = open_editor(None)
    choose_type(editor, "egauge")
    editor.config.text.replace_all('{\n  "ip": "10.0.0.5"\n  "interval": 5\n}')
    settled(qtbot, editor)
    assert "A comma or a closing bracket is missing here (line 3, column 3)." in editor.config.verdict()
    assert editor.config.text.marks()
    assert not editor.config.form.isEnabled()
    editor.act.click()
    assert editor.isVisible()
    editor.config.text.replace_all('{"ip": "10.0.0.5"}')
    assert editor.config.form.isEnabled()
    editor.discard()


def test_problems_of_the_schema_stand_at_their_field_and_their_place(
    qtbot: QtBot, open_editor: Open, deployed: Deployment
) -> None:
    editor = open_editor(None)
    write(editor.name, "meter")
    choose_type(editor, "egauge")
    editor.config.text.replace_all('{"interval": 0, "colour": "red"}')
    editor.act.click()
    assert editor.config.entry("ip").problem == "This is needed."
    assert editor.config.entry("interval").problem == "Must be at least 1."
    assert "colour is not a setting" in editor.config.verdict()
    assert len(editor.config.text.marks()) == 3
    assert stored(deployed) == {}
    editor.discard()


def test_a_field_that_was_not_touched_is_not_called_wrong(qtbot: QtBot, open_editor: Open) -> None:
    editor = open_editor(None)
    choose_type(editor, "powerflex")
    write(editor.config.entry("acc_id").entry, "03")
    settled(qtbot, editor)
    assert editor.config.entry("url").problem == ""
    url = editor.config.entry("url").entry
    assert isinstance(url, QLineEdit)
    write(url, "nowhere")
    editor.config.entry("username").entry.setFocus()
    url.editingFinished.emit()
    assert editor.config.entry("url").problem == "Must be a web address (https://host:port)."
    editor.discard()


def test_examples_are_placeholders_and_never_a_config(open_editor: Open) -> None:
    editor = open_editor(None)
    for kind in ("sonnen", "egauge", "powerflex"):
        choose_type(editor, kind)
        assert editor.config.config() == {}
        assert "..." in editor.config.text.placeholderText() or kind == "egauge"
        assert TOKEN not in editor.config.text.placeholderText()
    entry = editor.config.entry("acc_id").entry
    assert isinstance(entry, QLineEdit)
    assert (entry.text(), entry.placeholderText()) == ("", "For example 03")
    editor.discard()


def test_a_type_without_a_declaration_takes_any_json(
    qtbot: QtBot, open_editor: Open, deployed: Deployment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Main_Publisher.py").write_text('DEVICE_TYPES = {"my_device": MyDevice}')
    monkeypatch.setattr(declarations, "PROGRAM_FILE", tmp_path / "Main_Publisher.py")
    editor = open_editor(None)
    write(editor.name, "mine")
    choose_type(editor, "my_device")
    qtbot.waitUntil(lambda: "declares no settings" in texts(editor))
    editor.config.text.replace_all('{"any": ["thing", 5]}')
    save(qtbot, editor)
    assert secrets(deployed, stored(deployed)["mine"]) == {"any": ["thing", 5]}


# --- The name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("1st", "A name starts with a letter"),
        ("a b", "A name starts with a letter"),
        ("events", "`events` is a word of the formula language"),
        ("meter", "This house has a device meter already."),
    ],
)
def test_the_rule_of_names_is_checked_while_typing(
    open_editor: Open, make: Callable[..., Device], name: str, problem: str
) -> None:
    make("meter", "egauge", EGAUGE)
    editor = open_editor(None)
    write(editor.name, name)
    assert editor.name_field.problem.startswith(problem)
    write(editor.name, "other")
    assert editor.name_field.problem == ""
    editor.discard()


def test_without_name_or_type_nothing_is_stored(open_editor: Open, deployed: Deployment) -> None:
    editor = open_editor(None)
    editor.act.click()
    assert editor.name_field.problem == "Enter a name."
    assert editor.type_field.problem == "Choose the type of the device."
    assert editor.name.hasFocus() or not editor.isActiveWindow()
    editor.discard()


# --- Storing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "config"), [("sonnen", SONNEN), ("egauge", EGAUGE), ("powerflex", POWERFLEX)]
)
def test_the_playbooks_examples_can_be_pasted_and_stored(
    qtbot: QtBot, open_editor: Open, deployed: Deployment, kind: str, config: dict[str, Any]
) -> None:
    editor = open_editor(None)
    write(editor.name, kind)
    write(editor.description, "In the cellar")
    choose_type(editor, kind)
    editor.config.text.replace_all(json.dumps(config))
    save(qtbot, editor)
    made = stored(deployed)[kind]
    assert secrets(deployed, made) == config
    assert made.description == "In the cellar"


def test_ctrl_enter_stores_from_anywhere(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment
) -> None:
    editor = open_editor(make("meter", "egauge", EGAUGE))
    write(editor.description, "New words")
    editor.activateWindow()
    qtbot.waitUntil(editor.isActiveWindow)
    with qtbot.waitSignal(editor.saved):
        QTest.keyClick(editor.description, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert stored(deployed)["meter"].description == "New words"


def test_what_fails_loses_nothing_and_can_be_tried_again(
    qtbot: QtBot, open_editor: Open, deployed: Deployment, test_database: TestDatabase
) -> None:
    editor = open_editor(None)
    write(editor.name, "meter")
    choose_type(editor, "egauge")
    write(editor.config.entry("ip").entry, "10.0.0.5")
    with houses.outage(test_database):
        editor.act.click()
        qtbot.waitUntil(lambda: "The database is not available" in editor.message_bar.text())
    assert editor.name.text() == "meter"
    assert editor.config.config() == {"ip": "10.0.0.5"}
    qtbot.waitUntil(lambda: editor.act.isEnabled())
    save(qtbot, editor)
    assert stored(deployed)["meter"].config == {"ip": "10.0.0.5"}


# --- Secrets ----------------------------------------------------------------------------------------------------------


def test_stored_secrets_are_masked_until_asked_for_and_that_is_recorded(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment
) -> None:
    device = make("battery", "sonnen", SONNEN)
    editor = open_editor(device)
    token = editor.config.entry("token").entry
    assert isinstance(token, QLineEdit)
    assert (token.text(), token.placeholderText()) == ("", STORED)
    assert TOKEN not in editor.config.text.toPlainText()
    assert "records" in editor.config.secrets.toolTip()
    editor.config.secrets.click()
    qtbot.waitUntil(lambda: TOKEN in editor.config.text.toPlainText())
    assert token.text() == TOKEN
    assert token.echoMode() == QLineEdit.EchoMode.Normal
    assert "The audit records" in texts(editor)
    with deployed.owner.begin() as connection:
        entries = store.audit.read(connection, kinds=("device",))
    assert (entries[0].actor, entries[0].act, entries[0].subject) == (
        "ada@example.org",
        "reveal_secrets",
        "battery",
    )
    editor.config.secrets.click()
    assert TOKEN not in editor.config.text.toPlainText()
    assert token.echoMode() == QLineEdit.EchoMode.Password
    editor.reject()
    assert not editor.isVisible()


def test_a_secret_that_was_not_touched_stays_as_it_is_stored(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment
) -> None:
    editor = open_editor(make("battery", "sonnen", SONNEN))
    write(editor.config.entry("ip").entry, "10.0.0.9")
    save(qtbot, editor)
    assert secrets(deployed, stored(deployed)["battery"]) == {**SONNEN, "ip": "10.0.0.9"}


def test_a_new_secret_replaces_the_stored_one_and_never_stands_in_clear(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment
) -> None:
    editor = open_editor(make("battery", "sonnen", SONNEN))
    token = editor.config.entry("token").entry
    write(token, "brand-new")
    assert json.loads(editor.config.text.toPlainText())["token"] == "***"
    write(token, "")
    assert editor.config.config() == {**SONNEN, "token": "***"}
    write(token, "brand-new")
    save(qtbot, editor)
    assert secrets(deployed, stored(deployed)["battery"])["token"] == "brand-new"


def test_a_mask_for_nothing_is_reported(qtbot: QtBot, open_editor: Open) -> None:
    editor = open_editor(None)
    write(editor.name, "battery")
    choose_type(editor, "sonnen")
    editor.config.text.replace_all('{"ip": "10.0.0.5", "token": "***"}')
    editor.act.click()
    assert "is masked (***), but no secret is stored" in editor.config.verdict()
    editor.discard()


# --- The same meter ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [True, False])
def test_a_name_that_a_deleted_device_had_asks_whose_history_it_is(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment, same: bool
) -> None:
    old = make("meter", "egauge", EGAUGE)
    devices.delete(deployed.owner, old.house_id, [old.device_id])
    editor = open_editor(None)
    write(editor.name, "meter")
    choose_type(editor, "egauge")
    write(editor.config.entry("ip").entry, "10.0.0.5")
    editor.act.click()
    qtbot.waitUntil(lambda: bool(editor.findChildren(SameMeterDialog)))
    (question,) = editor.findChildren(SameMeterDialog)
    assert "This house had a device meter (egauge), created" in texts(question)
    question.cancel.click()
    assert editor.isVisible()
    assert stored(deployed) == {}
    editor.act.click()
    qtbot.waitUntil(lambda: any(one.isVisible() for one in editor.findChildren(SameMeterDialog)))
    question = next(one for one in editor.findChildren(SameMeterDialog) if one.isVisible())
    with qtbot.waitSignal(editor.saved):
        (question.same if same else question.new).click()
    assert (stored(deployed)["meter"].device_id == old.device_id) is same


# --- Two consoles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "description"), [("theirs", "Theirs"), ("mine", "Mine")])
def test_what_somebody_else_changed_meanwhile_is_shown_and_decided(
    qtbot: QtBot,
    open_editor: Open,
    make: Callable[..., Device],
    deployed: Deployment,
    choice: str,
    description: str,
) -> None:
    device = make("meter", "egauge", EGAUGE)
    editor = open_editor(device)
    devices.update(deployed.owner, replace(device, description="Theirs", config={**EGAUGE, "interval": 30}))
    write(editor.description, "Mine")
    editor.act.click()
    qtbot.waitUntil(lambda: "theirs" in editor.message_bar.buttons())
    assert "description “Theirs”, setting interval" in editor.message_bar.text()
    if choice == "mine":
        with qtbot.waitSignal(editor.saved):
            editor.message_bar.buttons()[choice].click()
    else:
        editor.message_bar.buttons()[choice].click()
        assert editor.description.text() == "Theirs"
        assert editor.config.config() == {**EGAUGE, "interval": 30}
        editor.reject()
        assert not editor.isVisible()
    assert stored(deployed)["meter"].description == description


def test_a_device_deleted_meanwhile_can_be_made_again(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device], deployed: Deployment
) -> None:
    device = make("meter", "egauge", EGAUGE)
    editor = open_editor(device)
    write(editor.description, "Still wanted")
    devices.delete(deployed.owner, device.house_id, [device.device_id])
    editor.act.click()
    qtbot.waitUntil(lambda: "again" in editor.message_bar.buttons())
    editor.message_bar.buttons()["again"].click()
    qtbot.waitUntil(lambda: bool(editor.findChildren(SameMeterDialog)))
    with qtbot.waitSignal(editor.saved):
        editor.findChildren(SameMeterDialog)[0].same.click()
    assert stored(deployed)["meter"].description == "Still wanted"


# --- Leaving, testing -------------------------------------------------------------------------------------------------


def test_leaving_asks_only_where_something_would_be_lost(
    open_editor: Open, make: Callable[..., Device]
) -> None:
    editor = open_editor(make("meter", "egauge", EGAUGE))
    write(editor.description, "x")
    editor.reject()
    (question,) = editor.findChildren(ConfirmDialog)
    assert editor.isVisible()
    question.act.click()
    assert not editor.isVisible()


def test_a_profile_without_a_broker_says_why_there_is_no_test(
    qtbot: QtBot, open_editor: Open, make: Callable[..., Device]
) -> None:
    editor = open_editor(make("meter", "egauge", EGAUGE))
    editor.probe.start.click()
    qtbot.waitUntil(lambda: "names no broker" in editor.probe.words())
    assert editor.probe.words().startswith("There was no test")
    assert editor.probe.start.isVisible()
    editor.reject()
