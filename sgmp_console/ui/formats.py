"""How numbers, ages and times are written for people. Pure text, no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, tzinfo

from sgmp_console.timeseries import calendar

MISSING = "–"

_LARGE = 1e12
"""Numbers from here on are written with a power of ten: nothing that a house measures is so large."""
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DECIMALS = {"Hz": 2, "V": 1, "%": 0}
"""The same at any size. What has another unit has two decimals, and fewer the larger it is."""


def number(value: float, unit: str) -> str:
    """A value with the decimals that its unit deserves, without the unit: `2.31`, `−0.40`, `59.98`, `64`.

    From 100 on a power, energy or charge loses a decimal and from 1,000 on both, so that the digits shown mean something.
    """
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= _LARGE:
        return scientific(value)
    if not unit and float(value).is_integer():
        decimals = 0  # a count
    else:
        decimals = _DECIMALS.get(unit, 2 - (abs(value) >= 99.995) - (abs(value) >= 999.95))
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        # A true minus is as wide as a figure; and there is no negative nothing.
        text = "−" + text[1:] if any(c in "123456789" for c in text) else text[1:]
    return text


def scientific(value: float) -> str:
    """`2.5·10⁹`, with at most three figures."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else MISSING
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    text = mantissa.rstrip("0").rstrip(".").replace("-", "−")
    return f"{text}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


_LARGER: dict[str, tuple[tuple[float, str], ...]] = {
    "mWh": ((1e6, "kWh"),),
    "ms": ((3_600_000, "h"), (60_000, "min"), (1000, "s")),
    "mV": ((1000, "V"),),
    "mA": ((1000, "A"),),
}
"""Units of the wire that nobody reads: how many make one of the unit that is shown, the largest first."""


def scale(size: float, unit: str) -> tuple[float, str]:
    """The factor and unit in which numbers of about this size are shown: 8,960,000 mWh as 8.96 kWh."""
    larger = _LARGER.get(unit, ())
    fitting = next((pair for pair in larger if abs(size) >= pair[0]), None)
    if fitting is None and unit == "mWh":
        fitting = larger[-1]  # there is nothing between it and a kilowatt-hour
    return (1.0, unit) if fitting is None else (1 / fitting[0], fitting[1])


def with_unit(value: float | None, unit: str) -> str:
    """`2.31 kW`, with a space that does not break; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return MISSING
    factor, unit = scale(value, unit)
    value *= factor
    return f"{number(value, unit)}\u00a0{unit}" if unit else number(value, unit)


def measured(value: float | None, unit: str) -> str:
    """A value of whatever field or formula, with its unit: large counts without decimals, what is tiny with its first digits."""
    if value is None:
        return MISSING
    if scale(value, unit)[1] != unit:
        return with_unit(value, unit)
    if abs(value) >= 10_000 and unit not in ("kW", "kWh"):
        text = f"{value:,.0f}".replace("-", "−")
        return f"{text}\u00a0{unit}" if unit else text
    if unit or value == 0 or abs(value) >= 0.01:
        return with_unit(value, unit)
    return f"{value:.3g}".replace("-", "−")


def change(value: float, unit: str) -> str:
    """A difference with its sign: `+2.31 kW`, `−0.40 kW`; `+13 points` of shares, which is not 13 % more; no sign where nothing
    of it is shown."""
    text = with_unit(value, unit)
    if unit == "%":
        text = text.replace("%", "points")
    return f"+{text}" if value > 0 and any(digit in "123456789" for digit in text) else text


def percent(fraction: float) -> str:
    """A share of one. Only the whole is called 100 %, and only nothing 0 %."""
    if 0.995 <= fraction < 1.0:
        return "> 99\u00a0%"
    if 0.0 < fraction < 0.005:
        return "< 1\u00a0%"
    return f"{fraction * 100:.0f}\u00a0%"


def shares(values: Sequence[float]) -> list[str]:
    """Of each in the sum, as whole percents that add up to 100: those with the largest remainders are rounded up. Dashes
    where there is no sum."""
    total = sum(values)
    if not total > 0:
        return [MISSING for _ in values]
    exact = [value / total * 100 for value in values]
    whole = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(values)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: 100 - sum(whole)]:
        whole[place] += 1
    return [
        percent(share / 100) if 0 < share < 0.5 or 99.5 <= share < 100 else f"{rounded}\u00a0%"
        for share, rounded in zip(exact, whole, strict=True)
    ]


def duration(milliseconds: int) -> str:
    """How long, in its two largest units: `3 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, milliseconds) // 1000
    if seconds < 60:
        return f"{seconds}\u00a0s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}\u00a0min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}\u00a0h {minutes}\u00a0min" if minutes else f"{hours}\u00a0h"
    days, hours = divmod(hours, 24)
    return f"{days}\u00a0d {hours}\u00a0h" if hours else f"{days}\u00a0d"


def age(timestamp_ms: int, now_ms: int) -> str:
    """How old something is: `now` under two seconds (and for clocks that run ahead a little), else `5 s ago`."""
    if now_ms - timestamp_ms < 2000:
        return "now"
    return f"{duration(now_ms - timestamp_ms)} ago"


def local(timestamp_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, zone)


def date(moment: datetime) -> str:
    """`Tue 14 May`."""
    return f"{calendar.DAY_NAMES[moment.weekday()][:3]} {moment.day} {calendar.MONTH_NAMES[moment.month - 1][:3]}"


def clock(moment: datetime, *, seconds: bool = False) -> str:
    """`14:03`, `14:03:12`; with the offset (`01:30 −07:00`) where the hour comes twice that day."""
    text = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{text} {offset(moment)}" if is_repeated(moment) else text


def offset(moment: datetime) -> str:
    """The difference to UTC: `−07:00`."""
    text = moment.strftime("%z")
    return ("−" if text.startswith("-") else "+") + f"{text[1:3]}:{text[3:5]}"


def is_repeated(moment: datetime) -> bool:
    """Whether the clock shows this time twice, since it is set back."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset() and _exists(moment)


def moment(timestamp_ms: int, now_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
    """A time, with the date unless it is today's, and with the year unless it is this one."""
    then, today = local(timestamp_ms, zone), local(now_ms, zone).date()
    text = clock(then, seconds=seconds)
    if then.date() == today:
        return text
    return f"{date(then)} {text}" if then.year == today.year else f"{date(then)} {then.year} {text}"


def count(number_of: int, singular: str, plural: str = "") -> str:
    """`1 device`, `3 devices`."""
    return f"{number_of:,} {singular if number_of == 1 else plural or singular + 's'}"


def _exists(moment: datetime) -> bool:
    # In a spring-forward gap fold changes the offset, too, but no instant is written so.
    zone = moment.tzinfo
    if zone is None:
        return False
    back = datetime.fromtimestamp(moment.timestamp(), zone)
    return back.replace(tzinfo=None, fold=0) == moment.replace(tzinfo=None, fold=0)
