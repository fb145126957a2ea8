"""Recipients of notifications, and times of maintenance, as an operator manages them."""

from __future__ import annotations

import threading
from datetime import time
from typing import TypeVar

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.store import findings, watching
from sgmp_console.store.findings import Channel, Once, Recurring, Severity
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.maintenance import AddWindow
from sgmp_console.ui.pages.maintenance.page import MaintenancePage
from sgmp_console.ui.pages.notifications.page import AddRecipient, NotificationsPage
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.watch.delivery import deliver
from tests.ui.conftest import Deployment, save_picture

D = TypeVar("D", bound=QWidget)


def opened(qtbot: QtBot, page: ListPage, act: str, kind: type[D]) -> D:  # type: ignore[type-arg]
    page.action(act).trigger()
    qtbot.waitUntil(lambda: bool(page.findChildren(kind)))
    return page.findChildren(kind)[-1]


def stored(qtbot: QtBot, dialog: AddRecipient | AddWindow) -> None:
    with qtbot.waitSignal(dialog.saved, timeout=20_000):
        dialog.act.click()


@pytest.fixture
def notifications(qtbot: QtBot, view: MainView) -> NotificationsPage:
    view.start()
    view.show_page("notifications")
    page = view.page("notifications")
    assert isinstance(page, NotificationsPage)
    qtbot.waitUntil(lambda: page.found is not None, timeout=20_000)
    return page


@pytest.fixture
def maintenance(qtbot: QtBot, view: MainView) -> MaintenancePage:
    view.start()
    view.show_page("maintenance")
    page = view.page("maintenance")
    assert isinstance(page, MaintenancePage)
    qtbot.waitUntil(lambda: page.found is not None, timeout=20_000)
    return page


def test_a_mail_address_is_added_tested_and_removed(
    qtbot: QtBot, notifications: NotificationsPage, deployed: Deployment
) -> None:
    dialog = opened(qtbot, notifications, "add", AddRecipient)
    dialog.address.setText("nobody")
    dialog.act.click()
    assert "looks like" in dialog.naming.problem  # type: ignore[union-attr]
    assert not dialog.secret.isVisible()
    dialog.address.setText("Ann@example.org")
    dialog.severity.setCurrentIndex(2)
    save_picture(dialog, "notifications_add")
    stored(qtbot, dialog)
    qtbot.waitUntil(lambda: len(notifications.table.rows()) == 1)
    (row,) = notifications.table.rows()
    assert (row.recipient.address, row.house) == ("ann@example.org", "All houses")
    assert row.recipient.least_severity is Severity.CRITICAL

    qtbot.waitUntil(notifications.action("test").isEnabled)
    stop, sent = threading.Event(), list[str]()

    def send(claimed: watching.Claimed) -> None:
        sent.append(claimed.kind)

    watch = threading.Thread(target=deliver, args=(deployed.owner, send, stop))
    watch.start()
    notifications.action("test").trigger()
    qtbot.waitUntil(lambda: "has taken a test message" in notifications.message_bar.text(), timeout=20_000)
    stop.set()
    watch.join()
    assert sent == ["test"]
    save_picture(notifications.window(), "notifications")

    confirmation = opened(qtbot, notifications, "remove", ConfirmDialog)
    confirmation.act.click()
    qtbot.waitUntil(lambda: not notifications.table.rows(), timeout=20_000)


def test_a_webhook_shows_its_secret_once(
    qtbot: QtBot, notifications: NotificationsPage, deployed: Deployment
) -> None:
    dialog = opened(qtbot, notifications, "add", AddRecipient)
    dialog.address.setText("https://example.org/sgmp")
    assert dialog.secret.isVisible()
    secret = dialog.secret.text()
    assert len(secret) >= 40
    stored(qtbot, dialog)
    with deployed.owner.begin() as connection:
        (recipient,) = findings.recipients(connection)
        findings.send_test(connection, recipient.recipient_id)
        (claimed,) = watching.claim(connection, 1)
    assert (recipient.channel, claimed.secret) == (Channel.WEBHOOK, secret)


def test_without_a_watch_the_page_says_that_nothing_is_sent(
    qtbot: QtBot, notifications: NotificationsPage
) -> None:
    said = "No messages are sent until it runs"
    (empty,) = notifications.findChildren(EmptyState)
    assert any(said in label.text() for label in empty.findChildren(QLabel))
    dialog = opened(qtbot, notifications, "add", AddRecipient)
    dialog.address.setText("ann@example.org")
    stored(qtbot, dialog)
    qtbot.waitUntil(lambda: said in notifications.message_bar.text())


def test_a_time_of_maintenance_is_added_and_removed(
    qtbot: QtBot, maintenance: MaintenancePage, deployed: Deployment
) -> None:
    dialog = opened(qtbot, maintenance, "add", AddWindow)
    assert dialog.house.currentText() == "Maple House"  # the one on screen, rather than all
    dialog.recurs.setCurrentIndex(1)
    dialog.starts.setText("22:00")
    dialog.ends.setText("6:00")
    dialog.act.click()
    dialog.days[5].setChecked(True)
    dialog.reason.setText("the line")
    save_picture(dialog, "maintenance_add")
    stored(qtbot, dialog)
    qtbot.waitUntil(lambda: len(maintenance.table.rows()) == 1)
    with deployed.owner.begin() as connection:
        (window,) = findings.windows(connection)
    assert window.when == Recurring(frozenset({6}), time(22), time(6))
    assert maintenance.table.rows()[0].house == "Maple House"
    save_picture(maintenance.window(), "maintenance")
    confirmation = opened(qtbot, maintenance, "remove", ConfirmDialog)
    confirmation.act.click()
    qtbot.waitUntil(lambda: not maintenance.table.rows(), timeout=20_000)


def test_a_time_of_maintenance_once_is_by_the_clock_of_the_house(
    qtbot: QtBot, maintenance: MaintenancePage, deployed: Deployment
) -> None:
    dialog = opened(qtbot, maintenance, "add", AddWindow)
    dialog.house.setCurrentIndex(dialog.house.findText("Harbor House"))
    dialog.starts.setText("2026-06-01 22:00")
    dialog.ends.setText("2026-06-01 21:00")
    dialog.act.click()
    dialog.ends.setText("2026-06-01 23:00")
    stored(qtbot, dialog)
    with deployed.owner.begin() as connection:
        (window,) = findings.windows(connection)
    assert window.when == Once(1_780_344_000_000, 1_780_347_600_000)  # 20:00 UTC
