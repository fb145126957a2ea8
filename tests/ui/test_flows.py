"""The picture of energy flows: where ribbons lie, and what the chosen one says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.reports.balance import SOURCES, USES
from sgmp_console.ui.charts.flows import FlowChart, FlowPicture, Link, flow_layout
from sgmp_console.ui.quantities import QUANTITIES

SUN, GRID, BATTERY = (QUANTITIES[item] for item in SOURCES)
LOAD, CAR, CHARGING, EXPORT = (QUANTITIES[item] for item in USES)


def picture(*energies: float) -> FlowPicture:
    """`energies` by source, use by use."""
    sources, uses = (SUN, GRID, BATTERY), (LOAD, CAR, CHARGING, EXPORT)
    pairs = [(source, use) for source in sources for use in uses]
    return FlowPicture(
        sources, uses, tuple(Link(*pair, kwh) for pair, kwh in zip(pairs, energies, strict=False))
    )


@given(st.lists(st.floats(0, 1e6), min_size=12, max_size=12), st.floats(200, 2000))
def test_ribbons_are_as_thick_as_their_energy_and_fill_both_ends(
    energies: list[float], height: float
) -> None:
    layout = flow_layout(picture(*energies), height)
    if layout is None or not layout.ribbons:
        assert all(kwh < 0.005 for kwh in energies)
        return
    thick = [ribbon.left[1] - ribbon.left[0] for ribbon in layout.ribbons]
    energies = [ribbon.link.kwh for ribbon in layout.ribbons]
    assert thick == pytest.approx([sum(thick) / sum(energies) * kwh for kwh in energies], abs=1e-6)
    for ribbon, size in zip(layout.ribbons, thick, strict=True):
        assert ribbon.right[1] - ribbon.right[0] == pytest.approx(size, abs=1e-6)
    for side in (layout.sources, layout.uses):
        edges = [edge for place in side.values() for edge in place]
        assert edges == sorted(edges), "they stand below each other"
        assert edges[0] >= -1e-6
        assert edges[-1] <= height + 1e-6
        middles = [(top + bottom) / 2 for top, bottom in side.values()]
        assert all(two - one >= 36 for one, two in pairwise(middles)), "labels have room"


def test_what_does_not_flow_is_not_drawn() -> None:
    layout = flow_layout(picture(5.0, 0.0, 0.004), 300)
    assert layout is not None
    assert list(layout.sources) == [SUN]
    assert list(layout.uses) == [LOAD]


def test_without_a_flow_or_without_room_there_is_no_picture() -> None:
    assert flow_layout(picture(), 300) is None
    assert flow_layout(picture(1, 1, 1, 1), 80) is None


def test_keys_choose_a_ribbon_whose_card_says_its_shares(qtbot: QtBot) -> None:
    chart = FlowChart("Energy flows")
    qtbot.addWidget(chart)
    chart.resize(800, 300)
    chart.set_picture(picture(6.0, 2.0, 0.0, 0.0, 3.0))
    assert "Solar power to Load 6.00\u00a0kWh" in chart.accessibleDescription()
    QTest.keyClick(chart, Qt.Key.Key_Down)
    assert chart.text() == "Solar power to Load: 6.00\u00a0kWh; of Solar power 75\u00a0%; of Load 67\u00a0%"
    QTest.keyClick(chart, Qt.Key.Key_Down)
    assert chart.text().startswith("Solar power to EV charging: 2.00")
    QTest.keyClick(chart, Qt.Key.Key_Escape)
    assert not chart.text()


def test_the_chosen_ribbon_stays_when_the_numbers_change(qtbot: QtBot) -> None:
    chart = FlowChart("Energy flows")
    qtbot.addWidget(chart)
    chart.resize(800, 300)
    chart.set_picture(picture(6.0))
    QTest.keyClick(chart, Qt.Key.Key_Down)
    chart.set_picture(picture(7.0))
    assert chart.text().startswith("Solar power to Load: 7.00")
    chart.set_picture(replace(picture(7.0), links=()))
    assert not chart.text()
