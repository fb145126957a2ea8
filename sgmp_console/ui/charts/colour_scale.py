"""Values as colours: one scale for each quantity, in its own hue, from the card's ground to the strongest ink.

Along a scale the lightness only rises or only falls, so that it orders values for the colour-blind and in grey print as
well; the hue merely says which quantity it is. Items of both signs have a scale with two arms, whose hues (indigo and
brown) no common colour-blindness confuses; zero is at the ground.

The colours are mixed in OKLab (https://bottosson.github.io/posts/oklab/), where equal steps look equally large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from sgmp_console.ui.charts import ticks
from sgmp_console.ui.theme import Tokens

STEPS = 256
"""Colours of a scale."""

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

_LIGHT_ENDS, _DARK_ENDS = (0.955, 0.36), (0.29, 0.94)
"""Lightness of the least and of the greatest value: far from and near to the ink of the theme."""
_LEAST_CHROMA = 0.012
_MAX_CHROMA = 0.19


@dataclass(frozen=True, eq=False)
class ColourScale:
    """`colours`: RGB, 0 to 255, for equal parts of [low, high]. `step`: between its ticks, which the ends are, too."""

    low: float
    high: float
    step: float
    colours: NDArray[np.uint8]

    def places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which of the colours each value has; of NaN the first."""
        share = (np.nan_to_num(values, nan=self.low) - self.low) / (self.high - self.low)
        return np.clip((share * STEPS).astype(np.int64), 0, STEPS - 1)

    def colour(self, value: float) -> QColor:
        red, green, blue = self.colours[self.places(np.array([value]))[0]].tolist()
        return QColor.fromRgb(red, green, blue)


def scale_of(
    values: NDArray[np.float64], unit: str, hue: QColor, tokens: Tokens, *, at_most_ticks: int
) -> ColourScale:
    """For values of which NaN are not known. A share in % spans all of it; what can be zero begins there; what is of both
    signs has zero in the middle."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if unit == "%" and low >= 0 and high <= 100:
        return ColourScale(0.0, 100.0, 25.0, _arm(hue, tokens))
    if low < 0 < high:
        size = max(-low, high)
        bottom, top, step = ticks.value_range(
            -size, size, least_span=1e-6, from_zero=True, ticks=at_most_ticks
        )
        both = np.concatenate([_arm(tokens.quantity_below_zero, tokens)[::-2], _arm(hue, tokens)[::2]])
        return ColourScale(bottom, top, step, both)
    from_zero = unit not in _AROUND_A_LEVEL
    bottom, top, step = ticks.value_range(
        low, high, least_span=_AROUND_A_LEVEL.get(unit, 1e-6), from_zero=from_zero, ticks=at_most_ticks
    )
    return ColourScale(bottom, top, step, _arm(hue, tokens, from_the_top=high <= 0 > low))


_AROUND_A_LEVEL = {"Hz": 0.1, "V": 4.0, "°C": 1.0}
"""Units of what is never near zero, with the least that a scale spans, so that noise is not drawn as an event."""


def _arm(hue: QColor, tokens: Tokens, *, from_the_top: bool = False) -> NDArray[np.uint8]:
    """From the ground to the ink."""
    _, a, b = _lab(hue)
    angle = np.arctan2(b, a)
    share = np.linspace(0.0, 1.0, STEPS)
    first, last = _DARK_ENDS if tokens.dark else _LIGHT_ENDS
    lightness = first + (last - first) * share
    # Most colourful in the middle: near black and near white there is little chroma to be had.
    wanted = _LEAST_CHROMA + (_MAX_CHROMA - _LEAST_CHROMA) * np.sin(np.pi * np.minimum(share * 0.9, 1.0))
    chroma = wanted.copy()
    for _ in range(24):
        rgb = _rgb(lightness, chroma * np.cos(angle), chroma * np.sin(angle))
        outside = ((rgb < 0) | (rgb > 1)).any(axis=1)
        chroma[outside] *= 0.92
    colours = (np.clip(_rgb(lightness, chroma * np.cos(angle), chroma * np.sin(angle)), 0, 1) * 255).round()
    return colours.astype(np.uint8)[:: -1 if from_the_top else 1]


def _lab(colour: QColor) -> tuple[float, float, float]:
    rgb = np.array([colour.redF(), colour.greenF(), colour.blueF()])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness, a, b = _TO_LAB @ np.cbrt(_TO_LMS @ linear)
    return float(lightness), float(a), float(b)


def _rgb(
    lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    lms = (np.linalg.inv(_TO_LAB) @ np.stack([lightness, a, b])) ** 3
    linear = (np.linalg.inv(_TO_LMS) @ lms).T
    bright = 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    srgb: NDArray[np.float64] = np.where(
        np.abs(linear) <= 0.0031308, linear * 12.92, np.sign(linear) * bright
    )
    return srgb
