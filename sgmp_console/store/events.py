"""Events: what devices and edges report besides measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from psycopg2.extras import execute_values

from sgmp_console.store.rows import driver, from_ms, to_ms


@dataclass(frozen=True)
class Event:
    """`device` is the name it had; `_edge` stands for the house's edge itself. `event_id` says which of one instant."""

    timestamp_ms: int
    device: str
    type: str
    data: Mapping[str, Any]
    event_id: int = field(default=0, compare=False)


@dataclass(frozen=True)
class EventRow:
    """An event on its way in; `device_id` 0 is the edge itself."""

    house_id: int
    device_id: int
    device_name: str
    timestamp_ms: int
    type: str
    data: Mapping[str, Any]

    def content_key(self) -> bytes:
        """Equal for two deliveries of one event, different for two events."""
        content = [self.house_id, self.device_id, self.timestamp_ms, self.type, self.data]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).digest()[:16]


def read(
    connection: sa.Connection,
    house_id: int,
    start_ms: int,
    end_ms: int,
    *,
    devices: Collection[str] = (),
    types: Collection[str] = (),
) -> list[Event]:
    """The events of the half-open range [start_ms, end_ms) in order of time; no `devices` or `types` mean all."""
    rows = connection.execute(
        sa.text(
            "SELECT ts, device_name, type, data FROM sgmp.events_between(:house, :start, :end, :devices, :types)"
        ),
        {
            "house": house_id,
            "start": from_ms(start_ms),
            "end": from_ms(end_ms),
            "devices": list(devices),
            "types": list(types),
        },
    )
    return [Event(to_ms(ts), device, type_name, data) for ts, device, type_name, data in rows]


def newest(
    connection: sa.Connection,
    house_id: int,
    start_ms: int,
    end_ms: int,
    *,
    after: Event | None = None,
    devices: Collection[str] = (),
    types: Collection[str] = (),
    sought: str = "",
    limit: int,
) -> list[Event]:
    """The newest `limit` events of [start_ms, end_ms), newest first; those that follow `after` in this order, if it is said.

    No `devices` or `types` mean all. `sought` is looked for in device, type and data, whatever the case of its letters.
    """
    rows = connection.execute(
        sa.text(
            "SELECT ts, device_name, type, data, event_id FROM sgmp.newest_events("
            ":house, :start, :end, :before_id, :devices, :types, :sought, :limit)"
        ),
        {
            "house": house_id,
            "start": from_ms(start_ms),
            "end": from_ms(end_ms if after is None else after.timestamp_ms),
            "before_id": 0 if after is None else after.event_id,
            "devices": list(devices),
            "types": list(types),
            "sought": sought,
            "limit": limit,
        },
    )
    return [Event(to_ms(ts), device, type_name, data, number) for ts, device, type_name, data, number in rows]


@dataclass(frozen=True)
class StateChange:
    """From then on (UTC ms) a field of a device had this text."""

    timestamp_ms: int
    device: str
    field: str
    value: str


MAX_STATES = 2000
"""Of each field and of a house, the newest are read."""


def state_changes(connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> list[StateChange]:
    """When texts of the house's devices changed in [start_ms, end_ms), newest first; not of fields that change more often
    than every five minutes: clocks and counters."""
    rows = connection.execute(
        sa.text("SELECT ts, device, field, value FROM sgmp.state_changes(:house, :start, :end, :newest)"),
        {
            "house": house_id,
            "start": from_ms(start_ms),
            "end": from_ms(end_ms),
            "newest": MAX_STATES,
        },
    )
    return [StateChange(to_ms(ts), device, name, value) for ts, device, name, value in rows]


def types(connection: sa.Connection, house_id: int) -> list[str]:
    """The event types that have come from a house, in order of name."""
    rows = connection.execute(sa.text("SELECT sgmp.event_types(:house)"), {"house": house_id})
    return list(rows.scalars())


@dataclass(frozen=True)
class EdgeStatus:
    """What an edge reported of itself at `at_ms` (UTC, its clock), and how the last poll of one device had ended ("": it did not
    say). Numbers as they came; None where it sent none."""

    at_ms: int
    state: str
    outcome: str
    backlog: float | None = None
    disk_free_mb: float | None = None
    uptime_s: float | None = None


_ABSURD = 1e15
"""No number of a status is as large."""

_MOST_STATUSES = 20_000
"""An edge sends 1,440 a day, and some where the state of a device changes."""


def edge_statuses(
    connection: sa.Connection, house_id: int, since_ms: int, *, device: str = ""
) -> list[EdgeStatus]:
    """In order of time."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.edge_statuses(:house, :device, :since, :newest)"),
        {"house": house_id, "device": device, "since": from_ms(since_ms), "newest": _MOST_STATUSES},
    )
    return [
        EdgeStatus(to_ms(row.ts), row.state or "", row.outcome or "", *map(_number, row.numbers))
        for row in rows
    ]


def _number(value: object) -> float | None:
    """None for what can't be a number of a status: an edge may say anything."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _ABSURD:
        return float(value)
    return None


def store(connection: sa.Connection, rows: Sequence[EventRow]) -> int:
    """Insert those not stored yet; returns how many. As ingest or owner."""
    if not rows:
        return 0
    values = [
        (
            row.house_id,
            row.device_id or None,
            row.device_name,
            row.type,
            from_ms(row.timestamp_ms),
            json.dumps(row.data),
            row.content_key(),
        )
        for row in rows
    ]
    with driver(connection).cursor() as cursor:
        # Events of a house are stored by one at a time: each changes the state of the house.
        cursor.execute("SELECT sgmp.lock_events(%s)", ([row.house_id for row in rows],))
        execute_values(
            cursor,
            "INSERT INTO sgmp.event (house_id, device_id, device_name, type, ts, data, content_key) VALUES %s"
            " ON CONFLICT DO NOTHING",
            values,
            page_size=len(values),
        )
        return cursor.rowcount
