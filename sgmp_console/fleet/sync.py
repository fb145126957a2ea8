"""Synchronize Configuration: what is sent to a house's edge, and whether it runs it.

Each version is a document kept in the database and left, retained, on the house's config topic; the edge confirms it by
an event with the version and the fingerprint of what it runs.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import sqlalchemy as sa

from sgmp_console.errors import Unavailable, UserError
from sgmp_console.fleet import config_changes, edge_state
from sgmp_console.fleet.config_changes import DeviceChange
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.editing import RevisionSet, editing, require_unchanged, revisions
from sgmp_console.formula import users_of_device
from sgmp_console.store import (
    Database,
    Device,
    Event,
    House,
    analytics,
    audit,
    config_versions,
    devices,
    events,
    houses,
    permissions,
    standings,
)
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_edge import contract

log = logging.getLogger(__name__)


class RetainingBroker(Protocol):
    """What is needed of `cloud.broker.Broker`."""

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = ...) -> None: ...


class Outcome(Enum):
    NEVER = "never"
    """Nothing was ever sent to this edge."""
    NOT_SENT = "not sent"
    """Made, but the broker did not take it: the edge can't know of it. Synchronizing again sends it."""
    PENDING = "pending"
    """Sent, and not confirmed yet: the edge is offline, or older than confirmations."""
    IN_SYNC = "in sync"
    REJECTED = "rejected"
    """The edge would not take it, and goes on with what it had."""
    DRIFTED = "drifted"
    """The edge runs something else than what was sent last."""


@dataclass(frozen=True)
class SyncState:
    """How a house's edge stands to what it should poll.

    `version` is the newest, None where there is none. `since_ms` (UTC): created (not sent), sent (pending), reported (in
    sync, drifted), refused (rejected). `reason`: the edge's own words for a rejection. `changed`: devices were edited since,
    so the configuration should be synchronized.
    """

    outcome: Outcome
    version: int | None
    since_ms: int | None
    reason: str | None
    changed: bool


@dataclass(frozen=True)
class Preview:
    """What Synchronize Configuration would do.

    `version`: the number under which the `devices` (how many) would be sent. `changes`: against what was sent last, all
    added where nothing was. `running`: the version that the edge confirmed last, and `changes_on_edge` against that;
    both None where it runs nothing that was sent from here. `looked_at` is for `synchronize`.
    """

    house: House
    state: SyncState
    edge: EdgeStanding
    devices: int
    version: int
    changes: tuple[DeviceChange, ...]
    running: int | None
    changes_on_edge: tuple[DeviceChange, ...] | None
    looked_at: RevisionSet


@dataclass(frozen=True)
class HistoryEntry:
    """A version and what the edge said of it: `applied_ms` when it confirmed it first, `rejected_ms` and `reason` when
    it refused it last; None where it did not. Times are UTC ms by the edge's clock."""

    version: ConfigVersion
    devices: int
    applied_ms: int | None = None
    rejected_ms: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class RollBackPreview:
    """What going back to `version` would change in the devices. `obstacles`: why it can't be done, as sentences.

    `looked_at` is for `roll_back`.
    """

    house: House
    version: ConfigVersion
    changes: tuple[DeviceChange, ...]
    obstacles: tuple[str, ...]
    looked_at: RevisionSet


def synchronize(
    database: Database,
    broker: RetainingBroker,
    deployment: str,
    house_id: int,
    *,
    looked_at: RevisionSet | None = None,
) -> int:
    """Send a house's devices to its edge. Returns the version, a new one if anything was changed since the last.

    The version is stored before it is sent: where sending fails (BrokerUnavailable, BrokerRefused) it stays NOT_SENT,
    and synchronizing again sends it. Raises Refused without `manage_houses` and `view_secrets`, ChangedMeanwhile
    where a device is not as `preview` showed it, and UserError where a stored config can't be used.
    """
    with editing(database, house_id) as connection:
        house = houses.get(connection, house_id)
        require_unchanged(connection, house_id, house.name, looked_at)
        version, wanted = _add_version(connection, house_id)
        audit.note(
            connection,
            "synchronize",
            "configuration",
            house.name,
            house_id=house_id,
            details={"version": version},
        )
    _publish(database, broker, deployment, house_id, version, wanted)
    return version


