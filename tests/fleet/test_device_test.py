"""Test of a device: what the edge is asked, and the three ways in which no good answer may come."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.errors import Cancelled, Refused, Unavailable, UserError
from sgmp_console.fleet import device_test, devices
from sgmp_console.fleet.device_test import EdgeAway, ProbeResult, ReadValue
from sgmp_console.fleet.devices import MASK, DeviceError
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.store import Batch, Database, EventRow, House
from sgmp_console.store.accounts import sign_in
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, SONNEN, TOKEN

OK = {"outcome": "ok", "text": "", "reading": {"A": {"Load": 1.5, "L1_Voltage": "121.4"}, "state": "fine"}}


@dataclass
class Edge:
    """The broker, and behind it an edge whose answers are in the database at once."""

    database: Database
    house_id: int
    answer: Mapping[str, Any] | None = None
    reachable: bool = True
    asked: list[tuple[str, contract.Probe, int]] = field(default_factory=list)

    def publish_once(self, topic: str, payload: bytes, *, expires_s: int, timeout_s: float = 10.0) -> None:
        if not self.reachable:
            raise Unavailable("The broker at example:8883 did not answer.")
        probe = contract.parse_probe(payload)
        self.asked.append((topic, probe, expires_s))
        if self.answer is not None:
            self.say(contract.PROBE_RESULT, request="of another console", outcome="unreachable")
            self.say(contract.PROBE_RESULT, request=probe.request, **self.answer)

    def say(self, kind: str, at_ms: int | None = None, **data: Any) -> None:
        now = at_ms if at_ms is not None else time.time_ns() // 1_000_000
        row = EventRow(self.house_id, 0, contract.EDGE_DEVICE_NAME, now, kind, data)
        with self.database.begin() as connection:
            store.readings.write(connection, Batch(events=[row]))


@pytest.fixture
def edge(database: Database, house: House) -> Edge:
    return Edge(database, house.house_id, OK)


def probe(edge: Edge, kind: str = "egauge", config: Mapping[str, Any] = EGAUGE, **more: Any) -> ProbeResult:
    options: dict[str, Any] = {"answer_within_s": 20.0, **more}
    database = options.pop("database", edge.database)
    return device_test.probe(database, edge, "sgmp", edge.house_id, kind, config, **options)


def test_the_edge_is_asked_once_and_its_values_come_back_with_their_units(edge: Edge) -> None:
    result = probe(edge)
    assert result.is_ok
    assert result.headline == "The device answers"
    assert result.values == (
        ReadValue("A.L1_Voltage", 121.4, "V"),
        ReadValue("A.Load", 1.5, "kW"),
        ReadValue("state", "fine", ""),
    )
    ((topic, asked, expires_s),) = edge.asked
    assert topic == contract.probe_topic("sgmp", edge.house_id)
    assert (asked.type, dict(asked.config)) == ("egauge", EGAUGE)
    assert expires_s == 20


@pytest.mark.parametrize(
    ("outcome", "headline"),
    [
        ("unreachable", "The edge can't reach the device"),
        ("timed_out", "The device did not answer in time"),
        ("unauthorized", "The device does not accept the credentials"),
        ("bad_answer", "Something answers that is not this kind of device"),
        ("not_ready", "The device answers, but has no values yet"),
        ("refused", "The edge did not run the test"),
        ("error", "The device could not be read"),
        ("whatever comes later", "The device could not be read"),
    ],
)
def test_what_came_of_the_device_is_told_in_words(edge: Edge, outcome: str, headline: str) -> None:
    edge.answer = {"outcome": outcome, "text": "connection refused", "reading": None}
    result = probe(edge)
    assert not result.is_ok
    assert (result.headline, result.text, result.values) == (headline, "connection refused", ())


@pytest.mark.parametrize("answer", [{}, {"outcome": 5, "text": ["x"], "reading": [1]}, {"reading": "text"}])
def test_whatever_an_edge_answers_can_be_told(edge: Edge, answer: Mapping[str, Any]) -> None:
    edge.answer = answer
    assert not probe(edge).is_ok


def test_values_that_could_not_be_stored_are_no_success(edge: Edge) -> None:
    edge.answer = {"outcome": "ok", "text": "", "reading": {"a": {"b": 1}, "a.b": 2}}
    result = probe(edge)
    assert not result.is_ok
    assert "called 'a.b'" in result.text


def test_a_broker_that_is_away_is_told_as_such(edge: Edge) -> None:
    edge.reachable = False
    with pytest.raises(Unavailable, match="The broker at example:8883"):
        probe(edge)


def test_an_edge_that_said_goodbye_is_not_asked(edge: Edge) -> None:
    heard = time.time_ns() // 1_000_000 - 3_600_000
    edge.say(contract.EDGE_STATUS, heard, state="online")
    edge.say(contract.EDGE_STATUS, heard - 60_000, state="offline")
    with pytest.raises(EdgeAway, match="The edge of Maple House is offline") as caught:
        probe(edge)
    assert (caught.value.standing.presence, caught.value.standing.heard_ms) == (Presence.OFFLINE, heard)
    assert edge.asked == []


def test_an_edge_that_does_not_answer_is_told_after_the_time_with_what_is_known_of_it(edge: Edge) -> None:
    edge.answer = None
    heard = time.time_ns() // 1_000_000
    edge.say(contract.EDGE_STATUS, heard, state="online")
    with edge.database.begin() as connection:
        store.ingest_state.report(connection, "one", {})
    with pytest.raises(EdgeAway, match=r"did not answer within 1 s\. It may be offline") as caught:
        probe(edge, answer_within_s=1.0)
    assert (caught.value.standing.presence, caught.value.standing.heard_ms) == (Presence.ONLINE, heard)
    assert not caught.value.ingest_silent


def test_where_no_ingest_runs_that_is_said(edge: Edge) -> None:
    edge.answer = None
    with pytest.raises(EdgeAway, match="Ingest does not report") as caught:
        probe(edge, answer_within_s=1.0)
    assert caught.value.ingest_silent


def test_waiting_can_be_cancelled(edge: Edge) -> None:
    edge.answer = None

    def waiting() -> None:
        if edge.asked:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        probe(edge, waiting=waiting)


def test_a_config_that_can_not_be_used_is_not_sent(edge: Edge) -> None:
    with pytest.raises(DeviceError, match="`ip`"):
        probe(edge, config={"ip": "no host"})
    assert edge.asked == []


def test_a_masked_secret_is_the_one_that_is_stored(edge: Edge) -> None:
    device = devices.create(edge.database, edge.house_id, "sonnen", "sonnen", SONNEN)
    probe(edge, "sonnen", {**SONNEN, "token": MASK}, device_id=device.device_id)
    assert edge.asked[0][1].config["token"] == TOKEN


def test_a_masked_secret_of_no_device_must_be_typed(edge: Edge) -> None:
    with pytest.raises(UserError, match="`token` must be typed for the test"):
        probe(edge, "sonnen", {**SONNEN, "token": MASK})
    assert edge.asked == []


@pytest.fixture
def researcher(database: Database, test_database: TestDatabase, house: House) -> Iterator[Database]:
    with database.begin() as connection:
        store.accounts.create(
            connection,
            email="rea@example.org",
            name="Rea",
            role="researcher",
            house_id=house.house_id,
            password="long enough a password",
        )
    signed_in, _ = sign_in(
        test_database.address, test_database.deployment, "rea@example.org", "long enough a password"
    )
    yield signed_in
    signed_in.dispose()


def test_who_may_not_manage_devices_may_not_test_them(edge: Edge, researcher: Database) -> None:
    with pytest.raises(Refused, match="manage_devices"):
        probe(edge, database=researcher)
    assert edge.asked == []


def test_secrets_stand_in_no_error(edge: Edge) -> None:
    edge.answer = None
    with pytest.raises(EdgeAway) as caught:
        probe(edge, "sonnen", SONNEN, answer_within_s=1.0)
    assert TOKEN not in json.dumps([str(caught.value), repr(caught.value)])


def test_an_edge_that_missed_the_request_is_asked_again(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_test, "_ASKED_AGAIN_S", 0.5)
    edge.answer = None

    def waiting() -> None:
        if edge.asked:
            edge.answer = OK

    assert probe(edge, waiting=waiting).is_ok
    assert len(edge.asked) >= 2
    assert len({asked.request for _, asked, _ in edge.asked}) == 1


def test_who_may_not_see_secrets_must_type_them_for_a_test(
    edge: Edge, database: Database, test_database: TestDatabase
) -> None:
    device = devices.create(database, edge.house_id, "sonnen", "sonnen", SONNEN)
    with database.begin() as connection:
        store.roles.create(
            connection, "installer", description="", permissions=frozenset({"view_devices", "manage_devices"})
        )
        store.accounts.create(
            connection,
            email="ina@example.org",
            name="Ina",
            role="installer",
            house_id=edge.house_id,
            password="long enough a password",
            must_change_password=False,
        )
    installer, _ = sign_in(
        test_database.address, test_database.deployment, "ina@example.org", "long enough a password"
    )
    try:
        masked = {**SONNEN, "token": MASK}
        with pytest.raises(UserError, match="`token` must be typed for the test: your account may not see"):
            probe(edge, "sonnen", masked, device_id=device.device_id, database=installer)
        assert edge.asked == []
        assert probe(edge, "sonnen", SONNEN, device_id=device.device_id, database=installer).is_ok
    finally:
        installer.dispose()
