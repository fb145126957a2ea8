"""The real drivers read the simulated devices, and history is what they would have read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from sgmp_console.demo.simulator import House, history
from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_edge.common import (
    BadAnswer,
    DeviceError,
    NotReady,
    Reading,
    ReadResult,
    Unauthorized,
    Unreachable,
)
from sgmp_edge.contract import device_types
from sgmp_edge.devices.egauge import EGauge
from sgmp_edge.devices.powerflex import PowerFlex
from sgmp_edge.devices.sonnen import Sonnen
from tests.edge.simulated_house import (
    PASSWORD,
    TOKEN,
    USERNAME,
    Running,
    daytime,
    local,
    new_house,
    running,
    until,
)

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def model() -> House:
    """Not to be commanded."""
    return new_house()


@pytest.fixture
def simulated(model: House) -> Iterator[Running]:
    """In real time, as in the demo."""
    with running(SimulatedClock(), house=model) as made:
        yield made


def egauge(made: Running, **config: Any) -> EGauge:
    keys = device_types()["egauge"].example["keys"]
    return EGauge({"ip": made.servers["egauge"].address, "keys": keys, **config})


def sonnen(made: Running, **config: Any) -> Sonnen:
    return Sonnen({"ip": made.servers["sonnen"].address, "token": TOKEN, **config})


def powerflex(made: Running) -> PowerFlex:
    return PowerFlex(
        {
            "acc_id": "03",
            "acs_id": "02",
            "url": made.url("powerflex", ""),
            "username": USERNAME,
            "password": PASSWORD,
        }
    )


def rows_of(result: Mapping[str, Any] | ReadResult) -> list[Reading]:
    return result.readings if isinstance(result, ReadResult) else [Reading(0, result)]


def paths(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Field paths as ingest makes them."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= paths(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def row_at(made: Running, time_ms: int, step_ms: int) -> history.Row:
    (row,) = history.rows(made.house, time_ms, time_ms + 1, step_ms)
    return row


def test_the_meters_driver_publishes_the_fields_of_history(simulated: Running) -> None:
    driver = egauge(simulated)
    first = rows_of(driver.read())[0].data

    def more() -> list[Reading]:
        try:
            return rows_of(driver.read())
        except NotReady:  # still the same second, on a machine that is slow
            return []

    (mean,) = (row.data for row in until(more, bool))
    driver.close()
    expected = row_at(simulated, mean["ts"] * 1000, (mean["ts"] - first["ts"]) * 1000)
    assert mean == pytest.approx(expected.egauge, abs=0.002)


def test_the_meters_driver_heals_a_gap_with_the_minutes_of_history(simulated: Running) -> None:
    driver = egauge(simulated)
    end = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
    recovered = driver.recover(end - 20 * MINUTE_MS, end).readings
    driver.close()
    expected = list(history.rows(simulated.house, end - 20 * MINUTE_MS, end, MINUTE_MS))
    assert [reading.timestamp for reading in recovered] == [row.time_ms for row in expected]
    for reading, row in zip(recovered, expected, strict=True):
        fields = {name: value for name, value in row.egauge.items() if name != "ts"}
        assert dict(reading.data) == pytest.approx(fields, abs=0.0001)


def test_the_meters_driver_reads_the_webapi_just_as_well(model: House) -> None:
    with running(SimulatedClock(), house=model, meter={"username": USERNAME, "password": PASSWORD}) as made:
        driver = egauge(made, interface="webapi", username=USERNAME, password=PASSWORD)
        fields = rows_of(driver.read())[0].data
        end = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
        recovered = driver.recover(end - 5 * MINUTE_MS, end).readings
        driver.close()
        assert fields == pytest.approx(row_at(made, fields["ts"] * 1000, 1000).egauge, abs=0.002)
        assert len(recovered) == 5


def test_the_meters_driver_signs_in_with_digest(model: House) -> None:
    with running(SimulatedClock(), house=model, meter={"username": USERNAME, "password": PASSWORD}) as made:
        driver = egauge(made, username=USERNAME, password=PASSWORD)
        assert "A.Solar" in rows_of(driver.read())[0].data
        driver.close()
        stranger = egauge(made, username=USERNAME, password="another")
        with pytest.raises(Unauthorized):
            stranger.read()
        stranger.close()


@pytest.mark.parametrize("interface", ["v1", "v2", "cloud"])
def test_the_batterys_driver_publishes_the_fields_of_history(simulated: Running, interface: str) -> None:
    driver = sonnen(
        simulated,
        interface=interface,
        serial="12345",
        cloud_url=f"http://{simulated.servers['sonnen'].address}",
    )
    fields = paths(rows_of(driver.read())[0].data)
    driver.close()
    now = int(time.time() * 1000)
    expected = paths(row_at(simulated, now // 1000 * 1000, 1000).sonnen)
    # v1 knows a few cell values less; all else has the same names.
    assert set(expected) - set(fields) <= {
        "battery.battery_status.fullchargecapacitywh",
        "battery.battery_status.usableremainingcapacity",
    }
    assert set(fields) <= set(expected)
    for name, value in fields.items():
        if name == "status.SystemStatus":
            assert value == expected[name]
        elif name not in ("battery.battery_status.systemtime", "battery.battery_status.cyclecount"):
            assert value == pytest.approx(expected[name], abs=60, rel=0.02), name


def test_the_stations_driver_publishes_the_fields_of_history(simulated: Running) -> None:
    driver = powerflex(simulated)
    readings = rows_of(driver.read())
    driver.close()
    assert len(readings) >= 14
    for earlier, later in pairwise(readings):
        assert later.timestamp - earlier.timestamp == 4_000
    for reading in readings[::5]:
        expected = row_at(simulated, reading.timestamp, 4_000).powerflex
        assert reading.data["charging_state"] == expected["charging_state"]
        numbers = {name: value for name, value in reading.data.items() if name != "charging_state"}
        assert numbers == pytest.approx({name: expected[name] for name in numbers}, abs=1e-6)
        assert set(reading.data) == set(expected)


def test_the_stations_driver_reports_the_sessions_of_history(model: House) -> None:
    session = model.sessions(local(2026, 3, 23), local(2026, 3, 24))[0]
    # The house lives so fast that the whole session fits into the minute that the driver asks for at first.
    speed = (session.unplugged_ms - session.plugged_ms) / 40_000
    epoch = session.unplugged_ms + round(8_000 * speed)
    with running(SimulatedClock(epoch_ms=epoch, speed=speed), house=model) as made:
        driver = powerflex(made)
        events = driver.read().events
        driver.close()
    assert [event.type for event in events] == ["EV_START_CHARGING", "EV_END_CHARGING"]
    start, end = history.events(model, session.plugged_ms, session.unplugged_ms + 1)
    assert (start.type, end.type) == ("EV_START_CHARGING", "EV_END_CHARGING")
    assert events[1].data["duration"] * speed == pytest.approx(end.data["duration"], rel=0.2)
    assert events[1].data["energy"] * speed == pytest.approx(end.data["energy"], rel=0.01)


def test_the_batterys_driver_commands_it_and_gives_it_back() -> None:
    with running(daytime()) as made:
        driver = sonnen(made, max_charge_w=1_000, max_discharge_w=1_000)

        def power() -> float:
            watts: float = rows_of(driver.read())[0].data["status"]["Pac_total_W"]
            return watts

        power()
        done = driver.act({"action": "charge", "power_w": 4_000})
        assert done["clamped"] == {"power_w": [4_000, 1_000]}
        assert until(power, lambda watts: watts == -1_000) == -1_000
        driver.release()
        assert until(power, lambda watts: watts < -1_200) < -1_200
        driver.close()


@pytest.mark.parametrize(
    ("device", "mode", "failure"),
    [
        ("egauge", "refuse", Unreachable),
        ("egauge", "garbage", BadAnswer),
        ("egauge", "wrong_password", Unauthorized),
        ("egauge", "login_page", Unauthorized),
        ("egauge", "offline", Unreachable),
        ("sonnen", "refuse", Unreachable),
        ("sonnen", "garbage", BadAnswer),
        ("sonnen", "wrong_password", Unauthorized),
        ("powerflex", "refuse", Unreachable),
        ("powerflex", "wrong_password", Unauthorized),
    ],
)
def test_the_drivers_tell_misbehaviours_apart_and_recover(
    simulated: Running, device: str, mode: str, failure: type[DeviceError]
) -> None:
    make: Mapping[str, Callable[[Running], EGauge | Sonnen | PowerFlex]]
    make = {"egauge": egauge, "sonnen": sonnen, "powerflex": powerflex}
    driver = make[device](simulated)
    server = simulated.servers[device]
    server.misbehave(mode)
    if mode == "refuse":
        until(lambda: server.is_listening, lambda listening: not listening)
    with pytest.raises(failure):
        driver.read()
    server.misbehave("none")
    assert until(lambda: reads(driver), bool)
    driver.close()


def reads(driver: EGauge | Sonnen | PowerFlex) -> bool:
    try:
        return bool(rows_of(driver.read()))
    except DeviceError:
        return False


# --- History by itself --------------------------------------------------------------------------------------------


START_MS = local(2026, 3, 20)


def test_every_row_balances_as_the_dashboard_computes_it(model: House) -> None:
    for row in history.rows(model, START_MS, START_MS + 3 * 86_400_000, 7 * MINUTE_MS):
        grid_kw = -row.egauge["A.GridPower"]
        battery_kw = row.sonnen["status"]["Pac_total_W"] / 1000
        parts = -row.egauge["A.Load"] - row.egauge["A.EV"] - row.egauge["A.Solar"] - battery_kw
        assert grid_kw == pytest.approx(parts, abs=0.0006)


def test_rows_lie_on_the_step_within_the_half_open_range(model: House) -> None:
    times = [row.time_ms for row in history.rows(model, START_MS + 1, START_MS + 5 * MINUTE_MS, MINUTE_MS)]
    assert times == [START_MS + minute * MINUTE_MS for minute in (1, 2, 3, 4)]


def test_the_mean_powers_of_history_hold_all_energy(model: House) -> None:
    end = START_MS + 6 * 3_600_000
    kwh = sum(row.egauge["A.Load"] for row in history.rows(model, START_MS + 1, end + 1, MINUTE_MS)) / 60
    assert kwh == pytest.approx(-model.energy(START_MS, end).load / 3.6e6, rel=1e-9)


def test_the_short_form_has_what_the_required_items_use(model: House) -> None:
    (whole,) = history.rows(model, START_MS, START_MS + 1, MINUTE_MS)
    (short,) = history.rows(model, START_MS, START_MS + 1, MINUTE_MS, everything=False)
    for device in ("egauge", "sonnen", "powerflex"):
        some, every = paths(getattr(short, device)), paths(getattr(whole, device))
        assert some.items() <= every.items()
    assert set(paths(short.sonnen)) == {
        "status.Pac_total_W",
        "battery.battery_status.relativestateofcharge",
    }


def test_events_come_in_order_within_the_range_and_in_pairs(model: House) -> None:
    end = START_MS + 14 * 86_400_000
    found = list(history.events(model, START_MS, end))
    assert all(START_MS <= event.time_ms < end for event in found)
    assert [e.time_ms for e in found] == sorted(e.time_ms for e in found)
    types = [event.type for event in found if event.time_ms >= model.sessions(START_MS, end)[1].plugged_ms]
    assert types[::2] == ["EV_START_CHARGING"] * len(types[::2])
    assert types[1::2] == ["EV_END_CHARGING"] * len(types[1::2])
    pieces = [
        event
        for day in range(14)
        for event in history.events(model, START_MS + day * 86_400_000, START_MS + (day + 1) * 86_400_000)
    ]
    assert pieces == found
