"""Whether the database answers, and still lets us in.

An outage is reported by a page whose statement failed, or noticed here because nothing was answered for a while: a
frozen server refuses nothing, and its statements fail only much later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from sgmp_console.backoff import delays
from sgmp_console.errors import Unavailable
from sgmp_console.store import DatabaseUnavailable, SignInRefused
from sgmp_console.ui.tasks import Tasks

SILENT_AFTER_S = 9.0
"""Without an answer for so long, the database counts as lost: 10 s is what an operator is promised."""

_ASK_AFTER_S = 2.0
"""Nothing is asked for the sake of an answer while pages get answers. An idle window asks at this interval."""

_STEP_S = 0.5

_STOOD_STILL_S = 4.0
"""Between two looks at the clock, which come twice a second: this process was stopped or its computer asleep."""


class _Answers:
    """When the last answer came, monotonic. Shared with the thread that asks."""

    def __init__(self) -> None:
        self.last_s = time.monotonic()
        self.online = True

    def age_s(self) -> float:
        return time.monotonic() - self.last_s


@dataclass(frozen=True)
class _Reply:
    error: Unavailable | None = None


class Connection(QObject):
    """`probe` is called on a worker thread and raises Unavailable while the database does not answer."""

    changed = Signal()
    restored = Signal()
    refused = Signal(object)
    """A SignInRefused: the account may no longer, and nothing is tried any more."""

    def __init__(
        self,
        tasks: Tasks,
        probe: Callable[[], None],
        parent: QObject | None = None,
        *,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        super().__init__(parent)
        self._silent_after_s = silent_after_s
        self._tasks = tasks
        self._probe = probe
        self._answers = _Answers()
        self._delays = delays(first_s=1.0)
        self._trying = False
        self._stopped = threading.Event()
        self._checked_s = 0.0
        self.error: Unavailable | None = None
        """Why it is offline; None while it is not."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._try)
        self._watch = QTimer(self)
        self._watch.setInterval(round(_STEP_S * 1000))
        self._watch.timeout.connect(self._check_silence)

    @property
    def online(self) -> bool:
        return self.error is None

    @property
    def trying(self) -> bool:
        return self._trying

    def seconds_to_next_attempt(self) -> int:
        """0 while one is under way."""
        return -(-self._timer.remainingTime() // 1000) if self._timer.isActive() else 0

    def silent_ms(self) -> int:
        """How long ago the last answer came."""
        return round(self._answers.age_s() * 1000)

    def start(self) -> None:
        """Watch for silence until `stop`."""
        self.answered()
        self._checked_s = time.monotonic()
        self._watch.start()
        self._stopped = stopped = threading.Event()
        answers, probe = self._answers, self._probe
        self._tasks.listen(self, lambda: _ask(answers, probe, stopped), self._asked, self._asking_failed)

    def answered(self) -> None:
        """A page got an answer."""
        self._answers.last_s = time.monotonic()

    def lost(self, error: Unavailable) -> None:
        """A page could not reach the database."""
        if self.error is not None:
            return
        self.error = error
        self._answers.online = False
        self._delays = delays(first_s=1.0)
        self._wait()

    def end(self, error: SignInRefused) -> None:
        """A page, or the listener, was not let in any more."""
        self.stop()
        self.refused.emit(error)

    def retry_now(self) -> None:
        if self.error is not None and not self._trying:
            self._timer.stop()
            self._try()

    def stop(self) -> None:
        self._timer.stop()
        self._watch.stop()
        self._stopped.set()
        self._tasks.forget_all(self)

    def _check_silence(self) -> None:
        now_s = time.monotonic()
        if now_s - self._checked_s > _STOOD_STILL_S:
            self.answered()  # it was us who did not ask: this computer slept
        self._checked_s = now_s
        if self.error is None and self._answers.age_s() >= self._silent_after_s:
            self.lost(DatabaseUnavailable(f"no answer for {self._answers.age_s():.0f} s"))

    def _asked(self, reply: _Reply) -> None:
        if reply.error is not None:
            self.lost(reply.error)
        elif self.error is not None:
            # It was frozen, and now answers what was asked before.
            self._answered(None)

    def _asking_failed(self, error: Exception) -> None:
        self._watch.stop()
        if isinstance(error, SignInRefused):
            self.end(error)

    def _wait(self) -> None:
        self._timer.start(round(next(self._delays) * 1000))
        self.changed.emit()

    def _try(self) -> None:
        self._trying = True
        self.changed.emit()
        self._tasks.run(self, self._probe, self._answered, self._did_not_answer)

    def _answered(self, _nothing: None) -> None:
        self._trying = False
        self.answered()
        if self.error is None:
            return
        self.error = None
        self._answers.online = True
        self._timer.stop()
        self.changed.emit()
        self.restored.emit()

    def _did_not_answer(self, error: Exception) -> None:
        self._trying = False
        if isinstance(error, SignInRefused):
            self.end(error)
            return
        if self.error is None:  # answered meanwhile
            self.changed.emit()
            return
        if isinstance(error, Unavailable):
            self.error = error
        self._wait()


def _ask(answers: _Answers, probe: Callable[[], None], stopped: threading.Event) -> Iterator[_Reply | None]:
    """On a thread of its own, since the pool's may all wait for a server that is frozen.

    Ends at once when `stopped`: who closes the window waits for this thread.
    """
    while not stopped.wait(_STEP_S):
        if answers.online and answers.age_s() >= _ASK_AFTER_S:
            try:
                probe()
            except Unavailable as error:
                yield _Reply(error)
            else:
                answers.last_s = time.monotonic()
                yield _Reply()
        yield None
