"""Faults put into clean days, a thousand of each kind with a fixed seed: found where they are, and clean days left alone.

The days are those of the demo's houses, a minute apart, and of a real counter of solar energy (docs/quality.md).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sgmp_console.demo.houses import DEMO_HOUSES
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House
from sgmp_console.quality import (
    EXPECTATIONS,
    Meaning,
    Quality,
    SeriesQuality,
    check_balance,
    check_fields,
    check_series,
    counts,
)
from sgmp_console.store import Place
from sgmp_console.timeseries import SLOT_MS, Series, slot_means
from sgmp_console.timeseries.clear_sky import irradiance

MINUTE_MS = 60_000
DAY_MS = 86_400_000
DAY_SLOTS = DAY_MS // SLOT_MS
TIMES = 1000
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "solar_counter.csv.gz"
RECORDED_PLACE = Place(33.4, -112.0)
"""Of the recorded house no place is published; by its hours of sun it is near this one."""

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clean:
    """A series a minute apart, over whole days of UTC."""

    times: Times
    values: Values
    meaning: Meaning
    place: Place

    @property
    def days(self) -> range:
        return range(int(self.times[0]) // DAY_MS, int(self.times[-1]) // DAY_MS + 1)

    def day(self, number: int) -> tuple[Times, Values]:
        first, last = np.searchsorted(self.times, (number * DAY_MS, (number + 1) * DAY_MS))
        return self.times[first:last].copy(), self.values[first:last].copy()

    def check(self, number: int, times: Times, values: Values) -> SeriesQuality:
        start_ms = number * DAY_MS
        return check_series(
            times,
            values,
            EXPECTATIONS[self.meaning],
            start_ms,
            start_ms + DAY_MS,
            MINUTE_MS,
            irradiance=sky(self.place, number),
        )


_SKIES: dict[tuple[Place, int], Values] = {}


def sky(place: Place, number: int) -> Values:
    if (place, number) not in _SKIES:
        starts = number * DAY_MS + SLOT_MS * np.arange(DAY_SLOTS, dtype=np.int64)
        _SKIES[place, number] = irradiance(starts, place.latitude, place.longitude)
    return _SKIES[place, number]


FIRST_DAY = 20_605  # 2026-06-01
DEMO_DAYS = 28


@pytest.fixture(scope="module")
def demo() -> dict[str, Clean]:
    """Four weeks of a house of the demo, by what is measured."""
    chosen = DEMO_HOUSES[0]
    place = Place(chosen.latitude, chosen.longitude)
    model = House(chosen.seed, chosen.zone, chosen.latitude, chosen.longitude)
    start_ms = FIRST_DAY * DAY_MS
    rows = list(history.rows(model, start_ms, start_ms + DEMO_DAYS * DAY_MS, MINUTE_MS, everything=False))
    times = np.array([row.time_ms for row in rows], np.int64)

    def meter(field: str, meaning: Meaning, sign: float = 1.0) -> Clean:
        return Clean(times, sign * np.array([row.egauge[field] for row in rows]), meaning, place)

    solar = meter("A.Solar", Meaning.SOLAR_POWER)
    charge = [row.sonnen["battery"]["battery_status"]["relativestateofcharge"] for row in rows]
    return {
        "solar": solar,
        "load": meter("A.Load", Meaning.LOAD_POWER, -1.0),
        "grid": meter("A.GridPower", Meaning.POWER, -1.0),
        "battery": meter("A.Battery", Meaning.REGULATED_POWER),
        "ev": meter("A.EV", Meaning.REGULATED_POWER, -1.0),
        "voltage": meter("A.L1_Voltage", Meaning.VOLTAGE),
        "frequency": meter("A.L1_Frequency", Meaning.FREQUENCY),
        "charge": Clean(times, np.array(charge), Meaning.PERCENT, place),
        "counter": Clean(times, 4000 + np.cumsum(solar.values) / 60, Meaning.COUNTER, place),
    }


@pytest.fixture(scope="module")
def recorded() -> dict[str, Clean]:
    """Thirteen whole days of a real house's counter, and the power that it counted."""
    if not RECORDED.exists():
        pytest.skip(f"the recorded counter is not here: {RECORDED}")
    with gzip.open(RECORDED, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    times, counter = table[1:, 0].astype(np.int64), table[1:, 1]
    power = np.diff(table[:, 1]) * 60
    whole = (times >= (times[0] // DAY_MS + 1) * DAY_MS) & (times < times[-1] // DAY_MS * DAY_MS)
    return {
        "solar": Clean(times[whole], power[whole], Meaning.SOLAR_POWER, RECORDED_PLACE),
        "counter": Clean(times[whole], counter[whole], Meaning.COUNTER, RECORDED_PLACE),
    }


@pytest.fixture(scope="module", params=["demo", "recorded"])
def data(request: pytest.FixtureRequest) -> dict[str, Clean]:
    series: dict[str, Clean] = request.getfixturevalue(request.param)
    return series


Fault = Callable[[np.random.Generator, Clean, int, Times, Values], tuple[Times, Values, int, int]]
"""Puts a fault into a day; returns the day, and the first and last slot of the fault."""


def slots(times: Times, first: int, last: int) -> tuple[int, int]:
    return int(times[first] % DAY_MS // SLOT_MS), int(times[last] % DAY_MS // SLOT_MS)


def lose_polls(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    slot = int(random.integers(0, DAY_SLOTS - 12))
    until = slot + int(random.integers(1, 12))
    keep = (times % DAY_MS < slot * SLOT_MS) | (times % DAY_MS >= until * SLOT_MS)
    return times[keep], values[keep], slot, until - 1


def freeze(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    first = int(random.choice(np.flatnonzero(values[:-90] != 0)))
    last = first + int(random.integers(31, 90))
    values[first : last + 1] = values[first]
    return times, values, *slots(times, first, last)


def leave_the_range(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    at = int(random.integers(0, len(values)))
    values[at] = random.choice([1e5, -1e5, 150.0, -32768.0, np.nan, np.inf])
    return times, values, *slots(times, at, at)


def jump(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    """By 8 deviations of the steps between neighbours, in the hours around it or in the day, whichever is larger."""
    at = int(random.integers(1, len(values) - 1))
    deviation = max(float(np.diff(part).std()) for part in (values, values[max(0, at - 60) : at + 61]))
    values[at] += random.choice([-8.0, 8.0]) * deviation
    return times, values, *slots(times, at, at)


def set_the_clock_back(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    at = int(random.integers(200, len(values)))
    times[at:] -= int(random.integers(1001, 3 * 3_600_000))
    return times, values, *slots(times, at, at)


def repeat_a_stamp(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    at = int(random.integers(1, len(values)))
    times[at] = times[at - 1]
    return times, values, *slots(times, at, at)


def shine_at_night(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    """Ten minutes or longer of power, deep in the night."""
    night = sky(clean.place, number) == 0
    deep = np.flatnonzero(np.convolve(night, np.ones(25), "same") == 25)
    slot = int(random.choice(deep[deep < DAY_SLOTS - 2]))
    values[slot * 5 : slot * 5 + 10] += random.uniform(0.2, 3.0)
    return times, values, slot, slot + 1


def turn_the_transformer(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    """From some time of the morning on."""
    light = np.flatnonzero(sky(clean.place, number) > 300)
    slot = int(random.choice(light[: len(light) // 2]))
    values[slot * 5 :] *= -1
    return times, values, slot, DAY_SLOTS - 1


def reset_the_counter(
    random: np.random.Generator, clean: Clean, number: int, times: Times, values: Values
) -> tuple[Times, Values, int, int]:
    at = int(random.integers(1, len(values)))
    values[at:] -= random.choice([values[at], random.uniform(0.1, 10.0)])
    return times, values, *slots(times, at, at)


FAULTS: list[tuple[Quality, str, Fault, float]] = [
    (Quality.MISSING, "solar", lose_polls, 0.99),
    (Quality.STUCK, "solar", freeze, 0.99),
    (Quality.OUT_OF_RANGE, "solar", leave_the_range, 0.99),
    (Quality.SPIKE, "solar", jump, 0.95),
    (Quality.TIME_BACK, "solar", set_the_clock_back, 0.99),
    (Quality.TIME_REPEATED, "solar", repeat_a_stamp, 0.99),
    (Quality.SUN_AT_NIGHT, "solar", shine_at_night, 0.99),
    (Quality.WRONG_SIGN, "solar", turn_the_transformer, 0.99),
    (Quality.COUNTER_BACK, "counter", reset_the_counter, 0.99),
]


@pytest.mark.parametrize(
    ("bit", "name", "fault", "share"), FAULTS, ids=[bit.name.lower() for bit, *_ in FAULTS if bit.name]
)
def test_a_fault_of_a_series_is_found_where_it_is(
    data: dict[str, Clean], bit: Quality, name: str, fault: Fault, share: float
) -> None:
    clean, random = data[name], np.random.default_rng(12)
    found = 0
    for _ in range(TIMES):
        number = int(random.choice(clean.days))
        times, values, first, last = fault(random, clean, number, *clean.day(number))
        quality = clean.check(number, times, values)
        # A reading that is stamped wrongly stands in the slot of its stamp.
        place = quality.readings if bit in (Quality.TIME_BACK, Quality.TIME_REPEATED) else quality.slots
        window = place if place is quality.readings else place[first : last + 1]
        found += bool((window & bit).any())
    assert found >= share * TIMES


@pytest.mark.parametrize("name", ["load", "grid", "battery", "voltage", "frequency"])
def test_a_spike_of_8_deviations_is_found_in_each_kind_of_series(demo: dict[str, Clean], name: str) -> None:
    clean, random = demo[name], np.random.default_rng(8)
    found = 0
    for _ in range(200):
        number = int(random.choice(clean.days))
        times, values, first, _ = jump(random, clean, number, *clean.day(number))
        found += bool(clean.check(number, times, values).slots[first] & Quality.SPIKE)
    assert found >= 0.95 * 200


def flows(data: dict[str, Clean], number: int) -> tuple[Values, Values]:
    """Slot means of a day: sources, uses. Where only the sun was measured, all of it is exported."""

    def means(clean: Clean) -> Values:
        start_ms = number * DAY_MS
        return slot_means(Series(*clean.day(number)), start_ms, start_ms + DAY_MS).means

    if "grid" not in data:
        return means(data["solar"])[None, :], means(data["solar"])[None, :]
    sources = np.stack([means(data[name]) for name in ("solar", "grid", "battery")])
    return sources, np.stack([means(data[name]) for name in ("load", "ev")])


def test_a_balance_that_does_not_add_up_for_15_minutes_is_found(data: dict[str, Clean]) -> None:
    """A flow that is measured too small or too large, or with the wrong sign."""
    random = np.random.default_rng(12)
    days = {number: flows(data, number) for number in data["solar"].days}
    found = 0
    for _ in range(TIMES):
        sources, uses = (side.copy() for side in days[int(random.choice(list(days)))])
        first = int(random.integers(0, DAY_SLOTS - 12))
        last = first + int(random.integers(3, 12))
        row = int(random.integers(0, len(sources)))
        size = max(0.4, 0.3 * float(np.abs(sources[:, first:last]).sum(axis=0).max()))
        sources[row, first:last] += random.choice([-1, 1]) * size
        found += bool(check_balance(sources, uses)[first:last].any())
    assert found >= 0.99 * TIMES


def test_two_slots_or_a_missing_value_are_not_an_unbalanced_house() -> None:
    sources, uses = np.full((1, 12), 5.0), np.full((1, 12), 5.0)
    sources[0, 2:4] = 9.0
    uses[0, 6:10] = np.nan

    assert not check_balance(sources, uses).any()


def presence(data: dict[str, Clean], number: int) -> NDArray[np.bool_]:
    """Twelve fields by slots, as the series came."""
    times, _ = data["solar"].day(number)
    delivered = np.zeros(DAY_SLOTS, np.bool_)
    delivered[times % DAY_MS // SLOT_MS] = True
    return np.tile(delivered, (12, 1))


@pytest.mark.parametrize(
    "bit", [Quality.FIELD_APPEARED, Quality.FIELD_VANISHED], ids=["appeared", "vanished"]
)
def test_a_field_that_appears_or_vanishes_is_found(data: dict[str, Clean], bit: Quality) -> None:
    random = np.random.default_rng(12)
    found = 0
    for _ in range(TIMES):
        present = presence(data, int(random.choice(data["solar"].days)))
        known = np.ones(len(present), np.bool_)
        field, slot = int(random.integers(0, len(present))), int(random.integers(0, DAY_SLOTS - 12))
        if bit is Quality.FIELD_APPEARED:
            known[field], present[field, :slot] = False, False
        else:
            present[field, slot:] = False
        flagged = check_fields(present, known) & bit
        found += bool(flagged[field, slot]) and not np.delete(flagged, field, axis=0).any()
    assert found >= 0.99 * TIMES


def test_a_field_that_comes_and_goes_by_nature_has_not_vanished() -> None:
    present = np.ones((2, DAY_SLOTS), np.bool_)
    present[1] = np.arange(DAY_SLOTS) % 3 == 0
    present[1, 200:] = False

    assert not check_fields(present, np.ones(2, np.bool_)).any()


def test_a_silent_device_has_lost_no_field() -> None:
    present = np.ones((3, DAY_SLOTS), np.bool_)
    present[:, 100:] = False

    assert not check_fields(present, np.ones(3, np.bool_)).any()


def test_of_clean_days_at_most_one_slot_in_a_thousand_is_flagged(data: dict[str, Clean]) -> None:
    for name, clean in data.items():
        flagged = [np.count_nonzero(clean.check(day, *clean.day(day)).slots) for day in clean.days]
        assert sum(flagged) <= 0.001 * DAY_SLOTS * len(flagged), name
    days = data["solar"].days
    assert sum(np.count_nonzero(check_balance(*flows(data, day))) for day in days) <= 0.001 * DAY_SLOTS * len(
        days
    )


def checked(values: list[float], meaning: Meaning, interval_ms: int = MINUTE_MS) -> SeriesQuality:
    start_ms = FIRST_DAY * DAY_MS
    times = start_ms + MINUTE_MS * np.arange(len(values), dtype=np.int64)
    end_ms = start_ms + -(-len(values) * MINUTE_MS // SLOT_MS) * SLOT_MS
    return check_series(times, np.array(values), EXPECTATIONS[meaning], start_ms, end_ms, interval_ms)


def test_a_state_of_charge_that_is_off_by_rounding_is_in_range() -> None:
    bits = checked([-3e-17, 50.0, 100.0000001, 101.0], Meaning.PERCENT).readings

    assert [bool(one & Quality.OUT_OF_RANGE) for one in bits] == [False, False, False, True]


def test_what_is_switched_off_is_not_stuck() -> None:
    assert not checked([0.0] * 120, Meaning.POWER).readings.any()


def test_a_battery_at_its_limit_is_not_stuck() -> None:
    assert not checked([3.3] * 240, Meaning.REGULATED_POWER).readings.any()


def test_a_counter_may_go_back_by_what_the_inverter_takes_at_night() -> None:
    assert not checked([4000 - 0.0001 * minute for minute in range(120)], Meaning.COUNTER).readings.any()


def test_polls_that_are_rarer_than_slots_leave_no_slot_missing() -> None:
    start_ms = FIRST_DAY * DAY_MS
    times = start_ms + 900_000 * np.arange(96, dtype=np.int64)

    def missing(kept: Times) -> int:
        quality = check_series(
            kept, np.ones(len(kept)), EXPECTATIONS[Meaning.OTHER], start_ms, start_ms + DAY_MS, 900_000
        )
        return counts(quality.slots).get(Quality.MISSING, 0)

    assert missing(times) == 0
    assert missing(np.delete(times, [40, 41])) > 0


def test_a_series_without_a_reading_is_missing_and_nothing_else() -> None:
    start_ms = FIRST_DAY * DAY_MS
    quality = check_series(
        np.empty(0, np.int64), np.empty(0), EXPECTATIONS[Meaning.POWER], start_ms, start_ms + DAY_MS, 4000
    )

    assert counts(quality.slots) == {Quality.MISSING: DAY_SLOTS}


def test_an_absurd_value_does_not_hide_a_spike() -> None:
    random = np.random.default_rng(3)
    values = [*random.normal(2.0, 0.1, 600)]
    values[200], values[300] = 1e9, 5.0

    bits = checked(values, Meaning.POWER).readings

    assert Quality(int(bits[200])) == Quality.OUT_OF_RANGE
    assert Quality(int(bits[300])) == Quality.SPIKE


def test_bits_keep_their_values() -> None:
    """They are stored and exported."""
    assert {bit.name: bit.value for bit in Quality} == {
        "MISSING": 1,
        "STUCK": 2,
        "OUT_OF_RANGE": 4,
        "SPIKE": 8,
        "TIME_BACK": 16,
        "TIME_REPEATED": 32,
        "SUN_AT_NIGHT": 64,
        "WRONG_SIGN": 128,
        "UNBALANCED": 256,
        "COUNTER_BACK": 512,
        "FIELD_APPEARED": 1024,
        "FIELD_VANISHED": 2048,
    }
