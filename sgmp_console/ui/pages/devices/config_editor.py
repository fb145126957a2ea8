"""A device's config in two forms that stay in step: entries made from the type's schema, and the JSON itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.fleet.devices import config_problems
from sgmp_console.store.devices import MASK
from sgmp_console.ui import plain_text
from sgmp_console.ui.pages.devices import config_text
from sgmp_console.ui.pages.devices.config_text import ConfigText
from sgmp_console.ui.pages.devices.setting_entry import SettingEntry
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import label, set_ink
from sgmp_console.ui.parts.marked_edit import MarkedEdit
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_edge.contract import ConfigProblem, DeviceType, ProblemCode

SCROLL_ROOM = 22
"""Pixels right of the form's entries, the scroll bar included."""
_SCROLL_BAR = 10

_PAUSE_MS = 400
"""Of quiet before half a word of JSON is called wrong."""


class ConfigEditor(QWidget):
    """`form` and `json` are two widgets that the dialog puts where it likes; this one owns both and what they agree on.

    The text is what counts. Where secrets are not shown, `***` stands in it for each, and what was typed for one is kept
    beside. `stored`: the config as it is stored, in which a mask may stay.
    """

    edited = Signal()
    reveal_wanted = Signal()
    """Stored secrets shall be shown: call `reveal`."""

    def __init__(self, *, may_reveal: bool, read_only: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hide()
        self._kind: DeviceType | None = None
        self._stored: Mapping[str, Any] = {}
        self._stored_type = ""
        self._typed: dict[str, Any] = {}
        self._shown = False
        self._may_reveal = may_reveal
        self._read_only = read_only
        self._submitted = False
        self._entries: dict[str, SettingEntry] = {}
        self._read = config_text.read("{}")
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._show_problems)
        self.form = self._build_form()
        self.json = self._build_json()
        self.text.textChanged.connect(self._text_changed)

    # --- What it holds -------------------------------------------------------------------------------------------

    def set_type(self, kind: DeviceType | None) -> None:
        """Another type: other entries. The text stays as it is; what the type does not know is reported."""
        self._kind = kind
        self._make_entries()
        self._show_in_form()
        self._show_problems()
        self._show_secrets_button()

    def set_config(self, config: Mapping[str, Any], stored_type: str) -> None:
        """Start from what is stored; an empty text for a new device (`stored_type` "")."""
        self._stored, self._stored_type = dict(config), stored_type
        self._typed, self._shown, self._submitted = {}, False, False
        self._set_text(config_text.write(config) if config or stored_type else "")
        self._show_in_form()
        self._show_problems()
        self._show_secrets_button()

    def config(self) -> dict[str, Any] | None:
        """The config that stands here, typed secrets included; None where the JSON can't be read."""
        if self._read.config is None:
            return None
        return {
            key: self._typed.get(key, value) if value == MASK else value
            for key, value in self._read.config.items()
        }

    def problems(self) -> tuple[ConfigProblem, ...]:
        """What keeps this config from being stored, as far as it can be read."""
        config = self.config()
        if self._kind is None or config is None:
            return ()
        kept = self._stored if self._stored_type == self._kind.name else {}
        return config_problems(self._kind, config, kept)

    def submit(self) -> bool:
        """Whether this can be stored; where it can't, all that is wrong is marked, and the first has the cursor."""
        self._submitted = True
        self._show_problems()
        if self._read.problem is not None:
            self.text.go_to(self._read.problem)
            return False
        problems = self.problems()
        if not problems:
            return True
        entry = self._entries.get(problems[0].key)
        if entry is not None:
            entry.entry.setFocus()
        else:
            marks = self._read.marks(problems[:1])
            if marks:
                self.text.go_to(marks[0])
        return False

    def show_refused(self, problems: tuple[ConfigProblem, ...]) -> None:
        """What storing it found wrong."""
        for one in problems:
            if one.key in self._entries:
                self._entries[one.key].set_problem(_under_entry(one))
        self.text.set_problems(self._read.marks(problems))
        self._say(" ".join(map(config_text.sentence, problems)), "fault")

    def reveal(self, secrets: Mapping[str, Any]) -> None:
        """The stored config with its secrets: they are shown from now on."""
        for key, value in secrets.items():
            if self._stored.get(key) == MASK:
                self._typed.setdefault(key, value)
        self._set_shown(True)

    def forget_stored(self) -> None:
        """Nothing is stored any more: masks stand for nothing now."""
        self._stored, self._stored_type = {}, ""
        self._show_in_form()

    def secret_keys(self) -> frozenset[str]:
        declared = self._kind.secret_keys() if self._kind else frozenset()
        return declared | {key for key, value in self._stored.items() if value == MASK}

    def stop(self) -> None:
        """The dialog closes."""
        self._pause.stop()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build_form(self) -> ScrollArea:
        area = ScrollArea(QWidget(), keeps_place=True)
        area.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._column_of(area)
        return area

    def _column_of(self, area: ScrollArea) -> QVBoxLayout:
        inside = QWidget()
        inside.setProperty("surface", "none")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SCROLL_ROOM - _SCROLL_BAR, 0)
        column.setSpacing(12)
        area.setWidget(inside)
        return column

    def _build_json(self) -> QWidget:
        made = QWidget()
        column = QVBoxLayout(made)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        title = label("Config (JSON)", "caption", "secondary")
        column.addWidget(title)
        self.secrets = button("Show secrets", self._toggle_secrets)
        self.text = MarkedEdit()
        self.text.setAccessibleName("Config")
        self.text.setReadOnly(self._read_only)
        self.text.setLineWrapMode(MarkedEdit.LineWrapMode.WidgetWidth)
        title.setBuddy(self.text)
        column.addWidget(self.text, 1)
        self._verdict = label("", "caption", "muted", wraps=True)
        # Room for two lines from the start: what is below must not jump while one types.
        self._verdict.setMinimumHeight(max(36, 2 * self._verdict.fontMetrics().lineSpacing() + 2))
        self._verdict.setAlignment(Qt.AlignmentFlag.AlignTop)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 4, 0, 0)
        foot.setSpacing(16)
        foot.addWidget(self._verdict, 1)
        foot.addWidget(self.secrets, alignment=Qt.AlignmentFlag.AlignTop)
        column.addLayout(foot)
        return made

    def _make_entries(self) -> None:
        for entry in self._entries.values():
            entry.hide()
        self._entries = {}
        old = self.form.takeWidget()
        if old is not None:
            old.deleteLater()
        column = self._column_of(self.form)
        if self._kind is not None and not self._kind.declared:
            column.addWidget(
                label(
                    f"The type {self._kind.name} declares no settings: it takes any JSON object. Write it beside.",
                    "body",
                    "secondary",
                    wraps=True,
                )
            )
        for setting in self._kind.fields if self._kind else ():
            entry = SettingEntry(setting, self._kind.example.get(setting.key) if self._kind else None)
            entry.edited.connect(self._setting_edited)
            entry.left.connect(self._show_problems)
            if self._read_only:
                entry.set_read_only()
            self._entries[setting.key] = entry
            column.addWidget(entry)
        column.addStretch(1)
        example = dict(self._kind.example) if self._kind else {}
        shown = {key: "..." if key in self.secret_keys() else value for key, value in example.items()}
        self.text.setPlaceholderText(json.dumps(shown, indent=2, ensure_ascii=False) if shown else "{}")

    # --- In step -------------------------------------------------------------------------------------------------

    def _setting_edited(self, key: str, value: Any) -> None:
        config = self._read.config
        if config is None:
            return
        hide = not self._shown and key in self.secret_keys() and value not in (None, MASK)
        if hide:
            self._typed[key] = value
        elif value in (None, MASK):
            self._typed.pop(key, None)
            if value is None and not self._shown and self._can_keep(key):
                value = MASK
                hide = True
        order = tuple(self._entries)
        changed = config_text.with_setting(config, key, MASK if hide else value, order)
        self._set_text(config_text.write(changed))
        if self._entries[key].touched:
            self._entries[key].set_problem("")
        if hide and value == MASK:
            self._entries[key].show_value(MASK, secret_shown=False)
        self._pause.start()
        self.edited.emit()

    def _can_keep(self, key: str) -> bool:
        """Whether taking back what was typed leaves a stored secret in its place."""
        same = self._kind is not None and self._kind.name == self._stored_type
        return same and self._stored.get(key) == MASK

    def _text_changed(self) -> None:
        text = self.text.toPlainText()
        if text == self._read.text:
            return
        self._read = _read(text)
        self.text.forget_marks()
        self._show_in_form()
        self._show_secrets_button()
        self._pause.start()
        self.edited.emit()

    def _set_text(self, text: str) -> None:
        self._read = _read(text)
        if text != self.text.toPlainText():
            self.text.replace_all(text)
        self._show_secrets_button()

    def _show_in_form(self) -> None:
        config = self._read.config
        self.form.setEnabled(config is not None)
        if config is None:
            return
        for key, entry in self._entries.items():
            value = config.get(key)
            if value == MASK and key in self._typed:
                value = self._typed[key]
            entry.show_value(value, secret_shown=self._shown)

    def _show_problems(self) -> None:
        if self._read.problem is not None:
            self.text.set_problems((self._read.problem,))
            self._say(f"{self._read.problem.message} The form follows once the JSON can be read.", "fault")
            return
        problems = self.problems()
        there = self._read.config or {}
        shown = tuple(one for one in problems if self._submitted or one.key in there)
        self.text.set_problems(self._read.marks(shown))
        by_key = {one.key: _under_entry(one) for one in problems}
        for key, entry in self._entries.items():
            entry.set_problem(by_key.get(key, "") if self._submitted or entry.touched else "")
        unknown = [one.key for one in shown if one.key not in self._entries]
        if shown:
            self._say(" ".join(map(config_text.sentence, shown[:3])), "fault")
        elif not self._read_only and not unknown:
            self._say("Form and JSON are the same config: change either.", "muted")
        else:
            self._say("", "muted")

    def _say(self, text: str, ink: str) -> None:
        self._verdict.setText(text)
        set_ink(self._verdict, ink)

    def verdict(self) -> str:
        return self._verdict.text()

    def entry(self, key: str) -> SettingEntry:
        return self._entries[key]

    # --- Secrets -------------------------------------------------------------------------------------------------

    def _show_secrets_button(self) -> None:
        config = self._read.config or {}
        masked = [key for key, value in config.items() if value == MASK and key not in self._typed]
        typed = [key for key in self.secret_keys() if config.get(key) not in (None, "")]
        possible = bool(typed) and (not masked or self._may_reveal)
        self.secrets.setVisible(possible)
        self.secrets.setText("Hide secrets" if self._shown else "Show secrets")
        recorded = "The audit records that they were shown, and to whom." if masked else ""
        plain_text.set_tip(self.secrets, recorded)
        self.secrets.setAccessibleDescription(recorded)

    def _toggle_secrets(self) -> None:
        config = self._read.config or {}
        if self._shown:
            self._set_shown(False)
        elif any(value == MASK and key not in self._typed for key, value in config.items()):
            self.reveal_wanted.emit()
        else:
            self._set_shown(True)

    def _set_shown(self, shown: bool) -> None:
        config = self._read.config
        if config is None:
            return
        secret = self.secret_keys()
        self._shown = shown
        changed: dict[str, Any] = {}
        for key, value in config.items():
            if shown and value == MASK and key in self._typed:
                changed[key] = self._typed[key]
            elif not shown and key in secret and value not in (None, "", MASK):
                self._typed[key] = value
                changed[key] = MASK
            else:
                changed[key] = value
        self._set_text(config_text.write(changed))
        self._show_in_form()
        self._show_problems()


def _read(text: str) -> ConfigText:
    """An empty text is an empty config: a new device begins so."""
    if text.strip():
        return config_text.read(text)
    return ConfigText(text, {}, None, {})


def _under_entry(problem: ConfigProblem) -> str:
    """A problem as it stands under its own entry."""
    if problem.code is ProblemCode.MISSING:
        return "This is needed."
    return f"{problem.message[0].upper()}{problem.message[1:]}."
