"""Home: what it says of a house, in every state that a house can be in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.errors import UserError
from sgmp_console.fleet import accounts as fleet_accounts
from sgmp_console.fleet import devices
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.reports.balance import Totals
from sgmp_console.reports.home import POWER_ITEMS, HomeSnapshot, Latest
from sgmp_console.store import DatabaseUnavailable, accounts
from sgmp_console.ui.pages.home.flow import flows
from sgmp_console.ui.pages.home.page import HomePage
from sgmp_console.ui.parts.empty_state import Details, EmptyState, Skeleton
from sgmp_console.ui.parts.labels import ElidedLabel, ValueLabel
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.tasks import POOLS, Tasks
from sgmp_console.ui.window.frame.main_view import MainView
from tests.fleet.configs import SONNEN
from tests.ui import snapshots
from tests.ui.conftest import Deployment, let_draw
from tests.ui.finding import hover, is_loading, leave, let_time_pass, only, press_in_notice, running_timers
from tests.ui.readers import ChosenReader, Clock


def home(view: MainView) -> HomePage:
    page = view.page("home")
    assert isinstance(page, HomePage)
    return page


def texts(widget: QWidget) -> str:
    """All words that can be seen in a widget."""
    labels = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    buttons = [button.text() for button in widget.findChildren(QPushButton) if button.isVisible()]
    return "\n".join([*labels, *buttons]).replace("\u00a0", " ")


def press(widget: QWidget, text: str) -> None:
    """Click the button with this text."""
    found = next(button for button in widget.findChildren(QPushButton) if plain(button.text()) == text)
    QTest.mouseClick(found, Qt.MouseButton.LeftButton)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.fixture
def show(
    qtbot: QtBot, view: MainView, reader: ChosenReader
) -> Callable[[HomeSnapshot | Exception], HomePage]:
    """Start the view on a house that is so, and wait until Home says anything about it."""

    def started(answer: HomeSnapshot | Exception) -> HomePage:
        reader.answer = answer
        view.start()
        qtbot.waitUntil(lambda: not is_loading(home(view)))
        return home(view)

    return started


Show = Callable[[HomeSnapshot | Exception], HomePage]


def test_tiles_say_value_unit_and_age(show: Show) -> None:
    page = show(snapshots.snapshot())
    assert [plain(tile.value_text()) for tile in page.tiles] == ["4.89 kW", "0.00 kW", "3.60 kW", "0.66 kW"]
    assert [plain(tile.age_text()) for tile in page.tiles] == ["3 s ago"] * 4


def test_the_battery_tile_tells_the_charge_and_that_it_is_charging(show: Show) -> None:
    battery = show(snapshots.snapshot()).tiles[1]
    names = [child.accessibleName() for child in battery.findChildren(QWidget)]
    assert "State of charge 97 %" in [plain(name) for name in names]
    assert "charging 3.30 kW" in texts(battery)


def test_the_ev_tile_counts_the_sessions_of_the_day(show: Show) -> None:
    assert "2 sessions today" in texts(show(snapshots.snapshot()).tiles[2])


def test_values_grow_older_and_go_when_they_are_stale(show: Show, clock: Clock) -> None:
    page = show(snapshots.snapshot())
    clock.now_ms += 30_000
    let_time_pass(page)
    assert plain(page.tiles[0].age_text()) == "33 s ago"
    assert plain(page.tiles[0].value_text()) == "4.89 kW"
    clock.now_ms += 600_000
    let_time_pass(page)
    assert [tile.value_text() for tile in page.tiles] == ["–"] * 4
    assert plain(page.tiles[0].age_text()) == "no value for 10 min"
    assert all(flow.power is None for flow in flows(snapshots.snapshot(), clock.now_ms).values())


def test_the_heartbeat_runs_only_while_home_is_visible(show: Show, view: MainView) -> None:
    page = show(snapshots.snapshot())
    assert running_timers(page)
    view.hide()
    assert not running_timers(page)


def test_power_flows_where_it_flows() -> None:
    now = snapshots.snapshot()
    found = flows(now, now.now_ms)
    assert found["solar"].power == pytest.approx(4.89, abs=0.01)
    assert found["grid"].words == "Importing"
    assert found["grid"].power == pytest.approx(2.67, abs=0.01)
    assert found["battery"].words == "Charging"
    assert found["battery"].power == pytest.approx(-3.30, abs=0.01)
    assert found["ev"].words == "Charging"
    assert found["ev"].power == pytest.approx(-3.60, abs=0.01)


def test_what_is_exported_and_discharged_has_its_own_words() -> None:
    now = snapshots.snapshot()
    turned = dict(now.curves)
    for item, value in (
        ("grid_import", 0.0),
        ("grid_export", 1.5),
        ("battery_charging", 0.0),
        ("battery_discharging", 2.0),
    ):
        turned[item] = replace(turned[item], latest=Latest(now.now_ms, value))
    found = flows(replace(now, curves=turned), now.now_ms)
    assert (found["grid"].words, found["grid"].power) == ("Exporting", -1.5)
    assert (found["battery"].words, found["battery"].power) == ("Discharging", 2.0)


def test_energy_today_says_what_was_used_and_from_where_and_what_came_in_and_left(show: Show) -> None:
    card = show(snapshots.snapshot()).energy
    said = texts(card)
    for part in ("Solar\n12.00\n54 %", "Battery\n3.18\n15 %", "Grid\n6.67\n30 %", "Unknown\n0.30\n1 %"):
        assert part in said
    for part in ("Imported\n6.67", "Stored\n6.50", "Exported\n3.20", "Solar in\n21.70", "00:00 to 14:00"):
        assert part in said
    assert "22.15 kWh" in plain(card.accessibleDescription())


def test_energy_today_says_what_it_leaves_out_and_what_does_not_add_up(show: Show) -> None:
    full = snapshots.snapshot()
    page = show(replace(full, energy_today=replace(full.energy_today, absent=("ev",))))
    said = texts(page.energy)
    assert "Incomplete: ev charging not measured here." in said
    assert "2 h not attributed, without battery charging." in said
    assert "Residual 0.30 kWh: does not add up." in said


def test_what_can_not_be_checked_is_not_said_not_to_add_up(show: Show) -> None:
    full = snapshots.snapshot()
    page = show(replace(full, energy_today=replace(full.energy_today, absent=("solar",))))
    assert "does not add up" not in texts(page.energy)


def test_energy_that_is_not_known_is_a_dash_not_zero(show: Show) -> None:
    full = snapshots.snapshot()
    page = show(replace(full, energy_today=replace(full.energy_today, totals=Totals(slots=168))))
    said = texts(page.energy)
    assert "0.00" not in said
    assert "14 h not attributed" in said


def test_active_findings_are_shown_and_counted_resolved_ones_are_folded_with_how_long_they_lasted(
    show: Show,
) -> None:
    card = show(snapshots.snapshot()).findings
    said = texts(card)
    assert "2 active" in said
    assert "powerflex is down: sign-in refused: check username and password\nsince 11:33, 2 h 30 min" in said
    assert "egauge: register A.SubPanel jumped further than can be\nsince 12:39" in said
    assert "acknowledged by ann@example.org · after the visit" in said
    assert "no answer within 3 s" not in said
    press(card, "Show 1 resolved today")
    assert "sonnen is down: no answer within 3 s\n03:29 to 05:26, 1 h 56 min" in texts(card)
    press(card, "Hide 1 resolved today")
    assert "no answer within 3 s" not in texts(card)


def test_a_quiet_day_says_so(show: Show) -> None:
    assert "Nothing is wrong" in texts(show(replace(snapshots.snapshot(), findings=())).findings)


@pytest.mark.parametrize(
    ("presence", "title"),
    [
        (Presence.OFFLINE, "The edge is offline"),
        (Presence.SILENT, "The edge is silent"),
        (Presence.STOPPED, "The edge was stopped"),
    ],
)
def test_while_the_edge_is_away_nothing_is_said_to_be_well_before_it_is_a_finding(
    show: Show, presence: Presence, title: str
) -> None:
    away = EdgeStanding(presence, snapshots.NOW_MS - 90_000)
    said = texts(show(replace(snapshots.snapshot(), findings=(), edge=away)).findings)
    assert title in said
    assert "1 min ago" in said
    assert "Nothing is wrong" not in said


@pytest.mark.parametrize(
    ("watched_ms", "words"),
    [(None, "no watch has ever run"), (snapshots.NOW_MS - 180_000, "the watch last looked 3 min ago")],
)
def test_without_a_watch_nothing_is_said_to_be_well(show: Show, watched_ms: int | None, words: str) -> None:
    said = texts(show(replace(snapshots.snapshot(), findings=(), watched_ms=watched_ms)).findings)
    assert words in said
    assert "Nothing is wrong" not in said


def test_a_house_that_is_not_heard_is_not_said_to_be_well(show: Show) -> None:
    said = texts(show(replace(snapshots.stale(), findings=())).findings)
    assert "Nothing is heard from this house\nThe newest reading came 25 min ago." in said
    assert "Nothing is wrong" not in said


def test_a_house_that_never_delivered_has_no_green_tick_either(show: Show) -> None:
    full = snapshots.snapshot()
    never = tuple(replace(device, newest_ms=None) for device in full.devices)
    said = texts(show(replace(full, devices=never, findings=(), edge=None)).findings)
    assert "No device of this house has delivered a reading yet." in said


def test_the_crosshair_lists_all_values_at_the_local_time(qtbot: QtBot, show: Show) -> None:
    chart = show(snapshots.snapshot()).power_chart
    qtbot.waitUntil(lambda: chart.point_at(snapshots.NOW_MS).x() > 100)
    where = chart.point_at(snapshots.NOW_MS - 20 * 3_600_000)
    hover(chart, where)
    said = plain(chart.text())
    assert said.startswith("Tue 13 May 18:0")
    for quantity in ("Solar", "Load", "Charging", "Discharging", "EV", "Import", "Export"):
        assert quantity in said
    leave(chart)
    assert chart.text() == ""


def test_in_a_gap_the_crosshair_has_dashes(qtbot: QtBot, show: Show) -> None:
    chart = show(snapshots.snapshot()).power_chart
    qtbot.waitUntil(lambda: chart.point_at(snapshots.NOW_MS).x() > 100)
    hover(chart, chart.point_at(snapshots.NOW_MS - 34_500_000))
    assert chart.text().count("–") == len(POWER_ITEMS)


def test_the_crosshair_moves_by_keyboard(qtbot: QtBot, show: Show) -> None:
    chart = show(snapshots.snapshot()).power_chart
    chart.setFocus()
    QTest.keyClick(chart, Qt.Key.Key_Left)
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.text().startswith("13:58")
    QTest.keyClick(chart, Qt.Key.Key_Right)
    assert chart.text().startswith("14:03")
    QTest.keyClick(chart, Qt.Key.Key_Escape)
    assert chart.text() == ""


def test_a_legend_entry_hides_its_area(qtbot: QtBot, show: Show) -> None:
    page = show(snapshots.snapshot())
    chart = page.power_chart
    qtbot.waitUntil(lambda: chart.drawn("solar"))
    entry = next(row for row in page.legend.findChildren(QAbstractButton) if "Solar" in row.accessibleName())
    assert plain(entry.accessibleName()) == "Solar power, 4.89 kW"
    QTest.mouseClick(entry, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not chart.drawn("solar"))
    QTest.keyClick(entry, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: chart.drawn("solar"))


def test_what_changes_is_drawn_only_while_it_is_visible(qtbot: QtBot, show: Show, view: MainView) -> None:
    chart = show(snapshots.snapshot()).power_chart
    qtbot.waitUntil(lambda: chart.drawn("load"))
    view.hide()
    later = snapshots.snapshot(now_ms=snapshots.NOW_MS + 4000)
    without = {item: curve for item, curve in later.curves.items() if item != "load"}
    chart.set_curves(without, later.start_ms, later.end_ms)
    let_draw()
    assert chart.drawn("load")
    view.show()
    qtbot.waitUntil(lambda: not chart.drawn("load"))


def test_missing_items_are_named_and_can_be_created(show: Show) -> None:
    full = snapshots.snapshot()
    curves = {item: curve for item, curve in full.curves.items() if item != "ev"}
    page = show(replace(full, curves=curves, missing_items=("ev", "ev_event_count")))
    said = texts(page.missing_items)
    assert "This house is missing 2 required analytic items: ev, ev_event_count." in said
    assert "Create required items" in said
    assert page.tiles[2].age_text() == "not set up"


def test_an_item_that_cannot_be_evaluated_says_why(show: Show) -> None:
    full = snapshots.snapshot()
    problem = "`soc` refers to device `sonnen`, which this house doesn't have."
    broken = replace(full.curves["soc"], problem=problem, latest=None)
    page = show(replace(full, curves={**full.curves, "soc": broken}))
    assert problem in texts(page.missing_items)


def test_all_of_home_is_seen_in_a_window_of_1280x800(show: Show, view: MainView, qapp: QApplication) -> None:
    page = show(snapshots.snapshot())
    assert (view.width(), view.height()) == (1280, 800)
    qapp.processEvents()
    area = next(area for area in page.findChildren(ScrollArea) if area.isAncestorOf(page.flow))
    assert area.verticalScrollBar().maximum() == 0


def test_in_a_low_and_narrow_window_no_chart_is_squeezed(
    show: Show, view: MainView, qapp: QApplication
) -> None:
    page = show(snapshots.snapshot())
    view.resize(1024, 626)
    qapp.processEvents()
    assert page.power_chart.height() >= page.legend.minimumSizeHint().height()
    assert page.line_chart.height() >= 100


def test_a_house_with_all_items_has_no_message_bar(show: Show) -> None:
    assert not show(snapshots.snapshot()).missing_items.isVisible()


def test_a_house_without_devices_says_what_comes_next(show: Show) -> None:
    page = show(snapshots.empty(devices=False, missing=("solar",)))
    assert "This house has no devices yet" in texts(page)
    assert not page.findChildren(QPushButton, options=Qt.FindChildOption.FindDirectChildrenOnly)


def test_a_house_without_items_offers_to_make_them_all(show: Show, view: MainView) -> None:
    page = show(snapshots.empty(devices=True, missing=("solar", "load", "soc")))
    assert "This house is missing 3 required analytic items" in texts(page)
    assert "Missing: solar, load, soc." in texts(page)


def test_items_that_may_no_longer_be_created_say_so_and_can_be_tried_again(
    qtbot: QtBot, show: Show, deployed: Deployment, tasks: Tasks
) -> None:
    house = deployed.houses[0].house_id
    devices.create(deployed.owner, house, "sonnen", "sonnen", SONNEN)
    page = show(replace(snapshots.empty(devices=True, missing=("soc", "battery")), house_id=house))
    fleet_accounts.create(
        deployed.owner, email="second@lab.example", name="Second", role="admin", house_id=None
    )
    with deployed.owner.begin() as connection:
        (first,) = (one for one in accounts.list_all(connection) if one.email == deployed.email)
        accounts.update(connection, replace(first, role="visitor", house_id=house))
    press_in_notice(page, "create")
    qtbot.waitUntil(lambda: not tasks.shown())
    assert "The required items could not be created: " in texts(page)
    assert only(page, EmptyState).buttons()["create"].isEnabled()


def test_the_items_are_created_once_until_that_is_cancelled(
    qtbot: QtBot, show: Show, reader: ChosenReader, view: MainView, tasks: Tasks
) -> None:
    free = threading.Event()
    for _ in range(POOLS["act"]):
        tasks.run(view, free.wait, lambda _waited: None, lambda _error: None, pool="act")
    missing = snapshots.empty(devices=True, missing=("solar", "load", "soc"))
    page = show(missing)
    press_in_notice(page, "create")
    page.show_snapshot(missing)
    assert not only(page, EmptyState).buttons()["create"].isEnabled()
    (creating,) = tasks.shown()
    creating.cancel()
    free.set()
    qtbot.waitUntil(lambda: not tasks.shown())
    assert only(page, EmptyState).buttons()["create"].isEnabled()
    assert "could not" not in texts(page)


def test_a_failure_can_be_retried(qtbot: QtBot, show: Show, reader: ChosenReader) -> None:
    page = show(UserError("There is no such house. It may have been deleted."))
    assert "could not be loaded\nThere is no such house." in texts(page)
    reader.answer = snapshots.snapshot()
    press_in_notice(page, "retry")
    qtbot.waitUntil(page.is_content_shown)
    assert plain(page.tiles[0].value_text()) == "4.89 kW"


def test_what_came_while_another_page_was_on_screen_is_there_when_home_is_again(
    qtbot: QtBot, view: MainView
) -> None:
    view.start()
    view.show_page("events")
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    view.show_page("home")
    assert home(view).is_content_shown()
    assert plain(home(view).tiles[0].value_text()) == "4.89 kW"


def test_what_failed_while_another_page_was_on_screen_is_not_covered_by_older_values(
    qtbot: QtBot, view: MainView, reader: ChosenReader
) -> None:
    view.start()
    view.show_page("events")
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    reader.answer = UserError("There is no such house.")
    view.live.reload()
    qtbot.waitUntil(lambda: view.live.snapshot is None)
    view.show_page("home")
    assert "There is no such house." in texts(home(view))


def test_a_bug_shows_its_details_folded_and_reaches_the_hook(show: Show, bugs: list[BaseException]) -> None:
    page = show(ZeroDivisionError("in a report"))
    details = page.findChild(Details)
    assert details is not None
    assert "in a report" not in texts(page)
    assert "ZeroDivisionError: in a report" in details.text()
    assert [str(bug) for bug in bugs] == ["in a report"]


def test_loading_shows_the_shape_at_once_and_a_sentence_only_after_two_seconds(
    qtbot: QtBot, view: MainView, reader: ChosenReader
) -> None:
    reader.gate.clear()
    view.start()
    skeleton = only(home(view), Skeleton)
    assert skeleton.accessibleName() == ""
    (timer,) = running_timers(skeleton)
    assert timer.interval() == 2000
    timer.setInterval(0)
    qtbot.waitUntil(lambda: skeleton.accessibleName() == "Loading the last 24 hours of this house")
    reader.gate.set()
    qtbot.waitUntil(lambda: not is_loading(home(view)))


@pytest.mark.expected_warnings("house . is not read: The database is not available")
def test_a_database_that_never_answered_is_no_empty_house(qtbot: QtBot, show: Show, view: MainView) -> None:
    page = show(DatabaseUnavailable("connection refused"))
    assert "The dashboard of this house could not be loaded" in texts(page)
    assert view.banner.isVisible()


@pytest.mark.parametrize(
    ("place", "report"), [(0, "solar"), (1, "battery"), (2, "ev"), (3, "load"), (4, "energy")]
)
def test_a_tile_leads_to_its_report_by_click_and_by_enter(
    show: Show, view: MainView, place: int, report: str
) -> None:
    page = show(snapshots.snapshot())
    tile = (*page.tiles, page.energy)[place]
    shown = view.services.shown_period
    shown.choose_text("2024")
    if place % 2:
        tile.setFocus()
        QTest.keyClick(tile, Qt.Key.Key_Return)
    else:
        QTest.mouseClick(tile, Qt.MouseButton.LeftButton)
    assert view.page(report).isVisible()
    assert shown.period.title in ("Last 24 hours", "Wed 14 May 2025")


def test_the_title_of_the_battery_is_whole_where_the_drawn_charge_has_no_room(show: Show) -> None:
    battery = show(snapshots.snapshot()).tiles[1]
    battery.resize(247, 112)
    assert "Battery discharging" in texts(battery)


def test_titles_and_values_of_the_tiles_stand_on_the_same_lines(show: Show) -> None:
    page = show(snapshots.snapshot())
    for part in (ElidedLabel, ValueLabel):
        assert len({tile.findChildren(part)[0].y() for tile in page.tiles}) == 1