def preview(connection: sa.Connection, house_id: int, now_ms: int) -> Preview:
    """What `synchronize` would send, without doing it; secrets are masked, but it shows where they changed."""
    house = houses.get(connection, house_id)
    present = devices.list_all(connection, house_id)
    now = _present(present)
    standing = standings.of_house(connection, house_id)
    last, edge = standing.newest, standing.edge
    sync_state = judge(last, edge, changed=standing.changed)
    running = next(
        (
            one.version
            for one in config_versions.list_all(connection, house_id)
            if (one.version, one.sha256) == (edge.applied_version, edge.applied_sha256)
        ),
        None,
    )
    changes = _changes(connection, house_id, last.version if last else None, now)
    if last is not None and running == last.version:
        on_edge: tuple[DeviceChange, ...] | None = changes
    else:
        on_edge = None if running is None else _changes(connection, house_id, running, now)
    return Preview(
        house,
        sync_state,
        edge_state.judge(edge, now_ms),
        len(now),
        last.version if last is not None and not standing.changed else _next_version(last, edge),
        changes,
        running,
        on_edge,
        revisions(present),
    )


def history(connection: sa.Connection, house_id: int) -> list[HistoryEntry]:
    """All versions of a house, the newest first, and what the edge said of each."""
    versions = config_versions.list_all(connection, house_id)
    if not versions:
        return []
    counts = config_versions.device_counts(connection, house_id)
    said = events.read(
        connection,
        house_id,
        versions[-1].created_ms - _CLOCKS_MS,
        versions[0].created_ms + _HORIZON_MS,
        devices=[contract.EDGE_DEVICE_NAME],
        types=[contract.CONFIG_APPLIED, contract.CONFIG_REJECTED],
    )
    ends = [None, *(one.created_ms for one in versions)]
    return [
        _entry(one, counts.get(one.version, 0), said, end) for one, end in zip(versions, ends, strict=False)
    ]


def preview_roll_back(connection: sa.Connection, house_id: int, version: int) -> RollBackPreview:
    """What `roll_back` would do. Raises UserError: no such version."""
    house = houses.get(connection, house_id)
    found = _version(connection, house_id, version)
    present = devices.list_all(connection, house_id)
    wanted = config_versions.devices_of(connection, house_id, version)
    secrets = config_versions.changed_secrets(connection, house_id, None, version)
    items = {item.name: item.formula for item in analytics.list_all(connection, house_id)}
    return RollBackPreview(
        house,
        found,
        config_changes.between(_present(present), wanted, secrets),
        _obstacles(present, wanted, items),
        revisions(present),
    )


def roll_back(
    database: Database,
    broker: RetainingBroker,
    deployment: str,
    house_id: int,
    version: int,
    *,
    looked_at: RevisionSet | None = None,
) -> int:
    """Make the devices of a house those of an earlier version again, and synchronize them. Returns the new version.

    Types and configs, secrets included, become what they were; a device that was deleted since comes back as the same
    meter, and one that was made since is deleted (what it measured stays). Names never change and descriptions are not
    touched. All of it is one transaction, with the new version; sending it is as in `synchronize`.

    Raises UserError where that can't be done, with what `RollBackPreview.obstacles` says; Refused without
    `manage_houses`, `manage_devices` and `view_secrets`; ChangedMeanwhile where a device is not as `preview_roll_back`
    showed it.
    """
    with editing(database, house_id) as connection:
        house = houses.get(connection, house_id)
        permissions.require(connection, "manage_devices")
        require_unchanged(connection, house_id, house.name, looked_at)
        wanted = {one.device_id: one for one in config_versions.to_send(connection, house_id, version)}
        present = {one.device_id: one for one in devices.list_all(connection, house_id)}
        items = {item.name: item.formula for item in analytics.list_all(connection, house_id)}
        if obstacles := _obstacles(present.values(), list(wanted.values()), items):
            raise UserError(f"Nothing was changed. {' '.join(obstacles)}")
        changed = {one.device_id for one in preview_roll_back(connection, house_id, version).changes}
        # First those that go: one of them may have the name of one that comes back.
        for device_id in present.keys() - wanted.keys():
            devices.delete(connection, device_id)
        deleted = {one.device_id: one for one in devices.list_deleted(connection, house_id)}
        for device_id, device in wanted.items():
            if device_id in present and device_id in changed:
                devices.update(connection, _as_in(device, present[device_id]))
            elif device_id in deleted:
                devices.restore(connection, _as_in(device, deleted[device_id]))
        audit.note(
            connection,
            "roll_back",
            "configuration",
            house.name,
            house_id=house_id,
            details={"to_version": version},
        )
        new, sent = _add_version(connection, house_id)
    _publish(database, broker, deployment, house_id, new, sent)
    return new


