"""Messages that could not be read: kept whole with the reason, listed, stored again, discarded.

Bounded: of a house 10,000 messages and 50 MB, in all 100,000 and 500 MB, for 90 days (`sql/quarantine.sql`). What finds no
room is counted (`refused`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from sgmp_console.store.rows import driver, from_ms, to_ms

KEEP_DAYS = 90
_BEGINNING = 200
"""Bytes of a payload in a list."""


@dataclass(frozen=True)
class Rejected:
    """`house_id` as far as the topic shows it, else None. `payload` can hold anything: not in the repr.

    `once`: identifies what is reported; of several with the same only the first is stored. Empty: topic and payload do.
    """

    received_ms: int
    topic: str
    payload: bytes = field(repr=False)
    reason: str = ""
    house_id: int | None = None
    once: str = ""

    def content_key(self) -> bytes:
        """Equal for two deliveries of one message."""
        content = self.once.encode() or self.topic.encode() + b"\0" + self.payload
        return hashlib.sha256(content).digest()


@dataclass(frozen=True)
class Quarantined:
    """A message of the list: `beginning` of its payload, which has `size` bytes. `replay`: to be stored again soon."""

    quarantine_id: int
    received_ms: int
    house_id: int | None
    topic: str
    reason: str
    size: int
    beginning: bytes = field(repr=False)
    replay: bool


@dataclass(frozen=True)
class Usage:
    """Of one house; `refused` found no room, and are lost."""

    messages: int
    bytes: int
    refused: int


def list_all(
    connection: sa.Connection,
    house_id: int | None = None,
    *,
    before_id: int | None = None,
    limit: int = 200,
) -> list[Quarantined]:
    """A page, latest first, of one house or of all that the account sees; `before_id`: the last id of the page before."""
    rows = connection.execute(
        sa.text(
            "SELECT quarantine_id, received_at, house_id, topic, reason, octet_length(payload),"
            " substring(payload, 1, :beginning), replay"
            " FROM sgmp.visible_quarantine(:house, :before_id, :limit)"
        ),
        {"house": house_id, "before_id": before_id, "limit": limit, "beginning": _BEGINNING},
    )
    return [
        Quarantined(number, to_ms(at), house, topic, reason, size, bytes(beginning), replay)
        for number, at, house, topic, reason, size, beginning, replay in rows
    ]


def whole(connection: sa.Connection, quarantine_id: int) -> Rejected | None:
    """One message with all of its payload; None where it is gone or not the account's to see."""
    row = connection.execute(
        sa.text(
            "SELECT received_at, topic, payload, reason, house_id FROM sgmp.visible_quarantine(NULL, :id + 1, 1)"
            " WHERE quarantine_id = :id"
        ),
        {"id": quarantine_id},
    ).first()
    return None if row is None else Rejected(to_ms(row[0]), row[1], bytes(row[2]), row[3], row[4])


def read(connection: sa.Connection, house_id: int | None = None, *, limit: int = 1000) -> list[Rejected]:
    """The newest `limit` with their payloads, newest first, of one house or of all that the account sees."""
    rows = connection.execute(
        sa.text(
            "SELECT received_at, topic, payload, reason, house_id"
            " FROM sgmp.visible_quarantine(:house, NULL, :limit)"
        ),
        {"house": house_id, "limit": limit},
    )
    return [
        Rejected(to_ms(at), topic, bytes(payload), reason, house)
        for at, topic, payload, reason, house in rows
    ]


def usage(connection: sa.Connection) -> Mapping[int | None, Usage]:
    """By house, as far as the account sees them; None stands for messages of no house."""
    rows = connection.execute(
        sa.text("SELECT house_id, messages, bytes, refused FROM sgmp.quarantine_usages()")
    )
    return {house or None: Usage(messages, size, refused) for house, messages, size, refused in rows}


def request_replay(connection: sa.Connection, quarantine_ids: Sequence[int]) -> int:
    """Have ingest read these again, soon; returns how many. Harmless when repeated. Needs manage_devices: Refused."""
    return _act(connection, "replay", quarantine_ids)


def discard(connection: sa.Connection, quarantine_ids: Sequence[int]) -> int:
    """Delete these for good; returns how many. Needs manage_devices: Refused."""
    return _act(connection, "discard", quarantine_ids)


def to_replay(connection: sa.Connection) -> tuple[int, str, bytes] | None:
    """(id, topic, payload) of a message that somebody asked to store again, locked until the transaction ends. As ingest."""
    row = connection.execute(
        sa.text("SELECT quarantine_id, topic, payload FROM sgmp.message_to_replay()")
    ).first()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def settle_replay(connection: sa.Connection, quarantine_id: int, reason: str | None) -> None:
    """None where the message is stored now, else why it stays in quarantine. As ingest."""
    connection.execute(
        sa.text("SELECT sgmp.settle_replay(:id, :reason)"), {"id": quarantine_id, "reason": reason}
    )


def store(connection: sa.Connection, rows: Sequence[Rejected]) -> tuple[int, list[int]]:
    """Insert those not stored yet, as far as there is room. As ingest or owner; once in a transaction, after all else.

    Returns how many were stored, and the house (0: none) of each for which there was no room.
    """
    if not rows:
        return 0, []
    with driver(connection).cursor() as cursor:
        cursor.execute(
            "SELECT stored, without_room FROM sgmp.set_aside(%s::timestamptz[], %s::integer[], %s::text[], %s::bytea[], %s::text[], %s::bytea[])",
            (
                [from_ms(row.received_ms) for row in rows],
                [row.house_id for row in rows],
                [row.topic for row in rows],
                [row.payload for row in rows],
                [row.reason for row in rows],
                [row.content_key() for row in rows],
            ),
        )
        stored, without_room = cursor.fetchone() or (0, [])
        return int(stored), list(without_room)


def _act(connection: sa.Connection, act: str, quarantine_ids: Sequence[int]) -> int:
    return int(
        connection.execute(
            sa.text("SELECT sgmp.act_on_quarantine(:act, CAST(:ids AS bigint[]))"),
            {"act": act, "ids": list(quarantine_ids)},
        ).scalar_one()
    )
