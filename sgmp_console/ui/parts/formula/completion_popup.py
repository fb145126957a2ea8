"""The list of what can be written here. It never takes the keyboard: keys go to the editor, which passes some on."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.ui import fonts, theme
from sgmp_console.ui.parts.formula import syntax
from sgmp_console.ui.parts.formula.completion import Candidate, What

_ROW = 28
_MAX_ROWS = 9
_WIDTH = 520

_KINDS = {
    What.FIELD: "device",
    What.ITEM: "item",
    What.EVENT: "event",
    What.FUNCTION: "function",
    What.CONSTANT: "number",
}

_Index = QModelIndex | QPersistentModelIndex


class CompletionPopup(QFrame):
    chosen = Signal(object)
    """A Candidate."""

    def __init__(self, editor: QWidget) -> None:
        super().__init__(editor, Qt.WindowType.ToolTip)
        self.setProperty("surface", "overlay")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self._model = _Candidates(self)
        self.list = QListView()
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Row(self.list))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Completions")
        self.list.clicked.connect(self._take)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.list)

    def offer(self, candidates: list[Candidate], over: QWidget, at: QRect) -> None:
        """Show them under the place `at` of a widget, above it where there is no room below."""
        self._model.show(candidates)
        self.list.setCurrentIndex(self._model.index(0, 0))
        height = min(len(candidates), _MAX_ROWS) * _ROW + 10
        self.setFixedSize(_WIDTH, height)
        where = over.mapToGlobal(QPoint(at.left() - 12, at.bottom() + 6))
        screen = self.screen().availableGeometry()
        if where.y() + height > screen.bottom():
            where.setY(over.mapToGlobal(at.topLeft()).y() - height - 6)
        where.setX(max(screen.left(), min(where.x(), screen.right() - _WIDTH)))
        self.move(where)
        self.show()

    def candidates(self) -> list[Candidate]:
        return self._model.candidates

    def take_key(self, key: int) -> bool:
        """Act on a key that was pressed in the editor; False where it is the editor's."""
        row, rows = self.list.currentIndex().row(), self._model.rowCount()
        steps = {
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_PageUp: -_MAX_ROWS,
            Qt.Key.Key_PageDown: _MAX_ROWS,
        }
        for step_key, step in steps.items():
            if key == step_key:
                self.list.setCurrentIndex(self._model.index(min(max(row + step, 0), rows - 1), 0))
                return True
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab):
            self._take(self.list.currentIndex())
            return True
        if key == Qt.Key.Key_Escape:
            self.hide()
            return True
        return False

    def _take(self, index: QModelIndex) -> None:
        self.hide()
        if index.isValid():
            self.chosen.emit(self._model.candidates[index.row()])


class _Candidates(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.candidates: list[Candidate] = []

    def show(self, candidates: list[Candidate]) -> None:
        self.beginResetModel()
        self.candidates = candidates
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's signature
        return 0 if parent.isValid() else len(self.candidates)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        candidate = self.candidates[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return candidate.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{candidate.text}, {candidate.what.value}, {candidate.detail}"
        if role == Qt.ItemDataRole.UserRole:
            return candidate
        return None


class _Row(QStyledItemDelegate):
    """The name as it is coloured in the editor, its unit or purpose, and what kind of thing it is."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        tokens = theme.tokens()
        candidate: Candidate = index.data(Qt.ItemDataRole.UserRole)
        area = QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.surface_selected)
            painter.drawRoundedRect(area, 4, 4)
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        painter.setFont(fonts.font("caption"))
        painter.setPen(tokens.ink_muted)
        painter.drawText(area.adjusted(0, 0, -10, 0), middle | right, candidate.what.value)
        details = area.adjusted(0, 0, -76, 0)
        whole = fonts.metrics("fixed").horizontalAdvance(candidate.text)
        needed = painter.fontMetrics().horizontalAdvance(candidate.detail)
        # A long name gives way to a unit, a long explanation to the name.
        name_room = max(details.width() - 10 - 16 - needed, min(whole, details.width() - 10 - 60))
        painter.setPen(tokens.ink_secondary)
        detail_room = details.width() - 10 - 16 - min(whole, name_room)
        detail = painter.fontMetrics().elidedText(
            candidate.detail, Qt.TextElideMode.ElideRight, int(detail_room) + 1
        )
        painter.drawText(details, middle | right, detail)
        painter.setFont(fonts.font("fixed"))
        painter.setPen(syntax.colour(_KINDS[candidate.what], tokens))
        name = painter.fontMetrics().elidedText(
            candidate.text, Qt.TextElideMode.ElideMiddle, int(name_room) + 1
        )
        painter.drawText(area.adjusted(10, 0, 0, 0), middle, name)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802
        hint = super().sizeHint(option, index)
        hint.setHeight(_ROW)
        return hint
