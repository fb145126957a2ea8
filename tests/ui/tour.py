"""The console in a process of its own, taken to every page again and again: how much memory it has after each.

Arguments: database URL, deployment, email, password, rounds. Prints JSON: {"page": [MB after each visit]}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import psutil
from PySide6.QtCore import QEventLoop, QTimer

from sgmp_console.settings import Profile, WindowSettings
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window import application
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.pages import PAGES
from sgmp_console.ui.window.uncaught import UncaughtErrors
from tests.ui.finding import is_loading

_LONGEST_S = 60


def pump(until: Callable[[], bool]) -> None:
    """Run the event loop until then, and half a second more, in which charts are drawn."""
    loop = QEventLoop()
    quiet, deadline = QTimer(), QTimer()
    quiet.setInterval(50)
    deadline.setSingleShot(True)
    deadline.timeout.connect(lambda: loop.exit(1))

    def look() -> None:
        if until():
            quiet.stop()
            QTimer.singleShot(500, loop.quit)

    quiet.timeout.connect(look)
    quiet.start()
    deadline.start(_LONGEST_S * 1000)
    if loop.exec() == 1:
        raise TimeoutError


def main(url: str, deployment: str, email: str, password: str, rounds: str) -> dict[str, list[float]]:
    qt = application.start(offscreen=True)
    errors = UncaughtErrors(qt)
    tasks = Tasks(errors.report, qt)
    console = Console(tasks, Appearance(qt, "light"), errors, WindowSettings(), None)
    views: list[MainView] = []
    console.signed_in.connect(views.append)
    console.resize(1280, 800)
    console.show_window()
    console.ask_to_sign_in([Profile("Pilot", url, deployment)], email, password)
    pump(lambda: bool(views) and views[0].live.snapshot is not None)
    found: dict[str, list[float]] = {}
    for _ in range(int(rounds)):
        for page in PAGES:
            views[0].show_page(page.id_)
            pump(lambda: not is_loading(views[0]))
            found.setdefault(page.id_, []).append(psutil.Process().memory_info().rss / 1e6)
    console.shut_down()
    tasks.close()
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
