"""Exactness on continuous aggregates: the aggregate path and the raw path give the same slots."""

import random
from fractions import Fraction

import numpy as np
import pytest

from sgmp_console.formula import parse
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, SlotAggregates, aggregate, hourly, slot_means

IDENTIFIERS = ["a.x", "a.y", "b.z"]


@pytest.mark.parametrize(
    "text",
    [
        "sonnen.status.Pac_total_W/1000",
        "-neg(sonnen.status.Pac_total_W/1000)",
        "pos(egauge.A.Solar)",
        "-egauge.A.GridPower",
        "2*a.x - a.y/4 + 7",
        "pos(a.x) + neg(a.y)*3 - abs(-a.z/2)",
        "pos(pos(a.x) - neg(a.x))",
        "pos(abs(a.x) + abs(a.y) + 1)",
        "abs(-abs(a.x) - 2)",
        "neg(pos(a.x)*5)",
        "a.x^1 + a.x^0",
        "a.x*sin(1)/2^0.5 + pi",
        "a.x - a.x",
        "avg(5, 1000)*a.x",
        "avg(a.x, 300000)",
        "avg(a.x, 300000)*avg(a.y, 300000)",
        "sin(avg(pos(a.x), 3600000))/avg(avg(a.y, 300000), 900000)",
    ],
)
def test_exact(text: str) -> None:
    assert parse(text).exact_on_aggregates


@pytest.mark.parametrize(
    "text",
    [
        "events.::EV_START_CHARGING",
        "a.x + events.::EV_END_CHARGING.energy",
        "a.x*a.y",
        "a.x^2",
        "1/a.x",
        "a.x/a.y",
        "sin(a.x)",
        "exp(a.x)",
        "pos(a.x + 1)",
        "abs(a.x - a.y)",
        "pos(a.x + a.y)",
        "2^a.x",
        "avg(a.x, 60000)",
        "avg(a.x, 300000) + a.x",
        "avg(a.x, 300001)",
        "avg(a.x*a.x, 300000)",
        "avg(a.x + a.y, 300000)",
        "a.x/0",
        "a.x*1e200*1e200*1e-300",
        "a.x*1e-200",
        "a.x*(-1)^0.5",
        "analytics.battery",
    ],
)
def test_not_exact(text: str) -> None:
    assert not parse(text).exact_on_aggregates


def test_the_form_is_in_lowest_terms_and_keeps_identifiers_that_cancel() -> None:
    form = parse("0.1*a.x*3 - pos(a.y)/4 + 0*a.z + 1/3").linear

    assert form is not None
    assert form.constant == Fraction(1, 3)
    assert {name: (term.positive, term.negative) for name, term in form.terms.items()} == {
        "a.x": (Fraction(3, 10), Fraction(3, 10)),
        "a.y": (Fraction(-1, 4), 0),
        "a.z": (0, 0),
    }


def random_linear(rng: random.Random, names: list[str], depth: int) -> str:
    """A formula of the kind that docs/aggregates.md promises to be exact."""
    if depth == 0:
        name = rng.choice(names)
        function = rng.choice(["", "", "pos", "neg", "abs", "-neg", "-abs"])
        scale = rng.choice(["", "/1000", "*2.5", "*-3", "/-4"])
        return f"{function}({name}{scale})"
    left, right = random_linear(rng, names, depth - 1), random_linear(rng, names, depth - 1)
    return rng.choice(
        [
            f"{left} + {right}",
            f"{left} - ({right})",
            f"-({left})",
            f"({left})*{rng.choice(['2', '-0.5', 'pi', '(1+2)'])}",
            f"({left})/{rng.choice(['4', '-8', '2^3'])}",
            f"({left}) + {rng.choice(['1', '-0.25', 'e'])}",
        ]
    )


def random_series(rng: random.Random, timestamps: list[int]) -> Series:
    kept = [t for t in timestamps if rng.random() > 0.05]
    return Series(kept, [rng.choice([0.0, rng.uniform(-5, 5), rng.uniform(-1e4, 1e4)]) for _ in kept])


