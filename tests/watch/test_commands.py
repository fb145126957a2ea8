"""`sgmp-console notify`, `maintenance` and `admin watch`, as one types them."""

from __future__ import annotations

import json

import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import UserError
from sgmp_console.store import Database, findings, watching
from sgmp_console.store.findings import Once, Recurring
from sgmp_console.watch.recipients import parse_window, window_text
from tests.database import TestDatabase


@pytest.fixture(autouse=True)
def owner(test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    return test_database


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(list(words))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_watch_gets_a_password_of_its_own(
    owner: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, "admin", "watch", "--json")
    about = json.loads(said)
    assert (code, about["user"]) == (commands.OK, store.watch_role(owner.deployment))
    watch = Database.connect(owner.address, user=about["user"], password=about["password"])
    try:
        with watch.begin() as connection:
            assert watching.take_turn(connection, "one", 0) is not None
            assert store.houses.list_all(connection) == []
    finally:
        watch.dispose()


def test_addresses_are_added_listed_and_removed(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        store.houses.create(connection, "North")
    assert run(capsys, "notify", "add", "Ann@Example.org")[0] == commands.OK
    _, said = run(capsys, "notify", "add", "https://example.org/x", "--severity", "critical")
    assert "shown only now" in said
    assert run(capsys, "notify", "add", "bob@example.org", "--house", "North")[0] == commands.OK
    assert run(capsys, "notify", "list")[1].splitlines() == [
        "ann@example.org\tall houses\twarning\tok",
        "https://example.org/x\tall houses\tcritical\tok",
        "bob@example.org\tNorth\twarning\tok",
    ]
    assert run(capsys, "notify", "remove", "ann@example.org") == (
        commands.OK,
        "ann@example.org is notified no more.\n",
    )
    code, said = run(capsys, "notify", "remove", "bob@example.org")
    assert (code, "bob@example.org is not notified" in said) == (commands.FAILED, True)


@pytest.mark.parametrize("address", ["nobody", "http://example.org", "https://u:p@example.org"])
def test_a_wrong_address_is_a_sentence(capsys: pytest.CaptureFixture[str], address: str) -> None:
    code, said = run(capsys, "notify", "add", address)
    assert (code, "looks like" in said) == (commands.FAILED, True)


def test_the_same_address_twice_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "notify", "add", "ann@example.org")
    code, said = run(capsys, "notify", "add", "ann@example.org")
    assert (code, said) == (commands.FAILED, "ann@example.org is notified already.\n")


def test_a_test_message_without_a_watch_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "notify", "add", "ann@example.org")
    code, said = run(capsys, "notify", "test", "ann@example.org", "--wait", "1")
    assert (code, "Is the watch running" in said) == (commands.FAILED, True)


def test_times_of_maintenance_are_added_listed_and_removed(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        house = store.houses.create(connection, "North", time_zone="Europe/Berlin")
        store.devices.create(connection, house.house_id, "pv", "egauge", {})
    add = ("maintenance", "add", "--house", "North")
    _, first = run(capsys, *add, "--start", "2026-06-01 22:00", "--end", "2026-06-02 02:00", "--note", "line")
    _, second = run(capsys, *add, "--days", "sat,sun", "--start", "22:00", "--end", "2:00", "--device", "pv")
    assert run(capsys, "maintenance", "list")[1].splitlines() == [
        f"{first.strip()}\tNorth\tall devices\t2026-06-01 22:00 to 2026-06-02 02:00\tline",
        f"{second.strip()}\tNorth\tpv\tsat,sun 22:00 to 02:00\t",
    ]
    assert run(capsys, "maintenance", "remove", first.strip())[0] == commands.OK
    assert run(capsys, "maintenance", "remove", first.strip())[0] == commands.FAILED
    assert run(capsys, *add, "--days", "sat", "--start", "1:00", "--end", "2:00", "--device", "vp") == (
        commands.FAILED,
        "North has no device vp.\n",
    )
    with database.begin() as connection:
        assert len(findings.windows(connection)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--start", "22:00", "--end", "23:00"),
        ("--days", "someday", "--start", "22:00", "--end", "23:00"),
        ("--days", "mon", "--start", "25:00", "--end", "23:00"),
        ("--days", "mon", "--start", "22:00", "--end", "22:00"),
        ("--start", "2026-06-02", "--end", "2026-06-01"),
        ("--start", "0001-01-01", "--end", "2026-06-01"),
    ],
)
def test_a_wrong_time_of_maintenance_is_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, said = run(capsys, "maintenance", "add", *words)
    assert code == commands.FAILED
    assert said.count("\n") == 1


def test_a_time_of_maintenance_is_read_as_it_is_written() -> None:
    for text in ("daily 01:00 to 04:00", "mon,fri 22:30 to 06:00"):
        days, starts, _, ends = text.split()
        when = parse_window(starts, ends, days, "Europe/Berlin")
        assert isinstance(when, Recurring)
        assert window_text(when, "Europe/Berlin") == text
    once = parse_window("2026-10-25 01:00", "2026-10-25T04:00", "", "Europe/Berlin")
    assert isinstance(once, Once)
    assert once.ends_ms - once.starts_ms == 4 * 3_600_000
    with pytest.raises(UserError):
        parse_window("now", "later", "", "UTC")


def test_the_watch_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, "watch", "--mail-server", "mail.example.org")
    assert (code, "--mail-from" in said) == (commands.FAILED, True)
    code, said = run(capsys, "watch", "--mail-server", "mail:x", "--mail-from", "a@example.org")
    assert (code, "can't be read" in said) == (commands.FAILED, True)
    monkeypatch.delenv(DATABASE_URL)
    code, said = run(capsys, "watch")
    assert (code, "admin watch" in said) == (commands.FAILED, True)
