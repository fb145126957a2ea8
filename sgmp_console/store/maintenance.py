"""What the database needs done now and then. Most of it TimescaleDB has jobs for, and finds nothing to do here."""

from __future__ import annotations

import logging
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from sgmp_console.retention import RAW_RETENTION_DAYS
from sgmp_console.store import quarantine
from sgmp_console.store.connecting import dsn_of
from sgmp_console.store.database import Database

_log = logging.getLogger(__name__)

EVERY_S = 3600.0
OFTEN_S = 60.0
_TIMEOUT_MS = 30 * 60_000
_LOCK_TIMEOUT_MS = 5_000


class Maintenance:
    """Works off late ranges and ends stale sessions each minute; drops raw readings past their time and packs weeks that
    are over, hourly. Never blocks the caller.

    Whole weeks are dropped, the youngest `keep_days` days are kept in any case (at least 7). Each statement runs in the
    server while the caller does its own work on another connection. What is kept from its work by somebody's open
    transaction is tried again a minute later. As ingest or owner.
    """

    def __init__(self, database: Database, keep_days: int = RAW_RETENTION_DAYS) -> None:
        self._hourly = (
            f"SELECT sgmp.drop_old_readings(make_interval(days => {keep_days:d}))",
            "SELECT sgmp.pack_week()",
        )
        self._often = (
            "SELECT sgmp.end_stale_sessions()",
            "SELECT sgmp.recompute_late()",
            f"SELECT sgmp.drop_old_quarantine(make_interval(days => {quarantine.KEEP_DAYS:d}))",
        )
        self._dsn = dsn_of(
            database.parameters,
            application_name="sgmp-maintenance",
            statement_timeout=_TIMEOUT_MS,
            lock_timeout=_LOCK_TIMEOUT_MS,
        )
        self._connection: psycopg2.extensions.connection | None = None
        self._waiting: list[str] = []
        self._cursor: psycopg2.extensions.cursor | None = None
        self._next = self._next_hourly = time.monotonic()

    def look(self) -> None:
        """To be called often. A failure is logged; the rest waits for its next time."""
        try:
            if self._connection is None:
                if time.monotonic() < self._next:
                    return
                now = time.monotonic()
                self._next = now + OFTEN_S
                self._waiting = list(self._often)
                if now >= self._next_hourly:
                    self._next_hourly = now + EVERY_S
                    self._waiting += self._hourly
                self._connection = psycopg2.connect(self._dsn, async_=True)
            self._go_on(self._connection)
        except psycopg2.Error as error:
            _log.warning("maintenance waits: %s", error.diag.message_primary or type(error).__name__)
            self.close()

    def close(self) -> None:
        """A statement that runs is undone."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._cursor = None

    def _go_on(self, connection: psycopg2.extensions.connection) -> None:
        while self._is_ready(connection):
            if self._cursor is not None:
                self._finish(self._cursor)
            if not self._waiting:
                self.close()
                return
            self._cursor = connection.cursor()
            self._cursor.execute(self._waiting[0])

    def _is_ready(self, connection: psycopg2.extensions.connection) -> bool:
        try:
            return connection.poll() == psycopg2.extensions.POLL_OK
        except psycopg2.errors.LockNotAvailable:
            statement = self._waiting.pop(0)
            _log.info("%s: others keep it from its work; it is tried again", statement)
            if statement in self._hourly:
                self._next_hourly = self._next
            self._cursor = None
            return self._is_ready(connection)

    def _finish(self, cursor: psycopg2.extensions.cursor) -> None:
        done = self._waiting.pop(0)
        (result,) = cursor.fetchone() or (0,)
        if result:
            _log.info("%s: %s", done, result)
            self._waiting.insert(0, done)  # there may be more of it
        self._cursor = None
