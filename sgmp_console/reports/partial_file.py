"""A file that grows part by part and may be cut off at any time: it goes on where its last whole part ended.

Beside `name` stand `name.part`, to which parts are appended, and `name.part.json`, which says how far it is whole. The
second is written after the first has reached the disk, so after a power cut, too, it names no byte that is not there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from sgmp_console.errors import UserError
from sgmp_console.files import write_atomic

_CHECKPOINT_S = 2.0
"""Seconds between two notes of how far it is: so much is written again after it was cut off."""


class OtherFile(UserError):
    """What is there is a part of something else, or somebody writes it now; the sentence says which."""


@dataclass(frozen=True)
class Progress:
    """How far a file is whole. `request`: what it is about; a file goes on only for an equal one. `plan`: what was
    decided when it began, and holds to its end. `next_ms`: where the next part begins. `offset`: bytes that are whole.
    """

    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    next_ms: int
    offset: int = 0
    rows: int = 0


class PartialFile:
    """Made by `opened`. `progress` is that of before, where it goes on."""

    def __init__(self, file: Path, stream: BinaryIO, progress: Progress) -> None:
        self.stream = stream
        self.progress = progress
        self._file = file
        self._noted_at = time.monotonic()

    def append(self, part: bytes, rows: int, next_ms: int) -> None:
        """Raises OSError."""
        self.stream.write(part)
        before = self.progress
        self.progress = replace(
            before, offset=before.offset + len(part), rows=before.rows + rows, next_ms=next_ms
        )
        if time.monotonic() - self._noted_at > _CHECKPOINT_S:
            self.note()

    def note(self) -> None:
        """Put what is written on the disk, and then how far that is. Raises OSError."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        write_atomic(_progress_file(self._file), json.dumps(asdict(self.progress)).encode())
        self._noted_at = time.monotonic()

    def finish(self) -> None:
        """What was appended becomes the file. Raises OSError."""
        self.note()
        part = _part_file(self._file)
        part.chmod(0o644)
        part.replace(self._file)
        self.discard()

    def discard(self) -> None:
        """The parts are no longer needed."""
        for left in (_part_file(self._file), _progress_file(self._file)):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(file: Path, beginning: Progress, *, again: bool) -> Iterator[PartialFile]:
    """`beginning`: the progress of a file that begins now. `again`: begin even where it could go on.

    What was appended when the block raises stays, for another time. Raises OtherFile, OSError.
    """
    if not file.parent.is_dir():  # the lock would make it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    lock = FileLock(file.with_name(f"{file.name}.part.lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise OtherFile(f"Another process is writing {file} now.") from None
    try:
        progress = beginning if again else _known(file, beginning)
        if not progress.offset:
            _progress_file(file).unlink(missing_ok=True)  # of other parts than those that come now
        with open(_part_file(file), "r+b" if progress.offset else "w+b") as stream:
            stream.truncate(progress.offset)
            stream.seek(progress.offset)
            partial = PartialFile(file, stream, progress)
            try:
                yield partial
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.note()
                raise
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()


def _known(file: Path, beginning: Progress) -> Progress:
    """The progress of before, where there is one that can be gone on from. Raises OtherFile."""
    try:
        known = Progress(**json.loads(_progress_file(file).read_bytes()))
        size = _part_file(file).stat().st_size
    except (FileNotFoundError, ValueError, TypeError):
        return beginning
    if known.request != beginning.request:
        raise OtherFile(
            f"{_part_file(file)} is a part of another export. Give another name, or --force to begin again."
        )
    return known if size >= known.offset > 0 else beginning


def _part_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _progress_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.part.json")
