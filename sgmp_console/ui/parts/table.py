"""Tables of frozen dataclasses: columns are declared, the rest is the same for every list."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QItemSelectionModel,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QColor,
    QFocusEvent,
    QGuiApplication,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sgmp_console.reports.report import Column as TableColumnKind
from sgmp_console.reports.report import Table, TableColumn
from sgmp_console.ui import fonts, icons, plain_text, theme
from sgmp_console.ui.parts import column_widths
from sgmp_console.ui.parts.column_widths import ICON, INSET, Content
from sgmp_console.ui.parts.rows import ROW_ROLE, Badge, Column, Index, RowsModel, RowsProxy
from sgmp_console.ui.parts.scroll_area import scroll_to
from sgmp_console.ui.theme import Tokens

ROW_HEIGHT = 32
Row = TypeVar("Row")


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
        header.sectionHandleDoubleClicked.connect(self._forget_width)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self._chosen_widths: dict[str, int] = {}
        """By the operator, by "table/column"."""
        self._is_fitting = False
        self._contents = [Content(0, 0)] * len(columns)
        copying = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self)
        copying.setContext(Qt.ShortcutContext.WidgetShortcut)
        copying.activated.connect(self.copy)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit_columns()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if self.hasFocus() and not self.proxy.rowCount():  # no row that could be marked
            painter = QPainter(self.viewport())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.tokens().accent_focus, 2))
            painter.drawRoundedRect(QRectF(self.viewport().rect()).adjusted(1, 1, -1, -1), 4, 4)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            scroll_to(self.viewport(), self.visualRect(self.currentIndex()))

    def currentChanged(self, current: Index, previous: Index) -> None:  # noqa: N802
        super().currentChanged(current, previous)
        if self.window().focusWidget() is self:  # by the keyboard; rows that are read again scroll nothing
            scroll_to(self.viewport(), self.visualRect(current))

    def offer_order(self, menu: QMenu) -> None:
        """What a click on the header does, for the keyboard."""
        columns, directions = QActionGroup(menu), QActionGroup(menu)
        place, order = (
            self.horizontalHeader().sortIndicatorSection(),
            self.horizontalHeader().sortIndicatorOrder(),
        )
        for number, column in enumerate(self.model_of_rows.columns):
            action = QAction(plain_text.mnemonic_free(column.title), columns, checkable=True)
            action.setChecked(number == place)
            action.triggered.connect(partial(self.sortByColumn, number, order))
        for text, direction in (
            ("Ascending", Qt.SortOrder.AscendingOrder),
            ("Descending", Qt.SortOrder.DescendingOrder),
        ):
            action = QAction(plain_text.mnemonic_free(text), directions, checkable=True)
            action.setChecked(direction == order)
            action.triggered.connect(partial(self.sortByColumn, max(place, 0), direction))
        menu.addActions(columns.actions())
        menu.addSeparator()
        menu.addActions(directions.actions())

    def remember_widths(self, widths: dict[str, int]) -> None:
        """Columns have these widths where they are chosen in it, and write into it what is chosen."""
        self._chosen_widths = widths
        self._fit_columns()

    def _width_key(self, place: int) -> str:
        return f"{self.accessibleName()}/{self.model_of_rows.columns[place].title}"

    def _resized(self, place: int, _old: int, new: int) -> None:
        if not self._is_fitting:
            self._chosen_widths[self._width_key(place)] = new

    def _forget_width(self, place: int) -> None:
        """After a double click on its border the column is as wide as its content needs, as if nobody had chosen."""
        self._chosen_widths.pop(self._width_key(place), None)
        self._fit_columns()

    def _fit_columns(self) -> None:
        columns = self.model_of_rows.columns
        keys = [self._width_key(place) for place in range(len(columns))]
        chosen = {p: self._chosen_widths[key] for p, key in enumerate(keys) if key in self._chosen_widths}
        widths = column_widths.fitted(columns, self._contents, chosen, self.viewport().width())
        self._is_fitting = True
        for place in range(len(columns)):
            self.setColumnHidden(place, place not in widths)
            if place in widths:
                self.setColumnWidth(place, widths[place])
        self.model_of_rows.left_out = [column for p, column in enumerate(columns) if p not in widths]
        self._is_fitting = False

    def rows(self) -> tuple[Row, ...]:
        """All of them, whatever is searched."""
        return self.model_of_rows.rows

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Shows these; what was selected stays selected, by id."""
        id_ = self.model_of_rows.id_
        chosen = {id_(row) for row in self.chosen()}
        place, current = self.currentIndex().row(), self.currentIndex().data(ROW_ROLE)
        same = self.model_of_rows.set_rows(rows)
        contents = column_widths.measured(self.model_of_rows.columns, rows)
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

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
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
        inside = area.adjusted(INSET, 0, -INSET, 0)
        if column.paint is not None:
            column.paint(painter, inside, row)
        elif column.badges is not None:
            paint_badges(painter, inside, column.badges(row), tokens)
        else:
            mark = column.mark(row) if column.mark is not None else None
            if mark is not None:
                square = QRectF(inside.left(), inside.center().y() - ICON / 2, ICON, ICON)
                icons.paint(painter, square, mark.icon, getattr(tokens, mark.tint))
                inside.setLeft(square.right() + 8)
            token = column.ink(row) if column.ink is not None else ""
            ink = getattr(tokens, token or ("ink_primary" if column.strong else "ink_secondary"))
            paint_text(painter, inside, column.text(row), column.strong, ink, column.alignment)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
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
