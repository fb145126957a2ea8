"""What every page has whose content is read: what stands there until it came, and where there is none."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Sequence

from PySide6.QtCore import QRectF
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QApplication, QStackedLayout, QWidget

from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.ui.explain import explain
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.parts.empty_state import EmptyState, Skeleton


class LoadedPage(Page):
    """A skeleton, then the content, or a notice of why there is none. Make the content and give it to `set_content`; then
    one of the `show_...` says what stands there."""

    def __init__(
        self, services: Services, called: str, *, loading: str, parent: QWidget | None = None
    ) -> None:
        """`called`: what is read ("The accounts"). `loading`: the sentence where that takes long."""
        super().__init__(services, parent)
        self._name = called
        self._skeleton = Skeleton(loading)
        self._content = QWidget()
        self._notice: EmptyState | None = None
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._skeleton)

    # --- What a page says of itself --------------------------------------------------------------------------------

    @abstractmethod
    def shapes(self) -> Sequence[QRectF]:
        """Where its cards will be, in pixels of the page."""

    @abstractmethod
    def is_loaded(self) -> bool:
        """Whether it shows what was read: that stays while the database is away."""

    def acted(self, id_: str) -> None:
        """A button of the notice was pressed, other than Retry."""

    # --- What stands there -----------------------------------------------------------------------------------------

    def set_content(self, content: QWidget) -> None:
        self._content = content
        self._stack.addWidget(content)

    def show_loading(self) -> None:
        self._skeleton.set_blocks(self.shapes())
        self._skeleton.begin()
        self._put(self._skeleton)

    def show_content(self) -> None:
        self._skeleton.end()
        self._put(self._content)

    def show_notice(self, notice: EmptyState) -> None:
        """A notice that says the same as the one that stands there leaves that, with the focus that it may have."""
        self._skeleton.end()
        stands, before = self.notice(), self._notice
        if stands is not None and stands.says == notice.says:
            notice.deleteLater()
            return
        self._notice = notice
        notice.acted.connect(self.act)
        self._stack.addWidget(notice)
        self._put(notice)
        if before is not None:
            self._stack.removeWidget(before)
            before.deleteLater()

    def not_loaded(self, error: Exception) -> None:
        """What is on screen stays while the database is away: the window's banner says the rest."""
        if isinstance(error, Unavailable):
            self.services.connection.lost(error)
            if self.is_loaded():
                return
        expected = isinstance(error, SgmpError)
        self.show_notice(
            EmptyState(
                "offline" if isinstance(error, Unavailable) else "fault",
                f"{self._name} could not be loaded",
                explain(error, then="Retrying can help."),
                (("retry", "Retry"),),
                "" if expected else "".join(traceback.format_exception(error)),
                tint="ink_muted" if expected else "state_fault",
            )
        )

    def is_content_shown(self) -> bool:
        return self._stack.currentWidget() is self._content

    def notice(self) -> EmptyState | None:
        """What stands in place of the content, if it does."""
        return self._notice if self._stack.currentWidget() is self._notice else None

    def act(self, id_: str) -> None:
        """A button of the notice was pressed."""
        if id_ != "retry":
            self.acted(id_)
        elif self.services.connection.online:
            self.reload()
        else:
            self.services.connection.retry_now()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._skeleton.set_blocks(self.shapes())

    def _put(self, shown: QWidget) -> None:
        """Show it, and keep the focus in the page if it has it."""
        changes = self._stack.currentWidget() is not shown
        focus = QApplication.focusWidget()
        inside = focus is not None and (focus is self or self.isAncestorOf(focus))
        self._stack.setCurrentWidget(shown)
        if changes and inside:
            self.take_focus()
