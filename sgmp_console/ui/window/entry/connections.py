"""Connection profiles: the list of them, and the form of the one that is chosen. Nothing is kept before Save."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.keychain import Keychain
from sgmp_console.settings import (
    Profile,
    SettingsError,
    configuration_folder,
    import_profiles,
)
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.parts.buttons import IconButton, button
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.files import ask_for_folder, ask_what_to_open
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.window.entry.connection_check import ConnectionTestDialog
from sgmp_console.ui.window.entry.connection_fields import (
    FILES,
    FOLDERS,
    GROUPS,
    NEW,
    NUMBERS,
    Group,
    Values,
    problems,
)

_IMPORTED = "Connection files (*.toml)"


class ConnectionsDialog(TaskDialog):
    """`open()` it. `save` keeps the profiles; it raises SettingsError. `email`, `password`: what the sign-in page holds,
    for tests of a connection. `keychain`: where passwords of mail servers are stored; None: nowhere."""

    saved = Signal(object, str)
    """The list of profiles, and the name of the chosen one."""
    keyring_failed = Signal(object)

    def __init__(
        self,
        profiles: Sequence[Profile],
        chosen: str,
        save: Callable[[list[Profile]], None],
        tasks: Tasks,
        parent: QWidget,
        *,
        email: str = "",
        password: str = "",
        keychain: Keychain | None = None,
    ) -> None:
        super().__init__(tasks, "Connections", "Save", parent)
        self.resize(880, 680)
        self._window = parent
        self._save_profiles = save
        self._who = (email, password)
        self._keychain = keychain
        self._mail_passwords: dict[str, str] = {}
        """Typed and not kept yet, by the names of connections."""
        self._stored = [asdict(profile) for profile in profiles]
        self._drafts: list[Values] = [dict(values) for values in self._stored] or [dict(NEW)]
        self._shown = -1
        self._was_sent = False
        """Save or Test was pressed: all problems of the shown connection stand at their fields."""
        self._browsed = ""
        self._fields: dict[str, Field] = {}
        self._entries: dict[str, QLineEdit] = {}
        self._build()
        names = [draft["name"] for draft in self._drafts]
        self._fill_list(names.index(chosen) if chosen in names else 0)
        self._entries["name"].setFocus()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        both = QHBoxLayout()
        both.setSpacing(16)
        left = QVBoxLayout()
        left.setSpacing(8)
        self._list = QListWidget()
        self._list.setFixedWidth(232)
        self._list.setFont(fonts.font("body"))
        self._list.setAccessibleName("Connections")
        self._list.currentRowChanged.connect(self._choose)
        left.addWidget(self._list, 1)
        self._delete = button("Delete", self._ask_delete)
        for pair in (
            (button("Add", self._add), button("Duplicate", self._duplicate)),
            (button("Import", self._ask_for_import, tip="Add the connections of a file"), self._delete),
        ):
            row = QHBoxLayout()
            row.setSpacing(8)
            for made in pair:
                row.addWidget(made)
            left.addLayout(row)
        both.addLayout(left)
        form = QWidget()
        form.setProperty("surface", "card")
        lines = QVBoxLayout(form)
        lines.setContentsMargins(16, 12, 16, 16)
        lines.setSpacing(12)
        self._groups = [_GroupBox(group, self._make_field) for group in GROUPS]
        for box in self._groups:
            lines.addWidget(box)
        self._mail_password = QLineEdit()
        self._mail_password.setFont(fonts.font("body"))
        self._mail_password.setEchoMode(QLineEdit.EchoMode.Password)
        self._mail_password.textEdited.connect(self._mail_password_typed)
        secret = Field(
            "Mail password",
            self._mail_password,
            "Is stored in the keyring of this computer. Empty: it stays as it is.",
        )
        secret.setVisible(self._keychain is not None)  # without, it is asked for when mail is sent
        self._groups[-1].add(secret)
        lines.addStretch(1)
        self._area = ScrollArea(form)
        both.addWidget(self._area, 1)
        self._content = QWidget()
        both.setContentsMargins(0, 0, 0, 0)
        self._content.setLayout(both)
        self.lay_out(self._content, button("Test connection", self._test))

    def set_free(self, free: bool) -> None:
        self._content.setEnabled(free)

    def _make_field(self, name: str, words: str, explanation: str) -> Field:
        entry = QLineEdit()
        if name in NUMBERS:
            entry.setMaxLength(5)
        entry.textEdited.connect(self._typed)
        entry.setFont(fonts.font("body"))
        entry.editingFinished.connect(self._left)
        browse = None
        if name in (*FILES, *FOLDERS):
            browse = IconButton("folder", f"Browse for {words}")
            browse.setObjectName(name)
            browse.clicked.connect(self._browse)
        self._entries[name] = entry
        self._fields[name] = Field(words, entry, explanation, beside=browse)
        return self._fields[name]

    def _browse(self) -> None:
        self._browsed = self.sender().objectName()
        if self._browsed in FOLDERS:
            ask_for_folder(self, "Folder of the certificate authority", self._chosen_path)
        else:
            ask_what_to_open(self, "Certificate or key", "PEM files (*.pem *.crt *.key)", self._chosen_path)

    def _chosen_path(self, path: Path) -> None:
        self._entries[self._browsed].setText(str(path))
        self._fields[self._browsed].set_problem("")

    # --- The list ------------------------------------------------------------------------------------------------

    def _fill_list(self, row: int) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        for draft in self._drafts:
            self._list.addItem(plain_text.one_line(draft["name"] or "New connection"))
        self._list.blockSignals(False)
        self._shown = -1
        self._list.setCurrentRow(row)
        self._choose(row)

    def _choose(self, row: int) -> None:
        if not 0 <= row < len(self._drafts) or row == self._shown:
            return
        self._take()
        self._shown = row
        for name, entry in self._entries.items():
            entry.setText(str(self._drafts[row][name]))
            self._fields[name].set_problem("")
        for box in self._groups:
            box.fold(all(self._drafts[row][name] == NEW[name] for name in box.names))
        self._mail_password.setText(self._mail_passwords.get(self._drafts[row]["name"], ""))
        self._was_sent = False
        self._delete.setEnabled(bool(self._drafts))

    def _take(self) -> None:
        """What is typed into the draft that is shown."""
        if 0 <= self._shown < len(self._drafts):
            for name in self._entries:
                self._drafts[self._shown][name] = self._value(name)

    def _add(self) -> None:
        self._take()
        self._drafts.append(dict(NEW))
        self._fill_list(len(self._drafts) - 1)
        self._entries["name"].setFocus()

    def _duplicate(self) -> None:
        self._take()
        copy = dict(self._drafts[self._shown])
        name = _free_name(copy["name"], {draft["name"] for draft in self._drafts})
        self._drafts.append({**copy, "name": name})
        self._fill_list(len(self._drafts) - 1)
        self._entries["name"].setFocus()

    def _ask_for_import(self) -> None:
        ask_what_to_open(self, "Import connections", _IMPORTED, self._import)

    def _import(self, file: Path) -> None:
        """Add what a file of another console (its profiles.toml) or of an administrator holds."""
        try:
            profiles = import_profiles(file, configuration_folder())
        except SettingsError as error:
            self.message_bar.say("fault", str(error))
            return
        if not profiles:
            self.message_bar.say("fault", f"{file.name} holds no connection.")
            return
        self._take()
        names = {draft["name"] for draft in self._drafts}
        self._drafts = [draft for draft in self._drafts if draft != NEW]
        for profile in profiles:
            name = _free_name(profile.name, names)
            names.add(name)
            self._drafts.append({**asdict(profile), "name": name})
        self._fill_list(len(self._drafts) - len(profiles))
        added = formats.count(len(profiles), "connection")
        self.message_bar.say("info", f"{added} added. Nothing is stored before you save.")

    def _ask_delete(self) -> None:
        name = self._drafts[self._shown]["name"] or "New connection"
        confirm(
            f"Delete the connection {name}?",
            "This computer forgets how to reach it when you save. The deployment itself stays as it is.",
            f"Delete {name}",
            self,
            self._drop,
        )

    def _drop(self) -> None:
        row = self._shown
        self._shown = -1
        del self._drafts[row]
        if not self._drafts:
            self._drafts.append(dict(NEW))
        self._fill_list(min(row, len(self._drafts) - 1))

    # --- The form ------------------------------------------------------------------------------------------------

    def _typed(self) -> None:
        for name, entry in self._entries.items():
            if entry is self.sender():
                self._fields[name].set_problem("")
                if name == "name" and (item := self._list.item(self._shown)) is not None:
                    item.setText(self._entries["name"].text().strip() or "New connection")

    def _mail_password_typed(self, text: str) -> None:
        self._take()
        self._mail_passwords[self._drafts[self._shown]["name"]] = text

    def _left(self) -> None:
        """Problems of the field that was left; of all, once the form was sent."""
        found = self._problems_shown()
        for name, entry in self._entries.items():
            if self._was_sent or (entry is self.sender() and self._value(name) != NEW[name]):
                self._fields[name].set_problem(found.get(name, ""))

    def _value(self, name: str) -> Any:
        text = self._entries[name].text().strip()
        if name in NUMBERS:
            return int(text) if re.fullmatch("[0-9]+", text) else 0  # 0 is reported as a wrong port
        return text

    def _problems_shown(self) -> dict[str, str]:
        values = {name: self._value(name) for name in self._entries}
        others = [draft["name"] for row, draft in enumerate(self._drafts) if row != self._shown]
        return problems(values, others)

    def _show_problems(self) -> bool:
        """Whether there are any; the first has the focus."""
        self._was_sent = True
        found = self._problems_shown()
        for name, one in self._fields.items():
            one.set_problem(found.get(name, ""))
        for name, entry in self._entries.items():
            if name in found:
                next(box for box in self._groups if name in box.names).fold(False)
                entry.setFocus()
                self._area.ensureWidgetVisible(self._fields[name])
                return True
        return False

    def _test(self) -> None:
        self._take()
        if not self._show_problems():
            email, password = self._who
            profile, chain = Profile(**self._drafts[self._shown]), self._keychain
            typed = self._mail_passwords.get(profile.name, "")

            def mail_password() -> str:
                return typed or (chain and chain.mail_password(profile)) or ""

            ConnectionTestDialog(profile, email, password, mail_password, self.tasks, self).open()

    # --- Ending --------------------------------------------------------------------------------------------------

    def perform(self) -> None:
        self._take()
        kept = [draft for draft in self._drafts if draft != NEW]
        for draft in kept:
            row = next(number for number, one in enumerate(self._drafts) if one is draft)
            names = [one["name"] for one in self._drafts if one is not draft]
            if problems(draft, names):
                self._list.setCurrentRow(row)
                self._show_problems()
                return
        profiles = [Profile(**draft) for draft in kept]
        chosen = self._drafts[self._shown]["name"]

        def saved(_nothing: None) -> None:
            self._keep_mail_passwords(profiles)
            self.saved.emit(profiles, chosen)
            self.accept()

        self.run(lambda _report: self._save_profiles(profiles), saved, "Saving")

    def _keep_mail_passwords(self, profiles: list[Profile]) -> None:
        chain = self._keychain
        wanted = [(profile, self._mail_passwords.get(profile.name)) for profile in profiles]
        typed = [(profile, password) for profile, password in wanted if password and profile.smtp_user]
        if chain is None or not typed:
            return

        def keep() -> None:
            for profile, password in typed:
                chain.keep_mail_password(profile, password)

        # The window's task: this dialog is closed by then.
        self.tasks.run(self._window, keep, _kept, self.keyring_failed.emit)

    def would_lose(self) -> str:
        self._take()
        kept = [draft for draft in self._drafts if draft != NEW]
        same = kept == self._stored and not any(self._mail_passwords.values())
        return "" if same else "What you changed in the connections was not saved."


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


class _GroupBox(QFrame):
    """A group of fields under a title that folds them."""

    def __init__(self, group: Group, make_field: Callable[[str, str, str], Field]) -> None:
        super().__init__()
        self.setProperty("surface", "card")
        self.names = [name for name, _, _ in group.fields]
        self._title = group.title
        self._foldable = bool(group.purpose)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(label(group.title, "title"))
        head.addWidget(label(group.purpose, "caption", "muted"), 1)
        self._toggle = IconButton("chevron-down", f"Show {group.title}", size=16)
        self._toggle.clicked.connect(self._turn)
        head.addWidget(self._toggle)
        column.addLayout(head)
        self._toggle.setVisible(self._foldable)
        self._inside = QWidget()
        self._lines = QVBoxLayout(self._inside)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(12)
        for name, caption, explanation in group.fields:
            self._lines.addWidget(make_field(name, caption, explanation))
        column.addWidget(self._inside)

    def add(self, field: Field) -> None:
        self._lines.addWidget(field)

    def fold(self, folded: bool) -> None:
        folded = folded and self._foldable
        self._inside.setVisible(not folded)
        self._toggle.set_icon(
            "chevron-right" if folded else "chevron-down", f"{'Show' if folded else 'Hide'} {self._title}"
        )

    def _turn(self) -> None:
        self.fold(not self._inside.isHidden())


def _kept(_nothing: None) -> None:
    """Nothing is shown of it."""
