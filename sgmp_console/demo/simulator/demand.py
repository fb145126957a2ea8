"""What the people in a house use, cars aside."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo

from sgmp_console.demo.simulator import noise

MINUTES_PER_DAY = 1440

_QUARTER = 15
"""Civil time moves only at quarters of an hour UTC, so the offset is looked up once for each."""

_FRIDGE_CYCLE = 52
_LEAST_W = 90.0


class Demand:
    """The habits of one household: standing load, a morning and an evening peak in local time, single appliances."""

    def __init__(self, seed: int, zone: ZoneInfo, latitude: float) -> None:
        self._seed = seed
        self._zone = zone
        self._winter_sign = 1.0 if latitude >= 0 else -1.0
        habit = noise.generator(seed, "household")
        self._size = habit.uniform(0.8, 1.3)
        self._base_w = 190.0 * self._size
        morning, evening = habit.uniform(6.6, 7.8), habit.uniform(18.4, 20.0)
        self._weekday = _profile(self._size, morning, evening, morning_w=650, midday_w=120, evening_w=1050)
        self._weekend = _profile(
            self._size, morning + 1.7, evening, morning_w=520, midday_w=380, evening_w=950
        )
        self._slow, self._fast = noise.stream(seed, "load", "slow"), noise.stream(seed, "load", "fast")
        self._fridge = noise.stream(seed, "fridge")
        self._appliances = lru_cache(maxsize=8)(self._plan)

    def day(self, first_minute: int) -> list[float]:
        """Watts at each minute of 24 hours from a UTC minute (a whole quarter of an hour), both ends included."""
        count = MINUTES_PER_DAY + 1
        day_of_year = (first_minute / MINUTES_PER_DAY) % 365.2425
        season = self._winter_sign * 0.18 * math.cos(2 * math.pi * (day_of_year - 15) / 365.2425)
        season_step = (
            self._winter_sign
            * 0.18
            * (
                math.cos(2 * math.pi * (day_of_year - 14) / 365.2425)
                - math.cos(2 * math.pi * (day_of_year - 15) / 365.2425)
            )
            / MINUTES_PER_DAY
        )
        slow = noise.smooth(self._slow, 13, first_minute, count)
        fast = noise.smooth(self._fast, 3, first_minute, count)
        watts = [
            self._base_w + habit * (1 + season + season_step * i + 0.35 * a) + 40 * b
            for i, (habit, a, b) in enumerate(zip(self._habits(first_minute, count), slow, fast, strict=True))
        ]
        for start, length, power in self._switched_on(first_minute, count):
            for i in range(max(0, start - first_minute), min(count, start - first_minute + length)):
                watts[i] += power
        return [max(_LEAST_W, w) for w in watts]

    def _habits(self, first_minute: int, count: int) -> list[float]:
        """The daily profile, by the clock on the wall."""
        values: list[float] = []
        for minute in range(first_minute, first_minute + count, _QUARTER):
            offset = datetime.datetime.fromtimestamp(minute * 60, self._zone).utcoffset()
            local = minute + round(offset.total_seconds() / 60 if offset else 0)
            day, of_day = divmod(local, MINUTES_PER_DAY)
            profile = self._weekend if (day + 3) % 7 > 4 else self._weekday
            values += profile[of_day : of_day + _QUARTER]
        return values[:count]

    def _switched_on(self, first_minute: int, count: int) -> Iterator[tuple[int, int, float]]:
        """(first UTC minute, minutes, watts) of whatever runs in the range."""
        for cycle in range(first_minute // _FRIDGE_CYCLE - 1, (first_minute + count) // _FRIDGE_CYCLE + 1):
            jitter = noise.uniform(self._fridge, cycle)
            yield cycle * _FRIDGE_CYCLE + round(8 * jitter), round(18 + 4 * jitter), 95.0
        first = datetime.datetime.fromtimestamp(first_minute * 60, self._zone).toordinal()
        for ordinal in range(first - 1, first + 3):
            yield from self._appliances(ordinal)

    def _plan(self, ordinal: int) -> tuple[tuple[int, int, float], ...]:
        """What is switched on on a local date."""
        day = noise.generator(self._seed, "appliances", ordinal)
        weekend = datetime.date.fromordinal(ordinal).isoweekday() > 5
        planned = [
            (day.uniform(6.5, 8.5), 4, 1_900.0),  # kettle
            (day.uniform(18.0, 19.3), day.randint(22, 50), day.uniform(1_200, 2_300)),  # stove
        ]
        planned += [(day.uniform(9.0, 22.0), day.randint(3, 5), 1_900.0) for _ in range(day.randint(1, 4))]
        if day.random() < (0.7 if weekend else 0.35):  # washing: it heats, then turns
            start = day.uniform(8.5, 17.0)
            planned += [(start, 16, 2_050.0), (start + 16 / 60, 62, 260.0)]
        if day.random() < 0.6:  # dishwasher: heats twice
            start = day.uniform(19.8, 22.0)
            planned += [(start, 18, 1_850.0), (start + 0.8, 14, 1_700.0)]
        if weekend:  # oven
            planned.append((day.uniform(11.0, 13.0), day.randint(30, 60), 1_600.0))
        midnight = datetime.datetime.combine(datetime.date.fromordinal(ordinal), datetime.time())
        return tuple(
            (self._utc_minute(midnight + datetime.timedelta(minutes=round(hour * 60))), minutes, watts)
            for hour, minutes, watts in planned
        )

    def _utc_minute(self, wall: datetime.datetime) -> int:
        return round(wall.replace(tzinfo=self._zone).timestamp()) // 60


def _profile(
    size: float, morning_h: float, evening_h: float, *, morning_w: float, midday_w: float, evening_w: float
) -> list[float]:
    """Watts by local minute of the day, running on a quarter of an hour into the next."""

    def bump(minute: int, peak_h: float, width_h: float) -> float:
        distance = (minute / 60 - peak_h + 12) % 24 - 12
        return math.exp(-0.5 * (distance / width_h) ** 2)

    day = [
        size
        * (
            morning_w * bump(minute, morning_h, 0.8)
            + midday_w * bump(minute, 13.0, 2.2)
            + evening_w * bump(minute, evening_h, 1.7)
        )
        for minute in range(MINUTES_PER_DAY)
    ]
    return day + day[:_QUARTER]
