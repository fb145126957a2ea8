"""What the list of houses shows of them, and how."""

from __future__ import annotations

from dataclasses import dataclass

from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.ui import edge_words, finding_words, house_words
from sgmp_console.ui.edge_words import StatusText
from sgmp_console.ui.parts.rows import Column, Mark


@dataclass(frozen=True)
class HouseRow:
    """A house as it stands at `now_ms` (UTC). `credentials`: its own column, looked up on its own."""

    overview: HouseOverview
    credentials: StatusText
    now_ms: int


def credentials_status(valid: int) -> StatusText:
    """What to say of a house with so many valid credentials."""
    if valid == 0:
        tip = "No edge is let in as this house: generate new credentials."
        return StatusText("None", "warning", "state_warning", tip)
    if valid == 1:
        return StatusText("Valid", "check", "state_ok")
    tip = "Older credentials let the edge in, too, until they are revoked."
    return StatusText(f"{valid} valid", "info", "ink_muted", tip)


def _devices(row: HouseRow) -> str:
    down, devices = len(edge_words.devices_down(row.overview.edge)), row.overview.devices
    return f"{down:,} of {devices:,} down" if down else f"{devices:,}"


def _devices_tip(row: HouseRow) -> str:
    down = edge_words.devices_down(row.overview.edge)
    return "\n".join(f"{name}: {edge_words.state_words(state)}" for name, state in down.items()) or _devices(
        row
    )


def _findings(row: HouseRow) -> str:
    active = len(house_words.active(row.overview))
    noted = len(row.overview.findings) - active
    return " + ".join(filter(None, (f"{active:,}" if active else "", f"{noted:,} noted" if noted else "")))


def _findings_mark(row: HouseRow) -> Mark | None:
    return Mark(*finding_words.look(row.overview.findings[0])) if row.overview.findings else None


def _gravity(row: HouseRow) -> float:
    """The worst first, then the most."""
    return float(sum(1000.0**finding.severity.rank for finding in house_words.active(row.overview)))


def _credentials_mark(row: HouseRow) -> Mark | None:
    return Mark(row.credentials.icon, row.credentials.tint) if row.credentials.icon else None


def _setup_mark(row: HouseRow) -> Mark | None:
    known = row.overview.checklist
    return Mark("clock", "ink_muted") if known is not None and known.open else None


COLUMNS: tuple[Column[HouseRow], ...] = (
    Column(
        "Name",
        lambda row: row.overview.house.name,
        144,
        strong=True,
    ),
    Column(
        "House ID",
        lambda row: str(row.overview.house.house_id),
        72,
        sort=lambda row: row.overview.house.house_id,
        right=True,
    ),
    Column("Description", lambda row: row.overview.house.description, optional=1),
    Column("Time zone", lambda row: row.overview.house.time_zone, 168, optional=2),
    Column(
        "Devices",
        _devices,
        84,
        sort=lambda row: float(1e6 * len(edge_words.devices_down(row.overview.edge)) + row.overview.devices),
        tip=_devices_tip,
        mark=lambda row: Mark("fault", "state_fault") if edge_words.devices_down(row.overview.edge) else None,
        right=True,
    ),
    Column(
        "Findings",
        _findings,
        88,
        sort=_gravity,
        mark=_findings_mark,
        tip=lambda row: house_words.findings_tip(row.overview, row.now_ms),
    ),
    Column(
        "Edge",
        lambda row: house_words.edge(row.overview)[0],
        128,
        mark=lambda row: house_words.edge(row.overview)[1],
        tip=lambda row: f"{edge_words.edge_words(row.overview.edge, row.now_ms)}.",
    ),
    # Sorted as floating point: milliseconds overflow an int of Qt.
    Column(
        "Newest reading",
        lambda row: house_words.newest(row.overview, row.now_ms),
        128,
        sort=lambda row: float(row.overview.newest_ms or 0),
        whole=True,
        optional=3,
    ),
    Column(
        "Configuration",
        lambda row: house_words.configuration(row.overview)[0],
        152,
        mark=lambda row: house_words.configuration(row.overview)[1],
        tip=lambda row: house_words.configuration_tip(row.overview, row.now_ms),
    ),
    Column(
        "Credentials",
        lambda row: row.credentials.text,
        104,
        mark=_credentials_mark,
        tip=lambda row: row.credentials.tip or row.credentials.text,
    ),
    Column(
        "Set-up",
        lambda row: house_words.progress_count(row.overview),
        96,
        sort=lambda row: -float(len(row.overview.checklist.open)) if row.overview.checklist else 0.0,
        mark=_setup_mark,
        tip=lambda row: house_words.progress(row.overview),
        optional=4,
    ),
)
