"""The field a formula is written in: coloured words, completion, a wavy line under what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextLine,
)
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QToolTip, QWidget

from sgmp_console.formula import Problem
from sgmp_console.ui import fonts, theme
from sgmp_console.ui.analytics import completion, syntax
from sgmp_console.ui.analytics.completion import Candidate
from sgmp_console.ui.analytics.completion_popup import CompletionPopup

_LINES = 4
"""Of height; longer formulas scroll."""

_WAVE = 2.0
"""Half the height of the wavy line, and a quarter of its length, in pixels."""


class FormulaEdit(QPlainTextEdit):
    """Positions in problems are characters (code points); Qt counts UTF-16 units."""

    edited = Signal()
    """The text is another one. Qt's textChanged also comes when only its colours change."""
    submitted = Signal()
    """Ctrl+Enter."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._problems: tuple[Problem, ...] = ()
        self._candidates: list[Candidate] = []
        self._text = ""
        font = fonts.font("fixed")
        font.setPixelSize(14)
        self.setFont(font)
        self.setAccessibleName("Formula")
        self.setProperty("kind", "entry")
        self.setTabChangesFocus(True)
        self.setPlaceholderText("sonnen.status.Pac_total_W / 1000")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.sizeHint().height())
        self._highlighter = _Highlighter(self.document())
        self._popup = CompletionPopup(self)
        self._popup.chosen.connect(self._complete)
        self.textChanged.connect(self._text_changed)
        self.cursorPositionChanged.connect(self._cursor_moved)
        self._typed = False

    def set_candidates(self, candidates: list[Candidate]) -> None:
        self._candidates = candidates

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

    def replace_all(self, text: str) -> None:
        """Another text in one step, which Ctrl+Z takes back."""
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)

    def go_to(self, problem: Problem) -> None:
        """Put the cursor where the problem is."""
        cursor = self.textCursor()
        cursor.setPosition(min(self._units(problem.position), len(self.document().toRawText()) - 1))
        self.setTextCursor(cursor)
        self.setFocus()

    def popup(self) -> CompletionPopup:
        return self._popup

    def marks(self) -> list[tuple[QRectF, bool]]:
        """Where the wavy lines are, in pixels of the viewport, and whether each is an error."""
        return [
            (rect, problem.is_error)
            for problem in self._problems
            for rect in self._rects(problem.position, problem.length)
        ]

    # --- Completion ----------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key, control = event.key(), event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if self._popup.isVisible() and self._popup.take_key(key):
            return
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and control:
            self.submitted.emit()
        elif key == Qt.Key.Key_Space and control:
            self._offer(asked=True)
        else:
            self._typed = (bool(event.text()) and event.text().isprintable()) or key == Qt.Key.Key_Backspace
            super().keyPressEvent(event)
            self._typed = False

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self._popup.hide()

    def _text_changed(self) -> None:
        text = self.toPlainText()
        if text == self._text:
            return
        self._text = text
        # What was marked has moved; the next check comes at once.
        self._problems = ()
        self.edited.emit()
        if self._typed:
            self._offer(asked=False)

    def _cursor_moved(self) -> None:
        if not self._typed:
            self._popup.hide()

    def _offer(self, *, asked: bool) -> None:
        begun = self._fragment()
        found = completion.matching(self._candidates, begun.text) if begun.text or asked else []
        if not found or (not asked and [one.text for one in found] == [begun.text]):
            self._popup.hide()
            return
        cursor = self.textCursor()
        cursor.setPosition(self._units(begun.position))
        self._popup.offer(found, self.viewport(), self.cursorRect(cursor))

    def _complete(self, candidate: Candidate) -> None:
        begun = self._fragment()
        cursor = self.textCursor()
        end = cursor.position()
        cursor.setPosition(self._units(begun.position))
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(candidate.text)
        self.setTextCursor(cursor)
        self._popup.hide()

    def _fragment(self) -> completion.Fragment:
        return completion.fragment(self.toPlainText(), self._characters(self.textCursor().position()))

    # --- Marks ---------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self._problems:
            return
        wear = theme.tokens()
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        visible = self.viewport().rect().toRectF()
        for rect, is_error in self.marks():
            if rect.intersects(visible):
                _paint_wave(painter, rect, wear.state_fault if is_error else wear.state_warning)

    def event(self, event: QEvent) -> bool:
        """A tool tip over a mark says what is wrong there."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            where = QPointF(self.viewport().mapFrom(self, event.pos()))
            for problem in self._problems:
                near = self._rects(problem.position, problem.length)
                if any(rect.adjusted(-2, -rect.height(), 2, 4).contains(where) for rect in near):
                    QToolTip.showText(event.globalPos(), problem.message, self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)

    def _rects(self, position: int, length: int) -> list[QRectF]:
        """One rectangle per line of text that the place covers; where something is missing, one character wide."""
        first = self._units(position)
        last = max(first, self._units(position + length))
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

    def _units(self, characters: int) -> int:
        return len(self.toPlainText()[:characters].encode("utf-16-le")) // 2

    def _characters(self, units: int) -> int:
        return len(self.toPlainText().encode("utf-16-le")[: 2 * units].decode("utf-16-le", "replace"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, round(QFontMetricsF(self.font()).lineSpacing() * _LINES) + 26)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_highlighter"):
            self._highlighter.rehighlight()


class _Highlighter(QSyntaxHighlighter):
    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        wear = theme.tokens()
        for span in syntax.spans(text):
            look = QTextCharFormat()
            look.setForeground(syntax.colour(span.kind, wear))
            before = len(text[: span.position].encode("utf-16-le")) // 2
            self.setFormat(before, span.length, look)


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
