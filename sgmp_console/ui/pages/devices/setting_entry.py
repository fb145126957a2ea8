"""The entry for one setting of a device's config: a value, or nothing where the setting is not set."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QWidget

from sgmp_console.store.devices import MASK
from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.fields import Field
from sgmp_edge.contract import ConfigField

_LIST_LINES = 4
STORED = "Stored, not shown. Type to replace it"


class SettingEntry(Field):
    """A field of the form. `edited` carries the key and the new value, None where the setting is taken away.

    `left`: the cursor was here and is not any more, so that it is time to say what is wrong.
    """

    edited = Signal(str, object)
    left = Signal()

    def __init__(self, setting: ConfigField, example: Any) -> None:
        hint = _hint(setting, example)
        entry = _made_entry(setting, hint)
        title = setting.title if setting.required else f"{setting.title}, optional"
        super().__init__(title, entry, setting.help)
        entry.setAccessibleName(setting.title)
        plain_text.set_tip(entry, f"{setting.key} in the JSON")
        self.setting = setting
        self.touched = False
        self._masked = False
        self._hint = hint
        self._line = entry if isinstance(entry, QLineEdit) else None
        self._choice = entry if isinstance(entry, ComboBox) else None
        self._list = entry if isinstance(entry, QPlainTextEdit) else None
        if self._line is not None:
            self._line.textEdited.connect(self._edited)
            self._line.editingFinished.connect(self._left)
        if self._choice is not None:
            self._choice.activated.connect(self._edited)
        if self._list is not None:
            self._list.textChanged.connect(self._edited)

    def show_value(self, value: Any, *, secret_shown: bool) -> None:
        """Say what the config holds; None: the setting is not set. No signal is sent."""
        self._masked = value == MASK
        if self._line is not None:
            hidden = self.setting.secret and not secret_shown
            self._line.setEchoMode(QLineEdit.EchoMode.Password if hidden else QLineEdit.EchoMode.Normal)
            self._line.setPlaceholderText(STORED if self._masked else self._hint)
            text = "" if value is None or self._masked else _as_text(value)
            if text != self._line.text():
                self._line.setText(text)
        elif self._choice is not None:
            _show_choice(self._choice, value)
        elif self._list is not None:
            lines = "\n".join(map(_as_text, value)) if isinstance(value, list) else _as_text(value)
            if _lines(self._list.toPlainText()) != _lines(lines):
                self._list.blockSignals(True)
                self._list.setPlainText(lines)
                self._list.blockSignals(False)

    def set_read_only(self) -> None:
        """It can be looked at and copied."""
        if self._line is not None:
            self._line.setReadOnly(True)
        elif self._list is not None:
            self._list.setReadOnly(True)
        elif self._choice is not None:
            self._choice.set_read_only(True)

    def value(self) -> Any:
        """What stands in the entry; None: nothing."""
        if self._line is not None:
            text = self._line.text()
            if not text.strip():
                return MASK if self._masked else None
            return _as_number(text.strip()) if self.setting.kind in ("integer", "number") else text
        if self._choice is not None:
            return self._choice.currentData()
        if self._list is not None:
            return _lines(self._list.toPlainText()) or None
        return None

    def _edited(self) -> None:
        self.edited.emit(self.setting.key, self.value())

    def _left(self) -> None:
        self.touched = True
        self.left.emit()


def _made_entry(setting: ConfigField, hint: str) -> QWidget:
    if setting.kind in ("choice", "boolean"):
        return _made_choice(setting)
    if setting.kind == "text_list":
        lines = QPlainTextEdit()
        lines.setFont(fonts.font("body"))
        lines.setProperty("kind", "entry")
        lines.setTabChangesFocus(True)
        lines.setPlaceholderText(hint)
        lines.setFixedHeight(round(QFontMetricsF(lines.font()).lineSpacing() * _LIST_LINES) + 24)
        return lines
    line = QLineEdit()
    line.setFont(fonts.font("body"))
    line.setPlaceholderText(hint)
    return line


def _made_choice(setting: ConfigField) -> ComboBox:
    choice = ComboBox()
    if not setting.required:
        words = "Not set" if setting.default is None else f"Not set (counts as {_as_choice(setting.default)})"
        choice.addItem(words, None)
    values: tuple[Any, ...] = (True, False) if setting.kind == "boolean" else setting.choices
    for value in values:
        choice.addItem(_as_choice(value), value)
    if setting.required:
        choice.setPlaceholderText("Choose")
        choice.setCurrentIndex(-1)
    return choice


def _show_choice(choice: QComboBox, value: Any) -> None:
    known = [choice.itemData(number) for number in range(choice.count())]
    index = next(
        (number for number, one in enumerate(known) if one == value and type(one) is type(value)), -1
    )
    if index < 0 and value is not None:
        # Not one of the choices: shown all the same, and refused by the schema.
        choice.addItem(_as_text(value), value)
        index = choice.count() - 1
    choice.setCurrentIndex(index)


def _hint(setting: ConfigField, example: Any) -> str:
    """What stands in an empty entry: never a value that could be taken for one."""
    if setting.default is not None:
        return f"Not set (counts as {_as_choice(setting.default)})"
    if example is None or setting.secret:
        return ""
    if isinstance(example, list):
        return "One to a line, for example\n" + "\n".join(map(str, example[:3]))
    return f"For example {_as_text(example)}"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_choice(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _as_text(value)


def _as_number(text: str) -> Any:
    """The number that a text is, else the text, for the schema to refuse."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
