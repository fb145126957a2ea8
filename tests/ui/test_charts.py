"""Charts: areas that add up, absurd values, values that stand alone, the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QMenu, QSlider, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports.home import Curve
from sgmp_console.reports.report import Bars, BarStep
from sgmp_console.timeseries.series import Series
from sgmp_console.ui import theme
from sgmp_console.ui.charts import axes, painted
from sgmp_console.ui.charts.bars import BarChart, BarPicture
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.panes import Pane, pane_frame
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.parts.colourless import Colourless
from sgmp_console.ui.quantities import QUANTITIES
from sgmp_console.ui.tasks import Tasks
from tests.ui.finding import move_in_window, press_in_window, release_in_window

HOUR = 3_600_000
LARGEST = 1.7976931348623157e308
LINES = Pane("kW", (QUANTITIES["solar"], QUANTITIES["load"]), 1.0, True)
AREAS = Pane(
    "kW", (QUANTITIES["solar"], QUANTITIES["grid_import"], QUANTITIES["load"]), 1.0, True, frozenset({"load"})
)

Draw = Callable[..., TimeChart]


@pytest.fixture
def draw(qtbot: QtBot, shown: Callable[..., QWidget], tasks: Tasks) -> Draw:
    """A chart of an hour with these values, evenly spread, as drawn."""

    def drawn(pane: Pane, values: Mapping[str, list[float]], gap_ms: int = HOUR) -> TimeChart:
        clock = DrawClock()
        chart = TimeChart([pane], clock, tasks, "A chart")
        clock.setParent(chart)
        shown(chart, 600, 300)
        curves = {
            item: Curve(
                item, "kW", Series((np.arange(len(of)) + 1) * HOUR // (len(of) + 1), of), gap_ms=gap_ms
            )
            for item, of in values.items()
        }
        chart.set_curves(curves, 0, HOUR)
        chart.draw()
        return chart

    return drawn


@pytest.mark.parametrize("absurd", [LARGEST, -LARGEST, 1e101, 1e300])
@pytest.mark.parametrize("pane", [LINES, AREAS], ids=["lines", "areas"])
def test_an_absurd_value_leaves_the_others_readable(draw: Draw, pane: Pane, absurd: float) -> None:
    chart = draw(pane, {"solar": [1.0, absurd, 2.0], "load": [1.0, 3.0, 2.0]})
    low, high = chart.axis_range("kW")
    assert -5 <= low < high <= 5
    chart.grab()


@pytest.mark.parametrize("pane", [LINES, AREAS], ids=["lines", "areas"])
def test_a_chart_of_absurd_values_alone_is_drawn(draw: Draw, pane: Pane) -> None:
    chart = draw(pane, {"solar": [LARGEST, LARGEST], "load": [-LARGEST]})
    assert chart.axis_range("kW") == (0.0, 1.0)
    chart.grab()


def test_the_largest_value_that_can_be_measured_is_within_the_axis(draw: Draw) -> None:
    low, high = draw(LINES, {"solar": [1.0, 1e100, 2.0]}).axis_range("kW")
    assert low == 0
    assert 1e100 <= high < 1e101


def test_sources_are_stacked_above_zero_and_uses_below(draw: Draw) -> None:
    chart = draw(AREAS, {"solar": [2.0] * 9, "grid_import": [1.0] * 9, "load": [3.0] * 9})
    assert chart.axis_range("kW") == (-3.0, 3.0)


def test_what_is_zero_is_not_drawn_and_what_is_hidden_neither(draw: Draw) -> None:
    chart = draw(AREAS, {"solar": [0.0] * 9, "grid_import": [1.0] * 9, "load": [1.0] * 9})
    assert [item for item in ("solar", "grid_import", "load") if chart.drawn(item)] == ["grid_import", "load"]
    chart.set_shown("load", False)
    chart.draw()
    assert not chart.drawn("load")


def colours(chart: TimeChart) -> set[str]:
    picture = chart.grab().toImage()
    return {
        QColor(picture.pixel(x, y)).name() for x in range(picture.width()) for y in range(picture.height())
    }


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]], ids=["a lone value", "two far apart"])
def test_values_that_stand_alone_are_dots(draw: Draw, values: list[float]) -> None:
    chart = draw(Pane("kW", (QUANTITIES["solar"],), 1.0, True), {"solar": values}, gap_ms=0)
    assert QUANTITIES["solar"].colour.name() in colours(chart)


def test_a_line_is_one_logical_pixel_wide_on_any_screen() -> None:
    pen = axes.pen(QUANTITIES["load"], 2.0)
    assert (pen.widthF(), pen.isCosmetic()) == (2.0, True)


def test_a_chart_that_has_the_keyboard_shows_it(qtbot: QtBot, draw: Draw) -> None:
    chart = draw(LINES, {"solar": [1.0, 2.0]})
    chart.activateWindow()
    chart.clearFocus()
    before = chart.grab().toImage()
    chart.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(chart.hasFocus)
    assert chart.grab().toImage() != before
    chart.clearFocus()
    assert chart.grab().toImage() == before


def curve_of(values: list[float], *, band: tuple[list[float], list[float]] | None = None) -> Curve:
    times = (np.arange(len(values)) + 1) * HOUR // (len(values) + 1)
    edges = None if band is None else (Series(times, band[0]), Series(times, band[1]))
    return Curve("solar", "kW", Series(times, values), gap_ms=HOUR, band=edges)


def test_a_band_reaches_from_the_least_to_the_greatest_and_has_a_say_in_the_axis() -> None:
    curve = curve_of([2.0, 3.0], band=([1.0, 2.5], [6.0, 3.5]))
    frame = pane_frame(LINES, {"solar": curve}, (), 0, HOUR, 100)
    (band,) = frame.bands
    assert (np.nanmin(band.inner), np.nanmax(band.outer)) == (1.0, 6.0)
    assert (frame.low, frame.high) == (1.0, 6.0)
    assert frame.lines["solar"][1].tolist() == [2.0, 3.0]


def test_many_means_with_a_band_are_a_line_of_means() -> None:
    values = np.random.default_rng(1).uniform(0, 5, 5_000).tolist()
    curve = curve_of(values, band=([value - 1 for value in values], [value + 1 for value in values]))
    frame = pane_frame(LINES, {"solar": curve}, (), 0, HOUR, 100)
    x, y = frame.lines["solar"]
    assert len(x) == 50
    assert np.nanmean(y) == pytest.approx(np.mean(values), rel=0.02)
    (band,) = frame.bands
    assert (band.inner <= y).all()
    assert (y <= band.outer).all()
    assert (np.min(band.inner), np.max(band.outer)) == (min(values) - 1, max(values) + 1)


def test_what_has_not_passed_is_no_gap() -> None:
    curve = replace(curve_of([1.0, 2.0, 3.0]), gap_ms=HOUR // 3)
    assert pane_frame(LINES, {"solar": curve}, (), 0, 3 * HOUR, 100).gaps == ((HOUR * 3 // 4, 3 * HOUR),)
    assert pane_frame(LINES, {"solar": curve}, (), 0, 3 * HOUR, 100, HOUR).gaps == ()
    assert pane_frame(LINES, {"solar": curve}, (), 0, 3 * HOUR, 100, 2 * HOUR).gaps == (
        (HOUR * 3 // 4, 2 * HOUR),
    )


def test_a_line_beside_another_hides_none_of_its_gaps() -> None:
    pane = replace(LINES, beside=frozenset({"load"}))
    curves = {"solar": replace(curve_of([1.0]), gap_ms=1), "load": curve_of([1.0, 1.0, 1.0])}
    assert pane_frame(LINES, curves, (), 0, HOUR, 100).gaps == ()
    assert pane_frame(pane, curves, (), 0, HOUR, 100).gaps == ((0, HOUR // 2), (HOUR // 2, HOUR))


def test_what_a_stack_is_compared_with_is_an_outline_of_the_sums() -> None:
    pane = replace(AREAS, compared={"solar": "a", "grid_import": "b", "load": "c"})
    curves = {
        key: curve_of(values) for key, values in {"solar": [1.0], "a": [2.0], "b": [3.0], "c": [4.0]}.items()
    }
    frame = pane_frame(
        pane, {**curves, "grid_import": curve_of([1.0]), "load": curve_of([1.0])}, (), 0, HOUR, 100
    )
    above, below = frame.outlines
    assert (np.nanmax(above), np.nanmin(below)) == (5.0, -4.0)
    hidden = pane_frame(
        pane, {**curves, "grid_import": curve_of([1.0]), "load": curve_of([1.0])}, {"solar"}, 0, HOUR, 100
    )
    assert np.nanmax(hidden.outlines[0]) == 3.0, "what is hidden is hidden of both periods"


def test_curves_of_many_points_are_reduced_on_a_thread_and_drawn_when_that_is_done(
    qtbot: QtBot, draw: Draw
) -> None:
    chart = draw(LINES, {"solar": [1.0]})
    many = np.sin(np.arange(300_000) / 1000.0)
    chart.set_curves({"load": Curve("load", "kW", Series(np.arange(300_000), many), gap_ms=10)}, 0, 300_000)
    chart.draw()
    assert not chart.drawn("load")
    assert chart.drawn("solar"), "the frame before stays until then"
    qtbot.waitUntil(lambda: chart.drawn("load"))
    assert chart.axis_range("kW") == (-1.0, 1.0)


@pytest.fixture
def zoomable(draw: Draw) -> tuple[TimeChart, list[tuple[int, int]]]:
    chart = draw(LINES, {"solar": [1.0, 2.0, 3.0]})
    chart.set_zoomable()
    chosen: list[tuple[int, int]] = []
    chart.range_chosen.connect(lambda start, end: chosen.append((start, end)))
    return chart, chosen


@pytest.mark.parametrize(
    ("key", "modifier", "expected"),
    [
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier, (HOUR // 4, HOUR + HOUR // 4)),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier, (-HOUR // 4, HOUR - HOUR // 4)),
        (Qt.Key.Key_Plus, Qt.KeyboardModifier.NoModifier, (HOUR // 4, 3 * HOUR // 4)),
        (Qt.Key.Key_Minus, Qt.KeyboardModifier.NoModifier, (HOUR // 2 - HOUR, HOUR // 2 + HOUR)),
    ],
)
def test_keys_move_and_zoom(
    zoomable: tuple[TimeChart, list[tuple[int, int]]],
    key: Qt.Key,
    modifier: Qt.KeyboardModifier,
    expected: tuple[int, int],
) -> None:
    chart, chosen = zoomable
    QTest.keyClick(chart, key, modifier)
    assert chosen == [expected]


def test_home_wants_the_whole(qtbot: QtBot, zoomable: tuple[TimeChart, list[tuple[int, int]]]) -> None:
    chart, _ = zoomable
    with qtbot.waitSignal(chart.whole_wanted):
        QTest.keyClick(chart, Qt.Key.Key_Home)


@pytest.mark.parametrize(
    ("button", "modifier"),
    [
        (Qt.MouseButton.MiddleButton, Qt.KeyboardModifier.NoModifier),
        (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier),
    ],
    ids=["middle button", "shift"],
)
def test_dragging_moves_the_view_by_as_much_as_the_pointer(
    qtbot: QtBot,
    zoomable: tuple[TimeChart, list[tuple[int, int]]],
    button: Qt.MouseButton,
    modifier: Qt.KeyboardModifier,
) -> None:
    chart, chosen = zoomable
    start, end = chart.point_at(HOUR // 2).toPoint(), chart.point_at(HOUR // 4).toPoint()
    press_in_window(chart, start, button, modifier)
    move_in_window(chart, end)
    qtbot.waitUntil(lambda: abs(chart.point_at(HOUR // 2).x() - end.x()) < 3)
    release_in_window(chart, end, button, modifier)
    (moved,) = chosen
    assert moved[1] - moved[0] == HOUR
    assert moved[0] == pytest.approx(HOUR // 4, abs=HOUR // 100)


def test_the_crosshair_of_another_chart_is_marked_without_values(draw: Draw) -> None:
    chart = draw(LINES, {"solar": [1.0, 2.0]})
    before = chart.grab().toImage()
    chart.mark(HOUR // 2)
    assert chart.grab().toImage() != before
    assert chart.text() == ""
    chart.mark(None)
    assert chart.grab().toImage() == before


def test_bars_mark_the_one_that_a_time_is_in(shown: Callable[..., QWidget]) -> None:
    bars = BarChart("Bars")
    shown(bars, 600, 300)
    energies = {"solar": (1.0, 2.0, 3.0)}
    bars.set_picture(
        BarPicture(Bars(BarStep.HOUR, (0, HOUR, 2 * HOUR, 3 * HOUR), energies), (QUANTITIES["solar"],), UTC)
    )
    before = bars.grab().toImage()
    bars.mark(HOUR + 1)
    marked = bars.grab().toImage()
    x = round(bars.point_of(1).x())
    assert any(marked.pixel(x + shift, 20) != before.pixel(x + shift, 20) for shift in (-1, 0, 1))
    assert bars.text() == ""
    bars.mark(None)
    assert bars.grab().toImage() == before


def test_a_chart_makes_no_widgets_for_menus_that_nobody_sees(draw: Draw, qapp: QApplication) -> None:
    before = set(qapp.allWidgets())
    draw(LINES, {"solar": [1.0, 2.0]})
    assert not [
        one for one in set(qapp.allWidgets()) - before if isinstance(one, QMenu | QComboBox | QSlider)
    ]


def test_a_label_at_the_right_edge_stays_within_the_chart(qapp: QApplication) -> None:
    picture = QImage(200, 60, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.white)
    of = painted.scale(QRectF(0, 0, 160, 60), 0, HOUR, 0.0, 1.0)
    painter = QPainter(picture)
    painted.paint_label(painter, of, of.area.right() - 2, "23:00", theme.tokens())
    painter.end()
    beyond = [picture.pixelColor(x, y) for x in range(160, 200) for y in range(60)]
    assert set(map(QColor.name, beyond)) == {"#ffffff"}
    within = [picture.pixelColor(x, y) for x in range(100, 160) for y in range(60)]
    assert len(set(map(QColor.name, within))) > 1


def test_a_chart_on_screen_loses_its_colours_with_the_page_around_it_and_gets_them_back(draw: Draw) -> None:
    chart = draw(LINES, {"solar": [1.0, 2.0]})
    grey = Colourless(chart)
    for enabled in (False, True, False):
        grey.setEnabled(enabled)
        assert is_coloured_on_screen(chart) is not enabled


def is_coloured_on_screen(window: QWidget) -> bool:
    """What a window shows is not always what it draws when it is asked to."""
    QApplication.processEvents()
    picture = window.screen().grabWindow(window.winId()).toImage()
    pixels = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    return any(pixel.saturation() > 100 for pixel in pixels)