@pytest.mark.parametrize("seed", range(150))
def test_slots_and_hours_from_aggregates_are_those_of_the_raw_values(seed: int) -> None:
    rng = random.Random(seed)
    start = rng.choice([0, -HOUR_MS, 1_751_328_000_000])
    end = start + 4 * HOUR_MS
    # Half the houses poll all devices in one tick, in the others the devices drift apart.
    ticks = [start + 20_000 * k for k in range((end - start) // 20_000) if not 100 < k < 200]
    shared = random_series(rng, ticks)
    series = {
        name: Series(shared.timestamps, rng.uniform(-3, 3) + shared.values * rng.choice([1, -2, 0]))
        if rng.random() < 0.5
        else random_series(rng, [t + rng.choice([0, 0, 7]) for t in ticks])
        for name in IDENTIFIERS
    }
    formula = parse(random_linear(rng, IDENTIFIERS[: rng.randint(1, 3)], rng.randint(0, 4)))
    aggregates = {name: aggregate(series[name]) for name in IDENTIFIERS}
    raw = slot_means(formula.evaluate(series), start, end)
    scale = 1e-9 * max(1.0, float(np.abs(raw.means).max(initial=0.0)), 2e4)

    assert formula.exact_on_aggregates
    slots, unsure = formula.slot_means(aggregates, start, end)
    assert set(slots.starts.tolist()) == set(raw.starts.tolist()) - set(unsure.tolist())
    kept = np.isin(raw.starts, slots.starts)
    np.testing.assert_allclose(slots.means, raw.means[kept], rtol=1e-9, atol=scale)
    if len(formula.identifiers) == 1:
        assert not len(unsure)

    form = formula.linear
    assert form is not None
    hours, unsure_hours = form.hour_means({name: hourly(a) for name, a in aggregates.items()}, start, end)
    expected = raw.hours()
    sure = np.isin(expected.starts, unsure_hours, invert=True)
    assert hours.starts.tolist() == expected.starts[sure].tolist()
    assert hours.covered.tolist() == expected.covered[sure].tolist()
    np.testing.assert_allclose(hours.sums, expected.sums[sure], rtol=1e-9, atol=12 * scale)


def test_a_slot_in_which_timestamps_differ_is_left_to_the_raw_values() -> None:
    # As many readings in each, and in the second slot not at the same times.
    x = Series([0, 4_000, SLOT_MS, SLOT_MS + 4_000], [1, 2, 3, 4])
    y = Series([0, 4_000, SLOT_MS, SLOT_MS + 8_000], [5, 6, 7, 8])
    formula = parse("a.x + a.y")

    slots, unsure = formula.slot_means({"a.x": aggregate(x), "a.y": aggregate(y)}, 0, 2 * SLOT_MS)

    assert (slots.starts.tolist(), slots.means.tolist()) == ([0], [7.0])
    assert unsure.tolist() == [SLOT_MS]


def test_without_fingerprints_several_series_are_never_vouched_for() -> None:
    full = aggregate(Series([0], [1]))
    bare = SlotAggregates(
        full.starts, full.n, full.sums, full.positive_sums, full.negative_sums, full.minima, full.maxima
    )

    slots, unsure = parse("a.x + a.y").slot_means({"a.x": bare, "a.y": bare}, 0, SLOT_MS)
    assert (slots.covered, unsure.tolist()) == (0, [0])
    slots, unsure = parse("2*a.x").slot_means({"a.x": bare}, 0, SLOT_MS)
    assert (slots.means.tolist(), unsure.tolist()) == ([2.0], [])


@pytest.mark.parametrize(
    "text",
    [
        "avg(a.x, 300000)*avg(b.z, 300000)",
        "exp(-avg(pos(a.x)/1000, 300000)^2)",
        "avg(a.x, 3600000)/avg(avg(abs(b.z), 300000), 900000) + avg(2, 1000)",
    ],
)
def test_formulas_of_slot_means_are_exact_whatever_they_do_with_them(text: str) -> None:
    rng = random.Random(text)
    series = {
        name: random_series(rng, [7 * k * 1_000 + rng.randint(0, 5) for k in range(2_000)])
        for name in IDENTIFIERS
    }
    formula = parse(text)
    raw = slot_means(formula.evaluate(series), 0, 3 * HOUR_MS)

    slots, unsure = formula.slot_means({n: aggregate(s) for n, s in series.items()}, 0, 3 * HOUR_MS)

    assert not len(unsure)
    assert slots.starts.tolist() == raw.starts.tolist()
    np.testing.assert_allclose(slots.means, raw.means, rtol=1e-9)


def test_imports_are_not_clipped_after_averaging() -> None:
    # An hour that imports 3 kW and exports 1 kW in turns: the mean is +1, the import is 1.5.
    series = Series(np.arange(900) * 4_000, np.where(np.arange(900) % 2 == 0, -3.0, 1.0))
    grid_import = parse("-neg(egauge.A.GridPower)")

    slots, _ = grid_import.slot_means({"egauge.A.GridPower": aggregate(series)}, 0, HOUR_MS)

    assert slots.mean == 1.5
    assert slots.hours().mean == 1.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*a.x + 1", (-5, 7)),
        ("-a.x", (-3, 3)),
        ("pos(a.x)", (0, 3)),
        ("-neg(a.x)", (0, 3)),
        ("5 + 0*a.x", (5, 5)),
    ],
)
def test_extremes_follow_from_those_of_a_single_series(text: str, expected: tuple[float, float]) -> None:
    form = parse(text).linear
    assert form is not None
    extremes = form.extremes(np.array([-3.0]), np.array([3.0]))

    assert extremes is not None
    assert (extremes[0].item(), extremes[1].item()) == expected


