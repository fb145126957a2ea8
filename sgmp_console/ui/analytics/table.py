"""The list of a house's analytic items: model, search, and how its cells are painted."""

from __future__ import annotations

from dataclasses import dataclass

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
from PySide6.QtGui import QColor, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sgmp_console.fleet.analytics_overview import ItemOverview
from sgmp_console.ui import fonts, theme
from sgmp_console.ui.analytics import syntax
from sgmp_console.ui.theme import Tokens

_ROW_HEIGHT = 32
_Index = QModelIndex | QPersistentModelIndex

COLUMNS = ("Name", "Description", "Formula", "Unit", "Aggregation", "Used by")
NAME, DESCRIPTION, FORMULA, UNIT, AGGREGATION, USED_BY = range(len(COLUMNS))
ITEM_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Badge:
    """A word in a frame. `tint` is a token."""

    text: str
    tint: str
    tip: str


def badges(row: ItemOverview) -> list[Badge]:
    if row.problem:
        return [Badge("Can't be evaluated", "state_fault", row.problem)]
    found = []
    if row.item.aggregated and row.populated:
        found.append(
            Badge(
                "Aggregated",
                "state_ok",
                "Five-minute and hourly values are kept of every field in the formula.",
            )
        )
    elif row.item.aggregated:
        found.append(
            Badge("Not populated", "ink_secondary", "What was stored before is not counted yet: populate it.")
        )
    if row.exact:
        found.append(
            Badge("Exact", "ink_secondary", "Aggregates give the same numbers as the readings themselves.")
        )
    return found


class ItemsModel(QAbstractTableModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ItemOverview, ...] = ()

    def set_rows(self, rows: tuple[ItemOverview, ...]) -> None:
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == ITEM_ROLE:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return _text(row, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, index.column())
        if role == Qt.ItemDataRole.FontRole:
            return fonts.font("strong" if index.column() == NAME else "body")
        return None


class ItemsProxy(QSortFilterProxyModel):
    """All words of the search must stand somewhere in name, description or formula."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def search(self, text: str) -> None:
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802
        row: ItemOverview = self.sourceModel().index(source_row, 0, source_parent).data(ITEM_ROLE)
        item = row.item
        text = f"{item.name} {item.description} {item.formula}".lower()
        return all(word in text for word in self._words)


class ItemsTable(QTableView):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Analytic items")
        self.setFont(fonts.font("body"))
        self.items = ItemsModel(self)
        self.proxy = ItemsProxy(self)
        self.proxy.setSourceModel(self.items)
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
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setFont(fonts.font("caption"))
        header.setHighlightSections(False)
        header.setFixedHeight(34)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(FORMULA, QHeaderView.ResizeMode.Stretch)
        for column, width in (
            (NAME, 176),
            (DESCRIPTION, 220),
            (UNIT, 56),
            (AGGREGATION, 168),
            (USED_BY, 104),
        ):
            self.setColumnWidth(column, width)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        # The formula takes what is left.
        self.setColumnWidth(DESCRIPTION, min(max(200, self.width() // 5), 420))

    def set_rows(self, rows: tuple[ItemOverview, ...]) -> None:
        """Shows these; what was selected stays selected, by id."""
        chosen = {row.item.item_id for row in self.chosen()}
        current = self.currentIndex().data(ITEM_ROLE)
        self.items.set_rows(rows)
        self.select({row.item.item_id for row in rows} & chosen, current.item.item_id if current else 0)

    def chosen(self) -> list[ItemOverview]:
        """The selected items, in the order shown."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(ITEM_ROLE) for index in rows]

    def select(self, item_ids: set[int], current: int = 0) -> None:
        model, selection = self.proxy, self.selectionModel()
        flag = selection.SelectionFlag
        selection.clear()
        for place in range(model.rowCount()):
            index = model.index(place, NAME)
            number = index.data(ITEM_ROLE).item.item_id
            if number in item_ids:
                selection.select(index, flag.Select | flag.Rows)
            if number == (current or next(iter(item_ids), 0)):
                selection.setCurrentIndex(index, flag.NoUpdate)


