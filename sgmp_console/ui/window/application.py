"""The Qt application: made once, before any widget; and its event loop."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys

from PySide6.QtCore import QSocketNotifier, Qt, SignalInstance
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from sgmp_console.resources import resource

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""glibc's numbers of these options (malloc.h)."""
_OWN_PAGES_FROM = 256 * 1024
"""Bytes: what is larger gets pages of its own, which go back as soon as it is freed. Set, since glibc raises it otherwise."""


def keep_memory_small() -> None:
    """Let threads share two pools of memory (with one each, as glibc has it, what one frees no other can use), and keep
    the arrays of series out of them.

    Before any thread is started. Does nothing where the C library is another.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_FROM)


def give_memory_back() -> None:
    """Return freed memory to the system, as when a large page or dialog is gone."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def start(*, offscreen: bool = False) -> QApplication:
    """The application object, new unless the process has one (a test's)."""
    keep_memory_small()
    if offscreen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        # Offscreen the loop ends when its user says so; a window that goes must not end the next loop of the process.
        existing.setQuitOnLastWindowClosed(not offscreen)
        return existing
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication(sys.argv[:1])
    application.setApplicationName("sgmp-console")
    application.setApplicationDisplayName("SGMP")
    application.setDesktopFileName("sgmp-console")
    application.setQuitOnLastWindowClosed(not offscreen)
    application.setWindowIcon(QIcon(str(resource("icons/sgmp.svg"))))
    return application


def run_event_loop(until: SignalInstance | None = None) -> int:
    """Until the last window closes, `until` is emitted, Ctrl-C or SIGTERM; the exit code.

    Not when `until` was emitted before: connect what emits it to the loop, that is, to a timer.
    """
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        raise RuntimeError("start() comes first")
    if until is not None:
        until.connect(application.quit)
    signals = _SignalsToQuit(application)
    try:
        return application.exec()
    finally:
        signals.remove()


class _SignalsToQuit:
    """Lets Python see SIGINT and SIGTERM while Qt's loop waits: the signal wakes a socket that Qt watches."""

    def __init__(self, application: QApplication) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._writing.fileno())
        self._old = {number: signal.signal(number, self._quit) for number in (signal.SIGINT, signal.SIGTERM)}
        self._notifier = QSocketNotifier(self._reading.fileno(), QSocketNotifier.Type.Read, application)
        self._notifier.activated.connect(self._woken)
        self._application = application

    def remove(self) -> None:
        self._notifier.setEnabled(False)
        self._notifier.deleteLater()
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._reading.close()
        self._writing.close()

    def _woken(self) -> None:
        # Python runs its handler as soon as it runs any bytecode, which is now.
        self._reading.recv(4096)

    def _quit(self, _number: int, _frame: object) -> None:
        # Not quit(): that asks every window, and one with something typed in it would ask back and stay.
        self._application.exit(0)
