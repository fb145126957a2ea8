"""The one module that owns threads.

Work runs on named pools of threads or, for what listens for as long as the window lives, on a thread of its own.
The rule for all of it: the work touches no QObject; what it returns, raises or yields is handed to the callbacks on
the GUI thread, and to nobody once the owner is destroyed or the task forgotten.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import shiboken6
from PySide6.QtCore import QObject, Qt, Signal

from sgmp_console.errors import Cancelled, SgmpError

log = logging.getLogger(__name__)

T = TypeVar("T")
Report = Callable[[float | None, str], None]
"""Called by long work: the fraction done (None: not known) and what it does now. Raises Cancelled when it should
stop."""

POOLS = {
    # What the pages on screen wait for. Each thread may hold a database connection, so there are few.
    "read": 3,
    # What the operator started and may take long: one reads on meanwhile.
    "act": 2,
    # What charts compute of many points: never behind a question to the database.
    "draw": 1,
}


@dataclass(frozen=True)
class _Job:
    """What a thread gets to see. It holds no owner and no callback, so the last reference to a widget never dies on
    a thread."""

    id_: int
    work: Callable[[Report], Any]
    stop: threading.Event


@dataclass(frozen=True)
class _Arrival:
    id_: int
    kind: str  # "item", "result", "error", "progress"
    value: Any


class Task(Generic[T]):
    """A piece of running work, as its owner sees it. Lives on the GUI thread."""

    def __init__(
        self,
        id_: int,
        owner: QObject,
        title: str,
        on_item: Callable[[T], None] | None,
        on_result: Callable[[T], None] | None,
        on_error: Callable[[Exception], None],
        stop: threading.Event,
    ) -> None:
        self.id_ = id_
        self.title = title
        self.subject: Hashable = None
        """What the work is about, for who looks whether such work runs."""
        self.fraction: float | None = None
        self.text = ""
        self._owner = owner
        self._on_item = on_item
        self._on_result = on_result
        self._on_error = on_error
        self._stop = stop
        self._forgotten = False

    def cancel(self) -> None:
        """Ask the work to stop. Its owner hears Cancelled, or the result where it was too late."""
        self._stop.set()

    def forget(self) -> None:
        """Ask the work to stop and deliver nothing from now on."""
        self._forgotten = True
        self._stop.set()

    def _wanted(self) -> bool:
        return not self._forgotten and shiboken6.isValid(self._owner)


class Tasks(QObject):
    """Starts work off the GUI thread and brings back what comes of it. Made and called on the GUI thread only.

    `on_bug` hears of every exception other than SgmpError, besides the task's own `on_error`.
    """

    shown_changed = Signal()
    """The tasks with a title, or how far they are, changed."""

    _woken = Signal()

    def __init__(self, on_bug: Callable[[BaseException], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on_bug = on_bug
        self._idents = itertools.count(1)
        self._running: dict[int, Task[Any]] = {}
        self._arrivals: deque[_Arrival] = deque()
        self._wake_pending = threading.Event()
        self._closed = False
        self._pools = {name: _Pool(name, size, self._perform) for name, size in POOLS.items()}
        self._listeners: list[threading.Thread] = []
        self._woken.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        owner: QObject,
        work: Callable[[], T],
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
        *,
        pool: str = "read",
    ) -> Task[T]:
        """Call `work` on a thread, then `on_result` or `on_error` here."""
        return self._start(owner, "", lambda _report: work(), None, on_result, on_error, pool)

    def run_shown(
        self,
        owner: QObject,
        title: str,
        work: Callable[[Report], T],
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
        *,
        subject: Hashable = None,
    ) -> Task[T]:
        """Like `run`, for long work: it is listed in the status bar with its progress and can be cancelled there; with
        the title "" by its owner only."""
        task = self._start(owner, title, work, None, on_result, on_error, "act")
        task.subject = subject
        if title:
            self.shown_changed.emit()
        return task

    def listen(
        self,
        owner: QObject,
        source: Callable[[], Iterator[T | None]],
        on_item: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> Task[T]:
        """Hand on what `source()` yields until forgotten. It must yield None now and then, so that it can be left."""

        def follow(report: Report) -> None:
            items = source()
            try:
                for item in items:
                    if job.stop.is_set():
                        break
                    if item is not None:
                        self._post(_Arrival(job.id_, "item", item))
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()

        task, job = self._register(owner, "", follow, on_item, None, on_error)
        # A daemon, like the pools' threads: a source that hangs in the network can't keep the process alive.
        thread = threading.Thread(target=self._perform, args=(job,), name=f"listen-{job.id_}", daemon=True)
        self._listeners.append(thread)
        thread.start()
        return task

    def shown(self) -> list[Task[Any]]:
        """The running tasks that have a title, oldest first."""
        return [task for task in self._running.values() if task.title]

    def forget_all(self, owner: QObject) -> None:
        """Forget what this owner started."""
        for task in self._running.values():
            if task._owner is owner:
                task.forget()

    def close(self, timeout_s: float = 5.0) -> list[str]:
        """Cancel everything, wait for the threads, and name those that did not end in time."""
        deadline = time.monotonic() + timeout_s
        self._closed = True
        for task in self._running.values():
            task.forget()
        for pool in self._pools.values():
            pool.close()
        threads = [*self._listeners, *(thread for pool in self._pools.values() for thread in pool.threads)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._running.clear()
        self._arrivals.clear()
        left = [thread.name for thread in threads if thread.is_alive()]
        if left:
            log.warning("threads that did not end within %.0f s: %s", timeout_s, ", ".join(left))
        return left

    # --- GUI thread ----------------------------------------------------------------------------------------------

    def _register(
        self,
        owner: QObject,
        title: str,
        work: Callable[[Report], Any],
        on_item: Callable[[T], None] | None,
        on_result: Callable[[T], None] | None,
        on_error: Callable[[Exception], None],
    ) -> tuple[Task[T], _Job]:
        if self._closed:
            raise Cancelled("The window is closing.")
        job = _Job(next(self._idents), work, threading.Event())
        task = Task(job.id_, owner, title, on_item, on_result, on_error, job.stop)
        self._running[job.id_] = task
        return task, job

    def _start(
        self,
        owner: QObject,
        title: str,
        work: Callable[[Report], T],
        on_item: Callable[[T], None] | None,
        on_result: Callable[[T], None] | None,
        on_error: Callable[[Exception], None],
        pool: str,
    ) -> Task[T]:
        task, job = self._register(owner, title, work, on_item, on_result, on_error)
        self._pools[pool].put(job)
        return task

    def _deliver(self) -> None:
        # Cleared first: what arrives while this runs wakes us again.
        self._wake_pending.clear()
        try:
            while self._arrivals and not self._closed:
                self._hand_over(self._arrivals.popleft())
        finally:
            # A callback that failed must not keep the others' results back.
            if self._arrivals and not self._closed:
                self._woken.emit()

    def _hand_over(self, arrival: _Arrival) -> None:
        task = self._running.get(arrival.id_)
        if task is None:
            return
        if arrival.kind in ("result", "error"):
            del self._running[arrival.id_]
            if task.title:
                self.shown_changed.emit()
        if arrival.kind == "error" and not isinstance(arrival.value, SgmpError):
            self._on_bug(arrival.value)
        if not task._wanted():
            return
        if arrival.kind == "item" and task._on_item is not None:
            task._on_item(arrival.value)
        elif arrival.kind == "result" and task._on_result is not None:
            task._on_result(arrival.value)
        elif arrival.kind == "error":
            task._on_error(arrival.value)
        elif arrival.kind == "progress":
            task.fraction, task.text = arrival.value
            self.shown_changed.emit()

    # --- Any thread ----------------------------------------------------------------------------------------------

    def _post(self, arrival: _Arrival) -> None:
        if self._closed:
            return
        self._arrivals.append(arrival)
        if not self._wake_pending.is_set():
            self._wake_pending.set()
            self._woken.emit()

    def _perform(self, job: _Job) -> None:
        def report(fraction: float | None, text: str) -> None:
            if job.stop.is_set():
                raise Cancelled
            self._post(_Arrival(job.id_, "progress", (fraction, text)))

        if job.stop.is_set():
            self._post(_Arrival(job.id_, "error", Cancelled()))
            return
        try:
            result = job.work(report)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever the work raises is its owner's to hear
            self._post(_Arrival(job.id_, "error", error))
        else:
            self._post(_Arrival(job.id_, "result", result))


class _Pool:
    """Threads that take jobs from one queue, started as they are needed.

    Not concurrent.futures: its threads are joined without a deadline when the interpreter ends, so that one query to
    a dead host would keep the closed console alive.
    """

    def __init__(self, name: str, size: int, perform: Callable[[_Job], None]) -> None:
        self.threads: list[threading.Thread] = []
        self._name = name
        self._size = size
        self._perform = perform
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def put(self, job: _Job) -> None:
        if not self._idle.acquire(blocking=False) and len(self.threads) < self._size:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self.threads) + 1}", daemon=True
            )
            self.threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def close(self) -> None:
        for _ in self.threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._perform(job)
            del job
            self._idle.release()
