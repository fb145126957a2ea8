"""Devices of a house. Deleting one keeps its history; a new one of the same name starts a new one.

Every read shows `MASK` in place of secret settings, and in place of all texts to who may not see devices; what is written
with a mask keeps what is stored there. `reveal` and `to_send` give the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors, to_ms
from sgmp_console.store.tables import device as table

MASK = "***"
"""Shown in place of a setting that is not shown."""

# What accounts read.
_view = sa.table(
    "devices",
    *(sa.column(c.name, c.type) for c in table.c),
    schema="sgmp",
)
_COLUMNS = (
    _view.c.device_id,
    _view.c.house_id,
    _view.c.name,
    _view.c.type,
    _view.c.description,
    _view.c.config,
    _view.c.revision,
)


@dataclass(frozen=True)
class Device:
    """`config` holds masks in place of secrets, or secrets that were typed; it is left out of the repr."""

    device_id: int
    house_id: int
    name: str
    type: str
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    revision: int = 1


def list_all(connection: sa.Connection, house_id: int) -> list[Device]:
    """The house's devices in order of name, without deleted ones."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_view.c.house_id == house_id, _view.c.deleted_at.is_(None))
        .order_by(_view.c.name)
    )
    return [Device(*row) for row in rows]


def houses_of_all(connection: sa.Connection) -> list[int]:
    """The house of each device that the account sees, without deleted ones."""
    return list(connection.execute(sa.select(table.c.house_id).where(table.c.deleted_at.is_(None))).scalars())


def get(connection: sa.Connection, device_id: int) -> Device:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(_view.c.device_id == device_id, _view.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UserError("There is no such device. It may have been deleted.")
    return Device(*row)


def create(
    connection: sa.Connection,
    house_id: int,
    name: str,
    type: str,  # noqa: A002 - the playbook's word
    config: Mapping[str, Any],
    *,
    description: str = "",
) -> Device:
    """Raises UserError where the name is taken in the house or breaks the rule, or a setting is masked."""
    with constraint_errors(connection, _sentences(name)):
        device_id = connection.execute(
            table.insert()
            .values(house_id=house_id, name=name, type=type, description=description, config=dict(config))
            .returning(table.c.device_id)
        ).scalar_one()
    return get(connection, device_id)


def deleted(connection: sa.Connection, house_id: int, name: str) -> Device | None:
    """The device of this name that was deleted last, whose history a new one can continue (`restore`)."""
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(_view.c.house_id == house_id, _view.c.name == name, _view.c.deleted_at.is_not(None))
        .order_by(_view.c.deleted_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Device(*row)


def list_deleted(connection: sa.Connection, house_id: int) -> list[Device]:
    """The devices that a house once had, in order of deletion."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_view.c.house_id == house_id, _view.c.deleted_at.is_not(None))
        .order_by(_view.c.deleted_at)
    )
    return [Device(*row) for row in rows]


def lifetime(connection: sa.Connection, device_id: int) -> tuple[int, int | None]:
    """When a device was made and when it was deleted (None: it was not), UTC ms. Raises UserError where there is none."""
    row = connection.execute(
        sa.select(_view.c.created_at, _view.c.deleted_at).where(_view.c.device_id == device_id)
    ).one_or_none()
    if row is None:
        raise UserError("There is no such device. It may have been deleted.")
    return to_ms(row.created_at), None if row.deleted_at is None else to_ms(row.deleted_at)


def restore(connection: sa.Connection, device: Device) -> Device:
    """Bring a deleted device back with the type, config and description of `device`: it is the same meter.

    Masked settings keep what it had. Raises UserError where its name has been taken since or a mask stands for nothing,
    ChangedMeanwhile where `device` is stale.
    """
    with constraint_errors(connection, _sentences(device.name)):
        return _write(connection, device, table.c.deleted_at.is_not(None))


def update(connection: sa.Connection, device: Device) -> Device:
    """Store type, config and description; the name stays, and so does what is masked in the config.

    Raises ChangedMeanwhile where `device` is stale, UserError for a mask that stands for nothing stored, or beside
    another type.
    """
    return _write(connection, device, table.c.deleted_at.is_(None))


def delete(connection: sa.Connection, device_id: int) -> None:
    """Take the device out of use; its history stays. Raises UserError where there is none."""
    changed = connection.execute(
        table.update()
        .where(table.c.device_id == device_id, table.c.deleted_at.is_(None))
        .values(deleted_at=sa.func.now(), revision=table.c.revision + 1)
    ).rowcount
    if changed == 0:
        raise UserError("There is no such device. It may have been deleted.")


def reveal(connection: sa.Connection, device_id: int) -> Mapping[str, Any]:
    """A device's config with its secrets, which the audit tells.

    Raises Refused without `view_secrets`, UserError where there is no such device.
    """
    config: Mapping[str, Any] = reveal_secrets(connection, "device", device_id)
    return config


def to_send(connection: sa.Connection, house_id: int) -> list[Device]:
    """A house's devices in order of name, with their secrets, as Synchronize Configuration sends them.

    The audit tells that they were given. Raises Refused without `manage_houses` and `view_secrets`.
    """
    configs = {
        one["device_id"]: one["config"] for one in reveal_secrets(connection, "configuration", house_id)
    }
    return [
        replace(device, config=configs[device.device_id])
        for device in list_all(connection, house_id)
        if device.device_id in configs
    ]


def reveal_secrets(connection: sa.Connection, kind: str, number: int, version: int | None = None) -> Any:
    """What sgmp.reveal gives. The audit's entry is committed first, on a connection of its own."""
    with connection.engine.begin() as other:
        announced = other.execute(
            sa.text("SELECT sgmp.announce_reveal(:kind, :number, :version)"),
            {"kind": kind, "number": number, "version": version},
        ).scalar_one()
    revealed = connection.execute(
        sa.text("SELECT sgmp.reveal(:announced)"), {"announced": announced}
    ).scalar_one()
    if revealed is None:
        raise UserError("It has been deleted meanwhile.")
    return revealed


def known(connection: sa.Connection) -> dict[tuple[int, int], str]:
    """(house id, device id) -> name of all devices there ever were; 0 is the house's edge. As ingest or owner."""
    rows = connection.exec_driver_sql("SELECT house_id, device_id, name FROM sgmp.known_devices()")
    return {(house_id, device_id): name for house_id, device_id, name in rows}


def _write(connection: sa.Connection, device: Device, state: sa.ColumnElement[bool]) -> Device:
    changed = connection.execute(
        table.update()
        .where(table.c.device_id == device.device_id, table.c.revision == device.revision, state)
        .values(
            type=device.type,
            config=dict(device.config),
            description=device.description,
            deleted_at=None,
            revision=table.c.revision + 1,
        )
    ).rowcount
    if changed == 0:
        raise ChangedMeanwhile(f"Device {device.name}")
    return get(connection, device.device_id)


def _sentences(name: str) -> dict[str, str]:
    return {
        "device_name_key": f"A device {name} exists already in this house. Choose another name.",
        "device_name_check": (
            "A device's name starts with a letter and holds at most 64 letters A-Z, digits and underscores; `events` "
            "and `analytics` are words of the formula language."
        ),
        "device_house_id_fkey": "There is no such house. It may have been deleted.",
    }
