"""The live window in short: `python -m tests.benchmarks.live_window` is the five minutes."""

from __future__ import annotations

from statistics import median

import pytest

from tests.benchmarks.live_window import run
from tests.waiting import yardstick_s


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_commit_reaches_its_tile_soon_and_the_window_never_stands_still() -> None:
    """Others share the machine: most commits, and all but a few blocks of its thread. The program holds the budgets."""
    found = run(0.2, 10.0)
    assert len(found.lags_s) > 5
    assert not found.never_shown
    assert median(found.lags_s) <= 2.0, found.summary()
    assert sorted(found.blocks_s)[-4] < 15 * yardstick_s(), found.summary()
