"""Findings that open while another window is used are shown by the desktop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.store import House
from sgmp_console.store.findings import Finding, Severity, State
from sgmp_console.ui.window.desktop_notices import DesktopNotices, newly_open
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import finding as find

Shown = list[tuple[str, str, Severity]]
HOUSES = {7: House(7, "Maple House", "", "Europe/Berlin"), 8: House(8, "<b>Harbor</b>", "", "UTC")}


def opened(
    finding_id: int, severity: Severity = Severity.CRITICAL, house_id: int = 7, from_ms: int = 0
) -> Finding:
    return Finding(finding_id, house_id, "battery", "device_down", "", severity, from_ms, None)


@pytest.fixture
def notified() -> Shown:
    return []


@pytest.fixture
def notices(qtbot: QtBot, notified: Shown) -> DesktopNotices:
    window = QWidget()
    qtbot.addWidget(window)
    made = DesktopNotices(window, enabled=True, parent=window, show=lambda *notice: notified.append(notice))
    made.show_findings([], HOUSES)
    return made


def test_what_opens_is_shown_once_with_house_and_remedy(notices: DesktopNotices, notified: Shown) -> None:
    notices.show_findings([opened(1)], HOUSES)
    notices.show_findings([opened(1)], HOUSES)
    ((title, text, severity),) = notified
    assert title == "Maple House"
    assert "battery" in text
    assert severity is Severity.CRITICAL


def test_what_was_open_at_the_sign_in_is_not_news() -> None:
    news, known = newly_open(None, [opened(1)])
    assert news == []
    assert newly_open(known, [opened(1), opened(2)])[0] == [opened(2)]


def test_what_closes_and_opens_again_is_news(notices: DesktopNotices, notified: Shown) -> None:
    for findings in ([opened(1)], [], [opened(2)]):
        notices.show_findings(findings, HOUSES)
    assert len(notified) == 2


def test_the_worst_and_oldest_comes_first() -> None:
    warning, late, early = opened(1, Severity.WARNING), opened(2, from_ms=9), opened(3, from_ms=5)
    assert newly_open((), [warning, late, early])[0] == [early, late, warning]


@pytest.mark.parametrize(
    "quiet",
    [opened(1, Severity.INFO), replace(opened(1), state=State.ACKNOWLEDGED)],
    ids=["information", "acknowledged"],
)
def test_what_needs_nobody_is_not_shown(notices: DesktopNotices, notified: Shown, quiet: Finding) -> None:
    notices.show_findings([quiet], HOUSES)
    assert notified == []


def test_many_at_once_are_one_notification(notices: DesktopNotices, notified: Shown) -> None:
    notices.show_findings([opened(number, house_id=7 + number % 2) for number in range(1, 21)], HOUSES)
    ((title, text, _),) = notified
    assert (title, text) == ("SGMP", "20 new findings: <b>Harbor</b>, Maple House")


def test_who_looks_at_the_window_is_not_notified(
    qtbot: QtBot, notices: DesktopNotices, notified: Shown
) -> None:
    window = notices.parent()
    assert isinstance(window, QWidget)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    notices.show_findings([opened(1)], HOUSES)
    assert notified == []


def test_who_wants_none_gets_none(notices: DesktopNotices, notified: Shown) -> None:
    notices.set_enabled(False)
    notices.show_findings([opened(1)], HOUSES)
    notices.set_enabled(True)
    notices.show_findings([opened(1), opened(2)], HOUSES)
    assert len(notified) == 1


def test_the_choice_is_in_the_account_menu(view: MainView, qtbot: QtBot) -> None:
    view.start()
    action = next(one for one in find.account_menu(view).actions() if one.text() == "Notify on the desktop")
    assert action.isChecked()
    with qtbot.waitSignal(view.desktop_notices_changed) as changed:
        action.trigger()
    assert changed.args == [False]
