"""Two operators have the same thing open: the second who stores it is told, and nothing is overwritten silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import shiboken6
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import accounts, analytics, devices, houses, roles
from sgmp_console.store import Database
from sgmp_console.ui.dialogs.edit_dialog import EditDialog
from sgmp_console.ui.pages.accounts.dialogs import EditAccount
from sgmp_console.ui.pages.analytics.editor import ItemEditor
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.houses.form import HouseForm
from sgmp_console.ui.pages.roles.dialog import RoleDialog
from sgmp_console.ui.window.frame.main_view import MainView
from tests.fleet.configs import EGAUGE
from tests.ui.conftest import Deployment


@dataclass(frozen=True)
class Subject:
    """Something that two dialogs edit. `entry`: its text that they change; `read`: what is stored of it."""

    open: Callable[[], EditDialog[Any]]
    entry: Callable[[Any], QLineEdit]
    read: Callable[[], str]
    delete: Callable[[], object]
    can_be_made_again: bool


def _account(view: MainView, owner: Database) -> Subject:
    there = accounts.create(owner, email="vera@example.org", name="Vera", role="admin", house_id=None).account
    everything, known = _read(owner, store.roles.list_all), _read(owner, store.houses.list_all)

    def read() -> str:
        return str(
            next(one.name for one in _read(owner, store.accounts.list_all) if one.email == there.email)
        )

    return Subject(
        lambda: EditAccount(view.services, there, everything, known, view),
        lambda dialog: dialog.name,
        read,
        lambda: accounts.delete(owner, [there.account_id]),
        False,
    )


def _role(view: MainView, owner: Database) -> Subject:
    there = roles.create(owner, "operator", description="", permissions={"view_dashboards"})
    return Subject(
        lambda: RoleDialog(view.services, {"view_dashboards": "Look"}, there, view),
        lambda dialog: dialog.description,
        lambda: next(
            one.description for one in _read(owner, store.roles.list_all) if one.role_id == there.role_id
        ),
        lambda: roles.delete(owner, [there.role_id]),
        False,
    )


def _house(view: MainView, owner: Database) -> Subject:
    there = houses.create(owner, "Oak House", time_zone="UTC")
    return Subject(
        lambda: HouseForm(view.services, there, (), view),
        lambda dialog: dialog.description,
        lambda: _read(owner, lambda connection: store.houses.get(connection, there.house_id)).description,
        lambda: houses.delete(owner, there.house_id),
        False,
    )


def _device(view: MainView, owner: Database) -> Subject:
    house = _read(owner, store.houses.list_all)[0]
    there = devices.create(owner, house.house_id, "meter", "egauge", EGAUGE)
    return Subject(
        lambda: DeviceEditor(view.services, house, there, ["meter"], view),
        lambda dialog: dialog.description,
        lambda: _read(owner, lambda connection: store.devices.get(connection, there.device_id)).description,
        lambda: devices.delete(owner, house.house_id, [there.device_id]),
        True,
    )


def _item(view: MainView, owner: Database) -> Subject:
    house = _read(owner, store.houses.list_all)[0]
    devices.create(owner, house.house_id, "egauge", "egauge", EGAUGE)
    there = analytics.create(owner, house.house_id, "load", "-egauge.A.Load")
    return Subject(
        lambda: ItemEditor(view.services, house, there, view),
        lambda dialog: dialog.description,
        lambda: _read(owner, lambda connection: store.analytics.get(connection, there.item_id)).description,
        lambda: analytics.delete(owner, house.house_id, [there.item_id]),
        True,
    )


def _read(owner: Database, read: Callable[..., Any]) -> Any:
    with owner.begin() as connection:
        return read(connection)


@pytest.fixture(params=[_account, _role, _house, _device, _item], ids=lambda make: make.__name__[1:])
def subject(request: pytest.FixtureRequest, view: MainView, deployed: Deployment) -> Subject:
    made: Subject = request.param(view, deployed.owner)
    return made


def stores(qtbot: QtBot, dialog: EditDialog[Any]) -> None:
    with qtbot.waitSignal(dialog.saved):
        dialog.act.click()


def refused(qtbot: QtBot, subject: Subject) -> EditDialog[Any]:
    """The second dialog, told that the first was quicker."""
    first, second = subject.open(), subject.open()
    for dialog, text in ((first, "First"), (second, "Second")):
        dialog.open()
        subject.entry(dialog).setText(text)
    stores(qtbot, first)
    second.act.click()
    qtbot.waitUntil(lambda: set(second.message_bar.buttons()) == {"theirs", "mine"})
    return second


def test_the_second_is_reported_and_loses_nothing(qtbot: QtBot, subject: Subject) -> None:
    second = refused(qtbot, subject)
    assert "changed by somebody else meanwhile" in second.message_bar.text()
    assert "First" in second.message_bar.text()
    assert subject.entry(second).text() == "Second"
    assert subject.read() == "First"
    second.discard()


def test_keeping_mine_replaces_theirs_knowingly(qtbot: QtBot, subject: Subject) -> None:
    second = refused(qtbot, subject)
    with qtbot.waitSignal(second.saved):
        second.message_bar.buttons()["mine"].click()
    assert subject.read() == "Second"


def test_using_theirs_shows_it_and_leaves_it(qtbot: QtBot, subject: Subject) -> None:
    second = refused(qtbot, subject)
    second.message_bar.buttons()["theirs"].click()
    assert subject.entry(second).text() == "First"
    second.reject()
    qtbot.waitUntil(lambda: not shiboken6.isValid(second) or not second.isVisible())
    assert subject.read() == "First"


def test_that_it_was_deleted_meanwhile_is_reported(qtbot: QtBot, subject: Subject) -> None:
    dialog = subject.open()
    dialog.open()
    subject.entry(dialog).setText("Mine")
    subject.delete()
    dialog.act.click()
    qtbot.waitUntil(lambda: bool(dialog.message_bar.text()))
    if subject.can_be_made_again:
        qtbot.waitUntil(lambda: "again" in dialog.message_bar.buttons())
    else:
        told = ("deleted by somebody else", "There is no such")
        qtbot.waitUntil(lambda: any(words in dialog.message_bar.text() for words in told))
    assert subject.entry(dialog).text() == "Mine"
    dialog.discard()
