"""A curve of a report as a time chart takes it."""

from __future__ import annotations

import numpy as np

from sgmp_console.reports.home import GAP_MS
from sgmp_console.reports.home import Curve as ChartCurve
from sgmp_console.reports.report import Curve, Resolution
from sgmp_console.timeseries import Series

_MAX_GAP_MS = 30 * 60_000
"""Readings further apart are events, and no line joins them."""


def chart_curve(curve: Curve, later_ms: int = 0) -> ChartCurve:
    """Means stand in the middle of their step, running totals at its end, readings where they were taken."""
    shift = curve.step_ms if curve.cumulative else curve.step_ms // 2
    at = curve.starts + (shift + later_ms)
    series = Series(at, curve.values)
    if curve.cumulative and len(at):
        # It begins with nothing where the first step does.
        series = Series([at[0] - curve.step_ms, *at], [0.0, *curve.values])
    if curve.resolution is Resolution.READINGS:
        usual = float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        gap_ms = round(min(max(GAP_MS, 3 * usual), _MAX_GAP_MS))
        return ChartCurve(curve.key, curve.unit, series, gap_ms=gap_ms)
    gap_ms = curve.step_ms + curve.step_ms // 2
    band = None
    if curve.lows is not None and curve.highs is not None and not later_ms:
        known = np.isfinite(curve.lows) & np.isfinite(curve.highs)
        band = Series(at[known], curve.lows[known]), Series(at[known], curve.highs[known])
    return ChartCurve(curve.key, curve.unit, series, gap_ms=gap_ms, band=band)
