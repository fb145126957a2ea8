"""Every figure says where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.fleet import analytics
from sgmp_console.reports import export, periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Figure, Kind
from sgmp_console.store import Batch, Database, EventRow, readings, watching
from sgmp_console.store.watching import StoredFinding
from sgmp_console.timeseries import HOUR_MS, Series
from sgmp_console.watch.rules import Rule
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from tests.database import TestDatabase, TestServer
from tests.reports.houses import balanced, without
from tests.reports.test_export import rows_of
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse

GAP = (DAY.start_ms + 5 * HOUR_MS, DAY.start_ms + 7 * HOUR_MS)
OF_ITEMS = [kind for kind in Kind if kind is not Kind.HEAT_MAP]


def store_house(database: Database) -> StoredHouse:
    """A day with a gap and a charging session."""
    made = StoredHouse(database, "UTC")
    made.store(without(balanced(DAY.start_ms, DAY.end_ms, MINUTE_MS), *GAP))
    with database.begin() as connection:
        rows = [
            EventRow(made.house.house_id, made.devices["powerflex"], "powerflex", at, kind, data)
            for at, kind, data in (
                (DAY.start_ms + HOUR_MS, EV_START_CHARGING, {}),
                (DAY.start_ms + 3 * HOUR_MS, EV_END_CHARGING, {"energy": 9_000_000}),
            )
        ]
        readings.write(connection, Batch(events=rows))
    return made


@pytest.fixture(scope="module")
def kept(database_server: TestServer) -> Iterator[StoredHouse]:
    """For tests that only read it."""
    with database_server.database() as where:
        yield store_house(where.owner)


@pytest.fixture
def stored(database: Database) -> StoredHouse:
    """One that a test may change."""
    return store_house(database)


def found(house: StoredHouse, device: str, from_ms: int, to_ms: int | None, rule: Rule) -> StoredFinding:
    house_id = house.house.house_id
    severity, about = "warning", {"text": "no answer"}
    return StoredFinding(
        0, house_id, device, rule, "", severity, from_ms, from_ms, from_ms, to_ms, to_ms, None, about, False
    )


@pytest.mark.parametrize("kind", OF_ITEMS)
def test_every_figure_has_its_formula_its_slots_and_its_gaps(kept: StoredHouse, kind: Kind) -> None:
    for figure in kept.report(kind, DAY, DAY.end_ms).figures:
        why = figure.why
        assert why.item, figure.key
        assert why.formula, figure.key
        assert why.expanded, figure.key
        assert "analytics." not in why.expanded
        if why.slots == 0:  # of events
            assert why.note, figure.key
            continue
        assert (why.covered, why.slots) == (264, 288), figure.key
        assert why.source is not None, figure.key
        assert (why.gaps[0].start_ms, why.gaps[0].end_ms) == GAP, figure.key


@pytest.mark.parametrize("kind", OF_ITEMS)
def test_every_figure_without_a_value_says_why(database: Database, kind: Kind) -> None:
    empty = StoredHouse(database, "UTC")
    analytics.create_required(database, empty.house.house_id)
    for figure in empty.report(kind, DAY, DAY.end_ms).figures:
        assert figure.value is not None or figure.why.note, figure.key
    analytics.delete(
        database,
        empty.house.house_id,
        [one.item_id for one in sorted(items_of(empty), key=lambda one: "analytics." not in one.formula)],
    )
    for figure in empty.report(kind, DAY, DAY.end_ms).figures:
        assert figure.value is not None or figure.why.note, figure.key


def items_of(stored: StoredHouse) -> list[store.AnalyticItem]:
    with stored.database.begin() as connection:
        return store.analytics.list_all(connection, stored.house.house_id)


def test_items_in_a_formula_are_written_out(stored: StoredHouse) -> None:
    with stored.database.begin() as connection:
        store.analytics.create(connection, stored.house.house_id, "roof", "egauge.A.Solar")
        solar = stored.item("solar")
        store.analytics.update(connection, replace(solar, formula="pos(analytics.roof)", aggregated=False))
    why = stored.report(Kind.SOLAR, DAY, DAY.end_ms).figure("energy").why
    assert (why.formula, why.expanded) == ("pos(analytics.roof)", "pos(egauge.A.Solar)")
    of_balance = stored.report(Kind.ENERGY, DAY, DAY.end_ms).figure("consumption").why
    assert "solar = pos(analytics.roof)" in of_balance.formula
    assert "solar = pos(egauge.A.Solar)" in of_balance.expanded


def test_the_battery_report_has_what_the_battery_reports_of_itself(database: Database) -> None:
    stored = StoredHouse(database, "UTC")
    fields = balanced(DAY.start_ms, DAY.end_ms, MINUTE_MS)
    hours = np.arange(DAY.start_ms, DAY.end_ms, HOUR_MS)
    status = "battery.battery_status"
    stored.store(
        {
            **fields,
            ("sonnen", f"{status}.cyclecount"): Series(hours, 400.0 + np.arange(24)),
            ("sonnen", f"{status}.fullchargecapacity"): Series(hours, np.full(24, 201.98)),
        }
    )
    report = stored.report(Kind.BATTERY, DAY, DAY.end_ms)
    cycles = report.figure("cycles")
    assert (cycles.value, cycles.unit, cycles.at_ms) == (423.0, "", int(hours[-1]))
    assert cycles.why.item == f"sonnen.{status}.cyclecount"
    assert (report.figure("capacity").value, report.figure("capacity").unit) == (201.98, "Ah")
    later = stored.report(Kind.BATTERY, DAY.moved(2), DAY.moved(3).start_ms).figure("cycles")
    assert (later.value, later.why.note) == (None, "There is no reading of it in the last day of the period.")


def test_a_figure_of_the_balance_says_which_items_had_no_value(database: Database) -> None:
    stored = StoredHouse(database, "UTC")
    fields = balanced(DAY.start_ms, DAY.end_ms, MINUTE_MS)
    sun = ("egauge", "A.Solar")
    stored.store({**fields, **without({sun: fields[sun]}, *GAP)})
    why = stored.report(Kind.ENERGY, DAY, DAY.end_ms).figure("solar").why
    assert "Slots without a value: solar 24." in why.note


def test_a_figure_names_the_findings_of_its_devices_and_of_the_whole_house(stored: StoredHouse) -> None:
    hour = DAY.start_ms + HOUR_MS
    with stored.database.begin() as connection:
        watching.store_findings(
            connection,
            [
                found(stored, "egauge", hour, hour + HOUR_MS, Rule.DEVICE_SILENT),
                found(stored, "sonnen", hour, None, Rule.DEVICE_SILENT),
                found(stored, "", hour, hour + MINUTE_MS, Rule.EDGE_OFFLINE),
                found(stored, "egauge", hour - 90 * HOUR_MS, hour - 80 * HOUR_MS, Rule.DEVICE_DOWN),
                found(stored, "egauge", DAY.end_ms + 1, None, Rule.DEVICE_WARNING),
            ],
            [],
            DAY.end_ms,
        )

    def named(figure: Figure) -> set[tuple[str, int, int | None]]:
        return {(one.device, one.from_ms, one.to_ms) for one in figure.why.marks}

    of_house = ("", hour, hour + MINUTE_MS)
    of_meter, of_battery = ("egauge", hour, hour + HOUR_MS), ("sonnen", hour, None)
    solar = stored.report(Kind.SOLAR, DAY, DAY.end_ms)
    assert named(solar.figure("energy")) == {of_house, of_meter}
    assert named(stored.report(Kind.BATTERY, DAY, DAY.end_ms).figure("charged")) == {of_house, of_battery}
    balance = stored.report(Kind.ENERGY, DAY, DAY.end_ms).figure("solar")
    assert named(balance) == {of_house, of_meter, of_battery}
    in_file = rows_of(export.csv_text(solar), "Findings")
    assert [row["Device"] for row in in_file].count("egauge") == 1
    assert all(row["Finding"] for row in in_file)


# --- Who may see and export what ----------------------------------------------------------------------------------


def test_a_visitor_of_a_house_gets_every_report_of_it(
    stored: StoredHouse, test_database: TestDatabase
) -> None:
    stored.visitor_url(test_database)
    database, _ = store.sign_in(
        test_database.address, test_database.deployment, "vera@example.org", "a long password"
    )
    try:
        for kind in OF_ITEMS:
            with database.begin() as connection:
                (house,) = store.houses.list_all(connection)
                hers = build(connection, house, kind, DAY, DAY.end_ms)
            assert hers.has_data
            assert [figure.value for figure in hers.figures] == [
                figure.value for figure in stored.report(kind, DAY, DAY.end_ms).figures
            ]
    finally:
        database.dispose()


def test_another_house_has_no_report_for_a_visitor(stored: StoredHouse, test_database: TestDatabase) -> None:
    with stored.database.begin() as connection:
        other = store.houses.create(connection, "Harbor House", time_zone="UTC")
    stored.visitor_url(test_database)
    database, _ = store.sign_in(
        test_database.address, test_database.deployment, "vera@example.org", "a long password"
    )
    try:
        with database.begin() as connection:
            assert not build(
                connection, other, Kind.SOLAR, periods.days(DAY.first_day, DAY.first_day, "UTC"), DAY.end_ms
            ).has_data
    finally:
        database.dispose()
