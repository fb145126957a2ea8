"""What the eGauge driver makes of a meter, well and unwell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgmp_edge.common import (
    AT_TICK,
    BadAnswer,
    DeviceError,
    NotReady,
    ReadResult,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from sgmp_edge.contract import WARNING, device_types
from sgmp_edge.devices import _http, egauge
from sgmp_edge.devices._egauge_xml import parse_history, parse_snapshot
from sgmp_edge.devices._http import Timeouts
from sgmp_edge.devices.egauge import EGauge
from tests.edge.drivers_egauge import START, Meter, Register, steady
from tests.edge.drivers_http import (
    HttpDevice,
    Patience,
    Reply,
    Request,
    as_json,
    digest_protected,
    each_fault,
    hurried,
    own_certificate,
    texts_of,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "egauge"
shared = pytest.mark.skipif(not DATA.is_dir(), reason="recorded payloads are not beside this checkout")


def playbook_meter() -> Meter:
    return Meter(
        [
            steady("A.Battery", "P", 1_500),
            steady("A.GridPower", "P", -250),
            steady("A.Solar", "P", 3_200),
            steady("A.L1_Voltage", "V", 120_500),
            steady("A.L1_Frequency", "F", 59_980),
        ]
    )


@pytest.fixture
def meter() -> Meter:
    return playbook_meter()


@pytest.fixture
def device(meter: Meter) -> Iterator[HttpDevice]:
    device = HttpDevice(meter.answer)
    yield device
    device.close()


@pytest.fixture
def drivers() -> Iterator[list[EGauge]]:
    """Drivers to be closed at the end of the test."""
    made: list[EGauge] = []
    yield made
    for driver in made:
        driver.close()


@pytest.fixture
def make(device: HttpDevice, drivers: list[EGauge]) -> Any:
    def make(*keys: str, **more: Any) -> EGauge:
        config = {"ip": device.host, "keys": list(keys), **more}
        assert device_types()["egauge"].problems(config) == []
        drivers.append(EGauge(config))
        return drivers[-1]

    return make


def fields_of(result: Any) -> dict[str, float]:
    if isinstance(result, ReadResult):
        assert [reading.timestamp for reading in result.readings] == [AT_TICK]
        return dict(result.readings[0].data)
    return dict(result)


def warnings_of(result: Any) -> list[str]:
    if not isinstance(result, ReadResult):
        return []
    assert all((event.type, event.timestamp) == (WARNING, AT_TICK) for event in result.events)
    return [event.data["data"] for event in result.events]


# --- What is published ------------------------------------------------------------------------------------------------


def test_fields_are_the_configured_keys_in_the_units_of_the_playbooks_formulas(
    make: Any, meter: Meter
) -> None:
    driver = make("A.Battery", "A.GridPower", "A.Solar", "A.L1_Voltage", "A.L1_Frequency", "ts")
    assert fields_of(driver.read()) == {
        "A.Battery": 1.5,
        "A.GridPower": -0.25,
        "A.Solar": 3.2,
        "A.L1_Voltage": 120.5,
        "A.L1_Frequency": 59.98,
        "ts": meter.ts,
    }


def test_without_keys_all_registers_are_read(make: Any) -> None:
    assert set(fields_of(make().read())) == {
        "A.Battery",
        "A.GridPower",
        "A.Solar",
        "A.L1_Voltage",
        "A.L1_Frequency",
    }


def test_a_poll_is_one_request_for_rates_totals_and_virtual_registers(make: Any, device: HttpDevice) -> None:
    make("A.Solar").read()
    assert [request.target for request in device.requests] == ["/cgi-bin/egauge?inst&tot"]


def test_the_first_value_is_the_rate_of_the_last_second_then_the_mean_since_the_poll_before(
    make: Any, meter: Meter
) -> None:
    meter.registers = [Register("Oven", "P", lambda second: 4_000 if second % 2 else 1_000)]
    driver = make("Oven")
    meter.ts = START + 100
    assert fields_of(driver.read()) == {"Oven": 4.0}
    meter.ts += 4
    assert fields_of(driver.read()) == {"Oven": 2.5}


@pytest.fixture(scope="module")
def any_meter() -> Iterator[HttpDevice]:
    """For tests that try many meters."""
    device = HttpDevice(lambda request: Reply(status=404))
    yield device
    device.close()


@settings(max_examples=60, deadline=None)
@given(
    watts=st.lists(st.integers(-50_000, 50_000), min_size=40, max_size=40),
    waits=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    counted_before=st.integers(-(2**63), 2**63 - 1),
)
def test_no_energy_is_lost_between_polls_whenever_they_are_and_wherever_the_counter_wraps(
    any_meter: HttpDevice, watts: list[int], waits: list[int], counted_before: int
) -> None:
    meter = Meter([Register("R", "P", lambda second: watts[second - START], counted_before)], ts=START + 1)
    any_meter.answer = meter.answer
    driver = EGauge({"ip": any_meter.host, "keys": ["R"]})
    driver.read()
    energy_kws = 0.0
    for wait in waits:
        meter.ts += wait
        energy_kws += fields_of(driver.read())["R"] * wait
    driver.close()
    assert energy_kws == pytest.approx(sum(watts[1 : 1 + sum(waits)]) / 1000)


@pytest.mark.parametrize(
    ("type_", "counts_per_second", "published"),
    [
        ("P", 1_234, 1.234),
        ("S", 1_234, 1.234),
        ("PQ", -1_234, -1.234),
        ("var", -1_234, -1.234),
        ("V", 240_100, 240.1),
        ("I", 15_500, 15.5),
        ("F", 60_010, 60.01),
        ("T", -3_500, -3.5),
        ("THD", 4_200, 4.2),
        ("Ee", 800, 800),
        ("%", 55_000, 55),
        ("Qv", 2_000_000, 0.002),
        ("$", 2**28, 0.5),
        ("h", 455, 45.5),
        ("h", 45_500, 45.5),
    ],
)
def test_the_mean_is_in_the_registers_own_unit(
    make: Any, meter: Meter, type_: str, counts_per_second: int, published: float
) -> None:
    meter.registers = [steady("R", type_, counts_per_second)]
    meter.with_rates = False
    driver = make("R", "ts")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read())["R"] == pytest.approx(published)


def test_humidity_is_taken_as_the_meter_rates_it_since_its_counts_are_in_doubt(
    make: Any, meter: Meter
) -> None:
    meter.registers = [Register("R", "h", lambda second: 450, rated=45.1)]
    driver = make("R", "ts")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read())["R"] == pytest.approx(45.1)


def test_a_type_nobody_knows_is_published_as_the_meter_rates_it(make: Any, meter: Meter) -> None:
    meter.registers = [steady("R", "furlong", 7)]
    driver = make("R")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read()) == {"R": 7.0}


def test_discrete_states_are_not_averaged(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Relay", "d", 0)]
    meter.registers[0].offset = 3
    driver = make("Relay")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read()) == {"Relay": 3}


# --- Registers and their names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Solar+",
        "Grid*",
        "A | B",
        "Fans + Halls?",
        "Closet #1",
        'PHEV "Grg&Bth" <2>',
        "PV  Array 2",
        "Wärmepumpe 温度",
    ],
)
def test_register_names_are_taken_as_they_are(make: Any, meter: Meter, name: str) -> None:
    meter.registers.append(steady(name, "P", 42))
    assert fields_of(make(name).read()) == {name: 0.042}


def test_a_single_register_is_enough(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Grid", "P", -606)]
    assert fields_of(make("Grid").read()) == {"Grid": -0.606}


@pytest.mark.parametrize("name", ["A.L1 Voltage", "L1_Voltage", "L1 Voltage", "l1  voltage"])
def test_a_key_finds_the_register_that_reads_the_same(make: Any, meter: Meter, name: str) -> None:
    meter.registers = [steady(name, "V", 120_000), steady("Solar", "P", 1)]
    assert fields_of(make("A.L1_Voltage").read()) == {"A.L1_Voltage": 120.0}


def test_the_very_name_goes_before_one_that_reads_the_same(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Solar", "P", 1_000), steady("A.Solar", "P", 2_000)]
    assert fields_of(make("A.Solar", "Solar").read()) == {"A.Solar": 2.0, "Solar": 1.0}


def test_a_key_that_could_be_two_registers_is_neither(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Solar", "P", 1_000), steady("SOLAR", "P", 2_000), steady("Grid", "P", 1)]
    assert fields_of(make("A.Solar", "Grid").read()) == {"Grid": 0.001}


def test_a_missing_register_is_said_once_and_takes_no_other_with_it(make: Any, meter: Meter) -> None:
    driver = make("A.Solar", "A.Pool")
    first = driver.read()
    assert fields_of(first) == {"A.Solar": 3.2}
    assert len(warnings_of(first)) == 1
    assert "`A.Pool`" in warnings_of(first)[0]
    assert "A.Battery" in warnings_of(first)[0]
    silence = {"condition": "silent_register", "subjects": ["A.Pool"]}
    assert {**first.events[0].data, **silence, "change": "begins"} == first.events[0].data
    meter.ts += 4
    assert warnings_of(driver.read()) == []
    meter.registers.append(steady("A.Pool", "P", 700))
    meter.ts += 4
    back = driver.read()
    assert fields_of(back) == {"A.Solar": 3.2, "A.Pool": 0.7}
    assert warnings_of(back) == ["register `A.Pool` has values again"]
    assert {**back.events[0].data, **silence, "change": "ends"} == back.events[0].data


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("A.Solar", "kW"),
        ("A.L2_Voltage", "V"),
        ("A.L1_Frequency", "Hz"),
        ("Total Generation", "kW"),
        ("Refrigeration", "kW"),
        ("Lamps", "kW"),
        ("Window AC", "kW"),
        ("Main Current", "A"),
        ("Tank_Temp", "°C"),
        ("Grid*", "kVA"),
        ("Wind Speed", ""),
        ("ts", "s"),
    ],
)
def test_the_unit_of_a_field_is_told_from_its_name(field: str, unit: str) -> None:
    assert device_types()["egauge"].unit_of(field) == unit


# --- Clock, configuration, jumps --------------------------------------------------------------------------------------


def test_a_clock_that_stands_still_gives_no_sample_until_it_goes_on(
    make: Any, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egauge, "_CLOCK_STEP_S", 0)
    driver = make("A.Solar")
    driver.read()
    with pytest.raises(NotReady, match="stands still"):
        driver.read()
    meter.ts += 8
    assert fields_of(driver.read()) == {"A.Solar": 3.2}


def test_two_polls_within_a_second_of_the_meter_are_one_sample_and_no_failure(
    make: Any, meter: Meter
) -> None:
    driver = make("A.Solar")
    driver.read()
    assert driver.read() == ReadResult()
    meter.ts += 1
    assert fields_of(driver.read()) == {"A.Solar": 3.2}


@pytest.mark.parametrize("step", [-3_000, 3_000])
def test_a_clock_that_was_set_starts_over(make: Any, meter: Meter, step: int) -> None:
    meter.registers = [Register("Oven", "P", lambda second: 4_000 if second % 2 else 1_000)]
    driver = make("Oven")
    driver.read()
    meter.ts += step + 1
    assert fields_of(driver.read()) == {"Oven": 1.0}
    meter.ts += 4
    assert fields_of(driver.read()) == {"Oven": 2.5}


def test_a_new_meter_configuration_starts_over(make: Any, meter: Meter) -> None:
    driver = make("A.Solar")
    driver.read()
    meter.serial = "0x4e842295"
    meter.registers = [Register("A.Solar", "P", lambda second: second % 5 * 1_000, offset=-(10**15))]
    meter.ts = START + 4_005
    assert fields_of(driver.read()) == {"A.Solar": 4.0}


def test_after_an_outage_the_mean_of_the_outage_is_not_put_down_as_one_value(
    make: Any, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egauge, "_LONGEST_MEAN_S", 0)
    meter.registers = [Register("Oven", "P", lambda second: 4_000 if second % 2 else 1_000)]
    driver = make("Oven")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read()) == {"Oven": 4.0}


def test_a_jump_of_a_counter_is_left_out_and_said_once(make: Any, meter: Meter) -> None:
    driver = make("A.Solar", "A.Battery")
    driver.read()
    meter.registers[2].offset += 10**12
    meter.ts += 4
    jumped = driver.read()
    assert fields_of(jumped) == {"A.Solar": 3.2, "A.Battery": 1.5}
    assert len(warnings_of(jumped)) == 1
    assert "jumped" in warnings_of(jumped)[0]
    meter.ts += 4
    assert driver.read() == {"A.Solar": 3.2, "A.Battery": 1.5}


def test_what_is_plausible_can_be_configured(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Plant", "P", 750_000)]
    assert fields_of(make("Plant", max_kw=1000).read()) == {"Plant": 750}
    assert "Plant" not in fields_of(make("Plant", "ts").read())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, meter: Meter) -> Any:
    """Our clocks, which go with the meter's `ts` unless a test sets them."""
    clock = SimpleNamespace(now=float(meter.ts))
    monkeypatch.setattr(egauge, "time", SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
    return clock


def wait(meter: Meter, clock: Any, seconds: int) -> None:
    meter.ts += seconds
    clock.now += seconds


HOUSE = {"Grid": 2.0, "Load": -8.0, "L1_Voltage": 120.0, "L1_Frequency": 60.0}


def house_meter(*types: str) -> list[Register]:
    registers = [
        steady("Grid", "P", 2_000),
        steady("Load", "P", -8_000),
        steady("L1_Voltage", "V", 120_000),
        steady("L1_Frequency", "F", 60_000),
    ]
    return [register for register in registers if register.type in types]


@pytest.mark.parametrize("types", ["PVF", "P", "VF", "PF"])
def test_counters_that_were_set_back_give_no_values_of_their_own(
    make: Any, meter: Meter, clock: Any, types: str
) -> None:
    meter.registers = house_meter(*types)
    expected = {name: value for name, value in HOUSE.items() if any(r.name == name for r in meter.registers)}
    driver = make()
    for _ in range(3):
        wait(meter, clock, 4)
        assert fields_of(driver.read()) == expected
    for register in meter.registers:
        register.rewound_s = 80
    wait(meter, clock, 20)
    first = driver.read()
    assert fields_of(first) == expected
    assert len(warnings_of(first)) == 1
    wait(meter, clock, 4)
    again = driver.read()
    assert (fields_of(again), warnings_of(again)) == (expected, [])


def test_a_temperature_shows_that_counters_were_set_back(make: Any, meter: Meter, clock: Any) -> None:
    meter.registers = [steady("Grid", "P", 2_000), steady("Tank", "T", 21_500)]
    driver = make()
    driver.read()
    for register in meter.registers:
        register.rewound_s = 80
    wait(meter, clock, 20)
    assert fields_of(driver.read()) == {"Grid": 2.0, "Tank": 21.5}


@pytest.mark.parametrize("types", ["PVF", "P"])
@pytest.mark.parametrize("moved", [1, 7, 9, 20, -30, 3600])
def test_where_the_meters_seconds_are_not_ours_the_rates_count(
    make: Any, meter: Meter, clock: Any, types: str, moved: int
) -> None:
    meter.registers = house_meter(*types)
    expected = {name: value for name, value in HOUSE.items() if any(r.name == name for r in meter.registers)}
    driver = make()
    driver.read()
    wait(meter, clock, 4)
    meter.clock_error_s += moved - 4
    assert fields_of(driver.read()) == expected
    wait(meter, clock, 4)
    assert fields_of(driver.read()) == expected


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_house_of_steady_loads_is_never_shown_otherwise(any_meter: HttpDevice, data: st.DataObject) -> None:
    """Clocks jump, counters are set back or wrap, registers come and go: its values are right or missing."""
    draw = data.draw
    registers = house_meter("P", "V", "F")
    steady_type = draw(st.sampled_from("VF"))
    for register in registers:
        register.offset = draw(st.sampled_from([0, 2**63 - 100_000, -(2**63), 10**12]))
    meter = Meter(registers)
    clock = SimpleNamespace(now=float(meter.ts))
    any_meter.answer = meter.answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(egauge, "time", SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
        driver = EGauge({"ip": any_meter.host})
        for _ in range(12):
            wait(meter, clock, draw(st.sampled_from([4, 4, 4, 5, 20, 90])))
            match draw(st.integers(0, 5)):
                case 0:
                    meter.clock_error_s += draw(st.integers(-3600, 3600))
                case 1:
                    back_s = draw(st.integers(0, 600))
                    for register in registers:
                        register.rewound_s = back_s
                case 2:
                    meter.registers = [r for r in registers if r.type in steady_type or draw(st.booleans())]
                case 3:
                    clock.now += draw(st.integers(-3600, 3600))
                case _:
                    pass
            try:
                result = driver.read()
            except NotReady:
                continue
            if result == ReadResult():
                continue
            # A clock that was set by less than a voltage shows is within a tenth.
            assert all(
                value == pytest.approx(HOUSE[name], rel=0.11) for name, value in fields_of(result).items()
            )
        driver.close()


def test_one_counter_that_was_reset_takes_no_other_value_with_it(make: Any, meter: Meter, clock: Any) -> None:
    meter.registers = [
        *house_meter("P", "V", "F"),
        steady("L2_Voltage", "V", 119_000),
        steady("Tank", "T", 21_500),
    ]
    driver = make()
    driver.read()
    wait(meter, clock, 4)
    for register in meter.registers[-2:]:
        register.rewound_s = 60
    assert fields_of(driver.read()) == {**HOUSE, "L2_Voltage": 119.0, "Tank": 21.5}


@pytest.mark.parametrize("interface", ["xml", "webapi"])
@pytest.mark.parametrize("ahead_s", [3600, -3600, 7])
def test_a_gap_is_filled_by_our_clock_though_the_meters_is_wrong_and_that_is_reported_once(
    make: Any, meter: Meter, clock: Any, ahead_s: int, interface: str
) -> None:
    gap = START + 1200
    meter.registers = [Register("Load", "P", lambda second: 1_000 if second < gap else 5_000)]
    meter.ts, clock.now = gap + 600, float(gap + 600)
    meter.clock_error_s = ahead_s
    driver = make("Load", interface=interface, username="owner", password="meter-password")
    first = driver.read()
    assert len(warnings_of(first)) == 1
    assert f"{abs(ahead_s)} s {'ahead' if ahead_s > 0 else 'behind'}" in warnings_of(first)[0]
    wait(meter, clock, 4)
    assert warnings_of(driver.read()) == []
    readings = driver.recover(gap * 1000, (gap + 600) * 1000).readings
    assert [reading.timestamp // 1000 - gap for reading in readings] == list(range(0, 600, 60))
    assert [reading.data["Load"] for reading in readings] == [1.0] + [5.0] * 9


# --- Answers that are nearly right ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "field"),
    [
        ("Pool&#160;Pump", "Pool Pump"),
        ("Pool\u00a0Pump", "Pool Pump"),
        ("Pool&nbsp;Pump", "Pool Pump"),
        ("Pool\u200bPump", "Pool Pump"),
        ("Pool & Pump", "Pool & Pump"),
        ("Pool &Pump; <1", "Pool &Pump; <1"),
        ("Pool\x07Pump", "Pool Pump"),
        ("Pool&#7;Pump", "Pool Pump"),
        ("Pool&#xD800;Pump", "Pool Pump"),
        ("W&auml;rme", "Wärme"),
        ("W\udce4rme", "W\ufffdrme"),
    ],
)
def test_an_odd_register_name_costs_no_register(
    make: Any, device: HttpDevice, attribute: str, field: str
) -> None:
    rows = f"<r t='P' n='Grid'><v>1</v><i>250</i></r><r t=\"P\" n=\"{attribute}\"><v>1</v><i>500</i></r>"
    body = f"<data serial='0x1'><ts>1700000000</ts>{rows}</data>"
    device.answer = lambda request: Reply(body.encode("utf-8", "surrogateescape"))
    assert fields_of(make().read()) == {"Grid": 0.25, field: 0.5}


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "\u00a0"])
def test_a_register_whose_name_cannot_be_a_fields_is_left_out_and_reported_once(
    make: Any, meter: Meter, name: str
) -> None:
    meter.registers = [steady("Grid", "P", 250), steady(name, "P", 1)]
    driver = make()
    first = driver.read()
    assert fields_of(first) == {"Grid": 0.25}
    assert len(warnings_of(first)) == 1
    meter.ts += 4
    assert driver.read() == {"Grid": 0.25}


