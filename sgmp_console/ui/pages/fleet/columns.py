"""What the fleet shows of each house, and how."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QPen

from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.house_filter import Facts
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.quality import Quality
from sgmp_console.reports.fleet import STRIP_DAYS, Pulse
from sgmp_console.store.findings import Severity
from sgmp_console.timeseries import SLOT_MS
from sgmp_console.ui import edge_words, finding_words, fonts, formats, house_words, icons, theme
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.parts.sparkline import paint_sparkline
from sgmp_console.ui.quantities import QUANTITIES

_KEPT_MS = 60 * 60_000
"""A pulse that was read longer ago is not shown: the page was away meanwhile."""

_ICON = 14
_GRAVEST_FIRST = tuple(sorted(Severity, key=lambda severity: -severity.rank))
_MARKS = {
    Severity.CRITICAL: ("fault", "state_fault"),
    Severity.WARNING: ("warning", "state_warning"),
    Severity.INFO: ("info", "ink_muted"),
}
_NOUNS = {
    Severity.CRITICAL: ("critical", "critical"),
    Severity.WARNING: ("warning", ""),
    Severity.INFO: ("note", ""),
}

_DAY_WIDTH = 3
"""Pixels of a day in the strip, with the one between."""

_GOOD_DAY = 0.95
"""A day of which less was measured stands out in the strip."""


@dataclass(frozen=True)
class FleetRow:
    """A house as it stands at `now_ms` (UTC). `place`: where it stands when the worst comes first. `watched`: whether the watch
    looks at it, without which no findings mean nothing. `read`: what it did lately; None: not read yet, or not lately."""

    overview: HouseOverview
    place: int
    watched: bool
    now_ms: int
    read: Pulse | None = None

    @property
    def pulse(self) -> Pulse | None:
        read = self.read
        return read if read is not None and self.now_ms - read.read_ms < _KEPT_MS else None

    @property
    def today(self) -> Pulse | None:
        """Its pulse, while what it says of today is about today."""
        pulse = self.pulse
        return pulse if pulse is not None and self.now_ms < pulse.day_ends_ms else None

    @cached_property
    def facts(self) -> Facts:
        """What the filter looks at."""
        house, counts = self.overview, _counts(self)
        today = self.today
        return Facts(
            lambda: " ".join(column.text(self) for column in COLUMNS if column.searched),
            {
                # One that never sent anything is as old as can be.
                "age": math.inf if house.newest_ms is None else max(0, self.now_ms - house.newest_ms),
                "backlog": house.edge.backlog,
                "findings": counts.total(),
                "critical": counts[Severity.CRITICAL],
                "warnings": counts[Severity.WARNING],
                "energy": today.used_kwh if today else None,
                "autarky": _autarky_of(today),
                "quality": _good(self),
                "setup": len(house.checklist.open) if house.checklist is not None else None,
            },
            {
                "house": house.house.name,
                "edge": house_words.edge(house)[0],
                "configuration": house_words.configuration(house)[0],
                "software": house.edge.software,
            },
        )


def _counts(row: FleetRow) -> Counter[Severity]:
    return Counter(finding.severity for finding in house_words.active(row.overview))


# --- What is wrong ----------------------------------------------------------------------------------------------------


def _reason(row: FleetRow) -> str:
    house = row.overview
    if house.findings:
        worst = house.findings[0]
        since = formats.duration(row.now_ms - worst.from_ms)
        return f"{finding_words.said(worst, house.house.time_zone).text}, for {since}"
    if not row.watched:
        return "Not watched"
    if house.edge.presence is not Presence.ONLINE:
        return edge_words.edge_words(house.edge, row.now_ms)
    return "Nothing is wrong"


def _state_mark(row: FleetRow) -> Mark:
    if not row.watched:
        return Mark("clock", "ink_muted")
    if row.overview.edge.presence is not Presence.ONLINE:
        return house_words.edge(row.overview)[1]
    return Mark("check", "state_ok")


def _reason_tip(row: FleetRow) -> str:
    return house_words.findings_tip(row.overview, row.now_ms) or _reason(row)


def _findings(row: FleetRow) -> str:
    counts = _counts(row)
    noted = len(row.overview.findings) - counts.total()
    said = [formats.count(counts[one], *_NOUNS[one]) for one in _GRAVEST_FIRST if counts[one]]
    return ", ".join([*said, *([f"{noted:,} noted"] if noted else [])])


def _paint_findings(painter: QPainter, area: QRectF, row: FleetRow) -> None:
    """An icon and a number for each severity; muted, what somebody took note of. Where there are none, how it is doing."""
    tokens, counts = theme.tokens(), _counts(row)
    if not row.overview.findings:
        mark = _state_mark(row)
        square = QRectF(area.left(), area.center().y() - _ICON / 2, _ICON, _ICON)
        icons.paint(painter, square, mark.icon, getattr(tokens, mark.tint))
        return
    shown = [(*_MARKS[one], counts[one], "ink_primary") for one in _GRAVEST_FIRST if counts[one]]
    if noted := len(row.overview.findings) - counts.total():
        shown.append(("check", "ink_muted", noted, "ink_muted"))
    painter.setFont(fonts.font("body"))
    x, middle = area.left(), area.center().y()
    for icon, tint, number, ink in shown:
        icons.paint(painter, QRectF(x, middle - _ICON / 2, _ICON, _ICON), icon, getattr(tokens, tint))
        text = f"{number:,}"
        width = fonts.metrics("body").horizontalAdvance(text)
        painter.setPen(getattr(tokens, ink))
        left = x + _ICON + 3
        painter.drawText(QPointF(left, middle + fonts.metrics("body").ascent() / 2 - 1), text)
        x = left + width + 8


def _away_ink(row: FleetRow) -> str:
    return "ink_muted" if row.overview.edge.is_away or row.overview.edge.heard_ms is None else ""


def _reported(row: FleetRow) -> str:
    return f"{edge_words.edge_words(row.overview.edge, row.now_ms)}."


def _backlog(row: FleetRow) -> str:
    backlog = row.overview.edge.backlog
    return formats.MISSING if backlog is None else f"{backlog:,}"


# --- What it did ------------------------------------------------------------------------------------------------------


def _autarky_of(pulse: Pulse | None) -> float | None:
    """None, too, where a part of it is missing: a share of some parts is not the house's."""
    return pulse.autarky if pulse is not None and not pulse.absent else None


