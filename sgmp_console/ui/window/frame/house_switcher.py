"""Which house is on screen; a list with search to choose another (Ctrl+K)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QLineEdit, QListView, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.store.findings import Finding
from sgmp_console.store.houses import House
from sgmp_console.ui import finding_words, fonts, icons, plain_text, theme
from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.popup import Popup

_LEAST_WIDTH = 184
"""In pixels: below it the name is cut, too; the description gives way first."""

_POPUP_WIDTHS = (360, 640)
"""In pixels, at least and at most: as the names need, then they are cut."""
_MAX_ROWS = 10
"""Shown at once; the list scrolls."""
_TROUBLE_SPACE = 20
"""Pixels of the mark of a house in which something is wrong."""

_SEARCH_ROLE = Qt.ItemDataRole.UserRole + 1
_ID_ROLE = Qt.ItemDataRole.UserRole + 2


class HouseSwitcher(PaintedButton):
    """Shows the house; `chosen` carries the id of another one. With a single house it is a heading."""

    chosen = Signal(int)
    opened = Signal()
    """The list is asked for: a good moment to refresh it by `set_houses`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._house: House | None = None
        self._houses: tuple[House, ...] = ()
        self._troubles: Mapping[int, Sequence[Finding]] = {}
        self.setFixedHeight(44)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._popup = _Popup(self)
        self._popup.chosen.connect(self._choose)
        self.clicked.connect(self.open)
        self._refresh()

    def set_houses(
        self, houses: Sequence[House], troubles: Mapping[int, Sequence[Finding]] | None = None
    ) -> None:
        """`troubles`: what is wrong in a house, the worst first, by its id, for those where something is."""
        self._houses, self._troubles = tuple(houses), troubles or {}
        self._popup.set_houses(self._houses, self._troubles)
        self._refresh()

    def show_house(self, house: House) -> None:
        self._house = house
        self._refresh()

    def open(self) -> None:
        if self._houses:
            self.opened.emit()
            self._popup.begin(self._house.house_id if self._house else 0)
            self._popup.open_below(self, self._popup.search)

    def popup(self) -> _Popup:
        return self._popup

    def _choose(self, house_id: int) -> None:
        if self._house is None or house_id != self._house.house_id:
            self.chosen.emit(house_id)

    def _refresh(self) -> None:
        name, detail = self._words()
        self.setAccessibleName(f"House: {name}")
        others = self._others_in_trouble()
        said = f"Something is wrong in {', '.join(house.name for house in others)}" if others else ""
        self.setAccessibleDescription("\n".join(filter(None, (detail, said))))
        plain_text.set_tip(self, "\n".join(filter(None, ("Show another house (Ctrl+K)", said))))
        self.updateGeometry()
        self.update()

    def _words(self) -> tuple[str, str]:
        if self._house is None:
            return "No house", ""
        zone = self._house.time_zone.replace("_", " ")
        return plain_text.one_line(self._house.name), plain_text.one_line(
            " · ".join(part for part in (zone, self._house.description) if part)
        )

    def _others_in_trouble(self) -> list[House]:
        """Those that are not on screen and in which something is wrong."""
        shown = self._house.house_id if self._house else 0
        return [
            house for house in self._houses if house.house_id != shown and self._troubles.get(house.house_id)
        ]

    def _worst_of_others(self) -> Finding | None:
        worst = [self._troubles[house.house_id][0] for house in self._others_in_trouble()]
        return min(worst, key=lambda finding: finding.urgency, default=None)

    def sizeHint(self) -> QSize:  # noqa: N802
        name, detail = self._words()
        text = max(
            fonts.metrics("title").horizontalAdvance(name), fonts.metrics("caption").horizontalAdvance(detail)
        )
        mark = _TROUBLE_SPACE if self._worst_of_others() else 0
        return QSize(round(text + 44 + 34 + mark), 44)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(min(_LEAST_WIDTH, self.sizeHint().width()), 44)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        tokens = theme.tokens()
        icons.paint(painter, QRectF(10, 12, 20, 20), "house", tokens.ink_secondary)
        icons.paint(painter, QRectF(self.width() - 26, 14, 16, 16), "chevron-down", tokens.ink_secondary)
        right = 32
        if worst := self._worst_of_others():
            icon, tint = finding_words.look(worst)
            icons.paint(painter, QRectF(self.width() - 48, 14, 16, 16), icon, getattr(tokens, tint))
            right += _TROUBLE_SPACE
        name, detail = self._words()
        text = QRectF(40, 4, self.width() - 40 - right, 20)
        for role, ink, words in (("title", tokens.ink_primary, name), ("caption", tokens.ink_muted, detail)):
            painter.setFont(fonts.font(role))
            painter.setPen(ink)
            elided = painter.fontMetrics().elidedText(
                words, Qt.TextElideMode.ElideRight, int(text.width()) + 1
            )
            painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, elided)
            text.translate(0, 17)


