"""The nightly checks of quality: each house's day, when it has been over for an hour, and again when readings came late for it.

Each day of a house is a transaction of its own, and a turn of the watch checks so many as fit into a part of its pause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.errors import SgmpError
from sgmp_console.quality import VERSION, Quality
from sgmp_console.store import Database, DatabaseUnavailable, House, quality
from sgmp_console.store.quality import DayToStore, LocalDay, Run, SeriesToCheck
from sgmp_console.timeseries import calendar, snap
from sgmp_console.watch.house_quality import (
    CheckedField,
    Fault,
    HouseDay,
    HouseQuality,
    check_house,
    runs_of,
)
from sgmp_edge import contract

_log = logging.getLogger(__name__)

DAYS_BACK = 7
"""Days that were never checked, such as those from before the watch ran: so many are, the newest first."""

MOST_DUE = 500
"""Days that are looked for at once: more than a turn checks."""

_DAY_MS = 86_400_000

_LOOK_EVERY_S = 60.0
"""How often to look for days to check while there are none."""

_RETRY_S = 3600.0
"""When to try a day again whose check failed."""


@dataclass(frozen=True)
class Due:
    """A day of a house, [start_ms, end_ms), that is to be checked."""

    house: House
    start_ms: int
    end_ms: int


class Nightly:
    """What one watcher does of the checks. Another goes on at any time: what is due is in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look_at = 0.0
        self._failed: dict[tuple[int, int], float] = {}

    def turn(self, budget_s: float) -> int:
        """Check days that are due for about `budget_s`, at least one. Returns how many. Raises DatabaseUnavailable."""
        began = time.monotonic()
        if began < self._look_at:
            return 0
        with self._database.begin() as connection:
            now_ms = quality.take(connection)
            if now_ms is None:
                return 0
            # Those whose check failed are among them, and keep no others from their turn.
            most = MOST_DUE + len(self._failed)
            waiting = due(connection, now_ms, most)
        checked = 0
        for one in waiting:
            key = (one.house.house_id, one.start_ms)
            if time.monotonic() < self._failed.get(key, 0.0):
                continue
            if checked and time.monotonic() - began >= budget_s:
                return checked
            if not self._check(one):
                return checked
            checked += 1
        if len(waiting) < most:
            self._look_at = time.monotonic() + _LOOK_EVERY_S
        return checked

    def _check(self, one: Due) -> bool:
        """False where it is another watcher's turn. A house that can't be checked does not keep others from it."""
        try:
            with self._database.begin() as connection:
                now_ms = quality.take(connection)
                if now_ms is None:
                    return False
                check(connection, one, now_ms)
        except DatabaseUnavailable:
            raise
        except SgmpError as error:
            self._put_off(one, error)
        except Exception as error:  # noqa: BLE001 - a formula or reading that nobody thought of; other houses are checked
            _log.exception("a check of quality failed")
            self._put_off(one, error)
        return True

    def _put_off(self, one: Due, error: Exception) -> None:
        _log.error("house %s can't be checked: %s", one.house.house_id, error)
        self._failed[one.house.house_id, one.start_ms] = time.monotonic() + _RETRY_S


def due(connection: sa.Connection, now_ms: int, most: int = MOST_DUE) -> list[Due]:
    """The days that are to be checked, the newest first, at most so many. Three statements: the database compares the days that
    were with those that were checked, since of a thousand houses there are seven thousand, and usually none is due."""
    quality.work_off_late(connection)
    lately = [day for zone in quality.zones(connection) for day in _days_lately(zone, now_ms)]
    found = quality.due_days(
        connection,
        lately,
        VERSION,
        since_ms=now_ms - (DAYS_BACK + 2) * _DAY_MS,
        again_before_ms=now_ms - quality.AGAIN_MS,
        most=most,
    )
    return [Due(one.house, one.start_ms, one.end_ms) for one in found]


def _days_lately(zone: str, now_ms: int) -> list[LocalDay]:
    try:
        ended_ms = calendar.day_of(now_ms - quality.SETTLED_MS, zone)[0]
        days = calendar.days(ended_ms - DAYS_BACK * _DAY_MS, ended_ms, zone)[-DAYS_BACK:]
    except SgmpError:
        return []  # a time zone that nobody knows: Houses says so
    snapped = [snap(*day) for day in days]
    return [
        LocalDay(zone, calendar.date_of(start_ms, zone), start_ms, end_ms) for start_ms, end_ms in snapped
    ]


def check(connection: sa.Connection, one: Due, now_ms: int) -> None:
    """Check a day of a house and store what was found. A fixed number of statements."""
    house_id = one.house.house_id
    series = quality.series_to_check(connection, house_id, one.start_ms, int(Quality.FIELD_VANISHED))
    ids = {(row.device, row.field): row.series_id for row in series}
    found = store.readings.read(connection, house_id, ids, one.start_ms, one.end_ms, series=ids)
    day = HouseDay(
        one.start_ms,
        one.end_ms,
        _fields(series),
        {ids[key]: readings for key, readings in found.items()},
        {item.name: item.formula for item in store.analytics.list_all(connection, house_id)},
        one.house.place,
        one.house.load_contains_ev,
    )
    quality.store_day(connection, _to_store(one, check_house(day), now_ms))


def _fields(series: Sequence[SeriesToCheck]) -> list[CheckedField]:
    types = contract.device_types()

    def unit(row: SeriesToCheck) -> str:
        if row.unit is not None:
            return row.unit
        return types[row.type].unit_of(row.field) if row.type in types else ""

    return [
        CheckedField(row.series_id, row.device, row.field, unit(row), row.recent, row.expected)
        for row in series
    ]


def _to_store(one: Due, found: HouseQuality, now_ms: int) -> DayToStore:
    rows = [*found.bits.items(), (quality.HOUSE, found.balance)]
    return DayToStore(
        one.house.house_id,
        calendar.date_of(one.start_ms, one.house.time_zone),
        one.start_ms,
        one.end_ms,
        VERSION,
        now_ms,
        found.slots,
        found.flagged,
        {bit.name or "": count for bit, count in found.counts.items()},
        [_fault(fault) for fault in found.faults],
        found.silent,
        [Run(series_id, *run) for series_id, bits in rows for run in runs_of(bits, one.start_ms)],
    )


def _fault(fault: Fault) -> Mapping[str, Any]:
    return {
        "device": fault.device,
        "kind": (fault.kind.name or "").lower(),
        "fields": list(fault.fields),
        "slots": fault.slots,
        "from_ms": fault.from_ms,
        "to_ms": fault.to_ms,
    }
