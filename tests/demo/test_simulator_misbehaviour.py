"""Each way a simulated device can misbehave, how it is asked for, and that it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from defusedxml.ElementTree import fromstring

from sgmp_console.demo.simulator.server import COMMON_MODES
from tests.edge.simulated_house import PASSWORD, TOKEN, USERNAME, Running, running, until

DEVICES = ("egauge", "sonnen", "powerflex")


@pytest.fixture(scope="module")
def house() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture
def simulated(house: Running) -> Iterator[Running]:
    yield house
    for server in house.servers.values():
        server.misbehave("none")
        until(lambda server=server: accepts(server.address), bool)  # type: ignore[misc]


def accepts(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def ask(made: Running, device: str, timeout: float = 5) -> requests.Response:
    """A poll of a device as its driver would make it."""
    if device == "egauge":
        return requests.get(made.url(device, "/cgi-bin/egauge?inst&tot"), timeout=timeout)
    if device == "sonnen":
        return requests.get(
            made.url(device, "/api/v2/status"), headers={"Auth-Token": TOKEN}, timeout=timeout
        )
    credentials = {"username": USERNAME, "password": PASSWORD}
    login = requests.post(made.url(device, "/login"), json=credentials, timeout=timeout)
    if login.status_code != 200:
        return login
    now = time.time()
    return requests.post(
        made.url(device, "/get_measurement_data"),
        json={"measurement": "ct_response", "time_filter": [now - 20, now]},
        headers={"Authorization": f"Bearer {login.json()['access_token']}"},
        timeout=timeout,
    )


def registers(made: Running) -> dict[str, tuple[str, str]]:
    root = fromstring(ask(made, "egauge").content)
    return {r.attrib["n"]: (r.findtext("v", ""), r.findtext("i", "")) for r in root.iter("r")}


def stations(made: Running) -> list[dict[str, Any]]:
    result = ask(made, "powerflex").json()["data"]["results"][0]
    return [
        dict(zip(series["columns"], values, strict=True))
        for series in result.get("series", [])
        for values in series["values"]
    ]


# --- What all devices can do wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_it_answers_late(simulated: Running, device: str) -> None:
    simulated.misbehave(device, "slow", delay=0.3)
    began = time.monotonic()
    assert ask(simulated, device).status_code == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("device", DEVICES)
def test_it_takes_a_request_and_never_answers(simulated: Running, device: str) -> None:
    simulated.misbehave(device, "hang")
    with pytest.raises(requests.ReadTimeout):
        ask(simulated, device, timeout=0.3)


def test_who_hung_gets_no_answer_afterwards_either(simulated: Running) -> None:
    simulated.misbehave("sonnen", "hang", 0.3)
    with pytest.raises(requests.ConnectionError):
        ask(simulated, "sonnen")
    assert ask(simulated, "sonnen").status_code == 200


@pytest.mark.parametrize("device", DEVICES)
def test_it_refuses_connections_and_then_listens_on_the_same_port(simulated: Running, device: str) -> None:
    address = simulated.servers[device].address
    with requests.Session() as session:
        session.get(f"http://{address}/", timeout=5)
        simulated.misbehave(device, "refuse", 60)
        assert until(lambda: accepts(address), lambda it_does: not it_does) is False
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://{address}/", timeout=5)
    simulated.misbehave(device, "none")
    assert until(lambda: accepts(address), bool) is True
    assert ask(simulated, device).status_code == 200
    assert simulated.servers[device].address == address


@pytest.mark.parametrize("device", DEVICES)
def test_it_answers_with_what_means_nothing(simulated: Running, device: str) -> None:
    simulated.misbehave(device, "garbage")
    with pytest.raises((UnicodeDecodeError, ValueError)):
        ask(simulated, device).json()


@pytest.mark.parametrize("device", DEVICES)
def test_it_breaks_off_in_the_middle(simulated: Running, device: str) -> None:
    simulated.misbehave(device, "truncated")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(simulated, device)


@pytest.mark.parametrize(("mode", "status"), [("http_500", 500), ("wrong_password", 401)])
@pytest.mark.parametrize("device", DEVICES)
def test_it_answers_with_an_error(simulated: Running, device: str, mode: str, status: int) -> None:
    simulated.misbehave(device, mode)
    assert ask(simulated, device).status_code == status
    simulated.misbehave(device, "none")
    assert ask(simulated, device).status_code == 200


def test_the_meters_clock_stands_still(simulated: Running) -> None:
    simulated.misbehave("egauge", "stale_clock")
    first = ask(simulated, "egauge").content
    ts = int(fromstring(first).findtext("ts", ""))
    until(time.time, lambda now: now > ts + 1.1)
    assert ask(simulated, "egauge").content == first
    simulated.misbehave("egauge", "none")
    assert ask(simulated, "egauge").content != first


def test_the_batterys_clock_stands_still(simulated: Running) -> None:
    simulated.misbehave("sonnen", "stale_clock")
    first = ask(simulated, "sonnen").json()
    now = time.time()
    until(time.time, lambda later: later > now + 1.1)
    assert ask(simulated, "sonnen").json() == first


def test_a_service_whose_clock_stands_still_has_no_new_rows(simulated: Running) -> None:
    simulated.misbehave("powerflex", "stale_clock")
    newest = max(row["time"] for row in stations(simulated))
    until(time.time, lambda now: now > newest + 4.5)
    assert max(row["time"] for row in stations(simulated)) == newest


@pytest.mark.parametrize("device", DEVICES)
def test_it_starts_again(simulated: Running, device: str) -> None:
    address = simulated.servers[device].address
    simulated.misbehave(device, "reboot", 0.6)
    assert until(lambda: accepts(address), lambda it_does: not it_does) is False
    assert until(lambda: accepts(address), bool) is True
    answered = until(lambda: ask(simulated, device), lambda answer: answer.status_code == 200)
    assert answered.status_code == 200


def test_a_battery_that_starts_says_zero_for_everything(simulated: Running) -> None:
    simulated.misbehave("sonnen", "reboot", 3)
    server = simulated.servers["sonnen"]
    assert until(lambda: accepts(server.address), lambda it_does: not it_does) is False
    assert until(lambda: accepts(server.address), bool) is True
    status = ask(simulated, "sonnen").json()
    assert {status[name] for name in ("Fac", "Uac", "Pac_total_W", "Production_W", "RSOC")} == {0}


def test_a_service_that_starts_knows_no_token_any_more(simulated: Running) -> None:
    credentials = {"username": USERNAME, "password": PASSWORD}
    token = requests.post(simulated.url("powerflex", "/login"), json=credentials, timeout=5).json()[
        "access_token"
    ]
    address = simulated.servers["powerflex"].address
    simulated.misbehave("powerflex", "reboot", 0.4)
    assert until(lambda: accepts(address), lambda it_does: not it_does) is False
    assert until(lambda: accepts(address), bool) is True
    answer = requests.post(
        simulated.url("powerflex", "/get_measurement_data"),
        json={"measurement": "ct_response", "time_filter": [0, 1]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )
    assert answer.status_code == 401


# --- What one device can do wrong ----------------------------------------------------------------------------------


def test_the_meter_leaves_values_empty(simulated: Running) -> None:
    simulated.misbehave("egauge", "null_fields", register="A.Load")
    shown = registers(simulated)
    assert shown["A.Load"] == ("", "")
    assert shown["A.Solar"][0]
    simulated.misbehave("egauge", "null_fields")
    assert {value for value, _ in registers(simulated).values()} == {""}


@pytest.mark.parametrize("register", ["A.Solar", "A.L1_Voltage"])
def test_the_meter_lacks_a_register(simulated: Running, register: str) -> None:
    simulated.misbehave("egauge", "missing_register", register=register)
    shown = registers(simulated)
    assert register not in shown
    assert len(shown) == 11


def test_a_counter_jumps_once_and_counts_on_from_there(simulated: Running) -> None:
    before = int(registers(simulated)["A.Load"][0])
    simulated.misbehave("egauge", "counter_jump", register="A.Load", amount=5_000_000_000)
    jumped = int(registers(simulated)["A.Load"][0])
    assert jumped - before == pytest.approx(5_000_000_000, abs=1_000_000)
    assert int(registers(simulated)["A.Load"][0]) == pytest.approx(jumped, abs=1_000_000)
    assert simulated.servers["egauge"].device.misbehaviour.mode == ""


def test_a_counter_wraps_around_at_64_bits(simulated: Running) -> None:
    before = int(registers(simulated)["A.Solar"][0])
    simulated.misbehave("egauge", "counter_jump", register="A.Solar", amount=2**63 - before)
    assert -(2**63) <= int(registers(simulated)["A.Solar"][0]) < -(2**63) + 10_000_000


def test_the_meter_has_another_configuration(simulated: Running) -> None:
    def serial() -> str:
        text: str = fromstring(ask(simulated, "egauge").content).attrib["serial"]
        return text

    before, counter = serial(), registers(simulated)["A.Load"][0]
    simulated.misbehave("egauge", "serial_change")
    assert serial() != before
    assert abs(int(registers(simulated)["A.Load"][0]) - int(counter)) > 1_000_000


def test_the_meter_is_offline_behind_the_makers_proxy(simulated: Running) -> None:
    simulated.misbehave("egauge", "offline")
    assert ask(simulated, "egauge").status_code == 404


def test_the_meter_shows_a_page_instead(simulated: Running) -> None:
    simulated.misbehave("egauge", "login_page")
    answer = ask(simulated, "egauge")
    assert answer.status_code == 200
    assert b"ot authorized" in answer.content


def test_the_battery_says_null(simulated: Running) -> None:
    simulated.misbehave("sonnen", "null_fields")
    status = ask(simulated, "sonnen").json()
    assert status["Pac_total_W"] is None
    battery = requests.get(simulated.url("sonnen", "/api/battery"), timeout=5).json()
    assert battery["battery_status"]["relativestateofcharge"] is None


def test_the_battery_lacks_a_field(simulated: Running) -> None:
    simulated.misbehave("sonnen", "missing_register")
    assert "Pac_total_W" not in ask(simulated, "sonnen").json()


def test_the_battery_lacks_its_sensors(simulated: Running) -> None:
    simulated.misbehave("sonnen", "no_sensor")
    battery = requests.get(simulated.url("sonnen", "/api/battery"), timeout=5).json()["battery_status"]
    assert battery["maximumcelltemperature"] == "-273.15"


def test_the_battery_raises_an_alarm(simulated: Running) -> None:
    simulated.misbehave("sonnen", "alarm", name="lowvoltage")
    v1 = requests.get(simulated.url("sonnen", "/api/battery"), timeout=5).json()
    v2 = requests.get(
        simulated.url("sonnen", "/api/v2/battery"), headers={"Auth-Token": TOKEN}, timeout=5
    ).json()
    assert v1["alarms"]["lowvoltage"] == 1
    assert v2["systemalarm"] == 1


def test_older_firmware_answers_a_wrong_token_with_nothing(simulated: Running) -> None:
    simulated.misbehave("sonnen", "empty_object")
    answer = requests.get(simulated.url("sonnen", "/api/v2/battery"), headers={"Auth-Token": "no"}, timeout=5)
    assert (answer.status_code, answer.json()) == (200, {})


def test_the_battery_does_not_do_what_it_is_told(simulated: Running) -> None:
    url = simulated.url("sonnen", "/api/setting?EM_OperatingMode=1")
    simulated.misbehave("sonnen", "return_code")
    assert requests.get(url, timeout=5).json() == {"ReturnCode": "1"}
    simulated.misbehave("sonnen", "ignores_setpoints")
    assert requests.get(url, timeout=5).json() == {"ReturnCode": "0"}
    assert ask(simulated, "sonnen").json()["OperatingMode"] == "8"


def test_the_service_says_null(simulated: Running) -> None:
    simulated.misbehave("powerflex", "null_fields", fields=["power"])
    assert {row["power"] for row in stations(simulated)} == {None}


def test_the_service_lacks_a_column(simulated: Running) -> None:
    simulated.misbehave("powerflex", "missing_register", register="voltage")
    assert all("voltage" not in row and "power" in row for row in stations(simulated))


def test_the_service_says_an_error_with_status_200(simulated: Running) -> None:
    simulated.misbehave("powerflex", "error_in_200")
    answer = ask(simulated, "powerflex")
    assert answer.status_code == 200
    assert "error" in answer.json()["data"]["results"][0]


def test_the_service_has_no_rows(simulated: Running) -> None:
    simulated.misbehave("powerflex", "no_series")
    assert stations(simulated) == []


# --- Asking for it over HTTP ---------------------------------------------------------------------------------------


def admin(made: Running, server: str, body: Any) -> requests.Response:
    return requests.post(made.url(server, "/_simulator/misbehave"), data=json.dumps(body), timeout=5)


def test_any_server_of_the_house_takes_requests_for_any_device(simulated: Running) -> None:
    assert admin(simulated, "egauge", {"device": "sonnen", "mode": "http_500"}).json() == {"ok": True}
    assert ask(simulated, "sonnen").status_code == 500
    assert ask(simulated, "egauge").status_code == 200
    assert admin(simulated, "sonnen", {"mode": "none"}).ok
    assert ask(simulated, "sonnen").status_code == 200


def test_a_mode_ends_after_its_seconds(simulated: Running) -> None:
    admin(simulated, "egauge", {"mode": "http_500", "seconds": 0.3})
    assert ask(simulated, "egauge").status_code == 500
    assert until(lambda: ask(simulated, "egauge").status_code, lambda status: status == 200) == 200


def test_a_device_asked_to_refuse_still_answers_that_request(simulated: Running) -> None:
    address = simulated.servers["powerflex"].address
    assert admin(simulated, "powerflex", {"mode": "refuse", "seconds": 0.5}).json() == {"ok": True}
    assert until(lambda: accepts(address), lambda it_does: not it_does) is False
    assert until(lambda: accepts(address), bool) is True


def test_options_go_with_the_request(simulated: Running) -> None:
    admin(simulated, "egauge", {"mode": "missing_register", "register": "A.EV"})
    assert "A.EV" not in registers(simulated)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"device": "toaster", "mode": "hang"}, "egauge, powerflex, sonnen"),
        ({"mode": "explode"}, "counter_jump"),
        ({"mode": "missing_register", "register": "Z"}, "'Z'"),
        ({"device": "powerflex", "mode": "null_fields", "fields": ["watts"]}, "'watts'"),
        ({"mode": "slow", "seconds": "soon"}, "soon"),
        ({"mode": "slow", "delay": "long"}, "long"),
        ({}, "mode"),
        ([], "mode"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_so(simulated: Running, body: Any, says: str) -> None:
    answer = admin(simulated, "egauge", body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_the_status_tells_modes_and_polls(simulated: Running) -> None:
    url = simulated.url("sonnen", "/_simulator/status")
    before = requests.get(url, timeout=5).json()["egauge"]["requests_served"]
    simulated.misbehave("egauge", "http_500")
    ask(simulated, "egauge")
    status = requests.get(url, timeout=5).json()
    assert set(status) == set(DEVICES)
    assert status["egauge"]["mode"] == "http_500"
    assert status["egauge"]["requests_served"] == before + 1
    assert status["egauge"]["address"] == simulated.servers["egauge"].address
    assert status["sonnen"]["mode"] == "none"
    assert set(COMMON_MODES) < set(status["powerflex"]["modes"])


def test_other_admin_requests_are_told_what_there_is(simulated: Running) -> None:
    answer = requests.get(simulated.url("sonnen", "/_simulator/coffee"), timeout=5)
    assert answer.status_code == 404
    assert "/_simulator/misbehave" in answer.json()["error"]


def test_stopping_leaves_neither_threads_nor_connections() -> None:
    before = set(threading.enumerate())
    with running() as made, requests.Session() as session:
        session.get(made.url("egauge", "/cgi-bin/egauge"), timeout=5)
        made.misbehave("sonnen", "hang")
        with pytest.raises(requests.ReadTimeout):
            ask(made, "sonnen", timeout=0.2)
        made.misbehave("powerflex", "refuse", 60)
    until(lambda: set(threading.enumerate()) - before, lambda left: not left)
    assert set(threading.enumerate()) <= before
