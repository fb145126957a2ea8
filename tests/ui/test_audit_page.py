"""The Audit page: read by pages, narrowed in the database, an entry opened with what it changed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import devices, houses
from sgmp_console.ui.pages.audit.page import AuditPage
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.fleet.configs import EGAUGE
from tests.ui.conftest import Deployment, save_picture


def shown(qtbot: QtBot, view: MainView, deployed: Deployment) -> AuditPage:
    view.start(deployed.houses[0].house_id)
    view.show_page("audit")
    page = view.page("audit")
    assert isinstance(page, AuditPage)
    qtbot.waitUntil(lambda: page.found is not None and not page.busy())
    return page


def many(deployed: Deployment, number: int) -> None:
    """Write entries, the subjects numbered."""
    with deployed.owner.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO sgmp.audit (actor, act, kind, subject, before, after)"
                " SELECT 'owner', 'change', 'device', 'meter ' || n, '{}', '{}' FROM generate_series(1, :number) n"
            ),
            {"number": number},
        )


def choose(page: AuditPage, name: str, words: str) -> None:
    (combo,) = (one for one in page.findChildren(QComboBox) if one.accessibleName() == name)
    combo.setCurrentIndex(combo.findText(words))


def subjects(page: AuditPage) -> list[str]:
    return [entry.subject for entry in page.table.rows()]


def test_more_is_read_as_one_scrolls_until_all_is_there(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    many(deployed, 450)
    page = shown(qtbot, view, deployed)
    assert len(page.table.rows()) == 200
    assert "scroll for more" in page.count.text()
    bar = page.table.verticalScrollBar()

    def scrolled() -> bool:
        bar.setValue(bar.maximum())
        return "scroll for more" not in page.count.text()

    qtbot.waitUntil(scrolled)
    ids = [entry.entry_id for entry in page.table.rows()]
    assert len(ids) == len(set(ids)) > 450
    assert ids == sorted(ids, reverse=True)


def test_what_is_searched_is_found_beyond_what_was_read(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    many(deployed, 450)
    page = shown(qtbot, view, deployed)
    page.search.setText("meter 17")
    qtbot.waitUntil(lambda: subjects(page)[-1:] == ["meter 17"])
    assert set(subjects(page)) == {"meter 17", *(f"meter {number}" for number in range(170, 180))}


def test_where_nothing_matches_the_filter_can_be_changed(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    page = shown(qtbot, view, deployed)
    choose(page, "Act", "Deleted")
    qtbot.waitUntil(lambda: not page.table.rows())
    assert page.search.isVisible()
    assert not page.action("export").isEnabled()
    choose(page, "Act", "All acts")
    qtbot.waitUntil(lambda: bool(page.table.rows()))


def test_a_chosen_entry_opens_with_what_it_changed(
    qtbot: QtBot, view: MainView, deployed: Deployment, appearance: Appearance
) -> None:
    house_id = deployed.houses[0].house_id
    device = devices.create(deployed.owner, house_id, "meter", "egauge", EGAUGE)
    devices.delete(deployed.owner, house_id, [device.device_id])
    page = shown(qtbot, view, deployed)
    page.table.selectRow(0)
    qtbot.waitUntil(page.details.isVisible)
    changed = [page.details.model().index(row, 0).data() for row in range(page.details.rowCount())]
    assert "config.ip" in changed
    save_picture(view, "audit_entry")
    appearance.choose("dark")
    save_picture(view, "audit_entry")


def test_what_is_long_is_read_when_its_entry_is_opened(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    house = deployed.houses[1]
    long = "By the water. " * 40
    houses.create(deployed.owner, "Long House", description=long, time_zone=house.time_zone)
    with deployed.owner.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO sgmp.audit (actor, act, kind, subject, before, after) VALUES ('owner', 'change', 'device',"
                " 'long', '{}', jsonb_build_object('description', repeat('x', 300), 'more',"
                " (SELECT jsonb_object_agg(n, repeat('y', 200)) FROM generate_series(1, 60) n)))"
            )
        )
    page = shown(qtbot, view, deployed)
    assert not page.table.rows()[0].whole
    page.table.selectRow(0)
    qtbot.waitUntil(lambda: page.details.rowCount() > 60)


@pytest.mark.parametrize("rows", [0, 5])
def test_the_export_is_offered_where_there_is_something(
    qtbot: QtBot, view: MainView, deployed: Deployment, rows: int
) -> None:
    many(deployed, rows)
    page = shown(qtbot, view, deployed)
    page.search.setText("meter")
    qtbot.waitUntil(lambda: len(page.table.rows()) == rows)
    assert page.action("export").isEnabled() == bool(rows)
