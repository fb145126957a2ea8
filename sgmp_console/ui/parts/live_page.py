"""What every page has that shows one thing of the house on screen as it is now: it reads itself again while it is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.loaded_page import LoadedPage

Found = TypeVar("Found")

_EVERY_MS = 5_000
"""How often an edge's poll could change what is shown."""
_UNASKED_MS = 60_000
"""Between two reads although nothing was heard of: other consoles change what no notification reports."""


class LivePage(LoadedPage, Generic[Found]):
    """Implement `reader`, `show_found` and `grow_older`. It reads when it is shown, on F5, when another house is chosen, when the
    connection is back, and while it is shown where something of the house arrived."""

    def __init__(
        self, services: Services, called: str, *, loading: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(services, called, loading=loading, parent=parent)
        self.found: Found | None = None
        """What was read last."""
        self._house_id: int | None = None
        self._has_news = False
        self._ticks = 0
        self._loads = LatestOnly[Found](services.tasks, self._loaded, self.not_loaded, self)
        self._again = QTimer(self)
        self._again.setInterval(_EVERY_MS)
        self._again.timeout.connect(self.look_again)
        services.live.heard.connect(self._heard)
        services.live.loading.connect(self._house_may_have_changed)
        services.connection.restored.connect(self.reload)

    # --- What a page says of itself --------------------------------------------------------------------------------

    @abstractmethod
    def reader(self, house_id: int) -> Callable[[], Found]:
        """What to call on a worker thread for what is to be shown; it touches no QObject."""

    @abstractmethod
    def show_found(self, found: Found) -> None:
        """It was read. Show it, by `show_content` or `show_notice`."""

    @abstractmethod
    def grow_older(self) -> None:
        """Time passed: ages grow."""

    def forget(self) -> None:
        """Another thing is to be shown: what was read is of the one before."""

    # --- Reading ---------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        house_id = self.services.live.house_id
        if house_id is None or not self.isVisible():
            return
        if house_id != self._house_id or self.found is None:
            self.begin()
        self._loads.ask(self.reader(house_id))

    def reload_all(self) -> None:
        """Something was changed here: read it again, and what the window shows around the page."""
        self.reload()
        self.services.live.reload()

    def begin(self) -> None:
        """Forget what is shown, of another house or of another thing of this one."""
        self._house_id = self.services.live.house_id
        self.found = None
        self._loads.forget()
        self.forget()
        self.show_loading()

    def busy(self) -> bool:
        return self._loads.busy()

    def is_loaded(self) -> bool:
        return self.found is not None

    def look_again(self) -> None:
        self._ticks += 1
        if self.found is not None:
            self.grow_older()
        due = self._has_news or self._ticks * _EVERY_MS >= _UNASKED_MS
        if due and self.found is not None and self.services.connection.online:
            self._has_news, self._ticks = False, 0
            self.reload()

    def _loaded(self, found: Found) -> None:
        self.found = found
        self.show_found(found)

    def _heard(self, house_id: int) -> None:
        if house_id in (0, self._house_id):
            self._has_news = True

    def _house_may_have_changed(self) -> None:
        if self.services.live.house_id != self._house_id:
            self.reload()

    # --- Events ----------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.reload()
        self._again.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._again.stop()
