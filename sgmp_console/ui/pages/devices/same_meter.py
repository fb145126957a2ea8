"""The question that a new device with the name of a deleted one raises: whose history is it?"""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.fleet.devices_overview import FormerDevice
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import IconLabel, label


class SameMeterDialog(Dialog):
    """`open()` it. `answered` carries whether the new device is the same meter; nothing comes where it is cancelled."""

    answered = Signal(bool)

    def __init__(self, former: FormerDevice, now_ms: int, zone: tzinfo, parent: QWidget) -> None:
        super().__init__(parent)
        name = former.device.name
        self.setWindowTitle(plain_text.title(f"Is {name} the same meter?"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(560)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(IconLabel("info", "accent_focus", 24), alignment=Qt.AlignmentFlag.AlignTop)
        head.addWidget(label(f"Is {name} the same meter as before, or a new one?", "title", wraps=True), 1)
        column.addLayout(head)
        for text, ink in (
            (self._history(former, now_ms, zone), "primary"),
            (
                f"The same meter: its history goes on. Charts, reports and formulas see one {name}, from the first "
                "reading to the newest.",
                "secondary",
            ),
            (
                f"A new one: {name} starts empty. Formulas read only what comes from now on; the old readings are kept, but no "
                "formula reads them under this name.",
                "secondary",
            ),
        ):
            line = label(text, "body", ink, wraps=True)
            line.setContentsMargins(36, 0, 0, 0)
            column.addWidget(line)
        row = QHBoxLayout()
        row.setContentsMargins(0, 8, 0, 0)
        row.setSpacing(8)
        self.cancel = button("Cancel", self.reject)
        self.same = button("It is the same meter", self._same)
        self.new = button("It is a new one", self._new)
        row.addWidget(self.cancel)
        row.addStretch(1)
        row.addWidget(self.same)
        row.addWidget(self.new)
        column.addLayout(row)
        self.cancel.setFocus()

    def _history(self, former: FormerDevice, now_ms: int, zone: tzinfo) -> str:
        kind, name = former.device.type, former.device.name
        created, deleted = (formats.moment(at, now_ms, zone) for at in (former.created_ms, former.deleted_ms))
        newest = (
            f"Its newest reading is from {formats.moment(former.newest_ms, now_ms, zone)}"
            if former.newest_ms is not None
            else "None of its readings are kept"
        )
        return f"This house had a device {name} ({kind}), created {created} and deleted {deleted}. {newest}."

    def _same(self) -> None:
        self.answered.emit(True)
        self.accept()

    def _new(self) -> None:
        self.answered.emit(False)
        self.accept()
