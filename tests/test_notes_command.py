"""`sgmp-console notes`, as one types it."""

from __future__ import annotations

import json

import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.store import Database
from tests.database import TestDatabase


def test_notes_are_added_listed_and_removed(
    database: Database,
    test_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    with database.begin() as connection:
        store.houses.create(connection, "North", time_zone="Europe/Berlin")

    def run(*words: str) -> tuple[int, str]:
        code = cli.main(["notes", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    place = ("--house", "North", "--range")
    add = ("add", *place, "2025-10-26T02:30+02:00..2025-10-26T03:00", "--kind", "outage")
    code, number = run(*add, "--text", "Fuse", "--exclude")
    assert code == commands.OK
    _, listed = run("list", *place, "2025-10")
    first = "2025-10-26 02:30+02:00"  # the hour comes twice
    assert listed.split("\t")[1:5] == [first, "2025-10-26 03:00", "outage", "excluded"]
    (note,) = json.loads(run("list", *place, "2025-10-26", "--json")[1])
    assert (note["text"], note["to_ms"] - note["from_ms"]) == ("Fuse", 90 * 60_000)
    assert run("list", *place, "2025-11")[1] == ""
    assert run("remove", number.strip())[0] == commands.OK
    code, said = run("remove", number.strip())
    assert (code, said.strip()) == (commands.FAILED, "There is no such note. It may have been deleted.")
