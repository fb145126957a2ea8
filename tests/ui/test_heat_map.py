"""The heat map: its cells by mouse and by keyboard, what is not known, and its colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports import periods
from sgmp_console.reports.heat_map import HeatMap, heat_map
from sgmp_console.timeseries import HOUR_MS, HourMeans
from sgmp_console.ui import theme
from sgmp_console.ui.charts.colour_scale import scale_of
from sgmp_console.ui.charts.heat_map import HeatMapChart, HeatPicture
from sgmp_console.ui.pages.reports.heat_map_page import HeatMapPage
from sgmp_console.ui.quantities import QUANTITIES
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestServer
from tests.reports.houses import lived_in, without
from tests.ui import snapshots
from tests.ui.conftest import Deployment, deploy, save_picture
from tests.ui.houses import measured

DAY_MS = 24 * HOUR_MS
BERLIN = "Europe/Berlin"


def hours_of(first: date, last: date, *, zone: str = BERLIN, missing: slice = slice(0, 0)) -> HeatMap:
    """A map in which hour number n has the value n, and the `missing` ones none."""
    period = periods.days(first, last, zone)
    every = np.arange(period.start_ms, period.end_ms, HOUR_MS, dtype=np.int64)
    known = np.ones(len(every), np.bool_)
    known[missing] = False
    covered = np.full(len(every), 12)
    sums = np.arange(len(every), dtype=np.float64) * 12
    values = HourMeans(every[known], covered[known], sums[known])
    return heat_map("load", "kW", zone, period.start_ms, period.end_ms, every, values)


@pytest.fixture
def chart(shown: Callable[..., QWidget]) -> HeatMapChart:
    made = HeatMapChart("Heat map")
    shown(made, 900, 500)
    return made


def show(chart: HeatMapChart, of: HeatMap, *, by_weekday: bool = False) -> None:
    chart.set_picture(HeatPicture(of, QUANTITIES["load"], by_weekday))


def hover(chart: HeatMapChart, at: QPointF) -> None:
    """From elsewhere: a pointer that does not move is not heard of."""
    QTest.mouseMove(chart, QPoint(1, 1))
    QTest.mouseMove(chart, at.toPoint())


def colour_at(chart: HeatMapChart, line: int, hour: int) -> QColor:
    return QColor(chart.grab().toImage().pixel(chart.point_of(line, hour).toPoint()))


def test_the_card_says_value_unit_and_coverage_of_the_cell_under_the_mouse(chart: HeatMapChart) -> None:
    show(chart, hours_of(date(2026, 5, 1), date(2026, 5, 31)))
    hover(chart, chart.point_of(2, 7))
    assert chart.text() == (
        "Sun 3 May 2026, 07:00 to 08:00; Load 55.00\u00a0kW; Covered 100\u00a0%, 60 of 60\u00a0min"
    )


@pytest.mark.parametrize("last", [date(2026, 5, 5), date(2026, 5, 31)], ids=["rows", "columns"])
def test_arrow_keys_go_from_cell_to_cell_and_enter_opens_the_day(
    qtbot: QtBot, chart: HeatMapChart, last: date
) -> None:
    found = hours_of(date(2026, 5, 1), last)
    show(chart, found)
    opened = QSignalSpy(chart.opened)
    earlier_day, earlier_hour = (
        (Qt.Key.Key_Up, Qt.Key.Key_Left) if last.day <= 14 else (Qt.Key.Key_Left, Qt.Key.Key_Up)
    )
    QTest.keyClick(chart, earlier_day)
    newest = chart.text()
    assert newest.endswith("23:00 to 00:00; " + newest.partition("; ")[2])
    QTest.keyClick(chart, earlier_day)
    QTest.keyClick(chart, earlier_hour)
    QTest.keyClick(chart, Qt.Key.Key_Return)
    assert opened.at(0) == [int(found.starts[-1]) - 25 * HOUR_MS]
    QTest.keyClick(chart, Qt.Key.Key_Escape)
    assert chart.text() == ""


def test_a_repeated_hour_has_two_cells_and_a_skipped_one_none(chart: HeatMapChart) -> None:
    show(chart, hours_of(date(2026, 10, 25), date(2026, 10, 25)))
    for _ in range(22):
        QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.text().startswith("Sun 25 Oct 2026, 02:00 +01:00 to 03:00")
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.text().startswith("Sun 25 Oct 2026, 02:00 +02:00 to 02:00 +01:00")
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.text().startswith("Sun 25 Oct 2026, 01:00 to 02:00 +02:00")
    show(chart, hours_of(date(2026, 3, 29), date(2026, 3, 29)))
    hover(chart, chart.point_of(0, 3))
    assert chart.text().startswith("Sun 29 Mar 2026, 03:00 to 04:00")
    skipped = (chart.point_of(0, 1) + chart.point_of(0, 3)) / 2
    hover(chart, skipped)
    assert chart.text() == ""


@pytest.mark.parametrize("name", ["light", "dark"])
def test_what_is_not_known_is_neither_zero_nor_nothing(
    appearance: Appearance, chart: HeatMapChart, name: str
) -> None:
    appearance.choose(name)  # type: ignore[arg-type]
    show(chart, hours_of(date(2026, 5, 1), date(2026, 5, 3), missing=slice(24, 48)))
    chart.repaint()
    zero, missing = colour_at(chart, 0, 0), colour_at(chart, 1, 0)
    tokens = theme.tokens()
    assert missing in (tokens.surface_sunken, tokens.ink_disabled)
    assert zero not in (missing, tokens.surface_card)
    hover(chart, chart.point_of(1, 0))
    assert "Load –; Covered 0\u00a0%" in chart.text()


def test_the_chosen_cell_stays_when_new_readings_come_and_not_when_the_days_change(
    chart: HeatMapChart,
) -> None:
    found = hours_of(date(2026, 5, 1), date(2026, 5, 31), missing=slice(700, None))
    show(chart, found)
    hover(chart, chart.point_of(2, 7))
    said = chart.text()
    show(chart, hours_of(date(2026, 5, 1), date(2026, 5, 31)))
    assert chart.text() == said != ""
    show(chart, hours_of(date(2026, 4, 1), date(2026, 4, 30)))
    assert chart.text() == ""


def test_weekdays_open_nothing(chart: HeatMapChart) -> None:
    show(chart, hours_of(date(2026, 5, 1), date(2026, 5, 31)), by_weekday=True)
    opened = QSignalSpy(chart.opened)
    hover(chart, chart.point_of(0, 7))
    assert chart.text().startswith("Mondays, 07:00; Load ")
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.point_of(0, 7).toPoint())
    assert opened.count() == 0


def test_more_days_than_pixels_are_put_together_and_lead_to_the_first(chart: HeatMapChart) -> None:
    found = hours_of(date(2020, 1, 1), date(2026, 12, 31))
    show(chart, found)
    opened = QSignalSpy(chart.opened)
    hover(chart, chart.point_of(1, 7))
    assert chart.text().startswith("Sun 5 Jan 2020 to Wed 8 Jan 2020, 07:00; ")
    QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.point_of(1, 7).toPoint())
    assert opened.at(0) == [found.day_starts[4]]


def test_a_map_without_cells_is_drawn_and_has_nothing_to_choose(chart: HeatMapChart) -> None:
    empty = np.empty(0, np.int64)
    show(chart, heat_map("load", "kW", BERLIN, 0, 0, empty, HourMeans(empty, empty, np.empty(0))))
    chart.repaint()
    QTest.keyClick(chart, Qt.Key.Key_Left)
    assert chart.text() == ""


# Machado, Oliveira and Fernandes 2009, severity 1.0: linear RGB as the colour-blind see it.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def luminances(colours: np.ndarray, blindness: np.ndarray) -> np.ndarray:
    srgb = colours / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen: np.ndarray = np.clip(linear @ blindness.T, 0, 1) @ np.array([0.2126, 0.7152, 0.0722])
    return seen


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("item", QUANTITIES)
def test_every_scale_orders_values_by_lightness_for_the_colour_blind_too(
    name: str, item: str, blindness: str
) -> None:
    tokens = theme.load(name)
    hue = QUANTITIES[item].colour_in(tokens)
    colours = scale_of(np.array([0.0, 5.0]), "kW", hue, tokens, at_most_ticks=4).colours
    seen = luminances(colours[::16].astype(np.float64), BLINDNESS[blindness])
    steps = np.diff(seen)
    assert (steps > 0).all() if tokens.dark else (steps < 0).all()
    light, dark = max(seen) + 0.05, min(seen) + 0.05
    assert light / dark >= 6, "the ends are far apart"


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_two_signs_of_a_scale_differ_for_the_colour_blind_too(name: str, blindness: str) -> None:
    tokens = theme.load(name)
    scale = scale_of(np.array([-4.0, 4.0]), "kW", tokens.quantity_other, tokens, at_most_ticks=4)
    assert (scale.low, scale.high) == (-4.0, 4.0)
    srgb = scale.colours[[64, 192]] / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    one, other = np.clip(linear @ BLINDNESS[blindness].T, 0, 1)
    assert np.abs(one - other).max() >= 0.1


@pytest.mark.parametrize(
    ("values", "unit", "ends"),
    [
        ([0.4, 3.1], "kW", (0.0, 4.0)),
        ([12.0, 80.0], "%", (0.0, 100.0)),
        ([59.99, 60.01], "Hz", (59.95, 60.05)),
        ([-5.0, -1.0], "kW", (-6.0, 0.0)),
        ([np.nan], "kW", (0.0, 1e-6)),
    ],
)
def test_a_scale_spans_what_its_quantity_can_be(
    values: list[float], unit: str, ends: tuple[float, float]
) -> None:
    tokens = theme.load("light")
    scale = scale_of(np.array(values), unit, tokens.quantity_other, tokens, at_most_ticks=4)
    assert (scale.low, scale.high) == pytest.approx(ends, abs=0.011)


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived_in_house(database_server: TestServer) -> Iterator[Deployment]:
    """Ten weeks of a house that is lived in, with an outage of four days."""
    fields = lived_in(snapshots.NOW_MS - 70 * DAY_MS, snapshots.NOW_MS, 5 * 60_000)
    fields = without(fields, snapshots.NOW_MS - 9 * DAY_MS, snapshots.NOW_MS - 5 * DAY_MS)
    with database_server.database() as where:
        deployment = deploy(where)
        measured(deployment.owner, deployment.houses[0], fields)
        yield deployment


@pytest.fixture
def deployed(lived_in_house: Deployment) -> Deployment:
    return lived_in_house


def opened_page(qtbot: QtBot, view: MainView) -> HeatMapPage:
    view.start()
    view.show_page("heat-map")
    page = view.page("heat-map")
    assert isinstance(page, HeatMapPage)
    qtbot.waitUntil(lambda: page.report is not None and page.item_choice.count() > 0)
    return page


def choose(page: HeatMapPage, item: str) -> None:
    place = page.item_choice.findData(item)
    page.item_choice.setCurrentIndex(place)
    page.item_choice.activated.emit(place)


def is_shown(page: HeatMapPage, item: str, period: str) -> bool:
    report = page.report
    if report is None or report.heat_map is None:
        return False
    return (report.heat_map.item, report.period.title) == (item, period)


def test_any_item_and_any_field_can_be_chosen(qtbot: QtBot, view: MainView, appearance: Appearance) -> None:
    page = opened_page(qtbot, view)
    assert page.item_choice.currentText() == "Load"
    view.services.shown_period.choose_text("2025-04")
    for item in ("solar", "egauge.A.L1_Voltage"):
        choose(page, item)
        qtbot.waitUntil(partial(is_shown, page, item, "April 2025"))
        for name in ("light", "dark"):
            appearance.choose(name)
            for width, height in ((1280, 800), (1024, 650), (1920, 1080)):
                view.resize(width, height)
                save_picture(view, f"heat_map_{item}")


def test_a_click_leads_to_the_report_of_that_day_and_the_choice_is_kept(qtbot: QtBot, view: MainView) -> None:
    page = opened_page(qtbot, view)
    view.services.shown_period.choose_text("2025-04")
    choose(page, "solar")
    qtbot.waitUntil(partial(is_shown, page, "solar", "April 2025"))
    qtbot.waitUntil(lambda: not page.map.point_of(9, 12).isNull())
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=page.map.point_of(9, 12).toPoint())
    assert view.services.shown_period.period == periods.day(
        date(2025, 4, 10), view.services.shown_period.zone
    )
    assert view.shown_page() == "solar"
    again = opened_again(qtbot, view)
    assert again.report is not None
    assert again.report.heat_map is not None
    assert again.report.heat_map.item == "solar"


def opened_again(qtbot: QtBot, view: MainView) -> HeatMapPage:
    view.show_page("heat-map")
    page = view.page("heat-map")
    assert isinstance(page, HeatMapPage)
    qtbot.waitUntil(lambda: page.report is not None)
    return page
