"""What helps while a formula is written: completion, colours, the formula as it is drawn."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sgmp_console.formula import Catalogue, DeviceIdentifier, Problem, parse
from sgmp_console.ui import theme
from sgmp_console.ui.pages.analytics import rendered
from sgmp_console.ui.pages.analytics.rendered import RenderedFormula
from sgmp_console.ui.parts.formula import completion, syntax
from sgmp_console.ui.parts.formula.formula_edit import FormulaEdit
from tests.ui.test_theme import contrast

CATALOGUE = Catalogue(
    devices={"egauge": ["A.Solar", "A.Main House"], "sonnen": ["status.Pac_total_W"]},
    items={"solar": "egauge.A.Solar", "load": "-egauge.A.Load"},
    event_types=["OUTAGE"],
    units={
        DeviceIdentifier("egauge", "A.Solar"): "kW",
        DeviceIdentifier("sonnen", "status.Pac_total_W"): "W",
    },
)
CANDIDATES = completion.all_candidates(CATALOGUE, except_item="load")


# --- Completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("", ""),
        ("pos(eg", "eg"),
        ("1 + egauge.A.", "egauge.A."),
        ('egauge.A."Main Ho', 'egauge.A."Main Ho'),
        ("events.::EV_", "events.::EV_"),
        ("egauge.A.Solar * ", ""),
        ("12", ""),
    ],
)
def test_a_name_that_was_begun_is_what_stands_before_the_cursor(text: str, begun: str) -> None:
    found = completion.fragment(text, len(text))
    assert (found.text, text[found.position :]) == (begun, begun)


def test_everything_that_can_be_written_is_offered_with_its_unit() -> None:
    offered = {candidate.text: candidate.detail for candidate in CANDIDATES}
    assert offered["egauge.A.Solar"] == "kW"
    assert offered["sonnen.status.Pac_total_W"] == "W"
    assert offered["events.::EV_END_CHARGING.energy"] == "mWh"
    assert offered["events.::OUTAGE"] == "count"
    assert {"avg(", "pos(", "pi", "analytics.solar"} <= offered.keys()


def test_a_field_with_other_characters_is_offered_in_quotes() -> None:
    assert 'egauge.A."Main House"' in {candidate.text for candidate in CANDIDATES}


def test_the_item_that_is_edited_is_not_offered() -> None:
    assert "analytics.load" not in {candidate.text for candidate in CANDIDATES}


def test_all_that_is_offered_can_be_read() -> None:
    for candidate in CANDIDATES:
        if candidate.what in (completion.What.FIELD, completion.What.ITEM, completion.What.EVENT):
            assert parse(candidate.text).identifiers == {candidate.text}


def test_what_starts_as_was_typed_comes_first_then_parts_then_the_rest() -> None:
    found = [candidate.text for candidate in completion.matching(CANDIDATES, "so")]
    assert found == ["sonnen.status.Pac_total_W", "egauge.A.Solar", "analytics.solar"]
    assert [one.text for one in completion.matching(CANDIDATES, "PAC_TOTAL")] == ["sonnen.status.Pac_total_W"]


# --- Colours ---------------------------------------------------------------------------------------------------------


def kinds(text: str) -> list[tuple[str, str]]:
    return [(text[s.position : s.position + s.length], s.kind) for s in syntax.spans(text)]


def test_words_are_coloured_by_what_they_are() -> None:
    assert kinds("pos(egauge.A.Solar/1e3) + analytics.load*pi - events.::X.y") == [
        ("pos", "function"),
        ("egauge.A.Solar", "device"),
        ("1e3", "number"),
        ("analytics.load", "item"),
        ("pi", "number"),
        ("events.::X.y", "event"),
    ]


def test_half_written_texts_are_coloured_as_far_as_they_go() -> None:
    assert kinds('sonn + egauge.A."Main') == [("sonn", ""), ('egauge.A."Main', "device")]


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("surface", ["card", "overlay", "hover", "selected"])
def test_formulas_are_as_legible_as_other_text(name: str, surface: str) -> None:
    tokens = theme.load(name)
    for kind in ("device", "item", "event", "function", "number"):
        assert contrast(syntax.colour(kind, tokens), getattr(tokens, f"surface_{surface}")) >= 4.5


# --- The editor's text field -----------------------------------------------------------------------------------------


@pytest.fixture
def edit(qtbot: QtBot) -> FormulaEdit:
    made = FormulaEdit()
    qtbot.addWidget(made)
    made.resize(480, 110)
    made.show()
    made.set_candidates(CANDIDATES)
    return made


def test_typing_offers_and_enter_takes(edit: FormulaEdit) -> None:
    QTest.keyClicks(edit, "2*son")
    assert edit.popup().isVisible()
    assert [one.text for one in edit.popup().candidates()] == ["sonnen.status.Pac_total_W"]
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert edit.toPlainText() == "2*sonnen.status.Pac_total_W"
    assert not edit.popup().isVisible()


def test_arrows_choose_among_what_is_offered(edit: FormulaEdit) -> None:
    QTest.keyClicks(edit, "so")
    QTest.keyClick(edit, Qt.Key.Key_Down)
    QTest.keyClick(edit, Qt.Key.Key_Tab)
    assert edit.toPlainText() == "egauge.A.Solar"


def test_escape_closes_the_list_only(edit: FormulaEdit) -> None:
    QTest.keyClicks(edit, "so")
    QTest.keyClick(edit, Qt.Key.Key_Escape)
    assert not edit.popup().isVisible()
    assert edit.toPlainText() == "so"


def test_everything_is_offered_when_asked(edit: FormulaEdit) -> None:
    QTest.keyClick(edit, Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert len(edit.popup().candidates()) == len(CANDIDATES)
    edit.popup().hide()


def test_a_whole_name_is_not_offered_again(edit: FormulaEdit) -> None:
    QTest.keyClicks(edit, "sonnen.status.Pac_total_W")
    assert not edit.popup().isVisible()


def test_ctrl_enter_submits(qtbot: QtBot, edit: FormulaEdit) -> None:
    with qtbot.waitSignal(edit.submitted):
        QTest.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)


def test_a_mark_lies_under_the_very_place(edit: FormulaEdit) -> None:
    edit.setPlainText("1 + sonen.x")
    edit.set_problems([Problem("no device", 4, 7)])
    ((rect, is_error),) = edit.marks()
    cursor = edit.textCursor()
    cursor.setPosition(4)
    assert is_error
    assert rect.left() == pytest.approx(edit.cursorRect(cursor).left(), abs=1)
    cursor.setPosition(11)
    assert rect.right() == pytest.approx(edit.cursorRect(cursor).left(), abs=1)


def test_places_are_characters_whatever_the_text_holds(edit: FormulaEdit) -> None:
    edit.setPlainText("𝛑𝛑 + x")  # two UTF-16 units each
    edit.set_problems([Problem("`𝛑` has no meaning", 5, 1)])
    ((rect, _),) = edit.marks()
    cursor = edit.textCursor()
    cursor.setPosition(7)
    assert rect.left() == pytest.approx(edit.cursorRect(cursor).left(), abs=1)


def test_something_missing_at_the_end_is_marked_there(edit: FormulaEdit) -> None:
    edit.setPlainText("1 +")
    edit.set_problems([Problem("a value is missing", 3, 0)])
    ((rect, _),) = edit.marks()
    assert rect.width() > 4


def test_a_place_over_several_lines_has_a_mark_on_each(edit: FormulaEdit) -> None:
    edit.setPlainText("1 +\n2 +\n3")
    edit.set_problems([Problem("a constant", 0, 9)])
    assert len({rect.top() for rect, _ in edit.marks()}) == 3


def test_marks_go_when_the_text_changes(edit: FormulaEdit) -> None:
    edit.setPlainText("1 +")
    edit.set_problems([Problem("a value is missing", 3, 0)])
    QTest.keyClicks(edit, "2")
    assert edit.marks() == []


def test_another_text_can_be_taken_back(edit: FormulaEdit) -> None:
    edit.setPlainText("a.b + c.d")
    edit.replace_all("avg(a.b, 300000)")
    edit.undo()
    assert edit.toPlainText() == "a.b + c.d"


# --- The drawing -----------------------------------------------------------------------------------------------------


def box(text: str) -> rendered.Box:
    made = rendered.layout(parse(text).tree)
    assert made is not None
    return made


def test_a_fraction_stands_on_top_of_its_divisor(qapp: QApplication) -> None:
    whole, parts = box("a.b/c.d"), (box("a.b"), box("c.d"))
    assert whole.height > sum(part.height for part in parts)
    assert whole.width < sum(part.width for part in parts)


def test_an_exponent_is_smaller_and_raised(qapp: QApplication) -> None:
    power = box("a.b^22")
    assert power.width < box("a.b").width + box("22").width
    assert power.ascent > box("a.b").ascent


@pytest.mark.parametrize("text", ["a.b^0.5", "a.b^(1/2)"])
def test_half_a_power_is_a_root(qapp: QApplication, text: str) -> None:
    assert box(text).ascent == box("a.b").ascent + 5


def test_parentheses_stand_only_where_they_must(qapp: QApplication) -> None:
    assert box("(a.b + c.d)*2").width > box("(a.b*c.d)*2").width
    assert box("(a.b*c.d)*2").width == box("a.b*c.d*2").width
    assert box("(-a.b)^2").width > box("-a.b^2").width
    assert box("a.b - (c.d - e.f)").width > box("(a.b - c.d) - e.f").width


def test_every_construct_is_painted(qapp: QApplication) -> None:
    made = box("-neg(a.b/1000) + abs(c.d)^0.5*2e-3 - avg(analytics.x, 300000)^2/(events.::E.f - pi)")
    image = QImage(round(made.width) + 8, round(made.height) + 8, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    made.paint(painter, 4, made.ascent + 4)
    painter.end()
    ink = [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y) != QColor(Qt.GlobalColor.white)
    ]
    # It fills its box and stays inside.
    assert min(x for x, _ in ink) <= 12
    assert max(x for x, _ in ink) >= made.width - 8
    assert min(y for _, y in ink) >= 1
    assert max(y for _, y in ink) <= made.height + 6


def test_what_is_too_large_is_said_not_drawn(qtbot: QtBot) -> None:
    widget = RenderedFormula()
    qtbot.addWidget(widget)
    widget.show_formula(parse(" + ".join(["a.b"] * 200)))
    assert widget.box() is None
    widget.show_formula(parse("a.b"))
    assert widget.box() is not None
    assert widget.accessibleName() == "a.b"


def test_a_long_chain_and_deep_nesting_are_drawn(qapp: QApplication) -> None:
    image = QImage(10, 10, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    box("-".join(["a.b"] * 120)).paint(painter, 0, 0)
    box("pos(" * 60 + "a.b" + ")" * 60).paint(painter, 0, 0)
    painter.end()
