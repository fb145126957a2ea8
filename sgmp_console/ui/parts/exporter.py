"""Files and numbers of a single chart or table: one menu for all of them, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractScrollArea, QHBoxLayout, QLineEdit, QMenu, QVBoxLayout, QWidget

from sgmp_console.errors import SgmpError
from sgmp_console.reports import export
from sgmp_console.reports.export import Piece
from sgmp_console.ui import plain_text
from sgmp_console.ui.charts.paper import Drawing, WrongSize, parsed_size, png_bytes
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import Tone
from sgmp_console.ui.parts.table import RowsTable

FILES = {
    "csv": "CSV files (*.csv)",
    "xlsx": "Excel workbooks (*.xlsx)",
    "pdf": "PDF documents (*.pdf)",
    "png": "Pictures (*.png)",
}
"""By ending of a file: its kind, as file dialogs name it."""

PICTURE_SIZES = ((1280, 800), (1920, 1080), (2560, 1440), (3840, 2160))
"""Pixels, that a menu offers."""

MENU_KEYS = "Ctrl+E"
_NOT_PERMITTED = "Your role does not have the permission export."


@dataclass(frozen=True)
class Offer:
    """A chart or table as it is now. Tables have no drawing."""

    piece: Piece
    drawing: Drawing | None = None


class Exporter(QObject):
    """Gives charts and tables of a page a menu: by the right button, the menu key, Shift+F10 or Ctrl+E. Ctrl+C copies the
    numbers of a chart; a table copies its chosen rows by itself. `say` shows what happened."""

    def __init__(self, services: Services, say: Callable[[Tone, str], None], page: QWidget) -> None:
        super().__init__(page)
        self._services = services
        self._say = say
        self._page = page

    def offer(
        self,
        widget: QWidget,
        what: Callable[[], Offer | None],
        others: Callable[[QMenu], Sequence[QAction]] = lambda _menu: (),
    ) -> None:
        """`what` is asked when it is wanted; None: there is nothing now. `others`: what else stands in the menu."""
        widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        widget.customContextMenuRequested.connect(partial(self._open_at, widget, what, others))
        keys = {MENU_KEYS: partial(self._open_at, widget, what, others, None)}
        if not isinstance(widget, QAbstractScrollArea):
            keys["Ctrl+C"] = partial(self._copy_now, what)
        for text, act in keys.items():
            shortcut = QShortcut(QKeySequence(text), widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(act)

    def _open_at(
        self,
        widget: QWidget,
        what: Callable[[], Offer | None],
        others: Callable[[QMenu], Sequence[QAction]],
        at: QPoint | None,
    ) -> None:
        offer = what()
        if offer is None:
            return
        seen = widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget
        menu = QMenu(self._page)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self.actions(offer, menu))
        if more := others(menu):
            menu.addSeparator()
            menu.addActions(list(more))
        if isinstance(widget, RowsTable):
            menu.addSeparator()
            widget.offer_order(menu.addMenu("Sort by"))
        menu.popup(seen.mapToGlobal(seen.rect().center() if at is None else at))

    def actions(self, offer: Offer, parent: QObject) -> list[QAction]:
        """The entries of its menu."""
        acts: list[tuple[str, Callable[[], object]]] = [
            ("Copy numbers", partial(self.copy, offer)),
            ("CSV file", partial(self._ask, offer, "csv")),
            ("Excel workbook", partial(self._ask, offer, "xlsx")),
        ]
        if offer.drawing is not None:
            acts += [
                (f"Picture, {width} x {height} pixels", partial(self._ask, offer, "png", (width, height)))
                for width, height in PICTURE_SIZES
            ]
            acts.append(("Picture of another size", partial(self._ask_size, offer)))
        actions = []
        for text, act in acts:
            action = QAction(plain_text.mnemonic_free(text), parent)
            action.triggered.connect(act)
            action.setEnabled(self._may())
            actions.append(action)
        if not self._may():
            reason = QAction(plain_text.mnemonic_free(_NOT_PERMITTED), parent)
            reason.setEnabled(False)
            actions.append(reason)
        return actions

    def _may(self) -> bool:
        return self._services.session.may("export")

    def _copy_now(self, what: Callable[[], Offer | None]) -> None:
        offer = what()
        if offer is None:
            return
        if self._may():
            self.copy(offer)
        else:
            self._say("info", _NOT_PERMITTED)

    def copy(self, offer: Offer) -> None:
        """Its numbers at full precision, as spreadsheets take them."""
        piece = offer.piece
        texts = [export.tab_separated(table, piece.zone) for table in piece.tables]
        QGuiApplication.clipboard().setText("\n\n".join(texts))
        self._say("info", f"The numbers of {piece.title} are on the clipboard.")

    def _ask_size(self, offer: Offer) -> None:
        dialog = SizeDialog(self._page)
        dialog.chosen.connect(partial(self._ask, offer, "png"))
        dialog.open()

    def _ask(self, offer: Offer, ending: str, size: tuple[int, int] = PICTURE_SIZES[0]) -> None:
        piece = offer.piece
        name = " ".join(part for part in (piece.house, piece.title, piece.period) if part)
        ask_where_to_save(
            self._page,
            f"Export {piece.title}",
            plain_text.file_name(f"{name}.{ending}"),
            FILES[ending],
            partial(self.save, offer, size=size),
        )

    def save(self, offer: Offer, file: Path, size: tuple[int, int] = PICTURE_SIZES[0]) -> None:
        """Write it to a file, as its ending says, off the GUI thread."""
        if not self._may():
            return

        def write(_progress: object) -> Path:
            suffix = file.suffix.lower()
            if suffix == ".xlsx":
                content = export.xlsx_bytes(offer.piece)
            elif suffix == ".png" and offer.drawing is not None:
                content = png_bytes(offer.piece, offer.drawing, *size)
            else:
                content = export.csv_bytes(offer.piece)
            export.write_file(file, content)
            return file

        self._services.tasks.run_shown(
            self._page, f"Exporting {file.name}", write, self.saved, self.not_saved
        )

    def saved(self, file: Path) -> None:
        self._say("info", f"Exported to {file}.")

    def not_saved(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, SgmpError) else "The file could not be written."
        self._say("fault", sentence)


class SizeDialog(Dialog):
    """Asks for the pixels of a picture; `chosen` carries width and height."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Size of the picture")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(400)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label("Size of the picture", "heading"))
        self.size_entry = QLineEdit(f"{PICTURE_SIZES[0][0]}x{PICTURE_SIZES[0][1]}")
        self._field = Field("Width x height, pixels", self.size_entry, "320 to 8192 each.", keeps_line=True)
        column.addWidget(self._field)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(button("Cancel", self.reject))
        confirm = button("Export", self.accept, "primary")
        confirm.setDefault(True)
        row.addWidget(confirm)
        column.addLayout(row)
        self.size_entry.selectAll()
        self.size_entry.setFocus()

    def accept(self) -> None:
        try:
            size = parsed_size(self.size_entry.text().replace("\u00d7", "x").replace(" ", ""))
        except WrongSize as error:
            self._field.set_problem(str(error))
            return
        super().accept()
        self.chosen.emit(size)
