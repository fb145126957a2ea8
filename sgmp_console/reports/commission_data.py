"""What a commissioning check looks at, read from the analytic items of a house."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sgmp_console import store
from sgmp_console.quality.commissioning import FLOWS, Outcome, Recorded, Verdict, commission
from sgmp_console.reports import periods
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_values import ItemSlots, ItemUnreadable
from sgmp_console.store import Database, standings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, calendar, snap
from sgmp_console.timeseries.clear_sky import irradiance

_ITEMS = {"grid": "gridpower"}
"""The item that a flow is, where it has another name."""

_VOLTAGES = ("l1_voltage", "l2_voltage")
_FREQUENCIES = ("l1_frequency",)


def check(database: Database, house_id: int, period: str, now_ms: int) -> list[Verdict]:
    """The verdicts on a period. How many say that something is wrong is kept, where the account may manage houses. Raises as
    `read`."""
    verdicts = commission(read(database, house_id, period, now_ms))
    found = Counter(verdict.outcome for verdict in verdicts)
    with database.begin() as connection:
        standings.note_wiring(
            connection, house_id, wrong=found[Outcome.WRONG], unknown=found[Outcome.UNKNOWN]
        )
    return verdicts


def read(database: Database, house_id: int, period: str, now_ms: int) -> Recorded:
    """Of a period in words (`periods.parse`), up to the last slot that is over. Raises UserError for a house or period that there
    is not."""
    with database.begin() as connection:
        house = store.houses.get(connection, house_id)
        span = periods.parse(period, now_ms, house.time_zone)
        passed_ms = now_ms // SLOT_MS * SLOT_MS
        start_ms, end_ms = snap(span.start_ms, max(span.start_ms, min(span.end_ms, passed_ms)))
        reader = ItemReader(connection, house.house_id)
        names = [*(_ITEMS.get(flow, flow) for flow in FLOWS), "soc", *_VOLTAGES, *_FREQUENCIES]
        present = [name for name in names if name in reader.items]
        slots = _readable_slots(reader, present, start_ms, end_ms)
    starts = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)

    def column(name: str) -> NDArray[np.float64] | None:
        if name not in present:
            return None
        values = np.full(len(starts), np.nan)
        if name in slots:
            covered = slots[name].slots
            values[(covered.starts - start_ms) // SLOT_MS] = covered.means
        return values

    def columns(names: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        return {name: values for name in names if (values := column(_ITEMS.get(name, name))) is not None}

    offset = calendar.local((start_ms + end_ms) // 2, house.time_zone).utcoffset()
    place = house.place
    return Recorded(
        starts,
        columns(FLOWS),
        column("soc"),
        columns(_VOLTAGES),
        columns(_FREQUENCIES),
        None if place is None else irradiance(starts, place.latitude, place.longitude),
        None if place is None else place.longitude,
        0.0 if offset is None else offset.total_seconds() * 1000 / HOUR_MS,
        house.load_contains_ev,
    )


def _readable_slots(
    reader: ItemReader, names: Sequence[str], start_ms: int, end_ms: int
) -> Mapping[str, ItemSlots]:
    """Without items whose formulas can't be read: they have no values."""
    wanted = list(names)
    while True:
        try:
            return reader.slots(wanted, start_ms, end_ms)
        except ItemUnreadable as error:
            wanted.remove(error.name)
