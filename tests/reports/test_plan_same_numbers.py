"""Whatever an item is read from, its numbers are the same: those of every reading that was ever stored."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sgmp_console.errors import Cancelled
from sgmp_console.reports.item_source import Source
from sgmp_console.store import Database, aggregates, readings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, extremes
from tests.database import TestServer
from tests.reports.stored import StoredHouse, drop_old_readings, refresh

DAY_MS = 24 * HOUR_MS
TODAY_MS = int(time.time()) // 86_400 * DAY_MS
X, Y, Z = ("a", "x"), ("a", "y"), ("b", "z")

_names = count(1)

# --- Formulas ---------------------------------------------------------------------------------------------------------

parts = st.builds(
    "{}({}{})".format,
    st.sampled_from(["", "", "pos", "neg", "abs", "-neg", "-abs"]),
    st.sampled_from(["a.x", "a.y", "b.z"]),
    st.sampled_from(["", "/1000", "*2.5", "*-3", "/-4"]),
)
exact_formulas = st.recursive(
    parts,
    lambda inner: st.one_of(
        st.builds("{} + {}".format, inner, inner),
        st.builds("{} - ({})".format, inner, inner),
        st.builds("({})*{}".format, inner, st.sampled_from(["2", "-0.5", "pi", "(1+2)"])),
        st.builds("({}) + {}".format, inner, st.sampled_from(["1", "-0.25", "e"])),
    ),
    max_leaves=4,
)
averages = st.sampled_from(
    ["avg(a.x, 300000)*avg(b.z, 300000)", "pos(avg(a.x, 900000) - avg(b.z, 900000))", "avg(a.y, 3600000)"]
)
other_formulas = st.sampled_from(["pos(a.x + 1)", "a.x*b.z", "abs(a.x - a.y)", "avg(a.x, 60000)/a.y"])
formulas = st.one_of(exact_formulas, exact_formulas, averages, other_formulas)


@st.composite
def houses_data(draw: st.DrawFn) -> dict[tuple[str, str], Series]:
    """A day and a half of three fields: of one meter's two some readings lack, the other meter may tick apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lost = draw(st.sampled_from([0.0, 0.0, 0.02, 0.5]))
    drift = draw(st.sampled_from([0, 0, 7, 50_000]))
    ticks = TODAY_MS - 2 * DAY_MS + np.arange(0, 36 * HOUR_MS, 100_000, dtype=np.int64)
    ticks = ticks[(ticks < ticks[400]) | (ticks > ticks[400 + draw(st.integers(0, 200))])]
    whole = rng.random(len(ticks)) < 0.7
    found = {}
    for key, shift in ((X, 0), (Y, 0), (Z, drift)):
        values = rng.normal(0, draw(st.sampled_from([1.0, 3000.0])), len(ticks)).round(4)
        keep = whole | (rng.random(len(ticks)) >= lost)
        found[key] = Series(ticks[keep] + shift, np.where(rng.random(len(ticks)) < 0.1, 0.0, values)[keep])
    return found


# Shrinking takes minutes here, and says little more.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

# --- The property -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(database_server: TestServer) -> Iterator[tuple[Database, str]]:
    with database_server.database() as made:
        database = Database.connect(made.url, application="sgmp-test")
        yield database, made.url
        database.dispose()


def assert_same_numbers(house: StoredHouse, name: str, formula: str, start_ms: int, end_ms: int) -> None:
    near = house.size(formula) * 1e-9
    expected = house.raw_slots(formula, start_ms, end_ms)
    found = house.slots(name, start_ms, end_ms).slots
    assert (found.start_ms, found.end_ms) == (expected.start_ms, expected.end_ms)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-9, atol=near)
    hours = house.hours(name, start_ms, end_ms)
    np.testing.assert_array_equal(hours.hours.starts, expected.hours().starts)
    np.testing.assert_array_equal(hours.hours.covered, expected.hours().covered)
    np.testing.assert_allclose(hours.hours.sums, expected.hours().sums, rtol=1e-9, atol=12 * near)
    assert hours.coverage == pytest.approx(expected.coverage)
    assert (hours.energy_kwh is None) == (expected.energy_kwh is None)
    assert (hours.energy_kwh or 0.0) == pytest.approx(
        expected.energy_kwh or 0.0, rel=1e-9, abs=expected.count * near
    )
    raw = extremes(house.raw_values(formula, expected.start_ms, expected.end_ms))
    extreme = house.extremes(name, start_ms, end_ms)
    if raw is None or extreme is None:
        assert raw is None
        assert extreme is None
        return
    assert extreme.minimum == pytest.approx(raw.minimum, rel=1e-9, abs=near)
    assert extreme.maximum == pytest.approx(raw.maximum, rel=1e-9, abs=near)
    assert (extreme.minimum_ms, extreme.maximum_ms) == (raw.minimum_ms, raw.maximum_ms)


