"""One simulated house: sun, people, car and battery, as a function of seed, place and time.

    grid = load + EV - solar - battery        (grid: import positive; battery: discharging positive)

holds at every instant. Any instant can be asked for, past or future, in any order and in any process, and gives the
same answer, so that history that was loaded in bulk and what the live devices say are one piece. What makes that
possible for the battery, whose charge depends on all that went before: every 14th night, by the sun's clock, it is
charged full for maintenance, as real ones are. Its charge is walked from the last such morning.

Powers are worked out at whole minutes and are linear in between; on top of that the load has a quick ripple that
adds up to nothing over each minute. So energy is the exact integral of power.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from threading import RLock
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sgmp_console.demo.simulator import battery as storage
from sgmp_console.demo.simulator import noise, sun
from sgmp_console.demo.simulator.cars import Session, Station
from sgmp_console.demo.simulator.demand import Demand

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_MINUTES = 1440
_NODES = range(0, DAY_MS + 1, MINUTE_MS)

_MAINTENANCE_DAYS = 14
_MAINTENANCE_NODES = range(18 * 60, _MINUTES + 1)
"""The last six hours of a day of the model: midnight to six, by the sun."""

_REGULATION_W = 20.0
"""Self-consumption leaves about this little to be drawn from the grid, so as not to export by mistake."""

_PERFORMANCE = 0.78
"""What of the array's nominal power is left after heat, wiring and inverter."""

_RESPONSE_MS = 600
"""How long a battery takes to follow a command."""

_RIPPLE_W = 14.0
_RIPPLE_V_PER_W = -0.006
_DAYS_KEPT = 4


@dataclass(frozen=True)
class Mains:
    """Nominal mains of the place: each leg's voltage to neutral (V) and the frequency (Hz)."""

    leg_v: float
    frequency_hz: float


US_SPLIT_PHASE = Mains(120.5, 60.0)
EUROPE = Mains(231.0, 50.0)
_SPLIT_PHASE_ZONES = ("America/", "US/", "Canada/", "Pacific/Honolulu")


class State(NamedTuple):
    """A house at an instant. Powers in W; `charge`: the battery's state of charge, 0 to 1."""

    time_ms: int
    load_w: float
    ev_w: float
    solar_w: float
    battery_w: float
    charge: float
    l1_v: float
    l2_v: float
    frequency_hz: float

    @property
    def grid_w(self) -> float:
        """Import positive, export negative."""
        return self.load_w + self.ev_w - self.solar_w - self.battery_w


class Energy(NamedTuple):
    """Integrals over a span of time: W s, V s and Hz s, signs as in State."""

    load: float
    ev: float
    solar: float
    battery: float
    l1: float
    l2: float
    frequency: float

    @property
    def grid(self) -> float:
        return self.load + self.ev - self.solar - self.battery


