"""What the PowerFlex driver makes of a charging station's rows: readings once each, and sessions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, ReadResult, TimedOut, Unauthorized
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING, WARNING, device_types
from sgmp_edge.devices import _http, _powerflex_account, powerflex
from sgmp_edge.devices._powerflex_account import Rows, parse_rows
from sgmp_edge.devices.powerflex import PowerFlex
from tests.edge.drivers_http import HttpDevice, Reply, Request, as_json, each_fault, hurried, texts_of
from tests.edge.drivers_powerflex import COLUMNS, PASSWORD, USERNAME, PowerFlexApi

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "powerflex"
shared = pytest.mark.skipif(not DATA.is_dir(), reason="recorded payloads are not beside this checkout")

NOON = 1_714_564_800.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The edge's clock, set by the test."""
    clock = SimpleNamespace(now=NOON)
    monkeypatch.setattr(powerflex, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def api() -> PowerFlexApi:
    return PowerFlexApi()


@pytest.fixture
def server(api: PowerFlexApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpDevice]:
    # Each poll of a test is a new tick.
    monkeypatch.setattr(_powerflex_account, "_FRESH_S", -1)
    server = HttpDevice(api.answer)
    yield server
    server.close()


@pytest.fixture
def drivers() -> Iterator[list[PowerFlex]]:
    made: list[PowerFlex] = []
    yield made
    for driver in made:
        driver.close()


@pytest.fixture
def make(server: HttpDevice, clock: Any, drivers: list[PowerFlex]) -> Any:
    def make(**more: Any) -> PowerFlex:
        config = {
            "acc_id": "03",
            "acs_id": "02",
            "password": PASSWORD,
            "url": f"http://{server.host}",
            "username": USERNAME,
            **more,
        }
        assert device_types()["powerflex"].problems(config) == []
        drivers.append(PowerFlex(config))
        return drivers[-1]

    return make


def times(result: ReadResult) -> list[float]:
    return [reading.timestamp / 1000 - NOON for reading in result.readings]


def events(*results: ReadResult) -> list[tuple[str, float, dict[str, float]]]:
    return [
        (event.type, event.timestamp / 1000 - NOON, dict(event.data))
        for result in results
        for event in result.events
    ]


def a_session(api: PowerFlexApi) -> None:
    """Plugged in 100 s after noon, charging from 108 s, unplugged at 400 s; 2.5 kWh."""
    for at in range(0, 100, 4):
        api.say(NOON + at, "UNPLUGGED")
    api.say(NOON + 100, "READY")
    for at in range(108, 392, 4):
        api.say(NOON + at, "ADAPTIVE", energy_mwh=(at - 104) * 2_500_000 / 284, amperes=16)
    api.say(NOON + 392, "IDLE", energy_mwh=2_500_000)
    api.say(NOON + 396, "IDLE", energy_mwh=0)
    for at in range(400, 500, 4):
        api.say(NOON + at, "UNPLUGGED")


SESSION = [
    (EV_START_CHARGING, 100.0, {}),
    (EV_END_CHARGING, 400.0, {"duration": 300_000, "energy": 2_500_000}),
]


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_reading_at_its_own_time_in_the_declared_units(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    api.say(NOON - 10, "ADAPTIVE", energy_mwh=3_720, amperes=8.0)
    (reading,) = make().read().readings
    assert reading.timestamp == (NOON - 10) * 1000
    assert reading.data == {
        "charging_state": "ADAPTIVE",
        "energy_delivered": 3_720,
        "mamps_actual": 8_000,
        "voltage": 208_000,
        "power": pytest.approx(1.664),
        "pilot_actual": 16,
    }
    unit = device_types()["powerflex"].unit_of
    assert [
        unit(name) for name in ("energy_delivered", "mamps_actual", "voltage", "power", "pilot_actual")
    ] == [
        "mWh",
        "mA",
        "mV",
        "kW",
        "A",
    ]


def test_rows_of_other_stations_are_not_ours(make: Any, api: PowerFlexApi) -> None:
    api.say(NOON - 12, "UNPLUGGED", acs_id="01")
    api.say(NOON - 10, "UNPLUGGED", acc_id="02")
    api.say(NOON - 8, "UNPLUGGED")
    assert times(make().read()) == [-8]


def test_each_row_is_told_once_and_late_ones_are_told_too(make: Any, api: PowerFlexApi, clock: Any) -> None:
    driver = make()
    api.say(NOON - 8, "UNPLUGGED")
    assert times(driver.read()) == [-8]
    api.say(NOON - 4, "UNPLUGGED")
    clock.now += 4
    assert times(driver.read()) == [-4]
    api.say(NOON - 6, "UNPLUGGED")
    api.say(NOON, "UNPLUGGED")
    clock.now += 4
    assert times(driver.read()) == [-6, 0]
    clock.now += 4
    assert times(driver.read()) == []


def test_an_empty_window_is_no_failure(make: Any) -> None:
    assert make().read() == ReadResult()


def test_a_clock_of_the_api_that_is_behind_ours_loses_nothing(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    seen: list[float] = []
    for at in range(0, 800, 20):
        clock.now = NOON + at
        api.say(NOON + at - 240, "UNPLUGGED")
        seen += times(driver.read())
    assert seen == [float(at - 240) for at in range(180, 800, 20)]


def test_an_outage_is_caught_up_with_in_pieces_and_nothing_is_told_twice(
    make: Any, api: PowerFlexApi, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make()
    for at in range(0, 3 * 3600, 20):
        api.say(NOON + at, "UNPLUGGED")
    driver.read()
    clock.now = NOON + 3 * 3600
    seen: list[float] = []
    for _ in range(12):
        clock.now += 4
        seen += times(driver.read())
    assert seen == [float(at) for at in range(80, 3 * 3600, 20)]
    assert max(end - start for start, end in api.windows) < 2100


def test_an_answer_too_large_is_asked_for_in_smaller_pieces(
    make: Any, api: PowerFlexApi, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "MAX_ANSWER_BYTES", 20_000)
    driver = make()
    for at in range(0, 1800, 4):
        api.say(NOON + at, "UNPLUGGED")
    driver.read()
    clock.now = NOON + 1800
    seen: list[float] = []
    for _ in range(40):
        clock.now += 4
        try:
            seen += times(driver.read())
        except BadAnswer:
            continue
    assert seen[-1] == 1796
    assert len(seen) == len(set(seen))


def test_a_station_that_stays_silent_is_said(make: Any, api: PowerFlexApi, clock: Any) -> None:
    driver = make()
    driver.read()
    clock.now += 601
    with pytest.raises(NotReady, match="03/02"):
        driver.read()
    api.say(clock.now, "UNPLUGGED")
    assert times(driver.read()) == [601]


@pytest.mark.parametrize("kw_unit", [1, 1e3, 1e6])
def test_the_unit_of_power_is_found_out_from_current_and_voltage(
    make: Any, api: PowerFlexApi, kw_unit: float
) -> None:
    api.kw_unit = kw_unit
    api.say(NOON - 8, "ADAPTIVE", amperes=16)
    api.say(NOON - 4, "ADAPTIVE", amperes=16, mamps_actual=None)
    api.say(NOON - 2, "UNPLUGGED")
    powers = [reading.data["power"] for reading in make().read().readings]
    assert powers == [pytest.approx(3.328), pytest.approx(3.328), 0]


@pytest.mark.parametrize(
    "more",
    [
        {"power": 13.0},
        {"power": None},
        {"power": "much"},
        {"power": float("nan")},
        {"power": 5_000.0, "mamps_actual": None},
    ],
)
def test_a_power_that_cannot_be_takes_no_other_field_with_it(
    make: Any, api: PowerFlexApi, more: dict[str, Any]
) -> None:
    api.say(NOON - 8, "ADAPTIVE", amperes=2, **more)
    (reading,) = make().read().readings
    assert "power" not in reading.data
    assert reading.data["voltage"] == 208_000


@pytest.mark.parametrize(
    "stamp",
    [
        NOON,
        str(NOON),
        NOON * 1e3,
        NOON * 1e6,
        NOON * 1e9,
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00.000000+00:00",
    ],
)
def test_times_come_in_any_form_that_influxdb_has(stamp: Any) -> None:
    columns, values = ["time", "acc_id", "acs_id"], [[stamp, "03", "02"]]
    document = {"data": {"results": [{"series": [{"columns": columns, "values": values}]}]}}
    assert [row.time for row in parse_rows(document).stations["03", "02"]] == [NOON]


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_starts_with_the_plug_and_ends_with_duration_and_energy(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    a_session(api)
    results = []
    for at in range(0, 500, 4):
        clock.now = NOON + at
        results.append(driver.read())
    assert events(*results) == SESSION


def test_the_energy_of_a_session_is_its_maximum_not_its_last_row(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    api.say(NOON - 40, "UNPLUGGED", energy_mwh=9_000_000)
    api.say(NOON - 36, "ADAPTIVE", energy_mwh=100, amperes=8)
    api.say(NOON - 32, "ADAPTIVE", energy_mwh=700, amperes=8)
    api.say(NOON - 28, "NOT CHARGING", energy_mwh=0)
    api.say(NOON - 24, "UNPLUGGED", energy_mwh=0)
    assert events(driver.read())[-1] == (EV_END_CHARGING, -24.0, {"duration": 12_000, "energy": 700})


def test_a_car_that_was_there_before_has_an_end_without_duration(make: Any, api: PowerFlexApi) -> None:
    api.say(NOON - 20, "ADAPTIVE", energy_mwh=5_000_000, amperes=8)
    api.say(NOON - 16, "UNPLUGGED")
    assert events(make().read()) == [(EV_END_CHARGING, -16.0, {"energy": 5_000_000})]


@pytest.fixture(scope="module")
def any_api() -> Iterator[HttpDevice]:
    """For tests that try many courses of events, each poll a new tick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_powerflex_account, "_FRESH_S", -1)
        server = HttpDevice(lambda request: Reply(status=404))
        yield server
        server.close()


@settings(max_examples=12, deadline=None)
@given(restarts=st.lists(st.integers(0, 499), max_size=6), every_s=st.integers(5, 60))
def test_restarts_and_missed_polls_change_neither_rows_nor_events(
    any_api: HttpDevice, restarts: list[int], every_s: int
) -> None:
    api, clock = PowerFlexApi(), SimpleNamespace(now=NOON - 1)
    a_session(api)
    any_api.answer = api.answer
    told: list[float] = []
    said: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(powerflex, "time", SimpleNamespace(time=lambda: clock.now))
        driver = station(any_api)
        for at in range(0, 560, every_s):
            clock.now = NOON + at
            if any(at - every_s < restart <= at for restart in restarts):
                remembered = json.loads(json.dumps(driver.state()))
                driver.close()
                driver = station(any_api)
                driver.restore(remembered)
            result = driver.read()
            told += times(result)
            said += events(result)
        driver.close()
    assert told == [row["time"] - NOON for row in api.rows]
    assert said == SESSION


def station(server: HttpDevice) -> PowerFlex:
    return PowerFlex(
        {
            "acc_id": "03",
            "acs_id": "02",
            "url": f"http://{server.host}",
            "username": USERNAME,
            "password": PASSWORD,
        }
    )


def test_the_state_holds_no_secret(make: Any, api: PowerFlexApi) -> None:
    api.say(NOON - 8, "ADAPTIVE")
    driver = make()
    driver.read()
    text = json.dumps(driver.state())
    assert not any(secret in text for secret in (PASSWORD, USERNAME, "secret-token"))


# --- Rows that come late, in part, broken, or by another clock -----------------------------------------------------------


def polls(driver: PowerFlex, clock: Any, *at: float) -> ReadResult:
    """What several polls gave; a poll may fail."""
    whole = ReadResult()
    for clock.now in at:
        try:
            result = driver.read()
        except NotReady:
            continue
        whole.readings += result.readings
        whole.events += result.events
    return whole


def every(step: int, start: float, end: float) -> list[float]:
    return [float(at) for at in range(int(start), int(end), step)]


def test_what_came_in_during_an_outage_is_published_before_the_silence_is_reported(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    api.say(NOON - 1, "UNPLUGGED")
    driver.read()
    for at in every(10, 10, 310):
        api.say(NOON + at, "ADAPTIVE", amperes=8)
    clock.now = NOON + 1205
    result = driver.read()
    assert times(result) == every(10, 10, 310)
    assert events(result) == [(EV_START_CHARGING, 10.0, {})]
    clock.now += 15
    with pytest.raises(NotReady):
        driver.read()


@pytest.mark.parametrize("silent_s", [900, 4 * 3600])
def test_what_a_gateway_held_back_is_published_in_order_when_it_comes(
    make: Any, api: PowerFlexApi, clock: Any, silent_s: int
) -> None:
    driver = make()
    api.say(NOON - 1, "UNPLUGGED")
    driver.read()
    polls(driver, clock, *every(15, NOON + 15, NOON + silent_s))
    held = every(10, 10, silent_s - 100)
    for at in held:
        api.say(NOON + at, "ADAPTIVE" if at < 700 else "UNPLUGGED", energy_mwh=min(at, 690), amperes=8)
    result = polls(driver, clock, *every(15, NOON + silent_s, NOON + silent_s + 60))
    assert times(result) == held
    assert events(result) == [
        (EV_START_CHARGING, 10.0, {}),
        (EV_END_CHARGING, 700.0, {"duration": 690_000, "energy": 690}),
    ]


@pytest.mark.parametrize("piece", [79, 13, -13])
def test_what_a_gateway_held_back_may_come_after_what_is_live_and_the_newest_first(
    make: Any, api: PowerFlexApi, clock: Any, piece: int
) -> None:
    driver = make()
    api.say(NOON - 1, "UNPLUGGED")
    driver.read()
    polls(driver, clock, *every(15, NOON + 15, NOON + 900))
    live, held = every(10, 900, 960), every(10, 10, 800)[:: 1 if piece > 0 else -1]
    for at in live:
        api.say(NOON + at, "UNPLUGGED")
    result = polls(driver, clock, *every(15, NOON + 900, NOON + 960))
    while held:
        for at in held[: abs(piece)]:
            api.say(NOON + at, "ADAPTIVE" if at < 700 else "UNPLUGGED", energy_mwh=min(at, 690))
        del held[: abs(piece)]
        more = polls(driver, clock, *every(15, clock.now + 15, clock.now + 90))
        result.readings += more.readings
        result.events += more.events
    result.events += polls(driver, clock, *every(15, clock.now + 15, clock.now + 150)).events
    assert sorted(times(result)) == every(10, 10, 800) + live
    assert events(result) == [
        (EV_START_CHARGING, 10.0, {}),
        (EV_END_CHARGING, 700.0, {"duration": 690_000, "energy": 690}),
    ]


def test_a_silence_of_which_nothing_comes_is_not_asked_for_for_ever(
    make: Any, api: PowerFlexApi, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(powerflex, "_POLLS_FOR_HOLE", 12)
    driver = make()
    for at in (-500, *every(10, 0, 400)):
        api.say(NOON + at, "UNPLUGGED")
    driver.restore({**driver.state(), "complete_to": NOON - 530.0})
    polls(driver, clock, *every(15, NOON, NOON + 150))
    assert min(start for start, _ in api.windows[-4:]) < NOON - 500
    polls(driver, clock, *every(15, NOON + 150, NOON + 400))
    assert min(start for start, _ in api.windows[-4:]) > NOON + 200


def test_a_row_stamped_a_little_ahead_of_now_is_not_the_last_of_its_time(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    api.say(NOON + 50, "UNPLUGGED")
    assert times(driver.read()) == [50]
    api.say(NOON + 5, "UNPLUGGED")
    clock.now += 15
    assert times(driver.read()) == [5]


def test_a_session_has_one_start_and_one_end_though_rows_that_come_late_move_them(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    result = ReadResult()
    for at, state in (
        (-40, "UNPLUGGED"),
        (-20, "READY"),
        (-22, "READY"),
        (0, "UNPLUGGED"),
        (-3, "UNPLUGGED"),
        (9, "READY"),
        (6, "UNPLUGGED"),
    ):
        api.say(NOON + at, state)
        more = polls(driver, clock, clock.now + 1)
        result.events += more.events
    assert events(result) == [
        (EV_START_CHARGING, -20.0, {}),
        (EV_END_CHARGING, 0.0, {"duration": 22_000, "energy": 0}),
        (EV_START_CHARGING, 9.0, {}),
    ]


@pytest.mark.parametrize("at", [NOON + 86_400, "2100-01-01T00:00:00Z"])
def test_a_row_that_is_stamped_far_ahead_holds_up_no_other(
    make: Any, api: PowerFlexApi, clock: Any, at: Any
) -> None:
    driver = make()
    api.broken = [[at, "03", "01", "02", "ADAPTIVE", *[0] * (len(COLUMNS) - 5)]]
    for number in every(15, 0, 60):
        api.say(NOON + number, "UNPLUGGED")
    result = polls(driver, clock, *every(15, NOON, NOON + 75))
    assert times(result) == every(15, 0, 60)
    assert [event.data["data"] for event in result.events] == [
        "the PowerFlex API sent rows of another time than it was asked for; such rows are left out"
    ]
    assert len(api.windows) < 10


@pytest.mark.parametrize("ahead_s", [-7200, -3600, -90, 90, 3600, 90 * 86_400])
def test_a_wrong_clock_of_ours_loses_nothing(
    make: Any, api: PowerFlexApi, clock: Any, ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each poll catches up for so long where our clock is far ahead.
    monkeypatch.setattr(powerflex, "_CATCH_UP_S", 0.1)
    driver = make()
    api.say(NOON - 1, "UNPLUGGED")
    driver.read()
    seen: list[float] = []
    for at in every(15, 15, 3600):
        api.say(NOON + at, "UNPLUGGED")
        wrong = ahead_s if at < 600 else 0
        seen += times(polls(driver, clock, NOON + at + wrong))
    assert seen == every(15, 15, 3600)


def test_a_memory_of_before_that_is_ahead_of_the_clock_is_pulled_back(
    make: Any, api: PowerFlexApi, clock: Any
) -> None:
    driver = make()
    for at in every(15, 15, 600):
        api.say(NOON + at, "ADAPTIVE" if at < 300 else "UNPLUGGED", energy_mwh=10 * at, amperes=8)
    driver.restore(
        {
            "complete_to": NOON + 3600,
            "told": [],
            "last": NOON + 100,
            "plugged": True,
            "session": [NOON + 15, 1050],
            "power_in_kw": 1.0,
        }
    )
    clock.now = NOON + 600
    result = driver.read()
    assert times(result) == every(15, 105, 600)
    assert events(result) == [(EV_END_CHARGING, 300.0, {"duration": 285_000, "energy": 3000})]


def test_a_silence_names_the_stations_numbers_and_the_clock(make: Any, clock: Any) -> None:
    driver = make()
    driver.read()
    clock.now += 3600
    with pytest.raises(NotReady, match="acc_id, acs_id and this edge's clock"):
        driver.read()


@pytest.mark.parametrize(
    "row",
    [
        [None, "03", "09"],
        [NOON, None, "09"],
        [NOON, "03", None],
        ["yesterday", "03", "09"],
        [NOON],
        None,
        7,
        [NOON, ["03"], "09"],
        [1e300, "03", "02"],
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_alone_and_reported_once(
    make: Any, api: PowerFlexApi, clock: Any, row: Any
) -> None:
    if isinstance(row, list) and len(row) == 3:
        row = row + [None] * (len(COLUMNS) - 3)
        row[2], row[3] = None, row[2]
    api.broken = [row]
    driver = make()
    for at in every(10, -50, 0):
        api.say(NOON + at, "UNPLUGGED")
    first = driver.read()
    assert times(first) == every(10, -50, 0)
    assert [event.type for event in first.events] == [WARNING]
    api.say(NOON + 2, "UNPLUGGED")
    clock.now += 4
    second = driver.read()
    assert (times(second), second.events) == ([2], [])


@pytest.mark.parametrize("missing", ["time", "acc_id", "acs_id"])
def test_a_series_without_a_column_that_every_row_needs_is_a_failure(missing: str) -> None:
    columns = [column for column in ("time", "acc_id", "acs_id", "power") if column != missing]
    series = {"columns": columns, "values": [[NOON, "03", 1]]}
    with pytest.raises(BadAnswer, match=missing):
        parse_rows({"data": {"results": [{"series": [series]}]}})


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {},
        {"columns": None},
        {"columns": ["time"], "values": 5},
        {"columns": COLUMNS, "values": 5},
    ],
)
def test_a_series_that_cannot_be_read_costs_no_other(odd: object) -> None:
    good = {"columns": ["time", "acc_id", "acs_id"], "values": [[NOON, "03", "02"]]}
    if isinstance(odd, dict) and odd.get("columns") == ["time"]:
        odd = {**odd, "tags": {"acc_id": "03", "acs_id": "09"}}
    rows = parse_rows({"data": {"results": [{"series": [odd, good]}]}})
    assert (list(rows.stations), rows.unread) == ([("03", "02")], 1)


def test_a_series_without_values_has_no_rows() -> None:
    series = {"columns": COLUMNS, "values": None}
    assert parse_rows({"data": {"results": [{"series": [series]}]}}) == Rows({})


@pytest.mark.parametrize(
    ("limit", "order"),
    [(30, "time"), (100, "time"), (100, "newest first"), (100, "station"), (40, "station")],
)
def test_a_partial_answer_is_complete_up_to_its_last_row_only(
    make: Any, api: PowerFlexApi, clock: Any, limit: int, order: str
) -> None:
    driver = make()
    driver.read()
    api.limit, api.order = limit, order
    for at in every(10, 0, 1200):
        for number in range(10):
            state = "ADAPTIVE" if 60 <= at < 900 else "UNPLUGGED"
            api.say(NOON + at, state, energy_mwh=at, acs_id=f"{number:02}")
    result = polls(driver, clock, *every(15, NOON + 1200, NOON + 1800))
    assert sorted(times(result)) == every(10, 0, 1200)
    assert events(result) == [
        (EV_START_CHARGING, 60.0, {}),
        (EV_END_CHARGING, 900.0, {"duration": 840_000, "energy": 900}),
    ]


def test_what_was_fetched_is_published_though_the_rest_fails(
    make: Any, api: PowerFlexApi, server: HttpDevice, clock: Any
) -> None:
    driver = make()
    driver.read()
    for at in every(20, 0, 3600):
        api.say(NOON + at, "UNPLUGGED")
    clock.now = NOON + 3600

    def once(request: Request) -> Reply:
        server.misbehave("500")
        return api.answer(request)

    server.answer = once
    first = driver.read()
    assert times(first)
    server.answer = api.answer
    server.misbehave(None)
    assert times(first) + times(driver.read()) == every(20, 0, 3600)


STATES = ["UNPLUGGED", "READY", "ADAPTIVE", "IDLE", "NOT CHARGING"]


def oracle(rows: list[dict[str, Any]]) -> list[Any]:
    """The events of rows in order of time, as simple as can be."""
    told: list[Any] = []
    start, total, before = None, 0.0, rows[0]["energy_delivered"]
    for row, last in zip(rows[1:], rows, strict=False):
        energy, at = row["energy_delivered"], row["time"] - NOON
        plugged, was = row["charging_state"] != "UNPLUGGED", last["charging_state"] != "UNPLUGGED"
        if plugged and not was:
            start, total = at, 0.0 if energy == before else energy
            told.append((EV_START_CHARGING, at, {}))
        elif was:
            total += energy - before if energy >= before else energy
        if was and not plugged:
            told.append((EV_END_CHARGING, at, {"duration": (at - start) * 1000, "energy": total}))
        before = energy
    return told


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_row_is_published_once_and_sessions_are_right_whatever_comes_between(
    any_api: HttpDevice, data: st.DataObject
) -> None:
    """Rows that a gateway holds back, that come in part, again or broken; our clock wanders, polls fail, we restart."""
    draw = data.draw
    api, clock = PowerFlexApi(limit=draw(st.sampled_from([None, 7, 40]))), SimpleNamespace(now=NOON)
    api.say(NOON - 1, "UNPLUGGED")
    coming = list(api.rows)
    state, energy = "UNPLUGGED", 0
    for at in every(10, 10, 10 * draw(st.integers(20, 120))):
        state = draw(st.sampled_from(STATES)) if draw(st.integers(0, 7)) == 0 else state
        energy = draw(st.sampled_from([energy, energy, energy + 50_000, energy + 50_000, 0]))
        api.say(NOON + at, state, energy_mwh=energy)
    coming, api.rows = api.rows, api.rows[:1]
    api.broken = draw(st.sampled_from([[], [[None] * len(COLUMNS)], [coming[0] and 7]]))
    held = sorted(draw(st.lists(st.tuples(st.integers(0, 1200), st.integers(10, 900)), max_size=3)))
    wanders = {
        draw(st.integers(3, 80)): draw(st.sampled_from([-3600, -300, -20, 20, 300, 3600, 0]))
        for _ in range(4)
    }
    restarts = draw(st.sets(st.integers(1, 80), max_size=4))
    fails = draw(st.sets(st.integers(1, 80), max_size=30))
    any_api.answer = api.answer
    published: list[float] = []
    said: list[Any] = []
    error = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(powerflex, "time", SimpleNamespace(time=lambda: clock.now))
        driver = station(any_api)
        for number in range(140):
            true = 15.0 * number
            error = wanders.get(number, error) if number < 90 else 0
            clock.now = NOON + true + error
            back_at = max(
                (start + length for start, length in held if start <= true < start + length), default=None
            )
            if back_at is None or number > 120:
                here = [row for row in coming if row["time"] <= NOON + true]
                api.rows = here + draw(st.sampled_from([[], here[-3:]]))
            any_api.misbehave("500" if number in fails else None)
            if number in restarts:
                remembered = json.loads(json.dumps(driver.state()))
                driver.close()
                driver = station(any_api)
                driver.restore(remembered)
            try:
                result = driver.read()
            except DeviceError:
                continue
            published += times(result)
            said += [event for event in events(result) if event[0] != WARNING]
        driver.close()
    assert sorted(published) == [row["time"] - NOON for row in coming]
    assert said == oracle(coming)


@settings(max_examples=15, deadline=None)
@given(delays=st.lists(st.integers(0, 25), min_size=60, max_size=60), every_s=st.integers(4, 30))
def test_rows_that_overtake_each_other_are_published_once_each(
    any_api: HttpDevice, delays: list[int], every_s: int
) -> None:
    api, clock = PowerFlexApi(), SimpleNamespace(now=NOON)
    for number, delay in enumerate(delays):
        api.say(NOON + 5 * number, "UNPLUGGED", delay=delay)
    coming = api.rows
    any_api.answer = api.answer
    published: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(powerflex, "time", SimpleNamespace(time=lambda: clock.now))
        driver = station(any_api)
        for at in range(0, 400, every_s):
            clock.now = NOON + at
            api.rows = [row for row in coming if row["time"] + row["delay"] <= clock.now]
            published += times(driver.read())
        driver.close()
    assert sorted(published) == [5.0 * number for number in range(60)]


@pytest.mark.parametrize(
    ("rows", "energy"),
    [
        ("U20 R20 A20 A0.1 A3 A5 U5", 5),
        ("U0 A1 A10 I0 A2 A8 U0", 18),
        ("U9 A0.1 A0.7 N0 U0", 0.7),
        ("U5 A5 A5 U5", 0),
        ("U5 A6 A8 U8", 8),
        ("U0 A4 A- A6 U6", 6),
        ("U0 A4 A4 A3.99 A6 U6", 6),
    ],
)
def test_the_energy_of_a_session_is_the_sum_of_the_rises(
    make: Any, api: PowerFlexApi, rows: str, energy: float
) -> None:
    states = {"U": "UNPLUGGED", "R": "READY", "A": "ADAPTIVE", "I": "IDLE", "N": "NOT CHARGING"}
    for number, row in enumerate(rows.split()):
        value = None if row[1:] == "-" else float(row[1:]) * 1e6
        api.say(NOON - 50 + 5 * number, states[row[0]], energy_delivered=value)
    *_, (type_, _, data) = events(make().read())
    assert type_ == EV_END_CHARGING
    assert data["energy"] == pytest.approx(energy * 1e6)


@pytest.mark.parametrize("state", ["", " ", None, 5])
def test_a_state_that_says_nothing_neither_starts_nor_ends_a_session(
    make: Any, api: PowerFlexApi, state: Any
) -> None:
    for at, said in ((-40, "UNPLUGGED"), (-30, state), (-20, "ADAPTIVE"), (-10, state)):
        api.say(NOON + at, said)
    assert events(make().read()) == [(EV_START_CHARGING, -20.0, {})]


# --- Sign-in ----------------------------------------------------------------------------------------------------------


def test_the_token_is_kept_and_renewed_when_it_is_refused(make: Any, api: PowerFlexApi) -> None:
    driver = make()
    for _ in range(3):
        driver.read()
    assert api.logins == 1
    api.tokens.clear()
    driver.read()
    assert api.logins == 2


def test_a_token_that_is_refused_with_http_200_is_renewed_too(make: Any, api: PowerFlexApi) -> None:
    api.refuses_with_200 = True
    driver = make()
    driver.read()
    api.tokens.clear()
    assert driver.read() == ReadResult()
    assert api.logins == 2


def test_a_wrong_password_is_told_without_being_shown(make: Any) -> None:
    with pytest.raises(Unauthorized) as caught:
        make(password="pass-the-wrong-word").read()
    assert "pass-the-wrong-word" not in texts_of(caught.value)


def test_neither_a_proxy_nor_a_netrc_of_the_environment_gets_in_between(
    make: Any, api: PowerFlexApi, server: HttpDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    make().read()
    assert server.requests[-1].headers["Authorization"] == "Bearer secret-token-1"


def test_a_sign_in_without_token_is_a_refusal(make: Any, server: HttpDevice) -> None:
    server.answer = lambda request: as_json({"msg": "locked"})
    with pytest.raises(Unauthorized):
        make().read()


@pytest.mark.parametrize(
    "refusal",
    [
        *(as_json({"msg": "Signature verification failed"}, status) for status in (401, 403, 404, 422, 500)),
        Reply(status=302, headers={"Location": "/login?next=get_measurement_data"}),
        Reply("<html>Please sign in</html>"),
        Reply(),
        as_json({"data": {"results": []}}),
        as_json({"data": {"results": [{"error": "authorization failed"}]}}),
    ],
)
def test_a_token_that_the_service_forgot_is_renewed_whatever_it_calls_that(
    make: Any, api: PowerFlexApi, refusal: Reply
) -> None:
    driver = make()
    driver.read()
    api.tokens.clear()
    api.refusal = refusal
    api.say(NOON - 8, "UNPLUGGED")
    assert times(driver.read()) == [-8]
    assert api.logins == 2


def test_a_service_that_gives_no_measurements_is_not_signed_in_to_at_every_poll(
    make: Any, api: PowerFlexApi
) -> None:
    driver = make()
    driver.read()
    api.error = {"msg": "no measurements for you"}
    for _ in range(5):
        with pytest.raises(BadAnswer):
            driver.read()
    assert api.logins == 2


def test_a_user_that_may_sign_in_but_not_read_is_not_told_of_a_wrong_password(
    make: Any, server: HttpDevice
) -> None:
    server.answer = lambda request: (
        as_json({"access_token": "t"}) if request.path == "/login" else as_json({"msg": "Forbidden"}, 403)
    )
    with pytest.raises(BadAnswer, match="although"):
        make().read()


@pytest.mark.parametrize("path", ["/login", "/get_measurement_data"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_to_be_left_alone_is_by_all_stations_of_the_account(
    make: Any, api: PowerFlexApi, server: HttpDevice, path: str, status: int
) -> None:
    server.answer = lambda request: (
        Reply(status=status, headers={"Retry-After": "3600"}) if request.path == path else api.answer(request)
    )
    for station in (make(), make(acs_id="05")):
        for _ in range(3):
            with pytest.raises(DeviceError):
                station.read()
    assert server.paths.count(path) == 1


# --- One client for all stations --------------------------------------------------------------------------------------


def test_stations_of_an_account_share_sign_in_and_request(
    make: Any, api: PowerFlexApi, server: HttpDevice, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_powerflex_account, "_FRESH_S", 60)
    api.say(NOON - 8, "UNPLUGGED")
    api.say(NOON - 7, "ADAPTIVE", acs_id="05")
    one, other = make(), make(acs_id="05")
    assert times(one.read()) == [-8]
    clock.now += 0.1
    assert times(other.read()) == [-7]
    assert server.paths == ["/login", "/get_measurement_data"]


def test_stations_polled_at_the_same_time_make_one_request(
    make: Any, api: PowerFlexApi, server: HttpDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_powerflex_account, "_FRESH_S", 60)
    for number in range(6):
        api.say(NOON - 10 + number, "UNPLUGGED", acs_id=f"{number:02}")
    stations = [make(acs_id=f"{number:02}") for number in range(6)]
    api.gate = threading.Event()
    with ThreadPoolExecutor(6) as pool:
        polls = [pool.submit(station.read) for station in stations]
        api.gate.set()
        assert [times(poll.result(10)) for poll in polls] == [[-10.0 + number] for number in range(6)]
    assert server.paths == ["/login", "/get_measurement_data"]


def test_stations_share_a_failure_rather_than_wait_for_it_one_by_one(
    make: Any, server: HttpDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make(), make(acs_id="05")
    one.read()
    monkeypatch.setattr(_powerflex_account, "_FRESH_S", 60)
    server.misbehave("hang")
    one._account._fetched = None
    server.requests.clear()
    for station in (one, other):
        with hurried("hang", "INTERNET"), pytest.raises(TimedOut):
            station.read()
    assert len(server.requests) == 1


def test_other_users_have_their_own_client(make: Any) -> None:
    assert make()._account is make(acs_id="05")._account
    assert make()._account is not make(username="someone@else.where")._account


# --- Answers that are none --------------------------------------------------------------------------------------------


@each_fault
def test_each_fault_has_its_outcome_and_is_recovered_from(
    make: Any, api: PowerFlexApi, server: HttpDevice, clock: Any, fault: str, outcome: type[Exception]
) -> None:
    driver = make()
    driver.read()
    server.misbehave(fault)
    api.say(NOON + 2, "UNPLUGGED")
    clock.now += 4
    with hurried(fault, "INTERNET"), pytest.raises(outcome):
        driver.read()
    server.misbehave(None)
    clock.now += 4
    assert times(driver.read()) == [2]


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"results": [{"statement_id": 0, "error": "database is down"}]}},
        {"error": "database is down"},
        {"data": {"results": []}},
        {"data": None},
        [],
        {"data": {"results": [{"series": [{"columns": ["time"], "values": [[1]]}]}]}},
        {"data": {"results": [{"series": [{"columns": ["time"]}]}]}},
        {"data": {"results": [{"series": 7}]}},
    ],
)
def test_an_error_or_nonsense_with_http_200_is_a_bad_answer(
    make: Any, api: PowerFlexApi, answer: Any
) -> None:
    api.error = answer
    with pytest.raises(BadAnswer):
        make().read()


def test_a_failure_loses_no_part_of_a_session(
    make: Any, api: PowerFlexApi, server: HttpDevice, clock: Any
) -> None:
    driver = make()
    a_session(api)
    results = []
    for at in range(0, 560, 20):
        clock.now = NOON + at
        server.misbehave("500" if 60 <= at < 440 else None)
        try:
            results.append(driver.read())
        except DeviceError:
            continue
    assert events(*results) == SESSION


# --- Recorded elsewhere -----------------------------------------------------------------------------------------------


@shared
def test_documented_rows_are_read(make: Any, server: HttpDevice, api: PowerFlexApi, clock: Any) -> None:
    clock.now = 1_636_402_280.0
    body = (DATA / "INFERRED_ct_response_2stations.json").read_bytes()
    login = (DATA / "login_200.json").read_bytes()
    server.answer = lambda request: Reply(login if request.path == "/login" else body)
    result = make().read()
    assert server.requests[-1].headers["Authorization"] == f"Bearer {json.loads(login)['access_token']}"
    assert [reading.data["charging_state"] for reading in result.readings] == [
        "UNPLUGGED",
        "READY",
        "ADAPTIVE",
    ]
    assert result.readings[-1].data["power"] == pytest.approx(1.677)
    units = device_types()["powerflex"].unit_of
    assert {key: units(key) for key in result.readings[-1].data if key != "charging_state"} == {
        "energy_delivered": "mWh",
        "mamps_actual": "mA",
        "pilot_actual": "A",
        "power": "kW",
        "voltage": "mV",
    }
    assert [(event.type, event.timestamp) for event in result.events] == [
        (EV_START_CHARGING, 1_636_402_268_000)
    ]


@shared
def test_a_documented_empty_window_is_read() -> None:
    assert parse_rows(json.loads((DATA / "INFERRED_ct_response_no_data.json").read_bytes())) == Rows({})
