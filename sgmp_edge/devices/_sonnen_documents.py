"""What is in a sonnenBatterie's documents, the same for every firmware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgmp_edge.common import BadAnswer, NotReady
from sgmp_edge.devices._values import number

_NO_SENSOR = -273.15
"""What a temperature says that nothing measures."""

_LARGEST_W = 1_000_000
_LIMITS = {
    "RSOC": (-1, 110),
    "USOC": (-1, 110),
    "relativestateofcharge": (-1, 110),
    "Fac": (0, 100),
    "Uac": (0, 1000),
}

_CLOCK = "Timestamp"


def status_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `status`, numbers as numbers. Raises NotReady while the battery boots, BadAnswer if absurd."""
    fields = _fields(document)
    if not any(key.endswith("_W") for key in document):
        raise BadAnswer("the battery's status has no power values")
    measured = [
        fields[key] for key in fields if key.endswith("_W") or key in ("Fac", "Uac", "Ubat", "RSOC", "USOC")
    ]
    if fields.get("Fac") == 0 and not any(measured):
        raise NotReady("the battery is starting up: all its values are zero")
    if not any(key.endswith("_W") for key in fields):
        raise NotReady("the battery has no power values yet")
    # It stands for the age of the values, and would be stored as text at every poll.
    fields.pop(_CLOCK, None)
    return fields


def battery_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `battery_status`: nested text in v1, flat numbers in v2. Raises as `status_fields`."""
    nested = document.get("battery_status")
    cells = _fields(nested if isinstance(nested, Mapping) else document)
    if not any(isinstance(value, int | float) and value for value in cells.values()):
        raise NotReady("the battery's cell values are all zero or missing")
    return cells


def alerts_of(document: Mapping[str, Any]) -> frozenset[str]:
    """What the battery raises: v1 by name, v2 as a code."""
    alerts: set[str] = set()
    for kind in ("alarm", "warning"):
        named = document.get(f"{kind}s")
        if isinstance(named, Mapping):
            alerts |= {f"{kind} {name}" for name, raised in named.items() if number(raised)}
            continue
        nested = document.get("battery_status")
        code = number((nested if isinstance(nested, Mapping) else document).get(f"system{kind}"))
        if code:
            alerts.add(f"{kind} code {code:g}")
    return frozenset(alerts)


def off_grid(document: Mapping[str, Any]) -> bool:
    return document.get("SystemStatus") == "OffGrid" or number(document.get("Uac")) == 0


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, raw in document.items():
        value = number(raw)
        if value is None:
            # Null is no value; nested objects are no measurements.
            if isinstance(raw, str) and raw and raw.casefold() not in ("nan", "inf", "-inf", "null"):
                fields[key] = raw
            continue
        low, high = _LIMITS.get(key, (-_LARGEST_W, _LARGEST_W) if key.endswith("_W") else (None, None))
        if low is not None and high is not None and not low <= value <= high:
            raise BadAnswer(f"the battery says {key} is {value:g}, which can't be")
        if value != _NO_SENSOR:
            fields[key] = value
    return fields
