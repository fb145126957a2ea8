"""Charging sessions as the chargers' events tell of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.reports.balance import Balance, balance
from sgmp_console.reports.sessions import Split, StationPower, paired, with_powers, with_split
from sgmp_console.store import Event
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, SlotMeans, aggregate
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

H = HOUR_MS


def start(at_ms: int, station: str = "east") -> Event:
    return Event(at_ms, station, EV_START_CHARGING, {})


def end(
    at_ms: int, duration_ms: int | None = None, energy_mwh: float | None = None, station: str = "east"
) -> Event:
    data = {"duration": duration_ms, "energy": energy_mwh}
    return Event(
        at_ms, station, EV_END_CHARGING, {key: value for key, value in data.items() if value is not None}
    )


def test_a_session_lasts_from_plugging_in_to_unplugging() -> None:
    (session,) = paired([end(5 * H, 4 * H, 8_960_000), start(1 * H)])
    assert (session.plugged_ms, session.unplugged_ms) == (1 * H, 5 * H)
    assert session.energy_kwh == pytest.approx(8.96)
    assert not session.is_running


def test_stations_are_paired_apart() -> None:
    found = paired([start(1 * H), start(2 * H, "west"), end(3 * H, station="west"), end(4 * H)])
    assert [(one.station, one.plugged_ms, one.unplugged_ms) for one in found] == [
        ("east", 1 * H, 4 * H),
        ("west", 2 * H, 3 * H),
    ]


def test_a_session_across_midnight_belongs_to_both_days_and_is_cut_at_their_ends() -> None:
    (session,) = paired([start(23 * H), end(27 * H)])
    assert session.overlaps(0, 24 * H)
    assert session.overlaps(24 * H, 48 * H)
    assert session.plugged_in_ms(0, 24 * H) == 1 * H
    assert session.plugged_in_ms(24 * H, 48 * H) == 3 * H
    assert session.cut_at(0, 24 * H) == (False, True)
    assert session.cut_at(24 * H, 48 * H) == (True, False)


def test_a_car_that_is_plugged_in_is_shown_as_running() -> None:
    (session,) = paired([start(20 * H)])
    assert session.is_running
    assert session.overlaps(24 * H, 48 * H)
    assert session.plugged_in_ms(24 * H, 30 * H) == 6 * H


def test_an_end_without_a_start_says_so_and_takes_its_start_from_the_duration() -> None:
    (session,) = paired([end(5 * H, 4 * H, 1_000_000)])
    assert (session.plugged_ms, session.start_missing) == (1 * H, True)


def test_a_start_that_another_follows_has_lost_its_end() -> None:
    lost, running = paired([start(1 * H), start(5 * H)])
    assert (lost.end_missing, lost.is_running, lost.plugged_in_ms(0, 9 * H)) == (True, False, None)
    assert running.is_running


def test_an_end_with_odd_data_is_a_session_all_the_same() -> None:
    odd = Event(5 * H, "east", EV_END_CHARGING, {"duration": "long", "energy": None})
    (session,) = paired([start(1 * H), odd])
    assert (session.unplugged_ms, session.energy_kwh) == (5 * H, None)


@pytest.mark.parametrize("number", [-1, 1e13, 10**30, 1e308])
def test_a_number_that_no_charger_can_mean_is_none(number: float) -> None:
    (session,) = paired([start(1 * H), end(5 * H, number, number)])  # type: ignore[arg-type]
    assert (session.plugged_ms, session.unplugged_ms, session.energy_kwh) == (1 * H, 5 * H, None)
    (session,) = paired([end(5 * H, number, number)])  # type: ignore[arg-type]
    assert (session.plugged_ms, session.energy_kwh) == (None, None)


def test_charging_time_mean_peak_and_pauses_come_from_the_power() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.arange(0, 240) * 60_000
    power = np.where((minutes < 1 * H) | ((minutes >= 2 * H) & (minutes < 3 * H)), 6.0, 0.0)
    power[5] = 7.0
    found = with_powers(session, StationPower(Series(minutes, power)), 0, 24 * H)
    assert found.charging_ms == 2 * H
    assert found.mean_kw == pytest.approx(6.0 + 1.0 / 120)
    assert (found.peak_kw, found.pauses) == (7.0, 1)


def test_a_session_whose_readings_are_gone_has_its_powers_from_slots_and_says_so() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.arange(0, 240) * 60_000
    power = Series(minutes, np.where(minutes < 2 * H, 6.0, 0.0) + np.where(minutes == 5 * 60_000, 1.0, 0.0))
    raw_from = 1 * H
    partly = StationPower(power.since(raw_from)).with_means_of(aggregate(power), raw_from)
    whole = with_powers(session, StationPower(power), 0, 24 * H)
    found = with_powers(session, partly, 0, 24 * H)
    assert (found.approximate, whole.approximate) == (True, False)
    assert (found.peak_kw, found.pauses) == (whole.peak_kw, whole.pauses)
    assert found.mean_kw == pytest.approx(whole.mean_kw)
    assert found.charging_ms == pytest.approx(whole.charging_ms, abs=60_000)


def test_a_slot_without_readings_is_neither_charging_nor_a_pause_where_readings_are_gone() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.concatenate([np.arange(0, 60), np.arange(120, 180)]) * 60_000
    slots = aggregate(Series(minutes, np.full(120, 6.0)))
    found = with_powers(session, StationPower(Series.empty()).with_means_of(slots, 24 * H), 0, 24 * H)
    assert found.charging_ms == pytest.approx(2 * H, abs=10)
    assert (found.mean_kw, found.pauses) == (6.0, 0)


def test_a_gap_in_the_readings_is_neither_charging_nor_a_pause() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.concatenate([np.arange(0, 60), np.arange(120, 180)]) * 60_000
    found = with_powers(session, StationPower(Series(minutes, np.full(120, 6.0))), 0, 24 * H)
    assert (found.charging_ms, found.pauses) == (118 * 60_000, 0)


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ([], 0),
        ([(110, "START"), (120, "END")], 1),
        ([(50, "START")], 1),
        ([(50, "START"), (150, "END"), (160, "START")], 2),
        ([(50, "START"), (60, "END")], 0),
        ([(150, "END")], 1),
        ([(150, "END"), (160, "START"), (170, "END")], 2),
        ([(150, "START"), (250, "END")], 1),
    ],
    ids=[
        "none",
        "within the day",
        "plugged in since before",
        "until this morning and again",
        "over before midnight",
        "began before what is known",
        "of before and of today",
        "ends tomorrow",
    ],
)
def test_a_session_counts_for_each_day_of_which_it_has_a_part(
    history: list[tuple[int, str]], count: int
) -> None:
    events = [Event(at_ms, "station", f"EV_{change}_CHARGING", {}) for at_ms, change in history]
    assert sum(session.overlaps(100, 200) for session in paired(events)) == count


# --- Restarts -----------------------------------------------------------------------------------------------------


def test_a_start_that_a_restart_repeats_belongs_to_the_session_that_the_end_names() -> None:
    (session,) = paired([start(1 * H), start(3 * H), start(4 * H), end(5 * H, 4 * H - 4000, 9_000_000)])
    assert (session.plugged_ms, session.unplugged_ms) == (1 * H, 5 * H)
    assert not session.start_missing


def test_an_end_of_the_second_start_leaves_the_first_without_its_end() -> None:
    lost, session = paired([start(1 * H), start(3 * H), end(5 * H, 2 * H)])
    assert (lost.plugged_ms, lost.end_missing) == (1 * H, True)
    assert (session.plugged_ms, session.end_missing) == (3 * H, False)


def test_a_session_that_began_before_the_first_start_that_was_recorded_takes_its_start_from_the_duration() -> (
    None
):
    (session,) = paired([start(3 * H), end(5 * H, 4 * H)])
    assert (session.plugged_ms, session.start_missing) == (1 * H, True)


def test_a_duration_of_charging_that_is_shorter_than_the_stay_changes_nothing() -> None:
    (session,) = paired([start(1 * H), end(5 * H, 2 * H)])
    assert (session.plugged_ms, session.start_missing) == (1 * H, False)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.sampled_from(["east", "west"]),
            st.booleans(),
            st.none() | st.integers(-5, 400),
        ),
        max_size=12,
    )
)
def test_every_event_is_in_a_session_and_no_two_sessions_of_a_station_overlap(
    happened: list[tuple[int, str, bool, int | None]],
) -> None:
    events = [
        start(at, station) if starts else end(at, duration, station=station)
        for at, station, starts, duration in happened
    ]
    found = paired(events)
    assert sum(one.unplugged_ms is not None for one in found) == sum(
        not starts for _, _, starts, _ in happened
    )
    for station in ("east", "west"):
        of_station = [one for one in found if one.station == station]
        assert sum(one.is_running for one in of_station) <= 1
        for one in of_station:
            assert one.plugged_ms is None or one.unplugged_ms is None or one.plugged_ms <= one.unplugged_ms


# --- Where the energy came from -----------------------------------------------------------------------------------


def day_of(powers: Mapping[str, Callable[[int], float | None]]) -> Balance:
    """The balance of 24 hours from 0, by the power of each item in each slot, kW; None: no value."""
    means = {}
    for name, power in powers.items():
        known = [(at, value) for at in range(0, 24 * H, SLOT_MS) if (value := power(at)) is not None]
        means[name] = SlotMeans(
            0, 24 * H, np.array([at for at, _ in known]), np.array([value for _, value in known])
        )
    return balance(means, 0, 24 * H)


def of_minutes(power: Callable[[int], float]) -> StationPower:
    minutes = np.arange(0, 24 * H, 60_000)
    return StationPower(Series(minutes, np.array([power(at) for at in minutes.tolist()])))


def charging(since: int, until: int, power: float = 6.0) -> Callable[[int], float]:
    return lambda at: power if since <= at < until else 0.0


def test_the_energy_of_a_session_is_shared_as_the_cars_is_in_the_balance_of_each_slot() -> None:
    (session,) = paired([start(10 * H), end(13 * H, energy_mwh=12_600_000)])
    car = charging(10 * H, 12 * H)
    found = with_split(
        session,
        of_minutes(car),
        day_of(
            {
                "ev": car,
                "solar": charging(10 * H, 11 * H, 6.0),
                "battery_discharging": charging(11 * H, 12 * H, 2.0),
                "grid_import": charging(11 * H, 12 * H, 4.0),
            }
        ),
        0,
        24 * H,
    ).split
    assert found is not None
    assert (found.solar_kwh, found.battery_kwh, found.grid_kwh) == pytest.approx((6.3, 2.1, 4.2))
    assert found.unknown_kwh == pytest.approx(0.0, abs=1e-12)
    assert found.not_attributed_ms == 0


def test_what_was_charged_while_an_item_had_no_value_is_from_unknown_and_its_time_is_said() -> None:
    (session,) = paired([start(10 * H), end(12 * H, energy_mwh=12_000_000)])
    car = charging(10 * H, 12 * H)
    known = day_of({"ev": car, "solar": lambda at: None if 11 * H <= at < 11 * H + 30 * 60_000 else 8.0})
    found = with_split(session, of_minutes(car), known, 0, 24 * H).split
    assert found is not None
    assert (found.solar_kwh, found.unknown_kwh) == pytest.approx((9.0, 3.0))
    assert found.not_attributed_ms == 30 * 60_000


def test_a_session_that_is_cut_is_split_by_what_its_power_readings_add_up_to() -> None:
    (session,) = paired([start(20 * H), end(30 * H, energy_mwh=60_000_000)])
    car = charging(20 * H, 30 * H)
    found = with_split(session, of_minutes(car), day_of({"ev": car, "grid_import": car}), 0, 24 * H).split
    assert found is not None
    assert found.grid_kwh == pytest.approx(24.0)


def test_slots_at_the_ends_count_with_the_part_in_which_the_car_was_there() -> None:
    (session,) = paired([start(10 * H + 120_000), end(10 * H + 480_000, energy_mwh=1_000_000)])
    sun = day_of(
        {
            "ev": charging(10 * H, 11 * H),
            "solar": charging(10 * H, 10 * H + SLOT_MS),
            "grid_import": charging(10 * H + SLOT_MS, 11 * H),
        }
    )
    minutes = np.arange(10 * H + 120_000, 10 * H + 480_000, 60_000)
    found = with_split(
        session, StationPower(Series(minutes, np.full(len(minutes), 6.0))), sun, 0, 24 * H
    ).split
    assert found is not None
    assert (found.solar_kwh, found.grid_kwh) == pytest.approx((0.5, 0.5))


def test_without_power_readings_the_houses_curve_of_the_car_stands_in() -> None:
    (session,) = paired([start(10 * H), end(12 * H, energy_mwh=9_000_000)])
    car = charging(11 * H, 12 * H)
    found = with_split(
        session, StationPower(Series.empty()), day_of({"ev": car, "solar": car}), 0, 24 * H
    ).split
    assert found is not None
    assert found.solar_kwh == pytest.approx(9.0)


def test_without_a_balance_all_is_from_unknown() -> None:
    (session,) = paired([start(10 * H), end(12 * H, energy_mwh=9_000_000)])
    found = with_split(session, of_minutes(charging(10 * H, 12 * H)), None, 0, 24 * H).split
    assert found == Split(0.0, 0.0, 0.0, 9.0, 2 * H)


def test_a_session_without_an_end_has_no_split() -> None:
    lost, _ = paired([start(1 * H), start(3 * H)])
    assert with_split(lost, StationPower(Series.empty()), None, 0, 24 * H).split is None
