"""The answer of `check formula`."""

import json

from sgmp_console.fleet.formula_data import series_in
from sgmp_console.formula import AnalyticsIdentifier, Catalogue, DeviceIdentifier
from sgmp_console.formula.check import as_text, check, check_on_house
from sgmp_console.formula.identifiers import Identifier
from sgmp_console.formula.items import SourceIdentifier
from sgmp_console.timeseries import Series

HOUSE = Catalogue(
    devices={"sonnen": ["status.Pac_total_W"], "egauge": ["A.Solar"]},
    items={"battery": "sonnen.status.Pac_total_W/1000", "twice": "2*analytics.battery"},
    units={DeviceIdentifier("sonnen", "status.Pac_total_W"): "W"},
)
FILE = """timestamp,identifier,value
4000,sonnen.status.Pac_total_W,500
0,sonnen.status.Pac_total_W,-1500
0,sonnen.status.Pac_total_W,99
2026-07-01T12:00:00+02:00,sonnen.status.Pac_total_W,1000
8000,sonnen.status.Pac_total_W,nan
0,egauge.A.Solar,2.5
4000,"meter.''Main House''",7
""".replace("''", '""')
READINGS = series_in(FILE)[0]


def test_all_there_is_to_say_about_a_formula() -> None:
    result = check("-neg(sonnen.status.Pac_total_W*0.001)", readings=READINGS)

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
    result = check("egauge.A.Solar/(1 - 1)", readings=READINGS)

    assert not result["ok"]
    assert "always zero" in result["error"]["message"]
    assert result["identifiers"] == ["egauge.A.Solar"]
    assert result["values"] == []


def test_items_are_computed_from_the_readings_or_taken_from_them() -> None:
    result = check("analytics.twice", catalogue=HOUSE, readings=READINGS)
    assert result["values"] == [[0, -3.0], [4000, 1.0], [1_782_900_000_000, 2.0]]

    own: dict[Identifier, Series] = {AnalyticsIdentifier("twice"): Series([5], [42])}
    assert check("analytics.twice", catalogue=HOUSE, readings=own)["values"] == [[5, 42.0]]


def test_series_that_do_not_meet_and_series_without_values_are_noted() -> None:
    shifted: dict[Identifier, Series] = {
        DeviceIdentifier("a", "x"): Series([0, 4000], [1, 1]),
        DeviceIdentifier("b", "y"): Series([1, 4001], [1, 1]),
    }

    result = check("a.x + b.y + c.z", readings=shifted)

    assert result["ok"]
    assert [warning["message"].split("; ")[0] for warning in result["warnings"]] == [
        "`c.z` has no values in the data",
        "`a.x` and `b.y` share 0 % of their timestamps, and the formula has values only there",
    ]
    assert result["values"] == []


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
    text = as_text(check("sonnen.status.Pac_total_W*0.001", catalogue=HOUSE, readings=READINGS))

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
