"""What is in a sonnenBatterie's documents, the same for every firmware."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from sgmp_edge.common import BadAnswer, NotReady
from sgmp_edge.contract import number_in
from sgmp_edge.devices._values import field_name, number, plain_text

_NO_SENSOR_C = -273.15
"""What a temperature is that nothing measures, degrees Celsius."""

_MAX_W = 1_000_000
_LIMITS = [
    (re.compile(pattern), low, high)
    for pattern, low, high in (
        (r"RSOC|USOC|relativestateofcharge|stateofhealth", -1, 110),
        (r"Fac", 0, 100),
        (r"Uac", 0, 1_000),
        (r"Ubat|.*voltage", -1, 2_000),
        (r".*_W|Sac\d|Apparent_output|Consumption_Avg", -_MAX_W, _MAX_W),
        (r".*_Wh|.*capacity(wh)?", -100 * _MAX_W, 100 * _MAX_W),
        (r".*temperature", -100, 200),
        (r".*current", -10_000, 10_000),
    )
]
"""What the values of a battery can be, by the names of fields: far beyond any battery's, and below what a lost sign or an
unset register (65535, 4294967295) makes."""
_MAX_FIELDS = 500
"""Of one document; the largest known one has 40."""

_MAX_ALERTS = 50
"""Alarms and warnings that are reported of a document, each; a battery knows some thirty."""

_CLOCK = "Timestamp"

_BALANCE = ("GridFeedIn_W", "Production_W", "Pac_total_W", "Consumption_W")
"""GridFeedIn = Production + Pac - Consumption, within a few watts on recorded documents."""
_BALANCED_W = 500
"""How far the four may be apart; they are not measured at one instant. A lost sign makes 65,536 W or more."""
_STANDBY_W = 100
"""What an inverter without sun may draw."""


def status_fields(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the fields of `status`, numbers as numbers; what is odd, by field).

    Raises NotReady while the battery boots, BadAnswer where it is not a status.
    """
    if not any(key.endswith("_W") for key in document):
        raise BadAnswer("the battery's status has no power values")
    fields, odd = _fields(document, "status.")
    measured = [
        value
        for key, value in fields.items()
        if key.endswith("_W") or key in ("Fac", "Uac", "Ubat", "RSOC", "USOC")
    ]
    if fields.get("Fac") == 0 and not any(measured):
        raise NotReady("the battery is starting up: all its values are zero")
    if not any(key.endswith("_W") for key in fields):
        if odd:
            raise BadAnswer(next(iter(odd.values())))
        raise NotReady("the battery has no power values yet")
    # It stands for the age of the values, and would be stored as text at every poll.
    fields.pop(_CLOCK, None)
    return fields, odd


def battery_fields(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the fields of `battery_status`, what is odd): nested text in v1, flat numbers in v2. Raises NotReady."""
    nested = document.get("battery_status")
    cells, odd = _fields(nested if isinstance(nested, Mapping) else document, "battery.battery_status.")
    if not any(isinstance(value, int | float) and value for value in cells.values()):
        raise NotReady("the battery's cell values are all zero or missing")
    return cells, odd


def alerts_of(document: Mapping[str, Any]) -> frozenset[str]:
    """What the battery raises: v1 by name, v2 as a code."""
    alerts: set[str] = set()
    for level in ("alarm", "warning"):
        named = document.get(f"{level}s")
        if isinstance(named, Mapping):
            raised = [f"{level} {plain_text(name)}" for name, value in named.items() if number(value)]
            alerts |= set(raised[:_MAX_ALERTS])
            continue
        nested = document.get("battery_status")
        code = number((nested if isinstance(nested, Mapping) else document).get(f"system{level}"))
        if code:
            alerts.add(f"{level} code {code:g}")
    return frozenset(alerts)


def off_grid(document: Mapping[str, Any]) -> bool:
    return document.get("SystemStatus") == "OffGrid" or number(document.get("Uac")) == 0


def _fields(document: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(fields, what is odd by field): a value that can't be is left out alone."""
    fields: dict[str, Any] = {}
    odd: dict[str, str] = {}
    for key, raw in list(document.items())[:_MAX_FIELDS]:
        name = field_name(key, prefix)
        if name is None:
            odd["name"] = "the battery has a value whose name can't be that of a field; it is left out"
            continue
        value = number(raw)
        if value is not None:
            fields[name] = value
        elif isinstance(raw, str) and raw.strip() and number_in(raw) is None and raw.casefold() != "null":
            fields[name] = plain_text(raw)
    odd |= _restore_signs(fields)
    for name, value in list(fields.items()):
        if isinstance(value, str):
            continue
        if value == _NO_SENSOR_C:
            del fields[name]
        elif any(not low <= value <= high for names, low, high in _LIMITS if names.fullmatch(name)):
            del fields[name]
            odd[name] = f"the battery reports {value:g} as {name}, which can't be; the value is left out"
    return fields, odd


def _restore_signs(fields: dict[str, Any]) -> dict[str, str]:
    """Correct powers that the battery gives as an unsigned -45 (65491), where the four of the balance show it."""
    values: list[float] = [fields[name] for name in _BALANCE if isinstance(fields.get(name), int | float)]
    if len(values) < len(_BALANCE):
        return {}
    candidates = [
        [value, *(value - width for width in (2**16, 2**32) if width / 2 <= value < width)]
        for value in values
    ]

    def residual(powers: tuple[float, ...]) -> float:
        feed_in, production, battery, consumption = powers
        return abs(production + battery - consumption - feed_in)

    # Of two that lost their sign, the errors may cancel each other out: the smallest powers that add up are meant.
    # Nothing is produced backwards.
    possible = [
        powers
        for powers in product(*candidates)
        if residual(powers) <= _BALANCED_W and powers[1] >= min(values[1], -_STANDBY_W)
    ]
    best = min(possible, key=lambda powers: (sum(map(abs, powers)), residual(powers)), default=tuple(values))
    if list(best) == values:
        return {}
    wrong = [name for name, value, signed in zip(_BALANCE, values, best, strict=True) if value != signed]
    fields.update(zip(_BALANCE, best, strict=True))
    return {
        "sign": f"the battery gives {', '.join(wrong)} without its sign; it is corrected by the other powers"
    }