def state(connection: sa.Connection, house_id: int) -> SyncState:
    """Whether the edge of a house runs what was sent to it last."""
    standing = standings.of_house(connection, house_id)
    return judge(standing.newest, standing.edge, changed=standing.changed)


def judge(last: ConfigVersion | None, edge: EdgeState, *, changed: bool) -> SyncState:
    """The state from the newest version and what the edge reported, of which the last counts."""
    if last is None:
        return SyncState(Outcome.NEVER, None, None, None, changed)
    runs_it = (edge.applied_version, edge.applied_sha256) == (last.version, last.sha256)
    if edge.rejected_ms is not None and _refuses(last, edge, edge.rejected_ms, runs_it=runs_it):
        return SyncState(Outcome.REJECTED, last.version, edge.rejected_ms, edge.rejected_reason, changed)
    if runs_it:
        return SyncState(Outcome.IN_SYNC, last.version, edge.applied_ms, None, changed)
    if last.published_ms is None:
        return SyncState(Outcome.NOT_SENT, last.version, last.created_ms, None, changed)
    if edge.applied_version is not None and edge.applied_ms is not None and edge.applied_ms > last.created_ms:
        return SyncState(Outcome.DRIFTED, last.version, edge.applied_ms, None, changed)
    return SyncState(Outcome.PENDING, last.version, last.published_ms, None, changed)


def _refuses(last: ConfigVersion, edge: EdgeState, rejected_ms: int, *, runs_it: bool) -> bool:
    """Whether a refusal is of the newest version, and is the last that the edge reported of it."""
    if edge.rejected_version is None:
        return rejected_ms >= max(last.created_ms, edge.applied_ms or 0)
    return edge.rejected_version == last.version and not (runs_it and rejected_ms <= (edge.applied_ms or 0))


_CLOCKS_MS = 24 * 3_600_000
"""By as much an edge's clock may be behind ours."""

_HORIZON_MS = 10 * 366 * 24 * 3_600_000


def _add_version(connection: sa.Connection, house_id: int) -> tuple[int, list[contract.DeviceConfig]]:
    """The version under which a house's devices are sent, made where they are not those of the last; and they."""
    wanted = _present(devices.to_send(connection, house_id))
    last = config_versions.newest(connection, house_id)
    sha256 = contract.devices_sha256(wanted)
    if last is not None and last.sha256 == sha256:
        return last.version, wanted
    version = _next_version(last, config_versions.edge_state(connection, house_id))
    _check(version, wanted)
    rows = [
        {"device_id": one.device_id, "name": one.name, "type": one.type, "config": dict(one.config)}
        for one in wanted
    ]
    config_versions.add(connection, house_id, version, sha256, rows)
    return version, wanted


def _next_version(last: ConfigVersion | None, edge: EdgeState) -> int:
    """Beyond what the edge has, too: after a restored backup it may know more than we do."""
    return max(last.version if last else 0, edge.applied_version or 0) + 1


