"""The checks of a house's day: what each device's fields are is known by the items, and a fault is found where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sgmp_console.fleet.required import required_items
from sgmp_console.quality import Meaning, Quality
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series
from sgmp_console.watch.house_quality import CheckedField, HouseDay, check_house, meanings_of
from tests.reports.houses import BATTERY, EV, GRID, LOAD, SOC, SOLAR, Field
from tests.watch.demo_day import DAY_MS, demo_day

ITEMS = {name: item.formula for name, item in required_items().items()}
START_MS, PLACE, CLEAN = demo_day()
KEYS = list(CLEAN)


def house_day(changed: Mapping[Field, Series] | None = None, *, known: bool = True) -> HouseDay:
    """The clean day of a house with some series in place of its own."""
    readings = {**CLEAN, **(changed or {})}
    fields = [CheckedField(number, *key, "", known, known) for number, key in enumerate(KEYS, 1)]
    return HouseDay(
        START_MS,
        START_MS + DAY_MS,
        fields,
        {number: readings[key] for number, key in enumerate(KEYS, 1)},
        ITEMS,
        PLACE,
    )


def number_of(key: Field) -> int:
    return KEYS.index(key) + 1


def with_values(key: Field, hours: tuple[float, float], change: float, *, add: float = 0.0) -> Series:
    """The series of a field, between two hours of the day multiplied and raised."""
    series = CLEAN[key]
    at = (series.timestamps - START_MS) / HOUR_MS
    inside = (at >= hours[0]) & (at < hours[1])
    return Series(series.timestamps, np.where(inside, series.values * change + add, series.values))


def without(key: Field, hours: tuple[float, float]) -> Series:
    series = CLEAN[key]
    at = (series.timestamps - START_MS) / HOUR_MS
    kept = (at < hours[0]) | (at >= hours[1])
    return Series(series.timestamps[kept], series.values[kept])


def test_a_clean_day_has_no_flag_and_nothing_to_say() -> None:
    found = check_house(house_day())

    assert (found.faults, found.silent, found.flagged) == ([], [], 0)
    assert found.slots == len(KEYS) * DAY_MS // SLOT_MS


FAULTS: dict[str, tuple[dict[Field, Series], str, Quality, tuple[str, ...]]] = {
    "the grid stands still": (
        {GRID: with_values(GRID, (8, 10), 0.0, add=-1.234)},
        "egauge",
        Quality.STUCK,
        (GRID[1],),
    ),
    "sun in the night": (
        {SOLAR: with_values(SOLAR, (1, 1.4), 0.0, add=0.8)},
        "egauge",
        Quality.SUN_AT_NIGHT,
        (SOLAR[1],),
    ),
    "a transformer of the load is turned round": (
        {LOAD: with_values(LOAD, (6, 24), -1.0)},
        "egauge",
        Quality.WRONG_SIGN,
        (LOAD[1],),
    ),
    "a battery in MW": (
        {BATTERY: with_values(BATTERY, (0, 24), 1e6)},
        "sonnen",
        Quality.OUT_OF_RANGE,
        (BATTERY[1],),
    ),
    "the state of charge is gone": (
        {SOC: without(SOC, (12, 24))},
        "sonnen",
        Quality.FIELD_VANISHED,
        (SOC[1],),
    ),
    "the car is measured too small": ({EV: with_values(EV, (0, 24), 0.3)}, "", Quality.UNBALANCED, ()),
    "the battery says nothing for three hours": (
        {key: without(key, (10, 13)) for key in (BATTERY, SOC)},
        "sonnen",
        Quality.MISSING,
        (),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_device_and_fields(name: str) -> None:
    changed, device, kind, fields = FAULTS[name]

    found = check_house(house_day(changed))

    assert (device, kind, fields) in {(one.device, one.kind, one.fields) for one in found.faults}
    # A flow that is measured wrongly also makes the house not add up; nothing else is blamed.
    assert {one.kind for one in found.faults} <= {kind, Quality.UNBALANCED}


def test_a_fault_lasts_from_its_first_slot_to_its_last() -> None:
    (fault,) = check_house(house_day({SOC: without(SOC, (12, 24))})).faults

    assert (fault.from_ms, fault.to_ms) == (START_MS + 12 * HOUR_MS, START_MS + 24 * HOUR_MS)
    assert fault.slots == 12 * 12


def test_of_a_device_that_was_silent_all_day_only_that_is_said() -> None:
    found = check_house(house_day({BATTERY: Series.empty(), SOC: Series.empty()}))

    assert [(one.device, one.kind) for one in found.faults] == [("sonnen", Quality.MISSING)]
    assert found.silent == ["sonnen", ""]  # nor can the house's balance be judged


def test_a_new_house_is_judged_from_its_first_reading_on() -> None:
    late = {key: without(key, (0, 15)) for key in KEYS}
    found = check_house(house_day(late, known=False))

    assert (found.faults, found.flagged) == ([], 0)
    assert found.slots == len(KEYS) * 9 * 12


def test_a_field_that_is_new_on_a_known_device_is_marked_and_no_fault() -> None:
    day = house_day({SOC: without(SOC, (0, 6))})
    fields = [replace(one, recent=False, expected=False) if one.key == SOC else one for one in day.fields]
    found = check_house(replace(day, fields=fields))

    bits = found.bits[number_of(SOC)]
    assert np.flatnonzero(bits).tolist() == [6 * 12]
    assert bits[6 * 12] == Quality.FIELD_APPEARED
    assert (found.faults, found.flagged) == ([], 0)


def test_a_field_that_comes_and_goes_by_nature_is_not_missing() -> None:
    series = CLEAN[SOC]
    some = (series.timestamps - START_MS) // SLOT_MS % 3 == 0
    found = check_house(house_day({SOC: Series(series.timestamps[some], series.values[some])}))

    assert (found.faults, found.flagged) == ([], 0)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ({"solar": "pos(m.sun)"}, {("m", "sun"): (Meaning.SOLAR_POWER, 1.0)}),
        ({"load": "-m.load/1000"}, {("m", "load"): (Meaning.LOAD_POWER, -0.001)}),
        ({"grid_import": "-neg(m.grid)"}, {("m", "grid"): (Meaning.POWER, -1.0)}),
        (
            {"solar": "m.east + m.west"},
            {("m", "east"): (Meaning.SOLAR_POWER, 1.0), ("m", "west"): (Meaning.SOLAR_POWER, 1.0)},
        ),
        # Of a difference nobody knows which of the two is what.
        ({"load": "m.all - m.car", "ev": "m.car"}, {("m", "car"): (Meaning.REGULATED_POWER, 1.0)}),
        ({"solar": "analytics.sun", "sun": "2*m.sun"}, {("m", "sun"): (Meaning.SOLAR_POWER, 2.0)}),
        ({"solar": "m.sun^2"}, {}),
        ({"solar": "m.sun +"}, {}),
        ({"other": "m.sun"}, {}),
    ],
)
def test_what_a_field_measures_is_known_by_the_items_that_read_it(
    items: dict[str, str], expected: dict[Field, tuple[Meaning, float]]
) -> None:
    assert meanings_of(items) == pytest.approx(expected) if not expected else meanings_of(items) == expected
