"""Rules of operators, as an operator manages them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QDialog, QLabel
from pytestqt.qtbot import QtBot

from sgmp_console.store import Batch, DeviceSeries, OperatorRule, analytics, devices, readings, rules
from sgmp_console.timeseries import Series
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.rules.editor import RuleEditor
from sgmp_console.ui.pages.rules.page import RulesPage
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment, cut_off, save_pictures
from tests.ui.snapshots import NOW_MS


@pytest.fixture
def page(qtbot: QtBot, view: MainView, deployed: Deployment) -> RulesPage:
    """Of a house whose load was 1 kW, 2 kW, 3 kW and so on in the last minutes."""
    house_id = deployed.houses[0].house_id
    with deployed.owner.begin() as connection:
        meter = devices.create(connection, house_id, "egauge", "egauge", {"ip": "192.0.2.1"})
        analytics.create(connection, house_id, "load", "egauge.load", unit="kW")
        fields = {"load": Series([NOW_MS - 600_000 + 60_000 * place for place in range(10)], range(1, 11))}
        series = DeviceSeries(house_id, meter.device_id, fields)
        readings.write(connection, Batch(series=[series]))
    view.start()
    view.show_page("rules")
    shown = view.page("rules")
    assert isinstance(shown, RulesPage)
    qtbot.waitUntil(lambda: shown.found is not None, timeout=20_000)
    return shown


def opened(qtbot: QtBot, page: RulesPage, act: str, kind: type[QDialog]) -> QDialog:
    qtbot.waitUntil(page.action(act).isEnabled)
    page.action(act).trigger()
    qtbot.waitUntil(lambda: bool(page.findChildren(kind)))
    return page.findChildren(kind)[-1]


def said(dialog: QDialog, text: str) -> bool:
    return any(text in one.text() for one in dialog.findChildren(QLabel))


def test_a_rule_begins_as_a_suggestion_is_tried_on_the_past_created_disabled_and_deleted(
    qtbot: QtBot, page: RulesPage, appearance: Appearance
) -> None:
    editor = opened(qtbot, page, "create", RuleEditor)
    assert isinstance(editor, RuleEditor)
    editor.act.click()
    assert editor.naming is not None
    assert editor.naming.problem == "Enter a name."
    editor.suggestion.setCurrentIndex(editor.suggestion.findText("Load near the main fuse"))
    editor.suggestion.activated.emit(editor.suggestion.currentIndex())
    assert (editor.threshold.text(), editor.hold.text(), editor.formula.toPlainText()) == (
        "15",
        "1",
        "analytics.load",
    )
    editor.threshold.setText("0.01")
    editor.clear_threshold.setText("0.02")
    editor.threshold.textEdited.emit("0.01")
    editor.act.click()
    assert said(editor, "It is over at a value below the threshold, or at the threshold.")
    editor.clear_threshold.setText("")
    editor.threshold.textEdited.emit("0.01")
    qtbot.waitUntil(lambda: said(editor, "In the last 7 days it would"), timeout=20_000)
    assert cut_off(editor) == []
    save_pictures(editor, "rules_editor", appearance)
    with qtbot.waitSignal(editor.saved, timeout=20_000):
        editor.act.click()
    qtbot.waitUntil(lambda: len(page.table.rows()) == 1, timeout=20_000)
    (row,) = page.table.rows()
    assert (row.rule.name, row.rule.unit, row.house) == ("Load near the main fuse", "kW", "This house")
    assert cut_off(page) == []
    save_pictures(page.window(), "rules", appearance)

    qtbot.waitUntil(page.action("disable").isEnabled)
    page.action("disable").trigger()
    qtbot.waitUntil(lambda: not page.table.rows()[0].rule.enabled, timeout=20_000)
    assert not page.action("disable").isEnabled()
    confirmation = opened(qtbot, page, "delete", ConfirmDialog)
    assert isinstance(confirmation, ConfirmDialog)
    confirmation.act.click()
    qtbot.waitUntil(lambda: not page.table.rows(), timeout=20_000)


def test_a_rule_of_all_houses_stays_one_when_it_is_changed_and_says_why_it_is_suspended(
    qtbot: QtBot, page: RulesPage, deployed: Deployment
) -> None:
    with deployed.owner.begin() as connection:
        rules.create(connection, OperatorRule("Far", "analytics.nosuch", above=True, threshold=1))
    page.reload()
    qtbot.waitUntil(lambda: len(page.table.rows()) == 1, timeout=20_000)
    (row,) = page.table.rows()
    assert row.house == "All houses"
    assert row.judged is not None
    assert "nosuch" in row.judged.problem
    page.table.selectRow(0)
    editor = opened(qtbot, page, "edit", RuleEditor)
    assert isinstance(editor, RuleEditor)
    assert (editor.house.currentText(), editor.house.isEnabled()) == ("All houses", False)
    editor.name.setText("Farther")
    qtbot.waitUntil(lambda: "no analytic item" in editor.verdict.text(), timeout=20_000)
    editor.act.click()  # it is checked against the house on screen
    assert editor.isVisible()
    editor.formula.setPlainText("analytics.load")
    qtbot.waitUntil(lambda: said(editor, "In the last 7 days it would"), timeout=20_000)
    with qtbot.waitSignal(editor.saved, timeout=20_000):
        editor.act.click()
    with deployed.owner.begin() as connection:
        (stored,) = rules.read(connection)
    assert (stored.name, stored.house_id, stored.formula) == ("Farther", None, "analytics.load")


def test_what_somebody_else_changed_meanwhile_is_shown_and_replaced_only_knowingly(
    qtbot: QtBot, page: RulesPage, deployed: Deployment
) -> None:
    house_id = deployed.houses[0].house_id
    with deployed.owner.begin() as connection:
        own = OperatorRule("High", "analytics.load", above=True, threshold=5, house_id=house_id)
        made = rules.create(connection, own)
    page.reload()
    qtbot.waitUntil(lambda: len(page.table.rows()) == 1, timeout=20_000)
    page.table.selectRow(0)
    editor = opened(qtbot, page, "edit", RuleEditor)
    assert isinstance(editor, RuleEditor)
    with deployed.owner.begin() as connection:
        rules.update(connection, replace(made, threshold=7))
    editor.hold.setText("2.5")
    editor.act.click()
    qtbot.waitUntil(lambda: "analytics.load above 7" in editor.message_bar.text(), timeout=20_000)
    with qtbot.waitSignal(editor.saved, timeout=20_000):
        editor.message_bar.buttons()["mine"].click()
    with deployed.owner.begin() as connection:
        (stored,) = rules.read(connection)
    assert (stored.threshold, stored.hold_s, stored.revision) == (5, 150, 3)
