"""The only place of the edge that starts threads.

A `Loop` is a queue of calls and the one thread that makes them, one after another. Everything that happens on a
thread other than one's own is handed over with `post`; so no object is touched by two threads, and nothing needs a
lock. The daemon has one loop that polls and decides (the main thread), one that owns disk and broker (the courier),
and one per device, on which that device's driver runs: a device that hangs holds up nobody but itself.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

STACK_BYTES = 512 * 1024
"""Of each thread; the default of 8 MB is address space that a small Pi need not promise."""

log = logging.getLogger(__name__)


class Loop:
    """Calls made one after another on one thread.

    `wake`, if given, is called after each batch of posted calls and whenever the time that it returned last (in
    seconds; None: no limit) is over. A call that raises is a bug of ours: it is logged with its traceback and the
    loop goes on, since a daemon that lives loses less than one that does not.
    """

    def __init__(self, name: str, wake: Callable[[], float | None] | None = None) -> None:
        self.name = name
        self._wake = wake
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._turned = time.monotonic()

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` made on this loop's thread. From any thread, also from a signal handler."""
        self._calls.put(call)

    def start(self) -> None:
        """Run on a thread of its own, which does not keep the process alive."""
        threading.stack_size(STACK_BYTES)
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Run on the calling thread until `stop`."""
        timeout: float | None = 0.0
        while not self._stopping:
            self._turned = time.monotonic()
            try:
                self._make(self._calls.get(timeout=timeout))
                while not self._stopping:
                    self._make(self._calls.get_nowait())
            except queue.Empty:
                pass
            timeout = self._next_timeout()

    def stop(self) -> None:
        """End after what was posted before. From any thread."""
        self.post(self.quit)

    def quit(self) -> None:
        """End after the present call. Only on the loop's own thread."""
        self._stopping = True

    def join(self, timeout_s: float) -> bool:
        """Wait for the end. False if it has not come by then."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def stuck_s(self) -> float:
        """Seconds since the loop last turned; meaningful where `wake` limits the time between two turns."""
        return time.monotonic() - self._turned

    def _make(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            log.exception("A call on the %s thread failed; it goes on", self.name)

    def _next_timeout(self) -> float | None:
        if self._wake is None:
            return None
        try:
            seconds = self._wake()
        except Exception:
            log.exception(
                "The %s thread could not do its regular work; it tries again in a second", self.name
            )
            return 1.0
        return None if seconds is None else max(seconds, 0.0)
