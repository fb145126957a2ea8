"""Writing files so that a power cut or a full disk leaves the old one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_atomic(file: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file whole or not at all; `mode` holds from the first byte, whatever the umask. Raises OSError."""
    # One name, so that what a killed process left is used again and not added to.
    temporary = file.with_name(f"{file.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as opened:
            temporary.chmod(mode)
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
