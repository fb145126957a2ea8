"""Notes on times of a house."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from sgmp_console.commands import OK
from sgmp_console.commands.arguments import (
    PERIODS,
    Parsers,
    add_command,
    add_database,
    add_group,
    add_json,
    integer,
)
from sgmp_console.commands.opening import open_database

if TYPE_CHECKING:
    from sgmp_console.store.notes import Note


def add(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "notes",
        "notes on times of a house, also such as count in no mean",
        "List, add and remove notes on times of a house. A note can exclude its time: its five-minute slots then count "
        "in no mean and no sum. Removing it restores every number.",
    )
    parser = add_command(acts, "list", _list, "those of a period")
    _add_place(parser)
    add_json(parser)
    add_database(parser)
    parser = add_command(acts, "add", _add, "add one; prints its number")
    _add_place(parser)
    parser.add_argument(
        "--kind",
        choices=["outage", "maintenance", "experiment", "other"],
        default="other",
        help="(%(default)s)",
    )
    parser.add_argument("--text", default="", metavar="TEXT", help="what others should know")
    parser.add_argument("--exclude", action="store_true", help="from means and sums")
    add_database(parser)
    parser = add_command(acts, "remove", _remove, "remove one")
    parser.add_argument("number", type=integer(1, 2**31 - 1), metavar="NUMBER")
    add_database(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--house", required=True, metavar="NAME")
    parser.add_argument(
        "--range", required=True, metavar="PERIOD", help=f"by the clock of the house: {PERIODS}"
    )


def _list(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import periods
    from sgmp_console.store import houses, notes

    with open_database(arguments) as database, database.begin() as connection:
        house = houses.by_name(connection, arguments.house)
        period = periods.parse(arguments.range, time.time_ns() // 1_000_000, house.time_zone)
        found = notes.read(connection, house.house_id, period.start_ms, period.end_ms)
    if arguments.json:
        print(json.dumps([_as_json(note) for note in found], indent=2, ensure_ascii=False))
        return OK
    for note in found:
        first, last = (periods.written(at, house.time_zone) for at in (note.from_ms, note.to_ms))
        excluded = "excluded" if note.excluded else "counts"
        print(f"{note.note_id}\t{first}\t{last}\t{note.kind.value}\t{excluded}\t{note.who}\t{note.text}")
    return OK


def _as_json(note: Note) -> dict[str, object]:
    return {
        "number": note.note_id,
        "kind": note.kind.value,
        "from_ms": note.from_ms,
        "to_ms": note.to_ms,
        "text": note.text,
        "excluded": note.excluded,
        "who": note.who,
        "at_ms": note.at_ms,
    }


def _add(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import periods
    from sgmp_console.store import houses, notes
    from sgmp_console.store.notes import NoteKind

    with open_database(arguments) as database, database.begin() as connection:
        house = houses.by_name(connection, arguments.house)
        period = periods.parse(arguments.range, time.time_ns() // 1_000_000, house.time_zone)
        note_id = notes.add(
            connection,
            house.house_id,
            NoteKind(arguments.kind),
            period.start_ms,
            period.end_ms,
            arguments.text,
            excluded=arguments.exclude,
        )
    print(note_id)
    return OK


def _remove(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import notes

    with open_database(arguments) as database, database.begin() as connection:
        notes.delete(connection, arguments.number)
    print("It is removed.")
    return OK
