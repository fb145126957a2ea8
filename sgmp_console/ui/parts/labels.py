"""Text in the roles of the type scale; a value with its unit on one baseline."""

from __future__ import annotations

import re

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from sgmp_console.ui import fonts, formats, icons, plain_text, theme

_LONG = 24
"""Characters of one word from which on a label that wraps may break it: else the word would set the width of a dialog."""

_LONG_WORD = re.compile(rf"\S{{{_LONG + 1},}}")
_BREAKS = re.compile(rf"([_./:,;-]+|[^_./:,;-]{{{_LONG}}})(?=\S)")
"""Where: behind what separates the parts of a name, and within a part that is long itself."""


_CODE = re.compile(r"`([^`]+)`")
"""A name within a sentence, as messages mark it for a terminal."""


class Label(QLabel):
    """Any text as it is: never HTML, never a mnemonic, of bounded length. Sentences have quotes for backticks."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._text = text
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        self._text = text
        shown = plain_text.bounded(text)
        if self.wordWrap():
            shown = _CODE.sub("“\\1”", shown)
            shown = _LONG_WORD.sub(lambda word: _BREAKS.sub("\\1\u200b", word[0]), shown)
        if self.buddy() is not None:
            shown = shown.replace("&", "&&")
        super().setText(shown)

    def text(self) -> str:
        """The text that was set."""
        return self._text

    def setBuddy(self, buddy: QWidget) -> None:  # noqa: N802 - Qt's name
        super().setBuddy(buddy)
        self.setText(self._text)


def label(text: str = "", role: fonts.Role = "body", ink: str = "primary", *, wraps: bool = False) -> Label:
    """`ink` is primary, secondary, muted or fault."""
    made = Label()
    made.setFont(fonts.font(role))
    made.setWordWrap(wraps)
    made.setText(text)
    set_ink(made, ink)
    return made


def set_ink(of: QLabel, ink: str) -> None:
    if of.property("ink") != ink:
        of.setProperty("ink", ink)
        if of.testAttribute(
            Qt.WidgetAttribute.WA_WState_Polished
        ):  # else it is when it is shown: half of a label's time
            of.style().unpolish(of)
            of.style().polish(of)


class ElidedLabel(Label):
    """One line that ends in an ellipsis where there is no room; the whole text is its tool tip then."""

    def __init__(self, text: str = "", role: fonts.Role = "body", ink: str = "primary") -> None:
        super().__init__()
        self._whole = plain_text.one_line(text)
        self._tip = ""
        self.setFont(fonts.font(role))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        set_ink(self, ink)
        self._fit()

    def set_whole(self, text: str, tip: str = "") -> None:
        """`tip` instead of the whole text as tool tip, where there is more to say."""
        whole = plain_text.one_line(text)
        if (whole, tip) != (self._whole, self._tip):
            self._whole, self._tip = whole, tip
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, max(0, self.width()))
        self.setText(shown)
        plain_text.set_tip(self, self._tip or (self._whole if shown != self._whole else ""))
        self.setAccessibleName(self._whole)


class IconLabel(QWidget):
    """An icon in one of the theme's colours, named by its token."""

    def __init__(self, name: str, tint: str, size: int = 18) -> None:
        super().__init__()
        self._name = name
        self._tint = tint
        self.setFixedSize(size, size)

    def set_icon(self, name: str, tint: str) -> None:
        if (name, tint) != (self._name, self._tint):
            self._name, self._tint = name, tint
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        icons.paint(painter, self.rect().toRectF(), self._name, getattr(theme.tokens(), self._tint))


class ValueLabel(QWidget):
    """A number and its unit: they differ in weight and a step in size, and stand on one baseline."""

    def __init__(self, role: fonts.Role = "value", unit_role: fonts.Role = "unit") -> None:
        super().__init__()
        self._role = role
        self._unit_role = unit_role
        self._number = formats.MISSING
        self._unit = ""
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_value(self, value: float | None, unit: str) -> None:
        """None is a dash without unit: there is no value to have one."""
        number = formats.MISSING if value is None else formats.number(value, unit)
        shown_unit = unit if number != formats.MISSING else ""
        if (number, shown_unit) != (self._number, self._unit):
            self._number, self._unit = number, shown_unit
            self.updateGeometry()
            self.update()

    def text(self) -> str:
        return f"{self._number}\u00a0{self._unit}" if self._unit else self._number

    def sizeHint(self) -> QSize:  # noqa: N802
        width = fonts.metrics(self._role).horizontalAdvance(self._number)
        if self._unit:
            width += 5 + fonts.metrics(self._unit_role).horizontalAdvance(self._unit)
        return QSize(round(width) + 2, round(fonts.metrics(self._role).height()))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        number = fonts.metrics(self._role)
        baseline = (self.height() - number.height()) / 2 + number.ascent()
        painter.setFont(fonts.font(self._role))
        painter.setPen(tokens.ink_primary if self._number != formats.MISSING else tokens.ink_muted)
        painter.drawText(QPointF(0, baseline), self._number)
        if self._unit:
            painter.setFont(fonts.font(self._unit_role))
            painter.setPen(tokens.ink_secondary)
            painter.drawText(QPointF(number.horizontalAdvance(self._number) + 5, baseline), self._unit)
