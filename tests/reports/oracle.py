"""What reports must say, worked out from readings by sums and loops: docs/reports.md and docs/balance.md in plain Python.

Nothing of the product is imported, so an error there can't hide here. It is slow, and meant to be read beside the design.
Times are UTC ms, powers kW, energies kWh.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from itertools import pairwise
from operator import itemgetter
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
LOAD_WITHOUT_CAR = "load without the car"
"""What is left of the load in slots in which load and car have a value; not below zero."""

HOLDS = 150_000
"""A charger's reading holds to the next one if that comes within so many ms; else there is a gap."""

Flows = Mapping[tuple[str, str], float]
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


@dataclass(frozen=True)
class Split:
    """Where the energy of a visit's part in a range came from, kWh; `not_attributed` in ms."""

    sun: float
    battery: float
    grid: float
    unknown: float
    not_attributed: int


@dataclass(eq=False)
class Oracle:
    """A house: all its readings in order of time, and its events. `load_contains_car`: its load's meter measures the car,
    too."""

    zone: str
    readings: Readings
    events: Sequence[ChargerEvent] = ()
    load_contains_car: bool = False
    _weeks: dict[date, dict[int, tuple[float, float, float]]] = field(default_factory=dict)

    def forget(self, station: Field) -> None:
        """That a station's readings were dropped. They are in no item: what was worked out of those stands."""
        assert station not in {of for of, _ in ITEMS.values()}
        self.readings = {of: pairs for of, pairs in self.readings.items() if of != station}

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
        load, car = found["load"], found["ev"]
        found[LOAD_WITHOUT_CAR] = {
            slot: max(load[slot] - max(car[slot], 0.0), 0.0) for slot in load.keys() & car.keys()
        }
        return found

    @cache  # noqa: B019 - an oracle lives as long as its test
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
        pairs = self.readings.get(of, ())
        for at, value in pairs[
            bisect_left(pairs, start, key=itemgetter(0)) : bisect_left(pairs, end, key=itemgetter(0))
        ]:
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

    def balanced(self, item: str) -> str:
        """What stands for an item of the house in the balance."""
        return LOAD_WITHOUT_CAR if item == "load" and self.load_contains_car else item

    def _balanced_kwh(self, item: str, slot: int) -> float:
        return max(self._slots[self.balanced(item)][slot], 0.0) / 12

    @cached_property
    def _flows(self) -> dict[int, Flows]:
        """Of the slots in which every item has a value."""
        needed = (*SOURCES, *USES)
        slots = set.intersection(*(set(self._slots[item]) for item in needed))
        return {slot: flows_of(*(self._balanced_kwh(item, slot) for item in needed)) for slot in slots}

    @cache  # noqa: B019 - an oracle lives as long as its test
    def attributed(self, start: int, end: int) -> list[int]:
        return [slot for slot in range(start, end, SLOT) if slot in self._flows]

    @cache  # noqa: B019 - an oracle lives as long as its test
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
    def _energies_of(self, slot: int) -> dict[str, float]:
        """What is summed up in the Energy report, of one slot."""
        flows, (sun, grid, _) = self._flows[slot], self._origins(slot)
        measured = {item: self._balanced_kwh(item, slot) for item in (*SOURCES, *USES)}

        def total(source: str, *uses: str) -> float:
            return math.fsum(flows.get((source, use), 0.0) for use in uses)

        discharged = total("battery_discharging", "load", "ev")
        return {
            "consumption": measured["load"] + measured["ev"],
            "from_sun": total("solar", "load", "ev") + sun * discharged,
            "from_grid": total("grid_import", "load", "ev") + grid * discharged,
            "solar": measured["solar"],
            "kept": total("solar", "load", "ev", "battery_charging"),
            "exported": total("solar", "grid_export"),
            "grid_import": measured["grid_import"],
            "grid_export": measured["grid_export"],
            "charged": measured["battery_charging"],
            "discharged": measured["battery_discharging"],
            "residual": abs(
                math.fsum(measured[item] for item in SOURCES) - math.fsum(measured[item] for item in USES)
            ),
        }

    @cache  # noqa: B019 - an oracle lives as long as its test
    def energies(self, start: int, end: int) -> dict[str, float | None]:
        """The figures of the Energy report, by key."""
        slots = self.attributed(start, end)
        not_attributed = ((end - start) // SLOT - len(slots)) / 12
        if not slots:
            names = ("consumption", "from_sun", "from_grid", "autarky", "solar", "self_consumption",
                     "grid_import", "grid_export", "charged", "discharged", "residual")  # fmt: skip
            return {**dict.fromkeys(names), "not_attributed": not_attributed}
        of_slots = [self._energies_of(slot) for slot in slots]
        sums = {key: math.fsum(of_slot[key] for of_slot in of_slots) for key in of_slots[0]}
        kept, exported = sums.pop("kept"), sums.pop("exported")
        of_known_origin = sums["from_sun"] + sums["from_grid"]
        return {
            **sums,
            "autarky": 100 * sums["from_sun"] / of_known_origin if of_known_origin > 0 else None,
            "self_consumption": 100 * kept / (kept + exported) if kept + exported > 0 else None,
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

    def _part(self, visit: Visit, start: int, end: int) -> tuple[int, int] | None:
        """The part of a visit that lies in a range; None where its start or its end is not known."""
        if visit.begin is None or visit.lost_end:
            return None
        return max(visit.begin, start), min(visit.end if visit.end is not None else end, end)

    def _power(self, visit: Visit, part: tuple[int, int]) -> list[tuple[int, float]]:
        """What the station read in it."""
        pairs = self.readings.get((visit.station, "power"), ())
        return [pair for pair in pairs if part[0] <= pair[0] < part[1]]

    def _charged(self, visit: Visit, start: int, end: int) -> float | None:
        """Hours above 0.1 kW; a gap counts as nothing."""
        length = self._curve_of(visit, start, end)[0]
        return None if length is None else length / HOUR

    def _curve_of(
        self, visit: Visit, start: int, end: int
    ) -> tuple[int | None, float | None, float | None, int | None]:
        """How long a car charged (ms), mean and peak power (kW), and the pauses, by its station's readings."""
        part = self._part(visit, start, end)
        power = self._power(visit, part) if part else []
        if len(power) < 2:
            return None, None, None, None
        charging, energy, pauses = 0, 0.0, 0
        before: bool | None = None
        for (at, value), (after, _) in pairwise(power):
            if after - at > HOLDS:
                continue
            if value > 0.1:
                charging += after - at
                energy += value * (after - at)
                pauses += before is False
            # Nothing before the first charging is a pause.
            before = value > 0.1 if before is not None or value > 0.1 else None
        mean = energy / charging if charging else None
        return charging, mean, max(value for _, value in power), pauses

    def split(self, visit: Visit, start: int, end: int) -> Split | None:
        """Of the energy by the charger where the visit lies in the range as a whole, else of what its station's power
        adds up to. In each slot the car has the sources that it has in the balance, or those of the load where the
        house's meter saw no car."""
        part = self._part(visit, start, end)
        if part is None or part[0] >= part[1]:
            return None
        slots = range(part[0] // SLOT * SLOT, part[1], SLOT)
        taken = dict.fromkeys(slots, 0.0)
        power = self._power(visit, part)
        for (at, value), (after, _) in pairwise([*power, (part[1], 0.0)]):
            if after - at > HOLDS:
                continue
            for slot in range(at // SLOT * SLOT, after, SLOT):
                taken[slot] += max(value, 0.0) * (min(after, slot + SLOT) - max(at, slot)) / HOUR
        measured = math.fsum(taken.values())
        is_whole = part == (visit.begin, visit.end) and visit.energy_kwh is not None
        energy = visit.energy_kwh if is_whole else measured if measured > 0 else None
        if energy is None:
            return None

        def overlap(slot: int) -> int:
            return min(part[1], slot + SLOT) - max(part[0], slot)

        def served(slot: int, use: str) -> dict[str, float]:
            flows = self._flows.get(slot, {})
            return {source: flows.get((source, use), 0.0) for source in (*SOURCES, "unknown")}

        if not measured > 0:
            taken = {slot: math.fsum(served(slot, "ev").values()) * overlap(slot) / SLOT for slot in slots}
        whole = math.fsum(taken.values())
        from_source = dict.fromkeys(SOURCES, 0.0)
        for slot in slots:
            sources = served(slot, "ev")
            if not math.fsum(sources.values()) > 0:
                sources = served(slot, "load")
            total = math.fsum(sources.values())
            for source in SOURCES:
                if total > 0 and whole > 0:
                    from_source[source] += energy * taken[slot] / whole * sources[source] / total
        sun, grid, battery = from_source.values()
        lost = sum(overlap(slot) for slot in slots if slot not in self._flows)
        return Split(sun, battery, grid, max(0.0, energy - sun - battery - grid), lost)

    def sessions(self, start: int, end: int, now: int) -> list[tuple[float | int | str | None, ...]]:
        """The rows of the table of sessions without their remarks, in order of time."""
        rows: list[tuple[float | int | str | None, ...]] = []
        visits = self.visits(start, end, now)
        for visit in sorted(visits, key=lambda one: one.begin if one.begin is not None else one.end or 0):
            part, split = self._part(visit, start, end), self.split(visit, start, end)
            charging, mean, peak, pauses = self._curve_of(visit, start, end)
            rows.append(
                (
                    visit.station,
                    visit.begin,
                    visit.end,
                    None if part is None else max(0, part[1] - part[0]),
                    charging,
                    visit.energy_kwh,
                    mean,
                    peak,
                    pauses,
                    *(
                        (split.sun, split.battery, split.grid, split.unknown, split.not_attributed)
                        if split is not None
                        else (None,) * 5
                    ),
                )
            )
        return rows

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


@cache
def flows_of(*kwh: float) -> Flows:
    """Who served whom in one slot, of the energies of SOURCES and USES: first come the sun, the battery, the grid, each with its uses in the order of the design.

    Then what is left of a source beside a use that is not served (both ways in one slot) is exchanged with flows that are
    there already, until only the difference of all sources and all uses is left.
    """
    left = dict(zip(SOURCES, kwh[: len(SOURCES)], strict=True))
    open_ = dict(zip(USES, kwh[len(SOURCES) :], strict=True))
    flows: dict[tuple[str, str], float] = defaultdict(float)

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
