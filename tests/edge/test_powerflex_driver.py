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
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING, device_types
from sgmp_edge.devices import _http, _powerflex_account, powerflex
from sgmp_edge.devices._powerflex_account import parse_rows
from sgmp_edge.devices.powerflex import PowerFlex
from tests.edge.drivers_http import HttpDevice, Reply, as_json, each_fault, hurry, texts_of
from tests.edge.drivers_powerflex import PASSWORD, USERNAME, PowerFlexApi

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
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


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
    assert [row.time for row in parse_rows(document)["03", "02"]] == [NOON]


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


@pytest.mark.usefixtures("hurried")
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
        with pytest.raises(TimedOut):
            station.read()
    assert len(server.requests) == 1


def test_other_users_have_their_own_client(make: Any) -> None:
    assert make()._account is make(acs_id="05")._account
    assert make()._account is not make(username="someone@else.where")._account


# --- Answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
@each_fault
def test_each_fault_has_its_outcome_and_is_recovered_from(
    make: Any, api: PowerFlexApi, server: HttpDevice, clock: Any, fault: str, outcome: type[Exception]
) -> None:
    driver = make()
    driver.read()
    server.misbehave(fault)
    api.say(NOON + 2, "UNPLUGGED")
    clock.now += 4
    with pytest.raises(outcome):
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
        {
            "data": {
                "results": [{"series": [{"columns": ["time", "acc_id", "acs_id"], "values": [["x", 1, 2]]}]}]
            }
        },
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
    assert parse_rows(json.loads((DATA / "INFERRED_ct_response_no_data.json").read_bytes())) == {}
