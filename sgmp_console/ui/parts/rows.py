"""Rows of a table: how their columns are declared, and the models between them and the view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QPainter

from sgmp_console.ui import fonts, plain_text

ROW_ROLE = Qt.ItemDataRole.UserRole
_SORT_ROLE = Qt.ItemDataRole.UserRole + 1

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Badge:
    """A word in a frame. `tint` is a token of the theme; `tip` says what the word means."""

    text: str
    tint: str
    tip: str = ""


@dataclass(frozen=True)
class Mark:
    """An icon before a cell's text, in a token of the theme."""

    icon: str
    tint: str


@dataclass(frozen=True)
class Column(Generic[Row]):
    """`text` is shown, searched, copied and read aloud; `mark` stands before it, `ink` is the token it is written in.
    `sort`: by what it is sorted, else by the text. A column is as wide as its content, at least `width`; one with 0
    takes what is left. `strong`: it says which row this is, and becomes narrower last. `whole`: a time, never cut.
    `optional`: where there is no room for all columns, it is not shown, the one with 1 first, and the tip of the row's name
    has its text. `badges` or `paint` draw the cell instead of its text."""

    title: str
    text: Callable[[Row], str]
    width: int = 0
    sort: Callable[[Row], Any] | None = None
    tip: Callable[[Row], str] | None = None
    mark: Callable[[Row], Mark | None] | None = None
    ink: Callable[[Row], str] | None = None
    badges: Callable[[Row], Sequence[Badge]] | None = None
    paint: Callable[[QPainter, QRectF, Row], None] | None = None
    strong: bool = False
    right: bool = False
    whole: bool = False
    searched: bool = True
    optional: int = 0

    @property
    def alignment(self) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if self.right else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


class RowsModel(QAbstractTableModel, Generic[Row]):
    def __init__(
        self,
        columns: Sequence[Column[Row]],
        id_: Callable[[Row], Hashable],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.id_ = id_
        self.rows: tuple[Row, ...] = ()
        self.left_out: Collection[Column[Row]] = ()
        """What there is no room for; the tip of the name has it."""

    def set_rows(self, rows: Sequence[Row]) -> bool:
        """Whether they are those of before: then only cells change, and nobody's selection or place is lost."""
        if [self.id_(row) for row in rows] == [self.id_(row) for row in self.rows]:
            self.rows = tuple(rows)
            if rows:
                self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(self.columns) - 1))
            return True
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()
        return False

    def append_rows(self, rows: Sequence[Row]) -> None:
        if rows:
            self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows) + len(rows) - 1)
            self.rows += tuple(rows)
            self.endInsertRows()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(self.columns)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal and section < len(self.columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return self.columns[section].alignment
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role == ROW_ROLE:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return plain_text.one_line(column.text(row))
        if role == _SORT_ROLE:
            return column.sort(row) if column.sort else column.text(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            beside = self.left_out if column.strong else ()
            return plain_text.tip("\n".join((_tip(column, row), *_left_out(beside, row))))
        if role == Qt.ItemDataRole.FontRole:
            return fonts.font("strong" if column.strong else "body")
        return None


def _tip(column: Column[Row], row: Row) -> str:
    if column.tip is not None:
        return column.tip(row)
    if column.badges is not None:
        return "\n".join(f"{badge.text}: {badge.tip}" for badge in column.badges(row) if badge.tip)
    return column.text(row)


def _left_out(columns: Collection[Column[Row]], row: Row) -> list[str]:
    return [f"{column.title}: {text}" for column in columns if (text := column.text(row))]


class RowsProxy(QSortFilterProxyModel, Generic[Row]):
    """All words of the search must stand somewhere in the searched columns of the row, unless another rule is set."""

    def __init__(self, model: RowsModel[Row], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._words: list[str] = []
        self._accepts: Callable[[Row], bool] | None = None
        self.setSourceModel(model)
        self.setSortRole(_SORT_ROLE)
        self.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def search(self, text: str, accepts: Callable[[Row], bool] | None = None) -> None:
        """Show the rows with these words, or those that `accepts` accepts."""
        self._words, self._accepts = text.casefold().split(), accepts
        self.invalidate()

    def sort_again(self) -> None:
        """By what the rows hold now."""
        self.sort(self.sortColumn(), self.sortOrder())

    def filterAcceptsRow(self, source_row: int, _parent: Index) -> bool:  # noqa: N802
        row = self._model.rows[source_row]
        if self._accepts is not None:
            return self._accepts(row)
        text = " ".join(column.text(row) for column in self._model.columns if column.searched).casefold()
        return all(word in text for word in self._words)
