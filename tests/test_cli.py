"""The command line: words, exit codes, and what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sgmp_console import cli
from sgmp_console.store import Database, SignInRefused, accounts, devices, houses, readings, sign_in
from sgmp_console.store.access import ingest_role
from sgmp_console.timeseries import Series
from tests.database import TestDatabase


@pytest.fixture
def owner(test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    monkeypatch.setenv(cli.DATABASE_URL, test_database.url)
    return test_database


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["demo", "--help"],
        ["migrate", "--help"],
        ["ingest", "--help"],
        ["check", "formula", "--help"],
        ["admin", "create", "--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_help_is_there_for_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == cli.OK
    assert "sgmp-console" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from sgmp_console import cli\n"
        "try: cli.main(['demo', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'PySide6', 'numpy', 'sqlalchemy', 'sympy', 'awscrt', 'cryptography'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["check"],
        ["demo", "--headless", "--check"],
        ["demo", "--poll", "0"],
        ["demo", "--history-days", "-1"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == cli.USAGE
    assert "usage:" in capsys.readouterr().err


def test_words_that_do_not_go_together_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--json"]) == cli.USAGE
    assert "--check" in capsys.readouterr().err


@pytest.mark.parametrize("formula", ["-egauge.A.EV", "-neg(a.b)/1000", "a.b", "1e3*a.b"])
def test_a_formula_in_order_may_begin_with_a_minus(formula: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "formula", formula, "--json"]) == cli.OK
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    assert result["identifiers"] == ["egauge.A.EV" if "egauge" in formula else "a.b"]


def test_a_wrong_formula_fails_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "formula", "-a.b +", "--json"]) == cli.FAILED
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["message"]
    assert 0 <= error["position"] <= len("-a.b +")
    assert cli.main(["check", "formula", "a.b +"]) == cli.FAILED
    assert capsys.readouterr().out.startswith("Error at character ")


def test_a_formula_is_evaluated_over_readings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text("timestamp,identifier,value\n1000,a.b,2\n2000,a.b,-3\n")
    assert cli.main(["check", "formula", "-2*a.b", "--data", str(readings), "--json"]) == cli.OK
    assert json.loads(capsys.readouterr().out)["values"] == [[1000, -4.0], [2000, 6.0]]


def test_a_formula_is_evaluated_on_a_house(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    now_ms = time.time_ns() // 1_000_000
    database = Database.connect(owner.url)
    with database.begin() as connection:
        house = houses.create(connection, "Maple House").house_id
        meter = devices.create(connection, house, "egauge", "egauge", {}).device_id
        values = Series([now_ms - 2_000, now_ms - 1_000], [-1.5, 2.5])
        readings.write_series(connection, house, meter, {"A.GridPower": values})
    database.dispose()
    words = ["check", "formula", "pos(egauge.A.GridPower)", "--house", "Maple House", "--json"]
    assert cli.main(words) == cli.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["values"] == [[now_ms - 2_000, 0.0], [now_ms - 1_000, 2.5]]
    assert (
        cli.main(["check", "formula", "egauje.A.GridPower", "--house", "Maple House", "--json"]) == cli.FAILED
    )
    assert "did you mean `egauge`" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_readings_that_are_not_there_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "formula", "a.b", "--data", str(tmp_path / "none.csv")]) == cli.FAILED
    assert capsys.readouterr().err.endswith("none.csv can't be read: No such file or directory.\n")


def test_without_a_database_address_it_says_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(cli.DATABASE_URL, raising=False)
    assert cli.main(["migrate"]) == cli.FAILED
    assert cli.DATABASE_URL in capsys.readouterr().err


def test_migrating_again_does_no_harm(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "--deployment", owner.deployment]) == cli.OK
    assert "up to date" in capsys.readouterr().out


def test_the_first_administrator_signs_in_with_the_password_shown(
    owner: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["admin", "create", "ann@example.org", "--name", "Ann"]
    assert cli.main([*words, "--json"]) == cli.OK
    shown = json.loads(capsys.readouterr().out)
    database, account = sign_in(owner.address, owner.deployment, "ann@example.org", shown["initial_password"])
    database.dispose()
    assert account.role == "admin"
    assert account.must_change_password

    assert cli.main(words) == cli.FAILED
    assert "administrator already" in capsys.readouterr().err


def test_a_reset_gives_a_new_password_and_ends_the_old(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        accounts.create(
            connection, email="ann@example.org", name="Ann", role="admin", house_id=None, password="before it"
        )
    assert cli.main(["admin", "reset", "ann@example.org"]) == cli.OK
    password = capsys.readouterr().out.splitlines()[-1]
    sign_in(owner.address, owner.deployment, "ann@example.org", password)[0].dispose()
    with pytest.raises(SignInRefused):
        sign_in(owner.address, owner.deployment, "ann@example.org", "before it")
    assert cli.main(["admin", "reset", "bob@example.org"]) == cli.FAILED
    assert "bob@example.org" in capsys.readouterr().err


def test_ingest_gets_a_password_of_its_own(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["admin", "ingest", "--deployment", owner.deployment, "--json"]) == cli.OK
    told = json.loads(capsys.readouterr().out)
    assert told["user"] == ingest_role(owner.deployment)
    Database.connect(owner.address, user=told["user"], password=told["password"]).dispose()


def test_a_database_that_is_away_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(cli.DATABASE_URL, "postgresql://owner:s3cret@127.0.0.1:9/sgmp")
    assert cli.main(["admin", "reset", "ann@example.org"]) == cli.FAILED
    told = capsys.readouterr().err
    assert told.startswith("The database is not available")
    assert "s3cret" not in told
