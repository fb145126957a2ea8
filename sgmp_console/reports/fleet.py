"""How many houses did lately: energy of today, curve of the last day, quality of the last week, coverage of each day of a month.

The numbers are those of Home and of the reports, whose code computes them. Of the houses asked for everything that
aggregates know is read with four statements, what is excluded and quality with one each; items that need raw readings are read house by house.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.reports.balance import (
    BALANCE_ITEMS,
    Ledger,
    balance,
    ledger_from_ms,
    needed_to_check,
    opening_ledger,
)
from sgmp_console.reports.item_reader import ItemReader, Known
from sgmp_console.reports.item_values import ItemUnreadable
from sgmp_console.store import FieldKey, House, aggregates, analytics, notes, quality
from sgmp_console.store.quality import HouseQuality
from sgmp_console.timeseries import (
    HOUR_MS,
    SLOT_MS,
    SLOTS_PER_HOUR,
    HourAggregates,
    Series,
    SlotMeans,
    calendar,
)

DAY_MS = 24 * HOUR_MS
QUALITY_DAYS = 7
STRIP_DAYS = 30

FRESH_MS = SLOT_MS
"""A pulse changes with each slot."""
SPARE_MS = 6 * SLOT_MS
"""What is not on screen is read more rarely: it is only sorted and filtered by."""

_NONE, _NO_VALUES = np.empty(0, np.int64), np.empty(0)


@dataclass(frozen=True)
class OpeningLedger:
    """What a battery held at a midnight of its house (UTC ms)."""

    midnight_ms: int
    ledger: Ledger


@dataclass(frozen=True, eq=False)
class Pulse:
    """What a house did lately, as read at `read_ms`; what is said of today holds until `day_ends_ms`.

    `used_kwh`: by load and car since the house's midnight, and `autarky` of that, 0 to 1; None where it can't be said.
    `incomplete`: items of the balance that miss values today. `absent`: those that the house does not have, but should, for its
    numbers to be whole. `load`: five-minute means in kW of [load_start_ms, load_end_ms), 24 hours. `coverage`: the share of
    covered slots in the last 7 x 24 whole hours over the fields of the balance's items, each since it began to be measured.
    `days`: the same of each of the house's last 30 days, the oldest first, today up to the last whole hour; None: nothing was
    to be measured. `quality`: what the nightly checks found on the days that ended in the last 7; None: none was checked.
    """

    read_ms: int
    day_ends_ms: int
    used_kwh: float | None = None
    autarky: float | None = None
    incomplete: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    load: Series = field(default_factory=Series.empty)
    load_start_ms: int = 0
    load_end_ms: int = 0
    coverage: float | None = None
    days: tuple[float | None, ...] = ()
    opening: OpeningLedger | None = None
    quality: HouseQuality | None = None


def read_pulses(
    connection: sa.Connection,
    houses: Sequence[House],
    now_ms: int,
    openings: Mapping[int, OpeningLedger] | None = None,
) -> dict[int, Pulse]:
    """Of each house, by id. `openings`: of an earlier pulse of today, which spare the two weeks before; late readings from
    before today are then seen with the next midnight."""
    if not houses:
        return {}
    ids = [house.house_id for house in houses]
    items = analytics.of_houses(connection, ids)
    standings = aggregates.standings(connection, ids)
    excluded = notes.excluded(connection, ids)
    end_ms = now_ms // SLOT_MS * SLOT_MS
    known_openings = {
        house.house_id: opening
        for house in houses
        if (opening := (openings or {}).get(house.house_id)) is not None
        and opening.midnight_ms == calendar.day_of(now_ms, house.time_zone)[0]
    }
    start_ms = min(_needed_from_ms(house, now_ms, house.house_id in known_openings) for house in houses)

    fields: dict[int, frozenset[FieldKey]] = {}
    for house_id in ids:
        series, standing = standings[house_id]
        known = Known(items[house_id], series, standing, {}, excluded[house_id], start_ms, end_ms)
        planner = ItemReader(connection, house_id, known=known)
        read_from = (planner.aggregated_fields(name) for name in BALANCE_ITEMS if name in planner.items)
        fields[house_id] = frozenset().union(*read_from)
    wanted = {(one, key): standings[one][0].get(key) for one in ids for key in fields[one]}
    slots = aggregates.read_slots(connection, wanted, start_ms, end_ms)
    strip_from_ms = min(_days(house, now_ms)[0][0] for house in houses)
    hours = aggregates.read_hours(
        connection, wanted, strip_from_ms // HOUR_MS * HOUR_MS, end_ms // HOUR_MS * HOUR_MS
    )

    qualities = quality.of_houses(connection, ids, now_ms - QUALITY_DAYS * DAY_MS)
    found = {}
    for house in houses:
        series, standing = standings[house.house_id]
        of_house = fields[house.house_id]
        known_slots = {key: slots[house.house_id, key] for key in of_house}
        reader = ItemReader(
            connection,
            house.house_id,
            known=Known(
                items[house.house_id],
                series,
                standing,
                known_slots,
                excluded[house.house_id],
                start_ms,
                end_ms,
            ),
        )
        of_hours = [hours[house.house_id, key] for key in sorted(of_house)]
        pulse = _pulse(reader, house, now_ms, of_hours, known_openings.get(house.house_id))
        found[house.house_id] = replace(pulse, quality=qualities.get(house.house_id))
    return found


def _pulse(
    reader: ItemReader,
    house: House,
    now_ms: int,
    hours: Sequence[HourAggregates],
    opening: OpeningLedger | None,
) -> Pulse:
    end_ms = now_ms // SLOT_MS * SLOT_MS
    midnight_ms, day_ends_ms = calendar.day_of(now_ms, house.time_zone)
    coverage, days = _coverage(hours, house, now_ms)
    nothing = Pulse(now_ms, day_ends_ms, coverage=coverage, days=days)
    present = [name for name in BALANCE_ITEMS if name in reader.items]
    absent = tuple(name for name in needed_to_check(present) if name not in present)
    start_ms = _needed_from_ms(house, now_ms, opening is not None)
    try:
        means = {name: one.slots for name, one in reader.slots(present, start_ms, end_ms).items()}
    except ItemUnreadable:
        return nothing
    if opening is None:
        ledger = (
            opening_ledger(means, midnight_ms, house.time_zone, load_contains_ev=house.load_contains_ev)
            if "battery_discharging" in means
            else Ledger()
        )
        opening = OpeningLedger(midnight_ms, ledger)
    today = balance(
        means,
        midnight_ms,
        max(midnight_ms, end_ms),
        load_contains_ev=house.load_contains_ev,
        opening=opening.ledger,
    )
    has_load = "load" in means and bool(today.total.attributed)
    load = means.get("load", SlotMeans(end_ms, end_ms, _NONE, _NO_VALUES))
    return Pulse(
        now_ms,
        day_ends_ms,
        today.total.consumption if has_load else None,
        today.total.autarky if has_load else None,
        tuple(name for name, slots in today.missing.items() if slots),
        absent,
        load.series.between(end_ms - DAY_MS, end_ms),
        end_ms - DAY_MS,
        end_ms,
        coverage,
        days,
        opening,
    )


def _needed_from_ms(house: House, now_ms: int, has_opening: bool) -> int:
    midnight_ms, _ = calendar.day_of(now_ms, house.time_zone)
    first_ms = midnight_ms if has_opening else ledger_from_ms(midnight_ms, house.time_zone)
    return min(first_ms, now_ms // SLOT_MS * SLOT_MS - DAY_MS)


def _days(house: House, now_ms: int) -> list[tuple[int, int]]:
    days = calendar.days(now_ms - (STRIP_DAYS + 1) * DAY_MS, now_ms + 1, house.time_zone)
    return days[-STRIP_DAYS:]


def _coverage(
    hours: Sequence[HourAggregates], house: House, now_ms: int
) -> tuple[float | None, tuple[float | None, ...]]:
    """Of the last week, and of each day, of the hours that began in it."""
    end_ms = now_ms // HOUR_MS * HOUR_MS
    days = _days(house, now_ms)
    first = days[0][0] // HOUR_MS * HOUR_MS
    every = np.arange(first, end_ms, HOUR_MS, dtype=np.int64)
    covered, expected = np.zeros((2, len(every)))
    if any(len(one.starts) for one in hours):
        for one in hours:
            inside = (one.starts >= first) & (one.starts < end_ms)
            covered[(one.starts[inside] - first) // HOUR_MS] += one.covered[inside]
            # One that began within the time is expected from then on, one of which nothing came all the time.
            since = int(one.starts[0]) if len(one.starts) else first
            expected[every >= since] += SLOTS_PER_HOUR
    parts = tuple(_share(covered, expected, (every >= start) & (every < end)) for start, end in days)
    return _share(covered, expected, every >= end_ms - QUALITY_DAYS * DAY_MS), parts


def _share(
    covered: NDArray[np.float64], expected: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> float | None:
    of = float(expected[chosen].sum())
    return float(covered[chosen].sum()) / of if of else None


def next_houses(
    wanted: Collection[int], on_screen: Collection[int], read_ms: Mapping[int, int], now_ms: int, most: int
) -> list[int]:
    """Whose pulse is to be read next: what is on screen first, and of it what was never read, then the oldest; the others
    when they are not. What is fresh is left."""

    def due(house_id: int) -> bool:
        limit_ms = FRESH_MS if house_id in on_screen else SPARE_MS
        return house_id not in read_ms or now_ms - read_ms[house_id] >= limit_ms

    waiting = [
        house_id for house_id in dict.fromkeys((*on_screen, *wanted)) if house_id in wanted and due(house_id)
    ]
    waiting.sort(key=lambda house_id: (house_id not in on_screen, read_ms.get(house_id, -1)))
    return waiting[:most]
