"""Storing batches of 100 messages, from decoded messages to the commit, against a bare COPY of the same rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from sgmp_console.fleet import analytics
from sgmp_console.store import Batch, ReadingRow, binary_copy, readings, series_of
from sgmp_console.store.rows import driver
from tests.benchmarks import ancestor
from tests.benchmarks.result import Result, once
from tests.benchmarks.world import FIELDS, HOUR_MS, World, make_house

MESSAGES = 100
BATCHES = 40
STEP_MS = 4_000

Message = tuple[int, str, dict[str, float]]


def measure(world: World) -> list[Result]:
    ours_house, ours_devices = make_house(world.database, "Ingest House")
    bare_house, bare_devices = make_house(world.database, "Bare House")
    analytics.create_required(world.database, ours_house)
    batches = _batches(world)
    rows = sum(len(values) for batch in batches[1:] for _, _, values in batch) / (len(batches) - 1)

    def ours(batch: list[Message], house_id: int, devices: dict[str, int]) -> float:
        stored = Batch(readings=[ReadingRow(house_id, devices[one], one, ms, v) for ms, one, v in batch])

        def store() -> None:
            with world.database.begin() as connection:
                readings.write(connection, stored)

        return once(store)

    def bare(batch: list[Message]) -> float:
        stream = binary_copy.encode(
            np.array([ids[one, name] for _, one, values in batch for name in values], np.int32),
            np.array([ms for ms, _, values in batch for _ in values], np.int64),
            np.array([value for _, _, values in batch for value in values.values()]),
        )

        def copy() -> None:
            with world.database.begin() as connection, driver(connection).cursor() as cursor:
                cursor.copy_expert(
                    "COPY sgmp.reading (series_id, ts, value) FROM STDIN (FORMAT binary)", stream
                )

        return once(copy)

    # The first batch makes series and partitions.
    ours(batches[0], ours_house, ours_devices)
    ours(batches[0], bare_house, bare_devices)
    with world.database.begin() as connection:
        ids = series_of(connection, bare_house)
    # In turn, so that whatever else the machine does falls on both.
    pairs = [(ours(batch, ours_house, ours_devices), bare(batch)) for batch in batches[1:]]
    new, copied = (_typical(times) for times in zip(*pairs, strict=True))
    repeated = _typical([ours(batch, ours_house, ours_devices) for batch in batches[2:]])

    def send_one_by_one() -> None:
        for message in batches[0]:
            ancestor.ingest_message(world.url, ours_house, *message)

    single = once(send_one_by_one)

    def result(what: str, taken: float, other: float, budget: float) -> Result:
        return Result(what, f"{rows / taken:,.0f}/s", f"{rows / other:,.0f}/s", other / taken, budget)

    return [
        result("ingest, nothing repeats, against bare COPY", new, copied, 0.75),
        result("ingest, all repeats, against bare COPY", repeated, copied, 0.4),
        result("ingest, against a connection per message", new, single, 25),
    ]


def _typical(times: Sequence[float]) -> float:
    """The lower quartile: whatever else the machine does only adds, and a single best one may be luck."""
    return statistics.quantiles(times, n=4)[0]


def _batches(world: World) -> list[list[Message]]:
    rng = np.random.default_rng(1)
    start = world.end_ms - HOUR_MS
    messages = [
        (
            start + tick * STEP_MS,
            kind,
            dict(zip(fields, rng.normal(0, 3, len(fields)).round(3).tolist(), strict=True)),
        )
        for tick in range(BATCHES * MESSAGES // len(FIELDS))
        for kind, fields in FIELDS.items()
    ]
    return [messages[first : first + MESSAGES] for first in range(0, len(messages), MESSAGES)]
