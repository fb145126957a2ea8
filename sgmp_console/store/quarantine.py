"""Messages that could not be read: kept whole, with the reason, and shown to operators."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from psycopg2.extras import execute_values

from sgmp_console.store.rows import driver, from_ms, to_ms
from sgmp_console.store.tables import quarantine as table


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


def read(connection: sa.Connection, house_id: int | None = None, *, limit: int = 1000) -> list[Rejected]:
    """The newest `limit`, newest first, of one house or of all that the account sees."""
    query = sa.select(
        table.c.received_at, table.c.topic, table.c.payload, table.c.reason, table.c.house_id
    ).order_by(table.c.received_at.desc(), table.c.quarantine_id.desc())
    if house_id is not None:
        query = query.where(table.c.house_id == house_id)
    rows = connection.execute(query.limit(limit))
    return [
        Rejected(to_ms(at), topic, bytes(payload), reason, house)
        for at, topic, payload, reason, house in rows
    ]


def store(connection: sa.Connection, rows: Sequence[Rejected]) -> int:
    """Insert those not stored yet; returns how many. As ingest or owner."""
    if not rows:
        return 0
    values = [
        (
            from_ms(row.received_ms),
            row.house_id,
            row.topic,
            row.payload,
            row.reason,
            row.content_key(),
        )
        for row in rows
    ]
    with driver(connection).cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO sgmp.quarantine (received_at, house_id, topic, payload, reason, content_key) VALUES %s"
            " ON CONFLICT DO NOTHING",
            values,
            page_size=len(values),
        )
        return cursor.rowcount
