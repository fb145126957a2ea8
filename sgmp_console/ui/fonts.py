"""The type scale: the system's interface font, figures all of one width."""

from __future__ import annotations

from functools import cache
from typing import Literal

from PySide6.QtGui import QFont, QFontDatabase, QFontInfo, QFontMetricsF

Role = Literal["caption", "body", "strong", "title", "heading", "value", "unit", "fixed"]

_SCALE: dict[Role, tuple[int, QFont.Weight]] = {
    # role: (size in logical pixels, weight)
    "caption": (12, QFont.Weight.Normal),
    "body": (13, QFont.Weight.Normal),
    "strong": (13, QFont.Weight.DemiBold),
    "title": (14, QFont.Weight.DemiBold),
    "heading": (22, QFont.Weight.DemiBold),
    "value": (28, QFont.Weight.DemiBold),
    "unit": (16, QFont.Weight.Normal),
    "fixed": (12, QFont.Weight.Normal),
}

_LAST_RESORTS = {"DejaVu Sans", "Bitstream Vera Sans"}
"""What fontconfig answers when no desktop chose a font."""

_PREFERRED = ("Inter", "Cantarell", "Ubuntu", "Noto Sans", "Source Sans 3", "Open Sans", "Liberation Sans")
"""Taken instead of a last resort where installed."""


@cache
def font(role: Role) -> QFont:
    """The font of a role. Needs a running application."""
    size, weight = _SCALE[role]
    if role == "fixed":
        made = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    else:
        made = QFont(_family())
        made.setFeature(QFont.Tag("tnum"), 1)
    made.setPixelSize(size)
    made.setWeight(weight)
    return made


@cache
def metrics(role: Role) -> QFontMetricsF:
    return QFontMetricsF(font(role))


@cache
def _family() -> str:
    system = QFontInfo(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)).family()
    if system not in _LAST_RESORTS:
        return system
    installed = set(QFontDatabase.families())
    return next((name for name in _PREFERRED if name in installed), system)
