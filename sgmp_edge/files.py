"""Files that must never be half-written, and a folder that only one process may use."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO


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


class Held(Exception):
    """Another process holds the lock; `str(error)` is its process id, where known."""


def hold(path: Path) -> IO[bytes]:
    """Lock a file for as long as the process lives, or until the returned file is closed.

    A full disk, or one that has become read-only since the file was made, is no obstacle. Raises Held, or OSError.
    """
    try:
        file = path.open("ab+", buffering=0)
    except OSError:
        if not path.exists():
            raise
        file = path.open("rb", buffering=0)
    try:
        _lock(file)
    except OSError:
        file.seek(0)
        holder = file.read(20).decode("ascii", "replace").strip()
        file.close()
        raise Held(holder) from None
    with suppress(OSError):  # only for whoever asks who holds it
        file.truncate(0)
        file.write(str(os.getpid()).encode())
    return file


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1024)  # Windows hides what is locked, and the process id is to be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
