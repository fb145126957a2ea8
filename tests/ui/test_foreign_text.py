"""What an edge, a device, a file or another account wrote is shown as it is, and nothing it names is loaded."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, Qt, QUrl
from PySide6.QtGui import QHelpEvent, QTextDocumentFragment
from PySide6.QtGui import Qt as QtText
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolTip,
    QWidget,
)
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import accounts as fleet_accounts
from sgmp_console.store import House
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.ui import plain_text
from sgmp_console.ui.pages.audit.page import AuditPage
from sgmp_console.ui.parts.buttons import Button, CheckBox
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge import contract
from tests.ui import equipped
from tests.ui.conftest import Deployment
from tests.ui.readers import Clock


@pytest.fixture
def image(tmp_path: Path) -> str:
    """HTML that would load a file."""
    file = tmp_path / "secret.png"
    file.write_bytes(b"not an image")
    return f'<img src="{QUrl.fromLocalFile(str(file)).toString()}">&lt;b&gt; R&D'


@pytest.fixture
def hostile_house(deployed: Deployment, clock: Clock, image: str) -> House:
    house = deployed.houses[0]
    equipped.equip(deployed.owner, house, clock())
    states = {**equipped.STATES, "egauge": image, "sonnen": f"line\n{image}"}
    equipped.say(deployed.owner, house, clock(), contract.EDGE_STATUS, state="online", devices=states)
    return house


def tip_over(widget: QWidget, at: QPoint) -> str:
    """The text of the tool tip that rests the mouse there shows, "" for none."""
    QToolTip.hideText()
    event = QHelpEvent(QEvent.Type.ToolTip, at, widget.mapToGlobal(at))
    QApplication.sendEvent(widget, event)
    shown = [
        w
        for w in QApplication.topLevelWidgets()
        if isinstance(w, QLabel) and w.isVisible() and w.windowType() == Qt.WindowType.ToolTip
    ]
    return shown[0].text() if shown else ""


def as_shown(tip: str) -> str:
    """What a tool tip with this text looks like."""
    return QTextDocumentFragment.fromHtml(tip).toPlainText() if QtText.mightBeRichText(tip) else tip


@pytest.mark.parametrize("page_id", ["devices", "houses", "accounts", "roles", "analytics", "audit"])
def test_the_mouse_rests_on_every_cell_and_nothing_is_loaded(
    qtbot: QtBot, view: MainView, hostile_house: House, image: str, page_id: str
) -> None:
    view.start(hostile_house.house_id)
    view.show_page(page_id)
    page = view.page(page_id)
    assert isinstance(page, ListPage | AuditPage)
    qtbot.waitUntil(lambda: page.table.model_of_rows.rowCount() > 0 or page_id == "analytics")
    table = page.table
    seen = set()
    for row in range(table.proxy.rowCount()):
        for column in range(table.proxy.columnCount()):
            index = table.proxy.index(row, column)
            tip = tip_over(table.viewport(), table.visualRect(index).center())
            assert "<img" not in tip
            seen.add(as_shown(tip))
    if page_id == "devices":
        assert any(image in tip for tip in seen)
    QToolTip.hideText()


@pytest.mark.parametrize(
    "text", ['<img src="/dev/zero">', "&lt;b&gt;", "a\n<b>b</b>", "<table>" * 9, "x <br/> y"]
)
def test_a_tool_tip_shows_html_as_text(text: str) -> None:
    assert "<img" not in plain_text.tip(text)
    assert as_shown(plain_text.tip(text)) == text


@given(
    st.text(max_size=300),
    st.sampled_from(["<b>", "<img src='x'>", "&lt;", "</p>", "<!doctype html>", "<?xml?>"]),
)
def test_no_text_is_a_rich_tool_tip_with_markup_of_its_own(text: str, markup: str) -> None:
    tip = plain_text.tip(f"{text}{markup}")
    if QtText.mightBeRichText(tip):
        inside = tip.removeprefix('<p style="white-space:pre-wrap">').removesuffix("</p>")
        assert not {"<", ">"} & set(inside)


def test_a_notification_of_the_desktop_has_no_markup() -> None:
    text = '<a href="https://example.org">battery</a> & more'
    assert "<a" not in plain_text.notification(text) or sys.platform != "linux"
    assert html.unescape(plain_text.notification(text)) == text


def test_a_sentence_of_the_terminal_is_shown_with_quotes_for_its_backticks(qapp: QApplication) -> None:
    shown = label("`egauge` has not delivered a field `A.Solr` yet", wraps=True)
    assert QLabel.text(shown) == "“egauge” has not delivered a field “A.Solr” yet"


def test_long_text_is_cut_everywhere(qtbot: QtBot) -> None:
    long = "x" * 1_000_000
    assert len(plain_text.tip(long)) <= 2_000
    assert len(plain_text.tip("y\n" * 1_000).splitlines()) <= 41
    shown = label(long, wraps=True)
    qtbot.addWidget(shown)
    assert len(QLabel.text(shown)) < 5_000
    assert shown.minimumSizeHint().width() < 1_000


def test_characters_that_hide_or_reverse_others_are_seen() -> None:
    assert plain_text.bounded("a\u202eb\x00c\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert plain_text.one_line("a\r\nb") == "a\ufffd b"


def test_an_ampersand_is_seen_on_labels_buttons_boxes_and_in_menus(qtbot: QtBot) -> None:
    entry = QLineEdit()
    titled = label("R&D desk")
    titled.setBuddy(entry)
    widgets: list[tuple[QLabel | QPushButton | QCheckBox, Callable[[Any], str]]] = [
        (titled, QLabel.text),
        (Button("R&D desk"), QPushButton.text),
        (CheckBox("R&D desk"), QCheckBox.text),
    ]
    for widget, text_in_qt in widgets:
        qtbot.addWidget(widget)
        assert widget.text() == "R&D desk"
        assert text_in_qt(widget) == "R&&D desk"
    qtbot.addWidget(entry)
    assert plain_text.mnemonic_free("R&D desk") == "R&&D desk"


def test_a_label_is_never_rich(qtbot: QtBot) -> None:
    for made in (label("<b>x</b>"), ElidedLabel("<b>x</b>")):
        qtbot.addWidget(made)
        assert made.textFormat() == QtText.TextFormat.PlainText
        assert made.text() == "<b>x</b>"


@pytest.fixture
def named(deployed: Deployment) -> None:
    """The administrator is called something that menus could take for more than text."""
    with deployed.owner.begin() as connection:
        (account,) = stored_accounts.list_all(connection)
    fleet_accounts.update(deployed.owner, replace(account, name="R&D <b>desk</b>"))


def test_the_account_menu_shows_the_name_as_it_is(named: None, view: MainView) -> None:
    texts = [action.text() for menu in view.findChildren(QMenu) for action in menu.actions()]
    assert "R&&D <b>desk</b> (admin)" in texts
