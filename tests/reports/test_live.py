"""Home from a real database: a simulated house's day, loaded whole and brought forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House as SimulatedHouse
from sgmp_console.errors import UserError
from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.measurements import flatten
from sgmp_console.reports import periods
from sgmp_console.reports.home import HOME_ITEMS, POWER_ITEMS, HomeSnapshot
from sgmp_console.reports.kinds import build
from sgmp_console.reports.ledger import read_car_in_load
from sgmp_console.reports.live import HomeLoader
from sgmp_console.reports.report import Kind
from sgmp_console.reports.report_data import ReportData
from sgmp_console.store import Batch, Database, EventRow, House, ReadingRow
from sgmp_console.timeseries import Series, calendar, slot_means
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.reports.houses import at
from tests.statements import counting

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NOON = at("2026-05-14 12:02")
SIMULATED = SimulatedHouse(3, "America/Los_Angeles", 37.42, -122.2)

Sent = list[tuple[int, str, Mapping[str, float]]]
"""(UTC ms, device, fields)."""

Happened = tuple[int, str, str, Mapping[str, Any]]
"""(UTC ms, device, type, data)."""


@pytest.fixture(scope="module")
def day() -> Sent:
    """What the devices measured each minute from 30 hours before NOON to an hour after."""
    rows = history.rows(SIMULATED, NOON - 30 * HOUR_MS, NOON + HOUR_MS, MINUTE_MS, everything=False)
    return [
        (row.time_ms, device, flatten(getattr(row, device)).values)
        for row in rows
        for device in ("egauge", "sonnen", "powerflex")
    ]


@pytest.fixture
def house(database: Database) -> House:
    made = houses.create(database, "Maple House", time_zone="America/Los_Angeles")
    for kind, config in (("egauge", EGAUGE), ("sonnen", SONNEN), ("powerflex", POWERFLEX)):
        devices.create(database, made.house_id, kind, kind, config)
    analytics.create_required(database, made.house_id)
    return made


@pytest.fixture
def live(database: Database, house: House) -> HomeLoader:
    return HomeLoader(database, house.house_id)


def ids(database: Database, house: House) -> dict[str, int]:
    with database.begin() as connection:
        return {one.name: one.device_id for one in store.devices.list_all(connection, house.house_id)}


def deliver(database: Database, house: House, sent: Sent, events: Sequence[Happened] = ()) -> None:
    """Store what arrived."""
    number = ids(database, house)
    batch = Batch(
        readings=[
            ReadingRow(house.house_id, number[name], name, time, fields) for time, name, fields in sent
        ],
        events=[
            EventRow(house.house_id, number[name], name, time, kind, data)
            for time, name, kind, data in events
        ],
    )
    with database.begin() as connection:
        store.readings.write(connection, batch)


def between(sent: Sent, start_ms: int, end_ms: int) -> Sent:
    return [row for row in sent if start_ms <= row[0] < end_ms]


def assert_same(one: HomeSnapshot, other: HomeSnapshot) -> None:
    assert set(one.curves) == set(other.curves)
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve.series.timestamps, other.curves[name].series.timestamps)
        np.testing.assert_array_equal(curve.series.values, other.curves[name].series.values)
        assert curve.latest == other.curves[name].latest
    np.testing.assert_allclose(one.energy_today.totals.flows, other.energy_today.totals.flows, atol=1e-12)
    assert one.charging_today == other.charging_today
    assert (one.devices, one.findings, one.missing_items) == (
        other.devices,
        other.findings,
        other.missing_items,
    )


def test_what_comes_in_goes_out_in_every_minute_and_every_slot(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    snapshot = live.load(NOON)
    assert all(len(snapshot.curves[name].series) == 24 * 60 for name in POWER_ITEMS)
    at_once = {name: snapshot.curves[name].series.values for name in POWER_ITEMS}
    slots = {
        name: slot_means(snapshot.curves[name].series, snapshot.start_ms, snapshot.end_ms).means
        for name in POWER_ITEMS
    }
    for values in (at_once, slots):
        battery = values["battery_discharging"] - values["battery_charging"]
        net = values["load"] + values["ev"] - values["solar"] - battery
        # The battery tells whole watts.
        np.testing.assert_allclose(values["grid_import"] - values["grid_export"], net, atol=0.000_51)


def test_the_energy_of_today_is_that_of_the_simulated_house(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    today = live.load(NOON).energy_today
    # A row's powers are the means of the minute that ends at its time.
    states = SIMULATED.walk_with_energy(today.start_ms, today.end_ms, MINUTE_MS)
    solar_kwh = sum(energy.solar for _, energy in states) / 3.6e6
    assert today.totals.source("solar") == pytest.approx(solar_kwh, rel=1e-9)
    assert today.totals.attributed == today.totals.slots


def test_today_has_the_same_balance_on_home_as_in_the_energy_report(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    today = live.load(NOON).energy_today
    with database.begin() as connection:
        data = ReportData(
            connection, house, periods.custom(today.start_ms, today.end_ms, house.time_zone), NOON
        )
        report = data.balance

    assert report is not None
    np.testing.assert_allclose(today.totals.flows, report.total.flows, atol=1e-9)
    np.testing.assert_allclose(today.totals.discharged, report.total.discharged, atol=1e-9)
    assert report.opening.stored_kwh > 0
    late = live.update(NOON, NOON - 20 * HOUR_MS).energy_today
    np.testing.assert_allclose(late.totals.discharged, report.total.discharged, atol=1e-9)


def test_a_load_that_contains_the_car_gives_the_same_sums_where_the_house_says_so(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    apart = live.load(NOON)
    with database.begin() as connection:
        load = next(one for one in store.analytics.list_all(connection, house.house_id) if one.name == "load")
        store.analytics.update(connection, replace(load, formula="-egauge.A.Load - egauge.A.EV"))
        found = read_car_in_load(connection, house.house_id, NOON)
        assert found is not None
        assert found.suggestion is True
        changed = store.houses.update(connection, replace(house, load_contains_ev=True))
    together = live.load(NOON)
    with database.begin() as connection:
        period = periods.last_24_hours(NOON, house.time_zone)
        report = build(connection, changed, Kind.ENERGY, period, NOON)

    np.testing.assert_allclose(together.energy_today.totals.flows, apart.energy_today.totals.flows, atol=1e-9)
    np.testing.assert_allclose(
        together.power_curves["load"].series.values, apart.curves["load"].series.values, atol=1e-9
    )
    assert together.curves["load"].series.values.sum() > apart.curves["load"].series.values.sum()
    (drawn,) = (one for one in report.curves if one.key == "load")
    steps = next(table for table in report.tables if table.key == "steps")
    column = next(place for place, one in enumerate(steps.columns) if one.title == "Load, energy")
    assert sum(float(row[column] or 0) for row in steps.rows) == pytest.approx(drawn.values.sum() / 12)


def test_home_counts_sessions_as_the_ev_report_does(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    station = store.Event(NOON - 50 * HOUR_MS, "powerflex", "EV_START_CHARGING", {})
    happened: list[Happened] = [(station.timestamp_ms, "powerflex", "EV_START_CHARGING", {})]
    deliver(database, house, between(day, 0, NOON), happened)
    today = live.load(NOON).charging_today
    with database.begin() as connection:
        report = build(connection, house, Kind.EV, periods.parse("today", NOON, house.time_zone), NOON)
    assert today.sessions == report.figure("sessions").value == 1


def test_an_empty_house_has_everything_but_numbers(live: HomeLoader) -> None:
    snapshot = live.load(NOON)
    assert set(snapshot.curves) == set(HOME_ITEMS)
    assert all(curve.latest is None and not len(curve.series) for curve in snapshot.curves.values())
    assert [device.newest_ms for device in snapshot.devices] == [None, None, None]
    assert (snapshot.missing_items, snapshot.findings, snapshot.watched_ms) == ((), (), None)
    assert snapshot.newest_ms is None


def test_bringing_forward_equals_loading(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    live.load(NOON)
    for minute in range(1, 12):
        now = NOON + minute * MINUTE_MS
        events: list[Happened] = [
            (now - 1000, "powerflex", "EV_START_CHARGING", {}),
            (now - 500, "powerflex", "EV_END_CHARGING", {"duration": 1, "energy": 1_000_000 * minute}),
        ]
        deliver(database, house, between(day, now - MINUTE_MS, now), events)
        brought = live.update(now, now - MINUTE_MS)
        assert_same(brought, HomeLoader(database, house.house_id).load(now))
    assert brought.charging_today.started == brought.charging_today.ended == 11


def test_a_backlog_appears_where_it_belongs(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    outage = (at("2026-05-14 03:00"), at("2026-05-14 07:00"))
    deliver(database, house, between(day, 0, outage[0]))
    deliver(database, house, between(day, outage[1], NOON))
    first = live.load(NOON)
    assert first.energy_today.totals.not_attributed_hours == pytest.approx(4)
    deliver(database, house, between(day, *outage))
    healed = live.update(NOON + 1, outage[0])
    assert healed.energy_today.totals.not_attributed_hours == 0
    assert_same(healed, HomeLoader(database, house.house_id).load(NOON + 1))


def test_while_a_backlog_comes_in_the_present_stays_prompt(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    backlog = at("2026-05-14 03:00")
    deliver(database, house, between(day, 0, backlog))
    live.load(NOON)
    for second in range(2, 14, 2):  # the first is shown at once, the others together after ten seconds
        now = NOON + second * 1000
        deliver(database, house, between(day, backlog, backlog + HOUR_MS))
        deliver(database, house, [(now, "egauge", {"A.Solar": float(second)})])
        snapshot = live.update(now, backlog)
        latest = snapshot.latest("solar")
        assert latest is not None
        assert (latest.timestamp_ms, latest.value) == (now, float(second))
        backlog += HOUR_MS
    assert_same(snapshot, HomeLoader(database, house.house_id).load(now))


def test_a_device_that_no_item_uses_has_an_age_that_goes_on(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, 0, NOON))
    live.load(NOON)
    later = NOON + 4000
    deliver(
        database, house, [(later, "powerflex", {"voltage": 240_000.0, "power": 0.0, "energy_delivered": 0.0})]
    )
    ages = {device.name: device.newest_ms for device in live.update(later, later).devices}
    assert ages["powerflex"] == later
    assert ages["egauge"] == NOON - MINUTE_MS


def test_what_somebody_changes_in_the_house_is_seen_within_ten_seconds(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, NOON - HOUR_MS, NOON))
    live.load(NOON)
    with database.begin() as connection:
        item = next(one for one in store.analytics.list_all(connection, house.house_id) if one.name == "ev")
    analytics.delete(database, house.house_id, [item.item_id])
    assert live.update(NOON + 10_000, NOON + 10_000).missing_items == ("ev",)


def test_an_ordinary_tick_asks_little_of_the_database(
    database: Database, house: House, live: HomeLoader, day: Sent
) -> None:
    deliver(database, house, between(day, NOON - HOUR_MS, NOON))
    live.load(NOON)
    deliver(database, house, between(day, NOON, NOON + MINUTE_MS))
    with counting() as counted:
        live.update(NOON + 2000, NOON)
    assert len(counted) <= 5, counted


def test_a_house_that_there_is_not_is_told(database: Database) -> None:
    with pytest.raises(UserError, match="no such house"):
        HomeLoader(database, 99).load(NOON)


def test_an_account_of_another_house_reads_nothing_of_this_one(
    database: Database, test_database: TestDatabase, house: House, day: Sent
) -> None:
    deliver(database, house, between(day, NOON - HOUR_MS, NOON))
    other = houses.create(database, "Harbor House", time_zone="Europe/Berlin")
    with database.begin() as connection:
        for email, house_id in (("own@example.org", house.house_id), ("other@example.org", other.house_id)):
            store.accounts.create(
                connection,
                email=email,
                name="Vic",
                role="visitor",
                house_id=house_id,
                password="long enough a password",
                must_change_password=False,
            )

    def solar(email: str) -> Series:
        signed_in, _ = store.sign_in(
            test_database.address, test_database.deployment, email, "long enough a password"
        )
        try:
            return HomeLoader(signed_in, house.house_id).load(NOON).curves["solar"].series
        finally:
            signed_in.dispose()

    assert len(solar("own@example.org")) == 60
    with pytest.raises(UserError, match="no such house"):
        solar("other@example.org")


def test_findings_of_the_house_come_with_home_and_those_that_ended_yesterday_do_not(
    database: Database, house: House, live: HomeLoader
) -> None:
    midnight = calendar.local(calendar.day_of(NOON, house.time_zone)[0], "UTC")
    with database.begin() as connection:
        for rule, to in (
            ("edge_offline", None),
            ("device_down", midnight),
            ("quarantine", midnight - timedelta(seconds=1)),
        ):
            connection.exec_driver_sql(
                "INSERT INTO sgmp.finding (house_id, rule, severity, from_at, seen_at, opened_at, to_at)"
                " VALUES (%s, %s, 'critical', now(), now(), now(), %s)",
                (house.house_id, rule, to),
            )
    snapshot = live.load(NOON)
    assert [(one.rule, one.is_open) for one in snapshot.findings] == [
        ("edge_offline", True),
        ("device_down", False),
    ]
