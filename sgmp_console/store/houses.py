"""Houses: the scope of everything else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors
from sgmp_console.store.tables.houses import house as table


@dataclass(frozen=True)
class Place:
    """Degrees, north and east positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True)
class House:
    """`time_zone` is an IANA name. `revision` counts changes: `update` refuses a stale one.

    `load_contains_ev`: the meter of the analytic item `load` measures the car, too. `place`: None where it is not known.
    """

    house_id: int
    name: str
    description: str = ""
    time_zone: str = "UTC"
    revision: int = 1
    load_contains_ev: bool = False
    place: Place | None = None


# What accounts read.
_view = sa.table("houses", *(sa.column(c.name, c.type) for c in table.c), schema="sgmp")
_COLUMNS = tuple(
    _view.c[name]
    for name in (
        "house_id",
        "name",
        "description",
        "time_zone",
        "revision",
        "load_contains_ev",
        "latitude",
        "longitude",
    )
)


def list_all(connection: sa.Connection) -> list[House]:
    """The houses that the account sees, in order of name."""
    rows = connection.execute(sa.select(*_COLUMNS).where(_view.c.deleted_at.is_(None)).order_by(_view.c.name))
    return [_house(row) for row in rows]


def get(connection: sa.Connection, house_id: int) -> House:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(_view.c.house_id == house_id, _view.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UserError("There is no such house. It may have been deleted.")
    return _house(row)


def by_name(connection: sa.Connection, name: str) -> House:
    """Raises UserError naming it, and the one that may be meant."""
    known = {house.name: house for house in list_all(connection)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"There is no house {name}.{meant}")
    return known[name]


def create(
    connection: sa.Connection,
    name: str,
    *,
    description: str = "",
    time_zone: str = "UTC",
    load_contains_ev: bool = False,
    place: Place | None = None,
) -> House:
    """Raises UserError where the name is taken or empty, Refused."""
    with constraint_errors(connection, _sentences(name)):
        house_id = connection.execute(
            sa.text(
                "SELECT sgmp.create_house(:name, :description, :time_zone, :load_contains_ev, :latitude, :longitude)"
            ),
            {
                "name": name.strip(),
                "description": description,
                "time_zone": time_zone,
                "load_contains_ev": load_contains_ev,
                **_place_values(place),
            },
        ).scalar_one()
    return get(connection, house_id)


def update(connection: sa.Connection, house: House) -> House:
    """Store all that an operator sets of a house. Raises UserError where the name is taken or empty, ChangedMeanwhile
    where `house` is stale, Refused."""
    with constraint_errors(connection, _sentences(house.name)):
        revision = connection.execute(
            sa.text(
                "SELECT sgmp.update_house(:house, :seen, :name, :description, :time_zone, :load_contains_ev, :latitude,"
                " :longitude)"
            ),
            {
                "house": house.house_id,
                "seen": house.revision,
                "name": house.name.strip(),
                "description": house.description,
                "time_zone": house.time_zone,
                "load_contains_ev": house.load_contains_ev,
                **_place_values(house.place),
            },
        ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"House {house.name}")
    return get(connection, house.house_id)


def delete(connection: sa.Connection, house_id: int) -> None:
    """Take the house out of use; its history stays in the database. Raises UserError where there is none, Refused."""
    if not connection.execute(sa.text("SELECT sgmp.delete_house(:house)"), {"house": house_id}).scalar_one():
        raise UserError("There is no such house. It may have been deleted.")


def _house(row: Sequence[Any]) -> House:
    *others, latitude, longitude = row
    house_id, name, description, time_zone, revision, load_contains_ev = others
    place = None if latitude is None else Place(latitude, longitude)
    return House(house_id, name, description, time_zone, revision, load_contains_ev, place)


def _place_values(place: Place | None) -> dict[str, float | None]:
    return {
        "latitude": None if place is None else place.latitude,
        "longitude": None if place is None else place.longitude,
    }


def _sentences(name: str) -> dict[str, str]:
    return {
        "house_name_key": f"A house {name.strip()} exists already. Choose another name.",
        "house_name_check": "A house needs a name of at most 64 characters.",
        "house_place_check": "A place lies between 90 degrees south and north, and 180 degrees west and east.",
    }
