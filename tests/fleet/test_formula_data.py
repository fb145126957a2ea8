"""Readings beside a formula, from a file."""

from pathlib import Path

import pytest

from sgmp_console.errors import UserError
from sgmp_console.fleet import formula_data
from sgmp_console.fleet.formula_data import series_in
from sgmp_console.formula import DeviceIdentifier

AX = DeviceIdentifier("a", "x")


def test_lines_that_cannot_be_read_are_left_out_and_reported() -> None:
    series, rejected = series_in(
        "\ufefftimestamp,identifier,value\n"
        "0,a.x,1\n"
        "\n"
        "yesterday,a.x,1\n"
        "2026-07-01T12:00:00,a.x,1\n"
        "1,nonsense,1\n"
        "2,a.x,much\n"
        "3,a.x\n"
        "99999999999999999999,a.x,1\n"
        '4,"a.x,1\n'
        "5,a.x,nan\n"
    )

    assert series[AX].timestamps.tolist() == [0]
    assert [entry["line"] for entry in rejected] == [4, 5, 6, 7, 8, 9, 10]
    reasons = [str(entry["reason"]) for entry in rejected]
    assert "'yesterday' is neither" in reasons[0]
    assert "offset" in reasons[1]
    assert reasons[3] == "the value 'much' is not a finite number"
    assert reasons[6] == "its quotes do not match"


@pytest.mark.parametrize("text", ["", "0,a.x,1\n", "time,identifier,value\n", '"time\n'])
def test_readings_without_the_header_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="timestamp,identifier,value"):
        series_in(text)


def test_a_file_may_be_unicode_text_of_a_spreadsheet(tmp_path: Path) -> None:
    file = tmp_path / "readings.txt"
    file.write_bytes("timestamp\tidentifier\tvalue\r\n0\ta.x\t1.5\r\n".encode("utf-16"))

    assert formula_data.read(file)[0][AX].values.tolist() == [1.5]


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        formula_data.read(tmp_path / "nowhere.csv")
