"""A backup is restored into a server of its own, and holds what the database held."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from filelock import FileLock

from sgmp_console import cli, commands
from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import UserError
from sgmp_console.server import backup as backing_up
from sgmp_console.server import postgres_programs
from sgmp_console.store import Database, migrate, tallies
from sgmp_console.unprivileged_user import unprivileged_user
from tests.database import SERVER_VARIABLE, TestDatabase, TestServer
from tests.store.conftest import Place, make_place

DAY_MS = 86_400_000
NEW_YEAR_MS = 1_767_225_600_000
"""2026-01-01 UTC."""


@dataclass(frozen=True)
class Kept:
    """A house with readings on three days, its database, and a backup of it."""

    place: Place
    database: TestDatabase
    server: Path
    backups: Path
    programs: str
    """The folder of those of the server that is tested, with its extensions; empty: in one of the usual places."""

    @property
    def newest(self) -> Path:
        return backing_up.backups(self.backups)[-1]

    def backup(self, *more: str) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(DATABASE_URL, self.database.url)
            return self.run("backup", str(self.server), "--to", str(self.backups), *more)

    def run(self, command: str, *arguments: str) -> int:
        programs = ("--programs", self.programs) if self.programs and command != "restore-backup" else ()
        return cli.main(["server", command, *arguments, *programs])


@pytest.fixture(scope="module")
def copied_server(database_server: TestServer) -> Iterator[TestServer]:
    """One whose files may be copied: the embedded one is made without."""
    if os.environ.get(SERVER_VARIABLE):
        yield database_server
        return
    folder = Path(tempfile.mkdtemp(prefix="sgmp-copied-"))
    postgres = EmbeddedPostgres(
        folder, settings={"wal_level": "replica", "max_wal_senders": "4", "fsync": "off"}
    )
    try:
        yield TestServer(postgres.start())
    finally:
        postgres.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def kept(copied_server: TestServer) -> Iterator[Kept]:
    with copied_server.database() as where, tempfile.TemporaryDirectory(prefix="sgmp-backups-") as folder:
        Path(folder).chmod(0o711)
        place = make_place(where.owner)
        place.write(
            {
                NEW_YEAR_MS + day * DAY_MS + at * 1000: {"A.Solar": at / 7, "ts": 1.0}
                for day in range(3)
                for at in range(50)
            }
        )
        server = Path(folder, "sgmp")
        (server / "broker" / "data").mkdir(parents=True)
        (server / "broker" / "data" / "mosquitto.db").write_text("messages")
        (server / "server.json").write_text(json.dumps({"host": "localhost"}))
        (server / "key").write_text("a key")
        (server / "key").chmod(0o600)
        stored = Kept(place, where, server, Path(folder, "backups"), programs_of(copied_server))
        assert stored.backup() == commands.OK
        yield stored


def programs_of(server: TestServer) -> str:
    if not os.environ.get(SERVER_VARIABLE):
        return ""
    with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        (folder,) = cursor.fetchone() or ("",)
    if not Path(folder, "pg_basebackup").is_file():
        pytest.skip(f"The programs of the server under test are not on this machine: {folder}")
    return str(folder)


def test_a_backup_holds_what_was_stored_and_says_how_much(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kept.run("verify-backup", str(kept.backups), "--json") == commands.OK
    found = json.loads(capsys.readouterr().out)
    stored = tallies.count(kept.place.database)
    assert found["readings"] == stored.total >= 300
    assert found["days"] == len(set(stored.days.tolist()))
    assert found["differences"] == []
    assert kept.newest.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in kept.newest.iterdir())


def test_a_backup_without_what_it_should_hold_is_reported(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older"
    shutil.copytree(kept.newest, older)
    kept.place.write({NEW_YEAR_MS + 5 * DAY_MS: {"A.Solar": 1.0}})
    assert kept.backup("--keep", "1") == commands.OK
    assert len(backing_up.backups(kept.backups)) == 1
    for file in ("counts.npz", "backup.json"):
        shutil.copy(kept.newest / file, older / file)
    capsys.readouterr()
    assert kept.run("verify-backup", str(older)) == commands.FAILED
    printed = capsys.readouterr().out
    assert "readings of series 1 on 2026-01-06: 0, 1 expected" in printed
    assert "table unchecked: 3 rows, 4 expected" in printed


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("base.tar.gz", "tar failed"), ("counts.npz", "is damaged"), ("backup.json", "is not a backup")],
)
def test_a_damaged_backup_is_reported(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, sentence: str
) -> None:
    shutil.copytree(kept.newest, tmp_path / "damaged")
    with open(tmp_path / "damaged" / file, "r+b") as opened:
        opened.truncate(opened.seek(0, os.SEEK_END) // 2)
    assert kept.run("verify-backup", str(tmp_path / "damaged")) == commands.FAILED
    assert sentence in capsys.readouterr().err


def test_a_restored_server_has_accounts_readings_and_the_folder_of_the_server(kept: Kept) -> None:
    with tempfile.TemporaryDirectory(prefix="sgmp-restored-") as place:
        Path(place).chmod(0o711)
        data, server = Path(place, "data"), Path(place, "etc", "sgmp")
        user = "nobody" if unprivileged_user() else ""
        assert (
            kept.run(
                "restore-backup",
                str(kept.newest),
                "--data",
                str(data),
                "--server",
                str(server),
                "--database-user",
                user,
            )
            == commands.OK
        )
        assert (server / "key").read_text() == "a key"
        assert (server / "key").stat().st_mode & 0o777 == 0o600
        assert not (server / "broker" / "data").exists()
        assert (data / "PG_VERSION").read_text().strip() == str(backing_up.load(kept.newest).source.major)
        if os.environ.get(SERVER_VARIABLE):
            return
        Path(place, "owner_password").write_text(psycopg2.extensions.parse_dsn(kept.database.url)["password"])
        postgres = EmbeddedPostgres(Path(place))
        try:
            url = postgres.start().rpartition("/")[0] + f"/{kept.database.name}"
            restored = Database.connect(url, application="test")
            try:
                found = Place(restored, kept.place.house, kept.place.meter).read(
                    "A.Solar", NEW_YEAR_MS, NEW_YEAR_MS + 3 * DAY_MS
                )
            finally:
                restored.dispose()
        finally:
            postgres.stop()
        assert found == kept.place.read("A.Solar", NEW_YEAR_MS, NEW_YEAR_MS + 3 * DAY_MS)


def test_a_folder_with_something_in_it_is_not_restored_into(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "PG_VERSION").write_text("15")
    user = "nobody" if unprivileged_user() else ""
    refused = kept.run("restore-backup", str(kept.newest), "--data", str(tmp_path), "--database-user", user)
    assert refused == commands.FAILED
    assert "is not empty" in capsys.readouterr().err


def test_an_owner_who_may_not_copy_is_refused_and_nothing_is_left(
    kept: Kept, copied_server: TestServer, tmp_path: Path
) -> None:
    with copied_server.managed_database() as managed:
        migrate(managed.url, managed.deployment)
        with pytest.raises(UserError, match=r"ALTER ROLE \w+ REPLICATION"):
            backing_up.make(managed.url, tmp_path / "backups")
    assert backing_up.backups(tmp_path / "backups") == []


def test_what_an_interrupted_backup_left_is_removed_and_never_taken_for_one(kept: Kept) -> None:
    left = kept.backups / "sgmp-20990101T000000Z.unfinished"
    left.mkdir()
    (left / "base.tar.gz").write_bytes(b"half")
    assert kept.backup() == commands.OK
    assert not left.exists()


def test_two_backups_into_one_folder_take_turns(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(kept.backups / "lock"):
        assert kept.backup() == commands.FAILED
    assert "Another backup" in capsys.readouterr().err


def test_programs_of_another_version_are_refused() -> None:
    with pytest.raises(UserError, match="The programs of PostgreSQL 9 "):
        postgres_programs.find(9)
