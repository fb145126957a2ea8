"""Help: what the keys do, which version this is, where the log and the documents are."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.scroll_area import ScrollArea

_KEYS = (
    (
        "Everywhere",
        (
            ("F1", "Help"),
            ("Ctrl+1 to Ctrl+9", "Pages, in the order of the sidebar"),
            ("Ctrl+K", "Show another house"),
            ("Ctrl+B", "Collapse or expand the sidebar"),
            ("F5", "Read again"),
            ("Alt+Up", "From a device or an edge back to where it was opened"),
            ("F6, Shift+F6", "From sidebar to top bar to page, and back"),
            ("Shift+F10, menu key", "The menu of what has the focus"),
        ),
    ),
    (
        "In a list",
        (
            ("Ctrl+F", "Search"),
            ("Ctrl+N", "Create"),
            ("Enter, F2", "Edit what is chosen; Enter opens a device or house"),
            ("Del", "Delete what is chosen"),
            ("Ctrl+C", "Copy the chosen rows"),
        ),
    ),
    (
        "In a dialog",
        (
            ("Ctrl+Enter, Ctrl+S", "Save"),
            ("Enter", "The next field"),
            ("Esc", "Cancel"),
            ("Ctrl+Space", "In a formula: what can be written here"),
        ),
    ),
    (
        "In the fleet",
        (
            ("J, K", "The next house, the one before"),
            ("Space", "Choose it, or not"),
            ("Enter", "Open it"),
        ),
    ),
    (
        "In a report",
        (
            ("Alt+[, Alt+]", "The period before, after"),
            ("Alt+Left, Alt+Right", "Back to the period shown before, forward"),
            ("F2, Enter", "Where the figure comes from"),
            ("Shift+Left, Shift+Right, Enter", "In the chart: choose a part of the period"),
            ("+, −", "In the chart: half of it, twice as much"),
            ("Ctrl+Left, Ctrl+Right", "In the chart: move by a quarter"),
            ("Home", "In the chart: the whole again"),
            ("Left, Right, Enter", "In the bars: choose a bar, open its day or month"),
            ("Arrow keys, Enter", "In the heat map: choose an hour, open its day"),
            ("Up, Down", "In the picture of energy flows: choose a ribbon"),
            ("N", "In the chart: add a note on the chosen part, or on all that is shown"),
            ("Ctrl+E, Ctrl+C", "In a chart: its files, copy its numbers"),
        ),
    ),
    (
        "In a chart",
        (
            ("Left, Right", "Move the crosshair: five minutes, or hours and days in long periods"),
            ("Enter", "Open the finding or note under the crosshair"),
            ("Esc", "Hide the crosshair"),
        ),
    ),
)
"""The shortcuts, as docs/design_language.md has them."""

_WIDTH = 640
"""Pixels."""


class HelpDialog(Dialog):
    """`open()` it. `log_folder`: where the log is; None where this run has none."""

    def __init__(self, log_folder: Path | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Help")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._log_folder = log_folder
        self._version = f"SGMP {version('sgmp')}"
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label("Help", "heading"))
        shortcuts = _shortcuts()
        area = ScrollArea(shortcuts, name="Shortcuts")
        column.addWidget(area, 1)
        about = f"{self._version}. House Settings and Users of the playbook are the pages Houses and Accounts here."
        column.addWidget(label(about, "caption", "secondary", wraps=True))
        if log_folder is not None:
            column.addWidget(label(f"Log: {log_folder}", "caption", "muted", wraps=True))
        row = QHBoxLayout()
        row.setSpacing(8)
        if log_folder is not None:
            row.addWidget(button("Open log folder", self._open_log))
        row.addWidget(button("Copy version", self._copy_version))
        row.addStretch(1)
        close = button("Close", self.accept, "primary")
        close.setDefault(True)
        row.addWidget(close)
        column.addLayout(row)
        inside = shortcuts.sizeHint().height() + 4
        around = self.sizeHint().height() - area.sizeHint().height()
        room = parent.window().height() - 48 if parent is not None else 800
        self.resize(_WIDTH, min(room, around + inside))
        area.setFocus()  # Enter closes, the other keys scroll

    def _open_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._log_folder)))

    def _copy_version(self) -> None:
        QGuiApplication.clipboard().setText(self._version)


def _shortcuts() -> QWidget:
    inside = QWidget()
    inside.setProperty("surface", "card")
    grid = QGridLayout(inside)
    grid.setContentsMargins(16, 12, 16, 12)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(6)
    grid.setColumnStretch(1, 1)
    row = 0
    for title, keys in _KEYS:
        grid.addWidget(label(title, "title"), row, 0, 1, 2)
        row += 1
        for key, purpose in keys:
            grid.addWidget(label(key, "strong"), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(label(purpose, "body", "secondary", wraps=True), row, 1)
            row += 1
        grid.setRowMinimumHeight(row, 8)
        row += 1
    grid.setRowStretch(row, 1)
    return inside
