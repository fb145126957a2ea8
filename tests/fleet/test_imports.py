"""Readings from CSV files: what can be read is stored once, the rest is told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import Cancelled, UserError
from sgmp_console.fleet import devices, imports
from sgmp_console.fleet.imports import ImportReport, RejectedLine, import_file
from sgmp_console.store import Database, House
from tests.fleet.configs import EGAUGE
from tests.reports.stored import drop_old_readings, run_policies

T0 = 1_750_000_000_000
HEADER = "timestamp,device,field,value\n"


@pytest.fixture(autouse=True)
def meter(database: Database, house: House) -> None:
    devices.create(database, house.house_id, "meter", "egauge", EGAUGE)


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    file = path / "readings.csv"
    file.write_text(header + "".join(f"{line}\n" for line in lines), "utf-8")
    return file


def stored(database: Database, house: House, field: str = "A.Load") -> list[tuple[int, float]]:
    with database.begin() as connection:
        key = ("meter", field)
        series = store.readings.read(connection, house.house_id, [key], 0, 4_000_000_000_000)[key]
    return list(zip(series.timestamps.tolist(), series.values.tolist(), strict=True))


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.read, report.stored, report.repeated, report.rejected


def test_readings_are_stored_whatever_their_order(database: Database, house: House, tmp_path: Path) -> None:
    file = write(tmp_path, f"{T0 + 4000},meter,A.Load,2.5", f"{T0},meter,A.Load,-1e-3", f"{T0},meter,A.EV,0")
    report = import_file(database, house.house_id, file)
    assert counts(report) == (3, 3, 0, 0)
    assert (report.start_ms, report.end_ms) == (T0, T0 + 4000)
    assert report.devices == {"meter": {"A.Load", "A.EV"}}
    assert stored(database, house) == [(T0, -0.001), (T0 + 4000, 2.5)]


@pytest.mark.parametrize(
    "when",
    [str(T0), "2025-06-15T15:06:40Z", "2025-06-15T17:06:40+02:00", "2025-06-15 08:06:40.000-07:00"],
)
def test_a_timestamp_is_milliseconds_or_iso_8601(
    database: Database, house: House, tmp_path: Path, when: str
) -> None:
    import_file(database, house.house_id, write(tmp_path, f"{when},meter,A.Load,1"))
    assert stored(database, house) == [(T0, 1.0)]


def test_columns_may_come_in_any_order_and_files_from_other_lands(
    database: Database, house: House, tmp_path: Path
) -> None:
    file = tmp_path / "readings.csv"
    text = f'\ufeffDevice;Value;Timestamp;Field\r\nmeter;1.5;{T0};"A;B"\r\n\r\nmeter;2;{T0};A.Load\r\n'
    file.write_bytes(text.encode("utf-8"))
    assert counts(import_file(database, house.house_id, file)) == (2, 2, 0, 0)
    assert stored(database, house, "A;B") == [(T0, 1.5)]


def test_repeats_are_ignored_and_counted(database: Database, house: House, tmp_path: Path) -> None:
    file = write(tmp_path, f"{T0},meter,A.Load,1", f"{T0},meter,A.Load,2", f"{T0 + 1},meter,A.Load,3")
    assert counts(import_file(database, house.house_id, file)) == (3, 2, 1, 0)
    assert counts(import_file(database, house.house_id, file)) == (3, 0, 3, 0)
    assert stored(database, house) == [(T0, 1.0), (T0 + 1, 3.0)]


def test_a_dry_run_tells_the_same_and_stores_nothing(
    database: Database, house: House, tmp_path: Path
) -> None:
    import_file(database, house.house_id, write(tmp_path, f"{T0},meter,A.Load,1"))
    file = write(
        tmp_path, f"{T0},meter,A.Load,1", f"{T0 + 1},meter,A.Load,2", f"{T0 + 1},meter,A.Load,2", "x"
    )
    dry = import_file(database, house.house_id, file, dry_run=True)
    assert stored(database, house) == [(T0, 1.0)]
    assert counts(dry) == (3, 1, 2, 1) == counts(import_file(database, house.house_id, file))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", None),
        ("x,meter,A.Load,1", "neither a whole number of UTC milliseconds nor ISO 8601"),
        ("2025-06-15T15:06:40,meter,A.Load,1", "has no offset from UTC"),
        ("1750000000,meter,A.Load,1", "before 2010; whole numbers count milliseconds"),
        (f"{T0 * 2},meter,A.Load,1", "ahead of this computer"),
        (f"{10**16},meter,A.Load,1", "neither"),
        (f"{T0},sonnen,A.Load,1", "this house has no device 'sonnen'"),
        (f"{T0},meter,,1", "1 to 255 characters"),
        (f"{T0},meter,{'x' * 256},1", "1 to 255 characters"),
        (f"{T0},meter,a\x07b,1", "can't be shown"),
        (f"{T0},meter,A.Load,", "not a finite number"),
        (f"{T0},meter,A.Load,nan", "not a finite number"),
        (f"{T0},meter,A.Load,1.1e100", "beyond 1e+100"),
        (f"{T0},meter,A.Load,1_0", "not a finite number"),
        (f"{T0},meter,A.Load,on", "not a finite number"),
        (f'{T0},meter,"A.Load,1', "its quotes do not match"),
        (f"{T0},meter,A.Load,1,5", "5 columns instead of 4"),
        (f"{T0},meter", "2 columns instead of 4"),
        ("9" * 250_000, "1 columns instead of 4"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_and_the_others_are_stored(
    database: Database, house: House, tmp_path: Path, line: str, reason: str | None
) -> None:
    file = write(tmp_path, f"{T0},meter,A.Load,1", line, f"{T0 + 1},meter,A.Load,2")
    report = import_file(database, house.house_id, file)
    assert stored(database, house) == [(T0, 1.0), (T0 + 1, 2.0)]
    if reason is None:
        assert report.rejected == 0
    else:
        (rejected,) = report.rejected_lines
        assert rejected.line == 3
        assert reason in rejected.reason
        assert len(rejected.text) <= 200


def test_every_rejected_line_is_heard_of_but_only_the_first_are_kept(
    database: Database, house: House, tmp_path: Path
) -> None:
    heard: list[RejectedLine] = []
    file = write(tmp_path, *["nonsense"] * 250)
    report = import_file(database, house.house_id, file, on_rejected=heard.append)
    assert (report.rejected, len(report.rejected_lines), len(heard)) == (250, 100, 250)


def test_bytes_that_are_not_utf_8_spoil_only_their_line(
    database: Database, house: House, tmp_path: Path
) -> None:
    file = tmp_path / "readings.csv"
    file.write_bytes(HEADER.encode() + b"%d,meter,caf\xe9,1\n%d,meter,A.Load,2\n" % (T0, T0))
    assert counts(import_file(database, house.house_id, file)) == (1, 1, 0, 1)


@pytest.mark.parametrize("header", ["", "time,device,field,value\n", "timestamp,device,field\n"])
def test_another_header_is_refused(database: Database, house: House, tmp_path: Path, header: str) -> None:
    file = write(tmp_path, f"{T0},meter,A.Load,1", header=header)
    with pytest.raises(UserError, match="first line must name the columns timestamp,device,field,value"):
        import_file(database, house.house_id, file)


def test_a_file_that_is_not_there_is_told(database: Database, house: House, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv can't be read: No such file"):
        import_file(database, house.house_id, tmp_path / "none.csv")


def test_a_long_file_is_stored_in_parts_and_can_be_stopped_and_gone_on_with(
    database: Database, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_CHUNK", 100)
    file = write(tmp_path, *(f"{T0 + second * 1000},meter,A.Load,{second}" for second in range(1050)))

    def stop(_done: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        import_file(database, house.house_id, file, progress=stop)
    assert len(stored(database, house)) == 100
    heard: list[float] = []
    report = import_file(database, house.house_id, file, progress=heard.append)
    assert counts(report) == (1050, 950, 100, 0)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.parametrize(("days", "remarks"), [(40, 1), (5, 0)])
def test_readings_that_will_not_be_kept_are_told(
    database: Database, house: House, tmp_path: Path, days: int, remarks: int
) -> None:
    when = int((time.time() - days * 86_400) * 1000)
    report = import_file(database, house.house_id, write(tmp_path, f"{when},meter,A.Load,1"))
    assert len(report.remarks) == remarks


def test_the_command_tells_a_person_or_a_script_what_became_of_the_lines(
    database_url: str,
    house: House,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(DATABASE_URL, database_url)
    file = write(tmp_path, f"{T0},meter,A.Load,1", f"{T0 + 4000},meter,A.Load,2", "nonsense")
    command = ["import", "--house", house.name, str(file)]
    assert cli.main([*command, "--dry-run", "--json"]) == commands.FAILED
    report = json.loads(capsys.readouterr().out)
    assert (report["dry_run"], report["stored"], report["rejected"]) == (True, 2, 1)
    assert report["devices"] == {"meter": ["A.Load"]}
    assert cli.main(command) == commands.FAILED
    assert capsys.readouterr().out.splitlines() == [
        "Lines: 3. 2 readings were stored, known already: 0, unreadable: 1.",
        "From 2025-06-15T15:06:40.000+00:00 to 2025-06-15T15:06:44.000+00:00.",
        "meter: A.Load",
        "Raw readings are kept for 31 days. Of what is older, only fields with continuous aggregation stay, as "
        "five-minute and hourly values.",
        "Line 4: it has 1 columns instead of 4: nonsense",
    ]
    assert cli.main(["import", "--house", "Nowhere", str(file)]) == commands.FAILED
    assert capsys.readouterr().err == "There is no house Nowhere.\n"


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_bytes_stop_an_import(
    database: Database, house: House, tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.csv"
    file.write_bytes(HEADER.encode() + b"\n".join(lines))
    report = import_file(database, house.house_id, file, dry_run=True)
    assert report.stored == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_spreadsheets_unicode_text_is_read(
    database: Database, house: House, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "readings.txt"
    file.write_bytes(f"timestamp\tdevice\tfield\tvalue\r\n{T0}\tmeter\tA.Load\t1.5\r\n".encode(encoding))

    assert counts(import_file(database, house.house_id, file)) == (1, 1, 0, 0)
    assert stored(database, house) == [(T0, 1.5)]


def test_a_number_that_may_have_a_thousands_separator_is_refused_beside_decimal_commas(
    database: Database, house: House, tmp_path: Path
) -> None:
    rows = ("1.234", "1.234,5", "7", "0,5")
    lines = [f"{T0 + place};meter;A.Load;{value}" for place, value in enumerate(rows)]
    file = write(tmp_path, *lines, header="timestamp;device;field;value\n")
    report = import_file(database, house.house_id, file)

    assert stored(database, house) == [(T0 + 2, 7.0)]
    assert [one.line for one in report.rejected_lines] == [2, 3, 5]
    assert "ambiguous" in report.rejected_lines[0].reason
    assert all("decimal comma" in one.reason for one in report.rejected_lines)


def test_a_decimal_comma_between_commas_makes_its_neighbours_ambiguous_too(
    database: Database, house: House, tmp_path: Path
) -> None:
    report = import_file(
        database, house.house_id, write(tmp_path, f"{T0},meter,A.Load,1.234", f"{T0},meter,A.EV,1.234,5")
    )
    assert (report.stored, report.rejected) == (0, 2)


def test_one_decimal_comma_costs_a_file_with_decimal_points_nothing_but_its_line(
    database: Database, house: House, tmp_path: Path
) -> None:
    lines = (f"{T0};meter;A.Load;1.234", f"{T0 + 1};meter;A.Load;0.25", f"{T0 + 2};meter;A.Load;1,5")
    report = import_file(
        database, house.house_id, write(tmp_path, *lines, header="timestamp;device;field;value\n")
    )
    assert (report.stored, report.rejected) == (2, 1)


def test_what_is_known_with_another_value_is_counted_apart_and_named_by_line(
    database: Database, house: House, tmp_path: Path
) -> None:
    import_file(database, house.house_id, write(tmp_path, f"{T0},meter,A.Load,1", f"{T0 + 1},meter,A.Load,2"))
    corrected = write(
        tmp_path, f"{T0},meter,A.Load,999", f"{T0 + 1},meter,A.Load,2", f"{T0 + 2},meter,A.Load,3"
    )
    for dry_run in (True, False):
        report = import_file(database, house.house_id, corrected, dry_run=dry_run)

        assert (report.stored, report.repeated, report.differing) == (1, 2, 1)
        (line,) = report.differing_lines
        assert (line.line, line.device, line.field, line.timestamp_ms) == (2, "meter", "A.Load", T0)
        assert (line.value, line.known) == (999.0, 1.0)
        assert "Line 2: meter.A.Load at 2025-06-15T15:06:40.000+00:00 is 1.0, here 999.0" in report.as_text()
        assert report.as_json()["differing"] == 1
    assert stored(database, house)[0] == (T0, 1.0)


def test_a_reading_that_comes_twice_in_a_file_with_two_values_is_named(
    database: Database, house: House, tmp_path: Path
) -> None:
    report = import_file(
        database,
        house.house_id,
        write(tmp_path, f"{T0},meter,A.Load,1", f"{T0},meter,A.Load,1", f"{T0},meter,A.Load,2"),
    )

    assert (report.stored, report.repeated, report.differing) == (1, 2, 1)
    assert [(one.line, one.known) for one in report.differing_lines] == [(4, 1.0)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_readings_for_which_only_aggregates_are_left_are_counted_as_not_kept(
    database: Database, database_url: str, house: House, tmp_path: Path, dry_run: bool
) -> None:
    with database.begin() as connection:
        item = store.analytics.create(connection, house.house_id, "load", "meter.A.Load", aggregated=True)
        store.aggregates.register(connection, house.house_id, item.item_id, [("meter", "A.Load")])
    times = [T0 + 4000 * i for i in range(10)]
    import_file(database, house.house_id, write(tmp_path, *(f"{at},meter,A.Load,1" for at in times)))
    import_file(database, house.house_id, write(tmp_path, f"{int(time.time() * 1000)},meter,A.Load,1"))
    run_policies(database_url)
    drop_old_readings(database_url)
    late = write(tmp_path, *(f"{at},meter,A.Load,5" for at in times[:3]), f"{times[0]},meter,A.EV,2")
    report = import_file(database, house.house_id, late, dry_run=dry_run)
    assert counts(report) == (4, 1, 0, 0)
    assert (report.not_kept, report.differing) == (3, 0)
    assert "Not kept: 3." in report.as_text()
