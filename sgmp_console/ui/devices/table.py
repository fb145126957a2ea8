"""The list of a house's devices: model, search, and how its cells are painted."""

from __future__ import annotations

from collections.abc import Callable

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
from PySide6.QtGui import QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sgmp_console.fleet.devices_overview import OK, DeviceOverview
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.reports.home import STALE_AFTER_MS
from sgmp_console.ui import fonts, formats, icons, theme
from sgmp_console.ui.devices import words
from sgmp_edge import contract

_ROW_HEIGHT = 32
_Index = QModelIndex | QPersistentModelIndex

COLUMNS = ("Name", "Type", "Description", "State", "Newest reading", "Used by")
NAME, TYPE, DESCRIPTION, STATE, NEWEST, USED_BY = range(len(COLUMNS))
ROW_ROLE = Qt.ItemDataRole.UserRole
SORT_ROLE = Qt.ItemDataRole.UserRole + 1


class DevicesModel(QAbstractTableModel):
    def __init__(self, now_ms: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._now_ms = now_ms
        self.rows: tuple[DeviceOverview, ...] = ()
        self.edge = EdgeStanding(Presence.NEVER)

    def set_rows(self, rows: tuple[DeviceOverview, ...], edge: EdgeStanding) -> None:
        """Of the same devices only the cells change, so that nobody's selection or place is lost."""
        same = [row.device.device_id for row in rows] == [row.device.device_id for row in self.rows]
        if not same:
            self.beginResetModel()
        self.rows, self.edge = rows, edge
        if not same:
            self.endResetModel()
        else:
            self.grow_older()

    def grow_older(self) -> None:
        """Ages have changed, if nothing else."""
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(COLUMNS) - 1))

    def told(self, row: DeviceOverview) -> words.Told:
        return words.device_state(row, self.edge, self._now_ms())

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
        row, column = self.rows[index.row()], index.column()
        if role == ROW_ROLE:
            return row
        if role == SORT_ROLE:
            return self._sort_key(row, column)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        if role == Qt.ItemDataRole.FontRole:
            return fonts.font("strong" if column == NAME else "body")
        return None

    def _text(self, row: DeviceOverview, column: int) -> str:
        device = row.device
        match column:
            case 0:
                return device.name
            case 1:
                return device.type
            case 2:
                return device.description
            case 3:
                return self.told(row).text
            case 4:
                return (
                    formats.MISSING if row.newest_ms is None else formats.age(row.newest_ms, self._now_ms())
                )
        if len(row.used_by) < 2:
            return "".join(row.used_by)
        return f"{len(row.used_by)} items"

    def _tip(self, row: DeviceOverview, column: int) -> str:
        if column == TYPE:
            kind = contract.device_types().get(row.device.type)
            return kind.title if kind else "This console has no driver file of this type."
        if column == STATE:
            return self.told(row).tip
        if column == USED_BY:
            return "\n".join(row.used_by)
        if column == NEWEST and row.newest_ms is None:
            return "No reading of this device is stored."
        return self._text(row, column)

    def _sort_key(self, row: DeviceOverview, column: int) -> object:
        if column == NEWEST:
            return -1.0 if row.newest_ms is None else float(row.newest_ms)
        if column == USED_BY:
            return len(row.used_by)
        if column == STATE:
            return f"{row.state == OK} {self._text(row, column)}"
        return self._text(row, column).lower()

    def is_stale(self, row: DeviceOverview) -> bool:
        interval = row.device.config.get("interval")
        patience = max(STALE_AFTER_MS, 3000 * interval if isinstance(interval, (int, float)) else 0)
        return row.newest_ms is None or self._now_ms() - row.newest_ms > patience


class DevicesProxy(QSortFilterProxyModel):
    """All words of the search must stand somewhere in name, type, description or state."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)

    def search(self, text: str) -> None:
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: N802
        model = self.sourceModel()
        text = " ".join(
            str(model.index(source_row, column, source_parent).data())
            for column in (NAME, TYPE, DESCRIPTION, STATE)
        )
        return all(word in text.lower() for word in self._words)


class DevicesTable(QTableView):
    def __init__(self, now_ms: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Devices")
        self.setFont(fonts.font("body"))
        self.devices = DevicesModel(now_ms, self)
        self.proxy = DevicesProxy(self)
        self.proxy.setSourceModel(self.devices)
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
        header.setSectionResizeMode(DESCRIPTION, QHeaderView.ResizeMode.Stretch)
        for column, width in ((NAME, 152), (TYPE, 104), (STATE, 232), (NEWEST, 128), (USED_BY, 96)):
            self.setColumnWidth(column, width)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.setColumnWidth(STATE, min(max(188, self.width() * 23 // 100), 320))

    def set_rows(self, rows: tuple[DeviceOverview, ...], edge: EdgeStanding) -> None:
        """Shows these; what was selected stays selected, by id."""
        chosen = {row.device.device_id for row in self.chosen()}
        self.devices.set_rows(rows, edge)
        if {row.device.device_id for row in self.chosen()} != chosen:
            self.select({row.device.device_id for row in rows} & chosen)

    def chosen(self) -> list[DeviceOverview]:
        """The selected devices, in the order shown."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in rows]

    def select(self, device_ids: set[int]) -> None:
        selection = self.selectionModel()
        flag = selection.SelectionFlag
        selection.clear()
        for place in range(self.proxy.rowCount()):
            index = self.proxy.index(place, NAME)
            if index.data(ROW_ROLE).device.device_id in device_ids:
                selection.select(index, flag.Select | flag.Rows)
                selection.setCurrentIndex(index, flag.NoUpdate)


class _Cell(QStyledItemDelegate):
    """One row is one band: hover and selection run across it, the focus ring around it."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        wear = theme.tokens()
        row: DeviceOverview = index.data(ROW_ROLE)
        area = QRectF(option.rect)
        view = self.parent()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, wear.surface_selected)
        elif isinstance(view, DevicesTable) and _hovered_row(view) == index.row():
            painter.fillRect(area, wear.surface_hover)
        painter.setPen(QPen(wear.line_hairline, 1))
        painter.drawLine(
            QPointF(area.left(), area.bottom() - 0.5), QPointF(area.right(), area.bottom() - 0.5)
        )
        column = index.column()
        if isinstance(view, DevicesTable):
            if view.hasFocus() and view.currentIndex().row() == index.row() and column == NAME:
                painter.fillRect(QRectF(area.left(), area.top(), 3, area.height()), wear.accent_focus)
            inside = area.adjusted(12, 0, -8, 0)
            ink = wear.ink_primary if column == NAME else wear.ink_secondary
            if column == STATE:
                told = view.devices.told(row)
                square = QRectF(inside.left(), inside.center().y() - 8, 16, 16)
                icons.paint(painter, square, told.icon, getattr(wear, told.tint))
                inside = inside.adjusted(24, 0, 0, 0)
                ink = wear.ink_muted if told.tint == "ink_muted" else wear.ink_primary
            elif column == NEWEST:
                ink = wear.ink_muted if view.devices.is_stale(row) else wear.ink_primary
            painter.setFont(fonts.font("strong" if column == NAME else "body"))
            painter.setPen(ink)
            text = painter.fontMetrics().elidedText(
                str(index.data()), Qt.TextElideMode.ElideRight, int(inside.width())
            )
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        return QSize(super().sizeHint(option, index).width(), _ROW_HEIGHT)


def _hovered_row(view: QTableView) -> int:
    viewport = view.viewport()
    if not viewport.underMouse():
        return -1
    return view.indexAt(viewport.mapFromGlobal(viewport.cursor().pos())).row()
