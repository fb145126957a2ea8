"""Home of one house, read from the database: whole at first, then only what is new."""

from __future__ import annotations

import sqlalchemy as sa

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.reports.house_day import DAY_MS, Definition, HouseDay
from sgmp_console.store import Database, analytics, devices, events, houses, readings

_CHECK_EVERY_MS = 10_000
"""How often it is looked whether somebody changed the house, and whether a device delivers other fields than before."""

_HORIZON_MS = 2 * DAY_MS
"""How far ahead of now is read: an edge whose clock is ahead must not be forgotten until its time comes."""


class LiveHouse:
    """Home of one house. Call it from one thread at a time; it keeps a day of item values in memory."""

    def __init__(self, database: Database, house_id: int) -> None:
        self._database = database
        self._house_id = house_id
        self._day: HouseDay | None = None
        self._checked_ms = 0

    def load(self, now_ms: int) -> HomeSnapshot:
        """Everything anew. Raises UserError (no such house), DatabaseUnavailable, Refused."""
        self._day = None
        return self.update(now_ms, now_ms)

    def update(self, now_ms: int, from_ms: int) -> HomeSnapshot:
        """What came since the last call, none of it measured before `from_ms`; raises as `load` does.

        A house that was changed meanwhile (a device, an item, its zone) is loaded anew, ten seconds later at most.
        After an error the next call loads everything.
        """
        day, self._day = self._day, None
        with self._database.begin() as connection:
            if day is None or not 0 <= now_ms - self._checked_ms < _CHECK_EVERY_MS or not day.covers(now_ms):
                definition = self._definition(connection)
                if day is None or day.definition != definition or not day.covers(now_ms):
                    day = HouseDay(definition, now_ms)
                    from_ms = day.start_ms
                day.note_newest(readings.latest(connection, self._house_id))
                self._checked_ms = now_ms
            end_ms = now_ms + _HORIZON_MS
            start_ms = day.reads_from(from_ms)
            new_readings = readings.read(connection, self._house_id, day.fields, start_ms, end_ms)
            new_events = events.read(connection, self._house_id, from_ms, end_ms, types=day.event_types)
        day.take(now_ms, from_ms, new_readings, new_events)
        self._day = day
        return day.snapshot(now_ms)

    def _definition(self, connection: sa.Connection) -> Definition:
        return Definition(
            houses.get(connection, self._house_id),
            devices.list_all(connection, self._house_id),
            analytics.list_all(connection, self._house_id),
        )
