"""What a second start of the demo finds: an operator's changes, moved simulators, damaged files."""

from __future__ import annotations

import json
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sgmp_console.fleet import accounts, devices
from sgmp_console.store import Database, Device, audit, config_versions, houses, sign_in
from sgmp_console.store import devices as stored_devices
from tests.demo.conftest import RunningDemo
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="reads the supervisor's lines by select()"),
]

NEW_PASSWORD = "Plum-Tree-42"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Of a demo that has run once."""
    folder = Path(tempfile.mkdtemp(prefix="sgmp-demo-"))
    folder.chmod(0o711)
    with running(folder):
        pass
    yield folder
    shutil.rmtree(folder)


@contextmanager
def running(folder: Path) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, "--history-days", "0", "--poll", "1")
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        demo.stop()


@contextmanager
def owner(demo: RunningDemo) -> Iterator[Database]:
    password = (demo.folder / "database" / "owner_password").read_text("ascii")
    address = demo.ready["profile"]["database_url"]
    database = Database.connect(address, user="sgmp", password=password)
    try:
        yield database
    finally:
        database.dispose()


def texts(demo: RunningDemo) -> str:
    return "\n".join(line["text"] for line in demo.lines if "text" in line)


def device(database: Database, house_name: str, name: str) -> Device:
    with database.begin() as connection:
        house = houses.by_name(connection, house_name)
        return next(one for one in stored_devices.list_all(connection, house.house_id) if one.name == name)


def versions(database: Database, house_name: str) -> int:
    with database.begin() as connection:
        return len(config_versions.list_all(connection, houses.by_name(connection, house_name).house_id))


def was_published_a_while_ago(database: Database) -> bool:
    with database.begin() as connection:
        newest_ms = max(
            version.published_ms or 0
            for house in houses.list_all(connection)
            for version in config_versions.list_all(connection, house.house_id)
        )
    return time.time() * 1000 > newest_ms + 2_000


def test_what_an_operator_changed_stays_and_is_not_sent(folder: Path) -> None:
    with running(folder) as demo, owner(demo) as database:
        before = versions(database, "Maple House")
        meter = device(database, "Maple House", "egauge")
        devices.update(database, replace(meter, config={**meter.config, "ip": "192.0.2.7"}))
    with running(folder) as demo, owner(demo) as database:
        changed = device(database, "Maple House", "egauge")
        assert changed.config["ip"] == "192.0.2.7"
        assert versions(database, "Maple House") == before
        devices.update(database, replace(changed, config=meter.config))


def test_a_start_that_changes_nothing_is_not_in_the_audit(folder: Path) -> None:
    with running(folder) as demo, owner(demo) as database:
        # What was published in the last second before a stop is published again: it may not be in the broker's store.
        wait_until(lambda: was_published_a_while_ago(database))
    with running(folder) as demo, owner(demo) as database, database.begin() as connection:
        before = audit.read(connection, limit=1)[0].entry_id
    with running(folder) as demo, owner(demo) as database, database.begin() as connection:
        assert [entry.act for entry in audit.read(connection) if entry.entry_id > before] == []


def test_devices_follow_simulators_that_moved_and_this_is_said(folder: Path) -> None:
    state = json.loads((folder / "demo.json").read_text("utf-8"))
    state["ports"]["harbor.sonnen"] = "wrong"
    del state["ports"]["harbor.egauge"]
    state["ports"]["maple.egauge"] = 99_999
    (folder / "demo.json").write_text(json.dumps(state), "utf-8")
    with running(folder) as demo, owner(demo) as database:
        ports = json.loads((folder / "demo.json").read_text("utf-8"))["ports"]
        assert (
            device(database, "Harbor House", "sonnen").config["ip"] == f"127.0.0.1:{ports['harbor.sonnen']}"
        )
        assert "The devices of Harbor House are at other ports than before: egauge, sonnen" in texts(demo)


def test_a_damaged_store_of_the_broker_is_kept_beside(folder: Path) -> None:
    (folder / "broker" / "data" / "mosquitto.db").write_bytes(b"no store at all" * 100)
    with running(folder) as demo:
        assert "store was damaged" in texts(demo)
    assert (folder / "broker" / "data" / "mosquitto.db.damaged").exists()


def test_a_device_of_an_unknown_type_keeps_nothing_else_from_starting(folder: Path) -> None:
    with running(folder) as demo, owner(demo) as database, database.begin() as connection:
        house_id = houses.by_name(connection, "Maple House").house_id
        made = stored_devices.create(connection, house_id, "pump", "heatpump", {"ip": "192.0.2.9"})
    with running(folder) as demo, owner(demo) as database, database.begin() as connection:
        stored_devices.delete(connection, made.device_id)


def is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return False


def test_what_is_finished_is_no_zombie_and_private_files_are_private(folder: Path) -> None:
    with running(folder) as demo:
        stack = psutil.Process(demo.process.pid)
        # What ends just now is a zombie until the demo looks at it.
        wait_until(lambda: not any(is_zombie(child) for child in stack.children()))
        for file in (*folder.glob("logs/*"), *folder.glob("progress/*")):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_changed_password_is_not_given_out_as_the_way_in(folder: Path) -> None:
    with running(folder) as demo:
        ready = demo.ready
        database, account = sign_in(
            ready["profile"]["database_url"],
            ready["profile"]["deployment"],
            ready["email"],
            ready["password"],
        )
        accounts.change_own_password(database, account.email, ready["password"], NEW_PASSWORD)
        database.dispose()
    with running(folder) as demo:
        assert demo.ready["password"] == ""
