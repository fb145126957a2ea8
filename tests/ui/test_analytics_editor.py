"""The editor of analytic items: says at once what a formula is, what it gives and what saving will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import analytics, devices
from sgmp_console.store import AnalyticItem
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.analytics.editor import ItemEditor
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE
from tests.statements import counting
from tests.ui import houses
from tests.ui.conftest import Deployment
from tests.ui.finding import is_settled, let_time_pass, running_timers

Edit = Callable[[AnalyticItem | None], ItemEditor]
MISALIGNED = "egauge.A.Load - sonnen.status.Pac_total_W/1000"


@pytest.fixture
def edit(qtbot: QtBot, view: MainView, deployed: Deployment) -> Edit:
    house = deployed.houses[0]
    houses.furnish(deployed.owner, house)

    def opened(item: AnalyticItem | None = None) -> ItemEditor:
        editor = ItemEditor(view.services, house, item, view)
        editor.open()
        qtbot.waitUntil(lambda: bool(editor.formula._candidates))
        settle(qtbot, editor)
        return editor

    return opened


@pytest.fixture
def make(deployed: Deployment) -> Callable[..., AnalyticItem]:
    def made(name: str, formula: str, *, aggregated: bool = False) -> AnalyticItem:
        return houses.make(deployed.owner, deployed.houses[0], name, formula, aggregated=aggregated)

    return made


Make = Callable[..., AnalyticItem]


def settle(qtbot: QtBot, editor: ItemEditor) -> None:
    qtbot.waitUntil(lambda: is_settled(editor))


def write(qtbot: QtBot, editor: ItemEditor, text: str) -> None:
    editor.formula.replace_all(text)
    settle(qtbot, editor)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def leave(editor: ItemEditor) -> None:
    editor.discard()


# --- While writing ---------------------------------------------------------------------------------------------------


def test_a_formula_in_order_shows_unit_values_and_drawing(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "sonnen.status.Pac_total_W/1000")
    assert editor.verdict.text() == "Valid; unit kW."
    assert editor.unit.placeholderText() == "kW"
    numbers = {name: plain(text) for name, text in editor.preview.numbers().items()}
    assert numbers["Highest"] == "2.40 kW"
    assert numbers["Coverage"] == "96 %"
    assert editor.rendered.box() is not None
    assert editor.formula.marks() == []
    leave(editor)


def test_a_misspelt_device_is_marked_and_the_right_one_named(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "1 + sonen.status.Pac_total_W")
    assert "no device `sonen` in this house; did you mean `sonnen`?" in editor.verdict.text()
    ((_, is_error),) = editor.formula.marks()
    assert is_error
    leave(editor)


def test_adding_kilowatts_and_volts_is_refused(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Solar + egauge.A.L1_Voltage")
    assert "kW" in editor.verdict.text()
    assert "V" in editor.verdict.text()
    assert editor.formula.marks()[0][1]
    leave(editor)


def test_a_field_not_seen_yet_is_only_a_warning(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Pool")
    ((_, is_error),) = editor.formula.marks()
    assert not is_error
    assert "has not delivered a field `A.Pool` yet" in editor.verdict.text()
    assert editor.preview.note() == "egauge.A.Pool has no values in the last 24 hours."
    leave(editor)


def test_an_equal_item_is_named(qtbot: QtBot, edit: Edit, make: Make) -> None:
    make("battery", "sonnen.status.Pac_total_W/1000")
    editor = edit(None)
    write(qtbot, editor, "0.001*sonnen.status.Pac_total_W")
    assert "This equals analytics.battery." in editor.verdict.text()
    leave(editor)


def test_an_item_that_would_refer_to_itself_is_refused(qtbot: QtBot, edit: Edit, make: Make) -> None:
    item = make("a", "egauge.A.Load")
    make("b", "analytics.a*2")
    make("c", "analytics.b")
    editor = edit(item)
    write(qtbot, editor, "analytics.c")
    assert "in a circle: a → c → b → a" in editor.verdict.text()
    leave(editor)


def test_series_that_hardly_meet_are_reported_and_wrapped_with_one_click(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, MISALIGNED)
    assert "share 0 % of their timestamps" in plain(editor.preview.strip().text())
    assert editor.preview.numbers()["Mean"] == "–"
    QTest.mouseClick(editor.preview.strip().buttons()["avg"], Qt.MouseButton.LeftButton)
    settle(qtbot, editor)
    assert editor.formula.toPlainText() == (
        "avg(egauge.A.Load, 300000) - avg(sonnen.status.Pac_total_W, 300000)/1000"
    )
    assert not editor.preview.strip().isVisible()
    assert editor.preview.numbers()["Mean"] != "–"
    leave(editor)


def test_events_are_listed_one_by_one(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "events.::EV_END_CHARGING.energy")
    said = plain(editor.preview._events.text())
    assert said.startswith("2 events, sum 11.50 kWh\n13:53:12    2.10 kWh\n")
    assert editor.preview.numbers()["Coverage"] == "–"
    leave(editor)


def test_only_the_newest_text_is_shown(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    for text in ("egauge.A.Solar", "egauge.A.Load +", "sonnen.status.Pac_total_W"):
        editor.formula.replace_all(text)
        let_time_pass(editor)
    settle(qtbot, editor)
    assert editor.verdict.text() == "Valid; unit W."
    shown = editor.preview.shown()
    assert shown is not None
    assert shown.text == "sonnen.status.Pac_total_W"
    leave(editor)


def test_the_preview_follows_what_comes_in(qtbot: QtBot, edit: Edit, view: MainView) -> None:
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Solar")
    before = editor.preview.shown()
    let_time_pass(editor)
    settle(qtbot, editor)
    assert editor.preview.shown() is not before
    assert running_timers(editor)
    leave(editor)


def test_what_the_house_has_is_read_at_the_opening_and_again_only_when_something_came_in(
    qtbot: QtBot, edit: Edit, view: MainView, deployed: Deployment
) -> None:
    editor = edit(None)
    devices.create(deployed.owner, deployed.houses[0].house_id, "heat_pump", "egauge", EGAUGE)

    def read_again(after: Callable[[], None]) -> bool:
        with counting() as sent:
            after()
            settle(qtbot, editor)
        return any("analytic_items" in statement for statement in sent)

    assert not read_again(lambda: write(qtbot, editor, "heat_pump.A.Load"))
    assert "no device `heat_pump` in this house" in editor.verdict.text()
    assert not read_again(lambda: let_time_pass(editor))
    view.services.live.heard.emit(deployed.houses[1].house_id)
    assert not read_again(lambda: let_time_pass(editor))
    view.services.live.heard.emit(deployed.houses[0].house_id)
    assert read_again(lambda: let_time_pass(editor))
    assert editor.verdict.text() == "Valid; unit kW."
    leave(editor)


# --- Continuous aggregation ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plain_postgresql")
def test_it_says_what_will_be_kept_and_how_much_there_is_to_count(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Load - egauge.A.EV")
    said = editor.aggregation.text()
    assert "Keeps five-minute and hourly values of egauge.A.Load and egauge.A.EV." in said
    assert "Readings of 2 days are stored and will be aggregated" in plain(said)
    assert "the same numbers from aggregates" in said
    leave(editor)


def test_fields_that_are_kept_already_are_named_with_their_items(
    qtbot: QtBot, edit: Edit, make: Make, deployed: Deployment
) -> None:
    make("load", "-egauge.A.Load", aggregated=True)
    analytics.populate(deployed.owner, deployed.houses[0].house_id)
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Load/2")
    assert (
        "egauge.A.Load is already kept for load. No earlier readings need to be aggregated."
        in editor.aggregation.text()
    )
    leave(editor)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("events.::EV_START_CHARGING", "is an event identifier"),
        ("analytics.load*2", "refers to another item"),
    ],
)
def test_events_and_items_refuse_it_with_the_reason(
    qtbot: QtBot, edit: Edit, make: Make, formula: str, reason: str
) -> None:
    make("load", "-egauge.A.Load")
    editor = edit(None)
    editor.aggregation.box.click()
    write(qtbot, editor, formula)
    assert reason in editor.aggregation.text()
    assert not editor.aggregation.box.isEnabled()
    assert not editor.aggregation.effective()
    write(qtbot, editor, "egauge.A.Load")
    # What was chosen comes back with a formula that allows it.
    assert editor.aggregation.box.isChecked()
    leave(editor)


# --- Saving ----------------------------------------------------------------------------------------------------------


def test_a_new_item_is_stored(qtbot: QtBot, edit: Edit, deployed: Deployment) -> None:
    editor = edit(None)
    editor.name.setText("battery")
    editor.description.setText("Battery power")
    write(qtbot, editor, " sonnen.status.Pac_total_W/1000 ")
    editor.aggregation.box.click()
    with qtbot.waitSignal(editor.saved) as saved:
        QTest.mouseClick(editor.act, Qt.MouseButton.LeftButton)
    item = saved.args[0]
    assert houses.stored(deployed.owner, deployed.houses[0]) == {"battery": item}
    assert (item.formula, item.unit, item.aggregated) == ("sonnen.status.Pac_total_W/1000", "kW", True)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Enter a name."),
        ("2nd", "A name starts with a letter and holds only letters A-Z, digits and underscores."),
        ("load", "This house has an analytic item load already."),
    ],
)
def test_a_name_that_will_not_do_is_reported_at_its_field(
    qtbot: QtBot, edit: Edit, make: Make, name: str, problem: str
) -> None:
    make("load", "-egauge.A.Load")
    editor = edit(None)
    editor.name.setText(name)
    write(qtbot, editor, "egauge.A.Solar")
    QTest.mouseClick(editor.act, Qt.MouseButton.LeftButton)
    assert editor._name_field.problem == problem
    leave(editor)


def test_a_wrong_formula_is_not_sent_but_pointed_at(qtbot: QtBot, edit: Edit, deployed: Deployment) -> None:
    editor = edit(None)
    editor.name.setText("x")
    write(qtbot, editor, "egauge.A.Solar + oops(1)")
    QTest.mouseClick(editor.act, Qt.MouseButton.LeftButton)
    assert editor.formula.textCursor().position() == 17
    assert houses.stored(deployed.owner, deployed.houses[0]) == {}
    leave(editor)


def test_an_error_found_only_at_saving_is_marked_at_its_place(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    editor.name.setText("x")
    editor.formula.replace_all("  egauge.A.Solar + sonen.y")
    for pause in running_timers(editor.formula):
        pause.stop()
    editor.perform()
    qtbot.waitUntil(lambda: not editor.busy)
    assert "no device `sonen`" in editor.verdict.text()
    assert editor.formula.textCursor().position() == 19
    leave(editor)


def test_what_was_typed_survives_a_database_that_does_not_answer(
    qtbot: QtBot, edit: Edit, view: MainView, test_database: TestDatabase
) -> None:
    editor = edit(None)
    editor.name.setText("x")
    write(qtbot, editor, "egauge.A.Solar")
    with houses.outage(test_database):
        editor.perform()
        qtbot.waitUntil(lambda: not editor.busy)
        assert "The database is not available" in editor.message_bar.text()
        assert (editor.name.text(), editor.formula.toPlainText()) == ("x", "egauge.A.Solar")
        assert not view.connection.online
    with qtbot.waitSignal(editor.saved):
        QTest.mouseClick(editor.act, Qt.MouseButton.LeftButton)


def test_an_item_keeps_its_name_and_changes_the_rest(
    qtbot: QtBot, edit: Edit, make: Make, deployed: Deployment
) -> None:
    item = make("load", "-egauge.A.Load")
    editor = edit(item)
    assert (editor.name.isReadOnly(), editor.name.isEnabled()) == (True, True)
    # Its unit was inferred, so it follows the formula.
    assert (editor.unit.text(), editor.unit.placeholderText()) == ("", "kW")
    write(qtbot, editor, "egauge.A.L1_Voltage")
    with qtbot.waitSignal(editor.saved):
        editor.perform()
    stored = houses.stored(deployed.owner, deployed.houses[0])["load"]
    assert (stored.formula, stored.unit, stored.item_id) == ("egauge.A.L1_Voltage", "V", item.item_id)


@pytest.mark.parametrize(("choice", "formula"), [("theirs", "-egauge.A.EV"), ("mine", "-egauge.A.Load*2")])
def test_what_somebody_else_changed_meanwhile_is_shown_and_decided(
    qtbot: QtBot, edit: Edit, make: Make, deployed: Deployment, choice: str, formula: str
) -> None:
    item = make("load", "-egauge.A.Load")
    editor = edit(item)
    analytics.update(deployed.owner, replace(item, formula="-egauge.A.EV"))
    write(qtbot, editor, "-egauge.A.Load*2")
    editor.perform()
    qtbot.waitUntil(lambda: "theirs" in editor.message_bar.buttons())
    assert "Stored now: formula -egauge.A.EV" in editor.message_bar.text()
    assert editor.formula.toPlainText() == "-egauge.A.Load*2"
    if choice == "mine":
        with qtbot.waitSignal(editor.saved):
            QTest.mouseClick(editor.message_bar.buttons()[choice], Qt.MouseButton.LeftButton)
    else:
        QTest.mouseClick(editor.message_bar.buttons()[choice], Qt.MouseButton.LeftButton)
        settle(qtbot, editor)
        assert editor.formula.toPlainText() == "-egauge.A.EV"
        leave(editor)
    assert houses.stored(deployed.owner, deployed.houses[0])["load"].formula == formula


def test_an_item_deleted_meanwhile_can_be_made_again(
    qtbot: QtBot, edit: Edit, make: Make, deployed: Deployment
) -> None:
    item = make("load", "-egauge.A.Load")
    editor = edit(item)
    analytics.delete(deployed.owner, deployed.houses[0].house_id, [item.item_id])
    editor.perform()
    qtbot.waitUntil(lambda: "again" in editor.message_bar.buttons())
    with qtbot.waitSignal(editor.saved):
        QTest.mouseClick(editor.message_bar.buttons()["again"], Qt.MouseButton.LeftButton)
    assert houses.stored(deployed.owner, deployed.houses[0])["load"].formula == "-egauge.A.Load"


# --- Leaving ---------------------------------------------------------------------------------------------------------


def question(editor: ItemEditor) -> ConfirmDialog | None:
    return editor.findChild(ConfirmDialog)


def test_leaving_with_changes_asks(qtbot: QtBot, edit: Edit) -> None:
    editor = edit(None)
    write(qtbot, editor, "egauge.A.Solar")
    editor.reject()
    asked = question(editor)
    assert asked is not None
    assert asked.keep.isDefault()
    QTest.mouseClick(asked.keep, Qt.MouseButton.LeftButton)
    assert editor.isVisible()
    editor.reject()
    asked = next(one for one in editor.findChildren(ConfirmDialog) if one.isVisible())
    QTest.mouseClick(asked.act, Qt.MouseButton.LeftButton)
    assert not editor.isVisible()


def test_leaving_without_changes_does_not(edit: Edit, make: Make) -> None:
    editor: QWidget = edit(make("load", "-egauge.A.Load"))
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    assert not editor.isVisible()
