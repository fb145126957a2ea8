"""The simulated house: what physics and daily life demand of it, at any instant, for any house."""

from __future__ import annotations

import datetime
import time
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_console.demo.simulator import House, sun
from sgmp_console.demo.simulator.battery import Battery
from sgmp_console.demo.simulator.cars import Station
from tests.waiting import yardstick_s

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

PLACES = {
    "America/Los_Angeles": (37.42, -122.20),
    "Europe/Berlin": (53.55, 9.99),
    "Australia/Sydney": (-33.87, 151.21),
}


@cache
def house(seed: int, zone: str) -> House:
    return House(seed, zone, *PLACES[zone])


def at(zone: str, *when: int) -> int:
    """UTC milliseconds of a wall clock time."""
    return round(datetime.datetime(*when, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[misc,arg-type]


START_MS = at("Europe/Berlin", 2026, 3, 20)
houses = st.builds(house, st.sampled_from([1, 2]), st.sampled_from(sorted(PLACES)))
# A few weeks around the change of summer time in each of the places; days already worked out are kept and cost nothing.
instants = st.integers(START_MS, START_MS + 21 * DAY_MS)
thorough = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(houses, instants)
def test_the_grid_carries_exactly_what_load_and_car_take_and_sun_and_battery_do_not_give(
    model: House, time_ms: int
) -> None:
    state = model.at(time_ms)
    assert state.grid_w == state.load_w + state.ev_w - state.solar_w - state.battery_w


@thorough
@given(houses, instants, st.integers(1, 3 * HOUR_MS))
def test_energy_balances_as_power_does(model: House, start_ms: int, length_ms: int) -> None:
    energy = model.energy(start_ms, start_ms + length_ms)
    assert energy.grid == energy.load + energy.ev - energy.solar - energy.battery


@settings(thorough, max_examples=15)
@given(houses, instants, st.integers(200, 90_000))
def test_energy_is_the_integral_of_power(model: House, start_ms: int, length_ms: int) -> None:
    step = 20
    length_ms = length_ms // step * step
    states = list(model.walk(start_ms, start_ms + length_ms + 1, step))
    energy = model.energy(start_ms, start_ms + length_ms)
    for counted, powers in (
        (energy.load, [s.load_w for s in states]),
        (energy.ev, [s.ev_w for s in states]),
        (energy.solar, [s.solar_w for s in states]),
        (energy.battery, [s.battery_w for s in states]),
        (energy.grid, [s.grid_w for s in states]),
        (energy.l1, [s.l1_v for s in states]),
        (energy.frequency, [s.frequency_hz for s in states]),
    ):
        integral = sum((a + b) / 2 * step / 1000 for a, b in pairwise(powers))
        assert counted == pytest.approx(integral, rel=1e-4, abs=0.1)


@thorough
@given(houses, instants, st.integers(0, 3 * DAY_MS), st.integers(0, 3 * DAY_MS))
def test_energy_adds_up_whatever_the_pieces(model: House, start_ms: int, first: int, second: int) -> None:
    whole = model.energy(start_ms, start_ms + first + second)
    pieces = zip(
        model.energy(start_ms, start_ms + first),
        model.energy(start_ms + first, start_ms + first + second),
        strict=True,
    )
    assert list(whole) == pytest.approx([a + b for a, b in pieces], abs=1e-5)


@thorough
@given(houses, instants)
def test_energy_backwards_is_negative(model: House, time_ms: int) -> None:
    forwards = model.energy(time_ms, time_ms + HOUR_MS)
    assert list(model.energy(time_ms + HOUR_MS, time_ms)) == [-value for value in forwards]


@thorough
@given(houses, instants)
def test_there_is_no_solar_power_without_sun(model: House, time_ms: int) -> None:
    state = model.at(time_ms)
    assert 0 <= state.solar_w <= model.solar_kw * 1000
    elevation = sun.elevation(time_ms, model.latitude, model.longitude)
    if elevation < 0:
        assert state.solar_w == 0
    if elevation > 3:
        assert state.solar_w > 0


@pytest.mark.parametrize("zone", sorted(PLACES))
def test_the_sun_rises_in_the_morning_and_sets_in_the_evening_of_the_house(zone: str) -> None:
    model = house(1, zone)
    midnight = at(zone, 2026, 3, 20)
    lit = [s.time_ms for s in model.walk(midnight, midnight + DAY_MS, MINUTE_MS) if s.solar_w > 0]
    first, last = (datetime.datetime.fromtimestamp(ms / 1000, model.zone) for ms in (lit[0], lit[-1]))
    assert 5 <= first.hour <= 7
    assert 17 <= last.hour <= 19


def test_a_day_is_longer_in_summer_on_either_side_of_the_equator() -> None:
    def hours_of_light(zone: str, month: int) -> float:
        midnight = at(zone, 2026, month, 21)
        return (
            sum(s.solar_w > 0 for s in house(1, zone).walk(midnight, midnight + DAY_MS, 10 * MINUTE_MS)) / 6
        )

    assert hours_of_light("Europe/Berlin", 6) > 15 > 9 > hours_of_light("Europe/Berlin", 12)
    assert hours_of_light("Australia/Sydney", 12) > 13 > 11 > hours_of_light("Australia/Sydney", 6)


@thorough
@given(houses, instants)
def test_battery_and_mains_stay_within_their_limits(model: House, time_ms: int) -> None:
    state = model.at(time_ms)
    assert model.battery.floor - 1e-9 <= state.charge <= 1 + 1e-9
    assert -model.battery.charge_w <= state.battery_w <= model.battery.discharge_w
    assert state.load_w > 0
    assert state.ev_w >= 0
    nominal = model.mains.leg_v
    for volts in (state.l1_v, state.l2_v):
        assert nominal * 0.95 < volts < nominal * 1.05
    assert state.l1_v != state.l2_v
    assert abs(state.frequency_hz - model.mains.frequency_hz) < 0.05


@thorough
@given(houses, instants, st.integers(1000, HOUR_MS))
def test_what_the_battery_gives_comes_out_of_its_charge_with_losses(
    model: House, start_ms: int, length_ms: int
) -> None:
    before, after = model.at(start_ms), model.at(start_ms + length_ms)
    taken_ws = (before.charge - after.charge) * model.battery.capacity_ws
    given_ws = model.energy(start_ms, start_ms + length_ms).battery
    slack = 1e-3
    # Giving takes more than arrives, and being given stores less than was taken in.
    assert taken_ws + slack >= given_ws
    powers = [s.battery_w for s in model.walk(start_ms, start_ms + length_ms + 1, 500)]
    if all(watts > 0 for watts in powers):
        assert taken_ws == pytest.approx(given_ws / model.battery.efficiency, abs=1.0)
    if all(watts < 0 for watts in powers):
        assert taken_ws == pytest.approx(given_ws * model.battery.efficiency, abs=1.0)


def test_the_battery_covers_the_house_until_it_is_empty_full_or_at_its_limit() -> None:
    model = house(1, "America/Los_Angeles")
    start = at("America/Los_Angeles", 2026, 3, 22, 7)
    free = [
        s
        for s in model.walk(start, start + 3 * DAY_MS, 7 * MINUTE_MS)
        if model.battery.floor + 0.02 < s.charge < 0.98
        and abs(s.battery_w) < model.battery.discharge_w - 100
        and s.ev_w == 0
    ]
    assert len(free) > 100
    assert all(abs(s.grid_w) < 60 for s in free)


def test_a_battery_runs_empty_and_full_without_a_step() -> None:
    model = house(1, "America/Los_Angeles")
    start = at("America/Los_Angeles", 2026, 3, 22)
    states = list(model.walk(start, start + 3 * DAY_MS, MINUTE_MS))
    assert min(s.charge for s in states) == pytest.approx(model.battery.floor, abs=1e-6)
    assert max(s.charge for s in states) == pytest.approx(1.0, abs=1e-6)


def test_every_fourteenth_night_fills_the_battery_whatever_went_before() -> None:
    small = House(3, "Europe/Berlin", *PLACES["Europe/Berlin"], solar_kw=0.5)
    # Midnight to six by the sun is shortly after midnight UTC at ten degrees east.
    mornings = [small.at(START_MS + day * DAY_MS + 5 * HOUR_MS + 15 * MINUTE_MS).charge for day in range(14)]
    assert [charge > 0.999 for charge in mornings].count(True) == 1


def test_a_battery_too_large_to_be_filled_in_a_night_is_refused() -> None:
    with pytest.raises(ValueError, match="fillable"):
        House(1, "Europe/Berlin", 53.5, 10.0, battery=Battery(capacity_wh=30_000, charge_w=3_000))


def test_any_instant_is_the_same_in_every_process_and_order() -> None:
    zone = "America/Los_Angeles"
    times = [START_MS + hours * HOUR_MS + 12_345 for hours in (0, 31, 200, 433)]
    forwards = House(5, zone, *PLACES[zone])
    there = [forwards.at(t) for t in times]
    walked = list(forwards.walk(times[0], times[-1] + 1, HOUR_MS))
    backwards = House(5, zone, *PLACES[zone])
    back = [backwards.at(t) for t in reversed(times)]
    assert there == list(reversed(back))
    assert [s for s in walked if s.time_ms in times] == there
    assert forwards.energy(times[0], times[-1]) == backwards.energy(times[0], times[-1])


def test_walking_with_energy_gives_both() -> None:
    model = house(2, "Europe/Berlin")
    start = START_MS + 5 * HOUR_MS
    pairs = list(model.walk_with_energy(start, start + DAY_MS, 17 * MINUTE_MS))
    assert [state for state, _ in pairs] == list(model.walk(start, start + DAY_MS, 17 * MINUTE_MS))
    for state, energy in pairs[::9]:
        exact = model.energy(state.time_ms - 17 * MINUTE_MS, state.time_ms)
        assert list(energy) == pytest.approx(list(exact), abs=1e-5)


def test_another_seed_is_another_house() -> None:
    one, two = house(1, "Europe/Berlin"), house(2, "Europe/Berlin")
    assert one.at(START_MS).load_w != two.at(START_MS).load_w
    assert one.sessions(START_MS, START_MS + 7 * DAY_MS) != two.sessions(START_MS, START_MS + 7 * DAY_MS)


@pytest.mark.parametrize(
    ("zone", "leg_v", "frequency_hz"),
    [("America/Los_Angeles", 120, 60), ("Europe/Berlin", 230, 50), ("Australia/Sydney", 230, 50)],
)
def test_the_mains_are_those_of_the_place(zone: str, leg_v: float, frequency_hz: float) -> None:
    state = house(1, zone).at(START_MS)
    assert state.l1_v == pytest.approx(leg_v, rel=0.05)
    assert state.frequency_hz == pytest.approx(frequency_hz, abs=0.05)


# --- Civil time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", (2026, 3, 8), 23),
        ("America/Los_Angeles", (2026, 11, 1), 25),
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
    ],
)
def test_a_day_of_23_or_25_hours_is_lived_by_the_clock_on_the_wall(
    zone: str, day: tuple[int, int, int], hours: int
) -> None:
    model = house(1, zone)
    year, month, number = day
    start = at(zone, year, month, number)
    end = at(zone, year, month, number + 1)
    assert end - start == hours * HOUR_MS
    # The evening is busier than the night, on the wall's clock, and no minute is without a state.
    by_hour: dict[int, list[float]] = {}
    for state in model.walk(start, end, MINUTE_MS):
        local = datetime.datetime.fromtimestamp(state.time_ms / 1000, model.zone)
        by_hour.setdefault(local.hour, []).append(state.load_w)
    assert sum(len(watts) for watts in by_hour.values()) == hours * 60
    evening = sum(by_hour[19]) / len(by_hour[19])
    night = sum(by_hour[4]) / len(by_hour[4])
    assert evening > 2 * night


