"""The daemon as a whole, against a real broker: configured, killed, ended, commanded, set up wrongly."""

from __future__ import annotations

import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from awscrt import mqtt5

from sgmp_edge import contract, daemon
from sgmp_edge.contract import Command, DeviceConfig, Probe
from tests.edge.edge_process import EdgeProcess, copy_folder
from tests.mosquitto import TestBroker, TestClient, running_broker
from tests.waiting import wait_until

BROKEN = 1_000
"""Messages thrown at a whole edge; its parts get 50,000 in test_configuration.py and test_control.py."""

ENDS_WITHIN_S = 14.0
"""It takes 4 s at most, the rest is for a busy machine; waiting for a device to be given back would take 15."""


class Cloud:
    """The other side: what ingest receives, and what the console sends."""

    def __init__(self, broker: TestBroker) -> None:
        self.broker = broker
        self.version = 0
        self.ingest = TestClient(broker, broker.files_for("sgmp_ingest"), "sgmp_ingest", session_s=300)
        self.console = TestClient(broker, broker.files_for("sgmp_console"), "sgmp_console")
        for client in (self.ingest, self.console):
            client.wait_connected()
        self.ingest.subscribe(contract.read_filter("sgmp"))
        self._received: list[tuple[contract.ReadTopic, Any]] = []

    def synchronize(self, house_id: int, *devices: DeviceConfig) -> int:
        self.version += 1
        payload = contract.dump_config(self.version, devices)
        packet = mqtt5.PublishPacket(
            topic=contract.config_topic("sgmp", house_id),
            payload=payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain=True,
        )
        self.console._client.publish(packet).result(10.0)
        return self.version

    def received(self, house_id: int) -> list[tuple[contract.ReadTopic, Any]]:
        try:
            while True:
                topic, payload = self.ingest.received.get_nowait()
                self._received.append((contract.parse_read_topic("sgmp", topic), json.loads(payload)))
        except Empty:
            return [(topic, body) for topic, body in self._received if topic.house_id == house_id]

    def readings(self, house_id: int, device: str) -> list[tuple[int, Any]]:
        return [
            (topic.timestamp_ms, body)
            for topic, body in self.received(house_id)
            if topic.device_name == device and topic.kind == "data"
        ]

    def events(self, house_id: int, kind: str, device: str = "_edge") -> list[Any]:
        return [
            body["data"]
            for topic, body in self.received(house_id)
            if topic.kind == "event" and topic.device_name == device and body["type"] == kind
        ]

    def close(self) -> None:
        self.ingest.close()
        self.console.close()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_folder(tmp_path_factory.mktemp("pi") / "my edge, copied 2")


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture(scope="module")
def cloud(broker: TestBroker) -> Iterator[Cloud]:
    both = Cloud(broker)
    yield both
    both.close()


@pytest.fixture
def edge(code: Path, broker: TestBroker, tmp_path: Path) -> Iterator[Callable[..., EdgeProcess]]:
    """Edges of different houses, each with a home of its own beside the same code."""
    edges: list[EdgeProcess] = []

    def make(house_id: int, **config: Any) -> EdgeProcess:
        edges.append(EdgeProcess(code, tmp_path / f"house {house_id}", broker, house_id, **config))
        return edges[-1]

    yield make
    for each in edges:
        each.close()


Make = Callable[..., EdgeProcess]


def test_a_configured_edge_polls_publishes_confirms_and_tells_how_it_is(edge: Make, cloud: Cloud) -> None:
    running = edge(11)
    version = cloud.synchronize(11, running.device(1, "meter"), running.device(2, "battery", interval=1))
    running.start()
    wait_until(lambda: len(cloud.readings(11, "meter")) >= 5 and bool(cloud.readings(11, "battery")))
    assert [body["n"] for _, body in cloud.readings(11, "meter")[:5]] == [1, 2, 3, 4, 5]
    assert all(timestamp % 200 == 0 for timestamp, _ in cloud.readings(11, "meter"))
    assert [data["version"] for data in cloud.events(11, "CONFIG_APPLIED")] == [version]
    wait_until(lambda: len(cloud.events(11, "EDGE_STATUS")) >= 2)
    status = cloud.events(11, "EDGE_STATUS")[-1]
    assert status["state"] == "online"
    assert status["devices"] == {"meter": "ok", "battery": "ok"}
    assert status["config_version"] == version
    assert status["dropped"] == 0
    assert status["poll_ms"].keys() == {"meter", "battery"}
    assert status["certificate_expires_ms"] > time.time() * 1000
    assert status["software"]
    start = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - start < ENDS_WITHIN_S
    wait_until(lambda: cloud.events(11, "EDGE_STATUS")[-1]["state"] == "stopped")
    assert "Traceback" not in running.logged()


