"""The seven curves of Home from every reading, end to end: fetched, aligned, computed."""

from __future__ import annotations

from functools import partial
from io import BytesIO

from psycopg2 import sql

from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.store import series_of
from sgmp_console.store.rows import driver, from_ms
from tests.benchmarks import ancestor
from tests.benchmarks.result import Result, ms, seconds, side_by_side
from tests.benchmarks.world import DAY_MS, World

FIELDS = {(item.device, field) for item in ancestor.ITEMS.values() for field in item.fields}


def measure(world: World) -> list[Result]:
    found = []
    for name, days, budget in (("24 h", 1, 15), ("7 d", 7, 25)):
        start_ms = world.end_ms - days * DAY_MS
        ours, bare = side_by_side(9, partial(_ours, world, start_ms), partial(_bare, world, start_ms))
        theirs = seconds(partial(_theirs, world, start_ms), 3)
        found.append(
            Result(
                f"7 formulas, raw, {name}",
                ms(ours),
                ms(theirs),
                theirs / ours,
                budget if world.dense else None,
            )
        )
        found.append(
            Result(
                f"7 formulas, raw, {name}, against bare COPY",
                ms(ours),
                ms(bare),
                ours / bare,
                1.5 if world.dense else None,
                at_least=False,
            )
        )
    return found


def _ours(world: World, start_ms: int) -> None:
    with world.database.begin() as connection:
        ItemReader(connection, world.house_id).values(ancestor.ITEMS, start_ms, world.end_ms)


def _theirs(world: World, start_ms: int) -> None:
    for item in ancestor.ITEMS.values():
        ancestor.read_item(world.connection, world.house_id, item, start_ms, world.end_ms)
    world.connection.rollback()


def _bare(world: World, start_ms: int) -> None:
    """The same series in PostgreSQL's fastest form, and nothing done with them."""
    with world.database.begin() as connection:
        ids = [number for key, number in series_of(connection, world.house_id).items() if key in FIELDS]
        query = sql.SQL(
            "COPY (SELECT series_id, ts, value FROM sgmp.reading"
            " WHERE series_id = ANY ({}) AND ts >= {} AND ts < {}) TO STDOUT (FORMAT binary)"
        ).format(sql.Literal(ids), sql.Literal(from_ms(start_ms)), sql.Literal(from_ms(world.end_ms)))
        with driver(connection).cursor() as cursor:
            cursor.copy_expert(query, BytesIO())
