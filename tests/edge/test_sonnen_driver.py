"""What the sonnen driver makes of a battery, over each of its interfaces, and what it lets others do to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgmp_edge.common import AT_TICK, BadAnswer, DeviceError, NotReady, ReadResult, TimedOut, Unauthorized
from sgmp_edge.contract import WARNING, device_types
from sgmp_edge.devices import _http, _sonnen_interfaces, sonnen
from sgmp_edge.devices._http import Timeouts
from sgmp_edge.devices._sonnen_documents import alerts_of, battery_fields, status_fields
from sgmp_edge.devices.sonnen import Sonnen
from tests.edge.drivers_http import (
    HttpDevice,
    Patience,
    Reply,
    Request,
    as_json,
    each_fault,
    hurried,
    own_certificate,
    texts_of,
)
from tests.edge.drivers_sonnen import BOOTING, CLOUD_TOKEN, LOCAL_TOKEN, SERIAL, Battery

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sonnen"
shared = pytest.mark.skipif(not DATA.is_dir(), reason="recorded payloads are not beside this checkout")

LIMITS = {"max_charge_w": 3000, "max_discharge_w": 5000}


@pytest.fixture
def battery() -> Battery:
    return Battery()


@pytest.fixture
def device(battery: Battery, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpDevice]:
    monkeypatch.setattr(sonnen, "SETTLE_S", 0)
    device = HttpDevice(battery.answer)
    yield device
    device.close()


@pytest.fixture
def cloud(battery: Battery) -> Iterator[HttpDevice]:
    """The vendor's server, which stays when the battery goes."""
    cloud = HttpDevice(battery.answer)
    yield cloud
    cloud.close()


@pytest.fixture
def drivers() -> Iterator[list[Sonnen]]:
    made: list[Sonnen] = []
    yield made
    for driver in made:
        driver.close()


@pytest.fixture
def make(device: HttpDevice, cloud: HttpDevice, drivers: list[Sonnen]) -> Any:
    def make(**more: Any) -> Sonnen:
        config = {
            "ip": device.host,
            "serial": SERIAL,
            "token": CLOUD_TOKEN,
            "local_token": LOCAL_TOKEN,
            "cloud_url": f"http://{cloud.host}",
            **more,
        }
        assert device_types()["sonnen"].problems(config) == []
        drivers.append(Sonnen(config))
        return drivers[-1]

    return make


def row_of(result: Any) -> dict[str, Any]:
    if isinstance(result, ReadResult):
        assert [reading.timestamp for reading in result.readings] == [AT_TICK]
        return dict(result.readings[0].data)
    return dict(result)


def warnings_of(result: Any) -> list[str]:
    if not isinstance(result, ReadResult):
        return []
    assert all((event.type, event.timestamp) == (WARNING, AT_TICK) for event in result.events)
    return [event.data["data"] for event in result.events]


