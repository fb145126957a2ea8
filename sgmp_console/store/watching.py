"""What the watch reads and writes: turns, facts of all houses, findings, messages. As the watch or the owner."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from psycopg2.extras import execute_values

from sgmp_console.store.database import note_change
from sgmp_console.store.events import Event
from sgmp_console.store.findings import Window, window_of
from sgmp_console.store.rows import driver, from_ms, to_ms, to_ms_or_none
from sgmp_console.store.tables.findings import maintenance_window

CLAIM_GRACE_S = 40
"""After a restart of the database a claim of before holds this many seconds: longer than sending one message takes."""

DeviceKey = tuple[int, str]
"""House and name of a device; `_edge` is the house's edge."""


@dataclass(frozen=True)
class Turn:
    """`now_ms`: by the database's clock. Warnings up to event `seen` were read for good (-1: none was); `newest` was the
    newest event at `newest_ms`, and `last` is now."""

    now_ms: int
    seen: int
    newest: int
    newest_ms: int
    last: int


@dataclass(frozen=True)
class DeviceAge:
    """A device in use and its newest reading. `interval_s`: None where the house's rhythm holds."""

    house_id: int
    device: str
    interval_s: float | None
    newest_ms: int | None


@dataclass(frozen=True)
class InitialPassword:
    """An account's, which nobody has changed yet."""

    email: str
    house_id: int | None
    expires_ms: int


@dataclass(frozen=True)
class Quarantined:
    """Messages of a house in quarantine, the oldest with its reason."""

    house_id: int | None
    messages: int
    first_ms: int
    reason: str


@dataclass(frozen=True)
class Undelivered:
    """Since when messages to a recipient are not taken, and why."""

    address: str
    house_id: int | None
    since_ms: int
    messages: int
    problem: str


@dataclass(frozen=True)
class StoredFinding:
    """A finding as it is stored (`tables.finding`); `finding_id` 0: to be added."""

    finding_id: int
    house_id: int | None
    device: str
    rule: str
    subject: str
    severity: str
    from_ms: int
    seen_ms: int
    opened_ms: int | None
    gone_ms: int | None
    to_ms: int | None
    value: float | None
    details: Mapping[str, Any]
    suspended: bool


@dataclass(frozen=True)
class Candidate:
    """A recipient who does not know of a finding's opening or end yet, or is to be reminded of it. `kind` as in
    notification_item; `zone`: of the house, empty where there is none."""

    recipient_id: int
    finding_id: int
    kind: str
    house_id: int | None
    device: str
    zone: str


@dataclass(frozen=True)
class Claimed:
    """A message that is ours to send. `key`: the same at each attempt. `items`: what it is about (`sql/notifications.sql`)."""

    notification_id: int
    kind: str
    key: str
    attempts: int
    channel: str
    address: str = field(repr=False)
    secret: str = field(repr=False)
    items: Sequence[Mapping[str, Any]] = ()


def take_turn(connection: sa.Connection, watcher: str, pause_s: float) -> Turn | None:
    """The turn, until the transaction ends; None where another watcher has it, or had one less than `pause_s` ago."""
    row = connection.execute(
        sa.text("SELECT * FROM sgmp.take_turn(:watcher, make_interval(secs => :pause))"),
        {"watcher": watcher, "pause": pause_s},
    ).one_or_none()
    if row is None:
        return None
    return Turn(to_ms(row.at), row.seen_event, row.newest_event, to_ms(row.newest_event_at), row.last_event)


def advance(connection: sa.Connection, turn: Turn) -> None:
    """Warnings up to `turn.newest` are read for good; `turn.last` is the newest event now."""
    connection.execute(
        sa.text(
            "UPDATE sgmp.watch_state SET seen_event = :seen, newest_event = :newest, newest_event_at = :at"
        ),
        {"seen": turn.newest, "newest": turn.last, "at": from_ms(turn.now_ms)},
    )


