"""How an analytic item's numbers are read: the one place that decides between aggregates and raw readings.

An item with continuous aggregation whose formula is exact on aggregates is read from them; where it is not, or where
aggregates are not there yet, from raw readings; in between, each part from what it has. Both ways give the same
numbers. Only where the raw readings of a formula that is not exact are gone are its slots computed from the means of
its fields, and called approximate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
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
from sgmp_console.store import AnalyticItem, aggregates, analytics, events, readings
from sgmp_console.store.aggregates import Standing
from sgmp_console.store.series import FieldKey
from sgmp_console.timeseries.aggregates import SlotAggregates
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
    """The least and greatest raw value of an item.

    The times (UTC ms) are None where the raw readings are gone; then the value is known to lie in the hour that begins
    at `minimum_hour_ms` or `maximum_hour_ms`.
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


@dataclass(frozen=True)
class _Route:
    """From where on an item is read from aggregates, and how far back there are raw readings."""

    name: str
    formula: Formula
    """With the items it mentions written out."""
    fields: Mapping[str, FieldKey]
    """Identifier as written -> the field it names; empty where events are among them."""
    aggregates_from_ms: int | None
    """None: never."""
    aggregated: bool
    """Whether there are aggregates of all its fields at all."""


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
        return aggregates.standing(self.connection, self.house_id)

    # --- Slots -------------------------------------------------------------------------------------------------------

    def slots(self, names: Iterable[str], start_ms: int, end_ms: int) -> dict[str, ItemSlots]:
        """The slots of items in a range."""
        start_ms, end_ms = snap(start_ms, end_ms)
        routes = [self._route(name) for name in dict.fromkeys(names)]
        known = self._slot_aggregates(routes, start_ms, end_ms)
        found: dict[str, ItemSlots] = {}
        raw: dict[str, NDArray[np.int64]] = {}
        for route in routes:
            begin = end_ms if route.aggregates_from_ms is None else max(start_ms, route.aggregates_from_ms)
            begin = min(-(-begin // SLOT_MS) * SLOT_MS, end_ms)
            exact, unsure = _exact_slots(route, known, begin, end_ms)
            before = np.arange(start_ms, begin, SLOT_MS, dtype=np.int64)
            raw[route.name] = np.concatenate([before, unsure])
            found[route.name] = ItemSlots(exact, Source.AGGREGATES)
        read = self._raw_slots(raw)
        for route in routes:
            if len(raw[route.name]) or route.aggregates_from_ms is None:
                found[route.name] = self._completed(
                    route, found[route.name], read[route.name], known, start_ms, end_ms
                )
        return found

    def _completed(
        self,
        route: _Route,
        exact: ItemSlots,
        raw: SlotMeans,
        known: Mapping[FieldKey, SlotAggregates],
        start_ms: int,
        end_ms: int,
    ) -> ItemSlots:
        parts = [exact.slots, raw]
        used = {Source.AGGREGATES} if exact.slots.covered else set()
        used |= {Source.RAW} if raw.covered else set()
        gone_to = self._standing.raw_kept_from_ms
        if route.aggregates_from_ms is None and route.aggregated and gone_to is not None:
            approximate = _approximate_slots(route, known, start_ms, min(gone_to, end_ms))
            parts.append(approximate)
            used |= {Source.APPROXIMATE} if approximate.covered else set()
        return ItemSlots(_joined(parts, start_ms, end_ms), _source(used))

    def _slot_aggregates(
        self, routes: Collection[_Route], start_ms: int, end_ms: int
    ) -> Mapping[FieldKey, SlotAggregates]:
        """Of all fields that some route may need, over all that its averages reach."""
        needed = [route for route in routes if route.aggregated]
        if not needed or end_ms <= start_ms:
            return {}
        reach = [route.formula.reach(start_ms, end_ms) for route in needed]
        fields = {key for route in needed for key in route.fields.values()}
        first, last = snap(min(one[0] for one in reach), max(one[1] for one in reach))
        return aggregates.read_slots(self.connection, self.house_id, fields, first, last)

    # --- Hours -------------------------------------------------------------------------------------------------------

    def hours(
        self, names: Iterable[str], start_ms: int, end_ms: int, *, origin_ms: int = 0
    ) -> dict[str, ItemHours]:
        """The hours of items in a range, counted from `origin_ms`: the house's midnight, where its zone is off by
        half an hour."""
        start_ms, end_ms = snap(start_ms, end_ms)
        wanted = list(dict.fromkeys(names))
        routes = [self._route(name) for name in wanted]
        inner_start, inner_end = -(-start_ms // HOUR_MS) * HOUR_MS, end_ms // HOUR_MS * HOUR_MS
        whole = origin_ms % HOUR_MS == 0 and inner_start < inner_end
        by_hour = [route for route in routes if whole and _hourly(route, inner_start) is not None]
        fields = {key for route in by_hour for key in route.fields.values()}
        known = (
            aggregates.read_hours(self.connection, self.house_id, fields, inner_start, inner_end)
            if by_hour
            else {}
        )
        found: dict[str, ItemHours] = {}
        edges: dict[tuple[int, int], list[str]] = {}
        exact: dict[str, HourMeans] = {}
        for route in routes:
            form = _hourly(route, inner_start) if whole else None
            if form is None:
                edges.setdefault((start_ms, end_ms), []).append(route.name)
                continue
            hours, unsure = form.hour_means(
                {name: known[key] for name, key in route.fields.items()}, inner_start, inner_end
            )
            exact[route.name] = hours
            parts = [(start_ms, inner_start), (inner_end, end_ms), *_runs(unsure)]
            for part in parts:
                if part[0] < part[1]:
                    edges.setdefault(part, []).append(route.name)
        pieces: dict[str, list[tuple[HourMeans, Source]]] = {
            name: [(hours, Source.AGGREGATES)] for name, hours in exact.items()
        }
        for (first, last), parted in edges.items():
            for name, one in self.slots(parted, first, last).items():
                pieces.setdefault(name, []).append((one.slots.hours(origin_ms), one.source))
        for name in wanted:
            used = {source for hours, source in pieces[name] if len(hours.starts)}
            hours = _joined_hours([hours for hours, _ in pieces[name]])
            found[name] = ItemHours(start_ms, end_ms, hours, _source(used))
        return found

    # --- Extremes ----------------------------------------------------------------------------------------------------

    def extremes(self, name: str, start_ms: int, end_ms: int) -> ItemExtremes | None:
        """The extremes of an item's raw values in a range; None if it has none."""
        start_ms, end_ms = snap(start_ms, end_ms)
        route = self._route(name)
        form = route.formula.linear
        complete = route.aggregates_from_ms is not None and route.aggregates_from_ms <= start_ms
        if not complete or form is None or form.direction is None:
            found = extremes(self._raw([name], start_ms, end_ms)[name])
            return None if found is None else _of_raw(found)
        (key,) = route.fields.values()
        inner_start, inner_end = -(-start_ms // HOUR_MS) * HOUR_MS, end_ms // HOUR_MS * HOUR_MS
        starts, minima, maxima = [], [], []
        if inner_start < inner_end:
            hours = aggregates.read_hours(self.connection, self.house_id, [key], inner_start, inner_end)[key]
            starts, minima, maxima = [hours.starts], [hours.minima], [hours.maxima]
        for first, last in _outside(start_ms, end_ms, inner_start, inner_end):
            slots = aggregates.read_slots(self.connection, self.house_id, [key], first, last)[key]
            starts.append(slots.starts)
            minima.append(slots.minima)
            maxima.append(slots.maxima)
        at = np.concatenate(starts)
        if not len(at):
            return None
        bounds = form.extremes(np.concatenate(minima), np.concatenate(maxima))
        if bounds is None:
            raise AssertionError("a form with a direction has extremes")
        low, high = bounds
        # In order of time, so that of equals the first is named.
        order = np.argsort(at, kind="stable")
        at, low, high = at[order], low[order], high[order]
        least, greatest = int(np.argmin(low)), int(np.argmax(high))
        return ItemExtremes(
            float(low[least]),
            self._moment(name, int(at[least]), "minimum"),
            int(at[least]) // HOUR_MS * HOUR_MS,
            float(high[greatest]),
            self._moment(name, int(at[greatest]), "maximum"),
            int(at[greatest]) // HOUR_MS * HOUR_MS,
            Source.AGGREGATES,
        )

    def _moment(self, name: str, start_ms: int, which: str) -> int | None:
        """When within the hour (or the slot, at an edge) the extreme was reached, if its raw readings are there."""
        gone_to = self._standing.raw_kept_from_ms
        if gone_to is not None and start_ms < gone_to:
            return None
        found = extremes(self._raw([name], start_ms, start_ms + HOUR_MS)[name])
        if found is None:
            return None
        return found.minimum_ms if which == "minimum" else found.maximum_ms

    # --- Raw readings ------------------------------------------------------------------------------------------------

    def values(self, names: Iterable[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        """The raw values of items in the range, which does not snap."""
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            self._route(name)
        return self._raw(wanted, start_ms, end_ms)

    def _raw(self, names: Collection[str], start_ms: int, end_ms: int) -> dict[str, Series]:
        result = evaluate_items(names, self._formulas, start_ms, end_ms, self.load)
        for name, error in result.errors.items():
            raise ItemUnreadable(f"`{name}` can't be evaluated: {error.message}.")
        return dict(result.series)

    def _raw_slots(self, wanted: Mapping[str, NDArray[np.int64]]) -> dict[str, SlotMeans]:
        """The given slots of items, read in as few ranges as their gaps make."""
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
        found = readings.read(self.connection, self.house_id, keys, start_ms, end_ms) if keys else {}
        series: dict[SourceIdentifier, Series] = {one: found[one.device, one.field] for one in fields}
        if of_events:
            happened = events.read(self.connection, self.house_id, start_ms, end_ms)
            series |= {one: event_series(one, happened) for one in of_events}
        return series

    # --- Routes ------------------------------------------------------------------------------------------------------

    def _route(self, name: str) -> _Route:
        item = self.items.get(name)
        if item is None:
            raise ItemUnreadable(f"This house has no analytic item `{name}`.")
        try:
            formula = inlined(parse(item.formula), self._formulas)
        except FormulaError as error:
            raise ItemUnreadable(f"`{name}` can't be evaluated: {error.message}.") from error
        fields: dict[str, FieldKey] = {}
        for reference in formula.references:
            if not isinstance(reference.identifier, DeviceIdentifier):
                return _Route(name, formula, {}, None, aggregated=False)
            fields[reference.text] = (reference.identifier.device, reference.identifier.field)
        complete = self._standing.complete_from_ms
        aggregated = item.aggregated and bool(fields) and all(key in complete for key in fields.values())
        if not aggregated or not formula.exact_on_aggregates:
            return _Route(name, formula, fields, None, aggregated)
        first = max((complete[key] or 0 for key in fields.values()), default=0)
        return _Route(name, formula, fields, first, aggregated)


def _hourly(route: _Route, start_ms: int) -> LinearForm | None:
    """The form by which whole hours from `start_ms` on can be computed; None if they can't."""
    if route.aggregates_from_ms is None or route.aggregates_from_ms > start_ms:
        return None
    return route.formula.linear


def _exact_slots(
    route: _Route, known: Mapping[FieldKey, SlotAggregates], start_ms: int, end_ms: int
) -> tuple[SlotMeans, NDArray[np.int64]]:
    if start_ms >= end_ms:
        return _nothing(start_ms, end_ms), np.empty(0, np.int64)
    return route.formula.slot_means(
        {name: known[key] for name, key in route.fields.items()}, start_ms, end_ms
    )


def _approximate_slots(
    route: _Route, known: Mapping[FieldKey, SlotAggregates], start_ms: int, end_ms: int
) -> SlotMeans:
    """The formula of the fields' slot means, where no raw readings are left."""
    if start_ms >= end_ms:
        return _nothing(start_ms, end_ms)
    means = {
        name: Series(known[key].starts, known[key].sums / known[key].n) for name, key in route.fields.items()
    }
    return slot_means(route.formula.evaluate(means), start_ms, end_ms)


def _nothing(start_ms: int, end_ms: int) -> SlotMeans:
    return SlotMeans(start_ms, end_ms, np.empty(0, np.int64), np.empty(0))


def _joined(parts: Collection[SlotMeans], start_ms: int, end_ms: int) -> SlotMeans:
    """Parts that share no slot, as one range in order of time; of a slot given twice the first part's stays."""
    starts = np.concatenate([part.starts for part in parts] or [np.empty(0, np.int64)])
    means = np.concatenate([part.means for part in parts] or [np.empty(0)])
    unique, first = np.unique(starts, return_index=True)
    return SlotMeans(start_ms, end_ms, unique, means[first])


def _joined_hours(parts: Collection[HourMeans]) -> HourMeans:
    """Parts of which some may hold different slots of the same hour."""
    starts = np.concatenate([part.starts for part in parts])
    unique, place = np.unique(starts, return_inverse=True)
    covered = np.zeros(len(unique), np.int64)
    sums = np.zeros(len(unique))
    np.add.at(covered, place, np.concatenate([part.covered for part in parts]))
    np.add.at(sums, place, np.concatenate([part.sums for part in parts]))
    return HourMeans(unique, covered, sums)


def _runs(starts: NDArray[np.int64], step_ms: int = HOUR_MS) -> list[tuple[int, int]]:
    """Ranges that hold the given slots or hours; short gaps between them are read along."""
    if not len(starts):
        return []
    starts = np.sort(starts)
    breaks = np.flatnonzero(np.diff(starts) > 12 * step_ms)
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(starts) - 1]))
    return [
        (int(starts[first]), int(starts[last]) + step_ms)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


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


def _source(used: set[Source]) -> Source:
    if Source.APPROXIMATE in used:
        return Source.APPROXIMATE
    if Source.MIXED in used or {Source.AGGREGATES, Source.RAW} <= used:
        return Source.MIXED
    return Source.AGGREGATES if used == {Source.AGGREGATES} else Source.RAW
