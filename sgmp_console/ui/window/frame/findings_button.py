"""Open findings of all houses that the account sees: how many, how bad, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from PySide6.QtCore import QModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QListView, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.store import House
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import finding_words, fonts, formats, icons, plain_text, theme
from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.popup import Popup

_WIDTH = 720
_MAX_ROWS = 12
"""Shown at once; the list scrolls."""
_LISTED = 500
_FINDING_ROLE = Qt.ItemDataRole.UserRole + 1


class FindingsButton(PaintedButton):
    """Hidden while nothing is wrong. `chosen` carries the Finding that is to be shown."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._active: tuple[Finding, ...] = ()
        self._problem = ""
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._popup = _Popup(self)
        self._popup.chosen.connect(self.chosen)
        self.clicked.connect(self.open)
        self.hide()

    def show_findings(
        self, findings: Sequence[Finding], houses: Mapping[int, House], now_ms: int, problem: str
    ) -> None:
        """`findings`: the open ones, of which those count that nobody took note of. `problem`: why they may not be what
        is true now."""
        active = [finding for finding in findings if finding.state is State.ACTIVE]
        self._active = tuple(sorted(active, key=lambda finding: finding.urgency))
        self._problem = problem
        self.setVisible(bool(self._active or problem))
        self.setAccessibleName(self.text())
        plain_text.set_tip(self, problem or f"{self.text()} of all houses")
        self._popup.show_findings(self._active, houses, now_ms, problem)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        if self._active:
            return formats.count(len(self._active), "finding")
        return "Not watched" if self._problem else ""

    def open(self) -> None:
        """List them."""
        self._popup.open_below(self, self._popup.list)

    def popup(self) -> QWidget:
        """The list, for tests and for who looks for the focus."""
        return self._popup

    def sizeHint(self) -> QSize:  # noqa: N802
        return _size(self.text())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """In a narrow window the number alone."""
        return _size(self._short())

    def _short(self) -> str:
        return f"{len(self._active):,}" if self._active else ""

    def paint(self, painter: QPainter, area: QRectF) -> None:
        tokens = theme.tokens()
        icon, tint = finding_words.look(self._active[0]) if self._active else ("warning", "state_warning")
        icons.paint(painter, QRectF(10, 8, 16, 16), icon, getattr(tokens, tint))
        painter.setPen(tokens.ink_primary)
        painter.setFont(fonts.font("body"))
        text = self.text() if self.width() >= self.sizeHint().width() else self._short()
        painter.drawText(area.adjusted(33, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, text)


def _size(text: str) -> QSize:
    """Of the icon and a text."""
    return QSize(round(fonts.metrics("body").horizontalAdvance(text)) + (44 if text else 36), 32)


class _Popup(Popup):
    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Open findings", parent)
        self._model = QStandardItemModel(self)
        self._remark = label("", "caption", "fault", wraps=True)
        self.list = QListView()
        self.list.setFont(fonts.font("body"))
        self.list.setModel(self._model)
        self.list.setAccessibleName("Open findings")
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.activated.connect(self._take)
        self.list.clicked.connect(self._take)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        column.addWidget(self._remark)
        column.addWidget(self.list)
        self.setFixedWidth(_WIDTH)

    def show_findings(
        self, findings: Sequence[Finding], houses: Mapping[int, House], now_ms: int, problem: str
    ) -> None:
        self._remark.setText(f"{problem}." if problem else "")
        self._remark.setVisible(bool(problem))
        row = self.list.currentIndex().row()
        self._model.clear()
        tokens = theme.tokens()
        for finding in findings[:_LISTED]:
            house = houses.get(finding.house_id or 0)
            zone_name = house.time_zone if house else "UTC"
            sentence = finding_words.said(finding, zone_name)
            where = f"{plain_text.one_line(house.name)}: " if house else ""
            # Before the sentence, which may be cut.
            lasted = formats.duration(now_ms - finding.from_ms)
            item = QStandardItem(f"{lasted} · {where}{plain_text.one_line(sentence.text)}")
            item.setEditable(False)
            icon, tint = finding_words.look(finding)
            item.setIcon(icons.icon(icon, getattr(tokens, tint), tokens.ink_disabled))
            item.setData(finding, _FINDING_ROLE)
            since = finding_words.when(finding, now_ms, ZoneInfo(zone_name))
            plain_text.set_tip(item, "\n".join(filter(None, (where + sentence.text, since, sentence.to_do))))
            self._model.appendRow(item)
        self.list.setCurrentIndex(self._model.index(max(0, min(row, self._model.rowCount() - 1)), 0))
        self.list.setFixedHeight(min(self._model.rowCount(), _MAX_ROWS) * 32 + 4)
        self.list.setVisible(self._model.rowCount() > 0)
        self.adjustSize()

    def _take(self, index: QModelIndex) -> None:
        if index.isValid():
            self.hide()
            self.chosen.emit(index.data(_FINDING_ROLE))
