"""Charging sessions as the chargers' events tell of them."""

from __future__ import annotations

import numpy as np
import pytest

from sgmp_console.reports.sessions import paired, with_powers
from sgmp_console.store import Event
from sgmp_console.timeseries import HOUR_MS, Series
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


def test_charging_time_mean_peak_and_pauses_come_from_the_power() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.arange(0, 240) * 60_000
    power = np.where((minutes < 1 * H) | ((minutes >= 2 * H) & (minutes < 3 * H)), 6.0, 0.0)
    power[5] = 7.0
    found = with_powers(session, Series(minutes, power), 0, 24 * H)
    assert found.charging_ms == 2 * H
    assert found.mean_kw == pytest.approx(6.0 + 1.0 / 120)
    assert (found.peak_kw, found.pauses) == (7.0, 1)


def test_a_gap_in_the_readings_is_neither_charging_nor_a_pause() -> None:
    (session,) = paired([start(0), end(4 * H)])
    minutes = np.concatenate([np.arange(0, 60), np.arange(120, 180)]) * 60_000
    found = with_powers(session, Series(minutes, np.full(120, 6.0)), 0, 24 * H)
    assert (found.charging_ms, found.pauses) == (118 * 60_000, 0)
