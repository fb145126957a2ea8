"""How each ingest is doing, in its own words, for the console's status bar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmp_console.store.rows import to_ms
from sgmp_console.store.tables import ingest_state as table


@dataclass(frozen=True)
class IngestState:
    """`updated_ms`: UTC ms by the database's clock. A state that has not been updated for long is of a dead ingest."""

    name: str
    updated_ms: int
    statistics: Mapping[str, Any]


def report(connection: sa.Connection, name: str, statistics: Mapping[str, Any]) -> None:
    """As ingest or owner."""
    connection.execute(
        sa.text("SELECT sgmp.report_ingest(:name, CAST(:statistics AS jsonb))"),
        {"name": name, "statistics": json.dumps(statistics)},
    )


def read(connection: sa.Connection) -> list[IngestState]:
    """All that ever reported, in order of name."""
    rows = connection.execute(
        sa.select(table.c.name, table.c.updated_at, table.c.statistics).order_by(table.c.name)
    )
    return [IngestState(name, to_ms(at), statistics) for name, at, statistics in rows]
