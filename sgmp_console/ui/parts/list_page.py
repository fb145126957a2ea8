"""What every page that is a list has: toolbar, search, count, strip, states, keys, and the acts on what is chosen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

from PySide6.QtCore import QPoint, QRectF, QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QAction, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Cancelled
from sgmp_console.reports.export import Piece
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.explain import explain
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.action_bar import ActionBar
from sgmp_console.ui.parts.buttons import Button, button
from sgmp_console.ui.parts.colourless import Colourless
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.exporter import Exporter, Offer
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.loaded_page import LoadedPage
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.rows import Column
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import this_computers_zone

Row = TypeVar("Row")
Found = TypeVar("Found")
T = TypeVar("T")

_MARGIN = 16
_UNASKED_MS = 60_000
"""Between two reads although nothing was heard of: other consoles change what no notification reports."""
_OLD_MS = 10_000
"""After which what a list shows, when it is shown again, is grey with its age until it was read again."""
_PAUSE_MS = 300
"""Between the last change of what is searched in the database and the question: nobody wants it of each letter."""

_SEARCH_WIDTH = 240
"""Pixels, at most."""

_DISMISS = (("dismiss", "Dismiss"),)
_GRAVITY: tuple[Tone, ...] = ("info", "warning", "fault")


@dataclass(frozen=True)
class ListAction:
    """An entry of toolbar and context menu. `needs`: how many rows must be chosen. `counted`: the number stands in the
    words where it is more than one ("Delete 3 accounts"). `keys` of the page, or of the table where rows are needed."""

    id_: str
    words: str
    do: Callable[[], None]
    needs: Literal["", "one", "some"] = ""
    counted: bool = False
    keys: tuple[str, ...] = ()
    primary: bool = False


EDIT_KEYS = ("Return", "Enter", "F2")
CREATE_KEYS = ("Ctrl+N",)
DELETE_KEYS = ("Del",)


class ListPage(LoadedPage, Generic[Row, Found]):
    """Say `noun`, columns, ids and acts; implement `reader`, `rows_of` and `empty_state`. `called`: what the rows are
    called where nothing around says what they are. `copied`: what Ctrl+C takes of a row.

    It reads when it is shown, on F5, when the connection is back, and with `of_house` when another house is chosen. With
    `every_ms`, while it is shown, `rows_of` is asked that often, so that ages grow, and the list is read again where
    something arrived in the meantime (of the house, with `of_house`). What is selected and searched stays. Acts with the
    key Enter happen on a double click, too.

    With `page_rows` only so many rows are read, and more as one scrolls (`next_reader`); then the database searches
    (`reader` asks `search`), as `narrow` has it after each change of what narrows the list. `steady`: as RowsTable has it.
    """

    def __init__(
        self,
        services: Services,
        *,
        noun: str,
        plural: str = "",
        called: str = "",
        columns: Sequence[Column[Row]],
        id_: Callable[[Row], Hashable],
        of_house: bool,
        every_ms: int = 0,
        page_rows: int = 0,
        copied: Callable[[Row], Sequence[str]] | None = None,
        steady: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        plural = plural or f"{noun}s"
        called = called or plural
        super().__init__(services, f"The {called}", loading=f"Loading the {called}", parent=parent)
        self._noun, self._plural, self._called = noun, plural, called
        self._of_house = of_house
        self._house_id: int | None = None
        self._select_after: Hashable = None
        self._said: tuple[Tone, str, tuple[tuple[str, str], ...]] | None = None
        self.found: Found | None = None
        """What was read last."""
        self._read_ms = 0
        self._is_shown_again = False
        self._page_rows = page_rows
        self._has_more = False
        self._more = LatestOnly[Found](services.tasks, self._more_loaded, self.not_loaded, self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self.reload)
        self._loads = LatestOnly[Found](services.tasks, self._loaded, self.not_loaded, self)
        self._acts: dict[str, tuple[ListAction, QAction, Button]] = {}
        self._why_not: dict[str, str] = {}
        self.table: RowsTable[Row] = RowsTable(
            self._called[0].upper() + self._called[1:], columns, id_, copied=copied, steady=steady
        )
        self.table.remember_widths(services.column_widths)
        self._exporter = Exporter(services, lambda tone, text: self.say(text, tone), self)
        self.set_content(self._build_content())
        self._again = QTimer(self)
        self._again.setInterval(every_ms)
        self._again.timeout.connect(self.grow_older)
        self._has_news = False
        self._ticks = 0
        if page_rows:
            self.table.verticalScrollBar().valueChanged.connect(self._scrolled)
        services.connection.restored.connect(self.reload)
        services.live.heard.connect(self._heard)
        if of_house:
            services.live.loading.connect(self._house_may_have_changed)

    # --- What a list says of itself --------------------------------------------------------------------------------

    @abstractmethod
    def reader(self) -> Callable[[], Found]:
        """What to call on a worker thread for what is to be shown; it touches no QObject."""

    @abstractmethod
    def rows_of(self, found: Found) -> Sequence[Row]: ...

    @abstractmethod
    def empty_state(self, found: Found) -> EmptyState:
        """Why there is none, with the acts (by their ids) that change it."""

    def next_reader(self, last: Row) -> Callable[[], Found]:
        """With `page_rows`: like `reader`, but for the rows after `last`."""
        raise NotImplementedError

    def has_more(self, found: Found) -> bool:
        """With `page_rows`: whether there may be rows after these."""
        return len(self.rows_of(found)) >= self._page_rows

    def is_narrowed(self) -> bool:
        """Whether the database was asked for some of the rows only."""
        return bool(self._page_rows and self.search.text().strip())

    def actions_shown(self, chosen: Sequence[Row]) -> None:
        """The selection or the list changed: enable, disable, hide or rename acts."""

    def loaded(self, found: Found) -> None:
        """The list was read, before it is shown."""

    def shown(self) -> None:
        """The list was read and is shown."""

    def matcher(self, text: str) -> Callable[[Row], bool] | None:
        """Which rows what is typed into the search is for; None: those that have its words."""
        return None

    def beside(self, layout: QVBoxLayout) -> None:
        """Add what stands between toolbar and table."""

    def below(self, layout: QVBoxLayout) -> None:
        """Add what stands under the table."""

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        """What the strip says as long as it is so, below what the last act had to say."""
        return None

    # --- Building --------------------------------------------------------------------------------------------------

    def _build_content(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        self.search = QLineEdit()
        self.search.setFont(fonts.font("body"))
        self.search.setPlaceholderText(f"Search {self._called}")
        self.search.setAccessibleName(f"Search {self._called}")
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(_SEARCH_WIDTH // 2)
        self.search.setMaximumWidth(_SEARCH_WIDTH)
        self.search.textChanged.connect(self._searched)
        self.count = label("", "caption", "muted")
        self.actions_bar = ActionBar()
        bar = QHBoxLayout()
        bar.setSpacing(8)
        bar.addWidget(self.search, 1)
        bar.addWidget(self.count)
        bar.addWidget(self.actions_bar, 3)
        column.addLayout(bar)
        self.beside(column)
        card = QFrame()
        card.setProperty("surface", "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.table)
        self._grey = Colourless(self.table)
        self._none_found = label("", "body", "muted")
        self._none_found.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none_found.setMinimumHeight(96)
        self._none_found.hide()
        inside.addWidget(self._none_found)
        column.addWidget(card, 1)
        self.below(column)
        # Below the table: no row moves under the pointer when it appears.
        self.message_bar = MessageBar()
        self.message_bar.acted.connect(self.act)
        column.addWidget(self.message_bar)
        self.table.selectionModel().selectionChanged.connect(self.show_actions)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self.table.doubleClicked.connect(self._double_clicked)
        # Keys of a page work wherever in the window the focus is: a page that is not shown has none.
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.activated.connect(self._focus_search)
        leave = QShortcut(QKeySequence("Escape"), self.search)
        leave.setContext(Qt.ShortcutContext.WidgetShortcut)
        leave.activated.connect(self.search.clear)
        return page

    def declare(self, acts: Sequence[ListAction]) -> None:
        """The acts in the order of the toolbar; the context menu has them the other way round. Call it once."""
        for act in acts:
            action = QAction(plain_text.mnemonic_free(act.words), self)
            action.triggered.connect(act.do)
            made = button(act.words, action.trigger, "primary" if act.primary else "")
            self.addAction(action)
            self.actions_bar.add(action, made)
            self._acts[act.id_] = (act, action, made)
            for keys in act.keys:
                shortcut = QShortcut(QKeySequence(keys), self.table if act.needs else self)
                if act.needs:
                    shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
                shortcut.activated.connect(partial(self._press, act, action))
        self.show_actions()

    def _press(self, act: ListAction, action: QAction) -> None:
        if act.needs and not self.table.chosen():
            self.table.selectRow(self.table.currentIndex().row())  # the row that is marked for the keyboard
        action.trigger()

    def action(self, id_: str) -> QAction:
        return self._acts[id_][1]

    def button(self, id_: str) -> QPushButton:
        return self._acts[id_][2]

    def rename(self, id_: str, words: str) -> None:
        """What an act is called with what is chosen now."""
        _, action, made = self._acts[id_]
        action.setText(plain_text.mnemonic_free(words))
        made.setText(words)

    def disable(self, id_: str, why: str) -> None:
        """The act is not possible with what is chosen now; `why` is its button's tool tip."""
        self.action(id_).setEnabled(False)
        self._why_not[id_] = why

    def _offer(self) -> Offer | None:
        """All rows that it shows. A list that is read by pages has files of its own."""
        if self._page_rows:
            return None
        return Offer(Piece(self.table.accessibleName(), (self.table.texts(),), this_computers_zone()))

    def _double_clicked(self) -> None:
        for act, action, _ in self._acts.values():
            if "Return" in act.keys:
                action.trigger()

    def _open_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions([action for action in reversed(self.actions()) if action.isVisible()])
        menu.addSeparator()
        self.table.offer_order(menu.addMenu("Sort by"))
        offer = self._offer()
        if offer is not None:
            menu.addSeparator()
            menu.addActions(self._exporter.actions(offer, menu))
        menu.popup(self.table.viewport().mapToGlobal(at))

    def show_actions(self) -> None:
        """Bring toolbar and menu in line with what is chosen."""
        chosen = self.table.chosen()
        for act, action, _ in self._acts.values():
            number = len(chosen)
            enough = act.needs == "" or number == 1 or (act.needs == "some" and number > 1)
            action.setEnabled(enough and self.found is not None)
            several = act.counted and number > 1
            self.rename(act.id_, f"{act.words} {number} {self._plural}" if several else act.words)
            self._why_not[act.id_] = ""
        self.actions_shown(chosen)
        for id_, (_, action, made) in self._acts.items():
            if made.hasFocus() and not (action.isEnabled() and action.isVisible()):
                self.table.setFocus()  # and not what happens to be the next button
            made.setEnabled(action.isEnabled())
            plain_text.set_tip(made, self._why_not[id_])
        self.actions_bar.arrange()
        if (notice := self.notice()) is not None:
            self._show_acts_of(notice)

    def _show_acts_of(self, notice: EmptyState) -> None:
        """Bring the buttons of a notice in line with what is possible."""
        for id_, shown in notice.buttons().items():
            if id_ in self._acts:
                possible = self.action(id_).isEnabled()
                if shown.hasFocus() and not possible:
                    self.setFocus()  # and not what happens to be next in the window
                shown.setEnabled(possible)

    def show_notice(self, notice: EmptyState) -> None:
        self._show_acts_of(notice)
        super().show_notice(notice)

    def _searched(self, text: str) -> None:
        if self._page_rows:
            self.narrow()
        else:
            self.table.proxy.search(text, self.matcher(text))
            self.show_count()

    def narrow(self) -> None:
        """What the database is asked for has changed."""
        self._pause.start()

    def show_count(self) -> None:
        shown, there = self.table.proxy.rowCount(), len(self.table.rows())
        words = formats.count(there, self._noun, self._plural)
        if self._has_more:
            words = f"The first {words}; scroll for more"
        elif shown != there:
            words = f"{shown} of {words}"
        if self.is_old():
            words = f"{words}, read {formats.age(self._read_ms, self.services.now_ms())}"
        self._grey.setEnabled(self.is_old())
        self.count.setText(words)
        if shown == 0 and self.table.hasFocus():
            self._focus_search()  # and not what happens to be next
        self.table.setVisible(shown > 0)
        self._none_found.setVisible(shown == 0)
        sought = self.search.text().strip()
        if self._page_rows:
            self._none_found.setText(f"No {self._noun} matches.")
            return
        self._none_found.setText(
            f"No {self._noun} has “{sought}” in {self._searched_of_it()}."
            if sought
            else f"No {self._plural} match."
        )

    def _searched_of_it(self) -> str:
        columns = self.table.model_of_rows.columns
        searched = [column.title.lower() for column in columns if column.searched]
        if len(searched) == len(columns):
            return "what is shown of it"
        return f"its {', '.join(searched[:-1])} or {searched[-1]}"

    def take_focus(self) -> None:
        if self.is_content_shown():
            self.table.setFocus()
        else:
            super().take_focus()

    def _focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    # --- Reading ---------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the list again; what is selected and searched stays."""
        house_id = self.services.live.house_id if self._of_house else None
        if self._of_house and house_id is None:
            return
        if house_id != self._house_id or self.found is None:
            self._house_id = house_id
            self.found = None
            self._said = None
            with QSignalBlocker(self.search):  # it is read now, not once more after a pause
                self.search.clear()
            self.table.proxy.search("")
            self.message_bar.hide_message()
            self.show_loading()
            self.show_actions()
        self._more.forget()
        self._loads.ask(self.reader())

    def is_old(self) -> bool:
        """Whether what is shown was read so long ago that it may no longer be so: another page was on screen since."""
        return self._is_shown_again and self.services.now_ms() - self._read_ms > _OLD_MS

    def reload_and_select(self, id_: Hashable) -> None:
        self._select_after = id_
        self.reload()

    def busy(self) -> bool:
        return self._loads.busy() or self._more.busy()

    def show_rows(self) -> None:
        """What `rows_of` makes of the list has changed, though the list has not."""
        if self.found is not None:
            self.table.set_rows(self.rows_of(self.found))
            self.show_count()  # what is searched may be found now, or no more
            self.show_actions()

    def _heard(self, house_id: int) -> None:
        if not self._of_house or house_id in (0, self._house_id):
            self._has_news = True

    def grow_older(self) -> None:
        """Ages grow, and what arrived is read. Where more was read by scrolling, it stays until one scrolls back."""
        if self._page_rows and self.table.verticalScrollBar().value() > 0:
            return
        self.show_rows()
        self._ticks += 1
        due = self._has_news or self._ticks * self._again.interval() >= _UNASKED_MS
        if due and self.found is not None and self.services.connection.online:
            self._has_news, self._ticks = False, 0
            self._loads.ask(self.reader())

    def _house_may_have_changed(self) -> None:
        if self.services.live.house_id != self._house_id and self.isVisible():
            self._loads.forget()
            self.reload()

    def is_loaded(self) -> bool:
        return self.found is not None

    def _loaded(self, found: Found) -> None:
        self.found = found
        self._read_ms, self._is_shown_again = self.services.now_ms(), False
        self.loaded(found)
        rows = self.rows_of(found)
        self._has_more = bool(self._page_rows) and self.has_more(found)
        if not rows and not self.is_narrowed():
            self._grey.setEnabled(False)
            self.table.set_rows(())
            self.show_actions()
            self.show_notice(self.empty_state(found))
            return
        self.table.set_rows(rows)
        if self._select_after is not None:
            self.table.select({self._select_after})
            self._select_after = None
        self.show_count()
        self.show_actions()
        self.show_message()
        self.show_content()
        self.shown()

    def _scrolled(self, value: int) -> None:
        bar = self.table.verticalScrollBar()
        near_the_end = value >= bar.maximum() - bar.pageStep() // 2
        if near_the_end and self._has_more and not self.busy():
            self._more.ask(self.next_reader(self.table.rows()[-1]))

    def _more_loaded(self, found: Found) -> None:
        self.loaded(found)
        rows = self.rows_of(found)
        self._has_more = self.has_more(found)
        self.table.append_rows(rows)
        self.show_count()

    # --- What acts have to say -------------------------------------------------------------------------------------

    def say(self, text: str, tone: Tone = "warning", actions: tuple[tuple[str, str], ...] = ()) -> None:
        """In the strip, until it is dismissed; "" takes it back. `actions` are (id, text), besides "Dismiss"."""
        self._said = (tone, text, actions) if text else None
        self.show_message()

    def show_message(self) -> None:
        standing = self.standing()
        if self._said is not None and standing is not None:
            tone, text, buttons = standing
            said_tone, said, actions = self._said
            graver = max(said_tone, tone, key=_GRAVITY.index)
            self.message_bar.say(graver, f"{said}\n{text}", (*buttons, *actions, *_DISMISS))
        elif self._said is not None:
            tone, text, actions = self._said
            self.message_bar.say(tone, text, (*actions, *_DISMISS))
        elif standing is not None:
            self.message_bar.say(*standing)
        else:
            self.message_bar.hide_message()

    def not_done(self, error: Exception) -> None:
        """An act failed: say it, and show how things are now."""
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
        if isinstance(error, Cancelled):
            self.say("")
        else:
            self.say(explain(error, then="Look at the list before trying again."))
        self.reload()

    def changed(self, _result: object = None) -> None:
        """An act changed the list: show how things are now."""
        self.say("")
        self.reload()

    def run_act(self, title: str, work: Callable[[Report], T], on_result: Callable[[T], None]) -> None:
        """An act that may take long: in the status bar with its progress, and to be cancelled there."""
        self.services.tasks.run_shown(self, title, work, on_result, self.not_done)

    def act(self, id_: str) -> None:
        """A button of strip or notice."""
        if id_ == "dismiss":
            self.say("")
        elif id_ in self._acts:
            self.action(id_).trigger()
        else:
            super().act(id_)

    # --- Events ----------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._is_shown_again = self.found is not None
        self.show_rows()
        self.reload()
        if self._again.interval():
            self._again.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._again.stop()

    def shapes(self) -> Sequence[QRectF]:
        width, height = self.width() - 2 * _MARGIN, self.height() - 3 * _MARGIN - 34
        return (
            QRectF(_MARGIN, _MARGIN, 240, 34),
            QRectF(_MARGIN, 2 * _MARGIN + 34, width, max(120, height)),
        )