def leaves(row: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key, value


# --- Fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["v2", "v1", "cloud"])
def test_the_playbooks_fields_are_there_whatever_the_interface(make: Any, interface: str) -> None:
    row = dict(leaves(row_of(make(interface=interface).read())))
    assert row["status.Pac_total_W"] == 800
    assert row["battery.battery_status.relativestateofcharge"] == 64
    assert row["status.USOC"] == 61


def test_all_interfaces_give_the_same_fields(make: Any) -> None:
    rows = [row_of(make(interface=interface).read()) for interface in ("v2", "v1", "cloud")]
    assert rows[0] == rows[1] == rows[2]


def test_numbers_are_numbers_and_what_is_none_is_left_out(make: Any) -> None:
    row = dict(leaves(row_of(make().read())))
    assert row["status.BackupBuffer"] == 10
    assert row["status.BatteryDischarging"] == 1
    assert row["status.SystemStatus"] == "OnGrid"
    assert (
        not {"status.Sac2", "status.Timestamp", "battery.battery_status.minimummoduletemperature"}
        & row.keys()
    )
    assert None not in row.values()


def test_known_fields_have_units(make: Any) -> None:
    unit = device_types()["sonnen"].unit_of
    assert unit("status.Pac_total_W") == "W"
    assert unit("battery.battery_status.relativestateofcharge") == "%"
    assert unit("battery.battery_status.systemdcvoltage") == "V"


def test_a_null_power_takes_no_other_value_with_it(make: Any, battery: Battery) -> None:
    battery.status["Pac_total_W"] = None
    row = dict(leaves(row_of(make().read())))
    assert "status.Pac_total_W" not in row
    assert row["status.Consumption_W"] == 1300


def test_a_missing_power_is_said_once_and_takes_no_other_value_with_it(make: Any, battery: Battery) -> None:
    driver = make()
    del battery.status["Pac_total_W"]
    first = driver.read()
    assert row_of(first)["status"]["Consumption_W"] == 1300
    assert warnings_of(first) == ["the battery gives no Pac_total_W"]
    assert warnings_of(driver.read()) == []


def test_a_battery_that_starts_up_has_no_reading_until_it_runs(make: Any, battery: Battery) -> None:
    running, battery.status = battery.status, dict(BOOTING)
    driver = make()
    with pytest.raises(NotReady, match="starting up"):
        driver.read()
    battery.status = running
    assert row_of(driver.read())["status"]["Pac_total_W"] == 800


def test_cell_values_that_are_all_zero_are_no_state_of_charge_of_zero(make: Any, battery: Battery) -> None:
    battery.cells = dict.fromkeys(battery.cells, 0.0)
    assert row_of(make().read())["battery"] == {"battery_status": {"relativestateofcharge": 64}}


def test_a_status_that_stays_the_same_is_a_frozen_one(
    make: Any, battery: Battery, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make()
    driver.read()
    driver.read()
    monkeypatch.setattr(sonnen, "_STALE_S", -1)
    with pytest.raises(NotReady, match="2024-05-01 12:00:00"):
        driver.read()
    battery.status["Timestamp"] = "2024-05-01 12:03:00"
    assert row_of(driver.read())["status"]["Pac_total_W"] == 800


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Pac_total_W", 10**9),
        ("USOC", 240),
        ("Fac", -3),
        ("Uac", 10**6),
        ("Ubat", 65535),
        ("Sac1", 2**32 - 1),
    ],
)
def test_a_value_that_cannot_be_is_left_out_alone_and_reported_once(
    make: Any, battery: Battery, key: str, value: float
) -> None:
    battery.status[key] = value
    driver = make()
    first = driver.read()
    assert row_of(first)["status"].keys() == {*row_of(make(interface="v1").read())["status"]}
    assert key not in row_of(first)["status"]
    assert row_of(first)["status"]["Consumption_W"] == 1300
    assert len(warnings_of(first)) == 1
    assert key in warnings_of(first)[0]
    assert warnings_of(driver.read()) == []
    battery.status[key] = 61
    assert row_of(driver.read())["status"][key] == 61
    battery.status[key] = value
    assert warnings_of(driver.read()) == []


def test_a_status_of_which_no_power_can_be_is_a_bad_answer(make: Any, battery: Battery) -> None:
    battery.status = {key: 10**9 if key.endswith("_W") else value for key, value in battery.status.items()}
    with pytest.raises(BadAnswer, match="can't be"):
        make().read()


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("powers", [["GridFeedIn_W"], ["Pac_total_W"], ["GridFeedIn_W", "Pac_total_W"]])
def test_a_power_without_its_sign_is_corrected_by_the_other_powers(
    make: Any, battery: Battery, powers: list[str], bits: int
) -> None:
    battery.status |= {
        "GridFeedIn_W": -100,
        "Production_W": 1_850,
        "Pac_total_W": -650,
        "Consumption_W": 1_300,
    }
    true = {power: battery.status[power] for power in powers}
    battery.status |= {power: value % 2**bits for power, value in true.items()}
    driver = make()
    first = driver.read()
    assert {power: row_of(first)["status"][power] for power in powers} == true
    assert len(warnings_of(first)) == 1
    assert ", ".join(powers) in warnings_of(first)[0]
    assert warnings_of(driver.read()) == []