@pytest.mark.parametrize("text", ["abs(a.x)", "a.x + a.y", "pos(a.x) - neg(a.x)"])
def test_other_extremes_need_the_raw_values(text: str) -> None:
    form = parse(text).linear

    assert form is not None
    assert form.extremes(np.array([-3.0]), np.array([3.0])) is None


def test_asking_aggregates_for_what_they_cannot_tell_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="not exact"):
        parse("a.x^2").slot_means({}, 0, SLOT_MS)


HUGE = 1.7e308


def overflowing() -> Series:
    """A slot whose sum overflows, and one of ordinary values."""
    return Series([0, 60_000, 120_000, 180_000, SLOT_MS, SLOT_MS + 60_000], [1.0, HUGE, HUGE, 2.0, 1.0, 3.0])


@pytest.mark.parametrize(
    "text",
    [
        "m.p",
        "m.p - m.p",
        "m.p*10 - m.p*10",
        "pos(m.p)",
        "-neg(m.p) + 2",
        "m.p + m.q",
        "avg(m.p, 300000)",
        "avg(m.p, 600000)",
        "avg(m.p - m.p, 300000)",
        "avg(avg(m.p, 300000), 600000) + avg(m.q, 300000)",
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_values_that_overflow_give_the_same_numbers_by_aggregates_and_by_every_reading(
    text: str, sign: float
) -> None:
    huge = overflowing()
    series = {
        "m.p": Series(huge.timestamps, huge.values * sign),
        "m.q": Series(huge.timestamps, np.ones(6)),
    }
    formula = parse(text)
    kept = {name: aggregate(series[name]) for name in formula.identifiers}
    raw = slot_means(formula.evaluate(series), 0, HOUR_MS)

    means, unsure = formula.slot_means(kept, 0, HOUR_MS)

    assert np.isfinite(means.means).all()
    vouched = np.isin(raw.starts, unsure, invert=True)
    assert means.starts.tolist() == raw.starts[vouched].tolist()
    assert means.means.tolist() == pytest.approx(raw.means[vouched].tolist())
    assert 0 in unsure
    if formula.linear is not None:
        hours, unsure_hours = formula.linear.hour_means(
            {n: hourly(one) for n, one in kept.items()}, 0, HOUR_MS
        )
        assert (len(hours.starts), unsure_hours.tolist()) == (0, [0])


def test_a_slot_that_overflows_has_no_mean_and_no_energy() -> None:
    slots = slot_means(overflowing(), 0, HOUR_MS)

    assert (slots.means.tolist(), slots.coverage) == ([2.0], 1 / 12)
    assert slots.energy_kwh == pytest.approx(2.0 / 12)
