"""The Audit page: filtered, with what changed, exported whole."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QTableView

from sgmp_console.fleet import devices, houses
from sgmp_console.ui.pages.audit.page import AuditPage
from sgmp_console.ui.theme import Appearance
from tests.e2e.test_sign_in import locally
from tests.e2e.window import Window
from tests.e2e.world import World
from tests.fleet.configs import POWERFLEX
from tests.ui.conftest import save_picture

SECRET = POWERFLEX["password"]


@pytest.fixture
def opened(world: World) -> tuple[Window, AuditPage]:
    """Two houses, a device whose password was changed, and the page."""
    maple = houses.create(world.owner, "Maple House", time_zone="America/Los_Angeles")
    harbor = houses.create(world.owner, "=HYPERLINK(1)", time_zone="Europe/Berlin")
    houses.update(world.owner, replace(harbor, description="By the water"))
    made = devices.create(world.owner, maple.house_id, "charger", "powerflex", POWERFLEX)
    changed = {**POWERFLEX, "password": "another-" + SECRET, "acs_id": "77"}
    devices.update(world.owner, replace(made, config=changed))
    window = world.console()
    window.sign_in(world.admin)
    page = window.open_page("audit")
    assert isinstance(page, AuditPage)
    window.wait(lambda: bool(page.table.rows()), "entries")
    return window, page


def whats(page: AuditPage) -> list[str]:
    return [entry.subject for entry in page.table.rows()]


@locally
def test_the_newest_stands_first_with_before_and_after_and_no_secret(
    world: World, opened: tuple[Window, AuditPage], appearance: Appearance
) -> None:
    window, page = opened
    window.choose("Kind", "Device", page)
    window.wait(lambda: whats(page) == ["charger", "charger"], "the device's entries")
    assert [entry.act for entry in page.table.rows()] == ["change", "create"]
    page.table.selectRow(0)
    window.wait(page.details.isVisible, "what it changed")

    def text(row: int, column: int) -> str:
        cell = page.details.item(row, column)
        assert cell is not None
        return cell.text()

    cells = {text(row, 0): (text(row, 1), text(row, 2)) for row in range(page.details.rowCount())}
    assert cells["config.acs_id"] == (POWERFLEX["acs_id"], "77")
    assert cells["config.password"] == ("***", "***")
    assert SECRET not in window.words()
    save_picture(window.console, "audit_details")
    appearance.choose("dark")
    save_picture(window.console, "audit_details")


@locally
def test_it_is_filtered_by_who_what_house_and_time(world: World, opened: tuple[Window, AuditPage]) -> None:
    window, page = opened
    save_picture(window.console, "audit")
    window.type_into("Search audit entries", "maple", page)
    window.wait(lambda: set(whats(page)) == {"Maple House"}, "what was searched")
    window.type_into("Search audit entries", "", page)
    window.type_into("Search by account", world.admin.email, page)
    window.wait(lambda: {entry.actor for entry in page.table.rows()} == {world.admin.email}, "who")
    window.type_into("Search by account", "", page)
    window.choose("House", "Maple House", page)
    window.wait(lambda: set(whats(page)) == {"Maple House", "charger"}, "the house")
    window.choose("Act", "Deleted", page)
    window.wait_for("No entry matches", page)
    save_picture(window.console, "audit_empty")
    window.choose("Act", "All acts", page)
    window.choose("Time", "Between", page)
    window.wait(lambda: "charger" in whats(page) or bool(page.table.rows()), "the time")
    save_picture(window.console, "audit_between")


@locally
def test_all_that_matches_is_exported_and_runs_nothing_in_a_spreadsheet(
    world: World, opened: tuple[Window, AuditPage], tmp_path: Path
) -> None:
    window, page = opened
    file = tmp_path / "audit.csv"
    page.export_to(file)
    window.wait_for("entries written to", page)
    with file.open(encoding="utf-8-sig", newline="") as opened_file:
        rows = list(csv.DictReader(opened_file))
    assert len(rows) == len(page.table.rows())
    assert "'=HYPERLINK(1)" in {row["subject"] for row in rows}
    assert SECRET not in file.read_text("utf-8-sig")
    assert not file.with_name("audit.csv.part").exists()


@locally
def test_a_file_that_can_not_be_written_is_reported(
    world: World, opened: tuple[Window, AuditPage], tmp_path: Path
) -> None:
    window, page = opened
    page.export_to(tmp_path / "nowhere" / "audit.csv")
    window.wait_for("can't be written", page)


@locally
def test_what_is_searched_is_readable_in_a_small_window(
    world: World, opened: tuple[Window, AuditPage]
) -> None:
    window, page = opened
    window.console.resize(1024, 650)
    window.wait(lambda: window.field("Search by account", page).width() >= 128, "room for a name")
    window.wait(lambda: window.console.width() == 1024, "the window as small as it was made")


@locally
def test_what_happened_meanwhile_is_there_when_the_page_is_shown_again(
    world: World, opened: tuple[Window, AuditPage]
) -> None:
    window, page = opened
    window.open_page("home")
    houses.create(world.owner, "Willow House", time_zone="UTC")
    window.open_page("audit")
    window.wait(lambda: "Willow House" in whats(page), "the new entry")


@locally
def test_more_comes_as_one_scrolls(world: World, opened: tuple[Window, AuditPage]) -> None:
    window, page = opened
    for number in range(450):
        houses.create(world.owner, f"House {number:03}", time_zone="UTC")
    page.reload()
    window.wait(lambda: len(page.table.rows()) == 200, "the first page")
    table = page.table
    assert isinstance(table, QTableView)

    def scrolled_to_the_end() -> bool:
        table.verticalScrollBar().setValue(table.verticalScrollBar().maximum())
        return len(page.table.rows()) > 450

    window.wait(scrolled_to_the_end, "the last page")
    assert len({entry.entry_id for entry in page.table.rows()}) == len(page.table.rows())
