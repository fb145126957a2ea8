"""From disk to a real broker: nothing leaves the outbox unacknowledged, live goes first, rates are kept."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty

import pytest

from sgmp_edge import contract
from sgmp_edge.backoff import BackOff
from sgmp_edge.contract import topics
from sgmp_edge.delivery import courier as courier_module
from sgmp_edge.delivery import publisher, queue
from sgmp_edge.delivery.courier import Courier, Status
from sgmp_edge.delivery.outbox import Message, Outbox
from sgmp_edge.delivery.publisher import Connection, Handlers, Identity, Will
from sgmp_edge.delivery.rates import Bucket, Limits
from sgmp_edge.polling import drivers
from tests.mosquitto import TestBroker, TestClient, running_broker
from tests.waiting import pass_time, wait_until

pytestmark = pytest.mark.expected_warnings(
    "No connection to the broker", "A message was not taken", "did not take the subscriptions"
)


HOUSE = 1
T0 = 1_700_000_000_000


def message(number: int, device: int = 1, size: int = 0) -> Message:
    payload = json.dumps({"n": number, "pad": "x" * size}).encode()
    return Message(device, f"d{device}", T0 + number * 1000, "data", payload)


def topic_of(message: Message) -> str:
    where = contract.ReadTopic(
        HOUSE, message.device_id, message.device_name, message.timestamp_ms, message.kind
    )
    return contract.read_topic("sgmp", where)


class Edge:
    """A courier with an outbox of its own, for the house of `broker`'s certificate."""

    def __init__(self, broker: TestBroker, folder: Path, *, port: int | None = None, **limits: float) -> None:
        issued = broker.authority.issue(contract.client_id("sgmp", HOUSE))
        self.identity = Identity(
            issued.common_name,
            broker.address,
            port or broker.port,
            issued.certificate_pem,
            issued.private_key_pem,
            issued.ca_pem,
        )
        self.outbox = Outbox(folder / "outbox.sqlite3", max_bytes=10**8)
        self.received: list[tuple[str, bytes, bool]] = []
        self.topics = [contract.config_topic("sgmp", HOUSE)]
        self.stopped = False
        self.courier = Courier(
            self.outbox,
            topic_of,
            self._connect,
            limits=Limits(**{"backlog_spread_s": 0.0, "publishes_per_s": 2000.0, **limits}),
            on_message=lambda *message: self.received.append(message),
        )

    def _connect(self, handlers: Handlers) -> Connection:
        gone = drivers.event_message(0, "_edge", T0, "EDGE_STATUS", {"state": "offline"})
        self.connection = Connection(
            self.identity, handlers, subscriptions=self.topics, will=Will(topic_of(gone), gone.payload)
        )
        return self.connection

    def start(self) -> Edge:
        self.courier.start()
        return self

    def status(self) -> Status:
        done = threading.Event()
        self.courier.refresh_status(lambda _: done.set())
        assert done.wait(10.0)
        return self.courier.status

    def connected(self) -> Edge:
        wait_until(lambda: self.status().connected)
        return self

    def stop(self, last_message: Message | None = None) -> None:
        if not self.stopped:
            self.stopped = True
            self.courier.stop(2.0, last_message)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the edge does again does it sooner."""
    monkeypatch.setattr(publisher, "RECONNECT_MS", (20, 100))
    monkeypatch.setattr(queue, "RETRY", BackOff(0.05, 0.8))
    monkeypatch.setattr(courier_module, "REMOVE_S", 0.1)
    monkeypatch.setattr(courier_module, "WAKE_S", 0.1)


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture
def edge(broker: TestBroker, tmp_path: Path) -> Iterator[Callable[..., Edge]]:
    edges: list[Edge] = []

    def make(**options: object) -> Edge:
        folder = tmp_path / str(len(edges))
        folder.mkdir()
        edges.append(Edge(options.pop("broker", broker), folder, **options))  # type: ignore[arg-type]
        return edges[-1]

    yield make
    for each in edges:
        each.stop()


class Ingest:
    """What the other side receives."""

    def __init__(self, broker: TestBroker) -> None:
        self.client = TestClient(broker, broker.files_for("sgmp_ingest"), "sgmp_ingest", session_s=300)
        self.client.wait_connected()
        self.client.subscribe(contract.read_filter("sgmp"))
        self.numbers: list[int] = []
        self.events: list[object] = []
        self.arrivals: list[float] = []

    def collect(self) -> list[int]:
        while True:
            try:
                topic, payload = self.client.received.get_nowait()
            except Empty:
                return self.numbers
            body = json.loads(payload)
            if topic.endswith("/event"):
                self.events.append(body)
            else:
                assert topic.startswith(f"sgmp_read/sgmp_house_{HOUSE}/")
                self.numbers.append(body["n"])
                self.arrivals.append(time.monotonic())

    def wait_for(self, numbers: set[int], timeout_s: float = 20.0) -> list[int]:
        wait_until(lambda: numbers <= set(self.collect()), timeout_s)
        return self.numbers


@pytest.fixture
def ingest(broker: TestBroker) -> Iterator[Ingest]:
    collecting = Ingest(broker)
    yield collecting
    collecting.client.close()


def test_what_is_put_arrives_in_order_and_leaves_the_outbox_when_acknowledged(
    edge: Callable[..., Edge], ingest: Ingest
) -> None:
    sending = edge(resend_s=0.0).start().connected()
    for number in range(50):
        sending.courier.put([message(number)], {})
    assert ingest.wait_for(set(range(50))) == list(range(50))
    wait_until(lambda: sending.status().backlog == 0 and sending.outbox.count == 0)


def test_an_edge_that_starts_offline_sends_when_the_broker_appears(tmp_path: Path) -> None:
    with running_broker() as broker:
        broker.stop()
        sending = Edge(broker, tmp_path).start()
        sending.courier.put([message(1), message(2)], {})
        wait_until(lambda: sending.status().backlog == 2)
        assert sending.status().oldest_ms == T0 + 1000
        broker.start()
        ingest = Ingest(broker)
        assert ingest.wait_for({1, 2}, 30.0)[:2] == [1, 2]
        ingest.client.close()
        sending.stop()


def test_what_a_killed_broker_had_acknowledged_and_forgot_is_sent_again(tmp_path: Path) -> None:
    with running_broker() as broker:
        ingest = Ingest(broker)
        ingest.client.close()  # its session waits in the broker, in memory
        sending = Edge(broker, tmp_path).start().connected()
        sending.courier.put([message(number) for number in range(20)], {})
        wait_until(lambda: sending.status().backlog == 0)
        broker.signal(signal.SIGKILL)
        broker.stop()
        wait_until(lambda: not sending.status().connected)
        broker.start()
        again = Ingest(broker)
        assert again.wait_for(set(range(20)), 30.0)
        again.client.close()
        sending.stop()


def test_a_frozen_broker_loses_nothing(tmp_path: Path) -> None:
    with running_broker() as broker:
        ingest = Ingest(broker)
        sending = Edge(broker, tmp_path).start().connected()
        broker.signal(signal.SIGSTOP)
        sending.courier.put([message(number) for number in range(300)], {})
        wait_until(lambda: sending.status().backlog == 300)
        broker.signal(signal.SIGCONT)
        ingest.wait_for(set(range(300)), 40.0)
        wait_until(lambda: sending.status().backlog == 0)
        ingest.client.close()
        sending.stop()


def test_live_readings_go_before_a_backlog(edge: Callable[..., Edge], ingest: Ingest) -> None:
    sending = edge(publishes_per_s=20.0)
    # More than goes while a busy machine gets through this test.
    sending.outbox.put([message(number) for number in range(4000)])
    sending.start().connected()
    for live in range(5000, 5003):
        sending.courier.put([message(live, device=2)], {})
        ingest.wait_for({live})
    old = [n for n in ingest.numbers if n < 5000]
    assert old == list(range(len(old)))
    assert len(old) < 4000, "the backlog was through before the live readings"


# A busy machine may take longer than a rate demands, but never less.


def test_the_rate_is_kept(edge: Callable[..., Edge], ingest: Ingest) -> None:
    sending = edge(publishes_per_s=100.0)
    sending.outbox.put([message(number) for number in range(100)])
    begun = time.monotonic()
    sending.start()
    ingest.wait_for(set(range(100)))
    assert ingest.arrivals[-1] - begun > 0.9


def test_the_byte_rate_is_kept_too(edge: Callable[..., Edge], ingest: Ingest) -> None:
    sending = edge(bytes_per_s=100_000.0)
    sending.outbox.put([message(number, size=5000) for number in range(20)])
    begun = time.monotonic()
    sending.start()
    ingest.wait_for(set(range(20)))
    assert ingest.arrivals[-1] - begun > 0.9


@pytest.fixture
def longest_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.Random.uniform", lambda _self, _low, high: high)


@pytest.mark.usefixtures("longest_spread")
def test_live_readings_do_not_wait_for_the_random_moment_of_a_large_backlog(
    edge: Callable[..., Edge], ingest: Ingest
) -> None:
    sending = edge(backlog_spread_s=600.0)
    sending.outbox.put([message(number) for number in range(300)])
    sending.start().connected()
    sending.courier.put([message(1000, device=2)], {})
    assert ingest.wait_for({1000}) == [1000]


@pytest.mark.usefixtures("longest_spread")
def test_a_large_backlog_waits_a_random_moment(edge: Callable[..., Edge], ingest: Ingest) -> None:
    sending = edge(backlog_spread_s=0.5)
    sending.outbox.put([message(number) for number in range(300)])
    begun = time.monotonic()
    sending.start()
    ingest.wait_for(set(range(300)))
    assert ingest.arrivals[0] - begun > 0.5


def test_what_the_broker_refuses_stays_and_does_not_hold_up_the_rest(
    edge: Callable[..., Edge],
    ingest: Ingest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = contract.client_id

    def forged(deployment: str, house_id: int) -> str:
        return real(deployment, 2 if refused else house_id)

    refused = False
    sending = edge(resend_s=0.0).start().connected()
    monkeypatch.setattr(topics, "client_id", forged)
    refused = True
    sending.courier.put([message(1)], {})
    wait_until(lambda: "was not taken" in caplog.text)
    refused = False
    sending.courier.put([message(2)], {})
    ingest.wait_for({1, 2})
    assert ingest.numbers[0] == 2


def test_a_broker_that_takes_nothing_keeps_nothing_from_arriving_once_it_takes_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_IN_MEMORY", 5)
    monkeypatch.setattr(queue, "RETRY", BackOff(0.02, 0.2))
    with running_broker() as broker:
        sending = Edge(broker, tmp_path).start().connected()
        sending.courier.put([message(number) for number in range(200)], {})
        pass_time(0.5)  # nobody has ever received this house's messages
        assert sending.status().backlog == 200
        receiving = Ingest(broker)
        receiving.wait_for(set(range(200)))
        receiving.client.close()
        sending.stop()


def test_the_broker_says_when_an_edge_is_gone_and_not_when_it_left(
    edge: Callable[..., Edge], ingest: Ingest, broker: TestBroker
) -> None:
    leaving = edge().start().connected()
    leaving.stop(drivers.event_message(0, "_edge", T0, "EDGE_STATUS", {"state": "stopped"}))
    wait_until(lambda: bool(ingest.collect() or ingest.events))
    assert ingest.events == [{"type": "EDGE_STATUS", "data": {"state": "stopped"}}]
    breaking = edge().start().connected()
    rival = edge().start()  # the broker ends the first one's connection, which tells its will
    wait_until(lambda: bool(ingest.collect() is not None and len(ingest.events) >= 2))
    assert ingest.events[1] == {"type": "EDGE_STATUS", "data": {"state": "offline"}}
    breaking.stop()
    rival.stop()


@pytest.mark.expected_warnings("Another program connects with this house's credentials")
def test_two_daemons_with_one_identity_notice_each_other(
    edge: Callable[..., Edge],
) -> None:
    one = edge().start().connected()
    other = edge().start()
    wait_until(lambda: one.status().takeovers > 0 and other.status().takeovers > 0)


def test_a_broker_that_comes_and_goes_is_not_taken_for_another_daemon(tmp_path: Path) -> None:
    with running_broker() as broker:
        sending = Edge(broker, tmp_path).start()
        for _ in range(4):
            sending.connected()
            broker.signal(signal.SIGKILL)
            broker.stop()
            wait_until(lambda: not sending.status().connected)
            broker.start()
        assert sending.status().takeovers == 0
        sending.stop()


def test_a_port_that_accepts_and_says_nothing_does_not_stop_an_edge_from_ending(
    edge: Callable[..., Edge],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sending = edge(port=silent.getsockname()[1]).start()
        sending.courier.put([message(1)], {})
        wait_until(lambda: sending.status().backlog == 1)
        start = time.monotonic()
        sending.stop()
        assert time.monotonic() - start < publisher.CONNACK_TIMEOUT_MS / 1000


@pytest.mark.expected_warnings("No connection can be made")
def test_credentials_that_tls_cannot_use_are_said_and_others_taken_later(
    edge: Callable[..., Edge], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(courier_module, "RECONNECT_S", 0.2)
    sending = edge()
    good = sending.identity
    sending.identity = replace(good, private_key_pem=good.certificate_pem)
    sending.start()
    sending.courier.put([message(1)], {})
    wait_until(lambda: sum("No connection can be made" in r.message for r in caplog.records) >= 2)
    assert good.private_key_pem.splitlines()[1] not in caplog.text
    sending.identity = good
    sending.connected()
    wait_until(lambda: sending.status().backlog == 0)


@pytest.mark.expected_warnings("A call on the courier thread failed")
def test_whatever_keeps_a_connection_from_being_made_it_is_tried_again(
    edge: Callable[..., Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "RECONNECT_S", 0.2)
    sending = edge()
    good = sending.identity
    sending.identity = None  # type: ignore[assignment]  # a fault that nobody thought of
    sending.start()
    sending.courier.put([message(1)], {})
    wait_until(lambda: sending.status().backlog == 1)
    sending.identity = good
    sending.connected()
    wait_until(lambda: sending.status().backlog == 0)


def test_an_edge_whose_subscriptions_failed_tries_again_without_a_new_connection(
    edge: Callable[..., Edge], broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "CHECK_S", 0.2)
    sending = edge()
    sending.topics = ["sgmp_config/#/no filter"]
    sending.start().connected()
    wait_until(lambda: not sending.connection.subscribed)
    console = TestClient(broker, broker.files_for("sgmp_console"), "sgmp_console")
    console.wait_connected()
    sending.connection._subscriptions = (contract.config_topic("sgmp", HOUSE),)
    wait_until(lambda: sending.connection.subscribed)
    console.publish(contract.config_topic("sgmp", HOUSE), b"heard")
    wait_until(lambda: [payload for _, payload, _ in sending.received] == [b"heard"])
    console.close()


@pytest.mark.expected_warnings("The disk does not take readings")
def test_what_is_only_in_memory_is_not_reported_as_stored(tmp_path: Path) -> None:
    told: list[Message] = []
    outbox = Outbox(tmp_path / "card" / "outbox.sqlite3", max_bytes=10**8)
    courier = Courier(outbox, topic_of, None, limits=Limits(), on_stored=told.append)
    durable: list[bool] = []
    courier.start()
    courier.put([message(1)], {}, then=durable.append)
    wait_until(lambda: durable == [False])
    assert told == []
    (tmp_path / "card").mkdir()
    courier.put([message(2)], {}, then=durable.append)
    wait_until(lambda: told == [message(1), message(2)])
    assert durable == [False, True]
    courier.stop(2.0)


def test_a_limit_allows_no_second_more_than_it_says() -> None:
    now = 0.0
    bucket = Bucket(100.0)
    taken: list[float] = []
    while now < 5.0:
        if bucket.wait_s(now, 1.0) == 0.0:
            bucket.take(1.0)
            taken.append(now)
        else:
            now += 0.001
    assert max(sum(1 for other in taken if at <= other < at + 1.0) for at in taken) <= 101
    assert len(taken) > 430


def test_a_message_larger_than_a_burst_still_goes() -> None:
    bucket = Bucket(1000.0)
    assert bucket.wait_s(0.0, 5000.0) == 0.0
    bucket.take(5000.0)
    assert 5.0 < bucket.wait_s(0.0, 1.0) < 5.6
