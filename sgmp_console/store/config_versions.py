"""What was sent to the edges, and what they said about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.devices import reveal_secrets
from sgmp_console.store.rows import constraint_errors, to_ms, to_ms_or_none
from sgmp_edge import contract


@dataclass(frozen=True)
class ConfigVersion:
    """A configuration of a house's devices. `created_by` is an account's email, or a PostgreSQL role. `published_ms`
    (UTC): when it was left with the broker last, None where it never was."""

    version: int
    sha256: str
    created_by: str
    created_ms: int
    published_ms: int | None = None


@dataclass(frozen=True)
class EdgeState:
    """What a house's edge last reported about itself, UTC ms; None where it never did.

    `applied_*`: the version it runs, None where it reported to run none, and since when it reports so. `rejected_version`
    is None, too, where the edge could not read which it refused. `heard_ms`: when its last status came, by the database's
    clock; all other times are the edge's.
    """

    status: Mapping[str, Any] | None = None
    status_ms: int | None = None
    applied_version: int | None = None
    applied_sha256: str | None = None
    applied_ms: int | None = None
    rejected_reason: str | None = None
    rejected_ms: int | None = None
    rejected_version: int | None = None
    heard_ms: int | None = None


def list_all(connection: sa.Connection, house_id: int) -> list[ConfigVersion]:
    """The versions of a house, the newest first, without the devices: these hold secrets."""
    rows = connection.execute(
        sa.text(f"{_SELECT} ORDER BY version DESC"),
        {"house": house_id},
    )
    return [version_of(row) for row in rows]


def newest(connection: sa.Connection, house_id: int) -> ConfigVersion | None:
    """The version made last; None if there never was one."""
    row = connection.execute(
        sa.text(f"{_SELECT} ORDER BY version DESC LIMIT 1"), {"house": house_id}
    ).one_or_none()
    return None if row is None else version_of(row)


def device_counts(connection: sa.Connection, house_id: int) -> dict[int, int]:
    """How many devices each version of a house has."""
    rows = connection.execute(
        sa.text("SELECT version, device_count FROM sgmp.config_version_list(:house)"), {"house": house_id}
    )
    return {row.version: row.device_count for row in rows}


def devices_of(connection: sa.Connection, house_id: int, version: int) -> list[contract.DeviceConfig]:
    """The devices of a version, masked as `devices.list_all` does, in order of id. Raises UserError: no such version."""
    rows = connection.execute(
        sa.text("SELECT devices FROM sgmp.visible_config_versions(:house, :version)"),
        {"house": house_id, "version": version},
    ).scalar_one_or_none()
    if rows is None:
        raise UserError("There is no such version of the configuration.")
    return [_device(row) for row in rows]


def to_send(connection: sa.Connection, house_id: int, version: int) -> list[contract.DeviceConfig]:
    """The devices of a version with their secrets, to be sent again; the audit records that they were given.

    Raises Refused without `manage_houses` and `view_secrets`, UserError: no such version.
    """
    return [_device(row) for row in reveal_secrets(connection, "configuration", house_id, version)]


def changed_secrets(
    connection: sa.Connection, house_id: int, old: int | None, new: int | None
) -> frozenset[tuple[int, str]]:
    """(device id, setting) of what differs between two versions though it is masked in both. None: the devices now."""
    rows = connection.execute(
        sa.text("SELECT device_id, setting FROM sgmp.changed_secrets(:house, :old, :new)"),
        {"house": house_id, "old": old, "new": new},
    )
    return frozenset((row.device_id, row.setting) for row in rows)


def add(
    connection: sa.Connection, house_id: int, version: int, sha256: str, devices: Sequence[Mapping[str, Any]]
) -> None:
    """Store a version, made by the account that is signed in. Raises UserError where the number is taken, Refused."""
    taken = f"Version {version} of the configuration exists already. Synchronize again."
    with constraint_errors(connection, {"config_version_pkey": taken}):
        connection.execute(
            sa.text("SELECT sgmp.add_config_version(:house, :version, :sha256, CAST(:devices AS jsonb))"),
            {
                "house": house_id,
                "version": version,
                "sha256": sha256,
                "devices": json.dumps([dict(device) for device in devices]),
            },
        )


def note_published(connection: sa.Connection, house_id: int, version: int) -> None:
    """Record that a version was left with the broker just now. Raises Refused without `manage_houses`."""
    connection.execute(
        sa.text("SELECT sgmp.note_published(:house, :version)"), {"house": house_id, "version": version}
    )


def edge_state(connection: sa.Connection, house_id: int) -> EdgeState:
    """What the edge of a house last reported about itself."""
    row = connection.execute(
        sa.text("SELECT * FROM sgmp.house_states WHERE house_id = :house"), {"house": house_id}
    ).one_or_none()
    return EdgeState() if row is None else edge_state_of(row)


def edge_state_of(row: sa.Row[Any]) -> EdgeState:
    """From a row with the columns of house_state."""
    return EdgeState(
        row.status,
        to_ms_or_none(row.status_at),
        row.applied_version,
        row.applied_sha256,
        to_ms_or_none(row.applied_at),
        row.rejected_reason,
        to_ms_or_none(row.rejected_at),
        row.rejected_version,
        to_ms_or_none(row.heard_at),
    )


def _device(row: Mapping[str, Any]) -> contract.DeviceConfig:
    return contract.DeviceConfig(row["device_id"], row["name"], row["type"], row["config"])


_SELECT = "SELECT version, sha256, created_by, created_at, published_at FROM sgmp.config_version_list(:house)"


def version_of(row: sa.Row[Any]) -> ConfigVersion:
    """From a row with the columns of config_version."""
    return ConfigVersion(
        row.version, row.sha256, row.created_by, to_ms(row.created_at), to_ms_or_none(row.published_at)
    )
