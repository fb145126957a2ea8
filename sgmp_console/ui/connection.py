"""Whether the database answers, and still lets us in: told by whoever finds that it does not, found again by trying."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from sgmp_console.errors import Unavailable
from sgmp_console.store.errors import SignInRefused
from sgmp_console.ui.tasks import Tasks

_DELAYS_S = (1, 2, 4, 8, 15)
"""Between attempts; the last one stays."""


class Connection(QObject):
    """`probe` is called on a worker thread and raises Unavailable while the database does not answer."""

    changed = Signal()
    restored = Signal()
    refused = Signal(object)
    """A SignInRefused: the account may no longer, and nothing is tried any more."""

    def __init__(self, tasks: Tasks, probe: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._probe = probe
        self._attempt = 0
        self._trying = False
        self.error: Unavailable | None = None
        """Why it is offline; None while it is not."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._try)

    @property
    def online(self) -> bool:
        return self.error is None

    @property
    def trying(self) -> bool:
        return self._trying

    def seconds_to_next_attempt(self) -> int:
        """0 while one is under way."""
        return -(-self._timer.remainingTime() // 1000) if self._timer.isActive() else 0

    def lost(self, error: Unavailable) -> None:
        """A page could not reach the database."""
        if self.error is not None:
            return
        self.error = error
        self._attempt = 0
        self._wait()

    def end(self, error: SignInRefused) -> None:
        """A page, or whoever listens, was not let in any more."""
        self.stop()
        self.refused.emit(error)

    def retry_now(self) -> None:
        if self.error is not None and not self._trying:
            self._timer.stop()
            self._try()

    def stop(self) -> None:
        self._timer.stop()
        self._tasks.forget_all(self)

    def _wait(self) -> None:
        delay_s = _DELAYS_S[min(self._attempt, len(_DELAYS_S) - 1)]
        self._attempt += 1
        self._timer.start(delay_s * 1000)
        self.changed.emit()

    def _try(self) -> None:
        self._trying = True
        self.changed.emit()
        self._tasks.run(self, self._probe, self._answered, self._did_not_answer)

    def _answered(self, _nothing: None) -> None:
        self._trying = False
        self.error = None
        self.changed.emit()
        self.restored.emit()

    def _did_not_answer(self, error: Exception) -> None:
        self._trying = False
        if isinstance(error, SignInRefused):
            self.end(error)
            return
        if isinstance(error, Unavailable):
            self.error = error
        self._wait()