def device_ages(connection: sa.Connection) -> list[DeviceAge]:
    """Of all devices in use."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.newest_of_devices()"))
    return [
        DeviceAge(
            row.house_id, row.device_name, _number(row.config.get("interval")), to_ms_or_none(row.newest)
        )
        for row in rows
    ]


def warned_since(connection: sa.Connection, event_id: int) -> set[DeviceKey]:
    """Devices of which warnings came after an event; before the first (-1), those of a week."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.warned_since(:event)"), {"event": event_id})
    return {(row.house_id, row.device_name) for row in rows}


def warnings_of(
    connection: sa.Connection, devices: Collection[DeviceKey], since_ms: int
) -> dict[DeviceKey, list[Event]]:
    """The warnings of these devices, in order of time."""
    found: dict[DeviceKey, list[Event]] = {device: [] for device in devices}
    if not devices:
        return found
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.warnings_of(:houses, :devices, :since)"),
        {**_columns(devices), "since": from_ms(since_ms)},
    )
    for row in rows:
        found[row.house_id, row.device_name].append(
            Event(to_ms(row.ts), row.device_name, "WARNING", row.data)
        )
    return found


def first_readings_after(
    connection: sa.Connection, after_ms: Mapping[DeviceKey, int]
) -> dict[DeviceKey, int]:
    """When each device first delivered a reading after a time, of those that did."""
    if not after_ms:
        return {}
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.first_readings_after(:houses, :devices, :afters)"),
        {**_columns(after_ms), "afters": [from_ms(at) for at in after_ms.values()]},
    )
    return {(row.house_id, row.device_name): to_ms(row.first) for row in rows if row.first is not None}


def initial_passwords(connection: sa.Connection) -> list[InitialPassword]:
    """Those that nobody has changed yet."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.initial_passwords()"))
    return [InitialPassword(row.email, row.house_id, to_ms(row.expires_at)) for row in rows]


def quarantined(connection: sa.Connection) -> list[Quarantined]:
    """Of each house that has messages in quarantine."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.quarantined()"))
    return [Quarantined(row.house_id or None, row.messages, to_ms(row.first), row.reason) for row in rows]


def undelivered(connection: sa.Connection) -> list[Undelivered]:
    """Recipients whose next message has failed before."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.undelivered()"))
    return [
        Undelivered(row.address, row.house_id, to_ms(row.since), row.messages, row.problem) for row in rows
    ]


def findings(connection: sa.Connection, ended_since_ms: int) -> list[StoredFinding]:
    """Those that are open or held, and those that ended since a time."""
    rows = connection.execute(
        sa.text(
            "SELECT * FROM sgmp.finding WHERE to_at IS NULL UNION ALL"
            " SELECT * FROM sgmp.finding WHERE to_at >= :since"
        ),
        {"since": from_ms(ended_since_ms)},
    )
    return [
        StoredFinding(
            row.finding_id,
            row.house_id,
            row.device_name,
            row.rule,
            row.subject,
            row.severity,
            to_ms(row.from_at),
            to_ms(row.seen_at),
            to_ms_or_none(row.opened_at),
            to_ms_or_none(row.gone_at),
            to_ms_or_none(row.to_at),
            row.value,
            row.details,
            row.suspended,
        )
        for row in rows
    ]


def store_findings(
    connection: sa.Connection, stored: Sequence[StoredFinding], forgotten: Sequence[int], now_ms: int
) -> None:
    """Add those without an id, bring others to what they are now, remove what was only held. Windows hear of it."""
    with driver(connection).cursor() as cursor:
        if added := [row for row in stored if not row.finding_id]:
            execute_values(
                cursor,
                "INSERT INTO sgmp.finding (house_id, device_name, rule, subject, severity, from_at, seen_at, opened_at, gone_at,"
                " to_at, value, details, suspended) VALUES %s",
                [_values(row) for row in added],
                page_size=len(added),
            )
        if changed := [row for row in stored if row.finding_id]:
            execute_values(
                cursor,
                "UPDATE sgmp.finding f SET severity = n.severity, from_at = n.from_at, seen_at = n.seen_at, opened_at = n.opened_at,"
                " gone_at = n.gone_at, to_at = n.to_at, value = n.value, details = n.details, suspended = n.suspended"
                " FROM (VALUES %s) AS n (finding_id, house_id, device_name, rule, subject, severity, from_at, seen_at, opened_at,"
                " gone_at, to_at, value, details, suspended) WHERE f.finding_id = n.finding_id",
                [(row.finding_id, *_values(row)) for row in changed],
                template="(%s::bigint, %s::integer, %s, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s::timestamptz,"
                " %s::timestamptz, %s::timestamptz, %s::double precision, %s::jsonb, %s::boolean)",
                page_size=len(changed),
            )
        if forgotten:
            cursor.execute("DELETE FROM sgmp.finding WHERE finding_id = ANY (%s)", (list(forgotten),))
    for house_id in {row.house_id for row in stored if row.opened_ms is not None}:
        if house_id is not None:
            note_change(connection, house_id, now_ms)


def windows(connection: sa.Connection) -> list[Window]:
    """All times of maintenance."""
    return [window_of(row) for row in connection.execute(sa.select(maintenance_window))]


def candidates(connection: sa.Connection) -> list[Candidate]:
    """Who is to be notified of what; times of maintenance are not looked at."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.notification_candidates()"))
    return [
        Candidate(row.recipient_id, row.finding_id, row.kind, row.house_id, row.device_name, row.zone)
        for row in rows
    ]


