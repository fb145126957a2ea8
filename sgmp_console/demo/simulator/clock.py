"""The two times of a simulated house: that on its devices' clocks, and that of its sun and people."""

from __future__ import annotations

import time


class SimulatedClock:
    """Devices always show real time, so that a reader need not know. The house lives at `speed` times that
    pace, beginning at `epoch_ms` (without it: now).

    What is counted over time (energy) is counted by the devices' clocks, so that it stays power times time for one who
    reads them.
    """

    def __init__(self, epoch_ms: int | None = None, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed must be positive")
        self.speed = speed
        self.started_ms = round(time.time() * 1000)
        self._epoch_ms = self.started_ms if epoch_ms is None else epoch_ms
        self.is_real = epoch_ms is None and speed == 1.0

    def now_ms(self) -> int:
        """The time on the devices' clocks (UTC ms)."""
        return round(time.time() * 1000)

    def house_ms(self, device_ms: int) -> int:
        """The time in the house when the devices show a time."""
        if self.is_real:
            return device_ms
        return self._epoch_ms + round((device_ms - self.started_ms) * self.speed)
