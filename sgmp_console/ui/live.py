"""The house on screen, kept up to date: loaded once, then only what is new."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from sgmp_console.errors import Unavailable
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.ui.tasks import Task, Tasks

log = logging.getLogger(__name__)

_LEAST_PAUSE_MS = 500
"""Between two fetches: the three devices of a house report at the same tick but not in the same commit."""

_UNASKED_MS = 15_000
"""A fetch without having heard of anything new: the window of the charts moves, and a notification may be lost."""


class HomeReader(Protocol):
    """`reports.live.HomeLoader`, as it is used here: on a worker thread, by one call at a time."""

    def load(self, now_ms: int) -> HomeSnapshot: ...

    def update(self, now_ms: int, from_ms: int) -> HomeSnapshot: ...


class HomeFeed(QObject):
    """Snapshots of one house after the other, as the operator selects them.

    `open_house` makes the reader of a house; it is called on a worker thread.
    """

    heard = Signal(int)
    """Readings or events of this house arrived, of whatever house; 0: of any, since some may have been missed."""
    loading = Signal()
    snapshot_ready = Signal(object)
    """A HomeSnapshot of the selected house, never of one selected before."""
    failed = Signal(object)
    """An Exception: there is nothing to show until `reload`."""
    lost = Signal(object)
    """An Unavailable: what was shown last is all there is for now; somebody must call `reload` later."""

    def __init__(
        self,
        tasks: Tasks,
        open_house: Callable[[int], HomeReader],
        now_ms: Callable[[], int],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._open_house = open_house
        self._now_ms = now_ms
        self._house_id: int | None = None
        self._reader: HomeReader | None = None
        self._running: Task[Any] | None = None
        self._wanted_from_ms: int | None = None
        self.snapshot: HomeSnapshot | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_LEAST_PAUSE_MS)
        self._pause.timeout.connect(self._fetch)
        self._unasked = QTimer(self)
        self._unasked.setInterval(_UNASKED_MS)
        self._unasked.timeout.connect(self._fetch_unasked)

    @property
    def house_id(self) -> int | None:
        return self._house_id

    def select(self, house_id: int) -> None:
        """Show another house, from the start."""
        self._house_id = house_id
        self.snapshot = None
        self.reload()

    def reload(self) -> None:
        """Load the house as if for the first time."""
        house_id = self._house_id
        if house_id is None:
            return
        self._forget_running()
        self._reader = None
        self._wanted_from_ms = None
        if self.snapshot is None:
            self.loading.emit()

        def load() -> tuple[HomeReader, HomeSnapshot]:
            reader = self._open_house(house_id)
            return reader, reader.load(self._now_ms())

        self._running = self._tasks.run(self, load, self._loaded, self._not_read)

    def house_changed(self, house_id: int, from_ms: int) -> None:
        """Readings or events from `from_ms` on came in."""
        self.heard.emit(house_id)
        self._read_from(house_id, from_ms)

    def _read_from(self, house_id: int, from_ms: int) -> None:
        if house_id != self._house_id:
            return
        self._wanted_from_ms = from_ms if self._wanted_from_ms is None else min(from_ms, self._wanted_from_ms)
        self._fetch()

    def stop(self) -> None:
        """Fetch nothing more."""
        self._forget_running()
        self._house_id = None
        self._reader = None

    def _forget_running(self) -> None:
        if self._running is not None:
            self._running.forget()
            self._running = None
        self._pause.stop()
        self._unasked.stop()

    def _fetch_unasked(self) -> None:
        if self.snapshot is not None and self._house_id is not None:
            # From the newest known reading on: had nothing come since, there is nothing to read.
            self._read_from(self._house_id, self.snapshot.newest_ms or self.snapshot.start_ms)

    def _fetch(self) -> None:
        reader = self._reader
        if (
            reader is None
            or self._running is not None
            or self._pause.isActive()
            or self._wanted_from_ms is None
        ):
            return
        from_ms, self._wanted_from_ms = self._wanted_from_ms, None
        now_ms = self._now_ms()
        self._running = self._tasks.run(
            self, lambda: reader.update(now_ms, from_ms), self._updated, self._not_read
        )

    def _loaded(self, loaded: tuple[HomeReader, HomeSnapshot]) -> None:
        self._reader = loaded[0]
        self._updated(loaded[1])

    def _updated(self, snapshot: HomeSnapshot) -> None:
        self._running = None
        self.snapshot = snapshot
        self._pause.start()
        self._unasked.start()
        self.snapshot_ready.emit(snapshot)

    def _not_read(self, error: Exception) -> None:
        self._forget_running()
        self._reader = None
        if isinstance(error, Unavailable):
            log.warning("house %s is not read: %s", self._house_id, error)
            self.lost.emit(error)
        else:
            self.snapshot = None
            self.failed.emit(error)
