"""What a report is: plain values, no Qt, no SQL. The window draws it, exports write it, to the last bit.

A report is whole and never changes. Missing stays missing: a figure without a value says why, a step without readings
has no row value, and coverage stands beside every mean and energy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sgmp_console.reports.heat_map import HeatMap
from sgmp_console.reports.item_source import Source
from sgmp_console.reports.periods import Period
from sgmp_console.reports.polls import Polls
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.store import House
from sgmp_console.timeseries import HOUR_MS, SLOT_MS


class Kind(Enum):
    """The reports there are. The value names them on the command line."""

    ENERGY = "energy"
    SOLAR = "solar"
    BATTERY = "battery"
    EV = "ev"
    LOAD = "load"
    HEAT_MAP = "heat-map"
    """Of one analytic item or device field, which has to be chosen."""

    @property
    def title(self) -> str:
        return "EV charging" if self is Kind.EV else self.value.replace("-", " ").capitalize()


@dataclass(frozen=True)
class Gap:
    """A time without readings: [start_ms, end_ms), UTC."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Why:
    """Where a figure comes from: what "Why?" shows and exports carry.

    `formula` as written, `expanded` with its items written out. `covered` of `slots` five-minute slots had a value.
    `polls`: the values beside those that were to be polled, where the interval is known: a slot with one value is covered
    though most of it may be missing. `gaps`: the longest times without one, longest first. `note`: what else one has to
    know, or why there is no value. `marks`: findings of the devices behind it and of the whole house, and notes. `excluded`:
    so many of the slots count as not covered since a note excludes them. Of events there are no slots: `slots` is 0.
    """

    item: str
    formula: str
    expanded: str
    covered: int
    slots: int
    gaps: tuple[Gap, ...] = ()
    source: Source | None = None
    note: str = ""
    polls: Polls | None = None
    marks: tuple[TimeMark, ...] = ()
    excluded: int = 0

    @property
    def coverage(self) -> float | None:
        """0 to 1; None for a period of which nothing has passed yet, and for events."""
        return self.covered / self.slots if self.slots else None


class Section(Enum):
    """Where a figure stands among the others of its report. The value is the caption."""

    MAIN = ""
    USED = "Used, and from where"
    IN_AND_OUT = "In and out"
    CHARGED_FROM = "Charged from"
    REPORTED = "What the battery reports of itself"
    CHECK = "What does not add up"
    """Of interest only where it is not zero."""


@dataclass(frozen=True)
class Figure:
    """A number of a report. `value` is None where it is not known; `why.note` says why.

    `at_ms`: when an extreme was reached, UTC; None where only its hour is known (`hour_ms`) or for other figures.
    """

    key: str
    title: str
    value: float | None
    unit: str
    why: Why
    at_ms: int | None = None
    hour_ms: int | None = None
    section: Section = Section.MAIN


class Resolution(Enum):
    """What the values of a curve are. The value is what stands beside the chart."""

    READINGS = "readings"
    SLOTS = "5-minute means"
    HOURS = "hourly means"


@dataclass(frozen=True, eq=False)
class Curve:
    """An item over the period: `values[i]` is the mean over [starts[i], starts[i] + step_ms), or the value at `starts[i]`
    where the curve is one of READINGS.

    Steps without a reading are absent. `quantity` chooses the colour. `cumulative`: a running total, kWh at the end of
    each step, drawn on an axis of its own. `lows`, `highs`: the least and the greatest raw value of each step, NaN where
    aggregates don't know them.
    """

    key: str
    title: str
    unit: str
    quantity: str
    resolution: Resolution
    starts: NDArray[np.int64]
    values: NDArray[np.float64]
    cumulative: bool = False
    lows: NDArray[np.float64] | None = None
    highs: NDArray[np.float64] | None = None

    @property
    def step_ms(self) -> int:
        return {Resolution.READINGS: 0, Resolution.SLOTS: SLOT_MS, Resolution.HOURS: HOUR_MS}[self.resolution]


class BarStep(Enum):
    """What one bar stands for. The value names it."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class Bars:
    """Energy in each hour, day or month of the house that the period touches, cut at its ends.

    Bar `i` is about [bounds[i], bounds[i + 1]), UTC ms. `energies`: by item of the house, kWh of each bar, None where
    nothing is known. Items of `below` are uses, drawn below zero.
    """

    step: BarStep
    bounds: tuple[int, ...]
    energies: Mapping[str, tuple[float | None, ...]]
    below: frozenset[str] = frozenset()


class Column(Enum):
    """How the cells of a table's column are written."""

    TIME = "time"
    """UTC ms, shown by the clock of the house."""
    DAY = "day"
    """UTC ms of where a day of the house begins, or of where the period cuts it."""
    DURATION = "duration"
    """Milliseconds."""
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True)
class TableColumn:
    title: str
    kind: Column
    unit: str = ""
    file_only: bool = False
    """It follows from the others, so that only files have it."""
    short: str = ""
    """The title where room is scarce: on the screen and on paper."""
    optional: int = 0
    """Left out on a screen without room for it, the lowest first; 0: never."""


@dataclass(frozen=True)
class Table:
    """Rows behind a chart or a list. A cell is None where it is not known.

    `times`: by row the [start, end) in UTC ms that it is about, by which its curve is found; empty where rows have none.
    """

    key: str
    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[float | int | str | None, ...], ...]
    times: tuple[tuple[int, int] | None, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report of one house over one period.

    `passed_ms`: up to where the period has passed; figures and coverage are about [period.start_ms, passed_ms).
    `missing`: required items that the house does not have; `problems`: sentences about items that can't be evaluated.
    """

    kind: Kind
    house: House
    period: Period
    passed_ms: int
    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    bars: Bars | None = None
    comparison: Report | None = field(default=None)
    """The same report of the period it is compared with."""
    heat_map: HeatMap | None = None
    marks: tuple[TimeMark, ...] = ()
    """The findings that held in the period, and its notes, in order of time."""
    excluded_slots: int = 0
    """Slots of the passed part of the period that count in no mean and no sum."""

    @property
    def title(self) -> str:
        """Of which period stands beside it."""
        return self.kind.title if self.heat_map is None else f"{self.kind.title} of {self.heat_map.item}"

    @property
    def has_data(self) -> bool:
        """Hours that are not attributed are no data."""
        return any(figure.value is not None for figure in self.figures if figure.section is not Section.CHECK)

    def figure(self, key: str) -> Figure:
        """Raises KeyError."""
        return next(figure for figure in self.figures if figure.key == key)

    def difference(self, key: str) -> float | None:
        """The figure's change against the comparison, in its unit; None where either is not known."""
        if self.comparison is None:
            return None
        mine, theirs = self.figure(key).value, self.comparison.figure(key).value
        return None if mine is None or theirs is None else mine - theirs


@dataclass(frozen=True)
class Parts:
    """What a kind of report consists of (`kinds`)."""

    figures: list[Figure]
    curves: list[Curve | None]
    tables: list[Table]
    bars: Bars | None = None
    heat_map: HeatMap | None = None
