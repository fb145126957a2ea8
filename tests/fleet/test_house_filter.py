"""The filter of the fleet: what is typed, and which houses it is for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.fleet.house_filter import QUANTITIES, TEXTS, Facts, parse

MINUTE_MS = 60_000


def accepts(text: str, **facts: float | None) -> bool:
    return parse(text).accepts(Facts(lambda: "Harbor House, the edge is offline", facts, {"edge": "Offline"}))


@pytest.mark.parametrize(
    ("text", "age_ms", "expected"),
    [
        ("age>10m", 10 * MINUTE_MS, False),
        ("age>10m", 10 * MINUTE_MS + 1, True),
        ("age>=10min", 10 * MINUTE_MS, True),
        ("age<2h", 119 * MINUTE_MS, True),
        ("age>1.5d", 37 * 60 * MINUTE_MS, True),
        ("AGE>30S", 31_000, True),
        ("age>3d", math.inf, True),
    ],
)
def test_an_age_is_compared_with_a_duration(text: str, age_ms: float, expected: bool) -> None:
    assert accepts(text, age=age_ms) is expected


def test_all_terms_must_hold() -> None:
    assert accepts("harbor findings>0 edge:off", findings=2)
    assert not accepts("harbor findings>0 edge:on", findings=2)
    assert not accepts("maple findings>0", findings=2)


def test_shares_are_compared_in_percent() -> None:
    assert accepts("quality<95", quality=0.949)
    assert not accepts("quality<95%", quality=0.95)


def test_what_is_not_known_meets_no_comparison() -> None:
    assert not accepts("autarky<50", autarky=None)
    assert not accepts("autarky>=0", autarky=None)


@pytest.mark.parametrize("text", ["age>", "findings>=", "edge:", "software="])
def test_a_term_that_is_being_typed_does_not_narrow(text: str) -> None:
    assert parse(text).problem == ""
    assert parse(text).accepts(Facts(str))


@pytest.mark.parametrize(
    ("text", "says"),
    [("age>10", "age>10m"), ("findings>some", "findings>5"), ("age:10m", "age>"), ("edge>3", "edge:")],
)
def test_a_term_that_cannot_be_used_is_named_and_does_not_narrow(text: str, says: str) -> None:
    assert says in parse(text).problem
    assert parse(text).accepts(Facts(str))


def test_what_names_no_quantity_is_a_word() -> None:
    assert parse("a>b").words == ("a>b",)


@given(st.text())
def test_whatever_is_typed_is_understood_somehow(text: str) -> None:
    made = parse(text)
    made.accepts(Facts(str, dict.fromkeys(QUANTITIES, 1.0), dict.fromkeys(TEXTS, "")))
    assert len(made.words) + len(made.comparisons) + len(made.texts) <= len(text.split())


@given(st.sampled_from(sorted(set(QUANTITIES) - {"age"})), st.floats(0, 1e6), st.integers(0, 10**6))
def test_of_a_comparison_and_its_opposite_just_one_holds(key: str, value: float, limit: int) -> None:
    facts = Facts(str, {key: value})
    assert parse(f"{key}>{limit}").accepts(facts) != parse(f"{key}<={limit}").accepts(facts)
    assert parse(f"{key}<{limit}").accepts(facts) != parse(f"{key}>={limit}").accepts(facts)


@given(st.lists(st.sampled_from(["harbor", "age>5m", "findings>0", "edge:off", "quality<90"]), max_size=5))
def test_a_further_term_never_shows_more(terms: list[str]) -> None:
    facts = Facts(lambda: "Harbor", {"age": 4e5, "findings": 1, "quality": 0.95}, {"edge": "Offline"})
    shown = [parse(" ".join(terms[:number])).accepts(facts) for number in range(len(terms) + 1)]
    assert shown == sorted(shown, reverse=True)
