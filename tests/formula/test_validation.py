"""What is refused before a formula is stored, and what is said about it."""

import time

import numpy as np
import pytest

from sgmp_console.formula import (
    Catalogue,
    DeviceIdentifier,
    aggregation_refusal,
    energy_refusal,
    equal_items,
    misaligned,
    parse,
    problems,
    unit,
)
from sgmp_console.timeseries import Series


def errors(text: str) -> list[tuple[str, str]]:
    """Place and message of each error."""
    return [
        (text[p.position : p.position + p.length], p.message) for p in problems(parse(text)) if p.is_error
    ]


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a.x + 1/0", "1/0", "divides by zero"),
        ("a.x/(2 - 2)", "2 - 2", "always zero"),
        ("a.x + 0^-1", "0^-1", "zero has no negative power"),
        ("a.x*exp(1000)", "exp(1000)", "too large"),
        ("a.x*9^999", "9^999", "too large"),
        ("a.x*(-8)^(1/3)", "(-8)^(1/3)", "whole powers"),
        ("2*3", "2*3", "no timestamps"),
        ("1/(a.x - a.x)", "a.x - a.x", "always zero"),
        ("1/(2*a.x - (a.x + a.x))", "2*a.x - (a.x + a.x)", "always zero"),
        ("1/(pos(a.x) + neg(a.x) - a.x)", "pos(a.x) + neg(a.x) - a.x", "always zero"),
        ("a.y/(sin(a.x)^2 + cos(a.x)^2 - 1)", "sin(a.x)^2 + cos(a.x)^2 - 1", "always zero"),
        ("a.y/((a.x + 1)^2 - a.x^2 - 2*a.x - 1)", "(a.x + 1)^2 - a.x^2 - 2*a.x - 1", "always zero"),
        ("(a.x*a.y - a.y*a.x)^-2", "a.x*a.y - a.y*a.x", "always zero"),
        ("1/(a.x/a.y - 1/(a.y/a.x))", "a.x/a.y - 1/(a.y/a.x)", "always zero"),
    ],
)
def test_what_can_never_have_a_value_is_refused(text: str, place: str, hint: str) -> None:
    ((found, message),) = errors(text)

    assert hint in message
    assert found.strip("()") == place.strip("()")


@pytest.mark.parametrize(
    "text",
    [
        "1/a.x",
        "1/(a.x - a.y)",
        "1/(a.x^2 + 1)",
        "a.x/(1 - 0.9999999)",
        "1/(a.x - 1e-12)",
        "a.x^-2",
        "1/sin(a.x)",
    ],
)
def test_what_may_have_a_value_is_not(text: str) -> None:
    assert errors(text) == []


UNITS = Catalogue(
    devices={"d": []},
    units={
        DeviceIdentifier("d", name): unit_name
        for name, unit_name in {
            "solar": "kW",
            "pac": "W",
            "volt": "V",
            "amp": "A",
            "soc": "%",
            "energy": "mWh",
            "duration": "ms",
            "hz": "Hz",
            "odd": "furlong",
        }.items()
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d.solar", "kW"),
        ("-pos(d.solar)*2", "kW"),
        ("d.pac/1000", "kW"),
        ("d.solar + d.pac/1000", "kW"),
        ("d.pac - 1000*d.solar", "W"),
        ("d.solar + 5", "kW"),
        ("d.volt*d.amp", "W"),
        ("d.volt*d.amp/1000", "kW"),
        ("d.pac/d.volt", "A"),
        ("d.energy/1e6", "kWh"),
        ("d.energy/1000000/(d.duration/3600000)", "kW"),
        ("avg(d.soc, 300000)", "%"),
        ("(d.volt^2)^0.5", "V"),
        ("d.solar + d.unknown", "kW"),
        ("d.unknown*d.solar", ""),
        ("d.solar + d.odd", "kW"),
        ("sin(d.solar)", ""),
        ("d.solar^2", ""),
        ("d.solar^d.volt", ""),
        ("0*d.solar + d.volt", "V"),
        ("d.solar*1e300*1e300", "kW"),
    ],
)
def test_units_follow_the_arithmetic(text: str, expected: str) -> None:
    assert unit(parse(text), UNITS) == expected
    assert [p for p in problems(parse(text), UNITS) if p.is_error] == []


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("1 + (d.solar + d.volt)", "d.solar + d.volt", "kW and V can't be added"),
        ("d.volt - d.hz", "d.volt - d.hz", "V and Hz can't be subtracted"),
        ("d.solar + d.pac", "d.solar + d.pac", "kW and W can't be added; convert one of them first"),
        ("d.soc + avg(d.solar, 1000)", "d.soc + avg(d.solar, 1000)", "% and kW can't be added"),
        ("d.volt*d.amp + d.volt", "d.volt*d.amp + d.volt", "W and V can't be added"),
    ],
)
def test_different_quantities_cannot_be_added(text: str, place: str, message: str) -> None:
    (problem,) = problems(parse(text), UNITS)

    assert problem.is_error
    assert message in problem.message
    assert text[problem.position : problem.position + problem.length] == place


