"""The EV report: charging sessions, and where the car's energy came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgmp_console.reports import curves, figures, reasons, tables
from sgmp_console.reports.balance import UNKNOWN, Totals
from sgmp_console.reports.kinds.energy import balance_why
from sgmp_console.reports.report import Column, Figure, Parts, Section, Table, TableColumn
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.sessions import CHARGING_KW, Session
from sgmp_console.timeseries import HOUR_MS, SLOT_MS


def parts(data: ReportData) -> Parts:
    found = data.sessions
    start, end = data.period.start_ms, data.passed_ms
    plugged = [length for one in found if (length := one.plugged_in_ms(start, end)) is not None]
    charging = [one.charging_ms for one in found if one.charging_ms is not None]
    ended = [one.energy_kwh for one in found if one.energy_kwh is not None]
    unrecorded = sum(one.start_missing or one.end_missing for one in found)

    steps = data.steps("ev")[0]
    is_heard = steps is not None and len(steps.starts) > 0  # else nobody knows that there was no session

    def figure(key: str, title: str, value: float | None, unit: str, note: str) -> Figure:
        if not found:
            note = "No charging sessions." if is_heard else "There are no readings in this period."
        elif unrecorded:
            note += f" Of {unrecorded} the start or the end was not recorded."
        return Figure(key, title, value, unit, reasons.of_events(data, note))

    def mean_hours(lengths: list[int]) -> float | None:
        return sum(lengths) / len(lengths) / HOUR_MS if lengths else None

    return Parts(
        [
            figures.energy(data, "energy", "Energy", "ev"),
            figures.mean(data, "mean", "Mean power", "ev"),
            figures.highest(data, "peak", "Peak", "ev"),
            figure(
                "sessions",
                "Sessions",
                float(len(found)) if found or is_heard else None,
                "",
                "Sessions of which a part lies in the period.",
            ),
            figure(
                "plugged",
                "Mean time plugged in",
                mean_hours(plugged),
                "h",
                "From plugging in to unplugging, cut at the ends of the period; a car that is plugged in now until now.",
            ),
            figure(
                "charging",
                "Mean time charging",
                mean_hours(charging),
                "h",
                f"While the charger's power is above {CHARGING_KW} kW; of sessions with readings of it in the period."
                if charging
                else "There are no readings of the chargers' power in these sessions.",
            ),
            figure(
                "by_chargers",
                "Energy by the chargers",
                sum(ended) if ended else None,
                "kWh",
                "What the chargers counted for the sessions that ended, whole also where the period cuts them."
                if ended
                else "No session has ended yet.",
            ),
            *_charged_from(data),
        ],
        [
            curves.of_item(data, "ev", "EV charging", "ev", "ev"),
            curves.cumulative(data, "cumulative", "Energy", "ev", "ev"),
        ],
        [
            _session_table(found, data),
            tables.of_steps(data, [("ev", "EV")]),
            tables.of_days(data, [("ev", "EV")]),
        ],
        curves.bars(data, "ev"),
    )


def _charged_from(data: ReportData) -> list[Figure]:
    """What the house's meter saw of the car, by source; none where the house has no car."""
    if "ev" not in data.reader.items:
        return []
    found = data.balance
    total = found.total if found is not None else Totals()
    known = total.attributed > 0

    def figure(key: str, title: str, value: float) -> Figure:
        why = balance_why(data, "charged_from")
        return Figure(key, title, value if known else None, "kWh", why, section=Section.CHARGED_FROM)

    unknown = figure("from_unknown", "Charged from an unknown source", total.flow(UNKNOWN, "ev"))
    return [
        figure("from_sun", "The sun", total.flow("solar", "ev")),
        figure("from_battery", "The battery", total.flow("battery_discharging", "ev")),
        figure("from_grid", "The grid", total.flow("grid_import", "ev")),
        replace(unknown, section=Section.CHECK),
    ]


def _session_table(found: Sequence[Session], data: ReportData) -> Table:
    start_ms, end_ms = data.period.start_ms, data.passed_ms
    is_over = end_ms < data.now_ms // SLOT_MS * SLOT_MS
    columns = (
        TableColumn("Station", Column.TEXT),
        TableColumn("Start", Column.TIME),
        TableColumn("End", Column.TIME),
        TableColumn("Plugged in", Column.DURATION),
        TableColumn("Charging", Column.DURATION),
        TableColumn("Energy by the charger", Column.NUMBER, "kWh", short="Charger"),
        TableColumn("Mean power", Column.NUMBER, "kW", short="Mean", optional=3),
        TableColumn("Peak power", Column.NUMBER, "kW", short="Peak", optional=4),
        TableColumn("Pauses", Column.NUMBER, optional=2),
        TableColumn("From the sun", Column.NUMBER, "kWh", short="Sun"),
        TableColumn("From the battery", Column.NUMBER, "kWh", short="Battery"),
        TableColumn("From the grid", Column.NUMBER, "kWh", short="Grid"),
        TableColumn("From unknown", Column.NUMBER, "kWh", short="Unknown", optional=1),
        TableColumn("Not attributed", Column.DURATION, optional=1),
        TableColumn("Remark", Column.TEXT),
    )

    def split(one: Session) -> tuple[float | int | None, ...]:
        found = one.split
        if found is None:
            return (None,) * 5
        return (
            found.solar_kwh,
            found.battery_kwh,
            found.grid_kwh,
            found.unknown_kwh,
            found.not_attributed_ms,
        )

    rows = tuple(
        (
            one.station,
            one.plugged_ms,
            one.unplugged_ms,
            one.plugged_in_ms(start_ms, end_ms),
            one.charging_ms,
            one.energy_kwh,
            one.mean_kw,
            one.peak_kw,
            one.pauses,
            *split(one),
            _remark(one, start_ms, end_ms, is_over=is_over),
        )
        for one in found
    )
    times = tuple(one.part(start_ms, end_ms) for one in found)
    return Table("sessions", "Charging sessions", columns, rows, times)


def _remark(session: Session, start_ms: int, end_ms: int, *, is_over: bool) -> str:
    """`is_over`: the period ended before now."""
    cut_start, cut_end = session.cut_at(start_ms, end_ms)
    remarks = [
        ("Still plugged in", session.is_running),
        ("End was not recorded", session.end_missing),
        ("Start was not recorded", session.start_missing),
        ("Began before the period", cut_start),
        ("Ended after the period", cut_end),
        ("Went on after the period", session.is_running and is_over),
        ("Power is approximate, from five-minute means", session.approximate),
    ]
    return "; ".join(text for text, applies in remarks if applies)
