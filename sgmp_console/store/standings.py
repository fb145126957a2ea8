"""How houses stand: their devices, what was sent to their edges, and what these reported. One statement for all of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmp_console.store import config_versions
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_console.store.rows import to_ms, to_ms_or_none

_STANDINGS = sa.text("SELECT * FROM sgmp.house_standings(:house)")
_FLEET = sa.text(
    "SELECT s.*, n.newest, sgmp.watch_age_ms() AS watch_age_ms,"
    " u.created_at AS house_created_at, u.credentials_at, u.items, u.checked_at, u.checked_by, u.wrong, u.unknown"
    " FROM sgmp.house_standings(NULL) s LEFT JOIN sgmp.newest_of_houses() n ON n.house_id = s.house_id"
    " JOIN sgmp.house_setups(:items) u ON u.house_id = s.house_id"
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
class WiringCheck:
    """The last check of a house's wiring: how much there was to correct, and of how much nothing could be said."""

    at_ms: int
    who: str
    wrong: int
    unknown: int


@dataclass(frozen=True)
class HouseSetup:
    """`credentials_ms`: when some were generated first, None where nobody knows. `items`: those that were asked for and it has."""

    created_ms: int
    credentials_ms: int | None
    items: frozenset[str]
    check: WiringCheck | None


@dataclass(frozen=True)
class FleetStanding:
    """`houses`: each with its standing, the timestamp of its newest reading (UTC ms), None where there never was one, and how
    far it is set up. `watch_age_ms`: how long ago the watch last looked at all houses; None: it never did, or there are no houses."""

    houses: dict[int, tuple[HouseStanding, int | None, HouseSetup]]
    watch_age_ms: int | None


def of_fleet(connection: sa.Connection, items: Collection[str] = ()) -> FleetStanding:
    """How all houses stand that the account sees, with the age of their data, in one statement. `items`: the names of analytic
    items that matter for how far a house is set up."""
    rows = connection.execute(_FLEET, {"items": list(items)}).all()
    houses = {row.house_id: (_standing(row), to_ms_or_none(row.newest), _setup(row)) for row in rows}
    return FleetStanding(houses, rows[0].watch_age_ms if rows else None)


def _standing(row: sa.Row[tuple[object, ...]]) -> HouseStanding:
    newest = None if row.version is None else config_versions.version_of(row)
    return HouseStanding(row.devices, config_versions.edge_state_of(row), newest, row.changed)


def note_wiring(connection: sa.Connection, house_id: int, *, wrong: int, unknown: int) -> bool:
    """Keep what a check of a house's wiring found. Returns whether it is kept: not without `manage_houses`."""
    noted = sa.text("SELECT sgmp.note_wiring(:house, :wrong, :unknown)")
    return bool(
        connection.execute(noted, {"house": house_id, "wrong": wrong, "unknown": unknown}).scalar_one()
    )


def _setup(row: sa.Row[Any]) -> HouseSetup:
    check = (
        None
        if row.checked_at is None
        else WiringCheck(to_ms(row.checked_at), row.checked_by, row.wrong, row.unknown)
    )
    return HouseSetup(
        to_ms(row.house_created_at), to_ms_or_none(row.credentials_at), frozenset(row.items), check
    )
