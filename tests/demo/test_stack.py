"""One run of the demo after the other, from its start to a supervisor that is killed."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo.houses import DEMO_HOUSES, DEVICE_TYPES
from sgmp_console.fleet import sync
from sgmp_console.store import Account, Database, devices, houses, readings, sign_in
from tests.demo.conftest import RunningDemo
from tests.waiting import wait_until

DAY_MS = 86_400_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="reads the supervisor's lines by select()"),
]


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, "--history-days", "1", "--poll", "1")
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        demo.stop()


@pytest.fixture(scope="module")
def signed_in(demo: RunningDemo) -> Iterator[tuple[Database, Account]]:
    ready = demo.ready
    profile = ready["profile"]
    database, account = sign_in(
        profile["database_url"], profile["deployment"], ready["email"], ready["password"]
    )
    yield database, account
    database.dispose()


def _newest(database: Database, house_id: int) -> dict[str, int]:
    """Of each device of a house, the newest reading's time."""
    newest: dict[str, int] = {}
    with database.begin() as connection:
        for (device, _), (time_ms, _) in readings.latest(connection, house_id).items():
            newest[device] = max(newest.get(device, 0), time_ms)
    return newest


def test_it_tells_its_stages_and_then_how_to_sign_in(demo: RunningDemo) -> None:
    stages = [line["stage"] for line in demo.lines if "stage" in line]
    assert list(dict.fromkeys(stages)) == ["houses", "broker", "database", "seed", "edges", "history"]
    assert all(line["text"] and "fraction" in line for line in demo.lines if "stage" in line)
    assert set(demo.ready) == {"profile", "email", "password"}


def test_the_administrator_finds_both_houses(signed_in: tuple[Database, Account]) -> None:
    database, account = signed_in
    assert account.role == "admin"
    assert not account.must_change_password
    with database.begin() as connection:
        found = {house.name: house.time_zone for house in houses.list_all(connection)}
        assert found == {house.name: house.zone for house in DEMO_HOUSES}
        for house in houses.list_all(connection):
            assert {d.type for d in devices.list_all(connection, house.house_id)} == set(DEVICE_TYPES)


def test_all_devices_of_both_houses_become_live(signed_in: tuple[Database, Account]) -> None:
    database, _ = signed_in
    since_ms = int(time.time() * 1000)
    with database.begin() as connection:
        ids = [house.house_id for house in houses.list_all(connection)]

    def all_live() -> bool:
        return all(
            newest.keys() >= set(DEVICE_TYPES) and min(newest.values()) > since_ms
            for newest in (_newest(database, house_id) for house_id in ids)
        )

    wait_until(all_live, every_s=0.2)


def test_the_edges_confirm_their_configuration(signed_in: tuple[Database, Account]) -> None:
    database, _ = signed_in

    def in_sync() -> bool:
        with database.begin() as connection:
            states = [sync.state(connection, house.house_id) for house in houses.list_all(connection)]
        return {state.outcome for state in states} == {sync.Outcome.IN_SYNC}

    wait_until(in_sync, every_s=0.2)


def test_the_last_day_has_no_gap_up_to_now(signed_in: tuple[Database, Account]) -> None:
    database, _ = signed_in
    now_ms = int(time.time() * 1000)
    with database.begin() as connection:
        house = houses.list_all(connection)[0]
        found = readings.read(connection, house.house_id, [("egauge", "A.Load")], now_ms - DAY_MS, now_ms)
    times = found["egauge", "A.Load"].timestamps
    assert times[0] - (now_ms - DAY_MS) < 120_000
    assert max(times[1:] - times[:-1]) <= 60_000
    assert now_ms - times[-1] < 10_000


def test_history_has_the_fields_of_live_readings(
    demo: RunningDemo, signed_in: tuple[Database, Account]
) -> None:
    # Every field that is live was loaded, too: nothing ends where the demo began.
    rows = demo.query(
        "SELECT s.house_id, d.name, s.field FROM sgmp.reading r JOIN sgmp.series s USING (series_id)"
        " JOIN sgmp.device d USING (device_id) WHERE r.ts > now() - interval '5 seconds' GROUP BY 1, 2, 3"
        " HAVING NOT EXISTS (SELECT FROM sgmp.reading o JOIN sgmp.series t USING (series_id)"
        " WHERE t.house_id = s.house_id AND t.field = s.field AND o.ts < now() - interval '12 hours')"
    )
    assert rows == []


