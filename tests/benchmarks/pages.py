"""The dashboard of a house and a month's report, with a month stored, as the pages read them."""

from __future__ import annotations

from functools import partial

from sgmp_console.reports.item_reader import ItemReader
from tests.benchmarks import ancestor
from tests.benchmarks.result import Result, ms, seconds
from tests.benchmarks.world import DAY_MS, HOUR_MS, World

ITEMS = {**ancestor.ITEMS, **ancestor.OTHER_ITEMS}
REPORT = (
    "solar",
    "load",
    "ev",
    "battery_charging",
    "battery_discharging",
    "grid_import",
    "grid_export",
    "soc",
)
PEAKS = ("solar", "load", "soc")


def measure(world: World) -> list[Result]:
    charts = [*ancestor.ITEMS, "soc"]
    grid = ["l1_voltage", "l2_voltage", "l1_frequency"]
    found = []
    for what, names, budget in (
        ("dashboard, 24 h: power and state of charge", charts, 100),
        ("dashboard, 24 h: voltages and frequency (not aggregated)", grid, None),
    ):
        ours = seconds(partial(_dashboard, world, names))
        theirs = seconds(partial(_their_dashboard, world, names), 3)
        found.append(Result(what, ms(ours), ms(theirs), theirs / ours, budget if world.dense else None))
        found.append(_database_time(what, ours))
    ours = seconds(lambda: _month(world))
    theirs = seconds(lambda: _their_month(world), 1)
    found.append(Result("month report", ms(ours), ms(theirs), theirs / ours, 500 if world.dense else None))
    found.append(_database_time("month report", ours))
    return found


def _database_time(what: str, taken_s: float) -> Result:
    """Everything counted, not only what the database took."""
    return Result(f"{what}, in all", ms(taken_s), "", taken_s * 1000, 50, at_least=False, unit="ms")


def _dashboard(world: World, names: list[str]) -> None:
    with world.database.begin() as connection:
        ItemReader(connection, world.house_id).slots(names, world.end_ms - DAY_MS, world.end_ms)


def _their_dashboard(world: World, names: list[str]) -> None:
    for name in names:
        ancestor.read_means(
            world.connection, world.house_id, ITEMS[name], world.end_ms - DAY_MS, world.end_ms, HOUR_MS // 12
        )
    world.connection.rollback()


def _month(world: World) -> None:
    with world.database.begin() as connection:
        reader = ItemReader(connection, world.house_id)
        reader.hours(REPORT, world.start_ms, world.end_ms)
        for name in PEAKS:
            reader.extremes(name, world.start_ms, world.end_ms)


def _their_month(world: World) -> None:
    """Its peaks come with the same rows."""
    for name in REPORT:
        ancestor.read_means(
            world.connection, world.house_id, ITEMS[name], world.start_ms, world.end_ms, HOUR_MS
        )
    world.connection.rollback()
