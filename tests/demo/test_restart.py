"""What a second start of the demo finds: an operator's changes, moved simulators, damaged files."""

from __future__ import annotations

import json
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Before:
    """What there was when the first run ended."""

    versions: int
    """Of Maple House's configuration."""
    newest_entry: int
    """Of the audit."""


@pytest.fixture(scope="module")
def before(folder: Path) -> Before:
    """The first run, in which an operator changed what a demo brings, and synchronized nothing."""
    with running(folder) as demo, owner(demo) as database:
        meter = device(database, "Maple House", "egauge")
        devices.update(database, replace(meter, config={**meter.config, "ip": "192.0.2.7"}))
        with database.begin() as connection:
            stored_devices.create(connection, meter.house_id, "pump", "heatpump", {"ip": "192.0.2.9"})
        ready = demo.ready
        own, account = sign_in(
            ready["profile"]["database_url"],
            ready["profile"]["deployment"],
            ready["email"],
            ready["password"],
        )
        accounts.change_own_password(own, account.email, ready["password"], NEW_PASSWORD)
        own.dispose()
        # What was published in the last second before a stop is published again: it may not be in the broker's store.
        wait_until(lambda: was_published_a_while_ago(database))
        with database.begin() as connection:
            newest = audit.read(connection, limit=1)[0].entry_id
        return Before(versions(database, "Maple House"), newest)


@pytest.fixture(scope="module")
def again(folder: Path, before: Before) -> Iterator[RunningDemo]:
    """The second run."""
    with running(folder) as demo:
        yield demo


@pytest.fixture(scope="module")
def damaged(folder: Path, again: RunningDemo) -> Iterator[RunningDemo]:
    """The third run: simulators moved, and the broker's store is damaged."""
    again.stop()
    state = json.loads((folder / "demo.json").read_text("utf-8"))
    state["ports"]["harbor.sonnen"] = "wrong"
    del state["ports"]["harbor.egauge"]
    state["ports"]["maple.egauge"] = 99_999
    (folder / "demo.json").write_text(json.dumps(state), "utf-8")
    (folder / "broker" / "data" / "mosquitto.db").write_bytes(b"no store at all" * 100)
    with running(folder) as demo:
        yield demo


def test_what_an_operator_changed_stays_and_is_not_sent(again: RunningDemo, before: Before) -> None:
    with owner(again) as database:
        assert device(database, "Maple House", "egauge").config["ip"] == "192.0.2.7"
        assert versions(database, "Maple House") == before.versions


def test_a_start_that_changes_nothing_is_not_in_the_audit(again: RunningDemo, before: Before) -> None:
    with owner(again) as database, database.begin() as connection:
        assert [entry.act for entry in audit.read(connection) if entry.entry_id > before.newest_entry] == []


def test_a_device_of_an_unknown_type_keeps_nothing_else_from_starting(again: RunningDemo) -> None:
    with owner(again) as database:
        assert device(database, "Maple House", "pump").type == "heatpump"


def test_a_changed_password_is_not_given_out_as_the_way_in(again: RunningDemo) -> None:
    assert again.ready["password"] == ""


def is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return False


def test_what_is_finished_is_no_zombie(again: RunningDemo) -> None:
    stack = psutil.Process(again.process.pid)
    # What ends just now is a zombie until the demo looks at it.
    wait_until(lambda: not any(is_zombie(child) for child in stack.children()))


def test_private_files_are_private(again: RunningDemo) -> None:
    for file in (*again.folder.glob("logs/*"), *again.folder.glob("progress/*")):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_devices_follow_simulators_that_moved_and_this_is_said(damaged: RunningDemo) -> None:
    ports = json.loads((damaged.folder / "demo.json").read_text("utf-8"))["ports"]
    with owner(damaged) as database:
        ip = device(database, "Harbor House", "sonnen").config["ip"]
    assert ip == f"127.0.0.1:{ports['harbor.sonnen']}"
    assert "The devices of Harbor House are at other ports than before: egauge, sonnen" in texts(damaged)


def test_a_damaged_store_of_the_broker_is_kept_beside(damaged: RunningDemo) -> None:
    assert "store was damaged" in texts(damaged)
    assert (damaged.folder / "broker" / "data" / "mosquitto.db.damaged").exists()