ITEMS = {
    "battery": "sonnen.status.Pac_total_W/1000",
    "charging": "-neg(analytics.battery)",
    "power": "d.v*d.a/1000",
    "trig": "sin(d.v)^2",
    "mean": "avg(d.v*2, 60000)",
    "broken": "((",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.001*sonnen.status.Pac_total_W", ["battery"]),
        ("pos(-sonnen.status.Pac_total_W)/1000", ["charging"]),
        ("(abs(sonnen.status.Pac_total_W) - sonnen.status.Pac_total_W)/2000", ["charging"]),
        ("pos(-analytics.battery)", ["charging"]),
        ("d.a*(d.v*1e-3)", ["power"]),
        ("(d.v + 1)*d.a/1000 - d.a/1000", ["power"]),
        ("1 - cos(d.v)^2", ["trig"]),
        ("2*avg(d.v, 60000)", ["mean"]),
        ("avg(d.v, 30000)*2", []),
        ("sonnen.status.Pac_total_W/1001", []),
        ("d.v*d.a/1000 + 0*d.x", []),
        ("analytics.nothing", []),
        ("-1*d.new", []),
    ],
)
def test_items_with_the_same_values_are_found(text: str, expected: list[str]) -> None:
    assert equal_items(parse(text), ITEMS) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("events.::EV_END_CHARGING.energy", "event identifier"),
        ("d.x + analytics.battery", "refers to another item"),
    ],
)
def test_continuous_aggregation_is_refused_with_the_reason(text: str, hint: str) -> None:
    reason = aggregation_refusal(parse(text))

    assert reason is not None
    assert hint in reason


def test_device_fields_can_be_aggregated() -> None:
    assert aggregation_refusal(parse("d.x*d.y")) is None


def grid(start: int, step: int, count: int) -> Series:
    timestamps = start + step * np.arange(count, dtype=np.int64)
    return Series(timestamps, np.ones(count))


def test_series_that_hardly_meet_are_told_with_a_formula_that_helps() -> None:
    series = {"a.x": grid(0, 4_000, 900), "b.y": grid(1, 4_000, 900)}
    apart = misaligned(parse("a.x + 2*b.y"), series)

    assert apart is not None
    assert apart.shared == 0
    assert apart.suggestion == "avg(a.x, 300000) + 2*avg(b.y, 300000)"
    assert apart.message == (
        "`a.x` and `b.y` share 0 % of their timestamps, and the formula has values only there; "
        "write avg(a.x, 300000) + 2*avg(b.y, 300000)"
    )
    assert misaligned(parse(apart.suggestion), series) is None


def test_sparse_series_get_a_period_that_holds_their_readings() -> None:
    series = {"a.x": grid(0, 4_000, 2_000), "b.y": grid(1_000, 600_000, 14), "c.z": grid(0, 4_000, 2_000)}
    apart = misaligned(parse("a.x - b.y + c.z"), series)

    assert apart is not None
    assert apart.suggestion == "avg(a.x, 900000) - avg(b.y, 900000) + avg(c.z, 900000)"


def test_different_periods_are_told_too() -> None:
    series = {"a.x": grid(0, 4_000, 2_000), "b.y": grid(0, 4_000, 2_000)}

    assert (
        misaligned(parse("avg(a.x, 60000) + avg(b.y, 300000)"), series) is None
    )  # the finer grid holds the coarser
    apart = misaligned(parse("avg(a.x, 70000) + avg(b.y, 60000)"), series)
    assert apart is not None
    assert apart.suggestion == "avg(avg(a.x, 70000), 300000) + avg(avg(b.y, 60000), 300000)"


@pytest.mark.parametrize("text", ["a.x*2 + a.x", "a.x + b.y", "a.x"])
def test_series_that_meet_are_not_worth_a_word(text: str) -> None:
    assert misaligned(parse(text), {"a.x": grid(0, 4_000, 100), "b.y": grid(0, 60_000, 7)}) is None


def test_series_without_data_are_not_called_misaligned() -> None:
    assert misaligned(parse("a.x + b.y"), {"a.x": grid(0, 4_000, 100), "b.y": Series.empty()}) is None


@pytest.mark.processor_time
def test_reading_and_checking_a_formula_takes_a_few_milliseconds() -> None:
    house = Catalogue(devices={"egauge": ["A.Solar", "A.EV"], "sonnen": ["status.Pac_total_W"]}, items=ITEMS)
    texts = [
        f"pos(egauge.A.Solar*{k}) - neg(sonnen.status.Pac_total_W/1000 + egauge.A.EV^2)/{k + 1}"
        for k in range(50)
    ]
    problems(parse(texts[0]), house)
    durations = []
    for text in texts[1:]:
        started = time.process_time()
        assert problems(parse(text), house, name="new") == []
        durations.append(time.process_time() - started)

    assert sorted(durations)[len(durations) // 2] < 3 * 0.005  # as in tests/ui/test_budgets.py


@pytest.mark.parametrize(
    ("text", "unit", "why"),
    [
        ("m.p", "%", "its unit is %, not kW, and only a power has an energy"),
        ("m.p", "W", "its unit is W, not kW, and only a power has an energy"),
        ("m.p", "", "its unit is not known, and only a power has an energy"),
        ("avg(m.p, 3600000)", "kW", "averages over 60 minutes"),
        ("m.q + avg(avg(m.p, 900000), 300000)", "kW", "averages over 15 minutes"),
        ("events.::EV_END_CHARGING.energy", "kW", "a value per event"),
    ],
)
def test_what_is_not_a_power_in_every_slot_has_no_energy(text: str, unit: str, why: str) -> None:
    assert why in (energy_refusal(parse(text), unit) or "")


@pytest.mark.parametrize("text", ["m.p", "avg(m.p, 300000)", "avg(m.p, 60000) + 1"])
def test_a_power_in_kilowatts_has_an_energy(text: str) -> None:
    assert energy_refusal(parse(text), "kW") is None
