"""What becomes a finding, from what edges, ingest and accounts leave in the database."""

from __future__ import annotations

from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.store import Rejected
from sgmp_console.store.findings import Severity
from sgmp_console.watch.sentences import sentence
from tests.watch.conftest import MINUTE, Fleet, WatchedHouse

DOWN = "Device is down: no answer within 3 s"


def test_a_house_in_order_has_no_findings(fleet: Fleet, north: WatchedHouse) -> None:
    for _ in range(3):
        fleet.turn()
        fleet.all_is_well(MINUTE)
    assert fleet.rules() == set()


def test_a_device_that_is_down_is_a_finding_until_it_is_back(fleet: Fleet, north: WatchedHouse) -> None:
    began_ms = fleet.now_ms - 12_000
    north.warns(DOWN, "down", since_ms=began_ms)
    (finding,) = [one for one in fleet.turn(5_000) if one.rule == "device_down"]
    assert (finding.house_id, finding.device, finding.from_ms) == (north.house.house_id, "battery", began_ms)
    assert finding.severity is Severity.CRITICAL
    assert sentence(finding.rule, finding.device, finding.subject, finding.details).text == (
        "battery is down: no answer within 3 s"
    )
    back_ms = fleet.now_ms + 1_000
    north.warns("Device is back", "back", back_ms)
    fleet.turn(5_000)
    assert fleet.rules() == {"device_down"}  # it might go down again at once
    fleet.all_is_well(MINUTE)
    fleet.turn()
    assert fleet.rules() == set()
    (over,) = [one for one in fleet.read() if one.to_ms is not None]
    assert (over.rule, over.from_ms, over.to_ms) == ("device_down", began_ms, back_ms)


def test_an_outage_ends_when_the_device_delivers_again_without_saying_so(
    fleet: Fleet, north: WatchedHouse
) -> None:
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    assert fleet.rules() == {"device_down"}
    fleet.all_is_well(20_000)
    fleet.turn()
    fleet.all_is_well(2 * MINUTE)
    fleet.turn()
    assert fleet.rules() == set()


def test_an_outage_of_which_all_came_late_is_history(fleet: Fleet, north: WatchedHouse) -> None:
    fleet.turn()
    north.warns("Device is back", "back", fleet.now_ms - 10 * MINUTE)
    fleet.turn(1_000)
    north.warns(DOWN, "down", fleet.now_ms - 20 * MINUTE)  # the backlog comes after what is live
    fleet.turn(1_000)
    fleet.turn(1_000)
    assert fleet.rules() == set()
    assert [(one.rule, one.to_ms is None) for one in fleet.read() if one.rule == "device_down"] == [
        ("device_down", False)
    ]


def test_a_warning_that_nothing_ends_is_over_two_hours_after_it_was_last_repeated(
    fleet: Fleet, north: WatchedHouse
) -> None:
    fleet.now_ms -= 200 * MINUTE
    fleet.all_is_well()
    said_ms = fleet.now_ms
    north.warns("the fan is loud")
    fleet.turn()
    assert fleet.rules() == {"device_warning"}
    fleet.all_is_well(121 * MINUTE)
    fleet.turn()
    assert fleet.rules() == set()
    assert [one.to_ms for one in fleet.read() if one.rule == "device_warning"] == [said_ms]


def test_an_edge_that_is_gone_explains_its_devices(fleet: Fleet, north: WatchedHouse) -> None:
    fleet.turn()
    north.event(0, "_edge", "EDGE_STATUS", None, {"state": "offline"})
    for _ in range(6):
        fleet.now_ms += MINUTE
        fleet.ingest()
        fleet.turn()
    assert fleet.rules() == {"edge_offline"}
    fleet.all_is_well(MINUTE)
    fleet.turn()
    fleet.all_is_well(MINUTE)
    fleet.turn()
    assert fleet.rules() == set()


def test_a_device_is_silent_after_some_polls_of_its_own_interval(fleet: Fleet) -> None:
    north, south = fleet.add("North"), fleet.add("South")
    with fleet.database.begin() as connection:
        slow = store.devices.get(connection, south.battery.device_id)
        store.devices.update(
            connection, type(slow)(**{**vars(slow), "config": {**slow.config, "interval": 600}})
        )
    fleet.all_is_well()
    for _ in range(6):
        fleet.now_ms += MINUTE
        fleet.ingest()
        north.reports()
        south.reports()
        fleet.turn()
    assert [(one.rule, one.house_id) for one in fleet.open() if one.rule == "device_silent"] == [
        ("device_silent", north.house.house_id)
    ]


def test_a_silent_ingest_is_one_finding_whatever_else_is_missing(fleet: Fleet) -> None:
    for name in ("North", "South", "West"):
        fleet.add(name)
    fleet.all_is_well()
    fleet.turn()
    for _ in range(6):
        fleet.turn(MINUTE)
    assert fleet.rules() == {"ingest_silent"}


def test_a_broker_that_ingest_does_not_reach_is_one_finding(fleet: Fleet, north: WatchedHouse) -> None:
    for _ in range(6):
        fleet.now_ms += MINUTE
        fleet.ingest(receiving=False, link="unreachable")
        fleet.turn()
    assert fleet.rules() == {"broker_away"}