def test_a_large_power_that_adds_up_is_left_as_it_is(make: Any, battery: Battery) -> None:
    battery.status |= {
        "GridFeedIn_W": 64_200,
        "Production_W": 64_700,
        "Pac_total_W": 800,
        "Consumption_W": 1_300,
    }
    result = make().read()
    assert row_of(result)["status"]["GridFeedIn_W"] == 64_200
    assert warnings_of(result) == []


@pytest.mark.parametrize(
    ("odd", "value"),
    [
        ("-nan", None),
        ("nan", None),
        ("+812", 812),
        ('"1234567890_00"', "1234567890_00"),
        ('" 812.5 "', 812.5),
        ('"１２"', "１２"),
        ('"' + "x" * 20_000 + '"', "x" * 200),
        ("", None),
        ("[1]", None),
        ("9" * 5_000, None),
    ],
)
@pytest.mark.parametrize("interface", ["v2", "v1", "cloud"])
def test_an_odd_value_costs_no_other_one(
    make: Any, battery: Battery, device: HttpDevice, cloud: HttpDevice, interface: str, odd: str, value: Any
) -> None:
    def answer(request: Request) -> Reply:
        reply = battery.answer(request)
        body = reply.body if isinstance(reply.body, str) else reply.body.decode()
        return replace(reply, body=body.replace('"Apparent_output": 812', f'"Apparent_output": {odd}'))

    device.answer = cloud.answer = answer
    status = row_of(make(interface=interface).read())["status"]
    assert status.get("Apparent_output") == value
    assert status["Pac_total_W"] == 800


def test_an_odd_name_costs_no_other_value(make: Any, battery: Battery) -> None:
    battery.status |= {"Pool\u00a0Pump_W": 5, "": 6, "x" * 300: 7}
    result = make().read()
    status = row_of(result)["status"]
    assert (status["Pool Pump_W"], status["Pac_total_W"]) == (5, 800)
    assert all(name.strip() and len(name) < 255 for name in status)
    assert len(warnings_of(result)) == 1


def test_a_return_code_of_null_is_none(make: Any, battery: Battery) -> None:
    battery.status["ReturnCode"] = None
    assert row_of(make().read())["status"]["Pac_total_W"] == 800


@pytest.mark.parametrize(
    "body", ["[]", "null", "3", '{"error": "busy"}', '{"ReturnCode": 7}', "{}", '{"Uac": 230}']
)
def test_a_body_that_is_no_status_is_a_bad_answer(make: Any, device: HttpDevice, body: str) -> None:
    device.answer = lambda request: Reply(body)
    with pytest.raises(BadAnswer):
        make(interface="v2").read()


# --- Alerts -----------------------------------------------------------------------------------------------------------


def test_an_alarm_is_said_when_it_comes_and_when_it_goes(make: Any, battery: Battery) -> None:
    driver = make(interface="v1")
    assert warnings_of(driver.read()) == []
    battery.alarms["overtemperaturecharge"] = 1
    assert warnings_of(driver.read()) == ["the battery reports alarm overtemperaturecharge"]
    assert warnings_of(driver.read()) == []
    battery.alarms["overtemperaturecharge"] = 0
    (over,) = driver.read().events
    assert over.data == {
        "data": "the battery no longer reports alarm overtemperaturecharge",
        "change": "ends",
        "condition": "alert",
        "subjects": ["alarm overtemperaturecharge"],
    }


def test_an_alarm_of_v2_is_a_code(make: Any, battery: Battery) -> None:
    battery.cells["systemalarm"] = 16.0
    assert warnings_of(make(interface="v2").read()) == ["the battery reports alarm code 16"]


def test_an_alarm_is_not_said_again_after_a_restart(make: Any, battery: Battery) -> None:
    battery.alarms["overtemperaturecharge"] = 1
    driver = make(interface="v1")
    driver.read()
    again = make(interface="v1")
    again.restore(json.loads(json.dumps(driver.state())))
    assert warnings_of(again.read()) == []


# --- Which interface --------------------------------------------------------------------------------------------------


@each_fault
def test_each_fault_has_its_outcome_and_is_recovered_from(
    make: Any, device: HttpDevice, fault: str, outcome: type[Exception]
) -> None:
    driver = make(interface="v2")
    driver.read()
    device.misbehave(fault)
    with hurried(fault), pytest.raises(outcome):
        driver.read()
    device.misbehave(None)
    assert row_of(driver.read())["status"]["Pac_total_W"] == 800


