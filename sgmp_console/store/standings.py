"""How houses stand: their devices, what was sent to their edges, and what these reported. One statement for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.store import config_versions
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_console.store.rows import to_ms_or_none

_STANDINGS = sa.text("SELECT * FROM sgmp.house_standings(:house)")
_FLEET = sa.text(
    "SELECT s.*, n.newest, sgmp.watch_age_ms() AS watch_age_ms"
    " FROM sgmp.house_standings(NULL) s LEFT JOIN sgmp.newest_of_houses() n ON n.house_id = s.house_id"
)


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


@dataclass(frozen=True)
class FleetStanding:
    """`houses`: each with its standing and the timestamp of its newest reading (UTC ms), None where there never was one.
    `watch_age_ms`: how long ago the watch last looked at all houses; None: it never did, or there are no houses."""

    houses: dict[int, tuple[HouseStanding, int | None]]
    watch_age_ms: int | None


def of_fleet(connection: sa.Connection) -> FleetStanding:
    """How all houses stand that the account sees, with the age of their data, in one statement."""
    rows = connection.execute(_FLEET).all()
    houses = {row.house_id: (_standing(row), to_ms_or_none(row.newest)) for row in rows}
    return FleetStanding(houses, rows[0].watch_age_ms if rows else None)


def _standing(row: sa.Row[tuple[object, ...]]) -> HouseStanding:
    newest = None if row.version is None else config_versions.version_of(row)
    return HouseStanding(row.devices, config_versions.edge_state_of(row), newest, row.changed)