class _Popup(Popup):
    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Houses", parent)
        self._model = QStandardItemModel(self)
        self._found = QSortFilterProxyModel(self)
        self._found.setSourceModel(self._model)
        self._found.setFilterRole(_SEARCH_ROLE)
        self._found.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        self.search = QLineEdit()
        self.search.setFont(fonts.font("body"))
        self.search.setPlaceholderText("Search houses")
        self.search.setAccessibleName("Search houses")
        self.search.setClearButtonEnabled(False)
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.list = QListView()
        self.list.setFont(fonts.font("body"))
        self.list.setModel(self._found)
        self.list.setAccessibleName("Houses")
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setMouseTracking(True)
        self.list.clicked.connect(self._take)
        self._none = label("No house has this in its name or description.", "body", "muted", wraps=True)
        self._none.setContentsMargins(8, 4, 8, 8)
        column.addWidget(self.search)
        column.addWidget(self.list)
        column.addWidget(self._none)

    def set_houses(self, houses: Sequence[House], troubles: Mapping[int, Sequence[Finding]]) -> None:
        shown = self._current_id()
        self._model.clear()
        tokens = theme.tokens()
        for house in sorted(
            houses, key=lambda house: not troubles.get(house.house_id)
        ):  # trouble comes first
            findings = troubles.get(house.house_id, ())
            wrong = [finding_words.said(finding, house.time_zone).text for finding in findings]
            name = plain_text.one_line(house.name)
            item = QStandardItem(f"{name}: {plain_text.one_line(wrong[0])}" if wrong else name)
            item.setEditable(False)
            if findings:
                icon, tint = finding_words.look(findings[0])
                item.setIcon(icons.icon(icon, getattr(tokens, tint), tokens.ink_disabled))
            item.setData(f"{house.name} {house.description}", _SEARCH_ROLE)
            item.setData(house.house_id, _ID_ROLE)
            plain_text.set_tip(item, "\n".join(filter(None, (house.name, house.description, *wrong))))
            self._model.appendRow(item)
        self._select(shown)
        self._fit()

    def begin(self, house_id: int) -> None:
        """With all houses, on this one."""
        self.search.clear()
        self._filter("")
        self._select(house_id)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """In the search line, up, down and Enter work on the list."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                step = 1 if event.key() == Qt.Key.Key_Down else -1
                row = min(max(self.list.currentIndex().row() + step, 0), self._found.rowCount() - 1)
                self.list.setCurrentIndex(self._found.index(row, 0))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._take(self.list.currentIndex())
                return True
        return False

    def _current_id(self) -> int:
        found = self.list.currentIndex().data(_ID_ROLE) if hasattr(self, "list") else None
        return int(found) if found is not None else 0

    def _select(self, house_id: int) -> None:
        for row in range(self._found.rowCount()):
            index = self._found.index(row, 0)
            if index.data(_ID_ROLE) == house_id:
                self.list.setCurrentIndex(index)
                return
        self.list.setCurrentIndex(self._found.index(0, 0))

    def _filter(self, text: str) -> None:
        self._found.setFilterFixedString(text.strip())
        rows = self._found.rowCount()
        self.list.setVisible(rows > 0)
        self._none.setVisible(rows == 0)
        self.list.setCurrentIndex(self._found.index(0, 0))
        self._fit()

    def _fit(self) -> None:
        """As wide as the longest line of all houses, as high as those that were found."""
        least, most = _POPUP_WIDTHS
        longest = max(0, self.list.sizeHintForColumn(0)) + 48
        self.setFixedWidth(min(max(self.width() if self.isVisible() else least, longest), most))
        self.list.setFixedHeight(min(self._found.rowCount(), _MAX_ROWS) * 32 + 4)
        self.adjustSize()

    def _take(self, index: QModelIndex) -> None:
        if index.isValid():
            self.hide()
            self.chosen.emit(int(index.data(_ID_ROLE)))
