"""Devices of a house. Deleting one keeps its history; a new one of the same name starts a new one.

Every read shows `MASK` in place of secret settings, and in place of all texts to who may not see devices; what is written
with a mask keeps what is stored there. `reveal` and `to_send` give the secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors, to_ms
from sgmp_console.store.tables.houses import device as table

MASK = "***"
"""Shown in place of a setting that is not shown."""

_UNSTORABLE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000|[\ud800-\udfff]")
"""In JSON: an escaped NUL, and half of a surrogate pair. PostgreSQL has no place for them."""


# What accounts read: of one house, or of all that the account sees (None).
def _devices(house_id: int | None = None) -> Any:
    return sa.func.sgmp.visible_devices(house_id).table_valued(
        *(sa.column(c.name, c.type) for c in table.c), name="devices"
    )


def _select(devices: Any) -> sa.Select[Any]:
    return sa.select(
        devices.c.device_id,
        devices.c.house_id,
        devices.c.name,
        devices.c.type,
        devices.c.description,
        devices.c.config,
        devices.c.revision,
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
    devices = _devices(house_id)
    rows = connection.execute(_select(devices).where(devices.c.deleted_at.is_(None)).order_by(devices.c.name))
    return [Device(*row) for row in rows]


def names(connection: sa.Connection) -> list[tuple[int, str]]:
    """(house, name) of each device that the account sees, without deleted ones."""
    devices = _devices()
    rows = connection.execute(
        sa.select(devices.c.house_id, devices.c.name).where(devices.c.deleted_at.is_(None))
    )
    return [(row.house_id, row.name) for row in rows]


def counts(connection: sa.Connection) -> dict[int, int]:
    """House -> how many devices it has, without deleted ones; houses without devices are not in it."""
    rows = connection.exec_driver_sql("SELECT house_id, devices FROM sgmp.device_counts()")
    return {row.house_id: row.devices for row in rows}


def get(connection: sa.Connection, device_id: int) -> Device:
    """Raises UserError where there is none, or none that the account sees."""
    devices = _devices(_house_of(connection, device_id))
    row = connection.execute(
        _select(devices).where(devices.c.device_id == device_id, devices.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UserError("There is no such device. It may have been deleted.")
    return Device(*row)


def _house_of(connection: sa.Connection, device_id: int) -> int:
    """0 where there is no such device, or none that the account sees."""
    return int(
        connection.execute(
            sa.text("SELECT COALESCE(sgmp.house_of_device(:device), 0)"), {"device": device_id}
        ).scalar_one()
    )


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
            sa.text("SELECT sgmp.create_device(:house, :name, :type, :description, CAST(:config AS jsonb))"),
            {
                "house": house_id,
                "name": name,
                "type": type,
                "description": description,
                "config": _as_json(config),
            },
        ).scalar_one()
    return get(connection, device_id)


def deleted(connection: sa.Connection, house_id: int, name: str) -> Device | None:
    """The device of this name that was deleted last, whose history a new one can continue (`restore`)."""
    devices = _devices(house_id)
    row = connection.execute(
        _select(devices)
        .where(devices.c.name == name, devices.c.deleted_at.is_not(None))
        .order_by(devices.c.deleted_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Device(*row)


def list_deleted(connection: sa.Connection, house_id: int) -> list[Device]:
    """The devices that a house once had, in order of deletion."""
    devices = _devices(house_id)
    rows = connection.execute(
        _select(devices).where(devices.c.deleted_at.is_not(None)).order_by(devices.c.deleted_at)
    )
    return [Device(*row) for row in rows]


def lifetime(connection: sa.Connection, device_id: int) -> tuple[int, int | None]:
    """When a device was made and when it was deleted (None: it was not), UTC ms. Raises UserError where there is none."""
    devices = _devices(_house_of(connection, device_id))
    row = connection.execute(
        sa.select(devices.c.created_at, devices.c.deleted_at).where(devices.c.device_id == device_id)
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
        return _write(connection, device, restored=True)


def update(connection: sa.Connection, device: Device) -> Device:
    """Store type, config and description; the name stays, and so does what is masked in the config.

    Raises ChangedMeanwhile where `device` is stale, UserError for a mask that stands for nothing stored, or beside
    another type.
    """
    return _write(connection, device, restored=False)


def delete(connection: sa.Connection, device_id: int) -> None:
    """Take the device out of use; its history stays. Raises UserError where there is none."""
    deleted_now = connection.execute(sa.text("SELECT sgmp.delete_device(:device)"), {"device": device_id})
    if not deleted_now.scalar_one():
        raise UserError("There is no such device. It may have been deleted.")


def reveal(connection: sa.Connection, device_id: int) -> Mapping[str, Any]:
    """A device's config with its secrets, which the audit records.

    Raises Refused without `view_secrets`, UserError where there is no such device.
    """
    config: Mapping[str, Any] = reveal_secrets(connection, "device", device_id)
    return config


def to_send(connection: sa.Connection, house_id: int) -> list[Device]:
    """A house's devices in order of name, with their secrets, as Synchronize Configuration sends them.

    The audit records that they were given. Raises Refused without `manage_houses` and `view_secrets`.
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


def _write(connection: sa.Connection, device: Device, *, restored: bool) -> Device:
    revision = connection.execute(
        sa.text(
            "SELECT sgmp.update_device(:device, :seen, :type, :description, CAST(:config AS jsonb), :restored)"
        ),
        {
            "device": device.device_id,
            "seen": device.revision,
            "type": device.type,
            "description": device.description,
            "config": _as_json(device.config),
            "restored": restored,
        },
    ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"Device {device.name}")
    return get(connection, device.device_id)


def _as_json(config: Mapping[str, Any]) -> str:
    """Raises UserError."""
    written = json.dumps(dict(config), ensure_ascii=False)
    if _UNSTORABLE.search(written):
        raise UserError(
            "The settings hold a character that can't be stored (NUL, or half of a pair). Remove it."
        )
    return written


def _sentences(name: str) -> dict[str, str]:
    return {
        "device_name_key": f"A device {name} exists already in this house. Choose another name.",
        "device_name_check": (
            "A device's name starts with a letter and holds at most 64 letters A-Z, digits and underscores; `events` "
            "and `analytics` are words of the formula language."
        ),
        "device_house_id_fkey": "There is no such house. It may have been deleted.",
    }
