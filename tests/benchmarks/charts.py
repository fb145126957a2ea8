"""Pages of reports from the click to the picture, and charts and heat maps of many points, without a display."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from sgmp_console import store
from sgmp_console.fleet import accounts as fleet_accounts
from sgmp_console.reports import periods
from sgmp_console.reports.heat_map import heat_map
from sgmp_console.reports.home import Curve
from sgmp_console.settings import Profile
from sgmp_console.store import accounts
from sgmp_console.timeseries import HourMeans, Series
from sgmp_console.ui import theme
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.heat_map import HeatPicture, paint_heat_map
from sgmp_console.ui.charts.panes import Pane
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.page import Page
from sgmp_console.ui.pages.reports.page import ReportPage
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.quantities import QUANTITIES
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.pages import PAGES
from tests.benchmarks.result import Result, ms, seconds
from tests.benchmarks.world import HOUR_MS, World

CURVES, POINTS = 20, 1_000_000
BLOCK_MS, HEAT_MAP_MS = 50, 100
PAINT_MS, ZOOM_MS = 1000, 500
"""By the clock, on a quiet machine."""
_PATIENCE_S = 60.0
_EMAIL, _PASSWORD = "bench@example.org", "Correct-horse-7-battery"


def measure(world: World) -> list[Result]:
    application = started()
    appearance = Appearance(application, "light")
    with tasks() as threads:
        return [
            *_pages(world, threads, appearance, application),
            *_many_points(threads, application),
            *_heat_maps(),
        ]


def started() -> QApplication:
    """The application of this process, which a subject that needs less must not start in another way."""
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    return application


# --- Pages ------------------------------------------------------------------------------------------------------------


def _pages(world: World, tasks: Tasks, appearance: Appearance, application: QApplication) -> Iterator[Result]:
    """From the click on the rail to the painted report of the days stored."""
    with world.database.begin() as connection:
        house = store.houses.get(connection, world.house_id)
    period = periods.custom(world.start_ms, world.end_ms, house.time_zone)
    days = (world.end_ms - world.start_ms) // (24 * HOUR_MS)
    with session(world, _EMAIL) as signed_in:
        view = MainView(signed_in, [house], tasks, appearance, now_ms=lambda: world.end_ms, listen=nothing)
        view.resize(1280, 800)
        view.show()
        view.start()
        view.services.shown_period.choose(period)
        try:
            for declared in [page for page in PAGES if page.has_time_range and not page.below]:
                taken = seconds(partial(_paint, view, declared.id_, application), 3)
                name = f"first paint of {declared.title}, {days} days"
                yield Result(name, ms(taken), "", taken * 1000, PAINT_MS, at_least=False, unit="ms")
        finally:
            view.close_down()
            view.close()
            view.deleteLater()


def _paint(view: MainView, id_: str, application: QApplication) -> None:
    """Show a page that is not kept while another is on screen."""
    view.show_page("audit")
    view.show_page(id_)
    page = view.page(id_)
    pass_until(application, partial(_is_there, page))
    view.grab()


def _is_there(page: Page) -> bool:
    if isinstance(page, ListPage):
        return page.found is not None
    assert isinstance(page, PeriodPage)
    period = page.services.shown_period.period
    if page.report is None or not isinstance(page, ReportPage):
        return page.report is not None
    return page.chart.drawn_range() == (period.start_ms, period.end_ms)


@contextmanager
def session(world: World, email: str) -> Iterator[Session]:
    """Of a new administrator."""
    profile = Profile("Bench", world.address, world.deployment)
    made = fleet_accounts.create(world.database, email=email, name="Bench", role="admin", house_id=None)
    entered = profile.database_url, profile.deployment, email
    first, _ = accounts.sign_in(*entered, made.initial_password)
    fleet_accounts.change_own_password(first, email, made.initial_password, _PASSWORD)
    first.dispose()
    database, account = accounts.sign_in(*entered, _PASSWORD)
    try:
        yield Session(profile, database, account)
    finally:
        database.dispose()


def nothing() -> Iterator[None]:
    """Nobody writes, so there is nothing to listen for."""
    yield from ()


# --- Many points ------------------------------------------------------------------------------------------------------


class _Passes:
    """How long each pass of the event loop took: the longest is how long the window did not answer. By the clock, and in
    the processor time of this thread, to which other programs add nothing."""

    def __init__(self) -> None:
        self.longest_s = self.longest_processor_s = 0.0
        self._last = self._now()
        self._timer = QTimer()
        self._timer.timeout.connect(self._passed)
        self._timer.start(0)

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.thread_time()

    def _passed(self) -> None:
        now = self._now()
        self.longest_s = max(self.longest_s, now[0] - self._last[0])
        self.longest_processor_s = max(self.longest_processor_s, now[1] - self._last[1])
        self._last = now

    def stop(self) -> tuple[float, float]:
        self._timer.stop()
        return self.longest_s, self.longest_processor_s


def _many_points(tasks: Tasks, application: QApplication) -> Iterator[Result]:
    """Twenty curves of a million points each: drawn, zoomed into and moved."""
    quantities = tuple(replace(QUANTITIES["load"], item=f"curve {number}") for number in range(CURVES))
    timestamps = np.arange(POINTS, dtype=np.int64) * 4000
    rng = np.random.default_rng(3)
    curves = {
        one.item: Curve(one.item, "kW", Series(timestamps, rng.normal(number, 0.3, POINTS).cumsum() / 1e3))
        for number, one in enumerate(quantities)
    }
    clock = DrawClock()
    chart = TimeChart([Pane("kW", quantities, 1.0, True)], clock, tasks, "Many points")
    clock.setParent(chart)
    chart.resize(1600, 800)
    chart.show()
    whole = POINTS * 4000
    longest: list[tuple[float, float]] = []
    redraws = []
    ranges = [
        (0, whole),
        (whole // 4, whole // 2),
        (whole // 3, whole // 3 + 10_000_000),
        (whole // 8, whole),
    ]
    for start, end in ranges:
        passes = _Passes()
        began = time.perf_counter()
        chart.set_curves(curves, start, end)
        pass_until(application, partial(_shows, chart, start, end))
        chart.repaint()
        redraws.append(time.perf_counter() - began)
        for _ in range(3):
            application.processEvents()
        longest.append(passes.stop())
    chart.close()
    chart.deleteLater()
    name = f"{CURVES} curves x {POINTS:,} points"
    for what, block_s, budget in (
        ("longest block, processor time", max(one[1] for one in longest), BLOCK_MS),
        ("longest block by the clock", max(one[0] for one in longest), None),
        ("zoom to picture", max(redraws), ZOOM_MS),
    ):
        yield Result(f"{name}: {what}", ms(block_s), "", block_s * 1000, budget, at_least=False, unit="ms")


def _shows(chart: TimeChart, start_ms: int, end_ms: int) -> bool:
    return chart.drawn_range() == (start_ms, end_ms) and chart.drawn("curve 0")


# --- Heat map ---------------------------------------------------------------------------------------------------------


def _heat_maps() -> Iterator[Result]:
    year = periods.year(2025, "America/Los_Angeles")
    every = np.arange(year.start_ms, year.end_ms, HOUR_MS, dtype=np.int64)
    known = HourMeans(every, np.full(len(every), 12), np.random.default_rng(4).uniform(0, 50, len(every)))
    found = heat_map("load", "kW", year.zone, year.start_ms, year.end_ms, every, known)
    picture = HeatPicture(found, QUANTITIES["load"])

    def draw() -> None:
        image = QImage(1600, 700, QImage.Format.Format_ARGB32)
        painter = QPainter(image)
        paint_heat_map(painter, image.rect().toRectF(), picture, theme.tokens())
        painter.end()

    taken = min(_processor_s(draw) for _ in range(9))
    yield Result(
        "heat map of a year: drawn, processor time",
        ms(taken),
        "",
        taken * 1000,
        HEAT_MAP_MS,
        at_least=False,
        unit="ms",
    )


def _processor_s(act: Callable[[], object]) -> float:
    """Of this thread."""
    began = time.thread_time()
    act()
    return time.thread_time() - began


# --- The event loop ---------------------------------------------------------------------------------------------------


@contextmanager
def tasks() -> Iterator[Tasks]:
    failed: list[BaseException] = []
    tasks = Tasks(failed.append)
    try:
        yield tasks
    finally:
        tasks.close()
        tasks.deleteLater()
        if failed:
            raise failed[0]


def pass_until(application: QApplication, reached: Callable[[], bool]) -> None:
    """Run the event loop until then. Raises TimeoutError after a minute."""
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("The window did not get there in a minute.")
        application.processEvents()