def test_of_two_registers_that_read_the_same_the_first_is_read_and_that_is_reported(
    make: Any, meter: Meter
) -> None:
    meter.registers = [steady(name, "P", 1_000) for name in ("Pool Pump", "Pool\u00a0Pump", "Grid")]
    result = make().read()
    assert set(fields_of(result)) == {"Pool Pump", "Grid"}
    assert warnings_of(result) == [
        "the meter has two registers that read `Pool Pump`; the second is left out"
    ]


def test_a_key_with_an_odd_blank_finds_its_register(make: Any, meter: Meter) -> None:
    meter.registers = [steady("Pool\u00a0Pump", "P", 500)]
    assert fields_of(make("Pool Pump").read()) == {"Pool Pump": 0.5}
    assert fields_of(make("Pool\u00a0Pump").read()) == {"Pool Pump": 0.5}


@pytest.mark.parametrize("odd", ["1_000", "", "nan", "１２", "0x10", "1e3", "9" * 5_000])
def test_a_counter_that_is_not_a_number_costs_its_mean_alone(make: Any, device: HttpDevice, odd: str) -> None:
    turns = iter(range(1, 9))

    def answer(request: Request) -> Reply:
        seconds = 4 * next(turns)
        rows = f"<r t='P' n='A'><v>{odd}</v><i>700</i></r><r t='P' n='B'><v>{seconds * 300}</v><i>1</i></r>"
        return Reply(f"<data serial='0x1'><ts>{1_700_000_000 + seconds}</ts>{rows}</data>")

    device.answer = answer
    driver = make("A", "B")
    driver.read()
    assert fields_of(driver.read()) == {"A": 0.7, "B": 0.3}


