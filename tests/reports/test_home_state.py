"""Home's numbers, made from readings in memory: what is shown, and that it adds up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sgmp_console.reports.balance import SOURCES
from sgmp_console.reports.home import HOME_ITEMS, HomeSnapshot
from sgmp_console.timeseries import SLOT_MS, Series, slot_means
from tests.reports.houses import (
    BATTERY,
    DEVICES,
    EV,
    GRID,
    ITEMS,
    LOAD,
    SOLAR,
    Field,
    at,
    balanced,
    bring,
    definition,
    device,
    event,
    filled,
    item,
    newest,
    without,
)

HOUR_MS = 3_600_000
NOON = at("2026-05-14 12:02")
MIDNIGHT = at("2026-05-14 00:00")


def energy(snapshot: HomeSnapshot, name: str) -> float:
    totals = snapshot.energy_today.totals
    return totals.source(name) if name in SOURCES else totals.use(name)


def sunny(times: np.ndarray, kw: float) -> dict[Field, Series]:
    """A house that uses what the sun gives."""
    values = {SOLAR: kw, LOAD: -kw, EV: 0.0, GRID: 0.0, BATTERY: 0.0}
    return {key: Series(times, np.full(len(times), value)) for key, value in values.items()}


# --- Balance --------------------------------------------------------------------------------------------------------


def test_what_comes_in_goes_out_at_every_instant_and_in_every_slot() -> None:
    snapshot = filled(NOON, balanced(NOON - 24 * HOUR_MS, NOON)).snapshot(NOON)
    by = {name: curve.series for name, curve in snapshot.curves.items()}
    battery = by["battery_discharging"].values - by["battery_charging"].values
    net = by["load"].values + by["ev"].values - by["solar"].values - battery
    np.testing.assert_allclose(by["grid_import"].values - by["grid_export"].values, net, atol=1e-9)
    means = {name: slot_means(one, snapshot.start_ms, snapshot.now_ms).means for name, one in by.items()}
    np.testing.assert_allclose(
        means["grid_import"] - means["grid_export"],
        means["load"]
        + means["ev"]
        - means["solar"]
        - means["battery_discharging"]
        + means["battery_charging"],
        atol=1e-9,
    )


# --- Energy today ---------------------------------------------------------------------------------------------------


def test_a_constant_power_of_three_kilowatts_gives_three_kilowatt_hours_an_hour() -> None:
    times = np.arange(MIDNIGHT, NOON, 4000)
    day = filled(NOON, sunny(times, 3.0))
    snapshot = day.snapshot(NOON)
    assert energy(snapshot, "solar") == pytest.approx(36.0)
    assert (snapshot.energy_today.start_ms, snapshot.energy_today.end_ms) == (
        MIDNIGHT,
        at("2026-05-14 12:00"),
    )


def test_the_energy_of_today_is_the_sum_of_its_slots() -> None:
    readings = balanced(MIDNIGHT, NOON)
    snapshot = filled(NOON, readings).snapshot(NOON)
    start, end = snapshot.energy_today.start_ms, snapshot.energy_today.end_ms
    slots = [
        np.maximum(readings[SOLAR].between(slot, slot + SLOT_MS).values, 0).mean()
        for slot in range(start, end, SLOT_MS)
    ]
    assert energy(snapshot, "solar") == pytest.approx(sum(slots) / 12, rel=1e-12)


def test_a_gap_is_uncovered_and_adds_no_energy() -> None:
    times = np.arange(MIDNIGHT, NOON, 4000)
    gap = without(sunny(times, 3.0), at("2026-05-14 02:00"), at("2026-05-14 05:00"))
    snapshot = filled(NOON, gap).snapshot(NOON)
    assert energy(snapshot, "solar") == pytest.approx(27.0)
    assert snapshot.energy_today.totals.not_attributed_hours == pytest.approx(3.0)


def test_without_any_value_no_slot_is_attributed() -> None:
    totals = filled(NOON, {}).snapshot(NOON).energy_today.totals
    assert (totals.attributed, totals.slots) == (0, 144)


def test_a_slot_without_one_of_the_items_is_not_attributed_and_says_whose_value_is_missing() -> None:
    times = np.arange(MIDNIGHT, NOON, 4000)
    readings = sunny(times, 3.0)
    half = {**readings, BATTERY: readings[BATTERY].between(MIDNIGHT, MIDNIGHT + 6 * HOUR_MS)}
    today = filled(NOON, half).snapshot(NOON).energy_today
    assert today.totals.consumption == pytest.approx(18.0)
    assert today.totals.not_attributed_hours == pytest.approx(6.0)
    assert {name for name, slots in today.missing.items() if slots} == {
        "battery_charging",
        "battery_discharging",
    }


def test_an_item_that_the_house_does_not_have_is_named() -> None:
    times = np.arange(MIDNIGHT, NOON, 4000)
    items = [item for item in ITEMS if item.name != "solar"]
    today = filled(NOON, sunny(times, 3.0), of=definition(items=items)).snapshot(NOON).energy_today
    assert today.absent == ("solar",)
    assert today.totals.residual == pytest.approx(36.0)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-08", 23), ("2026-05-14", 24), ("2026-11-01", 25)],
    ids=["23 h", "24 h", "25 h"],
)
def test_a_day_is_the_houses_whatever_its_length(day: str, hours: int) -> None:
    start = at(f"{day} 00:00")
    now = start + hours * HOUR_MS - 1
    times = np.arange(start - 3 * HOUR_MS, now, 60_000)
    house = filled(now, sunny(times, 2.0))
    assert energy(house.snapshot(now), "solar") == pytest.approx(2.0 * (hours - 1 / 12))
    bring(house, now + 1, now, sunny(times, 2.0))
    assert house.snapshot(now + 1).energy_today.start_ms == start + hours * HOUR_MS


def test_at_midnight_the_day_begins_anew() -> None:
    snapshot = filled(MIDNIGHT, balanced(MIDNIGHT - HOUR_MS, MIDNIGHT)).snapshot(MIDNIGHT)
    assert (snapshot.energy_today.start_ms, snapshot.energy_today.end_ms) == (MIDNIGHT, MIDNIGHT)
    assert snapshot.energy_today.totals.slots == 0


# --- Now ------------------------------------------------------------------------------------------------------------


def test_the_current_value_is_the_newest_one_and_no_maximum() -> None:
    day = filled(NOON, {SOLAR: Series([NOON - 8000, NOON - 4000], [5.0, 1.5])})
    latest = day.snapshot(NOON).latest("solar")
    assert latest is not None
    assert (latest.timestamp_ms, latest.value, latest.is_stale(NOON)) == (NOON - 4000, 1.5, False)


@pytest.mark.parametrize(("age_ms", "stale"), [(60_000, False), (60_001, True)])
def test_where_the_interval_is_not_known_a_value_is_stale_after_a_minute(age_ms: int, stale: bool) -> None:
    latest = filled(NOON, {SOLAR: Series([NOON - age_ms], [1.5])}).snapshot(NOON).latest("solar")
    assert latest is not None
    assert latest.is_stale(NOON) is stale


def test_a_device_that_is_polled_seldom_may_be_five_polls_old() -> None:
    slow = replace(definition(), devices=(device("egauge", "egauge", interval=120), *DEVICES[:1]))
    curve = filled(NOON, {SOLAR: Series([NOON - 599_000], [1.5])}, of=slow).snapshot(NOON).curves["solar"]
    assert curve.latest is not None
    assert not curve.latest.is_stale(NOON)
    assert curve.gap_ms == 600_000


def test_a_mean_may_be_as_old_as_its_period_and_no_gap_lies_between_two() -> None:
    items = (*(one for one in ITEMS if one.name != "load"), item("load", "avg(-egauge.A.Load, 900000)"))
    start = at("2026-05-14 11:00")
    times = np.arange(start, NOON, 4000)
    readings = {("egauge", "A.Load"): Series(times, np.full(len(times), -2.0))}
    curve = filled(NOON, readings, of=definition(items=items)).snapshot(NOON).curves["load"]
    assert curve.latest is not None
    assert (curve.latest.timestamp_ms, curve.latest.is_stale(NOON)) == (at("2026-05-14 12:00"), False)
    assert all(b - a <= curve.gap_ms for a, b in pairwise(curve.series.timestamps.tolist()))


def test_how_long_ago_a_house_fell_silent_is_told_after_more_than_a_day() -> None:
    last = NOON - 72 * HOUR_MS
    day = filled(NOON, {SOLAR: Series([last], [1.5])})
    snapshot = day.snapshot(NOON)
    latest = snapshot.latest("solar")
    assert latest is not None
    assert (latest.timestamp_ms, latest.value, latest.is_stale(NOON)) == (last, 1.5, True)
    assert len(snapshot.curves["solar"].series) == 0
    assert snapshot.newest_ms == last


def test_an_edge_whose_clock_is_ahead_is_believed_for_five_minutes_only() -> None:
    readings = {SOLAR: Series([NOON + 200_000, NOON + 400_000], [1.0, 2.0])}
    day = filled(NOON, readings)
    latest = day.snapshot(NOON).latest("solar")
    assert latest is not None
    assert latest.value == 1.0
    later = day.snapshot(NOON + 200_000).latest("solar")
    assert later is not None
    assert later.value == 2.0


# --- Curves ---------------------------------------------------------------------------------------------------------


def test_curves_hold_the_last_24_hours_of_every_item_of_home() -> None:
    readings = balanced(NOON - 30 * HOUR_MS, NOON, 60_000)
    snapshot = filled(NOON, readings).snapshot(NOON)
    assert set(snapshot.curves) == set(HOME_ITEMS)
    for curve in snapshot.curves.values():
        assert curve.problem is None
        assert curve.series.timestamps[0] == NOON - 24 * HOUR_MS
        assert curve.series.timestamps[-1] == NOON - 60_000


def test_curves_stay_bounded_while_time_goes_on() -> None:
    readings = balanced(NOON - 24 * HOUR_MS, NOON + 48 * HOUR_MS, 60_000)
    day = filled(NOON, {key: one.between(0, NOON) for key, one in readings.items()})
    for hour in range(1, 48):
        now = NOON + hour * HOUR_MS
        bring(day, now, now - HOUR_MS, {key: one.between(0, now) for key, one in readings.items()})
        assert len(day.snapshot(now).curves["solar"].series) == 24 * 60


def test_late_data_appears_where_it_belongs() -> None:
    readings = balanced(NOON - 24 * HOUR_MS, NOON, 60_000)
    gap = (NOON - 10 * HOUR_MS, NOON - 7 * HOUR_MS)
    day = filled(NOON, without(readings, *gap))
    bring(day, NOON, gap[0], readings)
    healed, whole = day.snapshot(NOON), filled(NOON, readings).snapshot(NOON)
    for name in HOME_ITEMS:
        np.testing.assert_array_equal(
            healed.curves[name].series.timestamps, whole.curves[name].series.timestamps
        )
        np.testing.assert_array_equal(healed.curves[name].series.values, whole.curves[name].series.values)
    np.testing.assert_allclose(healed.energy_today.totals.flows, whole.energy_today.totals.flows, atol=1e-12)


def test_a_clock_set_back_needs_a_new_start() -> None:
    day = filled(NOON, {})
    assert day.covers(NOON + HOUR_MS)
    assert not day.covers(NOON - HOUR_MS)


# --- What the house has and lacks -----------------------------------------------------------------------------------


def test_missing_required_items_are_told_in_the_playbooks_order() -> None:
    few = definition(items=[one for one in ITEMS if one.name not in ("solar", "battery", "soc")])
    snapshot = filled(NOON, {}, of=few).snapshot(NOON)
    assert snapshot.missing_items == ("battery", "soc", "solar")
    assert "solar" not in snapshot.curves


def test_an_item_whose_device_is_gone_says_so() -> None:
    curve = filled(NOON, {}, of=definition(devices=DEVICES[:1])).snapshot(NOON).curves["ev"]
    assert curve.problem == "`ev` refers to device `egauge`, which this house doesn't have."


def test_devices_have_the_age_of_their_newest_field() -> None:
    readings = {SOLAR: Series([NOON - 9000], [1.0]), EV: Series([NOON - 5000], [0.0])}
    day = filled(NOON, readings)
    assert [(one.name, one.newest_ms) for one in day.snapshot(NOON).devices] == [
        ("egauge", NOON - 5000),
        ("powerflex", None),
        ("sonnen", None),
    ]
    assert newest(readings)[EV] == (NOON - 5000, 0.0)


# --- Events ---------------------------------------------------------------------------------------------------------


def test_sessions_of_today_are_counted_from_the_chargers_events() -> None:
    events = [
        event(MIDNIGHT - 1, "powerflex", "EV_START_CHARGING"),
        event(MIDNIGHT + HOUR_MS, "powerflex", "EV_START_CHARGING"),
        event(MIDNIGHT + HOUR_MS, "street", "EV_START_CHARGING"),
        event(MIDNIGHT + 2 * HOUR_MS, "powerflex", "EV_END_CHARGING", duration=1, energy=7_000_000),
        event(MIDNIGHT + 2 * HOUR_MS, "street", "EV_END_CHARGING", duration=1, energy=500_000),
    ]
    charging = filled(NOON, {}, events).snapshot(NOON).charging_today
    assert (charging.started, charging.ended) == (2, 2)
    assert charging.energy_kwh == pytest.approx(7.5)


def test_a_house_without_the_items_counts_no_sessions() -> None:
    charging = filled(NOON, {}, of=definition(items=())).snapshot(NOON).charging_today
    assert (charging.started, charging.ended, charging.energy_kwh) == (None, None, None)


def test_events_that_arrive_again_are_not_counted_twice() -> None:
    events = [event(NOON - 5000, "powerflex", "EV_START_CHARGING")]
    day = filled(NOON, {}, events)
    bring(day, NOON, NOON - 5000, {}, events)
    assert day.snapshot(NOON).charging_today.started == 1


def test_battery_watts_become_kilowatts_with_the_sign_of_discharging() -> None:
    day = filled(NOON, {BATTERY: Series([NOON - 8000, NOON - 4000], [1500.0, -800.0])})
    snapshot = day.snapshot(NOON)
    assert snapshot.curves["battery_discharging"].series.values.tolist() == [1.5, 0.0]
    assert snapshot.curves["battery_charging"].series.values.tolist() == [0.0, 0.8]


# --- Silence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval_ms", "stale_after_ms"), [(2000, 20_000), (10_000, 50_000), (60_000, 300_000)]
)
def test_a_device_is_silent_and_its_values_stale_after_a_few_of_its_polls(
    interval_ms: int, stale_after_ms: int
) -> None:
    times = np.arange(NOON - 3_600_000, NOON + 1, interval_ms)
    snapshot = filled(NOON, {SOLAR: Series(times, np.ones(len(times)))}).snapshot(NOON)
    meter = next(device for device in snapshot.devices if device.name == "egauge")
    latest = snapshot.latest("solar")
    assert latest is not None
    for now, stale in (
        (latest.timestamp_ms + stale_after_ms, False),
        (latest.timestamp_ms + stale_after_ms + 1, True),
    ):
        assert meter.is_silent(now) is stale
        assert latest.is_stale(now) is stale
