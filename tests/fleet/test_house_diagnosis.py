"""`check house`: the likeliest cause first, then all that was looked at, each with what to do."""

from __future__ import annotations

import json
import time

import pytest

from sgmp_console import cli, commands, diagnosis, store
from sgmp_console.diagnosis import HouseDiagnosis
from sgmp_console.environment import DATABASE_URL
from sgmp_console.store import Database, House
from sgmp_console.store.quarantine import Rejected
from tests.database import TestDatabase
from tests.ui import equipped

NOW_MS = 1_750_000_000_000


def look(database: Database, house: House) -> HouseDiagnosis:
    with database.begin() as connection:
        return diagnosis.house(connection, house.name, NOW_MS)


def said(found: HouseDiagnosis) -> dict[str, tuple[bool | None, str]]:
    return {step.name: (step.ok, step.text) for step in found.steps}


def test_the_worst_finding_is_the_cause_with_what_to_do(database: Database, house: House) -> None:
    equipped.equip(database, house, NOW_MS)
    found = look(database, house)
    assert found.cause == (
        "sonnen is down, since 2025-06-15 06:03:20. Look at the device, its network and its credentials."
    )


def test_each_device_is_listed_with_its_state_and_newest_reading(database: Database, house: House) -> None:
    equipped.equip(database, house, NOW_MS)
    steps = said(look(database, house))
    assert steps["Device egauge"] == (True, "Ok, newest reading 2025-06-15 08:06:38")
    assert steps["Device charger_2"] == (False, "Unauthorized, no reading yet")
    assert steps["Device heat_pump"] == (False, "Not synchronized, no reading yet")
    assert steps["Configuration"] == (False, "Nothing was ever sent; devices were changed since")


def test_of_devices_behind_an_edge_that_is_away_nothing_is_said(database: Database, house: House) -> None:
    equipped.equip(database, house, NOW_MS - 3_600_000)
    steps = said(look(database, house))
    assert steps["Edge"][0] is False
    assert {ok for name, (ok, _) in steps.items() if name.startswith("Device")} == {None}


def test_a_house_that_never_reported_says_how_to_begin(database: Database, house: House) -> None:
    found = look(database, house)
    assert said(found)["Edge"] == (False, "It has never reported")
    assert said(found)["Quarantine"] == (True, "Empty")
    assert found.cause.startswith("Watch: It has never looked.")


def test_messages_in_quarantine_are_counted(database: Database, house: House) -> None:
    with database.begin() as connection:
        store.quarantine.store(connection, [Rejected(NOW_MS, "t", b"{", "No JSON", house.house_id)])
    assert said(look(database, house))["Quarantine"] == (False, "1 message could not be read")


def test_the_command_prints_the_cause_first_and_exits_with_1(
    database: Database,
    house: House,
    test_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    equipped.equip(database, house, int(time.time() * 1000))
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    assert cli.main(["check", "house", house.name]) == commands.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert "sonnen" in lines[0]
    assert any(line.startswith("WRONG   Device charger_2") for line in lines)
    assert cli.main(["check", "house", house.name, "--json"]) == commands.FAILED
    assert json.loads(capsys.readouterr().out)["cause"] == lines[0]
    assert cli.main(["check", "house", "No such house"]) == commands.FAILED
    assert "No such house" in capsys.readouterr().err
