"""The Quarantine page: messages that could not be read, with the reason and the payload; read again, saved, discarded."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.store.quarantine import Rejected
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.quarantine.page import QuarantinePage, as_text
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment, save_pictures
from tests.ui.snapshots import NOW_MS

LONG = b'{"fields": "' + b"x" * 1000 + b'"'


def set_aside(deployed: Deployment, *payloads: bytes, house: bool = True) -> None:
    house_id = deployed.houses[0].house_id if house else None
    rows = [
        Rejected(NOW_MS - number * 60_000, f"sgmp/{number}", payload, "It is not JSON", house_id)
        for number, payload in enumerate(payloads)
    ]
    with deployed.owner.begin() as connection:
        store.quarantine.store(connection, rows)


def shown(qtbot: QtBot, view: MainView, deployed: Deployment) -> QuarantinePage:
    view.start(deployed.houses[0].house_id)
    view.show_page("quarantine")
    page = view.page("quarantine")
    assert isinstance(page, QuarantinePage)
    qtbot.waitUntil(lambda: page.found is not None and not page.busy())
    return page


def test_messages_are_listed_with_house_reason_and_size(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    set_aside(deployed, b"{", LONG, b"\xff\xfe\x00")
    set_aside(deployed, b"?", house=False)
    page = shown(qtbot, view, deployed)
    model = page.table.model()
    cells = {tuple(model.index(row, column).data() for column in (1, 2, 4, 5)) for row in range(4)}
    assert cells == {
        ("Maple House", "It is not JSON", "1 B", "Set aside"),
        ("Maple House", "It is not JSON", "1,013 B", "Set aside"),
        ("Maple House", "It is not JSON", "3 B", "Set aside"),
        ("No house", "It is not JSON", "1 B", "Set aside"),
    }
    page.table.selectRow(1)
    save_pictures(view, "quarantine", appearance)


def test_a_message_opens_with_its_whole_payload(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    set_aside(deployed, LONG)
    page = shown(qtbot, view, deployed)
    page.table.selectRow(0)
    qtbot.waitUntil(lambda: page.details.text.toPlainText() == LONG.decode())


def test_a_payload_is_saved_byte_for_byte(
    qtbot: QtBot, view: MainView, deployed: Deployment, tmp_path: Path
) -> None:
    set_aside(deployed, b"\xff\x00" * 400)
    page = shown(qtbot, view, deployed)
    page.save_to(page.table.rows()[0].message.quarantine_id, tmp_path / "payload.bin")
    qtbot.waitUntil(lambda: "800 bytes" in page.message_bar.text())
    assert (tmp_path / "payload.bin").read_bytes() == b"\xff\x00" * 400
    page.save_to(page.table.rows()[0].message.quarantine_id, tmp_path / "none" / "payload.bin")
    qtbot.waitUntil(lambda: "can't be written" in page.message_bar.text())


def test_messages_are_read_again_on_request(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    set_aside(deployed, b"{", b"[")
    page = shown(qtbot, view, deployed)
    page.table.selectAll()
    page.action("replay").trigger()
    qtbot.waitUntil(lambda: all(row.message.replay for row in page.table.rows()))
    assert "2 messages" in page.message_bar.text()
    assert page.table.model().index(0, 5).data() == "Is read again"


def test_discarding_asks_first(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    set_aside(deployed, b"{", b"[")
    page = shown(qtbot, view, deployed)
    page.table.selectRow(0)
    kept = page.table.rows()[1 - page.table.rows().index(page.table.chosen()[0])]
    page.action("discard").trigger()
    (dialog,) = page.findChildren(ConfirmDialog)
    dialog.act.click()
    qtbot.waitUntil(lambda: [row.message for row in page.table.rows()] == [kept.message])


def test_an_empty_quarantine_says_so(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    page = shown(qtbot, view, deployed)
    (notice,) = page.findChildren(EmptyState)
    assert notice.accessibleName() == "No message is in quarantine"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"a": 1}', '{"a": 1}'),
        ("grün".encode()[:3], "gr"),
        (b"\xff\x00\x10", "00000000  ff 00 10"),
        (b"", ""),
    ],
)
def test_a_payload_is_shown_as_text_or_as_bytes(payload: bytes, text: str) -> None:
    assert as_text(payload) == text
