"""Back up a server, and make sure that the backup can be restored.

A backup is a copy of PostgreSQL's files (pg_basebackup), not a dump: it has all accounts with their passwords, TimescaleDB's
chunks as they are compressed, and needs no index to be built when it is restored. It takes programs of the server's major
version to make one and to start it. In its folder:

| file | what |
|---|---|
| `base.tar.gz`, `pg_wal.tar.gz`, `backup_manifest` | what pg_basebackup wrote |
| `counts.npz` | readings and hours per series and day, just before the copy and just after it |
| `server.tar.gz` | the server's folder: authority, passwords, configuration; not the broker's messages |
| `backup.json` | when, of what, by what; written last |
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg2.extensions
from filelock import FileLock, Timeout

from sgmp_console import store
from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_console.files import private_opener, write_atomic
from sgmp_console.server import postgres_programs as programs
from sgmp_console.store import tallies
from sgmp_console.unprivileged_user import unprivileged_user

_PREFIX = "sgmp-"
_UNFINISHED = ".unfinished"
_TABLES = ("reading", "hour")
_RECOVERY_S = 3600.0
"""A restored server may take so long to read the log that was written during its backup."""
_LOOK_S = 0.5
"""Between two looks at how far the copy is."""
_SPARE = 1.1
"""Times the size of the files: what a restored server writes beside them."""

Show = Callable[[str, float], None]
"""Hears what is being done, and which share of it is done."""


class BackupFailed(SgmpError):
    """The sentence says what to do."""


@dataclass(frozen=True)
class Record:
    """`backup.json`."""

    source: store.file_copies.Source
    deployment: str
    revision: str
    """Of our tables."""
    started_ms: int
    ended_ms: int
    bytes: int
    """Of the files, unpacked."""
    rows_before: dict[str, int]
    rows_after: dict[str, int]
    """Of the other tables."""
    format: int = 1


@dataclass(frozen=True)
class Verified:
    """What a restored copy has, and what it should have and has not."""

    record: Record
    readings: int
    hours: int
    series: int
    days: int
    rows: int
    differences: tuple[str, ...]


# --- Make --------------------------------------------------------------------------------------------------------------


def make(
    url: str,
    destination: Path,
    *,
    server: Path | None = None,
    keep: int | None = None,
    folder: Path | None = None,
    show: Show = lambda _what, _share: None,
) -> Path:
    """A new backup in a folder of its own below `destination`; returns that folder.

    `url`: the database owner's address. `server`: the folder of `server init`. `keep`: how many backups are kept there, this
    one included. `folder`: of PostgreSQL's programs, where they are not in one of the usual places.
    Raises SgmpError; nothing that looks like a backup is left then.
    """
    try:
        destination.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(destination / "lock", blocking=False):
            for left in destination.glob(f"{_PREFIX}*{_UNFINISHED}"):
                shutil.rmtree(left)
            made = _make(url, destination, server, folder, show)
            for old in backups(destination)[:-keep] if keep else []:
                shutil.rmtree(old)
            return made
    except Timeout:
        raise UserError(f"Another backup into {destination} is running. Wait for it to end.") from None
    except OSError as error:
        raise BackupFailed(
            f"{error.filename or destination} can't be written: {error.strerror}. Choose another folder, or free some space."
        ) from error


def backups(destination: Path) -> list[Path]:
    """All that are complete, the newest last."""
    return sorted(file.parent for file in destination.glob(f"{_PREFIX}*/backup.json"))


def _make(url: str, destination: Path, server: Path | None, folder: Path | None, show: Show) -> Path:
    started = datetime.now(UTC)
    database = store.Database.connect(url, application="sgmp-backup")
    try:
        with database.begin() as connection:
            state = store.migrations.state(connection)
            if state is None:
                raise UserError(
                    f"The database {database.address} has no tables of SGMP: there is nothing to back up."
                )
            source = store.file_copies.source(connection)
        chosen = programs.find(source.major, folder)
        stamp = started.isoformat(timespec="milliseconds").replace(":", "").replace("+0000", "Z")
        work = destination / f"{_PREFIX}{stamp}{_UNFINISHED}"
        work.mkdir(mode=0o700)
        try:
            before = _count(database, lambda share: show("counting", share))
            _copy(database, chosen, work, show)
            after = _count(database, lambda share: show("counting again", share))
            _save_counts(work, before[0], after[0])
            if server is not None:
                _pack(server, work / "server.tar.gz")
            record = Record(
                source,
                state.deployment,
                state.revision,
                started_ms=round(started.timestamp() * 1000),
                ended_ms=time.time_ns() // 1_000_000,
                bytes=_size(work),
                rows_before=before[1],
                rows_after=after[1],
            )
            for file in work.iterdir():
                file.chmod(0o600)
            write_atomic(work / "backup.json", json.dumps(asdict(record), indent=1).encode())
            return work.rename(work.with_name(work.name.removesuffix(_UNFINISHED)))
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    finally:
        database.dispose()


def _count(
    database: store.Database, progress: Callable[[float], None] | None = None
) -> tuple[list[tallies.Tally], dict[str, int]]:
    """Of readings and hours, and the rows of the other tables."""
    counted = [tallies.count(database, table, progress) for table in _TABLES]
    with database.begin() as connection:
        return counted, tallies.rows_of_tables(connection)


def _copy(database: store.Database, chosen: Path, work: Path, show: Show) -> None:
    parameters = {key: value for key, value in database.parameters.items() if value and key != "dbname"}
    password = parameters.pop("password", "")
    process = programs.started(
        chosen,
        "pg_basebackup",
        *("--dbname", psycopg2.extensions.make_dsn(**parameters), "--no-password", "--pgdata", str(work)),
        *("--format=tar", "--gzip", "--compress=1", "--wal-method=stream", "--checkpoint=fast"),
        password=password,
    )
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, printed = process.communicate(timeout=_LOOK_S)
                break
            with contextlib.suppress(Unavailable):
                with database.begin() as connection:
                    share = store.file_copies.share_copied(connection)
                show("copying", share)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    programs.require_success("pg_basebackup", process.returncode, printed)
    show("copying", 1.0)


def _pack(server: Path, file: Path) -> None:
    """Its secrets included, readable by its owner only."""
    with open(file, "xb", opener=private_opener) as opened:
        _tar(
            "--create",
            "--gzip",
            "--exclude=./broker/data",
            "--exclude=./lock",
            f"--directory={server}",
            ".",
            out=opened,
        )


def _tar(*arguments: str, out: Any = subprocess.DEVNULL) -> None:
    done = subprocess.run(["tar", *arguments], stdout=out, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BackupFailed(f"tar failed: {lines[-1] if lines else done.returncode}")


def _size(backup: Path) -> int:
    """Of the database's files, unpacked."""
    manifest = json.loads((backup / "backup_manifest").read_bytes())
    return sum(int(file["Size"]) for file in manifest["Files"])


