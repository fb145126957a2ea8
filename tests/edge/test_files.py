"""Files of a home: never half-written, never for others' eyes, and one daemon to a home even on a bad disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgmp_edge.files import LockHeld, lock, move_aside, replace_file, set_aside
from sgmp_edge.home import keep_secrets_private
from tests.edge.small_disk import fill


def test_a_file_is_replaced_whole_and_readable_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    file.write_bytes(b"old")
    file.chmod(0o644)
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["devices.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    file = small_disk / "devices.json"
    replace_file(file, b"old")
    filler = fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        replace_file(file, b"x" * 5000)
    assert file.read_bytes() == b"old"
    assert sorted(small_disk.iterdir()) == [file, filler]


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    with lock(tmp_path / ".lock"), pytest.raises(LockHeld, match=str(os.getpid())):
        lock(tmp_path / ".lock")
    lock(tmp_path / ".lock").close()


def test_a_full_disk_keeps_nobody_from_holding_the_lock(small_disk: Path) -> None:
    lock(small_disk / ".lock").close()
    (small_disk / ".lock").write_bytes(b"")
    fill(small_disk)
    with lock(small_disk / ".lock"), pytest.raises(LockHeld):
        lock(small_disk / ".lock")


def test_a_disk_that_became_read_only_keeps_nobody_from_holding_the_lock(small_disk: Path) -> None:
    lock(small_disk / ".lock").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with lock(small_disk / ".lock"), pytest.raises(LockHeld):
        lock(small_disk / ".lock")


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    script = "import os, pathlib, sys; from sgmp_edge.files import lock; lock(pathlib.Path(sys.argv[1])); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script, str(file)], check=False).returncode == 9
    lock(file).close()


def test_what_is_set_aside_never_takes_the_place_of_what_was_before(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    for number in range(1, 13):
        file.write_text(str(number))
        assert move_aside(file, "sgmp_house_3").name == f"devices.sgmp_house_3-{number}.json"
    assert [path.read_text() for _, path in set_aside(file, "sgmp_house_3")] == [str(n) for n in range(1, 13)]


@pytest.mark.expected_warnings("could be read by other users")
def test_credentials_and_devices_that_were_copied_open_to_others_are_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, mode in (("credentials.json", 0o644), ("devices.json", 0o660), ("config.py", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    keep_secrets_private(tmp_path)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "credentials.json": 0o600,
        "devices.json": 0o600,
        "config.py": 0o644,
    }
    assert [record.message.count("could be read") for record in caplog.records] == [1, 1]
    keep_secrets_private(tmp_path)
    assert len(caplog.records) == 2
