"""Buttons in the kinds the design language has; those with icons follow the theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QDate, QEvent, QPointF, QRect, QRectF, QSignalBlocker, QSize, Qt
from PySide6.QtGui import (
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QShowEvent,
    QTextCharFormat,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QCalendarWidget,
    QCheckBox,
    QComboBox,
    QDateTimeEdit,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOption,
    QStyleOptionButton,
    QStyleOptionToolButton,
    QToolButton,
    QWidget,
)

from sgmp_console.ui import fonts, icons, plain_text, theme
from sgmp_console.ui.hover import is_hovered
from sgmp_console.ui.painted_button import pressed_by


def button(
    text: str,
    on_click: Callable[[], None],
    kind: Literal["", "primary", "quiet", "danger"] = "",
    *,
    tip: str = "",
) -> Button:
    """`on_click` must be a method of a QObject, or live as long as the button."""
    made = Button(text)
    made.setFont(fonts.font("body"))
    made.setProperty("kind", kind)
    plain_text.set_tip(made, tip)
    made.setAutoDefault(False)
    made.clicked.connect(on_click)
    return made


class Button(QPushButton):
    """With any text; `&` is not a mnemonic."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(text)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        self._text = text
        super().setText(plain_text.mnemonic_free(text))

    def text(self) -> str:
        """The text that was set."""
        return self._text

    def initStyleOption(self, option: QStyleOptionButton) -> None:  # noqa: N802
        super().initStyleOption(option)
        _set_hover(self, option)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.update()  # Qt does not where a menu comes between

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if not pressed_by(self, event):
            super().keyPressEvent(event)


class IconButton(QToolButton):
    """A square button with one of our icons. It has no text, so it must have a name."""

    def __init__(self, icon: str, name: str, parent: QWidget | None = None, *, size: int = 20) -> None:
        super().__init__(parent)
        self._icon = icon
        self.setIconSize(QSize(size, size))
        self.setFixedSize(size + 12, size + 12)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        plain_text.set_tip(self, name)
        self.setAccessibleName(name)
        self._tint()

    def initStyleOption(self, option: QStyleOptionToolButton) -> None:  # noqa: N802
        super().initStyleOption(option)
        _set_hover(self, option)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.update()  # Qt does not where a menu comes between

    def set_icon(self, icon: str, name: str) -> None:
        self._icon = icon
        plain_text.set_tip(self, name)
        self.setAccessibleName(name)
        self._tint()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if not pressed_by(self, event):
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._worn is not theme.tokens():
            self._tint()

    def _tint(self) -> None:
        tokens = self._worn = theme.tokens()
        self.setIcon(icons.icon(self._icon, tokens.ink_secondary, tokens.ink_disabled))