def test_an_alarm_of_ingest_is_a_finding(fleet: Fleet, north: WatchedHouse) -> None:
    fleet.ingest(alarms={"flood": {"houses": {"1": 250.0}}})
    (finding,) = [one for one in fleet.turn() if one.rule == "ingest_alarm"]
    said = sentence(finding.rule, finding.device, finding.subject, finding.details)
    assert said.text.startswith("House 1 sends far more messages")


@pytest.mark.parametrize(
    ("status", "rule", "minutes"),
    [
        ({"backlog": 5000, "oldest_ms": 1}, "edge_backlog", 16),
        ({"disk_free_mb": 100}, "edge_disk", 6),
    ],
)
def test_what_an_edge_reports_of_itself_is_a_finding_after_its_hold_time(
    fleet: Fleet, north: WatchedHouse, status: dict[str, object], rule: str, minutes: int
) -> None:
    for _ in range(minutes):
        assert fleet.rules() == set()
        fleet.all_is_well(MINUTE)
        north.reports(fleet.now_ms + 1, **status)
        fleet.turn()
    assert fleet.rules() == {rule}


@pytest.mark.parametrize(("days", "is_found"), [(29, True), (31, False)])
def test_an_edge_whose_certificate_expires_within_a_month_is_a_finding(
    fleet: Fleet, north: WatchedHouse, days: int, is_found: bool
) -> None:
    north.reports(certificate_expires_ms=fleet.now_ms + days * 24 * 60 * MINUTE)
    fleet.turn()
    assert ("edge_certificate" in fleet.rules()) is is_found


@pytest.mark.parametrize("odd", [-1, 10**400, 1.5e300, "soon", None, True, [1], {}])
def test_whatever_an_edge_reports_of_itself_the_watch_goes_on(
    fleet: Fleet, north: WatchedHouse, odd: Any
) -> None:
    """One that is odd would leave all houses without a watch."""
    names = ("backlog", "oldest_ms", "disk_free_mb", "poll_interval_s", "status_interval_s")
    north.reports(**dict.fromkeys((*names, "certificate_expires_ms", "devices", "poll_ms"), odd))
    fleet.turn()
    assert fleet.rules() == set()


def test_an_edge_whose_clock_is_ahead_is_a_finding(fleet: Fleet, north: WatchedHouse) -> None:
    for _ in range(6):
        fleet.all_is_well(MINUTE)
        north.reports(fleet.now_ms + 120_000)
        fleet.turn()
    (finding,) = [one for one in fleet.open() if one.rule == "edge_clock"]
    assert (finding.value, finding.details["ahead"]) == (120, True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("outbox_full", "The edge's outbox is full: the oldest readings are dropped"),
        ("second_edge", "Another program uses the house's credentials"),
    ],
)
def test_a_warning_of_the_edge_itself_is_of_the_house(
    fleet: Fleet, north: WatchedHouse, kind: str, text: str
) -> None:
    north.warns("whatever it says", kind=kind, edge=True)
    (finding,) = [one for one in fleet.turn() if one.rule == "edge_warning"]
    assert finding.device == ""
    assert sentence(finding.rule, finding.device, finding.subject, finding.details).text == text


def test_messages_in_quarantine_are_a_finding_until_they_are_settled(
    fleet: Fleet, north: WatchedHouse
) -> None:
    with fleet.database.begin() as connection:
        store.quarantine.store(
            connection, [Rejected(fleet.now_ms, "t", b"?", "It is no JSON.", north.house.house_id)]
        )
    (finding,) = [one for one in fleet.turn() if one.rule == "quarantine"]
    assert (finding.value, finding.details["reason"]) == (1, "It is no JSON.")
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sgmp.quarantine")
    fleet.turn()
    assert fleet.rules() == set()


def test_a_configuration_that_was_not_sent_is_a_finding_after_an_hour(
    fleet: Fleet, north: WatchedHouse
) -> None:
    fleet.turn()
    fleet.all_is_well(61 * MINUTE)
    assert [one.rule for one in fleet.turn()] == ["config_not_sent"]


def test_an_initial_password_that_expires_soon_is_a_finding(fleet: Fleet, north: WatchedHouse) -> None:
    with fleet.database.begin() as connection:
        store.accounts.create(
            connection,
            email="new@example.org",
            name="New",
            role="visitor",
            house_id=north.house.house_id,
            password="correct horse battery",
        )
    fleet.turn()
    assert fleet.rules() == set()
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.account SET password_set_at = now() - interval '6 days'")
    (finding,) = [one for one in fleet.turn() if one.rule == "initial_password"]
    assert (finding.subject, finding.severity) == ("new@example.org", Severity.INFO)


def test_the_findings_of_a_house_that_is_deleted_close(fleet: Fleet, north: WatchedHouse) -> None:
    north.warns(DOWN, "down")
    fleet.turn()
    with fleet.database.begin() as connection:
        store.houses.delete(connection, north.house.house_id)
    fleet.turn(1_000)
    fleet.now_ms += 2 * MINUTE
    fleet.ingest()
    fleet.turn()
    assert fleet.rules() == set()


def test_a_finding_of_a_rule_that_is_no_more_closes(fleet: Fleet, north: WatchedHouse) -> None:
    fleet.turn()
    with fleet.database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sgmp.finding (rule, severity, from_at, seen_at, opened_at) VALUES ('old', 'info', now(), now(), now())"
        )
    fleet.turn()
    assert "old" not in fleet.rules()
