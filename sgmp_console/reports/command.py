"""`sgmp-console report`: reports of houses as files, without a display."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.reports import export, periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import Database, House

_DONE, _NOTHING_THERE = 0, 1


Writer = Callable[[Report], bytes]
"""The content of a file with a report."""


def run(
    database: Database, arguments: argparse.Namespace, now_ms: int, drawn: Mapping[str, Writer] | None = None
) -> int:
    """Write what was asked for. Returns 1 if no report had any data, which a cron job wants to know.

    `drawn`: by ending, how to write the files that need Qt.
    """
    writers: dict[str, Writer] = {
        "csv": export.csv_bytes,
        "xlsx": lambda report: export.xlsx_bytes([report]),
        **(drawn or {}),
    }
    kinds = [Kind(one) for one in dict.fromkeys(arguments.report) if one != "all"]
    if "all" in arguments.report:
        kinds = [kind for kind in Kind if kind is not Kind.HEAT_MAP or kind in kinds]
    if arguments.item is not None and Kind.HEAT_MAP not in kinds:
        raise UserError("Only a heat map is of one item: write --report heat-map, or leave --item out.")
    houses = _houses(database, arguments.house)
    wanted = [(house, kind) for house in houses for kind in kinds]
    files = _files(arguments, wanted)
    if not arguments.force:
        for file in files.values():
            if file.exists():
                raise export.CannotWrite(f"{file} exists. Give another name, or --force to overwrite it.")
    shown: list[dict[str, Any]] = []
    any_data = False
    for house, kind in wanted:
        period = periods.parse(arguments.range, now_ms, house.time_zone)
        second = _second(arguments.compare, period, now_ms)
        with database.begin() as connection:
            if files:
                store.permissions.require(connection, "export")
            made = build(connection, house, kind, period, now_ms, second, item=arguments.item)
        any_data = any_data or made.has_data
        for ending, content in writers.items():
            if (house, kind, ending) in files:
                export.write_file(files[house, kind, ending], content(made))
        shown.append(_as_json(made))
        if not arguments.json:
            print(_as_text(made))
    if arguments.json:
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    for file in files.values():
        print(f"Written: {file}", file=sys.stderr)
    return _DONE if any_data else _NOTHING_THERE


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


def _files(
    arguments: argparse.Namespace, wanted: list[tuple[House, Kind]]
) -> dict[tuple[House, Kind, str], Path]:
    """The file of each report and ending. Several reports get the names of house and report before the ending."""
    found = {}
    for ending in ("csv", "xlsx", "pdf", "png"):
        file: Path | None = getattr(arguments, ending)
        if file is None:
            continue
        for house, kind in wanted:
            name = file
            if len(wanted) > 1:
                slug = re.sub(r"[^\w-]+", "-", house.name).strip("-") or str(house.house_id)
                name = file.with_name(f"{file.stem}-{slug}-{kind.value}{file.suffix or '.' + ending}")
            found[house, kind, ending] = name
    if len(set(found.values())) < len(found):
        raise export.CannotWrite("Two of the houses would get one file. Report them one by one.")
    return found


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
        "missing": list(report.missing),
        "problems": list(report.problems),
    }
