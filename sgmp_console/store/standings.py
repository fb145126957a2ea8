"""How houses stand: their devices, what was sent to their edges, and what these reported. One statement for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.store import config_versions
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_console.store.rows import to_ms

_STANDINGS = sa.text("""
    SELECT h.house_id, sgmp.configuration_changed(h.house_id) AS changed,
           (SELECT count(*) FROM sgmp.device d WHERE d.house_id = h.house_id AND d.deleted_at IS NULL) AS devices,
           s.status, s.status_at, s.applied_version, s.applied_sha256, s.applied_at,
           s.rejected_reason, s.rejected_at, s.rejected_version,
           v.version, v.sha256, v.created_by, v.created_at, v.published_at
    FROM sgmp.house h
    LEFT JOIN sgmp.house_state s ON s.house_id = h.house_id
    LEFT JOIN LATERAL (
        SELECT c.version, c.sha256, c.created_by, c.created_at, c.published_at
        FROM sgmp.config_versions c WHERE c.house_id = h.house_id ORDER BY c.version DESC LIMIT 1
    ) v ON true
    WHERE h.deleted_at IS NULL AND (CAST(:house AS integer) IS NULL OR h.house_id = :house)
""")

_NEWEST = sa.text("""
    SELECT h.house_id, (SELECT max(r.ts) FROM sgmp.latest_readings(h.house_id) r) AS newest
    FROM sgmp.house h WHERE h.deleted_at IS NULL
""")


@dataclass(frozen=True)
class HouseStanding:
    """`devices`: how many. `newest`: the version created last, None where there is none. `changed`: the devices are
    others than its."""

    devices: int
    edge: EdgeState
    newest: ConfigVersion | None
    changed: bool


def of_all(connection: sa.Connection) -> dict[int, HouseStanding]:
    """House -> how it stands, for all that the account sees."""
    rows = connection.execute(_STANDINGS, {"house": None})
    return {row.house_id: _standing(row) for row in rows}


def of_house(connection: sa.Connection, house_id: int) -> HouseStanding:
    """That of one house; of one that the account does not see, as if nothing was known."""
    row = connection.execute(_STANDINGS, {"house": house_id}).one_or_none()
    return HouseStanding(0, EdgeState(), None, changed=True) if row is None else _standing(row)


def newest_ms(connection: sa.Connection) -> dict[int, int]:
    """House -> the timestamp of its newest reading (UTC ms), for those that have one."""
    return {house_id: to_ms(at) for house_id, at in connection.execute(_NEWEST) if at is not None}


def _standing(row: sa.Row[tuple[object, ...]]) -> HouseStanding:
    newest = None if row.version is None else config_versions.version_of(row)
    return HouseStanding(row.devices, config_versions.edge_state_of(row), newest, row.changed)