@each_fault
def test_whatever_is_wrong_with_the_battery_the_cloud_takes_over(
    make: Any,
    device: HttpDevice,
    cloud: HttpDevice,
    fault: str,
    outcome: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = make()
    driver.read()
    # The first silent interface uses up the time of its poll.
    monkeypatch.setattr(sonnen, "_TIME_FOR_A_POLL_S", 0.2)
    device.misbehave(fault)
    for _ in range(4):
        try:
            with hurried(fault):
                row = row_of(driver.read())
        except DeviceError:
            continue  # the time of one poll was over; the next goes on
        assert row["status"]["Pac_total_W"] == 800
        assert cloud.requests
        return
    pytest.fail("the cloud was never asked")


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"ip": "10.0.0.5"}, ["v2", "v1 on port 8080", "v1 on port 80"]),
        (
            {"ip": "10.0.0.5", "serial": "1", "token": "t"},
            ["v2", "v1 on port 8080", "v1 on port 80", "cloud"],
        ),
        ({"ip": "10.0.0.5:9000", "serial": "1", "token": "t"}, ["v2", "v1"]),
        (
            {"ip": "10.0.0.5:9000", "serial": "1", "token": "t", "cloud_url": "http://c"},
            ["v2", "v1", "cloud"],
        ),
        ({"ip": "10.0.0.5", "interface": "v1"}, ["v1 on port 8080", "v1 on port 80"]),
        ({"ip": "10.0.0.5", "scheme": "https"}, ["v2", "v1"]),
        ({"ip": "10.0.0.5", "interface": "cloud", "serial": "1", "token": "t"}, ["cloud"]),
    ],
)
def test_the_config_says_which_interfaces_there_are(config: dict[str, str], names: list[str]) -> None:
    assert [interface.name for interface in _sonnen_interfaces.interfaces(config)] == names


def test_the_interface_that_answered_is_stayed_with(make: Any, battery: Battery, device: HttpDevice) -> None:
    battery.offers = {"v1"}
    driver = make()
    driver.read()
    device.requests.clear()
    driver.read()
    assert device.paths == ["/api/v1/status", "/api/battery"]


def test_the_interface_that_answered_is_remembered_over_a_restart(
    make: Any, battery: Battery, device: HttpDevice
) -> None:
    battery.offers = {"v1"}
    driver = make()
    driver.read()
    device.requests.clear()
    again = make()
    again.restore(json.loads(json.dumps(driver.state())))
    again.read()
    assert device.paths == ["/api/v1/status", "/api/battery"]


def test_the_battery_itself_is_preferred_again_when_it_is_back(
    make: Any, device: HttpDevice, cloud: HttpDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sonnen_interfaces, "_RETRY_BETTER_S", 0)
    driver = make()
    device.misbehave("500")
    driver.read()
    assert cloud.requests
    device.misbehave(None)
    driver.read()
    cloud.requests.clear()
    driver.read()
    assert cloud.requests == []


def test_without_a_token_v2_still_gives_power_and_state_of_charge(
    make: Any, battery: Battery, device: HttpDevice
) -> None:
    battery.offers = {"v2"}
    driver = make(token="", local_token="", serial="")
    first = driver.read()
    assert row_of(first)["status"]["Pac_total_W"] == 800
    assert row_of(first)["battery"] == {"battery_status": {"relativestateofcharge": 64}}
    assert len(warnings_of(first)) == 1
    assert "credentials" in warnings_of(first)[0]
    device.requests.clear()
    assert warnings_of(driver.read()) == []
    assert device.paths == ["/api/v2/status"]


def test_wrong_tokens_everywhere_are_told_without_being_shown(make: Any, battery: Battery) -> None:
    battery.offers = {"cloud"}
    with pytest.raises(Unauthorized) as caught:
        make(token="the-wrong-token", local_token="").read()
    assert "the-wrong-token" not in texts_of(caught.value)


def test_a_token_that_no_header_can_carry_is_told_without_being_shown(make: Any) -> None:
    driver = make(interface="cloud", token="broken\ntoken")
    with pytest.raises(Unauthorized) as caught:
        driver.read()
    assert "broken" not in texts_of(caught.value)