def test_a_device_whose_state_changes_is_told_before_the_next_minute(edge: Make, cloud: Cloud) -> None:
    running = edge(29, status_interval_s=3600)
    cloud.synchronize(29, running.device(1, "meter"))
    running.start()
    wait_until(lambda: bool(cloud.events(29, "EDGE_STATUS")))
    cloud.synchronize(29, running.device(1, "meter"), running.device(2, "battery"))
    both = {"meter": "ok", "battery": "ok"}
    wait_until(lambda: cloud.events(29, "EDGE_STATUS")[-1]["devices"] == both)


def test_after_kill_9_every_reading_that_was_stored_arrives_and_memory_goes_on(
    edge: Make, cloud: Cloud
) -> None:
    running = edge(12)
    cloud.synchronize(12, running.device(1, "meter"))
    for _ in range(3):
        running.start()
        before = len(running.printed("meter"))
        wait_until(lambda: len(running.printed("meter")) >= before + 4)  # noqa: B023
        running.stop(signal.SIGKILL)
    running.start()
    stored = {
        (row["timestamp_ms"], row["payload"]["n"])
        for row in running.printed("meter")
        if row["kind"] == "data"
    }
    wait_until(lambda: stored <= {(t, body["n"]) for t, body in cloud.readings(12, "meter")})
    running.stop()
    arrived = {t: body["n"] for t, body in cloud.readings(12, "meter")}
    counts = [arrived[timestamp] for timestamp in sorted(arrived)]
    assert counts == list(range(1, len(counts) + 1)), "each poll counted once, none lost"


def test_an_edge_without_a_connection_ends_in_time_even_with_a_hung_device(edge: Make, cloud: Cloud) -> None:
    running = edge(13, endpoint="127.0.0.1:9")
    (running.home / "devices.json").write_bytes(
        contract.dump_config(1, [running.device(1, "meter"), running.device(2, "hung")])
    )
    (running.home / "devices" / "hung" / "hang").touch()
    running.start()
    wait_until(lambda: len(running.printed("meter")) >= 3)
    start = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - start < ENDS_WITHIN_S


def test_a_new_configuration_leaves_other_devices_alone(edge: Make, cloud: Cloud) -> None:
    running = edge(14)
    meter = running.device(1, "meter")
    cloud.synchronize(14, meter)
    running.start()
    wait_until(lambda: len(cloud.readings(14, "meter")) >= 3)
    cloud.synchronize(14, meter, running.device(2, "second"))
    wait_until(lambda: len(cloud.readings(14, "second")) >= 2)
    cloud.console.publish(contract.config_topic("sgmp", 14), b'{"version": 99, "devices": "none"}')
    wait_until(lambda: bool(cloud.events(14, "CONFIG_REJECTED")))
    seen = len(cloud.readings(14, "meter"))
    wait_until(lambda: len(cloud.readings(14, "meter")) >= seen + 3)
    counts = [body["n"] for _, body in cloud.readings(14, "meter")]
    assert counts == sorted(counts), "the driver was made anew"
    assert cloud.events(14, "CONFIG_REJECTED")[0]["version"] == 99


