"""Tables of frozen dataclasses: columns are declared, the rest is the same for every list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QKeySequence,
    QPainter,
    QPen,
    QPolygonF,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sgmp_console.reports.report import Column as TableColumnKind
from sgmp_console.reports.report import Table, TableColumn
from sgmp_console.ui import fonts, icons, plain_text, theme
from sgmp_console.ui.theme import Tokens

ROW_HEIGHT = 32
_ICON = 16
ROW_ROLE = Qt.ItemDataRole.UserRole
_SORT_ROLE = Qt.ItemDataRole.UserRole + 1

_MEASURED_ROWS = 200
_MEASURED_LENGTH = 120
"""Of which the content decides how wide columns are; characters of it."""
_WIDEST = 800
"""Pixels that a column takes at most, unless it takes what is left."""
_MODERATE = 320
"""Pixels to which all texts are cut first where there is no room."""
_ELASTIC = 220
"""Pixels that a column wants which takes what is left."""
_NARROWEST_NAME = 160
"""Pixels of a column that says which row it is: about twenty characters."""
_READABLE_NAME = 220
"""Pixels to which names are cut before optional columns are left out."""
_READABLE_TEXT = 112
"""Pixels to which texts are cut once no column can be left out."""
_LEGIBLE_TEXT = 160
"""Pixels to which texts are cut before names are, and before optional columns are left out."""
_USUAL = 0.9
"""The share of texts that are not cut before others are, where there is no room for the longest."""
_INSET = 12
"""Pixels beside the text of a cell, as beside the titles in the stylesheet: numbers end where their title does."""
_PADDING = 2 * _INSET + 2
_ARROW_ROOM = 18

Row = TypeVar("Row")
_Index = QModelIndex | QPersistentModelIndex


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


@dataclass(frozen=True)
class _Content:
    """Pixels that a column needs: for its longest text, and for most of its texts."""

    widest: int
    usual: int

    def with_room_of(self, other: _Content) -> _Content:
        return _Content(max(self.widest, other.widest), max(self.usual, other.usual))


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

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802
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

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
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

    def filterAcceptsRow(self, source_row: int, _parent: _Index) -> bool:  # noqa: N802
        row = self._model.rows[source_row]
        if self._accepts is not None:
            return self._accepts(row)
        text = " ".join(column.text(row) for column in self._model.columns if column.searched).casefold()
        return all(word in text for word in self._words)


class RowsTable(QTableView, Generic[Row]):
    """Sorted by its header, searched, rows selected and kept selected by id; Ctrl+C copies the chosen rows, each as
    `copied` gives it, else with all columns. `steady`: rows whose content changes stay where they are, until they are
    sorted again."""

    def __init__(
        self,
        name: str,
        columns: Sequence[Column[Row]],
        id_: Callable[[Row], Hashable],
        parent: QWidget | None = None,
        *,
        copied: Callable[[Row], Sequence[str]] | None = None,
        steady: bool = False,
    ) -> None:
        super().__init__(parent)
        self._copied = copied or self._all_columns
        self.setAccessibleName(name)
        self.setFont(fonts.font("body"))
        self.model_of_rows: RowsModel[Row] = RowsModel(columns, id_, self)
        self.proxy: RowsProxy[Row] = RowsProxy(self.model_of_rows, self)
        self.proxy.setDynamicSortFilter(not steady)
        self.setModel(self.proxy)
        self.setItemDelegate(_Cell(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setHorizontalHeader(_Header(self))
        header = self.horizontalHeader()
        header.sectionResized.connect(self._resized)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self._chosen_widths: dict[str, int] = {}
        """By the operator, by "table/column"."""
        self._is_fitting = False
        self._contents = [_Content(0, 0)] * len(columns)
        copying = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self)
        copying.setContext(Qt.ShortcutContext.WidgetShortcut)
        copying.activated.connect(self.copy)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit_columns()

    def remember_widths(self, widths: dict[str, int]) -> None:
        """Columns have these widths where they are chosen in it, and write into it what is chosen."""
        self._chosen_widths = widths
        self._fit_columns()

    def _width_key(self, place: int) -> str:
        return f"{self.accessibleName()}/{self.model_of_rows.columns[place].title}"

    def _resized(self, place: int, _old: int, new: int) -> None:
        if not self._is_fitting:
            self._chosen_widths[self._width_key(place)] = new

    def _measure(self) -> list[_Content]:
        """How wide the columns must be for what the first rows hold."""
        metrics = fonts.metrics("strong")
        contents = []
        for column in self.model_of_rows.columns:
            around = _PADDING + (_ICON + 8 if column.mark is not None else 0)
            most = _WIDEST if column.paint is None else column.width or _ELASTIC
            texts = [
                plain_text.one_line(column.text(row), _MEASURED_LENGTH)
                for row in self.rows()[:_MEASURED_ROWS]
            ]
            advances = {text: metrics.horizontalAdvance(text) for text in set(texts)}
            widths = sorted(min(round(advances[text] + around), most) for text in texts)
            usual = widths[int(_USUAL * (len(widths) - 1))] if widths else 0
            contents.append(_Content(widths[-1] if widths else 0, usual))
        return contents

    def _fit_columns(self) -> None:
        """Share the width: each column gets what it wants. Where there is no room for that, columns give up what they do
        not need, then the room for an arrow of sorting, then what only few texts need; then the widest are cut as long as one can read
        them, then
        optional columns are left out; only then texts are cut further, and what names the row last. Icons, badges and
        numbers stay whole."""
        columns = self.model_of_rows.columns
        keys = [self._width_key(place) for place in range(len(columns))]
        room = self.viewport().width()
        shown = list(range(len(columns)))
        optional = sorted(
            (p for p, column in enumerate(columns) if column.optional and keys[p] not in self._chosen_widths),
            key=lambda place: columns[place].optional,
        )
        while optional and sum(self._width(p, _named) for p in shown) > room:
            shown.remove(optional.pop(0))
        widths = {place: self._width(place, _wanted) for place in shown}
        free = [place for place in shown if keys[place] not in self._chosen_widths]
        for place in free:
            if columns[place].width == 0:
                least = 0 if columns[place].strong else _ELASTIC
                widths[place] = max(widths[place], least, room - sum(widths.values()) + widths[place])
        for least_width in (
            _needed,
            _without_arrow,
            _moderate,
            _usual,
            _legible,
            _named,
            _readable,
            _titled,
            _least,
        ):
            _shrink(widths, free, {place: self._width(place, least_width) for place in free}, room)
        self._is_fitting = True
        for place in range(len(columns)):
            self.setColumnHidden(place, place not in shown)
            if place in shown:
                self.setColumnWidth(place, widths[place])
        self.model_of_rows.left_out = [columns[p] for p in range(len(columns)) if p not in shown]
        self._is_fitting = False

    def _width(self, place: int, of: Callable[[Column[Row], _Content], int]) -> int:
        """The chosen one, else by this rule, which has the column and the width of its content."""
        chosen = self._chosen_widths.get(self._width_key(place))
        if chosen is not None:
            return chosen
        return of(self.model_of_rows.columns[place], self._contents[place])

    def rows(self) -> tuple[Row, ...]:
        """All of them, whatever is searched."""
        return self.model_of_rows.rows

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Shows these; what was selected stays selected, by id."""
        id_ = self.model_of_rows.id_
        chosen = {id_(row) for row in self.chosen()}
        place, current = self.currentIndex().row(), self.currentIndex().data(ROW_ROLE)
        same = self.model_of_rows.set_rows(rows)
        contents = self._measure()
        if same:  # columns do not become narrower under the pointer
            contents = [now.with_room_of(was) for now, was in zip(contents, self._contents, strict=True)]
        if contents != self._contents:
            self._contents = contents
            self._fit_columns()
        if not same:
            self.select(chosen, id_(current) if current is not None else None)
            if current is not None and not self.currentIndex().isValid():
                # It is gone: the keyboard goes on with the row that took its place.
                nearest = self.proxy.index(min(place, self.proxy.rowCount() - 1), 0)
                self.selectionModel().setCurrentIndex(nearest, QItemSelectionModel.SelectionFlag.NoUpdate)

    def append_rows(self, rows: Sequence[Row]) -> None:
        """Shows these, too; nothing moves."""
        self.model_of_rows.append_rows(rows)

    def chosen(self) -> list[Row]:
        """The selected rows, in the order shown."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in rows]

    def marked(self) -> Row | None:
        """The row that the keyboard is at."""
        row: Row | None = self.currentIndex().data(ROW_ROLE)
        return row

    def on_screen(self) -> list[Row]:
        """The rows that can be seen."""
        model, height = self.proxy, self.viewport().height()
        first, last = self.rowAt(0), self.rowAt(height - 1)
        last = model.rowCount() - 1 if last < 0 else last
        return (
            [model.index(row, 0).data(ROW_ROLE) for row in range(max(first, 0), last + 1)]
            if first >= 0
            else []
        )

    def select(self, idents: set[Hashable], current: Hashable = None) -> None:
        """Select the rows with these ids; `current` gets the focus, else the first of them."""
        model, selection = self.proxy, self.selectionModel()
        flag = selection.SelectionFlag
        selection.clear()
        for place in range(model.rowCount()):
            index = model.index(place, 0)
            id_ = self.model_of_rows.id_(index.data(ROW_ROLE))
            if id_ in idents:
                selection.select(index, flag.Select | flag.Rows)
            if id_ == current or (current is None and id_ in idents):
                selection.setCurrentIndex(index, flag.NoUpdate)
                current = id_

    def copy(self) -> None:
        """The chosen rows, separated by tabs, as spreadsheets take them."""
        lines = ["\t".join(self._copied(row)) for row in self.chosen()]
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))

    def texts(self) -> Table:
        """What it shows, all rows in the order shown, for a file."""
        places = [place for place, column in enumerate(self.model_of_rows.columns) if column.title]
        rows = (self.proxy.index(place, 0).data(ROW_ROLE) for place in range(self.proxy.rowCount()))
        columns = self.model_of_rows.columns
        return Table(
            "rows",
            self.accessibleName(),
            tuple(TableColumn(columns[place].title, TableColumnKind.TEXT) for place in places),
            tuple(tuple(columns[place].text(row) for place in places) for row in rows),
        )

    def _all_columns(self, row: Row) -> Sequence[str]:
        return [column.text(row) for column in self.model_of_rows.columns]


def _title_width(column: Column[Any]) -> int:
    return round(fonts.metrics("caption").horizontalAdvance(column.title) + _PADDING)


def _wanted(column: Column[Any], content: _Content) -> int:
    return max(column.width, _needed(column, content))


def _needed(column: Column[Any], content: _Content) -> int:
    return max(_title_width(column) + _ARROW_ROOM, content.widest)


def _without_arrow(column: Column[Any], content: _Content) -> int:
    return max(_title_width(column), content.widest)


def _moderate(column: Column[Any], content: _Content) -> int:
    return _cut(column, content, name=_MODERATE, text=_MODERATE)


def _usual(column: Column[Any], content: _Content) -> int:
    name, text = max(content.usual, _READABLE_NAME), max(content.usual, _READABLE_TEXT)
    return _cut(column, content, name=min(name, _MODERATE), text=min(text, _MODERATE))


def _legible(column: Column[Any], content: _Content) -> int:
    text = min(max(content.usual, _READABLE_TEXT), _LEGIBLE_TEXT)
    return _cut(column, content, name=min(max(content.usual, _READABLE_NAME), _MODERATE), text=text)


def _named(column: Column[Any], content: _Content) -> int:
    text = min(max(content.usual, _READABLE_TEXT), _LEGIBLE_TEXT)
    return _cut(column, content, name=_READABLE_NAME, text=text)


def _readable(column: Column[Any], content: _Content) -> int:
    return _cut(column, content, name=_READABLE_NAME, text=_READABLE_TEXT)


def _titled(column: Column[Any], content: _Content) -> int:
    return _cut(column, content, name=_READABLE_NAME, text=0)


def _least(column: Column[Any], content: _Content) -> int:
    return _NARROWEST_NAME if column.strong else _titled(column, content)


def _cut(column: Column[Any], content: _Content, *, name: int, text: int) -> int:
    """At most as much as a name or a text has; what must not be cut stays whole."""
    most = content.widest if _stays_whole(column) else name if column.strong else text
    return max(_title_width(column), min(content.widest, most))


def _stays_whole(column: Column[Any]) -> bool:
    """Icons, badges, numbers and times are of no use when they are cut."""
    return column.badges is not None or column.mark is not None or column.right or column.whole


def _shrink(widths: dict[int, int], places: Collection[int], leasts: Mapping[int, int], room: int) -> None:
    """Take from the widest of these columns until all fit into the room, or none is wider than it must be."""
    while (over := sum(widths.values()) - room) > 0:
        wide = [place for place in places if widths[place] > leasts[place]]
        if not wide:
            return
        widest = max(wide, key=lambda place: widths[place])
        next_width = max((widths[place] for place in wide if widths[place] < widths[widest]), default=0)
        widths[widest] -= max(1, min(over, widths[widest] - max(next_width, leasts[widest])))


class _Header(QHeaderView):
    """Titles with the arrow of the sorted column behind them, up where the smallest comes first."""

    def __init__(self, table: RowsTable[Any]) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self.setFont(fonts.font("caption"))
        self.setHighlightSections(False)
        self.setSectionsClickable(True)
        self.setFixedHeight(34)
        self._columns = table.model_of_rows.columns

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:  # noqa: N802
        super().paintSection(painter, rect, section)
        if not self.isSortIndicatorShown() or self.sortIndicatorSection() != section:
            return
        column = self._columns[section]
        title = fonts.metrics("caption").horizontalAdvance(column.title)
        middle = rect.center().y() + 0.5
        left = rect.right() - 12 - title - 14 if column.right else rect.left() + 12 + title + 6
        if left < rect.left() + 2 or left + 8 > rect.right():
            return  # no room beside the title
        up = self.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder
        tip, base = (middle - 2.5, middle + 2.5) if up else (middle + 2.5, middle - 2.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.tokens().ink_secondary)
        painter.drawPolygon(QPolygonF([QPointF(left, base), QPointF(left + 8, base), QPointF(left + 4, tip)]))
        painter.restore()


class _Cell(QStyledItemDelegate):
    """One row is one band: hover and selection run across it, the focus mark before it."""

    def __init__(self, view: RowsTable[Any]) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        tokens = theme.tokens()
        view = self._view
        row = index.data(ROW_ROLE)
        column: Column[Any] = view.model_of_rows.columns[index.column()]
        area = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, tokens.surface_selected)
        elif _hovered_row(view) == index.row():
            painter.fillRect(area, tokens.surface_hover)
        painter.setPen(QPen(tokens.line_hairline, 1))
        bottom = area.bottom() - 0.5
        painter.drawLine(QPointF(area.left(), bottom), QPointF(area.right(), bottom))
        if index.column() == 0 and view.hasFocus() and view.currentIndex().row() == index.row():
            painter.fillRect(QRectF(area.left(), area.top(), 3, area.height()), tokens.accent_focus)
        inside = area.adjusted(_INSET, 0, -_INSET, 0)
        if column.paint is not None:
            column.paint(painter, inside, row)
        elif column.badges is not None:
            paint_badges(painter, inside, column.badges(row), tokens)
        else:
            mark = column.mark(row) if column.mark is not None else None
            if mark is not None:
                square = QRectF(inside.left(), inside.center().y() - _ICON / 2, _ICON, _ICON)
                icons.paint(painter, square, mark.icon, getattr(tokens, mark.tint))
                inside.setLeft(square.right() + 8)
            token = column.ink(row) if column.ink is not None else ""
            ink = getattr(tokens, token or ("ink_primary" if column.strong else "ink_secondary"))
            paint_text(painter, inside, column.text(row), column.strong, ink, column.alignment)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)


def _hovered_row(view: QTableView) -> int:
    viewport = view.viewport()
    if not viewport.underMouse():
        return -1
    return view.indexAt(viewport.mapFromGlobal(viewport.cursor().pos())).row()


def paint_text(
    painter: QPainter, area: QRectF, text: str, strong: bool, ink: QColor, alignment: Qt.AlignmentFlag
) -> None:
    """One line, its end elided."""
    painter.setFont(fonts.font("strong" if strong else "body"))
    painter.setPen(ink)
    line = plain_text.one_line(text)
    shown = painter.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, int(area.width()))
    painter.drawText(area, alignment, shown)


def paint_badges(painter: QPainter, area: QRectF, badges: Sequence[Badge], tokens: Tokens) -> None:
    painter.setFont(fonts.font("caption"))
    metrics = fonts.metrics("caption")
    x = area.left()
    for badge in badges:
        tint: QColor = getattr(tokens, badge.tint)
        width = metrics.horizontalAdvance(badge.text) + 14
        frame = QRectF(x + 0.5, area.center().y() - 9.5, width, 19)
        painter.setPen(QPen(tint, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, 4, 4)
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, badge.text)
        x += width + 6
