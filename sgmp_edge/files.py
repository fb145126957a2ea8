"""Files that must never be half-written, and a folder that only one process may use."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import IO


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file so that at any moment, power cuts included, either the old or the new content is there.

    Write beside it, fsync, rename, fsync the folder. Raises OSError; then the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.chmod(name, mode)
            if os.name == "posix" and os.geteuid() == 0:
                # Set up with sudo for the edge's own user: what lies in its folder is for it.
                owner = path.parent.stat()
                os.chown(name, owner.st_uid, owner.st_gid)
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


def hold(path: Path) -> IO[str]:
    """Lock a file for as long as the process lives, or until the returned file is closed. Raises Held."""
    file = path.open("a+", encoding="ascii")
    try:
        _lock(file)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise Held(holder) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1024)  # Windows hides what is locked, and the process id is to be read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
