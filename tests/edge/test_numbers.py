"""Which text is a number, on the edge and in ingest alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge.contract import integer_in, number_in


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-17", -17),
        ("+3.5", 3.5),
        (" 12.50\n", 12.5),
        (".5", 0.5),
        ("5.", 5),
        ("1e3", 1000),
        ("-2.5E-1", -0.25),
        ("007", 7),
    ],
)
def test_decimal_text_is_a_number(text: str, number: float) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1234567890_00",
        "1_0.5",
        "0x10",
        "１２",
        "٣",
        "1,5",
        "1 000",
        "12 W",
        "--1",
        "e5",
        ".",
        "²",
        "true",
    ],
)
def test_other_text_is_not_a_number(text: str) -> None:
    assert number_in(text) is None
    assert integer_in(text) is None


@pytest.mark.parametrize("text", ["nan", "-NaN", "inf", "-Infinity", "+INF", " NaN ", "1e999", "-1e400"])
def test_text_that_says_there_is_no_number_is_a_missing_value(text: str) -> None:
    number = number_in(text)
    assert number is not None
    assert not math.isfinite(number)
    assert integer_in(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_to_the_last_bit(value: float) -> None:
    assert number_in(repr(value)) == value


@given(st.integers(-(10**39), 10**39))
def test_whole_numbers_keep_every_digit(value: int) -> None:
    assert integer_in(str(value)) == value


@given(st.text(max_size=12))
def test_any_text_is_judged_without_failing(text: str) -> None:
    if integer_in(text) is not None:
        assert number_in(text) is not None
