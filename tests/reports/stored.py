"""A house in a real database, its readings known to the test as well, so that both ways to a number can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg2
import psycopg2.extensions

from sgmp_console.formula import Formula, evaluate_items, parse
from sgmp_console.formula.identifiers import DeviceIdentifier
from sgmp_console.formula.items import SourceIdentifier
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_values import ItemExtremes, ItemHours, ItemSlots
from sgmp_console.store import Database, FieldKey, aggregates, analytics, devices, houses
from sgmp_console.timeseries import Series, SlotMeans, slot_means
from sgmp_console.timeseries.slots import SLOT_MS
from tests.series import write_series


@dataclass
class StoredHouse:
    """A house, what was stored of it, and its items."""

    database: Database
    house_id: int
    device_ids: Mapping[str, int]
    stored: dict[FieldKey, Series] = field(default_factory=dict)

    @classmethod
    def make(cls, database: Database, name: str, *, meters: tuple[str, ...] = ("a", "b")) -> StoredHouse:
        with database.begin() as connection:
            house = houses.create(connection, name, time_zone="UTC")
            made = {one: devices.create(connection, house.house_id, one, "egauge", {}) for one in meters}
        return cls(database, house.house_id, {one: device.device_id for one, device in made.items()})

    def store(self, fields: Mapping[FieldKey, Series]) -> None:
        """Store readings; of a repeated timestamp the first value stays."""
        with self.database.begin() as connection:
            for device, number in self.device_ids.items():
                mine = {name: series for (of, name), series in fields.items() if of == device}
                write_series(connection, self.house_id, number, mine)
        for key, series in fields.items():
            before = self.stored.get(key, Series.empty())
            times, first = np.unique(
                np.concatenate([before.timestamps, series.timestamps]), return_index=True
            )
            self.stored[key] = Series(times, np.concatenate([before.values, series.values])[first])

    def item(self, name: str, formula: str, *, aggregated: bool = True) -> None:
        """Make an item, with aggregates of its fields if `aggregated`, not populated yet."""
        with self.database.begin() as connection:
            made = analytics.create(connection, self.house_id, name, formula, aggregated=aggregated)
            if aggregated:
                aggregates.register(connection, self.house_id, made.item_id, device_fields(parse(formula)))

    def populate(self) -> None:
        aggregates.populate(self.database, self.house_id)

    # --- The two ways ------------------------------------------------------------------------------------------------

    def slots(self, name: str, start_ms: int, end_ms: int) -> ItemSlots:
        with self.database.begin() as connection:
            return ItemReader(connection, self.house_id).slots([name], start_ms, end_ms)[name]

    def hours(self, name: str, start_ms: int, end_ms: int) -> ItemHours:
        with self.database.begin() as connection:
            return ItemReader(connection, self.house_id).hours([name], start_ms, end_ms)[name]

    def extremes(self, name: str, start_ms: int, end_ms: int) -> ItemExtremes | None:
        with self.database.begin() as connection:
            return ItemReader(connection, self.house_id).extremes(name, start_ms, end_ms)

    def raw_values(self, formula: str, start_ms: int, end_ms: int) -> Series:
        """The formula's values, computed from what the test stored."""

        def load(
            sources: frozenset[SourceIdentifier], first: int, last: int
        ) -> Mapping[SourceIdentifier, Series]:
            return {
                one: self.stored.get((one.device, one.field), Series.empty()).between(first, last)
                for one in sources
                if isinstance(one, DeviceIdentifier)
            }

        found = evaluate_items(["it"], {"it": formula}, start_ms, end_ms, load)
        assert not found.errors
        return found.series["it"]

    def raw_slots(self, formula: str, start_ms: int, end_ms: int) -> SlotMeans:
        first, last = start_ms // SLOT_MS * SLOT_MS, -(-end_ms // SLOT_MS) * SLOT_MS
        return slot_means(self.raw_values(formula, first, last), first, last)

    def size(self, formula: str) -> float:
        """The size of the terms that the formula adds up: what an error is small against."""
        form = parse(formula).linear
        if form is None:
            return 1e3
        largest = {
            reference.text: float(np.max(np.abs(self.stored[key].values), initial=0.0))
            for reference, key in zip(
                parse(formula).references, device_fields(parse(formula), unique=False), strict=True
            )
            if key in self.stored
        }
        return abs(float(form.constant)) + sum(
            max(abs(float(term.positive)), abs(float(term.negative))) * largest.get(name, 0.0)
            for name, term in form.terms.items()
        )


def device_fields(formula: Formula, *, unique: bool = True) -> list[FieldKey]:
    """The fields a formula reads, once each or once per mention."""
    found = [
        (reference.identifier.device, reference.identifier.field)
        for reference in formula.references
        if isinstance(reference.identifier, DeviceIdentifier)
    ]
    return list(dict.fromkeys(found)) if unique else found


def refresh(url: str) -> None:
    """What TimescaleDB's policies do every few minutes; nothing on plain PostgreSQL."""
    with _owner(url) as cursor:
        if _on_timescale(cursor):
            for view in ("slot", "hour"):
                cursor.execute(f"CALL public.refresh_continuous_aggregate('sgmp.{view}', NULL, NULL)")


def run_policies(url: str) -> None:
    """TimescaleDB's refresh of what its policies look at, slots before hours; nothing on plain PostgreSQL."""
    with _owner(url) as cursor:
        if _on_timescale(cursor):
            cursor.execute(
                "SELECT job_id FROM timescaledb_information.jobs"
                " WHERE proc_name = 'policy_refresh_continuous_aggregate' ORDER BY job_id"
            )
            for (job,) in cursor.fetchall():
                cursor.execute("CALL public.run_job(%s)", (job,))


def work_off_late_ranges(url: str) -> None:
    """What happens each minute: a job of TimescaleDB, or ingest's maintenance."""
    with _owner(url) as cursor:
        if _on_timescale(cursor):
            cursor.execute("CALL sgmp.refresh_late(0, NULL)")
        else:
            cursor.execute("SELECT sgmp.recompute_late()")


def drop_old_readings(url: str) -> None:
    """What the server does with raw readings past their time: ingest's maintenance, or TimescaleDB's policy."""
    with _owner(url) as cursor:
        if _on_timescale(cursor):
            cursor.execute(
                "SELECT job_id FROM timescaledb_information.jobs"
                " WHERE proc_name = 'policy_retention' AND hypertable_name = 'reading'"
            )
            (job,) = cursor.fetchone() or (None,)
            cursor.execute("CALL public.run_job(%s)", (job,))
        else:
            cursor.execute("SELECT sgmp.drop_old_readings(interval '31 days')")


@contextmanager
def _owner(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _on_timescale(cursor: psycopg2.extensions.cursor) -> bool:
    cursor.execute("SELECT sgmp.on_timescale()")
    return cursor.fetchone() == (True,)