# --- Restore -----------------------------------------------------------------------------------------------------------


def load(backup: Path) -> Record:
    """Raises UserError for what is not a backup, or one of a newer version."""
    try:
        stored = json.loads((backup / "backup.json").read_bytes())
        if stored.get("format") == 1:
            return Record(**{**stored, "source": store.file_copies.Source(**stored["source"])})
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{backup} is not a backup: it has no backup.json that can be read.") from error
    raise UserError(f"{backup} was made by another version of SGMP. Update SGMP, then try again.")


def restore(
    backup: Path, data: Path, *, server: Path | None = None, owner: tuple[int, int] | None = None
) -> Record:
    """Unpack the database's files into `data`, which is empty or not there, for a PostgreSQL of the same major version; and the
    server's folder into `server`. `owner`: user and group that run PostgreSQL, where we are root. Raises SgmpError."""
    record = load(backup)
    archive = backup / "server.tar.gz"
    for target in (data, *([] if server is None else [server])):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f"{target} is not empty. Move it away first, or choose another folder.")
    if server is not None and not archive.is_file():
        raise UserError(f"{backup} holds no folder of a server.")
    try:
        _unpack(backup, record, data, owner)
        if server is not None:
            server.mkdir(parents=True, exist_ok=True)
            _tar("--extract", "--same-permissions", f"--file={archive}", f"--directory={server}")
    except OSError as error:
        raise BackupFailed(f"{error.filename or data} can't be written: {error.strerror}.") from error
    return record


