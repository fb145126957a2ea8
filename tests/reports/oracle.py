"""What reports must say, worked out from readings by sums and loops: docs/reports.md and docs/balance.md in plain Python.

Nothing of the product is imported, so an error there can't hide here. It is slow, and meant to be read beside the design.
Times are UTC ms, powers kW, energies kWh.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

SLOT = 300_000
HOUR = 3_600_000

Field = tuple[str, str]
Readings = Mapping[Field, Sequence[tuple[int, float]]]

# The playbook's required items: what each makes of one field.
ITEMS: dict[str, tuple[Field, Callable[[float], float]]] = {
    "solar": (("egauge", "A.Solar"), lambda value: max(value, 0.0)),
    "load": (("egauge", "A.Load"), lambda value: -value),
    "ev": (("egauge", "A.EV"), lambda value: -value),
    "grid_export": (("egauge", "A.GridPower"), lambda value: max(value, 0.0)),
    "grid_import": (("egauge", "A.GridPower"), lambda value: max(-value, 0.0)),
    "battery_charging": (("sonnen", "status.Pac_total_W"), lambda value: max(-value / 1000, 0.0)),
    "battery_discharging": (("sonnen", "status.Pac_total_W"), lambda value: max(value / 1000, 0.0)),
    "soc": (("sonnen", "battery.battery_status.relativestateofcharge"), lambda value: value),
}
SOURCES = ("solar", "grid_import", "battery_discharging")
USES = ("load", "ev", "battery_charging", "grid_export")

Flows = dict[tuple[str, str], float]
"""By (source or "unknown", use or "unmatched"), kWh."""


@dataclass(frozen=True)
class ChargerEvent:
    at: int
    station: str
    starts: bool
    duration_ms: float | None = None
    energy_mwh: float | None = None


@dataclass(frozen=True)
class Visit:
    """A car at a station; `begin`, `end`: None where not recorded (or, for the last at a station, not yet)."""

    station: str
    begin: int | None
    end: int | None
    energy_kwh: float | None
    lost_end: bool = False


@dataclass(eq=False)
class Oracle:
    """A house: all its readings and events."""

    zone: str
    readings: Readings
    events: Sequence[ChargerEvent] = ()
    _weeks: dict[date, dict[int, tuple[float, float, float]]] = field(default_factory=dict)

    # --- Time --------------------------------------------------------------------------------------------------------

    def midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).timestamp()) * 1000

    def day_of(self, at: int) -> date:
        return datetime.fromtimestamp(at / 1000, ZoneInfo(self.zone)).date()

    def days(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of the house's days in a range."""
        day = self.day_of(start)
        while self.midnight(day) < end:
            yield max(start, self.midnight(day)), min(end, self.midnight(day + timedelta(days=1)))
            day += timedelta(days=1)

    # --- Slots -------------------------------------------------------------------------------------------------------

    @cached_property
    def _slots(self) -> dict[str, dict[int, float]]:
        """By item the mean of each slot that has a value."""
        found = {}
        for item, (of, made) in ITEMS.items():
            values = defaultdict(list)
            for at, value in self.readings.get(of, ()):
                values[at // SLOT * SLOT].append(made(value))
            found[item] = {slot: math.fsum(of_slot) / len(of_slot) for slot, of_slot in values.items()}
        return found

    def means(self, item: str, start: int, end: int) -> list[float]:
        """Of the covered slots, in order of time."""
        slots = self._slots[item]
        return [slots[slot] for slot in range(start, end, SLOT) if slot in slots]

    def covered(self, item: str, start: int, end: int) -> int:
        return len(self.means(item, start, end))

    def mean(self, item: str, start: int, end: int) -> float | None:
        means = self.means(item, start, end)
        return math.fsum(means) / len(means) if means else None

    def energy(self, item: str, start: int, end: int) -> float | None:
        means = self.means(item, start, end)
        return math.fsum(means) / 12 if means else None

    @cache  # noqa: B019 - an oracle lives as long as its test
    def extreme(self, item: str, start: int, end: int, *, highest: bool) -> tuple[float, int] | None:
        """The raw value, and when it was first reached."""
        of, made = ITEMS[item]
        best = None
        for at, value in self.readings.get(of, ()):
            if start <= at < end:
                found = made(value)
                if best is None or (found > best[0] if highest else found < best[0]):
                    best = found, at
        return best

    def latest(self, item: str, before: int) -> tuple[float, int] | None:
        """The newest raw value, and when it was measured."""
        of, made = ITEMS[item]
        found = max((pair for pair in self.readings.get(of, ()) if pair[0] < before), default=None)
        return (made(found[1]), found[0]) if found else None

    def exceeded(self, item: str, share: float, start: int, end: int) -> float | None:
        """What this share of the slots' means exceed, interpolated between neighbours."""
        means = sorted(self.means(item, start, end))
        if not means:
            return None
        place = (1 - share) * (len(means) - 1)
        low = math.floor(place)
        high = min(low + 1, len(means) - 1)
        return means[low] + (means[high] - means[low]) * (place - low)

    # --- Balance -----------------------------------------------------------------------------------------------------

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        return (*SOURCES, *USES)

    @cached_property
    def _flows(self) -> dict[int, Flows]:
        """Of the slots in which every item has a value."""
        slots = set.intersection(*(set(self._slots[item]) for item in self._needed))
        return {
            slot: flows_of({item: max(self._slots[item][slot], 0.0) / 12 for item in self._needed})
            for slot in slots
        }

    def attributed(self, start: int, end: int) -> list[int]:
        return [slot for slot in range(start, end, SLOT) if slot in self._flows]

    def _origins(self, slot: int) -> tuple[float, float, float]:
        """What the battery delivers in a slot, by origin: shares of sun, grid and unknown.

        The ledger opens each week with what the week before leaves of an empty one.
        """
        day = self.day_of(slot)
        monday = day - timedelta(days=day.weekday())
        if monday not in self._weeks:
            before = self.midnight(monday - timedelta(days=7))
            start, end = self.midnight(monday), self.midnight(monday + timedelta(days=7))
            stored, _ = self._followed([0.0, 0.0, 0.0], before, start)
            _, self._weeks[monday] = self._followed(stored, start, end)
        return self._weeks[monday][slot]

    def _followed(
        self, stored: list[float], start: int, end: int
    ) -> tuple[list[float], dict[int, tuple[float, float, float]]]:
        """What the battery holds of sun, grid and unknown origin at the end, and the shares in each slot."""
        shares = {}
        for slot in self.attributed(start, end):
            flows = self._flows[slot]
            for place, source in enumerate(("solar", "grid_import", "unknown")):
                stored[place] += flows.get((source, "battery_charging"), 0.0)
            out = math.fsum(flows.get(("battery_discharging", use), 0.0) for use in (*USES, "unmatched"))
            out -= flows.get(("battery_discharging", "battery_charging"), 0.0)  # out and in again
            held = math.fsum(stored)
            if held <= 0:
                shares[slot] = (0.0, 0.0, 1.0)
                continue
            known = min(1.0, held / out) if out > 0 else 1.0
            sun, grid, unknown = (part / held * known for part in stored)
            shares[slot] = sun, grid, unknown + 1 - known
            kept = max(0.0, 1 - out / held)
            stored = [part * kept for part in stored]
        return stored, shares

    @cache  # noqa: B019 - an oracle lives as long as its test
    def energies(self, start: int, end: int) -> dict[str, float | None]:
        """The figures of the Energy report, by key."""
        slots = self.attributed(start, end)
        not_attributed = ((end - start) // SLOT - len(slots)) / 12
        if not slots:
            names = ("consumption", "from_sun", "from_grid", "autarky", "solar", "self_consumption",
                     "grid_import", "grid_export", "charged", "discharged", "residual")  # fmt: skip
            return {**dict.fromkeys(names), "not_attributed": not_attributed}

        def total(*pairs: tuple[str, str]) -> float:
            return math.fsum(self._flows[slot].get(pair, 0.0) for slot in slots for pair in pairs)

        def consumed(origin: str, place: int) -> float:
            directly = total((origin, "load"), (origin, "ev"))
            stored = math.fsum(
                self._origins(slot)[place] * self._flows[slot].get(("battery_discharging", use), 0.0)
                for slot in slots
                for use in ("load", "ev")
            )
            return directly + stored

        def measured(item: str) -> float:
            return math.fsum(max(self._slots[item][slot], 0.0) for slot in slots) / 12

        sun, grid = consumed("solar", 0), consumed("grid_import", 1)
        kept = total(("solar", "load"), ("solar", "ev"), ("solar", "battery_charging"))
        exported = total(("solar", "grid_export"))
        residual = math.fsum(
            abs(
                math.fsum(max(self._slots[item][slot], 0.0) for item in SOURCES)
                - math.fsum(max(self._slots[item][slot], 0.0) for item in USES)
            )
            for slot in slots
        )
        return {
            "consumption": measured("load") + measured("ev"),
            "from_sun": sun,
            "from_grid": grid,
            "autarky": 100 * sun / (sun + grid) if sun + grid > 0 else None,
            "solar": measured("solar"),
            "self_consumption": 100 * kept / (kept + exported) if kept + exported > 0 else None,
            "grid_import": measured("grid_import"),
            "grid_export": measured("grid_export"),
            "charged": measured("battery_charging"),
            "discharged": measured("battery_discharging"),
            "residual": residual / 12,
            "not_attributed": not_attributed,
        }

    def flow(self, source: str, use: str, start: int, end: int) -> float:
        return math.fsum(self._flows[slot].get((source, use), 0.0) for slot in self.attributed(start, end))

    # --- Sessions ----------------------------------------------------------------------------------------------------

    def visits(self, start: int, end: int, now: int) -> list[Visit]:
        """The cars that were plugged in at some time of a range; what happens after `now` is not known yet."""
        found = []
        for station in sorted({event.station for event in self.events}):
            begin: int | None = None
            happened = sorted(
                (event for event in self.events if event.station == station and event.at < now),
                key=lambda event: event.at,
            )
            for event in happened:
                if event.starts:
                    if begin is not None:
                        found.append(Visit(station, begin, None, None, lost_end=True))
                    begin = event.at
                    continue
                if event.duration_ms is not None:
                    since = event.at - round(event.duration_ms)
                    if begin is not None and since < begin:
                        begin = since  # an edge that was restarted reported the car again
                    begin = since if begin is None else begin
                energy = None if event.energy_mwh is None else event.energy_mwh / 1e6
                found.append(Visit(station, begin, event.at, energy))
                begin = None
            if begin is not None:
                found.append(Visit(station, begin, None, None))
        return [visit for visit in found if _touches(visit, start, end)]

    def charging(self, start: int, end: int, now: int) -> dict[str, float | None]:
        """The figures about sessions, by key."""
        visits = self.visits(start, end, now)
        plugged = [
            (min(visit.end if visit.end is not None else end, end) - max(visit.begin, start)) / HOUR
            for visit in visits
            if visit.begin is not None and not visit.lost_end
        ]
        charging = [hours for visit in visits if (hours := self._charged(visit, start, end)) is not None]
        ended = [visit.energy_kwh for visit in visits if visit.energy_kwh is not None]
        return {
            "sessions": float(len(visits)),
            "plugged": math.fsum(plugged) / len(plugged) if plugged else None,
            "charging": math.fsum(charging) / len(charging) if charging else None,
            "by_chargers": math.fsum(ended) if ended else None,
        }

    def _charged(self, visit: Visit, start: int, end: int) -> float | None:
        """Hours above 0.1 kW; a gap of more than 150 s counts as nothing."""
        if visit.begin is None or visit.lost_end:
            return None
        first, last = max(visit.begin, start), min(visit.end if visit.end is not None else end, end)
        power = [pair for pair in self.readings.get((visit.station, "power"), ()) if first <= pair[0] < last]
        if len(power) < 2:
            return None
        return (
            sum(
                after - at
                for (at, value), (after, _) in pairwise(power)
                if after - at <= 150_000 and value > 0.1
            )
            / HOUR
        )

    # --- Reports -----------------------------------------------------------------------------------------------------

    @cache  # noqa: B019 - an oracle lives as long as its test
    def reported(self, start: int, end: int) -> dict[str, float | None]:
        """What the battery said last of itself, in the last day of a range."""
        names = {
            "cyclecount": "cycles",
            "fullchargecapacity": "capacity",
            "fullchargecapacitywh": "capacity_wh",
            "stateofhealth": "health",
        }
        found: dict[str, float | None] = {}
        for (_, name), pairs in sorted(self.readings.items()):
            last = name.split(".")[-1]
            if last in names and pairs and start < end:
                values = [value for at, value in pairs if max(start, end - 24 * HOUR) <= at < end]
                found.setdefault(names[last], values[-1] if values else None)
        return found

    def figures(self, report: str, start: int, end: int, now: int) -> dict[str, float | None]:
        """Every figure of a report over a range that has passed, by key."""

        def highest(item: str) -> float | None:
            found = self.extreme(item, start, end, highest=True)
            return found[0] if found else None

        def lowest(item: str) -> float | None:
            found = self.extreme(item, start, end, highest=False)
            return found[0] if found else None

        if report == "energy":
            return self.energies(start, end)
        if report == "battery":
            return {
                "charged": self.energy("battery_charging", start, end),
                "discharged": self.energy("battery_discharging", start, end),
                "charging": self.mean("battery_charging", start, end),
                "discharging": self.mean("battery_discharging", start, end),
                "soc_high": highest("soc"),
                "soc_low": lowest("soc"),
                **self.reported(start, end),
            }
        found = {
            "energy": self.energy(report, start, end),
            "mean": self.mean(report, start, end),
            "peak": highest(report),
        }
        if report == "load":
            found["base"] = self.exceeded("load", 0.95, start, end)
        if report == "ev":
            found |= self.charging(start, end, now)
            known = bool(self.attributed(start, end))
            for key, source in (
                ("from_sun", "solar"),
                ("from_battery", "battery_discharging"),
                ("from_grid", "grid_import"),
                ("from_unknown", "unknown"),
            ):
                energy = self.flow(source, "ev", start, end)
                found[key] = energy if known else None
        return found


def _touches(visit: Visit, start: int, end: int) -> bool:
    if visit.begin is None:  # only its end is known
        return visit.end is not None and start <= visit.end < end
    if visit.lost_end:
        return start <= visit.begin < end
    return visit.begin < end and (visit.end is None or visit.end > start or visit.begin >= start)


def flows_of(kwh: Mapping[str, float]) -> Flows:
    """Who served whom in one slot: first come the sun, the battery, the grid, each with its uses in the order of the design.

    Then what is left of a source beside a use that is not served (both ways in one slot) is exchanged with flows that are
    there already, until only the difference of all sources and all uses is left.
    """
    left = {source: kwh[source] for source in SOURCES}
    open_ = {use: kwh[use] for use in USES}
    flows: Flows = defaultdict(float)

    def serve(source: str, *uses: str) -> None:
        wanted = sum(open_[use] for use in uses)
        amount = min(left[source], wanted)
        if amount <= 0:
            return
        for use in uses:
            part = amount * open_[use] / wanted
            flows[source, use] += part
            open_[use] = max(open_[use] - part, 0.0)
        left[source] = max(left[source] - amount, 0.0)

    def exchange(source: str, use: str, giver: str, *given_to: str) -> None:
        """`giver` serves `use` with what it gave to others; `source` serves those."""
        given = sum(flows[giver, other] for other in given_to)
        amount = min(left[source], open_[use], given)
        if amount <= 0:
            return
        for other in given_to:
            part = amount * flows[giver, other] / given
            flows[giver, other] = max(flows[giver, other] - part, 0.0)
            flows[source, other] += part
        flows[giver, use] += amount
        open_[use] -= amount
        left[source] -= amount

    serve("solar", "load", "ev")
    serve("solar", "battery_charging")
    serve("solar", "grid_export")
    serve("battery_discharging", "load", "ev")
    serve("battery_discharging", "grid_export")
    serve("grid_import", "load", "ev")
    serve("grid_import", "battery_charging")
    exchange("grid_import", "grid_export", "solar", "battery_charging")
    exchange("grid_import", "grid_export", "battery_discharging", "load", "ev")
    exchange("grid_import", "grid_export", "solar", "load", "ev")
    exchange("battery_discharging", "battery_charging", "solar", "grid_export")
    exchange("battery_discharging", "battery_charging", "grid_import", "load", "ev")
    exchange("battery_discharging", "battery_charging", "solar", "load", "ev")
    serve("grid_import", "grid_export")
    serve("battery_discharging", "battery_charging")
    for source, rest in left.items():
        flows[source, "unmatched"] = rest
    for use, rest in open_.items():
        flows["unknown", use] = rest
    return flows