_NOTHING = Energy(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class House:
    """A simulated house. Safe to use from several threads.

    `zone` (IANA) rules when people get up, the sun shines by `latitude` and `longitude` (degrees, north and east
    positive). `mains` follows from the zone if it is not given. Raises ValueError for a battery that maintenance
    can't fill in a night.
    """

    def __init__(
        self,
        seed: int,
        zone: str,
        latitude: float,
        longitude: float,
        *,
        mains: Mains | None = None,
        solar_kw: float = 6.0,
        battery: storage.Battery | None = None,
    ) -> None:
        self.seed = seed
        self.zone = ZoneInfo(zone)
        self.latitude = latitude
        self.longitude = longitude
        self.mains = mains or (US_SPLIT_PHASE if zone.startswith(_SPLIT_PHASE_ZONES) else EUROPE)
        self.solar_kw = solar_kw
        self.battery = battery or storage.Battery()
        self._maintenance_w = min(self.battery.charge_w, self.battery.capacity_wh / 4)
        if self.battery.capacity_wh / self.battery.efficiency > 5.5 * self._maintenance_w:
            raise ValueError("the battery must be fillable in 5.5 hours: raise charge_w or lower capacity_wh")
        self.charger = Station(seed, "home", self.zone)
        self._demand = Demand(seed, self.zone, latitude)
        self._streams = {
            name: noise.stream(seed, name)
            for name in (
                "weather",
                "clouds",
                "gusts",
                "voltage",
                "sag",
                "l1",
                "l2",
                "frequency",
                "jitter",
                "ripple",
                "regulation",
            )
        }
        # A day of the model begins at six in the morning by the sun, when maintenance has just filled the battery.
        self._begin_minute = round((6 - longitude / 15) * 4) * 15
        self._maintenance_phase = seed % _MAINTENANCE_DAYS
        self._commands: list[storage.Command] = []
        self._days: OrderedDict[int, _Day] = OrderedDict()
        self._starts: dict[int, tuple[float, float]] = {}
        self._totals: dict[int, Energy] = {}
        self._lock = RLock()

    def at(self, time_ms: int) -> State:
        """The house at an instant (UTC ms)."""
        with self._lock:
            number = self._number(time_ms)
            return self._day(number).state(time_ms)

    def walk(self, start_ms: int, end_ms: int, step_ms: int) -> Iterator[State]:
        """The house at each step of the half-open range."""
        for time_ms in range(start_ms, end_ms, step_ms):
            yield self.at(time_ms)

    def energy(self, start_ms: int, end_ms: int) -> Energy:
        """The exact integrals over [start_ms, end_ms]; negative if the end lies before the start."""
        if end_ms < start_ms:
            return Energy(*(-value for value in self.energy(end_ms, start_ms)))
        with self._lock:
            first, last = self._number(start_ms), self._number(end_ms)
            before = self._day(first).energy(start_ms)
            if first == last:
                upto = self._day(last).energy(end_ms)
                return Energy(*[b - a for a, b in zip(before, upto, strict=True)])
            totals = [self._total(number) for number in range(first, last)]
            upto = self._day(last).energy(end_ms)
            return Energy(*[math.fsum(parts) - a for a, *parts in zip(before, *totals, upto, strict=True)])

    def walk_with_energy(self, start_ms: int, end_ms: int, step_ms: int) -> Iterator[tuple[State, Energy]]:
        """`walk`, each state with the integrals over the step that ends at it."""
        with self._lock:
            number = self._number(start_ms - step_ms)
            before = self._day(number).energy(start_ms - step_ms)
        for time_ms in range(start_ms, end_ms, step_ms):
            with self._lock:
                now = self._number(time_ms)
                upto = self._day(now).energy(time_ms)
                if now == number:
                    step = Energy(*[b - a for a, b in zip(before, upto, strict=True)])
                else:
                    step = self.energy(time_ms - step_ms, time_ms)
                state = self._day(now).state(time_ms)
            yield state, step
            number, before = now, upto

    def sessions(self, start_ms: int, end_ms: int) -> list[Session]:
        """The cars at the house's own charging station that touch the half-open range."""
        return self.charger.sessions(start_ms, end_ms)

    def command(self, at_ms: int, *, manual: bool, setpoint_w: float = 0.0) -> None:
        """Tell the battery what to do from an instant on (positive: discharge); it holds until the next command.

        Commands come in the order of time: one for the past counts from the last command on.
        """
        with self._lock:
            if self._commands:
                at_ms = max(at_ms, self._commands[-1].at_ms + 1)
            before_w = self.at(at_ms).battery_w
            self._commands.append(storage.Command(at_ms, manual, setpoint_w, before_w))
            number = self._number(at_ms)
            for stale in [n for n in self._days if n >= number]:
                del self._days[stale]
            for stale in [n for n in self._totals if n >= number]:
                del self._totals[stale]
            for stale in [n for n in self._starts if n > number]:
                del self._starts[stale]

    # --- Days of the model ------------------------------------------------------------------------------------

    def _number(self, time_ms: int) -> int:
        return (time_ms - self._begin_minute * MINUTE_MS) // DAY_MS

    def _first_minute(self, number: int) -> int:
        return number * _MINUTES + self._begin_minute

    def _day(self, number: int) -> _Day:
        day = self._days.get(number)
        if day is not None:
            self._days.move_to_end(number)
            return day
        power_w, charge_ws = self._start(number)
        day = self._make(number, power_w, charge_ws)
        self._days[number] = day
        if len(self._days) > _DAYS_KEPT:
            self._days.popitem(last=False)
        return day

    def _start(self, number: int) -> tuple[float, float]:
        """The battery's power and charge at the begin of a day."""
        known = number
        while known not in self._starts:
            if self._ends_maintenance(known):
                self._starts[known] = (0.0, self.battery.capacity_ws)
            else:
                known -= 1
        for earlier in range(known, number):
            self._make(earlier, *self._starts[earlier])
        return self._starts[number]

    def _ends_maintenance(self, number: int) -> bool:
        """Whether a day begins with a battery known to be full: after maintenance that no command disturbed."""
        begin_ms = self._first_minute(number) * MINUTE_MS
        untouched = not self._commands or begin_ms <= self._commands[0].at_ms
        return untouched and number % _MAINTENANCE_DAYS == self._maintenance_phase

    def _make(self, number: int, power_w: float, charge_ws: float) -> _Day:
        first_minute = self._first_minute(number)
        day = _Day(first_minute, self._world(first_minute), self._streams["ripple"])
        day.follow(self._follow(number, day, power_w, charge_ws), self.battery.capacity_ws)
        # After maintenance the charge is full by definition, not by addition: the same however it was reached.
        full = self._ends_maintenance(number + 1)
        self._starts[number + 1] = (0.0, self.battery.capacity_ws) if full else day.trajectory.end()
        self._totals[number] = day.energy(day.begin_ms + DAY_MS)
        return day

    def _total(self, number: int) -> Energy:
        if number not in self._totals:
            self._make(number, *self._start(number))
        return self._totals[number]

    def _follow(self, number: int, day: _Day, power_w: float, charge_ws: float) -> storage.Trajectory:
        """What the battery does over a day."""
        begin_ms = day.begin_ms
        maintained = (number + 1) % _MAINTENANCE_DAYS == self._maintenance_phase
        net = [load + ev - solar for load, ev, solar in zip(day.load, day.ev, day.solar, strict=True)]
        errors = self._noise("regulation", 2, begin_ms // MINUTE_MS, _MINUTES + 1)
        wishes = [watts - _REGULATION_W * (1 + error) for watts, error in zip(net, errors, strict=True)]
        if maintained:
            for node in _MAINTENANCE_NODES:
                wishes[node] = -self._maintenance_w
        if not self._commands or self._commands[0].at_ms >= begin_ms + DAY_MS:
            return storage.run(self.battery, _NODES, lambda index, _: wishes[index], {}, power_w, charge_ws)

        today = [command for command in self._commands if begin_ms <= command.at_ms < begin_ms + DAY_MS]
        frozen = {command.at_ms - begin_ms: command.power_before_w for command in today}
        times = set(_NODES) | set(frozen)
        times |= {at + _RESPONSE_MS for at in frozen if at + _RESPONSE_MS < DAY_MS}
        at = [command.at_ms - begin_ms for command in self._commands]

        def wish(_: int, time: int) -> float:
            in_force = bisect_right(at, time - 1) - 1
            if in_force >= 0 and self._commands[in_force].manual:
                return self._commands[in_force].setpoint_w
            node, within = divmod(time, MINUTE_MS)
            if within == 0:
                return wishes[node]
            return wishes[node] + (wishes[node + 1] - wishes[node]) * within / MINUTE_MS

        return storage.run(self.battery, sorted(times), wish, frozen, power_w, charge_ws)

    def _world(self, first_minute: int) -> tuple[Sequence[float], ...]:
        """Load, EV, solar (W), both voltages (V) and the frequency (Hz) at each minute of a day."""
        count = _MINUTES + 1
        load = self._demand.day(first_minute)
        ev = [0.0] * count
        for session in self.sessions(first_minute * MINUTE_MS, (first_minute + count) * MINUTE_MS):
            start = session.charging_ms // MINUTE_MS - first_minute
            for node in range(max(0, start), min(count, start + len(session.watts))):
                ev[node] = session.watts[node - start]
        clear = sun.clear_sky(first_minute, self.latitude, self.longitude)
        solar = [
            min(light * _PERFORMANCE, 0.95) * self.solar_kw * 1000
            for light in self._under_clouds(clear, first_minute)
        ]
        supply, sag = (
            self._noise("voltage", 53, first_minute, count),
            self._noise("sag", 9, first_minute, count),
        )
        one, two = self._noise("l1", 17, first_minute, count), self._noise("l2", 17, first_minute, count)
        scale = self.mains.leg_v / 120
        shared = [
            self.mains.leg_v + scale * (1.1 * a + 0.35 * b - 0.00018 * (p + q - s))
            for a, b, p, q, s in zip(supply, sag, load, ev, solar, strict=True)
        ]
        frequency = [
            self.mains.frequency_hz + 0.014 * slow + 0.012 * quick
            for slow, quick in zip(
                self._noise("frequency", 11, first_minute, count),
                self._noise("jitter", 2, first_minute, count),
                strict=True,
            )
        ]
        return (
            load,
            ev,
            solar,
            [v + scale * 0.3 * noise_v for v, noise_v in zip(shared, one, strict=True)],
            [v + scale * 0.3 * noise_v for v, noise_v in zip(shared, two, strict=True)],
            frequency,
        )

    def _under_clouds(self, clear: Sequence[float], first_minute: int) -> list[float]:
        """What comes through of a clear sky's light: all of it, down to about 0.15 under a closed cover."""
        weather = self._noise("weather", 600, first_minute, len(clear))
        clouds = self._noise("clouds", 31, first_minute, len(clear))
        gusts = self._noise("gusts", 4, first_minute, len(clear))
        through = []
        for light, w, c, g in zip(clear, weather, clouds, gusts, strict=True):
            cover = 0.3 + 0.65 * w + 0.4 * c + 0.14 * g
            if light and cover > 0:
                cover = min(cover, 1.0)
                light *= 1 - 0.85 * cover * cover * (3 - 2 * cover)
            through.append(light)
        return through

    def _noise(self, name: str, period: int, first_minute: int, count: int) -> list[float]:
        return noise.smooth(self._streams[name], period, first_minute, count)


class _Day:
    """24 hours of a house, ready to be asked for any instant."""

    def __init__(self, first_minute: int, world: Sequence[Sequence[float]], ripple: int) -> None:
        self.begin_ms = first_minute * MINUTE_MS
        self._first_minute = first_minute
        self._nodes = tuple(array("d", nodes) for nodes in world)
        self.load, self.ev, self.solar = self._nodes[:3]
        self._sums = tuple(array("d", accumulate(nodes)) for nodes in self._nodes)
        self._ripple_seed = ripple

    def follow(self, trajectory: storage.Trajectory, capacity_ws: float) -> None:
        self.trajectory = trajectory
        self._capacity_ws = capacity_ws

    def state(self, time_ms: int) -> State:
        since = time_ms - self.begin_ms
        node, within = divmod(since, MINUTE_MS)
        part = within / MINUTE_MS
        load, ev, solar, l1, l2, frequency = [a[node] + (a[node + 1] - a[node]) * part for a in self._nodes]
        battery_w, charge_ws, _ = self.trajectory.at(since)
        if within:
            ripple = self._ripple(node, part)[0]
            load += ripple
            l1 += ripple * _RIPPLE_V_PER_W
            l2 += ripple * _RIPPLE_V_PER_W
        return State(time_ms, load, ev, solar, battery_w, charge_ws / self._capacity_ws, l1, l2, frequency)

    def energy(self, time_ms: int) -> Energy:
        """The integrals from the day's begin to an instant (which may be its end)."""
        since = time_ms - self.begin_ms
        node, within = divmod(since, MINUTE_MS)
        battery = self.trajectory.at(since)[2]
        # A sum of nodes makes the integral of what is linear between them: half of both ends is too much.
        whole = [
            (sums[node] - (nodes[0] + nodes[node]) / 2) * 60
            for nodes, sums in zip(self._nodes, self._sums, strict=True)
        ]
        if not within:
            load, ev, solar, l1, l2, frequency = whole
            return Energy(load, ev, solar, battery, l1, l2, frequency)
        part, seconds = within / MINUTE_MS, within / 1000
        load, ev, solar, l1, l2, frequency = [
            upto + (a[node] + (a[node + 1] - a[node]) * part / 2) * seconds
            for a, upto in zip(self._nodes, whole, strict=True)
        ]
        ripple = self._ripple(node, part)[1]
        volts = ripple * _RIPPLE_V_PER_W
        return Energy(load + ripple, ev, solar, battery, l1 + volts, l2 + volts, frequency)

    def _ripple(self, node: int, part: float) -> tuple[float, float]:
        """The quick ripple of the load (W) and its integral since the minute began (W s)."""
        size = noise.uniform(self._ripple_seed, self._first_minute + node)
        turns = 2 * math.pi * (5 + int(4 * abs(size)))
        amplitude = _RIPPLE_W * (0.6 + 0.4 * size)
        return amplitude * math.sin(turns * part), amplitude * 60 / turns * (1 - math.cos(turns * part))