def test_the_state_holds_no_secret(make: Any) -> None:
    driver = make()
    driver.read()
    assert LOCAL_TOKEN not in json.dumps(driver.state())
    assert CLOUD_TOKEN not in json.dumps(driver.state())


# --- Slow, busy, encrypted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["v2", "v1"])
def test_a_slow_battery_is_read_all_the_same(
    make: Any,
    battery: Battery,
    device: HttpDevice,
    patience: Patience,
    monkeypatch: pytest.MonkeyPatch,
    interface: str,
) -> None:
    monkeypatch.setattr(_http, "LAN", Timeouts(0.05, 0.05, 5))
    slow = patience.only_for(0.15, battery.answer)
    device.answer = lambda request: (slow if request.path.endswith("status") else battery.answer)(request)
    driver = make(interface=interface)
    for _ in range(2):
        with pytest.raises(TimedOut):
            driver.read()
    assert row_of(driver.read())["status"]["Pac_total_W"] == 800


@pytest.mark.parametrize("status", [429, 503])
def test_a_battery_that_asks_to_be_left_alone_is_on_all_its_interfaces(
    make: Any, battery: Battery, device: HttpDevice, status: int
) -> None:
    device.answer = lambda request: Reply(status=status, headers={"Retry-After": "3600"})
    driver = make(serial="")
    for _ in range(3):
        with pytest.raises(DeviceError):
            driver.read()
    assert len(device.requests) == 1


def test_the_cloud_serves_while_the_battery_asks_to_be_left_alone(make: Any, device: HttpDevice) -> None:
    device.answer = lambda request: Reply(status=503, headers={"Retry-After": "3600"})
    assert row_of(make().read())["status"]["Pac_total_W"] == 800
    assert len(device.requests) == 1


def test_a_battery_that_asks_to_be_left_alone_is_still_given_back(
    make: Any, battery: Battery, device: HttpDevice
) -> None:
    driver = make(interface="v2", **LIMITS)
    driver.act({"action": "charge", "power_w": 1000})
    device.answer = lambda request: Reply(status=503, headers={"Retry-After": "3600"})
    with pytest.raises(NotReady):
        driver.read()
    device.answer = battery.answer
    driver.release()
    assert battery.mode == "2"


def test_a_battery_that_answers_https_only_can_be_read_and_says_so_before(
    make: Any, battery: Battery, device: HttpDevice, tmp_path: Path
) -> None:
    device.answer = lambda request: Reply(status=301, headers={"Location": "https://192.0.2.1/"})
    with pytest.raises(BadAnswer, match="set the protocol to https"):
        make(interface="v2").read()
    context, fingerprint = own_certificate(tmp_path)
    encrypted = HttpDevice(battery.answer, tls=context)
    try:
        config = {"ip": encrypted.host, "scheme": "https", "certificate_sha256": fingerprint, "serial": ""}
        assert row_of(make(**config).read())["status"]["Pac_total_W"] == 800
        with pytest.raises(BadAnswer, match="not trusted"):
            make(ip=encrypted.host, scheme="https", serial="").read()
    finally:
        encrypted.close()


# --- Control ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["v2", "v1"])
@pytest.mark.parametrize(("action", "setpoint"), [("charge", -2000), ("discharge", 2000)])
def test_a_setpoint_takes_effect_in_manual_mode_and_is_read_back(
    make: Any, battery: Battery, interface: str, action: str, setpoint: int
) -> None:
    done = make(interface=interface, **LIMITS).act({"action": action, "power_w": 2000})
    assert (battery.mode, battery.setpoint_w) == ("1", setpoint)
    assert done == {"operating_mode": 1} | ({"setpoint_w": setpoint} if interface == "v2" else {})


def test_a_setpoint_beyond_the_limit_is_clamped_and_said(make: Any, battery: Battery) -> None:
    done = make(**LIMITS).act({"action": "charge", "power_w": 9000})
    assert battery.setpoint_w == -3000
    assert done["clamped"] == {"power_w": [9000, 3000]}


