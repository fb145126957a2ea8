"""The window stays quick: seven curves of a day at four seconds, redrawn and live.

Measured in the processor time of the GUI thread, since other programs share the machine. They share its caches, too, so
that a pass costs up to three times as much: so much is let through here, and `./run bench` measures the budgets themselves.
"""

from __future__ import annotations

import time
from functools import partial

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from sgmp_console.reports.home import POWER_ITEMS, HomeSnapshot
from sgmp_console.ui.pages.home.page import HomePage
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import snapshots
from tests.ui.finding import canvas, fetch_without_pause, is_drawn
from tests.ui.readers import ChosenReader

pytestmark = pytest.mark.processor_time

REDRAW_S = 3 * 0.016
BLOCK_S = 3 * 0.050


class Passes:
    """How long each pass of the event loop took."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self._last = time.thread_time()
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._passed)

    def start(self) -> None:
        self._last = time.thread_time()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _passed(self) -> None:
        now = time.thread_time()
        self.taken.append(now - self._last)
        self._last = now


def started(qtbot: QtBot, view: MainView) -> HomePage:
    view.start()
    page = view.page("home")
    assert isinstance(page, HomePage)
    qtbot.waitUntil(lambda: page.is_content_shown() and page.power_chart.drawn("load"))
    return page


def test_a_redraw_takes_about_a_frame(qtbot: QtBot, view: MainView) -> None:
    chart = started(qtbot, view).power_chart
    full = snapshots.snapshot(outages_ms=())
    assert [len(full.curves[item].series) for item in POWER_ITEMS] == [21_600] * 7
    taken = []
    for number in range(15):
        chart.set_curves(full.curves, full.start_ms + number * 4000, full.end_ms + number * 4000)
        began = time.thread_time()
        chart.draw()
        canvas(chart).viewport().repaint()
        taken.append(time.thread_time() - began)
    assert min(taken) < REDRAW_S, f"{min(taken) * 1000:.1f} ms"


def test_the_window_is_never_blocked_while_it_is_live(
    qtbot: QtBot, view: MainView, reader: ChosenReader
) -> None:
    started(qtbot, view)
    view.resize(1920, 1080)
    fetch_without_pause(view.live)
    worst = []

    def has_another_snapshot(before: HomeSnapshot | None) -> bool:
        return view.live.snapshot is not before

    for attempt in range(4):
        passes = Passes()
        for number in range(6):
            reader.answer = snapshots.snapshot(now_ms=snapshots.NOW_MS + 4000 * (6 * attempt + number))
            before = view.live.snapshot
            passes.start()
            view.live.house_changed(view.live.house_id or 0, 1)
            qtbot.waitUntil(partial(has_another_snapshot, before))
            qtbot.waitUntil(is_drawn)
            passes.stop()
        worst.append(max(passes.taken))
        if worst[-1] < BLOCK_S:
            return
    raise AssertionError(f"blocked for {min(worst) * 1000:.0f} ms at best")
