"""Reports, exports and imports of houses' data."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sgmp_console.commands import FAILED, OK, Usage
from sgmp_console.commands.arguments import PERIODS, Parsers, add_command, add_database, add_json
from sgmp_console.commands.opening import as_owner, open_database

if TYPE_CHECKING:
    from sgmp_console.reports.archive import Month


def add(parsers: Parsers) -> None:
    _add_report(parsers)
    _add_export(parsers)
    _add_archive(parsers)
    _add_import(parsers)
    _add_commission(parsers)


def _add_report(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "report",
        report,
        "reports of houses as CSV, XLSX, PDF and PNG files",
        "Compute reports of houses over a period and write them to files; needs no display. With several "
        "houses, reports or ranges each file gets their names. Nothing is overwritten without --force.",
    )
    parser.add_argument(
        "--house", action="append", required=True, metavar="NAME", help="repeat for several; `all`"
    )
    parser.add_argument(
        "--report",
        action="append",
        required=True,
        choices=["energy", "solar", "battery", "ev", "load", "heat-map", "all"],
        help="repeat for several; `all` without heat map",
    )
    parser.add_argument(
        "--item",
        metavar="NAME",
        help="of a heat map: an analytic item, or a device field as in formulas (default: load, else what there is)",
    )
    parser.add_argument(
        "--range",
        action="append",
        required=True,
        metavar="PERIOD",
        help=f"by the clock of the house, repeat for several: {PERIODS}",
    )
    parser.add_argument("--compare", metavar="PERIOD", help="a second period; `previous` or `year-before`")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write CSV")
    parser.add_argument("--xlsx", type=Path, metavar="FILE", help="write a workbook")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="write a PDF (A4)")
    parser.add_argument("--together", action="store_true", help="one PDF of all reports")
    parser.add_argument("--png", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument(
        "--size", default="1280x800", metavar="WxH", help="of the picture, in pixels (default: 1280x800)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files")
    add_json(parser, "the figures as JSON on standard output")
    add_database(parser)


def report(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import command

    drawn = None
    if arguments.together and arguments.pdf is None:
        raise Usage("--together goes with --pdf")
    if arguments.pdf or arguments.png:
        arguments.extra = "console"  # what is missing if Qt can't be loaded
        from sgmp_console.ui import report_paper

        drawn = report_paper.headless(arguments.size)
    with open_database(arguments) as database:
        show = _progress(quiet=arguments.json)
        return command.run(database, arguments, time.time_ns() // 1_000_000, drawn, show)


def _add_export(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "export",
        export,
        "readings, items or events of a house as a CSV or Parquet file",
        "Write all readings, analytic items (means of five minutes) or events of a house in a period to a "
        "file, in order of time, with timestamps in UTC. Memory does not grow with the period. A file that was cut off "
        "goes on where it ended when the same command is repeated. `import` reads readings exported as CSV. The column "
        "`quality` of readings has what the nightly checks found in their five minutes, as the sum of bits (docs/quality.md); it is "
        "empty where they were not made yet. Parquet needs "
        "the extra `parquet`. The exit code is 1 if there was nothing in the period.",
    )
    parser.add_argument("what", choices=["readings", "items", "events"])
    parser.add_argument("--house", required=True, metavar="NAME")
    parser.add_argument(
        "--range", required=True, metavar="PERIOD", help=f"by the clock of the house: {PERIODS}"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="`-` for standard output")
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="of readings and events; repeat for several",
    )
    parser.add_argument(
        "--field", action="append", default=[], metavar="NAME", help="of readings; repeat for several"
    )
    parser.add_argument(
        "--item", action="append", default=[], metavar="NAME", help="of items; repeat for several"
    )
    parser.add_argument("--raw", action="store_true", help="items at each reading instead of means")
    parser.add_argument(
        "--format", choices=["csv", "parquet"], help="by the ending of the file, if not given"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite the file, and begin again one that was cut off"
    )
    add_json(parser, "what was written as JSON on standard output")
    add_database(parser)


def export(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import export_command

    to_standard_output = str(arguments.out) == "-"
    if to_standard_output and arguments.json:
        raise Usage("--json needs a file: standard output has the rows")
    if export_command.format_of(arguments) == "parquet":
        if to_standard_output:
            raise Usage("Parquet can't be written to standard output: give a file")
        arguments.extra = "parquet"  # what is missing if it can't be loaded
        import pyarrow  # noqa: F401

    with open_database(arguments) as database:
        show = _progress(quiet=arguments.json)
        return export_command.run(database, arguments, time.time_ns() // 1_000_000, show)


def _add_archive(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "archive",
        archive,
        "raw readings of months that are over as Parquet files",
        "Write the raw readings of each house and month that is over to FOLDER/house_ID/YYYY-MM.parquet, read each file back and "
        "compare it with the database, as the database's owner. Beside it a CSV has the number and sum of readings per device, "
        "field and day. What is there is left as it is unless readings came late; what was interrupted goes on. Nothing is "
        "dropped. The exit code is 1 if a month could not be written. Needs the extra `parquet`.",
        extra="parquet",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--house", action="append", default=[], metavar="NAME", help="of all, if not given; repeatable"
    )
    add_json(parser)
    add_database(parser)


def archive(arguments: argparse.Namespace) -> int:
    import pyarrow  # noqa: F401

    from sgmp_console import store
    from sgmp_console.reports import archive as archiving

    now_ms = time.time_ns() // 1_000_000
    months = []
    with as_owner("archives"), open_database(arguments) as database:
        with database.begin() as connection:
            chosen = [store.houses.by_name(connection, name) for name in arguments.house]
            every = store.houses.list_all(connection)
        for month in archiving.run(
            database, arguments.folder, chosen or every, now_ms, _progress(quiet=arguments.json)
        ):
            months.append(month)
            if not arguments.json:
                print(_month_line(month), flush=True)
    until_ms = None if chosen else archiving.archived_until(months, every, now_ms)
    if arguments.json:
        found = [
            {**vars(month), "file": str(month.file), "outcome": month.outcome.name.lower()}
            for month in months
        ]
        print(json.dumps({"months": found, "archived_until_ms": until_ms}, indent=2, ensure_ascii=False))
    elif until_ms is not None:
        until = datetime.fromtimestamp(until_ms / 1000, UTC)
        print(
            f"Raw readings before {until:%Y-%m-%d %H:%M} UTC may be dropped: the archive has them. Nothing was dropped."
        )
    return OK if all(month.is_archived for month in months) else FAILED


_REMEDY = {
    "INCOMPLETE": "; readings came late that are not in it, but others of this month were dropped since, so it is left as it is",
    "UNREADABLE": "; it can't be read, and is left as it is: move it away, then run this again",
}
"""By the name of the outcome."""


def _month_line(month: Month) -> str:
    line = f"{month.outcome.value:12} {month.house}, {month.name}: {month.readings:,} readings, {month.file}"
    if month.dropped_before_ms is not None:
        since = datetime.fromtimestamp(month.dropped_before_ms / 1000, UTC)
        line += f"; those before {since:%Y-%m-%d} UTC had been dropped. Keep raw readings longer (docs/deployment.md, Archive)"
    return f"{line}{_REMEDY.get(month.outcome.name, '')}"


def _add_import(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "import",
        import_readings,
        "store readings from a CSV file",
        "Store the readings of a CSV file with the columns timestamp,device,field,value, as the database's "
        "owner. Timestamps are UTC milliseconds or ISO 8601 with an offset. What is stored already is left as it is, so "
        "an import that was cut off can be repeated. Lines that can't be read are reported, and the exit code is 1 then; "
        "all others are stored.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--house", required=True, metavar="NAME", help="the house whose devices these are")
    parser.add_argument(
        "--dry-run", action="store_true", help="store nothing, only report what would be stored"
    )
    add_json(parser, "the report as JSON")
    add_database(parser)


def import_readings(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import imports

    with open_database(arguments) as database:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
        report = imports.import_file(
            database,
            house.house_id,
            arguments.file,
            dry_run=arguments.dry_run,
            progress=_progress(quiet=arguments.json),
        )
    print(json.dumps(report.as_json(), indent=2, ensure_ascii=False) if arguments.json else report.as_text())
    return FAILED if report.rejected else OK


def _progress(*, quiet: bool = False) -> Callable[[float], None]:
    """Shows the share that is done on standard error, where a person looks at it."""
    watched = sys.stderr.isatty() and not quiet

    def show(done: float) -> None:
        if watched:
            print(f"\r{done:4.0%}", end="" if done < 1 else "\n", file=sys.stderr, flush=True)

    return show


def _add_commission(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "commission",
        commission,
        "whether a house is wired and configured rightly",
        "Hold what a house recorded against physics: signs, scales and names of registers by the energy balance, the battery by its "
        "state of charge, voltages, clock and time zone by the sun. Reports what to correct. The exit code is 1 if something is wrong.",
    )
    parser.add_argument("house", metavar="HOUSE")
    parser.add_argument(
        "--range",
        default="7d",
        metavar="PERIOD",
        help=f"by the clock of the house (%(default)s): {PERIODS}",
    )
    add_json(parser)
    add_database(parser)


def commission(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.quality import commissioning
    from sgmp_console.reports import commission_data

    with open_database(arguments) as database:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
        verdicts = commission_data.check(
            database, house.house_id, arguments.range, time.time_ns() // 1_000_000
        )
    if arguments.json:
        print(json.dumps([vars(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        for verdict in verdicts:
            print(f"{verdict.outcome.value:8} {commissioning.TITLES[verdict.check]:22} {verdict.text}")
            if verdict.remedy:
                print(f"{'':31} {verdict.remedy}")
    return FAILED if any(verdict.outcome is commissioning.Outcome.WRONG for verdict in verdicts) else OK
