"""Files that only their owner can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmp_console import app, settings
from sgmp_console.files import private_opener, write_atomic
from sgmp_console.settings import Profile, WindowSettings
from sgmp_console.ui.window import crashes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permission bits of POSIX")


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A computer on which new files can be read and written by all."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}


def test_a_file_that_was_open_to_others_is_closed_when_it_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "console.log"
    file.write_text("from an older version\n")
    with open(file, "a", opener=private_opener) as opened:
        opened.write("now\n")
    assert modes(tmp_path) == {"console.log": "0o600"}
    assert file.read_text() == "from an older version\nnow\n"


def test_a_replaced_file_is_private_unless_another_mode_is_wanted(tmp_path: Path) -> None:
    write_atomic(tmp_path / "private", b"")
    write_atomic(tmp_path / "public", b"", mode=0o644)
    assert modes(tmp_path) == {"private": "0o600", "public": "0o644"}


def test_all_that_the_window_writes_by_itself_is_private(tmp_path: Path) -> None:
    (tmp_path / crashes.FILE_NAME).write_text("Fatal Python error: Segmentation fault\n")
    with app.logging_to(tmp_path), crashes.recording(tmp_path):
        crashes.take_report(tmp_path)
    settings.save_window(tmp_path, WindowSettings())
    settings.save_profiles(tmp_path, [Profile("Pilot", "postgresql://db.example.org/sgmp")])
    written = modes(tmp_path)
    assert {
        "console.log",
        "crash.log",
        "crash.previous.log",
        "window.toml",
        "profiles.toml",
    } == written.keys()
    assert set(written.values()) == {"0o600"}
