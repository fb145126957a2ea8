"""What the edge has measured and the broker has not yet acknowledged, on disk.

One SQLite file in WAL mode. What a poll gave, its events and the driver's memory go in with one transaction that is
on the disk (`synchronous=FULL`) before anybody hears of it; a message leaves it only by `remove`. When the disk
refuses (full, read-only, worn out) messages wait in a bounded memory buffer, and go to disk as soon as it takes them
again. A file that SQLite can't read is set aside, what is readable in it is saved, and a new one is begun.

Not thread-safe: the courier's thread owns it.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgmp_edge.files import COMPANIONS, beside, rename, set_aside

from .rows import FAULTS, MAX_ID, as_text, is_disk_error, is_sound, readable_states, row_of, sound_rows
from .rows import Message as Message

log = logging.getLogger(__name__)

MEMORY_BYTES = 4 * 1024 * 1024
"""Payload bytes kept in memory while the disk refuses."""
CORRUPT_FILES_KEPT = 1
MAX_CHECKED_BYTES = 64 * 1024 * 1024
"""A larger file is not checked as a whole when it is opened: on a card that would take minutes."""
INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
INSERT_UNLESS_THERE = "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
DAMAGED, CORRUPT = "damaged", "corrupt"
"""`outbox.damaged-1.sqlite3` is still to be salvaged, `outbox.corrupt-1.sqlite3` is kept for people."""
IDS_APART = 2**32
"""Left free for messages that a file may hold unseen."""
MIN_DROPPED = 64
"""Messages dropped at once when the outbox is full, so that not each put has to make room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, device_id INTEGER NOT NULL, device_name TEXT NOT NULL, timestamp_ms INTEGER NOT NULL,
    kind TEXT NOT NULL, payload BLOB NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counter VALUES ('messages', 0), ('dropped', 0), ('next_id', 1);
