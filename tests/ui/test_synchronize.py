"""Synchronize Configuration: the dialog, with a real broker in which an edge's part is played by what is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import analytics, devices
from sgmp_console.store import Batch, Database, EventRow, changes
from sgmp_console.store.changes import Change, Reconnected
from sgmp_console.ui.dialogs.synchronize import RollBackDialog, SynchronizeDialog
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE, SONNEN
from tests.mosquitto import TestBroker, running_broker
from tests.ui import snapshots
from tests.ui.conftest import Deployment, save_picture
from tests.ui.finding import running_timers
from tests.ui.readers import ChosenReader

Open = Callable[[], SynchronizeDialog]


@pytest.fixture
def broker(deployment: str) -> Iterator[TestBroker]:
    with running_broker(deployment) as running:
        yield running


@pytest.fixture
def deployed(deployed: Deployment, broker: TestBroker) -> Deployment:
    files = broker.files_for(f"{broker.deployment}_console")
    profile = dataclasses.replace(
        deployed.profile,
        broker_host="localhost",
        broker_port=broker.port,
        broker_ca=str(files.ca),
        broker_cert=str(files.cert),
        broker_key=str(files.key),
    )
    house_id = deployed.houses[0].house_id
    devices.create(deployed.owner, house_id, "egauge", "egauge", EGAUGE)
    devices.create(deployed.owner, house_id, "sonnen", "sonnen", SONNEN)
    return dataclasses.replace(deployed, profile=profile)


class _Hearing(ChosenReader):
    """Hears of what arrives in the database."""

    def __init__(self, database: Database) -> None:
        super().__init__(snapshots.snapshot())
        self._database = database

    def listen(self) -> Iterator[Change | Reconnected | None]:
        return changes.listen(self._database)


@pytest.fixture
def reader(deployed: Deployment) -> ChosenReader:
    return _Hearing(deployed.owner)


@pytest.fixture
def show(view: MainView, deployed: Deployment, qtbot: QtBot) -> Open:
    view.start(deployed.houses[0].house_id)

    def shown() -> SynchronizeDialog:
        dialog = SynchronizeDialog(view.services, deployed.houses[0], view)
        for timer in running_timers(dialog):
            timer.setInterval(50)  # it looks by itself each ten seconds at what nobody announces
        dialog.open()
        qtbot.waitUntil(dialog.act.isEnabled)
        return dialog

    return shown


def texts(widget: QWidget) -> str:
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisibleTo(widget))


def edge_says(deployed: Deployment, kind: str, after_ms: int = 1000, **data: object) -> None:
    house_id = deployed.houses[0].house_id
    with deployed.owner.begin() as connection:
        made = store.config_versions.newest(connection, house_id)
        at = (made.created_ms if made else 0) + after_ms
        event = EventRow(house_id, 0, contract.EDGE_DEVICE_NAME, at, kind, data)
        store.readings.write(connection, Batch(events=[event]))


def confirm(deployed: Deployment, after_ms: int = 1000) -> None:
    with deployed.owner.begin() as connection:
        made = store.config_versions.newest(connection, deployed.houses[0].house_id)
    assert made is not None
    edge_says(deployed, contract.CONFIG_APPLIED, after_ms, version=made.version, sha256=made.sha256)


def publish(dialog: SynchronizeDialog, qtbot: QtBot, version: int) -> None:
    dialog.act.click()
    assert dialog.act.text() == "Synchronizing"
    qtbot.waitUntil(lambda: not dialog.busy)
    qtbot.waitUntil(lambda: f"ersion {version}" in dialog.state_words.text())


def change(deployed: Deployment, name: str, **settings: object) -> None:
    with deployed.owner.begin() as connection:
        found = store.devices.list_all(connection, deployed.houses[0].house_id)
    one = next(device for device in found if device.name == name)
    devices.update(deployed.owner, dataclasses.replace(one, config={**one.config, **settings}))


def history(dialog: SynchronizeDialog) -> list[list[str]]:
    model = dialog.history.proxy
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def test_what_would_be_sent_is_shown_without_secrets(show: Open) -> None:
    dialog = show()
    shown = texts(dialog.changes)
    assert "Added" in shown
    assert EGAUGE["ip"] in shown
    assert "secret, not shown" in shown
    assert SONNEN["token"] not in shown
    assert "Nothing was ever sent" in dialog.state_words.text()
    dialog.reject()


def test_publishing_waits_for_an_edge_that_is_away_and_tells_when_it_confirms(
    show: Open, deployed: Deployment, qtbot: QtBot
) -> None:
    dialog = show()
    publish(dialog, qtbot, 1)
    assert "the edge is not online and takes it when it is back" in dialog.state_words.text()
    confirm(deployed)
    qtbot.waitUntil(lambda: "In sync: the edge runs version 1" in dialog.state_words.text())
    qtbot.waitUntil(lambda: [row[4] for row in history(dialog)] == ["Confirmed"])
    assert history(dialog)[0][2] == deployed.email
    assert "Nothing was changed since version 1 was sent" in texts(dialog.changes)
    dialog.reject()


def test_a_refusal_is_reported_with_the_edge_s_reason(show: Open, deployed: Deployment, qtbot: QtBot) -> None:
    dialog = show()
    publish(dialog, qtbot, 1)
    edge_says(deployed, contract.CONFIG_REJECTED, reason="device 1: no such type", version=1)
    qtbot.waitUntil(lambda: "device 1: no such type" in dialog.state_words.text())
    dialog.reject()


def test_a_broker_that_is_away_is_said_and_publishing_again_sends_it(
    show: Open, broker: TestBroker, qtbot: QtBot
) -> None:
    dialog = show()
    broker.stop()
    dialog.act.click()
    qtbot.waitUntil(lambda: not dialog.busy)
    assert "did not answer" in dialog.message_bar.text()
    broker.start()
    publish(dialog, qtbot, 1)
    dialog.reject()


def test_changes_can_be_compared_with_what_the_edge_runs(
    show: Open, deployed: Deployment, qtbot: QtBot
) -> None:
    dialog = show()
    publish(dialog, qtbot, 1)
    confirm(deployed)
    change(deployed, "egauge", ip="10.0.0.7")
    qtbot.waitUntil(lambda: "10.0.0.7" in texts(dialog.changes))
    publish(dialog, qtbot, 2)
    qtbot.waitUntil(lambda: dialog.against.count() == 2)
    dialog.against.setCurrentIndex(1)
    assert f"{EGAUGE['ip']} → 10.0.0.7" in texts(dialog.changes)
    dialog.reject()


def test_rolling_back_shows_what_becomes_of_the_devices(
    show: Open, deployed: Deployment, qtbot: QtBot
) -> None:
    dialog = show()
    publish(dialog, qtbot, 1)
    change(deployed, "egauge", ip="10.0.0.7")
    qtbot.waitUntil(lambda: "10.0.0.7" in texts(dialog.changes))
    publish(dialog, qtbot, 2)
    qtbot.waitUntil(lambda: len(history(dialog)) == 2)
    dialog.history.select({1})
    dialog.roll_back.click()
    (asked,) = dialog.findChildren(RollBackDialog)
    qtbot.waitUntil(asked.act.isEnabled)
    assert f"10.0.0.7 → {EGAUGE['ip']}" in texts(asked.changes)
    save_picture(asked, "roll_back")
    asked.act.click()
    qtbot.waitUntil(lambda: [row[0] for row in history(dialog)] == ["3", "2", "1"])
    dialog.reject()


def test_rolling_back_is_not_offered_while_formulas_use_a_later_device(
    show: Open, deployed: Deployment, qtbot: QtBot
) -> None:
    dialog = show()
    publish(dialog, qtbot, 1)
    house_id = deployed.houses[0].house_id
    devices.create(deployed.owner, house_id, "second", "egauge", EGAUGE)
    analytics.create(deployed.owner, house_id, "load", "-second.A.Load", description="", aggregated=False)
    qtbot.waitUntil(lambda: len(history(dialog)) == 1)
    dialog.history.select({1})
    dialog.roll_back.click()
    (asked,) = dialog.findChildren(RollBackDialog)
    qtbot.waitUntil(lambda: "is used by load" in asked.message_bar.text())
    assert not asked.act.isEnabled()
    asked.reject()
    dialog.reject()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(show: Open, deployed: Deployment, appearance: Appearance, qtbot: QtBot, theme: str) -> None:
    appearance.choose("dark" if theme == "dark" else "light")
    dialog = show()
    save_picture(dialog, "synchronize_first")
    publish(dialog, qtbot, 1)
    confirm(deployed)
    change(deployed, "egauge", ip="10.0.0.7", keys=["A.Load", "ts"])
    change(deployed, "sonnen", token="f" * 64)
    qtbot.waitUntil(lambda: "10.0.0.7" in texts(dialog.changes))
    save_picture(dialog, "synchronize_changed")
    dialog.reject()
