"""What the simulated devices say over HTTP, after the makers' documents (see the facts in the shared notes)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import requests
from defusedxml.ElementTree import fromstring
from requests.auth import HTTPDigestAuth

from sgmp_console.demo.simulator import House
from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.egauge import EgaugeMeter
from sgmp_console.demo.simulator.server import Request
from tests.edge.simulated_house import (
    PASSWORD,
    TOKEN,
    USERNAME,
    ZONE,
    Running,
    daytime,
    local,
    running,
    until,
)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Running]:
    with running() as made:
        yield made


def get(url: str, **options: Any) -> requests.Response:
    return requests.get(url, timeout=5, **options)


# --- eGauge -------------------------------------------------------------------------------------------------------


def snapshot(
    made: Running, query: str = "inst&tot", **options: Any
) -> tuple[int, str, dict[str, tuple[int, str]]]:
    """(ts, serial, {name: (counter, rate)})"""
    answer = get(made.url("egauge", f"/cgi-bin/egauge?{query}"), **options)
    assert answer.status_code == 200
    root: Element = fromstring(answer.content)
    registers = {r.attrib["n"]: (int(r.findtext("v", "")), r.findtext("i", "")) for r in root.iter("r")}
    return int(root.findtext("ts", "")), root.attrib["serial"], registers


def next_snapshot(made: Running, after: int) -> dict[str, tuple[int, str]]:
    return until(lambda: snapshot(made), lambda answer: answer[0] > after)[2]


def test_the_meter_counts_what_flows(simulated: Running) -> None:
    ts, serial, before = snapshot(simulated)
    later, same_serial, after = until(lambda: snapshot(simulated), lambda answer: answer[0] > ts)
    assert same_serial == serial
    clock = simulated.clock
    energy = simulated.house.energy(clock.house_ms(ts * 1000), clock.house_ms(later * 1000))
    counted = {name: after[name][0] - before[name][0] for name in before}
    for name, watt_seconds in (
        ("A.Battery", energy.battery),
        ("A.GridPower", -energy.grid),
        ("A.Solar", energy.solar),
        ("A.EV", -energy.ev),
        ("A.Load", -energy.load),
        ("Total Usage", energy.load + energy.ev),
    ):
        assert counted[name] == pytest.approx(watt_seconds, abs=1.01), name
    assert counted["A.L1_Voltage"] == pytest.approx(energy.l1 * 1000, abs=1.01)
    assert counted["A.L2_Frequency"] == pytest.approx(energy.frequency * 1000, abs=1.01)


def test_the_rates_are_those_of_the_last_second_in_watts_volts_and_hertz(simulated: Running) -> None:
    ts, _, registers = snapshot(simulated)
    state = simulated.house.at(simulated.clock.house_ms(ts * 1000 - 500))
    rates = {name: float(rate) for name, (_, rate) in registers.items()}
    assert rates["A.Solar"] == pytest.approx(state.solar_w, abs=2)
    assert rates["A.Load"] == pytest.approx(-state.load_w, abs=8)
    assert rates["A.L1_Voltage"] == pytest.approx(state.l1_v, abs=0.1)
    assert rates["A.L1_Frequency"] == pytest.approx(60, abs=0.05)


def test_the_meters_registers_balance(simulated: Running) -> None:
    rates = {name: float(rate) for name, (_, rate) in snapshot(simulated)[2].items()}
    parts = rates["A.Solar"] + rates["A.Battery"] + rates["A.EV"] + rates["A.Load"]
    assert rates["A.GridPower"] == pytest.approx(parts, abs=2.5)


def test_totals_come_when_asked_for(simulated: Running) -> None:
    assert "Total Usage" in snapshot(simulated, "inst&tot")[2]
    assert "Total Usage" not in snapshot(simulated, "inst")[2]


def test_the_stored_minutes_are_those_the_counters_went_through(simulated: Running) -> None:
    now = snapshot(simulated)[0]
    newest = now // 60 * 60
    answer = get(simulated.url("egauge", f"/cgi-bin/egauge-show?a&m&f={now}&t={newest - 300}"))
    (block,) = fromstring(answer.content).iter("data")
    assert int(block.attrib["time_stamp"], 16) == newest
    assert block.attrib["time_delta"] == "60"
    names = [cname.text for cname in block.iter("cname")]
    assert names[:3] == ["A.Battery", "A.SubPanel", "A.GridPower"]
    assert names[-2:] == ["use", "gen"]
    rows = [[int(c.text or "") for c in row] for row in block.iter("r")]
    assert len(rows) == 6
    solar = names.index("A.Solar")
    for index, row in enumerate(rows[1:], start=1):
        end_ms = (newest - 60 * (index - 1)) * 1000
        house_ms = simulated.clock.house_ms
        energy = simulated.house.energy(house_ms(end_ms - 60_000), house_ms(end_ms))
        assert -row[solar] == pytest.approx(energy.solar, abs=1.01)


def test_the_meter_asks_for_a_password_where_it_has_one() -> None:
    with running(meter={"username": USERNAME, "password": PASSWORD}) as made:
        url = made.url("egauge", "/cgi-bin/egauge?inst")
        assert get(url).status_code == 401
        assert get(url, auth=HTTPDigestAuth(USERNAME, "another")).status_code == 401
        assert get(url, auth=HTTPDigestAuth(USERNAME, PASSWORD)).status_code == 200


def webapi_token(made: Running, password: str) -> str | None:
    challenge = get(made.url("egauge", "/api/auth/unauthorized"))
    assert challenge.status_code == 401
    realm, nonce = challenge.json()["rlm"], challenge.json()["nnc"]

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    body = {
        "rlm": realm,
        "usr": USERNAME,
        "nnc": nonce,
        "cnnc": "0123",
        "hash": md5(f"{md5(f'{USERNAME}:{realm}:{password}')}:{nonce}:0123"),
    }
    answer = requests.post(made.url("egauge", "/api/auth/login"), json=body, timeout=5)
    token: str | None = answer.json().get("jwt")
    return token


def test_the_webapi_gives_rates_and_counters_to_who_signed_in() -> None:
    with running(meter={"username": USERNAME, "password": PASSWORD}) as made:
        url = made.url("egauge", "/api/register?reg=all&rate&time=now")
        assert get(url).status_code == 401
        assert webapi_token(made, "another") is None
        token = webapi_token(made, PASSWORD)
        document = get(url, headers={"Authorization": f"Bearer {token}"}).json()
        assert document["registers"][0]["name"] == "A.Battery"
        assert document["registers"][3]["rate"] > 0
        row = document["ranges"][0]["rows"][0]
        assert len(row) == len(document["registers"])
        assert all(isinstance(value, str) for value in row)
        chosen = get(
            made.url("egauge", "/api/register?reg=3+5:6&rate"), headers={"Authorization": f"Bearer {token}"}
        )
        assert [r["name"] for r in chosen.json()["registers"]] == ["A.Solar", "A.L1_Voltage", "A.L2_Voltage"]
        made.servers["egauge"].device.start_over()
        assert get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_meter_that_starts_again_counts_on_from_where_it_was() -> None:
    asked = Request(
        "GET", "/cgi-bin/egauge-show", {"m": "", "f": f"{int(time.time()) - 60}", "n": "3"}, {}, b""
    )
    first, again = (EgaugeMeter(House(1, ZONE, 37.42, -122.20), SimulatedClock()) for _ in range(2))
    assert first.respond(asked).body == again.respond(asked).body


# --- sonnen -------------------------------------------------------------------------------------------------------


def sonnen(made: Running, path: str, method: str = "GET", **options: Any) -> Any:
    answer = requests.request(
        method, made.url("sonnen", path), headers={"Auth-Token": TOKEN}, timeout=5, **options
    )
    assert answer.ok, answer.status_code
    return answer.json()


@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v2/status"])
def test_the_batterys_status_balances(simulated: Running, path: str) -> None:
    status = sonnen(simulated, path)
    balance = status["Production_W"] + status["Pac_total_W"] - status["Consumption_W"]
    assert status["GridFeedIn_W"] == pytest.approx(balance, abs=2)
    assert status["Production_W"] > 0
    assert status["OperatingMode"] == "8"
    assert status["Fac"] == pytest.approx(60, abs=0.05)
    assert 0 < status["RSOC"] < 100


def test_charging_is_negative_power_and_tells_so(simulated: Running) -> None:
    status = sonnen(simulated, "/api/v2/status")
    assert status["BatteryCharging"] == (status["Pac_total_W"] < -10)
    assert status["FlowProductionBattery"] == status["BatteryCharging"]


def test_v1_has_cell_values_as_nested_text_and_v2_as_flat_numbers(simulated: Running) -> None:
    v1 = sonnen(simulated, "/api/battery")["battery_status"]
    v2 = sonnen(simulated, "/api/v2/battery")
    assert all(isinstance(value, str) for value in v1.values())
    assert all(isinstance(value, float) for value in v2.values())
    assert float(v1["relativestateofcharge"]) == pytest.approx(v2["relativestateofcharge"], abs=0.2)
    assert v1.keys() <= v2.keys()


def test_latest_data_agrees_with_status(simulated: Running) -> None:
    latest, status = sonnen(simulated, "/api/v2/latestdata"), sonnen(simulated, "/api/v2/status")
    assert latest["RSOC"] == status["RSOC"]
    assert latest["Pac_total_W"] == pytest.approx(status["Pac_total_W"], abs=60)


def test_v2_wants_its_token_but_for_the_status(simulated: Running) -> None:
    assert get(simulated.url("sonnen", "/api/v2/status")).status_code == 200
    for path in ("/api/v2/battery", "/api/v2/latestdata", "/api/v2/configurations"):
        assert get(simulated.url("sonnen", path)).status_code == 401
    assert get(simulated.url("sonnen", "/api/v1/status")).status_code == 200


def test_the_remote_interface_passes_v1_on_to_who_has_the_token(simulated: Running) -> None:
    url = simulated.url("sonnen", "/proxy/12345/api/v1/status")
    assert get(url).status_code == 401
    signed = get(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert "Pac_total_W" in signed.json()


@pytest.mark.parametrize(("interfaces", "path"), [("v1", "/api/v2/status"), ("v2", "/api/v1/status")])
def test_older_and_newer_firmware_lack_an_interface(interfaces: str, path: str) -> None:
    with running(battery={"interfaces": frozenset({interfaces})}) as made:
        assert get(made.url("sonnen", path)).status_code == 404
        assert get(made.url("sonnen", f"/api/{interfaces}/status")).status_code == 200


def power(made: Running) -> int:
    watts: int = sonnen(made, "/api/v2/status")["Pac_total_W"]
    return watts


@pytest.mark.parametrize("interface", ["v1", "v2"])
def test_a_setpoint_holds_until_the_mode_is_automatic_again(interface: str) -> None:
    with running() as made:
        before = power(made)
        if interface == "v1":
            assert sonnen(made, "/api/setting?EM_OperatingMode=1") == {"ReturnCode": "0"}
            assert sonnen(made, "/api/v1/setpoint/discharge/700") == {"ReturnCode": "0"}
        else:
            sonnen(made, "/api/v2/configurations", "PUT", data={"EM_OperatingMode": "1"})
            sonnen(made, "/api/v2/setpoint/discharge/700", "POST")
        assert until(lambda: power(made), lambda watts: watts == 700) == 700
        assert sonnen(made, "/api/v2/latestdata")["SetPoint_W"] == 700
        assert sonnen(made, "/api/v2/configurations/EM_OperatingMode") == {"EM_OperatingMode": "1"}
        sonnen(made, "/api/v2/setpoint/charge/900", "POST")
        assert until(lambda: power(made), lambda watts: watts == -900) == -900
        sonnen(made, "/api/v2/configurations", "PUT", json={"EM_OperatingMode": "8"})
        assert until(lambda: power(made), lambda watts: abs(watts - before) < 300) == pytest.approx(
            before, abs=300
        )


def test_the_meter_sees_what_the_battery_was_told() -> None:
    with running() as made:
        sonnen(made, "/api/v2/configurations", "PUT", json={"EM_OperatingMode": "1"})
        sonnen(made, "/api/v2/setpoint/charge/1200", "POST")

        def rate() -> float:
            return float(snapshot(made)[2]["A.Battery"][1])

        assert until(rate, lambda watts: watts == -1200) == -1200


# --- PowerFlex ------------------------------------------------------------------------------------------------------


def sign_in(made: Running, password: str = PASSWORD) -> requests.Response:
    return requests.post(
        made.url("powerflex", "/login"), json={"username": USERNAME, "password": password}, timeout=5
    )


def measurements(made: Running, start: float, end: float, token: str | None = None) -> Any:
    token = token or sign_in(made).json()["access_token"]
    return requests.post(
        made.url("powerflex", "/get_measurement_data"),
        json={"measurement": "ct_response", "time_filter": [start, end]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )


def test_the_service_gives_a_token_for_the_right_password_only(simulated: Running) -> None:
    assert sign_in(simulated, "another").status_code == 401
    assert sign_in(simulated).json().keys() == {"access_token"}
    assert measurements(simulated, 0, 1, token="made-up").status_code == 401


def test_all_stations_of_the_account_come_with_text_ids_every_four_seconds(simulated: Running) -> None:
    now = time.time()
    series = measurements(simulated, now - 60, now).json()["data"]["results"][0]["series"][0]
    rows = [dict(zip(series["columns"], values, strict=True)) for values in series["values"]]
    assert {(row["acc_id"], row["acs_id"]) for row in rows} == {("03", "01"), ("03", "02"), ("03", "03")}
    times = sorted({row["time"] for row in rows})
    assert all(later - earlier == 4 for earlier, later in pairwise(times))
    assert now - 64 <= times[0] <= times[-1] <= now


def test_a_charging_station_agrees_with_the_meter() -> None:
    model = House(1, ZONE, 37.42, -122.20)
    session = model.sessions(local(2026, 3, 23), local(2026, 3, 24))[0]
    with running(SimulatedClock(epoch_ms=session.charging_ms + 600_000)) as made:
        now = int(time.time())
        series = measurements(made, now - 30, now).json()["data"]["results"][0]["series"][0]
        rows = [dict(zip(series["columns"], values, strict=True)) for values in series["values"]]
        mine = [row for row in rows if row["acs_id"] == "02"]
        assert {row["charging_state"] for row in mine} == {"ADAPTIVE"}
        watts = mine[-1]["power"] / 1000
        assert watts == pytest.approx(model.at(session.charging_ms + 600_000).ev_w, abs=1)
        assert mine[-1]["mamps_actual"] * mine[-1]["voltage"] / 1e6 == pytest.approx(watts, rel=1e-3)
        gained = mine[-1]["energy_delivered"] - mine[0]["energy_delivered"]
        assert gained == pytest.approx(watts * (mine[-1]["time"] - mine[0]["time"]) / 3.6, rel=0.01)
        assert float(snapshot(made)[2]["A.EV"][1]) == pytest.approx(-watts, abs=1)


def test_power_comes_in_kilowatts_as_documented_where_that_is_wanted() -> None:
    model = House(1, ZONE, 37.42, -122.20)
    session = model.sessions(local(2026, 3, 23), local(2026, 3, 24))[0]
    clock = SimulatedClock(epoch_ms=session.charging_ms + 600_000)
    with running(clock, service={"power_in_mw": False}) as made:
        now = int(time.time())
        series = measurements(made, now - 5, now).json()["data"]["results"][0]["series"][0]
        column = series["columns"].index("power")
        assert 3 < max(values[column] for values in series["values"]) < 10


def test_an_empty_window_has_no_series(simulated: Running) -> None:
    future = time.time() + 3600
    assert measurements(simulated, future, future + 60).json() == {"data": {"results": [{"statement_id": 0}]}}


def test_a_window_of_days_comes_in_part(simulated: Running) -> None:
    now = time.time()
    series = measurements(simulated, now - 86_400, now).json()["data"]["results"][0]["series"][0]
    assert series["partial"] is True
    assert len(series["values"]) == 10_000


# --- Time ---------------------------------------------------------------------------------------------------------


def test_a_house_that_lives_faster_still_has_devices_in_real_time() -> None:
    clock = SimulatedClock(epoch_ms=local(2026, 3, 22, 9), speed=600)
    with running(clock) as made:
        ts, _, before = snapshot(made)
        assert ts == pytest.approx(time.time(), abs=2)
        later, _, after = until(lambda: snapshot(made), lambda answer: answer[0] > ts + 1)
        # Ten minutes of the house's sun pass in each second, and its power is what the counters give per second.
        mean_w = (after["A.Solar"][0] - before["A.Solar"][0]) / (later - ts)
        house = made.house
        low, high = sorted(house.at(clock.house_ms(t * 1000)).solar_w for t in (ts, later))
        assert low - 700 < mean_w < high + 700
        assert mean_w > 500


def test_the_clock_is_the_machines_unless_told_otherwise() -> None:
    clock = SimulatedClock()
    assert clock.is_real
    assert clock.house_ms(123) == 123
    assert not daytime().is_real
    with pytest.raises(ValueError, match="positive"):
        SimulatedClock(speed=0)
