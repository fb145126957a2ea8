"""The window of `live_window`, a process of its own that imports nothing else: all memory that is measured is its own."""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import psutil
from PySide6.QtCore import QTimer

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.reports.report import Kind
from sgmp_console.settings import Profile
from sgmp_console.store import Database, changes, houses, readings, sign_in
from sgmp_console.store.changes import Change
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window import application
from sgmp_console.ui.window.frame.main_view import MainView

HOUSE_ID = 1
EMAIL, PASSWORD = "ada@example.org", "Correct-horse-7-battery"
BUDGET_LAG_S = 2.0
BUDGET_BLOCK_S = 0.050
BUDGET_RSS_MB = 200.0
PATIENCE_S = 30.0
"""A commit that is not on its tile so long after the end was lost; the first picture is there by then, too."""
BEAT_MS = 5
ON_HOME = 0.6
"""Share of the time; the rest is shared by the reports."""
WATCHED = ("egauge", "A.Solar")


@dataclass
class Measured:
    """`lags_s`: from the commit of a reading to the tile that shows it or a newer one. `blocks_s`: processor time of the
    GUI thread between two beats of its timer; `stalls_s`: the wall's, which other programs lengthen."""

    lags_s: list[float] = field(default_factory=list)
    blocks_s: list[float] = field(default_factory=list)
    stalls_s: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    blocked_on: list[str] = field(default_factory=list)
    commits: int = 0
    never_shown: int = 0
    gui_share: float = 0.0

    def summary(self) -> dict[str, Any]:
        ordered = sorted(self.lags_s) or [float("nan")]
        return {
            "commits": self.commits,
            "never_shown": self.never_shown,
            "lag_median_s": round(statistics.median(ordered), 3),
            "lag_99_s": round(ordered[int(len(ordered) * 0.99)], 3),
            "lag_longest_s": round(ordered[-1], 3),
            "block_longest_ms": round(max(self.blocks_s) * 1000, 1),
            "blocks_over_budget": self.blocked_on,
            "stall_longest_ms": round(max(self.stalls_s) * 1000, 1),
            "gui_thread_share": round(self.gui_share, 3),
            "rss_largest_mb": round(max(self.rss_mb), 1),
            "rss_last_mb": round(self.rss_mb[-1], 1),
            "load": round(statistics.mean(self.load), 1),
        }

    @property
    def missed(self) -> list[str]:
        """The budgets that were not met."""
        found = self.summary()
        checks = {
            "lag": found["lag_longest_s"] <= BUDGET_LAG_S and not self.never_shown,
            "block": found["block_longest_ms"] <= BUDGET_BLOCK_S * 1000,
            "memory": found["rss_largest_mb"] <= BUDGET_RSS_MB,
        }
        return [name for name, met in checks.items() if not met]


