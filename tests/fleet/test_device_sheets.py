"""Devices from CSV files and into them: all or none, told line by line, and without secrets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.errors import Cancelled
from sgmp_console.fleet import device_sheets, devices
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused, Plan, SheetError
from sgmp_console.store import Batch, Database, Device, House, ReadingRow
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN, TOKEN


def sheet(folder: Path, *lines: str, encoding: str = "utf-8", name: str = "devices.csv") -> Path:
    file = folder / name
    file.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return file


def run(
    database: Database,
    house: House,
    file: Path,
    *,
    existing: Existing = Existing.REFUSE,
    dry_run: bool = False,
    **more: Any,
) -> Plan:
    return device_sheets.import_devices(
        database, house.house_id, file, existing=existing, dry_run=dry_run, **more
    )


def stored(database: Database, house: House) -> dict[str, Device]:
    with database.begin() as connection:
        return {one.name: one for one in store.devices.list_all(connection, house.house_id)}


def secrets(database: Database, device: Device) -> dict[str, Any]:
    with database.begin() as connection:
        return dict(store.devices.reveal(connection, device.device_id))


def told(plan: Plan) -> list[tuple[int, str, str]]:
    return [(one.line, one.column, one.sentence) for one in plan.problems]


PER_SETTING = (
    "name,type,description,config.ip,config.token,config.serial,config.keys",
    f'battery,sonnen,In the cellar,10.0.0.5,{TOKEN},"""0042""",',
    'meter,egauge,,10.0.0.6,,,"[""A.Load"", ""A.Solar""]"',
)


def test_a_line_is_a_device_with_a_column_for_each_setting(
    database: Database, house: House, tmp_path: Path
) -> None:
    plan = run(database, house, sheet(tmp_path, *PER_SETTING))
    assert [(step.line, step.name, step.action) for step in plan.steps] == [
        (2, "battery", Action.CREATE),
        (3, "meter", Action.CREATE),
    ]
    found = stored(database, house)
    assert secrets(database, found["battery"]) == {"ip": "10.0.0.5", "token": TOKEN, "serial": "0042"}
    assert found["battery"].description == "In the cellar"
    assert found["meter"].config == {"ip": "10.0.0.6", "keys": ["A.Load", "A.Solar"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_config_may_be_one_cell_of_json(
    database: Database, house: House, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    cell = json.dumps(POWERFLEX).replace('"', '""')
    lines = (delimiter.join(("name", "type", "config")), delimiter.join(("ev", "powerflex", f'"{cell}"')))
    run(database, house, sheet(tmp_path, *lines, encoding=encoding))
    assert secrets(database, stored(database, house)["ev"]) == POWERFLEX


def test_a_dry_run_changes_nothing(database: Database, house: House, tmp_path: Path) -> None:
    plan = run(database, house, sheet(tmp_path, *PER_SETTING), dry_run=True)
    assert plan.count(Action.CREATE) == 2
    assert stored(database, house) == {}


def test_every_line_that_is_wrong_is_told_with_its_column(
    database: Database, house: House, tmp_path: Path
) -> None:
    devices.create(database, house.house_id, "there", "egauge", EGAUGE)
    file = sheet(
        tmp_path,
        "name,type,config.ip,config",
        "1st,egauge,10.0.0.1,",
        "ok,egauge,10.0.0.1,",
        '"over',
        'lines",egauge,10.0.0.1,',
        "ok,egauge,10.0.0.1,",
        "there,egauge,10.0.0.1,",
        "a,toaster,10.0.0.1,",
        "b,,10.0.0.1,",
        "c,egauge,no host,",
        'd,egauge,,"{""ip"": ""10.0.0.1"", ""colour"": 1}"',
        "e,egauge,,{",
        "f,egauge",
        "",
        "g,egauge,,",
    )
    plan = run(database, house, file, dry_run=True)
    problems = told(plan)
    assert [(line, column) for line, column, _ in problems] == [
        (2, "name"),
        (4, "name"),
        (6, "name"),
        (7, "name"),
        (8, "type"),
        (9, "type"),
        (10, "config.ip"),
        (11, "config"),
        (12, "config"),
        (13, ""),
        (15, "config.ip"),
    ]
    sentences = {line: sentence for line, _, sentence in problems}
    assert sentences[6] == "ok stands in line 3 already."
    assert "exists already" in sentences[7] or "a device there already" in sentences[7]
    assert sentences[8] == "There is no type 'toaster'; there are egauge, powerflex, sonnen."
    assert sentences[13] == "It has 2 cells; the first line has 4."
    with pytest.raises(ImportRefused, match=r"Nothing was imported\. Line 2: column name"):
        run(database, house, file)
    assert list(stored(database, house)) == ["there"]


def test_what_is_there_is_changed_only_if_that_was_chosen(
    database: Database, house: House, tmp_path: Path
) -> None:
    made = devices.create(database, house.house_id, "meter", "egauge", EGAUGE, description="Old")
    file = sheet(tmp_path, "name,config.interval", "meter,10")
    with pytest.raises(ImportRefused, match="a device meter already"):
        run(database, house, file)
    plan = run(database, house, file, existing=Existing.UPDATE)
    assert [step.action for step in plan.steps] == [Action.UPDATE]
    found = stored(database, house)["meter"]
    assert (found.config, found.description) == ({**EGAUGE, "interval": 10}, "Old")
    assert found.revision == made.revision + 1
    plan = run(database, house, file, existing=Existing.UPDATE)
    assert [step.action for step in plan.steps] == [Action.NOTHING]
    assert stored(database, house)["meter"].revision == found.revision


def test_an_empty_cell_takes_a_setting_away(database: Database, house: House, tmp_path: Path) -> None:
    devices.create(database, house.house_id, "meter", "egauge", {**EGAUGE, "interval": 10})
    run(
        database,
        house,
        sheet(tmp_path, "name;config.interval", "meter;"),
        existing=Existing.UPDATE,
    )
    assert stored(database, house)["meter"].config == EGAUGE


def test_what_was_exported_can_be_imported_again_and_keeps_secrets(
    database: Database, house: House, tmp_path: Path
) -> None:
    devices.create(database, house.house_id, "battery", "sonnen", SONNEN, description="=HYPERLINK(1)")
    devices.create(database, house.house_id, "ev", "powerflex", POWERFLEX, description="'-x")
    devices.create(database, house.house_id, "meter", "egauge", EGAUGE, description="+49 1234\nring twice")
    before = stored(database, house)
    file = tmp_path / "out.csv"
    with database.begin() as connection:
        assert device_sheets.export_devices(connection, house.house_id, file) == 3
    text = file.read_text("utf-8-sig")
    assert TOKEN not in text
    assert "mysuperstrongpassword" not in text
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["description"] for row in rows] == ["'=HYPERLINK(1)", "''-x", "'+49 1234\nring twice"]
    assert rows[1]["config.acc_id"] == '"03"'
    plan = run(database, house, file, existing=Existing.UPDATE)
    assert {step.action for step in plan.steps} == {Action.NOTHING}
    assert stored(database, house) == before
    changed = tmp_path / "changed.csv"
    changed.write_text(text.replace("198.129.119.220", "10.0.0.9"), "utf-8")
    run(database, house, changed, existing=Existing.UPDATE)
    assert secrets(database, stored(database, house)["battery"]) == {**SONNEN, "ip": "10.0.0.9"}


def test_a_mask_without_a_secret_behind_it_is_refused(
    database: Database, house: House, tmp_path: Path
) -> None:
    file = sheet(tmp_path, "name,type,config.ip,config.token", "battery,sonnen,10.0.0.5,***")
    assert told(run(database, house, file, dry_run=True)) == [
        (2, "config.token", "token: *** stands for what is stored, and nothing is.")
    ]


@pytest.mark.parametrize(("word", "kept"), [("yes", [1.0]), ("", [])])
def test_a_deleted_devices_history_is_continued_only_if_the_file_says_so(
    database: Database, house: House, tmp_path: Path, word: str, kept: list[float]
) -> None:
    t0 = 1_750_000_000_000
    old = devices.create(database, house.house_id, "meter", "egauge", EGAUGE)
    with database.begin() as connection:
        row = ReadingRow(house.house_id, old.device_id, "meter", t0, {"A.Load": 1.0})
        store.readings.write(connection, Batch(readings=[row]))
    devices.delete(database, house.house_id, [old.device_id])
    plan = run(
        database,
        house,
        sheet(tmp_path, "name,type,config.ip,same_meter", f"meter,egauge,10.0.0.1,{word}"),
    )
    assert plan.steps[0].remark
    with database.begin() as connection:
        key = ("meter", "A.Load")
        found = store.readings.read(connection, house.house_id, [key], t0, t0 + 1)[key]
    assert list(found.values) == kept


def test_cancelling_leaves_everything_as_it_was(database: Database, house: House, tmp_path: Path) -> None:
    def progress(done: int, everything: int) -> None:
        assert everything == 2
        if done == 1:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        run(database, house, sheet(tmp_path, *PER_SETTING), progress=progress)
    assert stored(database, house) == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"type,config\nx,y\n", "name is not among them"),
        (b"name,colour\nx,y\n", "There is no column 'colour'"),
        (b"name,name\nx,y\n", "is there twice"),
        (b"name,type\n", "no lines below the first"),
        (b"", "name is not among them"),
        (b"name,type\n\xff,x\n", r"not UTF-8 \(line 2\)"),
        (b'name,type\n"a"b,x\n', "can't be read from line 2"),
        (b'name,type\n"a,x\n', "can't be read"),
        (b"name,type\nx\0,y\n", "not a text file"),
    ],
)
def test_a_file_that_is_no_such_sheet_is_refused_with_the_reason(
    database: Database, house: House, tmp_path: Path, content: bytes, sentence: str
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_bytes(content)
    with pytest.raises(SheetError, match=sentence):
        run(database, house, file, dry_run=True)


def test_a_file_that_is_not_there_is_told(database: Database, house: House, tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="can't be read"):
        run(database, house, tmp_path / "nowhere.csv", dry_run=True)


def test_no_problem_quotes_a_secret(database: Database, house: House, tmp_path: Path) -> None:
    file = sheet(tmp_path, "name,type,config.token,config.ip", f"battery,sonnen,{TOKEN},no host")
    with pytest.raises(ImportRefused) as caught:
        run(database, house, file)
    assert TOKEN not in str(caught.value) + repr(caught.value.plan)


SPOILT = (
    *("1.23457E+62", "1,23457E+62", "-1.2E-05", "1E+15", "1.2e5", "12345678901234500000"),
    *("########", "#NAME?", "#WERT!", "#DIV/0!", "#N/A"),
)


@pytest.mark.parametrize("column", ["config.token", "config.serial"])
def test_a_text_that_a_spreadsheet_rounded_or_replaced_is_refused(
    database: Database, house: House, tmp_path: Path, column: str
) -> None:
    lines = (f"battery_{place};sonnen;10.0.0.5;{cell}" for place, cell in enumerate(SPOILT))
    plan = run(database, house, sheet(tmp_path, f"name;type;config.ip;{column}", *lines), dry_run=True)
    refused = [one for one in told(plan) if "spreadsheet" in one[2]]

    assert [(line, where) for line, where, _ in refused] == [
        (2 + place, column) for place in range(len(SPOILT))
    ]
    assert not any(
        cell in sentence for cell in SPOILT for _, _, sentence in refused
    )  # what is left of a secret


def test_a_setting_that_looks_like_what_a_spreadsheet_makes_of_one_is_exported_so_that_it_is_read(
    database: Database, house: House, tmp_path: Path
) -> None:
    for place, text in enumerate(SPOILT):
        devices.create(database, house.house_id, f"m{place}", "egauge", {**EGAUGE, "username": text})
    before = stored(database, house)
    with database.begin() as connection:
        device_sheets.export_devices(connection, house.house_id, tmp_path / "out.csv")
    plan = run(database, house, tmp_path / "out.csv", existing=Existing.UPDATE)
    assert told(plan) == []
    assert stored(database, house) == before


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000"])
def test_a_setting_that_no_database_can_hold_is_refused_by_its_line(
    database: Database, house: House, tmp_path: Path, text: str
) -> None:
    config = json.dumps({**EGAUGE, "keys": ["?"]}).replace("?", text).replace('"', '""')
    plan = run(database, house, sheet(tmp_path, "name;type;config", f'm;egauge;"{config}"'), dry_run=True)
    assert [line for line, _, _ in told(plan)] == [2]


def test_several_texts_in_one_entry_are_refused(database: Database, house: House, tmp_path: Path) -> None:
    for cell in ("A.Load,A.Solar", "A.Load\tA.Solar", "[A.Load, A.Solar]", "['A.Load']"):
        file = sheet(tmp_path, "name;type;config.ip;config.keys", f"meter;egauge;10.0.0.6;{cell}")
        assert [where for _, where, _ in told(run(database, house, file, dry_run=True))] == ["config.keys"]

    lines = sheet(tmp_path, "name,type,config.ip,config.keys", 'meter,egauge,10.0.0.6,"A.Load\nA,B"')
    run(database, house, lines)
    assert stored(database, house)["meter"].config["keys"] == ["A.Load", "A,B"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_sheet_may_have_any_delimiter_and_a_byte_order_mark(
    database: Database, house: House, tmp_path: Path, encoding: str, between: str
) -> None:
    lines = (between.join(cells) for cells in (("name", "type", "config.ip"), ("m\u00fcller", "x", "y")))
    file = sheet(tmp_path, *lines, encoding=encoding)

    assert "'m\u00fcller' can't be used" in told(run(database, house, file, dry_run=True))[0][2]


@pytest.mark.parametrize(
    "content",
    [
        '"name,type,config.ip"\n"m,egauge,10.0.0.6"\n',
        'name,type,config.ip\n"m,egauge,10.0.0.6"\n',
        "name,type;;\nm,egauge;;\n",
    ],
)
def test_a_file_whose_columns_stand_in_one_cell_is_refused_with_the_way_out(
    database: Database, house: House, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "one_column.csv"
    file.write_text(content, "utf-8")
    with pytest.raises(SheetError, match=r"All columns stand in one cell.*Export with “;”"):
        run(database, house, file, dry_run=True)


@pytest.mark.parametrize("between", [",", ";"])
def test_an_export_for_either_kind_of_spreadsheet_is_neutral_and_read_again(
    database: Database, house: House, tmp_path: Path, between: str
) -> None:
    text = "x;=1+1;y\n@a\t-b,\uff1d2"
    devices.create(database, house.house_id, "meter", "egauge", EGAUGE, description=text)
    file = tmp_path / "out.csv"
    with database.begin() as connection:
        device_sheets.export_devices(connection, house.house_id, file, delimiter=between)

    for other in ",;\t":
        for row in csv.reader(file.read_text("utf-8-sig").splitlines(), delimiter=other):
            assert not any(cell.strip()[:1] in ("=", "@", "\uff1d") for cell in row)
    plan = run(database, house, file, existing=Existing.UPDATE)
    assert {step.action for step in plan.steps} == {Action.NOTHING}


@pytest.mark.parametrize(
    ("content", "line"),
    [(b'name,"type"x,config\n', 1), (b'"name,type\nx,y\n', 1), (b'name,type\na,b\nc,"d\n', 3)],
)
def test_quotes_that_do_not_match_are_reported_with_their_line(
    database: Database, house: House, tmp_path: Path, content: bytes, line: int
) -> None:
    file = tmp_path / "quotes.csv"
    file.write_bytes(content)
    with pytest.raises(SheetError, match=f"from line {line} on.*quotes"):
        run(database, house, file, dry_run=True)
