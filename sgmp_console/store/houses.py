"""Houses: the scope of everything else."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors
from sgmp_console.store.tables import house as table


@dataclass(frozen=True)
class House:
    """`time_zone` is an IANA name. `revision` counts changes: `update` refuses a stale one."""

    house_id: int
    name: str
    description: str = ""
    time_zone: str = "UTC"
    revision: int = 1


_COLUMNS = (table.c.house_id, table.c.name, table.c.description, table.c.time_zone, table.c.revision)


def list_all(connection: sa.Connection) -> list[House]:
    """The houses that the account sees, in order of name."""
    rows = connection.execute(sa.select(*_COLUMNS).where(table.c.deleted_at.is_(None)).order_by(table.c.name))
    return [House(*row) for row in rows]


def get(connection: sa.Connection, house_id: int) -> House:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(table.c.house_id == house_id, table.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UserError("There is no such house. It may have been deleted.")
    return House(*row)


def by_name(connection: sa.Connection, name: str) -> House:
    """Raises UserError naming it, and the one that may be meant."""
    known = {house.name: house for house in list_all(connection)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"There is no house {name}.{meant}")
    return known[name]


def create(connection: sa.Connection, name: str, *, description: str = "", time_zone: str = "UTC") -> House:
    """Raises UserError where the name is taken or empty."""
    with constraint_errors(connection, _sentences(name)):
        row = connection.execute(
            table.insert()
            .values(name=name.strip(), description=description, time_zone=time_zone)
            .returning(*_COLUMNS)
        ).one()
    return House(*row)


def update(connection: sa.Connection, house: House) -> House:
    """Store name, description and time zone. Raises UserError where the name is taken or empty, ChangedMeanwhile where
    `house` is stale."""
    with constraint_errors(connection, _sentences(house.name)):
        row = connection.execute(
            table.update()
            .where(
                table.c.house_id == house.house_id,
                table.c.revision == house.revision,
                table.c.deleted_at.is_(None),
            )
            .values(
                name=house.name.strip(),
                description=house.description,
                time_zone=house.time_zone,
                revision=table.c.revision + 1,
            )
            .returning(*_COLUMNS)
        ).one_or_none()
    if row is None:
        raise ChangedMeanwhile(f"House {house.name}")
    return House(*row)


def delete(connection: sa.Connection, house_id: int) -> None:
    """Take the house out of use; its history stays in the database. Raises UserError where there is none."""
    changed = connection.execute(
        table.update()
        .where(table.c.house_id == house_id, table.c.deleted_at.is_(None))
        .values(deleted_at=sa.func.now(), revision=table.c.revision + 1)
    ).rowcount
    if changed == 0:
        raise UserError("There is no such house. It may have been deleted.")


def _sentences(name: str) -> dict[str, str]:
    return {
        "house_name_key": f"A house {name.strip()} exists already. Choose another name.",
        "house_name_check": "A house needs a name of at most 64 characters.",
    }