class Commits(threading.Thread):
    """Hears each commit as the database notifies of it, on a connection of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(name="commits", daemon=True)
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, float]] = []
        self._newest_ms = 0
        self._ends = threading.Event()
        self.count = 0

    def run(self) -> None:
        heard = changes.listen(self._database)
        for change in heard:
            if self._ends.is_set():
                break
            if not isinstance(change, Change):
                continue
            at_s = time.monotonic()
            with self._database.begin() as connection:
                newest_ms, _ = readings.latest(connection, HOUSE_ID).get(WATCHED, (0, 0.0))
            if newest_ms > self._newest_ms:
                with self._lock:
                    self._waiting.append((newest_ms, at_s))
                self._newest_ms, self.count = newest_ms, self.count + 1
        heard.close()

    def shown(self, newest_ms: int) -> list[float]:
        """How long each commit waited that is now on the tile."""
        now_s = time.monotonic()
        with self._lock:
            done = [now_s - at_s for timestamp_ms, at_s in self._waiting if timestamp_ms <= newest_ms]
            self._waiting = [one for one in self._waiting if one[0] > newest_ms]
        return done

    def overdue(self) -> int:
        with self._lock:
            return sum(time.monotonic() - at_s > BUDGET_LAG_S for _, at_s in self._waiting)

    def end(self) -> None:
        self._ends.set()
        self.join(10)


def watch(address: str, deployment: str, seconds: float) -> Measured:
    """The window, for so long."""
    found = Measured()
    qt = application.start(offscreen=True)
    errors: list[BaseException] = []
    tasks = Tasks(errors.append)
    profile = Profile("Live", address, deployment)
    session = Session(profile, *sign_in(address, deployment, EMAIL, PASSWORD))
    with session.database.begin() as connection:
        house = houses.get(connection, HOUSE_ID)
    commits = Commits(session.database)
    view = MainView(session, (house,), tasks, Appearance(qt, "light"))
    view.resize(1280, 800)
    view.show()

    def note(snapshot: HomeSnapshot) -> None:
        if not commits.is_alive():
            commits.start()  # the first is there: from now on each commit is to follow
            return
        latest = snapshot.latest("solar")
        # After what was connected before has drawn it, and its repaint was done.
        QTimer.singleShot(0, lambda: found.lags_s.extend(commits.shown(latest.timestamp_ms if latest else 0)))

    view.live.snapshot_ready.connect(note)
    view.start()
    opened = time.monotonic()
    while not commits.is_alive() and time.monotonic() - opened < PATIENCE_S:
        qt.processEvents()
        time.sleep(0.001)
    assert commits.is_alive(), "Nothing was on screen within half a minute."
    timers = [_beats(found, view), _samples(found), _tour(view, seconds)]
    began, used = time.monotonic(), time.thread_time()
    for timer in timers:
        timer.start()
    while time.monotonic() - began < seconds:
        qt.processEvents()
        time.sleep(0.001)
    for timer in timers:
        timer.stop()
    found.gui_share = (time.thread_time() - used) / (time.monotonic() - began)
    # What is late is shown late, and counts as that; never shown is something else.
    while commits.overdue() and time.monotonic() - began < seconds + PATIENCE_S:
        qt.processEvents()
        time.sleep(0.001)
    found.commits, found.never_shown = commits.count, commits.overdue()
    commits.end()
    view.close_down()
    view.close()
    tasks.close(timeout_s=10)
    session.database.dispose()
    if errors:
        raise errors[0]
    return found


def _beats(found: Measured, view: MainView) -> QTimer:
    last = [time.thread_time(), time.monotonic()]

    def beat() -> None:
        now = [time.thread_time(), time.monotonic()]
        found.blocks_s.append(now[0] - last[0])
        if found.blocks_s[-1] > BUDGET_BLOCK_S:
            found.blocked_on.append(f"{view.shown_page()} {found.blocks_s[-1] * 1000:.0f} ms")
        found.stalls_s.append(now[1] - last[1])
        last[:] = now

    timer = QTimer()
    timer.setInterval(BEAT_MS)
    timer.timeout.connect(beat)
    return timer


def _samples(found: Measured) -> QTimer:
    process = psutil.Process()

    def sample() -> None:
        found.rss_mb.append(process.memory_info().rss / 1e6)
        found.load.append(os.getloadavg()[0])

    timer = QTimer()
    timer.setInterval(1000)
    timer.timeout.connect(sample)
    return timer


def _tour(view: MainView, seconds: float) -> QTimer:
    pages = ["home", *(kind.value for kind in Kind)]
    each_s = seconds * (1 - ON_HOME) / (len(pages) - 1)
    began = time.monotonic()

    def turn() -> None:
        late_s = time.monotonic() - began - seconds * ON_HOME
        wanted = pages[0 if late_s < 0 else min(1 + int(late_s / each_s), len(pages) - 1)]
        if view.shown_page() != wanted:
            view.show_page(wanted)

    timer = QTimer()
    timer.setInterval(200)
    timer.timeout.connect(turn)
    return timer


if __name__ == "__main__":
    print(json.dumps(asdict(watch(**json.loads(sys.argv[1])))))
