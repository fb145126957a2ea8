"""A home battery: its commands, what it can do, and what that makes of its charge.

Power is AC, positive when discharging, as sonnen counts it. Charge is what is stored (DC), in W s. Between two nodes
of a trajectory power is linear; the charge follows from it exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

MINUTE_MS = 60_000
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Command:
    """The battery's command at an instant, until the next command.

    `setpoint_w` counts in manual mode only; in self-consumption the battery covers the house and takes its surplus.
    `power_before_w` is the power at that instant, on the way to which no reading is changed afterwards.
    """

    at_ms: int
    manual: bool
    setpoint_w: float
    power_before_w: float


@dataclass(frozen=True)
class Battery:
    """Ratings. `capacity_wh` is what can be stored; the last `floor` of it is never used."""

    capacity_wh: float = 10_000.0
    charge_w: float = 4_600.0
    discharge_w: float = 4_600.0
    floor: float = 0.05
    efficiency: float = 0.95
    """One way, AC to DC or back."""

    @cached_property
    def capacity_ws(self) -> float:
        return self.capacity_wh * 3600

    @cached_property
    def floor_ws(self) -> float:
        return self.floor * self.capacity_ws

    def stored_ws(self, before_w: float, after_w: float, seconds: float) -> float:
        """What is added to the charge while power goes linearly from one value to another (negative: taken out)."""
        if before_w * after_w >= 0:
            ac_ws = (before_w + after_w) / 2 * seconds
            return -ac_ws / self.efficiency if ac_ws > 0 else -ac_ws * self.efficiency
        crossing = seconds * before_w / (before_w - after_w)
        return self.stored_ws(before_w, 0.0, crossing) + self.stored_ws(0.0, after_w, seconds - crossing)

    def within_limits(self, wish_w: float, before_w: float, charge_ws: float, seconds: float) -> float:
        """The power nearest to a wish that can be reached `seconds` later and be brought to zero a minute after it.

        So the battery tapers off before it is empty or full, and reaches both exactly.
        """
        if wish_w > 0:
            left = (charge_ws - self.floor_ws) * self.efficiency
            if before_w > 0:
                left -= before_w / 2 * seconds
            return min(wish_w, self.discharge_w, max(0.0, 2 * left / (seconds + _MINUTE_S)))
        left = (self.capacity_ws - charge_ws) / self.efficiency
        if before_w < 0:
            left += before_w / 2 * seconds
        return -min(-wish_w, self.charge_w, max(0.0, 2 * left / (seconds + _MINUTE_S)))


class Trajectory:
    """Power and charge of a battery over a span of time; times are milliseconds from its begin."""

    def __init__(
        self, battery: Battery, times: Sequence[int], power_w: Sequence[float], charge_ws: Sequence[float]
    ) -> None:
        self._battery = battery
        self._times = times
        self._power = power_w
        self._charge = charge_ws
        self._delivered = list(
            accumulate(
                (
                    (power_w[i] + power_w[i + 1]) / 2 * (times[i + 1] - times[i]) / 1000
                    for i in range(len(times) - 1)
                ),
                initial=0.0,
            )
        )

    def at(self, time_ms: int) -> tuple[float, float, float]:
        """(power W, charge W s, AC energy given since the begin W s)."""
        times = self._times
        index = min(bisect_right(times, time_ms), len(times) - 1) - 1
        seconds = (time_ms - times[index]) / 1000
        before, after = self._power[index], self._power[index + 1]
        power = before + (after - before) * seconds * 1000 / (times[index + 1] - times[index])
        return (
            power,
            self._charge[index] + self._battery.stored_ws(before, power, seconds),
            self._delivered[index] + (before + power) / 2 * seconds,
        )

    def end(self) -> tuple[float, float]:
        """(power W, charge W s) at its last node."""
        return self._power[-1], self._charge[-1]


def run(
    battery: Battery,
    times: Sequence[int],
    wish_w: Callable[[int, int], float],
    frozen_w: dict[int, float],
    power_w: float,
    charge_ws: float,
) -> Trajectory:
    """Follow a battery along nodes.

    `wish_w(index, time)` is what it would do at a node, `frozen_w` the power at nodes where it is already known.
    """
    power, charge = [power_w], [charge_ws]
    before_ms = times[0]
    for index in range(1, len(times)):
        time = times[index]
        seconds = (time - before_ms) / 1000
        if time in frozen_w:
            after = frozen_w[time]
        else:
            after = battery.within_limits(wish_w(index, time), power_w, charge_ws, seconds)
        charge_ws += battery.stored_ws(power_w, after, seconds)
        power_w = after
        power.append(power_w)
        charge.append(charge_ws)
        before_ms = time
    return Trajectory(battery, times, power, charge)