def _used(row: FleetRow) -> str:
    return formats.with_unit(row.today.used_kwh if row.today else None, "kWh")


def _percent(share: float | None) -> str:
    return formats.MISSING if share is None else formats.percent(share)


def _known(value: float | None) -> float:
    """To sort by: what is not known comes first, going up."""
    return -1.0 if value is None else value


def _as_of(row: FleetRow, what: str) -> str:
    pulse = row.pulse
    if pulse is None:
        return "Not read yet."
    return f"{what}\nAs of {formats.age(pulse.read_ms, row.now_ms)}."


def _energy_tip(row: FleetRow) -> str:
    today = row.today
    if today is None:
        return "Not read yet."
    if today.used_kwh is None:
        return _as_of(row, "Not known: the house has no item load that has values today.")
    lines = ["What load and car used since the house's midnight; the running slot is not counted."]
    if today.absent:
        lines.append(f"The autarky is not known without {', '.join(today.absent)}.")
    if today.incomplete:
        lines.append(f"Times without values of {', '.join(today.incomplete)} are not counted.")
    return _as_of(row, "\n".join(lines))


def _good(row: FleetRow) -> float | None:
    """The share of slots without a flag; None where no day was checked."""
    quality = row.pulse.quality if row.pulse else None
    return quality.good if quality else None


def _quality(row: FleetRow) -> str:
    good = _good(row)
    if good is None:
        return formats.MISSING if row.pulse is None else "Not checked"
    return "No flags" if good == 1 else f"{_percent(1 - good)} flagged"


def _quality_ink(row: FleetRow) -> str:
    return "ink_muted" if _good(row) is None else ""


_FLAGS = {
    Quality.MISSING: "readings are missing",
    Quality.STUCK: "the same value all the time",
    Quality.OUT_OF_RANGE: "values that can't be",
    Quality.SPIKE: "single values far from all others",
    Quality.SUN_AT_NIGHT: "power of the sun at night",
    Quality.WRONG_SIGN: "values below zero where there can be none",
    Quality.COUNTER_BACK: "a counter went back",
    Quality.FIELD_VANISHED: "a field does not come any more",
}
"""Of a slot of a series; the balance is of the house."""


def _quality_tip(row: FleetRow) -> str:
    quality = row.pulse.quality if row.pulse else None
    if quality is None or not quality.slots:
        return _as_of(row, "Not checked: the watch checks each day of a house in the night after it.")
    days = formats.count(quality.days, "day")
    lines = [
        f"{_percent(1 - quality.flagged / quality.slots)} of the slots of all series have no flag ({days} checked)."
    ]
    for kind, text in _FLAGS.items():
        if found := quality.counts.get(kind.name or ""):
            lines.append(f"{_percent(found / quality.slots)}: {text}")
    if unbalanced := quality.counts.get(Quality.UNBALANCED.name or ""):
        hours = formats.duration(unbalanced * SLOT_MS)
        lines.append(f"Sources and uses of the house did not add up for {hours}.")
    return _as_of(row, "\n".join(lines))


