"""The rail on the left: one entry per page the account may use; collapses to icons."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QSizePolicy,
    QSpacerItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.resources import resource
from sgmp_console.ui import fonts, icons, plain_text, theme
from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.scroll_area import ScrollArea

_WIDE = 208
_NARROW = 56
_LOW, _HIGH = 20, 36
"""Pixels of an entry in a low window, and where there is room. All pages there are fit a window of 1024x650; more would
scroll."""
_WARNING = ("warning", "state_warning")
_TOP_BAR = 56
"""Pixels: as high as the top bar beside it."""


class Sidebar(QFrame):
    """`chosen` carries the id of the page; `collapsed_changed` how it stands."""

    chosen = Signal(str)
    collapsed_changed = Signal(bool)

    def __init__(
        self, entries: Sequence[tuple[str, str, str, str]], *, collapsed: bool, parent: QWidget | None = None
    ) -> None:
        """`entries` are (id, title, icon, group); groups are set apart, and named where they have a name."""
        super().__init__(parent)
        self.setProperty("surface", "rail")
        self.setAccessibleName("Pages")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 8, 8)
        column.setSpacing(0)
        column.addWidget(_Brand())
        pages = QWidget()
        pages.setProperty("surface", "none")
        inside = QVBoxLayout(pages)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(1)
        self._area = area = ScrollArea(pages)
        self._group = QButtonGroup(self)
        self._entries: dict[str, _Entry] = {}
        self._captions: list[QWidget] = []
        previous = None
        for number, (id_, title, icon, group) in enumerate(entries, start=1):
            if group != previous and previous is not None:
                inside.addSpacerItem(
                    QSpacerItem(0, 12, QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Maximum)
                )
            if group and group != previous:
                caption = label(group, "caption", "muted")
                caption.setContentsMargins(12, 4, 0, 2)
                self._captions.append(caption)
                inside.addWidget(caption)
            previous = group
            entry = _Entry(id_, title, icon, number, self)
            self._entries[id_] = entry
            self._group.addButton(entry)
            inside.addWidget(entry)
        inside.addStretch(1)
        column.addWidget(area, 1)
        self._toggle = IconButton("panel", "Collapse the sidebar (Ctrl+B)")
        self._toggle.clicked.connect(self.toggle)
        row = QHBoxLayout()
        row.setContentsMargins(4, 0, 0, 0)
        row.addWidget(self._toggle)
        row.addStretch(1)
        column.addLayout(row)
        self._group.buttonClicked.connect(self._clicked)
        self._collapsed = collapsed
        self._apply()

    @property
    def collapsed(self) -> bool:
        return self._collapsed

    def toggle(self) -> None:
        self._collapsed = not self._collapsed
        self._apply()
        self.collapsed_changed.emit(self._collapsed)

    def show_chosen(self, id_: str) -> None:
        self._entries[id_].setChecked(True)
        for entry in self._entries.values():  # Tab goes to the chosen one, the arrow keys from there
            entry.setFocusPolicy(Qt.FocusPolicy.TabFocus if entry.isChecked() else Qt.FocusPolicy.NoFocus)
        self._area.ensureWidgetVisible(self._entries[id_], 0, 0)

    def set_mark(self, id_: str, why: str = "", look: tuple[str, str] = _WARNING) -> None:
        """Something on that page wants to be looked at; "" where nothing does. `look`: icon and token."""
        if id_ in self._entries:
            self._entries[id_].set_mark(why, look)

    def _clicked(self, entry: QAbstractButton) -> None:
        if isinstance(entry, _Entry):
            self.chosen.emit(entry.id_)

    def _apply(self) -> None:
        self.setFixedWidth(_NARROW if self._collapsed else _WIDE)
        for caption in self._captions:
            caption.setVisible(not self._collapsed)
        for entry in self._entries.values():
            entry.set_narrow(self._collapsed)
        self._toggle.set_icon("panel", f"{'Expand' if self._collapsed else 'Collapse'} the sidebar (Ctrl+B)")


class _Entry(PaintedButton):
    def __init__(self, id_: str, title: str, icon: str, number: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.id_ = id_
        self._title = title
        self._icon = icon
        self._narrow = False
        self._mark = ""
        self._keys = f" (Ctrl+{number})" if number <= 9 else ""
        self.setCheckable(True)
        self.setMinimumHeight(_LOW)
        self.setMaximumHeight(_HIGH)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(title)
        self.set_mark("")

    def set_mark(self, why: str, look: tuple[str, str] = _WARNING) -> None:
        self._mark, self._look = why, look
        self.setAccessibleDescription(why)
        plain_text.set_tip(self, "\n".join(filter(None, (f"{self._title}{self._keys}", why))))
        self.update()

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(_NARROW - 16, _HIGH)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(_NARROW - 16, _LOW)

    def is_marked(self) -> bool:
        return self.isChecked()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        tokens = theme.tokens()
        if self.isChecked():
            # Besides the colour, a bar.
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.accent_fill)
            painter.drawRoundedRect(QRectF(1, self.height() / 4, 3, self.height() / 2), 1.5, 1.5)
        ink = tokens.ink_primary if self.isChecked() else tokens.ink_secondary
        side = min(20, self.height() - 4)
        icons.paint(painter, QRectF(20 - side / 2, (self.height() - side) / 2, side, side), self._icon, ink)
        if self._mark:
            square = (
                QRectF(22, 4, 12, 12)
                if self._narrow
                else QRectF(self.width() - 28, (self.height() - 16) / 2, 16, 16)
            )
            icon, tint = self._look
            icons.paint(painter, square, icon, getattr(tokens, tint))
        if not self._narrow:
            painter.setPen(ink)
            painter.setFont(fonts.font("strong" if self.isChecked() else "body"))
            painter.drawText(area.adjusted(40, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, self._title)


class _Brand(QWidget):
    """The mark and the name."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_TOP_BAR)
        self._mark = icons.mark(resource("icons/sgmp.svg"))
        self.setAccessibleName("SGMP")

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._mark.render(painter, QRectF(6, 14, 28, 28))
        if self.width() > 100:
            painter.setPen(theme.tokens().ink_primary)
            painter.setFont(fonts.font("title"))
            painter.drawText(QRectF(44, 14, 140, 28), Qt.AlignmentFlag.AlignVCenter, "SGMP")
