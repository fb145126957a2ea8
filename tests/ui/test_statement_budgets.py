"""Lists and dialogs send a fixed number of statements whatever the number of rows, and none while nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot

from sgmp_console import store
from sgmp_console.fleet import accounts, analytics, devices, houses, roles
from sgmp_console.store import Batch, Database, EventRow, OperatorRule, findings
from sgmp_console.store.findings import Channel, Once
from sgmp_console.store.notes import NoteKind
from sgmp_console.store.quarantine import Rejected
from sgmp_console.ui.pages.devices.page import DevicesPage
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.pages import PAGES
from tests.fleet.configs import EGAUGE
from tests.statements import counting
from tests.ui.conftest import EMAIL, Deployment
from tests.ui.snapshots import NOW_MS

DIALOGS = {
    "devices": ("create", "edit", "duplicate", "delete", "import"),
    "analytics": ("create", "edit", "duplicate", "delete"),
    "fleet": ("synchronize",),
    "houses": ("create", "edit", "delete", "synchronize", "renew", "wiring", "checklist"),
    "accounts": ("create", "edit", "reset", "disable", "delete", "import"),
    "roles": ("create", "edit", "copy", "delete"),
    "rules": ("create", "edit", "duplicate", "delete"),
    "maintenance": ("add", "remove"),
    "notifications": ("add", "remove"),
    "audit": (),
    "events": ("add", "edit", "delete"),
    "quarantine": ("discard",),
}
"""By list, the acts that open a dialog of ours."""

MOST = 10
"""Statements until a dialog shows what it read."""

AT_ONCE = {
    "devices": ("export", "open"),
    "analytics": ("required",),
    "fleet": ("sort", "open", "edge", "maintenance"),  # the last reads what maintenance can be of first
    "houses": ("revoke",),  # looks for other valid credentials first
    "accounts": ("export", "enable"),
    "roles": (),
    "rules": ("enable", "disable"),
    "maintenance": (),
    "notifications": ("test",),
    "audit": ("export",),
    "events": (),
    "quarantine": ("save", "replay"),
}
"""The acts that begin at once, or ask for a file first."""


def add(page_id: str, owner: Database, house_id: int, numbers: range) -> None:
    for number in numbers:
        match page_id:
            case "devices":
                devices.create(owner, house_id, f"meter_{number}", "egauge", EGAUGE)
            case "analytics":
                analytics.create(owner, house_id, f"item_{number}", "meter.A.Load")
            case "houses" | "fleet":
                houses.create(owner, f"House {number}", time_zone="UTC")
            case "accounts":
                email = f"person{number}@example.org"
                accounts.create(owner, email=email, name="Somebody", role="visitor", house_id=house_id)
            case "roles":
                roles.create(owner, f"role_{number}", permissions=["view_devices"])
            case "audit":
                houses.create(owner, f"House {number}", time_zone="UTC")
            case "events":
                with owner.begin() as connection:
                    row = EventRow(house_id, 0, "_edge", NOW_MS - number, "NOTE", {"n": number})
                    if number:
                        store.readings.write(connection, Batch(events=[row]))
                    else:
                        store.notes.add(connection, house_id, NoteKind.OTHER, NOW_MS - 1000, NOW_MS)
            case "quarantine":
                with owner.begin() as connection:
                    messages = [Rejected(NOW_MS, f"topic/{n}", b"{", "No JSON", house_id) for n in numbers]
                    store.quarantine.store(connection, messages)
            case "rules":
                formula = "meter.A.Load" if number % 2 else "events.::EV_END_CHARGING.energy"
                rule = OperatorRule(f"rule {number}", formula, above=True, threshold=1, house_id=house_id)
                with owner.begin() as connection:
                    store.rules.create(connection, rule)
            case "maintenance":
                with owner.begin() as connection:
                    findings.add_window(connection, Once(number * 1000, number * 1000 + 1), house_id=house_id)
            case "notifications":
                with owner.begin() as connection:
                    findings.add_recipient(
                        connection, Channel.MAIL, f"person{number}@example.org", house_id=house_id
                    )


def shown(qtbot: QtBot, view: MainView, page_id: str) -> ListPage[Any, Any]:
    view.show_page(page_id)
    page = view.page(page_id)
    assert isinstance(page, ListPage)
    qtbot.waitUntil(lambda: page.found is not None and not page.busy())
    return page


def least(measure: Callable[[], int], times: int, bound: int) -> int:
    """Of so many times, since the window around it reads now and then, too; of fewer where one needs `bound` or less."""
    found = measure()
    for _ in range(times - 1):
        if found > bound:
            found = min(found, measure())
    return found


def cost(page: ListPage[Any, Any]) -> int:
    """The statements of one read. The window around it reads on other threads."""
    with counting(of_all_threads=False) as sent:
        page.reader()()
    return len(sent)


def dialogs_of(page: ListPage[Any, Any]) -> list[QDialog]:
    return [dialog for dialog in page.findChildren(QDialog) if dialog.isVisible()]


def opening_cost(
    qtbot: QtBot, page: ListPage[Any, Any], tasks: Tasks, action: str, times: int = 3, bound: int = 0
) -> int:
    """The statements until the dialog that `action` opens has read what it shows."""

    def opened() -> int:
        qtbot.waitUntil(lambda: not page.busy())
        page.table.selectRow(row_for(page, action))
        before = len(tasks._running)
        with counting() as sent:
            page.action(action).trigger()
            (dialog,) = dialogs_of(page)
            qtbot.waitUntil(lambda: len(tasks._running) <= before)
        dialog.reject()
        dialog.deleteLater()
        qtbot.waitUntil(lambda: not dialogs_of(page))
        return len(sent)

    return least(opened, times, bound)


def row_for(page: ListPage[Any, Any], action: str) -> int:
    """A row that the act is for: not the account that is signed in, not a role that is in use."""
    for row in range(page.table.model().rowCount()):
        page.table.selectRow(row)
        name = page.table.model().index(row, 0).data()
        if page.action(action).isEnabled() and name not in (EMAIL, "admin"):
            return row
    return 0


def test_each_list_of_the_window_is_counted_here(view: MainView, deployed: Deployment) -> None:
    view.start(deployed.houses[0].house_id)
    lists = set()
    for page in PAGES:
        view.show_page(page.id_)
        if isinstance(view.page(page.id_), ListPage):
            lists.add(page.id_)
    assert lists == DIALOGS.keys()


def test_each_act_of_a_list_is_either_counted_here_or_reads_nothing_first(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    view.start(deployed.houses[0].house_id)
    for page_id, dialogs in DIALOGS.items():
        page = shown(qtbot, view, page_id)
        named = [page.action(id_) for id_ in (*dialogs, *AT_ONCE[page_id])]
        assert {action.text() for action in page.actions()} == {action.text() for action in named}, page_id


@pytest.mark.parametrize("page_id", DIALOGS)
def test_a_list_of_thirty_and_its_dialogs_cost_what_they_do_with_three(
    qtbot: QtBot, view: MainView, deployed: Deployment, tasks: Tasks, page_id: str
) -> None:
    house_id = deployed.houses[0].house_id
    devices.create(deployed.owner, house_id, "meter", "egauge", EGAUGE)
    add(page_id, deployed.owner, house_id, range(3))
    view.start(house_id)
    page = shown(qtbot, view, page_id)

    list_of_few, rows = cost(page), len(page.table.rows())
    few = {action: opening_cost(qtbot, page, tasks, action) for action in DIALOGS[page_id]}
    add(page_id, deployed.owner, house_id, range(3, 30))
    page.reload()
    qtbot.waitUntil(lambda: len(page.table.rows()) == rows + 27)
    assert cost(page) == list_of_few
    many = {  # on a busy machine an opening takes so long that the window reads during several of them
        action: opening_cost(qtbot, page, tasks, action, times=10, bound=min(cost_of_few, MOST))
        for action, cost_of_few in few.items()
    }
    assert all(many[action] <= min(few[action], MOST) for action in few), (few, many)


def test_nothing_is_read_while_nothing_is_heard_of(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    house_id = deployed.houses[0].house_id
    add("devices", deployed.owner, house_id, range(3))
    view.start(house_id)
    page = shown(qtbot, view, "devices")
    assert isinstance(page, DevicesPage)
    page.grow_older()
    qtbot.waitUntil(lambda: not page.busy())
    for _ in range(3):
        page.grow_older()
    assert not page.busy()
    view.live.heard.emit(deployed.houses[1].house_id)
    page.grow_older()
    assert not page.busy()
    view.live.heard.emit(house_id)
    page.grow_older()
    assert page.busy()
    qtbot.waitUntil(lambda: not page.busy())
