"""A console's window, driven as its operator does: by what can be read on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QObject, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from sgmp_console.keychain import Keychain
from sgmp_console.settings import Profile, WindowSettings
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.sidebar import Sidebar
from sgmp_console.ui.window.uncaught import UncaughtErrors
from tests.e2e.world import Person

_TYPED_AT_MOST = 200
"""Characters; what is longer is pasted."""


class Window:
    """One console. `console`, `view` (once signed in), `folder`: what it remembers."""

    def __init__(
        self,
        qtbot: QtBot,
        appearance: Appearance,
        profile: Profile,
        folder: Path,
        keychain: Keychain | None,
    ) -> None:
        self._qtbot = qtbot
        self.profile = profile
        self.folder = folder
        self.bugs: list[BaseException] = []
        self._errors = UncaughtErrors()
        self.tasks = Tasks(self._note_bug)
        self.console = Console(
            self.tasks,
            appearance,
            self._errors,
            WindowSettings(),
            folder,
            find_keychain=lambda: keychain,
        )
        self._views: list[MainView] = []
        self.console.signed_in.connect(self._views.append)
        self.console.show_window()
        self.console.ask_to_sign_in([profile])

    @property
    def view(self) -> MainView:
        """The newest main view; AssertionError where nobody has signed in yet."""
        assert self._views, self._state("nobody has signed in")
        return self._views[-1]

    def close(self) -> None:
        """As leaving the program does. Bugs of ours fail the test."""
        for dialog in self._dialogs():
            dialog.close()
        self.console.shut_down()
        self.console.close()
        left = self.tasks.close(timeout_s=15)
        self.console.deleteLater()
        self.tasks.deleteLater()
        self._errors.deleteLater()
        assert not left, f"threads left behind: {left}"
        assert not self.bugs, f"uncaught in a task: {self.bugs}"

    # --- Signing in --------------------------------------------------------------------------------------------------

    def fill_sign_in(self, who: Person) -> None:
        """Type and press "Sign in", without waiting for what comes of it."""
        page = self.console.sign_in
        self.wait(page.isVisible, "the sign-in page")
        self.type_into("Email", who.email, page)
        self.type_into("Password", who.password, page)
        self.press("Sign in", page)

    def sign_in(self, who: Person) -> MainView:
        """Until the main view is there."""
        before = len(self._views)
        self.fill_sign_in(who)
        self.wait(lambda: len(self._views) > before and self._views[-1].isVisible(), "the main view")
        return self._views[-1]

    def sign_out(self) -> None:
        self.press("Sign out")
        self.wait(self.console.sign_in.isVisible, "the sign-in page")

    # --- Finding -----------------------------------------------------------------------------------------------------

    def open_page(self, id_: str) -> QWidget:
        """By the rail's entry; the page."""
        rail = self.view.findChild(Sidebar)
        assert rail is not None
        entries = {entry.id_: entry for entry in rail.findChildren(QAbstractButton) if hasattr(entry, "id_")}
        assert id_ in entries, f"no entry {id_} in the rail; there are {sorted(entries)}"
        self._click(entries[id_])
        self.wait(lambda: self.view.page(id_).isVisible(), f"the page {id_}")
        return self.view.page(id_)

    def dialog(self, title: str = "") -> QDialog:
        """The dialog on top, once it is there; with `title`, the one with these words in its title."""

        def found() -> QDialog | None:
            open_ones = [one for one in self._dialogs() if title in one.windowTitle()]
            return open_ones[-1] if open_ones else None

        self.wait(lambda: found() is not None, f"a dialog {title!r}")
        dialog = found()
        assert dialog is not None
        return dialog

    def wait_closed(self, dialog: QDialog) -> None:
        title = dialog.windowTitle()
        self.wait(lambda: dialog not in self._dialogs(), f"the end of the dialog {title!r}")

    def button(self, words: str, within: QWidget | None = None) -> QAbstractButton:
        """The one visible button with this text or accessible name, enabled or not."""
        self.wait(lambda: len(self._buttons(words, within)) == 1, f"one button {words!r}")
        return self._buttons(words, within)[0]

    def field(self, name: str, within: QWidget | None = None) -> QWidget:
        """The one visible field with this accessible name."""

        def found() -> list[QWidget]:
            kinds = (QLineEdit, QPlainTextEdit, QTextEdit, QComboBox, QCheckBox, QAbstractItemView)
            return [
                one
                for one in self._scope(within).findChildren(QWidget)
                if one.isVisible() and one.accessibleName() == name and isinstance(one, kinds)
            ]

        self.wait(lambda: len(found()) == 1, f"one field {name!r}")
        return found()[0]

    def words(self, within: QWidget | None = None) -> str:
        """All that can be read: labels, buttons, fields, cells."""
        return "\n".join(_words(within or self.console)).replace("\u00a0", " ")

    def table(self, within: QWidget | None = None) -> QAbstractItemView:
        """The one visible table or list."""

        def found() -> list[QAbstractItemView]:
            return [
                one
                for one in self._scope(within).findChildren(QAbstractItemView)
                if one.isVisible()
                and not isinstance(one, QHeaderView)
                and not isinstance(one.parent(), QComboBox)
            ]

        self.wait(lambda: len(found()) == 1, "one table")
        return found()[0]

    def rows(self, within: QWidget | None = None) -> list[list[str]]:
        """What the cells of the table say, hidden columns left out."""
        return _rows(self.table(within))

    def titles(self, within: QWidget | None = None) -> list[str]:
        """The titles of the table's columns, hidden ones left out."""
        table = self.table(within)
        model, hidden = table.model(), getattr(table, "isColumnHidden", lambda _column: False)
        return [
            str(model.headerData(column, Qt.Orientation.Horizontal))
            for column in range(_columns(model))
            if not hidden(column)
        ]

    # --- Acting ------------------------------------------------------------------------------------------------------

    def press(self, words: str, within: QWidget | None = None) -> None:
        """Click the button, or choose the menu entry, once it is enabled."""

        def enabled() -> list[QAbstractButton]:
            return [one for one in self._buttons(words, within) if one.isEnabled()]

        self.wait(lambda: bool(enabled() or self._actions(words, within)), f"a button or entry {words!r}")
        buttons = enabled()
        assert len(buttons) <= 1, f"{len(buttons)} buttons say {words!r}; name the one by `within`"
        if buttons:
            self._click(buttons[0])
        else:
            self._actions(words, within)[0].trigger()
            QApplication.processEvents()

    def type_into(self, name: str, text: str, within: QWidget | None = None) -> None:
        """Replace what a field holds."""
        entry = self.field(name, within)
        self.wait(entry.isEnabled, f"the field {name!r} to be enabled")
        target: QWidget = entry
        if isinstance(entry, QComboBox):
            line = entry.lineEdit()
            assert line is not None, f"{name!r} can't be typed into; choose from it"
            target = line
        self._activate(target)
        target.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(target, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        if not text:
            QTest.keyClick(target, Qt.Key.Key_Delete)
        elif len(text) > _TYPED_AT_MOST or "\n" in text:
            QGuiApplication.clipboard().setText(text)
            QTest.keyClick(target, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        else:
            QTest.keyClicks(target, text)

    def choose(self, name: str, words: str, within: QWidget | None = None) -> None:
        """An entry of a combo box, by its text."""
        entry = self.field(name, within)
        assert isinstance(entry, QComboBox), f"{name!r} is no combo box"
        self.wait(lambda: entry.findText(words) >= 0 and entry.isEnabled(), f"{words!r} in {name!r}")
        self._activate(entry)
        entry.setFocus(Qt.FocusReason.TabFocusReason)
        index = entry.findText(words)
        entry.setCurrentIndex(index)
        entry.activated.emit(index)

    def tick(self, name: str, on: bool = True, within: QWidget | None = None) -> None:
        """A check box, by its text or name."""

        def found() -> list[QCheckBox]:
            return [
                one
                for one in self._scope(within).findChildren(QCheckBox)
                if one.isVisible() and name in (one.text(), one.accessibleName())
            ]

        self.wait(lambda: len(found()) == 1 and found()[0].isEnabled(), f"a check box {name!r}")
        box = found()[0]
        if box.isChecked() != on:
            self._activate(box)
            QTest.keyClick(box, Qt.Key.Key_Space)

    def select_row(self, words: str, within: QWidget | None = None, *, also: bool = False) -> None:
        """Click the row of the table that has a cell with exactly these words; `also`: beside those chosen already."""
        table = self.table(within)

        def row() -> int:
            rows = _rows(table)
            return next((number for number, cells in enumerate(rows) if words in cells), -1)

        self.wait(lambda: row() >= 0, f"a row {words!r}")
        model = table.model()
        column = next(
            column
            for column in range(_columns(model))
            if table.visualRect(model.index(row(), column)).isValid()
        )
        index = model.index(row(), column)
        table.scrollTo(index)
        self._activate(table)
        keys = Qt.KeyboardModifier.ControlModifier if also else Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, keys, table.visualRect(index).center())

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """A key press to whatever has the focus."""
        window = self._scope(None).window()
        QTest.keyClick(window.focusWidget() or window, key, modifier)

    # --- Waiting -----------------------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], bool], what: str = "") -> None:
        """Run the event loop until it is true; fails after WAIT_S with what the window shows."""
        try:
            self._qtbot.waitUntil(condition)
        except self._qtbot.TimeoutError:
            raise AssertionError(self._state(f"waited in vain for {what or condition}")) from None

    def wait_for(self, words: str, within: QWidget | None = None) -> None:
        """Until these words stand somewhere."""
        self.wait(lambda: words in self._everything(within), f"the words {words!r}")

    def wait_gone(self, words: str, within: QWidget | None = None) -> None:
        self.wait(lambda: words not in self._everything(within), f"the words {words!r} to go")

    # --- Inside ------------------------------------------------------------------------------------------------------

    def _note_bug(self, error: BaseException) -> None:
        self.bugs.append(error)
        self._errors.report(error)

    def _dialogs(self) -> list[QDialog]:
        """Visible dialogs of this console, the newest last."""
        found = [
            one
            for one in QApplication.topLevelWidgets()
            if isinstance(one, QDialog) and one.isVisible() and self._owns(one)
        ]
        return sorted(found, key=_depth)

    def _owns(self, widget: QWidget) -> bool:
        above: QObject | None = widget
        while above is not None and above is not self.console:
            above = above.parent()
        return above is self.console

    def _scope(self, within: QWidget | None) -> QWidget:
        """Where to look: the dialog on top, else the whole window."""
        if within is not None:
            return within
        dialogs = self._dialogs()
        return dialogs[-1] if dialogs else self.console

    def _buttons(self, words: str, within: QWidget | None) -> list[QAbstractButton]:
        return [
            one
            for one in self._scope(within).findChildren(QAbstractButton)
            if one.isVisible() and words in (one.text().replace("&", ""), one.accessibleName())
        ]

    def _actions(self, words: str, within: QWidget | None) -> list[QAction]:
        """Menu entries; those of a menu that is not open, too."""
        return [
            one
            for one in self._scope(within).findChildren(QAction)
            if one.isEnabled() and one.isVisible() and one.text().replace("&", "") == words
        ]

    def _click(self, button: QAbstractButton) -> None:
        self._activate(button)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def _activate(self, widget: QWidget) -> None:
        window = widget.window()
        if not window.isActiveWindow():
            window.activateWindow()
            QApplication.processEvents()

    def _everything(self, within: QWidget | None) -> str:
        if within is not None:
            return self.words(within)
        return "\n".join(self.words(one) for one in (self.console, *self._dialogs()))

    def _state(self, what: str) -> str:
        parts = [what, "--- the window shows", self.words()]
        for dialog in self._dialogs():
            parts += [f"--- the dialog {dialog.windowTitle()!r} shows", self.words(dialog)]
        return "\n".join([*parts, *(repr(bug) for bug in self.bugs)])


def _depth(widget: QObject) -> int:
    """How many parents; a dialog over another one has more."""
    depth, above = 0, widget.parent()
    while above is not None:
        depth, above = depth + 1, above.parent()
    return depth


def _words(within: QWidget) -> Iterator[str]:
    for one in (within, *within.findChildren(QWidget)):
        if not one.isVisible():
            continue
        if isinstance(one, QLabel):
            # An elided one says in its accessible name what it could not show.
            yield one.accessibleName() or one.text()
        elif isinstance(one, QAbstractButton):
            yield one.text() or one.accessibleName()
        elif isinstance(one, QLineEdit):
            yield one.displayText()
        elif isinstance(one, QPlainTextEdit | QTextEdit):
            yield one.toPlainText()
        elif isinstance(one, QComboBox):
            yield one.currentText()
        elif isinstance(one, QHeaderView):
            pass  # it shares its table's model
        elif isinstance(one, QAbstractItemView):
            yield from (cell for row in _rows(one) for cell in row)
        elif one.accessibleName():
            yield one.accessibleName()


def _rows(table: QAbstractItemView) -> list[list[str]]:
    model = table.model()
    if model is None:
        return []
    hidden = getattr(table, "isColumnHidden", lambda _column: False)
    return [
        [
            str(model.index(row, column).data() or "")
            for column in range(_columns(model))
            if not hidden(column)
        ]
        for row in range(model.rowCount())
    ]


def _columns(model: QAbstractItemModel) -> int:
    # A list's own answer is private there.
    return 1 if isinstance(model, QAbstractListModel) else model.columnCount()
