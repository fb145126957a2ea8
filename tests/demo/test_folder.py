"""The demo's data folder: one demo at a time, and nothing of anybody else's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmp_console.demo.folder import (
    LOOPBACK,
    DemoFolder,
    DemoState,
    FolderInUse,
    FolderRefused,
    choose_ports,
)


@pytest.fixture
def place() -> Iterator[Path]:
    # Not pytest's: as root, that one is closed to the ordinary user whom the servers run as.
    folder = Path(tempfile.mkdtemp(prefix="sgmp-demo-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_what_a_demo_chose_stays(place: Path) -> None:
    folder = DemoFolder(place / "data")
    with folder.locked() as first:
        first.ports["database"] = 4711
        folder.save(first)
    with folder.locked() as second:
        assert second == first


def test_a_reset_begins_anew(place: Path) -> None:
    folder = DemoFolder(place / "data")
    with folder.locked() as first:
        (folder.path / "database").mkdir()
        (folder.path / "database" / "file").touch()
    with folder.locked(reset=True) as second:
        assert second.admin_password != first.admin_password
        assert not (folder.path / "database").exists()


def test_two_demos_can_not_share_a_folder(place: Path) -> None:
    with DemoFolder(place / "data").locked():
        code = (
            "import sys; from pathlib import Path; from sgmp_console.demo.folder import *;"
            "sys.exit(0) if not DemoFolder(Path(sys.argv[1])).locked().__enter__() else None"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, str(place / "data")], capture_output=True, text=True, check=False
        )
    assert "FolderInUse: Another demo is running" in result.stderr
    with DemoFolder(place / "data").locked():
        pass


def test_a_folder_of_somebody_elses_files_is_left_alone(place: Path) -> None:
    (place / "thesis.txt").write_text("years of work")
    for reset in (False, True):
        with pytest.raises(FolderRefused, match="no demo"), DemoFolder(place).locked(reset=reset):
            pass
    assert (place / "thesis.txt").read_text() == "years of work"


def test_a_first_start_that_was_cut_off_is_no_obstacle(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "lock").touch()
    with DemoFolder(place / "data").locked() as state:
        assert state.admin_password


def test_a_damaged_state_is_said(place: Path) -> None:
    (place / "demo.json").write_text("{")
    with pytest.raises(FolderRefused, match="--reset"), DemoFolder(place).locked():
        pass
    with DemoFolder(place).locked(reset=True):
        assert json.loads((place / "demo.json").read_text())["deployment"] == "demo"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_the_password_is_for_the_owner_only(place: Path) -> None:
    folder = DemoFolder(place / "data")
    with folder.locked() as state:
        assert state.admin_password not in repr(state)
    assert stat.S_IMODE((folder.path / "demo.json").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="concerns root")
def test_root_is_told_when_its_servers_could_not_reach_the_folder(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    with pytest.raises(FolderRefused, match="get through"), DemoFolder(place / "closed" / "data").locked():
        pass


def test_ports_are_kept_unless_taken() -> None:
    state = DemoState()
    choose_ports(state, ["database", "broker"])
    first = dict(state.ports)
    assert len(set(first.values())) == 2
    choose_ports(state, ["database", "broker"])
    assert state.ports == first
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, first["database"]))
        squatter.listen()
        choose_ports(state, ["database", "broker"])
    assert state.ports["database"] != first["database"]
    assert state.ports["broker"] == first["broker"]


def test_in_use_is_a_sentence(place: Path) -> None:
    assert str(FolderInUse(place)).endswith("start this one elsewhere with --data.")