@pytest.mark.parametrize("odd", [None, "", "x", "1_000", True, [], {}])
def test_a_counter_of_the_webapi_that_is_not_a_number_costs_its_mean_alone(
    make: Any, meter: Meter, device: HttpDevice, odd: Any
) -> None:
    def answer(request: Request) -> Reply:
        reply = meter.answer(request)
        document = json.loads(reply.body)
        for block in document.get("ranges", []):
            for row in block["rows"]:
                row[2] = odd
        return replace(reply, body=json.dumps(document))

    device.answer = answer
    driver = webapi(make)
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read())["A.Solar"] == 3.2
    readings = driver.recover((START + 600) * 1000, (START + 660) * 1000).readings
    assert readings[0].data == {
        "A.Battery": 1.5,
        "A.GridPower": -0.25,
        "A.L1_Voltage": 120.5,
        "A.L1_Frequency": 59.98,
    }


@pytest.mark.parametrize("odd", [None, 7, {}, {"name": "x"}, {"type": "P"}, {"name": 5, "type": "P"}])
def test_an_odd_register_of_the_webapi_costs_no_other(
    make: Any, meter: Meter, device: HttpDevice, odd: Any
) -> None:
    def answer(request: Request) -> Reply:
        reply = meter.answer(request)
        document = json.loads(reply.body)
        if "registers" in document:
            document["registers"].append(odd if not isinstance(odd, dict) else {**odd, "idx": 99})
            for block in document["ranges"]:
                for row in block["rows"]:
                    row.append("5")
        return replace(reply, body=json.dumps(document))

    device.answer = answer
    driver = webapi(make, "A.Solar")
    if not isinstance(odd, dict):
        meter.registers = meter.registers[2:3]
    driver.read()
    meter.ts += 4
    if isinstance(odd, dict):
        assert fields_of(driver.read()) == {"A.Solar": 3.2}


