"""Files that must never be half-written, and a folder that only one process may use."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO


def free_mb(folder: Path) -> int | None:
    """What is free on the disk of a folder, in MB (10^6 bytes); None where that can't be asked."""
    try:
        return shutil.disk_usage(folder).free // 1_000_000
    except OSError:
        return None


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file so that at any moment, power cuts included, either the old or the new content is there.

    Write beside it, fsync, rename, fsync the folder. The new one is for its owner's eyes only. Raises OSError; then
    the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if os.name == "posix" and os.geteuid() == 0:
                # Set up with sudo for the edge's own user: what lies in its folder is for it.
                owner = path.parent.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


COMPANIONS = ("", "-wal", "-shm")
"""What SQLite adds to the name of a database's file; other files have none of the latter two."""


def move_aside(path: Path, name: str) -> Path:
    """Rename a file to `<stem>.<name>-<number><suffix>`, with a database's journal; the new path.

    The number is one more than that of any such file, not the time: the clock of a Pi that boots without a network may
    be years behind. Nothing is ever replaced. Raises OSError.
    """
    numbers = [number for number, _ in set_aside(path, name)]
    target = beside(path, name, max(numbers, default=0) + 1)
    rename(path, target)
    return target


def set_aside(path: Path, name: str) -> list[tuple[int, Path]]:
    """Files that were set aside under a name, in order of their numbers."""
    found = []
    for file in path.parent.glob(f"{path.stem}.{name}-*{path.suffix}"):
        number = file.name.removeprefix(f"{path.stem}.{name}-").removesuffix(path.suffix)
        if number.isdecimal():
            found.append((int(number), file))
    return sorted(found)


def beside(path: Path, name: str, number: int) -> Path:
    return path.with_name(f"{path.stem}.{name}-{number}{path.suffix}")


def rename(source: Path, target: Path) -> None:
    """With a database's journal; SQLite makes the index of the journal again. Raises OSError."""
    for suffix in ("-wal", ""):
        file = source.with_name(source.name + suffix)
        if file.exists():
            file.rename(target.with_name(target.name + suffix))
    source.with_name(source.name + "-shm").unlink(missing_ok=True)


class LockHeld(Exception):
    """Another process holds the lock; `str(error)` is its process id, where known."""


def lock(path: Path) -> IO[bytes]:
    """Lock a file for as long as the process lives, or until the returned file is closed.

    A full disk, or one that has become read-only since the file was made, does not matter. Raises LockHeld, or OSError.
    """
    try:
        file = path.open("ab+", buffering=0)
    except OSError:
        if not path.exists():
            raise
        file = path.open("rb", buffering=0)
    try:
        _lock_exclusively(file)
    except OSError:
        file.seek(0)
        holder = file.read(20).decode("ascii", "replace").strip()
        file.close()
        raise LockHeld(holder) from None
    with suppress(OSError):  # it only answers the question who holds it
        file.truncate(0)
        file.write(str(os.getpid()).encode())
    return file


def _lock_exclusively(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1024)  # Windows hides what is locked, and the process id is to be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