def test_without_a_limit_no_setpoint_is_taken(make: Any, battery: Battery) -> None:
    with pytest.raises(DeviceError, match="max_charge_w"):
        make(max_discharge_w=5000).act({"action": "charge", "power_w": 100})
    assert battery.mode == "2"


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"action": "explode"},
        {"action": "charge"},
        {"action": "charge", "power_w": -5},
        {"action": "charge", "power_w": "100"},
        {"action": "charge", "power_w": True},
        {"action": "charge", "power_w": float("nan")},
        {"action": "charge", "power_w": float("inf")},
    ],
)
def test_a_command_that_is_none_changes_nothing(make: Any, battery: Battery, command: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        make(**LIMITS).act(command)
    assert (battery.mode, battery.setpoint_w) == ("2", 0)


@pytest.mark.parametrize("interface", ["v2", "v1"])
def test_release_gives_back_the_mode_that_was_found_and_can_be_repeated(
    make: Any, battery: Battery, interface: str
) -> None:
    battery.mode = "10"
    driver = make(interface=interface, **LIMITS)
    driver.read()
    driver.act({"action": "discharge", "power_w": 1000})
    driver.read()
    driver.release()
    driver.release()
    assert battery.mode == "10"


def test_the_mode_is_found_out_also_without_a_reading_before(make: Any, battery: Battery) -> None:
    driver = make(**LIMITS)
    driver.act({"action": "charge", "power_w": 1000})
    driver.release()
    assert battery.mode == "2"


def test_release_after_a_restart_still_knows_the_mode(make: Any, battery: Battery) -> None:
    driver = make(**LIMITS)
    driver.read()
    driver.act({"action": "discharge", "power_w": 1000})
    driver.read()
    again = make(**LIMITS)
    again.restore(json.loads(json.dumps(driver.state())))
    again.release()
    assert battery.mode == "2"


def test_the_configs_mode_goes_before_the_one_found(make: Any, battery: Battery) -> None:
    driver = make(self_consumption_mode="8", **LIMITS)
    driver.read()
    driver.act({"action": "charge", "power_w": 1000})
    assert driver.act({"action": "self_consumption"})["operating_mode"] == 8
    assert battery.mode == "8"


def test_release_leaves_a_mode_alone_that_is_not_ours(make: Any, battery: Battery) -> None:
    battery.mode = "6"
    make(self_consumption_mode="8", **LIMITS).release()
    assert battery.mode == "6"


def test_release_without_a_mode_to_go_to_says_what_to_set(make: Any, battery: Battery) -> None:
    battery.mode = "1"
    with pytest.raises(DeviceError, match="self_consumption_mode"):
        make(**LIMITS).release()


def test_a_battery_that_does_not_follow_is_a_failure(make: Any, battery: Battery) -> None:
    battery.follows = False
    driver = make(**LIMITS)
    driver.read()
    with pytest.raises(BadAnswer):
        driver.act({"action": "charge", "power_w": 1000})


def test_a_refusal_with_http_200_is_one_and_leaves_no_manual_mode(make: Any, battery: Battery) -> None:
    driver = make(interface="v1", **LIMITS)
    driver.read()
    battery.return_code = 3
    with pytest.raises(BadAnswer, match="return code 3"):
        driver.act({"action": "charge", "power_w": 1000})
    battery.return_code = 0
    driver.release()
    assert battery.mode == "2"


def test_no_setpoint_is_sent_off_grid(make: Any, battery: Battery) -> None:
    battery.status["SystemStatus"] = "OffGrid"
    with pytest.raises(NotReady, match="off grid"):
        make(**LIMITS).act({"action": "charge", "power_w": 1000})
    assert battery.mode == "2"


def test_the_cloud_is_not_commanded(make: Any, cloud: HttpDevice) -> None:
    with pytest.raises(DeviceError, match="local"):
        make(interface="cloud", **LIMITS).act({"action": "charge", "power_w": 1000})
    assert cloud.requests == []


# --- Recorded elsewhere -----------------------------------------------------------------------------------------------


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DATA / name).read_bytes())
    return document