@settings(max_examples=25, phases=PHASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=houses_data(),
    wanted=st.lists(formulas, min_size=1, max_size=3),
    aggregated=st.sampled_from([True, True, False]),
    early=st.floats(0, 1),
    steps=st.sampled_from([None, 0, 1]),
    late=st.integers(0, 5),
    span=st.tuples(st.integers(-10, 440), st.integers(1, 440)),
    odd_ms=st.sampled_from([0, 0, 123_456]),
)
def test_slots_hours_and_extremes_are_those_of_every_reading(
    shared: tuple[Database, str],
    data: dict[tuple[str, str], Series],
    wanted: list[str],
    aggregated: bool,
    early: float,
    steps: int | None,
    late: int,
    span: tuple[int, int],
    odd_ms: int,
) -> None:
    database, url = shared
    house = StoredHouse.make(database, f"House {next(_names)}")
    cut = TODAY_MS - 2 * DAY_MS + int(early * 36 * HOUR_MS)
    # A run of readings comes after everything else, and some come twice.
    held = (TODAY_MS - DAY_MS, TODAY_MS - DAY_MS + late * 2 * HOUR_MS)
    house.store({key: series.between(0, min(cut, held[0])) for key, series in data.items()})
    for number, formula in enumerate(wanted):
        house.item(f"item{number}", formula, aggregated=aggregated)
    populate_some(house, steps)
    house.store({key: series.between(held[1], TODAY_MS) for key, series in data.items()})
    house.store({key: series.between(held[0] - HOUR_MS, TODAY_MS) for key, series in data.items()})
    house.store({key: series.between(0, TODAY_MS) for key, series in data.items()})
    refresh(url)
    start = TODAY_MS - 2 * DAY_MS + span[0] * SLOT_MS + odd_ms
    for number, formula in enumerate(wanted):
        assert_same_numbers(house, f"item{number}", formula, start, start + span[1] * SLOT_MS)


def populate_some(house: StoredHouse, steps: int | None) -> None:
    """Populate wholly, or stop after some steps."""
    seen = 0

    def stop(_fraction: float) -> None:
        nonlocal seen
        seen += 1
        if steps is not None and seen > steps:
            raise Cancelled

    try:
        aggregates.populate(house.database, house.house_id, stop)
    except Cancelled:
        return


# --- Raw readings gone ------------------------------------------------------------------------------------------------


@settings(max_examples=1, phases=PHASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=st.lists(exact_formulas | averages, min_size=25, max_size=25, unique=True))
def test_numbers_stay_when_raw_readings_have_been_dropped(
    database_server: TestServer, wanted: list[str]
) -> None:
    with database_server.database() as made:
        database = Database.connect(made.url, application="sgmp-test")
        try:
            house = StoredHouse.make(database, "Old House")
            ticks = TODAY_MS - 46 * DAY_MS + np.arange(0, 16 * DAY_MS, 150_000, dtype=np.int64)
            rng = np.random.default_rng(5)
            house.store({key: Series(ticks, rng.normal(0, 3, len(ticks))) for key in (X, Y, Z)})
            for number, formula in enumerate(wanted):
                house.item(f"item{number}", formula)
            house.populate()
            refresh(made.url)
            drop_old_readings(made.url)
            with database.begin() as connection:
                left = readings.read(connection, house.house_id, [X], 0, TODAY_MS)[X]
            assert 0 < len(left) < len(ticks)
            for number, formula in enumerate(wanted):
                start, end = TODAY_MS - 46 * DAY_MS, TODAY_MS - 30 * DAY_MS
                expected = house.raw_slots(formula, start, end)
                near = house.size(formula) * 1e-9
                slots = house.slots(f"item{number}", start, end)
                assert slots.source is Source.AGGREGATES
                np.testing.assert_array_equal(slots.slots.starts, expected.starts)
                np.testing.assert_allclose(slots.slots.means, expected.means, rtol=1e-9, atol=near)
                hours = house.hours(f"item{number}", start, end)
                np.testing.assert_allclose(hours.hours.sums, expected.hours().sums, rtol=1e-9, atol=12 * near)
        finally:
            database.dispose()
