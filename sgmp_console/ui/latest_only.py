"""Questions of which only the newest matters: one under way at a time, one waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QObject

from sgmp_console.ui.tasks import Task, Tasks

T = TypeVar("T")


class LatestOnly(QObject, Generic[T]):
    """However fast one asks, at most one piece of work runs, and an answer that is out of date is not delivered."""

    def __init__(
        self,
        tasks: Tasks,
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
        parent: QObject,
        *,
        pool: str = "read",
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._pool = pool
        self._on_result = on_result
        self._on_error = on_error
        self._running: Task[T] | None = None
        self._waiting: Callable[[], T] | None = None
        self._stale = False

    def ask(self, work: Callable[[], T]) -> None:
        """Do `work` on a thread as soon as the work before is done; whatever waited is forgotten."""
        if self._running is None:
            self._stale = False
            self._running = self._tasks.run(self, work, self._answered, self._failed, pool=self._pool)
        else:
            self._waiting = work

    def forget(self) -> None:
        """Deliver nothing of what was asked so far."""
        self._waiting = None
        self._stale = True

    def busy(self) -> bool:
        return self._running is not None

    def stop(self) -> None:
        self.forget()
        self._tasks.forget_all(self)

    def _answered(self, result: T) -> None:
        if self._take_next():
            self._on_result(result)

    def _failed(self, error: Exception) -> None:
        if self._take_next():
            self._on_error(error)

    def _take_next(self) -> bool:
        """Whether the answer that just came is the newest."""
        current = self._waiting is None and not self._stale
        self._running = None
        if self._waiting is not None:
            work, self._waiting = self._waiting, None
            self.ask(work)
        return current
