"""Notes and findings on time axes, on the page Events, and in reports."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.reports.time_marks import MarkKind, TimeMark
from sgmp_console.store import notes
from sgmp_console.store.findings import Severity
from sgmp_console.store.notes import Note, NoteKind
from sgmp_console.timeseries import HOUR_MS, SLOT_MS
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.note import NoteDialog
from sgmp_console.ui.pages.events.page import EventsPage
from sgmp_console.ui.session import Session
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.reports.houses import balanced
from tests.ui import equipped
from tests.ui.conftest import Deployment, let_draw, save_pictures
from tests.ui.finding import hover, only, opened_report
from tests.ui.houses import measured
from tests.ui.snapshots import NOW_MS
from tests.ui.test_events_page import read, shown, texts
from tests.waiting import WAIT_S

NIGHT = (NOW_MS - 10 * HOUR_MS, NOW_MS - 7 * HOUR_MS)


def stored(deployed: Deployment) -> list[Note]:
    with deployed.owner.begin() as connection:
        return notes.read(connection, deployed.houses[0].house_id, 0, 2 * NOW_MS)


def write(
    deployed: Deployment, kind: NoteKind, times: tuple[int, int], text: str, *, excluded: bool = False
) -> int:
    with deployed.owner.begin() as connection:
        return notes.add(connection, deployed.houses[0].house_id, kind, *times, text, excluded=excluded)


def send(qtbot: QtBot, dialog: NoteDialog) -> None:
    with qtbot.waitSignal(dialog.saved, timeout=round(WAIT_S * 1000)):
        dialog.perform()


def test_a_note_is_added_changed_and_deleted_on_the_page_events(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    page = shown(qtbot, view, deployed)
    page.action("add").trigger()
    dialog = only(page, NoteDialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData(NoteKind.OUTAGE))
    dialog.starts.setText("2025-05-14 10:00")
    dialog.ends.setText("2025-05-14 09:00")
    dialog.perform()
    assert dialog.isVisible()  # it would end before it starts
    dialog.ends.setText("2025-05-14 11:30")
    dialog.text.setText("The main fuse blew")
    save_pictures(dialog, "note", appearance)
    send(qtbot, dialog)
    qtbot.waitUntil(lambda: texts(page) == ["The main fuse blew"])
    assert [note.to_ms - note.from_ms for note in stored(deployed)] == [90 * 60_000]

    page.action("edit").trigger()
    dialog = only(page, NoteDialog)
    assert dialog.starts.text() == "2025-05-14 10:00"
    dialog.excluded.setChecked(True)
    send(qtbot, dialog)
    qtbot.waitUntil(lambda: texts(page) == ["Excluded from means and sums: The main fuse blew"])
    (note,) = stored(deployed)
    assert (note.kind, note.excluded, note.revision) == (NoteKind.OUTAGE, True, 2)

    page.action("delete").trigger()
    only(page, ConfirmDialog).act.click()
    qtbot.waitUntil(lambda: not stored(deployed) and page.notice() is not None)


def test_only_notes_are_changed_and_only_by_who_may(
    qtbot: QtBot, view: MainView, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(deployed, NoteKind.EXPERIMENT, NIGHT, "Heater", excluded=True)
    equipped.find(deployed.owner, deployed.houses[0], "edge_offline", since_ms=NOW_MS - HOUR_MS)
    page = shown(qtbot, view, deployed)
    assert texts(page) == ["The edge is offline", "Excluded from means and sums: Heater"]
    page.table.selectRow(0)
    assert not page.action("edit").isEnabled()
    page.table.selectRow(1)
    assert page.action("edit").isEnabled()
    permissions = {"view_dashboards", "manage_devices"}
    monkeypatch.setattr(Session, "may", lambda _session, permission: permission in permissions)
    page.show_actions()
    assert not page.action("edit").isEnabled()
    assert page.action("add").isEnabled()
    permissions.remove("manage_devices")
    page.show_actions()
    assert not page.action("add").isVisible()


def test_the_chosen_part_of_a_reports_chart_becomes_a_note(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    equipped.find(
        deployed.owner, deployed.houses[0], "device_down", device="egauge", since_ms=NOW_MS - 4 * HOUR_MS
    )
    fields = balanced(NOW_MS - 24 * HOUR_MS, NOW_MS, SLOT_MS)
    measured(deployed.owner, deployed.houses[0], fields)
    page = opened_report(qtbot, view, "load")
    assert page.marks_button.text() == "1 finding in this period"
    before = page.report.figure("energy") if page.report else None
    page.chart.setFocus()
    for _ in range(4):
        QTest.keyClick(page.chart, Qt.Key.Key_Left)
    for _ in range(24):
        QTest.keyClick(page.chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(page.chart, Qt.Key.Key_N)
    dialog = only(page, NoteDialog)
    dialog.text.setText("Oven at full power")
    dialog.excluded.setChecked(True)
    send(qtbot, dialog)
    (note,) = stored(deployed)
    assert note.to_ms - note.from_ms in (24 * SLOT_MS, 25 * SLOT_MS)
    qtbot.waitUntil(lambda: page.report is not None and page.report.excluded_slots > 0)
    assert page.marks_button.text() == "1 finding, 1 note in this period, 2\u00a0h excluded"
    assert page.report is not None
    assert before is not None
    assert page.report.figure("energy").why.covered == before.why.covered - page.report.excluded_slots
    save_pictures(view, "report_marks", appearance)
    page.marks_button.click()
    events = view.page("events")
    assert isinstance(events, EventsPage)
    read(qtbot, events)
    assert len(events.table.rows()) == 2


def marked(view: MainView) -> tuple[TimeChart, list[TimeMark]]:
    """A chart of Home with a note from 10 to 7 hours ago, in a finding that holds since 12 hours."""
    chart = view.page("home").findChildren(TimeChart)[0]
    note = TimeMark(MarkKind.NOTE, 7, "Experiment: Heater", *NIGHT, excluded=True, who="ann@example.org")
    finding = TimeMark(
        MarkKind.FINDING, 3, "egauge is down", NOW_MS - 12 * HOUR_MS, None, "egauge", Severity.CRITICAL
    )
    chart.set_marks([finding, note])
    let_draw()
    return chart, [finding, note]


def test_a_chart_names_its_marks_and_opens_them(qtbot: QtBot, view: MainView, deployed: Deployment) -> None:
    view.start(deployed.houses[0].house_id)
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    chart, (finding, note) = marked(view)
    opened: list[TimeMark] = []
    chart.mark_opened.connect(opened.append)
    inside = chart.point_at(NOW_MS - 8 * HOUR_MS)
    hover(chart, inside)
    assert "Note Experiment: Heater (excluded); Finding egauge is down" in chart.text()
    QTest.keyClick(chart, Qt.Key.Key_Return)
    assert opened == [note]
    hover(chart, chart.point_at(NOW_MS - 13 * HOUR_MS))
    assert "egauge is down" not in chart.text()
    at = chart.point_at(NOW_MS - 11 * HOUR_MS)
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=QPoint(round(at.x()), round(at.y())))
    assert opened == [note]  # not at its bar
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=QPoint(round(at.x()), 10))
    assert opened == [note, finding]


def test_a_mark_of_home_is_chosen_on_the_page_events(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    write(deployed, NoteKind.OTHER, (NOW_MS - HOUR_MS, NOW_MS), "Guests")
    number = write(deployed, NoteKind.EXPERIMENT, NIGHT, "Heater")
    view.start(deployed.houses[0].house_id)
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    chart, _ = marked(view)
    chart.mark_opened.emit(TimeMark(MarkKind.NOTE, number, "Experiment: Heater", *NIGHT))
    page = view.page("events")
    assert isinstance(page, EventsPage)
    read(qtbot, page)
    qtbot.waitUntil(lambda: [line.id_ for line in page.table.chosen()] == [(Note, number)])
