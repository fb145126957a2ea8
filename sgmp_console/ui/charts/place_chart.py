"""Charts of which one place can be chosen, by the mouse or by keys: a bar, a cell, a ribbon."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from sgmp_console.ui.charts.crosshair import Crosshair

Picture = TypeVar("Picture")
Place = TypeVar("Place")

_MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_WITH_MODIFIER = (
    Qt.KeyboardModifier.ShiftModifier
    | Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)
"""Arrow keys with these belong to the page. (Those of a keypad have a modifier of their own.)"""


class PlaceChart(QWidget, Generic[Picture, Place]):
    """The mouse or an arrow key chooses a place, whose card says what is there. Enter or a click opens it; Escape, the
    mouse or the focus going elsewhere, and another size let it go."""

    def __init__(self, accessible_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture: Picture | None = None
        self.chosen: Place | None = None
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.crosshair = Crosshair(self)

    # --- What a chart says of itself -------------------------------------------------------------------------------

    @abstractmethod
    def place_at(self, at: QPointF) -> Place | None:
        """The place under a pixel."""

    @abstractmethod
    def next_place(self, x: int, y: int) -> Place | None:
        """From the chosen place one step to the right and down, or where choosing begins; the last one again where there
        are no more. None where this chart has no such direction, or nothing to choose."""

    @abstractmethod
    def same_place(self, place: Place, picture: Picture) -> Place | None:
        """Where a place of the present picture is in the one that comes, if it is there."""

    @abstractmethod
    def show_card(self, picture: Picture, place: Place) -> None:
        """Put the crosshair on a place, with its card."""

    def opens(self, picture: Picture) -> bool:
        """Whether places lead somewhere."""
        return False

    def open_place(self, picture: Picture, place: Place) -> None:
        """Go where a place leads to."""

    # --- What its page uses ----------------------------------------------------------------------------------------

    def set_picture(self, picture: Picture | None) -> None:
        """What is chosen stays so where it is in the new picture, too."""
        kept = None
        if self.chosen is not None and picture is not None:
            kept = self.same_place(self.chosen, picture)
        self.picture = picture
        pointing = picture is not None and self.opens(picture)
        self.setCursor(Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor)
        self.choose(kept)

    def choose(self, place: Place | None) -> None:
        """Show the card of a place; of none with None."""
        self.chosen = place if self.picture is not None else None
        if self.picture is None or place is None:
            self.crosshair.clear()
        else:
            self.show_card(self.picture, place)
            self.crosshair.raise_()
        self.update()

    def text(self) -> str:
        """What the card says; empty without one."""
        return self.crosshair.text()

    # --- Events ----------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.crosshair.resize(self.size())
        self.choose(None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.choose(self.place_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self._open(self.place_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.choose(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key = event.key()
        move = None if event.modifiers() & _WITH_MODIFIER else _MOVES.get(Qt.Key(key))
        place = None if move is None else self.next_place(*move)
        if place is not None:
            self.choose(place)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.chosen is not None:
            self._open(self.chosen)
        elif key == Qt.Key.Key_Escape and self.chosen is not None:
            self.choose(None)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.crosshair.set_focused(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.crosshair.set_focused(False)
        self.choose(None)

    def _open(self, place: Place | None) -> None:
        if place is not None and self.picture is not None and self.opens(self.picture):
            self.open_place(self.picture, place)
