"""Houses that are wired or configured wrongly are named rightly, and right ones pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House
from sgmp_console.quality.commissioning import Check, Fault, Outcome, Recorded, commission
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, calendar
from sgmp_console.timeseries.clear_sky import irradiance

Values = NDArray[np.float64]
DAY_MS = 86_400_000
MAPLE = ("America/Los_Angeles", 37.42, -122.2)
HARBOR = ("Europe/Berlin", 53.55, 9.99)
PLACES = (MAPLE, HARBOR, ("Australia/Sydney", -33.87, 151.2), ("Europe/Madrid", 42.88, -8.54))


@cache
def right(seed: int = 1, where: tuple[str, float, float] = MAPLE, first_day: int = 20_605) -> Recorded:
    """Seven days of a simulated house, a reading each five minutes."""
    zone, latitude, longitude = where
    house = House(seed, zone, latitude, longitude)
    start_ms = first_day * DAY_MS
    rows = list(history.rows(house, start_ms, start_ms + 7 * DAY_MS, SLOT_MS, everything=False))
    starts = np.array([row.time_ms for row in rows], np.int64)

    def meter(name: str, sign: float = 1.0) -> Values:
        return sign * np.array([row.egauge[name] for row in rows])

    offset = calendar.local(int(starts[len(starts) // 2]), zone).utcoffset()
    assert offset is not None
    return Recorded(
        starts,
        {
            "solar": meter("A.Solar"),
            "grid": meter("A.GridPower", -1.0),
            "battery": np.array([row.sonnen["status"]["Pac_total_W"] / 1000 for row in rows]),
            "load": meter("A.Load", -1.0),
            "ev": meter("A.EV", -1.0),
        },
        np.array([row.sonnen["battery"]["battery_status"]["relativestateofcharge"] for row in rows]),
        {"l1_voltage": meter("A.L1_Voltage"), "l2_voltage": meter("A.L2_Voltage")},
        {"l1_frequency": meter("A.L1_Frequency")},
        irradiance(starts, latitude, longitude),
        longitude,
        offset.total_seconds() * 1000 / HOUR_MS,
    )


def with_flows(change: Callable[[dict[str, Values]], dict[str, Values]]) -> Recorded:
    recorded = right()
    return replace(recorded, flows={**recorded.flows, **change(dict(recorded.flows))})


def times(factor: float, *names: str) -> Recorded:
    return with_flows(lambda flows: {name: factor * flows[name] for name in names})


def exchanged(one: str, other: str) -> Recorded:
    return with_flows(lambda flows: {one: flows[other], other: flows[one]})


def late(hours: float) -> Recorded:
    """All that was recorded is stamped so much later."""
    recorded, slots = right(), round(hours * 12)
    return replace(recorded, flows={name: np.roll(values, slots) for name, values in recorded.flows.items()})


def without(name: str) -> Recorded:
    recorded = right()
    return replace(recorded, flows={key: values for key, values in recorded.flows.items() if key != name})


NOTHING = np.full(7 * 288, np.nan)

WRONG: dict[str, tuple[Callable[[], Recorded], Check, Fault, tuple[str, ...]]] = {
    "sun turned round": (lambda: times(-1, "solar"), Check.BALANCE, Fault.TURNED, ("solar",)),
    "sun turned round and cut off by pos()": (
        lambda: times(0, "solar"),
        Check.BALANCE,
        Fault.DEAD,
        ("solar",),
    ),
    "grid turned round": (lambda: times(-1, "grid"), Check.BALANCE, Fault.TURNED, ("grid",)),
    "battery turned round": (lambda: times(-1, "battery"), Check.BALANCE, Fault.TURNED, ("battery",)),
    "load turned round": (lambda: times(-1, "load"), Check.BALANCE, Fault.TURNED, ("load",)),
    "car turned round": (lambda: times(-1, "ev"), Check.BALANCE, Fault.TURNED, ("ev",)),
    "grid and battery turned round": (
        lambda: times(-1, "grid", "battery"),
        Check.BALANCE,
        Fault.TURNED,
        ("grid", "battery"),
    ),
    "load in W": (lambda: times(1000, "load"), Check.BALANCE, Fault.SCALE, ("load",)),
    "battery in MW": (lambda: times(0.001, "battery"), Check.BALANCE, Fault.SCALE, ("battery",)),
    "one leg of the grid": (lambda: times(0.5, "grid"), Check.BALANCE, Fault.SCALE, ("grid",)),
    "each leg of the sun twice": (lambda: times(2, "solar"), Check.BALANCE, Fault.SCALE, ("solar",)),
    "sun and load exchanged": (
        lambda: exchanged("solar", "load"),
        Check.BALANCE,
        Fault.EXCHANGED,
        ("solar", "load"),
    ),
    "grid and car exchanged": (
        lambda: exchanged("grid", "ev"),
        Check.BALANCE,
        Fault.EXCHANGED,
        ("grid", "ev"),
    ),
    "car in the load": (
        lambda: with_flows(lambda flows: {"load": flows["load"] + flows["ev"]}),
        Check.BALANCE,
        Fault.CAR_IN_LOAD,
        ("load",),
    ),
    "car not in the load": (
        lambda: replace(right(), load_contains_ev=True),
        Check.BALANCE,
        Fault.CAR_NOT_IN_LOAD,
        ("load",),
    ),
    "register of the grid missing": (
        lambda: without("grid"),
        Check.REGISTERS,
        Fault.NO_VALUES,
        ("grid",),
    ),
    "state of charge missing": (
        lambda: replace(right(), charge=NOTHING),
        Check.REGISTERS,
        Fault.NO_VALUES,
        ("soc",),
    ),
    "state of charge as a share": (
        lambda: replace(right(), charge=np.asarray(right().charge) / 100),
        Check.STATE_OF_CHARGE,
        Fault.OUT_OF_RANGE,
        ("soc",),
    ),
    "a leg measured to the other": (
        lambda: replace(
            right(), voltages={**right().voltages, "l2_voltage": 2 * right().voltages["l2_voltage"]}
        ),
        Check.MAINS,
        Fault.LEGS_DIFFER,
        ("l1_voltage", "l2_voltage"),
    ),
    "a voltage as frequency": (
        lambda: replace(right(), frequency={"l1_frequency": right().voltages["l1_voltage"]}),
        Check.MAINS,
        Fault.OUT_OF_RANGE,
        ("l1_frequency",),
    ),
    "clock an hour late": (lambda: late(1), Check.CLOCK, Fault.CLOCK_OFF, ("solar",)),
    "clock seven hours early": (lambda: late(-7), Check.CLOCK, Fault.CLOCK_OFF, ("solar",)),
    "zone not set": (lambda: replace(right(), offset_h=0.0), Check.ZONE, Fault.ZONE_OFF, ()),
    "polls missing": (
        lambda: with_flows(
            lambda flows: {
                name: np.where(np.arange(len(values)) % 3 == 0, np.nan, values)
                for name, values in flows.items()
            }
        ),
        Check.POLLS,
        Fault.POLLS_MISSING,
        ("solar", "grid", "battery", "load", "ev"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_house_is_named(name: str) -> None:
    make, check, fault, subjects = WRONG[name]
    verdicts = commission(make())

    assert (check, fault, subjects) in {(one.check, one.fault, one.subjects) for one in verdicts}
    # Nothing else is blamed: a battery that is turned round also disagrees with its state of charge.
    assert {one.subjects for one in verdicts if one.outcome is Outcome.WRONG} <= {subjects, ("battery",)}


@pytest.mark.parametrize("number", range(20))
def test_a_house_that_is_right_passes(number: int) -> None:
    verdicts = commission(right(number, PLACES[number % 4], 20_480 + 15 * number))

    assert [one.text for one in verdicts if one.outcome is Outcome.WRONG] == []
    assert {one.check for one in verdicts} == set(Check)


def test_of_a_house_without_readings_nothing_is_known_but_that() -> None:
    verdicts = commission(Recorded(np.empty(0, np.int64), {}))

    assert {one.check for one in verdicts if one.outcome is Outcome.WRONG} == {Check.REGISTERS}