def test_a_second_demo_is_kept_out_of_the_folder(demo: RunningDemo) -> None:
    second = RunningDemo(demo.folder)
    assert second.process.stdout is not None
    told = json.loads(second.process.stdout.readline())
    assert told["failed"].startswith("Another demo is running in ")
    assert second.stop() == 1


def test_no_secret_is_in_the_logs_or_on_a_command_line(demo: RunningDemo) -> None:
    secrets = {
        demo.ready["password"],
        (demo.folder / "database" / "owner_password").read_text("ascii"),
        *(
            line
            for key in demo.folder.glob("certificates/*.key")
            for line in key.read_text("ascii").splitlines()[1:-1]
        ),
    }
    told = [log.read_text("utf-8", "replace") for log in (demo.folder / "logs").iterdir()]
    told += [" ".join(child.cmdline()) for child in demo.children().values()]
    assert not [secret for secret in secrets if any(secret in text for text in told)]


def test_revoked_credentials_end_the_connection_and_the_next_start_brings_new_ones(demo: RunningDemo) -> None:
    # The second half is told by the restart below, after which both meters are live.
    house_id = json.loads((demo.folder / "demo.json").read_text())["house_ids"]["maple"]
    authority = LocalAuthority(demo.folder / "authority")
    (installed,) = authority.valid(f"demo_house_{house_id}")
    log = demo.folder / "logs" / "edge-maple.log"
    authority.revoke(installed)
    wait_until(lambda: "No connection to the broker" in log.read_text("utf-8"))
    since_s = time.time()
    wait_until(lambda: _meters_seen(demo, since_s) == 1, every_s=0.2)


@dataclass(frozen=True)
class Ended:
    """How the first run ended, and what it had stored."""

    exit_code: int
    took_s: float
    left: list[psutil.Process]
    oldest: datetime
    count: int


@pytest.fixture(scope="module")
def ended(demo: RunningDemo, signed_in: tuple[Database, Account]) -> Ended:
    signed_in[0].dispose()
    oldest, count = demo.query("SELECT min(ts), count(*) FROM sgmp.reading")[0]
    children = list(demo.children().values())
    began = time.monotonic()
    exit_code = demo.stop()
    took_s = time.monotonic() - began
    return Ended(exit_code, took_s, [child for child in children if child.is_running()], oldest, count)


@pytest.fixture(scope="module")
def again(folder: Path, ended: Ended) -> Iterator[RunningDemo]:
    """The second run. Meanwhile somebody else took a port: the meter is elsewhere now, and its edge must be told."""
    taken = json.loads((folder / "demo.json").read_text())["ports"]["maple.egauge"]
    with socket.create_server(("127.0.0.1", taken)):
        again = RunningDemo(folder, "--history-days", "1", "--poll", "1")
        try:
            again.wait_until_ready()
            yield again
        finally:
            again.stop()


def test_stopping_ends_everything_within_ten_seconds(ended: Ended) -> None:
    assert ended.exit_code == 0
    assert ended.took_s < 10
    assert not ended.left


def test_a_new_start_goes_on(demo: RunningDemo, ended: Ended, again: RunningDemo) -> None:
    ready_s = time.time()
    oldest, count = again.query("SELECT min(ts), count(*) FROM sgmp.reading")[0]
    assert oldest == ended.oldest
    assert count >= ended.count
    assert again.ready == demo.ready
    wait_until(lambda: _meters_seen(again, ready_s) == 2, every_s=0.2)


def test_nothing_survives_a_supervisor_that_is_killed(again: RunningDemo) -> None:
    children = again.children()
    assert {"database", "broker", "ingest", "watch", "edge-maple", "simulator-harbor"} <= children.keys()
    again.process.kill()
    wait_until(lambda: not any(_runs(child) for child in children.values()))


def _meters_seen(demo: RunningDemo, since_s: float) -> int:
    """Of how many houses the meter has a reading measured since then."""
    rows = demo.query(
        "SELECT count(DISTINCT s.house_id) FROM sgmp.reading r JOIN sgmp.series s USING (series_id)"
        " JOIN sgmp.device d USING (device_id) WHERE d.name = 'egauge' AND r.ts > to_timestamp(%s)",
        since_s,
    )
    return int(rows[0][0])


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
