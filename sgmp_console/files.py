"""Writing files so that a power cut or a full disk leaves the old one, and so that others can't read them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def private_opener(path: str, flags: int) -> int:
    """For `open`: nobody but the owner reads the file, whatever the umask and its former mode. Raises OSError."""
    descriptor = os.open(path, flags, 0o600)
    try:
        os.chmod(path, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_atomic(file: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file whole or not at all; `mode` holds from the first byte, whatever the umask. Raises OSError."""
    with opened_atomic(file, mode=mode) as opened:
        opened.write(data)


@contextlib.contextmanager
def opened_atomic(file: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """What is written in the block replaces the file at its end, or nothing does if the block raises. Raises OSError,
    also for what is not an ordinary file: a device would be replaced by one."""
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is not an ordinary file")
    # One name, so that what a killed process left is used again and not added to.
    temporary = file.with_name(f"{file.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w+b") as opened:
            temporary.chmod(mode)
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
