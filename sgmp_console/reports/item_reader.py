"""How an analytic item's numbers are read: the one place that decides between aggregates and raw readings.

A formula that is exact on aggregates is read from them as soon as all its fields have them (the item's own flag asked
for that, or another item's). What they can't vouch for is read raw: formulas that are not exact, slots in which the
timestamps of several series differ, and what is not populated yet. Both ways give the same numbers. Only where the raw
readings of such a part are gone are its slots computed from the means of its fields, and called approximate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.errors import UserError
from sgmp_console.formula import (
    DeviceIdentifier,
    EventIdentifier,
    Formula,
    FormulaError,
    LinearForm,
    evaluate_items,
    event_series,
    inlined,
    parse,
)
from sgmp_console.formula.items import SourceIdentifier
from sgmp_console.store import (
    AnalyticItem,
    FieldKey,
    SeriesIds,
    aggregates,
    analytics,
    events,
    readings,
    series_of,
)
from sgmp_console.store.aggregates import Standing
from sgmp_console.timeseries.aggregates import HourAggregates, SlotAggregates
from sgmp_console.timeseries.series import Series
from sgmp_console.timeseries.slots import (
    HOUR_MS,
    SLOT_MS,
    Extremes,
    HourMeans,
    SlotMeans,
    extremes,
    slot_means,
    snap,
)


class Source(Enum):
    """What numbers were computed from. The value is the badge shown to operators and written into exports."""

    AGGREGATES = "Aggregates"
    RAW = "Raw readings"
    MIXED = "Aggregates and raw readings"
    APPROXIMATE = "Approximate"

    @property
    def explanation(self) -> str:
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Source.AGGREGATES: "Computed from continuous aggregates, which for this formula is exact.",
    Source.RAW: "Computed from every reading.",
    Source.MIXED: "Computed from continuous aggregates where they are exact, from every reading elsewhere.",
    Source.APPROXIMATE: (
        "The raw readings of a part of this time are no longer kept, and the formula can't be computed exactly from "
        "what is: there it was computed from five-minute means."
    ),
}


@dataclass(frozen=True, eq=False)
class ItemSlots:
    """The slots of an item, and what they were computed from."""

    slots: SlotMeans
    source: Source


@dataclass(frozen=True, eq=False)
class ItemHours:
    """The hours of an item in [start_ms, end_ms), and what they were computed from."""

    start_ms: int
    end_ms: int
    hours: HourMeans
    source: Source

    @property
    def mean(self) -> float | None:
        return self.hours.mean

    @property
    def energy_kwh(self) -> float | None:
        return self.hours.energy_kwh

    @property
    def coverage(self) -> float | None:
        """Covered slots / all slots, 0 to 1."""
        count = (self.end_ms - self.start_ms) // SLOT_MS
        return float(self.hours.covered.sum()) / count if count else None


@dataclass(frozen=True)
class ItemExtremes:
    """The least and greatest raw value of an item, each with the first time (UTC ms) it was reached.

    The times are None where the raw readings are gone; then the value lies in the hour that begins at
    `minimum_hour_ms` or `maximum_hour_ms`. Approximate ones are those of five-minute means: the raw ones were wider.
    """

    minimum: float
    minimum_ms: int | None
    minimum_hour_ms: int
    maximum: float
    maximum_ms: int | None
    maximum_hour_ms: int
    source: Source


class ItemUnreadable(UserError):
    """The item can't be evaluated; the sentence says why."""


@dataclass(frozen=True, eq=False)
class _Route:
    """What an item can be read from."""

    name: str
    formula: Formula
    """With the items it mentions written out."""
    fields: Mapping[str, FieldKey]
    """Identifier as written -> the field it names; empty where events are among them."""
    aggregated: bool
    """Whether all its fields have aggregates."""
    exact_from_ms: int | None
    """From here on aggregates give its numbers; None if they never do."""


