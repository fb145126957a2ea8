"""The playbook's "Creating an analytics item", from the dialog to the dashboard."""

from __future__ import annotations

import time

import pytest

from sgmp_console.fleet import devices, houses
from sgmp_console.fleet.required import required_items
from sgmp_console.store import House
from sgmp_console.timeseries import Series
from tests.e2e.test_sign_in import locally
from tests.e2e.window import Window
from tests.e2e.world import World
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.series import write_series

LOAD_KW = 1.25
AHEAD_MS = 120_000
"""The newest reading is of a little later than now, so that it is not stale however slow the machine is."""


@pytest.fixture
def house(world: World) -> House:
    """With the playbook's three devices, and an hour of readings of the meter."""
    made = houses.create(world.owner, "Maple House", time_zone="America/Los_Angeles")
    meter = devices.create(world.owner, made.house_id, "egauge", "egauge", EGAUGE)
    devices.create(world.owner, made.house_id, "sonnen", "sonnen", SONNEN)
    devices.create(world.owner, made.house_id, "powerflex", "powerflex", POWERFLEX)
    now_ms = int(time.time() * 1000)
    times = list(range(now_ms - 3_600_000, now_ms + AHEAD_MS, 10_000))
    load = Series(times, [-LOAD_KW] * len(times))
    with world.owner.begin() as connection:
        write_series(connection, made.house_id, meter.device_id, {"A.Load": load})
    return made


def row(window: Window, name: str) -> list[str]:
    return next((cells for cells in window.rows() if cells[0] == name), [])


@locally
def test_an_item_is_written_checked_aggregated_and_shown(world: World, house: House) -> None:
    window = world.console()
    window.sign_in(world.admin)
    window.open_page("analytics")
    window.wait_for("Maple House has no analytic items yet")
    window.press("Create item")
    dialog = window.dialog("Create analytic item")
    window.type_into("Name", "load", dialog)
    window.type_into("Description", "What the house takes", dialog)
    window.type_into("Formula", "-egauje.A.Load", dialog)
    window.wait_for("no device", dialog)
    window.press("Create item", dialog)
    assert dialog.isVisible()
    window.type_into("Formula", "-egauge.A.Load", dialog)
    window.wait_for("Valid; unit kW.", dialog)
    window.wait_for("1.25 kW", dialog)
    window.tick("Continuous aggregation", within=dialog)
    window.press("Create item", dialog)
    window.wait_closed(dialog)
    window.wait(lambda: "Aggregated" in row(window, "load"), "the item, populated")
    window.console.resize(1600, 900)  # room for the optional column, the description
    assert row(window, "load")[:4] == ["load", "What the house takes", "-egauge.A.Load", "kW"]

    window.press("Create required items")
    window.wait(lambda: {cells[0] for cells in window.rows()} == set(required_items()), "the required items")
    assert row(window, "load")[1] == "What the house takes"
    window.open_page("home")
    window.wait_for("1.25")