@pytest.mark.parametrize("compressed", [False, True])
def test_a_missing_count_in_the_history_costs_that_register_alone(
    make: Any, meter: Meter, device: HttpDevice, compressed: bool
) -> None:
    meter.registers, meter.compressed = [steady("A", "P", 1_000), steady("B", "P", 2_000)], compressed

    def answer(request: Request) -> Reply:
        body = str(meter.answer(request).body)
        return Reply(re.sub(r"<c>[^<]*</c></r>", "<c></c></r>", body))

    device.answer = answer
    readings = make("A", "B").recover((START + 600) * 1000, (START + 720) * 1000).readings
    assert [reading.data for reading in readings] == [{"A": 1.0}] * 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("interface", ["xml", "webapi"])
def test_a_meter_that_asks_to_be_left_alone_is(
    make: Any, device: HttpDevice, status: int, interface: str
) -> None:
    device.answer = lambda request: Reply(status=status, headers={"Retry-After": "3600"})
    driver = make("A.Solar", interface=interface)
    for _ in range(3):
        with pytest.raises(DeviceError) as caught:
            driver.read()
        assert 3590 < caught.value.retry_after_s <= 3600
    with pytest.raises(DeviceError):
        driver.recover(START * 1000, (START + 600) * 1000)
    assert len(device.requests) == 1


