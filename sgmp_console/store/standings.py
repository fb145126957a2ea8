"""How houses stand: their devices, what was sent to their edges, and what these reported. One statement for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.store import config_versions
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_console.store.rows import to_ms

_STANDINGS = sa.text("SELECT * FROM sgmp.house_standings(:house)")
_NEWEST = sa.text("SELECT house_id, newest FROM sgmp.newest_of_houses()")


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
