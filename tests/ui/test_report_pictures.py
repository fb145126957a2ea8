"""Pictures of the report pages for people to look at: each state of each, spread over sizes and themes.

With SGMP_PICTURES=all every one in every size and theme (`./run pictures`, which makes a sheet of them, too). What can be
said without looking is asserted: it is not a single colour, and no label is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, product

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import analytics
from sgmp_console.reports import periods
from sgmp_console.reports.report import Kind
from sgmp_console.settings import ThemeChoice
from sgmp_console.store import Batch, DatabaseUnavailable, EventRow, House, devices, readings
from sgmp_console.store import analytics as stored_items
from sgmp_console.timeseries import HOUR_MS, Series
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.empty_state import Skeleton
from sgmp_console.ui.shown_period import Compare
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from tests.database import TestDatabase
from tests.reports.houses import EV, lived_in, without
from tests.ui import snapshots
from tests.ui.conftest import (
    DAY_MS,
    EVERY_PICTURE,
    Deployment,
    cut_off,
    has_content,
    let_draw,
    save_picture,
)
from tests.ui.finding import let_time_pass, only, opened_period_page
from tests.ui.houses import measured

SIZES = ((1024, 650), (1280, 800), (1920, 1080))
THEMES: tuple[ThemeChoice, ...] = ("light", "dark")
Shape = tuple[ThemeChoice, tuple[int, int], int]
SHAPES: tuple[Shape, ...] = (
    *((theme, size, 1) for size, theme in product(SIZES, THEMES)),
    ("light", (1280, 800), 2),
)
"""Theme, size, and device pixels for each pixel."""


@dataclass
class Camera:
    """Takes a picture in the next shape, or in all."""

    qtbot: QtBot
    view: MainView
    appearance: Appearance
    _next: Iterator[Shape] = field(default_factory=lambda: cycle(SHAPES))

    def take(self, name: str, *, whole: bool = False) -> None:
        """`whole`: as high as all of the page, else the window's own size."""
        for theme, (width, height), scale in SHAPES if EVERY_PICTURE else [next(self._next)]:
            self.appearance.choose(theme)
            self.view.resize(width, 1700 if whole else height)
            let_draw()
            assert self.view.width() == width, f"{name} needs {self.view.width()} pixels"
            assert has_content(save_picture(self.view, name, scale))
            assert cut_off(self.view) == [], name


@pytest.fixture
def house(deployed: Deployment) -> House:
    """Five weeks of a house that is lived in, with a car and an outage of thirty hours."""
    fields = lived_in(snapshots.NOW_MS - 35 * DAY_MS, snapshots.NOW_MS, 300_000)
    fields = without(fields, snapshots.NOW_MS - 3 * DAY_MS, snapshots.NOW_MS - 3 * DAY_MS + 30 * HOUR_MS)
    house = deployed.houses[0]
    power = fields[EV]
    plugged = np.flatnonzero(power.values < 0)
    visits = np.split(plugged, np.flatnonzero(np.diff(plugged) > 1) + 1)
    # The charger is polled more often than the house in this picture: no gap in its power.
    often = np.arange(power.timestamps[0], power.timestamps[-1], 120_000)
    charger = -power.values[np.searchsorted(power.timestamps, often, side="right") - 1]
    measured(deployed.owner, house, {**fields, ("powerflex", "power"): Series(often, charger)})
    with deployed.owner.begin() as connection:
        station = next(
            one for one in devices.list_all(connection, house.house_id) if one.name == "powerflex"
        ).device_id
        rows = []
        for visit in visits:
            start, end = int(power.timestamps[visit[0]]) - HOUR_MS, int(power.timestamps[visit[-1]]) + HOUR_MS
            data = {"duration": end - start, "energy": 7.2e6 * len(visit) / 12}
            rows += [
                EventRow(house.house_id, station, "powerflex", start, EV_START_CHARGING, {}),
                EventRow(house.house_id, station, "powerflex", end, EV_END_CHARGING, data),
            ]
        readings.write(connection, Batch(events=rows))
    return house


@pytest.fixture
def camera(qtbot: QtBot, view: MainView, appearance: Appearance) -> Camera:
    return Camera(qtbot, view, appearance)


def shown(qtbot: QtBot, page: PeriodPage, text: str) -> None:
    """Wait for the report of the period that a text names."""
    period = periods.parse(text, snapshots.NOW_MS, page.services.shown_period.zone)
    page.services.shown_period.choose(period)
    qtbot.waitUntil(lambda: page.report is not None and page.report.period == period)


def is_compared(page: PeriodPage) -> bool:
    return page.report is not None and page.report.comparison is not None


def misses_an_item(page: PeriodPage) -> bool:
    return page.report is not None and bool(page.report.missing)


def is_empty(page: PeriodPage) -> bool:
    return page.notice() is not None


@pytest.mark.slow
def test_reports_full_compared_and_partly_covered(
    qtbot: QtBot, house: House, view: MainView, camera: Camera
) -> None:
    for kind in Kind:
        view.services.shown_period.choose_compare(Compare.NOTHING)
        page = opened_period_page(qtbot, view, kind.value)
        shown(qtbot, page, "yesterday")
        camera.take(f"report_{kind.value}")
        camera.take(f"report_{kind.value}_whole", whole=True)
        shown(qtbot, page, "2025-05")
        camera.take(f"report_{kind.value}_month", whole=True)
        shown(qtbot, page, "2025-05-11")
        camera.take(f"report_{kind.value}_partly_covered")
        if kind is not Kind.HEAT_MAP:
            view.services.shown_period.choose_compare(Compare.PREVIOUS)
            shown(qtbot, page, "7d")
            qtbot.waitUntil(partial(is_compared, page))
            camera.take(f"report_{kind.value}_compared", whole=True)


def test_reports_loading_empty_missing_offline_and_failed(
    qtbot: QtBot,
    deployed: Deployment,
    test_database: TestDatabase,
    house: House,
    view: MainView,
    camera: Camera,
) -> None:
    for kind in Kind:
        page = opened_period_page(qtbot, view, kind.value)
        shown(qtbot, page, "2001-01-01")
        qtbot.waitUntil(partial(is_empty, page))
        camera.take(f"report_{kind.value}_empty")
        shown(qtbot, page, "24h")
    view.show_page("home")
    view.show_page("energy")
    loading = view.page("energy")
    assert isinstance(loading, PeriodPage)
    view.resize(1280, 800)
    let_time_pass(only(loading, Skeleton))
    assert loading.report is None
    save_picture(view, "report_energy_loading")
    qtbot.waitUntil(lambda: loading.report is not None)

    with deployed.owner.begin() as connection:
        solar = next(one for one in stored_items.list_all(connection, house.house_id) if one.name == "solar")
    analytics.delete(deployed.owner, house.house_id, [solar.item_id])
    for id_ in ("energy", "solar"):
        page = opened_period_page(qtbot, view, id_)
        page.reload()
        qtbot.waitUntil(partial(misses_an_item, page), timeout=20_000)
        camera.take(f"report_{id_}_missing")

    page = opened_period_page(qtbot, view, "load")
    view.connection.lost(DatabaseUnavailable("connection refused"))
    camera.take("report_load_offline")
    view.connection.retry_now()
    qtbot.waitUntil(lambda: view.connection.online)
    with deployed.owner.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(f"DELETE FROM sgmp.house WHERE house_id = {house.house_id}")
    page.reload()
    qtbot.waitUntil(lambda: page.notice() is not None)
    camera.take("report_load_error")
