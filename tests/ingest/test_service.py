"""Over a real broker into a real database: all that is readable is stored, the rest quarantined, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from sgmp_console import store
from sgmp_console.store import ingest_role, set_ingest_password
from sgmp_edge.contract import ReadTopic, client_id, read_topic
from tests.database import TestDatabase
from tests.mosquitto import CredentialFiles, TestBroker, TestClient, free_port, running_broker
from tests.proxy import Proxy, proxy_to
from tests.waiting import WAIT_S, wait_until

PASSWORD = "ingest-password-of-this-test"
T0 = int(time.time() * 1000) - 3_600_000  # ingest drops what is older than a month
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def broker(deployment: str) -> Iterator[TestBroker]:
    with running_broker(deployment) as running:
        yield running


@dataclass
class IngestProcess:
    """`sgmp-console ingest` as it runs in earnest. `start`, `kill`, `stop`; `log` is what it said."""

    database_url: str
    deployment: str
    files: CredentialFiles
    log: Path
    broker_port: int
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sgmp_console", "ingest", "--deployment", self.deployment),
                    *("--broker", f"127.0.0.1:{self.broker_port}", "--broker-ca", str(self.files.ca)),
                    *("--broker-cert", str(self.files.cert), "--broker-key", str(self.files.key)),
                    *self.options,
                ],
                env={**os.environ, "SGMP_DATABASE_URL": self.database_url},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def said(self, text: str, times: int = 1) -> bool:
        return self.log.read_text("utf-8").count(text) >= times

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(WAIT_S)

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WAIT_S)

    def ensure_ended(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(WAIT_S)


@dataclass
class Chain:
    """A house with a device, its edge's connection, and ingest behind proxies to broker and database."""

    database: store.Database
    deployment: str
    house_id: int
    device_id: int
    edge: TestClient
    ingest: IngestProcess
    to_broker: Proxy
    to_database: Proxy

    def topic(self, timestamp_ms: int, kind: str = "data", **changes: object) -> str:
        where = {
            "house_id": self.house_id,
            "device_id": self.device_id,
            "device_name": "meter",
            "timestamp_ms": timestamp_ms,
            "kind": kind,
        }
        return read_topic(self.deployment, ReadTopic(**{**where, **changes}))  # type: ignore[arg-type]

    def publish(self, *instants: int) -> None:
        for at in instants:
            self.edge.publish(self.topic(at), json.dumps({"x": at - T0}).encode())

    def stored(self) -> dict[int, float]:
        with self.database.begin() as connection:
            found = store.readings.read(connection, self.house_id, [("meter", "x")], 0, T0 + 10**9)
        series = found["meter", "x"]
        return dict(zip(series.timestamps.tolist(), series.values.tolist(), strict=True))

    def quarantined(self) -> dict[str, str]:
        with self.database.begin() as connection:
            return {one.topic: one.reason for one in store.quarantine.read(connection)}

    def wait(self, condition: Callable[[], bool]) -> None:
        wait_until(condition, explain=lambda: self.ingest.log.read_text("utf-8"))

    def wait_connected(self, times: int = 1) -> None:
        self.wait(lambda: self.ingest.said("connected; receiving", times))


@pytest.fixture
def chain(
    database: store.Database, test_database: TestDatabase, broker: TestBroker, tmp_path: Path
) -> Iterator[Chain]:
    deployment = test_database.deployment
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
        set_ingest_password(connection, deployment, PASSWORD)
    address = urlsplit(test_database.address)
    with proxy_to(broker.port) as to_broker, proxy_to(address.port or 5432) as to_database:
        url = urlunsplit(
            address._replace(netloc=f"{ingest_role(deployment)}:{PASSWORD}@127.0.0.1:{to_database.port}")
        )
        ingest = IngestProcess(
            url, deployment, broker.files_for(f"{deployment}_ingest"), tmp_path / "ingest.log", to_broker.port
        )
        name = client_id(deployment, house.house_id)
        edge = TestClient(broker, broker.files_for(name), name)
        edge.wait_connected()
        ingest.start()
        chain = Chain(
            database, deployment, house.house_id, device.device_id, edge, ingest, to_broker, to_database
        )
        try:
            chain.wait_connected()
            yield chain
        finally:
            ingest.ensure_ended()
            edge.close()


def test_what_is_readable_is_stored_and_the_rest_is_quarantined_whole(chain: Chain) -> None:
    broken = {
        chain.topic(T0 + 1): b"\xff\xfe",
        chain.topic(T0 + 2): b"[1, 2]",
        chain.topic(T0 + 3): b'{"x": 1, "x": 2}',
        chain.topic(T0 + 4, device_name="other"): b'{"x": 1}',
        chain.topic(T0 + 5, device_id=999): b'{"x": 1}',
        chain.topic(5): b'{"x": 1}',
        chain.topic(T0 + 6, kind="event"): b'{"type": 5}',
    }
    for topic, payload in broken.items():
        chain.edge.publish(topic, payload)
    chain.edge.publish(chain.topic(T0, kind="event"), b'{"type": "WARNING", "data": {"data": "a \\u0000 b"}}')
    status = chain.topic(T0, kind="event", device_id=0, device_name="_edge")
    chain.edge.publish(status, b'{"type": "EDGE_STATUS", "data": {"backlog": 5, "software": "1"}}')
    chain.publish(T0)
    chain.wait(lambda: chain.stored() == {T0: 0.0})
    assert set(chain.quarantined()) == set(broken)
    assert all(chain.quarantined().values())
    with chain.database.begin() as connection:
        rejected = store.quarantine.read(connection)
        events = store.events.read(connection, chain.house_id, T0, T0 + 1)
        state = store.config_versions.edge_state(connection, chain.house_id)
    assert {one.topic: one.payload for one in rejected} == broken
    assert {(event.device, event.type) for event in events} == {
        ("meter", "WARNING"),
        ("_edge", "EDGE_STATUS"),
    }
    assert state.status == {"backlog": 5, "software": "1"}
    assert chain.ingest.stop() == 0


