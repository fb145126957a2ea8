"""The actions of a list in a row; what has no room in it is in the menu of its button "More"."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QWidget

from sgmp_console.ui.parts.buttons import Button, button
from sgmp_console.ui.parts.popup import open_menu_below

_SPACING = 8


class ActionBar(QWidget):
    """Actions from the least to the most important, left to right: the left ones go into the menu first, the last one
    never does. Call `arrange` after actions were shown, hidden or renamed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._buttons: list[tuple[QAction, Button]] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(_SPACING)
        self._row.addStretch(1)
        self.more = button("More", self._open_menu)
        self.more.hide()
        self._row.addWidget(self.more)

    def add(self, action: QAction, widget: Button) -> None:
        self._buttons.append((action, widget))
        self._row.addWidget(widget)

    def buttons(self) -> list[Button]:
        """In reading order."""
        return [self.more, *(widget for _, widget in self._buttons)]

    def arrange(self) -> None:
        offered = [(action, widget) for action, widget in self._buttons if action.isVisible()]
        widths = [widget.sizeHint().width() + _SPACING for _, widget in offered]
        room = self.width() + _SPACING
        folded = 0
        if sum(widths) > room:
            room -= self.more.sizeHint().width() + _SPACING
            while folded < len(offered) - 1 and sum(widths[folded:]) > room:
                folded += 1
        inside = {id(widget) for _, widget in offered[:folded]}
        self.more.setVisible(folded > 0)
        for action, widget in self._buttons:
            widget.setVisible(action.isVisible() and id(widget) not in inside)

    def folded(self) -> list[QAction]:
        """What is in the menu of "More"."""
        return [action for action, widget in self._buttons if action.isVisible() and widget.isHidden()]

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        last = self._buttons[-1][1].sizeHint().width() if self._buttons else 0
        return QSize(self.more.sizeHint().width() + _SPACING + last, self.more.sizeHint().height())

    def sizeHint(self) -> QSize:  # noqa: N802
        widths = [widget.sizeHint().width() for action, widget in self._buttons if action.isVisible()]
        return QSize(sum(widths) + _SPACING * max(0, len(widths) - 1), self.more.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.arrange()

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self.folded())
        open_menu_below(menu, self.more)