def enqueue(connection: sa.Connection, chosen: Iterable[Candidate], *, most: int, within_s: float) -> int:
    """Have messages sent: to each recipient `most` within a time one by one, what exceeds that as one digest at its end.

    Returns how many messages that makes.
    """
    by_recipient: dict[int, list[tuple[int, str]]] = {}
    for candidate in chosen:
        by_recipient.setdefault(candidate.recipient_id, []).append((candidate.finding_id, candidate.kind))
    created = 0
    for recipient_id, items in by_recipient.items():
        created += connection.execute(
            sa.text(
                "SELECT sgmp.enqueue_notifications(:recipient, :findings, :kinds, :most, make_interval(secs => :within))"
            ),
            {
                "recipient": recipient_id,
                "findings": [finding for finding, _ in items],
                "kinds": [kind for _, kind in items],
                "most": most,
                "within": within_s,
            },
        ).scalar_one()
    return created


def claim(connection: sa.Connection, most: int) -> list[Claimed]:
    """Messages that are due: the next of each of at most `most` recipients. Settle each."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.claim_notifications(:most)"), {"most": most})
    return [
        Claimed(
            row.notification_id,
            row.kind,
            str(row.key),
            row.attempts,
            row.channel,
            row.address,
            row.secret,
            row.items,
        )
        for row in rows
    ]


def settle(
    connection: sa.Connection,
    notification_id: int,
    *,
    failure: str | None = None,
    again_in_s: float | None = None,
) -> None:
    """What became of a claimed message: sent, to be tried again, or (`again_in_s` None) failed for good."""
    connection.execute(
        sa.text("SELECT sgmp.settle_notification(:id, :failure, make_interval(secs => :again))"),
        {"id": notification_id, "failure": failure, "again": again_in_s},
    )


def _values(row: StoredFinding) -> tuple[Any, ...]:
    return (
        row.house_id,
        row.device,
        row.rule,
        row.subject,
        row.severity,
        *(
            None if at is None else from_ms(at)
            for at in (row.from_ms, row.seen_ms, row.opened_ms, row.gone_ms, row.to_ms)
        ),
        row.value,
        json.dumps(dict(row.details)),
        row.suspended,
    )


def _columns(devices: Iterable[DeviceKey]) -> dict[str, list[Any]]:
    pairs = list(devices)
    return {"houses": [house for house, _ in pairs], "devices": [name for _, name in pairs]}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
