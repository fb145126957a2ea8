"""What number comes out: missing stays missing, and series meet by time."""

import math
import time
from collections.abc import Mapping

import numpy as np
import pytest

from sgmp_console.formula import parse
from sgmp_console.timeseries import Series
from tests.waiting import yardstick_s


def evaluated(text: str, **series: Mapping[int, float]) -> dict[int, float]:
    """The values of a formula; the series `x` is that of the identifier `d.x`."""
    formula = parse(text)
    result = formula.evaluate(
        {f"d.{name}": Series(sorted(v), [v[t] for t in sorted(v)]) for name, v in series.items()}
    )
    return dict(zip(result.timestamps.tolist(), result.values.tolist(), strict=True))


def test_series_are_joined_by_time_not_by_index() -> None:
    assert evaluated("d.x + d.y", x={1: 10, 2: 20, 4: 40}, y={2: 2, 3: 3, 4: 4}) == {2: 22, 4: 44}


def test_two_devices_that_share_no_timestamp_give_nothing_rather_than_zeros() -> None:
    assert evaluated("d.x + d.y", x={0: 1, 4000: 2}, y={1: 1, 4001: 2}) == {}


@pytest.mark.parametrize("text", ["pos(d.x)", "neg(d.x)", "abs(d.x)", "d.x*0", "d.x^0", "0*d.x + 5"])
def test_a_missing_value_stays_missing(text: str) -> None:
    assert evaluated(text, x={0: 1, 1: math.nan, 2: math.inf, 3: 2}).keys() == {0, 3}


def test_an_identifier_that_cancels_out_still_has_to_be_there() -> None:
    assert evaluated("d.x + 0*d.y", x={1: 1, 2: 2, 3: 3}, y={2: 9}) == {2: 2}
    assert evaluated("d.x + d.y - d.y", x={1: 1, 2: 2}, y={2: 9, 3: 9}) == {2: 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/d.x", {1: 1, 2: -0.25}),
        ("d.x/d.x", {1: 1, 2: 1}),
        ("1/(1/d.x)", {1: 1, 2: -4}),
        ("d.x^0.5", {0: 0, 1: 1}),
        ("d.x^-1", {1: 1, 2: -0.25}),
        ("0^d.x", {0: 1, 1: 0}),
        ("exp(1000*d.x)", {0: 1, 2: 0}),
        ("exp(-exp(1000*d.x))", {0: math.exp(-1), 2: 1}),
        ("0*exp(1000*d.x)", {0: 0, 2: 0}),
        ("1e308*10*d.x", {}),
        ("d.x + 1/0", {}),
        ("d.x*(0/0)", {}),
    ],
)
def test_a_step_without_a_finite_number_takes_its_timestamp_away_for_good(
    text: str, expected: dict[int, float]
) -> None:
    assert evaluated(text, x={0: 0, 1: 1, 2: -4}) == pytest.approx(expected)


def test_zero_has_no_sign() -> None:
    (value,) = evaluated("-neg(d.x)", x={0: 5}).values()

    assert str(value) == "0.0"


def test_avg_puts_means_on_the_common_grid() -> None:
    x = {-1: 2, 0: 10, 999: 20, 1000: 30, 5500: 7}

    assert evaluated("avg(d.x, 1000)", x=x) == {-1000: 2, 0: 15, 1000: 30, 5000: 7}


def test_avg_lets_series_meet_that_share_no_timestamp() -> None:
    x = {0: 1, 4000: 3, 60_000: 5}
    y = {1: 10, 4001: 20, 120_001: 30}

    assert evaluated("avg(d.x, 60000) + avg(d.y, 60000)", x=x, y=y) == {0: 17}


def test_avg_takes_the_values_of_its_data_not_of_its_identifiers() -> None:
    # Imports are clipped before they are averaged, never after.
    x = {0: -4, 1: 2}

    assert evaluated("avg(pos(d.x), 1000)", x=x) == {0: 1}
    assert evaluated("pos(avg(d.x, 1000))", x=x) == {0: 0}
    assert evaluated("avg(1/d.x, 1000)", x={0: 0, 1: 2}) == {0: 0.5}


def test_avg_and_a_plain_series_meet_where_a_reading_lies_on_the_grid() -> None:
    assert evaluated("avg(d.x, 1000) + d.x", x={0: 1, 400: 3, 1500: 9}) == {0: 3}


def test_averages_of_averages_and_of_constants() -> None:
    assert evaluated("avg(avg(d.x, 1000), 2000)", x={0: 1, 1: 3, 1000: 8}) == {0: 5}
    assert evaluated("avg(5, 1000)*d.x", x={7: 2}) == {7: 10}


def test_a_period_may_be_computed() -> None:
    assert evaluated("avg(d.x, 5*60*1000)", x={0: 1, 299_999: 3, 300_000: 5}) == {0: 2, 300_000: 5}
    assert evaluated("avg(d.x, 0.1*3*10000)", x={0: 1, 2_999: 3, 3_000: 5}) == {0: 2, 3_000: 5}


def test_a_constant_has_no_timestamps_and_so_no_values() -> None:
    assert evaluated("2 + 3", x={0: 1}) == {}


def test_an_event_without_field_counts_one() -> None:
    result = parse("events.::EV_START_CHARGING*2").evaluate(
        {"events.::EV_START_CHARGING": Series([5, 9], [1, 1])}
    )

    assert (result.timestamps.tolist(), result.values.tolist()) == ([5, 9], [2, 2])


def test_a_series_that_is_not_given_is_the_callers_fault() -> None:
    with pytest.raises(KeyError):
        parse("d.x + d.y").evaluate({"d.x": Series([0], [1])})


def test_the_result_never_shares_memory_with_what_was_given() -> None:
    given = Series([0, 1], [1, 2])
    result = parse("d.x").evaluate({"d.x": given})
    result.values[0] = 99

    assert given.values.tolist() == [1, 2]


@pytest.mark.processor_time
@pytest.mark.parametrize("period", [1, 60_000, 31_622_400_000])
def test_any_period_costs_what_the_readings_cost(period: int) -> None:
    timestamps = np.arange(50_000, dtype=np.int64) * 4_000 + 1_750_000_000_000
    started = time.process_time()
    result = parse(f"avg(d.x, {period})").evaluate({"d.x": Series(timestamps, np.ones(50_000))})

    assert len(result) <= 50_000
    assert set(result.values.tolist()) == {1.0}
    assert time.process_time() - started < 100 * yardstick_s()


@pytest.mark.processor_time
def test_the_largest_formula_is_evaluated_without_delay() -> None:
    text = "+".join(["d.x"] * 400)
    timestamps = np.arange(21_600, dtype=np.int64) * 4_000
    started = time.process_time()
    result = parse(text).evaluate({"d.x": Series(timestamps, np.ones(21_600))})

    assert set(result.values.tolist()) == {400.0}
    assert time.process_time() - started < 100 * yardstick_s()