def test_a_probe_reads_a_device_without_adopting_it(edge: Make, cloud: Cloud) -> None:
    running = edge(15)
    running.start()
    wait_until(lambda: bool(cloud.events(15, "EDGE_STATUS")))
    config = running.device(1, "tested").config
    topic = contract.probe_topic("sgmp", 15)
    cloud.console.publish(topic, contract.dump_probe(Probe("good", "counter", config)))
    cloud.console.publish(
        topic, contract.dump_probe(Probe("bad", "egauge", {"ip": "127.0.0.1:9", "keys": ["A"]}))
    )
    cloud.console.publish(topic, b'{"request": "wrong", "device": {"type": "toaster", "config": {}}}')
    wait_until(lambda: len(cloud.events(15, "PROBE_RESULT")) >= 3)
    results = {data["request"]: data for data in cloud.events(15, "PROBE_RESULT")}
    assert results["good"]["outcome"] == "ok"
    assert results["good"]["reading"] == {"n": 1}
    assert results["bad"]["outcome"] == "unreachable"
    assert results["wrong"]["outcome"] == "refused"
    assert cloud.readings(15, "tested") == []


def test_a_command_is_carried_out_and_undone_when_the_edge_ends(edge: Make, cloud: Cloud) -> None:
    running = edge(16, allow_control=True)
    cloud.synchronize(16, running.device(1, "battery"))
    running.start()
    wait_until(lambda: bool(cloud.readings(16, "battery")))
    command = Command("c1", {"power_w": 500}, 60.0, int(time.time() * 1000))
    cloud.console.publish(contract.control_topic("sgmp", 16, "battery"), contract.dump_command(command))
    wait_until(lambda: bool(cloud.events(16, "COMMAND_RESULT")))
    assert running.commands("battery") == [["act", {"power_w": 500}]]
    assert running.stop() == 0
    assert running.commands("battery") == [["act", {"power_w": 500}], ["release", None]]
    wait_until(lambda: [d["outcome"] for d in cloud.events(16, "COMMAND_RESULT")] == ["done", "released"])


def test_an_ending_edge_waits_for_a_busy_device_that_is_under_a_command(edge: Make, cloud: Cloud) -> None:
    running = edge(34, allow_control=True)
    cloud.synchronize(34, running.device(1, "battery"))
    running.start()
    wait_until(lambda: bool(cloud.readings(34, "battery")))
    command = Command("c1", {"power_w": 500}, 600.0)
    cloud.console.publish(contract.control_topic("sgmp", 34, "battery"), contract.dump_command(command))
    wait_until(lambda: bool(running.commands("battery")))
    hang = running.home / "devices" / "battery" / "hang"
    hang.touch()
    wait_until(lambda: (hang.parent / "hanging").exists())
    assert running.process is not None
    running.process.terminate()
    wait_until(lambda: "Stopping" in running.logged())
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(daemon.LAST_POLLS_S + 1.0)
    hang.unlink()
    assert running.process.wait(20) == 0
    assert running.commands("battery")[-1] == ["release", None]


def test_a_command_is_undone_at_the_next_start_after_kill_9(edge: Make, cloud: Cloud) -> None:
    running = edge(17, allow_control=True)
    cloud.synchronize(17, running.device(1, "battery"))
    running.start()
    wait_until(lambda: bool(cloud.readings(17, "battery")))
    command = Command("c1", {"power_w": 500}, 600.0)
    cloud.console.publish(contract.control_topic("sgmp", 17, "battery"), contract.dump_command(command))
    wait_until(lambda: bool(running.commands("battery")))
    running.stop(signal.SIGKILL)
    running.start()
    wait_until(lambda: running.commands("battery")[-1] == ["release", None])


def test_no_secret_is_ever_logged_printed_or_published(edge: Make, cloud: Cloud) -> None:
    running = edge(18, allow_control=True)
    device = running.device(1, "meter", token="s3cret-token")
    (running.home / "devices" / "meter" / "fail").touch()
    cloud.synchronize(18, device)
    running.start("--log-level", "DEBUG")
    wait_until(lambda: bool(cloud.events(18, "WARNING", "meter")))
    assert "can't log in with ***" in cloud.events(18, "WARNING", "meter")[0]["data"]
    cloud.console.publish(
        contract.probe_topic("sgmp", 18), contract.dump_probe(Probe("p", "counter", device.config))
    )
    wait_until(lambda: bool(cloud.events(18, "PROBE_RESULT")))
    running.stop()
    key = json.loads((running.home / "credentials.json").read_text())["keyPair"]["PrivateKey"].splitlines()[1]
    told = (
        running.logged()
        + json.dumps(running.printed())
        + json.dumps([body for _, body in cloud.received(18)])
    )
    assert "s3cret-token" not in told
    assert key not in told


