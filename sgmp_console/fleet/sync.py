"""Synchronize Configuration: what a house's edge is told, and whether it does so.

Each version is a document kept in the database and left, retained, on the house's config topic; the edge confirms it by
an event with the version and the fingerprint of what it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.fleet.editing import editing
from sgmp_console.store import Database, config_versions, devices
from sgmp_console.store.config_versions import ConfigVersion, EdgeState
from sgmp_edge import contract


class RetainingBroker(Protocol):
    """What is needed of `cloud.broker.Broker`."""

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = ...) -> None: ...


class Outcome(Enum):
    NEVER = "never"
    """Nothing was ever sent to this edge."""
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

    `version` is the one sent last, None where there is none. `since_ms` (UTC): sent (pending), confirmed (in sync,
    drifted), refused (rejected). `reason`: the edge's own words for a rejection. `changed`: devices were edited since,
    so the configuration should be synchronized.
    """

    outcome: Outcome
    version: int | None
    since_ms: int | None
    reason: str | None
    changed: bool


def synchronize(database: Database, broker: RetainingBroker, deployment: str, house_id: int) -> int:
    """Send a house's devices to its edge. Returns the version, a new one if anything was changed since the last.

    The version is stored before it is sent: where sending fails (BrokerUnavailable, BrokerRefused) it stays pending,
    and synchronizing again sends it again. Raises Refused without `manage_houses` and `view_secrets`, and
    UserError where a stored config can't be used.
    """
    with editing(database, house_id) as connection:
        wanted = [
            contract.DeviceConfig(one.device_id, one.name, one.type, one.config)
            for one in devices.to_send(connection, house_id)
        ]
        last = config_versions.newest(connection, house_id)
        sha256 = contract.devices_sha256(wanted)
        if last is not None and last.sha256 == sha256:
            version = last.version
        else:
            applied = config_versions.edge_state(connection, house_id).applied_version or 0
            version = max(last.version if last else 0, applied) + 1
            _check(version, wanted)
            rows = [
                {"device_id": one.device_id, "name": one.name, "type": one.type, "config": dict(one.config)}
                for one in wanted
            ]
            config_versions.add(connection, house_id, version, sha256, rows)
    broker.publish_retained(
        contract.config_topic(deployment, house_id), contract.dump_config(version, wanted)
    )
    return version


def state(connection: sa.Connection, house_id: int) -> SyncState:
    """Whether the edge of a house does what it was last told."""
    last = config_versions.newest(connection, house_id)
    edge = config_versions.edge_state(connection, house_id)
    return judge(last, edge, changed=config_versions.changed_since_newest(connection, house_id))


def judge(last: ConfigVersion | None, edge: EdgeState, *, changed: bool) -> SyncState:
    """The state from what was sent last and what the edge said."""
    if last is None:
        return SyncState(Outcome.NEVER, None, None, None, changed)
    if edge.applied_version == last.version and edge.applied_sha256 == last.sha256:
        return SyncState(Outcome.IN_SYNC, last.version, edge.applied_ms, None, changed)
    if edge.rejected_ms is not None and edge.rejected_ms >= max(last.created_ms, edge.applied_ms or 0):
        return SyncState(Outcome.REJECTED, last.version, edge.rejected_ms, edge.rejected_reason, changed)
    if edge.applied_ms is not None and edge.applied_ms > last.created_ms:
        return SyncState(Outcome.DRIFTED, last.version, edge.applied_ms, None, changed)
    return SyncState(Outcome.PENDING, last.version, last.created_ms, None, changed)


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
