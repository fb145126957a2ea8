"""What is read of an analytic item, and why it can't be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgmp_console.errors import UserError
from sgmp_console.reports.item_source import Source
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Extremes, HourMeans, SlotMeans


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
    """The item `name` can't be evaluated; the sentence says why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


def missing_item(name: str) -> str:
    """The operator's sentence for an item that a house does not have."""
    return f"This house has no analytic item `{name}`."


def of_raw(found: Extremes) -> ItemExtremes:
    return ItemExtremes(
        found.minimum,
        found.minimum_ms,
        found.minimum_ms // HOUR_MS * HOUR_MS,
        found.maximum,
        found.maximum_ms,
        found.maximum_ms // HOUR_MS * HOUR_MS,
        Source.RAW,
    )


def wider(raw: ItemExtremes | None, of_means: Extremes | None) -> ItemExtremes | None:
    """The extremes of raw values and of the means of slots whose raw values are gone."""
    if of_means is None:
        return raw
    found = replace(of_raw(of_means), minimum_ms=None, maximum_ms=None, source=Source.APPROXIMATE)
    if raw is not None and raw.minimum <= found.minimum:
        found = replace(
            found, minimum=raw.minimum, minimum_ms=raw.minimum_ms, minimum_hour_ms=raw.minimum_hour_ms
        )
    if raw is not None and raw.maximum >= found.maximum:
        found = replace(
            found, maximum=raw.maximum, maximum_ms=raw.maximum_ms, maximum_hour_ms=raw.maximum_hour_ms
        )
    return found
