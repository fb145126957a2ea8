"""What people do with findings, and what two watchers do at the same time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import Database, findings, watching
from sgmp_console.store.findings import Finding, State
from tests.database import TestDatabase
from tests.watch.conftest import MINUTE, Fleet, WatchedHouse

PASSWORD = "correct horse battery"


@pytest.fixture
def down(fleet: Fleet, north: WatchedHouse) -> Finding:
    north.warns("Device is down: no answer", "down")
    (finding,) = [one for one in fleet.turn(1_000) if one.rule == "device_down"]
    return finding


@pytest.fixture
def ada(fleet: Fleet, test_database: TestDatabase) -> Iterator[Database]:
    with fleet.database.begin() as connection:
        store.accounts.create(
            connection,
            email="ada@example.org",
            name="Ada",
            role="admin",
            house_id=None,
            password=PASSWORD,
            must_change_password=False,
        )
    opened, _ = store.sign_in(test_database.address, test_database.deployment, "ada@example.org", PASSWORD)
    yield opened
    opened.dispose()


def now_ms(database: Database) -> int:
    with database.begin() as connection:
        return int(connection.exec_driver_sql("SELECT extract(epoch FROM now()) * 1000").scalar_one())


def test_who_did_what_and_when_is_kept_and_audited(fleet: Fleet, down: Finding, ada: Database) -> None:
    with ada.begin() as connection:
        assert findings.acknowledge(connection, down.finding_id, "on my way")
        assert findings.silence(connection, down.finding_id, now_ms(ada) + MINUTE, "until lunch")
        assert findings.reopen(connection, down.finding_id)
        entries = store.audit.read(connection)
    said = [(one.actor, one.act, one.kind, one.subject) for one in entries if one.kind == "finding"]
    assert said == [
        ("ada@example.org", act, "finding", "battery device_down")
        for act in ("reopen", "silence", "acknowledge")
    ]
    (again,) = [one for one in fleet.open() if one.finding_id == down.finding_id]
    assert (again.state, again.who) == (State.ACTIVE, "ada@example.org")


def test_an_acknowledged_finding_ends_by_itself_and_then_nothing_is_done_with_it(
    fleet: Fleet, north: WatchedHouse, down: Finding, ada: Database
) -> None:
    with ada.begin() as connection:
        findings.acknowledge(connection, down.finding_id)
    north.warns("Device is back", "back")
    fleet.turn(1_000)
    fleet.all_is_well(MINUTE)
    fleet.turn()
    (over,) = [one for one in fleet.read() if one.finding_id == down.finding_id]
    assert over.state is State.RESOLVED
    with ada.begin() as connection:
        assert not findings.acknowledge(connection, down.finding_id)


@pytest.mark.parametrize("in_ms", [-1, 0, 400 * 86_400_000])
def test_a_silence_has_an_end_within_a_year(down: Finding, ada: Database, in_ms: int) -> None:
    until_ms = now_ms(ada) + in_ms
    with pytest.raises(UserError, match="within a year"), ada.begin() as connection:
        findings.silence(connection, down.finding_id, until_ms)


def test_a_note_is_bounded(down: Finding, ada: Database) -> None:
    with pytest.raises(UserError, match="too long"), ada.begin() as connection:
        findings.acknowledge(connection, down.finding_id, "x" * 2001)


def test_an_account_that_never_ends_its_transaction_holds_up_no_turn(
    fleet: Fleet, north: WatchedHouse, down: Finding, ada: Database
) -> None:
    with ada.begin() as connection:
        findings.acknowledge(connection, down.finding_id)
        number = findings.add_recipient(connection, findings.Channel.MAIL, "ann@example.org")
        findings.send_test(connection, number)
        north.warns("Device is back", "back")
        fleet.turn(1_000)
        fleet.all_is_well(MINUTE)
        fleet.turn()
        with fleet.database.begin() as other:
            watching.claim(other, 10)
    assert fleet.rules() == set()


def test_a_turn_is_one_watchers_at_a_time(fleet: Fleet, north: WatchedHouse, watch: Database) -> None:
    with watch.begin() as one:
        assert watching.take_turn(one, "one", 5) is not None
    with watch.begin() as one:
        assert watching.take_turn(one, "one", 5) is not None
        with watch.begin() as other:
            assert watching.take_turn(other, "other", 5) is None
    with watch.begin() as connection:
        assert watching.take_turn(connection, "other", 3600) is None
        assert watching.take_turn(connection, "one", 3600) is not None
        assert watching.take_turn(connection, "other", 0) is not None
    with watch.begin() as connection:
        age_ms = findings.watch_age_ms(connection)
    assert age_ms is not None
    assert age_ms < 60_000


def test_the_watch_reads_all_houses_without_their_secrets_and_changes_nothing_else(
    fleet: Fleet, north: WatchedHouse, down: Finding, watch: Database
) -> None:
    with watch.begin() as connection:
        assert [house.name for house in store.houses.list_all(connection)] == ["North"]
        assert [one.rule for one in findings.read(connection, north.house.house_id)]
        (battery,) = store.devices.list_all(connection, north.house.house_id)
    assert battery.config.get("token", "***") == "***"
    for act in (
        lambda c: store.houses.create(c, "South"),
        lambda c: store.devices.delete(c, north.battery.device_id),
        lambda c: findings.acknowledge(c, down.finding_id),
        lambda c: findings.add_recipient(c, findings.Channel.MAIL, "eve@example.org"),
        lambda c: c.exec_driver_sql("SELECT * FROM sgmp.device"),
        lambda c: c.exec_driver_sql("SELECT secret FROM sgmp.recipient"),
        lambda c: c.exec_driver_sql("INSERT INTO sgmp.event DEFAULT VALUES"),
    ):
        with pytest.raises(Refused), watch.begin() as connection:
            act(connection)


def test_only_the_watch_takes_turns(fleet: Fleet, north: WatchedHouse, ada: Database) -> None:
    for statement in (
        "SELECT sgmp.take_turn('x', '0')",
        "SELECT sgmp.claim_notifications(1)",
        "SELECT sgmp.initial_passwords()",
        "SELECT * FROM sgmp.finding",
    ):
        with pytest.raises(Refused), ada.begin() as connection:
            connection.exec_driver_sql(statement)
