"""The short form of tests/watch/chaos.py: real watchers, mail, web address and database, killed and restarted."""

from __future__ import annotations

import pytest

from tests.watch import chaos


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_fault_is_sent_once_when_it_opens_and_once_when_it_closes_whoever_is_killed() -> None:
    tally = chaos.run(houses=6, faults=8, kills=3, restarts=1)
    assert tally.problems == []
    assert (tally.kills, tally.restarts) == (3, 1)
