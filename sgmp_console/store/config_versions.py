"""What was sent to the edges, and what they said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sgmp_console.store.rows import refusing, to_ms
from sgmp_console.store.tables import config_version as table
from sgmp_console.store.tables import house_state


@dataclass(frozen=True)
class ConfigVersion:
    """A configuration of a house's devices. `created_by` is the PostgreSQL role that made it."""

    version: int
    sha256: str
    created_by: str
    created_ms: int


@dataclass(frozen=True)
class EdgeState:
    """What a house's edge last said about itself, UTC ms; None where it never did."""

    status: Mapping[str, Any] | None = None
    status_ms: int | None = None
    applied_version: int | None = None
    applied_sha256: str | None = None
    applied_ms: int | None = None
    rejected_reason: str | None = None
    rejected_ms: int | None = None


def list_all(connection: sa.Connection, house_id: int) -> list[ConfigVersion]:
    """The versions of a house, the newest first, without the devices: these hold secrets."""
    rows = connection.execute(_select().where(table.c.house_id == house_id).order_by(table.c.version.desc()))
    return [_version(row) for row in rows]


def newest(connection: sa.Connection, house_id: int) -> ConfigVersion | None:
    """The version made last; None if there never was one."""
    row = connection.execute(
        _select().where(table.c.house_id == house_id).order_by(table.c.version.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _version(row)


def add(
    connection: sa.Connection, house_id: int, version: int, sha256: str, devices: Sequence[Mapping[str, Any]]
) -> None:
    """Store a version, made by whoever is signed in. Raises UserError where the number is taken."""
    taken = f"Version {version} of the configuration exists already. Synchronize again."
    with refusing(connection, {"config_version_pkey": taken}):
        connection.execute(
            table.insert().values(
                house_id=house_id,
                version=version,
                sha256=sha256,
                devices=[dict(device) for device in devices],
                created_by=sa.literal_column("session_user"),
            )
        )


def edge_state(connection: sa.Connection, house_id: int) -> EdgeState:
    """What the edge of a house last said about itself."""
    row = connection.execute(sa.select(house_state).where(house_state.c.house_id == house_id)).one_or_none()
    if row is None:
        return EdgeState()
    return EdgeState(
        row.status,
        _ms(row.status_at),
        row.applied_version,
        row.applied_sha256,
        _ms(row.applied_at),
        row.rejected_reason,
        _ms(row.rejected_at),
    )


def _select() -> sa.Select[tuple[int, str, str, datetime]]:
    return sa.select(table.c.version, table.c.sha256, table.c.created_by, table.c.created_at)


def _version(row: sa.Row[tuple[int, str, str, datetime]]) -> ConfigVersion:
    return ConfigVersion(row.version, row.sha256, row.created_by, to_ms(row.created_at))


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else to_ms(instant)
