"""What the edge has measured and the broker has not yet acknowledged, on disk.

One SQLite file in WAL mode. What a poll gave, its events and the driver's memory go in with one transaction that is
on the disk (`synchronous=FULL`) before anybody hears of it; a message leaves it only by `remove`. When the disk
refuses (full, read-only, worn out) messages wait in a bounded memory buffer, and go to disk as soon as it takes them
again. A file that SQLite can't read is set aside, what is readable in it is saved, and a new one is begun.

Not thread-safe: the courier's thread owns it.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

MEMORY_BYTES = 4 * 1024 * 1024
"""Payload bytes kept in memory while the disk refuses."""
CORRUPT_FILES_KEPT = 2
DROP_AT_LEAST = 64
"""Messages dropped at once when the outbox is full, so that not each put has to make room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, device_id INTEGER NOT NULL, device_name TEXT NOT NULL, timestamp_ms INTEGER NOT NULL,
    kind TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counter VALUES ('messages', 0), ('dropped', 0), ('next_id', 1);
"""


@dataclass(frozen=True)
class Message:
    """One publish: a reading (`kind` data) or an event of a device, or of the edge itself."""

    device_id: int
    device_name: str
    timestamp_ms: int
    kind: str
    payload: bytes


@dataclass(frozen=True)
class Stored:
    """A message in the outbox; a higher `id` was put later."""

    id: int
    message: Message


class Outbox:
    """`max_bytes` bounds the file (its used pages); the oldest messages are dropped, and counted, to stay below."""

    def __init__(self, path: Path, *, max_bytes: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self.path = path
        self.problem: str | None = None
        """Why the disk does not take messages now; None when it does."""
        self.set_aside: Path | None = None
        """Where a corrupt file went, if one was found since the start."""
        self._max_bytes = max_bytes
        self._memory_limit = memory_bytes
        self._memory: dict[int, Message] = {}
        self._memory_bytes = 0
        self._memory_states: dict[str, str | None] = {}
        self._unremoved: set[int] = set()
        self._dropped_in_memory = 0
        self._messages = self._dropped = 0
        self._next_id = 1
        self._db: sqlite3.Connection | None = None
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._refused(error)
        except sqlite3.DatabaseError as error:
            self._replace(error)

    # --- What the courier does with it ---------------------------------------------------------------------------

    def put(
        self, messages: Sequence[Message], states: Mapping[str, str | None] | None = None
    ) -> list[Stored]:
        """Store messages and texts of state (None removes one) in one transaction, durably.

        Never raises for what the disk does: what it refuses is kept in memory, see `problem`.
        """
        stored = [Stored(self._next_id + offset, message) for offset, message in enumerate(messages)]
        self._next_id += len(stored)
        for each in stored:
            self._memory[each.id] = each.message
            self._memory_bytes += len(each.message.payload)
        self._memory_states.update(states or {})
        self.flush()
        return stored

    def flush(self) -> bool:
        """Bring to disk what waits in memory, and removals that failed. False if the disk still refuses."""
        if not (self._memory or self._memory_states or self._unremoved):
            return True
        try:
            self._transaction(self._memory, self._memory_states, self._unremoved, durable=True)
        except sqlite3.OperationalError as error:
            self._refused(error)
            self._shrink_memory()
            return False
        except sqlite3.DatabaseError as error:
            self._replace(error)
            self._shrink_memory()
            return False
        self._memory.clear()
        self._memory_states.clear()
        self._unremoved.clear()
        self._memory_bytes = 0
        if self.problem is not None:
            log.info("The disk takes readings again")
            self.problem = None
        self._make_room()
        return True

    def remove(self, ids: Iterable[int]) -> None:
        """Forget messages that arrived. Not fsynced: after a power cut some may be sent once more."""
        gone = set(ids)
        for each in gone & self._memory.keys():
            self._memory_bytes -= len(self._memory.pop(each).payload)
            gone.discard(each)
        if not gone:
            return
        self._unremoved |= gone
        try:
            self._transaction({}, {}, self._unremoved, durable=False)
        except sqlite3.OperationalError as error:
            self._refused(error)
        except sqlite3.DatabaseError as error:
            self._replace(error)
        else:
            self._unremoved.clear()

    def after(self, last_id: int, before_id: int, limit: int) -> list[Stored]:
        """Up to `limit` messages with `last_id < id < before_id`, oldest first."""
        rows: list[Stored] = []
        if self._db is not None:
            try:
                found = self._db.execute(
                    "SELECT id, device_id, device_name, timestamp_ms, kind, payload FROM message"
                    " WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                    (last_id, before_id, limit),
                ).fetchall()
                rows = [Stored(row[0], Message(*row[1:])) for row in found if row[0] not in self._unremoved]
            except sqlite3.OperationalError as error:
                self._refused(error)
            except sqlite3.DatabaseError as error:
                self._replace(error)
        if len(rows) < limit:
            waiting = [Stored(i, m) for i, m in self._memory.items() if last_id < i < before_id]
            rows += waiting[: limit - len(rows)]
        return rows

    def oldest_ms(self, except_ids: frozenset[int] | set[int]) -> int | None:
        """Timestamp of the oldest message that is not among `except_ids`; UTC ms."""
        if self._db is not None:
            with suppress(sqlite3.Error):  # only told for information; the next write finds the fault
                for row in self._db.execute("SELECT id, timestamp_ms FROM message ORDER BY id"):
                    if row[0] not in except_ids and row[0] not in self._unremoved:
                        return int(row[1])
        return next((m.timestamp_ms for i, m in self._memory.items() if i not in except_ids), None)

    def states(self) -> dict[str, str]:
        """All texts of state by key."""
        found: dict[str, str] = {}
        if self._db is not None:
            try:
                found = dict(self._db.execute("SELECT key, value FROM state").fetchall())
            except sqlite3.OperationalError as error:
                self._refused(error)
            except sqlite3.DatabaseError as error:
                self._replace(error)
        for key, value in self._memory_states.items():
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        return found

    @property
    def next_id(self) -> int:
        """The id that the next message will get; all stored ones are below."""
        return self._next_id

    @property
    def count(self) -> int:
        """Messages held, on disk and in memory."""
        return self._messages + len(self._memory) - len(self._unremoved)

    @property
    def in_memory(self) -> int:
        """Messages that no disk holds."""
        return len(self._memory)

    @property
    def dropped(self) -> int:
        """Messages lost to the bounds, since the outbox was first made."""
        return self._dropped + self._dropped_in_memory

    @property
    def used_bytes(self) -> int:
        """Of the file, pages that can be used again not counted."""
        if self._db is None:
            return 0
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Bring to disk what it takes and release the file."""
        self.flush()
        if self._db is not None:
            with suppress(sqlite3.Error):  # a close can't be done any better a second time
                self._db.close()
            self._db = None

    # --- The file ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -1024")
            db.execute("PRAGMA journal_size_limit = 4194304")
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.strip().split(";\n"):
                db.execute(statement)
            db.execute("COMMIT")
            counters = dict(db.execute("SELECT key, value FROM counter").fetchall())
            last = db.execute("SELECT max(id) FROM message").fetchone()[0] or 0
        except sqlite3.Error:
            db.close()
            raise
        self._messages, self._dropped = counters["messages"], counters["dropped"]
        self._next_id = max(self._next_id, counters["next_id"], last + 1)
        self._db = db
        self.path.chmod(0o600)

    def _transaction(
        self,
        messages: Mapping[int, Message],
        states: Mapping[str, str | None],
        removed: set[int],
        *,
        durable: bool,
    ) -> None:
        if self._db is None:
            self._open()
        db = self._db
        assert db is not None  # noqa: S101 - _open() raises or sets it
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (i, m.device_id, m.device_name, m.timestamp_ms, m.kind, m.payload)
                    for i, m in messages.items()
                ],
            )
            gone = db.executemany("DELETE FROM message WHERE id = ?", [(i,) for i in removed]).rowcount
            for key, value in states.items():
                if value is None:
                    db.execute("DELETE FROM state WHERE key = ?", (key,))
                else:
                    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
            count = self._messages + len(messages) - max(gone, 0)
            dropped = self._dropped + self._dropped_in_memory
            self._write_counters(db, count, dropped)
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    db.execute("ROLLBACK")
            raise
        self._messages, self._dropped, self._dropped_in_memory = count, dropped, 0

    def _write_counters(self, db: sqlite3.Connection, messages: int, dropped: int) -> None:
        db.executemany(
            "UPDATE counter SET value = ? WHERE key = ?",
            [(messages, "messages"), (dropped, "dropped"), (self._next_id, "next_id")],
        )

    def _make_room(self) -> None:
        """Drop the oldest messages until the file is within its bound."""
        try:
            while self._messages > 0 and self.used_bytes > self._max_bytes:
                assert self._db is not None  # noqa: S101 - used_bytes is 0 without a file
                share = max(DROP_AT_LEAST, self._messages // 100)
                oldest = self._db.execute("SELECT id FROM message ORDER BY id LIMIT ?", (share,)).fetchall()
                if not oldest:
                    return
                before = self._messages
                self._dropped_in_memory += len(oldest)
                self._transaction({}, {}, {row[0] for row in oldest}, durable=False)
                log.warning("The outbox is full; dropped the oldest %d messages", before - self._messages)
        except sqlite3.OperationalError as error:
            self._refused(error)
        except sqlite3.DatabaseError as error:
            self._replace(error)

    def _shrink_memory(self) -> None:
        while self._memory_bytes > self._memory_limit and self._memory:
            oldest = next(iter(self._memory))
            self._memory_bytes -= len(self._memory.pop(oldest).payload)
            self._dropped_in_memory += 1

    def _refused(self, error: sqlite3.Error) -> None:
        if self.problem is None:
            log.error("The disk does not take readings (%s); they wait in memory", error)
        self.problem = str(error)

    def _replace(self, error: sqlite3.Error) -> None:
        """Set a file that can't be read aside, begin a new one, and save into it what is readable."""
        if self._db is not None:
            with suppress(sqlite3.Error):  # nothing more is expected of it
                self._db.close()
            self._db = None
        aside = self.path.with_name(
            f"{self.path.stem}.corrupt-{time.time_ns() // 1_000_000}{self.path.suffix}"
        )
        log.error("The outbox can't be read (%s); it is kept as %s", error, aside.name)
        try:
            for suffix in ("-wal", ""):
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    source.rename(aside.with_name(aside.name + suffix))
            self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)
            self._forget_old_corrupt_files()
            self.set_aside = aside
            self._messages = 0
            self._unremoved.clear()
            self._open()
            self._salvage(aside)
        except (OSError, sqlite3.Error) as again:
            self.problem = str(again)
            log.error("No new outbox can be made (%s); readings wait in memory", again)

    def _salvage(self, aside: Path) -> None:
        db = self._db
        assert db is not None  # noqa: S101 - called with a fresh file
        saved = 0
        db.execute("BEGIN IMMEDIATE")
        for row in _readable_rows(aside):
            with suppress(sqlite3.IntegrityError):
                db.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", row)
                saved += 1
                self._next_id = max(self._next_id, row[0] + 1)
        for key, value in _readable_states(aside):
            db.execute("INSERT OR IGNORE INTO state VALUES (?, ?)", (key, value))
        self._write_counters(db, saved, self._dropped)
        db.execute("COMMIT")
        self._messages = saved
        log.warning("Saved %d messages out of the unreadable outbox", saved)

    def _forget_old_corrupt_files(self) -> None:
        found = sorted(self.path.parent.glob(f"{self.path.stem}.corrupt-*{self.path.suffix}"))
        for old in found[:-CORRUPT_FILES_KEPT]:
            old.unlink()
            old.with_name(old.name + "-wal").unlink(missing_ok=True)
            old.with_name(old.name + "-shm").unlink(missing_ok=True)


def _readable_rows(path: Path) -> Iterator[tuple[int, int, str, int, str, bytes]]:
    """Rows from the front to the first fault, then from the back to the last one."""
    seen = 0
    for order, beyond in (("ASC", ">"), ("DESC", ">")):
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as db:
            rows = db.execute(f"SELECT * FROM message WHERE id {beyond} ? ORDER BY id {order}", (seen,))  # noqa: S608
            for row in rows:
                types = tuple(type(value) for value in row)
                if types == (int, int, str, int, str, bytes) and row[4] in ("data", "event"):
                    seen = max(seen, row[0]) if order == "ASC" else seen
                    yield row


def _readable_states(path: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as db:
        for key, value in db.execute("SELECT key, value FROM state"):
            if isinstance(key, str) and isinstance(value, str):
                found.append((key, value))
    return found