def test_recorded_payloads_of_real_devices_are_stored(chain: Chain) -> None:
    if not DATA.is_dir():
        pytest.skip(f"no recorded payloads: {DATA} is absent")
    files = sorted(path for path in DATA.rglob("*") if path.suffix in (".json", ".xml"))
    for number, path in enumerate(files):
        chain.edge.publish(chain.topic(T0 + number), path.read_bytes())
    chain.publish(T0 + len(files))
    chain.wait(lambda: bool(chain.stored()))
    json_files = {chain.topic(T0 + n) for n, path in enumerate(files) if path.suffix == ".json"}
    # What reaches ingest is what the drivers make of XML; as it is, it is not JSON.
    assert set(chain.quarantined()) == {chain.topic(T0 + n) for n in range(len(files))} - json_files
    assert all("not JSON" in reason for reason in chain.quarantined().values())
    with chain.database.begin() as connection:
        fields = {name for _, name in store.readings.latest(connection, chain.house_id)}
    assert {"Pac_total_W", "battery_status.relativestateofcharge"} <= fields


def test_a_device_made_while_ingest_runs_is_known_at_once(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    with chain.database.begin() as connection:
        fresh = store.devices.create(connection, chain.house_id, "fresh", "egauge", {})
    chain.edge.publish(chain.topic(T0, device_id=fresh.device_id, device_name="fresh"), b'{"x": 5}')

    def arrived() -> bool:
        with chain.database.begin() as connection:
            return ("fresh", "x") in store.readings.latest(connection, chain.house_id)

    chain.wait(arrived)
    assert chain.quarantined() == {}


def test_killed_between_commit_and_acknowledgement_nothing_is_lost_or_double(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    chain.to_broker.mute()  # the broker hears no acknowledgement from here on
    expected = {T0 + i: float(i) for i in range(30)}
    chain.publish(*sorted(expected)[1:])
    chain.wait(lambda: chain.stored() == expected)
    chain.ingest.kill()
    chain.to_broker.cut()
    chain.to_broker.mend()
    chain.publish(T0 + 30)
    chain.ingest.start()
    chain.wait(lambda: len(chain.stored()) == 31)
    chain.wait(lambda: chain.ingest.said("connected; receiving", 2))
    with chain.database.begin() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading").scalar_one()
    assert count == 31
    assert chain.ingest.stop() == 0


def test_while_the_database_is_away_the_broker_keeps_everything(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    chain.to_database.cut()
    chain.publish(*range(T0 + 1, T0 + 1500))  # more than may be in flight
    chain.wait(lambda: chain.ingest.said("messages wait"))
    chain.to_broker.cut()  # and the broker goes, too: what waits comes again
    chain.to_broker.mend()
    chain.wait_connected(2)
    chain.to_database.mend()
    chain.wait(lambda: len(chain.stored()) == 1500)
    with chain.database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading").scalar_one() == 1500
    assert chain.ingest.stop() == 0


def test_killed_while_the_database_is_away_nothing_is_lost(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    chain.to_database.cut()
    chain.publish(*range(T0 + 1, T0 + 30))
    chain.wait(lambda: chain.ingest.said("messages wait"))
    chain.ingest.kill()  # what is not committed is not acknowledged: it comes again
    chain.to_database.mend()
    chain.ingest.start()
    chain.wait(lambda: len(chain.stored()) == 30)
    assert chain.ingest.stop() == 0


def test_ingest_waits_for_a_database_that_is_not_there_yet(chain: Chain) -> None:
    chain.ingest.kill()
    chain.to_database.cut()
    chain.ingest.start()
    chain.publish(T0)
    chain.wait(lambda: chain.ingest.said("The database is not available"))
    chain.wait_connected(2)  # or the broker would keep nothing for an ingest it has never seen
    chain.to_database.mend()
    chain.wait(lambda: chain.stored() == {T0: 0.0})


def test_its_figures_are_published_for_prometheus(chain: Chain) -> None:
    assert chain.ingest.stop() == 0
    port = free_port()
    chain.ingest.options = ("--metrics", str(port))
    chain.ingest.start()
    chain.wait_connected(2)
    chain.publish(T0, T0 + 1000)
    chain.edge.publish(chain.topic(T0 + 2000), b"not JSON")

    expected = {
        "sgmp_ingest_readings_total": 2,
        "sgmp_ingest_messages_total": 3,
        "sgmp_ingest_rejected_total": 1,
        "sgmp_ingest_receiving": 1,
        "sgmp_ingest_connections_total": 1,
        "sgmp_ingest_newest_reading_timestamp_seconds": (T0 + 1000) / 1000,
    }

    def published() -> dict[str, float]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                lines = answer.read().decode("utf-8").splitlines()
        except urllib.error.URLError:
            return {}  # not yet: messages arrive before the database is there
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(values[name]) for name in expected if name in values}

    chain.wait(lambda: published() == expected)


def test_the_password_is_never_told(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    chain.to_database.cut()
    chain.publish(T0 + 1)
    chain.wait(lambda: chain.ingest.said("messages wait"))
    chain.ingest.stop()
    assert not chain.ingest.said(PASSWORD)
