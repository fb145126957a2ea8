"""What a configuration changes, to be read: device by device, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.fleet.config_changes import TYPE, DeviceChange, Kind, SettingChange
from sgmp_console.store.devices import MASK
from sgmp_console.ui import fonts
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_edge import contract

_WORDS = {Kind.ADDED: "Added", Kind.REMOVED: "Removed", Kind.CHANGED: "Changed"}


def setting_words(change: SettingChange) -> str:
    """`10.0.0.1 → 10.0.0.2`; of lists what came and went; of secrets only that they changed."""
    before, after = change.before, change.after
    if change.setting == TYPE:
        before, after = contract.type_title(str(before)), contract.type_title(str(after))
    if before == MASK and after == MASK:
        return "changed (secret, not shown)"
    if before is None:
        return _value(after)
    if after is None:
        return f"{_value(before)} → not set"
    if isinstance(before, list) and isinstance(after, list):
        gone = [_value(one) for one in before if one not in after]
        came = [_value(one) for one in after if one not in before]
        parts = [f"without {', '.join(gone)}"] if gone else []
        parts += [f"with {', '.join(came)}"] if came else []
        return "; ".join(parts) or "in another order"
    return f"{_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    if value == MASK:
        return "secret, not shown"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return json.dumps(value)


class ChangesView(ScrollArea):
    def __init__(self) -> None:
        super().__init__(QWidget(), name="Changes")
        self._shown: tuple[Sequence[DeviceChange], str] | None = None

    def show_changes(self, changes: Sequence[DeviceChange], none: str) -> None:
        """`none` is said where there are none."""
        if self._shown == (changes, none):
            return
        self._shown = (changes, none)
        inside = QWidget()
        inside.setProperty("surface", "none")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(4)
        if not changes:
            column.addWidget(label(none, "body", "secondary", wraps=True))
        for change in changes:
            _add_device(column, change)
        column.addStretch(1)
        self.setWidget(inside)


def _add_device(column: QVBoxLayout, change: DeviceChange) -> None:
    column.addWidget(label(change.name, "strong", wraps=True))
    column.addWidget(label(f"{_WORDS[change.kind]} · {contract.type_title(change.type)}", "caption", "muted"))
    for setting in change.settings:
        row = QHBoxLayout()
        row.setContentsMargins(16, 0, 0, 0)
        row.setSpacing(12)
        name = ElidedLabel(setting.setting, "caption", "secondary")
        name.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        name.setFixedWidth(128)
        row.addWidget(name, alignment=Qt.AlignmentFlag.AlignTop)
        words = label(setting_words(setting), "body", wraps=True)
        words.setFont(fonts.font("fixed"))
        row.addWidget(words, 1)
        column.addLayout(row)
    column.addSpacing(8)
