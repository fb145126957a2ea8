"""All that the page of one device shows, but for the curve of a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.fleet import devices_overview, edge_state
from sgmp_console.fleet.devices_overview import DeviceOverview, DevicesOverview
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.poll_outcomes import OutcomeRun, runs
from sgmp_console.fleet.sync import SyncState
from sgmp_console.store import AuditEntry, Device, House, audit, events, findings, readings
from sgmp_console.store.findings import Finding
from sgmp_console.store.readings import FieldNow
from sgmp_console.timeseries import Series
from sgmp_edge import contract

_HOUR_MS = 3_600_000

RECENT_MS = 3 * _HOUR_MS
"""What a sparkline shows, and what polls are counted in."""

OUTCOMES_MS = 24 * _HOUR_MS
FINDINGS_MS = 30 * 24 * _HOUR_MS

RECENT_EVERY_MS = 60_000
"""What happened in the last hours is read again so often: it is much, and hardly moves."""

_MOST_RECENT = 60
"""Fields whose readings of hours are read: a device that invents thousands costs no more than one that has as many."""

_NEWEST_CHANGES = 50


@dataclass(frozen=True, eq=False)
class Recent:
    """What happened lately. `series`: the readings of [start_ms, end_ms), UTC ms, by field. `outcomes`: of the last day."""

    device_id: int
    start_ms: int
    end_ms: int
    series: Mapping[str, Series]
    outcomes: tuple[OutcomeRun, ...]

    def serves(self, device_id: int, now_ms: int) -> bool:
        """Whether it need not be read again."""
        return self.device_id == device_id and 0 <= now_ms - self.end_ms < RECENT_EVERY_MS


@dataclass(frozen=True)
class Rhythm:
    """How often a device is polled. `expected_s`: seconds between two polls by its config, its type or its edge, as far as these
    say. `seen_s`: the usual time between two readings of the last hours. `readings` of `expected` in that time: how many times
    there were readings, and how many there should have been. `poll_ms`: how long the last good poll took, as the edge reports it."""

    expected_s: float | None
    seen_s: float | None
    readings: int
    expected: int | None
    poll_ms: int | None

    @property
    def share(self) -> float | None:
        """0 to 1, of the readings that should have come."""
        return min(self.readings / self.expected, 1.0) if self.expected else None


@dataclass(frozen=True, eq=False)
class DeviceDetails:
    """A device of a house at `now_ms` (UTC). `names`: of all devices of the house. `findings`: open
    ones first, and those of the last month. `history`: of its configuration, the newest first, as far as the account sees it."""

    house: House
    edge: EdgeStanding
    sync: SyncState
    about: DeviceOverview
    names: tuple[str, ...]
    fields: tuple[FieldNow, ...]
    recent: Recent
    rhythm: Rhythm
    findings: tuple[Finding, ...]
    history: tuple[AuditEntry, ...]
    now_ms: int

    def unit_of(self, of_field: FieldNow) -> str:
        """The operator's unit, else that of the device's type; "" where there is none."""
        if of_field.unit is not None:
            return of_field.unit
        kind = contract.device_types().get(self.about.device.type)
        return kind.unit_of(of_field.field) if kind else ""


@dataclass(frozen=True)
class NoDevices:
    """A house without devices."""

    house: House


def details(
    connection: sa.Connection, house_id: int, name: str, now_ms: int, before: DeviceDetails | None = None
) -> DeviceDetails | NoDevices:
    """Of the device of this name, "" for the first of the house. `before`: what was read last, whose readings of hours and
    outcomes serve for a minute. A fixed number of statements. Raises UserError where there is no such house or device, or none to be seen."""
    overview = devices_overview.overview(connection, house_id, now_ms)
    if not overview.devices and not name:
        return NoDevices(overview.house)
    about = next((one for one in overview.devices if name in ("", one.device.name)), None)
    if about is None:
        raise UserError(
            f"{overview.house.name} has no device `{name}`. It may have been deleted; its history is kept."
        )
    device = about.device
    fields = tuple(readings.fields_now(connection, device.device_id))
    if before is not None and before.recent.serves(device.device_id, now_ms):
        recent = before.recent
    else:
        recent = _read_recent(connection, device, fields, overview.edge, now_ms)
    known = findings.read(connection, house_id, ended_since_ms=now_ms - FINDINGS_MS)
    return DeviceDetails(
        overview.house,
        overview.edge,
        overview.sync,
        about,
        tuple(one.device.name for one in overview.devices),
        fields,
        recent,
        _rhythm(overview, device, recent),
        tuple(one for one in known if one.device == device.name),
        tuple(audit.of_device(connection, device.device_id, _NEWEST_CHANGES)),
        now_ms,
    )


def expected_interval_s(device: Device, edge: EdgeStanding) -> float | None:
    """Seconds between two polls: as the device's config says, else its edge, but not more often than its type declares."""
    configured = edge_state.number_in(device.config, "interval")
    if configured is not None:
        return configured
    if edge.poll_interval_s is None:
        return None
    kind = contract.device_types().get(device.type)
    declared = kind.field("interval") if kind else None
    return max(edge.poll_interval_s, float(declared.default or 0) if declared else 0.0)


def _read_recent(
    connection: sa.Connection, device: Device, fields: Sequence[FieldNow], edge: EdgeStanding, now_ms: int
) -> Recent:
    start_ms = now_ms - RECENT_MS
    lately = [one for one in fields if one.reading is not None and one.reading[0] >= start_ms][:_MOST_RECENT]
    ids = {(device.name, one.field): one.series_id for one in lately}
    found = readings.read(connection, device.house_id, ids, start_ms, now_ms, series=ids)
    day_ms = now_ms - OUTCOMES_MS
    statuses = events.edge_statuses(connection, device.house_id, day_ms, device=device.name)
    return Recent(
        device.device_id,
        start_ms,
        now_ms,
        {field: series for (_, field), series in found.items()},
        runs(statuses, day_ms, now_ms, edge.silent_after_ms),
    )


def _rhythm(overview: DevicesOverview, device: Device, recent: Recent) -> Rhythm:
    expected_s = expected_interval_s(device, overview.edge)
    stamps = [one.timestamps for one in recent.series.values()]
    times = np.unique(np.concatenate(stamps)) if stamps else np.empty(0, np.int64)
    seen_s = float(np.median(np.diff(times))) / 1000 if len(times) > 1 else None
    length_ms = recent.end_ms - recent.start_ms
    return Rhythm(
        expected_s,
        seen_s,
        len(times),
        round(length_ms / 1000 / expected_s) if expected_s else None,
        overview.edge.poll_ms.get(device.name),
    )
