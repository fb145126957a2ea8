"""What a power cut leaves of SQLite's files: everything that was synced, and any part of what was not.

Inside the edge, `watch` puts hooks into the methods of SQLite's own files: each write and truncation is noted, with
what was there before, until the file is synced. After the process was killed, `cut_power` makes of each noted write
whatever a disk may have made of it: all, nothing, or some of its sectors.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.edge.chaos.page import DISK, DISK_CALLS_LEFT, DISK_FULL, DISK_SYNC_FAILS, DISK_WRITE_FAILS

SECTOR = 512
_OK, _FULL, _IOERR_WRITE, _IOERR_FSYNC = 0, 13, 778, 1034
_LARGEST_LOG = 1_000_000

_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs` up to what is changed here."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _POINTER),
        ("truncate", _POINTER),
        ("sync", _POINTER),
        ("others", _POINTER * 13),
    )


def available() -> bool:
    """Whether Python's SQLite is a library that can be reached from here."""
    return _library() is not None


def _library() -> ctypes.CDLL | None:
    sqlite3.connect(":memory:").close()
    try:
        lines = Path("/proc/self/maps").read_text("utf-8").splitlines()
    except OSError:
        return None
    # Databases that this process has open are mapped, too.
    mapped = dict.fromkeys(line.split()[-1] for line in lines)
    for name in mapped:
        if Path(name).name.startswith("libsqlite3"):
            library = ctypes.CDLL(name)
            if hasattr(library, "sqlite3_vfs_find"):
                return library
    return None


class Watch:
    """Keeps the hooks alive; one per process."""

    def __init__(self, log: Path, page: memoryview) -> None:
        library = _library()
        assert library is not None
        self._page = page
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._paths: dict[int, str] = {}
        self._readers: dict[str, int] = {}
        self._unsynced: set[str] = set()
        self._methods: dict[int, tuple[_Methods, _Methods]] = {}
        self._hooks: list[Any] = []
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = library.sqlite3_vfs_find(None).contents
        self._original_open = _OPEN(vfs.open)
        hook = _OPEN(self._open)
        self._hooks.append(hook)
        vfs.open = ctypes.cast(hook, _POINTER).value

    def _open(self, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        result: int = self._original_open(vfs, name, file, flags, out)
        if result == _OK and name:
            path = ctypes.string_at(name).decode()
            self._paths[file] = path
            # Never closed: that would take SQLite's locks on the file away with it.
            self._readers[path] = os.open(path, os.O_RDONLY)
            self._hook(file)
        return result

    def _hook(self, file: int) -> None:
        slot = _POINTER.from_address(file)
        original = slot.value
        assert original is not None
        if original not in self._methods:
            methods = _Methods.from_address(original)
            changed = _Methods()
            ctypes.memmove(ctypes.byref(changed), original, ctypes.sizeof(_Methods))
            for field, kind, hook in (
                ("write", _WRITE, self._write),
                ("truncate", _TRUNCATE, self._truncate),
                ("sync", _SYNC, self._sync),
            ):
                made = kind(self._hooked(hook, kind(getattr(methods, field))))
                self._hooks.append(made)
                setattr(changed, field, ctypes.cast(made, _POINTER).value)
            self._methods[original] = (methods, changed)
        slot.value = ctypes.addressof(self._methods[original][1])

    @staticmethod
    def _hooked(hook: Callable[..., int], original: Any) -> Callable[..., int]:
        return lambda *arguments: hook(original, *arguments)

    def _write(self, original: Any, file: int, buffer: int, count: int, offset: int) -> int:
        path = self._paths[file]
        reader = self._readers[path]
        size = os.fstat(reader).st_size
        disk = self._page[DISK]
        if disk == DISK_WRITE_FAILS:
            return _IOERR_WRITE
        if disk == DISK_FULL and offset + count > size:
            return _FULL
        self._note(
            "write", path, size, offset, os.pread(reader, count, offset), ctypes.string_at(buffer, count)
        )
        result: int = original(file, buffer, count, offset)
        self._perhaps_die()
        return result

    def _truncate(self, original: Any, file: int, length: int) -> int:
        path = self._paths[file]
        reader = self._readers[path]
        size = os.fstat(reader).st_size
        self._note("truncate", path, size, length, os.pread(reader, max(size - length, 0), length), b"")
        result: int = original(file, length)
        return result

    def _sync(self, original: Any, file: int, flags: int) -> int:
        if self._page[DISK] in (DISK_SYNC_FAILS, DISK_WRITE_FAILS):
            return _IOERR_FSYNC
        self._perhaps_die()
        result: int = original(file, flags)
        if result == _OK:
            path = self._paths[file]
            self._note("sync", path, 0, 0, b"", b"")
            self._unsynced.discard(path)
            if not self._unsynced and os.fstat(self._log).st_size > _LARGEST_LOG:
                os.ftruncate(self._log, 0)
        return result

    def _perhaps_die(self) -> None:
        """Between a write and its sync, which no line of Python is."""
        if self._page[DISK_CALLS_LEFT]:
            self._page[DISK_CALLS_LEFT] -= 1
            if not self._page[DISK_CALLS_LEFT]:
                os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, kind: str, path: str, size: int, offset: int, old: bytes, new: bytes) -> None:
        self._unsynced.add(path)
        record = marshal.dumps((kind, path, size, offset, old, new))
        os.write(self._log, len(record).to_bytes(4, "big") + record)


def cut_power(log: Path, chance: random.Random) -> int:
    """Undo what was not synced, or some of it; only after the process has ended. Returns how many writes were lost."""
    pending: dict[str, list[tuple[str, str, int, int, bytes, bytes]]] = {}
    content = log.read_bytes() if log.exists() else b""
    place = 0
    while place + 4 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if place + 4 + length > len(content):
            break  # killed while it was noted, hence before it was written
        record = marshal.loads(content[place + 4 : place + 4 + length])
        place += 4 + length
        if record[0] == "sync":
            pending.pop(record[1], None)
        else:
            pending.setdefault(record[1], []).append(record)
    log.unlink(missing_ok=True)
    return sum(_lose(Path(path), records, chance) for path, records in pending.items())


def _lose(path: Path, records: list[tuple[str, str, int, int, bytes, bytes]], chance: random.Random) -> int:
    if not path.exists():
        return 0  # SQLite removes a journal only after all in it is safe elsewhere
    lost = 0
    with path.open("r+b") as file:
        for _, _, size, offset, old, _ in reversed(records):
            file.seek(offset)
            file.write(old)
            file.truncate(size)
        everything_lost = chance.random() < 0.5
        for kind, _, _, offset, _, new in records:
            fate = 0.0 if everything_lost else chance.random()
            if fate < 0.6:
                lost += 1
            elif kind == "truncate":
                file.truncate(offset)
            else:
                kept = len(new) if fate > 0.75 else chance.randrange(len(new) // SECTOR + 1) * SECTOR
                file.seek(offset)
                file.write(new[:kept])
    return lost
