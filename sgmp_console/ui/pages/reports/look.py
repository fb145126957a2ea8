"""How a report is drawn, on screen and on paper: its panes, curves, legend and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from zoneinfo import ZoneInfo

from sgmp_console.reports.balance import COLUMNS, ROWS
from sgmp_console.reports.home import POWER_ITEMS, POWER_SOURCES, POWER_USES
from sgmp_console.reports.home import Curve as ChartCurve
from sgmp_console.reports.report import (
    Column,
    Figure,
    Kind,
    Report,
    Resolution,
    Section,
    Table,
    TableColumn,
)
from sgmp_console.reports.time_marks import count_text
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, calendar
from sgmp_console.ui import formats
from sgmp_console.ui.charts.bars import BarPicture
from sgmp_console.ui.charts.flows import FlowPicture, Link
from sgmp_console.ui.charts.heat_map import HeatPicture
from sgmp_console.ui.charts.panes import Pane
from sgmp_console.ui.charts.report_curve import chart_curve
from sgmp_console.ui.quantities import QUANTITIES, Quantity

_TABLE_OF = {Kind.EV: "sessions", Kind.ENERGY: "flows"}
"""Which table a report shows; the others show their days. All of them are in the files."""

_LEAST_SHOWN = 0.005
"""Less would be shown as 0.00."""

_BEFORE = "~before"
"""Behind the key of a curve: the same of the period that the report is compared with."""

_CLEAR_SKY = Quantity("clear_sky", "Clear sky, scaled to the best hours", "Clear sky", "line_1", dashed=True)

_LINES: dict[Kind, tuple[str, ...]] = {
    Kind.ENERGY: POWER_ITEMS,
    Kind.SOLAR: ("solar",),
    Kind.BATTERY: ("battery_discharging", "battery_charging"),
    Kind.EV: ("ev",),
    Kind.LOAD: ("load",),
    Kind.HEAT_MAP: (),
}
"""By report: the curves of power, by item."""


@dataclass(frozen=True)
class LegendGroup:
    """Rows of a legend with a caption; `values` by item, in `unit`, which is "" where the rows have no values."""

    caption: str
    quantities: tuple[Quantity, ...]
    unit: str
    values: Mapping[str, float | None]
    areas: bool = False
    """Whether they are stacked areas, not lines."""


def title(report: Report) -> str:
    """What the report is called where its period stands beside it."""
    return report.title if report.heat_map is None else f"{report.kind.title}: {quantity_of(report).title}"


HEAT_MAP_OF = {
    Kind.ENERGY: "grid_import",
    Kind.SOLAR: "solar",
    Kind.BATTERY: "soc",
    Kind.EV: "ev",
    Kind.LOAD: "load",
}
"""What a report's heat map is of."""


def source_text(report: Report) -> str:
    """What the curves are made of."""
    shown = {curve.resolution for curve in report.curves if not curve.cumulative}
    return ", ".join(one.value for one in Resolution if one in shown)


def quantity_of(report: Report) -> Quantity:
    """What a heat map is of: an item or field that is none of ours has the neutral colour."""
    name = report.heat_map.item if report.heat_map is not None else ""
    return QUANTITIES.get(name) or Quantity(name, name, name, "other")


def heat_picture(report: Report, *, by_weekday: bool) -> HeatPicture | None:
    if report.heat_map is None:
        return None
    return HeatPicture(report.heat_map, quantity_of(report), by_weekday)


def panes(kind: Kind) -> list[Pane]:
    """What adds up is stacked; all else are lines, each with the dashed one of the period before behind it."""
    lines = tuple(QUANTITIES[item] for item in _LINES[kind])
    if not lines:
        return []
    if kind is Kind.ENERGY:
        return [Pane("kW", lines, 1.0, True, frozenset(POWER_USES), _compared(lines))]
    if kind is Kind.BATTERY:
        soc = QUANTITIES["soc"]
        return [
            Pane("kW", lines, 1.0, True, frozenset(["battery_charging"]), _compared(lines)),
            _lines("%", (soc,), (_before(soc),), 10.0, from_zero=False),
        ]
    cumulative = replace(lines[0], item="cumulative", title="Energy since the start", short="Energy so far")
    clear_sky = (_CLEAR_SKY,) if kind is Kind.SOLAR else ()
    return [
        replace(
            _lines("kW", lines, (*clear_sky, *map(_before, lines)), 1.0, from_zero=True),
            filled=frozenset(one.item for one in lines),
        ),
        _lines("kWh", (cumulative,), (_before(cumulative),), 1.0, from_zero=True),
    ]


