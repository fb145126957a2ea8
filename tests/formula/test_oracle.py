"""Values of random formulas against the oracle: the same to 1e-9, and missing at the same timestamps."""

import csv
import io
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_console.fleet.formula_data import series_in
from sgmp_console.formula import FormulaError, parse
from sgmp_console.formula.check import check
from sgmp_console.timeseries import Series
from tests.formula import oracle

IDENTIFIERS = [
    "sonnen.status.Pac_total_W",
    "egauge.A.Solar",
    'meter."Main House"',
    "events.::EV_END_CHARGING.energy",
    "analytics.battery",
    "e.pi",
]


def random_readings(rng: random.Random) -> dict[str, dict[int, float]]:
    """Series on common, shifted and sparse grids, with gaps, and with NaN and infinities as a driver may leave them."""
    start = rng.choice([0, -7_000, 1_750_000_000_000])
    common = [start + 1_000 * k for k in range(rng.randint(1, 9))]
    readings = {}
    for identifier in IDENTIFIERS:
        timestamps = list(common)
        if rng.random() < 0.25:
            timestamps = [t + rng.choice([0, 0, 1, 500]) for t in common]
        readings[identifier] = {
            t: math.nan
            if rng.random() < 0.04
            else math.inf
            if rng.random() < 0.03
            else rng.randint(-64, 64) / 8
            for t in timestamps
            if rng.random() > 0.1
        }
    return readings


def differences(tree: oracle.Tree, text: str, readings: dict[str, dict[int, float]]) -> tuple[str, int, int]:
    """What is wrong ("" if nothing), the timestamps compared, and those that rounding leaves open."""
    formula = parse(text)
    series = {name: Series(sorted(v), [v[t] for t in sorted(v)]) for name, v in readings.items()}
    expected = oracle.evaluate(tree, readings)
    got = formula.evaluate(series)
    if formula.identifiers != oracle.identifiers_of(tree):
        return f"identifiers {formula.identifiers}", 0, 0
    values = dict(zip(got.timestamps.tolist(), got.values.tolist(), strict=True))
    for timestamp in (values.keys() | expected.values.keys()) - expected.unsure:
        if (timestamp in values) != (timestamp in expected.values):
            return (
                f"at {timestamp}: {values.get(timestamp)} instead of {expected.values.get(timestamp)}",
                0,
                0,
            )
        value, error = expected.values[timestamp]
        if abs(values[timestamp] - value) > 1e-9 * abs(value) + 8 * error:
            return f"at {timestamp}: {values[timestamp]!r} instead of {float(value)!r} ± {float(error)}", 0, 0
    return "", len(expected.values), len(expected.unsure)


def exponent_is_too_large(text: str) -> bool:
    """2^1000^2 and the like, which the generator makes now and then; anything else refused is a fault."""
    try:
        parse(text)
    except FormulaError as error:
        return "exponent" in error.message
    return False


def test_five_thousand_random_formulas_have_the_values_of_the_oracle() -> None:
    rng = random.Random(20_260_701)
    formulas = compared = unsure = 0
    while formulas < 5_000:
        tree = oracle.random_tree(rng, IDENTIFIERS, rng.randint(1, 5))
        text = oracle.written(tree, rng)
        readings = random_readings(rng)
        if exponent_is_too_large(text):
            continue
        wrong, points, open_points = differences(tree, text, readings)
        assert not wrong, f"{text}\n{wrong}\n{readings}"
        formulas += 1
        compared += points
        unsure += open_points
    assert compared > 5_000
    assert unsure < compared / 20


@st.composite
def trees(draw: st.DrawFn) -> oracle.Tree:
    leaf = st.one_of(
        st.sampled_from(IDENTIFIERS).map(lambda name: ("id", name)),
        st.sampled_from(["0", "1", "2", ".5", "1e-3"]).map(lambda text: ("number", text)),
    )

    def extended(inner: st.SearchStrategy[oracle.Tree]) -> st.SearchStrategy[oracle.Tree]:
        return st.one_of(
            st.tuples(st.sampled_from("+-*/"), inner, inner),
            st.tuples(st.just("^"), inner, st.sampled_from(oracle.EXPONENTS)),
            st.tuples(st.sampled_from(["minus", *oracle.FUNCTIONS]), inner),
            st.tuples(st.just("avg"), inner, st.sampled_from([1, 1000, 3000])),
        )

    return draw(st.recursive(leaf, extended, max_leaves=6))


readings_of_one = st.dictionaries(
    st.integers(-5, 5).map(lambda k: k * 500),
    st.one_of(st.integers(-40, 40).map(lambda k: k / 8), st.sampled_from([math.nan, math.inf, 0.0])),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(trees(), st.data(), st.randoms(use_true_random=False))
def test_a_formula_has_the_values_of_the_oracle(
    tree: oracle.Tree, data: st.DataObject, rng: random.Random
) -> None:
    used = dict.fromkeys(sorted(oracle.identifiers_of(tree)), readings_of_one)
    wrong, _, _ = differences(tree, oracle.written(tree, rng), data.draw(st.fixed_dictionaries(used)))

    assert not wrong


@pytest.mark.parametrize("seed", range(60))
def test_readings_from_a_file_may_repeat_and_come_in_any_order(seed: int) -> None:
    rng = random.Random(seed)
    tree = oracle.random_tree(rng, IDENTIFIERS, 3)
    text = oracle.written(tree, rng)
    readings = random_readings(rng)
    rows = [(t, name, repr(v)) for name, series in readings.items() for t, v in series.items()]
    # Of a repeated reading the first counts, as in the database.
    rng.shuffle(rows)
    rows += (
        [(t, name, "123456") for t, name, v in rng.choices(rows, k=5) if math.isfinite(float(v))]
        if rows
        else []
    )
    file = io.StringIO()
    csv.writer(file).writerows([("timestamp", "identifier", "value"), *rows])

    result = check(text, readings=series_in(file.getvalue())[0])

    expected = oracle.evaluate(tree, readings)
    values = dict(result["values"])
    assert values.keys() - expected.unsure == expected.values.keys() - expected.unsure
    for timestamp, (value, error) in expected.values.items():
        assert abs(values[timestamp] - value) <= 1e-9 * abs(value) + 8 * error
