"""The benchmarks run, and both designs answer alike. How fast is not asked here: other machines, other times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sgmp_console.reports.item_reader import ItemReader
from tests.benchmarks import ancestor, charts, exports, fleet, quality, reports, result, rules
from tests.benchmarks.__main__ import SUBJECTS, main
from tests.benchmarks.result import Result, table
from tests.benchmarks.world import DAY_MS, SERIES, World, furnished
from tests.database import TestServer


@pytest.fixture(scope="module")
def world(database_server: TestServer) -> Iterator[World]:
    with furnished(database_server, 8_000, 1, lambda text: None) as made:
        yield made


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_can_be_measured(world: World, subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "RUNS", 1)
    monkeypatch.setattr(charts, "POINTS", 20_000)
    monkeypatch.setattr(reports, "QUARTER_MS", DAY_MS)
    monkeypatch.setattr(exports, "HOUSES", 3)
    monkeypatch.setattr(fleet, "HOUSES", 20)
    monkeypatch.setattr(rules, "HOUSES", 20)
    monkeypatch.setattr(fleet, "ON_SCREEN", 2)
    monkeypatch.setattr(quality, "NIGHT_HOUSES", 1)
    results = SUBJECTS[subject](world)
    assert results
    assert all(one.ratio >= 0 for one in results)  # memory may not grow at all


def test_the_ancestor_and_we_compute_the_same_items_of_the_same_readings(world: World) -> None:
    """So that the times compared are those of the same work."""
    with world.database.begin() as connection:
        ours = ItemReader(connection, world.house_id).values(ancestor.ITEMS, world.start_ms, world.end_ms)
    for name, item in ancestor.ITEMS.items():
        theirs = ancestor.read_item(
            world.connection, world.house_id, item, world.start_ms, world.end_ms
        ).sort_index()
        assert len(theirs) == world.readings // SERIES
        np.testing.assert_array_equal(ours[name].timestamps, theirs.index)
        np.testing.assert_allclose(ours[name].values, theirs.to_numpy(), rtol=1e-9, atol=1e-12)


def test_a_budget_that_is_not_met_stands_out() -> None:
    printed = table(
        [Result("fast", "1 ms", "9 ms", 9.0, 5.0), Result("large", "7 bytes", "7 bytes", 1.0, 2.0)]
    )
    header, fast, large = printed.splitlines()
    assert header.split()[-1] == "met"
    assert fast.endswith(">= 5 x  yes")
    assert large.endswith(">= 2 x  NO")


def test_an_unknown_subject_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "there is no subject speed" in capsys.readouterr().err