@pytest.mark.parametrize("zone", sorted(PLACES))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cars_come_one_at_a_time_by_the_clock_on_the_wall(zone: str, seed: int) -> None:
    zone_info = ZoneInfo(zone)
    sessions = Station(seed, "home", zone_info).sessions(START_MS, START_MS + 366 * DAY_MS)
    assert 200 < len(sessions) < 500
    for earlier, later in pairwise(sessions):
        assert earlier.unplugged_ms < later.plugged_ms
    for session in sessions:
        assert session.plugged_ms < session.charging_ms < session.charged_ms < session.unplugged_ms
        arrival = datetime.datetime.fromtimestamp(session.plugged_ms / 1000, zone_info)
        departure = datetime.datetime.fromtimestamp(session.unplugged_ms / 1000, zone_info)
        assert 9 <= arrival.hour <= 20
        assert 6 <= departure.hour <= 16
        assert 500 < session.energy_wh < 20_000


def test_a_session_delivers_what_the_house_gives_its_car() -> None:
    model = house(1, "America/Los_Angeles")
    session = model.sessions(START_MS, START_MS + 7 * DAY_MS)[1]
    given_wh = model.energy(session.plugged_ms, session.unplugged_ms).ev / 3600
    assert given_wh == pytest.approx(session.energy_wh, abs=1e-6)
    middle = (session.charging_ms + session.charged_ms) // 2 + 12_345
    partly_wh = model.energy(session.plugged_ms, middle).ev / 3600
    assert session.delivered_wh(middle) == pytest.approx(partly_wh, abs=1e-6)
    assert session.power_w(middle) == pytest.approx(model.at(middle).ev_w, abs=1e-6)


