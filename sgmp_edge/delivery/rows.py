"""How a message lies in the outbox's file, whose fault an error of SQLite's is, and what can be read of a damaged file."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .carving import carved_rows

MAX_ID = 2**62
"""No outbox comes near; a number beyond is damage."""

FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second when even the text of its error is damaged."""


@dataclass(frozen=True)
class Message:
    """One publish: a reading (`kind` data) or an event of a device, or of the edge itself."""

    device_id: int
    device_name: str
    timestamp_ms: int
    kind: str
    payload: bytes


def row_of(id_: int, message: Message) -> tuple[Any, ...]:
    """Of the table `message`, with a checksum."""
    row = (
        id_,
        message.device_id,
        message.device_name,
        message.timestamp_ms,
        message.kind,
        message.payload,
    )
    return (*row, _checksum(row))


def _checksum(row: tuple[Any, ...]) -> int:
    """Over all that must not change unnoticed: cards do flip bits, and SQLite sees only those of its structure."""
    return zlib.crc32(row[5], zlib.crc32(repr(row[:5]).encode("utf-8", "replace")))


def is_sound(row: tuple[Any, ...]) -> bool:
    """Whether a row is what `row_of` made."""
    return len(row) == 7 and isinstance(row[5], bytes) and _checksum(row[:6]) == row[6]


def as_text(content: bytes) -> str:
    """SQLite's `text_factory`: damaged text raises nothing."""
    return content.decode("utf-8", "replace")


_DISK_CODES = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_DAMAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
        sqlite3.SQLITE_IOERR_DATA,
    }
)


def is_disk_error(error: Exception) -> bool:
    """Whether the disk is at fault, which may get better; else the file is, which does not."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _DISK_CODES and code not in _DAMAGE_CODES


def sound_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """Those from the front to the first fault, those from the back to the last one, and what the pages between hold."""
    front = 0
    back: int | None = None
    for order in ("ASC", "DESC"):
        with suppress(*FAULTS), closing(sqlite3.connect(path)) as db:
            db.text_factory = as_text
            for row in db.execute(f"SELECT * FROM message ORDER BY id {order}"):  # noqa: S608 - one of two words
                if row[0] <= front or (back is not None and row[0] >= back):
                    break
                if order == "ASC":
                    front = row[0]
                else:
                    back = row[0]
                if is_sound(row):
                    yield row
    with suppress(OSError):
        for row in carved_rows(path):
            if front < row[0] < (back or MAX_ID) and is_sound(row):
                yield row


def readable_states(path: Path) -> list[tuple[str, str]]:
    """Keys and texts of state, to the first fault."""
    states: list[tuple[str, str]] = []
    with suppress(*FAULTS), closing(sqlite3.connect(path)) as db:
        for key, value in db.execute("SELECT key, value FROM state"):
            if isinstance(key, str) and isinstance(value, str):
                states.append((key, value))
    return states
