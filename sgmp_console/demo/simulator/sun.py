"""Where the sun stands, and what a tilted solar array makes of it."""

from __future__ import annotations

import math

MINUTES_PER_DAY = 1440

HORIZON_SINE = math.sin(math.radians(1.0))
"""Below one degree of elevation roofs, trees and hills hide the sun."""

_TILT = math.radians(25.0)
_DIFFUSE = 0.11


def declination_and_equation_of_time(minute: float) -> tuple[float, float]:
    """Declination (radians) and equation of time (minutes) at a UTC minute since 1970. Good to about 0.3 degrees."""
    day_of_year = (minute / MINUTES_PER_DAY) % 365.2425
    angle = 2 * math.pi * (day_of_year - 1) / 365.2425
    declination = (
        0.006918
        - 0.399912 * math.cos(angle)
        + 0.070257 * math.sin(angle)
        - 0.006758 * math.cos(2 * angle)
        + 0.000907 * math.sin(2 * angle)
        - 0.002697 * math.cos(3 * angle)
        + 0.00148 * math.sin(3 * angle)
    )
    equation = 229.18 * (
        0.000075
        + 0.001868 * math.cos(angle)
        - 0.032077 * math.sin(angle)
        - 0.014615 * math.cos(2 * angle)
        - 0.040849 * math.sin(2 * angle)
    )
    return declination, equation


def elevation(time_ms: int, latitude: float, longitude: float) -> float:
    """The sun's elevation over the horizon in degrees."""
    minute = time_ms / 60_000
    declination, equation = declination_and_equation_of_time(minute)
    hour_angle = _hour_angle(minute, equation, longitude)
    phi = math.radians(latitude)
    sine = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(
        hour_angle
    )
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def clear_sky(first_minute: int, latitude: float, longitude: float) -> list[float]:
    """Irradiance of a cloudless day on the array, as a fraction of 1 kW/m2: one value a minute, both ends included.

    The array faces the equator, tilted by 25 degrees. The slow parts of the sun's path are taken at both ends of the
    day and interpolated, so that one day joins the next without a step.
    """
    phi = math.radians(latitude)
    tilted = phi - math.copysign(_TILT, phi)
    dec_a, equation_a = declination_and_equation_of_time(first_minute)
    dec_b, equation_b = declination_and_equation_of_time(first_minute + MINUTES_PER_DAY)
    start = _hour_angle(first_minute, equation_a, longitude)
    end = _hour_angle(first_minute + MINUTES_PER_DAY, equation_b, longitude)
    step = (end - start) / MINUTES_PER_DAY
    cosines = [math.cos(start + step * i) for i in range(MINUTES_PER_DAY + 1)]

    def ramp(a: float, b: float) -> tuple[float, float]:
        return a, (b - a) / MINUTES_PER_DAY

    up, up_step = ramp(math.sin(phi) * math.sin(dec_a), math.sin(phi) * math.sin(dec_b))
    side, side_step = ramp(math.cos(phi) * math.cos(dec_a), math.cos(phi) * math.cos(dec_b))
    tilt_up, tilt_up_step = ramp(math.sin(tilted) * math.sin(dec_a), math.sin(tilted) * math.sin(dec_b))
    tilt_side, tilt_side_step = ramp(math.cos(tilted) * math.cos(dec_a), math.cos(tilted) * math.cos(dec_b))
    values = []
    for i, cosine in enumerate(cosines):
        sine = up + up_step * i + (side + side_step * i) * cosine
        if sine <= HORIZON_SINE:
            values.append(0.0)
            continue
        incidence = tilt_up + tilt_up_step * i + (tilt_side + tilt_side_step * i) * cosine
        beam = 1.16 * math.exp(-0.2 / sine)
        height = sine - HORIZON_SINE
        values.append(beam * max(0.0, incidence) + _DIFFUSE * min(1.0, 4 * height))
    return values


def _hour_angle(minute: float, equation_of_time: float, longitude: float) -> float:
    """Radians from local solar noon, growing without wrapping."""
    return 2 * math.pi * ((minute + equation_of_time) / MINUTES_PER_DAY + longitude / 360.0 - 0.5)
