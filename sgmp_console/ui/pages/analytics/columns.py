"""What the list of a house's analytic items shows of them, and how."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from sgmp_console.fleet.analytics_overview import ItemOverview
from sgmp_console.reports.home import STALE_AFTER_MS
from sgmp_console.ui import fonts, formats, theme
from sgmp_console.ui.parts.formula import syntax
from sgmp_console.ui.parts.rows import Badge, Column
from sgmp_console.ui.parts.table import paint_text


@dataclass(frozen=True)
class ItemRow(ItemOverview):
    """An item at `now_ms`. `newest`: its newest value (UTC ms, value), None where it has none lately."""

    newest: tuple[int, float] | None = None
    now_ms: int = 0


def _current(row: ItemRow) -> str:
    if row.newest is None:
        return formats.MISSING
    at_ms, value = row.newest
    return f"{formats.with_unit(value, row.item.unit)} · {formats.age(at_ms, row.now_ms)}"


def _current_ink(row: ItemRow) -> str:
    is_old = row.newest is None or row.now_ms - row.newest[0] > STALE_AFTER_MS
    return "ink_muted" if is_old else "ink_primary"


def _badges(row: ItemRow) -> list[Badge]:
    if row.problem:
        return [Badge("Can't be evaluated", "state_fault", row.problem)]
    if not row.item.aggregated:
        return []
    if not row.populated:
        return [Badge("Not aggregated yet", "ink_secondary", "Earlier readings are still to be aggregated.")]
    kept = "Five-minute and hourly values are kept of every field in the formula"
    numbers = (
        "they give the same numbers as the readings" if row.exact else "its numbers come from the readings"
    )
    return [Badge("Aggregated", "state_ok", f"{kept}; {numbers}.")]


def _needed(row: ItemRow) -> str:
    return "Dashboards and reports need this item." if row.required else ""


def _paint_formula(painter: QPainter, area: QRectF, row: ItemRow) -> None:
    """In the colours of the editor, one line, its end elided."""
    tokens = theme.tokens()
    painter.setFont(fonts.font("fixed"))
    metrics = fonts.metrics("fixed")
    formula = " ".join(row.item.formula.split())
    text = metrics.elidedText(formula, Qt.TextElideMode.ElideRight, round(area.width(), 0))
    baseline = area.center().y() + (metrics.ascent() - metrics.descent()) / 2
    x, done = area.left(), 0

    def draw(part: str, colour: QColor) -> None:
        nonlocal x
        painter.setPen(colour)
        painter.drawText(QPointF(x, baseline), part)
        x += metrics.horizontalAdvance(part)

    for span in syntax.spans(text):
        draw(text[done : span.position], tokens.ink_primary)
        done = span.position + span.length
        draw(text[span.position : done], syntax.colour(span.kind, tokens))
    draw(text[done:], tokens.ink_primary)


def _users(row: ItemRow) -> tuple[str, ...]:
    """What needs the item: the pages, then other items."""
    return (*(("Home, reports",) if row.required else ()), *row.used_by)


def _paint_users(painter: QPainter, area: QRectF, row: ItemRow) -> None:
    """All in short; each by its name is in the tip."""
    others = f"{len(row.used_by)} items" if len(row.used_by) > 1 else "".join(row.used_by)
    users = ", ".join(part for part in ("Home, reports" if row.required else "", others) if part)
    side = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    paint_text(painter, area, users, False, theme.tokens().ink_secondary, side)


COLUMNS: tuple[Column[ItemRow], ...] = (
    Column("Name", lambda row: row.item.name, 176, tip=_needed, strong=True),
    Column("Description", lambda row: row.item.description, 120, optional=1),
    Column("Formula", lambda row: row.item.formula, paint=_paint_formula),
    Column("Unit", lambda row: row.item.unit, 56, searched=False),
    Column(
        "Current value",
        _current,
        136,
        sort=lambda row: float("-inf") if row.newest is None else row.newest[1],
        tip=lambda row: "No value in the last 15 minutes." if row.newest is None else _current(row),
        ink=_current_ink,
        right=True,
        searched=False,
    ),
    Column(
        "Aggregation",
        lambda row: ", ".join(badge.text for badge in _badges(row)),
        168,
        badges=_badges,
        searched=False,
    ),
    Column(
        "Used by",
        lambda row: ", ".join(_users(row)),
        136,
        paint=_paint_users,
        tip=lambda row: "\n".join(_users(row)),
        searched=False,
    ),
)
