"""What Python's stacks were when the process died inside Qt or another library: kept until the next start."""

from __future__ import annotations

import faulthandler
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import PySide6

from sgmp_console.files import private_opener, write_atomic

log = logging.getLogger(__name__)

FILE_NAME = "crash.log"
KEPT_FILE_NAME = "crash.previous.log"
"""The last crash, so that its text can still be found after it was offered."""

_MAX_CHARACTERS = 100_000
"""Of a report: the stacks of some twenty threads take about 10,000."""


@contextmanager
def recording(folder: Path) -> Iterator[None]:
    """Write the stacks of all threads to `folder` should the process die of a signal such as SIGSEGV or SIGABRT.

    Appends, since several windows may be open; nothing is written while all is well.
    """
    with open(folder / FILE_NAME, "a", encoding="utf-8", opener=private_opener) as file:
        faulthandler.enable(file, all_threads=True)
        try:
            yield
        finally:
            faulthandler.disable()


def take_report(folder: Path) -> str:
    """The report of a crash since the last call, with versions and time; empty where there was none."""
    file = folder / FILE_NAME
    try:
        stacks = file.read_text("utf-8", errors="replace")[-_MAX_CHARACTERS:]
        if not stacks.strip():
            return ""
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        report = (
            f"SGMP {version('sgmp')}, Python {platform.python_version()}, PySide {PySide6.__version__}, "
            f"{platform.platform()}\nEnded {at:%Y-%m-%d %H:%M:%S} UTC\n\n{stacks}"
        )
        write_atomic(folder / KEPT_FILE_NAME, report.encode("utf-8"))
        # Emptied, not replaced: another window may have it open.
        file.write_text("", "utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        log.warning("the report of a crash can't be read: %s", error)
        return ""
    return report
