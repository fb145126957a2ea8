"""What stands where there is nothing to show: why, and what changes it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.ui import fonts, theme
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import IconLabel, label

SENTENCE_AFTER_MS = 2000
"""Loading is silent for this long: most of it is over before one could read a sentence."""


class EmptyState(QWidget):
    """An icon, what is the matter, what to do, the buttons that do it, and details folded away."""

    acted = Signal(str)
    """A button was pressed; carries its id."""

    def __init__(
        self,
        icon: str,
        headline: str,
        sentence: str,
        actions: tuple[tuple[str, str], ...] = (),
        details: str = "",
        *,
        tint: str = "ink_muted",
        parent: QWidget | None = None,
    ) -> None:
        """`actions` are (id, text); the first is the primary one."""
        super().__init__(parent)
        self.says = (icon, headline, sentence, actions, details)
        """All that it says, to be compared: one that says the same need not be put in its place, where it may have the
        focus."""
        self.setAccessibleName(headline)
        self.setAccessibleDescription(sentence)
        self._ids: dict[QObject, str] = {}
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addStretch(2)
        column.addWidget(IconLabel(icon, tint, 40), alignment=Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(4)
        head = label(headline, "heading", wraps=True)
        head.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(head)
        text = label(sentence, "body", "secondary", wraps=True)
        text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        # An aligned widget gets no height for its width from a box layout.
        text.setFixedSize(520, text.heightForWidth(520))
        column.addWidget(text, alignment=Qt.AlignmentFlag.AlignHCenter)
        if actions:
            row = QHBoxLayout()
            row.setSpacing(8)
            row.addStretch(1)
            for index, (id_, words) in enumerate(actions):
                made = button(words, self._pressed, "primary" if index == 0 else "")
                self._ids[made] = id_
                row.addWidget(made)
            row.addStretch(1)
            column.addSpacing(8)
            column.addLayout(row)
        if details:
            column.addSpacing(8)
            column.addWidget(Details(details), alignment=Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)

    def buttons(self) -> dict[str, QPushButton]:
        return {id_: made for made, id_ in self._ids.items() if isinstance(made, QPushButton)}

    def _pressed(self) -> None:
        self.acted.emit(self._ids[self.sender()])


class Details(QWidget):
    """Text for those who want to know more, folded until asked for, with a copy button."""

    def __init__(self, text: str, *, title: str = "details", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.setFixedWidth(640)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row = QHBoxLayout()
        row.addStretch(1)
        self._toggle = button("", self._fold, "quiet")
        self._copy = button("Copy", self._copy_text, "quiet")
        row.addWidget(self._toggle)
        row.addWidget(self._copy)
        row.addStretch(1)
        column.addLayout(row)
        self._text = QPlainTextEdit(text)
        self._text.setReadOnly(True)
        self._text.setFont(fonts.font("fixed"))
        self._text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._text.setMinimumHeight(160)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        column.addWidget(self._text)
        self._show(False)

    def text(self) -> str:
        return self._text.toPlainText()

    def set_text(self, text: str) -> None:
        self._text.setPlainText(text)
        bar = self._text.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _fold(self) -> None:
        self._show(self._text.isHidden())

    def _show(self, shown: bool) -> None:
        self._text.setVisible(shown)
        self._copy.setVisible(shown)
        self._toggle.setText(f"{'Hide' if shown else 'Show'} {self._title}")

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text())


class Skeleton(QWidget):
    """The shape of a page before its content: quiet blocks, and a sentence once it takes longer than two seconds."""

    def __init__(self, sentence: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sentence = sentence
        self._blocks: tuple[QRectF, ...] = ()
        self._is_sentence_shown = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._show_sentence)

    def begin(self) -> None:
        self._is_sentence_shown = False
        self.setAccessibleName("")
        self._timer.start(SENTENCE_AFTER_MS)
        self.update()

    def end(self) -> None:
        self._timer.stop()

    def set_blocks(self, blocks: Sequence[QRectF]) -> None:
        """Where the cards will be, in pixels of this widget."""
        self._blocks = tuple(blocks)
        self.update()

    def _show_sentence(self) -> None:
        self._is_sentence_shown = True
        self.setAccessibleName(self._sentence)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for block in self._blocks:
            painter.setPen(tokens.line_hairline)
            painter.setBrush(tokens.surface_card)
            painter.drawRoundedRect(block.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.surface_sunken)
            painter.drawRoundedRect(
                QRectF(block.left() + 16, block.top() + 16, min(120, block.width() - 32), 12), 4, 4
            )
            if block.height() > 80:
                inside = block.adjusted(16, 44, -16, -16)
                painter.drawRoundedRect(inside, 6, 6)
        if self._is_sentence_shown:
            self._paint_sentence(painter)

    def _paint_sentence(self, painter: QPainter) -> None:
        tokens = theme.tokens()
        painter.setFont(fonts.font("body"))
        width = fonts.metrics("body").horizontalAdvance(self._sentence) + 40
        box = QRectF((self.width() - width) / 2, self.height() / 2 - 20, width, 40)
        painter.setPen(tokens.line_hairline)
        painter.setBrush(tokens.surface_overlay)
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(tokens.ink_primary)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self._sentence)
