"""A field for text with rules, in the fixed font: a wavy line under what is wrong, and the tool tip that says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QTextCursor,
    QTextLine,
)
from PySide6.QtWidgets import QPlainTextEdit, QToolTip, QWidget

from sgmp_console.formula import Problem
from sgmp_console.ui import fonts, plain_text, theme

_WAVE = 2.0
"""Half the height of the wavy line, and a quarter of its length, in pixels."""


class MarkedEdit(QPlainTextEdit):
    """Positions in problems are characters (code points); Qt counts UTF-16 units."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._problems: tuple[Problem, ...] = ()
        font = QFont(fonts.font("fixed"))
        font.setPixelSize(14)
        self.setFont(font)
        self.setProperty("kind", "entry")
        self.setTabChangesFocus(True)

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """To be marked until the text changes."""
        self._problems = tuple(problems)
        self.setAccessibleDescription("; ".join(problem.message for problem in problems))
        wrong = any(problem.is_error for problem in problems)
        if self.property("wrong") != wrong:
            self.setProperty("wrong", wrong)
            self.style().unpolish(self)
            self.style().polish(self)
        self.viewport().update()

    def forget_marks(self) -> None:
        """What was marked has moved; to be marked again."""
        self._problems = ()

    def replace_all(self, text: str) -> None:
        """Another text in one step, which Ctrl+Z takes back."""
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)

    def go_to(self, problem: Problem) -> None:
        """Put the cursor where the problem is."""
        cursor = self.textCursor()
        cursor.setPosition(min(self.units(problem.position), len(self.document().toRawText()) - 1))
        self.setTextCursor(cursor)
        self.setFocus()

    def marks(self) -> list[tuple[QRectF, bool]]:
        """Where the wavy lines are, in pixels of the viewport, and whether each is an error."""
        return [
            (rect, problem.is_error)
            for problem in self._problems
            for rect in self._rects(problem.position, problem.length)
        ]

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self._problems:
            return
        tokens = theme.tokens()
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        visible = self.viewport().rect().toRectF()
        for rect, is_error in self.marks():
            if rect.intersects(visible):
                _paint_wave(painter, rect, tokens.state_fault if is_error else tokens.state_warning)

    def event(self, event: QEvent) -> bool:
        """A tool tip over a mark says what is wrong there."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            where = QPointF(self.viewport().mapFrom(self, event.pos()))
            for problem in self._problems:
                near = self._rects(problem.position, problem.length)
                if any(rect.adjusted(-2, -rect.height(), 2, 4).contains(where) for rect in near):
                    QToolTip.showText(event.globalPos(), plain_text.tip(problem.message), self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)

    def _rects(self, position: int, length: int) -> list[QRectF]:
        """One rectangle per line of text that the place covers; where something is missing, one character wide."""
        first = self.units(position)
        last = max(first, self.units(position + length))
        width = QFontMetricsF(self.font()).horizontalAdvance("0")
        found: list[QRectF] = []
        block = self.document().findBlock(min(first, self.document().characterCount() - 1))
        while block.isValid() and block.position() < last:
            top_left = self.blockBoundingGeometry(block).translated(self.contentOffset()).topLeft()
            begin, end = first - block.position(), last - block.position()
            for number in range(block.layout().lineCount()):
                line = block.layout().lineAt(number)
                left = max(begin, line.textStart())
                right = min(end, line.textStart() + line.textLength())
                if right > left:
                    x0, x1 = _x(line, left), _x(line, right)
                    found.append(QRectF(top_left.x() + x0, top_left.y() + line.y(), x1 - x0, line.height()))
            block = block.next()
        if found:
            return found
        cursor = QTextCursor(self.document())
        cursor.setPosition(min(first, self.document().characterCount() - 1))
        at = self.cursorRect(cursor).toRectF()
        return [QRectF(at.left(), at.top(), width, at.height())]

    def units(self, characters: int) -> int:
        return len(self.toPlainText()[:characters].encode("utf-16-le")) // 2

    def characters(self, units: int) -> int:
        return len(self.toPlainText().encode("utf-16-le")[: 2 * units].decode("utf-16-le", "replace"))


def _x(line: QTextLine, unit: int) -> float:
    # A pair, of which the position comes first; the stubs say object.
    at: Any = line.cursorToX(unit)
    return float(at[0] if isinstance(at, tuple) else at)


def _paint_wave(painter: QPainter, under: QRectF, colour: QColor) -> None:
    base = under.bottom() - 1
    path = QPainterPath(QPointF(under.left(), base))
    x, up = under.left(), True
    while x < under.right() - 0.5:
        x = min(x + 2 * _WAVE, under.right())
        path.quadTo(QPointF(x - _WAVE, base + (-_WAVE if up else _WAVE) * 1.4), QPointF(x, base))
        up = not up
    painter.setPen(QPen(colour, 1.4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