"""


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
        self.corrupt_file: Path | None = None
        """Where a corrupt file went, if one was found since the start."""
        self.file_number = 0
        """Grows whenever a file is opened: messages may be in it that were not known before."""
        self.expendable: AbstractSet[int] = frozenset()
        """Ids that may be dropped without a loss: they arrived, and are kept only in case the broker forgets them."""
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
        self._states_before: dict[str, str] = {}
        try:
            self._open()
        except FAULTS as error:
            self._handle_error(error)
            if self._db is None:
                self._read_only_probe()

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
        if not self._write(self._memory, self._memory_states, durable=True):
            self._shrink_memory()
            return False
        self._memory.clear()
        self._memory_states.clear()
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
        self._write({}, {}, durable=False)

    def after(self, last_id: int, before_id: int, limit: int) -> list[Stored] | None:
        """Up to `limit` messages with `last_id < id < before_id`, oldest first; None if the disk does not say now."""
        while True:
            rows = self._rows(last_id, before_id, limit)
            if rows is None:
                return None
            stored = [each for each in rows if each.id not in self._unremoved]
            if len(rows) < limit:  # the disk has no more; what waits in memory was put later
                waiting = [Stored(i, m) for i, m in self._memory.items() if last_id < i < before_id]
                return stored + waiting[: limit - len(stored)]
            if stored:
                return stored
            last_id = rows[-1].id

    def oldest_ms(self, except_ids: AbstractSet[int]) -> int | None:
        """Timestamp of the oldest message that is not among `except_ids`; UTC ms."""
        skip = except_ids | self._unremoved
        for row in (
            self._query("SELECT id, timestamp_ms FROM message ORDER BY id LIMIT ?", (len(skip) + 1,)) or ()
        ):
            if row[0] not in skip:
                return int(row[1])
        return next((m.timestamp_ms for i, m in self._memory.items() if i not in except_ids), None)

    def states(self) -> dict[str, str]:
        """All texts of state by key."""
        states: dict[str, str] = dict(self._query("SELECT key, value FROM state", ()) or ())
        if self._db is None:
            states = dict(self._states_before)
        for key, value in self._memory_states.items():
            if value is None:
                states.pop(key, None)
            else:
                states[key] = value
        return states

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
        pages, free, size = (
            next(iter(self._query(f"PRAGMA {name}", ()) or ()), (0,))[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Bring to disk what it takes and release the file."""
        self.flush()
        if self._db is not None:
            with suppress(*FAULTS):  # a close can't be done any better a second time
                self._db.close()
            self._db = None

    # --- The file ------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        _keep_private(self.path)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            db.text_factory = as_text
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
            known = [counters.get(key) for key in ("messages", "dropped", "next_id")]
            if not all(isinstance(each, int) and 0 <= each < MAX_ID for each in (*known, last)):
                raise sqlite3.DatabaseError("its counters are damaged")
            if self.path.stat().st_size <= MAX_CHECKED_BYTES:
                verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise sqlite3.DatabaseError(str(verdict))
            self._messages, self._dropped = counters["messages"], counters["dropped"]
            self._next_id = max(self._next_id, counters["next_id"], last + 1)
            for number, damaged in set_aside(self.path, DAMAGED):
                self._salvage(db, damaged, number)
        except BaseException:
            db.close()
            raise
        self._db = db
        self.file_number += 1
        return db

    def _read_only_probe(self) -> None:
        """Read what must be known of a file that the disk does not let us open: a full one has no room for the index
        of its journal. That is the memory of the drivers, and which ids are taken, so that messages that wait in
        memory find theirs free. What only the journal holds can't be seen; ids are left free for it.
        """
        next_id = time.time_ns() // 1000  # higher than any count
        with (
            suppress(*FAULTS),
            closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)) as db,
        ):
            self._states_before = dict(db.execute("SELECT key, value FROM state"))
            for (count,) in db.execute("SELECT value FROM counter WHERE key = 'next_id'"):
                next_id = count + IDS_APART if isinstance(count, int) and 0 <= count < MAX_ID else next_id
        self._next_id = max(self._next_id, next_id)

    def _rows(self, last_id: int, before_id: int, limit: int) -> list[Stored] | None:
        sql = "SELECT * FROM message WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
        for _ in range(2):
            rows = self._query(sql, (last_id, before_id, limit))
            if rows is None:
                return None
            everything = last_id <= 0 and before_id >= self._next_id
            lost = everything and not rows and self._db is not None and self._messages > 0
            if not lost and all(is_sound(row) for row in rows):
                return [Stored(row[0], Message(*row[1:6])) for row in rows]
            if not self._replace(sqlite3.DatabaseError("the disk changed what was written")):
                break
        return None

    def _query(self, sql: str, parameters: tuple[int, ...]) -> list[Any] | None:
        """Rows; none of a file that is not open, None if the disk refuses. A corrupt file is replaced first."""
        for _ in range(2):
            if self._db is None:
                return []
            try:
                return self._db.execute(sql, parameters).fetchall()
            except FAULTS as error:
                if not self._handle_error(error):
                    break
        return None

    def _write(
        self, messages: Mapping[int, Message], states: Mapping[str, str | None], *, durable: bool
    ) -> bool:
        """Add these and take out what is to be removed, in one transaction. False if the disk refuses."""
        for _ in range(2):
            try:
                self._transaction(messages, states, self._unremoved, durable=durable)
            except FAULTS as error:
                if not self._handle_error(error):
                    return False
            else:
                self._unremoved.clear()
                return True
        return False

    def _transaction(
        self,
        messages: Mapping[int, Message],
        states: Mapping[str, str | None],
        removed: set[int],
        *,
        durable: bool,
    ) -> None:
        db = self._db or self._open()
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(INSERT, [row_of(id_, message) for id_, message in messages.items()])
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
        except FAULTS:
            if db.in_transaction:
                with suppress(*FAULTS):  # SQLite may have rolled back by itself
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
        while self._messages > 0 and self.used_bytes > self._max_bytes:
            share = max(MIN_DROPPED, self._messages // 100)
            oldest = {
                row[0] for row in self._query("SELECT id FROM message ORDER BY id LIMIT ?", (share,)) or ()
            }
            if not oldest:
                return
            self._unremoved |= oldest
            lost = len(oldest - self.expendable)
            self._dropped_in_memory += lost
            if not self._write({}, {}, durable=False):
                return
            if lost:
                log.warning("The outbox is full; dropped the oldest %d messages", lost)

    def _shrink_memory(self) -> None:
        while self._memory_bytes > self._memory_limit and self._memory:
            oldest = next(iter(self._memory))
            self._memory_bytes -= len(self._memory.pop(oldest).payload)
            self._dropped_in_memory += 1

    def _handle_error(self, error: Exception) -> bool:
        """Deal with an error of SQLite's. True: the file was replaced, and trying again can help."""
        if is_disk_error(error):
            if self.problem is None:
                log.error("The disk does not take readings (%s); they wait in memory", error)
            self.problem = str(error)
            return False
        return self._replace(error)

    def _replace(self, error: Exception) -> bool:
        """Set a file that can't be read aside, begin a new one, and save into it what is readable.

        False if there could be no new one.
        """
        if self._db is not None:
            with suppress(*FAULTS):  # nothing more is expected of it
                self._db.close()
            self._db = None
        # By number: the clock of a Pi that boots without a network may be years behind.
        number = max(
            (known for name in (DAMAGED, CORRUPT) for known, _ in set_aside(self.path, name)), default=0
        )
        damaged = beside(self.path, DAMAGED, number + 1)
        self.corrupt_file = beside(self.path, CORRUPT, number + 1)
        log.error("The outbox can't be read (%s); it is kept as %s", error, self.corrupt_file.name)
        self._messages = 0
        try:
            rename(self.path, damaged)
            self._open()
        except (OSError, *FAULTS) as again:
            self.problem = str(again)
            log.error("No new outbox can be made (%s); readings wait in memory", again)
            return False
        return True

    def _salvage(self, db: sqlite3.Connection, damaged: Path, number: int) -> None:
        """Save what is readable in a damaged file. Until all of that is saved it keeps its name, and is read again."""
        saved = 0
        for rows in _chunks(sound_rows(damaged), 1000):
            db.execute("BEGIN IMMEDIATE")
            added = db.executemany(INSERT_UNLESS_THERE, rows).rowcount
            saved += added
            self._messages += added
            self._next_id = max(self._next_id, *(row[0] + 1 for row in rows))
            self._write_counters(db, self._messages, self._dropped)
            db.execute("COMMIT")
        db.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", readable_states(damaged))
        log.warning("Saved %d messages out of the unreadable outbox", saved)
        try:
            rename(damaged, beside(self.path, CORRUPT, number))
        except OSError as error:
            # It is salvaged again at the next start; what arrived meanwhile is sent twice.
            log.error("%s can't be renamed (%s)", damaged.name, error)
        for _, old in set_aside(self.path, CORRUPT)[:-CORRUPT_FILES_KEPT]:
            for suffix in COMPANIONS:
                with suppress(OSError):  # somebody's folder of that name
                    old.with_name(old.name + suffix).unlink(missing_ok=True)


def _keep_private(path: Path) -> None:
    """Make the file if it is missing. SQLite gives its companions the mode of the file.

    What fails here does not matter: opening the file shows what is wrong, and where another account made it for us,
    that account decides who reads it.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    for suffix in COMPANIONS:
        with suppress(OSError):
            path.with_name(path.name + suffix).chmod(0o600)


def _chunks(rows: Iterable[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
