"""`sgmp-console report`: reports of houses as files, without a display."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.reports import export, periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.reports.time_marks import MarkKind, count_text
from sgmp_console.store import Database, House
from sgmp_console.timeseries import HOUR_MS, SLOT_MS

_DONE, _NOTHING_THERE = 0, 1

Writer = Callable[[Report], bytes]
"""The content of a file with a report."""


@dataclass(frozen=True)
class Drawn:
    """How files are written that need Qt. `writers` by ending; `write_pdf` writes one of many reports, each as it comes."""

    writers: Mapping[str, Writer]
    write_pdf: Callable[[Path, Iterable[Report]], None]


@dataclass(frozen=True)
class _Job:
    """A report that was asked for, its second period, and its files by ending."""

    house: House
    kind: Kind
    period: Period
    second: Period | None
    files: Mapping[str, Path]


def run(
    database: Database,
    arguments: argparse.Namespace,
    now_ms: int,
    drawn: Drawn | None = None,
    show: Callable[[float], None] = lambda _share: None,
) -> int:
    """Write what was asked for. Returns 1 if no report had any data, which a cron job wants to know.

    `drawn`: how to write PDF and PNG, where they are asked for. `show` is called with the share that is done.
    """
    writers: dict[str, Writer] = {"csv": export.csv_bytes, "xlsx": export.xlsx_bytes}
    writers |= drawn.writers if drawn is not None else {}
    jobs = _jobs(database, arguments, now_ms)
    together: Path | None = arguments.pdf if arguments.together else None
    files = [*(file for job in jobs for file in job.files.values()), *([together] if together else [])]
    if not arguments.force:
        for file in files:
            if file.exists():
                raise export.CannotWrite(f"{file} exists. Give another name, or --force to overwrite it.")
    shown: list[dict[str, Any]] = []
    any_data = False

    def reports() -> Iterator[Report]:
        nonlocal any_data
        for number, job in enumerate(jobs, 1):
            with database.begin() as connection:
                if files:
                    store.permissions.require(connection, "export")
                report = build(
                    connection, job.house, job.kind, job.period, now_ms, job.second, item=arguments.item
                )
            any_data = any_data or report.has_data
            for ending, file in job.files.items():
                export.write_file(file, writers[ending](report))
            if arguments.json:
                shown.append(_as_json(report))
            else:
                print(_as_text(report))
            yield report
            show(number / len(jobs))

    if together is not None and drawn is not None:
        drawn.write_pdf(together, reports())
    else:
        for _ in reports():
            pass
    if arguments.json:
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    for file in files:
        print(f"Written: {file}", file=sys.stderr)
    return _DONE if any_data else _NOTHING_THERE


def _jobs(database: Database, arguments: argparse.Namespace, now_ms: int) -> list[_Job]:
    """Houses x reports x ranges. Several get the names of house, report and range before the ending of their files."""
    kinds = [Kind(name) for name in dict.fromkeys(arguments.report) if name != "all"]
    if "all" in arguments.report:
        kinds = [kind for kind in Kind if kind is not Kind.HEAT_MAP or kind in kinds]
    if arguments.item is not None and Kind.HEAT_MAP not in kinds:
        raise UserError("Only a heat map is of one item: write --report heat-map, or leave --item out.")
    ranges = list(dict.fromkeys(arguments.range))
    endings = [
        ending
        for ending in ("csv", "xlsx", "pdf", "png")
        if getattr(arguments, ending) is not None and not (ending == "pdf" and arguments.together)
    ]
    jobs = []
    houses = _houses(database, arguments.house)
    is_one = len(houses) * len(kinds) * len(ranges) == 1
    for house, kind, text in product(houses, kinds, ranges):
        period = periods.parse(text, now_ms, house.time_zone)
        name = _plain(house.name) or str(house.house_id)
        parts = [] if is_one else [name, kind.value, *([_plain(text)] if len(ranges) > 1 else [])]
        files = {ending: _file(getattr(arguments, ending), ending, parts) for ending in endings}
        jobs.append(_Job(house, kind, period, _second(arguments.compare, period, now_ms), files))
    names = [file for job in jobs for file in job.files.values()]
    if len(set(names)) < len(names):
        raise export.CannotWrite("Two of the reports would get one file. Write them one by one.")
    return jobs


def _file(file: Path, ending: str, parts: Sequence[str]) -> Path:
    if not parts:
        return file
    return file.with_name(f"{'-'.join([file.stem, *parts])}{file.suffix or '.' + ending}")


def _plain(text: str) -> str:
    """As a part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def _houses(database: Database, names: list[str]) -> list[House]:
    with database.begin() as connection:
        if "all" in names:
            return store.houses.list_all(connection)
        return [store.houses.by_name(connection, name) for name in dict.fromkeys(names)]


def _second(text: str | None, period: Period, now_ms: int) -> Period | None:
    if text is None:
        return None
    if text == "previous":
        return period.moved(-1)
    if text == "year-before":
        return period.year_before()
    return periods.parse(text, now_ms, period.zone)


def _as_text(report: Report) -> str:
    return "\n".join([f"{report.house.name}: {report.title}, {report.period.title}", *_lines(report)])


def _lines(report: Report) -> Iterator[str]:
    for figure in report.figures:
        coverage = figure.why.coverage
        value = "-" if figure.value is None else f"{figure.value:,.3f} {figure.unit}".rstrip()
        beside = f"{100 * coverage:.1f} % covered" if coverage is not None else figure.why.note
        difference = report.difference(figure.key)
        change = "" if difference is None else f"  ({difference:+,.3f})"
        yield f"  {figure.title:28} {value:>18}  {beside}{change}"
    for name in report.missing:
        yield f"  Missing item: {name}"
    if report.marks:
        yield f"  {count_text(report.marks)} in this period"
        yield from (f"    {one.text}" for one in report.marks if one.kind is MarkKind.NOTE)
    if report.excluded_slots:
        yield f"  {report.excluded_slots * SLOT_MS / HOUR_MS:,.1f} h are excluded from means and sums"
    yield from (f"  {sentence}" for sentence in report.problems)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "report": report.kind.value,
        "house": report.house.name,
        "item": report.heat_map.item if report.heat_map is not None else None,
        "period": report.period.title,
        "zone": report.period.zone,
        "start_ms": report.period.start_ms,
        "end_ms": report.period.end_ms,
        "passed_ms": report.passed_ms,
        "figures": [
            {
                "key": figure.key,
                "title": figure.title,
                "value": figure.value,
                "unit": figure.unit,
                "at_ms": figure.at_ms,
                "coverage": figure.why.coverage,
                "source": figure.why.source.value if figure.why.source else None,
                "note": figure.why.note,
                "difference": report.difference(figure.key),
            }
            for figure in report.figures
        ],
        "excluded_slots": report.excluded_slots,
        "marks": [
            {
                "kind": one.kind.value,
                "text": one.text,
                "device": one.device,
                "from_ms": one.from_ms,
                "to_ms": one.to_ms,
                "severity": one.severity.value if one.severity else None,
                "excluded": one.excluded,
                "who": one.who,
            }
            for one in report.marks
        ],
        "missing": list(report.missing),
        "problems": list(report.problems),
    }
