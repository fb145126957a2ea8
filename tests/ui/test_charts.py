"""Charts: areas that add up, absurd values, values that stand alone, the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports.home import Curve
from sgmp_console.timeseries.series import Series
from sgmp_console.ui.charts import axes
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.time_chart import Pane, TimeChart
from sgmp_console.ui.quantities import QUANTITIES

HOUR = 3_600_000
LARGEST = 1.7976931348623157e308
LINES = Pane("kW", (QUANTITIES["solar"], QUANTITIES["load"]), 1.0, True)
AREAS = Pane(
    "kW", (QUANTITIES["solar"], QUANTITIES["grid_import"], QUANTITIES["load"]), 1.0, True, frozenset({"load"})
)

Draw = Callable[..., TimeChart]


@pytest.fixture
def draw(qtbot: QtBot, shown: Callable[..., QWidget]) -> Draw:
    """A chart of an hour with these values, evenly spread, as drawn."""

    def drawn(pane: Pane, values: Mapping[str, list[float]], gap_ms: int = HOUR) -> TimeChart:
        clock = DrawClock()
        chart = TimeChart([pane], clock, "A chart")
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
