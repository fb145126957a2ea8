"""What the list of a house's devices shows of them, and how."""

from __future__ import annotations

from dataclasses import dataclass

from sgmp_console.fleet.devices_overview import DeviceOverview
from sgmp_console.reports.home import STALE_AFTER_MS
from sgmp_console.ui import formats
from sgmp_console.ui.edge_words import StatusText
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_edge import contract


@dataclass(frozen=True)
class DeviceRow:
    """A device at `now_ms` (UTC); `status`: how it is doing."""

    overview: DeviceOverview
    status: StatusText
    now_ms: int

    @property
    def is_stale(self) -> bool:
        """Whether its newest reading is older than its interval lets expect."""
        newest_ms, interval = self.overview.newest_ms, self.overview.device.config.get("interval")
        patience = max(STALE_AFTER_MS, 3000 * interval if isinstance(interval, (int, float)) else 0)
        return newest_ms is None or self.now_ms - newest_ms > patience


def _type(row: DeviceRow) -> str:
    return contract.type_title(row.overview.device.type)


def _type_tip(row: DeviceRow) -> str:
    known = row.overview.device.type in contract.device_types()
    return _type(row) if known else "This console has no driver file of this type."


def _newest(row: DeviceRow) -> str:
    newest_ms = row.overview.newest_ms
    return formats.MISSING if newest_ms is None else formats.age(newest_ms, row.now_ms)


def _newest_tip(row: DeviceRow) -> str:
    return "No reading of this device is stored." if row.overview.newest_ms is None else _newest(row)


def _users(row: DeviceRow) -> str:
    """The one, or how many there are; all of them are in the tip."""
    users = row.overview.used_by
    return f"{len(users)} items" if len(users) > 1 else "".join(users)


COLUMNS: tuple[Column[DeviceRow], ...] = (
    Column("Name", lambda row: row.overview.device.name, 152, strong=True),
    Column("Type", _type, 104, tip=_type_tip),
    Column("Description", lambda row: row.overview.device.description, optional=1),
    Column(
        "State",
        lambda row: row.status.text,
        216,
        # What is in order comes last.
        sort=lambda row: f"{row.overview.state == contract.Outcome.OK} {row.status.text}",
        tip=lambda row: f"{row.status.text}\n{row.status.tip}".strip(),
        mark=lambda row: Mark(row.status.icon, row.status.tint),
        ink=lambda row: "ink_muted" if row.status.tint == "ink_muted" else "ink_primary",
    ),
    Column(
        "Newest reading",
        _newest,
        128,
        # As floating point: milliseconds overflow an int of Qt.
        sort=lambda row: float(row.overview.newest_ms or -1),
        whole=True,
        tip=_newest_tip,
        ink=lambda row: "ink_muted" if row.is_stale else "ink_primary",
        searched=False,
    ),
    Column(
        "Used by",
        _users,
        96,
        sort=lambda row: len(row.overview.used_by),
        tip=lambda row: "\n".join(row.overview.used_by),
        searched=False,
    ),
)
