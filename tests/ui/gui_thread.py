"""Catches a Qt class that would be defined on a worker thread: PySide can crash then, once in a hundred starts."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

_DEFINE_QT_CLASSES = ("PySide6", "pyqtgraph", "sgmp_console.ui")


class _Guard(MetaPathFinder):
    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name.startswith(_DEFINE_QT_CLASSES) and threading.current_thread() is not threading.main_thread():
            raise AssertionError(
                f"{name} is imported on {threading.current_thread().name}, not the GUI thread"
            )


def watch_imports() -> None:
    sys.meta_path.insert(0, _Guard())
