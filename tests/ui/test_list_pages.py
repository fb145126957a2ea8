"""What every list has, tested once on the shared class: focus, keys, actions that have no room, widths of columns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMenu, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.ui import fonts
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.pages.accounts.dialogs import CreateAccount, EditAccount
from sgmp_console.ui.pages.accounts.page import AccountsPage
from sgmp_console.ui.parts.action_bar import ActionBar
from sgmp_console.ui.parts.buttons import Button, button
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.parts.rows import Badge, Column, Mark
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment
from tests.ui.finding import open_context_menu
from tests.ui.readers import Clock


@pytest.fixture
def page(qtbot: QtBot, view: MainView, deployed: Deployment) -> AccountsPage:
    view.activateWindow()
    view.start(deployed.houses[0].house_id)
    view.show_page("accounts")
    found = view.page("accounts")
    assert isinstance(found, AccountsPage)
    qtbot.waitUntil(lambda: found.table.isVisible())
    return found


def test_showing_a_page_puts_the_focus_into_it_so_that_its_keys_work(
    qtbot: QtBot, page: AccountsPage
) -> None:
    focus = QApplication.focusWidget()
    assert focus is page.table
    QTest.keyClick(focus, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is page.search
    QTest.keyClick(page.search, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    (dialog,) = page.findChildren(CreateAccount)
    dialog.reject()


def test_the_keys_of_a_page_work_while_the_focus_is_in_the_frame_around_it(
    view: MainView, page: AccountsPage
) -> None:
    view.switcher.setFocus()
    QTest.keyClick(view.switcher, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is page.search
    view.switcher.setFocus()
    QTest.keyClick(view.switcher, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    (dialog,) = page.findChildren(CreateAccount)
    dialog.reject()


def test_the_keys_of_a_page_that_is_not_shown_do_nothing(view: MainView, page: AccountsPage) -> None:
    view.show_page("home")
    QTest.keyClick(view.switcher, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert not page.findChildren(CreateAccount)


def focused() -> QWidget:
    widget = QApplication.focusWidget()
    assert widget is not None
    return widget


def test_enter_opens_the_row_that_is_marked_for_the_keyboard(page: AccountsPage) -> None:
    page.table.setCurrentIndex(page.table.proxy.index(0, 0))
    page.table.clearSelection()
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    (dialog,) = page.findChildren(EditAccount)
    assert len(page.table.chosen()) == 1
    dialog.reject()


def test_tab_goes_from_the_search_over_the_actions_to_the_table(page: AccountsPage) -> None:
    page.search.setFocus()
    met: list[QWidget] = []
    for _ in range(12):
        QTest.keyClick(focused(), Qt.Key.Key_Tab)
        met.append(focused())
        if met[-1] is page.table:
            break
    assert met[-1] is page.table
    assert page.button("create") in met


def test_a_list_is_sorted_by_the_keyboard_too(qtbot: QtBot, page: AccountsPage) -> None:
    menu = open_context_menu(page)
    (sorting,) = menu.findChildren(QMenu)
    entries = {action.text(): action for action in sorting.actions() if action.text()}
    assert [text for text, action in entries.items() if action.isChecked()] == ["Email", "Ascending"]
    entries["Name"].trigger()
    menu.close()
    qtbot.waitUntil(lambda: not page.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly))
    header = page.table.horizontalHeader()
    columns = [column.title for column in page.table.model_of_rows.columns]
    assert columns[header.sortIndicatorSection()] == "Name"
    menu = open_context_menu(page)
    (sorting,) = menu.findChildren(QMenu)
    next(action for action in sorting.actions() if action.text() == "Descending").trigger()
    assert columns[header.sortIndicatorSection()] == "Name"
    assert header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
    menu.close()


def test_a_message_of_a_list_moves_no_row(page: AccountsPage, qapp: QApplication) -> None:
    before = page.table.mapToGlobal(page.table.viewport().pos())
    page.say("Something is worth knowing.")
    qapp.processEvents()
    assert page.message_bar.isVisible()
    assert page.table.mapToGlobal(page.table.viewport().pos()) == before


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_presses_the_button_that_has_the_focus(view: MainView, qtbot: QtBot, key: Qt.Key) -> None:
    question = ConfirmDialog("Delete 3 items?", "They are gone then.", "Delete 3 items", view)
    question.open()
    question.act.setFocus()
    with qtbot.waitSignal(question.accepted):
        QTest.keyClick(question.act, key)


def test_enter_presses_what_keeps_everything_where_nothing_was_chosen(view: MainView, qtbot: QtBot) -> None:
    question = ConfirmDialog("Delete 3 items?", "They are gone then.", "Delete 3 items", view)
    question.open()
    with qtbot.waitSignal(question.rejected):
        QTest.keyClick(question.keep, Qt.Key.Key_Return)


@pytest.fixture
def actions(shown: Callable[..., QWidget]) -> ActionBar:
    bar = ActionBar()
    for words in ("Export", "Import", "Delete", "Edit", "Create account"):
        bar.add(QAction(words, bar), button(words, bar.update))
    around = QWidget()
    QHBoxLayout(around).addWidget(bar)
    shown(around, 1000, 60)
    return bar


def visible(bar: ActionBar) -> list[str]:
    return [made.text() for made in bar.buttons() if made.isVisible()]


def test_actions_without_room_are_in_the_menu_more_and_come_back(
    actions: ActionBar, qapp: QApplication
) -> None:
    assert visible(actions) == ["Export", "Import", "Delete", "Edit", "Create account"]
    actions.window().resize(360, 60)
    qapp.processEvents()
    assert visible(actions)[0] == "More"
    assert visible(actions)[-1] == "Create account"
    assert [action.text() for action in actions.folded()] + visible(actions)[1:] == [
        "Export",
        "Import",
        "Delete",
        "Edit",
        "Create account",
    ]
    assert sum(made.width() for made in actions.buttons() if made.isVisible()) <= actions.width()
    actions.window().resize(1000, 60)
    qapp.processEvents()
    assert "More" not in visible(actions)


Row = tuple[str, str, str]


@pytest.fixture
def table(shown: Callable[..., QWidget]) -> RowsTable[Row]:
    made: RowsTable[Row] = RowsTable(
        "Things",
        (
            Column[Row]("Name", lambda row: row[0], 120, strong=True),
            Column[Row]("Description", lambda row: row[1]),
            Column[Row]("State", lambda row: row[2], 120, badges=lambda row: [Badge(row[2], "ink_muted")]),
        ),
        lambda row: row[0],
    )
    made.set_rows([("a_name_of_thirty_five_characters_ok", "What it is for, at some length", "Valid")])
    shown(made, 1000, 300)
    return made


def test_numbers_end_where_the_title_above_them_ends(shown: Callable[..., QWidget]) -> None:
    number = Column[Row]("888", lambda row: "888", right=True)
    table = RowsTable[Row]("Numbers", [Column[Row]("Name", lambda row: row[0]), number], lambda row: row)
    shown(table, 600, 200)
    table.set_rows([("a", "", "")])
    picture = table.grab().toImage()
    title, cell = (range(*rows) for rows in ((4, 28), (40, 60)))
    assert abs(last_ink(picture, title) - last_ink(picture, cell)) <= 1


def last_ink(picture: QImage, rows: range) -> int:
    """The right edge, in pixels, of what is written in these rows of pixels."""
    paper = picture.pixelColor(picture.width() - 3, rows.start).lightness()
    return next(
        x
        for x in range(picture.width() - 1, 0, -1)
        if any(abs(picture.pixelColor(x, y).lightness() - paper) > 60 for y in rows)
    )


def test_a_column_is_as_wide_as_its_content_where_there_is_room(table: RowsTable[Row]) -> None:
    name = table.model_of_rows.rows[0][0]
    assert table.columnWidth(0) >= table.fontMetrics().horizontalAdvance(name)
    assert sum(map(table.columnWidth, range(3))) == table.viewport().width()


def test_the_column_that_names_the_row_becomes_narrower_last(
    table: RowsTable[Row], qapp: QApplication
) -> None:
    name = table.columnWidth(0)
    description, state = table.columnWidth(1), table.columnWidth(2)
    table.resize(name + 165 + state, 300)
    qapp.processEvents()
    assert table.columnWidth(0) == name
    assert table.columnWidth(1) < description


def test_a_width_that_was_chosen_stays_when_the_window_changes(
    table: RowsTable[Row], qapp: QApplication
) -> None:
    table.horizontalHeader().resizeSection(0, 310)
    table.resize(1200, 300)
    qapp.processEvents()
    table.set_rows([("b", "another", "Valid")])
    assert table.columnWidth(0) == 310


def test_a_double_click_on_the_border_forgets_a_chosen_width(
    table: RowsTable[Row], qapp: QApplication
) -> None:
    header = table.horizontalHeader()
    before = [table.columnWidth(place) for place in range(3)]
    header.resizeSection(0, before[0] + 90)
    border = QPoint(header.sectionViewportPosition(1) - 1, header.height() // 2)
    QTest.mouseDClick(header.viewport(), Qt.MouseButton.LeftButton, pos=border)
    assert [table.columnWidth(place) for place in range(3)] == before


def test_a_chosen_width_is_remembered_by_table_and_column(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    chosen: dict[str, int] = {}
    for wanted in (0, 240):
        table = RowsTable[Row](
            "Things",
            (Column("Name", lambda row: row[0], strong=True), Column("Kind", lambda row: row[1])),
            id,
        )
        table.remember_widths(chosen)
        shown(table, 800, 300)
        qapp.processEvents()
        assert wanted in (0, table.columnWidth(1))
        table.setColumnWidth(1, 240)
    assert chosen == {"Things/Kind": 240}


def test_an_optional_column_is_left_out_before_others_are_cut_short_and_comes_back(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    table = RowsTable[Row](
        "Things",
        (
            Column("Name", lambda row: row[0], strong=True),
            Column("Description", lambda row: row[1], optional=1),
            Column("State", lambda row: row[2]),
        ),
        lambda row: row[0],
    )
    table.set_rows(
        [("a_name_of_thirty_five_characters_ok", "What it is for, at some length", "Confirmed by it")]
    )
    shown(table, 1000, 300)
    state = table.columnWidth(2)
    table.resize(400, 300)
    qapp.processEvents()
    assert table.isColumnHidden(1)
    assert table.columnWidth(2) >= min(state, 112)
    tip = table.proxy.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "What it is for, at some length" in tip
    table.resize(1000, 300)
    qapp.processEvents()
    assert not table.isColumnHidden(1)


def test_a_long_text_with_an_icon_takes_no_room_from_the_columns_beside_it(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    made: RowsTable[Row] = RowsTable(
        "Things",
        (
            Column[Row]("Name", lambda row: row[0], 120, strong=True),
            Column[Row]("Kind", lambda row: row[1], 120),
            Column[Row]("What", lambda row: row[2], mark=lambda row: Mark("info", "ink_muted")),
        ),
        lambda row: row[0],
    )
    shown(made, 600, 200)
    made.set_rows([("meter", "Configuration applied", "0123456789abcdef" * 6)])
    qapp.processEvents()
    assert made.columnWidth(1) >= 112
    assert sum(made.columnWidth(place) for place in range(3)) <= made.viewport().width()


def test_a_time_is_never_cut_short(shown: Callable[..., QWidget], qapp: QApplication) -> None:
    table = RowsTable[Row](
        "Things",
        (
            Column("Name", lambda row: row[0], strong=True),
            Column("Start", lambda row: row[1], whole=True),
            Column("Remark", lambda row: row[2]),
        ),
        lambda row: row[0],
    )
    time = "Wed 24 Sep 2025, 22:47:31 and some"
    table.set_rows([("a_name_of_thirty_five_characters_ok", time, "What was odd about it, at some length")])
    shown(table, 420, 300)
    assert table.columnWidth(1) >= fonts.metrics("strong").horizontalAdvance(time)


def test_no_text_is_cut_beside_empty_space(table: RowsTable[Row], qapp: QApplication) -> None:
    long = "The Very Long Name of a House Somebody Wrote to Try the Layout"
    table.resize(1600, 300)
    table.set_rows([(long, "short", "Valid")])
    qapp.processEvents()
    assert table.columnWidth(0) > fonts.metrics("strong").horizontalAdvance(long)
    assert sum(map(table.columnWidth, range(3))) == table.viewport().width()


def test_one_long_name_takes_no_room_from_texts_that_all_rows_need(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    table = RowsTable[Row](
        "Things",
        (Column("What", lambda row: row[0], strong=True), Column("Who", lambda row: row[1])),
        lambda row: row[0],
    )
    who = "administrator@somewhere.example"
    long = "The Very Long Name of a House Somebody Wrote to Try the Layout"
    table.set_rows([(long, who, ""), *((f"House {number}", who, "") for number in range(30))])
    shown(table, 520, 300)
    assert table.columnWidth(1) > fonts.metrics("body").horizontalAdvance(who)


def test_a_cell_whose_text_grows_gets_the_room_it_needs(table: RowsTable[Row], qapp: QApplication) -> None:
    before = table.columnWidth(2)
    table.set_rows([(*table.rows()[0][:2], "Valid until the end of the next year at the latest")])
    qapp.processEvents()
    assert table.columnWidth(2) > before


def test_the_keyboard_goes_on_with_the_row_that_took_the_place_of_one_that_is_gone(
    table: RowsTable[Row],
) -> None:
    table.set_rows([(name, "", "") for name in "abcd"])
    table.setCurrentIndex(table.proxy.index(1, 0))
    table.set_rows([(name, "", "") for name in "acd"])
    assert table.currentIndex().data() == "c"
    table.setCurrentIndex(table.proxy.index(2, 0))
    table.set_rows([(name, "", "") for name in "ac"])
    assert table.currentIndex().data() == "c"
    assert table.chosen() == []


def test_when_nothing_is_found_any_more_the_focus_goes_to_the_search(
    qtbot: QtBot, page: AccountsPage
) -> None:
    page.search.setText("ada")
    page.table.setFocus()
    page.search.setText("nobody")
    assert not page.table.isVisible()
    assert QApplication.focusWidget() is page.search


def test_the_keyboard_stays_in_the_page_while_the_act_of_its_notice_is_not_possible(
    qtbot: QtBot, view: MainView, deployed: Deployment
) -> None:
    view.activateWindow()
    view.start(deployed.houses[0].house_id)
    view.show_page("devices")
    page = view.page("devices")
    assert isinstance(page, ListPage)
    qtbot.waitUntil(lambda: isinstance(QApplication.focusWidget(), Button), timeout=10_000)
    page.found = None  # as while it is not read again
    page.show_actions()
    assert view.window().focusWidget() is page


def test_content_keeps_its_width_whether_it_scrolls_or_not(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    content = QWidget()
    area = ScrollArea(content, keeps_place=True)
    shown(area, 300, 200)
    low = content.width()
    content.setMinimumHeight(1_000)
    qapp.processEvents()
    assert content.width() == low


def is_grey(page: AccountsPage) -> bool:
    effect = page.table.graphicsEffect()
    return effect is not None and effect.isEnabled()


def test_what_was_read_long_ago_is_grey_with_its_age_until_it_is_read_again(
    qtbot: QtBot, page: AccountsPage, view: MainView, clock: Clock
) -> None:
    assert "read" not in page.count.text()
    view.show_page("roles")
    clock.now_ms += 180_000
    view.show_page("accounts")
    assert page.count.text().endswith("read 3\u00a0min ago")
    assert is_grey(page)
    qtbot.waitUntil(lambda: "read" not in page.count.text())
    assert not is_grey(page)