class ComboBox(QComboBox):
    """With our chevron: a stylesheet can't tint one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fonts.font("body"))
        # The style's own one paints the choices without the stylesheet, and so unlike those of a menu.
        self.setItemDelegate(QStyledItemDelegate(self))

    def set_choices(self, choices: Sequence[tuple[str, object]]) -> None:
        """Each (text, data). What was chosen stays chosen without a signal; where it is gone, the first is."""
        if [(self.itemText(row), self.itemData(row)) for row in range(self.count())] == list(choices):
            return
        with QSignalBlocker(self):
            chosen = self.currentData()
            self.clear()
            for text, data in choices:
                self.addItem(text, data)
            self.setCurrentIndex(max(0, self.findData(chosen)))

    def set_read_only(self, read_only: bool) -> None:
        """Shown like any text that may be read, not greyed like one that does not count."""
        self.setProperty("readOnly", read_only)
        self.style().unpolish(self)
        self.style().polish(self)
        self.update()

    def is_read_only(self) -> bool:
        return bool(self.property("readOnly"))

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        if not self.is_read_only():
            super().showPopup()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if self.is_read_only():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        # The wheel scrolls what is around: a choice that it changes in passing goes unnoticed.
        event.ignore()

    def addItem(self, text: str, data: object = None) -> None:  # type: ignore[override]  # noqa: N802 - Qt's name
        super().addItem(plain_text.one_line(text), data)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self.is_read_only():
            _paint_chevron(self)


class CheckBox(QCheckBox):
    """With our own box and tick: a stylesheet can't tint one, and the style's is lost on a dark card."""

    _BOX = 18

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        self._text = plain_text.one_line(text)
        super().setText(plain_text.mnemonic_free(text))

    def text(self) -> str:
        return self._text

    def sizeHint(self) -> QSize:  # noqa: N802
        text = self.fontMetrics().horizontalAdvance(self.text())
        return QSize(self._BOX + 10 + text + 4, max(24, self.fontMetrics().height() + 4))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(1, (self.height() - self._BOX) / 2, self._BOX, self._BOX).adjusted(0.5, 0.5, -0.5, -0.5)
        enabled, checked = self.isEnabled(), self.isChecked()
        line = tokens.line_control if enabled else tokens.line_hairline
        painter.setPen(QPen(tokens.accent_focus, 2) if self.hasFocus() else QPen(line, 1.2))
        if checked:
            painter.setBrush(tokens.accent_fill if enabled else tokens.line_hairline)
        else:
            painter.setBrush(tokens.surface_hover if is_hovered(self) and enabled else tokens.surface_card)
        painter.drawRoundedRect(box, 4, 4)
        if checked:
            tick = tokens.ink_on_accent if enabled else tokens.ink_disabled
            painter.setPen(QPen(tick, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            corner = QPointF(box.left() + 7.2, box.bottom() - 4.8)
            painter.drawLine(QPointF(box.left() + 4, box.top() + 9.4), corner)
            painter.drawLine(corner, QPointF(box.right() - 4, box.top() + 5))
        painter.setPen(tokens.ink_primary if enabled else tokens.ink_disabled)
        painter.setFont(self.font())
        text = QRectF(self._BOX + 10, 0, self.width() - self._BOX - 10, self.height())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, self.text())


class DateTimeEdit(QDateTimeEdit):
    """A wall-clock time of this century or the next with a calendar; with our chevron, too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fonts.font("body"))
        self.setCalendarPopup(True)
        self.setCalendarWidget(_Calendar())
        self.setDateRange(QDate(2000, 1, 1), QDate(2199, 12, 31))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()  # as of a choice

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        _paint_chevron(self)


class _Calendar(QCalendarWidget):
    """With our colours and chevrons: Qt's has red Sundays and a bar in the colour of selected text."""

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFont(fonts.font("body"))
        self.setFirstDayOfWeek(Qt.DayOfWeek.Monday)
        self.setVerticalHeaderFormat(QCalendarWidget.VerticalHeaderFormat.NoVerticalHeader)
        self.setFixedSize(288, 264)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        tokens = theme.tokens()
        names = QTextCharFormat()
        names.setForeground(tokens.ink_muted)
        names.setBackground(tokens.surface_overlay)
        self.setHeaderTextFormat(names)
        for day in Qt.DayOfWeek:
            self.setWeekdayTextFormat(day, names)
        for name, icon in (("prev", "chevron-left"), ("next", "chevron-right")):
            arrow = self.findChild(QToolButton, f"qt_calendar_{name}month")
            if arrow is not None:
                arrow.setIcon(icons.icon(icon, tokens.ink_secondary, tokens.ink_disabled))

    def paintCell(self, painter: QPainter, rect: QRect, date: QDate) -> None:  # noqa: N802
        tokens = theme.tokens()
        chosen = date == self.selectedDate()
        inside = QRectF(rect).adjusted(2.5, 1.5, -2.5, -1.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.accent_fill)
            painter.drawRoundedRect(inside, 6, 6)
        in_month = (date.month(), date.year()) == (self.monthShown(), self.yearShown())
        painter.setPen(
            tokens.ink_on_accent if chosen else tokens.ink_primary if in_month else tokens.ink_disabled
        )
        painter.setFont(self.font())
        painter.drawText(inside, Qt.AlignmentFlag.AlignCenter, str(date.day()))
        painter.restore()


def _set_hover(of: QWidget, option: QStyleOption) -> None:
    if not is_hovered(of):
        option.state &= ~QStyle.StateFlag.State_MouseOver


def _paint_chevron(on: QWidget) -> None:
    painter = QPainter(on)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    where = QRectF(QPointF(on.width() - 26, (on.height() - 16) / 2), QSize(16, 16).toSizeF())
    tokens = theme.tokens()
    icons.paint(
        painter, where, "chevron-down", tokens.ink_secondary if on.isEnabled() else tokens.ink_disabled
    )
