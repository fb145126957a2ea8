"""The answer of `check formula`."""

import json

import pytest

from sgmp_console.formula import Catalogue, DeviceIdentifier, FormulaError
from sgmp_console.formula.check import as_text, check, check_on_house
from sgmp_console.formula.items import SourceIdentifier
from sgmp_console.timeseries import Series

HOUSE = Catalogue(
    devices={"sonnen": ["status.Pac_total_W"], "egauge": ["A.Solar"]},
    items={"battery": "sonnen.status.Pac_total_W/1000", "twice": "2*analytics.battery"},
    units={DeviceIdentifier("sonnen", "status.Pac_total_W"): "W"},
)
READINGS = """timestamp,identifier,value
4000,sonnen.status.Pac_total_W,500
0,sonnen.status.Pac_total_W,-1500
0,sonnen.status.Pac_total_W,99
2026-07-01T12:00:00+02:00,sonnen.status.Pac_total_W,1000
8000,sonnen.status.Pac_total_W,nan
0,egauge.A.Solar,2.5
4000,"meter.''Main House''",7
""".replace("''", '""')


def test_all_there_is_to_say_about_a_formula() -> None:
    result = check("-neg(sonnen.status.Pac_total_W*0.001)", readings=READINGS.splitlines())

    assert result == {
        "ok": True,
        "error": None,
        "warnings": [],
        "identifiers": ["sonnen.status.Pac_total_W"],
        "exact_on_aggregates": True,
        "simplified": "-neg(sonnen.status.Pac_total_W)/1000",
        "latex": r"-\operatorname{neg}\left(\mathrm{sonnen.status.Pac\_total\_W} \cdot 0.001\right)",
        "equals": [],
        "unit": "",
        "values": [[0, 1.5], [4000, 0.0], [1_782_900_000_000, 0.0]],
        "rejected": [],
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_an_error_has_its_place_and_leaves_the_rest_empty() -> None:
    result = check("2 3")

    assert not result["ok"]
    assert result["error"] == {
        "message": "an operator (+ - * / ^) is missing before `3`",
        "position": 2,
        "length": 1,
    }
    assert (result["identifiers"], result["simplified"], result["latex"]) == ([], None, None)
    assert "values" not in result


def test_in_a_house_names_units_and_equal_items_are_told() -> None:
    result = check("sonnen.status.Pac_total_W/1000", catalogue=HOUSE, name="new")
    assert (result["ok"], result["unit"], result["equals"]) == (True, "kW", ["battery"])

    result = check("sonen.status.Pac_total_W/1000", catalogue=HOUSE)
    assert "did you mean `sonnen`" in result["error"]["message"]

    result = check("analytics.twice", catalogue=HOUSE, name="battery")
    assert "battery → twice → battery" in result["error"]["message"]


def test_what_is_always_wrong_is_told_without_a_house() -> None:
    result = check("egauge.A.Solar/(1 - 1)", readings=READINGS.splitlines())

    assert not result["ok"]
    assert "always zero" in result["error"]["message"]
    assert result["identifiers"] == ["egauge.A.Solar"]
    assert result["values"] == []


def test_items_are_computed_from_the_readings_or_taken_from_them() -> None:
    result = check("analytics.twice", catalogue=HOUSE, readings=READINGS.splitlines())
    assert result["values"] == [[0, -3.0], [4000, 1.0], [1_782_900_000_000, 2.0]]

    given = ["timestamp,identifier,value", "5,analytics.twice,42"]
    assert check("analytics.twice", catalogue=HOUSE, readings=given)["values"] == [[5, 42.0]]


def test_series_that_do_not_meet_and_series_without_values_are_noted() -> None:
    shifted = ["timestamp,identifier,value", "0,a.x,1", "4000,a.x,1", "1,b.y,1", "4001,b.y,1"]

    result = check("a.x + b.y + c.z", readings=shifted)

    assert result["ok"]
    assert [warning["message"].split("; ")[0] for warning in result["warnings"]] == [
        "`c.z` has no values in the data",
        "`a.x` and `b.y` share 0 % of their timestamps, and the formula has values only there",
    ]
    assert result["values"] == []


def test_lines_that_cannot_be_read_are_left_out_and_told() -> None:
    lines = [
        "\ufefftimestamp,identifier,value",
        "0,a.x,1",
        "",
        "yesterday,a.x,1",
        "2026-07-01T12:00:00,a.x,1",
        "1,nonsense,1",
        "2,a.x,much",
        "3,a.x",
        "99999999999999999999,a.x,1",
    ]

    result = check("a.x", readings=lines)

    assert result["values"] == [[0, 1.0]]
    assert [entry["line"] for entry in result["rejected"]] == [4, 5, 6, 7, 8, 9]
    reasons = [entry["reason"] for entry in result["rejected"]]
    assert "`yesterday` is neither" in reasons[0]
    assert "offset" in reasons[1]
    assert reasons[3] == "the value `much` is no number"


@pytest.mark.parametrize("lines", [[], ["0,a.x,1"], ["time,identifier,value"]])
def test_readings_without_the_header_are_refused(lines: list[str]) -> None:
    with pytest.raises(FormulaError, match="timestamp,identifier,value"):
        check("a.x", readings=lines)


def test_readings_that_are_no_csv_are_refused_in_a_sentence() -> None:
    endless = ["timestamp,identifier,value", "1,a.x," + "9" * 200_000]
    with pytest.raises(FormulaError, match="the readings are no CSV: field larger"):
        check("a.x", readings=endless)


def test_values_of_a_house_come_from_its_own_data() -> None:
    pac = DeviceIdentifier("sonnen", "status.Pac_total_W")
    everything = {pac: Series([0, 4_000, 8_000], [1_000, 2_000, 3_000])}

    def load(
        wanted: frozenset[SourceIdentifier], start_ms: int, end_ms: int
    ) -> dict[SourceIdentifier, Series]:
        return {one: series.between(start_ms, end_ms) for one, series in everything.items() if one in wanted}

    result = check_on_house("analytics.twice + egauge.A.Solar*0 + 1", HOUSE, 0, 8_000, load, name="new")
    assert result["ok"]
    assert result["values"] == []
    assert [warning["message"] for warning in result["warnings"]] == [
        "`egauge.A.Solar` has no values in the data"
    ]

    assert check_on_house("analytics.twice", HOUSE, 0, 8_000, load)["values"] == [[0, 2.0], [4_000, 4.0]]
    assert check_on_house("analytics.twice", HOUSE, 0, 8_000, load, name="battery")["values"] == []
    assert "values" not in check_on_house("1 +", HOUSE, 0, 8_000, load)


def test_the_answer_for_a_person() -> None:
    text = as_text(check("sonnen.status.Pac_total_W*0.001", catalogue=HOUSE, readings=READINGS.splitlines()))

    assert text.splitlines() == [
        "The formula is valid.",
        "Identifiers: sonnen.status.Pac_total_W",
        "Simplified: sonnen.status.Pac_total_W/1000",
        "Exact on aggregates: yes",
        "Unit: kW",
        "The same as: analytics.battery",
        "Values: 3",
        "0\t-1.5",
        "4000\t0.5",
        "1782900000000\t1.0",
    ]
    assert as_text(check("2 3")) == "Error at character 3: an operator (+ - * / ^) is missing before `3`"
