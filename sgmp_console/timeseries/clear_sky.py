"""The sun of a clear sky. Pure.

The sun's position is that of the Astronomical Almanac's low-precision formulas (Michalsky, Solar Energy 40, 1988), good to
0.01 degrees from 1950 to 2050; the irradiance is Haurwitz's model of 1945 (Reno, Hansen and Stein, Sandia SAND2012-2389).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_J2000_MS = 946_728_000_000
"""Noon of 1 January 2000, UTC."""
_DAY_MS = 86_400_000


def irradiance(times_ms: NDArray[np.int64], latitude: float, longitude: float) -> NDArray[np.float64]:
    """On a horizontal plane under a clear sky, W/m2, at UTC times; 0 while the sun is down. The place in degrees, north and
    east positive."""
    days = (times_ms - _J2000_MS) / _DAY_MS
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.0000004 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    hours_utc = times_ms % _DAY_MS / 3_600_000
    sidereal = np.radians(15 * (6.697375 + 0.0657098242 * days + hours_utc) + longitude)
    north = np.radians(latitude)
    height = np.sin(north) * np.sin(declination) + np.cos(north) * np.cos(declination) * np.cos(
        sidereal - ascension
    )
    is_up = height > 0
    cosine = np.where(is_up, height, 1.0)
    found: NDArray[np.float64] = np.where(is_up, 1098.0 * cosine * np.exp(-0.057 / cosine), 0.0)
    return found