@shared
def test_recorded_v1_documents_are_read() -> None:
    status, odd = status_fields(recorded("v1_8080_status_eco8_discharging.json"))
    assert odd == {}
    assert (status["Pac_total_W"], status["GridFeedIn_W"], status["RSOC"]) == (371, -35, 78)
    assert {"Sac2", "Sac3", "Timestamp"}.isdisjoint(status)
    document = recorded("v1_8080_api_battery_eco8.json")
    cells, _ = battery_fields(document)
    assert (cells["relativestateofcharge"], cells["systemdcvoltage"]) == (13.0, 47.96)
    assert alerts_of(document) == frozenset()


@shared
@pytest.mark.parametrize("name", ["v1_8080_status_eco8_discharging.json", "v2_status_charging.json"])
def test_what_is_recorded_adds_up_under_the_signs_that_are_published(name: str) -> None:
    status, _ = status_fields(recorded(name))
    fed_in = status["Production_W"] + status["Pac_total_W"] - status["Consumption_W"]
    assert status["GridFeedIn_W"] == pytest.approx(fed_in, abs=5)
    assert (status["Pac_total_W"] > 0) == bool(status["BatteryDischarging"])


@shared
def test_every_recorded_measurement_has_its_unit() -> None:
    unit = device_types()["sonnen"].unit_of
    for status in ("v1_8080_status_eco8_discharging.json", "v2_status_charging.json"):
        units = {key: unit(f"status.{key}") for key in status_fields(recorded(status))[0]}
        counts = {"BackupBuffer", "RSOC", "USOC"}
        assert {key for key, found in units.items() if found == "W"} >= {
            key for key in units if key.endswith("_W")
        }
        assert {units[key] for key in counts} == {"%"}
        assert {key: found for key, found in units.items() if found == ""}.keys() <= WITHOUT_UNIT
    for battery in ("v1_8080_api_battery_eco8.json", "v2_battery_charging.json"):
        cells = {key: unit(f"battery.battery_status.{key}") for key in battery_fields(recorded(battery))[0]}
        assert {key for key, found in cells.items() if found == ""} <= CELLS_WITHOUT_UNIT


@shared
def test_the_units_are_those_that_the_battery_itself_names() -> None:
    unit = device_types()["sonnen"].unit_of
    said = recorded("v1_8080_api_battery_eco8.json")["battery_status_units"]
    ours = {key: unit(f"battery.battery_status.{key}") for key in said}
    theirs = {key: {"C": "°C", "sec": "s", "count": ""}.get(text, text) for key, text in said.items()}
    assert ours == theirs


WITHOUT_UNIT = {
    *("BatteryCharging", "BatteryDischarging", "IsSystemInstalled", "OperatingMode", "SystemStatus"),
    *("FlowConsumptionBattery", "FlowConsumptionGrid", "FlowConsumptionProduction", "FlowGridBattery"),
    *("FlowProductionBattery", "FlowProductionGrid", "dischargeNotAllowed", "generator_autostart"),
}
"""Flags, states and modes."""
CELLS_WITHOUT_UNIT = {
    *("balancechargerequest", "cyclecount", "maximumcellvoltagenum", "minimumcellvoltagenum"),
    *("systemalarm", "systemstatus", "systemwarning"),
}


@shared
def test_recorded_v2_documents_are_read_into_the_same_fields(make: Any, device: HttpDevice) -> None:
    device.answer = lambda request: as_json(
        recorded("v2_status_charging.json" if request.path.endswith("status") else "v2_battery_charging.json")
    )
    row = row_of(make(interface="v2").read())
    assert row["status"]["Pac_total_W"] == -1394
    assert row["battery"]["battery_status"]["relativestateofcharge"] == 88.0
    assert -273.15 not in row["battery"]["battery_status"].values()


def test_a_battery_that_leaves_manual_mode_by_itself_says_so_at_the_next_poll(
    make: Any, battery: Battery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sonnen, "SETTLE_S", 0.0)
    driver = make(max_charge_w=3000)
    driver.act({"action": "charge", "power_w": 2000})
    driver.read()
    assert driver.left_command() is None
    battery.mode = "2"
    driver.read()
    assert driver.left_command() == "the battery left manual mode by itself; it is in operating mode 2"
    driver.release()
    driver.read()
    assert driver.left_command() is None