def test_a_station_says_what_its_car_does() -> None:
    model = house(1, "America/Los_Angeles")
    session = model.sessions(START_MS, START_MS + 7 * DAY_MS)[1]
    said = [
        model.charger.at(t).charging_state
        for t in (
            session.plugged_ms - 1,
            session.plugged_ms,
            session.charging_ms,
            session.charged_ms,
            session.unplugged_ms - 1,
            session.unplugged_ms,
        )
    ]
    assert said == ["UNPLUGGED", "READY", "ADAPTIVE", "NOT CHARGING", "NOT CHARGING", "UNPLUGGED"]


# --- Commands to the battery -------------------------------------------------------------------------------------


@pytest.fixture
def commanded() -> House:
    """A house of this test's own, since commands change it."""
    return House(1, "America/Los_Angeles", *PLACES["America/Los_Angeles"])


NOON_MS = at("America/Los_Angeles", 2026, 3, 22, 12)
MORNING_MS = at("America/Los_Angeles", 2026, 3, 22, 10)
AFTERNOON_MS = at("America/Los_Angeles", 2026, 3, 22, 16)


@pytest.mark.parametrize("setpoint_w", [-1500.0, 0.0, 800.0])
def test_a_setpoint_is_followed_within_two_seconds_and_holds(commanded: House, setpoint_w: float) -> None:
    when = MORNING_MS + 17_321
    commanded.command(when, manual=True, setpoint_w=setpoint_w)
    for later in (2_000, MINUTE_MS, 20 * MINUTE_MS):
        assert commanded.at(when + later).battery_w == pytest.approx(setpoint_w)