def _load_text(row: FleetRow) -> str:
    load = row.pulse.load if row.pulse else None
    if load is None or not len(load):
        return ""
    return f"Load, last 24 hours: at most {formats.with_unit(float(load.values.max()), 'kW')}"


def _paint_load(painter: QPainter, area: QRectF, row: FleetRow) -> None:
    pulse = row.pulse
    if pulse is None or pulse.load_start_ms == pulse.load_end_ms:
        return
    tokens = theme.tokens()
    colour = tokens.ink_disabled if row.overview.edge.is_away else QUANTITIES["load"].colour_in(tokens)
    paint_sparkline(
        painter,
        area.adjusted(0, 3, -4, -3),
        pulse.load,
        pulse.load_start_ms,
        pulse.load_end_ms,
        2 * SLOT_MS,
        colour,
    )


def _days_text(row: FleetRow) -> str:
    days = row.pulse.days if row.pulse else ()
    known = [share for share in days if share is not None]
    if not known:
        return ""
    bad = sum(share < _GOOD_DAY for share in known)
    return (
        f"Last 30 days: {formats.count(bad, 'day')} of {len(known)} with less than 95\u00a0% of slots covered"
    )


def _paint_days(painter: QPainter, area: QRectF, row: FleetRow) -> None:
    """A bar for each day, as high as it is covered; those that are not whole in the colour of warnings, too."""
    tokens = theme.tokens()
    area = area.adjusted(0, 7, -4, -7)
    painter.setPen(QPen(tokens.line_hairline, 1))
    bottom = round(area.bottom()) + 0.5
    painter.drawLine(QPointF(area.left(), bottom), QPointF(area.left() + _DAY_WIDTH * STRIP_DAYS - 1, bottom))
    for place, share in enumerate(row.pulse.days if row.pulse else ()):
        if share is not None:
            height = max(1.0, round(share * area.height()))
            bar = QRectF(
                round(area.left()) + _DAY_WIDTH * place, round(area.bottom()) - height, _DAY_WIDTH - 1, height
            )
            painter.fillRect(bar, tokens.line_control if share >= _GOOD_DAY else tokens.state_warning)


COLUMNS: tuple[Column[FleetRow], ...] = (
    Column("House", lambda row: row.overview.house.name, 136, strong=True),
    Column(
        "Findings",
        _findings,
        84,
        sort=lambda row: row.place,
        tip=_reason_tip,
        paint=_paint_findings,
    ),
    Column("Worst first", _reason, sort=lambda row: row.place, tip=_reason_tip),
    # Sorted as floating point: milliseconds overflow an int of Qt.
    Column(
        "Data",
        lambda row: house_words.newest(row.overview, row.now_ms),
        104,
        sort=lambda row: -float(row.overview.newest_ms or 0),
        tip=_reported,
        right=True,
        searched=False,
    ),
    Column(
        "Backlog",
        _backlog,
        64,
        sort=lambda row: float(row.overview.edge.backlog or 0),
        tip=lambda row: f"Messages that the edge holds. {_reported(row)}",
        ink=_away_ink,
        right=True,
        searched=False,
        optional=2,
    ),
    Column(
        "Configuration",
        lambda row: house_words.configuration(row.overview)[0],
        116,
        mark=lambda row: house_words.configuration(row.overview)[1],
        tip=lambda row: house_words.configuration_tip(row.overview, row.now_ms),
        optional=3,
    ),
    Column(
        "Used today",
        _used,
        72,
        sort=lambda row: _known(row.today.used_kwh if row.today else None),
        tip=_energy_tip,
        right=True,
        searched=False,
        optional=6,
    ),
    Column(
        "Autarky",
        lambda row: _percent(_autarky_of(row.today)),
        56,
        sort=lambda row: _known(_autarky_of(row.today)),
        tip=_energy_tip,
        right=True,
        searched=False,
        optional=5,
    ),
    Column(
        "Quality",
        _quality,
        88,
        sort=lambda row: _known(_good(row)),
        tip=_quality_tip,
        ink=_quality_ink,
        right=True,
        searched=False,
    ),
    Column(
        "Last 24 h", _load_text, 92, sort=lambda row: row.place, paint=_paint_load, searched=False, optional=7
    ),
    Column(
        "30 days",
        _days_text,
        _DAY_WIDTH * STRIP_DAYS + 26,
        sort=lambda row: _known(row.pulse.coverage if row.pulse else None),
        paint=_paint_days,
        searched=False,
        optional=4,
    ),
    Column(
        "Software",
        lambda row: row.overview.edge.software or formats.MISSING,
        72,
        tip=lambda row: f"Version of the edge's program. {_reported(row)}",
        ink=_away_ink,
        optional=1,
    ),
)