def _text(row: ItemOverview, column: int) -> str:
    item = row.item
    match column:
        case 0:
            return item.name
        case 1:
            return item.description
        case 2:
            return item.formula
        case 3:
            return item.unit
        case 4:
            return ", ".join(badge.text for badge in badges(row))
    return ", ".join(row.used_by)


def _tip(row: ItemOverview, column: int) -> str:
    match column:
        case 0:
            return "Dashboards and reports need this item." if row.required else ""
        case 4:
            return "\n".join(f"{badge.text}: {badge.tip}" for badge in badges(row))
    return _text(row, column)


class _Cell(QStyledItemDelegate):
    """One row is one band: hover and selection run across it, the focus ring around it."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        wear = theme.tokens()
        row: ItemOverview = index.data(ITEM_ROLE)
        area = QRectF(option.rect)
        view = self.parent()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, wear.surface_selected)
        elif isinstance(view, ItemsTable) and _hovered_row(view) == index.row():
            painter.fillRect(area, wear.surface_hover)
        painter.setPen(QPen(wear.line_hairline, 1))
        painter.drawLine(
            QPointF(area.left(), area.bottom() - 0.5), QPointF(area.right(), area.bottom() - 0.5)
        )
        focused = (
            isinstance(view, ItemsTable) and view.hasFocus() and view.currentIndex().row() == index.row()
        )
        if focused and index.column() == NAME:
            painter.fillRect(QRectF(area.left(), area.top(), 3, area.height()), wear.accent_focus)
        inside = area.adjusted(12, 0, -8, 0)
        column = index.column()
        if column == FORMULA:
            _paint_formula(painter, inside, row.item.formula, wear)
        elif column == AGGREGATION:
            _paint_badges(painter, inside, badges(row), wear)
        else:
            text = _used_by(row) if column == USED_BY else _text(row, column)
            ink = wear.ink_primary if column == NAME else wear.ink_secondary
            _paint_text(painter, inside, text, "strong" if column == NAME else "body", ink)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), _ROW_HEIGHT)


def _hovered_row(view: QTableView) -> int:
    viewport = view.viewport()
    if not viewport.underMouse():
        return -1
    return view.indexAt(viewport.mapFromGlobal(viewport.cursor().pos())).row()


def _used_by(row: ItemOverview) -> str:
    if len(row.used_by) < 2:
        return "".join(row.used_by)
    return f"{len(row.used_by)} items"


def _paint_text(painter: QPainter, area: QRectF, text: str, role: fonts.Role, ink: QColor) -> None:
    painter.setFont(fonts.font(role))
    painter.setPen(ink)
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(area.width()))
    painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)


def _paint_formula(painter: QPainter, area: QRectF, formula: str, wear: Tokens) -> None:
    """In the colours of the editor, one line, its end elided."""
    painter.setFont(fonts.font("fixed"))
    metrics = fonts.metrics("fixed")
    text = metrics.elidedText(" ".join(formula.split()), Qt.TextElideMode.ElideRight, round(area.width(), 0))
    baseline = area.center().y() + (metrics.ascent() - metrics.descent()) / 2
    x, done = area.left(), 0

    def draw(part: str, colour: QColor) -> None:
        nonlocal x
        painter.setPen(colour)
        painter.drawText(QPointF(x, baseline), part)
        x += metrics.horizontalAdvance(part)

    for span in syntax.spans(text):
        draw(text[done : span.position], wear.ink_primary)
        done = span.position + span.length
        draw(text[span.position : done], syntax.colour(span.kind, wear))
    draw(text[done:], wear.ink_primary)


def _paint_badges(painter: QPainter, area: QRectF, row: list[Badge], wear: Tokens) -> None:
    painter.setFont(fonts.font("caption"))
    metrics = fonts.metrics("caption")
    x = area.left()
    for badge in row:
        tint: QColor = getattr(wear, badge.tint)
        width = metrics.horizontalAdvance(badge.text) + 14
        frame = QRectF(x + 0.5, area.center().y() - 9.5, width, 19)
        painter.setPen(QPen(tint, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, 4, 4)
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, badge.text)
        x += width + 6
