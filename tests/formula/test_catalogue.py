"""Names in a house: what there is, what it hangs on, and items that go round in circles."""

import pytest

from sgmp_console.formula import (
    Catalogue,
    FormulaError,
    Problem,
    inlined,
    parse,
    problems,
    users_of_device,
    users_of_item,
)

HOUSE = Catalogue(
    devices={"sonnen": ["status.Pac_total_W"], "egauge": ["A.Solar", "A.EV"], "charger": []},
    items={"battery": "sonnen.status.Pac_total_W/1000", "solar": "pos(egauge.A.Solar)"},
    event_types=["EV_START_CHARGING", "EV_END_CHARGING"],
)


def found(text: str, catalogue: Catalogue = HOUSE, name: str | None = None) -> list[Problem]:
    return problems(parse(text), catalogue, name=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sonen.status.Pac_total_W", "no device `sonen` in this house; did you mean `sonnen`?"),
        ("2 + SONNEN.x", "no device `SONNEN` in this house; did you mean `sonnen`?"),
        ("2 + zzz.x", "no device `zzz` in this house"),
        ("analytics.batery", "no analytic item `batery` in this house; did you mean `battery`?"),
        (
            "events.chargr::EV_END_CHARGING.energy",
            "no device `chargr` in this house; did you mean `charger`?",
        ),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_there_is(text: str, message: str) -> None:
    (problem,) = found(text)
    place = text[problem.position : problem.position + problem.length]

    assert problem.is_error
    assert problem.message == f"`{place}`: {message}"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("egauge.A.Sloar", "has not delivered a field `A.Sloar` yet; did you mean `A.Solar`?"),
        (
            "events.::EV_STRAT_CHARGING",
            "no event `EV_STRAT_CHARGING` has come from this house yet; did you mean",
        ),
    ],
)
def test_what_has_not_come_yet_may_still_come(text: str, hint: str) -> None:
    (problem,) = found(text)

    assert not problem.is_error
    assert hint in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "charger.anything",
        "events._edge::",
        "events.::EV_END_CHARGING.energy",
        "analytics.solar - egauge.A.EV",
    ],
)
def test_known_names_are_in_order(text: str) -> None:
    assert found(text) == []


def test_every_unknown_name_is_told_at_its_place() -> None:
    assert [p.position for p in found("sonen.x + analytics.nothing*egauge.A.Solar + e_gauge.y")] == [
        0,
        10,
        45,
    ]


def test_a_circle_is_told_with_its_path() -> None:
    house = Catalogue(items={"a": "analytics.b + 1", "b": "2*analytics.c", "c": "1", "other": "analytics.a"})

    assert found("1 + analytics.a", house, name="new") == []
    (problem,) = found("1 + analytics.a", house, name="c")
    assert problem.message == "these items refer to one another in a circle: c → a → b → c"
    assert (problem.position, problem.length) == (4, len("analytics.a"))


def test_an_item_cannot_refer_to_itself() -> None:
    (problem,) = found("analytics.battery + 1", name="battery")

    assert problem.message == "`battery` can't refer to itself"


def test_a_chain_of_thousands_of_items_is_no_trouble() -> None:
    items = {f"i{k}": f"analytics.i{k + 1}" for k in range(2_000)} | {"i2000": "a.x"}
    house = Catalogue(devices={"a": ["x"]}, items=items)

    assert found("analytics.i0", house, name="new") == []
    assert found("analytics.i0", house, name="i2000")[0].message.startswith(
        "these items refer to one another"
    )
    assert inlined(parse("analytics.i0*2"), items).text == "a.x*2"


def test_users_are_found() -> None:
    items = {
        "a": "sonnen.x",
        "b": "analytics.a + egauge.y",
        "c": "events.sonnen:charger::EV_END_CHARGING.energy",
        "broken": "((",
    }

    assert users_of_item("a", items) == ("b",)
    assert users_of_item("b", items) == ()
    assert users_of_device("sonnen", items) == ("a", "c")
    assert users_of_device("son", items) == ()


def test_items_are_written_out_down_to_devices() -> None:
    items = {"a": "d.x + 1", "b": "analytics.a/2", "k": "5"}

    assert inlined(parse("-analytics.b^2"), items).text == "-((d.x + 1)/2)^2"
    assert inlined(parse("avg(analytics.a, 300000)"), items).exact_on_aggregates
    assert inlined(parse("d.x*2"), items).text == "d.x*2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 + analytics.nothing", "no analytic item `nothing`"),
        ("1 + analytics.broken", "can't be evaluated: a value is missing"),
        ("1 + analytics.constant", "is a constant"),
        ("1 + analytics.round", "circle: round → about → round"),
        ("1 + analytics.huge29", "too large"),
    ],
)
def test_items_that_cannot_be_written_out_are_told_at_their_mention(text: str, message: str) -> None:
    items = {
        "broken": "(",
        "constant": "5",
        "round": "analytics.about",
        "about": "analytics.round*2",
        "huge0": "d.x",
    }
    items |= {f"huge{k + 1}": f"analytics.huge{k} + analytics.huge{k}" for k in range(30)}

    with pytest.raises(FormulaError, match=message.replace("(", r"\(")) as caught:
        inlined(parse(text), items)

    if "huge" not in text:
        assert caught.value.position == 4
