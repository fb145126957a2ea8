"""What a pane of a chart shows at a given width: computed on any thread, drawn on screen and on paper. No widgets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sgmp_console.reports.home import Curve
from sgmp_console.timeseries import READING_LIMIT, Series
from sgmp_console.ui.charts import reduce
from sgmp_console.ui.charts.stack import NOTHING, Layer, stacked
from sgmp_console.ui.quantities import Quantity

_AREA_PIXELS = 2
"""Width of a column of a stacked area, of a band and of a line of means."""


@dataclass(frozen=True)
class Pane:
    """Lines that share a value axis. `least_span`, in `unit`, keeps noise from filling the pane.

    With `below` they are areas instead: items named there are stacked below zero, the others above, in their order.
    Areas show the mean of each pixel column, since extremes of different columns do not add up. `compared`: by item the
    key of the curve of another period; what these add up to on each side is a dashed outline. `beside`: lines that are
    there for comparison; where only they have values is a gap. `filled`: lines that are filled down to zero.
    """

    unit: str
    quantities: tuple[Quantity, ...]
    least_span: float
    from_zero: bool
    below: frozenset[str] | None = None
    compared: Mapping[str, str] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()


_LEAST_SPANS = {"kW": 0.5, "W": 500.0, "kWh": 0.5, "V": 4.0, "Hz": 0.1, "%": 10.0}
_FROM_ZERO = {"kW", "W", "kWh", "%", "A", "VA", "var", "kVA", "kvar", "MW"}


def single_pane(quantity: Quantity, unit: str) -> Pane:
    """For one line of whatever unit."""
    return Pane(unit, (quantity,), _LEAST_SPANS.get(unit, 1e-9), unit in _FROM_ZERO)


@dataclass(frozen=True, eq=False)
class PaneFrame:
    """What is drawn of a pane over [start_ms, end_ms). `low` above `high`: there is no value.

    `lines`: x in seconds since 1970 and y, NaN where they are broken. `dots`: points that no line leads to. The edges of
    `bands`, `layers` and `outlines` are values at equally wide columns.
    """

    start_ms: int
    end_ms: int
    low: float
    high: float
    gaps: tuple[tuple[int, int], ...] = ()
    lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    dots: tuple[tuple[Quantity, Series], ...] = ()
    bands: tuple[Layer, ...] = ()
    layers: tuple[Layer, ...] = ()
    outlines: tuple[NDArray[np.float64], ...] = ()

    @property
    def drawn(self) -> set[str]:
        """The items of which there is anything."""
        of_layers = {
            layer.quantity.item for layer in self.layers if np.any(np.abs(layer.outer - layer.inner) > 0)
        }
        return of_layers | {item for item, (x, _) in self.lines.items() if len(x)}


def pane_frame(
    pane: Pane,
    curves: Mapping[str, Curve],
    hidden: Collection[str],
    start_ms: int,
    end_ms: int,
    columns: int,
    passed_ms: int | None = None,
) -> PaneFrame:
    """Of the curves of the pane that are not hidden, for so many pixels. What comes after `passed_ms` is not missing."""
    shown = {
        quantity.item: (quantity, curves[quantity.item])
        for quantity in pane.quantities
        if quantity.item in curves and quantity.item not in hidden
    }
    if pane.below is None:
        frame = _lines(pane, list(shown.values()), start_ms, end_ms, columns)
    else:
        frame = _areas(pane, shown, curves, start_ms, end_ms, columns // _AREA_PIXELS)
    until_ms = end_ms if passed_ms is None else max(start_ms, min(end_ms, passed_ms))
    missing = [
        reduce.gaps(curve.series, start_ms, until_ms, curve.gap_ms)
        for item, (_, curve) in shown.items()
        if item not in pane.beside
    ]
    return replace(frame, gaps=tuple(reduce.common_gaps(missing)))


def _lines(
    pane: Pane, shown: list[tuple[Quantity, Curve]], start_ms: int, end_ms: int, columns: int
) -> PaneFrame:
    points, dots, bands = {}, [], []
    edges = []
    for quantity, curve in shown:
        series, band = curve.series, curve.band
        if band is not None:
            width = columns // _AREA_PIXELS
            lows, highs = reduce.column_band(*band, start_ms, end_ms, width, curve.gap_ms)
            bands.append(Layer(quantity, lows, highs))
            edges += [lows, highs]
        first, last = np.searchsorted(series.timestamps, (start_ms, end_ms))
        if band is not None and last - first > columns:
            # The band has the extremes, so the line is that of the means.
            points[quantity.item] = _means(series, start_ms, end_ms, columns // _AREA_PIXELS, curve.gap_ms)
        else:
            points[quantity.item] = reduce.reduced(series, start_ms, end_ms, columns, curve.gap_ms)
        if quantity.item in pane.filled:
            level = np.clip(
                _area(curve, start_ms, end_ms, columns // _AREA_PIXELS), -READING_LIMIT, READING_LIMIT
            )
            bands.append(Layer(quantity, np.where(np.isnan(level), np.nan, 0.0), level))
        dots.append((quantity, reduce.lonely(series, start_ms, end_ms, curve.gap_ms)))
        edges.append(points[quantity.item][1])
    low, high = _range(edges)
    span = max(high - low, pane.least_span)
    # Beyond the range by as much as it spans: lines leave the pane there, and coordinates stay small.
    lines = {
        item: (x, np.clip(y, low - span, high + span) if low <= high else y * np.nan)
        for item, (x, y) in points.items()
    }
    return PaneFrame(start_ms, end_ms, low, high, lines=lines, dots=tuple(dots), bands=tuple(bands))


def _means(
    series: Series, start_ms: int, end_ms: int, columns: int, gap_ms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = (start_ms + (np.arange(columns) + 0.5) * (end_ms - start_ms) / columns) / 1000.0
    return x, reduce.column_means(series, start_ms, end_ms, columns, gap_ms)


def _areas(
    pane: Pane,
    shown: Mapping[str, tuple[Quantity, Curve]],
    curves: Mapping[str, Curve],
    start_ms: int,
    end_ms: int,
    columns: int,
) -> PaneFrame:
    below = pane.below or frozenset()
    layers: list[Layer] = []
    outlines = []
    for side in (False, True):
        of_side = [one for one in shown.values() if (one[0].item in below) is side]
        layers += stacked(
            [(quantity, _area(curve, start_ms, end_ms, columns)) for quantity, curve in of_side], below=side
        )
        before = [
            (quantity, _area(curves[key], start_ms, end_ms, columns))
            for quantity, _ in of_side
            if (key := pane.compared.get(quantity.item, "")) in curves
        ]
        if before:
            total = _total(before, below=side)
            outlines.append(np.where(np.abs(total) > NOTHING, total, np.nan))
    low, high = _range([*(layer.outer for layer in layers), *outlines])
    return PaneFrame(start_ms, end_ms, low, high, layers=tuple(layers), outlines=tuple(outlines))


def _area(curve: Curve, start_ms: int, end_ms: int, columns: int) -> NDArray[np.float64]:
    series = curve.series.between(start_ms, end_ms)
    kept = np.abs(series.values) <= READING_LIMIT
    if not kept.all():
        series = Series(series.timestamps[kept], series.values[kept])
    return reduce.column_means(series, start_ms, end_ms, columns, curve.gap_ms)


def _total(parts: list[tuple[Quantity, NDArray[np.float64]]], *, below: bool) -> NDArray[np.float64]:
    sizes: NDArray[np.float64] = np.maximum(
        np.nan_to_num(np.array([values for _, values in parts])), 0.0
    ).sum(axis=0)
    return -sizes if below else sizes


def _range(edges: list[NDArray[np.float64]]) -> tuple[float, float]:
    """What nothing measures has no say in the range: else one absurd value flattens all others."""
    values = np.concatenate(edges) if edges else np.empty(0)
    within = values[np.abs(values) <= READING_LIMIT]  # NaN is not
    return (float(within.min()), float(within.max())) if len(within) else (np.inf, -np.inf)