def _unpack(backup: Path, record: Record, data: Path, owner: tuple[int, int] | None) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    data.chmod(0o700)  # PostgreSQL refuses others
    free = shutil.disk_usage(data).free
    if free < record.bytes * _SPARE:
        raise UserError(
            f"{data} needs {record.bytes * _SPARE / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. Choose a folder on a larger "
            "disk."
        )
    for name, place in (("base", data), ("pg_wal", data / "pg_wal")):
        _tar("--extract", f"--file={backup / name}.tar.gz", f"--directory={place}")
    shutil.copyfile(backup / "backup_manifest", data / "backup_manifest")
    if owner is not None and sys.platform != "win32":
        for path in (data, *data.rglob("*")):
            os.chown(path, *owner, follow_symlinks=False)


# --- Verify ------------------------------------------------------------------------------------------------------------


def verify(
    backup: Path,
    *,
    scratch: Path | None = None,
    folder: Path | None = None,
    show: Show = lambda _what, _share: None,
) -> Verified:
    """Restore a backup into a server of its own, which only we reach, and compare what it holds with what was counted.

    `scratch`: where, on a disk with room for all of it; it is empty again afterwards. `folder`: of PostgreSQL's programs.
    Raises SgmpError where it can't be restored at all.
    """
    record = load(backup)
    chosen = programs.find(record.source.major, folder)
    owner = unprivileged_user()
    try:
        expected = _load_counts(backup)
        _tar("--list", f"--file={backup / 'server.tar.gz'}") if (backup / "server.tar.gz").is_file() else None
        with _scratch(scratch) as place:
            data = place / "data"
            show("unpacking", 0.0)
            _unpack(backup, record, data, owner)
            show("checking files", 0.0)
            programs.run(chosen, "pg_verifybackup", "--quiet", str(data))
            (data / "backup_manifest").unlink()
            with _running(chosen, record, place, owner) as database:
                counted, rows = _count(database, lambda share: show("counting", share))
    except OSError as error:
        raise BackupFailed(
            f"{error.filename or backup} can't be read or written: {error.strerror}."
        ) from error
    found: list[str] = []
    for name, one in zip(_TABLES, counted, strict=True):
        found += [_sentence(name, one) for one in tallies.differences(*expected[name], one)]
    for name in sorted({*record.rows_before, *rows}):
        low, high = sorted((record.rows_before.get(name, 0), record.rows_after.get(name, 0)))
        if not low <= rows.get(name, 0) <= high:
            found.append(f"table {name}: {rows.get(name, 0)} rows, {_numbers(low, high)} expected")
    readings, hours = counted
    return Verified(
        record,
        readings.total,
        hours.total,
        len(np.unique(readings.series)),
        len(np.unique(readings.days)),
        sum(rows.values()),
        tuple(found),
    )


def _save_counts(backup: Path, *moments: Sequence[tallies.Tally]) -> None:
    arrays = {
        f"{table}_{moment}_{number}": column
        for moment, counted in enumerate(moments)
        for table, one in zip(_TABLES, counted, strict=True)
        for number, column in enumerate(one.columns)
    }
    np.savez_compressed(backup / "counts.npz", **arrays)  # type: ignore[arg-type]  # takes them for an option


