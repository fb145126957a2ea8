"""Writing files so that a power cut or a full disk leaves the old one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_atomic(file: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file whole or not at all; `mode` holds from the first byte. Raises OSError, and leaves nothing behind."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    temporary = Path(name)
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
