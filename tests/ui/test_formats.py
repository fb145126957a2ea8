"""Numbers, ages and times as people read them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.ui import formats

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.314, "kW", "2.31 kW"),
        (-0.4, "kW", "−0.40 kW"),
        (-0.0001, "kW", "0.00 kW"),
        (123.456, "kW", "123.5 kW"),
        (1234.5, "kWh", "1,234 kWh"),
        (99.999, "kWh", "100.0 kWh"),
        (59.9812, "Hz", "59.98 Hz"),
        (121.44, "V", "121.4 V"),
        (63.6, "%", "64 %"),
        (8_960_000, "mWh", "8.96 kWh"),
        (1_000, "mWh", "0.00 kWh"),
        (12, "ms", "12.00 ms"),
        (239_770, "mV", "239.8 V"),
        (50, "mA", "50.00 mA"),
        (10_000, "Wh", "10,000 Wh"),
        (195.31, "Ah", "195.3 Ah"),
        (5_400_000, "ms", "1.50 h"),
        (-90_000, "ms", "−1.50 min"),
        (3.14159, "", "3.14"),
        (None, "kW", "–"),
        (float("nan"), "kW", "–"),
    ],
)
def test_a_value_has_the_decimals_its_unit_deserves(value: float | None, unit: str, text: str) -> None:
    assert formats.with_unit(value, unit).replace("\u00a0", " ") == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_a_number_reads_back_to_what_it_rounds(value: float) -> None:
    shown = formats.number(value, "kW")
    decimals = len(shown.partition(".")[2])
    read = float(shown.replace("−", "-").replace(",", ""))
    assert abs(read - value) <= 0.5 * 10**-decimals * (1 + 1e-9)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_shares_add_up_to_a_hundred_and_none_is_off_by_a_whole_percent(values: list[float]) -> None:
    shown = formats.shares(values)
    total = sum(values)
    if total <= 0:
        assert set(shown) == {formats.MISSING}
    elif not any(text[0] in "<>" for text in shown):
        percents = [int(text.removesuffix("\u00a0%")) for text in shown]
        assert sum(percents) == 100
        assert all(abs(p - 100 * v / total) < 1 for p, v in zip(percents, values, strict=True))


def test_three_equal_shares_are_no_ninety_nine_percent() -> None:
    assert [text.replace("\u00a0", " ") for text in formats.shares([1, 1, 1])] == ["34 %", "33 %", "33 %"]


def test_a_share_is_called_whole_only_when_it_is() -> None:
    assert [formats.percent(x).replace("\u00a0", " ") for x in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "< 1 %",
        "50 %",
        "> 99 %",
        "100 %",
    ]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (3 * SECOND, "3 s"),
        (59_999, "59 s"),
        (12 * MINUTE, "12 min"),
        (3 * HOUR, "3 h"),
        (3 * HOUR + 5 * MINUTE, "3 h 5 min"),
        (2 * DAY + 4 * HOUR + MINUTE, "2 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert formats.duration(milliseconds).replace("\u00a0", " ") == text


def test_what_came_this_moment_or_from_a_clock_ahead_is_now() -> None:
    assert formats.age(1_000, 2_000) == "now"
    assert formats.age(9_000, 2_000) == "now"
    assert formats.age(1_000, 6_000).replace("\u00a0", " ") == "5 s ago"


def test_a_time_of_another_day_carries_the_date() -> None:
    now = 1_747_256_592_000  # Wed 14 May 2025, 14:03:12 in Los Angeles
    assert formats.moment(now - HOUR, now, LOS_ANGELES) == "13:03"
    assert formats.moment(now - DAY, now, LOS_ANGELES) == "Tue 13 May 14:03"


def test_the_repeated_hour_carries_its_offset() -> None:
    first = 1_762_073_400_000  # 2 November 2025, 01:50 for the first time
    assert formats.clock(formats.local(first, LOS_ANGELES)) == "01:50 −07:00"
    assert formats.clock(formats.local(first + HOUR, LOS_ANGELES)) == "01:50 −08:00"
    assert formats.clock(formats.local(first + 2 * HOUR, LOS_ANGELES)) == "02:50"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.7976931348623157e308, "1.8·10³⁰⁸"), (-2.5e12, "−2.5·10¹²"), (999e9, "999,000,000,000")],
)
def test_a_number_that_nothing_measures_is_written_with_a_power_of_ten(value: float, text: str) -> None:
    assert formats.number(value, "kW") == text