def test_a_command_changes_nothing_that_was_already_read(commanded: House) -> None:
    when = NOON_MS + 17_321
    before = list(commanded.walk(NOON_MS - 5 * MINUTE_MS, when + 1, 1_003))
    counted = commanded.energy(NOON_MS - DAY_MS, when)
    commanded.command(when, manual=True, setpoint_w=2_000)
    commanded.command(when + 5, manual=True, setpoint_w=-2_000)
    after = list(commanded.walk(NOON_MS - 5 * MINUTE_MS, when + 1, 1_003))
    assert len(after) == len(before)
    for was, now in zip(before, after, strict=True):
        assert list(now) == pytest.approx(list(was), rel=1e-12)
    assert list(commanded.energy(NOON_MS - DAY_MS, when)) == pytest.approx(list(counted), abs=1e-5)


def test_a_commanded_battery_stops_at_its_limits(commanded: House) -> None:
    commanded.command(NOON_MS, manual=True, setpoint_w=-50_000)
    assert commanded.at(NOON_MS + 5_000).battery_w == -commanded.battery.charge_w
    full = commanded.at(NOON_MS + 6 * HOUR_MS)
    assert full.charge == pytest.approx(1.0)
    assert full.battery_w == pytest.approx(0.0, abs=1e-6)
    commanded.command(NOON_MS + 6 * HOUR_MS, manual=True, setpoint_w=50_000)
    empty = commanded.at(NOON_MS + 12 * HOUR_MS)
    assert empty.charge == pytest.approx(commanded.battery.floor)
    assert empty.battery_w == pytest.approx(0.0, abs=1e-6)


def test_self_consumption_goes_on_from_where_commands_left_the_charge(commanded: House) -> None:
    commanded.command(AFTERNOON_MS, manual=True, setpoint_w=3_000)
    back = AFTERNOON_MS + HOUR_MS
    left = commanded.at(back).charge
    commanded.command(back, manual=False)
    after = commanded.at(back + 2_000)
    assert after.charge == pytest.approx(left, abs=1e-3)
    assert abs(after.grid_w) < 60


def test_commands_hold_over_days_and_maintenance(commanded: House) -> None:
    commanded.command(NOON_MS, manual=True, setpoint_w=0.0)
    held = commanded.at(NOON_MS + MINUTE_MS).charge
    for day in (1, 9, 16):
        state = commanded.at(NOON_MS + day * DAY_MS)
        assert state.battery_w == 0
        assert state.charge == pytest.approx(held)


def test_a_command_for_the_past_counts_from_the_last_one(commanded: House) -> None:
    commanded.command(NOON_MS, manual=True, setpoint_w=500)
    commanded.command(NOON_MS - HOUR_MS, manual=True, setpoint_w=700)
    assert commanded.at(NOON_MS + 5_000).battery_w == pytest.approx(700)


def test_a_month_of_minutes_is_a_matter_of_a_second() -> None:
    model = House(7, "America/Los_Angeles", *PLACES["America/Los_Angeles"])
    began = time.process_time()
    assert sum(1 for _ in model.walk(START_MS, START_MS + 30 * DAY_MS, MINUTE_MS)) == 43_200
    assert time.process_time() - began < 60 * yardstick_s()
