"""Home of one house, read from the database: whole at first, then only what is new."""

from __future__ import annotations

import sqlalchemy as sa

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.reports.home_state import DAY_MS, Definition, HomeState
from sgmp_console.reports.ledger import read_ledger
from sgmp_console.reports.sessions import LOOK_BACK_MS
from sgmp_console.store import (
    Database,
    analytics,
    config_versions,
    devices,
    events,
    findings,
    houses,
    notes,
    readings,
)
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

_CHECK_EVERY_MS = 10_000
"""How often it is looked whether somebody changed the house or its notes, and whether a device delivers other fields than
before."""

_PROMPT_MS = 120_000
_LATE_EVERY_MS = 10_000
"""Readings of the last two minutes are fetched at once, older ones this often: an edge that brings a day's backlog would
else have the whole day read again with each of its batches."""

_HORIZON_MS = 2 * DAY_MS
"""How far ahead of now is read: an edge whose clock is ahead must not be forgotten until its time comes."""


class HomeLoader:
    """Home of one house. Call it from one thread at a time; it keeps a day of item values in memory."""

    def __init__(self, database: Database, house_id: int) -> None:
        self._database = database
        self._house_id = house_id
        self._day: HomeState | None = None
        self._checked_ms = 0
        self._late_from_ms: int | None = None
        self._late_fetched_ms = 0

    def load(self, now_ms: int) -> HomeSnapshot:
        """Read everything. Raises UserError (no such house), DatabaseUnavailable, Refused."""
        self._day = None
        return self.update(now_ms, now_ms)

    def update(self, now_ms: int, from_ms: int) -> HomeSnapshot:
        """What came since the last call, none of it measured before `from_ms`; raises as `load` does.

        While much comes late, what is older than two minutes is shown by a call ten seconds later at most. A house
        that was changed meanwhile (a device, an item, its zone) is loaded again, as late. After an error the next call
        loads everything.
        """
        day, self._day = self._day, None
        with self._database.begin() as connection:
            if day is not None and not 0 <= now_ms - self._checked_ms < _CHECK_EVERY_MS:
                day = self._checked(connection, day, now_ms)
            if day is None:
                day = HomeState(self._definition(connection), now_ms)
                from_ms = day.start_ms
                self._late_from_ms, self._late_fetched_ms = None, 0
                self._note_newest(connection, day, now_ms)
                self._note_sessions(connection, day)
            else:
                from_ms = self._due_from(now_ms, max(from_ms, day.start_ms))
            if (midnight := day.ledger_due_ms(now_ms, from_ms)) is not None:
                day.note_ledger(midnight, read_ledger(connection, day.definition.house, midnight))
            end_ms = now_ms + _HORIZON_MS
            start_ms = day.reads_from(from_ms)
            new_readings = readings.read(connection, self._house_id, day.fields, start_ms, end_ms)
            new_events = events.read(connection, self._house_id, from_ms, end_ms, types=day.event_types)
            watch_age_ms = findings.watch_age_ms(connection)
            day.note_findings(
                findings.read(connection, self._house_id, ended_since_ms=day.start_ms),
                None if watch_age_ms is None else now_ms - watch_age_ms,
            )
        day.take(now_ms, from_ms, new_readings, new_events)
        self._day = day
        return day.snapshot(now_ms)

    def _checked(self, connection: sa.Connection, day: HomeState, now_ms: int) -> HomeState | None:
        """The day, where the house is still what it was made for."""
        if not day.covers(now_ms) or day.definition != self._definition(connection):
            return None
        self._note_newest(connection, day, now_ms)
        return day

    def _note_newest(self, connection: sa.Connection, day: HomeState, now_ms: int) -> None:
        day.note_newest(readings.latest(connection, self._house_id))
        day.note_edge(config_versions.edge_state(connection, self._house_id))
        day.note_notes(notes.read(connection, self._house_id, day.start_ms, now_ms + _HORIZON_MS))
        self._checked_ms = now_ms

    def _note_sessions(self, connection: sa.Connection, day: HomeState) -> None:
        types = (EV_START_CHARGING, EV_END_CHARGING)
        since, until = day.start_ms - LOOK_BACK_MS, day.start_ms
        day.note_earlier_sessions(events.read(connection, self._house_id, since, until, types=types))

    def _due_from(self, now_ms: int, from_ms: int) -> int:
        """From when on to fetch now; what is put off is remembered."""
        if self._late_from_ms is not None:
            from_ms = min(from_ms, self._late_from_ms)
        prompt_ms = now_ms - _PROMPT_MS
        if from_ms >= prompt_ms:
            return from_ms
        if 0 <= now_ms - self._late_fetched_ms < _LATE_EVERY_MS:
            self._late_from_ms = from_ms
            return prompt_ms
        self._late_from_ms, self._late_fetched_ms = None, now_ms
        return from_ms

    def _definition(self, connection: sa.Connection) -> Definition:
        return Definition(
            houses.get(connection, self._house_id),
            devices.list_all(connection, self._house_id),
            analytics.list_all(connection, self._house_id),
        )