def _lines(
    unit: str,
    quantities: tuple[Quantity, ...],
    beside: tuple[Quantity, ...],
    least_span: float,
    *,
    from_zero: bool,
) -> Pane:
    """A pane of lines, with others beside them for comparison."""
    names = frozenset(one.item for one in beside)
    return Pane(unit, (*quantities, *beside), least_span, from_zero, beside=names)


def chart_curves(report: Report) -> dict[str, ChartCurve]:
    """By key. Those of the comparison begin where the period begins."""
    curves = {curve.key: chart_curve(curve) for curve in report.curves}
    other = report.comparison
    if other is not None:
        later = report.period.start_ms - other.period.start_ms
        curves |= {f"{curve.key}{_BEFORE}": chart_curve(curve, later) for curve in other.curves}
    return curves


def legend_groups(report: Report, curves: Mapping[str, ChartCurve]) -> list[LegendGroup]:
    """Of the curves that there are. Powers stand with the energy of the period."""
    lines = [QUANTITIES[item] for item in _LINES[report.kind] if item in curves]
    energies = {one.item: _energy(report, one.item) for one in lines}
    groups = []
    if report.kind is Kind.ENERGY:
        for caption, items in (("From, kWh", POWER_SOURCES), ("To, kWh", POWER_USES)):
            part = tuple(one for one in lines if one.item in items)
            groups.append(LegendGroup(caption, part, "kWh", energies, areas=True))
    else:
        stacked = report.kind is Kind.BATTERY
        groups.append(LegendGroup("Energy, kWh", tuple(lines), "kWh", energies, areas=stacked))
    drawn = [quantity for pane in panes(report.kind) for quantity in pane.quantities]
    others = tuple(one for one in drawn if one.item in curves and one.item not in energies)
    if others:
        groups.append(LegendGroup("Also shown", others, "", {}))
    return [group for group in groups if group.quantities]


def bar_picture(report: Report, zone: tzinfo) -> BarPicture | None:
    if report.bars is None:
        return None
    quantities = tuple(QUANTITIES[item] for item in _LINES[report.kind])
    before = report.comparison.bars if report.comparison is not None else None
    if before is not None and before.step is not report.bars.step:
        before = None
    return BarPicture(report.bars, quantities, zone, before)


def flow_picture(report: Report) -> FlowPicture | None:
    """Where the energy of an Energy report came from and went."""
    flows = next((table for table in report.tables if table.key == "flows" and table.rows), None)
    if flows is None:
        return None
    sources = tuple(_flow_end(item, str(row[0])) for item, row in zip(ROWS, flows.rows, strict=True))
    titles = [column.title for column in flows.columns[1:-1]]
    uses = tuple(_flow_end(item, title) for item, title in zip(COLUMNS, titles, strict=True))
    links = tuple(
        Link(source, use, float(cell or 0.0))
        for source, (_, *cells, _) in zip(sources, flows.rows, strict=True)
        for use, cell in zip(uses, cells, strict=True)
    )
    return FlowPicture(sources, uses, links)


def _flow_end(item: str, title: str) -> Quantity:
    """A source or use under its name in the table of flows; what does not add up has the neutral colour."""
    known = QUANTITIES.get(item)
    return Quantity(item, title, title, "line_2") if known is None else replace(known, title=title)


def shown_figures(report: Report) -> list[Figure]:
    """What does not add up is shown where it is not zero."""
    return [
        figure
        for figure in report.figures
        if figure.section is not Section.CHECK
        or (figure.value is not None and abs(figure.value) >= _LEAST_SHOWN)
    ]


def figure_line(report: Report, figure: Figure, zone: tzinfo, now_ms: int) -> str:
    """What stands below a figure: when an extreme was reached, what is missing, else the period. `now_ms`: today's times
    stand without their date."""
    if figure.value is None:
        return figure.why.note
    parts = []
    if figure.at_ms is not None:
        parts.append(formats.moment(figure.at_ms, now_ms, zone))
    elif figure.hour_ms is not None:
        parts.append(f"in the hour from {formats.moment(figure.hour_ms, now_ms, zone)}")
    coverage = figure.why.coverage
    if coverage is not None and coverage < 1:
        parts.append(f"{formats.percent(coverage)} covered")
    if figure.why.excluded and figure.why.slots:
        parts.append(f"{formats.percent(figure.why.excluded / figure.why.slots)} excluded")
    polls = figure.why.polls
    if polls is not None and polls.share is not None and polls.share < min(coverage or 1.0, 0.995):
        parts.append(f"{formats.percent(polls.share)} of polls")
    return ", ".join(parts) or report.period.title