def test_a_slow_meter_is_read_all_the_same(
    make: Any, meter: Meter, device: HttpDevice, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LAN", Timeouts(0.05, 0.05, 5))
    device.answer = patience.only_for(0.15, meter.answer)
    driver = make("A.Solar")
    for _ in range(2):
        with pytest.raises(TimedOut):
            driver.read()
    assert fields_of(driver.read()) == {"A.Solar": 3.2}


# --- Answers that are none --------------------------------------------------------------------------------------------


@each_fault
def test_each_fault_has_its_outcome_and_is_recovered_from(
    make: Any, meter: Meter, device: HttpDevice, fault: str, outcome: type[Exception]
) -> None:
    driver = make("A.Solar")
    driver.read()
    device.misbehave(fault)
    with hurried(fault), pytest.raises(outcome):
        driver.read()
    device.misbehave(None)
    meter.ts += 8
    assert driver.read() == {"A.Solar": 3.2}


def test_a_proxy_that_does_not_find_the_meter_means_unreachable(make: Any, device: HttpDevice) -> None:
    device.misbehave("404")
    with pytest.raises(Unreachable, match="404"):
        make("A.Solar").read()


@pytest.mark.parametrize(
    "page",
    ["<html>You are not authorized.</html>", "not authorized", "<p>NOT&nbsp;AUTHORIZED not  authorized"],
)
def test_a_page_that_says_not_authorized_means_so_also_with_http_200(
    make: Any, device: HttpDevice, page: str
) -> None:
    device.answer = lambda request: Reply(page)
    with pytest.raises(Unauthorized):
        make("A.Solar").read()


def test_a_doctype_is_allowed(make: Any, meter: Meter) -> None:
    meter.doctype = '<!DOCTYPE group PUBLIC "-//ESL/DTD eGauge 1.0//EN" "http://192.0.2.1/egauge-hist.dtd">'
    assert fields_of(make("A.Solar").read()) == {"A.Solar": 3.2}


def test_entities_are_not_expanded(make: Any, meter: Meter) -> None:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    meter.doctype = f'<!DOCTYPE data [<!ENTITY l0 "lol">{lines}]>'
    with pytest.raises(BadAnswer):
        make("A.Solar").read()


@pytest.mark.parametrize(
    "body",
    [
        "<data/>",
        "<data><ts>soon</ts><r t='P' n='A.Solar'><v>1</v></r></data>",
        "<data><ts>1700000000</ts></data>",
        "<measurements><timestamp>1284607004</timestamp></measurements>",
        "<data><ts>1700000000</ts><r t='P' n='A.Solar'><v>1</v>",
    ],
)
def test_xml_that_is_no_reading_is_a_bad_answer(make: Any, device: HttpDevice, body: str) -> None:
    device.answer = lambda request: Reply(body)
    with pytest.raises(BadAnswer):
        make("A.Solar").read()


def test_a_register_without_a_readable_number_does_not_take_the_others_with_it(
    make: Any, device: HttpDevice
) -> None:
    rows = "<r t='P' n='A'><v>x</v><i>?</i></r><r n='B'/><r t='P'><v>1</v></r><r t='P' n='C'><v>5</v><i>1500.0</i></r>"
    device.answer = lambda request: Reply(f"<data serial='0x1'><ts>1700000000</ts>{rows}</data>")
    assert fields_of(make("A", "B", "C").read()) == {"C": 1.5}


# --- Passwords --------------------------------------------------------------------------------------------------------


def test_a_protected_meter_is_asked_with_digest_authentication(
    make: Any, meter: Meter, device: HttpDevice
) -> None:
    device.answer = digest_protected(meter.answer, "owner", "meter-password")
    driver = make("A.Solar", username="owner", password="meter-password")
    assert fields_of(driver.read()) == {"A.Solar": 3.2}
    assert "meter-password" not in "".join(str(request.headers) for request in device.requests)


def test_a_wrong_password_is_told_without_being_shown(make: Any, meter: Meter, device: HttpDevice) -> None:
    device.answer = digest_protected(meter.answer, "owner", "meter-password")
    with pytest.raises(Unauthorized) as caught:
        make("A.Solar", username="owner", password="pass-the-wrong-word").read()
    assert "pass-the-wrong-word" not in texts_of(caught.value)


def test_a_self_signed_meter_is_trusted_by_its_fingerprint_only(
    meter: Meter, drivers: list[EGauge], tmp_path: Path
) -> None:
    context, fingerprint = own_certificate(tmp_path)
    device = HttpDevice(meter.answer, tls=context)
    try:
        config = {"ip": device.host, "keys": ["A.Solar"], "scheme": "https"}
        drivers.append(EGauge({**config, "certificate_sha256": fingerprint}))
        assert fields_of(drivers[-1].read()) == {"A.Solar": 3.2}
        for other in ({}, {"certificate_sha256": "00" * 32}):
            drivers.append(EGauge(config | other))
            with pytest.raises(BadAnswer, match="certificate"):
                drivers[-1].read()
    finally:
        device.close()


# --- The JSON WebAPI --------------------------------------------------------------------------------------------------


def webapi(make: Any, *keys: str, password: str = "meter-password") -> EGauge:
    driver: EGauge = make(*keys, interface="webapi", username="owner", password=password)
    return driver


def test_the_webapi_gives_the_same_fields_and_means(make: Any, meter: Meter) -> None:
    meter.registers.append(Register("Oven", "P", lambda second: 4_000 if second % 2 else 1_000))
    driver = webapi(make, "A.Solar", "A.L1_Voltage", "Oven", "ts")
    driver.read()
    meter.ts += 4
    assert fields_of(driver.read()) == {"A.Solar": 3.2, "A.L1_Voltage": 120.5, "Oven": 2.5, "ts": meter.ts}


def test_the_webapis_token_is_kept_and_renewed_when_it_has_run_out(make: Any, meter: Meter) -> None:
    driver = webapi(make, "A.Solar")
    for _ in range(3):
        driver.read()
        meter.ts += 4
    assert len(meter.logins) == 1
    meter.valid_tokens.clear()
    assert fields_of(driver.read()) == {"A.Solar": 3.2}
    assert len(meter.logins) == 2


def test_a_wrong_password_of_the_webapi_is_told_without_being_sent_or_shown(
    make: Any, device: HttpDevice
) -> None:
    with pytest.raises(Unauthorized) as caught:
        webapi(make, "A.Solar", password="pass-the-wrong-word").read()
    assert "pass-the-wrong-word" not in texts_of(caught.value)
    assert b"pass-the-wrong-word" not in b"".join(request.body for request in device.requests)


def test_a_webapi_that_gives_rates_only_is_read_all_the_same(make: Any, device: HttpDevice) -> None:
    document = (
        '{"ts": "1678475551.932", "registers": [{"name": "temp", "type": "T", "idx": 8, "rate": 13.5}]}'
    )
    device.answer = lambda request: Reply(document)
    assert fields_of(webapi(make, "temp").read()) == {"temp": 13.5}


@each_fault
def test_each_fault_of_the_webapi_has_its_outcome_and_is_recovered_from(
    make: Any, meter: Meter, device: HttpDevice, fault: str, outcome: type[Exception]
) -> None:
    driver = webapi(make, "A.Solar")
    driver.read()
    device.misbehave(fault)
    with hurried(fault), pytest.raises(outcome):
        driver.read()
    device.misbehave(None)
    meter.ts += 8
    assert driver.read() == {"A.Solar": 3.2}


# --- Healing gaps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", ["xml", "xml compressed", "webapi"])
def test_a_gap_is_healed_with_the_meters_own_minute_means(make: Any, meter: Meter, interface: str) -> None:
    meter.registers = [Register("Oven", "P", lambda second: second % 60 * 100), steady("Volt", "V", 120_000)]
    meter.compressed = interface == "xml compressed"
    driver = webapi(make, "Oven", "Volt") if interface == "webapi" else make("Oven", "Volt")
    start, end = START + 600, START + 900
    readings = driver.recover(start * 1000, end * 1000).readings
    assert [reading.timestamp for reading in readings] == [ts * 1000 for ts in range(start, end, 60)]
    assert all(reading.data == {"Oven": pytest.approx(2.95), "Volt": 120.0} for reading in readings)


def test_a_long_gap_is_asked_for_in_pieces_that_join_without_seam(
    make: Any, meter: Meter, device: HttpDevice
) -> None:
    meter.ts = START + 15 * 3600
    driver = make("A.Solar")
    readings = driver.recover((START + 60) * 1000, (START + 14 * 3600) * 1000).readings
    assert [reading.timestamp for reading in readings] == list(
        range((START + 60) * 1000, (START + 14 * 3600) * 1000, 60_000)
    )
    assert device.paths.count("/cgi-bin/egauge-show") == 3


def test_where_the_meter_itself_was_off_nothing_is_made_up(make: Any, meter: Meter) -> None:
    meter.gaps = [(START + 600, START + 1200)]
    readings = make("A.Solar").recover((START + 300) * 1000, (START + 1500) * 1000).readings
    minutes = [reading.timestamp // 1000 - START for reading in readings]
    assert minutes == [300, 360, 420, 480, 540, 1260, 1320, 1380, 1440]


def test_a_jump_in_the_recorded_counters_is_left_out(make: Any, meter: Meter) -> None:
    meter.registers = [Register("Oven", "P", lambda second: 10**12 if second == START + 630 else 1_000)]
    readings = make("Oven").recover((START + 600) * 1000, (START + 780) * 1000).readings
    assert [reading.timestamp // 1000 - START for reading in readings] == [600, 720]


def test_a_gap_the_meter_knows_nothing_of_stays_one(make: Any, meter: Meter) -> None:
    meter.gaps = [(START, START + 10_000)]
    assert make("A.Solar").recover((START + 600) * 1000, (START + 900) * 1000).readings == []


def test_computed_totals_are_found_under_their_stored_names(make: Any, device: HttpDevice) -> None:
    rows = "<r><c>1200000</c></r><r><c>1000000</c></r>"
    device.answer = lambda request: Reply(
        f'<group><data time_stamp="{START + 60:#x}" time_delta="60"><cname t="P">use</cname>{rows}</data></group>'
    )
    (reading,) = make("Total Usage").recover(START * 1000, (START + 120) * 1000).readings
    assert reading.data == {"Total Usage": pytest.approx(200_000 / 60 / 1000)}


def test_history_is_read_across_blocks_of_differences_and_of_other_granularity() -> None:
    body = (
        '<group><data columns="1" time_stamp="0x78" time_delta="1" delta="true"><cname t="P">R</cname>'
        "<r><c>1000</c></r><r><c>-10</c></r></data>"
        '<data time_stamp="0x3c" time_delta="60"><r><c>-590</c></r><r><c>-100</c></r></data></group>'
    )
    history = parse_history(body.encode())
    assert [(row.ts, row.step, row.counters["R"]) for row in history.rows] == [
        (120, 1, 1000),
        (119, 1, 990),
        (60, 60, 400),
        (0, 60, 300),
    ]


@given(
    name=st.text(max_size=8)
    | st.lists(
        st.sampled_from(
            ["&", "<", ">", '"', "'", "</r>", "<b>", "&#0;", "&nbsp;", "<!--", "]]>", "=", "\0", "x"]
        )
    ).map("".join),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
)
def test_a_register_of_any_name_costs_no_other(name: str, encoding: str) -> None:
    def register(type_: str, name: str, rate: str) -> str:
        return f'<r t="{type_}" n="{name}"><v>10</v><i>{rate}</i></r>'

    registers = register("P", "Grid", "1") + register("P", name, "2") + register("V", "L1", "120.5")
    body = f'<?xml version="1.0"?><data serial="0x1"><ts>1700000000</ts>{registers}</data>'
    assume(name.strip() != "L1")
    found = parse_snapshot(body.encode(encoding, "replace")).registers
    assert (found["Grid"].rate, found["L1"].rate) == (1, 120.5)


@pytest.mark.parametrize("delta", ["", ' delta="true"'], ids=["absolute", "differences"])
def test_a_row_or_block_of_the_history_that_cannot_be_read_costs_itself(delta: str) -> None:
    body = (
        f'<group><data time_stamp="0x78" time_delta="60"{delta}><cname t="P">R</cname>'
        "<r><c>1000</c></r><r></r></data>"
        '<data><r><c>5</c></r></data><data time_stamp="0x3c" time_delta="60" delta="false"><r><c>400</c></r></data></group>'
    )
    history = parse_history(body.encode())
    assert [(row.ts, row.counters["R"]) for row in history.rows] == [(120, 1000), (60, 400)]
    with pytest.raises(BadAnswer):
        parse_history(
            b'<group><data time_stamp="?" time_delta="60"><cname t="P">R</cname><r><c>1</c></r></data></group>'
        )


def test_a_row_of_the_webapis_history_that_cannot_be_read_costs_itself(make: Any, device: HttpDevice) -> None:
    rows = [["1320000"], [], None, ["1140000", "7"], ["1080000"], ["1020000"]]
    blocks = [
        None,
        {"ts": "soon", "rows": [["1"]]},
        {"ts": START + 300, "delta": 60, "rows": rows},
        {"ts": START},
    ]
    document = {"registers": [{"name": "Oven", "type": "P", "idx": 0}], "ranges": blocks}
    device.answer = lambda request: as_json(document)
    readings = webapi(make, "Oven").recover(START * 1000, (START + 360) * 1000).readings
    assert [(reading.timestamp // 1000 - START, reading.data) for reading in readings] == [
        (60, {"Oven": 1.0})
    ]


def test_a_register_of_an_odd_name_has_the_same_field_in_a_gap_as_else(make: Any, device: HttpDevice) -> None:
    rows = "<r><c>1200000</c></r><r><c>1140000</c></r>"
    name = f'<cname t="P">Pool&#160;Pump</cname><cname t="P">{"x" * 300}</cname>'
    rows = rows.replace("</c></r>", "</c><c>5</c></r>")
    device.answer = lambda request: Reply(
        f'<group><data time_stamp="{START + 60:#x}" time_delta="60">{name}{rows}</data></group>'
    )
    (reading,) = make().recover(START * 1000, (START + 120) * 1000).readings
    assert reading.data == {"Pool Pump": 1.0}


# --- Recorded elsewhere -----------------------------------------------------------------------------------------------


@shared
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("async_inst_tot_3reg_did.xml", {"Grid": 0.654, "solar": -0.008, "solar+": 0.0, "ts": 1603322016}),
        ("mcp_inst_voltage_and_power.xml", {"A.L1_Voltage": 235.971, "Mains": 667.135, "HVAC": 4.5}),
        ("single_register_inst.xml", {"Grid": -0.606, "ts": 1527263261}),
    ],
)
def test_recorded_answers_are_read_with_their_units(
    make: Any, device: HttpDevice, name: str, fields: dict[str, float]
) -> None:
    device.answer = lambda request: Reply((DATA / name).read_bytes())
    assert make(*fields, max_kw=1000).read() == fields


@shared
def test_recorded_differences_are_added_up_over_both_blocks() -> None:
    history = parse_history((DATA / "push_delta_encoded_1s_then_60s.xml").read_bytes())
    assert history.types == {"heater": "P", "lamp": "P", "lamp+": "P"}
    first, second, *_ = history.rows
    assert (first.ts, first.step, first.counters["heater"]) == (0x55036C9E, 1, -379_726)
    assert (second.ts, second.counters["heater"]) == (0x55036C9D, -379_664)
    assert {row.counters["lamp+"] for row in history.rows} == {2_748}
    fine = [row for row in history.rows if row.step == 1]
    coarse = [row for row in history.rows if row.step == 60]
    assert (coarse[0].ts, len(coarse)) == (0x55036C2C, 7)
    last = fine[-1].counters["heater"]
    assert last is not None
    assert coarse[0].counters["heater"] == last - 204_431 == fine[-2].counters["heater"]
