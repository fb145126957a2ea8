"""Time zones by the names that people use, and the one of this computer."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QTimeZone


@cache
def zones() -> tuple[str, ...]:
    """The IANA names that people use: those of places, and UTC."""
    names = (bytes(id_.data()).decode("ascii", "replace") for id_ in QTimeZone.availableTimeZoneIds())
    return tuple(sorted({name for name in names if _is_place(name)} | {"UTC"}))


def this_computers_zone() -> str:
    """UTC where the computer names none that people use."""
    found = bytes(QTimeZone.systemTimeZoneId().data()).decode("ascii", "replace")
    return found if found in zones() else "UTC"


def clock_of_computer(title: str) -> str:
    """The title of a column with times of this computer's zone, which it names."""
    return f"{title}, {this_computers_zone().replace('_', ' ')}"


def _is_place(name: str) -> bool:
    return "/" in name and not name.startswith(("Etc/", "SystemV/", "US/"))
