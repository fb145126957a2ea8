"""From what an item can be read: aggregates, raw readings, or both. The choice itself; `item_reader` does the reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from sgmp_console.formula import DeviceIdentifier, Formula
from sgmp_console.store import FieldKey


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


def combined(sources: Collection[Source]) -> Source:
    """What numbers were computed from that were put together of others, at least one."""
    if Source.APPROXIMATE in sources:
        return Source.APPROXIMATE
    return next(iter(sources)) if len(sources) == 1 else Source.MIXED


ALWAYS = -(2**62)
"""Before any timestamp."""


@dataclass(frozen=True, eq=False)
class Route:
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

    @classmethod
    def of(cls, name: str, formula: Formula, complete_from_ms: Mapping[FieldKey, int | None]) -> Route:
        """The route of a formula with its items written out. `complete_from_ms`: of the fields that have aggregates, since
        when they are whole; None: always."""
        fields: dict[str, FieldKey] = {}
        for reference in formula.references:
            if not isinstance(reference.identifier, DeviceIdentifier):
                return cls(name, formula, {}, aggregated=False, exact_from_ms=None)
            fields[reference.text] = (reference.identifier.device, reference.identifier.field)
        aggregated = bool(fields) and all(key in complete_from_ms for key in fields.values())
        if not aggregated or not formula.exact_on_aggregates:
            return cls(name, formula, fields, aggregated, exact_from_ms=None)
        since = [complete_from_ms[key] for key in fields.values()]
        return cls(name, formula, fields, aggregated, max(ALWAYS if one is None else one for one in since))

    def is_complete_from(self, start_ms: int) -> bool:
        """Whether aggregates give all of the item's numbers from `start_ms` on."""
        return self.exact_from_ms is not None and self.exact_from_ms <= start_ms

    def source(self, used: Collection[Source]) -> Source:
        """What numbers came from that were put together of parts from `used`."""
        if not used:
            return Source.RAW if self.exact_from_ms is None else Source.AGGREGATES
        return combined(used)
