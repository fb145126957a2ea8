"""`sgmp-console commission HOUSE`: what is wrong with a house by what is stored of it, and what to do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.store import Database
from sgmp_console.timeseries import HOUR_MS, Series
from tests.database import TestDatabase
from tests.reports.houses import GRID, balanced
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse

ASK = ["commission", "Maple House", "--range", "2026-05-13"]


@pytest.fixture
def stored(database: Database, test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> StoredHouse:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    return StoredHouse(database, "UTC")


def store_a_day(stored: StoredHouse, grid_sign: float = 1.0) -> None:
    readings = balanced(DAY.start_ms, DAY.start_ms + 24 * HOUR_MS, MINUTE_MS)
    grid = readings[GRID]
    stored.store({**readings, GRID: Series(grid.timestamps, grid.values * grid_sign)})


def verdicts(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    return {verdict["check"]: verdict for verdict in json.loads(capsys.readouterr().out)}


def test_a_house_that_adds_up_is_right(stored: StoredHouse, capsys: pytest.CaptureFixture[str]) -> None:
    store_a_day(stored)

    cli.main([*ASK, "--json"])

    balance = verdicts(capsys)["balance"]
    assert (balance["outcome"], balance["remedy"], balance["subjects"]) == ("right", "", [])


def test_a_grid_meter_that_is_turned_round_is_named_with_what_to_do(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    store_a_day(stored, -1.0)

    assert cli.main([*ASK, "--json"]) == commands.FAILED
    balance = verdicts(capsys)["balance"]
    assert (balance["outcome"], balance["fault"], balance["subjects"]) == ("wrong", "turned", ["grid"])

    assert cli.main(ASK) == commands.FAILED
    shown = capsys.readouterr().out
    assert "Energy balance" in shown
    assert "Turn the current transformer of grid round, or change the sign in the formula." in shown


def test_an_item_that_can_not_be_read_costs_only_what_needs_it(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    store_a_day(stored)
    with stored.database.begin() as connection:
        items = {item.name: item for item in store.analytics.list_all(connection, stored.house.house_id)}
        store.analytics.update(connection, replace(items["gridpower"], formula="egauge.A.GridPower +"))

    cli.main([*ASK, "--json"])

    found = verdicts(capsys)
    assert (found["registers"]["fault"], found["registers"]["subjects"]) == ("no_values", ["grid"])
    assert found["balance"]["outcome"] == "unknown"
    assert found["mains"]["outcome"] == "right"


def test_a_house_that_does_not_exist_is_a_sentence(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["commission", "Nowhere"]) == commands.FAILED
    assert "There is no house Nowhere." in capsys.readouterr().err


def test_a_period_that_can_not_be_read_is_a_sentence(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["commission", "Maple House", "--range", "sometime"]) == commands.FAILED
    assert "is not a period" in capsys.readouterr().err


@pytest.mark.parametrize("period", ["2019-01-01", "2099-01-01"])
def test_of_a_period_without_readings_nothing_is_called_right(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str], period: str
) -> None:
    assert cli.main(["commission", "Maple House", "--range", period, "--json"]) == commands.FAILED

    assert {verdict["outcome"] for verdict in verdicts(capsys).values()} == {"wrong", "unknown"}
