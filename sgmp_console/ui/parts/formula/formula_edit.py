"""The field a formula is written in: coloured words, completion, a wavy line under what is wrong."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from sgmp_console.ui import theme
from sgmp_console.ui.parts.formula import completion, syntax
from sgmp_console.ui.parts.formula.completion import Candidate
from sgmp_console.ui.parts.formula.completion_popup import CompletionPopup
from sgmp_console.ui.parts.marked_edit import MarkedEdit

_LINES = 4
"""Of height; longer formulas scroll."""


class FormulaEdit(MarkedEdit):
    edited = Signal()
    """The text is another one. Qt's textChanged also comes when only its colours change."""
    submitted = Signal()
    """Ctrl+Enter."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._candidates: list[Candidate] = []
        self._text = ""
        self.setAccessibleName("Formula")
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

    def popup(self) -> CompletionPopup:
        return self._popup

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
        self.forget_marks()
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
        cursor.setPosition(self.units(begun.position))
        self._popup.offer(found, self.viewport(), self.cursorRect(cursor))

    def _complete(self, candidate: Candidate) -> None:
        begun = self._fragment()
        cursor = self.textCursor()
        end = cursor.position()
        cursor.setPosition(self.units(begun.position))
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(candidate.text)
        self.setTextCursor(cursor)
        self._popup.hide()

    def _fragment(self) -> completion.Fragment:
        return completion.fragment(self.toPlainText(), self.characters(self.textCursor().position()))

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
        tokens = theme.tokens()
        for span in syntax.spans(text):
            look = QTextCharFormat()
            look.setForeground(syntax.colour(span.kind, tokens))
            before = len(text[: span.position].encode("utf-16-le")) // 2
            self.setFormat(before, span.length, look)
