"""Taking note of a finding: acknowledge, silence, take it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from sgmp_console.store import findings
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui.dialogs.finding import FindingDialog
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import equipped
from tests.ui.conftest import Deployment, save_picture

Open = Callable[[], FindingDialog]


@pytest.fixture
def stored(deployed: Deployment) -> Callable[[], Finding]:
    def read() -> Finding:
        with deployed.owner.begin() as connection:
            (finding,) = findings.read(connection)
        return finding

    return read


@pytest.fixture
def opened(view: MainView, deployed: Deployment, stored: Callable[[], Finding]) -> Open:
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline")

    def dialog() -> FindingDialog:
        shown = FindingDialog(view.services, stored(), ZoneInfo("Europe/Berlin"), view)
        shown.open()
        return shown

    return dialog


def done(qtbot: QtBot, dialog: FindingDialog, act: QAbstractButton) -> None:
    with qtbot.waitSignal(dialog.acted):
        act.click()


def test_a_finding_is_acknowledged_with_a_note_until_it_is_over(
    qtbot: QtBot, opened: Open, stored: Callable[[], Finding]
) -> None:
    dialog = opened()
    save_picture(dialog, "finding_dialog")
    dialog.text.setText("the provider repairs the line")
    done(qtbot, dialog, dialog.act)
    finding = stored()
    assert (finding.state, finding.note) == (State.ACKNOWLEDGED, "the provider repairs the line")
    again = opened()
    (take_back,) = [
        one for one in again.findChildren(QAbstractButton) if one.text() == "Take the acknowledgement back"
    ]
    done(qtbot, again, take_back)
    assert stored().state is State.ACTIVE


def test_a_finding_is_silenced_for_some_hours(
    qtbot: QtBot, view: MainView, opened: Open, stored: Callable[[], Finding]
) -> None:
    dialog = opened()
    dialog.services = type(dialog.services)(
        **{**vars(dialog.services), "now_ms": lambda: int(time.time() * 1000)}
    )
    dialog.until.setCurrentIndex(2)
    before_ms = int(time.time() * 1000)
    done(qtbot, dialog, dialog.act)
    finding = stored()
    assert finding.state is State.SILENCED
    assert finding.silenced_until_ms is not None
    assert 0 <= finding.silenced_until_ms - before_ms - 8 * 3_600_000 < 30_000
