"""The event loop ends when the process is told to, whatever is on screen."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_WITH_A_DIALOG_THAT_STAYS = """
import os, signal
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QWidget
from sgmp_console.ui.window import application

class Asks(QDialog):
    def closeEvent(self, event):
        event.ignore()

made = application.start(offscreen=True)
window = QWidget()
window.show()
dialog = Asks(window)
dialog.open()
QTimer.singleShot(0, lambda: os.kill(os.getpid(), signal.{name}))
raise SystemExit(application.run_event_loop())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", [signal.SIGTERM.name, signal.SIGINT.name])
def test_a_signal_ends_it_though_a_dialog_would_ask_first(name: str) -> None:
    script = _WITH_A_DIALOG_THAT_STAYS.replace("{name}", name)
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
