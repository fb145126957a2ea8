"""A card below a list: one sentence, and a text as it came, to be read and copied."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QPlainTextEdit, QVBoxLayout, QWidget

from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.parts.labels import label

_LINES = 8
"""On screen at once; more scroll."""
_MAX_CHARACTERS = 20_000


class DetailsCard(QFrame):
    """Hidden until there is something to show."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        self._sentence = label("", "body", wraps=True)
        column.addWidget(self._sentence)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(name)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setFont(fonts.font("fixed"))
        margins = 2 * self.text.document().documentMargin() + 2 * self.text.frameWidth()
        self.text.setFixedHeight(round(_LINES * fonts.metrics("fixed").lineSpacing() + margins))
        column.addWidget(self.text)
        self.hide()

    def show_details(self, sentence: str, text: str) -> None:
        """Both may come from devices. A text that was cut says so."""
        self._sentence.setText(plain_text.bounded(sentence))
        if len(text) > _MAX_CHARACTERS:
            text = f"{text[:_MAX_CHARACTERS]}\n… {len(text) - _MAX_CHARACTERS:,} more characters"
        if text != self.text.toPlainText():  # where one has scrolled, one stays
            self.text.setPlainText(text)
        self.text.setVisible(bool(text))
        self.show()
