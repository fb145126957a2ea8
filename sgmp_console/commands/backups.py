"""Back up the server of a deployment of one's own, verify the backup, restore it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from sgmp_console.commands import FAILED, OK
from sgmp_console.commands.arguments import Parsers, add_command, add_json, integer
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import UserError

_SHOWN_DIFFERENCES = 20


def add(acts: Parsers) -> None:
    """To the commands of `server`."""
    _add_backup(acts)
    _add_verify(acts)
    _add_restore(acts)


def _add_backup(acts: Parsers) -> None:
    parser = add_command(
        acts,
        "backup",
        backup,
        "back up the database and the server's folder",
        "Copy the database's files with PostgreSQL's pg_basebackup while everything runs, count what they should hold, and "
        "pack the server's folder. The result is a folder of its own, which holds secrets. The database's owner needs the "
        f"right REPLICATION; its address is the server's, or in {DATABASE_URL}.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of `server init`")
    parser.add_argument("--to", type=Path, required=True, metavar="BACKUPS", help="where all backups are")
    parser.add_argument(
        "--keep",
        type=integer(1, 10_000),
        metavar="N",
        help="delete older backups there, all but the newest N",
    )
    _add_programs(parser)
    add_json(parser)


def _add_verify(acts: Parsers) -> None:
    parser = add_command(
        acts,
        "verify-backup",
        verify,
        "restore a backup into a server of its own and compare",
        "Check the files of a backup, start a PostgreSQL on a copy of them that nobody else reaches, and compare readings and "
        "hours per series and day, and the rows of all other tables, with what was counted when it was made. The exit code is 1 "
        "if anything differs. Needs free space for the whole database.",
    )
    parser.add_argument(
        "backup", type=Path, metavar="BACKUP", help="a backup, or the folder of several: the newest"
    )
    parser.add_argument(
        "--scratch", type=Path, metavar="FOLDER", help="where it is restored meanwhile (/var/tmp)"
    )
    _add_programs(parser)
    add_json(parser)


def _add_restore(acts: Parsers) -> None:
    parser = add_command(
        acts,
        "restore-backup",
        restore,
        "unpack a backup for a server to run on",
        "Unpack the database's files into a folder that is empty or not there, for PostgreSQL of the same major version. The "
        "server that runs now is not touched. docs/deployment.md has all steps.",
    )
    parser.add_argument(
        "backup", type=Path, metavar="BACKUP", help="a backup, or the folder of several: the newest"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="PostgreSQL's data folder")
    parser.add_argument(
        "--server", type=Path, metavar="FOLDER", help="also unpack the server's folder, for example /etc/sgmp"
    )
    parser.add_argument(
        "--database-user", default="postgres", metavar="USER", help="who runs PostgreSQL (%(default)s)"
    )


def _add_programs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--programs",
        type=Path,
        metavar="FOLDER",
        help="PostgreSQL's programs, where they are in an unusual place",
    )


def backup(arguments: argparse.Namespace) -> int:
    from sgmp_console.server import backup as backing_up
    from sgmp_console.server import init

    _end_in_order()
    init.load(arguments.folder)
    url = os.environ.get(DATABASE_URL) or init.owner_url(arguments.folder)
    if not url:
        raise UserError("This server has no database yet. Run `sgmp-console server init` to its end first.")
    began = time.monotonic()
    made = backing_up.make(
        url,
        arguments.to,
        server=arguments.folder,
        keep=arguments.keep,
        folder=arguments.programs,
        show=_progress(quiet=arguments.json),
    )
    size = sum(file.stat().st_size for file in made.iterdir())
    if arguments.json:
        print(json.dumps({"backup": str(made), "bytes": size}, indent=2))
    else:
        print(f"Backed up: {made}, {_megabytes(size)} MB, {time.monotonic() - began:.0f} s")
    return OK


def verify(arguments: argparse.Namespace) -> int:
    from sgmp_console.server import backup as backing_up

    _end_in_order()
    began = time.monotonic()
    chosen = _newest(arguments.backup)
    found = backing_up.verify(
        chosen,
        scratch=arguments.scratch,
        folder=arguments.programs,
        show=_progress(quiet=arguments.json),
    )
    if arguments.json:
        print(json.dumps({"backup": str(chosen), **asdict(found)}, indent=2))
    else:
        for sentence in found.differences[:_SHOWN_DIFFERENCES]:
            print(sentence)
        if len(found.differences) > _SHOWN_DIFFERENCES:
            print(f"and {len(found.differences) - _SHOWN_DIFFERENCES} more")
        print(
            f"{chosen}: {found.readings:,} readings of {found.series} series on {found.days} days, hours of {found.hours:,} "
            f"readings, {found.rows:,} other rows; differences: {len(found.differences)}; {time.monotonic() - began:.0f} s"
        )
    return FAILED if found.differences else OK


def restore(arguments: argparse.Namespace) -> int:
    from sgmp_console.server import backup as backing_up
    from sgmp_console.server.init import user_ids

    _end_in_order()
    owner = user_ids(
        arguments.database_user,
        f"There is no user {arguments.database_user} to run PostgreSQL. Install PostgreSQL first, or name another with "
        "--database-user.",
    )
    record = backing_up.restore(
        _newest(arguments.backup), arguments.data, server=arguments.server, owner=owner
    )
    print(
        f"Restored into {arguments.data}. Start PostgreSQL {record.source.major} on it with the server's own configuration."
    )
    return OK


def _newest(folder: Path) -> Path:
    """The backup itself, or the newest in a folder of several. Raises UserError."""
    from sgmp_console.server import backup as backing_up

    if (folder / "backup.json").is_file():
        return folder
    several = backing_up.backups(folder)
    if not several:
        raise UserError(f"{folder} holds no backup. Make one with `sgmp-console server backup`.")
    return several[-1]


def _progress(*, quiet: bool) -> Callable[[str, float], None]:
    """Shows on standard error what is being done: as it goes on where a person looks, else a line for each step."""
    watched = sys.stderr.isatty()
    shown = ""

    def show(what: str, share: float) -> None:
        nonlocal shown
        if quiet:
            return
        if watched:
            print(f"\r{what:16}{share:4.0%}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)
        elif what != shown:
            print(what, file=sys.stderr, flush=True)
        shown = what

    return show


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _end_in_order() -> None:
    """When systemd stops us, what is unfinished is removed, and the server that was started ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