def _publish(
    database: Database,
    broker: RetainingBroker,
    deployment: str,
    house_id: int,
    version: int,
    wanted: Sequence[contract.DeviceConfig],
) -> None:
    broker.publish_retained(
        contract.config_topic(deployment, house_id), contract.dump_config(version, wanted)
    )
    try:
        with database.begin() as connection:
            config_versions.note_published(connection, house_id, version)
    except Unavailable:
        # It is shown as not sent until the edge confirms it or it is sent again, which does no harm.
        log.warning("Version %d of house %d was sent, but this could not be recorded", version, house_id)


def _present(found: Collection[Device]) -> list[contract.DeviceConfig]:
    return [contract.DeviceConfig(one.device_id, one.name, one.type, one.config) for one in found]


def _as_in(wanted: contract.DeviceConfig, device: Device) -> Device:
    return replace(device, type=wanted.type, config=wanted.config)


def _changes(
    connection: sa.Connection, house_id: int, version: int | None, now: Sequence[contract.DeviceConfig]
) -> tuple[DeviceChange, ...]:
    """From a version (None: from nothing) to the devices as they are now."""
    if version is None:
        return config_changes.between((), now)
    before = config_versions.devices_of(connection, house_id, version)
    secrets = config_versions.changed_secrets(connection, house_id, version, None)
    return config_changes.between(before, now, secrets)


def _version(connection: sa.Connection, house_id: int, version: int) -> ConfigVersion:
    for one in config_versions.list_all(connection, house_id):
        if one.version == version:
            return one
    raise UserError("There is no such version of the configuration.")


def _obstacles(
    present: Collection[Device], wanted: Sequence[contract.DeviceConfig], items: Mapping[str, str]
) -> tuple[str, ...]:
    """Why the devices of a house can't become those of an earlier version, as sentences."""
    kept, names = {one.device_id for one in wanted}, {one.name for one in wanted}
    used = [
        f"Device {one.name}, which was made since, is used by {', '.join(users)}; change or delete these analytic items "
        "first."
        for one in present
        if one.device_id not in kept and one.name not in names and (users := users_of_device(one.name, items))
    ]
    types = contract.device_types()
    unknown = [
        f"Device {one.name} would be of the type {one.type}, which does not exist any more."
        for one in wanted
        if one.type not in types
    ]
    return (*used, *unknown)


def _entry(version: ConfigVersion, count: int, said: Sequence[Event], until_ms: int | None) -> HistoryEntry:
    """What the edge said of one version, among all that it said of configurations. `until_ms`: when the next was made.

    A refusal that names no version (the document could not be read, or the edge is an older one) is of the version that
    was the newest then.
    """
    applied_ms: int | None = None
    rejected_ms: int | None = None
    reason: str | None = None
    for event in said:
        named, sha256 = event.data.get("version"), event.data.get("sha256")
        if event.type == contract.CONFIG_APPLIED:
            if applied_ms is None and (named, sha256) == (version.version, version.sha256):
                applied_ms = event.timestamp_ms
        elif named == version.version or (
            named is None
            and version.created_ms <= event.timestamp_ms
            and (until_ms is None or event.timestamp_ms < until_ms)
        ):
            rejected_ms, reason = event.timestamp_ms, str(event.data.get("reason", ""))
    return HistoryEntry(version, count, applied_ms, rejected_ms, reason)


def _check(version: int, wanted: list[contract.DeviceConfig]) -> None:
    """As the edge will. Raises UserError."""
    document = contract.dump_config(version, wanted)
    if len(document) > contract.MAX_PAYLOAD_BYTES:
        raise UserError(
            f"The configuration has {len(document) // 1024} KiB, and an edge can be sent {contract.MAX_PAYLOAD_BYTES // 1024} "
            "KiB at most. Shorten the configs of the devices."
        )
    try:
        contract.parse_config(document)
    except contract.ContractError as error:
        raise UserError(f"The edge would not take this configuration: {error}.") from error