def test_new_credentials_are_taken_without_a_restart(edge: Make, cloud: Cloud, broker: TestBroker) -> None:
    running = edge(19)
    cloud.synchronize(19, running.device(1, "meter"))
    running.start()
    wait_until(lambda: len(cloud.readings(19, "meter")) >= 2)
    running.install(broker)
    wait_until(lambda: "connecting with them" in running.logged())
    wait_until(lambda: running.logged().count("Connected to the broker") == 2)
    seen = len(cloud.readings(19, "meter"))
    wait_until(lambda: len(cloud.readings(19, "meter")) >= seen + 2)


def test_an_edge_moved_to_another_house_publishes_nothing_of_the_old_one(
    edge: Make, cloud: Cloud, broker: TestBroker
) -> None:
    moved = edge(31, endpoint="127.0.0.1:9")
    (moved.home / "devices.json").write_bytes(contract.dump_config(1, [moved.device(1, "meter")]))
    moved.start()
    wait_until(lambda: len(moved.printed("meter")) >= 3)
    moved.stop()
    moved.house_id = 32
    moved.install(broker)
    (moved.home / "config.py").write_text("house_id = 32\nstatus_interval_s = 1\n")
    moved.start()
    wait_until(lambda: bool(cloud.events(32, "EDGE_STATUS")))
    assert cloud.events(32, "EDGE_STATUS")[-1]["devices"] == {}
    assert cloud.readings(32, "meter") == []
    assert (moved.home / "outbox.sgmp_house_31-1.sqlite3").exists()
    assert (moved.home / "devices.sgmp_house_31-1.json").exists()


def test_a_damaged_note_of_whose_outbox_it_is_takes_nothing_away(edge: Make, cloud: Cloud) -> None:
    running = edge(37)
    (running.home / "devices.json").write_bytes(contract.dump_config(1, [running.device(1, "meter")]))
    assert running.run("--once").returncode == 0
    with closing(sqlite3.connect(running.home / "outbox.sqlite3")) as db, db:
        db.execute("UPDATE state SET value = 'sgm/_h?use_37' WHERE key = 'house'")
    assert running.run("--once").returncode == 0
    wait_until(lambda: {body["n"] for _, body in cloud.readings(37, "meter")} == {1, 2})


