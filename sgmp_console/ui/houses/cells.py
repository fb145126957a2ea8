"""A table of words and marks: rows are given whole, cells know how they look and sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sgmp_console.ui import fonts, icons, theme

_ROW_HEIGHT = 32
_ICON = 16
_Index = QModelIndex | QPersistentModelIndex
IDENT_ROLE = Qt.ItemDataRole.UserRole
CELL_ROLE = Qt.ItemDataRole.UserRole + 1
SORT_ROLE = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Cell:
    """`icon` in the token `tint`; `sort` where the text does not sort as it should."""

    text: str
    icon: str = ""
    tint: str = "ink_muted"
    tip: str = ""
    strong: bool = False
    sort: int | str | None = None


@dataclass(frozen=True)
class Column:
    """`width` in pixels; 0 takes what is left. Numbers stand on the right."""

    title: str
    width: int
    is_number: bool = False


@dataclass(frozen=True)
class Row:
    ident: int
    cells: tuple[Cell, ...]


class CellModel(QAbstractTableModel):
    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: tuple[Row, ...] = ()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Of the same rows only the cells change, so that nobody's selection or place is lost."""
        same = [row.ident for row in rows] == [row.ident for row in self.rows]
        if same and rows:
            self.rows = tuple(rows)
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(self.columns) - 1))
        elif not same:
            self.beginResetModel()
            self.rows = tuple(rows)
            self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self.columns)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(self.columns[section])
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        cell = row.cells[index.column()]
        if role == IDENT_ROLE:
            return row.ident
        if role == CELL_ROLE:
            return cell
        if role == SORT_ROLE:
            return cell.text.lower() if cell.sort is None else cell.sort
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.text
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or cell.text
        if role == Qt.ItemDataRole.FontRole:
            return fonts.font("strong" if cell.strong else "body")
        return None


class CellProxy(QSortFilterProxyModel):
    """All words of the search must stand somewhere in a row."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)

    def search(self, text: str) -> None:
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802
        model = self.sourceModel()
        cells = (model.index(source_row, column, source_parent) for column in range(model.columnCount()))
        text = " ".join(str(cell.data()) for cell in cells).lower()
        return all(word in text for word in self._words)


class CellTable(QTableView):
    def __init__(self, name: str, columns: Sequence[Column], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFont(fonts.font("body"))
        self.cells = CellModel(columns, self)
        self.proxy = CellProxy(self)
        self.proxy.setSourceModel(self.cells)
        self.setModel(self.proxy)
        self.setItemDelegate(_Painter(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setFont(fonts.font("caption"))
        header.setHighlightSections(False)
        header.setFixedHeight(34)
        for number, column in enumerate(columns):
            if column.width:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Interactive)
                self.setColumnWidth(number, column.width)
            else:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Shows these; what was selected stays selected, by ident."""
        chosen = self.chosen()
        self.cells.set_rows(rows)
        if chosen is not None and self.chosen() != chosen:
            self.choose(chosen)

    def chosen(self) -> int | None:
        """The ident of the selected row."""
        rows = self.selectionModel().selectedRows()
        ident: int | None = rows[0].data(IDENT_ROLE) if rows else None
        return ident

    def choose(self, ident: int) -> None:
        for place in range(self.proxy.rowCount()):
            if self.proxy.index(place, 0).data(IDENT_ROLE) == ident:
                self.selectRow(place)
                return


class _Painter(QStyledItemDelegate):
    """One row is one band: hover and selection run across it, the mark of focus stands at its beginning."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        wear = theme.tokens()
        cell: Cell = index.data(CELL_ROLE)
        view: Any = self.parent()
        area = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, wear.surface_selected)
        elif _hovered_row(view) == index.row():
            painter.fillRect(area, wear.surface_hover)
        painter.setPen(QPen(wear.line_hairline, 1))
        painter.drawLine(
            QPointF(area.left(), area.bottom() - 0.5), QPointF(area.right(), area.bottom() - 0.5)
        )
        if index.column() == 0 and view.hasFocus() and view.currentIndex().row() == index.row():
            painter.fillRect(QRectF(area.left(), area.top(), 3, area.height()), wear.accent_focus)
        inside = area.adjusted(12, 0, -12, 0)
        if cell.icon:
            mark = QRectF(inside.left(), inside.center().y() - _ICON / 2, _ICON, _ICON)
            icons.paint(painter, mark, cell.icon, getattr(wear, cell.tint))
            inside.setLeft(mark.right() + 6)
        painter.setFont(fonts.font("strong" if cell.strong else "body"))
        painter.setPen(wear.ink_primary if cell.strong else wear.ink_secondary)
        text = painter.fontMetrics().elidedText(cell.text, Qt.TextElideMode.ElideRight, int(inside.width()))
        painter.drawText(inside, _alignment(view.cells.columns[index.column()]), text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), _ROW_HEIGHT)


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _hovered_row(view: QTableView) -> int:
    viewport = view.viewport()
    if not viewport.underMouse():
        return -1
    return view.indexAt(viewport.mapFromGlobal(viewport.cursor().pos())).row()