def marks_line(report: Report) -> str:
    """How many findings and notes the period has, and how much of it counts in no mean; empty where there are none."""
    counted = count_text(report.marks)
    if not report.excluded_slots:
        return f"{counted} in this period" if counted else ""
    return f"{counted} in this period, {formats.duration(report.excluded_slots * SLOT_MS)} excluded"


def difference_line(report: Report, figure: Figure) -> str:
    """A figure beside the same of the period that the report is compared with; empty without one."""
    other = report.comparison
    if other is None:
        return ""
    difference = report.difference(figure.key)
    if difference is None:
        return f"no value in {other.period.title}"
    before = formats.with_unit(other.figure(figure.key).value, figure.unit)
    return f"{formats.change(difference, figure.unit)}, before {before}"


def shown_table(report: Report) -> Table | None:
    """The table of a report that is shown; None where it has no rows. What does not add up only where it is not zero."""
    key = _TABLE_OF.get(report.kind, "days")
    found = next((one for one in report.tables if one.key == key and one.rows), None)
    return _without_nothing(found) if found is not None and report.kind is Kind.ENERGY else found


def _without_nothing(flows: Table) -> Table:
    """The flows without the row and the column of what does not add up, where these are shown as zeros."""

    def is_nothing(cells: Sequence[float | int | str | None]) -> bool:
        return all(isinstance(cell, str) or abs(cell or 0.0) < _LEAST_SHOWN for cell in cells)

    *known, unknown = flows.rows
    rows = tuple(known if is_nothing(unknown) else flows.rows)
    unmatched = len(flows.columns) - 2  # before the sum
    if not is_nothing([row[unmatched] for row in flows.rows]):
        return replace(flows, rows=rows)
    return replace(
        flows,
        columns=(*flows.columns[:unmatched], *flows.columns[unmatched + 1 :]),
        rows=tuple((*row[:unmatched], *row[unmatched + 1 :]) for row in rows),
    )


def shown_columns(table: Table) -> list[tuple[int, TableColumn]]:
    """Those that are not for files only, with their places; texts only where there is one."""
    return [
        (place, column)
        for place, column in enumerate(table.columns)
        if not column.file_only and (column.kind is not Column.TEXT or any(row[place] for row in table.rows))
    ]


def column_title(column: TableColumn) -> str:
    title = column.short or column.title
    return f"{title} ({column.unit})" if column.unit else title


def is_numeric(column: TableColumn) -> bool:
    return column.kind in (Column.NUMBER, Column.DURATION)


def is_time(column: TableColumn) -> bool:
    return column.kind in (Column.TIME, Column.DAY)


def table_texts(table: Table, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """The cells of the shown columns, row by row, by the clock of the house."""
    columns = shown_columns(table)
    times = [place for place, column in columns if is_time(column)]
    years = {
        formats.local(int(cell), zone).year
        for row in table.rows
        for place in times
        if (cell := row[place]) is not None
    }
    return [
        tuple(_cell(row[place], column, zone, with_year=len(years) > 1) for place, column in columns)
        for row in table.rows
    ]


def _cell(cell: float | int | str | None, column: TableColumn, zone: ZoneInfo, *, with_year: bool) -> str:
    if cell is None:
        return formats.MISSING
    if column.kind in (Column.TIME, Column.DAY):
        at = formats.local(int(cell), zone)
        day = f"{formats.date(at)} {at.year}" if with_year else formats.date(at)
        if column.kind is Column.TIME:
            return f"{day} {formats.clock(at)}"
        begins = calendar.day(at.date(), zone.key)[0] == int(cell)
        return day if begins else f"{day}, from {formats.clock(at)}"
    if column.kind is Column.DURATION:
        hours = float(cell) / HOUR_MS
        return f"{hours:,.1f}\u00a0h" if hours >= 1 else f"{hours * 60:,.0f}\u00a0min"
    if column.kind is Column.NUMBER:
        return formats.number(float(cell), column.unit) if column.unit else f"{cell:,}"
    return str(cell)


def _energy(report: Report, item: str) -> float | None:
    values = report.bars.energies.get(item) if report.bars is not None else None
    known = [value for value in values or () if value is not None]
    return sum(known) if known else None


def _compared(quantities: Sequence[Quantity]) -> dict[str, str]:
    return {quantity.item: f"{quantity.item}{_BEFORE}" for quantity in quantities}


def _before(quantity: Quantity) -> Quantity:
    return replace(
        quantity,
        item=f"{quantity.item}{_BEFORE}",
        title=f"{quantity.title}, compared",
        short=f"{quantity.short}, before",
        dashed=True,
    )