def test_whoever_reads_along_may_leave(edge: Make, cloud: Cloud) -> None:
    running = edge(33)
    cloud.synchronize(33, running.device(1, "meter"))
    with subprocess.Popen(
        [sys.executable, str(running.code / "Main_Publisher.py"), "--home", str(running.home), "--print"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        seen = len(cloud.readings(33, "meter"))
        wait_until(lambda: len(cloud.readings(33, "meter")) >= seen + 5)
        process.terminate()
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()


def test_a_second_daemon_in_the_same_home_is_refused(edge: Make) -> None:
    running = edge(20)
    running.start()
    wait_until(lambda: "Edge of house 20 started" in running.logged())
    second = running.run()
    assert second.returncode == 2
    assert "already runs" in second.stderr


def test_once_polls_sends_and_ends(edge: Make, cloud: Cloud) -> None:
    running = edge(21)
    (running.home / "devices.json").write_bytes(contract.dump_config(1, [running.device(1, "meter")]))
    assert running.run("--once").returncode == 0
    wait_until(lambda: [body for _, body in cloud.readings(21, "meter")] == [{"n": 1}])


def test_a_dry_run_prints_and_needs_no_credentials(code: Path, tmp_path: Path) -> None:
    running = EdgeProcess(code, tmp_path / "home", None)
    (running.home / "devices.json").write_bytes(contract.dump_config(1, [running.device(1, "meter")]))
    done = running.run("--dry-run", "--once")
    assert done.returncode == 0
    assert [json.loads(line)["payload"] for line in done.stdout.splitlines()] == [{"n": 1}]


def test_a_log_file_that_cannot_be_written_is_told(edge: Make) -> None:
    done = edge(35).run("--log-file", "/nowhere/edge.log")
    assert done.returncode == 2
    assert done.stderr == "/nowhere/edge.log can't be written: No such file or directory.\n"


def test_thousands_of_broken_messages_do_not_stop_an_edge_or_change_what_it_runs(
    edge: Make, cloud: Cloud
) -> None:
    running = edge(36, allow_control=True, publishes_per_s=2000)
    version = cloud.synchronize(36, running.device(1, "meter"))
    running.start()
    wait_until(lambda: bool(cloud.readings(36, "meter")))
    before = (running.home / "devices.json").read_bytes()
    chance = random.Random(6)
    topics = [
        contract.config_topic("sgmp", 36),
        contract.probe_topic("sgmp", 36),
        contract.control_topic("sgmp", 36, "meter"),
        contract.control_topic("sgmp", 36, "%s"),
    ]
    sent = [
        cloud.console._client.publish(
            mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        )
        for payload in damaged(before, BROKEN, chance)
        for topic in [chance.choice(topics)]
    ]
    for each in sent:
        each.result(20.0)
    command = Command("last", {"power_w": 500}, 60.0)
    cloud.console.publish(contract.control_topic("sgmp", 36, "meter"), contract.dump_command(command))
    wait_until(lambda: any(row["request"] == "last" for row in cloud.events(36, "COMMAND_RESULT")))
    wait_until(lambda: len(cloud.events(36, "CONFIG_REJECTED")) > BROKEN / 8)
    assert [event["version"] for event in cloud.events(36, "CONFIG_APPLIED")] == [version]
    assert (running.home / "devices.json").read_bytes() == before
    polls = len(cloud.readings(36, "meter"))

    def counts() -> set[int]:
        return {body["n"] for _, body in cloud.readings(36, "meter")}

    wait_until(lambda: len(counts()) > polls and counts() == set(range(1, max(counts()) + 1)))
    assert running.stop() == 0
    assert "Traceback" not in running.logged()


def damaged(document: bytes, count: int, chance: random.Random) -> Iterator[bytes]:
    """The document with some bytes changed or its end cut off; none is valid, since its fingerprint would differ."""
    for _ in range(count):
        content = bytearray(document)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(content))
            content[at] ^= chance.randrange(1, 128)
        yield bytes(content[: chance.randrange(1, len(content) + 1)])


def test_under_systemd_it_says_that_it_is_ready_and_alive(edge: Make, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(20.0)
        running = edge(22)
        running.start(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "900000"})
        said: set[str] = set()
        while not {"READY", "WATCHDOG", "STATUS"} <= said:
            said.add(systemd.recv(200).decode().split("=")[0])
        running.stop()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "Copy config_example.py"),
        ("", "set house_id"),
        ("house_id = 'x'", "house_id must be a whole number"),
        ("house_id = 1\nhouseid = 2", "did you mean house_id"),
        ("house_id = 1\npoll_interval_s = 0", "poll_interval_s must be from 0.2 to 3600"),
        ("house_id = 1\nallow_control = 'yes'", "allow_control must be True or False"),
        ("house_id = ", "line 1 can't be read"),
        ("house_id = 1\nendpoint = 'http://x'", "endpoint is wrong"),
        ("house_id = 1", "Run install_certs.py"),
    ],
)
def test_what_is_not_set_up_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str | None, message: str
) -> None:
    from sgmp_edge.command import run

    if config is not None:
        (tmp_path / "config.py").write_text(config)
    assert run(["--home", str(tmp_path)], {}, default_home=tmp_path) == 2
    assert message in capsys.readouterr().err


def test_credentials_of_another_house_are_not_used(edge: Make, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = edge(23)
    (wrong.home / "config.py").write_text("house_id = 24\n")
    done = wrong.run()
    assert done.returncode == 2
    assert "belong to house 23" in done.stderr
