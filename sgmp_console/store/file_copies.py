"""Copies of the server's files: whether it allows them, and how far the one that is being made is."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.database import server_version


@dataclass(frozen=True)
class Source:
    """What a copy is of. `major` and `postgres`: PostgreSQL's version, as a number and in full."""

    database: str
    owner: str
    postgres: str
    major: int
    timescale: str
    """TimescaleDB's version; empty where the database is plain PostgreSQL."""


def source(connection: sa.Connection) -> Source:
    """Raises UserError where the server's files can't be copied as this user."""
    may, senders, level, tablespaces, database, owner, number, timescale = connection.exec_driver_sql(
        "SELECT rolreplication OR rolsuper, current_setting('max_wal_senders')::int, current_setting('wal_level'),"
        " (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')), current_database(),"
        " current_user, current_setting('server_version_num')::int,"
        " COALESCE((SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), '')"
        " FROM pg_roles WHERE rolname = current_user"
    ).one()
    if not may:
        raise UserError(
            f"{owner} may not copy the database. As a superuser: ALTER ROLE {owner} REPLICATION. Where a provider runs the "
            "database, use its backups."
        )
    if senders < 2 or level == "minimal":
        raise UserError(
            "The server allows no copy of its files. Set wal_level = replica and max_wal_senders = 10 in its configuration, "
            "and restart it."
        )
    if tablespaces:
        raise UserError(
            "The database has tablespaces, which are not backed up by this command. Use pg_basebackup itself."
        )
    return Source(database, owner, server_version(connection), number // 10_000, timescale)


def share_copied(connection: sa.Connection) -> float:
    """Of the copy that is being made, 0 to 1; 0 where none is."""
    share = connection.exec_driver_sql(
        "SELECT max(backup_streamed::float8 / nullif(backup_total, 0)) FROM pg_stat_progress_basebackup"
    ).scalar_one()
    return min(1.0, float(share or 0.0))
