"""A formula read and checked against its house, as the editor does at each key."""

from __future__ import annotations

from itertools import count

from sgmp_console.fleet import analytics
from sgmp_console.formula import parse, problems
from tests.benchmarks.result import Result, ms, seconds
from tests.benchmarks.world import World

TEXT = (
    "pos(egauge.A.Solar) - egauge.A.Load/2 + abs(sonnen.status.Pac_total_W/1000) - avg(egauge.A.EV, 300000)"
)


def measure(world: World) -> list[Result]:
    with world.database.begin() as connection:
        catalogue = analytics.catalogue(connection, world.house_id)
    numbers = count(1)

    def check() -> None:
        # Another text each time: what was parsed before is remembered.
        found = problems(parse(f"{TEXT} * {next(numbers)}"), catalogue, name="it")
        if any(one.is_error for one in found):
            raise AssertionError(found)

    taken = seconds(check, 50)
    return [Result("parse and check a formula", ms(taken), "", taken * 1000, 5, at_least=False, unit="ms")]
