"""The edge left alone, and the edge back from an outage, in short: the long runs are in tests/benchmarks."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import edge_backlog, edge_soak


@pytest.mark.slow
def test_beside_a_hung_device_and_in_trouble_the_edge_stays_small_and_on_time() -> None:
    soak = edge_soak.run(20 / 60, 20.0, trouble_every_s=4.0)
    print(json.dumps(soak.summary(), indent=2))
    # Other processes may delay a poll here; one that waited for the hung device would be late by seconds.
    assert soak.failures(jitter_ms=3 * edge_soak.BUDGET_JITTER_MS) == []
    assert sum(soak.troubles.values()) >= 3


@pytest.mark.slow
def test_a_backlog_goes_at_the_permitted_rate_while_live_readings_stay_live() -> None:
    drained = edge_backlog.run(80, poll_s=1.0)
    print(json.dumps(drained.summary(), indent=2))
    assert drained.failures() == []
