"""How an analytic item's numbers are read: the one place that decides between aggregates and raw readings.

A formula that is exact on aggregates is read from them as soon as all its fields have them (the item's own flag asked
for that, or another item's). What they can't vouch for is read raw: formulas that are not exact, slots in which the
timestamps of several series differ, and what is not populated yet. Both ways give the same numbers. Only where the raw
readings of such a part are gone are its slots computed from the means of its fields, and called approximate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.formula import (
    DeviceIdentifier,
    EventIdentifier,
    FormulaError,
    LinearForm,
    SourceIdentifier,
    evaluate_items,
    event_series,
    inlined,
    parse,
    unreadable,
)
from sgmp_console.reports.item_source import ALWAYS, Route, Source
from sgmp_console.reports.item_values import (
    ItemExtremes,
    ItemHours,
    ItemSlots,
    ItemUnreadable,
    missing_item,
    of_raw,
    wider,
)
from sgmp_console.reports.slot_arrays import (
    NO_HOURS,
    joined_hours,
    joined_slots,
    only_hours,
    outside,
    runs,
    whole_hours,
    without_hours,
)
from sgmp_console.retention import MIN_RAW_RETENTION_MS
from sgmp_console.store import (
    AnalyticItem,
    FieldKey,
    SeriesIds,
    aggregates,
    analytics,
    events,
    notes,
    readings,
    series_of,
)
from sgmp_console.store.aggregates import Standing
from sgmp_console.timeseries import (
    HOUR_MS,
    SLOT_MS,
    Excluded,
    HourAggregates,
    HourMeans,
    Series,
    SlotAggregates,
    SlotMeans,
    extremes,
    slot_means,
    snap,
)

_MAX_COUNTED_SLOTS_MS = 32 * 24 * HOUR_MS
_MAX_COUNTED_RAW_MS = 50 * HOUR_MS
"""A day with a clock change, twice: more is not read only to be counted."""


@dataclass(frozen=True, eq=False)
class Known:
    """What was read of a house along with others: its items, how its series stand, the slots of some of its fields in
    [start_ms, end_ms), and what notes exclude."""

    items: Sequence[AnalyticItem]
    series: SeriesIds
    standing: Standing
    slots: Mapping[FieldKey, SlotAggregates]
    excluded: Excluded
    start_ms: int
    end_ms: int


@dataclass(eq=False)
class ItemReader:
    """Reads items of one house within one transaction, each field fetched once per call.

    Ranges are half-open, UTC ms, and snap to slots. In slots that a note excludes no item has a value, on any way to a
    number; the readings there stay as they are, so that what is included again is what it was. Raises ItemUnreadable for
    an item that the house does not have or whose formula can't be evaluated.
    """

    connection: sa.Connection
    house_id: int
    also: Sequence[AnalyticItem] = ()
    """Items that are not stored, read as if the house had them."""
    known: Known | None = None
    """What need not be read again."""

    @cached_property
    def items(self) -> Mapping[str, AnalyticItem]:
        known = self.known
        stored = known.items if known else analytics.list_all(self.connection, self.house_id)
        return {item.name: item for item in (*stored, *self.also)}

    @cached_property
    def _formulas(self) -> Mapping[str, str]:
        return {name: item.formula for name, item in self.items.items()}

    @cached_property
    def _standing(self) -> Standing:
        if self.known is not None:
            return self.known.standing
        return aggregates.standing(self.connection, self.house_id, series=self._series)

    @cached_property
    def _series(self) -> SeriesIds:
        return self.known.series if self.known is not None else series_of(self.connection, self.house_id)

    @cached_property
    def excluded(self) -> Excluded:
        """The times of the house that notes exclude."""
        if self.known is not None:
            return self.known.excluded
        return notes.excluded(self.connection, [self.house_id])[self.house_id]

    @property
    def raw_from_ms(self) -> int:
        """Raw readings before this may be gone, and will not come back."""
        kept_from = self._standing.raw_kept_from_ms
        return ALWAYS if kept_from is None else kept_from

    @property
    def series(self) -> Collection[FieldKey]:
        """The fields of which the house has readings."""
        return self._series

    def aggregated_fields(self, name: str) -> Collection[FieldKey]:
        """The fields whose aggregates an item is read from; none where it needs raw readings or can't be evaluated."""
        try:
            route = self._route(name)
        except ItemUnreadable:
            return ()
        return frozenset(route.fields.values()) if route.exact_from_ms is not None else ()

    def devices_of(self, name: str) -> frozenset[str]:
        """The devices whose fields an item reads; none where it reads events or can't be evaluated."""
        try:
            return frozenset(device for device, _ in self._route(name).fields.values())
        except ItemUnreadable:
            return frozenset()

    def field_slots(
        self, fields: Collection[FieldKey], start_ms: int, end_ms: int
    ) -> dict[FieldKey, SlotAggregates]:
        """The aggregates of fields, as they are stored; empty where there are none."""
        return aggregates.read_slots(self.connection, self._ids(fields), start_ms, end_ms)

    def _ids(self, fields: Collection[FieldKey]) -> dict[FieldKey, int | None]:
        return {key: self._series.get(key) for key in fields}

    # --- Slots -------------------------------------------------------------------------------------------------------

    def slots(self, names: Iterable[str], start_ms: int, end_ms: int) -> dict[str, ItemSlots]:
        """The slots of items in a range."""
        start_ms, end_ms = snap(start_ms, end_ms)
        routes = [self._route(name) for name in dict.fromkeys(names)]
        known = self._slot_aggregates(routes, start_ms, end_ms)
        exact = {route.name: self._exact_slots(route, known, start_ms, end_ms) for route in routes}
        raw = self._raw_slots({name: missing for name, (_, missing) in exact.items()})
        found = {}
        for route in routes:
            slots, missing = exact[route.name]
            parts = {Source.AGGREGATES: slots, Source.RAW: raw[route.name]}
            gone = np.setdiff1d(missing[missing < self.raw_from_ms], raw[route.name].starts)
            if route.aggregated and len(gone):
                parts[Source.APPROXIMATE] = _approximate_slots(route, known, gone)
            used = {source for source, part in parts.items() if part.covered}
            slots = joined_slots(parts.values(), start_ms, end_ms)
            found[route.name] = ItemSlots(slots, route.source(used))
        return found

    def _slot_aggregates(
        self, routes: Collection[Route], start_ms: int, end_ms: int
    ) -> Mapping[FieldKey, SlotAggregates]:
        """Of all fields that some route may need, over all that its averages reach."""
        # A formula that is not exact needs them only where raw readings are gone.
        ends = {
            route: end_ms if route.exact_from_ms is not None else min(self.raw_from_ms, end_ms)
            for route in routes
            if route.aggregated
        }
        reach = [route.formula.reach(start_ms, end) for route, end in ends.items() if start_ms < end]
        fields = {key for route, end in ends.items() if start_ms < end for key in route.fields.values()}
        if not fields:
            return {}
        first, last = snap(min(one[0] for one in reach), max(one[1] for one in reach))
        known = self.known
        if known and known.start_ms <= first and last <= known.end_ms and fields <= known.slots.keys():
            return known.slots
        return self.field_slots(fields, first, last)

    def _exact_slots(
        self, route: Route, known: Mapping[FieldKey, SlotAggregates], start_ms: int, end_ms: int
    ) -> tuple[SlotMeans, NDArray[np.int64]]:
        """The slots that aggregates vouch for, and the starts of those that are to be read raw."""
        every = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
        every = every[~self.excluded.holds(every)]
        if route.exact_from_ms is None or not len(every):
            return SlotMeans(start_ms, end_ms, every[:0], np.empty(0)), every
        by_name = {name: known[key] for name, key in route.fields.items()}
        means, unsure = route.formula.slot_means(by_name, start_ms, end_ms)
        # Not populated yet. What lost its raw readings before will never be counted better than it is.
        is_known = np.isin(every, means.starts, assume_unique=True)
        waiting = every[(every < route.exact_from_ms) & ((every >= self.raw_from_ms) | ~is_known)]
        sure = np.isin(means.starts, waiting, assume_unique=True, invert=True)
        sure &= ~self.excluded.holds(means.starts)
        return (
            SlotMeans(start_ms, end_ms, means.starts[sure], means.means[sure]),
            np.union1d(waiting, unsure[~self.excluded.holds(unsure)]),
        )

    # --- Hours -------------------------------------------------------------------------------------------------------

    def hours(
        self, names: Iterable[str], start_ms: int, end_ms: int, *, origin_ms: int = 0
    ) -> dict[str, ItemHours]:
        """The hours of items in a range, counted from `origin_ms`: the house's midnight, where its zone is off by
        half an hour."""
        start_ms, end_ms = snap(start_ms, end_ms)
        routes = [self._route(name) for name in dict.fromkeys(names)]
        inner_start, inner_end = whole_hours(start_ms, end_ms)
        forms = {
            route.name: route.formula.linear
            for route in routes
            if origin_ms % HOUR_MS == 0 and inner_start < inner_end and route.is_complete_from(inner_start)
        }
        fields = {key for route in routes if forms.get(route.name) for key in route.fields.values()}
        known = self._hour_aggregates(fields, inner_start, inner_end)
        exact: dict[str, HourMeans] = {}
        rest: dict[tuple[int, int], list[str]] = {}
        for route in routes:
            parts = [(start_ms, end_ms)]
            if form := forms.get(route.name):
                by_name = {name: known[key] for name, key in route.fields.items()}
                hours_of, unsure = form.hour_means(by_name, inner_start, inner_end)
                exact[route.name] = only_hours(hours_of, ~self.excluded.touches(hours_of.starts, HOUR_MS))
                unsure = np.union1d(unsure, self.excluded.parted_hours(inner_start, inner_end))
                parts = [*outside(start_ms, end_ms, inner_start, inner_end), *runs(unsure, HOUR_MS)]
            for part in parts:
                rest.setdefault(part, []).append(route.name)
        pieces = {route.name: [(Source.AGGREGATES, exact.get(route.name, NO_HOURS))] for route in routes}
        for (first, last), parted in rest.items():
            for name, one in self.slots(parted, first, last).items():
                pieces[name].append(
                    (one.source, without_hours(one.slots.hours(origin_ms), pieces[name][0][1]))
                )
        found = {}
        for route in routes:
            used = {source for source, hours in pieces[route.name] if len(hours.starts)}
            hours = joined_hours([hours for _, hours in pieces[route.name]])
            found[route.name] = ItemHours(start_ms, end_ms, hours, route.source(used))
        return found

    def _hour_aggregates(
        self, fields: Collection[FieldKey], start_ms: int, end_ms: int
    ) -> Mapping[FieldKey, HourAggregates]:
        """Of whole hours, each field read once: a report asks for curves, peaks and sums of the same range."""
        known = self._hours_known.setdefault((start_ms, end_ms), {})
        if missing := set(fields) - known.keys():
            known |= aggregates.read_hours(self.connection, self._ids(missing), start_ms, end_ms)
        return known

    @cached_property
    def _hours_known(self) -> dict[tuple[int, int], dict[FieldKey, HourAggregates]]:
        return {}

    # --- Extremes ----------------------------------------------------------------------------------------------------

    def extremes(self, name: str, start_ms: int, end_ms: int) -> ItemExtremes | None:
        """The extremes of an item's raw values in a range; None if it has none."""
        start_ms, end_ms = snap(start_ms, end_ms)
        route = self._route(name)
        form = route.formula.linear
        if form is not None and form.direction is not None and route.is_complete_from(start_ms):
            parts = self._extreme_parts(route, start_ms, end_ms)
            if all(part.in_bounds.all() for _, part in parts):
                return self._aggregated_extremes(route, form, parts)
        series = self.values([name], start_ms, end_ms)[name]
        found = extremes(series)
        raw = None if found is None else of_raw(found)
        gone_to = min(self.raw_from_ms, end_ms)
        if not route.aggregated or gone_to <= start_ms:
            return raw
        means = self.slots([name], start_ms, gone_to)[name].slots.series
        lost = np.isin(means.timestamps, series.timestamps // SLOT_MS * SLOT_MS, invert=True)
        return wider(raw, extremes(Series(means.timestamps[lost], means.values[lost])))

    def _extreme_parts(
        self, route: Route, start_ms: int, end_ms: int
    ) -> list[tuple[int, SlotAggregates | HourAggregates]]:
        """The aggregates of the route's only field: its whole hours, and slots at the ends and in hours of which a part is
        excluded; each with its length."""
        (key,) = route.fields.values()
        inner_start, inner_end = whole_hours(start_ms, end_ms)
        parts: list[tuple[int, SlotAggregates | HourAggregates]] = []
        parted = np.empty(0, np.int64)
        if inner_start < inner_end:
            parted = self.excluded.parted_hours(inner_start, inner_end)
            hours = self._hour_aggregates([key], inner_start, inner_end)[key]
            parts.append((HOUR_MS, hours.only(~self.excluded.touches(hours.starts, HOUR_MS))))
        for first, last in runs(parted, HOUR_MS):
            slots = self.field_slots([key], first, last)[key]
            parts.append((SLOT_MS, slots.only(np.isin(slots.starts // HOUR_MS * HOUR_MS, parted))))
        for first, last in outside(start_ms, end_ms, inner_start, inner_end):
            parts.append((SLOT_MS, self.field_slots([key], first, last)[key]))
        return [
            (
                length,
                part.only(~self.excluded.holds(part.starts)) if isinstance(part, SlotAggregates) else part,
            )
            for length, part in parts
        ]

    def _aggregated_extremes(
        self, route: Route, form: LinearForm, parts: Sequence[tuple[int, SlotAggregates | HourAggregates]]
    ) -> ItemExtremes | None:
        starts = np.concatenate([part.starts for _, part in parts] or [np.empty(0, np.int64)])
        if not len(starts):
            return None
        # In order of time, so that of equals the first is found.
        order = np.argsort(starts)
        lengths = np.concatenate([np.full(len(part.starts), length) for length, part in parts])[order]
        bounds = form.extremes(
            np.concatenate([part.minima for _, part in parts])[order],
            np.concatenate([part.maxima for _, part in parts])[order],
        )
        if bounds is None:
            raise AssertionError("a form with a direction has extremes")
        least, greatest = int(np.argmin(bounds[0])), int(np.argmax(bounds[1]))
        places = [(int(starts[order][one]), int(lengths[one])) for one in (least, greatest)]
        minimum, minimum_ms = self._reached(route.name, float(bounds[0][least]), *places[0])
        maximum, maximum_ms = self._reached(route.name, float(bounds[1][greatest]), *places[1])
        return ItemExtremes(
            minimum,
            minimum_ms,
            places[0][0] // HOUR_MS * HOUR_MS,
            maximum,
            maximum_ms,
            places[1][0] // HOUR_MS * HOUR_MS,
            Source.AGGREGATES,
        )

    def _reached(self, name: str, value: float, start_ms: int, length_ms: int) -> tuple[float, int | None]:
        """An extreme of a slot or an hour as the raw values have it, and when it was first reached.

        No time where its raw reading is gone, whatever the retention says and whatever came late.
        """
        series = self._raw([name], start_ms, start_ms + length_ms)[name]
        if not len(series):
            return value, None
        nearest = int(np.argmin(np.abs(series.values - value)))  # the first of equals
        if not math.isclose(series.values[nearest], value, rel_tol=1e-9):
            return value, None
        return float(series.values[nearest]), int(series.timestamps[nearest])

    def bands(
        self, name: str, starts: NDArray[np.int64], step_ms: int, start_ms: int, end_ms: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The least and the greatest raw value in each of the slots or hours of [start_ms, end_ms) that begin at `starts`.

        NaN where aggregates don't know them, as of hours of which a part is excluded; None where they never do: formulas of several series, or that turn round.
        """
        route = self._route(name)
        form = route.formula.linear
        if form is None or form.direction is None or not route.is_complete_from(start_ms):
            return None
        (key,) = route.fields.values()
        if step_ms == HOUR_MS and not (starts % HOUR_MS).any():
            inner = whole_hours(start_ms, end_ms)
            known: SlotAggregates | HourAggregates = self._hour_aggregates([key], *inner)[key]
            step_of = known.starts
        else:
            known = self.field_slots([key], *snap(start_ms, end_ms))[key]
            step_of = (
                starts[np.searchsorted(starts, known.starts, side="right") - 1] if len(starts) else starts
            )
        lows, highs = np.full((2, len(starts)), np.nan)
        found = form.extremes(known.minima, known.maxima)
        if found is not None and len(starts):
            at = np.searchsorted(starts, step_of)
            inside = known.in_bounds & (at < len(starts))
            length_ms = HOUR_MS if isinstance(known, HourAggregates) else SLOT_MS
            inside &= ~self.excluded.touches(known.starts, length_ms)
            inside &= (starts[np.minimum(at, len(starts) - 1)] == step_of) & (known.starts >= step_of)
            inside &= known.starts < step_of + step_ms
            np.fmin.at(lows, at[inside], found[0][inside])
            np.fmax.at(highs, at[inside], found[1][inside])
        return lows, highs

    def value_counts(self, name: str, start_ms: int, end_ms: int) -> NDArray[np.int64] | None:
        """How many values the item has in each of its covered slots; None where too much would have to be read."""
        route = self._route(name)
        length_ms = end_ms - start_ms
        if route.formula.linear is not None and route.is_complete_from(start_ms):
            if length_ms > _MAX_COUNTED_SLOTS_MS or not length_ms:
                return None
            known = self._slot_aggregates([route], start_ms, end_ms)
            fields = [known[key] for key in dict.fromkeys(route.fields.values())]
            starts = fields[0].starts
            for one in fields[1:]:
                starts = np.intersect1d(starts, one.starts, assume_unique=True)
            starts = starts[~self.excluded.holds(starts)]
            counts: NDArray[np.int64] = np.minimum.reduce(
                [one.n[np.isin(one.starts, starts)] for one in fields]
            )
            return counts
        if not route.fields or length_ms > _MAX_COUNTED_RAW_MS:
            return None
        slots = self.values([name], start_ms, end_ms)[name].timestamps // SLOT_MS
        return np.unique(slots, return_counts=True)[1].astype(np.int64)

    # --- Raw readings ------------------------------------------------------------------------------------------------

    def values(self, names: Iterable[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        """The raw values of items in the range, which does not snap."""
        found = self._raw(list(dict.fromkeys(names)), start_ms, end_ms)
        return {name: self._counted(series) for name, series in found.items()}

    def _counted(self, series: Series) -> Series:
        """The values but those of excluded slots."""
        kept = ~self.excluded.holds(series.timestamps)
        return series if kept.all() else Series(series.timestamps[kept], series.values[kept])

    def _raw(self, names: Collection[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        for name in names:
            self._item(name)
        result = evaluate_items(names, self._formulas, start_ms, end_ms, self.load)
        for name, error in result.errors.items():
            raise ItemUnreadable(name, unreadable(name, error))
        return dict(result.series)

    def _raw_slots(self, wanted: Mapping[str, NDArray[np.int64]]) -> dict[str, SlotMeans]:
        """The given slots of items (ascending starts), read in few ranges."""
        pieces: dict[str, list[SlotMeans]] = {name: [] for name in wanted}
        ranges: dict[tuple[int, int], list[str]] = {}
        for name, starts in wanted.items():
            for one in runs(starts, SLOT_MS):
                ranges.setdefault(one, []).append(name)
        for (first, last), names in ranges.items():
            for name, series in self._raw(names, first, last).items():
                means = slot_means(series, first, last)
                keep = np.isin(means.starts, wanted[name], assume_unique=True)
                pieces[name].append(SlotMeans(first, last, means.starts[keep], means.means[keep]))
        return {name: joined_slots(parts, 0, 0) for name, parts in pieces.items()}

    def load(
        self, sources: frozenset[SourceIdentifier], start_ms: int, end_ms: int
    ) -> Mapping[SourceIdentifier, Series]:
        """What device and event identifiers stand for in the range, which does not snap; for `evaluate_items`."""
        fields = [one for one in sources if isinstance(one, DeviceIdentifier)]
        of_events = [one for one in sources if isinstance(one, EventIdentifier)]
        keys = [(one.device, one.field) for one in fields]
        found = self._readings(keys, start_ms, end_ms) if keys else {}
        series: dict[SourceIdentifier, Series] = {one: found[one.device, one.field] for one in fields}
        if of_events:
            happened = events.read(self.connection, self.house_id, start_ms, end_ms)
            series |= {one: event_series(one, happened) for one in of_events}
        return series

    def _readings(self, keys: Collection[FieldKey], start_ms: int, end_ms: int) -> Mapping[FieldKey, Series]:
        """Without what is left of a slot of which more had been stored: earlier versions stored late readings in slots
        whose others had been dropped."""
        if start_ms >= time.time() * 1000 - MIN_RAW_RETENTION_MS or start_ms >= self.raw_from_ms:
            return readings.read(self.connection, self.house_id, keys, start_ms, end_ms, series=self._series)
        first, last = snap(start_ms, end_ms)
        found = readings.read(self.connection, self.house_id, keys, first, last, series=self._series)
        gone_to = min(self.raw_from_ms, last)
        behind = [key for key, series in found.items() if len(series) and series.timestamps[0] < gone_to]
        for key, slots in self.field_slots(behind, *snap(first, gone_to)).items():
            found[key] = _whole_slots(found[key], slots)
        return {key: series.between(start_ms, end_ms) for key, series in found.items()}

    # --- Routes ------------------------------------------------------------------------------------------------------

    def _route(self, name: str) -> Route:
        if name not in self._routes:
            self._routes[name] = self._found_route(name)
        return self._routes[name]

    @cached_property
    def _routes(self) -> dict[str, Route]:
        return {}

    def _item(self, name: str) -> AnalyticItem:
        item = self.items.get(name)
        if item is None:
            raise ItemUnreadable(name, missing_item(name))
        return item

    def _found_route(self, name: str) -> Route:
        try:
            formula = inlined(parse(self._item(name).formula), self._formulas)
        except FormulaError as error:
            raise ItemUnreadable(name, unreadable(name, error)) from error
        return Route.of(name, formula, self._standing.complete_from_ms)


def _whole_slots(series: Series, slots: SlotAggregates) -> Series:
    """The readings but those of slots for which more were counted than there are."""
    of_slot = series.timestamps // SLOT_MS * SLOT_MS
    present, counts = np.unique(of_slot, return_counts=True)
    _, here, there = np.intersect1d(present, slots.starts, assume_unique=True, return_indices=True)
    incomplete = present[here][counts[here] < slots.n[there]]
    if not len(incomplete):
        return series
    whole = np.isin(of_slot, incomplete, invert=True)
    return Series(series.timestamps[whole], series.values[whole])


def _approximate_slots(
    route: Route, known: Mapping[FieldKey, SlotAggregates], starts: NDArray[np.int64]
) -> SlotMeans:
    """The formula of its fields' slot means, in the given slots (ascending)."""
    first, last = int(starts[0]), int(starts[-1]) + SLOT_MS
    with np.errstate(over="ignore", invalid="ignore"):
        means = {
            name: Series(known[key].starts, known[key].sums / known[key].n)
            for name, key in route.fields.items()
        }
    found = slot_means(route.formula.evaluate(means), first, last)
    keep = np.isin(found.starts, starts, assume_unique=True)
    return SlotMeans(first, last, found.starts[keep], found.means[keep])
