"""Asking for a file, without stopping the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget


def ask_where_to_save(
    parent: QWidget, title: str, name: str, kinds: str, on_chosen: Callable[[Path], None]
) -> QFileDialog:
    """`name` is suggested; `kinds` as in `CSV files (*.csv)`, several with `;;` between. `on_chosen` must be a method of
    `parent`."""
    dialog = FileDialog(parent, title, kinds, on_chosen)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setDefaultSuffix("csv")
    dialog.selectFile(name)
    dialog.open()
    return dialog


def ask_where_to_save_sheet(
    parent: QWidget, title: str, name: str, on_chosen: Callable[[Path, str], None]
) -> QFileDialog:
    """Ask for a CSV file and what stands between its cells, which `on_chosen` hears second."""

    def chosen(path: Path) -> None:
        on_chosen(path, _DELIMITERS.get(dialog.selectedNameFilter(), ","))

    dialog = ask_where_to_save(parent, title, name, ";;".join(_DELIMITERS), chosen)
    return dialog


_DELIMITERS = {
    "CSV files (*.csv)": ",",
    "CSV files with ; between the cells, for spreadsheets with a decimal comma (*.csv)": ";",
}


def ask_what_to_open(
    parent: QWidget, title: str, kinds: str, on_chosen: Callable[[Path], None]
) -> QFileDialog:
    """`on_chosen` must be a method of `parent`."""
    dialog = FileDialog(parent, title, kinds, on_chosen)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptOpen)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.open()
    return dialog


def ask_for_folder(parent: QWidget, title: str, on_chosen: Callable[[Path], None]) -> QFileDialog:
    """`on_chosen` must be a method of a QObject."""
    dialog = FileDialog(parent, title, "All files (*)", on_chosen)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.open()
    return dialog


class FileDialog(QFileDialog):
    def __init__(self, parent: QWidget, title: str, kinds: str, on_chosen: Callable[[Path], None]) -> None:
        super().__init__(parent, title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setNameFilters([*kinds.split(";;"), "All files (*)"])
        self._on_chosen = on_chosen
        self.fileSelected.connect(self._chosen)

    def _chosen(self, file: str) -> None:
        if file:
            self._on_chosen(Path(file))