@dataclass(eq=False)
class ItemReader:
    """Reads items of one house within one transaction, each field fetched once per call.

    Ranges are half-open, UTC ms, and snap to slots. Raises ItemUnreadable for an item that the house lacks or whose
    formula can't be evaluated.
    """

    connection: sa.Connection
    house_id: int

    @cached_property
    def items(self) -> Mapping[str, AnalyticItem]:
        return {item.name: item for item in analytics.list_all(self.connection, self.house_id)}

    @cached_property
    def _formulas(self) -> Mapping[str, str]:
        return {name: item.formula for name, item in self.items.items()}

    @cached_property
    def _standing(self) -> Standing:
        return aggregates.standing(self.connection, self.house_id, series=self._series)

    @cached_property
    def _series(self) -> SeriesIds:
        return series_of(self.connection, self.house_id)

    @property
    def _raw_from_ms(self) -> int:
        """Raw readings before this may be gone, and will not come back."""
        kept_from = self._standing.raw_kept_from_ms
        return _ALWAYS if kept_from is None else kept_from

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
            gone = np.setdiff1d(missing[missing < self._raw_from_ms], raw[route.name].starts)
            if route.aggregated and len(gone):
                parts[Source.APPROXIMATE] = _approximate_slots(route, known, gone)
            used = {source for source, part in parts.items() if part.covered}
            joined = _joined(parts.values(), start_ms, end_ms)
            found[route.name] = ItemSlots(joined, _source(used, route))
        return found

    def _slot_aggregates(
        self, routes: Collection[_Route], start_ms: int, end_ms: int
    ) -> Mapping[FieldKey, SlotAggregates]:
        """Of all fields that some route may need, over all that its averages reach."""
        # A formula that is not exact needs them only where raw readings are gone.
        ends = {
            route: end_ms if route.exact_from_ms is not None else min(self._raw_from_ms, end_ms)
            for route in routes
            if route.aggregated
        }
        reach = [route.formula.reach(start_ms, end) for route, end in ends.items() if start_ms < end]
        fields = {key for route, end in ends.items() if start_ms < end for key in route.fields.values()}
        if not fields:
            return {}
        first, last = snap(min(one[0] for one in reach), max(one[1] for one in reach))
        return aggregates.read_slots(self.connection, self.house_id, fields, first, last, series=self._series)

    def _exact_slots(
        self, route: _Route, known: Mapping[FieldKey, SlotAggregates], start_ms: int, end_ms: int
    ) -> tuple[SlotMeans, NDArray[np.int64]]:
        """The slots that aggregates vouch for, and the starts of those that are to be read raw."""
        every = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
        if route.exact_from_ms is None or not len(every):
            return SlotMeans(start_ms, end_ms, every[:0], np.empty(0)), every
        by_name = {name: known[key] for name, key in route.fields.items()}
        means, unsure = route.formula.slot_means(by_name, start_ms, end_ms)
        # Not populated yet. What lost its raw readings before will never be counted better than it is.
        waiting = every[(every >= self._raw_from_ms) & (every < route.exact_from_ms)]
        sure = np.isin(means.starts, waiting, assume_unique=True, invert=True)
        return (
            SlotMeans(start_ms, end_ms, means.starts[sure], means.means[sure]),
            np.union1d(waiting, unsure),
        )

    # --- Hours -------------------------------------------------------------------------------------------------------

    def hours(
        self, names: Iterable[str], start_ms: int, end_ms: int, *, origin_ms: int = 0
    ) -> dict[str, ItemHours]:
        """The hours of items in a range, counted from `origin_ms`: the house's midnight, where its zone is off by
        half an hour."""
        start_ms, end_ms = snap(start_ms, end_ms)
        routes = [self._route(name) for name in dict.fromkeys(names)]
        inner_start, inner_end = _whole_hours(start_ms, end_ms)
        forms = {
            route.name: route.formula.linear
            for route in routes
            if origin_ms % HOUR_MS == 0 and inner_start < inner_end and _complete(route, inner_start)
        }
        fields = {key for route in routes if forms.get(route.name) for key in route.fields.values()}
        known = self._hour_aggregates(fields, inner_start, inner_end)
        exact: dict[str, HourMeans] = {}
        rest: dict[tuple[int, int], list[str]] = {}
        for route in routes:
            parts = [(start_ms, end_ms)]
            if form := forms.get(route.name):
                by_name = {name: known[key] for name, key in route.fields.items()}
                exact[route.name], unsure = form.hour_means(by_name, inner_start, inner_end)
                parts = [*_outside(start_ms, end_ms, inner_start, inner_end), *_runs(unsure, HOUR_MS)]
            for part in parts:
                rest.setdefault(part, []).append(route.name)
        pieces = {route.name: [(Source.AGGREGATES, exact.get(route.name, _NO_HOURS))] for route in routes}
        for (first, last), parted in rest.items():
            for name, one in self.slots(parted, first, last).items():
                pieces[name].append((one.source, _except(one.slots.hours(origin_ms), pieces[name][0][1])))
        found = {}
        for route in routes:
            used = {source for source, hours in pieces[route.name] if len(hours.starts)}
            hours = _joined_hours([hours for _, hours in pieces[route.name]])
            found[route.name] = ItemHours(start_ms, end_ms, hours, _source(used, route))
        return found

    def _hour_aggregates(
        self, fields: Collection[FieldKey], start_ms: int, end_ms: int
    ) -> Mapping[FieldKey, HourAggregates]:
        """Of whole hours, each field read once: a report asks for curves, peaks and sums of the same range."""
        known = self._hours_known.setdefault((start_ms, end_ms), {})
        if missing := set(fields) - known.keys():
            known |= aggregates.read_hours(
                self.connection, self.house_id, missing, start_ms, end_ms, series=self._series
            )
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
        if form is not None and form.direction is not None and _complete(route, start_ms):
            return self._aggregated_extremes(route, form, start_ms, end_ms)
        series = self._raw([name], start_ms, end_ms)[name]
        found = extremes(series)
        raw = None if found is None else _of_raw(found)
        gone_to = min(self._raw_from_ms, end_ms)
        if not route.aggregated or gone_to <= start_ms:
            return raw
        means = self.slots([name], start_ms, gone_to)[name].slots.series
        lost = np.isin(means.timestamps, series.timestamps // SLOT_MS * SLOT_MS, invert=True)
        return _wider(raw, extremes(Series(means.timestamps[lost], means.values[lost])))

    def _aggregated_extremes(
        self, route: _Route, form: LinearForm, start_ms: int, end_ms: int
    ) -> ItemExtremes | None:
        (key,) = route.fields.values()
        inner_start, inner_end = _whole_hours(start_ms, end_ms)
        parts: list[tuple[int, SlotAggregates | HourAggregates]] = []
        if inner_start < inner_end:
            parts.append((HOUR_MS, self._hour_aggregates([key], inner_start, inner_end)[key]))
        for first, last in _outside(start_ms, end_ms, inner_start, inner_end):
            slots = aggregates.read_slots(
                self.connection, self.house_id, [key], first, last, series=self._series
            )
            parts.append((SLOT_MS, slots[key]))
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
        at_least, at_greatest = (self._within(route.name, start, length) for start, length in places)
        return ItemExtremes(
            at_least.minimum if at_least else float(bounds[0][least]),
            at_least.minimum_ms if at_least else None,
            places[0][0] // HOUR_MS * HOUR_MS,
            at_greatest.maximum if at_greatest else float(bounds[1][greatest]),
            at_greatest.maximum_ms if at_greatest else None,
            places[1][0] // HOUR_MS * HOUR_MS,
            Source.AGGREGATES,
        )

    def _within(self, name: str, start_ms: int, length_ms: int) -> Extremes | None:
        """The extremes of a slot or an hour with their times, if its raw readings are there."""
        if start_ms < self._raw_from_ms:
            return None
        return extremes(self._raw([name], start_ms, start_ms + length_ms)[name])

    # --- Raw readings ------------------------------------------------------------------------------------------------

    def values(self, names: Iterable[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        """The raw values of items in the range, which does not snap."""
        return self._raw(list(dict.fromkeys(names)), start_ms, end_ms)

    def _raw(self, names: Collection[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        for name in names:
            self._item(name)
        result = evaluate_items(names, self._formulas, start_ms, end_ms, self.load)
        for name, error in result.errors.items():
            raise ItemUnreadable(f"`{name}` can't be evaluated: {error.message}.")
        return dict(result.series)

    def _raw_slots(self, wanted: Mapping[str, NDArray[np.int64]]) -> dict[str, SlotMeans]:
        """The given slots of items (ascending starts), read in few ranges."""
        pieces: dict[str, list[SlotMeans]] = {name: [] for name in wanted}
        ranges: dict[tuple[int, int], list[str]] = {}
        for name, starts in wanted.items():
            for one in _runs(starts, SLOT_MS):
                ranges.setdefault(one, []).append(name)
        for (first, last), names in ranges.items():
            for name, series in self._raw(names, first, last).items():
                means = slot_means(series, first, last)
                keep = np.isin(means.starts, wanted[name], assume_unique=True)
                pieces[name].append(SlotMeans(first, last, means.starts[keep], means.means[keep]))
        return {name: _joined(parts, 0, 0) for name, parts in pieces.items()}

    def load(
        self, sources: frozenset[SourceIdentifier], start_ms: int, end_ms: int
    ) -> Mapping[SourceIdentifier, Series]:
        """What device and event identifiers stand for in the range, which does not snap; for `evaluate_items`."""
        fields = [one for one in sources if isinstance(one, DeviceIdentifier)]
        of_events = [one for one in sources if isinstance(one, EventIdentifier)]
        keys = [(one.device, one.field) for one in fields]
        found = readings.read(
            self.connection, self.house_id, keys, start_ms, end_ms, series=self._series if keys else {}
        )
        series: dict[SourceIdentifier, Series] = {one: found[one.device, one.field] for one in fields}
        if of_events:
            happened = events.read(self.connection, self.house_id, start_ms, end_ms)
            series |= {one: event_series(one, happened) for one in of_events}
        return series

    # --- Routes ------------------------------------------------------------------------------------------------------

    def _route(self, name: str) -> _Route:
        if name not in self._routes:
            self._routes[name] = self._found_route(name)
        return self._routes[name]

    @cached_property
    def _routes(self) -> dict[str, _Route]:
        return {}

    def _item(self, name: str) -> AnalyticItem:
        item = self.items.get(name)
        if item is None:
            raise ItemUnreadable(f"This house has no analytic item `{name}`.")
        return item

    def _found_route(self, name: str) -> _Route:
        try:
            formula = inlined(parse(self._item(name).formula), self._formulas)
        except FormulaError as error:
            raise ItemUnreadable(f"`{name}` can't be evaluated: {error.message}.") from error
        fields: dict[str, FieldKey] = {}
        for reference in formula.references:
            if not isinstance(reference.identifier, DeviceIdentifier):
                return _Route(name, formula, {}, aggregated=False, exact_from_ms=None)
            fields[reference.text] = (reference.identifier.device, reference.identifier.field)
        complete = self._standing.complete_from_ms
        aggregated = bool(fields) and all(key in complete for key in fields.values())
        if not aggregated or not formula.exact_on_aggregates:
            return _Route(name, formula, fields, aggregated, exact_from_ms=None)
        since = [complete[key] for key in fields.values()]
        return _Route(
            name, formula, fields, aggregated, max(_ALWAYS if one is None else one for one in since)
        )


_ALWAYS = -(2**62)
"""Before any timestamp."""

_MOST_RUNS = 16
_NO_HOURS = HourMeans(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def _complete(route: _Route, start_ms: int) -> bool:
    """Whether aggregates give all of the item's numbers from `start_ms` on."""
    return route.exact_from_ms is not None and route.exact_from_ms <= start_ms


def _approximate_slots(
    route: _Route, known: Mapping[FieldKey, SlotAggregates], starts: NDArray[np.int64]
) -> SlotMeans:
    """The formula of its fields' slot means, in the given slots (ascending)."""
    first, last = int(starts[0]), int(starts[-1]) + SLOT_MS
    means = {
        name: Series(known[key].starts, known[key].sums / known[key].n) for name, key in route.fields.items()
    }
    found = slot_means(route.formula.evaluate(means), first, last)
    keep = np.isin(found.starts, starts, assume_unique=True)
    return SlotMeans(first, last, found.starts[keep], found.means[keep])


def _joined(parts: Collection[SlotMeans], start_ms: int, end_ms: int) -> SlotMeans:
    """Parts that share no slot, as one range in order of time."""
    starts = np.concatenate([part.starts for part in parts] or [np.empty(0, np.int64)])
    means = np.concatenate([part.means for part in parts] or [np.empty(0)])
    order = np.argsort(starts)
    return SlotMeans(start_ms, end_ms, starts[order], means[order])


def _joined_hours(parts: Collection[HourMeans]) -> HourMeans:
    """Parts of which some may hold different slots of the same hour."""
    starts = np.concatenate([part.starts for part in parts])
    unique, place = np.unique(starts, return_inverse=True)
    covered = np.zeros(len(unique), np.int64)
    sums = np.zeros(len(unique))
    np.add.at(covered, place, np.concatenate([part.covered for part in parts]))
    np.add.at(sums, place, np.concatenate([part.sums for part in parts]))
    return HourMeans(unique, covered, sums)


def _except(hours: HourMeans, others: HourMeans) -> HourMeans:
    keep = np.isin(hours.starts, others.starts, assume_unique=True, invert=True)
    return HourMeans(hours.starts[keep], hours.covered[keep], hours.sums[keep])


def _runs(starts: NDArray[np.int64], step_ms: int) -> list[tuple[int, int]]:
    """A few ranges that hold the given slots or hours (ascending); what lies in short gaps is read along."""
    if not len(starts):
        return []
    gaps = np.diff(starts)
    breaks = np.flatnonzero(gaps > 12 * step_ms)
    breaks = np.sort(breaks[np.argsort(gaps[breaks])][1 - _MOST_RUNS :])
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(starts) - 1]))
    return [
        (int(starts[first]), int(starts[last]) + step_ms)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


def _whole_hours(start_ms: int, end_ms: int) -> tuple[int, int]:
    return -(-start_ms // HOUR_MS) * HOUR_MS, end_ms // HOUR_MS * HOUR_MS


def _outside(start_ms: int, end_ms: int, inner_start: int, inner_end: int) -> list[tuple[int, int]]:
    """What of a range lies before and after the whole hours in it."""
    if inner_start >= inner_end:
        return [(start_ms, end_ms)] if start_ms < end_ms else []
    return [(first, last) for first, last in ((start_ms, inner_start), (inner_end, end_ms)) if first < last]


def _of_raw(found: Extremes) -> ItemExtremes:
    return ItemExtremes(
        found.minimum,
        found.minimum_ms,
        found.minimum_ms // HOUR_MS * HOUR_MS,
        found.maximum,
        found.maximum_ms,
        found.maximum_ms // HOUR_MS * HOUR_MS,
        Source.RAW,
    )


def _wider(raw: ItemExtremes | None, of_means: Extremes | None) -> ItemExtremes | None:
    """The extremes of raw values and of the means of slots whose raw values are gone."""
    if of_means is None:
        return raw
    found = replace(_of_raw(of_means), minimum_ms=None, maximum_ms=None, source=Source.APPROXIMATE)
    if raw is not None and raw.minimum <= found.minimum:
        found = replace(
            found, minimum=raw.minimum, minimum_ms=raw.minimum_ms, minimum_hour_ms=raw.minimum_hour_ms
        )
    if raw is not None and raw.maximum >= found.maximum:
        found = replace(
            found, maximum=raw.maximum, maximum_ms=raw.maximum_ms, maximum_hour_ms=raw.maximum_hour_ms
        )
    return found


def _source(used: set[Source], route: _Route) -> Source:
    if Source.APPROXIMATE in used:
        return Source.APPROXIMATE
    if not used:
        return Source.RAW if route.exact_from_ms is None else Source.AGGREGATES
    return used.pop() if len(used) == 1 else Source.MIXED