def _load_counts(backup: Path) -> dict[str, tuple[tallies.Tally, tallies.Tally]]:
    """Before and after the copy, of each table."""
    try:
        with open(backup / "counts.npz", "rb") as file, np.load(file) as stored:

            def one(table: str, moment: int) -> tallies.Tally:
                return tallies.Tally(*(stored[f"{table}_{moment}_{number}"] for number in range(5)))

            return {table: (one(table, 0), one(table, 1)) for table in _TABLES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BackupFailed(f"{backup / 'counts.npz'} can't be read: the backup is damaged.") from error


def _sentence(table: str, difference: tallies.Difference) -> str:
    where = f"{table}s of series {difference.series_id} on {difference.day}"
    if difference.sums_differ:
        return f"{where}: another sum"
    return f"{where}: {difference.found}, {_numbers(*difference.expected)} expected"


def _numbers(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


@contextlib.contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    """On the disk, and where an ordinary user gets through to what is its own."""
    if folder is None and Path("/var/tmp").is_dir():  # noqa: S108 - /tmp is often in memory
        folder = Path("/var/tmp")  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="sgmp-verify-", dir=folder) as place:
        Path(place).chmod(0o711)
        yield Path(place)


@contextlib.contextmanager
def _running(
    chosen: Path, record: Record, place: Path, owner: tuple[int, int] | None
) -> Iterator[store.Database]:
    """A server on these files that listens on a socket in a folder which only its user and root can enter."""
    # A socket's path is short: where the data are may not be.
    with tempfile.TemporaryDirectory(prefix="sgmp-verify-") as sockets:
        if owner is not None and sys.platform != "win32":
            os.chown(sockets, *owner)
        settings = place / "postgresql.conf"
        access = place / "pg_hba.conf"
        access.write_text("local all all trust\n", "utf-8")
        settings.write_text(
            "".join(f"{name} = '{value}'\n" for name, value in _settings(record, sockets, access)), "utf-8"
        )
        for file in (settings, access):
            file.chmod(0o644)
        log = place / "log"
        with open(log, "wb") as written:
            process = subprocess.Popen(
                [str(chosen / "postgres"), "-D", str(place / "data"), "-c", f"config_file={settings}"],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=programs.environment(),
                user=owner[0] if owner else None,
                group=owner[1] if owner else None,
                extra_groups=[] if owner else None,
                cwd="/",
            )
        try:
            database = _connected(process, record, sockets, log)
            try:
                yield database
            finally:
                database.dispose()
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _settings(record: Record, sockets: str, access: Path) -> Sequence[tuple[str, object]]:
    return [
        ("listen_addresses", ""),
        ("unix_socket_directories", sockets),
        ("hba_file", access),
        ("ident_file", access.with_name("pg_ident.conf")),
        ("timezone", "UTC"),
        # Nothing changes what is to be counted, and nothing of it outlives us.
        ("default_transaction_read_only", "on"),
        ("autovacuum", "off"),
        ("fsync", "off"),
        *(
            [
                ("shared_preload_libraries", "timescaledb"),
                ("timescaledb.max_background_workers", 0),  # no job of retention or refresh
                ("timescaledb.telemetry_level", "off"),
            ]
            if record.source.timescale
            else []
        ),
    ]


def _connected(process: subprocess.Popen[bytes], record: Record, sockets: str, log: Path) -> store.Database:
    url = f"postgresql://{quote(record.source.owner, safe='')}@/{quote(record.source.database, safe='')}?host={quote(sockets, safe='')}"
    deadline = time.monotonic() + _RECOVERY_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(store.DatabaseUnavailable):
            return store.Database.connect(url, application="sgmp-verify")
        time.sleep(0.1)
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    reasons = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
    remedy = (
        f" It needs TimescaleDB {record.source.timescale}: name with --programs the folder of programs that have it."
        if record.source.timescale
        else ""
    )
    raise BackupFailed(
        f"A server does not start on the restored files: {reasons[-1] if reasons else 'it ended at once'}.{remedy}"
    )
